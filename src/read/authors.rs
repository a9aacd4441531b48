//! Who wrote each node and edge last (rule N3).
//!
//! A graph knows of each entity the version that last wrote it; the commit of that version knows who that was. So the
//! cost is that of the entities: of the history only those commits are read, and the few between two that are near
//! each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dao_projections::{Graph, GraphId, Head, Timestamp, UserId, Version};
use futures::{StreamExt, TryStreamExt, stream};

use super::error::ReadError;
use crate::{
    store::{EventStore, StoreError},
    write::{Graphs, history_reader},
};

/// Versions that are no further apart than this are read together.
const GAP_MAX: u64 = 16;
/// Commits read at once.
const CHUNK: usize = 512;
/// Reads that are under way at once.
const READS_AT_ONCE: usize = 16;

/// Who wrote an entity last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The commit.
    pub version: Version,
    /// Who made it.
    pub user: UserId,
    /// When.
    pub at: Timestamp,
}

/// The author of each node and edge of this graph, by id. A node and an edge with the same id are one entry: that of the
/// later commit.
pub async fn authors(
    graphs: &Graphs,
    id: &GraphId,
    graph: &Graph,
) -> Result<BTreeMap<String, Author>, ReadError> {
    let versions = versions(graph);
    let commits = commits_of(&**graphs.store(), id, &versions.values().copied().collect()).await?;
    let author = |(entity, version): (String, Version)| {
        let (user, at) = commits.get(&version)?.clone();
        Some((entity, Author { version, user, at }))
    };
    Ok(versions.into_iter().filter_map(author).collect())
}

fn versions(graph: &Graph) -> BTreeMap<String, Version> {
    let nodes = graph.nodes().iter().map(|node| (node.entity.id().as_str(), node.version));
    let edges = graph.edges().iter().map(|edge| (edge.entity.id().as_str(), edge.version));
    let mut versions = BTreeMap::new();
    for (id, version) in nodes.chain(edges) {
        let latest = versions.entry(id.to_owned()).or_insert(version);
        *latest = version.max(*latest);
    }
    versions
}

/// Who made these commits, and when. The graph may be in memory, and was verified as it came there: what is in the store now
/// is checked again.
async fn commits_of(
    store: &dyn EventStore,
    id: &GraphId,
    versions: &BTreeSet<Version>,
) -> Result<HashMap<Version, (UserId, Timestamp)>, StoreError> {
    let mut reads = Vec::new();
    for span in spans(versions) {
        reads.push(commits_between(store, id, span, versions));
    }
    let found: Vec<Vec<_>> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// Those from `first` to `last`, each of which has to follow from the one before it.
async fn commits_between(
    store: &dyn EventStore,
    id: &GraphId,
    (first, last): (Version, Version),
    versions: &BTreeSet<Version>,
) -> Result<Vec<(Version, (UserId, Timestamp))>, StoreError> {
    // One more is read: the first follows from it.
    let mut after = Version::new(first.get().saturating_sub(2)).unwrap_or_default();
    let mut head = (first.get() <= 1).then_some(Head::EMPTY);
    let mut found = Vec::new();
    while after < last {
        let chunk = store.read(id, after, last, CHUNK).await?;
        let Some(end) = chunk.last().map(|end| end.version) else {
            return Err(history_reader::ends_early(store, id, after.next(), |now| now.version >= last).await);
        };
        if let (Some(before), Some(next)) = (head, chunk.first())
            && before.after(&next.body) != next.head()
        {
            return Err(history_reader::broken_link(store, id, before).await);
        }
        for stored in &chunk {
            let follows = head.is_none_or(|before| before.after(&stored.body) == stored.head());
            if !follows {
                let problem = "its hash does not follow from its content".to_owned();
                return Err(StoreError::Corrupt { graph: id.clone(), version: stored.version, problem });
            }
            head = Some(stored.head());
            if stored.version >= first && versions.contains(&stored.version) {
                let body = history_reader::decode(id, stored)?.body;
                found.push((stored.version, (body.user_id, body.timestamp)));
            }
        }
        after = end;
        tokio::task::yield_now().await;
    }
    Ok(found)
}

/// The versions in runs that are read together. None of them is 0.
fn spans(versions: &BTreeSet<Version>) -> Vec<(Version, Version)> {
    let mut spans: Vec<(Version, Version)> = Vec::new();
    for version in versions.iter().copied().filter(|version| *version > Version::EMPTY) {
        match spans.last_mut() {
            Some((_, last)) if version.since(*last) <= GAP_MAX => *last = version,
            _ => spans.push((version, version)),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n3_versions_that_are_near_each_other_are_read_together() {
        let version = |n| Version::new(n).expect("a version");
        let spans = |of: &[u64]| spans(&of.iter().map(|n| version(*n)).collect());
        assert_eq!(spans(&[]), []);
        assert_eq!(
            spans(&[3, 1, 19, 36, 100]),
            [(1, 19), (36, 36), (100, 100)].map(|(a, b)| (version(a), version(b)))
        );
    }
}
