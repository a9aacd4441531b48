//! A store whose calls can be held up, are counted, and can be made to fail.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use dao_api::store::{
    Append, Durability, Entry, EventStore, GraphFilter, OperationPlaces, Order, RefusalPlace, StoreError,
    StoredCommit, StoredRefusal,
};
use dao_projections::{GraphId, Head, OperationId, Version};
use tokio::sync::watch;

/// The calls that can be held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    Append,
    Head,
    Read,
    Operations,
}

/// What happened at the gate so far.
#[derive(Clone, Debug, Default)]
struct Seen {
    held: Option<Call>,
    /// The heads of graphs whose names begin so are held up.
    held_heads: Option<&'static str>,
    arrived: HashMap<Call, usize>,
}

/// Passes everything on to another store, once the gate is open for it.
pub(crate) struct GatedStore {
    inner: Arc<dyn EventStore>,
    is_shared: AtomicBool,
    /// Whether appends panic, which no store should.
    panics: AtomicBool,
    seen: watch::Sender<Seen>,
    commits_read: AtomicU64,
    /// How long each read takes.
    read_takes: Mutex<Duration>,
    /// The graph whose history can't be read.
    refused: Mutex<Option<GraphId>>,
}

impl GatedStore {
    /// Open for all.
    pub(crate) fn to(inner: Arc<dyn EventStore>) -> Arc<Self> {
        let is_shared = AtomicBool::new(inner.is_shared());
        Arc::new(Self {
            inner,
            is_shared,
            panics: AtomicBool::new(false),
            seen: watch::Sender::default(),
            commits_read: AtomicU64::new(0),
            read_takes: Mutex::default(),
            refused: Mutex::default(),
        })
    }

    /// One that others may write to as well.
    pub(crate) fn shared(inner: Arc<dyn EventStore>) -> Arc<Self> {
        let store = Self::to(inner);
        store.is_shared.store(true, Ordering::SeqCst);
        store
    }

    /// Whether appends panic from now on.
    pub(crate) fn set_panics(&self, panics: bool) {
        self.panics.store(panics, Ordering::SeqCst);
    }

    pub(crate) fn set_read_takes(&self, time: Duration) {
        *self.read_takes.lock().expect("no panic while locked") = time;
    }

    /// From now on reads of this graph fail, as if the store was away for them alone.
    pub(crate) fn refuse_reads_of(&self, graph: Option<&str>) {
        let graph = graph.map(|graph| GraphId::parse(graph).expect("a graph id"));
        *self.refused.lock().expect("no panic while locked") = graph;
    }

    /// From now on such calls wait, until the gate is opened.
    pub(crate) fn hold(&self, call: Call) {
        self.seen.send_modify(|seen| (seen.held, seen.arrived) = (Some(call), HashMap::new()));
    }

    /// From now on the heads of graphs whose names begin so are waited for, until the gate is opened.
    pub(crate) fn hold_heads_of(&self, prefix: &'static str) {
        self.seen.send_modify(|seen| seen.held_heads = Some(prefix));
    }

    pub(crate) fn open(&self) {
        self.seen.send_modify(|seen| (seen.held, seen.held_heads) = (None, None));
    }

    /// Waits until so many such calls came since they are held up.
    pub(crate) async fn has_arrived(&self, call: Call, count: usize) {
        let mut seen = self.seen.subscribe();
        let is_there = |seen: &Seen| seen.arrived.get(&call).is_some_and(|arrived| *arrived >= count);
        let waited = tokio::time::timeout(Duration::from_secs(30), seen.wait_for(is_there)).await;
        waited.expect("it arrives in time").expect("the store is there");
    }

    /// How many such calls came since some were held up.
    pub(crate) fn arrived(&self, call: Call) -> usize {
        self.seen.borrow().arrived.get(&call).copied().unwrap_or(0)
    }

    /// How many commits were read so far.
    pub(crate) fn commits_read(&self) -> u64 {
        self.commits_read.load(Ordering::SeqCst)
    }

    async fn pass(&self, call: Call) {
        self.seen.send_modify(|seen| *seen.arrived.entry(call).or_default() += 1);
        let mut seen = self.seen.subscribe();
        drop(seen.wait_for(|seen| seen.held != Some(call)).await.expect("the store is there"));
        tokio::task::yield_now().await; // no store answers at once
    }
}

#[async_trait]
impl EventStore for GatedStore {
    async fn append(&self, graph: &GraphId, expected: Head, entries: &[Entry]) -> Result<Append, StoreError> {
        self.pass(Call::Append).await;
        assert!(!self.panics.load(Ordering::SeqCst), "a mistake that a test makes");
        self.inner.append(graph, expected, entries).await
    }

    async fn append_copied(
        &self,
        graph: &GraphId,
        expected: Head,
        copied: &[StoredCommit],
        entries: &[Entry],
    ) -> Result<Append, StoreError> {
        self.pass(Call::Append).await;
        self.inner.append_copied(graph, expected, copied, entries).await
    }

    async fn head(&self, graph: &GraphId) -> Result<Head, StoreError> {
        self.pass(Call::Head).await;
        let is_held = |seen: &Seen| seen.held_heads.is_some_and(|prefix| graph.as_str().starts_with(prefix));
        drop(self.seen.subscribe().wait_for(|seen| !is_held(seen)).await.expect("the store is there"));
        self.inner.head(graph).await
    }

    async fn read(
        &self,
        graph: &GraphId,
        after: Version,
        to: Version,
        limit: usize,
    ) -> Result<Vec<StoredCommit>, StoreError> {
        self.pass(Call::Read).await;
        let time = *self.read_takes.lock().expect("no panic while locked");
        tokio::time::sleep(time).await;
        if self.refused.lock().expect("no panic while locked").as_ref() == Some(graph) {
            return Err(StoreError::Unavailable("not this graph".to_owned()));
        }
        let found = self.inner.read(graph, after, to, limit).await?;
        self.commits_read.fetch_add(found.len() as u64, Ordering::SeqCst);
        Ok(found)
    }

    async fn operations(
        &self,
        graph: &GraphId,
        ids: &[OperationId],
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.pass(Call::Operations).await;
        self.inner.operations(graph, ids).await
    }

    async fn find_operation(
        &self,
        id: OperationId,
        wanted: GraphFilter,
        limit: usize,
    ) -> Result<OperationPlaces, StoreError> {
        self.inner.find_operation(id, wanted, limit).await
    }

    async fn refusals(
        &self,
        graph: &GraphId,
        between: (RefusalPlace, RefusalPlace),
        order: Order,
        limit: usize,
    ) -> Result<Vec<StoredRefusal>, StoreError> {
        self.inner.refusals(graph, between, order, limit).await
    }

    async fn graphs(&self, after: Option<&GraphId>, limit: usize) -> Result<Vec<GraphId>, StoreError> {
        self.inner.graphs(after, limit).await
    }

    fn is_shared(&self) -> bool {
        self.is_shared.load(Ordering::SeqCst)
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.inner.check().await
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    fn location(&self) -> String {
        self.inner.location()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
