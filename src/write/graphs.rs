//! The graphs over one store: what is asked of them, and the tasks that answer.
//!
//! Invariant: a graph that nobody has written to costs a look at its head. It gets a task only for a command, and
//! none that stays. Not here: which graphs stay in memory ([`super::registry`]).

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use dao_projections::{Graph, GraphId, Head, LabelName, Timestamp, Version};
use futures::FutureExt;
use tokio::sync::{Semaphore, SemaphorePermit, broadcast, oneshot, watch};
use tokio_util::task::TaskTracker;
use tracing::Span;

use super::{
    append_signals::{AppendSignals, ListingChange},
    graph_task::{Clock, GraphTask},
    mailbox::{self, Request, SendError},
    published::GraphWatch,
    registry::{Registry, TaskParts},
    reply::{Reply, WriteError},
    ring::Recorded,
    view::View,
};
use crate::{
    domain::{Limits, Operation, OperationRecord, WriterId},
    store::{EventStore, ProjectionStore, StoreError, StoredCommit},
    telemetry::Metrics,
};

/// Bytes that graphs in memory may take, unless configured: with all that a server needs beside them it fits a machine
/// of 2 GiB.
pub const HOT_BYTES_MAX: usize = 768 << 20;
/// Reads that wait for a version at the same time; one more is told so.
const VERSION_WAITS_MAX: usize = 1_024;

/// How graphs are kept.
#[derive(Clone)]
pub struct GraphsConfig {
    /// What a graph may hold.
    pub limits: Limits,
    /// Labels that only those with the right `admin` set and remove (rule L12).
    pub protected_labels: Arc<[LabelName]>,
    /// How long a graph that nobody asks for stays in memory.
    pub idle: Duration,
    /// Graphs in memory at once; with one more, the one that was asked for longest ago goes, of
    /// those that nobody follows.
    pub hot_max: usize,
    /// Bytes that graphs in memory may take, about; beyond, those that nobody follows go, and then no more are
    /// loaded.
    pub hot_bytes_max: usize,
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
            protected_labels: LabelName::parse("published").into_iter().collect(),
            idle: Duration::from_secs(300),
            hot_max: 10_000,
            hot_bytes_max: HOT_BYTES_MAX,
            clock: Arc::new(clock),
            rows: None,
            writer: WriterId(random),
            metrics: Metrics::default(),
        }
    }
}

/// The answers to what was submitted; a closed channel means that the graph's task stopped.
pub type Replies = oneshot::Receiver<Result<Vec<Reply>, WriteError>>;

/// The graphs over one store.
pub struct Graphs {
    store: Arc<dyn EventStore>,
    config: GraphsConfig,
    tasks: TaskTracker,
    registry: Arc<Registry>,
    signals: Arc<AppendSignals>,
    version_waits: Semaphore,
}

impl Graphs {
    /// None is in memory: they are loaded as they are asked for.
    pub fn new(store: Arc<dyn EventStore>, config: GraphsConfig) -> Arc<Self> {
        let registry = Registry::new(config.hot_max, config.hot_bytes_max, config.metrics.clone());
        let (tasks, signals) = (TaskTracker::new(), Arc::new(AppendSignals::new()));
        let version_waits = Semaphore::new(VERSION_WAITS_MAX);
        Arc::new(Self { store, config, tasks, registry, signals, version_waits })
    }

    /// The store below.
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    /// Where this process counts.
    pub fn metrics(&self) -> &Metrics {
        &self.config.metrics
    }

    /// Graphs in memory, and about how many bytes they hold, with what is encoded of them.
    pub fn occupancy(&self) -> (usize, usize) {
        (self.registry.len(), self.registry.budget().held())
    }

    /// Changes whenever something was appended from here, to whichever graph.
    pub fn appended(&self) -> watch::Receiver<()> {
        self.signals.appended()
    }

    /// Something was written to the feed beside the tasks of graphs.
    pub fn tell_appended(&self) {
        self.signals.tell_appended();
    }

    /// What changes from now on, by commands given here, as lists of graphs show it. A receiver that is far behind misses
    /// some of it.
    pub fn listing_changes(&self) -> broadcast::Receiver<ListingChange> {
        self.signals.listing_changes()
    }

    /// Where snapshots are, if they are kept.
    pub fn rows(&self) -> Option<&Arc<dyn ProjectionStore>> {
        self.config.rows.as_ref()
    }

    /// The time by the clock of commits.
    pub fn now(&self) -> Timestamp {
        (self.config.clock)()
    }

    /// What a graph may hold.
    pub fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// Labels that only those with the right `admin` set and remove.
    pub fn protected_labels(&self) -> &[LabelName] {
        &self.config.protected_labels
    }

    /// Judges these operations one after the other and answers when all that they come to is
    /// durable; the answers are in their order. An error says nothing about any of them: sending
    /// them again under the same ids is safe (rule C3).
    pub async fn execute(
        &self,
        graph: &GraphId,
        operations: Vec<Operation>,
    ) -> Result<Vec<Reply>, WriteError> {
        self.submit(graph, operations)?.await.map_err(|_| WriteError::Failed)?
    }

    /// As [`Graphs::execute`], in two steps: when this returns, the operations have their place
    /// after all that were submitted before.
    pub fn submit(&self, graph: &GraphId, operations: Vec<Operation>) -> Result<Replies, WriteError> {
        let (reply, answers) = oneshot::channel();
        let told = self.send(graph, Request::Execute { operations, span: Span::current(), reply });
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

    /// The graph brought up to date with the store. One that nobody has written to is not kept in memory.
    pub async fn refresh(&self, graph: &GraphId) -> Result<Arc<View>, WriteError> {
        if self.registry.hot(graph).is_none() && self.store.head(graph).await? == Head::EMPTY {
            if let Some(published) = self.registry.watched(graph) {
                published.publish_unwritten();
            }
            return Ok(Arc::new(View::new(Graph::empty(), self.registry.budget())));
        }
        let (reply, view) = oneshot::channel();
        self.send(graph, Request::Refresh { reply })?;
        view.await.map_err(|_| WriteError::Failed)?
    }

    /// Takes over commits that are said to have been made elsewhere, if the graph is in memory or looked at. They
    /// need not be true, nor be all. An error says that the graph may be behind still.
    pub async fn apply_remote_commits(
        &self,
        graph: &GraphId,
        commits: Vec<StoredCommit>,
    ) -> Result<(), WriteError> {
        let Some(mailbox) = self.registry.open_mailbox(graph) else {
            return match self.registry.watched(graph) {
                // Followers of a graph that nobody had written to: now somebody has.
                Some(_watched) => self.refresh(graph).await.map(drop),
                None => Ok(()),
            };
        };
        let (reply, done) = oneshot::channel();
        match mailbox::send(mailbox, Request::RemoteCommits { commits, reply }) {
            Ok(()) => {}
            Err(SendError::Full) => return Err(WriteError::Overloaded),
            Err(SendError::Ended(_)) => return Ok(()), // it is in memory no more
        }
        done.await.map_err(|_| WriteError::Failed)?
    }

    /// The graph as readers see it, if it is in memory.
    pub fn view(&self, graph: &GraphId) -> Option<Arc<View>> {
        self.registry.used(graph)?.view()
    }

    /// A handle to look at the graph with, whether or not it is in memory. As long as it is held the graph is not let
    /// go of, once it is there.
    pub fn hot(&self, graph: &GraphId) -> GraphWatch {
        GraphWatch::of(self.registry.published(graph))
    }

    /// The same, if the graph is in memory. Is no use of the graph: it stays no longer for it.
    pub fn in_memory(&self, graph: &GraphId) -> Option<GraphWatch> {
        self.registry.hot(graph).map(GraphWatch::of)
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

    /// A graph that was made for one reader, as a view. It counts as held for as long as it is.
    pub async fn view_of(&self, graph: Graph) -> Result<Arc<View>, WriteError> {
        let view = Arc::new(View::of_its_own(graph, self.registry.budget()));
        if self.registry.budget().is_over() && !self.registry.find_room().await {
            return Err(WriteError::MemoryFull);
        }
        Ok(view)
    }

    /// A place among the reads that wait for a version.
    pub fn place_to_wait(&self) -> Result<SemaphorePermit<'_>, WriteError> {
        self.version_waits.try_acquire().map_err(|_| WriteError::Overloaded)
    }

    /// The head that the store has after `pause`. All who wait for that of one graph share one look; later callers
    /// wait for less time.
    pub async fn next_head(
        &self,
        graph: &GraphWatch,
        id: &GraphId,
        pause: Duration,
    ) -> Result<Head, StoreError> {
        let look = {
            let next = &graph.published().next_head;
            let mut next = next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            // One that is over, and that others have not taken note of yet, says nothing new.
            let under_way =
                next.as_ref().and_then(|look| look.upgrade()).filter(|look| look.peek().is_none());
            under_way.unwrap_or_else(|| {
                let (store, id) = (self.store.clone(), id.clone());
                let look = async move {
                    tokio::time::sleep(pause).await;
                    store.head(&id).await
                };
                let look = look.boxed().shared();
                *next = look.downgrade();
                look
            })
        };
        look.await
    }

    /// Stops: no graph is loaded any more, and everything that waits is answered first.
    pub async fn close(&self) {
        self.tasks.close();
        self.registry.close();
        self.tasks.wait().await;
    }

    fn send(&self, graph: &GraphId, request: Request) -> Result<(), WriteError> {
        let mut request = request;
        // A task may have died between the look-up and the message; then a new one is started.
        for _ in 0..3 {
            let open = self.registry.mailbox(graph, |started| self.start(graph, started));
            match mailbox::send(open.ok_or(WriteError::Stopped)?, request) {
                Ok(()) => return Ok(()),
                Err(SendError::Full) => return Err(WriteError::Overloaded),
                Err(SendError::Ended(back)) => request = back,
            }
            self.registry.forget_ended(graph);
        }
        Err(WriteError::Failed)
    }

    fn start(&self, graph: &GraphId, TaskParts { published, messages, own }: TaskParts) {
        // Who holds it is taken for one who watches the graph.
        let shown = Arc::downgrade(&published);
        let task = GraphTask {
            id: graph.clone(),
            store: self.store.clone(),
            rows: self.config.rows.clone(),
            limits: self.config.limits,
            clock: self.config.clock.clone(),
            mailbox: messages,
            own,
            published,
            registry: Arc::downgrade(&self.registry),
            idle: self.config.idle,
            writer: self.config.writer,
            signals: self.signals.clone(),
            metrics: self.config.metrics.clone(),
        };
        let (registry, id, metrics) =
            (Arc::downgrade(&self.registry), graph.clone(), self.config.metrics.clone());
        self.tasks.spawn(async move {
            let Err(panic) = AssertUnwindSafe(task.run()).catch_unwind().await else { return };
            // What it had shown is durable, whether or not it came to tell of it.
            if let Some(shown) = shown.upgrade() {
                shown.announce();
            }
            // Those who waited are told by the loss of their answers.
            tracing::error!(graph = %id, panic = said_by(&*panic), "a graph's task panicked: the next request starts another");
            metrics.writing.task_panics.inc();
            if let Some(registry) = registry.upgrade() {
                registry.forget_ended(&id);
            }
        });
    }
}

/// What a panic said.
fn said_by(panic: &(dyn Any + Send)) -> &str {
    let said = panic.downcast_ref::<&str>().copied();
    said.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}
