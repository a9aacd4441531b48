//! A store that can go away, and come back with another history.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use dao_api::store::{
    Append, Durability, Entry, EventStore, GraphFilter, OperationPlaces, Order, RefusalPlace, StoreError,
    StoredCommit, StoredRefusal,
};
use dao_projections::{GraphId, Head, OperationId, Version};

/// Passes everything on to the store it is switched to, as one that others may write to as well.
pub(crate) struct SwitchedStore {
    inner: Mutex<Arc<dyn EventStore>>,
    is_away: AtomicBool,
}

impl SwitchedStore {
    pub(crate) fn to(inner: Arc<dyn EventStore>) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::new(inner), is_away: AtomicBool::new(false) })
    }

    /// From now on this is what it holds.
    pub(crate) fn switch(&self, inner: Arc<dyn EventStore>) {
        *self.inner.lock().expect("no panic while locked") = inner;
    }

    pub(crate) fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    fn reach(&self) -> Result<Arc<dyn EventStore>, StoreError> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("switched off by the test".into()));
        }
        Ok(self.now())
    }

    fn now(&self) -> Arc<dyn EventStore> {
        self.inner.lock().expect("no panic while locked").clone()
    }
}

#[async_trait]
impl EventStore for SwitchedStore {
    async fn append(&self, graph: &GraphId, expected: Head, entries: &[Entry]) -> Result<Append, StoreError> {
        self.reach()?.append(graph, expected, entries).await
    }

    async fn append_copied(
        &self,
        graph: &GraphId,
        expected: Head,
        copied: &[StoredCommit],
        entries: &[Entry],
    ) -> Result<Append, StoreError> {
        self.reach()?.append_copied(graph, expected, copied, entries).await
    }

    async fn head(&self, graph: &GraphId) -> Result<Head, StoreError> {
        self.reach()?.head(graph).await
    }

    async fn read(
        &self,
        graph: &GraphId,
        after: Version,
        to: Version,
        limit: usize,
    ) -> Result<Vec<StoredCommit>, StoreError> {
        self.reach()?.read(graph, after, to, limit).await
    }

    async fn operations(
        &self,
        graph: &GraphId,
        ids: &[OperationId],
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.reach()?.operations(graph, ids).await
    }

    async fn find_operation(
        &self,
        id: OperationId,
        wanted: GraphFilter,
        limit: usize,
    ) -> Result<OperationPlaces, StoreError> {
        self.reach()?.find_operation(id, wanted, limit).await
    }

    async fn refusals(
        &self,
        graph: &GraphId,
        between: (RefusalPlace, RefusalPlace),
        order: Order,
        limit: usize,
    ) -> Result<Vec<StoredRefusal>, StoreError> {
        self.reach()?.refusals(graph, between, order, limit).await
    }

    async fn graphs(&self, after: Option<&GraphId>, limit: usize) -> Result<Vec<GraphId>, StoreError> {
        self.reach()?.graphs(after, limit).await
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.reach()?.check().await
    }

    fn durability(&self) -> Durability {
        self.now().durability()
    }

    fn location(&self) -> String {
        self.now().location()
    }

    async fn close(&self) {
        self.now().close().await;
    }
}
