//! Made-up histories: entries with a true chain of hashes, whose bodies mean nothing.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use dao_api::store::{Append, Entry, EventStore, StoreError, StoredCommit};
use dao_projections::{GraphId, Hash, Head, OperationId, Version};
use uuid::Uuid;

pub(crate) fn graph(id: &str) -> GraphId {
    GraphId::parse(id).expect("a graph id")
}

pub(crate) fn operation(n: u128) -> OperationId {
    OperationId::from(Uuid::from_u128(n))
}

pub(crate) fn version(n: u64) -> Version {
    Version::new(n).expect("a version")
}

pub(crate) fn commit(on: Head, body: impl Into<Bytes>) -> StoredCommit {
    let body = body.into();
    let Head { version, hash } = on.after(&body);
    StoredCommit { version, hash, body }
}

/// An operation that is commit `on` + 1; its body names it.
pub(crate) fn accepted(n: u128, on: Head) -> Entry {
    Entry { commit: Some(commit(on, format!("body of {n}"))), ..refused(n) }
}

/// An operation that left no commit.
pub(crate) fn refused(n: u128) -> Entry {
    Entry { operation: operation(n), record: record(n), commit: None, refused_at: None }
}

/// An operation that was refused at this version.
pub(crate) fn refused_at(n: u128, at: Version) -> Entry {
    Entry { refused_at: Some(at), ..refused(n) }
}

/// With a zero byte, and not UTF-8: records are any bytes.
pub(crate) fn record(n: u128) -> Bytes {
    [b"record\0\xff".as_slice(), n.to_string().as_bytes()].concat().into()
}

/// Accepted operations `numbers` on `on`, and the head after them.
pub(crate) fn accepted_all(numbers: impl IntoIterator<Item = u128>, on: Head) -> (Vec<Entry>, Head) {
    let mut head = on;
    let entries = (numbers.into_iter())
        .map(|n| {
            let entry = accepted(n, head);
            head = entry.commit.as_ref().expect("accepted").head();
            entry
        })
        .collect();
    (entries, head)
}

/// Appends operations `numbers` and returns the head after them.
pub(crate) async fn grow(
    store: &dyn EventStore,
    graph: &GraphId,
    on: Head,
    numbers: impl IntoIterator<Item = u128>,
) -> Head {
    let (entries, head) = accepted_all(numbers, on);
    assert_eq!(store.append(graph, on, &entries).await.expect("append"), Append::Appended);
    head
}

/// The whole history, in as many reads as it takes.
pub(crate) async fn read_all(store: &dyn EventStore, graph: &GraphId) -> Vec<StoredCommit> {
    let mut commits: Vec<StoredCommit> = Vec::new();
    loop {
        let after = commits.last().map_or(Version::EMPTY, |commit| commit.version);
        let page = store.read(graph, after, version(i64::MAX as u64), usize::MAX).await.expect("read");
        if page.is_empty() {
            return commits;
        }
        commits.extend(page);
    }
}

/// Rules V1 and V3, checked without the store's help; no body twice.
pub(crate) fn assert_is_a_history(commits: &[StoredCommit]) {
    let mut hash = Hash::EMPTY;
    let mut bodies = HashSet::new();
    for (i, commit) in commits.iter().enumerate() {
        assert_eq!(commit.version.get(), i as u64 + 1, "gapless");
        hash = hash.chain(&commit.body);
        assert_eq!(commit.hash, hash, "the chain at {}", commit.version);
        assert!(bodies.insert(commit.body.clone()), "commit {} is there twice", commit.version);
    }
}

/// The records of this operation, in all graphs where it is found.
pub(crate) async fn found(
    store: &dyn EventStore,
    id: OperationId,
) -> Result<Vec<(GraphId, Bytes)>, StoreError> {
    let mut records = Vec::new();
    for graph in store.find_operation(id, Arc::new(|_: &GraphId| true), 1_000).await?.graphs {
        let record = store.operations(&graph, &[id]).await?.pop().flatten();
        records.extend(record.map(|record| (graph, record)));
    }
    Ok(records)
}
