//! What a reader that was here before has missed: the changes since a version, and how a subscriber catches up.

use std::sync::Arc;

use dao_projections::{GraphId, Hash, Head, Version};

use super::{StateSource, current, error::ReadError};
use crate::{
    store::StoreError,
    write::{Graphs, Recorded, View, history_reader},
};

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
