//! `POST /graphs/{graphId}/command` and `…/batch`.

use axum::{extract::State, http::StatusCode, response::Response};
use dao_projections::{GraphId, OperationId, UserId};
use serde::Serialize;
use tracing::{Instrument, Span};

use super::{
    answer_wire::{BatchOut, Results, answer_out, member_out},
    app::App,
    authentication::{Caller, VerifiedGrant},
    command_parser::{read_batch, read_command_body},
    decode::Decoded,
    extractors::{DecodedBody, DecodedCommand, PathIds, ResponseFormat, TraceContext},
    format::{Format, respond, respond_encoded},
    problem::Problem,
    request_span::{self, in_request},
    required_right,
};
use crate::{
    domain::Operation,
    write::{Reply, run_blocking},
};

/// Answers that show more than this many entities and fields are not encoded while others wait for the thread.
const INLINE_WEIGHT_MAX: usize = 256;

/// Run a command.
pub(super) async fn command(
    State(app): State<App>,
    ids: PathIds,
    (Caller(user), VerifiedGrant(grant)): (Caller, VerifiedGrant),
    ResponseFormat(format): ResponseFormat,
    TraceContext(traceparent): TraceContext,
    DecodedCommand(body, _held): DecodedCommand,
) -> Result<Response, Problem> {
    let graph = ids.graph()?;
    let operation = body.read(|body| read_command_body(body, &user))?;
    let operation = Operation { traceparent, ..operation };
    let protected = app.graphs.protected_labels();
    required_right::check(grant.as_deref(), &graph, std::slice::from_ref(&operation), protected)?;
    run_one(&app, &graph, operation, format).await
}

/// Runs this operation and answers with its outcome.
pub(super) async fn run_one(
    app: &App,
    graph: &GraphId,
    operation: Operation,
    format: Format,
) -> Result<Response, Problem> {
    let span = CommandSpan::of(graph, operation.id, &operation.user);
    let answers = execute(app, graph, vec![operation], span).await?;
    let answer = answers.first().ok_or(crate::write::WriteError::Stopped)?;
    Ok(answered(&answers, format, &answer_out(answer, Results::Single)?))
}

/// Run several commands, as one commit or one by one.
pub(super) async fn batch(
    State(app): State<App>,
    ids: PathIds,
    (Caller(user), VerifiedGrant(grant)): (Caller, VerifiedGrant),
    ResponseFormat(format): ResponseFormat,
    TraceContext(traceparent): TraceContext,
    DecodedBody(document, _held): DecodedBody,
) -> Result<Response, Problem> {
    let graph = ids.graph()?;
    let max = app.limits.batch_operations_max;
    let batch = document.read(|document| read_batch(document, &user, max))?.caused_by(traceparent);
    required_right::check(grant.as_deref(), &graph, &batch.operations, app.graphs.protected_labels())?;
    let (id, is_atomic) = (batch.id, batch.is_atomic);
    let span = CommandSpan::of(&graph, id, &user);
    let answers = execute(&app, &graph, batch.operations, span).await?;
    batch_answer(id, is_atomic, &answers, format)
}

/// Encodes `out`, which tells of these answers, without holding up others where that takes long.
fn answered(answers: &[Reply], format: Format, out: &impl Serialize) -> Response {
    let weight: usize = answers.iter().map(Reply::weight).sum();
    match weight > INLINE_WEIGHT_MAX {
        true => run_blocking(|| respond_encoded(format, format.encode_long(out))),
        false => respond(StatusCode::OK, format, out),
    }
}

fn batch_answer(
    id: OperationId,
    is_atomic: bool,
    answers: &[Reply],
    format: Format,
) -> Result<Response, Problem> {
    if is_atomic {
        let answer = answers.first().ok_or(crate::write::WriteError::Stopped)?;
        return Ok(answered(answers, format, &answer_out(answer, Results::PerMember)?));
    }
    let results = answers.iter().map(member_out).collect();
    Ok(answered(answers, format, &BatchOut::of(id, results)))
}

/// An error is logged here, where it is known which operation it was about.
pub(super) async fn execute(
    app: &App,
    graph: &GraphId,
    operations: Vec<Operation>,
    span: CommandSpan<'_>,
) -> Result<Vec<Reply>, Problem> {
    let answers = app.graphs.execute(graph, operations).instrument(span.span.clone()).await;
    answers.map_err(|error| span.logging(|| Problem::from(error).logged()))
}

/// What is logged while a command or a batch is under way says which one it is about. The span is made when that is
/// needed ([`super::request_span`]).
pub(super) struct CommandSpan<'a> {
    graph: &'a GraphId,
    operation: OperationId,
    user: UserId,
    pub(super) span: Span,
}

impl<'a> CommandSpan<'a> {
    pub(super) fn of(graph: &'a GraphId, operation: OperationId, user: &UserId) -> Self {
        let span = match request_span::are_wanted() {
            true => tracing::error_span!("command", %graph, %operation, %user),
            false => Span::none(),
        };
        Self { graph, operation, user: user.clone(), span }
    }

    pub(super) fn logging<T>(&self, log: impl FnOnce() -> T) -> T {
        let Self { graph, operation, user, span } = self;
        if !span.is_disabled() {
            return span.in_scope(log);
        }
        let span = in_request(|| tracing::error_span!("command", %graph, %operation, %user));
        span.in_scope(log)
    }
}
