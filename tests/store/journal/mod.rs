//! The embedded store's journal: what is acknowledged and not in the tables yet is read, found again and backed up like
//! the rest, and is there after every crash.

mod backups;
mod moving;
mod power_cuts;

use std::{fs, path::Path};

use bytes::Bytes;
use dao_api::store::{
    Append, Entry, EventStore, FeedPlace, ProjectionStore, Purge, PurgeRequest, StoreError,
    embedded::{self, EmbeddedStore, OpenError},
};
use dao_projections::Head;

use crate::{
    embedded::{
        assert_chain, commit, commit_as, config, graph, history, open, operation, temporary, unchanged,
    },
    support::journal::Image,
};

fn tables(dir: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(dir.join("dao.db")).expect("the file opens");
    connection.busy_timeout(std::time::Duration::from_secs(10)).expect("a timeout");
    connection
}

/// Lets no commit into the tables any more, though the journal takes them.
fn hold_up(dir: &Path) {
    let trigger = "CREATE TRIGGER hold BEFORE INSERT ON operation BEGIN SELECT RAISE(ABORT, 'held up'); END";
    tables(dir).execute_batch(trigger).expect("a trigger");
}

fn let_go(dir: &Path) {
    tables(dir).execute_batch("DROP TRIGGER hold").expect("dropped");
}

fn rows_left(dir: &Path) -> i64 {
    let journal = rusqlite::Connection::open(dir.join("journal.db")).expect("the file opens");
    journal.query_row("SELECT count(*) FROM round", [], |row| row.get(0)).expect("a count")
}

async fn append(store: &EmbeddedStore, name: &str, head: &mut Head, body: &str) -> Entry {
    let expected = *head;
    let entry = commit(head, body);
    let outcome = store.append(&graph(name), expected, std::slice::from_ref(&entry)).await;
    assert_eq!(outcome.expect("an outcome"), Append::Appended);
    entry
}

/// Everything is in the tables.
async fn all_moved(store: &EmbeddedStore) {
    store.graphs(None, 1).await.expect("moved");
}

fn is_unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>, why: &str) {
    match answer {
        Err(StoreError::Unavailable(said)) => assert!(said.contains(why), "{said}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn v1_what_was_acknowledged_is_read_at_once_everywhere() {
    let dir = temporary();
    let store = open(dir.path());
    let (g, mut head) = (graph("g"), Head::EMPTY);
    for n in 1..50 {
        let entry = append(&store, "g", &mut head, &format!("{n}")).await;
        match n % 6 {
            0 => assert_eq!(store.head(&g).await.expect("a head"), head),
            1 => assert_eq!(history(&store, &g).await.len() as u64, n),
            2 => {
                let known = store.operations(&g, &[entry.operation]).await.expect("an answer");
                assert_eq!(known, [Some(entry.record)]);
            }
            3 => {
                let entries = store.feed(0, FeedPlace::START, 1_000).await.expect("a feed");
                assert_eq!(entries.len() as u64, n);
                let end = store.feed_bounds(0).await.expect("bounds").end;
                assert_eq!(entries.last().map(|last| last.place), Some(end));
            }
            4 => assert_eq!(store.graphs(None, 10).await.expect("graphs"), std::slice::from_ref(&g)),
            _ => {
                let found = crate::support::history::found(&store, entry.operation).await.expect("an answer");
                assert_eq!(found.len(), 1);
            }
        }
    }
}

#[tokio::test]
async fn c3_a_repeat_is_found_in_the_round_the_tail_the_tables_and_after_a_restart() {
    let dir = temporary();
    let store = open(dir.path());
    let (g, id) = (graph("g"), operation());
    let record = Append::Duplicate(vec![(id, Bytes::from_static(b"record"))]);
    let mut head = Head::EMPTY;
    append(&store, "g", &mut head, "first").await;
    all_moved(&store).await;
    hold_up(dir.path());

    // Both wait together, and are one round or two.
    let (mut one, mut other) = (head, head);
    let first = [commit_as(id, &mut one, "one")];
    let second = [commit_as(id, &mut other, "other")];
    let (first, second) = tokio::join!(store.append(&g, head, &first), store.append(&g, head, &second));
    assert_eq!((first.expect("an outcome"), second.expect("an outcome")), (Append::Appended, record.clone()));
    let again = |head: Head| [commit_as(id, &mut { head }, "again")];
    // In the tail, on the head and beside it.
    for head in [one, head] {
        assert_eq!(store.append(&g, head, &again(head)).await.expect("an outcome"), record);
    }
    is_unavailable(store.graphs(None, 1).await, "held up");
    let_go(dir.path());
    all_moved(&store).await;
    assert_eq!(store.head(&g).await.expect("a head"), one);
    assert_eq!(store.append(&g, one, &again(one)).await.expect("an outcome"), record);
    store.close().await;
    drop(store);
    assert_eq!(rows_left(dir.path()), 0, "a clean end leaves an empty journal");

    let store = open(dir.path());
    assert_eq!(store.append(&g, one, &again(one)).await.expect("an outcome"), record);
    // In another graph it is another one.
    let elsewhere = [commit_as(id, &mut { Head::EMPTY }, "again")];
    assert_eq!(
        store.append(&graph("h"), Head::EMPTY, &elsewhere).await.expect("an outcome"),
        Append::Appended
    );
    let twice =
        [unchanged(operation(), "r"), unchanged(operation(), "r"), unchanged(id, "r"), unchanged(id, "r")];
    let fresh = [twice[0].clone(), twice[0].clone()];
    is_unavailable(store.append(&g, one, &fresh).await, "twice");
    assert_eq!(store.append(&g, one, &fresh[..1]).await.expect("an outcome"), Append::Appended);
    let both = store.append(&g, one, &twice).await.expect("an outcome");
    assert!(matches!(both, Append::Duplicate(known) if known.iter().any(|(known, _)| *known == id)));
}

/// Many, so that the filter is filled from the tables, in several steps.
#[tokio::test]
async fn c3_every_repeat_is_found_when_a_start_has_listed_the_operations() {
    let dir = temporary();
    let (g, mut head, mut ids) = (graph("g"), Head::EMPTY, Vec::new());
    let store = open(dir.path());
    for _ in 0..20 {
        let entries: Vec<_> = (0..1_000).map(|_| unchanged(operation(), "r")).collect();
        ids.extend(entries.iter().map(|entry| entry.operation));
        store.append(&g, head, &entries).await.expect("appended");
    }
    append(&store, "g", &mut head, "one").await;
    store.close().await;
    drop(store);
    let store = open(dir.path());
    for _ in 0..2 {
        for ids in ids.chunks(500) {
            let again: Vec<_> = ids.iter().map(|id| unchanged(*id, "again")).collect();
            let found = store.append(&g, head, &again).await.expect("an outcome");
            assert!(matches!(found, Append::Duplicate(known) if known.len() == ids.len()));
        }
    }
    let fresh: Vec<_> = (0..5_000).map(|_| unchanged(operation(), "r")).collect();
    assert_eq!(store.append(&g, head, &fresh).await.expect("an outcome"), Append::Appended);
}

/// Windows of records die by the clock, and what waits to be moved is in none of them.
#[tokio::test]
async fn c3_what_waits_to_be_moved_longer_than_its_record_would_be_kept_is_still_a_duplicate() {
    let dir = temporary();
    let ttl = std::time::Duration::from_millis(100);
    let store = EmbeddedStore::open(embedded::EmbeddedConfig { operation_ttl: ttl, ..config(dir.path()) })
        .expect("a store");
    let mut head = Head::EMPTY;
    for n in 0..3 {
        append(&store, "g", &mut head, &format!("{n}")).await;
    }
    all_moved(&store).await;
    hold_up(dir.path());
    let held = append(&store, "g", &mut head, "held").await;
    let began = std::time::Instant::now();
    while began.elapsed() < 12 * ttl {
        tokio::time::sleep(ttl / 2).await;
        append(&store, "g", &mut head, "more").await;
        let again = [commit_as(held.operation, &mut { head }, "again")];
        let outcome = store.append(&graph("g"), head, &again).await.expect("an outcome");
        assert_eq!(outcome, Append::Duplicate(vec![(held.operation, held.record.clone())]));
    }
    let_go(dir.path());
    all_moved(&store).await;
    assert_chain(&history(&store, &graph("g")).await);
}

#[tokio::test]
async fn l10_a_purge_takes_what_was_just_acknowledged_and_nothing_that_follows() {
    let dir = temporary();
    let store = open(dir.path());
    let g = graph("g");
    for round in 0..10 {
        let mut head = Head::EMPTY;
        let entry = append(&store, "g", &mut head, "secret").await;
        let request = PurgeRequest { expected: head, operation: operation(), fingerprint: [7; 8] };
        assert_eq!(store.purge(&g, &request).await.expect("an answer"), Purge::Purged);
        let (mut new, expected) = (Head::EMPTY, Head::EMPTY);
        let first = [commit_as(entry.operation, &mut new, &format!("new {round}"))];
        is_unavailable(store.append(&g, expected, &first).await, "being purged");
        for purging in store.purging().await.expect("an answer") {
            while store.sweep(&purging).await.expect("swept") {}
        }
        assert_eq!(store.append(&g, expected, &first).await.expect("an outcome"), Append::Appended);
        assert_eq!(store.head(&g).await.expect("a head"), new);
        let request = PurgeRequest { expected: head, ..request };
        assert_eq!(store.purge(&g, &request).await.expect("an answer"), Purge::HeadMoved);
        // As it is after a kill at this moment.
        let crashed = Image::of(dir.path()).write();
        let after = open(crashed.path());
        assert_eq!(after.head(&g).await.expect("a head"), new);
        assert_eq!(after.gone(&g).await.expect("an answer").map(|gone| gone.head), Some(head));
        let request = PurgeRequest { expected: new, ..request };
        assert_eq!(store.purge(&g, &request).await.expect("an answer"), Purge::Purged);
        for purging in store.purging().await.expect("an answer") {
            while store.sweep(&purging).await.expect("swept") {}
        }
    }
}

#[tokio::test]
async fn a_file_of_format_3_is_migrated_and_has_a_journal_then() {
    let dir = temporary();
    let mut head = Head::EMPTY;
    let store = open(dir.path());
    append(&store, "g", &mut head, "one").await;
    store.close().await;
    drop(store);
    fs::remove_file(dir.path().join("journal.db")).expect("removed");
    tables(dir.path())
        .execute_batch("DELETE FROM meta WHERE key IN ('moved', 'store', 'journal'); UPDATE meta SET value = 3 WHERE key = 'format'")
        .expect("as it was");
    assert!(matches!(EmbeddedStore::open(config(dir.path())), Err(OpenError::Older { found: 3, .. })));
    let done = embedded::migrate(dir.path(), dao_api::store::Migrate::Make).expect("migrated");
    assert!(done.len() == 1 && done[0].contains("format 3 to 4"), "{done:?}");
    let store = open(dir.path());
    assert_eq!(store.head(&graph("g")).await.expect("a head"), head);
    append(&store, "g", &mut head, "two").await;
}
