//! Who asks, and whether they may: the table of what each route needs, and the guard in front of them all
//! (rules O1, O2).
//!
//! Invariants:
//! - With keys configured no handler but those of health, `/` and the public document runs before a token was
//!   checked, and none of a graph before the right on it was. A route that is not in the table needs the highest
//!   right there is.
//! - The graph is the one that the handler will see: both take it from the same decoded, parsed part of the
//!   path, so that no spelling of it means one graph here and another there.
//! - Without keys nobody is asked for anything, but pages of other sites are kept out ([`same_origin`]).
//! - A token comes in `Authorization`; on a WebSocket also as a subprotocol or a frame. Never in a URL, which
//!   proxies write into their logs.
//!
//! Not here: how much somebody may ask ([`super::rate_limits`]), what a token says ([`crate::auth`]), and the rights of frames (`socket/standing.rs`).

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequestParts, MatchedPath, Request},
    http::{Extensions, HeaderMap, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use dao_projections::{GraphId, UserId};
use tokio::time::Instant;

use super::{
    App, DocsAccess,
    client_address::ConnectionInfo,
    extractors::{PathIds, QueryParameters},
    problem::Problem,
    rate_limits::{Exhausted, RateBudget},
    same_origin,
};
use crate::auth::{Auth, BadToken, Grant, Keys, Right};

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Nothing: health and `/`, for those who only ask whether the server lives and what it is.
    Public,
    /// This right on the graph in the path.
    Graph(Right),
    /// This right on all graphs at once.
    AllGraphs(Right),
    /// A token; the handler finds out which graph it is about.
    Token,
    /// The handler sees to it: a socket may bring its token later.
    Socket,
    /// What `DOCS` says: nothing, or a token.
    Docs,
}

/// Every route and what it needs.
const NEEDS: [(&str, Access); 35] = [
    ("/", Access::Public),
    ("/graphs/{graphId}/command", Access::Graph(Right::Write)),
    ("/graphs/{graphId}/batch", Access::Graph(Right::Write)),
    ("/graphs/{graphId}/state", Access::Graph(Right::Read)),
    ("/graphs/{graphId}/changes", Access::Graph(Right::Read)),
    ("/graphs/{graphId}/nodes", Access::Graph(Right::Read)),
    ("/graphs/{graphId}/nodes/{nodeId}", Access::Graph(Right::Read)),
    ("/graphs/{graphId}/edges", Access::Graph(Right::Read)),
    ("/graphs/{graphId}/edges/{edgeId}", Access::Graph(Right::Read)),
    ("/graphs/{graphId}/viewport", Access::Graph(Right::Read)),
    ("/graphs/{graphId}/operations", Access::Graph(Right::Read)),
    ("/graphs/{graphId}/diff", Access::Graph(Right::Read)),
    ("/graphs/{graphId}/nodes/{nodeId}/history", Access::Graph(Right::Read)),
    ("/graphs/{graphId}/edges/{edgeId}/history", Access::Graph(Right::Read)),
    ("/graphs/{graphId}/verify", Access::Graph(Right::Read)),
    ("/graphs/{graphId}/events", Access::Graph(Right::Read)),
    ("/graphs/{graphId}/activity", Access::Graph(Right::Read)),
    ("/events", Access::AllGraphs(Right::Admin)),
    ("/activity", Access::AllGraphs(Right::Admin)),
    ("/subscriptions", Access::AllGraphs(Right::Admin)),
    ("/subscriptions/{name}", Access::AllGraphs(Right::Admin)),
    ("/subscriptions/{name}/next", Access::AllGraphs(Right::Admin)),
    ("/subscriptions/{name}/ack", Access::AllGraphs(Right::Admin)),
    ("/subscriptions/{name}/nack", Access::AllGraphs(Right::Admin)),
    ("/subscriptions/{name}/parked", Access::AllGraphs(Right::Admin)),
    ("/subscriptions/{name}/parked/retry", Access::AllGraphs(Right::Admin)),
    ("/subscriptions/{name}/parked/drop", Access::AllGraphs(Right::Admin)),
    ("/metrics", Access::AllGraphs(Right::Admin)),
    ("/ws", Access::Socket),
    ("/operations/{operationId}", Access::Token),
    ("/healthz", Access::Public),
    ("/readyz", Access::Public),
    ("/openapi.json", Access::Docs),
    ("/docs", Access::Docs),
    ("/docs/{file}", Access::Docs),
];

/// The templates of all routes.
pub(super) fn templates() -> impl Iterator<Item = &'static str> {
    NEEDS.iter().map(|(path, _)| *path)
}

/// What the route that matched needs; a path that matches none only tells so to those with a token.
fn need(route: Option<&MatchedPath>) -> Access {
    let Some(route) = route else { return Access::Token };
    let known = NEEDS.iter().find(|(path, _)| *path == route.as_str());
    known.map_or(Access::AllGraphs(Right::Admin), |(_, need)| *need)
}

/// Free of the budgets of [`super::rate_limits`]: whoever watches over a server must see it when it is busy too.
const UNMETERED: &str = "/metrics";

/// Lets through who may, as often as they may; all others get 401, 403 or 429 before their body is read.
pub(super) async fn guard(app: &App, request: Request<Body>, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let need = need(route);
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

/// Who the token in the header proves its bearer to be; `None` without a header, or without keys. From an
/// address that brought too many bad tokens only those are looked at that were good before (rule O3).
pub(super) fn proved(app: &App, parts: &Parts) -> Result<Option<Arc<Grant>>, Problem> {
    let Some(token) = bearer(&app.auth, &parts.headers)? else { return Ok(None) };
    let Auth::Keys(keys) = &app.auth else { return Ok(None) };
    if let Some(Ok(grant)) = keys.known(token) {
        return Ok(Some(grant));
    }
    let budget = RateBudget::of(app, parts, None);
    prove(keys, token, budget.as_ref()).map(Some).map_err(|unproved| match unproved {
        AuthenticationError::Bad(bad) => Problem::bad_token(bad.to_string()),
        AuthenticationError::TooMany(exhausted) => Problem::too_many_bad_tokens(exhausted.0),
    })
}

/// Why somebody has not proved who they are.
pub(super) enum AuthenticationError {
    Bad(BadToken),
    /// The token was not looked at: too many bad ones came before.
    TooMany(Exhausted),
}

/// Who this token proves its bearer to be.
pub(super) fn prove(
    keys: &Keys,
    token: &str,
    budget: Option<&RateBudget>,
) -> Result<Arc<Grant>, AuthenticationError> {
    if let Some(Err(exhausted)) = budget.map(RateBudget::may_try)
        && keys.known(token).is_none()
    {
        return Err(AuthenticationError::TooMany(exhausted));
    }
    keys.verify(token).map_err(|bad| {
        // A token whose time is over was no guess: those who renew theirs late shut nobody out.
        let was_guess = !matches!(bad, BadToken::Expired | BadToken::NotYetValid);
        match budget.filter(|_| was_guess).map(RateBudget::failed) {
            Some(Err(exhausted)) => AuthenticationError::TooMany(exhausted),
            Some(Ok(())) | None => AuthenticationError::Bad(bad),
        }
    })
}

/// Whether this right on this graph is granted.
pub(super) fn may(grant: &Grant, right: Right, graph: &GraphId) -> Result<(), Problem> {
    if grant.allows(right, graph) {
        return Ok(());
    }
    Err(Problem::forbidden(right, graph.as_str(), grant.rights.on(graph)))
}

/// The token in the header; `None` without one, or without keys.
fn bearer<'a>(auth: &Auth, headers: &'a HeaderMap) -> Result<Option<&'a str>, Problem> {
    let Auth::Keys(_) = auth else { return Ok(None) };
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let (scheme, token) = value.to_str().ok().and_then(|value| value.split_once(' ')).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::bad_token("Authorization: must be Bearer and a token"));
    }
    Ok(Some(token.trim()))
}

/// When a token stops being good, from now.
pub(super) fn end_of(grant: &Grant) -> Instant {
    Instant::now() + grant.remaining()
}

/// What the guard found out; `None` without keys.
pub(super) struct VerifiedGrant(pub(super) Option<Arc<Grant>>);

impl FromRequestParts<App> for VerifiedGrant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match &app.auth {
            Auth::Off => Ok(Self(None)),
            // Without a grant this handler was reached around the guard.
            Auth::Keys(_) => {
                let grant = parts.extensions.get::<Arc<Grant>>().cloned();
                Ok(Self(Some(grant.ok_or_else(Problem::no_token)?)))
            }
        }
    }
}

/// Who asks: the user of the token; without keys configured, whoever they say they are (rule O2).
pub(super) struct Caller(pub(super) UserId);

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if let VerifiedGrant(Some(grant)) = VerifiedGrant::from_request_parts(parts, app).await? {
            return Ok(Self(grant.user.clone()));
        }
        self::claimed(parts, app).await.map(Self)
    }
}

/// Who they say they are.
pub(super) async fn claimed(parts: &mut Parts, app: &App) -> Result<UserId, Problem> {
    if let Some(value) = parts.headers.get("x-user-id").filter(|value| !value.is_empty()) {
        let text = std::str::from_utf8(value.as_bytes());
        let text = text.map_err(|_| Problem::bad_request("X-User-Id: must be UTF-8"))?;
        return user(text, "X-User-Id");
    }
    if parts.uri.query().is_none() {
        return Ok(app.anonymous.clone());
    }
    let query = QueryParameters::from_request_parts(parts, app).await?;
    match query.text("userId").filter(|text| !text.is_empty()) {
        Some(text) => user(text, "userId"),
        None => Ok(app.anonymous.clone()),
    }
}

fn user(text: &str, place: &str) -> Result<UserId, Problem> {
    UserId::parse(text).map_err(|e| Problem::bad_request(format!("{place}: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o1_every_route_is_in_the_table_of_needs() {
        let routes = include_str!("mod.rs").split(".route(").skip(1);
        let paths: Vec<&str> = routes.filter_map(|rest| rest.split('"').nth(1)).collect();
        assert!(paths.len() > 10, "the routes are found: {paths:?}");
        for path in paths {
            assert!(NEEDS.iter().any(|(known, _)| *known == path), "{path} is not in NEEDS");
        }
    }
}
