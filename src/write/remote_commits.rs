//! What other instances did to a hot graph, as far as it comes along with the word of it.
//!
//! Invariant: a commit is folded only onto the head whose hash it continues. What does not fit, be it
//! late, lost, damaged or of another history, is found out about in the store.

use super::{
    graph_task::{GraphTask, LoadedGraph, Memory},
    history_reader,
    reply::WriteError,
    ring::Recorded,
};
use crate::store::StoredCommit;

impl GraphTask {
    /// Catches up with these commits of others: folded as they are, if they follow on what is in memory;
    /// else from the store. What is remembered of operations stays true either way: one that ended
    /// elsewhere is learnt from its record, when the store finds its id used.
    pub(super) async fn apply_remote_commits(
        &self,
        commits: &[StoredCommit],
        memory: &mut Memory,
    ) -> Result<(), WriteError> {
        // What is not loaded is not behind.
        let Memory::Hot(loaded) = memory else { return Ok(()) };
        if self.fold_remote(loaded, commits) {
            self.count_held(loaded);
            return Ok(());
        }
        self.catch_up(loaded).await.map(drop)
    }

    /// Folds those of these commits that are new; false if that does not bring the graph up to
    /// the last of them: there is a gap, or they are of another history, or can't be read.
    fn fold_remote(
        &self,
        LoadedGraph { graph, ring, .. }: &mut LoadedGraph,
        commits: &[StoredCommit],
    ) -> bool {
        let known = commits.partition_point(|commit| commit.version <= graph.head().version);
        let is_ours =
            |commit: &StoredCommit| ring.head_at(commit.version).is_some_and(|head| head == commit.head());
        if !commits[..known].last().is_none_or(is_ours) {
            return false;
        }
        let mut folded = Vec::new();
        for stored in &commits[known..] {
            let follows = graph.head().after(&stored.body) == stored.head();
            let Some(commit) = follows.then(|| history_reader::decode(&self.id, stored).ok()).flatten()
            else {
                break;
            };
            graph.apply(&commit);
            folded.push(Recorded::new(commit, stored.body.clone()));
        }
        if !folded.is_empty() {
            self.take_commits(ring, &folded);
            self.published.publish(graph);
        }
        commits.last().is_none_or(|last| last.version <= graph.head().version)
    }
}
