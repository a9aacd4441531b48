//! `GET` and `PUT /graphs/{graphId}/document`: a graph as an editor's document, read and saved whole (rules DS).
//!
//! Not here: what a save comes to (`domain::conflict::save`), and how its body is read (`command_parser::document`).

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use dao_projections::{ClientId, Edge, Graph, Hash, Head, Node, OperationId, Pointer, Version, Viewport};
use serde::{Serialize, Serializer, ser::SerializeSeq};
use tracing::Instrument;

use super::{
    app::App,
    authentication::Caller,
    base_token::BaseToken,
    command_parser::{
        ABSENT, MODES, POINTER, Policy, SaveContext, SaveOptions, absent_of, mode_of, pointer_of, read_save,
    },
    commands::{command_span, execute},
    extractors::{DecodedBody, PathIds, QueryParameters, ResponseFormat, TraceContext},
    format::{Format, respond_encoded},
    problem::Problem,
    reads::{entity_tag, is_known, marked, refuse_trashed},
    wire::{SavedOut, effect_out},
};
use crate::{
    domain::{Base, Conflict, Operation, Reading, Save, SaveReport, WithoutBase},
    read::{self, CurrentState},
    write::{CommandResult, Ending, Reply, run_blocking},
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
    let min = query.version("minVersion")?;
    let mut current = read::current(&app.graphs, &graph, min).await?;
    refuse_trashed(&current)?;
    if let Some(version) = query.version("version")? {
        let _turn = app.long_read().await?;
        current = read::at_version(&app.graphs, &graph, version).await?;
    }
    let tag = entity_tag(current.head(), format);
    let response = match is_known(&headers, &tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => {
            let out = DocumentOut::of(&current.view.graph, None);
            run_blocking(|| respond_encoded(format, format.encode_long(&out)))
        }
    };
    let base = BaseToken::of(current.head()).to_string();
    let mut response = marked(response, tag, current.source);
    if let Ok(base) = HeaderValue::from_str(&base) {
        response.headers_mut().insert(BASE_HEADER, base);
    }
    Ok(response)
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
    let options = save_options(&query, &headers)?;
    let context = save_context(&query, &headers)?;
    let base = options.base.clone();
    let operation = document.read(|document| read_save(document, &user, options, context))?;
    let operation = Operation { traceparent, ..operation };
    let span = command_span(&graph, operation.id, &user);
    let save = operation.action.save().map(|(save, _)| save.clone());
    let replies = execute(&app, &graph, vec![operation]).instrument(span).await?;
    let (Some(reply), Some(save)) = (replies.first(), save) else {
        return Err(crate::write::WriteError::Stopped.into());
    };
    let current = read::current(&app.graphs, &graph, None).await?;
    saved(reply, &save, base, &current, format)
}

fn save_options(query: &QueryParameters, headers: &HeaderMap) -> Result<SaveOptions, Problem> {
    let wrong = |name: &str, problem: &str| Problem::bad_request(format!("{name}: {problem}"));
    let base =
        query.text("base").map(|text| text.parse::<BaseToken>().map_err(|e| wrong("base", &e.to_string())));
    let mode = query.text("mode").map(|text| mode_of(text).ok_or_else(|| wrong("mode", MODES)));
    let absent = query.text("absent").map(|text| absent_of(text).ok_or_else(|| wrong("absent", ABSENT)));
    let saves_viewport = query.one_of("viewport", &[("save", true), ("ignore", false)])?;
    let paths = query.text("ignore").into_iter().flat_map(|paths| paths.split(','));
    let ignore = paths.map(|path| pointer_of(path).ok_or_else(|| wrong("ignore", POINTER)));
    let ignore: Vec<Pointer> = ignore.collect::<Result<_, _>>()?;
    let deletes = query.number("deletes")?.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
    let absent = absent.transpose()?.unwrap_or_default();
    let (base, mut without_base) = (base.transpose()?, mode.transpose()?);
    let mut only_at = if_match(headers)?;
    if headers.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == b"*") {
        (only_at, without_base) = (Some(Version::EMPTY), without_base.or(Some(WithoutBase::Replace)));
    }
    let reading = Reading { absent, ignore, saves_viewport: saves_viewport.unwrap_or(false) };
    Ok(SaveOptions { base, without_base, reading, deletes, only_at })
}

/// The version that `If-Match` names. A tag that is weak is taken: compression makes them so.
fn if_match(headers: &HeaderMap) -> Result<Option<Version>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().ok().map(|text| text.trim().trim_start_matches("W/"));
    let tag = text.and_then(|text| text.strip_prefix('"')?.strip_suffix('"'));
    let number = tag.and_then(|tag| tag.split('-').next()?.parse().ok()).and_then(Version::new);
    let wrong = || Problem::bad_request("If-Match: must be one tag, as a document's ETag gives it");
    number.map(Some).ok_or_else(wrong)
}

fn save_context(query: &QueryParameters, headers: &HeaderMap) -> Result<SaveContext, Problem> {
    let text = |name: &str| match headers.get(name).map(HeaderValue::to_str) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text.trim().to_owned())),
        Some(Err(_)) => Err(Problem::bad_request(format!("{name}: must be text"))),
    };
    let id = text("idempotency-key")?.map(|text| {
        OperationId::parse(text.trim_matches('"'))
            .map_err(|e| Problem::bad_request(format!("Idempotency-Key: {e}")))
    });
    let client = text("x-client-id")?
        .map(|text| ClientId::parse(&text).map_err(|e| Problem::bad_request(format!("X-Client-Id: {e}"))));
    let on_conflict = query.text("onConflict").map(|text| {
        let wrong = || Problem::bad_request("onConflict: must be merge, overwrite, reject or keep");
        Policy::parse(text).ok_or_else(wrong)
    });
    Ok(SaveContext {
        id: id.transpose()?,
        client: client.transpose()?,
        on_conflict: on_conflict.transpose()?,
    })
}

/// The answer to a save (rule DS10).
fn saved(
    reply: &Reply,
    save: &Save,
    base: Option<BaseToken>,
    current: &CurrentState,
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
    let differs = run_blocking(|| save.document.differs_from(graph, &save.reading));
    let out = SaveAnswer {
        operation_id: reply.operation,
        version: head.version,
        hash: head.hash,
        base: base_after(base, report, save, (*head, differs)).map(|base| base.to_string()),
        outcome: effect_out(*effect),
        result: report.map(|report| SaveResult { entities: SavedOut::of(report), ignored: &save.ignored }),
        conflicts: report.map(|report| report.kept.as_slice()).filter(|kept| !kept.is_empty()),
        document: differs.then(|| DocumentOut::of(graph, Some(BaseToken::of(current.head()).to_string()))),
        duplicate: reply.duplicate.then_some(true),
    };
    Ok(run_blocking(|| respond_encoded(format, format.encode_long(&out))))
}

/// The base that fits the document that was sent.
///
/// A save without a base is compared with the graph as it stood. After `mode=merge` the graph may hold more than the
/// document, and no version fits that: the next save on any would delete the rest.
fn base_after(
    base: Option<BaseToken>,
    report: Option<&SaveReport>,
    save: &Save,
    (head, differs): (Head, bool),
) -> Option<BaseToken> {
    let Some(mut base) = base else {
        let fits = save.base != Base::Unknown(WithoutBase::Merge) || !differs;
        return fits.then(|| BaseToken::of(head));
    };
    if let Some(report) = report {
        base.own.clone_from(&report.own);
    }
    Some(base.after(head))
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
    result: Option<SaveResult<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conflicts: Option<&'a [Conflict]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<DocumentOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
}

/// What a save did.
#[derive(Serialize)]
struct SaveResult<'a> {
    #[serde(flatten)]
    entities: SavedOut<'a>,
    ignored: &'a [Pointer],
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
