//! How commits move from the journal to the tables: what is read meanwhile, what fails, what is bounded.

use std::{fs, sync::Arc};

use dao_api::store::{
    Append, Entry, EventStore, FeedPlace, ProjectionStore,
    embedded::{EmbeddedStore, OpenError, backup},
};
use dao_projections::{Head, Version};
use tempfile::TempDir;

use super::{all_moved, append, hold_up, is_unavailable, let_go, tables};
use crate::{
    embedded::{
        assert_chain, commit, config, graph, history, open, operation, temporary, unchanged, version,
    },
    support::journal::unmoved,
};

#[tokio::test]
async fn o5_where_moving_fails_reads_and_readiness_say_why_and_nothing_is_lost() {
    let dir = temporary();
    let store = open(dir.path());
    let mut head = Head::EMPTY;
    append(&store, "g", &mut head, "before").await;
    all_moved(&store).await;
    hold_up(dir.path());
    append(&store, "g", &mut head, "held").await;
    is_unavailable(store.read(&graph("g"), Version::EMPTY, Version::MAX, 10).await, "held up");
    is_unavailable(store.feed(0, FeedPlace::START, 10).await, "held up");
    is_unavailable(store.check().await, "held up");
    // What the tail has nothing of is read, and appends go on.
    assert_eq!(store.head(&graph("other")).await.expect("a head"), Head::EMPTY);
    append(&store, "g", &mut head, "held too").await;
    is_unavailable(store.check().await, "held up");
    let_go(dir.path());
    store.check().await.expect("it is ready again");
    assert_eq!(store.head(&graph("g")).await.expect("a head"), head);
    all_moved(&store).await;

    hold_up(dir.path());
    append(&store, "g", &mut head, "the last").await;
    store.close().await;
    drop(store);
    assert_eq!(unmoved(dir.path()), 1);
    let refused = EmbeddedStore::open(config(dir.path())).expect_err("held up");
    let line = refused.to_string();
    assert!(matches!(refused, OpenError::JournalUnfit { .. }) && line.contains("held up"), "{line}");
    let_go(dir.path());
    let store = open(dir.path());
    assert_eq!(store.head(&graph("g")).await.expect("a head"), head);
    assert_chain(&history(&store, &graph("g")).await);
}

#[tokio::test]
async fn v1_what_the_tail_knows_and_old_parts_of_a_history_wait_for_no_move() {
    let dir = temporary();
    let store = open(dir.path());
    let (g, mut head, mut old) = (graph("g"), Head::EMPTY, Vec::new());
    for n in 0..20 {
        old.push(append(&store, "g", &mut head, &format!("{n}")).await);
    }
    for _ in 0..2 {
        let refused = Entry { refused_at: Some(head.version), ..unchanged(operation(), "refused") };
        assert_eq!(store.append(&g, head, &[refused]).await.expect("an outcome"), Append::Appended);
    }
    all_moved(&store).await;
    hold_up(dir.path());
    let new = append(&store, "g", &mut head, "new").await;
    assert_eq!(store.head(&g).await.expect("a head"), head);
    let ids = [new.operation, old[3].operation, operation()];
    let expected = [Some(new.record), Some(old[3].record.clone()), None];
    assert_eq!(store.operations(&g, &ids).await.expect("records"), expected);
    assert_eq!(store.operations(&g, &ids[..1]).await.expect("records"), expected[..1]);
    // Page by page up to where the tables end, whatever the reader would like to have then.
    for after in [0, 5, 10] {
        let page = store.read(&g, version(after), head.version, 10).await.expect("a page");
        assert_eq!((page.len(), page[0].version), (10, version(after + 1)));
    }
    let all = store.read(&g, Version::EMPTY, version(20), 1_000).await.expect("what is moved");
    assert_eq!(all.len(), 20);
    is_unavailable(store.read(&g, version(11), head.version, 10).await, "held up");
    // So for the feed: a full page, and what comes before something that is moved.
    let place = |major| FeedPlace { major, minor: 0 };
    for (after, limit) in [(0, 20), (5, 15), (5, 3)] {
        let page = store.feed(0, place(after), limit).await.expect("a page");
        assert_eq!((page.len(), page[0].place), (limit, place(after + 1)));
    }
    is_unavailable(store.feed(0, place(5), 16).await, "held up");
    is_unavailable(store.feed(0, place(20), 1).await, "held up");
    assert_eq!(store.feed_before(0, place(20), 100).await.expect("a page").len(), 19);
    is_unavailable(store.feed_before(0, place(21), 1).await, "held up");
    assert_eq!(store.refused_before(0, place(2), 100).await.expect("a page").len(), 1);
    is_unavailable(store.refused_before(0, place(3), 1).await, "held up");
    assert_eq!(store.feed_place_at(0, 0).await.expect("a place"), FeedPlace::START);
    assert_eq!(store.refused_place_at(0, 0).await.expect("a place"), FeedPlace::START);
    is_unavailable(store.feed_place_at(0, u64::MAX / 2).await, "held up");
    is_unavailable(store.refused_place_at(0, u64::MAX / 2).await, "held up");
    // Who polls sees what is moved, and asks for nothing.
    assert_eq!(store.feed_for_poll(0, place(5), 100).await.expect("a page").len(), 15);
    // Bounds after a read are those of what it has seen.
    is_unavailable(store.feed_bounds(0).await, "held up");
    assert_eq!(store.feed_bounds_after_read(0).await.expect("bounds").end.major, 20);
    let_go(dir.path());
    assert_eq!(store.read(&g, version(11), head.version, 10).await.expect("a page").len(), 10);
    assert_eq!(store.feed_bounds(0).await.expect("bounds").end.major, 21);
}

/// A reader that is at the end asks for what comes next, while commits are moved there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v1_who_reads_at_the_end_while_commits_are_moved_there_finds_no_hole() {
    let dir = temporary();
    let store = Arc::new(open(dir.path()));
    let reading = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut at = 0;
            while at < 300 {
                let next = store.read(&graph("g"), version(at), version(at + 50), 10).await;
                at += next.expect("no hole").len() as u64;
            }
        })
    };
    let mut head = Head::EMPTY;
    for n in 0..300 {
        append(&store, "g", &mut head, &format!("{n}")).await;
        if n % 10 == 0 {
            all_moved(&store).await;
        }
    }
    reading.await.expect("it ends");
}

#[tokio::test]
async fn a_record_that_stands_there_already_keeps_nothing_from_being_moved() {
    let dir = temporary();
    let store = open(dir.path());
    let (g, mut head) = (graph("g"), Head::EMPTY);
    append(&store, "g", &mut head, "first").await;
    all_moved(&store).await;
    // It can't be moved before the same record was put there by somebody else.
    let other = tables(dir.path());
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let entry = append(&store, "g", &mut head, "second").await;
    let sql = "INSERT INTO operation SELECT max(window), ?1, max(graph), x'00' FROM operation";
    other.execute(sql, [entry.operation.as_bytes().as_slice()]).expect("added");
    other.execute_batch("COMMIT").expect("committed");
    all_moved(&store).await;
    assert_eq!(store.operations(&g, &[entry.operation]).await.expect("records"), [Some(entry.record)]);
    assert_eq!(store.head(&g).await.expect("a head"), head);
}

#[tokio::test]
async fn v6_where_the_tables_take_no_write_at_a_start_nothing_is_called_damaged() {
    let (dir, head) = with_an_unmoved_round().await;
    // Another program holds the file: as on a full disk, an error of this moment.
    let other = tables(dir.path());
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let refused = EmbeddedStore::open(config(dir.path())).expect_err("it is locked");
    let line = refused.to_string();
    assert!(matches!(refused, OpenError::NotMoved { .. }) && line.contains("nothing is lost"), "{line}");
    drop(other);
    assert_eq!(open(dir.path()).head(&graph("g")).await.expect("a head"), head);
}

/// The journal has a round that is not in the tables, which have one commit of `g`; nobody has them open. And the head of `g`.
async fn with_an_unmoved_round() -> (TempDir, Head) {
    let dir = temporary();
    let store = open(dir.path());
    let mut head = Head::EMPTY;
    append(&store, "g", &mut head, "before").await;
    all_moved(&store).await;
    hold_up(dir.path());
    append(&store, "g", &mut head, "held").await;
    store.close().await;
    drop(store);
    let_go(dir.path());
    (dir, head)
}

#[tokio::test]
async fn v6_where_the_tables_are_damaged_it_is_said_which_file_or_which_graph() {
    let (dir, _) = with_an_unmoved_round().await;
    let sql = "UPDATE event SET hash = x'00'";
    tables(dir.path()).execute_batch(sql).expect("damaged");
    let refused = EmbeddedStore::open(config(dir.path())).expect_err("a graph is damaged");
    let copy = dir.path().join("copy.db");
    let not_copied = backup::backup(dir.path(), &copy, &mut |_| {}).expect_err("a graph is damaged");
    for line in [refused.to_string(), not_copied.to_string()] {
        for part in ["history of g is damaged at version 1", "dao.db", "journal.db", "restore a backup"] {
            assert!(line.contains(part), "{line}");
        }
        assert!(!line.contains("one moment") && !line.contains("nothing is lost"), "{line}");
    }
    assert!(matches!(refused, OpenError::GraphDamaged { .. }), "{refused:?}");
    assert_eq!((unmoved(dir.path()), copy.exists()), (1, false));

    let (dir, _) = with_an_unmoved_round().await;
    let page: i64 = tables(dir.path())
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'feed'", [], |row| row.get(0))
        .expect("a page");
    let file = dir.path().join("dao.db");
    let mut bytes = fs::read(&file).expect("the file");
    let at = 4_096 * (page as usize - 1);
    bytes[at..at + 4_096].fill(0xff);
    fs::write(&file, bytes).expect("damaged");
    let refused = EmbeddedStore::open(config(dir.path())).expect_err("a page is damaged");
    assert!(matches!(refused, OpenError::Database { .. }), "{refused:?}");
    assert!(refused.to_string().contains("restore a backup if the file is damaged"), "{refused}");
    let copy = dir.path().join("copy.db");
    let not_copied = backup::backup(dir.path(), &copy, &mut |_| {}).expect_err("a page is damaged");
    assert!(matches!(not_copied, backup::BackupError::Database { .. }), "{not_copied:?}");
}

/// The bound of what waits is 64 MiB.
#[tokio::test]
async fn o3_what_waits_to_be_moved_is_bounded() {
    let dir = temporary();
    let store = open(dir.path());
    hold_up(dir.path());
    let (mut head, body) = (Head::EMPTY, "x".repeat(1 << 20));
    let refused = loop {
        let mut next = head;
        let entry = commit(&mut next, &body);
        match store.append(&graph("g"), head, &[entry]).await {
            Ok(outcome) => assert_eq!(outcome, Append::Appended),
            Err(refused) => break refused,
        }
        head = next;
        assert!(head.version < version(80));
    };
    assert!(head.version > version(60), "{}", head.version);
    is_unavailable::<()>(Err(refused), "held up");
    is_unavailable(store.check().await, "held up");
    let_go(dir.path());
    store.check().await.expect("it is ready again");
    assert_eq!(store.head(&graph("g")).await.expect("a head"), head);
    append(&store, "g", &mut head, "more").await;
    assert_eq!(history(&store, &graph("g")).await.len() as u64, head.version.get());
}
