//! HTTP: the route table, and the edges where bytes become commands and answers become bytes.
//!
//! Status codes live in `problem` and nowhere else; what clients see lives in [`wire`]. Not here:
//! what a command means, and where histories are kept.
#![allow(clippy::result_large_err, reason = "a problem document is made once a refused request, and sent")]

mod activity;
mod all_events;
pub mod audit;
mod auth;
mod command;
mod commands;
mod cors;
mod decode;
mod events;
mod extract;
mod format;
mod health;
mod operations;
mod problem;
mod reads;
mod same_origin;
mod shape;
mod socket;
mod stream;
mod subscriptions;
pub mod transcode;
pub mod wire;

use std::{future::Future, io, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post, put},
    serve::ListenerExt,
};
use dao_projections::UserId;
use serde::Serialize;
use serde_json::Value;
use tokio::{net::TcpListener, sync::Semaphore};

use crate::{
    auth::Auth,
    domain::Operation,
    live::{AllGraphs, LiveConfig, Subscriptions},
    project::Stores,
    write::Graphs,
};
pub use cors::{Origin, Origins};
pub use format::Format;
use problem::Problem;
use same_origin::Reach;

/// Bytes of a request's body, unless configured otherwise; larger is 413 (rule O3).
pub const BODY_BYTES_MAX: usize = 8 << 20;
/// How long requests may take to end when the server stops.
const DRAIN: Duration = Duration::from_secs(10);

/// A command from a document that is JSON already, by the rules of `POST …/command`.
pub fn parse_command(value: Value, user: &UserId) -> Result<Operation, String> {
    let document = decode::Document { value, repeated: vec![] };
    command::read_command(document, user).map_err(|malformed| malformed.to_string())
}

/// What handlers share.
#[derive(Clone)]
pub struct App {
    graphs: Arc<Graphs>,
    live: Arc<socket::Live>,
    auth: Auth,
    origins: Origins,
    reach: Reach,
    /// What streams of all graphs read from.
    all: Option<Arc<AllGraphs>>,
    subscriptions: Option<Arc<Subscriptions>>,
    anonymous: UserId,
    body_bytes_max: usize,
    projections: Option<Projections>,
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
    /// How followed graphs keep level with what other instances do.
    pub live: LiveConfig,
}

impl Default for SocketConfig {
    fn default() -> Self {
        Self { heartbeat: Duration::from_secs(30), connections_max: 20_000, live: LiveConfig::default() }
    }
}

impl App {
    /// An application over these graphs, each by itself.
    pub fn new(graphs: Arc<Graphs>, body_bytes_max: usize, sockets: SocketConfig) -> Self {
        let anonymous = match UserId::parse("anonymous") {
            Ok(user) => user,
            Err(e) => unreachable!("a constant id is valid: {e}"),
        };
        let live = socket::Live::new(graphs.clone(), sockets, body_bytes_max);
        let verifying = Arc::new(Semaphore::new(audit::VERIFICATIONS_MAX));
        Self {
            graphs,
            live,
            auth: Auth::Off,
            origins: Origins::Own,
            reach: Reach::default(),
            all: None,
            subscriptions: None,
            anonymous,
            body_bytes_max,
            projections: None,
            verifying,
        }
    }

    /// With callers who have to prove who they are, or not.
    #[must_use]
    pub fn with_auth(self, auth: Auth) -> Self {
        Self { auth, ..self }
    }

    /// With pages of these origins that may call from a browser.
    #[must_use]
    pub fn with_origins(self, origins: Origins) -> Self {
        Self { origins, ..self }
    }

    /// With projections that are made from these stores, by this process or by others.
    #[must_use]
    pub fn with_projections(self, stores: Stores) -> Self {
        let all = AllGraphs::new(self.graphs.clone(), stores.rows.clone());
        let projections = Some(Projections { stores, watch: Arc::default() });
        Self { projections, ..self.with_all_graphs(all) }
    }

    /// With what all graphs' commits are read from, projections or not.
    #[must_use]
    pub fn with_all_graphs(self, all: Arc<AllGraphs>) -> Self {
        let subscriptions = Some(Subscriptions::new(all.clone()));
        Self { all: Some(all), subscriptions, ..self }
    }
}

/// Every route there is.
pub fn router(app: App) -> Router {
    let cors = cors::layer(&app.origins);
    let routes = Router::new()
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
        .route("/subscriptions/{name}/next", get(subscriptions::next))
        .route("/subscriptions/{name}/ack", post(subscriptions::ack))
        .route("/subscriptions/{name}/nack", post(subscriptions::nack))
        .route("/subscriptions/{name}/parked", get(subscriptions::parked))
        .route("/subscriptions/{name}/parked/retry", post(subscriptions::retry))
        .route("/subscriptions/{name}/parked/drop", post(subscriptions::drop_parked))
        .route("/ws", get(socket::upgrade))
        .route("/operations/{operationId}", get(operations::operation))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .fallback(|| async { Problem::not_found("there is no such route") })
        .layer(middleware::from_fn_with_state(app.clone(), auth::guard))
        .layer(middleware::from_fn(method_problem))
        .with_state(app);
    // Before the guard: browsers ask what they may do without a token.
    match cors {
        Some(cors) => routes.layer(cors),
        None => routes,
    }
}

/// A 405 as a problem document, with the methods that the route takes.
async fn method_problem(request: Request<Body>, next: Next) -> Response {
    let response = next.run(request).await;
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    Problem::method_not_allowed(response.headers().get(header::ALLOW).cloned()).into_response()
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
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let signal = async move {
        shutdown.await;
        let _nobody_waits = stopping.send(());
    };
    let is_loopback = listener.local_addr()?.ip().is_loopback();
    let app = App { reach: if is_loopback { Reach::Loopback } else { Reach::Anywhere }, ..app };
    // Answers are small and complete: waiting to fill a packet only delays them.
    let listener = listener.tap_io(|socket| {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
    });
    let live = app.live.clone();
    let server = axum::serve(listener, router(app)).with_graceful_shutdown(signal);
    let mut server = std::pin::pin!(server.into_future());
    // The HTTP server may be done at once when it is told to stop: sockets are none of its requests.
    let ended = tokio::select! {
        ended = &mut server => Some(ended),
        _ = stopped => None,
    };
    let rest = async {
        let sockets = live.stop();
        match ended {
            Some(ended) => (ended, sockets.await).0,
            None => tokio::join!(server, sockets).0,
        }
    };
    match tokio::time::timeout(DRAIN, rest).await {
        Ok(ended) => ended,
        Err(_late) => {
            tracing::warn!("some requests did not end in time and were cut off");
            Ok(())
        }
    }
}
