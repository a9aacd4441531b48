//! The headers that every answer has.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::IntoResponse,
};

use super::{
    format::Format,
    problem::Problem,
    request_id::{REQUEST_ID, request_id},
};

/// Headers that are sent unless a handler sets them.
const DEFAULTS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// A whole HTTP/1.1 answer, to a request that the parser could not read.
pub(super) fn alone(problem: Problem) -> Vec<u8> {
    let body = Format::Json.encode(&problem);
    let mut response = problem.into_response();
    mark(response.headers_mut(), request_id(&HeaderMap::new()));
    let mut bytes =
        format!("HTTP/1.1 {}\r\ncontent-length: {}\r\n", response.status(), body.len()).into_bytes();
    for (name, value) in response.headers() {
        if name != header::CONTENT_LENGTH {
            bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    bytes
}

/// Adds the headers that every answer has.
pub(super) fn mark(headers: &mut HeaderMap, id: HeaderValue) {
    headers.reserve(DEFAULTS.len() + 1);
    if is_page(headers) {
        // The handler of a page sets what the page may load.
        headers
            .entry(header::CONTENT_SECURITY_POLICY)
            .or_insert(HeaderValue::from_static("frame-ancestors 'none'"));
    }
    for (name, value) in DEFAULTS {
        headers.entry(name).or_insert(value);
    }
    headers.insert(REQUEST_ID, id);
}

fn is_page(headers: &HeaderMap) -> bool {
    essence(headers) == "text/html"
}

pub(super) fn essence(headers: &HeaderMap) -> &str {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim()
}
