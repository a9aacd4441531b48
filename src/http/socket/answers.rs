//! Answers to client frames. Every operation is answered exactly once (rule W5).

use std::time::Duration;

use bytes::Bytes;
use dao_projections::{GraphId, Head, OperationId, Version};

use super::{
    connection::Connection,
    server_frames::{Revert, ServerFrame},
    submission::{Submission, SubmissionAnswer},
};
use crate::{
    domain::Reason,
    http::{
        answer_wire::{BatchOut, Results, answer_out, member_out},
        metrics,
        problem::Problem,
    },
    write::{Ending, Reply},
};

/// The longest error message, in characters: it may quote long keys.
const MESSAGE_CHARS_MAX: usize = 1_000;

impl Connection {
    pub(super) fn answer(&mut self, answered: SubmissionAnswer) {
        let SubmissionAnswer { graph, submission, bytes, answer_bytes, answers } = answered;
        self.commands_in_flight -= 1;
        self.command_bytes_in_flight -= bytes;
        self.answer_bytes_in_flight -= answer_bytes;
        let (Submission::Command(id) | Submission::Atomic(id) | Submission::Each(id)) = submission;
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => return self.revert(&graph, id, &error.into(), None),
        };
        let shape = match submission {
            Submission::Command(_) => Results::Single,
            Submission::Atomic(_) => Results::PerMember,
            Submission::Each(_) => return self.acknowledge_each(&graph, id, &answers),
        };
        let Some(answer) = answers.first() else { return };
        match answer_out(answer, shape) {
            Ok(accepted) => {
                let encoding = self.peer.encoding;
                let frame = encoding.frame(&encoding.format.encode(&accepted.into_ack(&graph)));
                self.acknowledge(&graph, head_of(answer).version, frame);
            }
            Err(problem) => self.revert(&graph, id, &problem, Some(answer)),
        }
    }

    fn acknowledge_each(&mut self, graph: &GraphId, batch: OperationId, answers: &[Reply]) {
        // Its members build on the same operation, so none of them was judged. Those that ended before are answered again.
        if let Some(answer) = answers.iter().find(|answer| waits(answer)) {
            let Err(problem) = answer_out(answer, Results::Single) else { return };
            return self.revert(graph, batch, &problem, Some(answer));
        }
        let last = answers.iter().map(head_of).max_by_key(|head| head.version).unwrap_or_default();
        let out = BatchOut {
            r#type: Some("ACK"),
            graph_id: Some(graph),
            operation_id: Some(batch),
            version: Some(last.version),
            hash: Some(last.hash),
            batch_id: batch,
            results: answers.iter().map(member_out).collect(),
        };
        let frame = self.peer.encoding.frame(&self.peer.encoding.format.encode(&out));
        self.acknowledge(graph, last.version, frame);
    }

    /// If the author follows the graph, its `ACK` is sent after the `STATE_UPDATE` of the commit.
    fn acknowledge(&mut self, graph: &GraphId, version: Version, frame: Bytes) {
        self.deliver_held();
        let due = match self.subscription(graph) {
            Some(subscription) => subscription.keep_answer(version, frame),
            None => Some(frame),
        };
        if let Some(frame) = due {
            self.send(frame);
        }
    }

    pub(super) fn revert(
        &mut self,
        graph: &GraphId,
        operation: OperationId,
        problem: &Problem,
        answer: Option<&Reply>,
    ) {
        self.deliver_held();
        let problem = &self.told(problem, Some(graph), Some(operation));
        let known = self.subscription(graph).map(|subscription| subscription.version());
        let frame = ServerFrame::Revert(Revert {
            operation_id: operation,
            graph_id: graph,
            code: problem.code,
            message: shortened(problem.detail()),
            temporary: problem.is_temporary(),
            retry_after_ms: problem.retry_after().map(milliseconds),
            version: answer.map(|answer| head_of(answer).version).or(known).unwrap_or(Version::EMPTY),
            resolution: problem.resolution(),
            index: problem.index(),
            duplicate: answer.is_some_and(|answer| answer.duplicate).then_some(true),
            details: problem.details(),
        });
        self.send_frame(&frame);
    }

    pub(super) fn send_error(
        &mut self,
        problem: &Problem,
        graph: Option<&GraphId>,
        operation: Option<OperationId>,
    ) {
        let problem = self.told(problem, graph, operation);
        let (code, message) = (problem.code, shortened(problem.detail()));
        let retry_after_ms = problem.retry_after().map(milliseconds);
        self.send_frame(&ServerFrame::Error {
            code,
            message,
            graph_id: graph,
            operation_id: operation,
            retry_after_ms,
        });
    }

    pub(super) fn charge(&self) -> Result<(), Problem> {
        let Some(rate_budget) = &self.peer.rate_budget else { return Ok(()) };
        rate_budget.spend().map(drop).map_err(|exhausted| Problem::rate_limited(exhausted.0))
    }
}

/// The message, cut to [`MESSAGE_CHARS_MAX`] characters.
fn shortened(message: &str) -> &str {
    let end = message.char_indices().nth(MESSAGE_CHARS_MAX).map_or(message.len(), |(end, _)| end);
    &message[..end]
}

/// Whole milliseconds, rounded up.
fn milliseconds(duration: Duration) -> u64 {
    duration.as_nanos().div_ceil(1_000_000) as u64
}

impl Connection {
    /// Counts a problem. If the server failed, the log gets the cause.
    fn told(&self, problem: &Problem, graph: Option<&GraphId>, operation: Option<OperationId>) -> Problem {
        let graph = graph.map(tracing::field::display);
        let operation = operation.map(tracing::field::display);
        let (connection, user) = (self.peer.id, &self.peer.user);
        let span = tracing::info_span!("socket", %connection, %user, graph, operation);
        span.in_scope(|| metrics::told(self.live.graphs.metrics(), problem.clone()))
    }
}

/// Whether the operation waits for the one that it builds on (rule W5).
fn waits(answer: &Reply) -> bool {
    matches!(&answer.ending, Ending::Refused { refusal, .. } if refusal.reason == Reason::DependencyPending)
}

fn head_of(answer: &Reply) -> Head {
    let (Ending::Completed { head, .. } | Ending::Refused { head, .. }) = &answer.ending;
    *head
}
