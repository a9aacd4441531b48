//! HTTP: the route table, and the edges where bytes become commands and answers become bytes.
//!
//! Status codes live in `problem` and nowhere else; what clients see lives in [`wire`]. Not here:
//! what a command means, and where histories are kept.
#![allow(clippy::result_large_err, reason = "a problem document is made once a refused request, and sent")]

mod accept;
mod activity;
mod address;
mod admission;
mod all_events;
mod answers;
pub mod audit;
mod auth;
mod body;
mod command;
mod commands;
mod cors;
mod decode;
mod documents;
mod events;
mod exchange;
mod extract;
mod fingerprint;
mod format;
mod framing;
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod home;
mod leftover;
mod limits;
mod line;
mod linger;
mod listener;
mod metrics;
mod openapi;
mod operations;
mod parameters;
mod problem;
mod rate;
mod readable;
mod reads;
mod refused_origins;
mod repeats;
mod same_origin;
mod sending;
mod shape;
mod socket;
mod stream;
mod strict;
mod subscriptions;
mod supervise;
pub mod transcode;
mod undo;
pub mod wire;

use std::{future::Future, io, ops::Deref, sync::Arc, time::Duration};

use axum::{
    Router,
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use dao_projections::UserId;
use serde::Serialize;
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

use crate::{
    auth::Auth,
    domain::Operation,
    live::{AllGraphs, LiveConfig, Subscriptions},
    project::Stores,
    telemetry::Metrics,
    write::Graphs,
};
pub use address::Proxies;
use answers::Edge;
use body::Bodies;
pub use cors::{Origin, Origins};
pub use documents::{ReadDocument, Unreadable, read_document};
pub use format::Format;
pub use limits::{BODY_BYTES_MAX, RequestLimits};
pub use listener::bind;
use metrics::Measuring;
pub use metrics::MetricsRoute;
pub use openapi::DocsAccess;
use problem::Problem;
pub use rate::RateConfig;
use rate::RateLimits;
use refused_origins::RefusedOrigins;
use same_origin::Reach;
pub(crate) use supervise::supervised;

/// Long reads at once: large states and lists, old versions, differences. More wait in line.
const LONG_READS_MAX: usize = 8;
/// How long they wait; then they are 503.
const LONG_READ_PATIENCE: Duration = Duration::from_secs(10);
/// How long requests may take to end when the server stops.
const DRAIN: Duration = Duration::from_secs(10);

/// A document in JSON from outside, by the rules of request bodies: what it may occupy, numbers (G6), nesting (O3).
pub fn parse_document(json: &[u8]) -> Result<Value, String> {
    let document = decode::decode(json, Format::Json, RequestLimits::default().document());
    document.map(|document| document.value).map_err(|malformed| malformed.to_string())
}

/// What an undo put back and left alone, as the answer to it has it (rule U12).
pub fn undo_json(undone: &crate::domain::UndoResult) -> Value {
    serde_json::to_value(undo::UndoneOut::of(undone)).unwrap_or(Value::Null)
}

/// A command from a document that is JSON already, by the rules of `POST …/command`.
pub fn parse_command(value: Value, user: &UserId) -> Result<Operation, String> {
    let document = decode::Document::of(value);
    command::read_command(document, user).map_err(|malformed| malformed.to_string())
}

/// The operations of a batch of at most so many, by the rules of `POST …/batch`: one if it is atomic.
pub fn parse_batch(value: Value, user: &UserId, operations_max: usize) -> Result<Vec<Operation>, String> {
    let document = decode::Document::of(value);
    let batch = command::read_batch(document, user, operations_max);
    batch.map(|batch| batch.operations).map_err(|malformed| malformed.to_string())
}

/// A whole application: cheap to clone, and each clone is the same one.
#[derive(Clone)]
pub struct App(Arc<Shared>);

/// What handlers share.
#[derive(Clone)]
pub struct Shared {
    graphs: Arc<Graphs>,
    live: Arc<socket::Live>,
    auth: Auth,
    origins: Origins,
    reach: Reach,
    refused_origins: Arc<RefusedOrigins>,
    docs: DocsAccess,
    /// What streams of all graphs read from.
    all: Option<Arc<AllGraphs>>,
    subscriptions: Option<Arc<Subscriptions>>,
    anonymous: UserId,
    limits: RequestLimits,
    bodies: Arc<Bodies>,
    /// Without it everybody may ask as much as they like.
    rate: Option<Arc<RateLimits>>,
    proxies: Arc<Proxies>,
    projections: Option<Projections>,
    /// Turns at reads that take much memory while they last.
    reading: Arc<Semaphore>,
    metrics_route: MetricsRoute,
    /// Turns at verifying a history.
    verifying: Arc<Semaphore>,
}

/// The projections that readiness and readers ask about.
#[derive(Clone)]
struct Projections {
    stores: Stores,
    watch: Arc<health::Watch>,
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
        let live = socket::Live::new(graphs.clone(), sockets, limits, bodies.clone());
        let verifying = Arc::new(Semaphore::new(audit::VERIFICATIONS_MAX));
        Self(Arc::new(Shared {
            graphs,
            live,
            auth: Auth::Off,
            origins: Origins::Own,
            reach: Reach::default(),
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
    async fn long_read(&self) -> Result<OwnedSemaphorePermit, Problem> {
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
    fn at(self, listener: &TcpListener) -> io::Result<Self> {
        let is_loopback = listener.local_addr()?.ip().is_loopback();
        let reach = if is_loopback { Reach::Loopback } else { Reach::Anywhere };
        Ok(self.with(|shared| shared.reach = reach))
    }

    /// Where this server counts.
    fn metrics(&self) -> &Metrics {
        self.graphs.metrics()
    }

    /// With projections that are made from these stores, by this process or by others.
    #[must_use]
    pub fn with_projections(self, stores: Stores) -> Self {
        let all = AllGraphs::new(self.graphs.clone(), stores.rows.clone());
        let projections = Some(Projections { stores, watch: Arc::default() });
        self.with_all_graphs(all).with(|shared| shared.projections = projections)
    }

    /// With what all graphs' commits are read from, projections or not.
    #[must_use]
    pub fn with_all_graphs(self, all: Arc<AllGraphs>) -> Self {
        let subscriptions = Some(Subscriptions::new(all.clone()));
        self.with(|shared| (shared.all, shared.subscriptions) = (Some(all), subscriptions))
    }
}

/// Every route there is, and who may take it.
fn routes(app: &App) -> Router {
    Router::new()
        .route("/", get(home::home))
        .route("/graphs/{graphId}/command", post(commands::command))
        .route("/graphs/{graphId}/batch", post(commands::batch))
        .route("/graphs/{graphId}/state", get(reads::state))
        .route("/graphs/{graphId}/changes", get(reads::changes))
        .route("/graphs/{graphId}/nodes", get(reads::nodes))
        .route("/graphs/{graphId}/nodes/{nodeId}", get(reads::node))
        .route("/graphs/{graphId}/edges", get(reads::edges))
        .route("/graphs/{graphId}/edges/{edgeId}", get(reads::edge))
        .route("/graphs/{graphId}/viewport", get(reads::viewport))
        .route("/graphs/{graphId}/operations", get(audit::operations))
        .route("/graphs/{graphId}/diff", get(audit::diff))
        .route("/graphs/{graphId}/nodes/{nodeId}/history", get(audit::node_history))
        .route("/graphs/{graphId}/edges/{edgeId}/history", get(audit::edge_history))
        .route("/graphs/{graphId}/verify", get(audit::verify))
        .route("/graphs/{graphId}/activity", get(activity::graph_activity))
        .route("/activity", get(activity::all_activity))
        .route("/graphs/{graphId}/events", get(events::graph_events))
        .route("/events", get(all_events::all_events))
        .route("/subscriptions", get(subscriptions::list))
        .route(
            "/subscriptions/{name}",
            put(subscriptions::put).get(subscriptions::show).delete(subscriptions::delete),
        )
        .route("/subscriptions/{name}/next", post(subscriptions::next))
        .route("/subscriptions/{name}/ack", post(subscriptions::ack))
        .route("/subscriptions/{name}/nack", post(subscriptions::nack))
        .route("/subscriptions/{name}/parked", get(subscriptions::parked))
        .route("/subscriptions/{name}/parked/retry", post(subscriptions::retry))
        .route("/subscriptions/{name}/parked/drop", post(subscriptions::drop_parked))
        .route("/ws", get(socket::upgrade))
        .route("/operations/{operationId}", get(operations::operation))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .merge(docs_routes(app.docs))
        .merge(metrics_routes(app.metrics_route))
        .fallback(|| async { Problem::not_found("there is no such route") })
        .layer(middleware::from_fn(parameters::check))
        .layer(middleware::from_fn_with_state(app.clone(), answers::of_route))
        .with_state(app.clone())
}

/// The routes of a process that serves no graphs: whether it lives, whether it is ready, what it counts.
fn operational_routes(app: &App) -> Router {
    Router::new()
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .merge(metrics_routes(app.metrics_route))
        .fallback(|| async { Problem::not_found("this process serves no graphs: ask a server") })
        .layer(middleware::from_fn(parameters::check))
        .layer(middleware::from_fn_with_state(app.clone(), answers::of_route))
        .with_state(app.clone())
}

fn docs_routes(docs: DocsAccess) -> Router<App> {
    match docs {
        DocsAccess::Public | DocsAccess::Private => Router::new()
            .route("/openapi.json", get(openapi::document))
            .route("/docs", get(openapi::page))
            .route("/docs/{file}", get(openapi::file)),
        DocsAccess::Off => Router::new(),
    }
}

fn metrics_routes(shown: MetricsRoute) -> Router<App> {
    match shown {
        MetricsRoute::On => Router::new().route("/metrics", get(metrics::metrics)),
        MetricsRoute::Off => Router::new(),
    }
}

/// An answer in the format that was asked for.
fn respond(status: StatusCode, format: Format, body: &impl Serialize) -> Response {
    (status, [(header::CONTENT_TYPE, format.content_type())], format.encode(body)).into_response()
}

/// The same, of a body that was encoded elsewhere.
fn respond_encoded(format: Format, body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, format.content_type())], body).into_response()
}

/// Serves until `shutdown`; then takes no more connections, answers what was read, and returns, at
/// the latest after ten seconds. The caller owns the socket and the meaning of "stop".
pub async fn serve(
    listener: TcpListener,
    app: App,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app = app.at(&listener)?;
    let edge =
        Edge::of(routes(&app), Some(Measuring::of(app.metrics())), app.limits).with_cors(cors::layer(&app));
    serve_routes(listener, edge, app, shutdown).await
}

/// The same of what an operator asks a process that serves no graphs.
pub async fn serve_operational(
    listener: TcpListener,
    app: App,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app = app.at(&listener)?;
    let edge = Edge::of(operational_routes(&app), None, app.limits);
    serve_routes(listener, edge, app, shutdown).await
}

async fn serve_routes(
    listener: TcpListener,
    edge: Edge,
    app: App,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let stop = CancellationToken::new();
    let forgetting = app.rate.clone().map(|rate| {
        let until = stop.clone();
        let forget = move || rate.clone().forget_until(until.clone());
        tokio::spawn(supervised("forgetting budgets", stop.clone(), forget))
    });
    let (live, limits, proxies) = (app.live.clone(), app.limits, app.proxies.clone());
    let mut requests = tokio::spawn(listener::run(listener, edge, limits, proxies, stop.clone()));
    let died = tokio::select! {
        () = shutdown => None,
        ended = &mut requests => Some(ended),
    };
    stop.cancel();
    let rest = async {
        let sockets = live.stop();
        match died {
            Some(ended) => (ended, sockets.await).0,
            None => tokio::join!(&mut requests, sockets).0,
        }
    };
    let ended = tokio::time::timeout(DRAIN, rest).await;
    if let Some(forgetting) = forgetting
        && let Err(error) = forgetting.await
    {
        tracing::error!(%error, "budgets were no longer forgotten");
    }
    match ended {
        Ok(ended) => ended.map_err(io::Error::other),
        Err(_late) => {
            requests.abort();
            tracing::warn!("some requests did not end in time and were cut off");
            Ok(())
        }
    }
}
