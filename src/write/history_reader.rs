//! Reading histories back: from stored bytes to commits, with the chain checked on the way.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use dao_projections::{Commit, CommitBody, Graph, GraphId, Hash, Head, OperationId, Version};
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    published::PublishedGraph,
    registry::Registry,
    ring::{Recorded, Ring},
    snapshot,
};
use crate::{
    domain::{OperationRecord, RecordedOutcome},
    store::{EventStore, ProjectionStore, StoreError, StoredCommit},
};

/// Commits read at once when a history is folded; between two reads other tasks get their turn.
const CHUNK: usize = 512;
/// Versions whose hashes are wanted and that are no further apart than this are read together.
const HASH_GAP_MAX: u64 = 4;
/// Reads for hashes that are under way at once.
const HASH_READS_AT_ONCE: usize = 16;

/// Decodes a stored commit.
pub fn decode(graph: &GraphId, stored: &StoredCommit) -> Result<Commit, StoreError> {
    match CommitBody::decode(&stored.body) {
        Ok(body) => Ok(Commit { version: stored.version, hash: stored.hash, body }),
        Err(problem) => Err(corrupt(graph, stored.version, problem.to_string())),
    }
}

fn corrupt(graph: &GraphId, version: Version, problem: impl Into<String>) -> StoreError {
    StoreError::Corrupt { graph: graph.clone(), version, problem: problem.into() }
}

/// How following a history ended.
#[derive(Debug, PartialEq, Eq)]
pub enum CatchUp {
    /// The graph has all that the log held.
    Complete,
    /// The log does not continue this graph: its history is another one (rule V4).
    OtherHistory,
    /// There is no room in memory for what it comes to. Only where that is asked for (`load`).
    NoRoom,
}

/// A graph on its way into memory: what there is of it counts as held.
pub(super) struct LoadReservation<'a> {
    pub(super) registry: &'a Registry,
    pub(super) published: &'a PublishedGraph,
}

impl LoadReservation<'_> {
    /// Whether this may be in memory: if there is no room for its latest commits, without most of them.
    async fn may_hold(&self, graph: &Graph, ring: Option<&mut Ring>) -> bool {
        let (graph, beside) = (graph.held_bytes(), ring.as_ref().map_or(0, |ring| ring.held_bytes()));
        if !self.published.hold(graph + beside, 0) || self.registry.find_room().await {
            return true;
        }
        let Some(ring) = ring.filter(|ring| ring.held_bytes() > 0) else { return false };
        ring.shorten();
        !self.published.hold(graph + ring.held_bytes(), 0) || self.registry.find_room().await
    }
}

/// Folds into `graph` all that the log holds after it, up to `to`, and into `ring` the latest of it.
/// The chain is checked link by link.
pub async fn follow(
    store: &dyn EventStore,
    id: &GraphId,
    graph: &mut Graph,
    ring: Option<&mut Ring>,
    to: Version,
) -> Result<CatchUp, StoreError> {
    follow_within(store, id, graph, ring, to, None).await
}

async fn follow_within(
    store: &dyn EventStore,
    id: &GraphId,
    graph: &mut Graph,
    mut ring: Option<&mut Ring>,
    to: Version,
    loading: Option<&LoadReservation<'_>>,
) -> Result<CatchUp, StoreError> {
    while graph.head().version < to {
        let chunk = store.read(id, graph.head().version, to, CHUNK).await?;
        let Some(first) = chunk.first() else { return Ok(CatchUp::OtherHistory) };
        if first.version != graph.head().version.next() {
            return Err(corrupt(id, graph.head().version.next(), "this commit is missing"));
        }
        if first.hash != graph.head().hash.chain(&first.body) {
            return other_or_broken(id, graph.head(), first);
        }
        for stored in chunk {
            if stored.head() != graph.head().after(&stored.body) {
                return Err(corrupt(id, stored.version, "its hash does not follow from its content"));
            }
            let commit = decode(id, &stored)?;
            graph.apply(&commit);
            if let Some(ring) = ring.as_deref_mut() {
                ring.push(Recorded::new(commit, stored.body));
            }
        }
        if let Some(loading) = loading
            && !loading.may_hold(graph, ring.as_deref_mut()).await
        {
            return Ok(CatchUp::NoRoom);
        }
        tokio::task::yield_now().await;
    }
    Ok(CatchUp::Complete)
}

/// The first commit after what is in memory does not follow from it. Where nothing is in memory
/// there is no other history to belong to: the log itself is broken.
fn other_or_broken(id: &GraphId, from: Head, first: &StoredCommit) -> Result<CatchUp, StoreError> {
    if from == Head::EMPTY {
        return Err(corrupt(id, first.version, "its hash does not follow from its content"));
    }
    Ok(CatchUp::OtherHistory)
}

/// A graph with its latest commits up to `head`, which the store has named: its snapshot, if there is one, and what the
/// log has after it. `None` if there is no room for it.
pub(super) async fn load(
    store: &dyn EventStore,
    rows: Option<&dyn ProjectionStore>,
    id: &GraphId,
    head: Head,
    loading: &LoadReservation<'_>,
) -> Result<Option<(Graph, Ring)>, StoreError> {
    let found = match rows {
        Some(rows) => snapshot::load(rows, id).await?,
        None => None,
    };
    let mut graph = found.unwrap_or_default();
    if !loading.may_hold(&graph, None).await {
        return Ok(None);
    }
    let mut ring = Ring::after(graph.head());
    Ok(match catch_up_within((store, id), head, &mut graph, &mut ring, Some(loading)).await? {
        CatchUp::Complete | CatchUp::OtherHistory => Some((graph, ring)),
        CatchUp::NoRoom => None,
    })
}

/// Brings a graph in memory up to the head of the log. One that holds another history starts from scratch, and the
/// answer says so: whatever else is remembered of that history is not true any more.
pub(super) async fn catch_up(
    store: &dyn EventStore,
    id: &GraphId,
    graph: &mut Graph,
    ring: &mut Ring,
) -> Result<CatchUp, StoreError> {
    let head = store.head(id).await?;
    catch_up_within((store, id), head, graph, ring, None).await
}

async fn catch_up_within(
    (store, id): (&dyn EventStore, &GraphId),
    head: Head,
    graph: &mut Graph,
    ring: &mut Ring,
    loading: Option<&LoadReservation<'_>>,
) -> Result<CatchUp, StoreError> {
    let is_behind = graph.head().version < head.version;
    if graph.head() == head {
        return Ok(CatchUp::Complete);
    }
    if is_behind {
        match follow_within(store, id, graph, Some(ring), head.version, loading).await? {
            end @ (CatchUp::Complete | CatchUp::NoRoom) => return Ok(end),
            CatchUp::OtherHistory => {}
        }
    }
    (*graph, *ring) = (Graph::empty(), Ring::default());
    match follow_within(store, id, graph, Some(ring), head.version, loading).await? {
        CatchUp::Complete => Ok(CatchUp::OtherHistory),
        CatchUp::NoRoom => Ok(CatchUp::NoRoom),
        CatchUp::OtherHistory => {
            Err(ends_early(store, id, graph.head().version.next(), |now| now == head).await)
        }
    }
}

/// Why a commit that was read does not follow on `before`, which an earlier read gave. If the log still has that one it is
/// damaged; else it was replaced in between, as by a fail-over.
pub async fn broken_link(store: &dyn EventStore, id: &GraphId, before: Head) -> StoreError {
    let broken = corrupt(id, before.version.next(), "its hash does not follow from its content");
    let Some(from) = before.version.get().checked_sub(1).and_then(Version::new) else { return broken };
    match store.read(id, from, before.version, 1).await {
        Ok(found) if found.first().map(StoredCommit::head) == Some(before) => broken,
        Ok(_) => replaced(),
        Err(error) => error,
    }
}

/// Why the commit is not there that the record of an operation names. If the record still names it, the log is damaged,
/// whether or not it goes further; else its end was lost after the record was read, as by a fail-over.
pub async fn recorded_missing(
    store: &dyn EventStore,
    id: &GraphId,
    operation: OperationId,
    version: Version,
) -> StoreError {
    match names_missing(store, id, operation, version).await {
        Ok(true) => corrupt(id, version, "an operation names this commit, and it is missing"),
        Ok(false) => replaced(),
        Err(error) => error,
    }
}

/// Whether the record of this operation names a commit that is not there. The record is read first: whoever writes the
/// operation once more writes its commit with it.
async fn names_missing(
    store: &dyn EventStore,
    id: &GraphId,
    operation: OperationId,
    version: Version,
) -> Result<bool, StoreError> {
    let record = store.operations(id, &[operation]).await?.pop().flatten();
    let record = record.and_then(|record| OperationRecord::decode(&record));
    let names_it = record.is_some_and(|record| record.outcome == RecordedOutcome::Committed { version });
    // A purge takes the history away first, and the records after it.
    Ok(names_it && one(store, id, version).await?.is_none() && store.head(id).await? != Head::EMPTY)
}

fn replaced() -> StoreError {
    StoreError::Unavailable("the history was replaced while it was read".to_owned())
}

/// Why there is no commit `missing` that follows, below what had been the head. If the log `still` has that head it
/// is damaged; else it was replaced in between by one that lost its end, as by a fail-over, and the next look finds that.
pub async fn ends_early(
    store: &dyn EventStore,
    id: &GraphId,
    missing: Version,
    still: impl FnOnce(Head) -> bool,
) -> StoreError {
    match store.head(id).await {
        Ok(now) if still(now) => corrupt(id, missing, "the history ends before its head"),
        Ok(_) => replaced(),
        Err(error) => error,
    }
}

/// The graph as it was after commit `to`, which exists (rule A2): the checkpoint before it, if there
/// is one, and what the log has after that.
pub async fn at_version(
    store: &dyn EventStore,
    rows: Option<&dyn ProjectionStore>,
    id: &GraphId,
    to: Version,
) -> Result<Graph, StoreError> {
    let found = match rows {
        Some(rows) => snapshot::checkpoint(rows, id, to).await?,
        None => None,
    };
    let begins_within = found.is_some();
    let mut graph = found.unwrap_or_default();
    let mut followed = match is_of_log(store, id, graph.head()).await? {
        true => follow(store, id, &mut graph, None, to).await?,
        false => CatchUp::OtherHistory,
    };
    if followed == CatchUp::OtherHistory && begins_within {
        // The checkpoint is of a history that is not there any more.
        graph = Graph::empty();
        followed = follow(store, id, &mut graph, None, to).await?;
    }
    match followed {
        CatchUp::Complete => Ok(graph),
        CatchUp::OtherHistory | CatchUp::NoRoom => {
            Err(ends_early(store, id, graph.head().version.next(), |now| now.version >= to).await)
        }
    }
}

/// Whether the log has this head.
pub(super) async fn is_of_log(store: &dyn EventStore, id: &GraphId, head: Head) -> Result<bool, StoreError> {
    if head == Head::EMPTY {
        return Ok(true);
    }
    let found = one(store, id, head.version).await?;
    Ok(found.is_some_and(|found| found.commit.hash == head.hash))
}

/// What `sieve` keeps of the commits in `(after, to]`, oldest first.
pub async fn sift(
    store: &dyn EventStore,
    id: &GraphId,
    mut after: Version,
    to: Version,
    sieve: impl Fn(Commit) -> Option<Commit>,
) -> Result<Vec<Commit>, StoreError> {
    let mut kept = Vec::new();
    while after < to {
        let chunk = store.read(id, after, to, CHUNK).await?;
        let Some(last) = chunk.last() else { break };
        after = last.version;
        for stored in &chunk {
            kept.extend(sieve(decode(id, stored)?));
        }
        tokio::task::yield_now().await;
    }
    Ok(kept)
}

/// The hashes of these versions, without those that the history does not reach. Versions that are close together are
/// read together, and several reads are under way at once.
pub async fn hashes_at(
    store: &dyn EventStore,
    id: &GraphId,
    versions: &BTreeSet<Version>,
) -> Result<HashMap<Version, Hash>, StoreError> {
    let mut spans: Vec<(Version, Version)> = Vec::new();
    for version in versions {
        match spans.last_mut() {
            Some((_, last)) if version.since(*last) <= HASH_GAP_MAX => *last = *version,
            _ => spans.push((*version, *version)),
        }
    }
    let mut reads = Vec::with_capacity(spans.len());
    for (first, last) in spans {
        reads.push(hashes_between(store, id, first, last));
    }
    let found: Vec<Vec<(Version, Hash)>> =
        stream::iter(reads).buffer_unordered(HASH_READS_AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// The hashes of `first` to `last`, as far as the history goes.
async fn hashes_between(
    store: &dyn EventStore,
    id: &GraphId,
    first: Version,
    last: Version,
) -> Result<Vec<(Version, Hash)>, StoreError> {
    let mut hashes = Vec::new();
    let mut after = match first.get().checked_sub(1).and_then(Version::new) {
        Some(before) => before,
        None => {
            hashes.push((Version::EMPTY, Hash::EMPTY));
            Version::EMPTY
        }
    };
    while after < last {
        let chunk = store.read(id, after, last, CHUNK).await?;
        let Some(end) = chunk.last() else { break };
        after = end.version;
        hashes.extend(chunk.iter().map(|stored| (stored.version, stored.hash)));
    }
    Ok(hashes)
}

/// One commit as it is stored; `None` if the history does not reach it.
pub async fn one(
    store: &dyn EventStore,
    id: &GraphId,
    version: Version,
) -> Result<Option<Arc<Recorded>>, StoreError> {
    let Some(before) = version.get().checked_sub(1).and_then(Version::new) else { return Ok(None) };
    let found = store.read(id, before, version, 1).await?;
    let Some(stored) = found.into_iter().next() else { return Ok(None) };
    Ok(Some(Recorded::new(decode(id, &stored)?, stored.body)))
}
