//! Who calls: the user that a token proves or, without keys, the user that a caller claims to be (rules O1, O2).
//!
//! A token comes in `Authorization`; on a WebSocket also as a subprotocol or a frame. It is never read from a URL, because
//! proxies write URLs into their logs.
//!
//! Not here: what a route needs ([`super::guard`]), how often somebody may call ([`super::rate_limits`]), what a token
//! says ([`crate::auth`]), and the rights of frames (`socket/`).

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use dao_projections::{GraphId, UserId};
use tokio::time::Instant;

use super::{
    app::App,
    client_address,
    extractors::QueryParameters,
    problem::Problem,
    rate_limits::{Exhausted, RateBudget},
};
use crate::auth::{Auth, BadToken, Grant, Keys, Right};

/// The grant of the token in the header; `None` without a header, or without keys. For an address that sent too many bad
/// tokens, only tokens that were valid before are accepted (rule O3).
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

/// Why a token was not accepted.
pub(super) enum AuthenticationError {
    Bad(BadToken),
    /// The token was not checked, because the address sent too many bad ones before.
    TooMany(Exhausted),
}

/// Verifies a token.
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
        // An expired token is not a guess, so late renewals don't count as failures.
        let was_guess = !matches!(bad, BadToken::Expired | BadToken::NotYetValid);
        match budget.filter(|_| was_guess).map(RateBudget::failed) {
            Some(Err(exhausted)) => AuthenticationError::TooMany(exhausted),
            Some(Ok(())) | None => AuthenticationError::Bad(bad),
        }
    })
}

/// Checks that the grant has this right on this graph.
pub(super) fn may(grant: &Grant, right: Right, graph: &GraphId) -> Result<(), Problem> {
    if grant.allows(right, graph) {
        return Ok(());
    }
    Err(Problem::forbidden(right, graph.as_str(), grant.rights.on(graph)))
}

/// The right of a caller on a graph as clients see it. Without keys it is `admin`.
pub(super) fn access_of(grant: Option<&Grant>, graph: &GraphId) -> &'static str {
    match grant {
        None => Right::Admin.as_str(),
        Some(grant) => grant.rights.on(graph).map_or("none", Right::as_str),
    }
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

/// When the grant expires.
pub(super) fn end_of(grant: &Grant) -> Instant {
    Instant::now() + grant.remaining()
}

/// The grant that the guard verified; `None` without keys.
pub(super) struct VerifiedGrant(pub(super) Option<Arc<Grant>>);

impl FromRequestParts<App> for VerifiedGrant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match &app.auth {
            Auth::Off => Ok(Self(None)),
            // Without a grant the request did not pass the guard: refuse it.
            Auth::Keys(_) => {
                let grant = parts.extensions.get::<Arc<Grant>>().cloned();
                Ok(Self(Some(grant.ok_or_else(Problem::no_token)?)))
            }
        }
    }
}

/// The calling user: the user of the token or, without keys, the user that the request claims (rule O2).
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

/// The user that the request claims: `X-User-Id`, then `userId` in the query, then `anonymous`.
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

impl RateBudget {
    /// The budget of this user or, if the user is not proved, of the address. `None` without limits.
    pub(super) fn of(app: &App, parts: &Parts, user: Option<&UserId>) -> Option<Self> {
        let limits = app.rate.clone()?;
        let address = client_address::of(&app.proxies, &parts.extensions, &parts.headers);
        Some(Self::new(limits, address, user))
    }
}
