//! What the read side keeps: [`ProjectionStore`], the second half of the seam.
//!
//! Invariants that every adapter keeps, and one contract suite proves on each:
//! - The rows of a projection and the head they are true of change together.
//! - Rows are changed only from the exact head, version and hash, that the writer named. So two
//!   workers on one graph, and a batch that is delivered twice, are harmless.
//! - A place in one part of the feed is never seen before an earlier one.
//! - A document changes only from the exact change that the writer named.
//!
//! Not here: what rows mean.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dao_projections::{GraphId, Hash, Head, ListKeys, OperationId, Version};

use super::{RefusalPlace, StoreError};

/// A place in one part of the feed. Places of different parts can't be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedPlace {
    /// Milliseconds in Redis, the number of the append in the embedded store.
    pub major: u64,
    /// What tells places of the same millisecond apart; 0 in the embedded store.
    pub minor: u64,
}

impl FeedPlace {
    /// Before everything.
    pub const START: Self = Self { major: 0, minor: 0 };
    /// After everything: what every store can say.
    pub const END: Self = Self { major: i64::MAX as u64, minor: u64::MAX };
}

/// Refused operations of all graphs of one part of the feed that are listed in the order in which they came, about.
pub const REFUSED_MAX: usize = 20_000;

/// One append, as the feed tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedEntry {
    /// Where it stands.
    pub place: FeedPlace,
    /// To which graph.
    pub graph: GraphId,
    /// The first commit's version.
    pub from: Version,
    /// The last commit's version.
    pub to: Version,
    /// When it was made, in milliseconds since the Unix epoch, by the store's clock.
    pub at_ms: u64,
    /// No commits but that the graph was purged: then this is the hash of its last version, which is `to`.
    pub purged: Option<Hash>,
}

/// One refused operation, as the list of those of all graphs tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedEntry {
    /// Where it stands among those of its part.
    pub place: FeedPlace,
    /// Of which graph.
    pub graph: GraphId,
    /// Where it stands among those of its graph.
    pub of_graph: RefusalPlace,
    /// When it was refused, by the store's clock.
    pub at_ms: u64,
}

/// What a graph has to be for its purge, and what is kept of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurgeRequest {
    /// Its head: that of a graph in the trash.
    pub expected: Head,
    /// Which operation purges it.
    pub operation: OperationId,
    /// Tells a repeat of that from a reuse of its id.
    pub fingerprint: [u8; 8],
}

/// A graph that was purged, and of which something is still to be removed. Until that is done no graph can have its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purging {
    /// Its name; `None` where that is not known any more.
    pub graph: Option<GraphId>,
    /// Where the feed tells of the purge: it is of no other one, also where the name was used again.
    pub place: FeedPlace,
}

/// How a purge ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purge {
    /// The graph is at version 0. What it had is gone as soon as [`ProjectionStore::sweep`] has found nothing more.
    Purged,
    /// Nothing was done: its head is another one.
    HeadMoved,
}

/// What is left of a graph that was purged: nothing that it held, and not its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Its last version.
    pub head: Head,
    /// When it was purged, by the store's clock.
    pub at_ms: u64,
    /// By which operation.
    pub operation: OperationId,
    /// Tells a repeat of that from a reuse of its id.
    pub fingerprint: [u8; 8],
    /// Where the feed tells of it: what stands before is of the history that is gone.
    pub place: FeedPlace,
}

/// What one part of the feed still holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedBounds {
    /// Up to here it was trimmed: what stood there is in the graphs' histories alone.
    pub trimmed: FeedPlace,
    /// The last place there is; [`FeedPlace::START`] if there was never any.
    pub end: FeedPlace,
}

/// Of what the rows of a projection are true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowsHead {
    /// The commits up to and with this are folded into them.
    pub head: Head,
    /// What they mean.
    pub format: u32,
}

/// Some rows of one projection of one graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowsFound {
    /// Of what they are true; `None` if nothing was ever folded.
    pub at: Option<RowsHead>,
    /// The rows asked for, in the order asked; `None` where there is none.
    pub rows: Vec<Option<Bytes>>,
}

/// A change of a projection's rows.
#[derive(Clone, Debug)]
pub struct RowsChange {
    /// Of what the rows must be true before it; `None` where there are none.
    pub from: Option<RowsHead>,
    /// Of what they are true after it.
    pub to: RowsHead,
    /// Whether all rows that are not in it go.
    pub replaces: bool,
    /// Rows by key, `None` for those that go.
    pub rows: Vec<(String, Option<Bytes>)>,
    /// How the graph stands in lists from now on; `None` where that does not change.
    pub listing: Option<Listing>,
}

/// How a graph stands in lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// What lists are sorted by.
    pub keys: ListKeys,
    /// From when on the graph may be purged, in milliseconds since the Unix epoch.
    pub purge_after_ms: Option<u64>,
    /// What they show.
    pub row: Bytes,
}

/// What a list of graphs is sorted by; among equals by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListSort {
    /// The last change.
    Updated,
    /// The first commit.
    Created,
    /// The title in lower case.
    Title,
    /// The id alone.
    Id,
}

/// In which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListOrder {
    /// The smallest first.
    Ascending,
    /// The largest first.
    Descending,
}

/// A place in a list of graphs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListPlace {
    /// What the list is sorted by; empty in a list by id.
    pub key: String,
    /// The graph.
    pub graph: GraphId,
}

/// A piece of a list of graphs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// What it is sorted by.
    pub sort: ListSort,
    /// In which direction.
    pub order: ListOrder,
    /// Graphs whose ids don't begin like this are not wanted. In a list by id there are none; in others there may be.
    pub prefix: String,
    /// From where on.
    pub after: Option<ListPlace>,
    /// About so many.
    pub limit: usize,
}

/// A piece of a list, without what it shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPiece {
    /// In the order that was asked for. None only at the end.
    pub places: Vec<ListPlace>,
    /// Whether there is nothing after them.
    pub is_end: bool,
}

/// Why a graph is not projected any further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedGraph {
    /// The first commit that could not be folded.
    pub version: Version,
    /// Why, for an operator.
    pub reason: String,
}

/// Where projections, and the places of those who make them, are kept.
#[async_trait]
pub trait ProjectionStore: Send + Sync + 'static {
    /// How many parts the feed has; a graph's appends are all in one of them.
    fn feed_parts(&self) -> u32;

    /// In which part a graph's appends are.
    fn feed_part(&self, graph: &GraphId) -> u32;

    /// The entries after `after`, in order, at most `limit`.
    async fn feed(&self, part: u32, after: FeedPlace, limit: usize) -> Result<Vec<FeedEntry>, StoreError>;

    /// The same for who asks again and again: what was appended in the last moments may be missing at the end.
    async fn feed_for_poll(
        &self,
        part: u32,
        after: FeedPlace,
        limit: usize,
    ) -> Result<Vec<FeedEntry>, StoreError> {
        self.feed(part, after, limit).await
    }

    /// The entries before `before`, the latest first, at most `limit`.
    async fn feed_before(
        &self,
        part: u32,
        before: FeedPlace,
        limit: usize,
    ) -> Result<Vec<FeedEntry>, StoreError>;

    /// Refused operations of the graphs of a part before `before`, the latest first, at most `limit`. They are kept for as
    /// long as the feed, of each part about the latest [`REFUSED_MAX`].
    async fn refused_before(
        &self,
        part: u32,
        before: FeedPlace,
        limit: usize,
    ) -> Result<Vec<RefusedEntry>, StoreError>;

    /// What the part holds.
    async fn feed_bounds(&self, part: u32) -> Result<FeedBounds, StoreError>;

    /// The same as some moment after every read of the part that was answered before: what came since may be missing.
    async fn feed_bounds_after_read(&self, part: u32) -> Result<FeedBounds, StoreError> {
        self.feed_bounds(part).await
    }

    /// A place before which every entry is older than `time_ms`, as near to that as is cheap.
    async fn feed_place_at(&self, part: u32, time_ms: u64) -> Result<FeedPlace, StoreError>;

    /// The same of the list of refused operations.
    async fn refused_place_at(&self, part: u32, time_ms: u64) -> Result<FeedPlace, StoreError>;

    /// Lets go of the entries up to and with `to`.
    async fn trim_feed(&self, part: u32, to: FeedPlace) -> Result<(), StoreError>;

    /// How far the reader of this name is in a part; [`FeedPlace::START`] at first.
    async fn place(&self, reader: &str, part: u32) -> Result<FeedPlace, StoreError>;

    /// Remembers how far it is.
    async fn set_place(&self, reader: &str, part: u32, place: FeedPlace) -> Result<(), StoreError>;

    /// Makes this worker the one that reads the part as `reader` for this long; false if another
    /// one is. The one that is may ask again, and lets go with a time of zero.
    async fn lease(&self, reader: &str, part: u32, worker: &str, time: Duration) -> Result<bool, StoreError>;

    /// Rows of one projection of one graph, as of one moment.
    async fn rows(&self, graph: &GraphId, projection: &str, keys: &[String])
    -> Result<RowsFound, StoreError>;

    /// All of them; `None` if nothing was ever folded.
    async fn all_rows(
        &self,
        graph: &GraphId,
        projection: &str,
    ) -> Result<Option<(RowsHead, Vec<(String, Bytes)>)>, StoreError>;

    /// Changes rows if they are true of `change.from`; whether they were.
    async fn change_rows(
        &self,
        graph: &GraphId,
        projection: &str,
        change: RowsChange,
    ) -> Result<bool, StoreError>;

    /// Graphs in the order that is asked for.
    async fn list(&self, query: &ListQuery) -> Result<ListPiece, StoreError>;

    /// What lists show of these graphs, in the order asked; `None` where a graph is not listed any more.
    async fn list_rows(&self, graphs: &[GraphId]) -> Result<Vec<Option<Bytes>>, StoreError>;

    /// Graphs in the trash that may be purged before this time, at most `limit` after the first `skip`; the longest due
    /// first, by parts.
    async fn due_for_purge(
        &self,
        before_ms: u64,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<GraphId>, StoreError>;

    /// Removes a graph with this head and everything that belongs to it, at once for everybody who asks for it. The
    /// feed tells of it.
    async fn purge(&self, graph: &GraphId, request: &PurgeRequest) -> Result<Purge, StoreError>;

    /// What is left of the last graph of this name that was purged.
    async fn gone(&self, graph: &GraphId) -> Result<Option<Gone>, StoreError>;

    /// What is left of the graph of this name that this operation purged, also if others of that name were purged since.
    async fn purged_by(&self, graph: &GraphId, operation: OperationId) -> Result<Option<Gone>, StoreError>;

    /// Purged graphs of which [`ProjectionStore::sweep`] has not removed everything.
    async fn purging(&self) -> Result<Vec<Purging>, StoreError>;

    /// Whether something of this one is still to be removed.
    async fn is_purging(&self, purging: &Purging) -> Result<bool, StoreError>;

    /// Removes some of what this one had and nobody can read any more; whether there is more of it. Nothing, if all of it
    /// was removed before: a later graph of that name loses nothing.
    async fn sweep(&self, purging: &Purging) -> Result<bool, StoreError>;

    /// Removes the rows of a graph that has no commits: those that were written while it was purged.
    async fn drop_rows(&self, graph: &GraphId) -> Result<(), StoreError>;

    /// Keeps a whole graph as it was at `head`, for reads of old versions.
    async fn put_checkpoint(&self, graph: &GraphId, head: Head, state: Bytes) -> Result<(), StoreError>;

    /// The latest checkpoint at or before `version`.
    async fn checkpoint(
        &self,
        graph: &GraphId,
        version: Version,
    ) -> Result<Option<(Head, Bytes)>, StoreError>;

    /// Says that a graph is not projected any further, or (`None`) that it is again.
    async fn park(&self, graph: &GraphId, parked: Option<&ParkedGraph>) -> Result<(), StoreError>;

    /// The graphs that are parked.
    async fn parked(&self) -> Result<Vec<(GraphId, ParkedGraph)>, StoreError>;

    /// A document that belongs to no graph, and which change it is. No two changes of documents have
    /// the same number, also where a name is used again: who saw one knows exactly what stood there.
    async fn document(&self, kind: &str, name: &str) -> Result<Option<(u64, Bytes)>, StoreError>;

    /// Puts this there, or (`None`) removes what is there, if what stands there is of the `expected`
    /// change, or for `None` nothing; whether it did.
    async fn put_document(
        &self,
        kind: &str,
        name: &str,
        expected: Option<u64>,
        bytes: Option<Bytes>,
    ) -> Result<bool, StoreError>;

    /// The names of all documents of a kind, in order.
    async fn documents(&self, kind: &str) -> Result<Vec<String>, StoreError>;
}
