//! Where in a history a moment lies. Times never decrease (rule V5), so it is found by halving: a
//! few dozen commits are read, however long the history is.

use dao_projections::{GraphId, Timestamp, Version};

use super::history_reader;
use crate::store::{EventStore, StoreError};

/// The first commit of this time or later; the one after the head if there is none.
pub async fn first_since(
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
pub async fn last_until(
    store: &dyn EventStore,
    id: &GraphId,
    head: Version,
    time: Timestamp,
) -> Result<Version, StoreError> {
    let Some(later) = time.0.checked_add(1) else { return Ok(head) };
    let first_later = first_since(store, id, head, Timestamp(later)).await?;
    Ok(Version::new(first_later.get() - 1).unwrap_or_default())
}
