//! What was submitted, and its answer.

use dao_projections::{GraphId, OperationId};

use crate::write::{Reply, WriteError};

/// The answer to a submission.
pub(super) struct SubmissionAnswer {
    pub(super) graph: GraphId,
    pub(super) submission: Submission,
    pub(super) bytes: usize,
    pub(super) answer_bytes: usize,
    pub(super) answers: Result<Vec<Reply>, WriteError>,
}

/// Operations that were submitted together, named by the id of their answer.
#[derive(Clone, Copy)]
pub(super) enum Submission {
    Command(OperationId),
    Atomic(OperationId),
    Each(OperationId),
}
