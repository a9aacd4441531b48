//! `GET` and `DELETE /graphs/{graphId}`: a graph as one thing (rules L3, L8).
//!
//! Not here: the list of all graphs, which may be behind ([`super::catalog`]).

use std::collections::BTreeMap;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use dao_projections::{
    Attributes, CatalogRow, Graph, GraphId, Hash, Head, Origin, Timestamp, UserId, Version,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    answer_wire::TrashedOut,
    app::App,
    authentication::{Caller, VerifiedGrant, access_of},
    command_parser::read_command,
    commands::run_one,
    decode::Document,
    extractors::{PathIds, QueryParameters, ResponseFormat, TraceContext, idempotency_key},
    format::respond,
    label_wire::LabelOut,
    problem::Problem,
};
use crate::{domain::Operation, read};

/// Get what a graph is: its attributes, labels and counts.
pub(super) async fn graph(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    VerifiedGrant(grant): VerifiedGrant,
    ResponseFormat(format): ResponseFormat,
) -> Result<Response, Problem> {
    let id = ids.graph()?;
    let current = read::current(&app.graphs, &id, query.version("minVersion")?).await?;
    let graph = &current.view.graph;
    match GraphRow::of(&id, graph, access_of(grant.as_deref(), &id)) {
        Some(row) => Ok(respond(StatusCode::OK, format, &row)),
        None => Err(Problem::graph_not_found()),
    }
}

/// Put a graph into the trash. It is the command `DELETE_GRAPH` in another spelling, so a repeat may use either.
pub(super) async fn delete_graph(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    Caller(user): Caller,
    ResponseFormat(format): ResponseFormat,
    TraceContext(traceparent): TraceContext,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let graph = ids.graph()?;
    let mut payload = Map::new();
    for name in ["reason", "movedTo"] {
        payload.extend(query.text(name).map(|text| (name.to_owned(), Value::from(text))));
    }
    let mut command = json!({"type": "DELETE_GRAPH", "payload": payload});
    if let Some(id) = idempotency_key(&headers)? {
        command["operationId"] = Value::from(id.to_string());
    }
    let operation = read_command(Document::of(command), &user)?;
    run_one(&app, &graph, Operation { traceparent, ..operation }, format).await
}

/// One graph, without its contents.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GraphRow<'a> {
    pub(super) graph_id: &'a GraphId,
    pub(super) attributes: &'a Attributes,
    pub(super) version: Version,
    pub(super) hash: Hash,
    pub(super) content_version: Version,
    pub(super) created_at: Timestamp,
    pub(super) created_by: &'a UserId,
    pub(super) updated_at: Timestamp,
    pub(super) updated_by: &'a UserId,
    pub(super) nodes: u64,
    pub(super) edges: u64,
    pub(super) labels: BTreeMap<&'a str, LabelOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) forked_from: Option<&'a Origin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trashed: Option<TrashedOut<'a>>,
    pub(super) access: &'static str,
}

impl<'a> GraphRow<'a> {
    /// The same from the catalog.
    pub(super) fn of_row(graph_id: &'a GraphId, row: &'a CatalogRow, access: &'static str) -> Self {
        let labels = row.labels.iter().map(|(name, label)| (name.as_str(), LabelOut::of(label)));
        Self {
            graph_id,
            attributes: &row.attributes,
            version: row.version,
            hash: row.hash,
            content_version: row.contents_version,
            created_at: row.created_at,
            created_by: &row.created_by,
            updated_at: row.updated_at,
            updated_by: &row.updated_by,
            nodes: row.nodes,
            edges: row.edges,
            labels: labels.collect(),
            forked_from: row.origin.as_ref(),
            trashed: row.trashed.as_ref().map(TrashedOut::of),
            access,
        }
    }

    /// The row of this graph; `None` if nobody has written to it.
    fn of(graph_id: &'a GraphId, graph: &'a Graph, access: &'static str) -> Option<Self> {
        let (created_at, created_by) = graph.created()?;
        let (updated_at, updated_by) = (graph.last_modified()?, graph.last_author()?);
        let (Head { version, hash }, metadata) = (graph.head(), graph.metadata());
        let labels = metadata.labels.iter().map(|(name, label)| (name.as_str(), LabelOut::of(label)));
        Some(Self {
            graph_id,
            attributes: &metadata.attributes,
            version,
            hash,
            content_version: graph.contents_version(),
            created_at,
            created_by,
            updated_at,
            updated_by,
            nodes: graph.nodes().len() as u64,
            edges: graph.edges().len() as u64,
            labels: labels.collect(),
            forked_from: metadata.origin.as_ref(),
            trashed: metadata.trashed.as_ref().map(TrashedOut::of),
            access,
        })
    }
}
