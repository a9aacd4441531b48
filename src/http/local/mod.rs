//! The interface for those who own the store: the command line on the machine of the server (decision 0127).
//!
//! It is the interface of the server without sockets, as admin, without keys and rate limits; and the routes below
//! `/local`, which are not on the port and not in the OpenAPI document. A request comes over `DATA_DIR/dao.sock`
//! ([`listener`]), or from this process, where no server runs ([`LocalService::ask`]).
//!
//! Invariant: nothing of it is reachable over the network.

mod copy;
mod listener;
mod rebuild;

use std::io;

use axum::{
    Extension, Router,
    body::Body,
    extract::State,
    http::{HeaderValue, Request, StatusCode, header},
    response::Response,
    routing::post,
};
use bytes::Bytes;
use dao_projections::{GraphId, Version};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use self::copy::CopyTasks;
use super::{
    app::App,
    decode::Document,
    extractors::{DecodedBody, PathIds},
    fast_path::FastPath,
    format::{Format, respond},
    problem::Problem,
    request_limits::RequestLimits,
    response::HttpService,
    router,
};
use crate::project::{self, Stores};

pub use listener::{bind_socket, serve_socket};

/// Bytes of a body in this process: a whole graph as one command, which is what an import is.
const BODY_BYTES_MAX: usize = 512 << 20;
/// Bytes of a body over the socket, or more where the server takes more on its port: the memory is that of a server, which
/// others use too.
pub const SOCKET_BODY_BYTES_MAX: usize = 64 << 20;
/// Bytes of all bodies over it, as many times those of one: a decoded body counts with more than its length.
const SOCKET_BODIES: usize = 8;
/// Graphs in one answer of `/local/graphs`.
const GRAPHS_PAGE: usize = 1_000;

/// Answers requests of this machine.
#[derive(Clone)]
pub struct LocalService {
    http: HttpService,
    copies: CopyTasks,
}

/// The body of an answer.
pub type LocalBody = UnsyncBoxBody<Bytes, io::Error>;

impl LocalService {
    /// The interface over this application, which has projections, for this process.
    pub fn of(app: App) -> Self {
        let limits = RequestLimits {
            body_bytes_max: BODY_BYTES_MAX,
            bodies_bytes_max: 2 * BODY_BYTES_MAX,
            answers_bytes_max: 2 * BODY_BYTES_MAX,
            ..app.limits
        };
        Self::limited(app, limits)
    }

    /// The same for the socket of a server: answers are bounded as on its port.
    pub fn beside(app: App) -> Self {
        let limits = RequestLimits {
            body_bytes_max: app.limits.body_bytes_max.max(SOCKET_BODY_BYTES_MAX),
            bodies_bytes_max: app.limits.bodies_bytes_max.max(SOCKET_BODIES * SOCKET_BODY_BYTES_MAX),
            ..app.limits
        };
        Self::limited(app, limits)
    }

    /// Whatever a batch may have elsewhere. What a graph may be is limited as for everybody.
    fn limited(app: App, limits: RequestLimits) -> Self {
        let limits = RequestLimits { batch_operations_max: usize::MAX, ..limits };
        let app = app.for_owners(limits);
        let copies = CopyTasks::default();
        let service = HttpService::of(router::local_router(&app, routes(copies.clone())), None, limits);
        Self { http: service.with_fast_path(FastPath::of(&app)), copies }
    }

    /// Answers a request of this process.
    pub async fn ask(&self, request: Request<Bytes>) -> http::Response<LocalBody> {
        let mut request = request.map(Body::from);
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
        self.http.clone().answer(request).await.map(|body| body.map_err(io::Error::other).boxed_unsync())
    }
}

fn routes(copies: CopyTasks) -> Router<App> {
    Router::new()
        .route("/local/graphs", post(graphs))
        .route("/local/graphs/{graphId}/fold", post(fold))
        .route("/local/graphs/{graphId}/copy", post(copy::copy_graph).layer(Extension(copies)))
        .route("/local/graphs/{graphId}/rebuild", post(rebuild::rebuild))
}

/// Reads what is asked in a body.
fn asked<T: DeserializeOwned>(document: Document) -> Result<T, Problem> {
    serde_json::from_value(document.value).map_err(|e| Problem::bad_request(e.to_string()))
}

fn stores(app: &App) -> Result<&Stores, Problem> {
    let projections = app.projections.as_ref().map(|projections| &projections.stores);
    projections.ok_or_else(|| Problem::not_found("this server has no projections"))
}

#[derive(Deserialize)]
struct GraphsBody {
    #[serde(default)]
    after: Option<GraphId>,
}

/// List the graphs of the store by name, also those that no projection knows.
async fn graphs(
    State(app): State<App>,
    DecodedBody(document, _held): DecodedBody,
) -> Result<Response, Problem> {
    let GraphsBody { after } = asked(document)?;
    let graphs = app.graphs.store().graphs(after.as_ref(), GRAPHS_PAGE).await;
    let graphs = graphs.map_err(|e| Problem::from(crate::write::WriteError::from(e)).logged())?;
    Ok(respond(StatusCode::OK, Format::Json, &json!({ "graphs": graphs })))
}

#[derive(Deserialize)]
struct FoldBody {
    version: Version,
}

/// Bring the rows of a graph up to a version, so that the list of graphs knows it.
async fn fold(
    State(app): State<App>,
    ids: PathIds,
    DecodedBody(document, _held): DecodedBody,
) -> Result<Response, Problem> {
    let FoldBody { version } = asked(document)?;
    let folded = project::fold_graph(stores(&app)?, &ids.graph()?, version, app.checkpoint_every).await;
    folded.map_err(|why| Problem::behind(&why.to_string(), &why))?;
    Ok(respond(StatusCode::OK, Format::Json, &json!({ "version": version })))
}
