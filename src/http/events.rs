//! `GET /graphs/{graphId}/events`: one graph's commits as server-sent events or as lines of JSON
//! (rules S1, S2).
//!
//! A stream is a cursor into the log, as a WebSocket's subscription is: what its reader has not taken
//! costs nothing.

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use dao_projections::{GraphId, Head, Version};
use futures::future::{Either, Pending, pending};
use serde::Serialize;
use tokio::time::{Sleep, sleep_until};

use super::{
    App,
    auth::{self, Proved},
    extract::{Asked, Ids},
    format::Format,
    problem::Problem,
    socket::{Live, Seat},
    wire::commit_json,
};
use crate::{
    live::{Delivery, Reader},
    read::{self, ReadError, ResumeHash, Source},
    write::Recorded,
};

/// How often a stream with nothing to say says that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How a stream is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// `text/event-stream`.
    ServerSentEvents,
    /// `application/x-ndjson`.
    Lines,
}

impl Style {
    /// Lines where they are asked for by name, events otherwise.
    fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        for range in accepted.flat_map(|value| value.split(',')) {
            match range.split(';').next().unwrap_or_default().trim() {
                "text/event-stream" => return Self::ServerSentEvents,
                "application/x-ndjson" | "application/ndjson" | "application/jsonl" => return Self::Lines,
                _ => {}
            }
        }
        Self::ServerSentEvents
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::ServerSentEvents => "text/event-stream",
            Self::Lines => "application/x-ndjson",
        }
    }

    fn keep_alive(self) -> &'static [u8] {
        match self {
            Self::ServerSentEvents => b":\n\n",
            Self::Lines => b"\n",
        }
    }
}

/// Every commit after a point; then, if asked to, those that follow.
pub(super) async fn graph_events(
    State(app): State<App>,
    ids: Ids,
    asked: Asked,
    Proved(grant): Proved,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (graph, style) = (ids.graph()?, Style::of(&headers));
    let follow = asked.flag("follow")?.unwrap_or(style == Style::ServerSentEvents);
    let (since, hash) = starting_point(&asked, &headers)?;
    let min_version = asked.version("minVersion")?;
    let seat = match follow {
        true => Some(Seat::take(&app.live).ok_or_else(Problem::too_many_connections)?),
        false => None,
    };
    let mut reader = Reader::new(app.graphs.clone(), &app.live.hub, &graph);
    let current = read::current(&app.graphs, &graph, min_version).await?;
    if current.source == Source::Stale {
        return Err(Problem::store_away());
    }
    let head = current.head();
    let continued = read::continued(&app.graphs, &graph, since, hash, head).await?;
    reader.start_at(continued.unwrap_or(head));
    let reset = continued.is_none().then_some(head);
    let until = (!follow).then_some(head.version);
    let state = Stream {
        live: app.live.clone(),
        graph,
        style,
        reader,
        reset,
        until,
        // Without keys nothing expires.
        allowed: Box::pin(match grant {
            Some(grant) => Either::Left(sleep_until(auth::end_of(&grant))),
            None => Either::Right(pending()),
        }),
        failed: false,
        _seat: seat,
    };
    let body = Body::from_stream(futures::stream::unfold(state, Stream::next));
    let mut response = (StatusCode::OK, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(style.content_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    // Proxies that collect answers before they pass them on are told not to.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// `Last-Event-ID` (`<version>:<hash>`, or a version alone), else `since` and `hash`.
fn starting_point(asked: &Asked, headers: &HeaderMap) -> Result<(Version, Option<ResumeHash>), Problem> {
    let (since, hash) = (asked.version("since")?, asked.text("hash").map(ResumeHash::parse));
    let last = headers.get("last-event-id").filter(|id| !id.is_empty());
    let Some(last) = last else { return Ok((since.unwrap_or(Version::EMPTY), hash)) };
    let unreadable = || Problem::bad_request("Last-Event-ID: must be <version>:<hash>, or a version");
    let text = last.to_str().map_err(|_| unreadable())?.trim();
    let (version, hash) = match text.split_once(':') {
        Some((version, hash)) => (version, Some(ResumeHash::parse(hash))),
        None => (text, None),
    };
    let is_number = !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit());
    let version = version.parse().ok().filter(|_| is_number).and_then(Version::new);
    Ok((version.ok_or_else(unreadable)?, hash))
}

/// One stream under way.
struct Stream {
    live: Arc<Live>,
    graph: GraphId,
    style: Style,
    reader: Reader,
    /// What it starts with, if the point asked for is not of this history.
    reset: Option<Head>,
    /// Where it ends; `None` if it goes on for ever.
    until: Option<Version>,
    /// Ends when its reader's token does.
    allowed: Pin<Box<Either<Sleep, Pending<()>>>>,
    failed: bool,
    _seat: Option<Seat>,
}

impl Stream {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if let Some(head) = self.reset.take() {
            return Some((Ok(self.reset_out(head)), self));
        }
        if self.failed || self.until.is_some_and(|until| self.reader.head().version >= until) {
            return None;
        }
        let stopping = self.live.stopping.clone();
        let out = tokio::select! {
            biased;
            () = stopping.cancelled(), if self.until.is_none() => return None,
            () = &mut self.allowed => {
                self.failed = true;
                self.problem_out(&Problem::bad_token("the token has expired: go on from here with a new one"))
            }
            delivery = self.reader.next() => match delivery {
                Ok(Delivery::Commits(commits)) => self.commits_out(&commits),
                Ok(Delivery::Reset(head)) => {
                    // A finite stream ends with it: its reader asks again from where it is told.
                    self.until = self.until.map(|_| head.version);
                    self.reset_out(head)
                }
                Err(error) => {
                    self.failed = true;
                    self.error_out(error)
                }
            },
            () = tokio::time::sleep(KEEP_ALIVE) => Bytes::from_static(self.style.keep_alive()),
        };
        Some((Ok(out), self))
    }

    fn commits_out(&self, commits: &[Arc<Recorded>]) -> Bytes {
        let mut out = Vec::with_capacity(commits.len() * 512);
        let wanted = |commit: &&Arc<Recorded>| self.until.is_none_or(|until| commit.commit.version <= until);
        for commit in commits.iter().filter(wanted) {
            let json = commit.json(&self.graph, commit_json);
            match self.style {
                Style::ServerSentEvents => event(&mut out, Some(commit.commit.head()), "commit", &json),
                Style::Lines => line(&mut out, &json),
            }
        }
        out.into()
    }

    fn reset_out(&self, head: Head) -> Bytes {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct ResetOut {
            #[serde(skip_serializing_if = "Option::is_none")]
            reset: Option<bool>,
            current_version: Version,
            hash: dao_projections::Hash,
        }
        let reset = (self.style == Style::Lines).then_some(true);
        let data = Format::Json.encode(&ResetOut { reset, current_version: head.version, hash: head.hash });
        let mut out = Vec::new();
        match self.style {
            Style::ServerSentEvents => event(&mut out, Some(head), "reset", &data),
            Style::Lines => line(&mut out, &data),
        }
        out.into()
    }

    /// The log can't be read on: said aloud, never skipped (rule V7).
    fn error_out(&self, error: ReadError) -> Bytes {
        self.problem_out(&Problem::from(error))
    }

    fn problem_out(&self, problem: &Problem) -> Bytes {
        #[derive(Serialize)]
        struct ErrorOut<'a> {
            error: &'a Problem,
        }
        let mut out = Vec::new();
        match self.style {
            Style::ServerSentEvents => event(&mut out, None, "problem", &Format::Json.encode(problem)),
            Style::Lines => line(&mut out, &Format::Json.encode(&ErrorOut { error: problem })),
        }
        out.into()
    }
}

/// One server-sent event; JSON has no line breaks of its own.
fn event(out: &mut Vec<u8>, id: Option<Head>, name: &str, data: &[u8]) {
    if let Some(head) = id {
        out.extend_from_slice(format!("id: {}:{}\n", head.version, head.hash.to_hex()).as_bytes());
    }
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

fn line(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(data);
    out.push(b'\n');
}
