//! Reads of one graph: `state`, `changes`, `nodes`, `edges`, `viewport`.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use dao_projections::{GraphId, Head, Version};
use serde::Serialize;

use super::{
    app::App,
    extractors::{PathIds, QueryParameters, ResponseFormat},
    format::{Format, fitted, respond},
    problem::Problem,
    response_memory::SharedCopy,
    wire::{CommitOut, Edges, Nodes, StateOut, commit_json, join, state_json},
};
use crate::{
    read::{self, Changes, Current, ResumeHash, Source},
    write::{Encoding, View},
};

/// States with more entities than this are encoded on the blocking pool.
const INLINE_ENCODE_ENTITIES_MAX: usize = 500;
/// Commits in one answer of `changes`, unless asked otherwise.
const CHANGES_DEFAULT: usize = 1_000;
/// Commits in one answer of `changes` at most; `hasMore` says that there are more.
const CHANGES_MAX: usize = 10_000;

/// Get a graph as it is, or as it was at `?version=`.
pub(super) async fn state(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let graph = ids.graph()?;
    let (at, min) = (query.version("version")?, query.version("minVersion")?);
    let current = match at {
        None => read::current(&app.graphs, &graph, min).await?,
        Some(version) => {
            let _turn = app.long_read().await?;
            if min.is_some() {
                read::current(&app.graphs, &graph, min).await?;
            }
            read::at_version(&app.graphs, &graph, version).await?
        }
    };
    let tag = entity_tag(current.head(), format);
    let response = if is_known(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        shared(format, encode_state(&app, &graph, &current.view, format).await?)
    };
    Ok(marked(response, tag, current.source))
}

/// The state, encoded once for all who read it at the same time.
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

/// An encoding that is known, or made here: a large one in its turn and on the blocking pool.
async fn encode_once(
    app: &App,
    view: &Arc<View>,
    known: impl Fn(&View) -> Option<Bytes>,
    encode: impl FnOnce(&View) -> Bytes + Send + 'static,
) -> Result<Bytes, Problem> {
    if let Some(known) = known(view) {
        return Ok(known);
    }
    let is_small = view.graph.nodes().len() + view.graph.edges().len() <= INLINE_ENCODE_ENTITIES_MAX;
    if is_small {
        return Ok(encode(view));
    }
    let _turn = app.long_read().await?;
    // Perhaps it was made while this one waited.
    if let Some(known) = known(view) {
        return Ok(known);
    }
    let view = view.clone();
    let encoded = tokio::task::spawn_blocking(move || encode(&view)).await;
    encoded.map_err(Problem::of_panic)
}

/// An answer whose body others have too.
fn shared(format: Format, body: Bytes) -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, format.content_type())], Extension(SharedCopy), body)
        .into_response()
}

/// List the commits after `since`; never a state.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<CommitOut<'a>>>,
}

fn encode_changes(graph: &GraphId, since: Version, changes: &Changes, format: Format) -> Vec<u8> {
    let mut out = ChangesOut {
        graph_id: graph,
        since,
        current_version: changes.head.version,
        hash: changes.head.hash,
        has_more: changes.has_more,
        reset: (!changes.is_continuation).then_some(true),
        changes: None,
    };
    if format == Format::MessagePack {
        out.changes = Some(changes.commits.iter().map(|c| CommitOut::of(graph, &c.commit)).collect());
        return format.encode(&out);
    }
    let mut bytes = format.encode(&out);
    bytes.pop(); // the closing brace
    bytes.extend(b",\"changes\":[");
    let commits: Vec<Bytes> = changes.commits.iter().map(|c| c.json(graph, commit_json)).collect();
    join(commits.iter().map(AsRef::as_ref), &mut bytes);
    bytes.extend(b"]}");
    fitted(bytes)
}

/// List all nodes of a graph: in creation order, a node after its parents.
pub(super) async fn nodes(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct NodesOut<'a> {
        version: Version,
        nodes: Nodes<'a>,
    }
    let current = latest(&app, &ids, &query).await?;
    let encoding = match format {
        Format::Json => Encoding::NodesJson,
        Format::MessagePack => Encoding::NodesMessagePack,
    };
    answer_part(&app, current, format, encoding, &headers, move |view| {
        format.encode(&NodesOut { version: view.graph.head().version, nodes: Nodes(&view.graph) })
    })
    .await
}

/// List all edges of a graph, in creation order.
pub(super) async fn edges(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct EdgesOut<'a> {
        version: Version,
        edges: Edges<'a>,
    }
    let current = latest(&app, &ids, &query).await?;
    let encoding = match format {
        Format::Json => Encoding::EdgesJson,
        Format::MessagePack => Encoding::EdgesMessagePack,
    };
    answer_part(&app, current, format, encoding, &headers, move |view| {
        format.encode(&EdgesOut { version: view.graph.head().version, edges: Edges(&view.graph) })
    })
    .await
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
    let current = latest(&app, &ids, &query).await?;
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
    let current = latest(&app, &ids, &query).await?;
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
    let current = latest(&app, &ids, &query).await?;
    let viewport = current.view.graph.viewport().clone();
    answer_one(current, format, &headers, &viewport)
}

async fn latest(app: &App, ids: &PathIds, query: &QueryParameters) -> Result<Current, Problem> {
    let graph = ids.graph()?;
    Ok(read::current(&app.graphs, &graph, query.version("minVersion")?).await?)
}

fn answer_one(
    current: Current,
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

async fn answer_part(
    app: &App,
    current: Current,
    format: Format,
    encoding: Encoding,
    headers: &HeaderMap,
    encode: impl FnOnce(&View) -> Vec<u8> + Send + 'static,
) -> Result<Response, Problem> {
    let tag = entity_tag(current.head(), format);
    if is_known(headers, &tag) {
        return Ok(marked(StatusCode::NOT_MODIFIED.into_response(), tag, current.source));
    }
    let known = |view: &View| view.lent(encoding);
    let body = encode_once(app, &current.view, known, move |view| view.lend(encoding, encode(view))).await?;
    Ok(marked(shared(format, body), tag, current.source))
}

/// `"<version>-<hash>"`, with a mark for the encoding: two histories never share one.
fn entity_tag(head: Head, format: Format) -> String {
    let hash = head.hash.to_hex();
    let encoding = match format {
        Format::Json => "",
        Format::MessagePack => "-m",
    };
    format!("\"{}-{}{encoding}\"", head.version, &hash[..16])
}

/// Whether `If-None-Match` names this tag (RFC 9110, 13.1.2: by weak comparison).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value
            .split(',')
            .map(str::trim)
            .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
    })
}

fn marked(mut response: Response, tag: String, source: Source) -> Response {
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    let cache = match source {
        Source::Memory | Source::Stale => "HIT",
        Source::Store => "MISS",
    };
    headers.insert("x-cache", HeaderValue::from_static(cache));
    mark_stale(&mut response, source);
    response
}

/// Rule H4: an answer from memory while the store is away says so.
fn mark_stale(response: &mut Response, source: Source) {
    if source == Source::Stale {
        response.headers_mut().insert("x-stale", HeaderValue::from_static("true"));
    }
}
