//! `GET /metrics`, and counting requests.
//!
//! A request is counted under the template of its route, so that callers can't create labels by inventing paths. Not here:
//! the families of metrics ([`crate::telemetry`]) and what they mean (`docs/metrics.md`).

use std::{collections::HashMap, time::Duration};

use axum::{
    extract::{MatchedPath, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    app::App,
    problem::{Problem, ProblemCode},
};
use crate::telemetry::{CONTENT_TYPE, Metrics, ProjectionSample, RouteMetrics, Sampled};

/// The label of requests that match no route.
const UNMATCHED: &str = "unmatched";

/// Get metrics as OpenMetrics text.
pub(super) async fn metrics(State(app): State<App>) -> Response {
    let sampled = sample(&app).await;
    match app.metrics().encode(&sampled) {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => unreachable!("metrics are written to memory: {error}"),
    }
}

/// Values that can't be read now are left out: an unavailable store is a metric too.
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
        return sampled; // every further read would only wait for the store
    }
    if let Some(subscriptions) = &app.subscriptions {
        sampled.subscriptions = subscriptions.names().await.ok().map(|names| names.len() as u64);
    }
    if let Some(projections) = &app.projections {
        sampled.projection =
            projections.lag_cache.measure(&projections.stores).await.ok().map(|health| ProjectionSample {
                lag_commits: health.lag.commits,
                lag_ms: health.lag.age.as_millis() as u64,
                parked_graphs: health.parked.len() as u64,
            });
    }
    sampled
}

/// Counts requests by route.
pub(super) struct RequestMetrics {
    metrics: Metrics,
    routes: HashMap<&'static str, RouteMetrics>,
    unmatched: RouteMetrics,
}

impl RequestMetrics {
    /// Looks up the counters of every route once.
    pub(super) fn of(metrics: &Metrics, templates: impl Iterator<Item = &'static str>) -> Self {
        let route = |template| (template, metrics.requests.route(template));
        let routes = templates.map(route).collect();
        Self { metrics: metrics.clone(), routes, unmatched: metrics.requests.route(UNMATCHED) }
    }

    /// Counts a request by its answer, which is marked with its route where the router gave it; `template` is the route
    /// of any other.
    pub(super) fn answered(&self, response: &Response, template: Option<&str>, after: Duration) {
        let said = response.extensions();
        let template = template.or_else(|| said.get::<MatchedPath>().map(MatchedPath::as_str));
        let route = template.and_then(|template| self.routes.get(template));
        route.unwrap_or(&self.unmatched).answered(response.status().as_str(), after);
        if let Some(ProblemCode(code)) = said.get::<ProblemCode>() {
            self.metrics.requests.problem(code);
        }
    }
}

/// Counts and logs a problem that is not sent as an HTTP answer.
pub(super) fn told(metrics: &Metrics, problem: Problem) -> Problem {
    metrics.requests.problem(problem.code);
    problem.logged()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_a_problem_has_a_label() {
        let metrics = Metrics::default();
        let words = include_str!("problem.rs").split('"').skip(1).step_by(2);
        let is_code =
            |word: &&str| word.len() > 4 && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        let codes: Vec<&str> = words.filter(is_code).collect();
        assert!(codes.len() > 20, "the codes are found: {codes:?}");
        codes.iter().for_each(|code| metrics.requests.problem(code));
        let text = metrics.encode(&Sampled::default()).expect("text");
        assert!(!text.contains("dao_problems_total{code=\"other\"}"), "{text}");
        metrics.requests.problem("NO_SUCH_CODE");
        let text = metrics.encode(&Sampled::default()).expect("text");
        assert!(text.contains("dao_problems_total{code=\"other\"} 1"), "{text}");
    }
}
