//! `GET /events`: all graphs' commits as server-sent events or as lines of JSON (rules S3, S4).

use std::{collections::VecDeque, convert::Infallible, sync::Arc};

use axum::{extract::State, http::HeaderMap, response::Response};
use bytes::Bytes;
use dao_projections::{GraphId, Head, Version};
use serde::Serialize;
use uuid::Uuid;

use super::{
    app::App,
    authentication::{Caller, VerifiedGrant},
    connection_list::{Follows, ListedConnection, Transport},
    extractors::QueryParameters,
    format::Format,
    json_object::JsonObject,
    metrics,
    problem::Problem,
    socket::{Live, SocketPermit},
    stream::{KEEP_ALIVE, PIECE_BYTES, commit_filter, event, given, id_alone, line},
    stream_format::StreamFormat,
    wire::commit_json,
};
use crate::{
    live::{AllGraphs, AllReader, Extent, Piece, Since},
    read::CommitFilter,
    telemetry::Counted,
    write::{Recorded, WriteError},
};

/// Stream the commits of all graphs.
pub(super) async fn all_events(
    State(app): State<App>,
    query: QueryParameters,
    (Caller(user), VerifiedGrant(grant)): (Caller, VerifiedGrant),
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let style = StreamFormat::of(&headers);
    let follow = query.flag("follow")?.unwrap_or(style == StreamFormat::ServerSentEvents);
    let filter = given(commit_filter(&query)?, &query, "graphs", CommitFilter::with_graphs)?;
    let all = app.all.as_ref().ok_or_else(|| Problem::not_found("this server has no feed of all graphs"))?;
    let since = starting_point(all, &query, &headers)?;
    let permit = match follow {
        true => Some(app.live.permit().ok_or_else(Problem::too_many_connections)?),
        false => None,
    };
    let extent = if follow { Extent::Following } else { Extent::UntilNow };
    let opened = all.open(since, filter, extent).await;
    let reader = opened.map_err(|error| Problem::store_away().because(error))?;
    let (transport, now) = (Transport::of(style), app.graphs.now());
    let who = (&user, None);
    let listed = app.live.connections.opened(Uuid::now_v7(), transport, who, Follows::AllGraphs, now);
    let state = AllEventsStream {
        live: app.live.clone(),
        style,
        extent,
        reader,
        said: None,
        has_ended: false,
        waiting: VecDeque::new(),
        written: 0,
        _listed: listed,
        _permit: permit,
        _open: style.opened(app.live.metrics()),
    };
    Ok(style.respond(futures::stream::unfold(state, AllEventsStream::next), grant.as_deref()))
}

/// `Last-Event-ID`, else `since`: a position, or 0.
fn starting_point(all: &AllGraphs, query: &QueryParameters, headers: &HeaderMap) -> Result<Since, Problem> {
    let read = |text: &str, place: &str| match text.trim() {
        "0" => Ok(Since::Beginning),
        text => match all.parse(text) {
            Ok(position) => Ok(Since::Position(position)),
            Err(error) => Err(Problem::bad_request(format!("{place}: {error}"))),
        },
    };
    match headers.get("last-event-id").filter(|id| !id.is_empty()) {
        // A header that is not text is not a position.
        Some(last) => read(last.to_str().unwrap_or_default(), "Last-Event-ID"),
        None => query.text("since").map_or(Ok(Since::Now), |since| read(since, "since")),
    }
}

/// One stream under way.
struct AllEventsStream {
    live: Arc<Live>,
    style: StreamFormat,
    extent: Extent,
    reader: AllReader,
    /// The last position that was written; at first none was.
    said: Option<Arc<str>>,
    has_ended: bool,
    /// What is read and not yet written.
    waiting: VecDeque<Piece>,
    /// Commits of the first of them that are.
    written: usize,
    _listed: ListedConnection,
    _permit: Option<SocketPermit>,
    _open: Counted,
}

impl AllEventsStream {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if self.has_ended {
            return None;
        }
        let is_following = self.extent == Extent::Following;
        if is_following && self.said.is_none() {
            // Said at once, so that a reader that loses its connection before the first commit has
            // something to come back with.
            return Some((Ok(self.position_out()), self));
        }
        let stopping = self.live.stopping.clone();
        let ends_now = stopping.is_cancelled() && is_following;
        if !ends_now && !self.waiting.is_empty() {
            return Some((Ok(self.waiting_out()), self));
        }
        let out = tokio::select! {
            biased;
            () = stopping.cancelled(), if is_following => return None,
            pieces = self.reader.next() => match pieces {
                Some(pieces) => {
                    self.waiting.extend(pieces);
                    self.waiting_out()
                }
                None => {
                    self.has_ended = true;
                    self.position_out()
                }
            },
            () = tokio::time::sleep(KEEP_ALIVE) => self.keep_alive_out(),
        };
        Some((Ok(out), self))
    }

    /// What comes next of what waits, as much as makes a piece.
    fn waiting_out(&mut self) -> Bytes {
        let mut out = Vec::with_capacity(4_096);
        while out.len() < PIECE_BYTES
            && let Some(piece) = self.waiting.pop_front()
        {
            match piece {
                Piece::Commits { graph, commits, before, after } => {
                    let ends = [&*before, &*after];
                    self.written = self.commits_out(&mut out, &graph, &commits, ends);
                    if self.written < commits.len() {
                        self.waiting.push_front(Piece::Commits { graph, commits, before, after });
                    } else {
                        (self.written, self.said) = (0, Some(after));
                    }
                }
                Piece::Gone { graph, head, after } => {
                    self.gone_out(&mut out, &graph, head, &after);
                    self.said = Some(after);
                }
                Piece::Damaged { graph, version, error } => {
                    let span = tracing::info_span!("stream", %graph);
                    let problem = Problem::from(WriteError::from(error));
                    let problem = span.in_scope(|| metrics::told(self.live.graphs.metrics(), problem));
                    self.damage_out(&mut out, &graph, version, &problem);
                }
            }
        }
        out.into()
    }

    /// Commits of one graph, as far as they make a piece; how many of them are written then.
    fn commits_out(
        &self,
        out: &mut Vec<u8>,
        graph: &GraphId,
        commits: &[Arc<Recorded>],
        [before, after]: [&str; 2],
    ) -> usize {
        for (index, commit) in commits.iter().enumerate().skip(self.written) {
            if out.len() >= PIECE_BYTES {
                return index;
            }
            let position = if index + 1 == commits.len() { after } else { before };
            let json = commit.json(graph, commit_json);
            match self.style {
                StreamFormat::ServerSentEvents => event(out, Some(position), "commit", &json),
                // The commit's JSON is kept as it is for all readers.
                StreamFormat::Lines => {
                    JsonObject::begin(out).field("position", &position).fields_of(&json).end();
                    out.push(b'\n');
                }
            }
        }
        commits.len()
    }

    /// A graph was purged: whoever has a copy of it drops that.
    fn gone_out(&self, out: &mut Vec<u8>, graph: &GraphId, head: Head, position: &str) {
        const NAME: &str = "dao-gone";
        let mut data = Vec::new();
        let object = JsonObject::begin(&mut data);
        let object = match self.style {
            StreamFormat::ServerSentEvents => object,
            StreamFormat::Lines => object.field("position", &position).field("event", &NAME),
        };
        object.field("graphId", graph).field("version", &head.version).field("hash", &head.hash).end();
        match self.style {
            StreamFormat::ServerSentEvents => event(out, Some(position), NAME, &data),
            StreamFormat::Lines => line(out, &data),
        }
    }

    /// A history can't be read on: said aloud, never skipped (rule V7).
    fn damage_out(&self, out: &mut Vec<u8>, graph_id: &GraphId, version: Version, problem: &Problem) {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct DamageOut<'a> {
            graph_id: &'a GraphId,
            version: Version,
            error: &'a Problem,
        }
        let data = Format::Json.encode(&DamageOut { graph_id, version, error: problem });
        match self.style {
            StreamFormat::ServerSentEvents => event(out, None, "problem", &data),
            StreamFormat::Lines => line(out, &data),
        }
    }

    /// Where the reader is: also when it passed over much that is not wanted.
    fn position_out(&mut self) -> Bytes {
        let position = self.reader.position();
        let mut out = Vec::new();
        match self.style {
            StreamFormat::ServerSentEvents => id_alone(&mut out, &position),
            StreamFormat::Lines => {
                JsonObject::begin(&mut out).field("position", &&*position).end();
                out.push(b'\n');
            }
        }
        self.said = Some(position);
        out.into()
    }

    fn keep_alive_out(&mut self) -> Bytes {
        let position = self.reader.position();
        if self.said.as_ref().is_none_or(|said| *said != position) {
            return self.position_out();
        }
        Bytes::from_static(self.style.keep_alive())
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        extract::FromRequestParts,
        http::{HeaderValue, Request, header},
    };
    use dao_projections::UserId;
    use http_body_util::BodyExt;

    use super::*;
    use crate::{
        http::{RequestLimits, SocketConfig, parse_command},
        store::embedded::{EmbeddedConfig, EmbeddedStore, SyncMode},
        write::{Graphs, GraphsConfig},
    };

    async fn open(app: &App, uri: &str, accept: &'static str) -> Response {
        let (mut parts, ()) = Request::get(uri).body(()).expect("a request").into_parts();
        parts.headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        let query = QueryParameters::from_request_parts(&mut parts, app).await.expect("a query");
        let who = (Caller(app.anonymous.clone()), VerifiedGrant(None));
        all_events(State(app.clone()), query, who, parts.headers).await.expect("a stream")
    }

    async fn text(response: &mut Response) -> String {
        let frame = response.body_mut().frame().await.expect("it goes on").expect("a frame");
        String::from_utf8(frame.into_data().expect("data").into()).expect("text")
    }

    #[tokio::test]
    async fn s3_a_stream_with_nothing_to_tell_lives_and_says_how_far_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let config = EmbeddedConfig {
            dir: dir.path().into(),
            durability: SyncMode::Interval,
            operation_ttl: std::time::Duration::from_secs(3_600),
        };
        let store = Arc::new(EmbeddedStore::open(config).expect("a store"));
        let graphs = Graphs::new(store.clone(), GraphsConfig::default());
        let app = App::new(graphs.clone(), RequestLimits::default(), SocketConfig::default())
            .with_all_graphs(AllGraphs::new(graphs.clone(), store));
        let command = serde_json::json!({"type": "CREATE_NODE", "payload": {"id": "n"}});
        let user = UserId::parse("ada").expect("a user");
        let operation = parse_command(command, &user).expect("a command");
        let noise = GraphId::parse("noise").expect("a graph");
        graphs.execute(&noise, vec![operation]).await.expect("accepted");

        let mut events = open(&app, "/events?since=0&graphs=quiet", "text/event-stream").await;
        let mut lines = open(&app, "/events?since=0&follow=true&graphs=quiet", "application/x-ndjson").await;
        let (first_id, first_line) = (text(&mut events).await, text(&mut lines).await);
        assert!(first_id.starts_with("id: ") && first_line.starts_with("{\"position\":\""));
        tokio::time::pause(); // from here on, time passes when there is nothing else to do
        for (stream, first, alive) in [(&mut events, first_id, ":\n\n"), (&mut lines, first_line, "\n")] {
            let mut moved = text(stream).await;
            while moved == alive {
                moved = text(stream).await; // it was told before it had passed over the noise
            }
            assert!(moved != first && moved[..4] == first[..4] && !moved.contains("noise"), "{moved}");
            assert_eq!(text(stream).await, alive, "nothing moved since");
        }
        graphs.close().await;
    }
}
