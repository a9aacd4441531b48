//! One round of a graph's task, the synchronous part: every waiting operation judged in order, each
//! on the graph as those before it left it (rule C4), and what they come to gathered for one append.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use dao_projections::{Commit, CommitBody, Event, Graph, OperationId, Outcome, Timestamp, Version};

use super::{
    answer::{Answer, Effect, Ending, show},
    recent::{Known, Operations, Recorded, Ring},
};
use crate::{
    domain::{
        Circumstances, Fingerprint, History, HistoryMissing, Limits, Operation, OperationRecord, Reason,
        RecordedOutcome, Refusal, Verdict, WriterId, judge,
    },
    store::Entry,
};

/// Commits read from the log for one operation whose author is further behind than the ring goes.
#[derive(Debug, Default)]
pub(super) struct Older {
    /// All that matter after this version, up to where the ring begins.
    pub(super) since: Option<Version>,
    pub(super) commits: Vec<Commit>,
    /// Single commits that were asked for by number.
    pub(super) single: Vec<Commit>,
}

/// A round in the making.
pub(super) struct Round {
    /// The graph with everything accepted so far in this round.
    pub(super) graph: Graph,
    /// What to append.
    pub(super) entries: Vec<Entry>,
    /// The commits among the entries, decoded.
    pub(super) commits: Vec<Arc<Recorded>>,
    /// One for each operation judged, in order.
    pub(super) answers: Vec<Answer>,
    writer: WriterId,
    /// Where in `answers` the operations are that this round ends.
    fresh: HashMap<OperationId, (usize, Fingerprint)>,
}

/// What a round is judged against.
pub(super) struct Surroundings<'a> {
    pub(super) ring: &'a Ring,
    pub(super) operations: &'a Operations,
    pub(super) limits: &'a Limits,
    pub(super) now: Timestamp,
}

impl Round {
    pub(super) fn on(graph: Graph, writer: WriterId) -> Self {
        Self { graph, writer, entries: vec![], commits: vec![], answers: vec![], fresh: HashMap::new() }
    }

    /// Judges the next operation. Nothing is changed when history is missing: the same call is made
    /// again with it.
    pub(super) fn take(
        &mut self,
        operation: &Operation,
        around: &Surroundings<'_>,
        older: &Older,
    ) -> Result<(), HistoryMissing> {
        if let Some(answer) = self.repeated(operation, around.operations) {
            self.answers.push(answer);
            return Ok(());
        }
        let history = Hindsight { ring: around.ring, pending: &self.commits, older };
        let verdict = judge(&self.graph, operation, &history, around.limits)?;
        let at = self.graph.last_modified().map_or(around.now, |last| last.max(around.now));
        let ending = match verdict {
            Verdict::Accepted { events, outcome, by_member } => {
                self.commit(operation, events, outcome, &by_member, at)
            }
            Verdict::Unchanged => self.record_unchanged(operation, at),
            Verdict::Refused(refusal) => self.record_refusal(operation, refusal, at),
        };
        if let Ending::Completed { .. } = ending {
            self.fresh.insert(operation.id, (self.answers.len(), operation.fingerprint));
        } else if let Ending::Refused { refusal, .. } = &ending
            && refusal.reason.is_final()
        {
            self.fresh.insert(operation.id, (self.answers.len(), operation.fingerprint));
        }
        self.answers.push(Answer { operation: operation.id, ending, duplicate: false });
        Ok(())
    }

    /// What is to be remembered of this round once it is durable.
    pub(super) fn known(&self) -> impl Iterator<Item = (OperationId, Known)> + '_ {
        self.fresh.iter().filter_map(|(id, (index, fingerprint))| {
            let ending = without_results(&self.answers.get(*index)?.ending);
            Some((*id, Known { fingerprint: *fingerprint, ending }))
        })
    }

    /// The answer to an operation that ended before, here or earlier in this round (rule C3).
    fn repeated(&self, operation: &Operation, operations: &Operations) -> Option<Answer> {
        let (fingerprint, ending) = match self.fresh.get(&operation.id) {
            Some((index, fingerprint)) => (*fingerprint, &self.answers.get(*index)?.ending),
            None => operations.get(&operation.id).map(|known| (known.fingerprint, &known.ending))?,
        };
        if fingerprint == operation.fingerprint {
            let ending = without_results(ending);
            return Some(Answer { operation: operation.id, ending, duplicate: true });
        }
        let message = "this operationId was used for another command, or by another user";
        let refusal = Arc::new(Refusal::new(Reason::OperationIdReused, message));
        let ending = Ending::Refused { refusal, head: self.graph.head() };
        Some(Answer { operation: operation.id, ending, duplicate: false })
    }

    fn commit(
        &mut self,
        operation: &Operation,
        events: Vec<Event>,
        outcome: Outcome,
        by_member: &[usize],
        at: Timestamp,
    ) -> Ending {
        let body = CommitBody {
            operation_id: operation.id,
            user_id: operation.user.clone(),
            client_id: operation.client.clone(),
            traceparent: operation.traceparent,
            timestamp: at,
            command_type: operation.action.command_type(),
            outcome,
            events,
        };
        let bytes = Bytes::from(body.encode());
        let head = self.graph.head().after(&bytes);
        let recorded = Recorded::new(Commit { version: head.version, hash: head.hash, body }, bytes);
        self.graph.apply(&recorded.commit);
        let results = show(&self.graph, &operation.action, &recorded.commit.body.events, by_member);
        self.enter(operation, RecordedOutcome::Committed { version: head.version }, Some(&recorded));
        self.commits.push(recorded);
        Ending::Completed { effect: Effect::Committed(outcome), head, results }
    }

    fn record_unchanged(&mut self, operation: &Operation, at: Timestamp) -> Ending {
        let by = self.circumstances(operation, at);
        self.enter(operation, RecordedOutcome::Unchanged(by), None);
        let results = show(&self.graph, &operation.action, &[], &[]);
        Ending::Completed { effect: Effect::Unchanged, head: self.graph.head(), results }
    }

    /// A refusal is remembered, and the store asked whether the head is still the one it was judged
    /// on, unless the same id may be tried again.
    fn record_refusal(&mut self, operation: &Operation, refusal: Refusal, at: Timestamp) -> Ending {
        if refusal.reason.is_final() {
            let by = self.circumstances(operation, at);
            let kept = Box::new(refusal.for_the_record());
            self.enter(operation, RecordedOutcome::Refused { by, refusal: kept }, None);
        }
        Ending::Refused { refusal: Arc::new(refusal), head: self.graph.head() }
    }

    fn circumstances(&self, operation: &Operation, at: Timestamp) -> Circumstances {
        let head = self.graph.head();
        Circumstances {
            user: operation.user.clone(),
            client: operation.client.clone(),
            command: operation.action.command_type(),
            at,
            version: head.version,
            hash: head.hash,
        }
    }

    fn enter(&mut self, operation: &Operation, outcome: RecordedOutcome, commit: Option<&Arc<Recorded>>) {
        let refused_at = match &outcome {
            RecordedOutcome::Refused { by, .. } => Some(by.version),
            RecordedOutcome::Committed { .. } | RecordedOutcome::Unchanged(_) => None,
        };
        let record = OperationRecord { fingerprint: operation.fingerprint, outcome, writer: self.writer };
        self.entries.push(Entry {
            operation: operation.id,
            record: Bytes::from(record.encode()),
            commit: commit.map(|recorded| recorded.stored()),
            refused_at,
        });
    }
}

fn without_results(ending: &Ending) -> Ending {
    match ending {
        Ending::Completed { effect, head, .. } => {
            Ending::Completed { effect: *effect, head: *head, results: vec![] }
        }
        refused @ Ending::Refused { .. } => refused.clone(),
    }
}

/// All that a judgement can look back on: the log where it was read, the ring, and this round.
struct Hindsight<'a> {
    ring: &'a Ring,
    pending: &'a [Arc<Recorded>],
    older: &'a Older,
}

impl History for Hindsight<'_> {
    fn since(&self, version: Version) -> Option<Box<dyn Iterator<Item = &Commit> + '_>> {
        let pending = self.pending.iter().map(|recorded| &recorded.commit);
        if let Some(recent) = self.ring.since(version) {
            return Some(Box::new(recent.map(|recorded| &recorded.commit).chain(pending)));
        }
        if let Some(first) = self.pending.first().filter(|first| version >= first.commit.version) {
            let skip = version.since(first.commit.version) as usize + 1;
            return Some(Box::new(pending.skip(skip)));
        }
        let since = self.older.since.filter(|since| *since <= version)?;
        debug_assert!(since <= version);
        let older = self.older.commits.iter().filter(move |commit| commit.version > version);
        let recent = self.ring.since(self.ring.base_version())?.map(|recorded| &recorded.commit);
        Some(Box::new(older.chain(recent).chain(pending)))
    }

    fn at(&self, version: Version) -> Option<&Commit> {
        let pending = self.pending.iter().map(|recorded| &recorded.commit);
        let in_memory = self.ring.at(version).map(|recorded| &recorded.commit);
        in_memory
            .or_else(|| pending.into_iter().find(|commit| commit.version == version))
            .or_else(|| self.older.single.iter().find(|commit| commit.version == version))
    }
}
