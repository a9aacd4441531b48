//! The guard in front of all routes: whether a caller has the right that the table of routes names, and how often they
//! may call (rules O1 to O3).
//!
//! Invariants:
//! - With keys configured no handler but those of health, `/` and the public document runs before a token was
//!   checked, and none of a graph before the right on it was. A route that is not in the table needs the highest
//!   right there is.
//! - The graph is the one that the handler will see: both take it from the same decoded, parsed part of the
//!   path, so that no spelling of it means one graph here and another there.
//! - Without keys nobody is asked for anything, but pages of other sites are kept out ([`same_origin`]).
//!
//! Not here: the table ([`super::routes`]), who the caller is ([`super::authentication`]), and how large budgets are
//! ([`super::rate_limits`]).

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequestParts, MatchedPath, Request},
    http::{Extensions, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    app::{App, DocsAccess},
    authentication::{claimed, may, proved},
    client_address::ConnectionInfo,
    extractors::PathIds,
    problem::Problem,
    rate_limits::RateBudget,
    routes::{self, Access},
    same_origin,
};
use crate::auth::{Auth, Grant};

/// What the route that matched needs; a path that matches none only tells so to those with a token.
fn needed(route: Option<&MatchedPath>) -> Access {
    route.map_or(Access::Token, |route| routes::access(route.as_str()))
}

/// Free of the budgets of [`super::rate_limits`]: whoever watches over a server must see it when it is busy too.
const UNMETERED: &str = routes::METRICS;

/// Lets through who may, as often as they may; all others get 401, 403 or 429 before their body is read.
pub(super) async fn guard(app: &App, request: Request<Body>, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let need = needed(route);
    if let (Auth::Off, Err(problem)) = (&app.auth, same_origin::check(app, &request, need)) {
        return problem.into_response();
    }
    // A socket sees to its rights and its budget by itself.
    let is_asked = matches!(app.auth, Auth::Keys(_)) || app.rate.is_some();
    if !is_asked || matches!(need, Access::Public | Access::Socket) {
        if !matches!(need, Access::Public | Access::Socket) {
            let_in(request.extensions());
        }
        return next.run(request).await;
    }
    let is_metered = route.is_none_or(|route| route.as_str() != UNMETERED);
    let (mut parts, body) = request.into_parts();
    // The same for everybody, so a token changes nothing.
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
        // Who claims to be nobody in particular is told apart by address.
        None => claimed(&mut parts, app).await.ok().filter(|user| *user != app.anonymous),
    };
    let budget = RateBudget::of(app, &parts, key.as_ref()).filter(|_| is_metered);
    let left = match budget.as_ref().map(RateBudget::spend).transpose() {
        Ok(left) => left,
        Err(exhausted) => return budget.map_or_else(Response::default, |budget| budget.refusal(exhausted)),
    };
    let response = match admit(app, &mut parts, need, grant).await {
        Ok(()) => {
            // What everybody may read proves nothing.
            if !is_public {
                let_in(&parts.extensions);
            }
            next.run(Request::from_parts(parts, body)).await
        }
        Err(problem) => problem.into_response(),
    };
    match (budget, left) {
        (Some(budget), Some(left)) => budget.marked(response, left),
        _ => response,
    }
}

/// A request on this connection was let in, so that it is no stranger's any more (rule O3).
fn let_in(extensions: &Extensions) {
    if let Some(arrival) = extensions.get::<ConnectionInfo>() {
        arrival.place.prove();
    }
}

/// Checks the right that is needed, and lets handlers see what is granted.
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
        Access::Public | Access::Token | Access::Socket | Access::Docs => {}
    }
    parts.extensions.insert(grant);
    Ok(())
}
