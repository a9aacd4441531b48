//! Rule V6: what is there after power was cut, and what is refused.

use std::{fs, path::Path};

use dao_api::store::{
    Append, Entry, EventStore, FeedPlace, ProjectionStore,
    embedded::{EmbeddedStore, OpenError},
};
use dao_projections::{GraphId, Head, OperationId};
use tempfile::TempDir;

use super::{all_moved, append, hold_up, let_go, rows_left, tables};
use crate::{
    embedded::{assert_chain, commit, config, graph, history, open, operation, temporary, unchanged},
    support::journal::{Image, unmoved},
};

/// Where a log may end after a power cut: at each frame, and in the midst of it.
fn ends_of(log: &[u8]) -> impl Iterator<Item = usize> {
    const HEADER: usize = 32;
    const FRAME: usize = 24 + 4_096;
    let frames = log.len().saturating_sub(HEADER) / FRAME;
    (0..=frames)
        .flat_map(|n| [HEADER + n * FRAME, HEADER + n * FRAME + 1_000])
        .filter(|end| *end <= log.len())
}

/// What was acknowledged, in order.
#[derive(Default)]
struct Acknowledged {
    entries: Vec<(GraphId, Entry)>,
    heads: Vec<(GraphId, Head)>,
    /// How long the journal's log was when the so manieth was acknowledged.
    log_ends: Vec<usize>,
}

impl Acknowledged {
    async fn append(&mut self, dir: &Path, store: &EmbeddedStore, n: usize) {
        let graph = graph(["a", "b", "c"][n % 3]);
        let expected = self.head(&graph);
        let mut head = expected;
        let body = format!("{n} {}", "x".repeat(n % 4 * 3_000));
        let entry = match n % 5 {
            4 => Entry { refused_at: Some(head.version), ..unchanged(operation(), "refused") },
            _ => commit(&mut head, &body),
        };
        let outcome = store.append(&graph, expected, std::slice::from_ref(&entry)).await;
        assert_eq!(outcome.expect("an outcome"), Append::Appended);
        self.entries.push((graph.clone(), entry));
        self.heads.push((graph, head));
        self.log_ends.push(fs::metadata(dir.join("journal.db-wal")).expect("a log").len() as usize);
    }

    fn head(&self, graph: &GraphId) -> Head {
        self.heads.iter().rev().find(|(of, _)| of == graph).map_or(Head::EMPTY, |(_, head)| *head)
    }

    /// Checks that the store has the first `count` of these, and nothing else.
    async fn are_there(&self, store: &EmbeddedStore, count: usize) {
        let mut commits = 0;
        for name in ["a", "b", "c"] {
            let graph = graph(name);
            let mine = || self.entries[..count].iter().filter(|(of, _)| *of == graph).map(|(_, entry)| entry);
            let expected: Vec<_> = mine().filter_map(|entry| entry.commit.clone()).collect();
            commits += expected.len();
            assert_eq!(history(store, &graph).await, expected, "{name}");
            let ids: Vec<OperationId> = self.entries.iter().map(|(_, entry)| entry.operation).collect();
            let records: Vec<_> = self
                .entries
                .iter()
                .enumerate()
                .map(|(n, (of, entry))| (n < count && *of == graph).then(|| entry.record.clone()))
                .collect();
            assert_eq!(store.operations(&graph, &ids).await.expect("an answer"), records, "{name}");
        }
        let feed = store.feed(0, FeedPlace::START, 1_000).await.expect("a feed");
        let told: Vec<_> = feed.iter().map(|entry| (entry.place.major, &entry.graph, entry.to)).collect();
        let with_commit =
            self.entries[..count].iter().filter_map(|(graph, entry)| Some((graph, entry.commit.as_ref()?)));
        let expected: Vec<_> =
            (1..).zip(with_commit).map(|(place, (graph, commit))| (place, graph, commit.version)).collect();
        assert_eq!((told, feed.len()), (expected, commits));
    }
}

/// The journal's log is cut at every place; that of the tables, which is not synced, at some of its own each time.
#[tokio::test]
async fn v6_a_power_cut_at_any_byte_leaves_what_was_acknowledged_and_nothing_else() {
    let (acknowledged, empty, image) = loop {
        let dir = temporary();
        let mut acknowledged = Acknowledged::default();
        let store = open(dir.path());
        let empty = Image::of(dir.path()).bytes("journal.db-wal").len();
        for n in 0..14 {
            acknowledged.append(dir.path(), &store, n).await;
            if n % 4 == 0 {
                all_moved(&store).await; // several moves, at any rate
            }
        }
        all_moved(&store).await;
        let image = Image::of(dir.path());
        // Where no row was deleted yet, every end of the tables' log can be. It takes a second.
        if rows_left(dir.path()) == 14 {
            break (acknowledged, empty, image);
        }
    };
    let tables: Vec<usize> = [0].into_iter().chain(ends_of(image.bytes("dao.db-wal"))).collect();
    let mut cut = 0;
    for journal in ends_of(image.bytes("journal.db-wal")).filter(|end| *end >= empty) {
        let count = acknowledged.log_ends.iter().filter(|end| **end <= journal).count();
        for pick in [0, cut * 7 % tables.len(), tables.len() - 1] {
            let crashed = image.cut(journal, tables[pick]);
            // What the tables have is acknowledged, too: a journal that ends before lost what was synced.
            let count = count.max(moved_of(&image.cut(journal, tables[pick])));
            let store = open(crashed.path());
            acknowledged.are_there(&store, count).await;
            cut += 1;
            if cut % 5 > 0 {
                continue;
            }
            // It goes on from there, also where that is cut off again.
            let heads = acknowledged.heads[..count].to_vec();
            let mut more = Acknowledged { heads, ..Acknowledged::default() };
            more.append(crashed.path(), &store, 0).await;
            let again = Image::of(crashed.path()).write();
            drop(store);
            for dir in [again.path(), crashed.path()] {
                let head = open(dir).head(&graph("a")).await;
                assert_eq!(head.expect("a head"), more.head(&graph("a")));
            }
        }
    }
    assert!(cut > 50, "{cut}");
}

fn moved_of(dir: &TempDir) -> usize {
    let moved = "SELECT value FROM meta WHERE key = 'moved'";
    tables(dir.path()).query_row(moved, [], |row| row.get::<_, i64>(0)).expect("a number") as usize
}

/// After a sync that failed the system has the end of a log in memory only, and calls it clean: another sync does nothing.
#[tokio::test]
async fn v6_a_start_after_a_kill_writes_both_logs_to_the_disk_again() {
    let dir = temporary();
    let store = open(dir.path());
    let mut head = Head::EMPTY;
    append(&store, "g", &mut head, &"x".repeat(1_500_000)).await;
    all_moved(&store).await;
    let image = Image::of(dir.path());
    let crashed = image.write();
    let logs = ["journal.db-wal", "dao.db-wal"];
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3_600);
    let log = |name: &str| fs::File::options().write(true).open(crashed.path().join(name)).expect("a log");
    logs.iter().for_each(|name| log(name).set_modified(long_ago).expect("it is old"));
    let again = open(crashed.path());
    assert_eq!(again.head(&graph("g")).await.expect("a head"), head);
    for name in logs {
        let modified = log(name).metadata().and_then(|metadata| metadata.modified()).expect("a time");
        let (before, after) = (image.bytes(name), fs::read(crashed.path().join(name)).expect("a log"));
        assert!(modified > long_ago && after.starts_with(before) && before.len() > 1_500_000, "{name}");
    }
    assert_chain(&history(&again, &graph("g")).await);
}

/// A sync that failed may have left a hole in a log: to copy it is to mix what is before and after the hole.
#[tokio::test]
async fn v6_a_start_that_fails_leaves_both_logs_to_the_next() {
    let dir = temporary();
    let store = open(dir.path());
    let mut head = Head::EMPTY;
    append(&store, "g", &mut head, "moved").await;
    all_moved(&store).await;
    hold_up(dir.path());
    append(&store, "g", &mut head, "not moved").await;
    let image = Image::of(dir.path());
    let crashed = image.write();
    for _ in 0..2 {
        EmbeddedStore::open(config(crashed.path())).expect_err("it is held up");
        for name in ["journal.db-wal", "dao.db-wal"] {
            let left = fs::read(crashed.path().join(name)).expect("a log");
            assert!(left.starts_with(image.bytes(name)) && left.len() > 4_096, "{name}");
        }
        assert_eq!(fs::read(crashed.path().join("dao.db")).expect("a file"), image.bytes("dao.db"));
    }
    let_go(crashed.path());
    assert_eq!(open(crashed.path()).head(&graph("g")).await.expect("a head"), head);
}

/// Rows are deleted when the tables have them for sure; so the tables' log is not cut before that.
#[tokio::test]
async fn v6_a_power_cut_after_rows_were_deleted_loses_nothing() {
    let (acknowledged, synced, images) = loop {
        let dir = temporary();
        let mut acknowledged = Acknowledged::default();
        let store = open(dir.path());
        for n in 0..6 {
            acknowledged.append(dir.path(), &store, n).await;
        }
        all_moved(&store).await;
        while rows_left(dir.path()) > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let synced = Image::of(dir.path()).bytes("dao.db-wal").len();
        let mut images = Vec::new();
        for n in 6..14 {
            acknowledged.append(dir.path(), &store, n).await;
            images.push((n + 1, Image::of(dir.path())));
            if n % 3 == 0 {
                all_moved(&store).await;
            }
        }
        if rows_left(dir.path()) == 8 {
            break (acknowledged, synced, images); // no other was deleted meanwhile
        }
    };
    for (count, image) in images {
        let ends = ends_of(image.bytes("dao.db-wal")).filter(|end| *end > synced);
        for end in [synced].into_iter().chain(ends) {
            let crashed = image.cut(usize::MAX, end);
            acknowledged.are_there(&open(crashed.path()), count).await;
        }
    }
}

#[tokio::test]
async fn v6_a_journal_that_does_not_fit_is_refused_and_kept() {
    let (one, other) = (temporary(), temporary());
    for dir in [&one, &other] {
        let store = open(dir.path());
        let mut head = Head::EMPTY;
        append(&store, "g", &mut head, "moved").await;
        all_moved(&store).await;
        hold_up(dir.path());
        append(&store, "g", &mut head, "one").await;
        append(&store, "g", &mut head, "two").await;
        store.close().await;
        drop(store);
        let_go(dir.path());
    }
    let refused = |dir: &Path| {
        let before = unmoved(dir);
        let refused = EmbeddedStore::open(config(dir)).expect_err("it does not fit");
        assert_eq!(unmoved(dir), before);
        let line = refused.to_string();
        assert!(line.contains("journal.db") && line.contains("dao.db") && !line.contains('\n'), "{line}");
        refused
    };
    let (own, journal) = (one.path().join("own.db"), one.path().join("journal.db"));
    fs::rename(&journal, &own).expect("moved away");
    fs::copy(other.path().join("journal.db"), &journal).expect("copied");
    assert!(matches!(refused(one.path()), OpenError::JournalOfAnother { .. }));
    fs::rename(&own, &journal).expect("put back");

    // A round is missing, a round can't be read, a commit does not follow.
    let sql = |name: &str, sql: &str| {
        rusqlite::Connection::open(one.path().join(name)).expect("opens").execute_batch(sql).expect("runs");
    };
    sql("journal.db", "UPDATE round SET seq = seq + 10");
    assert!(refused(one.path()).to_string().contains("is missing"));
    sql(
        "journal.db",
        "UPDATE round SET seq = seq - 10; CREATE TABLE kept AS SELECT * FROM round; UPDATE round SET body = x'0102'",
    );
    assert!(refused(one.path()).to_string().contains("can't be read"));
    sql("journal.db", "DELETE FROM round; INSERT INTO round SELECT * FROM kept; DROP TABLE kept");
    sql("dao.db", "DELETE FROM event");
    assert!(refused(one.path()).to_string().contains("commits of g"));
}

/// It is missing, or another store's empty one stands in its place: with what was acknowledged and not moved.
#[tokio::test]
async fn v6_a_missing_journal_is_refused_where_something_of_it_is_needed() {
    let dir = temporary();
    let store = open(dir.path());
    append(&store, "g", &mut { Head::EMPTY }, "one").await;
    let crashed = Image::of(dir.path()).write();
    for name in ["journal.db", "journal.db-wal"] {
        fs::remove_file(crashed.path().join(name)).expect("removed");
    }
    for _ in 0..2 {
        let refused = EmbeddedStore::open(config(crashed.path())).expect_err("it is missing");
        let line = refused.to_string();
        assert!(matches!(refused, OpenError::JournalMissing { .. }), "{refused:?}");
        // The first of these starts has made an empty one.
        assert!(line.contains("is missing or empty") && line.contains("restore --without-journal"), "{line}");
    }
    store.close().await;
    drop(store);
    fs::remove_file(dir.path().join("journal.db")).expect("removed");
    open(dir.path()).head(&graph("g")).await.expect("after a clean end nothing of it is needed");
}

/// One with nothing in it is made anew.
#[tokio::test]
async fn v6_another_stores_empty_journal_is_replaced() {
    let (other, dir) = (temporary(), temporary());
    let store = open(other.path());
    append(&store, "g", &mut { Head::EMPTY }, "moved").await;
    store.close().await;
    drop(store);
    fs::copy(other.path().join("journal.db"), dir.path().join("journal.db")).expect("copied");
    append(&open(dir.path()), "g", &mut { Head::EMPTY }, "first").await;
}
