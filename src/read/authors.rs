//! Who wrote each node and edge last (rule N3).
//!
//! A graph knows of each entity the version that last wrote it; the commit of that version knows who that was. So the
//! cost is that of the entities: of the history only those commits are read, and the few between two that are near
//! each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dao_projections::{Graph, GraphId, Timestamp, UserId, Version};

use super::ReadError;
use crate::{
    store::EventStore,
    write::{Graphs, history_reader},
};

/// Versions that are no further apart than this are read together.
const GAP_MAX: u64 = 16;
/// Commits read at once.
const CHUNK: usize = 512;

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
    let commits = commits_of(&**graphs.store(), id, versions.values().copied().collect()).await?;
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

/// Who made these commits, and when. Whoever reads the graph has verified the chain up to them.
async fn commits_of(
    store: &dyn EventStore,
    id: &GraphId,
    versions: BTreeSet<Version>,
) -> Result<HashMap<Version, (UserId, Timestamp)>, ReadError> {
    let mut found = HashMap::with_capacity(versions.len());
    for (first, last) in spans(&versions) {
        let mut after = Version::new(first.get() - 1).unwrap_or_default();
        while after < last {
            let chunk = store.read(id, after, last, CHUNK).await?;
            let Some(end) = chunk.last().map(|end| end.version) else {
                return Err(history_reader::ends_early(store, id, after.next(), |now| now.version >= last)
                    .await
                    .into());
            };
            for stored in chunk.iter().filter(|stored| versions.contains(&stored.version)) {
                let body = history_reader::decode(id, stored)?.body;
                found.insert(stored.version, (body.user_id, body.timestamp));
            }
            after = end;
            tokio::task::yield_now().await;
        }
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
