//! `GET /graphs/{graphId}/events`: one graph's commits as server-sent events or as lines of JSON
//! (rules S1, S2).
//!
//! A stream is a cursor into the log, as a WebSocket's subscription is: what its reader has not taken
//! costs nothing.

use std::{collections::VecDeque, convert::Infallible, sync::Arc};

use axum::{extract::State, http::HeaderMap, response::Response};
use bytes::Bytes;
use dao_projections::{GraphId, Head, Version};
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    app::App,
    authentication::{Caller, VerifiedGrant},
    connection_list::{Follows, ListedConnection, Reached, Transport},
    extractors::{PathIds, QueryParameters},
    format::Format,
    metrics,
    problem::Problem,
    socket::{Live, SocketPermit},
    stream::{KEEP_ALIVE, PIECE_BYTES, commit_filter, event, id_alone, line},
    stream_format::StreamFormat,
    transcode::append_commit_json,
    wire::commit_json,
};
use crate::{
    live::{Delivery, Reader},
    read::{self, CommitFilter, ReadError, ResumeHash, StateSource, StoredCommit},
    telemetry::Counted,
    write::{Recorded, WriteError},
};

/// The slot of a commit as an event; those before it are the frames of sockets.
const EVENT_SLOT: usize = 4;

/// Stream the commits of a graph.
pub(super) async fn graph_events(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    (Caller(user), VerifiedGrant(grant)): (Caller, VerifiedGrant),
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (graph, style) = (ids.graph()?, StreamFormat::of(&headers));
    let follow = query.flag("follow")?.unwrap_or(style == StreamFormat::ServerSentEvents);
    let (since, hash) = starting_point(&query, &headers)?;
    let filter = commit_filter(&query)?;
    let min_version = query.version("minVersion")?;
    let permit = match follow {
        true => Some(app.live.permit().ok_or_else(Problem::too_many_connections)?),
        false => None,
    };
    let mut reader = Reader::new(app.graphs.clone(), &app.live.hub, &graph);
    if filter.is_everything() {
        reader = reader.taking_stored();
    }
    let current = read::current(&app.graphs, &graph, min_version).await?;
    if current.source == StateSource::Stale {
        return Err(Problem::store_away());
    }
    let head = current.head();
    let continued = read::continued(&app.graphs, &graph, since, hash, head).await?;
    reader.start_at(continued.unwrap_or(head));
    let reset = continued.is_none().then_some(head);
    let until = (!follow).then_some(head.version);
    let said = reader.head();
    let (since, follows) = (app.graphs.now(), Follows::Graphs(Default::default()));
    let transport = Transport::of(style);
    let listed = app.live.connections.opened(Uuid::now_v7(), transport, (&user, None), follows, since);
    let reached = listed.follow(&graph);
    let state = GraphEventStream {
        live: app.live.clone(),
        graph,
        filter,
        style,
        reader,
        reset,
        until,
        said,
        silent_since: Instant::now(),
        failed: false,
        waiting: PendingCommits::default(),
        reached,
        _listed: listed,
        _permit: permit,
        _open: style.opened(app.live.metrics()),
    };
    Ok(style.respond(futures::stream::unfold(state, GraphEventStream::next), grant.as_deref()))
}

/// `Last-Event-ID` (`<version>:<hash>`, or a version alone), else `since` and `hash`.
fn starting_point(
    query: &QueryParameters,
    headers: &HeaderMap,
) -> Result<(Version, Option<ResumeHash>), Problem> {
    let (since, hash) = (query.version("since")?, query.text("hash").map(ResumeHash::parse));
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
struct GraphEventStream {
    live: Arc<Live>,
    graph: GraphId,
    filter: CommitFilter,
    style: StreamFormat,
    reader: Reader,
    /// What it starts with, if the point asked for is not of this history.
    reset: Option<Head>,
    /// Where it ends; `None` if it goes on for ever.
    until: Option<Version>,
    /// The last point whose id was written, or that its reader named.
    said: Head,
    /// When something was written last.
    silent_since: Instant,
    failed: bool,
    waiting: PendingCommits,
    /// Where others look how far it is.
    reached: Reached,
    _listed: ListedConnection,
    _permit: Option<SocketPermit>,
    _open: Counted,
}

/// Commits that are read and not yet written: in memory, then as they are stored.
#[derive(Default)]
struct PendingCommits {
    commits: VecDeque<Arc<Recorded>>,
    stored: VecDeque<StoredCommit>,
}

impl PendingCommits {
    fn is_empty(&self) -> bool {
        self.commits.is_empty() && self.stored.is_empty()
    }

    /// Up to where all is written; `None` if nothing waits.
    fn reached(&self) -> Option<Version> {
        let in_memory = self.commits.front().map(|commit| commit.commit.version);
        let first = in_memory.or_else(|| self.stored.front().map(|commit| commit.version))?;
        Version::new(first.get().saturating_sub(1))
    }

    /// The first of the stored ones, as many as make a piece.
    fn next_stored(&mut self) -> Vec<StoredCommit> {
        let mut bytes = 0;
        // JSON takes about twice as many.
        let fits = |commit: &&StoredCommit| {
            let has_room = bytes < PIECE_BYTES / 2;
            bytes += commit.body.len();
            has_room
        };
        let count = self.stored.iter().take_while(fits).count();
        self.stored.drain(..count).collect()
    }
}

impl GraphEventStream {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        // Whoever asks for the next piece has taken those before it.
        self.reached.note(self.waiting.reached().unwrap_or(self.reader.head().version));
        if let Some(head) = self.reset.take() {
            return Some((Ok(self.reset_out(head)), self));
        }
        if self.failed {
            return None;
        }
        let stopping = self.live.stopping.clone();
        let ends_now = stopping.is_cancelled() && self.until.is_none();
        if !ends_now && !self.waiting.is_empty() {
            let out = self.waiting_out().await;
            self.silent_since = Instant::now();
            return Some((Ok(out), self));
        }
        if self.until.is_some_and(|until| self.reader.head().version >= until) {
            return None;
        }
        let out = tokio::select! {
            biased;
            () = stopping.cancelled(), if self.until.is_none() => {
                let held = self.reader.held();
                if held.is_empty() {
                    return None;
                }
                self.wait_for_reader(held);
                self.commits_out()
            }
            delivery = self.reader.next() => match delivery {
                Ok(Delivery::Commits(commits)) => {
                    self.wait_for_reader(commits);
                    self.waiting_out().await
                }
                Ok(Delivery::Stored(commits)) => {
                    let is_due = |commit: &StoredCommit| self.until.is_none_or(|until| commit.version <= until);
                    self.waiting.stored.extend(commits.into_iter().filter(is_due));
                    self.waiting_out().await
                }
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
            () = tokio::time::sleep_until(self.silent_since + KEEP_ALIVE) => self.keep_alive_out(),
        };
        if !out.is_empty() {
            self.silent_since = Instant::now();
        }
        Some((Ok(out), self))
    }

    /// Those of the commits that are wanted come next.
    fn wait_for_reader(&mut self, commits: Vec<Arc<Recorded>>) {
        let is_due = |commit: &Arc<Recorded>| self.until.is_none_or(|until| commit.commit.version <= until);
        let is_wanted = |commit: &Arc<Recorded>| self.filter.wants(&self.graph, &commit.commit);
        self.waiting.commits.extend(commits.into_iter().filter(is_due).filter(is_wanted));
    }

    /// What comes next of the commits that wait, as much as makes a piece.
    async fn waiting_out(&mut self) -> Bytes {
        if !self.waiting.commits.is_empty() {
            return self.commits_out();
        }
        let commits = self.waiting.next_stored();
        if commits.is_empty() {
            return Bytes::new(); // none was wanted
        }
        match stored_out(&self.graph, self.style, commits).await {
            Ok((out, last)) => {
                self.said = last.unwrap_or(self.said);
                out
            }
            Err(error) => {
                self.failed = true;
                self.error_out(error)
            }
        }
    }

    /// A commit as an event, the same bytes for all readers.
    fn event_of(&self, commit: &Recorded) -> Bytes {
        commit.encoded(EVENT_SLOT, |recorded| {
            let mut out = Vec::new();
            event(&mut out, Some(&id_of(recorded.head())), "commit", &commit.json(&self.graph, commit_json));
            out.into()
        })
    }

    /// Nothing, if none is wanted.
    fn commits_out(&mut self) -> Bytes {
        if self.style == StreamFormat::ServerSentEvents && self.waiting.commits.len() == 1 {
            let Some(commit) = self.waiting.commits.pop_front() else { return Bytes::new() };
            self.said = commit.commit.head();
            return self.event_of(&commit);
        }
        let mut out = Vec::new();
        while out.len() < PIECE_BYTES
            && let Some(commit) = self.waiting.commits.pop_front()
        {
            match self.style {
                StreamFormat::ServerSentEvents => out.extend_from_slice(&self.event_of(&commit)),
                StreamFormat::Lines => line(&mut out, &commit.json(&self.graph, commit_json)),
            }
            self.said = commit.commit.head();
        }
        out.into()
    }

    /// Says that it lives; and where it is, if it passed over what is not wanted.
    fn keep_alive_out(&mut self) -> Bytes {
        let head = self.reader.head();
        if self.style == StreamFormat::Lines || head == self.said {
            return Bytes::from_static(self.style.keep_alive());
        }
        self.said = head;
        let mut out = Vec::new();
        id_alone(&mut out, &id_of(head));
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
        let reset = (self.style == StreamFormat::Lines).then_some(true);
        let data = Format::Json.encode(&ResetOut { reset, current_version: head.version, hash: head.hash });
        let mut out = Vec::new();
        match self.style {
            StreamFormat::ServerSentEvents => event(&mut out, Some(&id_of(head)), "reset", &data),
            StreamFormat::Lines => line(&mut out, &data),
        }
        out.into()
    }

    /// The log can't be read on: said aloud, never skipped (rule V7).
    fn error_out(&self, error: ReadError) -> Bytes {
        #[derive(Serialize)]
        struct ErrorOut<'a> {
            error: &'a Problem,
        }
        let span = tracing::info_span!("stream", graph = %self.graph);
        let problem = span.in_scope(|| metrics::told(self.live.graphs.metrics(), error.into()));
        let mut out = Vec::new();
        match self.style {
            StreamFormat::ServerSentEvents => {
                event(&mut out, None, "problem", &Format::Json.encode(&problem))
            }
            StreamFormat::Lines => line(&mut out, &Format::Json.encode(&ErrorOut { error: &problem })),
        }
        out.into()
    }
}

/// Commits straight from their stored bytes, on the blocking pool: thousands at once.
async fn stored_out(
    graph: &GraphId,
    style: StreamFormat,
    commits: Vec<StoredCommit>,
) -> Result<(Bytes, Option<Head>), ReadError> {
    let graph = graph.clone();
    let encode = move || {
        let mut out = Vec::with_capacity(commits.iter().map(|commit| 2 * commit.body.len() + 256).sum());
        let mut data = Vec::new();
        for commit in &commits {
            match style {
                StreamFormat::ServerSentEvents => {
                    data.clear();
                    append_commit_json(&graph, commit, &mut data)?;
                    event(&mut out, Some(&id_of(commit.head())), "commit", &data);
                }
                StreamFormat::Lines => {
                    append_commit_json(&graph, commit, &mut out)?;
                    out.push(b'\n');
                }
            }
        }
        Ok((Bytes::from(out), commits.last().map(StoredCommit::head)))
    };
    tokio::task::spawn_blocking(encode).await.map_err(|_| ReadError::from(WriteError::Failed))?
}

/// A point as the id of an event.
fn id_of(head: Head) -> String {
    format!("{}:{}", head.version, head.hash.to_hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n5_what_is_read_ahead_is_not_yet_sent() {
        let mut waiting = PendingCommits::default();
        assert_eq!(waiting.reached(), None);
        let commit = |version: u64| {
            let version = Version::new(version).expect("a version");
            StoredCommit { version, hash: Head::EMPTY.hash, body: vec![0; PIECE_BYTES].into() }
        };
        waiting.stored = (4..7).map(commit).collect();
        for written in 3..6 {
            assert_eq!(waiting.reached(), Version::new(written));
            assert_eq!(waiting.next_stored().len(), 1);
        }
        assert_eq!(waiting.reached(), None);
    }
}
