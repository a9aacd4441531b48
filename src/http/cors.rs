//! CORS: which pages of other origins may call this server from a browser. Those are the origins in `CORS_ORIGINS` and,
//! without keys on loopback, pages that this machine serves itself (rules O2, O4).
//!
//! This protects nothing by itself: it only lets browsers show answers to pages. Rights are checked by [`super::guard`],
//! and without keys [`super::same_origin`] refuses other pages. Cookies are never allowed: users prove themselves by
//! tokens, which no page can send for another.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts},
    response::Response,
};
use tower::{Layer, Service, ServiceExt};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{
    app::App, origins::Origins, refused_origins::RefusedHeader, request_id::REQUEST_ID, same_origin,
};

/// How long a browser may remember what it may do.
const MAX_AGE: Duration = Duration::from_secs(3_600);

/// What answers preflights, and marks answers for browsers.
pub(super) fn layer(app: &App) -> CorsLayer {
    let allowed = match &app.origins {
        Origins::Any => AllowOrigin::any(),
        Origins::Own | Origins::Listed(_) => {
            let app = app.clone();
            AllowOrigin::predicate(move |origin, parts| may_call(&app, origin, parts))
        }
    };
    let asked = [
        header::ACCEPT,
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        HeaderName::from_static("idempotency-key"),
        HeaderName::from_static("last-event-id"),
        HeaderName::from_static("traceparent"),
        HeaderName::from_static("x-client-id"),
        REQUEST_ID,
        HeaderName::from_static("x-user-id"),
    ];
    let shown = [
        header::ETAG,
        header::RETRY_AFTER,
        header::WWW_AUTHENTICATE,
        REQUEST_ID,
        HeaderName::from_static("ratelimit"),
        HeaderName::from_static("ratelimit-policy"),
        HeaderName::from_static("x-base"),
        HeaderName::from_static("x-cache"),
        HeaderName::from_static("x-stale"),
    ];
    let layer = CorsLayer::new().allow_origin(allowed).allow_methods([
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
    ]);
    layer.allow_headers(asked).expose_headers(shown).max_age(MAX_AGE)
}

/// Answers a request of a page. What names no `Origin` comes from no page of another origin, and what is `OPTIONS`
/// without being a preflight is a request like any other.
pub(super) async fn answer<S>(layer: &CorsLayer, mut routes: S, request: Request) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let has_origin = request.headers().contains_key(header::ORIGIN);
    let is_bare_options =
        request.method() == Method::OPTIONS && !is_preflight(request.method(), request.headers());
    if has_origin && !is_bare_options {
        return layer.layer(routes).oneshot(request).await.unwrap_or_else(|never| match never {});
    }
    let mut answered = routes.call(request).await.unwrap_or_else(|never| match never {});
    // Caches tell this answer from those that name an origin.
    answered.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
    answered
}

fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Whether pages of this origin may call. Logs one that may not, where a browser will hide the answer from it.
fn may_call(app: &App, origin: &HeaderValue, request: &Parts) -> bool {
    let may = app.origins.allow(origin) || same_origin::is_neighbour(app, origin);
    if !may && is_cross_origin(request) {
        app.refused_origins.note(RefusedHeader::Origin, &String::from_utf8_lossy(origin.as_bytes()));
    }
    may
}

/// Browsers send a preflight, or `Origin` with a `GET`, for another origin alone. With any other request, and with
/// the handshake of a WebSocket, they send it for the page's own origin too.
fn is_cross_origin(request: &Parts) -> bool {
    let is_read = matches!(request.method, Method::GET | Method::HEAD);
    is_preflight(&request.method, &request.headers)
        || is_read && !request.headers.contains_key(header::UPGRADE)
}
