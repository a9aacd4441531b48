//! Where in a history a moment lies. Times never decrease (rule V5), so it is found by halving: a
//! few dozen commits are read, however long the history is.

use dao_projections::{GraphId, Head, Timestamp, Version};

use super::ReadError;
use crate::{
    store::{EventStore, StoreError},
    write::{Graphs, history_reader},
};

/// The first commit of this time or later; the one after the head if there is none.
pub(super) async fn first_since(
    store: &dyn EventStore,
    id: &GraphId,
    head: Version,
    time: Timestamp,
) -> Result<Version, StoreError> {
    // The answer is in (before, found].
    let (mut before, mut found) = (Version::EMPTY, head.next());
    while found.since(before) > 1 {
        let middle = before.plus(found.since(before) / 2);
        let Some(recorded) = history_reader::one(store, id, middle).await? else {
            return Err(history_reader::ends_early(store, id, middle, |now| now.version >= head).await);
        };
        if recorded.commit.body.timestamp < time {
            before = middle;
        } else {
            found = middle;
        }
    }
    Ok(found)
}

/// The last commit of this time or earlier; [`Version::EMPTY`] if there is none.
pub(super) async fn last_until(
    store: &dyn EventStore,
    id: &GraphId,
    head: Version,
    time: Timestamp,
) -> Result<Version, StoreError> {
    let Some(later) = time.0.checked_add(1) else { return Ok(head) };
    let first_later = first_since(store, id, head, Timestamp(later)).await?;
    Ok(Version::new(first_later.get() - 1).unwrap_or_default())
}

/// The version that a graph had at a moment: that of the last commit at or before it.
pub async fn version_at(graphs: &Graphs, id: &GraphId, time: Timestamp) -> Result<Version, ReadError> {
    let head = head(graphs, id, None).await?;
    Ok(last_until(&**graphs.store(), id, head.version, time).await?)
}

/// The graph's head, without loading the graph; at `min_version` or later, if that comes to be in
/// time (rule H3).
pub(super) async fn head(
    graphs: &Graphs,
    id: &GraphId,
    min_version: Option<Version>,
) -> Result<Head, ReadError> {
    let head = graphs.store().head(id).await?;
    match min_version {
        None => Ok(head),
        Some(min) => super::version_wait::reach(graphs, id, head, min).await,
    }
}
