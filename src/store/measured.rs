//! A store whose calls are counted, and those that fail told to whoever looks closely.
//!
//! What a failure means for somebody is known, and logged aloud, where the call was made; here is only that it was
//! made and how it went, at `debug`. Not here: how long an append takes, which the write path measures.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use dao_projections::{GraphId, Head, OperationId, Version};

use super::{
    Append, Durability, Entry, EventStore, FeedBounds, FeedEntry, FeedPlace, Gone, GraphFilter, ListPiece,
    ListQuery, OperationPlaces, Order, ParkedGraph, ProjectionStore, Publications, Purge, PurgeRequest,
    Purging, RefusalPlace, RefusedEntry, RowsChange, RowsFound, RowsHead, StoreError, StoredCommit,
    StoredRefusal,
};
use crate::telemetry::{Metrics, StoreCall, StoreErrorKind, Word};

/// A store, and where its calls are counted.
pub struct Measured<S: ?Sized> {
    store: Arc<S>,
    metrics: Metrics,
}

impl<S: ?Sized> Measured<S> {
    /// The same store, counted.
    pub fn new(store: Arc<S>, metrics: Metrics) -> Self {
        Self { store, metrics }
    }

    /// What came of a call; the same again.
    fn seen<T>(&self, call: StoreCall, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let counted = &self.metrics.store;
        counted.calls.of(call).inc();
        if let Err(error) = &result {
            let kind = match error {
                StoreError::Unavailable(_) => StoreErrorKind::Unavailable,
                StoreError::OutcomeUnknown(_) => StoreErrorKind::OutcomeUnknown,
                StoreError::NotReplicated(_) => StoreErrorKind::NotReplicated,
                StoreError::Corrupt { .. } => StoreErrorKind::Corrupt,
            };
            counted.errors.of(kind).inc();
            tracing::debug!(call = call.word(), %error, "a call of the store failed");
        }
        result
    }
}

#[async_trait]
impl<S: EventStore + ?Sized> EventStore for Measured<S> {
    async fn append(&self, graph: &GraphId, expected: Head, entries: &[Entry]) -> Result<Append, StoreError> {
        let result = self.store.append(graph, expected, entries).await;
        self.seen(StoreCall::Append, result)
    }

    async fn append_copied(
        &self,
        graph: &GraphId,
        expected: Head,
        copied: &[StoredCommit],
        entries: &[Entry],
    ) -> Result<Append, StoreError> {
        let result = self.store.append_copied(graph, expected, copied, entries).await;
        self.seen(StoreCall::Append, result)
    }

    async fn head(&self, graph: &GraphId) -> Result<Head, StoreError> {
        let result = self.store.head(graph).await;
        self.seen(StoreCall::Head, result)
    }

    async fn read(
        &self,
        graph: &GraphId,
        after: Version,
        to: Version,
        limit: usize,
    ) -> Result<Vec<StoredCommit>, StoreError> {
        let result = self.store.read(graph, after, to, limit).await;
        self.seen(StoreCall::Read, result)
    }

    async fn operations(
        &self,
        graph: &GraphId,
        ids: &[OperationId],
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        let result = self.store.operations(graph, ids).await;
        self.seen(StoreCall::Operations, result)
    }

    async fn refusals(
        &self,
        graph: &GraphId,
        between: (RefusalPlace, RefusalPlace),
        order: Order,
        limit: usize,
    ) -> Result<Vec<StoredRefusal>, StoreError> {
        let result = self.store.refusals(graph, between, order, limit).await;
        self.seen(StoreCall::Refusals, result)
    }

    async fn graphs(&self, after: Option<&GraphId>, limit: usize) -> Result<Vec<GraphId>, StoreError> {
        let result = self.store.graphs(after, limit).await;
        self.seen(StoreCall::Graphs, result)
    }

    async fn find_operation(
        &self,
        id: OperationId,
        wanted: GraphFilter,
        limit: usize,
    ) -> Result<OperationPlaces, StoreError> {
        let result = self.store.find_operation(id, wanted, limit).await;
        self.seen(StoreCall::FindOperation, result)
    }

    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    fn listen(&self, graph: &GraphId) -> Publications {
        self.store.listen(graph)
    }

    async fn broadcast(&self, graph: &GraphId, message: Bytes) -> Result<(), StoreError> {
        let result = self.store.broadcast(graph, message).await;
        self.seen(StoreCall::Broadcast, result)
    }

    async fn check(&self) -> Result<(), StoreError> {
        let result = self.store.check().await;
        self.seen(StoreCall::Check, result)
    }

    fn impaired(&self) -> Vec<String> {
        self.store.impaired()
    }

    fn durability(&self) -> Durability {
        self.store.durability()
    }

    fn location(&self) -> String {
        self.store.location()
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

#[async_trait]
impl<S: ProjectionStore + ?Sized> ProjectionStore for Measured<S> {
    fn feed_parts(&self) -> u32 {
        self.store.feed_parts()
    }

    fn feed_part(&self, graph: &GraphId) -> u32 {
        self.store.feed_part(graph)
    }

    async fn feed(&self, part: u32, after: FeedPlace, limit: usize) -> Result<Vec<FeedEntry>, StoreError> {
        let result = self.store.feed(part, after, limit).await;
        self.seen(StoreCall::Feed, result)
    }

    async fn feed_for_poll(
        &self,
        part: u32,
        after: FeedPlace,
        limit: usize,
    ) -> Result<Vec<FeedEntry>, StoreError> {
        let result = self.store.feed_for_poll(part, after, limit).await;
        self.seen(StoreCall::Feed, result)
    }

    async fn feed_before(
        &self,
        part: u32,
        before: FeedPlace,
        limit: usize,
    ) -> Result<Vec<FeedEntry>, StoreError> {
        let result = self.store.feed_before(part, before, limit).await;
        self.seen(StoreCall::Feed, result)
    }

    async fn refused_before(
        &self,
        part: u32,
        before: FeedPlace,
        limit: usize,
    ) -> Result<Vec<RefusedEntry>, StoreError> {
        let result = self.store.refused_before(part, before, limit).await;
        self.seen(StoreCall::Refusals, result)
    }

    async fn feed_bounds(&self, part: u32) -> Result<FeedBounds, StoreError> {
        let result = self.store.feed_bounds(part).await;
        self.seen(StoreCall::Feed, result)
    }

    async fn feed_bounds_after_read(&self, part: u32) -> Result<FeedBounds, StoreError> {
        let result = self.store.feed_bounds_after_read(part).await;
        self.seen(StoreCall::Feed, result)
    }

    async fn feed_place_at(&self, part: u32, time_ms: u64) -> Result<FeedPlace, StoreError> {
        let result = self.store.feed_place_at(part, time_ms).await;
        self.seen(StoreCall::Feed, result)
    }

    async fn refused_place_at(&self, part: u32, time_ms: u64) -> Result<FeedPlace, StoreError> {
        let result = self.store.refused_place_at(part, time_ms).await;
        self.seen(StoreCall::Refusals, result)
    }

    async fn trim_feed(&self, part: u32, to: FeedPlace) -> Result<(), StoreError> {
        let result = self.store.trim_feed(part, to).await;
        self.seen(StoreCall::Feed, result)
    }

    async fn place(&self, reader: &str, part: u32) -> Result<FeedPlace, StoreError> {
        let result = self.store.place(reader, part).await;
        self.seen(StoreCall::Place, result)
    }

    async fn set_place(&self, reader: &str, part: u32, place: FeedPlace) -> Result<(), StoreError> {
        let result = self.store.set_place(reader, part, place).await;
        self.seen(StoreCall::Place, result)
    }

    async fn lease(&self, reader: &str, part: u32, worker: &str, time: Duration) -> Result<bool, StoreError> {
        let result = self.store.lease(reader, part, worker, time).await;
        self.seen(StoreCall::Lease, result)
    }

    async fn rows(
        &self,
        graph: &GraphId,
        projection: &str,
        keys: &[String],
    ) -> Result<RowsFound, StoreError> {
        let result = self.store.rows(graph, projection, keys).await;
        self.seen(StoreCall::Rows, result)
    }

    async fn all_rows(
        &self,
        graph: &GraphId,
        projection: &str,
    ) -> Result<Option<(RowsHead, Vec<(String, Bytes)>)>, StoreError> {
        let result = self.store.all_rows(graph, projection).await;
        self.seen(StoreCall::Rows, result)
    }

    async fn change_rows(
        &self,
        graph: &GraphId,
        projection: &str,
        change: RowsChange,
    ) -> Result<bool, StoreError> {
        let result = self.store.change_rows(graph, projection, change).await;
        self.seen(StoreCall::ChangeRows, result)
    }

    async fn put_checkpoint(&self, graph: &GraphId, head: Head, state: Bytes) -> Result<(), StoreError> {
        let result = self.store.put_checkpoint(graph, head, state).await;
        self.seen(StoreCall::Checkpoint, result)
    }

    async fn checkpoint(
        &self,
        graph: &GraphId,
        version: Version,
    ) -> Result<Option<(Head, Bytes)>, StoreError> {
        let result = self.store.checkpoint(graph, version).await;
        self.seen(StoreCall::Checkpoint, result)
    }

    async fn list(&self, query: &ListQuery) -> Result<ListPiece, StoreError> {
        let result = self.store.list(query).await;
        self.seen(StoreCall::List, result)
    }

    async fn list_rows(&self, graphs: &[GraphId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let result = self.store.list_rows(graphs).await;
        self.seen(StoreCall::List, result)
    }

    async fn due_for_purge(
        &self,
        before_ms: u64,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<GraphId>, StoreError> {
        let result = self.store.due_for_purge(before_ms, skip, limit).await;
        self.seen(StoreCall::Purge, result)
    }

    async fn purge(&self, graph: &GraphId, request: &PurgeRequest) -> Result<Purge, StoreError> {
        let result = self.store.purge(graph, request).await;
        self.seen(StoreCall::Purge, result)
    }

    async fn gone(&self, graph: &GraphId) -> Result<Option<Gone>, StoreError> {
        let result = self.store.gone(graph).await;
        self.seen(StoreCall::Purge, result)
    }

    async fn purged_by(&self, graph: &GraphId, operation: OperationId) -> Result<Option<Gone>, StoreError> {
        let result = self.store.purged_by(graph, operation).await;
        self.seen(StoreCall::Purge, result)
    }

    async fn purging(&self) -> Result<Vec<Purging>, StoreError> {
        let result = self.store.purging().await;
        self.seen(StoreCall::Purge, result)
    }

    async fn is_purging(&self, purging: &Purging) -> Result<bool, StoreError> {
        let result = self.store.is_purging(purging).await;
        self.seen(StoreCall::Purge, result)
    }

    async fn sweep(&self, purging: &Purging) -> Result<bool, StoreError> {
        let result = self.store.sweep(purging).await;
        self.seen(StoreCall::Purge, result)
    }

    async fn drop_rows(&self, graph: &GraphId) -> Result<(), StoreError> {
        let result = self.store.drop_rows(graph).await;
        self.seen(StoreCall::ChangeRows, result)
    }

    async fn park(&self, graph: &GraphId, parked: Option<&ParkedGraph>) -> Result<(), StoreError> {
        let result = self.store.park(graph, parked).await;
        self.seen(StoreCall::Park, result)
    }

    async fn parked(&self) -> Result<Vec<(GraphId, ParkedGraph)>, StoreError> {
        let result = self.store.parked().await;
        self.seen(StoreCall::Park, result)
    }

    async fn document(&self, kind: &str, name: &str) -> Result<Option<(u64, Bytes)>, StoreError> {
        let result = self.store.document(kind, name).await;
        self.seen(StoreCall::Document, result)
    }

    async fn put_document(
        &self,
        kind: &str,
        name: &str,
        expected: Option<u64>,
        bytes: Option<Bytes>,
    ) -> Result<bool, StoreError> {
        let result = self.store.put_document(kind, name, expected, bytes).await;
        self.seen(StoreCall::Document, result)
    }

    async fn documents(&self, kind: &str) -> Result<Vec<String>, StoreError> {
        let result = self.store.documents(kind).await;
        self.seen(StoreCall::Document, result)
    }
}
