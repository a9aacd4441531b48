//! One round of a graph's task, the synchronous part: every waiting operation judged in order, each
//! on the graph as those before it left it (rule C4), and what they come to gathered for one append.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use dao_projections::{Commit, CommitBody, Event, Graph, OperationId, Outcome, Timestamp};

use super::{
    conflict_window::{ConflictWindow, OlderCommits},
    ended_operations::{EndedOperation, EndedOperations},
    reply::{CommandResult, Effect, Ending, MemberEffects, Reply, show},
    ring::{Recorded, Ring},
};
use crate::{
    domain::{
        Circumstances, Fingerprint, HistoryMissing, Limits, Operation, OperationRecord, Reason,
        RecordedOutcome, Refusal, RestoreResult, SaveReport, SkippedMember, UndoResult, Verdict, WriterId,
        judge, judge_save, with_purge_times,
    },
    store::{Entry, StoredCommit},
};

/// Bytes of entities that the answer to one request shows, if it shows several: a small request must not
/// make a huge answer. An operation that would pass it is refused with `TOO_LARGE` and not remembered.
pub const ANSWER_BYTES_MAX: usize = 32 << 20;

/// What the refusals in the answer to one request occupy, if it has several; beyond that they are told as they are
/// recorded.
const REFUSALS_BYTES_MAX: usize = 1 << 20;

/// Entities and fields that the operations of one request look at, if it has several: each may be compared with all edges
/// of a graph. An operation that would pass it is refused with `TOO_LARGE` and not remembered.
const REQUEST_WEIGHT_MAX: usize = 8_000_000;

/// A round in the making.
pub(super) struct Round {
    /// The graph with everything accepted so far in this round.
    pub(super) graph: Graph,
    /// What to append.
    pub(super) entries: Vec<Entry>,
    /// Commits of another graph that come before the entries (rule L7).
    pub(super) copied: Vec<StoredCommit>,
    /// The commits among both, decoded.
    pub(super) commits: Vec<Arc<Recorded>>,
    /// One for each operation judged, in order.
    pub(super) answers: Vec<Reply>,
    writer: WriterId,
    /// Bytes that the answer to the request being judged may show still; `None` if it shows one thing.
    answer_room: Option<usize>,
    /// The same for what its refusals occupy.
    refusal_room: Option<usize>,
    /// What the operations of that request may weigh still; `None` if there is one.
    weight_room: Option<usize>,
    /// Where in `answers` the operations are that this round ends.
    fresh: HashMap<OperationId, (usize, Fingerprint)>,
}

/// What an operation came to.
struct Accepted {
    events: Vec<Event>,
    outcome: Outcome,
    by_member: Vec<usize>,
    undone: Option<Box<UndoResult>>,
    restored: Option<Box<RestoreResult>>,
    skipped: Vec<SkippedMember>,
    saved: Option<SaveReport>,
}

/// What a round is judged against.
pub(super) struct RoundContext<'a> {
    pub(super) ring: &'a Ring,
    pub(super) operations: &'a EndedOperations,
    /// The graph before this round.
    pub(super) graph: &'a Graph,
    pub(super) limits: &'a Limits,
    pub(super) now: Timestamp,
}

impl Round {
    pub(super) fn on(graph: Graph, writer: WriterId) -> Self {
        let (entries, commits, answers, fresh) = (vec![], vec![], vec![], HashMap::new());
        Self {
            graph,
            entries,
            copied: vec![],
            commits,
            answers,
            writer,
            answer_room: None,
            refusal_room: None,
            weight_room: None,
            fresh,
        }
    }

    /// What is judged from here on is of this request.
    pub(super) fn begin(&mut self, request: &[Operation]) {
        let shown: usize = request.iter().map(|operation| operation.action.members().len()).sum();
        self.answer_room = (shown > 1).then_some(ANSWER_BYTES_MAX);
        self.refusal_room = (shown > 1).then_some(REFUSALS_BYTES_MAX);
        self.weight_room = (shown > 1).then_some(REQUEST_WEIGHT_MAX);
    }

    /// Judges the next operation. Nothing is changed when history is missing: the same call is made
    /// again with it.
    pub(super) fn take(
        &mut self,
        operation: &Operation,
        around: &RoundContext<'_>,
        older: &OlderCommits,
    ) -> Result<(), HistoryMissing> {
        if let Some(answer) = self.repeated(operation, around.operations) {
            self.answers.push(answer);
            return Ok(());
        }
        if let Some(refusal) = self.waits_for(operation, around.operations) {
            let at = self.time_of(around.now);
            let ending = self.record_refusal(operation, refusal, at);
            self.end(operation, ending);
            return Ok(());
        }
        let weight = operation.weight_on(&self.graph);
        if self.weight_room.is_some_and(|room| weight > room) {
            let ending = self.record_refusal(operation, too_heavy(), around.now);
            self.answers.push(Reply { operation: operation.id, ending, duplicate: false });
            return Ok(());
        }
        let history = ConflictWindow {
            ring: around.ring,
            pending: &self.commits,
            older,
            graph: around.graph,
            operation: operation.id,
        };
        let limits = around.limits.lowered_by(&self.graph.metadata().attributes);
        let (verdict, report) = match operation.action.save() {
            Some(save) => {
                let saved = judge_save(&self.graph, operation, save, &history, &limits)?;
                (saved.verdict, Some(saved.report))
            }
            None => (judge(&self.graph, operation, &history, &limits)?, None),
        };
        self.weight_room = self.weight_room.map(|room| room.saturating_sub(weight));
        if let (Some(from), Verdict::Accepted { .. }) = (operation.action.copied_from(), &verdict) {
            self.take_over(older.copied(from));
        }
        let at = self.time_of(around.now);
        let accepted = match verdict {
            Verdict::Accepted { events, outcome, by_member, undone, restored, skipped } => {
                let events = with_purge_times(events, at, around.limits);
                let accepted =
                    Accepted { events, outcome, by_member, undone, restored, skipped, saved: report };
                self.commit(operation, accepted, at)
            }
            Verdict::Unchanged { skipped, restored } => {
                let shown = report.map(|report| CommandResult::Saved(Box::new(report)));
                let shown = shown.or(restored.map(CommandResult::Restored));
                self.record_unchanged(operation, shown, &skipped, at)
            }
            Verdict::Refused(refusal) => Err(refusal),
        };
        let ending = accepted.unwrap_or_else(|refusal| self.record_refusal(operation, refusal, at));
        self.end(operation, ending);
        Ok(())
    }

    /// Commits of another graph become the first of this one, which is empty.
    fn take_over(&mut self, copied: &[Arc<Recorded>]) {
        for recorded in copied {
            self.graph.apply(&recorded.commit);
            self.copied.push(recorded.stored());
            self.commits.push(recorded.clone());
        }
    }

    /// When what is judged now happens: never before the last commit (rule V5).
    fn time_of(&self, now: Timestamp) -> Timestamp {
        self.graph.last_modified().map_or(now, |last| last.max(now))
    }

    fn end(&mut self, operation: &Operation, ending: Ending) {
        if let Ending::Completed { .. } = ending {
            self.fresh.insert(operation.id, (self.answers.len(), operation.fingerprint));
        } else if let Ending::Refused { refusal, .. } = &ending
            && refusal.reason.is_final()
        {
            self.fresh.insert(operation.id, (self.answers.len(), operation.fingerprint));
        }
        self.answers.push(Reply { operation: operation.id, ending, duplicate: false });
    }

    /// The refusal of an operation that builds on one that has not ended, or was refused (rule W5). What ended earlier in
    /// this round counts: operations of one connection are judged in the order in which they were sent.
    fn waits_for(&self, operation: &Operation, operations: &EndedOperations) -> Option<Refusal> {
        let after = operation.after?;
        let ended = match self.fresh.get(&after) {
            Some((index, _)) => self.answers.get(*index).map(|answer| &answer.ending),
            None => operations.get(&after).map(|known| &known.ending),
        };
        match ended {
            Some(Ending::Completed { .. }) => None,
            Some(Ending::Refused { .. }) => {
                let message = format!("Operation {after}, which this one builds on, was refused");
                Some(Refusal::new(Reason::DependencyRefused, message))
            }
            None => {
                let message = format!("Operation {after}, which this one builds on, has not ended");
                Some(Refusal::new(Reason::DependencyPending, message))
            }
        }
    }

    /// Whether somebody is refused because of the state that the graph was in (rules D8, L4, L8, L14).
    pub(super) fn refuses_by_state(&self) -> bool {
        self.answers.iter().any(|answer| {
            matches!(&answer.ending, Ending::Refused { refusal, .. } if refusal.reason.depends_on_state())
        })
    }

    /// What is to be remembered of this round once it is durable.
    pub(super) fn known(&self) -> impl Iterator<Item = (OperationId, EndedOperation)> + '_ {
        self.fresh.iter().filter_map(|(id, (index, fingerprint))| {
            let ending = match &self.answers.get(*index)?.ending {
                Ending::Refused { refusal, head } => {
                    Ending::Refused { refusal: Arc::new(refusal.for_the_record()), head: *head }
                }
                completed => without_results(completed),
            };
            Some((*id, EndedOperation { fingerprint: *fingerprint, ending }))
        })
    }

    /// The answer to an operation that ended before, here or earlier in this round (rule C3).
    fn repeated(&self, operation: &Operation, operations: &EndedOperations) -> Option<Reply> {
        let (fingerprint, ending) = match self.fresh.get(&operation.id) {
            Some((index, fingerprint)) => (*fingerprint, &self.answers.get(*index)?.ending),
            None => operations.get(&operation.id).map(|known| (known.fingerprint, &known.ending))?,
        };
        if fingerprint == operation.fingerprint {
            let ending = without_results(ending);
            return Some(Reply { operation: operation.id, ending, duplicate: true });
        }
        let message = "this operationId was used for another command, or by another user";
        let refusal = Arc::new(Refusal::new(Reason::OperationIdReused, message));
        let ending = Ending::Refused { refusal, head: self.graph.head() };
        Some(Reply { operation: operation.id, ending, duplicate: false })
    }

    fn commit(
        &mut self,
        operation: &Operation,
        Accepted { events, outcome, by_member, undone, restored, skipped, saved }: Accepted,
        at: Timestamp,
    ) -> Result<Ending, Refusal> {
        let body = CommitBody {
            operation_id: operation.id,
            user_id: operation.user.clone(),
            client_id: operation.client.clone(),
            // As it is read back: a client that is not the user's id was named, or is a connection.
            is_client_named: operation.is_client_named
                || operation.client.as_str() != operation.user.as_str(),
            traceparent: operation.traceparent,
            timestamp: at,
            command_type: operation.action.command_type(),
            outcome,
            undoes: undone.as_ref().map_or(vec![], |undone| undone.undoes.clone()),
            restores: restored.as_ref().map(|restored| restored.to),
            is_erased: false,
            events,
        };
        let bytes = Bytes::from(body.encode());
        let head = self.graph.head().after(&bytes);
        let recorded = Recorded::new(Commit { version: head.version, hash: head.hash, body }, bytes);
        let before = self.answer_room.map(|_| self.graph.clone());
        self.graph.apply(&recorded.commit);
        let results = match (saved, undone, restored) {
            (Some(report), _, _) => vec![CommandResult::Saved(Box::new(report))],
            (None, Some(undone), _) => vec![CommandResult::Undone(undone)],
            (None, None, Some(restored)) => vec![CommandResult::Restored(restored)],
            (None, None, None) => {
                let members = MemberEffects { by_member: &by_member, skipped: &skipped };
                show(&self.graph, &operation.action, &recorded.commit.body.events, members)
            }
        };
        if let (Err(refusal), Some(before)) = (self.make_room(&results), before) {
            self.graph = before;
            return Err(refusal);
        }
        self.enter(operation, RecordedOutcome::Committed { version: head.version }, Some(&recorded));
        self.commits.push(recorded);
        Ok(Ending::Completed { effect: Effect::Committed(outcome), head, results })
    }

    fn record_unchanged(
        &mut self,
        operation: &Operation,
        shown: Option<CommandResult>,
        skipped: &[SkippedMember],
        at: Timestamp,
    ) -> Result<Ending, Refusal> {
        let members = MemberEffects { by_member: &[], skipped };
        let results = match shown {
            Some(shown) => vec![shown],
            None => show(&self.graph, &operation.action, &[], members),
        };
        self.make_room(&results)?;
        let by = self.circumstances(operation, at);
        self.enter(operation, RecordedOutcome::Unchanged(by), None);
        Ok(Ending::Completed { effect: Effect::Unchanged, head: self.graph.head(), results })
    }

    /// Whether the request's answer can show these too.
    fn make_room(&mut self, results: &[CommandResult]) -> Result<(), Refusal> {
        let Some(mut room) = self.answer_room else { return Ok(()) };
        for shown in results {
            let Some(rest) = room.checked_sub(shown.json_bytes()) else {
                let message = format!(
                    "the answer to this request would show more than {ANSWER_BYTES_MAX} bytes of entities: \
                     send fewer operations at once (this one was not applied)"
                );
                return Err(Refusal::new(Reason::AnswerTooLarge, message));
            };
            room = rest;
        }
        self.answer_room = Some(room);
        Ok(())
    }

    /// A refusal is remembered, and the store asked whether the head is still the one it was judged
    /// on, unless the same id may be tried again.
    fn record_refusal(&mut self, operation: &Operation, refusal: Refusal, at: Timestamp) -> Ending {
        if refusal.reason.is_final() {
            let by = self.circumstances(operation, at);
            let kept = Box::new(refusal.for_the_record());
            self.enter(operation, RecordedOutcome::Refused { by, refusal: kept }, None);
        }
        let refusal = self.within_room(refusal);
        Ending::Refused { refusal: Arc::new(refusal), head: self.graph.head() }
    }

    /// Where the request's answer has no room for what stands in the way, it is told as it is recorded.
    fn within_room(&mut self, refusal: Refusal) -> Refusal {
        let Some(room) = self.refusal_room else { return refusal };
        let rest = room.checked_sub(refusal.resolution_bytes());
        self.refusal_room = Some(rest.unwrap_or(room));
        if rest.is_some() { refusal } else { refusal.for_the_record() }
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

fn too_heavy() -> Refusal {
    let message = "the operations of this request have too much to look at together: send fewer at once (this one was \
                   not applied)";
    Refusal::new(Reason::AnswerTooLarge, message)
}

fn without_results(ending: &Ending) -> Ending {
    match ending {
        Ending::Completed { effect, head, .. } => {
            Ending::Completed { effect: *effect, head: *head, results: vec![] }
        }
        refused @ Ending::Refused { .. } => refused.clone(),
    }
}
