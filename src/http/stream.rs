//! Endless answers: server-sent events and NDJSON lines, as all streams write them.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::{
    authentication, extractors::QueryParameters, format::Format, problem::Problem,
    request_context::ResponseDeadline, stream_format::StreamFormat,
};
use crate::{
    auth::Grant,
    read::{CommitFilter, FilterError},
};

/// How often an idle stream sends a keep-alive.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Bytes of a stream that are made at once, unless a single commit is larger. A stalled reader holds about this much, and
/// what was read from the log to make it.
pub(super) const PIECE_BYTES: usize = 64 << 10;

/// One server-sent event; JSON has no line breaks of its own.
pub(super) fn event(out: &mut Vec<u8>, id: Option<&str>, name: &str, data: &[u8]) {
    if let Some(id) = id {
        put(out, &[b"id: ", id.as_bytes(), b"\n"]);
    }
    put(out, &[b"event: ", name.as_bytes(), b"\ndata: ", data, b"\n\n"]);
}

/// An id without an event: browsers remember it, and dispatch no event.
pub(super) fn id_alone(out: &mut Vec<u8>, id: &str) {
    put(out, &[b"id: ", id.as_bytes(), b"\n\n"]);
}

/// One line.
pub(super) fn line(out: &mut Vec<u8>, data: &[u8]) {
    put(out, &[data, b"\n"]);
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// `types` and `users`, as every stream takes them.
pub(super) fn commit_filter(query: &QueryParameters) -> Result<CommitFilter, Problem> {
    let filter = given(CommitFilter::default(), query, "types", CommitFilter::with_types)?;
    given(filter, query, "users", CommitFilter::with_users)
}

/// One list of a filter, if it was given.
pub(super) fn given(
    filter: CommitFilter,
    query: &QueryParameters,
    name: &str,
    with: fn(CommitFilter, &str) -> Result<CommitFilter, FilterError>,
) -> Result<CommitFilter, Problem> {
    match query.text(name) {
        None => Ok(filter),
        Some(text) => with(filter, text).map_err(|error| Problem::bad_request(format!("{name}: {error}"))),
    }
}

impl StreamFormat {
    /// An answer of these parts, which ends when the grant of the reader expires.
    pub(super) fn respond(
        self,
        parts: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
        reader: Option<&Grant>,
    ) -> Response {
        let body = match reader {
            None => Body::from_stream(parts),
            Some(grant) => Body::from_stream(self.until(authentication::end_of(grant), parts)),
        };
        let mut response = (StatusCode::OK, body).into_response();
        if let Some(grant) = reader {
            response.extensions_mut().insert(ResponseDeadline(authentication::end_of(grant)));
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type()));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        // Tells proxies not to buffer the answer.
        headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        response
    }

    /// `parts` until the grant expires, then a problem that says so. A stream that just ended would look complete.
    fn until(
        self,
        end: Instant,
        parts: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
    ) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        stream::unfold(Some(Box::pin(parts)), move |parts| async move {
            let mut parts = parts?;
            tokio::select! {
                biased;
                () = sleep_until(end) => Some((Ok(self.expired_out()), None)),
                part = parts.next() => part.map(|part| (part, Some(parts))),
            }
        })
    }

    fn expired_out(self) -> Bytes {
        #[derive(Serialize)]
        struct ErrorOut<'a> {
            error: &'a Problem,
        }
        let problem = Problem::bad_token("the token has expired: go on from here with a new one");
        let mut out = Vec::new();
        match self {
            Self::ServerSentEvents => event(&mut out, None, "problem", &Format::Json.encode(&problem)),
            Self::Lines => line(&mut out, &Format::Json.encode(&ErrorOut { error: &problem })),
        }
        out.into()
    }
}
