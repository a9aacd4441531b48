//! The one seam between this program and where histories are kept: [`EventStore`], and its adapters.
//!
//! Invariants that every adapter keeps, and one contract suite proves on each:
//! - A commit is appended only onto the exact head, version **and** hash, that the writer named.
//! - All entries of one append take effect together, durably, before `append` answers; or none does.
//! - An operation id has at most one record in its graph for as long as the window lasts, and that
//!   record is written by the same append as its commit.
//! - A read never crosses a hole: it ends before one, or fails.
//! - Whoever is told of a record ([`EventStore::append`], [`EventStore::operations`]) may acknowledge what it
//!   says: it is as durable as declared.
//! - What is said unasked ([`Publications`]) is never needed to be right, only to be fast.
//!
//! Not here: what commits mean. Adapters move bytes and compare heads; they never decode an event.

pub mod embedded;
mod measured;
mod projection;
mod publications;
pub mod redis;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dao_projections::{GraphId, Hash, Head, OperationId, Version};

pub use self::projection::{
    FeedBounds, FeedEntry, FeedPlace, Gone, ListOrder, ListPiece, ListPlace, ListQuery, ListSort, Listing,
    ParkedGraph, ProjectionStore, Purge, PurgeRequest, Purging, REFUSED_MAX, RefusedEntry, RowsChange,
    RowsFound, RowsHead,
};
pub use measured::Measured;
pub use publications::{Publication, PublicationSender, Publications};

/// Why there can't be a graph of a name yet.
const BEING_PURGED: &str = "an earlier graph of this name is being purged. Try again in a moment";

/// One commit as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCommit {
    /// Its number.
    pub version: Version,
    /// The chain up to and with it.
    pub hash: Hash,
    /// The MessagePack that the hash covers.
    pub body: Bytes,
}

impl StoredCommit {
    /// The head of the history that ends with this commit.
    pub fn head(&self) -> Head {
        Head { version: self.version, hash: self.hash }
    }
}

/// What one operation leaves behind: its record, and its commit if it changed anything.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The idempotency key.
    pub operation: OperationId,
    /// How it ended, for those who ask again: bytes that only the writer understands.
    pub record: Bytes,
    /// The commit; `None` for an operation that changed nothing or was refused.
    pub commit: Option<StoredCommit>,
    /// For a refused operation the version it was judged on: auditors find it there (rule A1).
    pub refused_at: Option<Version>,
}

/// A refused operation, as auditors find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRefusal {
    /// Where it is listed.
    pub place: RefusalPlace,
    /// The operation.
    pub operation: OperationId,
    /// Its record.
    pub record: Bytes,
}

/// Where a refusal stands among those of its graph: by the version it was judged on, then by the
/// order in which they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefusalPlace {
    /// The version it was judged on.
    pub version: Version,
    /// Its number there: from 1 on, rising, with holes. A store may go on counting over versions.
    pub number: u64,
}

impl RefusalPlace {
    /// Before all that were judged on `version`.
    pub fn before(version: Version) -> Self {
        Self { version, number: 0 }
    }

    /// After all that were judged on `version`.
    pub fn after(version: Version) -> Self {
        Self { version, number: i64::MAX as u64 }
    }
}

/// From which end a range is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As it happened.
    OldestFirst,
    /// The latest first.
    NewestFirst,
}

/// How an append ended. Only `Appended` changed anything.
#[derive(Clone, Debug, PartialEq)]
pub enum Append {
    /// Every entry is durable.
    Appended,
    /// Somebody else was faster, or the history is another: the head is this one.
    HeadMoved(Head),
    /// Some of the operations have a record already: these.
    Duplicate(Vec<(OperationId, Bytes)>),
}

/// Which graphs somebody asks about.
pub type GraphFilter = Arc<dyn Fn(&GraphId) -> bool + Send + Sync>;

/// Graphs that may have a record of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationPlaces {
    /// Each once.
    pub graphs: Vec<GraphId>,
    /// Whether they stand in the order in which they came to use the id.
    pub is_in_order: bool,
}

/// Why a store could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It is unavailable, or refused for now. Nothing was changed.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The answer is lost: what was asked for may have happened, or may yet happen.
    #[error("the store did not answer: {0}")]
    OutcomeUnknown(String),
    /// It is in the log, and others may see it, but it is not as safe as [`EventStore::durability`] says:
    /// nobody may be told that it is done. Asking again, under the same ids, finds out.
    #[error("the store can't keep it as safe as it promises: {0}")]
    NotReplicated(String),
    /// What it holds is not a history: a hole, or bytes that are no commit.
    #[error("the history of {graph} is damaged at version {version}: {problem}")]
    Corrupt {
        /// Whose history.
        graph: GraphId,
        /// The first version that can't be read.
        version: Version,
        /// What is wrong with it.
        problem: String,
    },
}

/// Until when an acknowledged commit can be lost (rules V6, O5); shown at start and in `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durability {
    /// In a word or two, stable: `fsync`, `interval`, `appendfsync always` …
    pub name: String,
    /// A sentence for an operator: what can be lost, and when.
    pub meaning: String,
}

/// Where histories are kept.
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// Appends `entries` to `graph` if its head is `expected` and no operation in them has a record.
    ///
    /// Commits among the entries follow on `expected` without a gap, in order. Duplicates are
    /// looked for before heads are compared, so a repeat is told apart from a lost race (rule C3).
    /// A dropped future may still take effect.
    async fn append(&self, graph: &GraphId, expected: Head, entries: &[Entry]) -> Result<Append, StoreError>;

    /// The same with commits of another graph before the entries: they have no operations here (rule L7).
    async fn append_copied(
        &self,
        graph: &GraphId,
        expected: Head,
        copied: &[StoredCommit],
        entries: &[Entry],
    ) -> Result<Append, StoreError>;

    /// The last commit's version and hash; [`Head::EMPTY`] for a graph nobody has written to.
    async fn head(&self, graph: &GraphId) -> Result<Head, StoreError>;

    /// The commits in `(after, to]`, in order: at most `limit`, and no more than [`READ_BYTES_MAX`]
    /// of bodies (but always one if there is one). Fewer than asked for says nothing about the end
    /// of the history; none at all says that `after` is its end or beyond.
    ///
    /// A commit that is missing among them is [`StoreError::Corrupt`].
    async fn read(
        &self,
        graph: &GraphId,
        after: Version,
        to: Version,
        limit: usize,
    ) -> Result<Vec<StoredCommit>, StoreError>;

    /// The records of these operations in `graph`, in the order asked; `None` where there is none.
    async fn operations(
        &self,
        graph: &GraphId,
        ids: &[OperationId],
    ) -> Result<Vec<Option<Bytes>>, StoreError>;

    /// The refused operations strictly between two places, from the end that `order` says: at most
    /// `limit`, and no more than [`READ_BYTES_MAX`] of records (but always one if there is one).
    /// Fewer than asked for says nothing; none at all says that there are none.
    ///
    /// They are a record beside the history, not part of it: of each graph the latest
    /// [`REFUSALS_MAX`] are kept.
    async fn refusals(
        &self,
        graph: &GraphId,
        between: (RefusalPlace, RefusalPlace),
        order: Order,
        limit: usize,
    ) -> Result<Vec<StoredRefusal>, StoreError>;

    /// The graphs that have commits, by name: those after `after`, at most `limit`.
    async fn graphs(&self, after: Option<&GraphId>, limit: usize) -> Result<Vec<GraphId>, StoreError>;

    /// Where a record of this operation may be: the first `limit` of the graphs that are wanted. The record
    /// itself is [`EventStore::operations`]'s to tell, which may say that there is none.
    ///
    /// Ids are unique within a graph only: anybody can use an id again in graphs of their own. What they do
    /// there takes nothing away from what is found here, and the cost is bounded however often they do it.
    async fn find_operation(
        &self,
        id: OperationId,
        wanted: GraphFilter,
        limit: usize,
    ) -> Result<OperationPlaces, StoreError>;

    /// Whether another process can write the same histories. Where none can, what a writer
    /// remembers is the truth and a reader need not ask.
    fn is_shared(&self) -> bool;

    /// What others do to this graph, from about now on: the first hint says when. What is done
    /// through this very store is not told. Nothing is ever told where no other process can write.
    fn listen(&self, _graph: &GraphId) -> Publications {
        Publications::none()
    }

    /// Gives this to everybody else who listens to the graph now, if all goes well; it is kept
    /// nowhere.
    async fn broadcast(&self, _graph: &GraphId, _message: Bytes) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether the store can take a write now; the reason where not.
    async fn check(&self) -> Result<(), StoreError>;

    /// What took no write at the last [`EventStore::check`] though the rest did: shards of a cluster, each with the
    /// reason. Graphs that lie there are read only until it is mended.
    fn impaired(&self) -> Vec<String> {
        Vec::new()
    }

    /// What an acknowledgement promises.
    fn durability(&self) -> Durability;

    /// Where it is, for people: a path or an address, without secrets.
    fn location(&self) -> String;

    /// Lets go of files and connections after finishing what was asked. Nothing is lost without it.
    async fn close(&self);
}

/// Whether a migration is made, or only told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrate {
    /// What would be done is said, and nothing is changed.
    Tell,
    /// It is done.
    Make,
}

/// The most bytes of commit bodies one [`EventStore::read`] returns: more are left for the next.
pub const READ_BYTES_MAX: usize = 8 << 20;

/// Refused operations kept for each graph, about: more push out the oldest. A client that is refused
/// in a loop must not fill the store.
pub const REFUSALS_MAX: usize = 10_000;
