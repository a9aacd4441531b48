//! What a read of the store for a subscription asks, and what comes of it.

use std::sync::Arc;

use bytes::Bytes;
use dao_projections::{OperationId, Version};

use crate::{http::problem::Problem, live::Cursor, read::ResumeHash, write::Recorded};

/// A read that has finished, and the subscription that it is for.
pub(super) struct FinishedRead {
    pub(super) generation: u64,
    pub(super) size: ReadSize,
    pub(super) outcome: Result<ReadOutcome, Problem>,
}

/// How large the result of a read can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadSize {
    /// The whole state of a graph.
    State,
    /// A bounded part of its log, or nothing.
    Piece,
}

pub(super) enum ReadOutcome {
    /// The cursor after the `SYNC`, and the `SYNC` frame in pieces with the right that it names.
    Sync { cursor: Cursor, frame: Vec<Bytes>, access: &'static str },
    /// Up to this version the log is shorter than a snapshot.
    Replay { to: Version },
    /// Commits from the log.
    Commits(Arc<[Arc<Recorded>]>),
    /// The graph is in memory again.
    Loaded,
}

/// The resume point of a subscriber and the operations it waits for.
pub(super) struct ResumeRequest {
    pub(super) point: Option<(Version, Option<ResumeHash>)>,
    pub(super) pending: Vec<OperationId>,
    /// Whether the subscriber's history is known to have been replaced.
    pub(super) reset: bool,
}
