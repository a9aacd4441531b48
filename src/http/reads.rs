//! Reads of one graph: `state`, `changes`, `nodes`, `edges`, `viewport`.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use dao_projections::{Graph, GraphId, Head, Version};
use serde::Serialize;

use super::{
    app::App,
    extractors::{PathIds, QueryParameters, ResponseFormat},
    format::{Format, respond},
    json_object::JsonObject,
    problem::Problem,
    response_memory::SharedCopy,
    versioned_reads::{Contents, Trash, contents, contents_of_one, not_modified},
    wire::{CommitOut, Edges, Nodes, StateOut, commit_json, state_json},
};
use crate::{
    read::{self, Changes, CurrentState, ResumeHash, StateSource},
    write::{Encoding, View},
};

/// States with more entities than this are encoded on the blocking pool.
const INLINE_ENCODE_ENTITIES_MAX: usize = 500;
/// Commits in one answer of `changes`, unless asked otherwise.
const CHANGES_DEFAULT: usize = 1_000;
/// Commits in one answer of `changes` at most; `hasMore` says that there are more.
const CHANGES_MAX: usize = 10_000;

/// Get the current state of a graph, or an earlier version.
pub(super) async fn state(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let graph = ids.graph()?;
    let trash = query.one_of("trashed", &[("include", Trash::Shown)])?.unwrap_or(Trash::Refused);
    let current = match contents(&app, &graph, &query, (&headers, format), trash).await? {
        Contents::Known(head, source) => return Ok(not_modified(head, format, source)),
        Contents::Of(current) => current,
    };
    let tag = entity_tag(current.head(), format);
    let response = if is_known(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        shared(format, encode_state(&app, &graph, &current.view, format).await?)
    };
    Ok(marked(response, tag, current.source))
}

/// The state, encoded once for all concurrent readers.
async fn encode_state(
    app: &App,
    graph: &GraphId,
    view: &Arc<View>,
    format: Format,
) -> Result<Bytes, Problem> {
    let known = |view: &View| match format {
        Format::Json => view.known_state().cloned(),
        Format::MessagePack => view.lent(Encoding::StateMessagePack),
    };
    let graph = graph.clone();
    encode_once(app, view, known, move |view| match format {
        Format::Json => view.state(|state| state_json(&graph, state)).clone(),
        Format::MessagePack => {
            view.lend(Encoding::StateMessagePack, format.encode(&StateOut::of(&graph, &view.graph)))
        }
    })
    .await
}

/// An encoding that exists, or is made here: a large one with a permit, on the blocking pool.
pub(super) async fn encode_once(
    app: &App,
    view: &Arc<View>,
    known: impl Fn(&View) -> Option<Bytes>,
    encode: impl FnOnce(&View) -> Bytes + Send + 'static,
) -> Result<Bytes, Problem> {
    if let Some(known) = known(view) {
        return Ok(known);
    }
    if is_small(&view.graph) {
        return Ok(encode(view));
    }
    let _turn = app.long_read().await?;
    // Another reader may have made it meanwhile.
    if let Some(known) = known(view) {
        return Ok(known);
    }
    let view = view.clone();
    let encoded = tokio::task::spawn_blocking(move || encode(&view)).await;
    encoded.map_err(Problem::of_panic)
}

/// Whether it is encoded so fast that no other request notices.
pub(super) fn is_small(graph: &Graph) -> bool {
    graph.nodes().len() + graph.edges().len() <= INLINE_ENCODE_ENTITIES_MAX
}

/// An answer whose body is shared with other answers.
pub(super) fn shared(format: Format, body: Bytes) -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, format.content_type())], Extension(SharedCopy), body)
        .into_response()
}

/// List the commits of a graph after a version.
pub(super) async fn changes(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
) -> Result<Response, Problem> {
    let graph = ids.graph()?;
    let since = query.version("since")?.unwrap_or(Version::EMPTY);
    let limit = query.limit(CHANGES_DEFAULT, CHANGES_MAX)?;
    let (hash, min) = (query.text("hash").map(ResumeHash::parse), query.version("minVersion")?);
    let changes = read::changes(&app.graphs, &graph, since, hash, limit, min).await?;
    let source = changes.source;
    let is_small = changes.commits.len() <= INLINE_ENCODE_ENTITIES_MAX;
    let encode = move || encode_changes(&graph, since, &changes, format);
    let body = match is_small {
        true => encode(),
        false => {
            let _turn = app.long_read().await?;
            tokio::task::spawn_blocking(encode).await.map_err(Problem::of_panic)?
        }
    };
    let mut response =
        (StatusCode::OK, [(header::CONTENT_TYPE, format.content_type())], body).into_response();
    mark_stale(&mut response, source);
    Ok(response)
}

/// The answer of `changes` as MessagePack; as JSON it is written around commits that are encoded already.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangesOut<'a> {
    graph_id: &'a GraphId,
    since: Version,
    current_version: Version,
    hash: dao_projections::Hash,
    has_more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reset: Option<bool>,
    changes: Vec<CommitOut<'a>>,
}

fn encode_changes(graph: &GraphId, since: Version, changes: &Changes, format: Format) -> Vec<u8> {
    let Head { version, hash } = changes.head;
    let reset = (!changes.is_continuation).then_some(true);
    if format == Format::MessagePack {
        return format.encode(&ChangesOut {
            graph_id: graph,
            since,
            current_version: version,
            hash,
            has_more: changes.has_more,
            reset,
            changes: changes.commits.iter().map(|c| CommitOut::of(graph, &c.commit)).collect(),
        });
    }
    let commits: Vec<Bytes> = changes.commits.iter().map(|c| c.json(graph, commit_json)).collect();
    let mut bytes = Vec::with_capacity(commits.iter().map(|commit| commit.len() + 1).sum::<usize>() + 512);
    let mut object = JsonObject::begin(&mut bytes)
        .field("graphId", graph)
        .field("since", &since)
        .field("currentVersion", &version)
        .field("hash", &hash)
        .field("hasMore", &changes.has_more);
    if let Some(reset) = reset {
        object = object.field("reset", &reset);
    }
    object.list("changes", commits.iter().map(AsRef::as_ref)).end();
    bytes
}

/// List all nodes of a graph.
pub(super) async fn nodes(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let of = contents(&app, &ids.graph()?, &query, (&headers, format), Trash::Refused).await?;
    answer_list(&app, of, EntityList::Nodes, format, &headers).await
}

/// List all edges of a graph.
pub(super) async fn edges(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let of = contents(&app, &ids.graph()?, &query, (&headers, format), Trash::Refused).await?;
    answer_list(&app, of, EntityList::Edges, format, &headers).await
}

/// All entities of one kind.
#[derive(Clone, Copy)]
enum EntityList {
    Nodes,
    Edges,
}

impl EntityList {
    /// Where a view keeps this list once it is encoded.
    fn encoding(self, format: Format) -> Encoding {
        match (self, format) {
            (Self::Nodes, Format::Json) => Encoding::NodesJson,
            (Self::Nodes, Format::MessagePack) => Encoding::NodesMessagePack,
            (Self::Edges, Format::Json) => Encoding::EdgesJson,
            (Self::Edges, Format::MessagePack) => Encoding::EdgesMessagePack,
        }
    }

    fn encode(self, view: &View, format: Format) -> Vec<u8> {
        #[derive(Serialize)]
        struct NodesOut<'a> {
            version: Version,
            nodes: Nodes<'a>,
        }
        #[derive(Serialize)]
        struct EdgesOut<'a> {
            version: Version,
            edges: Edges<'a>,
        }
        let version = view.graph.head().version;
        match self {
            Self::Nodes => format.encode(&NodesOut { version, nodes: Nodes(&view.graph) }),
            Self::Edges => format.encode(&EdgesOut { version, edges: Edges(&view.graph) }),
        }
    }
}

/// Get one node.
pub(super) async fn node(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = ids.node()?;
    let current = contents_of_one(&app, &ids.graph()?, &query).await?;
    let Some(found) = current.view.graph.nodes().get(&id).cloned() else {
        return Err(Problem::entity_not_found("NODE_NOT_FOUND", format!("there is no node {id}")));
    };
    answer_one(current, format, &headers, &*found)
}

/// Get one edge.
pub(super) async fn edge(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = ids.edge()?;
    let current = contents_of_one(&app, &ids.graph()?, &query).await?;
    let Some(found) = current.view.graph.edges().get(&id).cloned() else {
        return Err(Problem::entity_not_found("EDGE_NOT_FOUND", format!("there is no edge {id}")));
    };
    answer_one(current, format, &headers, &*found)
}

/// Get the viewport of a graph.
pub(super) async fn viewport(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let of = contents(&app, &ids.graph()?, &query, (&headers, format), Trash::Refused).await?;
    let current = match of {
        Contents::Known(head, source) => return Ok(not_modified(head, format, source)),
        Contents::Of(current) => current,
    };
    let viewport = current.view.graph.viewport().clone();
    answer_one(current, format, &headers, &viewport)
}

fn answer_one(
    current: CurrentState,
    format: Format,
    headers: &HeaderMap,
    entity: &impl Serialize,
) -> Result<Response, Problem> {
    let tag = entity_tag(current.head(), format);
    let response = match is_known(headers, &tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => respond(StatusCode::OK, format, entity),
    };
    Ok(marked(response, tag, current.source))
}

async fn answer_list(
    app: &App,
    of: Contents,
    list: EntityList,
    format: Format,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let current = match of {
        Contents::Known(head, source) => return Ok(not_modified(head, format, source)),
        Contents::Of(current) => current,
    };
    let tag = entity_tag(current.head(), format);
    if is_known(headers, &tag) {
        return Ok(marked(StatusCode::NOT_MODIFIED.into_response(), tag, current.source));
    }
    let encoding = list.encoding(format);
    let known = |view: &View| view.lent(encoding);
    let encode = move |view: &View| view.lend(encoding, list.encode(view, format));
    let body = encode_once(app, &current.view, known, encode).await?;
    Ok(marked(shared(format, body), tag, current.source))
}

/// `"<version>-<hash>"`, with a mark for the encoding: two histories never share one.
pub(super) fn entity_tag(head: Head, format: Format) -> String {
    let hash = head.hash.to_hex();
    let encoding = match format {
        Format::Json => "",
        Format::MessagePack => "-m",
    };
    format!("\"{}-{}{encoding}\"", head.version, &hash[..16])
}

/// Whether `If-None-Match` names this tag (RFC 9110, 13.1.2: by weak comparison).
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value
            .split(',')
            .map(str::trim)
            .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
    })
}

pub(super) fn marked(mut response: Response, tag: String, source: StateSource) -> Response {
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    let cache = match source {
        StateSource::Memory | StateSource::Stale => "HIT",
        StateSource::Store => "MISS",
    };
    headers.insert("x-cache", HeaderValue::from_static(cache));
    mark_stale(&mut response, source);
    response
}

/// Marks an answer from memory while the store is unavailable (rule H4).
fn mark_stale(response: &mut Response, source: StateSource) {
    if source == StateSource::Stale {
        response.headers_mut().insert("x-stale", HeaderValue::from_static("true"));
    }
}
