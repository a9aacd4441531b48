//! What all sockets of this server share.

use std::{sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::config::SocketConfig;
use super::socket_permits::{SocketPermit, SocketPermits};
use crate::{
    http::{connection_list::Connections, request_body::Bodies, request_limits::RequestLimits},
    live::FollowedGraphs,
    telemetry::LiveMetrics,
    write::Graphs,
};

/// State that all sockets share.
pub(in crate::http) struct Live {
    pub(in crate::http) graphs: Arc<Graphs>,
    pub(in crate::http) hub: FollowedGraphs,
    pub(super) heartbeat: Duration,
    pub(in crate::http) limits: RequestLimits,
    pub(super) bodies: Arc<Bodies>,
    pub(super) permits: Arc<SocketPermits>,
    /// Who is connected.
    pub(in crate::http) connections: Arc<Connections>,
    /// How long operations are remembered at least.
    pub(super) operation_ttl: Duration,
    pub(in crate::http) stopping: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl Live {
    pub(in crate::http) fn new(
        graphs: Arc<Graphs>,
        config: SocketConfig,
        limits: RequestLimits,
        bodies: Arc<Bodies>,
    ) -> Arc<Self> {
        Arc::new(Self {
            graphs: graphs.clone(),
            hub: FollowedGraphs::new(graphs, config.live),
            heartbeat: config.heartbeat,
            limits,
            bodies,
            permits: SocketPermits::new(config.connections_max),
            connections: Arc::default(),
            operation_ttl: config.operation_ttl,
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// Metrics of sockets and streams.
    pub(in crate::http) fn metrics(&self) -> &LiveMetrics {
        &self.graphs.metrics().live
    }

    /// A permit for an authenticated peer, or for any peer of a server without keys; `None` if none is left.
    pub(in crate::http) fn permit(&self) -> Option<SocketPermit> {
        self.permits.acquire()
    }

    /// Tells every connection to send `GOODBYE`, and waits until all have closed.
    pub(in crate::http) async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.hub.close().await;
    }
}
