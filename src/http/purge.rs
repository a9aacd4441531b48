//! `POST /graphs/{graphId}/purge`: nothing of a graph in the trash is left (rule L10).
//!
//! It is no command: there is no graph afterwards whose commit it could be. What makes it exactly once stands beside the
//! histories.

use axum::{extract::State, http::StatusCode, response::Response};
use dao_projections::{Hash, OperationId, Version};
use serde::Serialize;

use super::{
    app::App,
    authentication::Caller,
    decode::Document,
    extractors::{DecodedBody, PathIds, ResponseFormat},
    format::respond,
    json_path::Path,
    json_shape::{Fields, Malformed},
    problem::Problem,
};
use crate::live::PurgeEnding;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PurgedOut {
    accepted: bool,
    operation_id: OperationId,
    status: &'static str,
    outcome: &'static str,
    /// The last version, and its hash.
    version: Version,
    hash: Hash,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
}

/// Purge a graph that is in the trash.
pub(super) async fn purge(
    State(app): State<App>,
    ids: PathIds,
    Caller(user): Caller,
    ResponseFormat(format): ResponseFormat,
    DecodedBody(document, _held): DecodedBody,
) -> Result<Response, Problem> {
    let graph = ids.graph()?;
    let operation = read_operation(document)?.unwrap_or_else(|| OperationId::from(uuid::Uuid::now_v7()));
    let purger = app.purger.as_ref();
    let purger = purger.ok_or_else(|| Problem::not_found("this server has no feed of all graphs"))?.clone();
    // Once begun it is finished, also if the caller does not wait for it.
    let purging = tokio::spawn(async move { purger.purge(&graph, operation, &user).await });
    let ending = purging.await.map_err(Problem::of_panic)?.map_err(|error| Problem::from(error).logged())?;
    match ending {
        PurgeEnding::Purged { head, is_duplicate } => {
            let out = PurgedOut {
                accepted: true,
                operation_id: operation,
                status: "completed",
                outcome: "applied",
                version: head.version,
                hash: head.hash,
                duplicate: is_duplicate.then_some(true),
            };
            Ok(respond(StatusCode::OK, format, &out))
        }
        PurgeEnding::NotTrashed => Err(Problem::not_trashed(operation)),
        PurgeEnding::NotFound => Err(Problem::graph_not_found()),
        PurgeEnding::IdReused => Err(Problem::id_reused(operation)),
    }
}

fn read_operation(document: Document) -> Result<Option<OperationId>, Malformed> {
    let Document { value, repeated, .. } = document;
    let mut fields = Fields::of(value, &Path::Root, &repeated)?;
    let operation = fields.operation_id("operationId")?;
    fields.finish()?;
    Ok(operation)
}
