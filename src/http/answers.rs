//! What every answer has, whatever made it: an id, the headers that keep browsers and caches from doing what
//! nobody meant, and fewer bytes where that is worth the time.
//!
//! Invariants:
//! - Every request is answered: a handler that panics is a 500, a method that a route does not take a 405, each
//!   a problem document.
//! - Two encodings of one state never share a strong entity tag (RFC 9110, 8.8.3).
//! - Streams are not compressed: an encoder would keep back what its reader waits for.

use std::panic::AssertUnwindSafe;

use axum::{
    body::{Body, HttpBody},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use tower_http::{
    CompressionLevel,
    compression::{CompressionLayer, predicate::Predicate},
};
use tracing::{Instrument, field::Empty};
use uuid::Uuid;

use super::{extract::CausedBy, problem::Problem};
use crate::telemetry::continue_from;

/// Answers shorter than this are sent as they are: a packet holds them anyway.
const COMPRESSED_BYTES_MIN: u64 = 1 << 10;
/// A request id that somebody else gave; a longer one is replaced.
const REQUEST_ID_BYTES_MAX: usize = 128;
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is sent unless a handler says otherwise.
const DEFAULTS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Answers one request, whatever happens.
pub(super) async fn complete(mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let shown = id.to_str().unwrap_or_default();
    let (method, path) = (request.method(), request.uri().path());
    let span = tracing::info_span!("request", request_id = shown, %method, path, status = Empty);
    continue_from(&span, CausedBy::of(request.headers()).0);
    let encoding = choose_encoding(request.headers_mut());
    let asked_tags = request.headers().get(header::IF_NONE_MATCH).cloned();
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind();
    let mut response = async {
        let response = answered.await.unwrap_or_else(|_panic| {
            tracing::error!("the handler of this request panicked");
            Problem::internal().into_response()
        });
        match response.status() {
            StatusCode::METHOD_NOT_ALLOWED => {
                Problem::method_not_allowed(response.headers().get(header::ALLOW).cloned()).into_response()
            }
            _ => response,
        }
    }
    .instrument(span.clone())
    .await;
    span.record("status", response.status().as_u16());
    weaken_tag(&mut response, encoding, asked_tags.as_ref());
    let headers = response.headers_mut();
    if is_page(headers) {
        // What it may load is for whoever wrote it to say.
        headers
            .entry(header::CONTENT_SECURITY_POLICY)
            .or_insert(HeaderValue::from_static("frame-ancestors 'none'"));
    }
    for (name, value) in DEFAULTS {
        headers.entry(name).or_insert(value);
    }
    headers.insert(REQUEST_ID, id);
    response
}

/// The id that a request came with, if it is one that can be written anywhere, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let given = headers.get(REQUEST_ID).filter(|id| {
        (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    });
    given.cloned().unwrap_or_else(|| {
        let mut text = Uuid::encode_buffer();
        let id = HeaderValue::from_str(Uuid::now_v7().hyphenated().encode_lower(&mut text));
        id.unwrap_or(HeaderValue::from_static("none"))
    })
}

/// Compresses answers in the encoding that [`complete`] chose.
pub(super) fn compression() -> CompressionLayer<impl Predicate> {
    let is_worth_it = |_: StatusCode,
                       _: axum::http::Version,
                       headers: &HeaderMap,
                       _: &axum::http::Extensions| { is_compressible(headers) };
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(LongEnough.and(is_worth_it))
}

#[derive(Clone, Copy)]
struct LongEnough;

impl Predicate for LongEnough {
    fn should_compress<B: HttpBody>(&self, response: &axum::http::Response<B>) -> bool {
        response.body().size_hint().exact().is_some_and(|bytes| bytes >= COMPRESSED_BYTES_MIN)
    }
}

fn essence(headers: &HeaderMap) -> &str {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim()
}

fn is_page(headers: &HeaderMap) -> bool {
    essence(headers) == "text/html"
}

/// Whether these are bytes that get fewer; MessagePack does too, images and archives don't.
fn is_compressible(headers: &HeaderMap) -> bool {
    let essence = essence(headers);
    essence.starts_with("text/") && essence != "text/event-stream"
        || essence.ends_with("json")
        || essence.ends_with("msgpack")
        || essence.ends_with("javascript")
        || essence == "image/svg+xml"
}

/// Leaves the one encoding in `Accept-Encoding` that is to be used, or none. What is left can't be
/// misunderstood further in: an answer is never 406, since what was asked for has been done by then.
fn choose_encoding(headers: &mut HeaderMap) -> Option<&'static str> {
    let mut best: (f32, Option<&'static str>) = (0.0, None);
    for value in headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()) {
        for offer in value.split(',') {
            let mut parts = offer.split(';').map(str::trim);
            let encoding = match parts.next().unwrap_or_default() {
                name if name.eq_ignore_ascii_case("br") => "br",
                name if name.eq_ignore_ascii_case("gzip") => "gzip",
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            if quality > best.0 || (quality == best.0 && quality > 0.0 && encoding == "br") {
                best = (quality, Some(encoding));
            }
        }
    }
    headers.remove(header::ACCEPT_ENCODING);
    if let Some(encoding) = best.1 {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(encoding));
    }
    best.1
}

/// A compressed answer is the same state in other bytes, so its tag is a weak one; and so is that of the 304 that
/// says a compressed answer is still good.
fn weaken_tag(response: &mut Response<Body>, encoding: Option<&str>, asked: Option<&HeaderValue>) {
    let headers = response.headers();
    let Some(tag) = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()) else { return };
    let weak = format!("W/{tag}");
    let is_known_weak = || asked.and_then(|tags| tags.to_str().ok()).is_some_and(|tags| tags.contains(&weak));
    let is_compressed = headers.contains_key(header::CONTENT_ENCODING);
    let is_still_good =
        response.status() == StatusCode::NOT_MODIFIED && encoding.is_some() && is_known_weak();
    if !tag.starts_with("W/")
        && (is_compressed || is_still_good)
        && let Ok(weak) = HeaderValue::from_str(&weak)
    {
        response.headers_mut().insert(header::ETAG, weak);
    }
}
