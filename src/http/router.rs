//! The routers: which routes of the table a process serves, and what is around each of them.

use axum::{Router, middleware};

use super::{
    access,
    access::Access,
    app::{App, ConsoleRoute, DocsAccess, MetricsRoute},
    problem::Problem,
    query_parameters, response,
    routes::{self, Route},
};

/// What a process that serves no graphs answers: whether it lives, whether it is ready, what it counts.
const OPERATIONAL: [&str; 3] = ["/healthz", "/readyz", access::METRICS];

/// The router of a server.
pub(super) fn router(app: &App) -> Router {
    router_of(app, |_| true, "there is no such route")
}

/// The router of a process that serves no graphs.
pub(super) fn operational_router(app: &App) -> Router {
    router_of(app, |route| OPERATIONAL.contains(&route.path), "this process serves no graphs: ask a server")
}

/// The router of those who own the store: without sockets, and with routes of their own.
pub(super) fn local_router(app: &App, own: Router<App>) -> Router {
    router_with(app, own, |route| route.access != Access::Socket, "there is no such route")
}

fn router_of(app: &App, is_served: impl Fn(&Route) -> bool, not_found: &'static str) -> Router {
    router_with(app, Router::new(), is_served, not_found)
}

fn router_with(
    app: &App,
    own: Router<App>,
    is_served: impl Fn(&Route) -> bool,
    not_found: &'static str,
) -> Router {
    let is_shown = |route: &&Route| match route.access {
        Access::Docs => app.docs != DocsAccess::Off,
        Access::Demo => app.is_demo,
        Access::Console => app.console == ConsoleRoute::On,
        _ if route.path == access::METRICS => app.metrics_route == MetricsRoute::On,
        Access::Public | Access::Graph(_) | Access::AllGraphs(_) | Access::Token | Access::Socket => true,
    };
    let routes = routes::all().filter(is_shown).filter(|route| is_served(route));
    routes
        .fold(own, |router, route| router.route(route.path, (route.method_router)()))
        .fallback(move || async move { Problem::not_found(not_found) })
        .layer(middleware::from_fn(query_parameters::check))
        .layer(middleware::from_fn_with_state(app.clone(), response::of_route))
        .with_state(app.clone())
}
