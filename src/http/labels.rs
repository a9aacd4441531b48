//! `/graphs/{graphId}/labels`: names for versions (rule L12). `PUT` and `DELETE` are the command `LABEL_VERSION` in
//! another spelling, so a repeat may use either.

use std::collections::BTreeMap;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use dao_projections::{GraphId, Hash, Head, Labels, UserId, Version};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    app::App,
    authentication::{Caller, VerifiedGrant},
    command_parser::read_label,
    commands::run_one,
    decode::Document,
    extractors::{
        OptionalBody, PathIds, QueryParameters, ResponseFormat, TraceContext, client_id, idempotency_key,
    },
    format::{Format, respond},
    label_wire::{LabelOut, NamedLabelOut},
    problem::Problem,
    reads::{entity_tag, is_known, marked},
    required_right,
    versioned_reads::not_modified,
};
use crate::{
    auth::Grant,
    domain::Operation,
    read::{self, CurrentState},
};

/// List the labels of a graph.
pub(super) async fn labels(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let graph = ids.graph()?;
    let current = read::current(&app.graphs, &graph, query.version("minVersion")?).await?;
    let all = LabelListOut::of(&graph, current.head(), &current.view.graph.metadata().labels);
    Ok(answer(&current, (&headers, format), &all))
}

/// Get one label of a graph.
pub(super) async fn label(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (graph, name) = (ids.graph()?, ids.label()?);
    let current = read::current(&app.graphs, &graph, query.version("minVersion")?).await?;
    match current.view.graph.metadata().labels.get(&name) {
        Some(label) => Ok(answer(&current, (&headers, format), &NamedLabelOut::of(&name, Some(label)))),
        None => Err(Problem::label_not_found(&name)),
    }
}

fn answer(
    current: &CurrentState,
    (headers, format): (&HeaderMap, Format),
    shown: &impl Serialize,
) -> Response {
    let tag = entity_tag(current.head(), format);
    match is_known(headers, &tag) {
        true => not_modified(current.head(), format, current.source),
        false => marked(respond(StatusCode::OK, format, shown), tag, current.source),
    }
}

/// Label a version, or remove the label.
pub(super) async fn put_label(
    State(app): State<App>,
    ids: PathIds,
    caller: (Caller, VerifiedGrant),
    ResponseFormat(format): ResponseFormat,
    TraceContext(traceparent): TraceContext,
    headers: HeaderMap,
    OptionalBody(document, _held): OptionalBody,
) -> Result<Response, Problem> {
    let (Caller(user), VerifiedGrant(grant)) = caller;
    let operation = read(document, &ids, &user, &headers)?;
    run(&app, &ids.graph()?, grant.as_deref(), Operation { traceparent, ..operation }, format).await
}

/// Remove a label.
pub(super) async fn delete_label(
    State(app): State<App>,
    (ids, query): (PathIds, QueryParameters),
    caller: (Caller, VerifiedGrant),
    ResponseFormat(format): ResponseFormat,
    TraceContext(traceparent): TraceContext,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (Caller(user), VerifiedGrant(grant)) = caller;
    let mut payload = json!({"version": Value::Null});
    if let Some(expected) = query.version("expect")? {
        payload["expect"] = json!(expected);
    }
    let operation = read(Document::of(payload), &ids, &user, &headers)?;
    run(&app, &ids.graph()?, grant.as_deref(), Operation { traceparent, ..operation }, format).await
}

fn read(document: Document, ids: &PathIds, user: &UserId, headers: &HeaderMap) -> Result<Operation, Problem> {
    let request = (idempotency_key(headers)?, client_id(headers)?);
    Ok(read_label(document, &ids.label()?, user, request)?)
}

async fn run(
    app: &App,
    graph: &GraphId,
    grant: Option<&Grant>,
    operation: Operation,
    format: Format,
) -> Result<Response, Problem> {
    required_right::check(grant, graph, std::slice::from_ref(&operation), app.graphs.protected_labels())?;
    run_one(app, graph, operation, format).await
}

/// All labels of a graph.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LabelListOut<'a> {
    graph_id: &'a GraphId,
    version: Version,
    hash: Hash,
    labels: BTreeMap<&'a str, LabelOut<'a>>,
}

impl<'a> LabelListOut<'a> {
    fn of(graph_id: &'a GraphId, head: Head, labels: &'a Labels) -> Self {
        let labels = labels.iter().map(|(name, label)| (name.as_str(), LabelOut::of(label))).collect();
        Self { graph_id, version: head.version, hash: head.hash, labels }
    }
}
