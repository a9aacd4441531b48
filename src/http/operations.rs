//! `GET /operations/{operationId}`: the outcome of an operation.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use dao_projections::{CommandType, GraphId, OperationId, Timestamp, UserId, Version};
use serde::Serialize;

use super::{
    answer_wire::{effect_out, status_of},
    app::App,
    authentication::VerifiedGrant,
    extractors::{PathIds, QueryParameters, ResponseFormat},
    format::respond,
    problem::Problem,
};
use crate::{
    auth::Right,
    domain::Resolution,
    read::{self, OperationEnding},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OperationOut {
    operation_id: OperationId,
    graph_id: GraphId,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    r#type: CommandType,
    user_id: UserId,
    version: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Problem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution: Option<Resolution>,
    created_at: Timestamp,
    completed_at: Timestamp,
}

/// Check the outcome of an operation.
///
/// Ids are unique within a graph only: name the graph, or get the oldest record among graphs you may read. Known for
/// `OPERATION_TTL` at least; 404 after that, for ids nobody has used, and for operations of graphs you may not read.
pub(super) async fn operation(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    VerifiedGrant(grant): VerifiedGrant,
    ResponseFormat(format): ResponseFormat,
) -> Result<Response, Problem> {
    let id = ids.operation()?;
    let unknown = || Problem::not_found(format!("no operation {id} is known"));
    let graph = query.text("graphId").map(GraphId::parse).transpose();
    let graph = graph.map_err(|error| Problem::bad_request(format!("graphId: {error}")))?;
    // An operation on a graph that one may not read is as unknown as one that never was: otherwise the answer
    // would tell that it happened.
    let may_read =
        Arc::new(move |graph: &GraphId| grant.as_ref().is_none_or(|grant| grant.allows(Right::Read, graph)));
    let found = read::operation(&app.graphs, id, graph.as_ref(), may_read).await?.ok_or_else(unknown)?;
    let (status, outcome, error, resolution) = match &found.ending {
        OperationEnding::Completed(effect) => ("completed", Some(effect_out(*effect)), None, None),
        OperationEnding::Refused(refusal) => {
            let problem = Problem::refused(id, refusal, false);
            (status_of(&problem), None, Some(problem), refusal.resolution.clone())
        }
    };
    let out = OperationOut {
        operation_id: id,
        graph_id: found.graph,
        status,
        outcome,
        r#type: found.command,
        user_id: found.user,
        version: found.version,
        error,
        resolution,
        created_at: found.at,
        completed_at: found.at,
    };
    Ok(respond(StatusCode::OK, format, &out))
}
