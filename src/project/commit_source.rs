//! One graph's history as projectors read it: verified link by link, and from memory where that has it.
//!
//! Not here: what commits are folded into ([`super::fold`]).

use std::sync::Arc;

use dao_projections::{Commit, CommitBody, GraphId, Head, Version};

use super::{Stores, fold::FoldError};
use crate::{
    store::{StoreError, StoredCommit},
    write::{Graphs, Recorded},
};

/// Commits read at once.
pub(super) const CHUNK: usize = 512;

/// Commits of one graph, in order.
pub(super) type CommitChunk = Arc<[Arc<Recorded>]>;

/// One graph's history, chunk by chunk: from the memory of this process where that has it, else from the store. It
/// remembers the last chunk, since all projections usually stand at the same place.
pub(super) struct CommitSource<'a> {
    pub(super) stores: &'a Stores,
    pub(super) graph: &'a GraphId,
    memory: Option<&'a Graphs>,
    last: Option<(Head, Version, CommitChunk)>,
}

/// What comes next in a log.
pub(super) enum NextChunk {
    Commits(CommitChunk),
    /// Nothing.
    End,
    /// Something that does not follow.
    OtherHistory,
}

impl<'a> CommitSource<'a> {
    pub(super) fn of(stores: &'a Stores, graph: &'a GraphId) -> Self {
        Self { stores, graph, memory: None, last: None }
    }

    /// The same, where these graphs may have it in memory. Not over a store that others write to: a graph that nobody
    /// asks for here learns late, or never, that a fail-over put another history in the place of its own.
    pub(super) fn remembered_by(self, memory: Option<&'a Graphs>) -> Self {
        Self { memory: memory.filter(|_| !self.stores.events.is_shared()), ..self }
    }

    /// Forgets what was read: it was not of the history that the rows are rebuilt from.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// Some commits after `at`, the latest of them at most `to`.
    pub(super) async fn after(&mut self, at: Head, to: Version) -> Result<NextChunk, FoldError> {
        if let Some((from, end, commits)) = &self.last
            && (*from, *end) == (at, to)
        {
            return Ok(NextChunk::Commits(commits.clone()));
        }
        // One chunk at a time is in memory.
        self.last = None;
        let commits = match self.memory.and_then(|graphs| graphs.remembered(self.graph, at, to, CHUNK)) {
            Some(commits) => commits,
            None => {
                let chunk = self.stores.events.read(self.graph, at.version, to, CHUNK).await?;
                if chunk.is_empty() {
                    return Ok(NextChunk::End);
                }
                let Some(commits) = decode(at, chunk)? else { return Ok(NextChunk::OtherHistory) };
                commits
            }
        };
        let commits: CommitChunk = commits.into();
        self.last = Some((at, to, commits.clone()));
        Ok(NextChunk::Commits(commits))
    }
}

/// Whether the log has this head.
pub(super) async fn is_in_history(stores: &Stores, graph: &GraphId, head: Head) -> Result<bool, StoreError> {
    let Some(before) = head.version.get().checked_sub(1).and_then(Version::new) else { return Ok(true) };
    let found = stores.events.read(graph, before, head.version, 1).await?;
    Ok(found.first().is_some_and(|found| found.hash == head.hash))
}

/// The commits of these bytes; `None` if the first does not follow on `at`.
fn decode(at: Head, chunk: Vec<StoredCommit>) -> Result<Option<Vec<Arc<Recorded>>>, FoldError> {
    let poison = |version, reason: &str| FoldError::Poison { version, reason: reason.to_owned() };
    let mut at = at;
    let mut commits = Vec::with_capacity(chunk.len());
    for stored in chunk {
        if stored.head() != at.after(&stored.body) {
            if commits.is_empty() && at != Head::EMPTY {
                return Ok(None);
            }
            return Err(poison(stored.version, "its hash does not follow from its content"));
        }
        at = stored.head();
        let body = CommitBody::decode(&stored.body).map_err(|e| poison(stored.version, &e.to_string()))?;
        let commit = Commit { version: stored.version, hash: stored.hash, body };
        commits.push(Recorded::new(commit, stored.body));
    }
    Ok(Some(commits))
}
