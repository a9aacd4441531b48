//! `X-Request-Id`: one that the caller gave, or a new one.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The longest request id that is taken from the caller; a longer one is replaced.
const REQUEST_ID_BYTES_MAX: usize = 128;
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id that a request came with, if it is one that can be written anywhere, else a new one.
pub(super) fn request_id(headers: &HeaderMap) -> HeaderValue {
    let given = headers.get(REQUEST_ID).filter(|id| {
        (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    });
    given.cloned().unwrap_or_else(|| {
        let mut text = Uuid::encode_buffer();
        let id = HeaderValue::from_str(Uuid::now_v7().hyphenated().encode_lower(&mut text));
        id.unwrap_or(HeaderValue::from_static("none"))
    })
}
