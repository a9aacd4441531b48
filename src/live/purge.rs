//! Purging graphs from the trash: because somebody asks for it, or because their time has come (rule L10).
//!
//! Invariants:
//! - A graph is purged only from the exact head with which it was seen in the trash: one that is recovered meanwhile has
//!   another.
//! - What follows the purge itself is done again until it is done, after a crash by whoever starts next.
//! - What is swept was forgotten before, and both only while that purge is not done: a later graph of the name loses nothing.
//! - Who asks for a purge waits for that graph only, and is not failed by another one.
//!
//! Not here: what belongs to a graph. Stores know that.

use std::{sync::Arc, time::Duration};

use dao_projections::{Graph, GraphId, Head, OperationId, Timestamp, UserId};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::{SubscriptionError, Subscriptions};
use crate::{
    store::{ProjectionStore, Purge, PurgeRequest, Purging, StoreError},
    write::{Graphs, WriteError},
};

/// How often a purge is tried again because the graph changed meanwhile.
const TRIES_MAX: usize = 16;
/// Graphs whose time has come that are listed at once.
const DUE_MAX: usize = 100;
/// Who purges those.
const NOBODY: &str = "trash-retention";

/// Purges graphs.
pub struct Purger {
    graphs: Arc<Graphs>,
    rows: Arc<dyn ProjectionStore>,
    subscriptions: Arc<Subscriptions>,
}

/// How a purge that was asked for ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PurgeEnding {
    /// The graph is gone.
    Purged {
        /// Its last version.
        head: Head,
        /// Whether the same operation had done it before.
        is_duplicate: bool,
    },
    /// It is not in the trash.
    NotTrashed,
    /// There is no such graph.
    NotFound,
    /// The operation id belongs to another operation.
    IdReused,
}

/// Why a purge has no ending yet: it can be asked for again.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// The store, or the graph.
    #[error(transparent)]
    Graph(#[from] WriteError),
    /// The graph is purged, and a subscription still has something of it.
    #[error(transparent)]
    Subscription(#[from] SubscriptionError),
}

impl From<StoreError> for PurgeError {
    fn from(error: StoreError) -> Self {
        Self::Graph(error.into())
    }
}

impl Purger {
    /// One over these graphs, and their subscriptions.
    pub fn new(
        graphs: Arc<Graphs>,
        rows: Arc<dyn ProjectionStore>,
        subscriptions: Arc<Subscriptions>,
    ) -> Arc<Self> {
        Arc::new(Self { graphs, rows, subscriptions })
    }

    /// Purges a graph that is in the trash. The same operation is done once, also after the name was used again.
    pub async fn purge(
        &self,
        graph: &GraphId,
        operation: OperationId,
        user: &UserId,
    ) -> Result<PurgeEnding, PurgeError> {
        let fingerprint = fingerprint(user);
        // What this call has tried may have been done, without anybody hearing of it: that is no repeat.
        let mut is_tried = false;
        for _ in 0..TRIES_MAX {
            let view = self.graphs.refresh(graph).await?;
            if let Some(gone) = self.rows.purged_by(graph, operation).await? {
                if gone.fingerprint != fingerprint {
                    return Ok(PurgeEnding::IdReused);
                }
                self.finish(&Purging { graph: Some(graph.clone()), place: gone.place }).await?;
                return Ok(PurgeEnding::Purged { head: gone.head, is_duplicate: !is_tried });
            }
            let head = view.graph.head();
            if head == Head::EMPTY {
                return Ok(PurgeEnding::NotFound);
            }
            if self.graphs.store().operations(graph, &[operation]).await?.iter().any(Option::is_some) {
                return Ok(PurgeEnding::IdReused);
            }
            if view.graph.metadata().trashed.is_none() {
                return Ok(PurgeEnding::NotTrashed);
            }
            is_tried = true;
            if self.try_purge(graph, &PurgeRequest { expected: head, operation, fingerprint }).await? {
                return Ok(PurgeEnding::Purged { head, is_duplicate: false });
            }
        }
        Err(WriteError::Contended.into())
    }

    /// Purges what is in the trash for too long, and finishes what was begun, until it is told to stop.
    pub async fn run(self: Arc<Self>, every: Duration, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Some(Err(error)) = stop.run_until_cancelled(self.pass()).await {
                tracing::warn!(%error, "graphs in the trash could not be purged; it is tried again");
            }
            let _stopped = tokio::time::timeout(every, stop.cancelled()).await;
        }
    }

    /// One look at what is to be done. What can't be done for one graph is done for the others all the same.
    pub async fn pass(&self) -> Result<(), PurgeError> {
        for purging in self.rows.purging().await? {
            if let Err(error) = self.finish(&purging).await {
                let graph = purging.graph.as_ref().map(GraphId::as_str);
                tracing::warn!(graph, %error, "what is left of a purged graph could not be removed; it is tried again");
            }
        }
        let now = self.graphs.now();
        // Those that were looked at and are still in the list.
        let mut passed = 0;
        loop {
            let due = self.rows.due_for_purge(now.0, passed, DUE_MAX).await?;
            for graph in &due {
                let is_purged = self.purge_if_due(graph, now).await.unwrap_or_else(|error| {
                    tracing::warn!(%graph, %error, "a graph in the trash could not be purged; it is tried again");
                    false
                });
                passed += usize::from(!is_purged);
            }
            if due.len() < DUE_MAX {
                return Ok(());
            }
        }
    }

    /// The list may be behind.
    async fn purge_if_due(&self, graph: &GraphId, now: Timestamp) -> Result<bool, PurgeError> {
        let view = self.graphs.refresh(graph).await?;
        if !is_due(&view.graph, now) {
            return Ok(false);
        }
        let (operation, fingerprint) = (OperationId::from(uuid::Uuid::now_v7()), [0; 8]);
        let request = PurgeRequest { expected: view.graph.head(), operation, fingerprint };
        let is_purged = self.try_purge(graph, &request).await?;
        if is_purged {
            tracing::info!(%graph, by = NOBODY, "a graph was purged from the trash");
        }
        Ok(is_purged)
    }

    async fn try_purge(&self, graph: &GraphId, request: &PurgeRequest) -> Result<bool, PurgeError> {
        if self.rows.purge(graph, request).await? == Purge::HeadMoved {
            return Ok(false);
        }
        self.graphs.tell_appended();
        // Who has it in memory here, or follows it, learns of it now.
        self.graphs.refresh(graph).await?;
        if let Some(gone) = self.rows.purged_by(graph, request.operation).await? {
            self.finish(&Purging { graph: Some(graph.clone()), place: gone.place }).await?;
        }
        Ok(true)
    }

    /// What this purged graph left behind, until there is nothing more. It does nothing where that was done before.
    async fn finish(&self, purging: &Purging) -> Result<(), PurgeError> {
        if !self.rows.is_purging(purging).await? {
            return Ok(());
        }
        self.subscriptions.forget_graph(purging).await?;
        while self.rows.sweep(purging).await? {}
        Ok(())
    }
}

fn is_due(graph: &Graph, now: Timestamp) -> bool {
    let trashed = graph.metadata().trashed.as_ref();
    trashed.and_then(|trashed| trashed.purge_after).is_some_and(|at| at <= now)
}

/// What tells a repeat from somebody else's use of an operation id. The name of who purged is not kept.
fn fingerprint(user: &UserId) -> [u8; 8] {
    let digest = Sha256::new().chain_update(b"PURGE\0").chain_update(user.as_str()).finalize();
    let mut fingerprint = [0; 8];
    fingerprint.copy_from_slice(&digest[..8]);
    fingerprint
}
