//! `GET /metrics`, and what is counted of every request.
//!
//! A request is counted under the template of its route, so that nobody can make a label by asking for a path. Not
//! here: the families ([`crate::telemetry`]), and what they mean (`docs/metrics.md`).

use std::{collections::HashMap, sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tower_http::request_id::RequestId;
use tracing::{Instrument, Span, field::Empty};

use super::{
    App, auth, health,
    problem::{Problem, Told},
};
use crate::telemetry::{CONTENT_TYPE, Metrics, ProjectionSample, RouteMetrics, Sampled};

/// Whether this server shows its metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsRoute {
    /// To whoever has `"*": "admin"`.
    #[default]
    On,
    /// To nobody: there is no such route.
    Off,
}

/// Under which route requests are counted that match none.
const UNMATCHED: &str = "unmatched";

/// All that is counted, and what is measured now.
pub(super) async fn metrics(State(app): State<App>) -> Response {
    let sampled = sample(&app).await;
    match app.metrics().encode(&sampled) {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => unreachable!("metrics are written to memory: {error}"),
    }
}

/// What can't be found out now is left out: a store that is away is a metric too.
async fn sample(app: &App) -> Sampled {
    let store = app.graphs.store();
    let is_store_available = store.check().await.is_ok();
    let (hot_graphs, hot_graph_bytes) = app.graphs.occupancy();
    let (followed_graphs, present_clients) = app.live.hub.occupancy();
    let mut sampled = Sampled {
        is_store_available,
        durability: store.durability().name,
        hot_graphs: hot_graphs as u64,
        hot_graph_bytes: hot_graph_bytes as u64,
        followed_graphs: followed_graphs as u64,
        present_clients: present_clients as u64,
        ..Sampled::default()
    };
    if !is_store_available {
        return sampled; // each further question would only wait for it
    }
    if let Some(subscriptions) = &app.subscriptions {
        sampled.subscriptions = subscriptions.names().await.ok().map(|names| names.len() as u64);
    }
    if let Some(projections) = &app.projections {
        sampled.projection = health::measure(projections).await.ok().map(|health| ProjectionSample {
            lag_commits: health.lag.commits,
            lag_ms: health.lag.age.as_millis() as u64,
            parked_graphs: health.parked.len() as u64,
        });
    }
    sampled
}

/// Where requests are counted.
#[derive(Clone)]
pub(super) struct Measuring {
    metrics: Metrics,
    routes: Arc<HashMap<&'static str, RouteMetrics>>,
    unmatched: RouteMetrics,
}

impl Measuring {
    /// Finds what every route counts into, once.
    pub(super) fn of(metrics: &Metrics) -> Self {
        let route = |template| (template, metrics.requests.route(template));
        let routes = Arc::new(auth::templates().map(route).collect());
        Self { metrics: metrics.clone(), routes, unmatched: metrics.requests.route(UNMATCHED) }
    }

    fn route(&self, matched: Option<&MatchedPath>) -> &RouteMetrics {
        matched.and_then(|path| self.routes.get(path.as_str())).unwrap_or(&self.unmatched)
    }
}

/// Counts a request and its answer, and names it to whatever is logged on the way.
pub(super) async fn measure(
    State(measuring): State<Measuring>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let began = Instant::now();
    let route = measuring.route(request.extensions().get::<MatchedPath>());
    let span = span_of(&request);
    let response = next.run(request).instrument(span).await;
    route.answered(response.status().as_str(), began.elapsed());
    if let Some(Told(code)) = response.extensions().get::<Told>() {
        measuring.metrics.requests.problem(code);
    }
    response
}

/// A token is in no path, and a query is not logged.
fn span_of(request: &Request<Body>) -> Span {
    let path = request.uri().path();
    let span = tracing::info_span!("request", method = %request.method(), path, request_id = Empty);
    if let Some(id) = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok()) {
        span.record("request_id", id);
    }
    span
}

/// A problem that was told otherwise than by an answer of HTTP.
pub(super) fn told(metrics: &Metrics, problem: Problem) -> Problem {
    metrics.requests.problem(problem.code);
    problem.logged()
}
