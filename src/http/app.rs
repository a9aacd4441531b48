//! The application: what handlers share, and how it is configured.
//!
//! Not here: which routes there are ([`super::routes`]), and how they are served ([`super::serve`]).

use std::{
    io,
    ops::Deref,
    sync::{Arc, OnceLock},
    time::Duration,
};

use dao_projections::UserId;
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::{
    client_address::Proxies,
    command_path::CommandPath,
    connection_limits::{ConnectionBounds, ConnectionLimiter},
    origins::Origins,
    problem::Problem,
    projection_health::LagCache,
    rate_limits::{RateConfig, RateLimits},
    refused_origins::RefusedOrigins,
    request_body::Bodies,
    request_limits::RequestLimits,
    socket::{Live, SocketConfig},
};
use crate::{
    auth::Auth,
    live::{AllGraphs, Purger, Subscriptions},
    project::{ProjectorConfig, Stores},
    telemetry::Metrics,
    write::Graphs,
};

/// Long reads at once: large states and lists, old versions, differences. Others wait.
const LONG_READS_MAX: usize = 8;
/// How long they wait; then they are 503.
const LONG_READ_PATIENCE: Duration = Duration::from_secs(10);
/// Histories that are verified at once; others wait. Each holds a graph in memory.
const VERIFICATIONS_MAX: usize = 2;

/// Who the command line is, unless it says.
const OWNER: &str = "cli";

/// Whether this server shows its metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsRoute {
    /// To callers with `"*": "admin"`.
    #[default]
    On,
    /// Off: the route is 404.
    Off,
}

/// Who can read the OpenAPI document and its viewer (`DOCS`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DocsAccess {
    /// Everybody, with keys too, so that a browser can open them.
    #[default]
    Public,
    /// With keys, callers with a token.
    Private,
    /// Nobody: the routes are 404.
    Off,
}

/// Whether this server shows the web console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConsoleRoute {
    /// To everybody: its files hold no data.
    #[default]
    On,
    /// Off: the routes are 404.
    Off,
}

/// Where connections can come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ListenerScope {
    /// Other machines too, which may know this one by any name.
    #[default]
    Anywhere,
    /// This machine alone.
    Loopback,
}

/// An application. Clones are cheap and share everything.
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
    pub(super) console: ConsoleRoute,
    pub(super) command_path: CommandPath,
    /// Whether it is the server of `dao-api demo`.
    pub(super) is_demo: bool,
    /// The feed that streams of all graphs read.
    pub(super) all: Option<Arc<AllGraphs>>,
    pub(super) subscriptions: Option<Arc<Subscriptions>>,
    pub(super) purger: Option<Arc<Purger>>,
    pub(super) anonymous: UserId,
    pub(super) limits: RequestLimits,
    pub(super) bodies: Arc<Bodies>,
    /// `None` if requests are not rate limited.
    pub(super) rate: Option<Arc<RateLimits>>,
    pub(super) proxies: Arc<Proxies>,
    /// The connections to all its listeners together, from the first one on.
    connections: Arc<OnceLock<ConnectionLimiter>>,
    pub(super) projections: Option<Projections>,
    /// Permits for reads that take much memory.
    pub(super) reading: Arc<Semaphore>,
    pub(super) metrics_route: MetricsRoute,
    /// Permits for verifying a history.
    pub(super) verifying: Arc<Semaphore>,
    /// Commits between checkpoints, where the rows of a graph are brought up to date on request.
    pub(super) checkpoint_every: u64,
}

/// The projections that readiness and readers ask about.
#[derive(Clone)]
pub(super) struct Projections {
    pub(super) stores: Stores,
    pub(super) lag_cache: Arc<LagCache>,
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    /// An application over these graphs, without projections.
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
            console: ConsoleRoute::default(),
            command_path: CommandPath::default(),
            is_demo: false,
            all: None,
            subscriptions: None,
            purger: None,
            anonymous,
            limits,
            bodies,
            rate: None,
            proxies: Arc::default(),
            connections: Arc::default(),
            projections: None,
            reading: Arc::new(Semaphore::new(LONG_READS_MAX)),
            metrics_route: MetricsRoute::On,
            verifying,
            checkpoint_every: ProjectorConfig::default().checkpoint_every,
        }))
    }

    /// The same with this change.
    fn with(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Waits for the permit of a long read; 503 if that takes too long.
    pub(super) async fn long_read(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let turn = tokio::time::timeout(LONG_READ_PATIENCE, self.reading.clone().acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or_else(Problem::too_many_reads)
    }

    /// With authentication of callers, or without.
    #[must_use]
    pub fn with_auth(self, auth: Auth) -> Self {
        self.with(|shared| shared.auth = auth)
    }

    /// With rate limits.
    #[must_use]
    pub fn with_rate_limits(self, config: RateConfig) -> Self {
        self.with(|shared| shared.rate = Some(Arc::new(RateLimits::new(config))))
    }

    /// With proxies that are trusted to name their clients.
    #[must_use]
    pub fn with_proxies(self, proxies: Proxies) -> Self {
        self.with(|shared| shared.proxies = Arc::new(proxies))
    }

    /// With origins whose pages may call from a browser.
    #[must_use]
    pub fn with_origins(self, origins: Origins) -> Self {
        self.with(|shared| shared.origins = origins)
    }

    /// With the route of metrics, or without.
    #[must_use]
    pub fn with_metrics(self, metrics_route: MetricsRoute) -> Self {
        self.with(|shared| shared.metrics_route = metrics_route)
    }

    /// With this access to the OpenAPI document and its viewer.
    #[must_use]
    pub fn with_docs(self, docs: DocsAccess) -> Self {
        self.with(|shared| shared.docs = docs)
    }

    /// With the web console, or without.
    #[must_use]
    pub fn with_console(self, console: ConsoleRoute) -> Self {
        self.with(|shared| shared.console = console)
    }

    /// With commands and batches answered this way; for tests that compare the two.
    #[doc(hidden)]
    #[must_use]
    pub fn with_command_path(self, path: CommandPath) -> Self {
        self.with(|shared| shared.command_path = path)
    }

    /// With the routes of a demo.
    #[must_use]
    pub fn for_demo(self) -> Self {
        self.with(|shared| shared.is_demo = true)
    }

    /// With so many commits between checkpoints.
    #[must_use]
    pub fn with_checkpoint_every(self, commits: u64) -> Self {
        self.with(|shared| shared.checkpoint_every = commits)
    }

    /// For those who own the store: they may do everything in the name of anybody, as often as they like.
    pub(super) fn for_owners(self, limits: RequestLimits) -> Self {
        let anonymous = match UserId::parse(OWNER) {
            Ok(user) => user,
            Err(e) => unreachable!("a constant id is valid: {e}"),
        };
        self.with(|shared| {
            (shared.auth, shared.rate, shared.origins) = (Auth::Off, None, Origins::Own);
            (shared.anonymous, shared.reach) = (anonymous, ListenerScope::Anywhere);
            let bodies = Bodies::new(limits).one_above(shared.limits.body_bytes_max);
            (shared.limits, shared.bodies) = (limits, Arc::new(bodies));
        })
    }

    /// What counts the connections.
    pub(super) fn connection_limiter(&self) -> ConnectionLimiter {
        let bounds = ConnectionBounds {
            connections: self.limits.connections_max,
            per_address: self.limits.connections_per_address_max,
        };
        self.connections.get_or_init(|| ConnectionLimiter::new(bounds, self.proxies.clone())).clone()
    }

    /// With the scope of this listener.
    pub(super) fn at(self, listener: &TcpListener) -> io::Result<Self> {
        let is_loopback = listener.local_addr()?.ip().is_loopback();
        let reach = if is_loopback { ListenerScope::Loopback } else { ListenerScope::Anywhere };
        Ok(self.with(|shared| shared.reach = reach))
    }

    /// The metrics of this server.
    pub(super) fn metrics(&self) -> &Metrics {
        self.graphs.metrics()
    }

    /// With projections of these stores, made by this process or by others.
    #[must_use]
    pub fn with_projections(self, stores: Stores) -> Self {
        let all = AllGraphs::new(self.graphs.clone(), stores.rows.clone());
        let projections = Some(Projections { stores, lag_cache: Arc::default() });
        self.with_all_graphs(all).with(|shared| shared.projections = projections)
    }

    /// With the feed of all graphs, with or without projections.
    #[must_use]
    pub fn with_all_graphs(self, all: Arc<AllGraphs>) -> Self {
        let subscriptions = Subscriptions::new(all.clone());
        let purger = Purger::new(self.graphs.clone(), all.feed().clone(), subscriptions.clone());
        self.with(|shared| {
            (shared.all, shared.subscriptions, shared.purger) =
                (Some(all), Some(subscriptions), Some(purger));
        })
    }

    /// What purges graphs, if there is a feed that can tell of it.
    pub fn purger(&self) -> Option<Arc<Purger>> {
        self.purger.clone()
    }
}
