//! `POST /graphs/{graphId}/command` and `…/batch`.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use dao_projections::GraphId;

use super::{
    App,
    command::{read_batch, read_command},
    extract::{AnswerAs, Caller, Decoded, Ids},
    problem::Problem,
    respond,
    wire::{BatchOut, Results, answer_out, member_out},
};
use crate::{domain::Operation, write::Answer};

/// One command: answered once its commit is durable.
pub(super) async fn command(
    State(app): State<App>,
    ids: Ids,
    Caller(user): Caller,
    AnswerAs(format): AnswerAs,
    Decoded(document): Decoded,
) -> Result<Response, Problem> {
    let graph = ids.graph()?;
    let operation = read_command(document, &user)?;
    let answers = execute(&app, &graph, vec![operation]).await?;
    let answer = answers.first().ok_or(crate::write::WriteError::Stopped)?;
    Ok(respond(StatusCode::OK, format, &answer_out(answer, Results::Single)?))
}

/// A batch: one commit, or each by itself.
pub(super) async fn batch(
    State(app): State<App>,
    ids: Ids,
    Caller(user): Caller,
    AnswerAs(format): AnswerAs,
    Decoded(document): Decoded,
) -> Result<Response, Problem> {
    let graph = ids.graph()?;
    let batch = read_batch(document, &user)?;
    let answers = execute(&app, &graph, batch.operations).await?;
    if batch.is_atomic {
        let answer = answers.first().ok_or(crate::write::WriteError::Stopped)?;
        return Ok(respond(StatusCode::OK, format, &answer_out(answer, Results::PerMember)?));
    }
    let results = answers.iter().map(member_out).collect();
    Ok(respond(StatusCode::OK, format, &BatchOut { batch_id: batch.id, results }).into_response())
}

async fn execute(app: &App, graph: &GraphId, operations: Vec<Operation>) -> Result<Vec<Answer>, Problem> {
    Ok(app.graphs.execute(graph, operations).await?)
}
