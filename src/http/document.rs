//! `GET` and `PUT /graphs/{graphId}/document`: a graph as an editor's document, read and saved whole (rules DS).
//!
//! Not here: what a save comes to (`domain::conflict::save`), and how its body is read (`command_parser::document`).

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use dao_projections::{Edge, Graph, Hash, Head, Node, OperationId, Version, Viewport};
use serde::{Serialize, Serializer, ser::SerializeSeq};
use serde_json::Value;

use super::{
    answer_wire::{SavedOut, effect_out},
    app::App,
    authentication::Caller,
    base_token::BaseToken,
    command_parser::{Policy, SaveRequest, read_save},
    commands::{CommandSpan, execute},
    decode::Decoded,
    extractors::{
        DecodedBody, PathIds, QueryParameters, ResponseFormat, TraceContext, client_id, idempotency_key,
    },
    format::{Format, respond_encoded},
    problem::Problem,
    reads::{encode_once, entity_tag, is_known, is_small, marked, shared},
    versioned_reads::{Contents, Trash, contents, not_modified},
};
use crate::{
    domain::{Base, Conflict, ExpectedHead, Operation, Save, WithoutBase},
    read::{self, CurrentState},
    write::{CommandResult, Effect, Encoding, Ending, Reply, View, run_blocking},
};

/// The header that names the base of a document.
const BASE_HEADER: &str = "x-base";

/// Get a graph as an editor's document.
pub(super) async fn graph_document(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let graph = ids.graph()?;
    let current = match contents(&app, &graph, &query, (&headers, format), Trash::Refused).await? {
        Contents::Known(head, source) => return Ok(based_on(not_modified(head, format, source), head)),
        Contents::Of(current) => current,
    };
    let tag = entity_tag(current.head(), format);
    let response = match is_known(&headers, &tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => {
            let encoding = match format {
                Format::Json => Encoding::DocumentJson,
                Format::MessagePack => Encoding::DocumentMessagePack,
            };
            let known = |view: &View| view.lent(encoding);
            let encode =
                move |view: &View| view.lend(encoding, format.encode(&DocumentOut::of(&view.graph, None)));
            shared(format, encode_once(&app, &current.view, known, encode).await?)
        }
    };
    Ok(based_on(marked(response, tag, current.source), current.head()))
}

/// The answer with the base of a document that was read at this head.
pub(super) fn based_on(mut response: Response, head: Head) -> Response {
    if let Ok(base) = HeaderValue::from_str(&BaseToken::of(head).to_string()) {
        response.headers_mut().insert(BASE_HEADER, base);
    }
    response
}

/// Save an editor's document.
pub(super) async fn save_document(
    State(app): State<App>,
    (ids, query): (PathIds, QueryParameters),
    Caller(user): Caller,
    ResponseFormat(format): ResponseFormat,
    TraceContext(traceparent): TraceContext,
    headers: HeaderMap,
    DecodedBody(document, _held): DecodedBody,
) -> Result<Response, Problem> {
    let graph = ids.graph()?;
    let request = save_request(&query, &headers)?;
    let operation = document.read(|document| read_save(document, &user, request))?;
    // It was read, so it is one.
    let base = query.text("base").and_then(|base| base.parse().ok());
    let operation = Operation { traceparent, ..operation };
    let span = CommandSpan::of(&graph, operation.id, &user);
    let save = operation.action.save().map(|(save, _)| save.clone());
    let replies = execute(&app, &graph, vec![operation], span).await?;
    let (Some(reply), Some(save)) = (replies.first(), save) else {
        return Err(crate::write::WriteError::Stopped.into());
    };
    let current = read::current(&app.graphs, &graph, None).await?;
    let differs =
        is_shown(&current) && run_blocking(|| save.document.differs_from(&current.view.graph, &save.reading));
    // As any answer with a whole graph.
    let _turn = match differs && !is_small(&current.view.graph) {
        true => Some(app.long_read().await?),
        false => None,
    };
    saved(reply, &save, base, (&current, differs), format)
}

/// What is in a graph in the trash is not shown, also not to one whose save came before (rule L8).
fn is_shown(current: &CurrentState) -> bool {
    current.view.graph.metadata().trashed.is_none()
}

/// The options in the query, as the payload of `SAVE_DOCUMENT` has them, and the headers.
fn save_request(query: &QueryParameters, headers: &HeaderMap) -> Result<SaveRequest, Problem> {
    let mut options: Vec<(&str, Value)> = vec![];
    for name in ["base", "mode", "absent"] {
        options.extend(query.text(name).map(|text| (name, Value::from(text))));
    }
    let viewport = query.one_of("viewport", &[("save", "save"), ("ignore", "ignore")])?;
    options.extend(viewport.map(|mode| ("viewportMode", Value::from(mode))));
    let paths = query.text("ignore").map(|paths| paths.split(',').map(Value::from).collect::<Value>());
    options.extend(paths.map(|paths| ("ignore", paths)));
    options.extend(query.number("deletes")?.map(|count| ("deletes", Value::from(count))));
    let on_conflict = query.text("onConflict").map(|text| {
        let wrong = || Problem::bad_request("onConflict: must be merge, overwrite, reject or keep");
        Policy::parse(text).ok_or_else(wrong)
    });
    Ok(SaveRequest {
        options,
        only_at: expected_head(headers)?,
        id: idempotency_key(headers)?,
        client: client_id(headers)?,
        on_conflict: on_conflict.transpose()?,
    })
}

/// The head that the graph must have (`If-Match`, `If-None-Match: *`). A tag that is weak is taken: compression makes
/// them so.
fn expected_head(headers: &HeaderMap) -> Result<Option<ExpectedHead>, Problem> {
    let given = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default().trim());
    match (given(header::IF_MATCH), given(header::IF_NONE_MATCH)) {
        (None, None) => Ok(None),
        (Some(tag), None) => {
            let wrong = || Problem::bad_request("If-Match: must be one tag, as a document's ETag gives it");
            head_of_tag(tag).map(Some).ok_or_else(wrong)
        }
        (None, Some("*")) => Ok(Some(ExpectedHead::empty())),
        (None, Some(_)) => Err(Problem::bad_request("If-None-Match: must be * with a save")),
        (Some(_), Some(_)) => Err(Problem::bad_request("If-None-Match: can't stand beside If-Match")),
    }
}

/// What `entity_tag` says of a head. Only the version counts in a tag without a hash.
fn head_of_tag(tag: &str) -> Option<ExpectedHead> {
    let tag = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?;
    let mut parts = Some(tag).filter(|tag| !tag.contains('"'))?.split('-');
    let version = Version::new(parts.next()?.parse().ok()?)?;
    Some(ExpectedHead { version, hash_start: parts.next().unwrap_or_default().to_owned() })
}

/// The answer to a save (rule DS10).
fn saved(
    reply: &Reply,
    save: &Save,
    base: Option<BaseToken>,
    (current, differs): (&CurrentState, bool),
    format: Format,
) -> Result<Response, Problem> {
    let (effect, head, results) = match &reply.ending {
        Ending::Completed { effect, head, results } => (effect, head, results),
        Ending::Refused { refusal, .. } => {
            return Err(Problem::refused(reply.operation, refusal, reply.duplicate));
        }
    };
    let report = results.iter().find_map(|result| match result {
        CommandResult::Saved(report) => Some(report.as_ref()),
        _ => None,
    });
    let graph = &current.view.graph;
    let own = report.map(|report| report.own.as_slice());
    let base = match (base, effect) {
        // Also where others had done the same before: no commit of the saver's own says that.
        (Some(_), _) if is_the_graph(save, current, differs, *head) => Some(BaseToken::of(*head)),
        (None, _) => fits_the_graph(save, differs).then(|| BaseToken::of(*head)),
        (Some(base), Effect::Unchanged) => Some(base.with_own(own)),
        (Some(base), Effect::Committed(_)) => Some(base.with_own(own).after(*head)),
    };
    let out = SaveAnswer {
        operation_id: reply.operation,
        version: head.version,
        hash: head.hash,
        base: base.map(|base| base.to_string()),
        outcome: effect_out(*effect),
        result: report.map(SavedOut::of),
        conflicts: report.map(|report| report.kept.as_slice()).filter(|kept| !kept.is_empty()),
        document: differs.then(|| DocumentOut::of(graph, Some(BaseToken::of(current.head()).to_string()))),
        duplicate: reply.duplicate.then_some(true),
    };
    Ok(run_blocking(|| respond_encoded(format, format.encode_long(&out))))
}

/// Whether what was sent without a base is the graph as the save left it. After `mode=merge` the graph may hold more than
/// the document, and no version fits that: the next save on any would delete the rest.
fn fits_the_graph(save: &Save, differs: bool) -> bool {
    save.base != Base::Unknown(WithoutBase::Merge) || !differs
}

/// Whether the document that was sent is the graph at the head of the answer.
fn is_the_graph(save: &Save, current: &CurrentState, differs: bool, head: Head) -> bool {
    let viewport = current.view.graph.viewport();
    !differs
        && is_shown(current)
        && current.head() == head
        && save.document.viewport.as_ref().is_none_or(|sent| sent == viewport)
}

/// The answer to a save.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SaveAnswer<'a> {
    operation_id: OperationId,
    version: Version,
    hash: Hash,
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<SavedOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conflicts: Option<&'a [Conflict]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<DocumentOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
}

/// A graph as an editor's document: what clients sent, without what the server adds to it (rule DS1).
#[derive(Serialize)]
struct DocumentOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    nodes: Nodes<'a>,
    edges: Edges<'a>,
    viewport: &'a Viewport,
}

impl<'a> DocumentOut<'a> {
    fn of(graph: &'a Graph, base: Option<String>) -> Self {
        Self { base, nodes: Nodes(graph), edges: Edges(graph), viewport: graph.viewport() }
    }
}

struct Nodes<'a>(&'a Graph);

impl Serialize for Nodes<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut list = s.serialize_seq(Some(self.0.nodes().len()))?;
        self.0.nodes_in_order().try_for_each(|node| list.serialize_element::<Node>(&node.entity))?;
        list.end()
    }
}

struct Edges<'a>(&'a Graph);

impl Serialize for Edges<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut list = s.serialize_seq(Some(self.0.edges().len()))?;
        self.0.edges().iter().try_for_each(|edge| list.serialize_element::<Edge>(&edge.entity))?;
        list.end()
    }
}
