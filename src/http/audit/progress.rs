//! Verifying as lines of JSON (rule N7): how far it is, and at the end what was found.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use dao_projections::GraphId;
use serde::Serialize;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::{
        accept_header::{Offer, preferred},
        app::App,
        problem::Problem,
        stream::{KEEP_ALIVE, line},
    },
    wire::{ProgressOut, VerifiedOut},
};
use crate::{http::stream_format::StreamFormat, read, write::WriteError};

/// Lines that wait for their reader. What comes when it is full is not told: the next line says more.
const WAITING_MAX: usize = 4;
/// Between two lines of progress at least.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether lines are what the client accepts best.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let offers = [
        Offer {
            answer: false,
            top_level: "application",
            is_meant_by: |name| !is_lines(name) && !is_text(name),
        },
        Offer { answer: true, top_level: "application", is_meant_by: is_lines },
    ];
    preferred(headers, &offers).unwrap_or(false)
}

fn is_lines(name: &str) -> bool {
    ["application/x-ndjson", "application/ndjson", "application/jsonl"].contains(&name)
}

fn is_text(name: &str) -> bool {
    name.starts_with("text/")
}

/// Verifies the history for as long as somebody reads the answer.
pub(super) fn lines(app: &App, graph: GraphId) -> Response {
    let (tell, told) = mpsc::channel(WAITING_MAX);
    let verifying = AbortOnDropHandle::new(tokio::spawn(verify(app.clone(), graph, tell)));
    let lines = futures::stream::unfold((told, verifying), |(mut told, verifying)| async move {
        let out = match timeout(KEEP_ALIVE, told.recv()).await {
            Ok(out) => out?,
            Err(_) => keep_alive(),
        };
        Some((Ok::<_, Infallible>(out), (told, verifying)))
    });
    let mut response = Body::from_stream(lines).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

async fn verify(app: App, graph: GraphId, tell: mpsc::Sender<Bytes>) {
    let mut silent_until = Instant::now();
    let progress = |commits, of| {
        let now = Instant::now();
        if now >= silent_until && tell.try_send(json_line(&ProgressOut { commits, of })).is_ok() {
            silent_until = now + PAUSE;
        }
    };
    if app.verifying.available_permits() == 0 {
        // It waits for its turn. How much there is to do is said then.
        let _first = tell.try_send(keep_alive());
    }
    let verified = match app.verifying.acquire().await {
        Ok(_turn) => read::verify(&app.graphs, &graph, progress).await.map_err(Problem::from),
        Err(_) => Err(Problem::from(WriteError::Stopped)),
    };
    let last = match verified {
        Ok(verified) => json_line(&VerifiedOut::of(&graph, &verified)),
        Err(problem) => json_line(&serde_json::json!({ "error": problem.logged() })),
    };
    // A reader that has gone does not hear it.
    let _gone = tell.send(last).await;
}

/// A blank line.
fn keep_alive() -> Bytes {
    Bytes::from_static(StreamFormat::Lines.keep_alive())
}

fn json_line(value: &impl Serialize) -> Bytes {
    let mut out = Vec::new();
    line(&mut out, &super::line(value));
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n7_lines_come_to_those_who_ask_for_them() {
        let wanted = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            is_wanted(&headers)
        };
        assert!(wanted("application/x-ndjson") && wanted("application/jsonl, application/json;q=0.5"));
        assert!(!wanted("application/json") && !wanted("*/*") && !wanted("application/msgpack"));
        assert!(!wanted("text/event-stream") && !is_wanted(&HeaderMap::new()));
    }
}
