//! What a [`Follower`](super::Follower) starts from, and what it says has to be done.

use std::time::Duration;

use dao_projections::{Hash, Head, OperationId, Version};
use serde_json::value::RawValue;

use super::frames::{Complaint, Presence, Received, Revert};

/// What a client wants when the way from its point to the present is longer than the present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// The graph as it is, like an editor: a snapshot is as good as the commits.
    State,
    /// Every commit, like a log: those that a snapshot would skip are fetched.
    Commits,
}

/// A point in a history from which a client goes on (rule V4). Without the hash it is not checked
/// that the history is still the same (rule H6).
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

/// What has to be done next.
#[derive(Debug)]
pub enum Step {
    /// The server told where the graph stands; what is missing follows.
    Synced(Head),
    /// Apply this commit: it follows on the last one.
    Apply(Box<Received>),
    /// Drop everything that was applied, and take this instead. Commits in between are never seen.
    Replace(Box<Snapshot>),
    /// This operation has ended: what was assumed of it can be dropped. Said once an operation, after
    /// the commit that has its effect.
    Settle(OperationId, Ending),
    /// Show this of another client.
    Show(Presence),
    /// Tell a person: the connection lives on.
    Warn(Complaint),
    /// Send this text, after a while.
    Send {
        /// The frame.
        frame: String,
        /// How long to wait first.
        after: Duration,
    },
    /// Call [`Follower::connected`](super::Follower::connected) again on the same connection, after a while.
    SubscribeAgain {
        /// How long to wait first.
        after: Duration,
    },
    /// `GET changes` after this point, and give the answer to [`Follower::fetched`](super::Follower::fetched) before the next
    /// frame of the connection.
    Fetch(Point),
    /// Drop the connection, tell [`Follower::disconnected`](super::Follower::disconnected), and connect anew.
    Reconnect(Why),
    /// It makes no sense to go on: the same question will be refused again.
    GiveUp(Complaint),
}

/// A graph as it stands.
#[derive(Debug)]
pub struct Snapshot {
    /// Its version and hash.
    pub head: Head,
    /// `{…, nodes, edges, viewport}`, as the server wrote it.
    pub state: Box<RawValue>,
}

/// How an operation ended.
#[derive(Clone, Debug)]
pub enum Ending {
    /// It was accepted; this version has its effect.
    Completed(Version),
    /// Others changed the same (409).
    Conflict(Refused),
    /// It was refused otherwise.
    Failed(Refused),
}

/// Why an operation was refused.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Why, as a stable word; `None` where an older server did not say.
    pub code: Option<String>,
    /// What the server answered. It is missing where the end was learned on a reconnect, which
    /// `GET /operations/{id}` tells about, and where the operation could not even be sent or read.
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

/// Why a connection can't go on.
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
    /// The server stops.
    #[error("the server is stopping")]
    Goodbye {
        /// When to come back.
        after: Duration,
    },
    /// What came makes no sense where it came.
    #[error("the server {0}")]
    OutOfTurn(&'static str),
}
