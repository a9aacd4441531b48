//! Whether a history is what it claims to be (rule A5): walked from its first commit to its head,
//! the chain of hashes checked link by link, every commit decoded and folded with a sceptical eye.
//!
//! It asks the store and nothing that is remembered of it. Memory holds one chunk of commits and one
//! graph. What it can't see: a history that was cut off at its end, or rewritten from some version
//! on with a new chain, is another history and may be a sound one. Whoever noted a hash tells them
//! apart (rule V4).

use dao_projections::{Graph, GraphId, Head, Version, fold_strictly};

use super::error::ReadError;
use crate::{
    store::{EventStore, StoreError, StoredCommit},
    write::{Graphs, history_reader, run_blocking},
};

/// Commits read at once; between two reads other tasks get their turn.
const CHUNK: usize = 512;

/// What a walk through a history found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The head that the store names; where it can't name one, that of the last good commit.
    pub head: Head,
    /// How many commits are good, from the first on.
    pub commits: u64,
    /// The first that is not.
    pub bad: Option<BadCommit>,
}

/// A commit that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCommit {
    /// Its version.
    pub version: Version,
    /// What is wrong with it.
    pub problem: String,
}

/// Walks the history of a graph to its head. `on_progress` is told how many commits were good so far, and
/// how many there are to look at: as many as were good, if the head can't be read.
pub async fn verify(
    graphs: &Graphs,
    id: &GraphId,
    on_progress: impl FnMut(u64, u64) + Send,
) -> Result<Verification, ReadError> {
    Ok(walk(&**graphs.store(), id, on_progress).await?)
}

async fn walk(
    store: &dyn EventStore,
    id: &GraphId,
    mut on_progress: impl FnMut(u64, u64) + Send,
) -> Result<Verification, StoreError> {
    // A head that can't be read is bad, and what comes before it is looked at all the same.
    let (head, mut wall) = match store.head(id).await {
        Ok(head) => (Some(head), None),
        Err(StoreError::Corrupt { problem, .. }) => {
            (None, Some(BadCommit { version: Version::MAX, problem }))
        }
        Err(error) => return Err(error),
    };
    let mut to = head.map_or(Version::MAX, |head| head.version);
    let mut graph = Graph::empty();
    let mut bad = None;
    on_progress(0, head.map_or(0, |head| head.version.get()));
    while bad.is_none() && graph.head().version < to {
        let at = graph.head().version;
        let chunk = match store.read(id, at, to, CHUNK).await {
            Ok(chunk) => chunk,
            Err(StoreError::Corrupt { version, problem, .. }) if version > at.next() => {
                // Those before it may be bad as well: they come first.
                to = Version::new(version.get() - 1).unwrap_or_default();
                wall = Some(BadCommit { version, problem });
                continue;
            }
            Err(StoreError::Corrupt { problem, .. }) => {
                bad = Some(BadCommit { version: at.next(), problem });
                break;
            }
            Err(error) => return Err(error),
        };
        if chunk.is_empty() {
            bad = Some(match wall.take() {
                Some(wall) => BadCommit { version: at.next(), ..wall },
                None => match history_reader::ends_early(store, id, at.next(), |now| Some(now) == head).await
                {
                    StoreError::Corrupt { version, problem, .. } => BadCommit { version, problem },
                    error => return Err(error),
                },
            });
            break;
        }
        let before = graph.head();
        bad = run_blocking(|| fold_chunk(id, &mut graph, &chunk)).err();
        if bad.is_some() && graph.head() == before && before != Head::EMPTY {
            match history_reader::broken_link(store, id, before).await {
                StoreError::Corrupt { .. } => {}
                replaced => return Err(replaced),
            }
        }
        let good = graph.head().version.get();
        on_progress(good, head.map_or(good, |head| head.version.get()));
        tokio::task::yield_now().await;
    }
    let bad = bad.or(wall);
    Ok(Verification { head: head.unwrap_or_else(|| graph.head()), commits: graph.head().version.get(), bad })
}

/// Folds commits up to the first that is bad.
fn fold_chunk(id: &GraphId, graph: &mut Graph, chunk: &[StoredCommit]) -> Result<(), BadCommit> {
    chunk.iter().try_for_each(|stored| {
        let bad = |problem: String| BadCommit { version: graph.head().version.next(), problem };
        if stored.version != graph.head().version.next() {
            return Err(bad("it is missing".to_owned()));
        }
        if stored.head() != graph.head().after(&stored.body) {
            return Err(bad("its hash does not follow from its content and the hash before it".to_owned()));
        }
        let commit = history_reader::decode(id, stored).map_err(|error| match error {
            StoreError::Corrupt { problem, .. } => bad(problem),
            other => bad(other.to_string()),
        })?;
        let version = commit.version;
        fold_strictly(graph, &commit).map_err(|misfit| BadCommit { version, problem: misfit.to_string() })
    })
}
