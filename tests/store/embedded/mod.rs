//! What the embedded store promises beyond the contract that every store keeps: one process, one
//! durable file, group commit, and nothing lost to kill -9, a full disk or a closed store.

mod files;
mod races;

use std::{path::Path, time::Duration};

use bytes::Bytes;
use dao_api::store::{
    Append, Entry, EventStore, StoreError, StoredCommit,
    embedded::{EmbeddedConfig, EmbeddedStore, SyncMode},
};
use dao_projections::{GraphId, Head, OperationId, Version};
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::history::found;

const DAY: Duration = Duration::from_secs(24 * 3_600);

pub(crate) fn config(dir: &Path) -> EmbeddedConfig {
    EmbeddedConfig { dir: dir.into(), durability: SyncMode::Fsync, operation_ttl: DAY }
}

pub(crate) fn open(dir: &Path) -> EmbeddedStore {
    EmbeddedStore::open(config(dir)).expect("the store opens")
}

pub(crate) fn temporary() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

pub(crate) fn graph(name: &str) -> GraphId {
    GraphId::parse(name).expect("a graph id")
}

pub(crate) fn operation() -> OperationId {
    OperationId::from(Uuid::now_v7())
}

/// An entry with a commit that follows on `head`, which it moves.
pub(crate) fn commit(head: &mut Head, body: &str) -> Entry {
    commit_as(operation(), head, body)
}

pub(crate) fn commit_as(operation: OperationId, head: &mut Head, body: &str) -> Entry {
    let body = Bytes::copy_from_slice(body.as_bytes());
    *head = head.after(&body);
    let commit = StoredCommit { version: head.version, hash: head.hash, body };
    Entry { operation, record: Bytes::from_static(b"record"), commit: Some(commit), refused_at: None }
}

/// An entry of an operation that changed nothing.
pub(crate) fn unchanged(operation: OperationId, record: &'static str) -> Entry {
    Entry { operation, record: Bytes::from_static(record.as_bytes()), commit: None, refused_at: None }
}

pub(crate) fn version(n: u64) -> Version {
    Version::new(n).expect("a version")
}

pub(crate) async fn history(store: &EmbeddedStore, graph: &GraphId) -> Vec<StoredCommit> {
    let mut all: Vec<StoredCommit> = Vec::new();
    loop {
        let after = all.last().map_or(Version::EMPTY, |c| c.version);
        let more = store.read(graph, after, version(1 << 40), 1_000).await.expect("a readable history");
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

/// Checks that the commits are gapless from 1 and each hash follows from the one before.
pub(crate) fn assert_chain(commits: &[StoredCommit]) {
    let mut head = Head::EMPTY;
    for commit in commits {
        head = head.after(&commit.body);
        assert_eq!(commit.head(), head);
    }
}

#[tokio::test]
async fn dropping_the_store_ends_it_and_loses_nothing() {
    let dir = temporary();
    let store = open(dir.path());
    let mut head = Head::EMPTY;
    let entry = commit(&mut head, "one");
    assert_eq!(store.append(&graph("g"), Head::EMPTY, &[entry]).await.expect("appended"), Append::Appended);
    drop(store);
    assert_eq!(open(dir.path()).head(&graph("g")).await.expect("a head"), head);
}

#[tokio::test]
async fn a_closed_store_refuses_and_does_not_hang() {
    let dir = temporary();
    let store = open(dir.path());
    store.close().await;
    let refused = store.append(&graph("g"), Head::EMPTY, &[unchanged(operation(), "r")]).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(matches!(store.head(&graph("g")).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    store.close().await;
}

/// All of these wait together, so that they come to be in one transaction.
#[tokio::test]
async fn c3_outcomes_in_one_transaction_do_not_disturb_each_other() {
    let dir = temporary();
    let store = open(dir.path());
    let (a, b) = (graph("a"), graph("b"));
    let known = operation();
    let mut one = Head::EMPTY;
    let first = [commit_as(known, &mut one, "first")];
    store.append(&a, Head::EMPTY, &first).await.expect("appended");

    let mut two = one;
    let good = [commit(&mut two, "second")];
    let fresh = operation();
    let mut lost = one;
    let repeated = [commit_as(fresh, &mut lost, "x"), commit_as(known, &mut lost, "y")];
    let late = [commit(&mut { one }, "late")];
    let mut three = two;
    let next = [commit_as(fresh, &mut three, "third")];
    let elsewhere = [commit_as(known, &mut { Head::EMPTY }, "another graph, the same id")];

    let (repeated, good, late, next, elsewhere) = tokio::join!(
        store.append(&a, one, &repeated),
        store.append(&a, one, &good),
        store.append(&a, one, &late),
        store.append(&a, two, &next),
        store.append(&b, Head::EMPTY, &elsewhere),
    );
    let record = Bytes::from_static(b"record");
    assert_eq!(repeated.expect("an outcome"), Append::Duplicate(vec![(known, record.clone())]));
    assert_eq!(good.expect("an outcome"), Append::Appended);
    assert_eq!(late.expect("an outcome"), Append::HeadMoved(two));
    assert_eq!(next.expect("an outcome"), Append::Appended);
    assert_eq!(elsewhere.expect("an outcome"), Append::Appended);

    assert_chain(&history(&store, &a).await);
    assert_eq!(store.head(&a).await.expect("a head"), three);
    let mut found = found(&store, known).await.expect("an answer");
    found.sort();
    assert_eq!(found, [(a, record.clone()), (b, record)]);
}

#[tokio::test]
async fn c3_a_repeat_is_told_apart_from_a_lost_race() {
    let dir = temporary();
    let store = open(dir.path());
    let (g, id) = (graph("g"), operation());
    let mut head = Head::EMPTY;
    let entry = commit_as(id, &mut head, "one");
    store.append(&g, Head::EMPTY, std::slice::from_ref(&entry)).await.expect("appended");
    let again = store.append(&g, Head::EMPTY, &[entry]).await.expect("an outcome");
    assert_eq!(again, Append::Duplicate(vec![(id, Bytes::from_static(b"record"))]));
    let known = store.operations(&g, &[operation(), id]).await.expect("an answer");
    assert_eq!(known, [None, Some(Bytes::from_static(b"record"))]);
}

#[tokio::test]
async fn a_gap_in_an_append_is_refused() {
    let dir = temporary();
    let store = open(dir.path());
    let mut head = Head::EMPTY;
    let (_, second) = (commit(&mut head, "one"), commit(&mut head, "two"));
    let refused = store.append(&graph("g"), Head::EMPTY, &[second]).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(store.head(&graph("g")).await.expect("a head"), Head::EMPTY);
}

#[tokio::test]
async fn v7_a_hole_is_never_read_across() {
    let dir = temporary();
    let (g, mut head) = (graph("g"), Head::EMPTY);
    let entries: Vec<_> = (0..10).map(|n| commit(&mut head, &format!("{n}"))).collect();
    let store = open(dir.path());
    store.append(&g, Head::EMPTY, &entries).await.expect("appended");
    store.close().await;
    sql(dir.path(), "DELETE FROM event WHERE key & 15 = 5");

    let store = open(dir.path());
    let hole = |read: Result<Vec<StoredCommit>, StoreError>| match read {
        Err(StoreError::Corrupt { version, .. }) => version.get(),
        other => panic!("read across a hole: {other:?}"),
    };
    assert_eq!(hole(store.read(&g, Version::EMPTY, version(10), 100).await), 5);
    assert_eq!(hole(store.read(&g, version(4), version(5), 100).await), 5);
    assert_eq!(store.read(&g, Version::EMPTY, version(4), 100).await.expect("whole").len(), 4);
    assert_eq!(store.read(&g, version(5), version(99), 100).await.expect("whole").len(), 5);
    assert!(store.read(&g, version(10), version(99), 100).await.expect("the end").is_empty());
}

fn sql(dir: &Path, statements: &str) {
    let connection = rusqlite::Connection::open(dir.join("dao.db")).expect("the file opens");
    connection.execute_batch(statements).expect("the statements run");
}

fn count(dir: &Path, table: &str) -> i64 {
    let connection = rusqlite::Connection::open(dir.join("dao.db")).expect("the file opens");
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0)).expect("a count")
}

#[tokio::test]
async fn c3_records_of_dead_windows_are_deleted() {
    let dir = temporary();
    let ttl = Duration::from_millis(50);
    let store =
        EmbeddedStore::open(EmbeddedConfig { operation_ttl: ttl, ..config(dir.path()) }).expect("opens");
    let g = graph("g");
    let entries: Vec<_> = (0..2_500).map(|_| unchanged(operation(), "r")).collect();
    store.append(&g, Head::EMPTY, &entries).await.expect("appended");
    store.graphs(None, 1).await.expect("graphs"); // what is listed is in the tables
    assert_eq!(count(dir.path(), "operation"), 2_500);
    // The deleting is seen from outside only: ask until it is done.
    while count(dir.path(), "operation") > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let known = store.operations(&g, &[entries[0].operation]).await.expect("an answer");
    assert_eq!(known, [None]);
}

#[tokio::test]
async fn c3_the_window_before_is_looked_into_too() {
    let dir = temporary();
    let ttl = Duration::from_secs(3_600);
    let (g, id) = (graph("g"), operation());
    let store =
        EmbeddedStore::open(EmbeddedConfig { operation_ttl: ttl, ..config(dir.path()) }).expect("opens");
    store.append(&g, Head::EMPTY, &[unchanged(id, "r")]).await.expect("appended");
    store.close().await;
    // As if an hour and a half had gone by.
    sql(dir.path(), "UPDATE operation SET window = window - 5400000");

    let store =
        EmbeddedStore::open(EmbeddedConfig { operation_ttl: ttl, ..config(dir.path()) }).expect("opens");
    store.append(&g, Head::EMPTY, &[unchanged(operation(), "r")]).await.expect("appended");
    let both = [unchanged(operation(), "r"), unchanged(id, "r")];
    let again = store.append(&g, Head::EMPTY, &both).await.expect("an outcome");
    assert_eq!(again, Append::Duplicate(vec![(id, Bytes::from_static(b"r"))]));
    assert_eq!(found(&store, id).await.expect("an answer").len(), 1);
    assert!(found(&store, both[0].operation).await.expect("an answer").is_empty());
}
