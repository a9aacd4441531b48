//! The read path: questions over hot graphs and the log.
//!
//! Invariants:
//! - A read is never older than what any instance had acknowledged when it was asked, unless the
//!   store is unavailable, and then it says so.
//! - What auditors ask costs a bounded piece of the history a request, but for [`verify`].
//! - The changes since a version cost what their range costs, never what the graph costs.
//!
//! Not here: JSON and status codes.

mod activity;
mod audit;
mod diff;
mod filter;
mod history;
mod history_walk;
mod operation;
mod verify;
mod version_at_time;
mod version_wait;

use std::{sync::Arc, time::Duration};

use dao_projections::{Graph, GraphId, Hash, Head, Version};

pub use self::filter::{CommitFilter, FilterError, FilterLists};
use crate::write::{Graphs, Recorded, View, WriteError, history_reader};

pub use crate::store::{Order, RefusalPlace, StoreError, StoredCommit};
pub use activity::{ActivityCount, ActivityFilter, ActivityFound, ActivityPlace, activity, all_activity};
pub use audit::{AuditFilter, AuditQuery, ListedOperation, OperationPage, OperationStatus, operations};
pub use diff::{Difference, diff};
pub use history::{EntityChange, EntityHistory, history};
pub use operation::{OperationEnding, OperationFound, operation};
pub use verify::{BadCommit, Verification, verify};
pub use version_at_time::version_at;

/// How long a read of a graph in memory waits to hear whether there are newer commits; then the
/// store counts as unavailable (rule H4).
const HEAD_PATIENCE: Duration = Duration::from_millis(500);

/// Why a read got no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The graph did not reach the version in time (rule H3).
    #[error("the graph is at version {current}")]
    VersionNotReached {
        /// Where it was at last.
        current: Version,
    },
    /// The version asked for is above the head.
    #[error("the graph is at version {current}")]
    VersionNotFound {
        /// Where it is.
        current: Version,
    },
    /// The graph could not be had.
    #[error(transparent)]
    Graph(#[from] WriteError),
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Graph(error.into())
    }
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateSource {
    /// The graph was in memory, and that is its latest version.
    Memory,
    /// It had to be read from the store first.
    Store,
    /// It was in memory, and the store is unavailable: there may be newer commits (rule H4).
    Stale,
}

/// A graph at its latest version.
pub struct CurrentState {
    /// What it is.
    pub view: Arc<View>,
    /// Where that came from.
    pub source: StateSource,
}

impl CurrentState {
    /// Its head.
    pub fn head(&self) -> Head {
        self.view.graph.head()
    }
}

/// The graph as it is now; at `min_version` or later, if that comes to be in time (rule H3).
pub async fn current(
    graphs: &Graphs,
    id: &GraphId,
    min_version: Option<Version>,
) -> Result<CurrentState, ReadError> {
    let first = latest(graphs, id).await?;
    let Some(min) = min_version.filter(|min| first.head().version < *min) else { return Ok(first) };
    version_wait::reach(graphs, id, first.head(), min).await?;
    let reached = latest(graphs, id).await?;
    match reached.head().version >= min {
        true => Ok(reached),
        // A history that was replaced in between.
        false => Err(ReadError::VersionNotReached { current: reached.head().version }),
    }
}

/// The graph as the store has it. Where no other process can write, memory is as the store has it.
async fn latest(graphs: &Graphs, id: &GraphId) -> Result<CurrentState, ReadError> {
    let Some(view) = graphs.view(id) else {
        return Ok(CurrentState { view: graphs.refresh(id).await?, source: StateSource::Store });
    };
    if !graphs.store().is_shared() {
        return Ok(CurrentState { view, source: StateSource::Memory });
    }
    let head = tokio::time::timeout(HEAD_PATIENCE, graphs.store().head(id)).await;
    match head.unwrap_or_else(|late| Err(StoreError::Unavailable(late.to_string()))) {
        Ok(head) if head == view.graph.head() => Ok(CurrentState { view, source: StateSource::Memory }),
        Ok(_moved) => match graphs.refresh(id).await {
            Ok(view) => Ok(CurrentState { view, source: StateSource::Store }),
            Err(WriteError::StoreUnavailable(_)) => Ok(CurrentState { view, source: StateSource::Stale }),
            Err(error) => Err(error.into()),
        },
        Err(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_) | StoreError::NotReplicated(_)) => {
            Ok(CurrentState { view, source: StateSource::Stale })
        }
        Err(error) => Err(error.into()),
    }
}

/// The graph as it was after commit `version` (rule A2).
pub async fn at_version(graphs: &Graphs, id: &GraphId, version: Version) -> Result<CurrentState, ReadError> {
    let current = current(graphs, id, None).await?;
    match version.cmp(&current.head().version) {
        std::cmp::Ordering::Equal => Ok(current),
        std::cmp::Ordering::Greater => Err(ReadError::VersionNotFound { current: current.head().version }),
        std::cmp::Ordering::Less => {
            let graph: Graph =
                history_reader::at_version(&**graphs.store(), graphs.rows().map(|rows| &**rows), id, version)
                    .await?;
            Ok(CurrentState { view: graphs.view_of(graph).await?, source: StateSource::Store })
        }
    }
}

/// What happened to a graph after a version.
pub struct Changes {
    /// The head they lead towards.
    pub head: Head,
    /// Whether the version asked about belongs to this history; if not, there are no commits here.
    pub is_continuation: bool,
    /// Commits after it, in order.
    pub commits: Vec<Arc<Recorded>>,
    /// Whether there are more.
    pub has_more: bool,
    /// Where the head came from.
    pub source: StateSource,
}

/// The commits after `since`, at most `limit`; if a hash is given, only where it is the hash of
/// `since` in this history (rules V4, H2, H6).
pub async fn changes(
    graphs: &Graphs,
    id: &GraphId,
    since: Version,
    hash: Option<ResumeHash>,
    limit: usize,
    min_version: Option<Version>,
) -> Result<Changes, ReadError> {
    let current = current(graphs, id, min_version).await?;
    let head = current.head();
    let none = |is_continuation| Changes {
        head,
        is_continuation,
        commits: vec![],
        has_more: false,
        source: current.source,
    };
    if since > head.version {
        return Ok(none(false));
    }
    let (from, mut commits) = range(graphs, id, since, head, limit, hash.is_some()).await?;
    if hash.is_some_and(|hash| !from.is_some_and(|from| hash.matches(from))) {
        return Ok(none(false));
    }
    commits.retain(|recorded| recorded.commit.version <= head.version);
    let last = commits.last().map_or(since, |last| last.commit.version);
    Ok(Changes { has_more: last < head.version, commits, ..none(true) })
}

/// The commits after `since` with the head that they follow on, if memory reaches back to it.
fn in_memory(
    graphs: &Graphs,
    id: &GraphId,
    since: Version,
    limit: usize,
) -> Option<(Head, Vec<Arc<Recorded>>)> {
    graphs.in_memory(id)?.commits_since(since, limit)
}

/// The commits in `(since, head]` and, where it is in memory or wanted, the hash at `since`: from
/// memory if it reaches back that far, else from the log.
async fn range(
    graphs: &Graphs,
    id: &GraphId,
    since: Version,
    head: Head,
    limit: usize,
    wants_hash: bool,
) -> Result<(Option<Hash>, Vec<Arc<Recorded>>), ReadError> {
    if since == head.version {
        return Ok((Some(head.hash), vec![]));
    }
    // There are commits: if memory has none, it has changed since the head was asked for.
    if let Some((from, commits)) = in_memory(graphs, id, since, limit)
        && !commits.is_empty()
    {
        return Ok((Some(from.hash), commits));
    }
    let store = &**graphs.store();
    let hash = match wants_hash && since > Version::EMPTY {
        true => history_reader::one(store, id, since).await?.map(|recorded| recorded.commit.hash),
        false => (since == Version::EMPTY).then_some(Hash::EMPTY),
    };
    Ok((hash, from_log(graphs, id, since, head.version, limit).await?))
}

/// How a subscriber that resumes catches up (rule W2).
pub enum Resume {
    /// It has everything.
    InSync(Head),
    /// It gets the commits after this point, and is told the head.
    Replay {
        /// Its point, with the hash it has in this history.
        from: Head,
        /// The head now.
        head: Head,
    },
    /// It starts from this.
    Snapshot(Arc<View>),
    /// The store is unavailable: nothing is told that might be older than what the subscriber has.
    StoreAway,
}

/// Bytes of commits that are sent rather than a state that is smaller: a short replay keeps what an
/// editor has on the screen.
const REPLAY_BYTES_ALWAYS: usize = 4 << 10;
/// What a commit's frame has beyond its stored body, about.
const FRAME_OVERHEAD_BYTES: usize = 200;

/// How a subscriber with this resume point catches up. `state_bytes` measures a snapshot.
pub async fn resume(
    graphs: &Graphs,
    id: &GraphId,
    point: Option<(Version, Option<ResumeHash>)>,
    state_bytes: impl FnOnce(&View) -> usize,
) -> Result<Resume, ReadError> {
    let current = current(graphs, id, None).await?;
    if current.source == StateSource::Stale {
        return Ok(Resume::StoreAway);
    }
    let head = current.head();
    let Some((version, hash)) = point else { return Ok(Resume::Snapshot(current.view)) };
    let Some(from) = continued(graphs, id, version, hash, head).await? else {
        return Ok(Resume::Snapshot(current.view));
    };
    if from == head {
        return Ok(Resume::InSync(head));
    }
    let missing = head.version.since(version) as usize * FRAME_OVERHEAD_BYTES;
    if missing <= REPLAY_BYTES_ALWAYS / 2 {
        return Ok(Resume::Replay { from, head });
    }
    let enough = state_bytes(&current.view).max(REPLAY_BYTES_ALWAYS);
    if missing > enough || replay_bytes(graphs, id, version, head.version, enough).await? > enough {
        return Ok(Resume::Snapshot(current.view));
    }
    Ok(Resume::Replay { from, head })
}

/// The point as a head of this history; `None` if it belongs to another or is ahead of it (rule V4).
/// Without a hash it is taken as asked (rule H6).
pub async fn continued(
    graphs: &Graphs,
    id: &GraphId,
    version: Version,
    hash: Option<ResumeHash>,
    head: Head,
) -> Result<Option<Head>, ReadError> {
    if version > head.version {
        return Ok(None);
    }
    let from = head_at(graphs, id, version, head).await?;
    Ok(from.filter(|from| hash.is_none_or(|hash| hash.matches(from.hash))))
}

/// The head that this version had; `None` if the log does not reach it.
async fn head_at(
    graphs: &Graphs,
    id: &GraphId,
    version: Version,
    head: Head,
) -> Result<Option<Head>, ReadError> {
    if version == head.version {
        return Ok(Some(head));
    }
    if version == Version::EMPTY {
        return Ok(Some(Head::EMPTY));
    }
    if let Some((at, _)) = in_memory(graphs, id, version, 0) {
        return Ok(Some(at));
    }
    Ok(history_reader::one(&**graphs.store(), id, version).await?.map(|recorded| recorded.commit.head()))
}

/// About how many bytes the frames of `(after, to]` take; stops counting beyond `enough`.
async fn replay_bytes(
    graphs: &Graphs,
    id: &GraphId,
    mut after: Version,
    to: Version,
    enough: usize,
) -> Result<usize, ReadError> {
    if let Some((_, commits)) = in_memory(graphs, id, after, usize::MAX) {
        return Ok(commits.iter().map(|c| c.body.len() + FRAME_OVERHEAD_BYTES).sum());
    }
    let mut bytes = 0;
    while after < to && bytes <= enough {
        let chunk = graphs.store().read(id, after, to, 256).await?;
        let Some(last) = chunk.last() else { break };
        after = last.version;
        bytes += chunk.iter().map(|c| c.body.len() + FRAME_OVERHEAD_BYTES).sum::<usize>();
    }
    Ok(bytes)
}

/// The commits in `(after, to]`, from the log: as many as one read gives.
pub async fn from_log(
    graphs: &Graphs,
    id: &GraphId,
    after: Version,
    to: Version,
    limit: usize,
) -> Result<Vec<Arc<Recorded>>, ReadError> {
    let stored = graphs.store().read(id, after, to, limit).await?;
    let decode = |stored: crate::store::StoredCommit| -> Result<Arc<Recorded>, StoreError> {
        Ok(Recorded::new(history_reader::decode(id, &stored)?, stored.body))
    };
    Ok(stored.into_iter().map(decode).collect::<Result<_, _>>()?)
}

/// The hash of a resume point as a client sent it: text that is no hash matches none.
#[derive(Clone, Copy, Debug)]
pub struct ResumeHash(Option<Hash>);

impl ResumeHash {
    /// Reads what a client sent.
    pub fn parse(text: &str) -> Self {
        Self(Hash::from_hex(text).ok())
    }

    /// One that is known to be a hash.
    pub fn of(hash: Hash) -> Self {
        Self(Some(hash))
    }

    fn matches(self, hash: Hash) -> bool {
        self.0 == Some(hash)
    }
}
