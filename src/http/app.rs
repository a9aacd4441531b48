//! The application: what handlers share, and how it is configured.
//!
//! Not here: which routes there are ([`super::routes`]), and how they are served ([`super::serve`]).

use std::{io, ops::Deref, sync::Arc, time::Duration};

use dao_projections::UserId;
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::{
    client_address::Proxies,
    origins::Origins,
    problem::Problem,
    projection_health::LagCache,
    rate_limits::{RateConfig, RateLimits},
    refused_origins::RefusedOrigins,
    request_body::Bodies,
    request_limits::RequestLimits,
    socket::Live,
};
use crate::{
    auth::Auth,
    live::{AllGraphs, LiveConfig, Subscriptions},
    project::Stores,
    telemetry::Metrics,
    write::Graphs,
};

/// Long reads at once: large states and lists, old versions, differences. More wait in line.
const LONG_READS_MAX: usize = 8;
/// How long they wait; then they are 503.
const LONG_READ_PATIENCE: Duration = Duration::from_secs(10);
/// Histories that are verified at the same time; one more waits. Each holds a graph in memory.
const VERIFICATIONS_MAX: usize = 2;

/// Whether this server shows its metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsRoute {
    /// To whoever has `"*": "admin"`.
    #[default]
    On,
    /// To nobody: there is no such route.
    Off,
}

/// For whom the document and its viewer are there (`DOCS`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DocsAccess {
    /// For everybody: a browser can open them where keys are configured too.
    #[default]
    Public,
    /// With keys, for those with a token.
    Private,
    /// For nobody: there are no such routes.
    Off,
}

/// From where connections can come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ListenerScope {
    /// From other machines too, which know this one by names that it does not know.
    #[default]
    Anywhere,
    /// From this machine alone.
    Loopback,
}

/// A whole application: cheap to clone, and each clone is the same one.
#[derive(Clone)]
pub struct App(Arc<Shared>);

/// What handlers share.
#[derive(Clone)]
pub struct Shared {
    pub(super) graphs: Arc<Graphs>,
    pub(super) live: Arc<Live>,
    pub(super) auth: Auth,
    pub(super) origins: Origins,
    pub(super) reach: ListenerScope,
    pub(super) refused_origins: Arc<RefusedOrigins>,
    pub(super) docs: DocsAccess,
    /// What streams of all graphs read from.
    pub(super) all: Option<Arc<AllGraphs>>,
    pub(super) subscriptions: Option<Arc<Subscriptions>>,
    pub(super) anonymous: UserId,
    pub(super) limits: RequestLimits,
    pub(super) bodies: Arc<Bodies>,
    /// Without it everybody may ask as much as they like.
    pub(super) rate: Option<Arc<RateLimits>>,
    pub(super) proxies: Arc<Proxies>,
    pub(super) projections: Option<Projections>,
    /// Turns at reads that take much memory while they last.
    pub(super) reading: Arc<Semaphore>,
    pub(super) metrics_route: MetricsRoute,
    /// Turns at verifying a history.
    pub(super) verifying: Arc<Semaphore>,
}

/// The projections that readiness and readers ask about.
#[derive(Clone)]
pub(super) struct Projections {
    pub(super) stores: Stores,
    pub(super) lag_cache: Arc<LagCache>,
}

/// How sockets are kept.
#[derive(Clone, Copy, Debug)]
pub struct SocketConfig {
    /// How often a peer is pinged; one that answers nothing for two of these is dropped.
    pub heartbeat: Duration,
    /// Sockets at once; one more is refused with 503.
    pub connections_max: usize,
    /// For how long at least the store remembers operations, which clients are told.
    pub operation_ttl: Duration,
    /// How followed graphs keep level with what other instances do.
    pub live: LiveConfig,
}

impl Default for SocketConfig {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(30),
            connections_max: 20_000,
            operation_ttl: Duration::from_secs(86_400),
            live: LiveConfig::default(),
        }
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    /// An application over these graphs, each by itself.
    pub fn new(graphs: Arc<Graphs>, limits: RequestLimits, sockets: SocketConfig) -> Self {
        let anonymous = match UserId::parse("anonymous") {
            Ok(user) => user,
            Err(e) => unreachable!("a constant id is valid: {e}"),
        };
        let bodies = Arc::new(Bodies::new(limits));
        let live = Live::new(graphs.clone(), sockets, limits, bodies.clone());
        let verifying = Arc::new(Semaphore::new(VERIFICATIONS_MAX));
        Self(Arc::new(Shared {
            graphs,
            live,
            auth: Auth::Off,
            origins: Origins::Own,
            reach: ListenerScope::default(),
            refused_origins: Arc::default(),
            docs: DocsAccess::default(),
            all: None,
            subscriptions: None,
            anonymous,
            limits,
            bodies,
            rate: None,
            proxies: Arc::default(),
            projections: None,
            reading: Arc::new(Semaphore::new(LONG_READS_MAX)),
            metrics_route: MetricsRoute::On,
            verifying,
        }))
    }

    /// The same but for this.
    fn with(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// A turn at a read that takes much memory while it lasts.
    pub(super) async fn long_read(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let turn = tokio::time::timeout(LONG_READ_PATIENCE, self.reading.clone().acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or_else(Problem::too_many_reads)
    }

    /// With callers who have to prove who they are, or not.
    #[must_use]
    pub fn with_auth(self, auth: Auth) -> Self {
        self.with(|shared| shared.auth = auth)
    }

    /// With budgets for whoever asks.
    #[must_use]
    pub fn with_rate_limits(self, config: RateConfig) -> Self {
        self.with(|shared| shared.rate = Some(Arc::new(RateLimits::new(config))))
    }

    /// With proxies that are believed when they say where a request comes from.
    #[must_use]
    pub fn with_proxies(self, proxies: Proxies) -> Self {
        self.with(|shared| shared.proxies = Arc::new(proxies))
    }

    /// With pages of these origins that may call from a browser.
    #[must_use]
    pub fn with_origins(self, origins: Origins) -> Self {
        self.with(|shared| shared.origins = origins)
    }

    /// Showing its metrics, or not.
    #[must_use]
    pub fn with_metrics(self, metrics_route: MetricsRoute) -> Self {
        self.with(|shared| shared.metrics_route = metrics_route)
    }

    /// With its document and the viewer for these.
    #[must_use]
    pub fn with_docs(self, docs: DocsAccess) -> Self {
        self.with(|shared| shared.docs = docs)
    }

    /// Reached by whoever can reach this listener.
    pub(super) fn at(self, listener: &TcpListener) -> io::Result<Self> {
        let is_loopback = listener.local_addr()?.ip().is_loopback();
        let reach = if is_loopback { ListenerScope::Loopback } else { ListenerScope::Anywhere };
        Ok(self.with(|shared| shared.reach = reach))
    }

    /// Where this server counts.
    pub(super) fn metrics(&self) -> &Metrics {
        self.graphs.metrics()
    }

    /// With projections that are made from these stores, by this process or by others.
    #[must_use]
    pub fn with_projections(self, stores: Stores) -> Self {
        let all = AllGraphs::new(self.graphs.clone(), stores.rows.clone());
        let projections = Some(Projections { stores, lag_cache: Arc::default() });
        self.with_all_graphs(all).with(|shared| shared.projections = projections)
    }

    /// With what all graphs' commits are read from, projections or not.
    #[must_use]
    pub fn with_all_graphs(self, all: Arc<AllGraphs>) -> Self {
        let subscriptions = Some(Subscriptions::new(all.clone()));
        self.with(|shared| (shared.all, shared.subscriptions) = (Some(all), subscriptions))
    }
}
