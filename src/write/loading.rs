//! A graph's way into memory and what keeps it there true: loading it, keeping it up to date with the log, publishing
//! it, and counting what it holds.
//!
//! Invariants:
//! - What readers see is a whole history up to some durable commit at any moment, also while the
//!   graph catches up: they never have to go to the log because the task is at work.
//! - The task's own ring and the published copy hold the same commits between two messages.
//!
//! Not here: rounds ([`super::graph_task`]), and reading the log ([`super::history_reader`]).

use std::{collections::HashSet, sync::Arc};

use dao_projections::{Graph, GraphId, Head, OperationId};

use super::{
    ended_operations::{EndedOperation, EndedOperations},
    graph_task::{GraphTask, LoadedGraph, Memory},
    history_reader::{self, CatchUp, LoadReservation},
    reply::{Effect, Ending, WriteError},
    ring::{Recorded, Ring},
    round::Round,
    view::View,
    write_metrics,
};
use crate::{
    domain::{Operation, OperationRecord, RecordedOutcome},
    store::{EventStore, StoreError},
};

impl GraphTask {
    /// The graph in memory; loaded if it is not there yet.
    pub(super) async fn hot<'m>(&self, memory: &'m mut Memory) -> Result<&'m mut LoadedGraph, WriteError> {
        if matches!(memory, Memory::Cold) {
            let mut loaded = match self.load().await {
                Ok(loaded) => loaded,
                Err(error) => {
                    self.published.hold(0, 0);
                    return Err(error);
                }
            };
            self.published.replace_ring(loaded.ring.clone());
            self.published.publish(&loaded.graph);
            self.count_held(&mut loaded);
            *memory = Memory::Hot(Box::new(loaded));
        }
        match memory {
            Memory::Hot(loaded) => Ok(loaded),
            Memory::Cold => Err(WriteError::Failed),
        }
    }

    async fn load(&self) -> Result<LoadedGraph, WriteError> {
        let registry = self.registry.upgrade().ok_or(WriteError::Stopped)?;
        // First, so that a store, or a shard, that answers late takes no turn from graphs that could be loaded.
        let head = self.store.head(&self.id).await?;
        let _turn = registry.turn_to_load().await.ok_or(WriteError::Stopped)?;
        let loading = LoadReservation { registry: &registry, published: &self.published };
        match history_reader::load(&*self.store, self.rows.as_deref(), &self.id, head, &loading).await? {
            Some((graph, ring)) => {
                Ok(LoadedGraph { graph, ring, operations: EndedOperations::default(), is_settled: false })
            }
            None => {
                self.metrics.writing.hot_refused.inc();
                Err(WriteError::MemoryFull)
            }
        }
    }

    /// What is shown of it.
    pub(super) fn shown(&self, loaded: &LoadedGraph) -> Arc<View> {
        let shown = self.published.view().filter(|view| view.graph.head() == loaded.graph.head());
        shown.unwrap_or_else(|| {
            self.published.publish(&loaded.graph);
            Arc::new(View::new(loaded.graph.clone(), self.published.budget()))
        })
    }

    /// Counts what the graph holds now, and the graph itself once it has commits. Where all together are too much,
    /// others may have to go.
    pub(super) fn count_held(&self, loaded: &mut LoadedGraph) {
        let spare = loaded.ring.held_bytes() + loaded.operations.held_bytes();
        let is_too_much = self.published.hold(loaded.graph.held_bytes() + spare, spare);
        if (is_too_much || !loaded.is_settled)
            && loaded.graph.head() != Head::EMPTY
            && let Some(registry) = self.registry.upgrade()
        {
            loaded.is_settled = true;
            registry.settle(&self.id);
        }
    }

    /// Lets go of what can be had again: from the log, or by encoding it again.
    pub(super) fn shorten(&self, memory: &mut Memory) {
        let Memory::Hot(loaded) = memory else { return };
        loaded.ring.shorten();
        loaded.operations.shorten();
        self.published.shortened(loaded.ring.clone());
        let spare = loaded.ring.held_bytes() + loaded.operations.held_bytes();
        self.published.hold(loaded.graph.held_bytes() + spare, spare);
    }

    /// A graph that the round would make larger must have room to grow. One that gets smaller always may.
    pub(super) fn refuse_to_grow(&self, before: &Graph, after: &Graph) -> Result<(), WriteError> {
        let (before, after) = (before.held_bytes(), after.held_bytes());
        if after <= before || self.published.budget().lets_grow(after) {
            return Ok(());
        }
        self.metrics.writing.hot_refused.inc();
        Err(WriteError::MemoryFull)
    }

    /// Takes over what is durable now, and shows it to readers. Those who wait for it are woken once its authors are
    /// answered.
    pub(super) fn adopt(&self, loaded: &mut LoadedGraph, round: &mut Round) {
        for (id, known) in round.known() {
            loaded.operations.remember(id, known);
        }
        if round.commits.is_empty() {
            return;
        }
        write_metrics::committed(&self.metrics, round.commits.len());
        self.signals.tell_listing_changes(&self.id, round.commits.iter().map(|commit| &**commit));
        loaded.graph = std::mem::take(&mut round.graph);
        self.published.push(&round.commits);
        std::mem::take(&mut round.commits).into_iter().for_each(|commit| loaded.ring.push(commit));
        self.published.show(&loaded.graph);
    }

    /// The next commits, into both rings.
    pub(super) fn take_commits(&self, own: &mut Ring, commits: &[Arc<Recorded>]) {
        self.published.push(commits);
        commits.iter().for_each(|commit| own.push(commit.clone()));
    }

    /// Catches up with the log. What is remembered of operations goes with the history it was part of: a
    /// commit that a fail-over lost must not be acknowledged again (rules V4, C3). Until it is known
    /// what there is, and where it can't be found out, nothing changes.
    pub(super) async fn catch_up(&self, loaded: &mut LoadedGraph) -> Result<CatchUp, WriteError> {
        let before = loaded.graph.head();
        let (mut then, mut news) = (loaded.graph.clone(), Ring::after(before));
        let followed = history_reader::catch_up(&*self.store, &self.id, &mut then, &mut news).await?;
        if then.head() == before {
            return Ok(followed);
        }
        loaded.graph = then;
        if followed == CatchUp::Complete && news.base_version() == before.version {
            let news: Vec<_> = news.iter().cloned().collect();
            self.take_commits(&mut loaded.ring, &news);
        } else {
            // They are more than are kept, or of another history.
            self.published.replace_ring(news.clone());
            loaded.ring = news;
        }
        self.published.publish(&loaded.graph);
        if followed == CatchUp::OtherHistory {
            loaded.operations = EndedOperations::default();
        }
        self.count_held(loaded);
        Ok(followed)
    }

    /// A refusal that is not remembered must not hide that the operation ended well before: looks
    /// those up. True if there was something to learn.
    pub(super) async fn learn_of_unrecorded(
        &self,
        round: &Round,
        loaded: &mut LoadedGraph,
    ) -> Result<bool, WriteError> {
        let unrecorded: Vec<OperationId> = round
            .answers
            .iter()
            .filter(|answer| matches!(&answer.ending, Ending::Refused { refusal, .. } if !refusal.reason.is_final()))
            .filter(|answer| !answer.duplicate && loaded.operations.get(&answer.operation).is_none())
            .map(|answer| answer.operation)
            .collect();
        if unrecorded.is_empty() {
            return Ok(false);
        }
        let found = self.store.operations(&self.id, &unrecorded).await?;
        let found: Vec<_> =
            unrecorded.into_iter().zip(found).filter_map(|(id, record)| Some((id, record?))).collect();
        let learnt = !found.is_empty();
        self.learn(loaded, found).await?;
        Ok(learnt)
    }

    /// Looks up the operations that others build on (rule W5), except those that are judged before them in this round.
    pub(super) async fn learn_of_dependencies(
        &self,
        requests: &[Vec<Operation>],
        loaded: &mut LoadedGraph,
    ) -> Result<(), WriteError> {
        if requests.iter().flatten().all(|operation| operation.after.is_none()) {
            return Ok(());
        }
        let (mut accounted_for, mut wanted) = (HashSet::new(), Vec::new());
        for operation in requests.iter().flatten() {
            let unknown = operation.after.filter(|after| loaded.operations.get(after).is_none());
            wanted.extend(unknown.filter(|after| accounted_for.insert(*after)));
            accounted_for.insert(operation.id);
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let found = self.store.operations(&self.id, &wanted).await?;
        let found = wanted.into_iter().zip(found).filter_map(|(id, record)| Some((id, record?))).collect();
        self.learn(loaded, found).await
    }

    /// Remembers how these operations ended, as their records and commits say.
    pub(super) async fn learn(
        &self,
        loaded: &mut LoadedGraph,
        records: Vec<(OperationId, bytes::Bytes)>,
    ) -> Result<(), WriteError> {
        for (id, bytes) in records {
            let Some(record) = OperationRecord::decode(&bytes) else {
                let problem = format!("the record of operation {id} can't be read");
                let version = loaded.ring.base_version();
                return Err(StoreError::Corrupt { graph: self.id.clone(), version, problem }.into());
            };
            let fingerprint = record.fingerprint;
            let ending = recall(&*self.store, &self.id, id, record.outcome).await?;
            loaded.operations.remember(id, EndedOperation { fingerprint, ending });
        }
        Ok(())
    }
}

/// How an operation ended, from its record and the commit it names.
pub(super) async fn recall(
    store: &dyn EventStore,
    graph: &GraphId,
    operation: OperationId,
    outcome: RecordedOutcome,
) -> Result<Ending, StoreError> {
    Ok(match outcome {
        RecordedOutcome::Committed { version } => match history_reader::one(store, graph, version).await? {
            Some(recorded) => Ending::Completed {
                effect: Effect::Committed(recorded.commit.body.outcome),
                head: recorded.commit.head(),
                results: vec![],
            },
            None => return Err(history_reader::recorded_missing(store, graph, operation, version).await),
        },
        RecordedOutcome::Unchanged(by) => Ending::Completed {
            effect: Effect::Unchanged,
            head: Head { version: by.version, hash: by.hash },
            results: vec![],
        },
        RecordedOutcome::Refused { by, refusal } => {
            Ending::Refused { refusal: Arc::new(*refusal), head: Head { version: by.version, hash: by.hash } }
        }
    })
}
