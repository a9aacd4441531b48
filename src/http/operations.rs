//! `GET /operations/{operationId}`: what became of an operation.

use axum::{extract::State, http::StatusCode, response::Response};
use dao_projections::{CommandType, GraphId, OperationId, Timestamp, UserId, Version};
use serde::Serialize;

use super::{
    App,
    auth::Proved,
    extract::{AnswerAs, Ids},
    openapi::{answers::Operation, asked::OperationPath, problems::OfReads},
    problem::Problem,
    respond,
    wire::{effect_out, status_of},
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

/// Check an operation: its outcome is known for `OPERATION_TTL` at least, then 404, as for ids nobody has used.
#[utoipa::path(get, path = "/operations/{operationId}", tag = "graphs",
    params(OperationPath),
    responses((status = 200, description = "What became of it", body = Operation), OfReads)
)]
pub(super) async fn operation(
    State(app): State<App>,
    ids: Ids,
    Proved(grant): Proved,
    AnswerAs(format): AnswerAs,
) -> Result<Response, Problem> {
    let id = ids.operation()?;
    let unknown = || Problem::not_found(format!("no operation {id} is known"));
    let found = read::operation(&app.graphs, id).await?.ok_or_else(unknown)?;
    // An operation on a graph that one may not read is as unknown as one that never was: otherwise the answer
    // would tell that it happened.
    if grant.is_some_and(|grant| !grant.allows(Right::Read, &found.graph)) {
        return Err(unknown());
    }
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
