//! Metrics of HTTP: requests by route template, and problems that were sent to clients.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::{Histogram, registered::registered};

/// The statuses that this server sends; any other is counted as `other`.
const STATUSES: [&str; 27] = [
    "101", "200", "201", "204", "206", "304", "400", "401", "403", "404", "405", "406", "408", "409", "410",
    "412", "413", "414", "415", "422", "426", "428", "429", "431", "500", "503", "other",
];
/// Codes of problem documents; any other is counted as `other`.
const CODES: [&str; 45] = [
    "BAD_REQUEST",
    "UNAUTHENTICATED",
    "FORBIDDEN",
    "NOT_FOUND",
    "METHOD_NOT_ALLOWED",
    "REQUEST_TIMEOUT",
    "TOO_LARGE",
    "UNSUPPORTED_MEDIA_TYPE",
    "VERSION_NOT_FOUND",
    "RATE_LIMITED",
    "OVERLOADED",
    "STORE_UNAVAILABLE",
    "VERSION_NOT_REACHED",
    "HISTORY_DAMAGED",
    "SUBSCRIPTION_EXISTS",
    "SUBSCRIPTION_DAMAGED",
    "INTERNAL",
    "CONFLICT",
    "TARGET_DELETED",
    "VERSION_AHEAD",
    "HISTORY_REPLACED",
    "ID_TAKEN",
    "NODE_NOT_FOUND",
    "EDGE_NOT_FOUND",
    "DANGLING_EDGE",
    "PARENT_NOT_FOUND",
    "PARENT_CYCLE",
    "OPERATION_ID_REUSED",
    "OPERATION_NOT_FOUND",
    "UNDO_CONFLICT",
    "BASE_REQUIRED",
    "BASE_UNKNOWN",
    "BASE_TOO_OLD",
    "VERSION_CHANGED",
    "DELETES_MUCH",
    "DEPENDENCY_PENDING",
    "DEPENDENCY_REFUSED",
    "LABEL_NOT_FOUND",
    "LABEL_MOVED",
    "GRAPH_EXISTS",
    "GRAPH_NOT_FOUND",
    "GRAPH_TRASHED",
    "GRAPH_READ_ONLY",
    "NOT_TRASHED",
    "other",
];

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Metrics of requests.
pub struct RequestMetrics {
    requests: Family<Labels<2>, Counter>,
    times: Family<Labels<1>, Histogram, fn() -> Histogram>,
    problems: Family<Labels<1>, Counter>,
    by_code: [OnceLock<Counter>; CODES.len()],
}

impl RequestMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let times = Family::new_with_constructor(Histogram::of_times as fn() -> Histogram);
        Self {
            requests: registered(registry, "http_requests", "Requests answered", Family::default()),
            times: registered(
                registry,
                "http_request_duration_seconds",
                "Time until the response head was sent; for streams and WebSockets not the time after it",
                times,
            ),
            problems: registered(
                registry,
                "problems",
                "Problems sent to clients, over HTTP or a WebSocket",
                Family::default(),
            ),
            by_code: std::array::from_fn(|_| OnceLock::new()),
        }
    }

    /// The metrics of one route. Called once for each route, when the router is built.
    pub fn route(&self, template: &'static str) -> RouteMetrics {
        let time = self.times.get_or_create_owned(&[("route", template)]);
        let statuses = std::array::from_fn(|_| OnceLock::new());
        RouteMetrics(Arc::new(Route { template, time, requests: self.requests.clone(), statuses }))
    }

    /// Counts a problem with this code that was sent to a client.
    pub fn problem(&self, code: &'static str) {
        let index = CODES.iter().position(|known| *known == code).unwrap_or(CODES.len() - 1);
        let find = || self.problems.get_or_create_owned(&[("code", CODES[index])]);
        self.by_code[index].get_or_init(find).inc();
    }
}

/// The metrics of one route.
#[derive(Clone)]
pub struct RouteMetrics(Arc<Route>);

struct Route {
    template: &'static str,
    time: Histogram,
    requests: Family<Labels<2>, Counter>,
    /// Created by the first response with that status: most routes have only a few.
    statuses: [OnceLock<Counter>; STATUSES.len()],
}

impl RouteMetrics {
    /// Counts a response with this status.
    pub fn answered(&self, status: &str, after: Duration) {
        let Route { template, time, requests, statuses } = &*self.0;
        let index = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len() - 1);
        let labels = [("route", *template), ("status", STATUSES[index])];
        statuses[index].get_or_init(|| requests.get_or_create_owned(&labels)).inc();
        time.took(after);
    }
}

impl fmt::Debug for RouteMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RouteMetrics({})", self.0.template)
    }
}
