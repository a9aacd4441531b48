//! All graphs' commits, for readers that must not miss any (rule S3).
//!
//! Invariants:
//! - A reader gets every commit that follows on its position, each graph's in the order of their
//!   versions, at least once. It gets some again where that can't be known to be needless: the rest
//!   of an append that was cut off, and whole histories where the feed does not reach back any more.
//! - A history that can't be read on is said to be so, and the others go on.
//! - A reader is a position: what it has not taken costs nothing but its share of one ring.
//!
//! Not here: how commits are written to a connection.

mod feed_commits;
pub(super) mod position;
mod reader;
mod sources;
mod tail;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use dao_projections::{GraphId, Version};
use futures::{StreamExt, TryStreamExt, stream};

use self::{
    feed_commits::{READS_AT_ONCE, before, read_log, read_run},
    sources::Sources,
    tail::{FEED_CHUNK, Tail},
};
pub use self::{
    position::{InvalidPosition, Position},
    reader::{AllReader, Piece},
};
use crate::{
    read::CommitFilter,
    store::{FeedPlace, ProjectionStore, StoreError},
    write::{Graphs, Recorded},
};

/// Where a reader starts.
#[derive(Clone, Debug)]
pub enum Since {
    /// With what happens from now on.
    Now,
    /// With the first commit there is.
    Beginning,
    /// With what follows on this.
    Position(Position),
}

/// Whether a reader ever ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// With what there was when it was opened.
    UntilNow,
    /// Never.
    Following,
}

/// What readers are made of, and share.
pub struct AllGraphs {
    sources: Arc<Sources>,
    /// Guards which tail there is; held to look it up or start one, never across an await.
    tail: Mutex<Weak<Tail>>,
}

impl AllGraphs {
    /// Nobody reads yet. Both are over the same store.
    pub fn new(graphs: Arc<Graphs>, feed: Arc<dyn ProjectionStore>) -> Arc<Self> {
        Arc::new(Self { sources: Arc::new(Sources { graphs, feed }), tail: Mutex::default() })
    }

    /// Reads a position.
    pub fn parse(&self, text: &str) -> Result<Position, InvalidPosition> {
        Position::parse(text, self.sources.feed.feed_parts() as usize)
    }

    /// A reader of what the filter wants. An error says that the store is unavailable.
    pub async fn open(
        self: &Arc<Self>,
        since: Since,
        filter: CommitFilter,
        extent: Extent,
    ) -> Result<AllReader, StoreError> {
        let ends: Vec<FeedPlace> = self.sources.bounds().await?.iter().map(|bounds| bounds.end).collect();
        let position = match since {
            Since::Now => Position::at(ends.clone()),
            Since::Beginning => Position::at(vec![FeedPlace::START; ends.len()]),
            Since::Position(position) => position,
        };
        let until = (extent == Extent::UntilNow).then_some(ends);
        Ok(AllReader::new(self.clone(), filter, position, until))
    }

    /// The feed itself.
    pub fn feed(&self) -> &Arc<dyn ProjectionStore> {
        &self.sources.feed
    }

    /// Where what belongs to readers as such is kept.
    pub(in crate::live) fn documents(&self) -> &dyn ProjectionStore {
        &*self.sources.feed
    }

    /// The first commits of a graph from one version to another, and why nothing more can be read
    /// after them, if that is so. That a history ends before `to` is no damage if `to` is
    /// [`Version::MAX`].
    pub(in crate::live) async fn read(
        &self,
        graph: &GraphId,
        from: Version,
        to: Version,
        limit: usize,
    ) -> Result<(Vec<Arc<Recorded>>, Option<StoreError>), StoreError> {
        let graphs = &self.sources.graphs;
        let run = match to {
            Version::MAX => read_log(graphs, graph, before(from), to, limit).await?,
            to => read_run(graphs, graph, before(from), to, limit).await?,
        };
        if run.damage.is_some() && self.is_purged(graph, from).await? {
            return Ok((run.commits, None));
        }
        Ok((run.commits, run.damage))
    }

    /// Whether this version is not there because the graph was purged.
    async fn is_purged(&self, graph: &GraphId, version: Version) -> Result<bool, StoreError> {
        let is_gone = self.sources.feed.gone(graph).await?.is_some_and(|gone| gone.head.version >= version);
        Ok(is_gone && self.sources.graphs.store().head(graph).await?.version < version)
    }

    /// How many commits the feed tells of after a position, of graphs that the filter wants: at most
    /// `max`, which also stands for more. `None` where the feed does not reach back that far.
    pub(in crate::live) async fn count_after(
        &self,
        position: &Position,
        filter: &CommitFilter,
        max: u64,
    ) -> Result<Option<u64>, StoreError> {
        if position.histories.is_some() {
            return Ok(None);
        }
        let mut reads = Vec::with_capacity(position.places.len());
        for (part, place) in (0_u32..).zip(&position.places) {
            reads.push(self.sources.chunk(part, *place, true));
        }
        let mut chunks = stream::iter(reads).buffered(READS_AT_ONCE);
        let (mut count, mut places) = (0_u64, position.places.iter());
        while let Some((entries, bounds)) = chunks.try_next().await? {
            let place = places.next().copied().unwrap_or(FeedPlace::START);
            if bounds.is_some_and(|bounds| bounds.trimmed > place || bounds.end < place) {
                return Ok(None);
            }
            // Where a part has more than one read gives, there is more than anybody counts.
            let is_cut = entries.len() >= FEED_CHUNK;
            let wanted =
                entries.iter().filter(|entry| entry.purged.is_none() && filter.wants_graph(&entry.graph));
            let here = wanted.map(|entry| entry.to.since(entry.from).saturating_add(1)).sum();
            count = count.saturating_add(if is_cut { max } else { here });
        }
        Ok(Some(count.min(max)))
    }

    /// The tail of the feed; if there is none, one from these places on.
    fn tail(&self, ends: Vec<FeedPlace>) -> Arc<Tail> {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = tail.upgrade().filter(|tail| !tail.has_ended()) {
            return found;
        }
        let started = Tail::start(self.sources.clone(), ends);
        *tail = Arc::downgrade(&started);
        started
    }
}
