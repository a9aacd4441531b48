//! A task that panics is replaced.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use dao_api::{
    store::{
        Append, Durability, Entry, EventStore, GraphFilter, OperationPlaces, Order, RefusalPlace, StoreError,
        StoredCommit, StoredRefusal,
    },
    write::{Graphs, GraphsConfig, WriteError},
};
use dao_projections::{GraphId, Head, OperationId, Version};

use super::{PATIENCE, accepted, create, id, store};

/// Fails in ways that no store should: its appends panic while it is told to.
struct Panicking {
    inner: Arc<dyn EventStore>,
    panics: AtomicBool,
}

#[async_trait]
impl EventStore for Panicking {
    async fn append(&self, graph: &GraphId, expected: Head, entries: &[Entry]) -> Result<Append, StoreError> {
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
        self.inner.append_copied(graph, expected, copied, entries).await
    }

    async fn head(&self, graph: &GraphId) -> Result<Head, StoreError> {
        self.inner.head(graph).await
    }
    async fn read(
        &self,
        graph: &GraphId,
        after: Version,
        to: Version,
        limit: usize,
    ) -> Result<Vec<StoredCommit>, StoreError> {
        self.inner.read(graph, after, to, limit).await
    }
    async fn operations(
        &self,
        graph: &GraphId,
        ids: &[OperationId],
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.inner.operations(graph, ids).await
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
    async fn find_operation(
        &self,
        id: OperationId,
        wanted: GraphFilter,
        limit: usize,
    ) -> Result<OperationPlaces, StoreError> {
        self.inner.find_operation(id, wanted, limit).await
    }
    fn is_shared(&self) -> bool {
        self.inner.is_shared()
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

#[tokio::test]
async fn h4_a_graph_whose_task_panicked_gets_another_and_followers_go_on() {
    let (_dir, inner) = store();
    let store = Arc::new(Panicking { inner, panics: AtomicBool::new(false) });
    let graphs = Graphs::new(store.clone(), GraphsConfig::default());
    accepted(&graphs, &id("g"), create("a")).await;
    let mut hot = graphs.hot(&id("g"));
    store.panics.store(true, Ordering::SeqCst);
    let lost = create("b");
    let failed = graphs.execute(&id("g"), vec![lost.clone()]).await;
    assert!(matches!(failed, Err(WriteError::Failed)), "{failed:?}");
    store.panics.store(false, Ordering::SeqCst);
    // A follower finds that it has to load the graph, or that somebody has.
    accepted(&graphs, &id("g"), lost).await;
    let reached = async {
        while hot.head().is_none_or(|head| head.version.get() < 2) {
            assert!(hot.changed().await);
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.expect("the follower sees the commit on the same handle");
    assert!(graphs.metrics().encode(&Default::default()).unwrap().contains("dao_graph_task_panics_total 1"));
}
