//! The start point of a [`Follower`](super::Follower), and the steps that it asks for.

use std::time::Duration;

use dao_projections::{Hash, Head, OperationId, Version};
use serde_json::value::RawValue;

use super::{
    frames::{Complaint, Presence, Revert},
    received::Received,
};

/// What a client gets when a snapshot is shorter than the missing commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// The current state, for an editor: a snapshot replaces the commits.
    State,
    /// Every commit, for a log: commits that a snapshot would skip are fetched.
    Commits,
}

/// The point in a history from which a client resumes (rule V4). Without the hash, a replaced history is not detected
/// (rule H6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The last version that was applied.
    pub version: Version,
    /// Its hash, if it is known.
    pub hash: Option<Hash>,
}

impl From<Head> for Point {
    fn from(head: Head) -> Self {
        Self { version: head.version, hash: Some(head.hash) }
    }
}

/// What the caller has to do next.
#[derive(Debug)]
pub enum Step {
    /// The server sent the head of the graph; missing commits follow.
    Synced(Head),
    /// Apply this commit: it follows on the last one.
    Apply(Box<Received>),
    /// Replace the state by this snapshot. Commits in between are skipped.
    Replace(Box<Snapshot>),
    /// This operation has ended: drop its optimistic change. Sent once for each operation, after its commit.
    Settle(OperationId, Ending),
    /// Show the presence of another client.
    Show(Presence),
    /// Report an error; the connection stays open.
    Warn(Complaint),
    /// Send this text after a delay.
    Send {
        /// The frame.
        frame: String,
        /// How long to wait first.
        after: Duration,
    },
    /// Call [`Follower::connected`](super::Follower::connected) again on the same connection after a delay.
    SubscribeAgain {
        /// How long to wait first.
        after: Duration,
    },
    /// `GET changes` after this point, and give the answer to [`Follower::fetched`](super::Follower::fetched) before the next
    /// frame of the connection.
    Fetch(Point),
    /// Drop the connection, tell [`Follower::disconnected`](super::Follower::disconnected), and connect anew.
    Reconnect(Why),
    /// Stop: a retry would be refused again.
    GiveUp(Complaint),
}

/// The state of a graph.
#[derive(Debug)]
pub struct Snapshot {
    /// Its version and hash.
    pub head: Head,
    /// `{…, nodes, edges, viewport}`, as the server wrote it.
    pub state: Box<RawValue>,
}

/// The outcome of an operation.
#[derive(Clone, Debug)]
pub enum Ending {
    /// It was accepted with this version.
    Completed(Version),
    /// Another client changed the same field (409).
    Conflict(Refused),
    /// It was refused for another reason.
    Failed(Refused),
}

/// Why an operation was refused.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The error code; `None` if an older server did not send one.
    pub code: Option<String>,
    /// The server's answer. It is missing if the outcome was learned on a reconnect (ask `GET /operations/{id}`), or if the
    /// operation could not be sent or read.
    pub revert: Option<Box<Revert>>,
}

impl Refused {
    /// A refusal of which only the code is known.
    pub(super) fn with(code: Option<String>) -> Self {
        Self { code, revert: None }
    }
}

impl From<Box<Revert>> for Refused {
    fn from(revert: Box<Revert>) -> Self {
        Self { code: Some(revert.code.clone()), revert: Some(revert) }
    }
}

/// Why a client must reconnect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Commits are missing.
    #[error("version {got} came after version {at}")]
    Gap {
        /// The last version that was applied.
        at: Version,
        /// The one that came.
        got: Version,
    },
    /// A version came with another hash than before.
    #[error("version {0} is not what it was")]
    OtherHistory(Version),
    /// The server is stopping.
    #[error("the server is stopping")]
    Goodbye {
        /// When to reconnect.
        after: Duration,
    },
    /// A frame arrived out of order.
    #[error("the server {0}")]
    OutOfTurn(&'static str),
}
