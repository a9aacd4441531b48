//! What a judgement needs of the history beside the graph.

use std::collections::HashSet;

use dao_projections::{Commit, Entity, Graph, Hash, Timestamp, Version};

use crate::domain::{
    copy::{CopyFrom, Source},
    document::Saver,
    interest::Interest,
    undo::{Past, Undone},
};

/// Access to the commits before the head, newest last; how far back depends on the caller.
pub trait History {
    /// The commits in `(version, head]` that touch any of `wanted`. Other commits may be among them, and events about
    /// other entities may be missing. `None` if not all of them are in memory.
    fn since(
        &self,
        version: Version,
        wanted: &HashSet<Entity<'_>>,
    ) -> Option<Box<dyn Iterator<Item = &Commit> + '_>>;

    /// The commit of this version, which must exist; its events may be missing. `None` if it is not in memory.
    fn at(&self, version: Version) -> Option<&Commit>;

    /// The hash of this version, which is not above the head. `None` if it is not in memory.
    fn hash_at(&self, version: Version) -> Option<Hash>;

    /// The graph as it was at this version, which is below the head. `None` if it is not at hand.
    fn graph_at(&self, version: Version) -> Option<Graph>;

    /// The commits after this version that are the saver's own, whole, oldest first. `None` if they are not all at
    /// hand.
    fn owned_since(&self, version: Version, saver: &Saver<'_>) -> Option<Vec<&Commit>>;

    /// The version of the last commit at or before this time, which is before that of the head. `None` if it is not at
    /// hand.
    fn version_at(&self, time: Timestamp) -> Option<Version> {
        let _ = time;
        None
    }

    /// The graph that is to be copied. `None` if it is not at hand.
    fn source(&self, from: &CopyFrom) -> Option<&Source> {
        let _ = from;
        None
    }

    /// What these operations did, as [`Tracing`](crate::domain::Tracing) finds it. `None` if it is not in memory.
    fn past(&self, operations: &[Undone]) -> Option<&Past> {
        let _ = operations;
        None
    }
}

/// The part of the history that the judgement needs and [`History`] does not have in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryMissing {
    /// The commits after this version that touch these entities.
    Since(Version, Box<Interest>),
    /// One commit.
    At(Version),
    /// The hash of this version.
    Hash(Version),
    /// The graph at this version.
    Graph(Version),
    /// The commits after this version that are the own of the saver whose document the operation is.
    Owned(Version),
    /// What these operations did.
    Past(Vec<Undone>),
    /// The graph that is to be copied.
    Source(Box<CopyFrom>),
    /// The version of the last commit at or before this time.
    VersionAt(Timestamp),
}
