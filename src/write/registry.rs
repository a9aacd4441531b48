//! The graphs in use: who asks for one gets the handle of its task, which is started if need be.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dao_projections::{GraphId, Head, Timestamp, Version};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;
use tracing::Span;

use super::{
    answer::{Answer, WriteError},
    mailbox::{MAILBOX_MAX, Message, Request},
    recent::{Recorded, Ring},
    task::{Clock, Task},
    view::View,
};
use crate::{
    domain::{Limits, Operation, OperationRecord, WriterId},
    store::{EventStore, ProjectionStore, StoreError, StoredCommit},
    telemetry::Metrics,
};

/// How graphs are kept.
#[derive(Clone)]
pub struct GraphsConfig {
    /// What a graph may hold.
    pub limits: Limits,
    /// How long a graph that nobody asks for stays in memory.
    pub idle: Duration,
    /// Graphs in memory at once; with one more, the one that was asked for longest ago goes, of
    /// those that nobody follows.
    pub hot_max: usize,
    /// Where commit timestamps come from.
    pub clock: Clock,
    /// Where snapshots are, if they are kept: what a cold start begins with.
    pub rows: Option<Arc<dyn ProjectionStore>>,
    /// What tells this registry's records from those of others over the same store.
    pub writer: WriterId,
    /// Where commands and appends are counted.
    pub metrics: Metrics,
}

impl Default for GraphsConfig {
    fn default() -> Self {
        let clock = || {
            let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            Timestamp(since_epoch.map_or(0, |elapsed| elapsed.as_millis() as u64))
        };
        // The end of a UUIDv7 is random.
        let [.., a, b, c, d] = *uuid::Uuid::now_v7().as_bytes();
        let random = [a, b, c, d];
        Self {
            limits: Limits::default(),
            idle: Duration::from_secs(300),
            hot_max: 10_000,
            clock: Arc::new(clock),
            rows: None,
            writer: WriterId(random),
            metrics: Metrics::default(),
        }
    }
}

/// A hot graph: what readers may look at without asking its task.
#[derive(Clone)]
pub struct Hot {
    mailbox: mpsc::Sender<Message>,
    view: watch::Receiver<Option<Arc<View>>>,
    ring: Arc<Mutex<Ring>>,
    last_used: Arc<AtomicU64>,
}

impl Hot {
    /// The graph after its latest commit known here; `None` before it is loaded.
    pub fn view(&self) -> Option<Arc<View>> {
        self.view.borrow().clone()
    }

    /// Its head after the latest commit known here; `None` before it is loaded.
    pub fn head(&self) -> Option<Head> {
        self.view.borrow().as_ref().map(|view| view.graph.head())
    }

    /// Whether anybody beside the registry looks at it, or waits for its task: every handle and every
    /// message that is not answered yet holds the ring. Handles are only got where the registry is
    /// locked; if this is false there, the mailbox is empty and stays so.
    fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.ring) > 2 // the registry's and the task's
    }

    fn send(&self, request: Request) -> Result<(), Unsent> {
        let message = Message { request, in_use: self.ring.clone() };
        self.mailbox.try_send(message).map_err(|unsent| match unsent {
            mpsc::error::TrySendError::Full(_) => Unsent::Full,
            mpsc::error::TrySendError::Closed(back) => Unsent::Ended(back.request),
        })
    }

    /// Takes what is known now as seen: [`Hot::changed`] waits for what comes after it.
    pub fn mark_seen(&mut self) {
        self.view.mark_unchanged();
    }

    /// Waits for the next change; false when the graph's task has ended.
    pub async fn changed(&mut self) -> bool {
        self.view.changed().await.is_ok()
    }

    /// The commits in `(since, …]`, at most `limit`, and the head at `since`, if memory reaches
    /// back to it.
    pub fn commits_since(&self, since: Version, limit: usize) -> Option<(Head, Vec<Arc<Recorded>>)> {
        let ring = lock(&self.ring);
        let from = ring.head_at(since)?;
        Some((from, ring.since(since)?.take(limit).cloned().collect()))
    }
}

/// Why a task was not told.
enum Unsent {
    /// Its mailbox is full.
    Full,
    /// It is no more; this is what it was not told.
    Ended(Request),
}

/// The answers to what was submitted; a closed channel means that the graph's task stopped.
pub type Answers = oneshot::Receiver<Result<Vec<Answer>, WriteError>>;

/// The registry of hot graphs, over one store.
pub struct Graphs {
    store: Arc<dyn EventStore>,
    config: GraphsConfig,
    tasks: TaskTracker,
    /// Guards which task a graph has; held to look up or change an entry, never across an await.
    hot: Arc<Mutex<HashMap<GraphId, Hot>>>,
    uses: AtomicU64,
    appended: Arc<watch::Sender<()>>,
}

impl Graphs {
    /// An empty registry: graphs are loaded as they are asked for.
    pub fn new(store: Arc<dyn EventStore>, config: GraphsConfig) -> Arc<Self> {
        let (tasks, hot) = (TaskTracker::new(), Arc::default());
        let appended = Arc::new(watch::Sender::new(()));
        Arc::new(Self { store, config, tasks, hot, uses: AtomicU64::new(0), appended })
    }

    /// The store below.
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    /// Where this process counts.
    pub fn metrics(&self) -> &Metrics {
        &self.config.metrics
    }

    /// Graphs in memory, and about how many bytes they hold: for who looks after the process.
    pub fn occupancy(&self) -> (usize, usize) {
        // No handle is held here: each would count as somebody who follows the graph.
        let held = |hot: &Hot| (hot.view(), Arc::downgrade(&hot.ring));
        let hot: Vec<_> = lock(&self.hot).values().map(held).collect();
        let bytes = hot.iter().map(|(view, ring)| {
            let ring = ring.upgrade().map_or(0, |ring| lock(&ring).bytes());
            ring + view.as_ref().map_or(0, |view| view.bytes())
        });
        (hot.len(), bytes.sum())
    }

    /// Changes whenever something was appended from here, to whichever graph.
    pub fn appended(&self) -> watch::Receiver<()> {
        self.appended.subscribe()
    }

    /// Where snapshots are, if they are kept.
    pub fn rows(&self) -> Option<&Arc<dyn ProjectionStore>> {
        self.config.rows.as_ref()
    }

    /// What a graph may hold.
    pub fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// Judges these operations one after the other and answers when all that they come to is
    /// durable; the answers are in their order. An error says nothing about any of them: sending
    /// them again under the same ids is safe (rule C3).
    pub async fn execute(
        &self,
        graph: &GraphId,
        operations: Vec<Operation>,
    ) -> Result<Vec<Answer>, WriteError> {
        self.submit(graph, operations)?.await.map_err(|_| WriteError::Stopped)?
    }

    /// As [`Graphs::execute`], in two steps: when this returns, the operations have their place
    /// after all that were submitted before.
    pub fn submit(&self, graph: &GraphId, operations: Vec<Operation>) -> Result<Answers, WriteError> {
        let (reply, answers) = oneshot::channel();
        let told = self.tell(graph, Request::Execute { operations, span: Span::current(), reply });
        if matches!(told, Err(WriteError::Overloaded)) {
            self.config.metrics.writing.overloaded.inc();
        }
        told.map(|()| answers)
    }

    /// How these operations ended, in the order asked; `None` for those that have not.
    pub async fn settled(
        &self,
        graph: &GraphId,
        ids: &[dao_projections::OperationId],
    ) -> Result<Vec<Option<OperationRecord>>, StoreError> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let found = self.store.operations(graph, ids).await?;
        Ok(found.into_iter().map(|record| OperationRecord::decode(&record?)).collect())
    }

    /// The graph brought level with the store.
    pub async fn refresh(&self, graph: &GraphId) -> Result<Arc<View>, WriteError> {
        let (reply, view) = oneshot::channel();
        self.tell(graph, Request::Refresh { reply })?;
        view.await.map_err(|_| WriteError::Stopped)?
    }

    /// Takes over commits that are said to have been made elsewhere, if the graph is in memory. They
    /// need not be true, nor be all. An error says that the graph may be behind still.
    pub async fn hear(&self, graph: &GraphId, commits: Vec<StoredCommit>) -> Result<(), WriteError> {
        let Some(hot) = lock(&self.hot).get(graph).cloned() else { return Ok(()) };
        let (reply, done) = oneshot::channel();
        match hot.send(Request::Hear { commits, reply }) {
            Ok(()) => {}
            Err(Unsent::Full) => return Err(WriteError::Overloaded),
            Err(Unsent::Ended(_)) => return Ok(()), // it is in memory no more
        }
        done.await.map_err(|_| WriteError::Stopped)?
    }

    /// The handle of the graph's task.
    pub fn hot(&self, graph: &GraphId) -> Hot {
        let now = self.uses.fetch_add(1, Ordering::Relaxed);
        let mut hot = lock(&self.hot);
        if let Some(found) = hot.get(graph) {
            found.last_used.store(now, Ordering::Relaxed);
            return found.clone();
        }
        if hot.len() >= self.config.hot_max {
            // A graph in use stays: its followers must not be left with an old task, nor may a task with
            // work go on behind the back of a new one.
            let idle = hot.iter().filter(|(_, hot)| !hot.is_in_use());
            let oldest = idle.min_by_key(|(_, hot)| hot.last_used.load(Ordering::Relaxed));
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                hot.remove(&oldest);
            }
        }
        let started = self.start(graph, now);
        hot.insert(graph.clone(), started.clone());
        started
    }

    /// The handle of the graph's task, if it has one. Is no use of the graph: it stays no longer for it.
    pub fn in_memory(&self, graph: &GraphId) -> Option<Hot> {
        lock(&self.hot).get(graph).cloned()
    }

    /// The commits in `(at, to]`, at most `limit`, as far as they follow on exactly this head in the memory of a graph
    /// in use; `None` where there is none of them.
    pub fn remembered(
        &self,
        graph: &GraphId,
        at: Head,
        to: Version,
        limit: usize,
    ) -> Option<Vec<Arc<Recorded>>> {
        let wanted = usize::try_from(to.since(at.version)).unwrap_or(limit).min(limit);
        let (from, commits) = self.in_memory(graph)?.commits_since(at.version, wanted)?;
        (from == at && !commits.is_empty()).then_some(commits)
    }

    /// Stops: no graph is loaded any more, and everything that waits is answered first.
    pub async fn close(&self) {
        self.tasks.close();
        lock(&self.hot).clear();
        self.tasks.wait().await;
    }

    fn tell(&self, graph: &GraphId, request: Request) -> Result<(), WriteError> {
        let mut request = request;
        // A task may have died between the look-up and the message; then a new one is started.
        for _ in 0..3 {
            match self.hot(graph).send(request) {
                Ok(()) => return Ok(()),
                Err(Unsent::Full) => return Err(WriteError::Overloaded),
                Err(Unsent::Ended(back)) => request = back,
            }
            self.forget_ended(graph);
        }
        Err(WriteError::Stopped)
    }

    fn start(&self, graph: &GraphId, now: u64) -> Hot {
        let (sender, mailbox) = mpsc::channel(MAILBOX_MAX);
        let (view_sender, view) = watch::channel(None);
        let ring = Arc::new(Mutex::new(Ring::default()));
        let task = Task {
            id: graph.clone(),
            store: self.store.clone(),
            rows: self.config.rows.clone(),
            limits: self.config.limits,
            clock: self.config.clock.clone(),
            mailbox,
            view: view_sender,
            ring: ring.clone(),
            idle: self.config.idle,
            writer: self.config.writer,
            appended: self.appended.clone(),
            metrics: self.config.metrics.clone(),
        };
        let (registry, id, own) = (Arc::downgrade(&self.hot), graph.clone(), sender.downgrade());
        let retire = move || {
            let Some(registry) = registry.upgrade() else { return true };
            let mut hot = lock(&registry);
            let is_own = |hot: &Hot| own.upgrade().is_some_and(|own| own.same_channel(&hot.mailbox));
            let Some(found) = hot.get(&id).filter(|hot| is_own(hot)) else { return true };
            let is_in_use = found.is_in_use();
            if !is_in_use {
                hot.remove(&id);
            }
            !is_in_use
        };
        self.tasks.spawn(task.run(retire));
        Hot { mailbox: sender, view, ring, last_used: Arc::new(AtomicU64::new(now)) }
    }

    /// Forgets a task that has ended, so that the next look-up starts another.
    fn forget_ended(&self, graph: &GraphId) {
        let mut hot = lock(&self.hot);
        if hot.get(graph).is_some_and(|hot| hot.mailbox.is_closed()) {
            hot.remove(graph);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
