//! Walking what happened to a graph, from either end, a bounded piece at a time.
//!
//! Commits and refused operations are two records; here they are one sequence. Its order: commits by
//! version, and after commit `v` what was refused while `v` was the head, as it came.
//!
//! Invariants:
//! - Memory holds a chunk, whatever the length of the history; other tasks get their turn between two.
//! - Every commit's hash follows from its content and the hash before it; where one does not, or the
//!   history ends before its head, nothing is told beyond (rules V3, V7).
//!
//! Not here: which of it somebody wants to see, and how far one request may walk.

use std::collections::VecDeque;

use dao_projections::{GraphId, Head, Version};

use crate::{
    store::{EventStore, Order, RefusalPlace, StoreError, StoredCommit, StoredRefusal},
    write::history_reader,
};

/// Commits read at once in the beginning; twice as many each time, up to [`CHUNK_MAX`].
const CHUNK_FIRST: usize = 64;
/// Commits read at once at most.
const CHUNK_MAX: usize = 512;
/// Refusals read at once.
const REFUSALS_CHUNK: usize = 256;

/// A place in the sequence: a commit is number 0 of its version, what was refused there comes after.
pub(super) type WalkPlace = RefusalPlace;

/// One thing that happened, undecoded.
pub(super) enum HistoryItem {
    Commit(StoredCommit),
    Refusal(StoredRefusal),
}

impl HistoryItem {
    pub(super) fn place(&self) -> WalkPlace {
        match self {
            Self::Commit(commit) => WalkPlace::before(commit.version),
            Self::Refusal(refusal) => refusal.place,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Commit(commit) => commit.body.len(),
            Self::Refusal(refusal) => refusal.record.len(),
        }
    }
}

/// The commits in `(low, high]` of one graph.
pub(super) struct CommitWalk<'a> {
    store: &'a dyn EventStore,
    id: &'a GraphId,
    order: Order,
    low: Version,
    high: Version,
    chunk: usize,
    /// The head at `low`, once it was looked up; only used from the oldest on.
    below: Option<Head>,
    ready: VecDeque<StoredCommit>,
}

impl<'a> CommitWalk<'a> {
    pub(super) fn new(
        store: &'a dyn EventStore,
        id: &'a GraphId,
        order: Order,
        (low, high): (Version, Version),
    ) -> Self {
        Self { store, id, order, low, high, chunk: CHUNK_FIRST, below: None, ready: VecDeque::new() }
    }

    /// Has the next one ready, if there is one.
    async fn fill(&mut self) -> Result<(), StoreError> {
        while self.ready.is_empty() && self.low < self.high {
            match self.order {
                Order::OldestFirst => self.fill_forwards().await?,
                Order::NewestFirst => self.fill_backwards().await?,
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn fill_forwards(&mut self) -> Result<(), StoreError> {
        let below = match self.below {
            Some(below) => below,
            None => self.head_at(self.low).await?,
        };
        let chunk = self.store.read(self.id, self.low, self.high, self.chunk).await?;
        let last = self.check(below, &chunk).await?;
        (self.low, self.below) = (last.version, Some(last));
        self.ready = chunk.into();
        self.chunk = CHUNK_MAX.min(self.chunk * 2);
        Ok(())
    }

    /// A read begins at the low end and may stop early, where bodies are large. Then what it gave is
    /// of no use, and less is asked for; of one commit every read gives all.
    async fn fill_backwards(&mut self) -> Result<(), StoreError> {
        let count = self.chunk.min(usize::try_from(self.high.since(self.low)).unwrap_or(usize::MAX));
        let from = Version::new(self.high.get() - count as u64).unwrap_or_default();
        let chunk = self.store.read(self.id, from, self.high, count).await?;
        let Some(last) = chunk.last().map(|last| last.version) else { return Err(self.ends_early().await) };
        if last < self.high {
            self.chunk = (count / 2).max(1);
            return Ok(());
        }
        self.check(self.head_at(from).await?, &chunk).await?;
        self.high = from;
        self.ready = chunk.into_iter().rev().collect();
        self.chunk = CHUNK_MAX.min(self.chunk * 2);
        Ok(())
    }

    /// The head that the history had at this version.
    async fn head_at(&self, version: Version) -> Result<Head, StoreError> {
        let Some(before) = version.get().checked_sub(1).and_then(Version::new) else {
            return Ok(Head::EMPTY);
        };
        let found = self.store.read(self.id, before, version, 1).await?;
        match found.first() {
            Some(found) => Ok(found.head()),
            None => Err(self.ends_early().await),
        }
    }

    /// The head after `chunk`, each of which follows on the one before it, the first on `below`.
    async fn check(&self, below: Head, chunk: &[StoredCommit]) -> Result<Head, StoreError> {
        if chunk.is_empty() {
            return Err(self.ends_early().await);
        }
        if chunk.first().is_some_and(|first| first.head() != below.after(&first.body)) {
            return Err(history_reader::broken_link(self.store, self.id, below).await);
        }
        chunk.iter().try_fold(below, |before, stored| {
            let after = before.after(&stored.body);
            let problem = || "its hash does not follow from its content".to_owned();
            let corrupt =
                || StoreError::Corrupt { graph: self.id.clone(), version: after.version, problem: problem() };
            (after == stored.head()).then_some(after).ok_or_else(corrupt)
        })
    }

    async fn ends_early(&self) -> StoreError {
        history_reader::ends_early(self.store, self.id, self.low.next(), |now| now.version >= self.high).await
    }

    /// The next commit.
    pub(super) async fn next(&mut self) -> Result<Option<StoredCommit>, StoreError> {
        self.fill().await?;
        Ok(self.ready.pop_front())
    }
}

/// The refusals strictly between two places.
struct RefusalWalk<'a> {
    store: &'a dyn EventStore,
    id: &'a GraphId,
    order: Order,
    between: (WalkPlace, WalkPlace),
    ready: VecDeque<StoredRefusal>,
    is_done: bool,
}

impl RefusalWalk<'_> {
    async fn fill(&mut self) -> Result<(), StoreError> {
        if !self.ready.is_empty() || self.is_done {
            return Ok(());
        }
        let found = self.store.refusals(self.id, self.between, self.order, REFUSALS_CHUNK).await?;
        match (found.last(), self.order) {
            (None, _) => self.is_done = true,
            (Some(last), Order::OldestFirst) => self.between.0 = last.place,
            (Some(last), Order::NewestFirst) => self.between.1 = last.place,
        }
        self.ready = found.into();
        tokio::task::yield_now().await;
        Ok(())
    }
}

/// The one sequence of both.
pub(super) struct HistoryWalk<'a> {
    order: Order,
    commits: CommitWalk<'a>,
    refusals: RefusalWalk<'a>,
}

/// Which of the two records are walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordKinds {
    Both,
    CommitsOnly,
    RefusalsOnly,
}

impl<'a> HistoryWalk<'a> {
    /// All that happened strictly between two places.
    pub(super) fn new(
        store: &'a dyn EventStore,
        id: &'a GraphId,
        order: Order,
        (after, before): (WalkPlace, WalkPlace),
        records: RecordKinds,
    ) -> Self {
        // The last commit before a place: its own, unless the place is that commit.
        let last = match before.number {
            0 => Version::new(before.version.get().saturating_sub(1)).unwrap_or_default(),
            _ => before.version,
        };
        let range = match records {
            RecordKinds::RefusalsOnly => (last, last),
            RecordKinds::Both | RecordKinds::CommitsOnly => (after.version, last),
        };
        let is_done = records == RecordKinds::CommitsOnly || after >= before;
        let (between, ready) = ((after, before), VecDeque::new());
        let refusals = RefusalWalk { store, id, order, between, ready, is_done };
        Self { order, commits: CommitWalk::new(store, id, order, range), refusals }
    }

    /// The next thing that happened, in the order of the walk.
    pub(super) async fn next(&mut self) -> Result<Option<HistoryItem>, StoreError> {
        self.commits.fill().await?;
        self.refusals.fill().await?;
        let is_commit = match (self.commits.ready.front(), self.refusals.ready.front()) {
            (Some(commit), Some(refusal)) => {
                let is_earlier = WalkPlace::before(commit.version) < refusal.place;
                is_earlier == (self.order == Order::OldestFirst)
            }
            (commit, _) => commit.is_some(),
        };
        Ok(match is_commit {
            true => self.commits.ready.pop_front().map(HistoryItem::Commit),
            false => self.refusals.ready.pop_front().map(HistoryItem::Refusal),
        })
    }

    /// Whether there is something after what was taken.
    pub(super) async fn has_more(&mut self) -> Result<bool, StoreError> {
        self.commits.fill().await?;
        self.refusals.fill().await?;
        Ok(!self.commits.ready.is_empty() || !self.refusals.ready.is_empty())
    }
}

/// How far one request walks. Whoever comes to the end of it is told where to go on (rule A1).
#[derive(Debug, Default)]
pub(super) struct WalkBudget {
    steps: usize,
    bytes: usize,
}

impl WalkBudget {
    /// Operations looked at for one request.
    pub(super) const STEPS_MAX: usize = 100_000;
    /// Bytes looked at for one request, beyond the first operation.
    pub(super) const BYTES_MAX: usize = 64 << 20;

    pub(super) fn spend(&mut self, bytes: usize) {
        self.steps += 1;
        self.bytes += bytes;
    }

    pub(super) fn is_spent(&self) -> bool {
        self.steps >= Self::STEPS_MAX || self.bytes >= Self::BYTES_MAX
    }
}
