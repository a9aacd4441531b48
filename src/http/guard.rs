//! The guard in front of all routes. It checks that a caller has the right that the table of routes names, and how often
//! they may call (rules O1 to O3).
//!
//! Invariants:
//! - With keys configured, no handler runs before a token was checked, except health, `/` and the public document. No
//!   handler of a graph runs before the right on that graph was checked. A route that is not in the table needs the
//!   highest right.
//! - Guard and handler parse the graph id from the same decoded part of the path, so no spelling of it means one graph
//!   to the guard and another to the handler.
//! - Without keys nobody needs a token, but pages of other sites are refused ([`same_origin`]).
//!
//! Not here: the table ([`super::routes`]), who the caller is ([`super::authentication`]), and how large budgets are
//! ([`super::rate_limits`]).

use std::{future::Future, sync::Arc};

use axum::{
    body::Body,
    extract::{FromRequestParts, MatchedPath, Request},
    http::{Extensions, Method, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    access,
    access::Access,
    app::{App, DocsAccess},
    authentication::{claimed, may, proved},
    client_address::ConnectionInfo,
    extractors::PathIds,
    problem::Problem,
    rate_limits::RateBudget,
    routes, same_origin,
};
use crate::auth::{Auth, Grant};

/// What the matched route needs. A path that matches no route needs a token, and is then 404.
fn needed(method: &Method, route: Option<&MatchedPath>) -> Access {
    route.map_or(Access::Token, |route| routes::access(method, route.as_str()))
}

/// This route is not rate limited: monitoring must work when the server is busy.
const UNMETERED: &str = access::METRICS;

/// Whether a request counts against the budget of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metering {
    Metered,
    Unmetered,
}

/// Guards a route that the router matched.
pub(super) async fn guard(app: &App, request: Request<Body>, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let need = needed(request.method(), route);
    let metering = match route.is_some_and(|route| route.as_str() == UNMETERED) {
        true => Metering::Unmetered,
        false => Metering::Metered,
    };
    guarded(app, request, need, metering, |request| next.run(request)).await
}

/// Passes a request on to `run` if its caller has the right and the budget for it. Others get 401, 403 or 429 before
/// their body is read.
pub(super) async fn guarded<F: Future<Output = Response>>(
    app: &App,
    request: Request<Body>,
    need: Access,
    metering: Metering,
    run: impl FnOnce(Request<Body>) -> F,
) -> Response {
    if let (Auth::Off, Err(problem)) = (&app.auth, same_origin::check(app, &request, need)) {
        return problem.into_response();
    }
    // A socket checks its rights and its budget itself.
    let is_asked = matches!(app.auth, Auth::Keys(_)) || app.rate.is_some();
    if !is_asked || matches!(need, Access::Public | Access::Console | Access::Socket) {
        if !matches!(need, Access::Public | Access::Console | Access::Socket) {
            let_in(request.extensions());
        }
        return run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    // The document is the same for everybody, so the token is not checked.
    let is_public = need == Access::Docs && app.docs == DocsAccess::Public;
    let grant = match &app.auth {
        Auth::Off => None,
        Auth::Keys(_) if is_public => None,
        Auth::Keys(_) => match proved(app, &parts) {
            Ok(Some(grant)) => Some(grant),
            Ok(None) => return Problem::no_token().into_response(),
            Err(problem) => return problem.into_response(),
        },
    };
    let key = match &grant {
        Some(grant) => Some(grant.user.clone()),
        None if is_public => None,
        // Anonymous callers share the budget of their address.
        None => claimed(&mut parts, app).await.ok().filter(|user| *user != app.anonymous),
    };
    let budget = RateBudget::of(app, &parts, key.as_ref()).filter(|_| metering == Metering::Metered);
    let left = match budget.as_ref().map(RateBudget::spend).transpose() {
        Ok(left) => left,
        Err(exhausted) => return budget.map_or_else(Response::default, |budget| budget.refusal(exhausted)),
    };
    let response = match admit(app, &mut parts, need, grant).await {
        Ok(()) => {
            // Reading a public document does not prove the connection.
            if !is_public {
                let_in(&parts.extensions);
            }
            run(Request::from_parts(parts, body)).await
        }
        Err(problem) => problem.into_response(),
    };
    match (budget, left) {
        (Some(budget), Some(left)) => budget.marked(response, left),
        _ => response,
    }
}

/// Marks the connection as proven: a request on it was let in (rule O3).
fn let_in(extensions: &Extensions) {
    if let Some(arrival) = extensions.get::<ConnectionInfo>() {
        arrival.place.prove();
    }
}

/// Checks the required right, and puts the grant into the request for handlers.
async fn admit(app: &App, parts: &mut Parts, need: Access, grant: Option<Arc<Grant>>) -> Result<(), Problem> {
    let Some(grant) = grant else { return Ok(()) }; // no keys are configured, or the route is public
    match need {
        Access::Graph(right) => {
            let graph = PathIds::from_request_parts(parts, app).await?.graph()?;
            may(&grant, right, &graph)?;
            // The handler reads the id that was checked.
            parts.extensions.insert(graph);
        }
        Access::AllGraphs(right) => {
            let granted = grant.rights.on_all();
            if granted.is_none_or(|granted| granted < right) {
                return Err(Problem::forbidden(right, "*", granted));
            }
        }
        Access::Public | Access::Console | Access::Token | Access::Demo | Access::Socket | Access::Docs => {}
    }
    parts.extensions.insert(grant);
    Ok(())
}
