//! Where commits of all graphs are found.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};

use super::{feed_commits::READS_AT_ONCE, tail::FEED_CHUNK};
use crate::{
    store::{FeedBounds, FeedEntry, FeedPlace, ProjectionStore, StoreError},
    write::Graphs,
};

/// How long to wait before the store is asked again after it was unavailable.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Where commits are found.
pub(super) struct Sources {
    pub(super) graphs: Arc<Graphs>,
    pub(super) feed: Arc<dyn ProjectionStore>,
}

impl Sources {
    /// What every part of the feed holds.
    pub(super) async fn bounds(&self) -> Result<Vec<FeedBounds>, StoreError> {
        let parts = 0..self.feed.feed_parts();
        let bounds = parts.map(|part| self.feed.feed_bounds(part));
        stream::iter(bounds).buffered(READS_AT_ONCE).try_collect().await
    }

    /// Some entries of a part after a place and, if there are any or it is asked for, what the part
    /// held after they were read: if it was trimmed beyond the place by then, some may be missing.
    pub(super) async fn chunk(
        &self,
        part: u32,
        after: FeedPlace,
        with_bounds: bool,
    ) -> Result<(Vec<FeedEntry>, Option<FeedBounds>), StoreError> {
        let entries = self.feed.feed(part, after, FEED_CHUNK).await?;
        if entries.is_empty() && !with_bounds {
            return Ok((entries, None));
        }
        let bounds = self.feed.feed_bounds_after_read(part).await?;
        Ok((entries, Some(bounds)))
    }
}
