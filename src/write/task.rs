//! The task of one hot graph: it owns the graph, and it alone writes to it from this process.
//!
//! A round is: take everything that waits, decide, append once, answer. The loop moves messages and
//! asks the store; [`super::round`] decides. Nothing is answered before it is durable, and an append
//! whose outcome is unknown is found out about before anybody is told anything.

use std::{sync::Arc, time::Duration};

use dao_projections::{Graph, GraphId, Head, OperationId, Timestamp};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tracing::{Instrument, Span};

use super::{
    answer::{Answer, Effect, Ending, WriteError},
    busy::busy,
    count,
    hindsight::Older,
    log::{self, Followed},
    mailbox::{Message, Waiting},
    recent::{Known, Operations, Ring},
    round::{Round, Surroundings},
    view::View,
};
use crate::{
    domain::{Limits, Operation, OperationRecord, RecordedOutcome, WriterId},
    store::{Append, EventStore, ProjectionStore, StoreError},
    telemetry::Metrics,
};

/// Operations that bring more than this many entities are not judged while others wait for the
/// thread.
const INLINE_WEIGHT_MAX: usize = 256;
/// In graphs with more nodes than this no node is deleted while others wait for the thread: all may be inside of it.
const INLINE_NODES_MAX: usize = 4_096;
/// How often a round is decided again because another instance was faster, or an operation turned
/// out to have ended before. Then its authors are told to try again.
const ROUND_ATTEMPTS_MAX: u32 = 24;
/// How often a lost answer of the store is asked after. Then its authors are told to try again,
/// which is safe (rule H4).
const SETTLE_ATTEMPTS_MAX: u32 = 4;

/// Milliseconds since the Unix epoch, by whatever clock the owner keeps.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What a task works with.
pub(super) struct Task {
    pub(super) id: GraphId,
    pub(super) store: Arc<dyn EventStore>,
    pub(super) rows: Option<Arc<dyn ProjectionStore>>,
    pub(super) limits: Limits,
    pub(super) clock: Clock,
    pub(super) mailbox: mpsc::Receiver<Message>,
    pub(super) view: watch::Sender<Option<Arc<View>>>,
    pub(super) ring: Arc<std::sync::Mutex<Ring>>,
    pub(super) idle: Duration,
    pub(super) writer: WriterId,
    /// Told of every append that ended, well or in doubt.
    pub(super) appended: Arc<watch::Sender<()>>,
    pub(super) metrics: Metrics,
}

/// What it has learnt of the graph; nothing before the first load.
pub(super) enum Memory {
    Cold,
    Hot(Box<Loaded>),
}

/// A loaded graph, and the operations that ended on it lately.
pub(super) struct Loaded {
    pub(super) graph: Graph,
    pub(super) operations: Operations,
}

impl Task {
    /// Works until nothing was asked for `idle` or every handle is dropped. When it goes idle it asks
    /// `retire` to see to it that nobody finds it any more; that fails while it is in use.
    pub(super) async fn run(mut self, retire: impl Fn() -> bool) {
        let mut memory = Memory::Cold;
        let mut used_at = Instant::now();
        // One timer for the task's life: it is looked at when it fires, not set anew for each message.
        let mut alarm = std::pin::pin!(tokio::time::sleep_until(used_at + self.idle));
        loop {
            // Receiving is cancel-safe: a message that is not taken stays where it is.
            tokio::select! {
                biased;
                message = self.mailbox.recv() => {
                    let Some(first) = message else { return };
                    self.serve(first, &mut memory).await;
                    used_at = Instant::now();
                }
                () = &mut alarm => {
                    if used_at + self.idle <= Instant::now() {
                        if retire() {
                            return;
                        }
                        used_at = Instant::now();
                    }
                    alarm.as_mut().reset(used_at + self.idle);
                }
            }
        }
    }

    /// Everything that waits: all reads are answered by one look into the store, then all operations
    /// judged in one round. So neither holds up the other for longer than that.
    async fn serve(&mut self, first: Message, memory: &mut Memory) {
        let mut waiting = Waiting::default();
        let mut next = Some(first);
        while let Some(message) = next {
            waiting.add(message);
            next = if waiting.is_full() { None } else { self.mailbox.try_recv().ok() };
        }
        let Waiting { operations, writers, spans, readers, heard, .. } = waiting;
        for (commits, reply, _in_use) in heard {
            let _gone = reply.send(self.hear(&commits, memory).await);
        }
        if !readers.is_empty() {
            let view = self.refresh(memory).await;
            for (reply, _in_use) in readers {
                let _gone = reply.send(view.clone());
            }
        }
        if operations.is_empty() {
            return;
        }
        let span = self.round_span(&operations, &spans);
        match self.execute(&operations, memory).instrument(span).await {
            Ok(answers) => {
                count::answered(&self.metrics, &operations, &answers);
                let mut answers = answers.into_iter();
                for (asked, (reply, _in_use)) in operations.iter().zip(writers) {
                    // Somebody who does not wait any more finds the answer under the same id.
                    let _gone = reply.send(Ok(answers.by_ref().take(asked.len()).collect()));
                }
            }
            Err(error) => {
                // Each of its authors is told, and that is where it is logged.
                tracing::debug!(graph = %self.id, %error, "a round was given up");
                for (reply, _in_use) in writers {
                    let _gone = reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// A round belongs to the first of those who asked for it, and follows from all.
    fn round_span(&self, operations: &[Vec<Operation>], spans: &[Span]) -> Span {
        let count: usize = operations.iter().map(Vec::len).sum();
        let parent = spans.first().and_then(Span::id);
        let round = tracing::debug_span!(parent: parent, "round", graph = %self.id, operations = count);
        for span in spans.iter().skip(1) {
            round.follows_from(span);
        }
        round
    }

    async fn refresh(&self, memory: &mut Memory) -> Result<Arc<View>, WriteError> {
        let (graph, operations) = self.hot(memory).await?;
        self.bring_level(graph, operations).await?;
        match &*self.view.borrow() {
            Some(view) => Ok(view.clone()),
            None => Err(WriteError::Stopped),
        }
    }

    /// Load–decide–append–resync: decides all of `requests` in one round and appends once.
    async fn execute(
        &self,
        requests: &[Vec<Operation>],
        memory: &mut Memory,
    ) -> Result<Vec<Answer>, WriteError> {
        let (graph, operations) = self.hot(memory).await?;
        let mut older = Older::default();
        for attempt in 0..ROUND_ATTEMPTS_MAX {
            let round = self.decide(graph, operations, requests, &mut older).await?;
            if self.learn_of_unrecorded(&round, operations).await? {
                continue;
            }
            if round.entries.is_empty() {
                let judged_on = graph.head();
                match self.confirm(graph, operations).await? {
                    // It is no other history: memory was behind, as others went on.
                    Followed::Level if graph.head() != judged_on && round.says_replaced() => continue,
                    Followed::Level => return Ok(round.answers),
                    Followed::OtherHistory => {
                        older = Older::default();
                        continue;
                    }
                }
            }
            let outcome = self.append(graph.head(), &round).await;
            if matches!(outcome, Ok(Append::Appended)) {
                self.adopt(graph, operations, &round);
            }
            // Also where it failed: what is in doubt may have landed.
            if matches!(outcome, Ok(Append::Appended) | Err(_)) && !round.commits.is_empty() {
                self.appended.send_replace(());
            }
            let records = match outcome? {
                Append::Appended => return Ok(round.answers),
                Append::HeadMoved(head) => {
                    tracing::debug!(graph = %self.id, attempt, version = %head.version, "the head moved");
                    jitter(attempt, &round).await;
                    vec![]
                }
                Append::Duplicate(records) => records,
            };
            if self.bring_level(graph, operations).await? == Followed::OtherHistory {
                older = Older::default();
            }
            self.learn(operations, records).await?;
        }
        Err(WriteError::Contended)
    }

    /// Whether what is remembered is still of the store's history. It is asked where nothing is appended,
    /// and another process could have put another history in its place: a commit that a fail-over lost must
    /// not be acknowledged again (rules V4, C3).
    async fn confirm(&self, graph: &mut Graph, operations: &mut Operations) -> Result<Followed, WriteError> {
        match self.store.is_shared() {
            true => self.bring_level(graph, operations).await,
            false => Ok(Followed::Level),
        }
    }

    /// The synchronous round, with the history it asks for read where it is not at hand.
    async fn decide(
        &self,
        graph: &Graph,
        operations: &Operations,
        requests: &[Vec<Operation>],
        older: &mut Older,
    ) -> Result<Round, WriteError> {
        let mut round = Round::on(graph.clone(), self.writer);
        let now = (self.clock)();
        for request in requests {
            round.begin(request);
            for operation in request {
                loop {
                    let mut take = || {
                        let ring = lock(&self.ring);
                        let around = Surroundings { ring: &ring, operations, limits: &self.limits, now };
                        round.take(operation, &around, older)
                    };
                    let is_heavy = operation.weight() > INLINE_WEIGHT_MAX
                        || operation.deletes_nodes() && graph.nodes().len() > INLINE_NODES_MAX;
                    let taken = if is_heavy { busy(take) } else { take() };
                    let Err(missing) = taken else { break };
                    let base = lock(&self.ring).base_version();
                    let around = (requests, &round.graph);
                    older.read((&*self.store, &self.id), missing, operation, around, base).await?;
                }
            }
        }
        Ok(round)
    }

    /// Appends, and does not come back before it knows whether it did.
    async fn append(&self, expected: Head, round: &Round) -> Result<Append, WriteError> {
        let mut attempt = 0;
        loop {
            let began = Instant::now();
            let span = tracing::debug_span!("append", commits = round.commits.len(), attempt);
            let tried = self.store.append(&self.id, expected, &round.entries).instrument(span).await;
            count::appended(&self.metrics, &tried, began.elapsed());
            let doubt = match tried {
                Ok(Append::Duplicate(records)) => {
                    // An append that was sent twice, here or below, finds its own first effect.
                    if self.has_landed(round).await? {
                        return Ok(Append::Appended);
                    }
                    return Ok(Append::Duplicate(records));
                }
                Ok(outcome) => return Ok(outcome),
                Err(doubt @ StoreError::OutcomeUnknown(_)) => doubt,
                Err(error) => return Err(error.into()),
            };
            tracing::warn!(graph = %self.id, attempt, error = %doubt, "an append was not answered");
            attempt += 1;
            if attempt > SETTLE_ATTEMPTS_MAX {
                return Err(doubt.into());
            }
            tokio::time::sleep(Duration::from_millis(20 << attempt)).await;
            // If it has not landed yet the same append is made again: its operations are its identity.
            if matches!(self.has_landed(round).await, Ok(true)) {
                return Ok(Append::Appended);
            }
        }
    }

    /// Whether exactly what this round wants to append is in the store: every record, byte for byte,
    /// and the last commit by its hash, which stands for all before it.
    async fn has_landed(&self, round: &Round) -> Result<bool, StoreError> {
        let ids: Vec<OperationId> = round.entries.iter().map(|entry| entry.operation).collect();
        let records = self.store.operations(&self.id, &ids).await?;
        let all_ours = records.len() == round.entries.len()
            && records.iter().zip(&round.entries).all(|(found, entry)| found.as_ref() == Some(&entry.record));
        let Some(last) = round.commits.last().filter(|_| all_ours) else { return Ok(all_ours) };
        let found = log::one(&*self.store, &self.id, last.commit.version).await?;
        Ok(found.is_some_and(|found| found.commit.hash == last.commit.hash))
    }

    /// Takes over what is durable now, and shows it to readers.
    fn adopt(&self, graph: &mut Graph, operations: &mut Operations, round: &Round) {
        for (id, known) in round.known() {
            operations.remember(id, known);
        }
        if round.commits.is_empty() {
            return;
        }
        count::committed(&self.metrics, round.commits.len());
        *graph = round.graph.clone();
        let mut ring = lock(&self.ring);
        round.commits.iter().for_each(|commit| ring.push(commit.clone()));
        drop(ring);
        self.publish(graph);
    }

    /// A refusal that is not remembered must not hide that the operation ended well before: looks
    /// those up. True if there was something to learn.
    async fn learn_of_unrecorded(
        &self,
        round: &Round,
        operations: &mut Operations,
    ) -> Result<bool, WriteError> {
        let unrecorded: Vec<OperationId> = round
            .answers
            .iter()
            .filter(|answer| !answer.duplicate && operations.get(&answer.operation).is_none())
            .filter(|answer| matches!(&answer.ending, Ending::Refused { refusal, .. } if !refusal.reason.is_final()))
            .map(|answer| answer.operation)
            .collect();
        if unrecorded.is_empty() {
            return Ok(false);
        }
        let found = self.store.operations(&self.id, &unrecorded).await?;
        let found: Vec<_> =
            unrecorded.into_iter().zip(found).filter_map(|(id, record)| Some((id, record?))).collect();
        let learnt = !found.is_empty();
        self.learn(operations, found).await?;
        Ok(learnt)
    }

    /// Remembers how these operations ended, as their records and commits say.
    async fn learn(
        &self,
        operations: &mut Operations,
        records: Vec<(OperationId, bytes::Bytes)>,
    ) -> Result<(), WriteError> {
        for (id, bytes) in records {
            let Some(record) = OperationRecord::decode(&bytes) else {
                let problem = format!("the record of operation {id} can't be read");
                let version = lock(&self.ring).base_version();
                return Err(StoreError::Corrupt { graph: self.id.clone(), version, problem }.into());
            };
            let fingerprint = record.fingerprint;
            let ending = recall(&*self.store, &self.id, record.outcome).await?;
            operations.remember(id, Known { fingerprint, ending });
        }
        Ok(())
    }

    /// The graph in memory; loaded if it is not there yet.
    async fn hot<'m>(
        &self,
        memory: &'m mut Memory,
    ) -> Result<(&'m mut Graph, &'m mut Operations), WriteError> {
        if matches!(memory, Memory::Cold) {
            let (graph, ring) = log::load(&*self.store, self.rows.as_deref(), &self.id).await?;
            *lock(&self.ring) = ring;
            self.publish(&graph);
            *memory = Memory::Hot(Box::new(Loaded { graph, operations: Operations::default() }));
        }
        match memory {
            Memory::Hot(loaded) => Ok((&mut loaded.graph, &mut loaded.operations)),
            Memory::Cold => Err(WriteError::Stopped),
        }
    }

    /// Level with the log. What is remembered of operations goes with the history it was part of: a
    /// commit that a fail-over lost must not be acknowledged again (rules V4, C3).
    pub(super) async fn bring_level(
        &self,
        graph: &mut Graph,
        operations: &mut Operations,
    ) -> Result<Followed, WriteError> {
        let before = graph.head();
        // Readers meanwhile find nothing here, and look into the log.
        let mut ring = std::mem::replace(&mut *lock(&self.ring), Ring::after(before));
        let mut then = graph.clone();
        let result = log::bring_level(&*self.store, &self.id, &mut then, &mut ring).await;
        if result.is_ok() {
            *graph = then;
        }
        // After a failure half-way the ring may be ahead of the graph: start it anew.
        *lock(&self.ring) = if result.is_ok() { ring } else { Ring::after(graph.head()) };
        if graph.head() != before {
            self.publish(graph);
        }
        let followed = result?;
        if followed == Followed::OtherHistory {
            *operations = Operations::default();
        }
        Ok(followed)
    }

    pub(super) fn publish(&self, graph: &Graph) {
        self.view.send_replace(Some(Arc::new(View::new(graph.clone()))));
    }
}

/// How an operation ended, from its record and the commit it names.
pub(super) async fn recall(
    store: &dyn EventStore,
    graph: &GraphId,
    outcome: RecordedOutcome,
) -> Result<Ending, StoreError> {
    Ok(match outcome {
        RecordedOutcome::Committed { version } => match log::one(store, graph, version).await? {
            Some(recorded) => Ending::Completed {
                effect: Effect::Committed(recorded.commit.body.outcome),
                head: recorded.commit.head(),
                results: vec![],
            },
            None => {
                let problem = "an operation names this commit, and it is missing".to_owned();
                return Err(StoreError::Corrupt { graph: graph.clone(), version, problem });
            }
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

/// The ring is only locked to copy or push a few pointers, never across an await.
pub(super) fn lock(ring: &std::sync::Mutex<Ring>) -> std::sync::MutexGuard<'_, Ring> {
    ring.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits a little, differently for each writer, so that instances that race do not race again.
async fn jitter(attempt: u32, round: &Round) {
    let Some(seed) = round.entries.first().map(|entry| entry.operation.as_bytes()) else { return };
    let window = 1_u64 << attempt.min(6);
    let draw = u64::from(seed[15]) ^ u64::from(seed[7]).rotate_left(attempt);
    tokio::time::sleep(Duration::from_millis(draw % window)).await;
}
