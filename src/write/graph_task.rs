//! The task of one hot graph: it owns the graph, and it alone writes to it from this process.
//!
//! A round is: take everything that waits, decide, append once, answer. The loop moves messages and
//! asks the store; [`super::round`] decides. Nothing is answered before it is durable, and an append
//! whose outcome is unknown is found out about before anybody is told anything.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use dao_projections::{Graph, GraphId, Head, Timestamp};
use tokio::{sync::mpsc, time::Instant};
use tracing::{Instrument, Span};

use super::{
    append_signals::AppendSignals,
    blocking::run_blocking,
    conflict_window::OlderCommits,
    copy,
    ended_operations::EndedOperations,
    history_reader::CatchUp,
    mailbox::{InUse, Message, ReplySender, RoundRequests},
    past::{self, Sources},
    published::PublishedGraph,
    registry::{Registry, RetireWhen},
    reply::{Reply, WriteError},
    ring::Ring,
    round::{Round, RoundContext},
    version_at_time::last_until,
    view::View,
    write_metrics,
};
use crate::{
    domain::{HistoryMissing, Limits, Operation, WriterId},
    store::{Append, EventStore, ProjectionStore},
    telemetry::Metrics,
};

/// Operations that bring more than this many entities are not judged while others wait for the
/// thread.
const INLINE_WEIGHT_MAX: usize = 256;
/// How often a round is decided again because another instance was faster, or an operation turned
/// out to have ended before. Then its authors are told to try again.
const ROUND_ATTEMPTS_MAX: u32 = 24;
/// Milliseconds since the Unix epoch, by whatever clock the owner keeps.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What a task works with.
pub(super) struct GraphTask {
    pub(super) id: GraphId,
    pub(super) store: Arc<dyn EventStore>,
    pub(super) rows: Option<Arc<dyn ProjectionStore>>,
    pub(super) limits: Limits,
    pub(super) clock: Clock,
    pub(super) mailbox: mpsc::Receiver<Message>,
    /// Its own end of the mailbox, which tells it from others of the same graph.
    pub(super) own: mpsc::WeakSender<Message>,
    /// Where the graph is shown.
    pub(super) published: Arc<PublishedGraph>,
    pub(super) registry: Weak<Registry>,
    pub(super) idle: Duration,
    pub(super) writer: WriterId,
    /// Told of every append that ended, well or in doubt.
    pub(super) signals: Arc<AppendSignals>,
    pub(super) metrics: Metrics,
}

/// What it has learnt of the graph; nothing before the first load.
pub(super) enum Memory {
    Cold,
    Hot(Box<LoadedGraph>),
}

/// A loaded graph, and how it came to be so lately.
pub(super) struct LoadedGraph {
    pub(super) graph: Graph,
    /// The task's own: what is judged looks back into it without a lock. The published state has a copy.
    pub(super) ring: Ring,
    pub(super) operations: EndedOperations,
    /// Whether the registry counts it as one that is in memory.
    pub(super) is_settled: bool,
}

impl GraphTask {
    /// Works until nothing was asked for `idle` or every handle is dropped. When it goes idle it asks the registry to
    /// see to it that nobody finds it any more; that fails while it is in use. A graph that nobody has written to does
    /// not stay for that long.
    pub(super) async fn run(mut self) {
        let mut memory = Memory::Cold;
        let mut used_at = Instant::now();
        // One timer for the task's life: it is looked at when it fires, not reset for each message.
        let mut alarm = std::pin::pin!(tokio::time::sleep_until(used_at + self.idle));
        loop {
            // Receiving is cancel-safe: a message that is not taken stays where it is.
            tokio::select! {
                biased;
                message = self.mailbox.recv() => {
                    let Some(first) = message else { return };
                    if self.serve(first, &mut memory).await {
                        used_at = Instant::now();
                    }
                    if memory.is_of_nothing() && self.retire(RetireWhen::Unasked) {
                        return;
                    }
                }
                () = &mut alarm => {
                    if used_at + self.idle <= Instant::now() {
                        if self.retire(RetireWhen::Unused) {
                            return;
                        }
                        used_at = Instant::now();
                    }
                    alarm.as_mut().reset(used_at + self.idle);
                }
            }
        }
    }

    fn retire(&self, leave: RetireWhen) -> bool {
        self.registry.upgrade().is_some_and(|registry| registry.retire(&self.id, &self.own, leave))
    }

    /// Everything that waits: all reads are answered by one look into the store, then all operations
    /// judged in one round. So neither holds up the other for longer than that. Whether anybody had asked.
    async fn serve(&mut self, first: Message, memory: &mut Memory) -> bool {
        let mut waiting = RoundRequests::default();
        let mut next = Some(first);
        while let Some(message) = next {
            waiting.add(message);
            next = if waiting.is_full() { None } else { self.mailbox.try_recv().ok() };
        }
        let is_asked = waiting.is_asked();
        let RoundRequests { operations, writers, spans, readers, remote, shorten, .. } = waiting;
        if shorten {
            self.shorten(memory);
        }
        for (commits, reply, _in_use) in remote {
            let _gone = reply.send(self.apply_remote_commits(&commits, memory).await);
        }
        if !readers.is_empty() {
            let view = self.refresh(memory).await;
            for (reply, _in_use) in readers {
                let _gone = reply.send(view.clone());
            }
        }
        if !operations.is_empty() {
            self.answer(operations, writers, &spans, memory).await;
        }
        is_asked
    }

    async fn answer(
        &self,
        operations: Vec<Vec<Operation>>,
        writers: Vec<(ReplySender<Vec<Reply>>, Option<InUse>)>,
        spans: &[Span],
        memory: &mut Memory,
    ) {
        let span = self.round_span(&operations, spans);
        match self.execute(&operations, memory).instrument(span).await {
            Ok(answers) => {
                write_metrics::answered(&self.metrics, &operations, &answers);
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
        // After the authors, who wait for less.
        self.published.announce();
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
        let loaded = self.hot(memory).await?;
        self.catch_up(loaded).await?;
        Ok(self.shown(loaded))
    }

    /// Decides all of `requests` in one round and appends once.
    async fn execute(
        &self,
        requests: &[Vec<Operation>],
        memory: &mut Memory,
    ) -> Result<Vec<Reply>, WriteError> {
        let loaded = self.hot(memory).await?;
        let answers = self.round(requests, loaded).await;
        loaded.operations.trim();
        self.count_held(loaded);
        answers
    }

    /// Load–decide–append–resync, but for the loading.
    async fn round(
        &self,
        requests: &[Vec<Operation>],
        loaded: &mut LoadedGraph,
    ) -> Result<Vec<Reply>, WriteError> {
        let mut older = OlderCommits::default();
        for attempt in 0..ROUND_ATTEMPTS_MAX {
            self.learn_of_dependencies(requests, loaded).await?;
            let mut round = self.decide(loaded, requests, &mut older).await?;
            if self.learn_of_unrecorded(&round, loaded).await? {
                continue;
            }
            if round.entries.is_empty() {
                let judged_on = loaded.graph.head();
                match self.confirm(loaded).await? {
                    // It is no other history: memory was behind, as others went on.
                    CatchUp::Complete if loaded.graph.head() != judged_on && round.refuses_by_state() => {
                        continue;
                    }
                    CatchUp::Complete | CatchUp::NoRoom => return Ok(round.answers),
                    CatchUp::OtherHistory => {
                        older = OlderCommits::default();
                        continue;
                    }
                }
            }
            self.refuse_to_grow(&loaded.graph, &round.graph)?;
            let outcome = self.append(loaded.graph.head(), &round).await;
            let has_commits = !round.commits.is_empty();
            if matches!(outcome, Ok(Append::Appended)) {
                self.adopt(loaded, &mut round);
            }
            // Also where it failed: what is in doubt may have landed.
            if matches!(outcome, Ok(Append::Appended) | Err(_)) && has_commits {
                self.signals.tell_appended();
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
            if self.catch_up(loaded).await? == CatchUp::OtherHistory {
                older = OlderCommits::default();
            }
            self.learn(loaded, records).await?;
        }
        Err(WriteError::Contended)
    }

    /// Whether what is remembered is still of the store's history. It is asked where nothing is appended,
    /// and another process could have put another history in its place: a commit that a fail-over lost must
    /// not be acknowledged again (rules V4, C3).
    async fn confirm(&self, loaded: &mut LoadedGraph) -> Result<CatchUp, WriteError> {
        match self.store.is_shared() {
            true => self.catch_up(loaded).await,
            false => Ok(CatchUp::Complete),
        }
    }

    /// The synchronous round, with the history it asks for read where it is not in memory. Nothing is locked
    /// meanwhile: what it looks back into is the task's own.
    async fn decide(
        &self,
        loaded: &LoadedGraph,
        requests: &[Vec<Operation>],
        older: &mut OlderCommits,
    ) -> Result<Round, WriteError> {
        let LoadedGraph { graph, ring, operations, .. } = loaded;
        let mut round = Round::on(graph.clone(), self.writer);
        older.begin_round();
        let now = (self.clock)();
        for request in requests {
            round.begin(request);
            for operation in request {
                let weight = operation.weight_on(&round.graph);
                loop {
                    let mut take = || {
                        let around = RoundContext { ring, operations, graph, limits: &self.limits, now };
                        round.take(operation, &around, older)
                    };
                    let weight = weight + older.undone_weight();
                    let taken = if weight > INLINE_WEIGHT_MAX { run_blocking(take) } else { take() };
                    let Err(missing) = taken else { break };
                    if let HistoryMissing::Source(from) = missing {
                        let source = copy::read(&*self.store, self.rows.as_deref(), &from).await?;
                        older.keep_source(*from, source);
                        continue;
                    }
                    if let HistoryMissing::VersionAt(time) = missing {
                        let (store, head) = (&*self.store, graph.head().version);
                        older.keep_version_at(time, last_until(store, &self.id, head, time).await?);
                        continue;
                    }
                    if let HistoryMissing::Past(undone) = missing {
                        let past = past::read(&self.sources(ring, &round), &undone).await?;
                        older.keep_past(undone, past);
                        continue;
                    }
                    let (base, around) = (ring.base_version(), (requests, &round.graph));
                    older
                        .read(
                            (&*self.store, self.rows.as_deref(), &self.id),
                            missing,
                            operation,
                            around,
                            base,
                        )
                        .await?;
                }
            }
        }
        Ok(round)
    }

    fn sources<'a>(&'a self, ring: &'a Ring, round: &'a Round) -> Sources<'a> {
        Sources {
            store: &*self.store,
            rows: self.rows.as_deref(),
            id: &self.id,
            ring,
            pending: &round.commits,
            graph: &round.graph,
        }
    }
}

impl Memory {
    /// Whether it is a graph that nobody has written to, or none that could be loaded.
    fn is_of_nothing(&self) -> bool {
        match self {
            Self::Cold => true,
            Self::Hot(loaded) => loaded.graph.head() == Head::EMPTY,
        }
    }
}

/// Waits a little, differently for each writer, so that instances that race do not race again.
async fn jitter(attempt: u32, round: &Round) {
    let Some(seed) = round.entries.first().map(|entry| entry.operation.as_bytes()) else { return };
    let window = 1_u64 << attempt.min(6);
    let draw = u64::from(seed[15]) ^ u64::from(seed[7]).rotate_left(attempt);
    tokio::time::sleep(Duration::from_millis(draw % window)).await;
}
