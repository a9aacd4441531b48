//! Reading what operations that are to be undone did: from the round, from memory, and from the log where those do
//! not reach.
//!
//! Invariant: what is read lies between the operations, or the values that they overwrote, and the head. Where that is
//! far back a checkpoint ends it. Not here: what is made of the commits (`domain::undo`).

use std::{collections::HashSet, sync::Arc};

use dao_projections::{Graph, GraphId, OperationId, Version};

use super::{
    history_reader,
    ring::{Recorded, Ring},
    snapshot,
};
use crate::{
    domain::{OperationRecord, Past, RESTORED_BYTES_MAX, RecordedOutcome, Tracing, Undone},
    store::{EventStore, ProjectionStore, StoreError},
};

/// Commits of the log that are read at once.
const CHUNK: u64 = 512;
/// Commits of the log that are read before a checkpoint is looked for: to use one costs what the graph costs.
const CHECKPOINT_AFTER: u64 = 8_192;
/// What the commits of several operations may occupy as they are stored: more are to be undone in parts.
const UNDONE_BYTES_MAX: usize = 16 << 20;
/// How far up the parents of deleted nodes are looked for, if they are gone too: each level is a walk.
const LEVELS_MAX: usize = 16;

/// Where commits are found.
pub(super) struct Sources<'a> {
    pub(super) store: &'a dyn EventStore,
    pub(super) rows: Option<&'a dyn ProjectionStore>,
    pub(super) id: &'a GraphId,
    pub(super) ring: &'a Ring,
    /// The commits of this round.
    pub(super) pending: &'a [Arc<Recorded>],
    /// The graph with those.
    pub(super) graph: &'a Graph,
}

/// What these operations did.
pub(super) async fn read(from: &Sources<'_>, operations: &[Undone]) -> Result<Past, StoreError> {
    let mut operations = operations.to_vec();
    operations.sort_unstable_by_key(|undone| (undone.version, undone.operation));
    operations.dedup();
    let (mut commits, mut bytes) = (Vec::new(), 0);
    for undone in operations {
        match from.commit(undone.version).await? {
            Some(found) if found.commit.body.operation_id == undone.operation => {
                bytes += found.body.len();
                if bytes > UNDONE_BYTES_MAX && !commits.is_empty() {
                    return Ok(Past::of_too_much());
                }
                commits.push(found.commit.clone());
            }
            _ if from.changed_nothing(undone.operation).await? => {}
            _ => return Ok(Past::of_unknown(undone)),
        }
    }
    if commits.is_empty() {
        return Ok(Past::default());
    }
    let (mut around, mut levels) = (Vec::new(), 0);
    loop {
        let mut tracing = Tracing::new(&commits, &around, from.graph);
        from.walk(&mut tracing).await?;
        let past = tracing.finish();
        let sought: HashSet<_> = around.iter().cloned().collect();
        let parents = past.parents_to_know(from.graph);
        let more: Vec<_> = parents.into_iter().filter(|id| !sought.contains(id)).collect();
        levels += 1;
        if more.is_empty() || levels > LEVELS_MAX {
            let is_too_much = past.restored_bytes() > RESTORED_BYTES_MAX;
            return Ok(if is_too_much { Past::of_too_much() } else { past });
        }
        around.extend(more);
    }
}

impl Sources<'_> {
    async fn commit(&self, version: Version) -> Result<Option<Arc<Recorded>>, StoreError> {
        if version > self.graph.head().version || version == Version::EMPTY {
            return Ok(None);
        }
        let pending = || self.pending.iter().find(|recorded| recorded.commit.version == version);
        match self.ring.at(version).or_else(pending) {
            Some(found) => Ok(Some(found.clone())),
            None => history_reader::one(self.store, self.id, version).await,
        }
    }

    /// Whether the operation ended without a commit, since all was so already (rule C1).
    async fn changed_nothing(&self, operation: OperationId) -> Result<bool, StoreError> {
        let records = self.store.operations(self.id, &[operation]).await?;
        let record = records.into_iter().next().flatten().and_then(|record| OperationRecord::decode(&record));
        Ok(record.is_some_and(|record| matches!(record.outcome, RecordedOutcome::Unchanged(_))))
    }

    async fn walk(&self, tracing: &mut Tracing) -> Result<(), StoreError> {
        let from = tracing.from();
        let base = self.ring.base_version();
        let recent = self.ring.since(base).into_iter().flatten().rev();
        for recorded in self.pending.iter().rev().chain(recent) {
            let version = recorded.commit.version;
            if version > from {
                continue;
            }
            if !tracing.wants(version) {
                return Ok(());
            }
            tracing.back(&recorded.commit);
        }
        self.walk_log(tracing, from.min(base)).await
    }

    /// Goes on before memory, from commit `to` downwards.
    async fn walk_log(&self, tracing: &mut Tracing, mut to: Version) -> Result<(), StoreError> {
        let (mut read, mut floor) = (0, Graph::empty());
        let mut is_checkpoint_sought = false;
        while to > floor.head().version && tracing.wants(to) {
            // One that is not older than the operations says nothing of what was before them.
            if read >= CHECKPOINT_AFTER && !is_checkpoint_sought && to < tracing.oldest() {
                is_checkpoint_sought = true;
                floor = self.checkpoint(to).await?.unwrap_or_default();
                continue;
            }
            let after = Version::new(to.get().saturating_sub(CHUNK)).unwrap_or_default();
            let after = after.max(floor.head().version);
            let commits =
                history_reader::sift(self.store, self.id, after, to, |commit| Some(tracing.part_of(commit)))
                    .await?;
            for commit in commits.iter().rev() {
                tracing.back(commit);
            }
            read += to.since(after);
            to = after;
        }
        if tracing.wants(to) {
            tracing.end_at(&floor);
        }
        Ok(())
    }

    /// The graph at a checkpoint at or before `to`, if there is one of this history.
    async fn checkpoint(&self, to: Version) -> Result<Option<Graph>, StoreError> {
        let Some(rows) = self.rows else { return Ok(None) };
        let Some(found) = snapshot::checkpoint(rows, self.id, to).await? else { return Ok(None) };
        Ok(history_reader::is_of_log(self.store, self.id, found.head()).await?.then_some(found))
    }
}
