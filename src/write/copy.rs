//! Reading a graph that another one is to begin as (rule L7), and copying a long history in pieces.
//!
//! Invariant: what is copied of a history is its bytes. The chain is checked link by link on the way, so the copy has the
//! hashes of the source. Not here: what becomes of it (`domain::copy`).

use std::sync::Arc;

use dao_projections::{Graph, GraphId, Head, Origin, Version};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{history_reader, ring::Recorded, version_at_time::last_until};
use crate::{
    domain::{COPY_BYTES_MAX, CopyFrom, CopyPart, Source, VersionRef},
    store::{Append, EventStore, ProjectionStore, StoreError, StoredCommit},
};

/// Commits that one command copies: a store writes them all at once.
const COMMITS_MAX: usize = 20_000;
/// Commits read and written at once.
const CHUNK: usize = 1_000;

/// A graph to copy, and its commits if they are to be copied.
#[derive(Debug)]
pub struct CopySource {
    /// What was found.
    pub source: Source,
    /// All commits up to that version; none unless the history is to be copied.
    pub commits: Vec<Arc<Recorded>>,
}

impl CopySource {
    fn without_commits(source: Source) -> Self {
        Self { source, commits: vec![] }
    }
}

/// How many graphs are read at the same time to be copied: each may take some times 64 MiB.
static TURNS: Semaphore = Semaphore::const_new(2);

/// A turn at reading a graph to copy it, given back when it is dropped. Who holds one waits for another at most if nobody
/// else does so: there are two.
pub async fn turn() -> Option<SemaphorePermit<'static>> {
    // Never closed.
    TURNS.acquire().await.ok()
}

/// Reads what is to be copied.
pub async fn read(
    store: &dyn EventStore,
    rows: Option<&dyn ProjectionStore>,
    from: &CopyFrom,
) -> Result<CopySource, StoreError> {
    let _turn = turn().await;
    let (origin, graph) = match find(store, rows, from).await? {
        Source::Found { origin, graph } => (origin, graph),
        missing => return Ok(CopySource::without_commits(missing)),
    };
    let too_large = || CopySource::without_commits(Source::TooLarge);
    match from.part {
        CopyPart::Contents if graph.json_bytes() > COPY_BYTES_MAX => Ok(too_large()),
        CopyPart::Contents | CopyPart::Outline | CopyPart::Fork => {
            Ok(CopySource::without_commits(Source::Found { origin, graph }))
        }
        CopyPart::History => Ok(match commits(store, &origin).await? {
            Some(commits) => CopySource { source: Source::Found { origin, graph }, commits },
            None => too_large(),
        }),
    }
}

/// The graph to copy, at the version that is named.
pub async fn find(
    store: &dyn EventStore,
    rows: Option<&dyn ProjectionStore>,
    from: &CopyFrom,
) -> Result<Source, StoreError> {
    let id = &from.graph;
    let head = store.head(id).await?.version;
    if head == Version::EMPTY {
        return Ok(Source::NotFound);
    }
    let current = history_reader::at_version(store, rows, id, head).await?;
    if let Some(trashed) = &current.metadata().trashed {
        return Ok(Source::Trashed(trashed.clone()));
    }
    let version = match &from.at {
        VersionRef::Head => head,
        VersionRef::Version(version) if *version > head => {
            return Ok(Source::NoVersion { version: *version, head });
        }
        VersionRef::Version(version) => *version,
        VersionRef::Label(name) => match current.metadata().labels.get(name) {
            Some(label) => label.version,
            None => return Ok(Source::NoLabel(name.clone())),
        },
        VersionRef::Time(time) => last_until(store, id, head, *time).await?,
    };
    let graph: Graph = match version == head {
        true => current,
        false => history_reader::at_version(store, rows, id, version).await?,
    };
    let Head { version, hash } = graph.head();
    Ok(Source::Found { origin: Origin { graph_id: id.clone(), version, hash }, graph: Box::new(graph) })
}

/// All commits up to this version; `None` if they are more than one command copies.
async fn commits(store: &dyn EventStore, origin: &Origin) -> Result<Option<Vec<Arc<Recorded>>>, StoreError> {
    let (mut at, mut bytes, mut found) = (Head::EMPTY, 0, Vec::new());
    while at.version < origin.version {
        for stored in chunk(store, origin, at).await? {
            at = stored.head();
            bytes += stored.body.len();
            if bytes > COPY_BYTES_MAX || found.len() >= COMMITS_MAX {
                return Ok(None);
            }
            found.push(Recorded::new(history_reader::decode(&origin.graph_id, &stored)?, stored.body));
        }
    }
    match at.hash == origin.hash {
        true => Ok(Some(found)),
        false => Err(replaced()),
    }
}

/// The next commits after `at`, with the chain checked.
async fn chunk(store: &dyn EventStore, origin: &Origin, at: Head) -> Result<Vec<StoredCommit>, StoreError> {
    let chunk = store.read(&origin.graph_id, at.version, origin.version, CHUNK).await?;
    if chunk.is_empty() {
        return Err(replaced());
    }
    if chunk.first().is_some_and(|first| first.head() != at.after(&first.body)) {
        return Err(history_reader::broken_link(store, &origin.graph_id, at).await);
    }
    let mut next = at;
    for stored in &chunk {
        next = next.after(&stored.body);
        if stored.head() != next {
            return Err(StoreError::Corrupt {
                graph: origin.graph_id.clone(),
                version: stored.version,
                problem: "its hash does not follow from its content".to_owned(),
            });
        }
    }
    Ok(chunk)
}

fn replaced() -> StoreError {
    StoreError::Unavailable("the history was replaced while it was read".to_owned())
}

/// Why a copy in pieces ended early.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The store failed. The same call goes on where this one ended.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The other graph has commits that are not those of the source.
    #[error("it has another history")]
    OtherHistory,
}

/// Appends the commits up to `origin` to `to`, in pieces, from where `to` ends. They are all there once it succeeds, and
/// may be seen before that.
pub async fn in_pieces(store: &dyn EventStore, origin: &Origin, to: &GraphId) -> Result<(), CopyError> {
    let mut at = store.head(to).await?;
    if !is_prefix(store, origin, at).await? {
        return Err(CopyError::OtherHistory);
    }
    while at.version < origin.version {
        let commits = chunk(store, origin, at).await?;
        let end = commits.last().map_or(at, StoredCommit::head);
        match store.append_copied(to, at, &commits, &[]).await {
            Ok(Append::Appended) => at = end,
            // An append whose answer was lost.
            Ok(Append::HeadMoved(head)) if head == end => at = end,
            Ok(Append::HeadMoved(_) | Append::Duplicate(_)) => return Err(CopyError::OtherHistory),
            Err(StoreError::OutcomeUnknown(_)) if store.head(to).await? == end => at = end,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Whether a graph at this head has nothing but commits of the source.
pub async fn is_prefix(store: &dyn EventStore, origin: &Origin, at: Head) -> Result<bool, StoreError> {
    if at == Head::EMPTY {
        return Ok(true);
    }
    let found = history_reader::one(store, &origin.graph_id, at.version).await?;
    Ok(at.version <= origin.version && found.is_some_and(|found| found.commit.hash == at.hash))
}
