//! The lists that a page of operations of all graphs is made of: entries of the feed, and of the refused operations beside it,
//! each read from its end (rule A1).
//!
//! Not here: what an entry tells of.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
};

use dao_projections::{GraphId, Version};

use super::AllOperationsQuery;
use crate::{
    read::history_walk::WalkBudget,
    store::{FeedEntry, FeedPlace, ProjectionStore, RefusalPlace, RefusedEntry, StoreError},
};

/// Entries of one list that are read at once, at first and at most.
const ENTRIES: [usize; 2] = [16, 256];
/// Reads of one list after which nothing was found: then the page ends, and says where to go on.
const READS_MAX: usize = 64;
/// Clocks of servers and stores differ by less than this.
pub(super) const CLOCKS_DIFFER_MS: u64 = 60_000;

/// What one page may cost: entries of lists, and commits and refused operations that are read (rule A1). Several lists are
/// read at the same time.
pub(super) struct PageBudget {
    steps: AtomicUsize,
    bytes: AtomicUsize,
}

impl Default for PageBudget {
    fn default() -> Self {
        Self::of(WalkBudget::STEPS_MAX, WalkBudget::BYTES_MAX)
    }
}

impl PageBudget {
    pub(super) fn of(steps: usize, bytes: usize) -> Self {
        Self { steps: AtomicUsize::new(steps), bytes: AtomicUsize::new(bytes) }
    }

    /// A read costs a step, also if it finds nothing.
    pub(super) fn spend(&self, found: usize, bytes: usize) {
        let less = |left: &AtomicUsize, spent: usize| {
            let left = left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(spent)));
            debug_assert!(left.is_ok(), "it is never refused");
        };
        less(&self.steps, found.max(1));
        less(&self.bytes, bytes);
    }

    pub(super) fn is_spent(&self) -> bool {
        self.steps.load(Ordering::Relaxed) == 0 || self.bytes.load(Ordering::Relaxed) == 0
    }
}

/// What a list tells of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ListKind {
    Commits,
    Refused,
}

/// One list of one part of the feed, read from its end.
pub(super) struct List {
    pub(super) kind: ListKind,
    pub(super) part: u32,
    /// What stands from here on was told, or passed over.
    pub(super) place: FeedPlace,
    /// Of the entry at this place, only commits below this version are still to come.
    pub(super) partly: Option<(FeedPlace, Version)>,
    pub(super) ready: VecDeque<Entry>,
    pub(super) chunk: usize,
    pub(super) is_done: bool,
    /// Whether there may be more, and nothing was found for long, or the page may cost no more.
    pub(super) is_cut: bool,
}

/// An entry of a list.
pub(super) struct Entry {
    pub(super) place: FeedPlace,
    pub(super) at_ms: u64,
    pub(super) graph: GraphId,
    /// The first and the last commit, or where the refused operation stands.
    pub(super) from: RefusalPlace,
    pub(super) to: RefusalPlace,
    /// Whether it tells of the end of the graph: then there is nothing to read.
    pub(super) is_purge: bool,
}

impl List {
    pub(super) fn before(kind: ListKind, part: u32, place: FeedPlace) -> Self {
        let (ready, chunk) = (VecDeque::new(), ENTRIES[0]);
        Self { kind, part, place, partly: None, ready, chunk, is_done: false, is_cut: false }
    }

    /// Where what comes next of its next entry stands in its graph.
    pub(super) fn next_place(&self) -> RefusalPlace {
        let Some(entry) = self.ready.front() else { return RefusalPlace::default() };
        match self.partly.filter(|(place, _)| *place == entry.place) {
            Some((_, below)) => RefusalPlace::before(before(below)),
            None => entry.to,
        }
    }

    /// Reads on until an entry is ready, or to the end of what is asked for.
    pub(super) async fn fill(
        &mut self,
        feed: &dyn ProjectionStore,
        question: &AllOperationsQuery,
        budget: &PageBudget,
    ) -> Result<(), StoreError> {
        let earliest = question.filter.from.map_or(0, |from| from.0.saturating_sub(CLOCKS_DIFFER_MS));
        let mut reads = 0;
        while self.ready.is_empty() && !self.is_done {
            reads += 1;
            // The first read is always done: whoever goes on from here comes further.
            self.is_cut = reads > READS_MAX || (reads > 1 && budget.is_spent());
            if self.is_cut {
                return Ok(());
            }
            let found = self.read(feed, self.place).await?;
            budget.spend(found.len(), 0);
            // Fewer than asked for is not the end: what can't be read is left out.
            self.is_done = found.is_empty();
            self.chunk = (2 * self.chunk).min(ENTRIES[1]);
            for entry in found {
                let is_too_early = entry.at_ms < earliest;
                self.is_done |= is_too_early;
                let is_wanted = !is_too_early && !entry.is_purge && question.graphs.wants_graph(&entry.graph);
                match is_wanted {
                    true => self.ready.push_back(entry),
                    // Passed over, as long as nothing before it waits.
                    false if self.ready.is_empty() => (self.place, self.partly) = (entry.place, None),
                    false => {}
                }
            }
            tokio::task::consume_budget().await;
        }
        Ok(())
    }

    async fn read(&self, feed: &dyn ProjectionStore, before: FeedPlace) -> Result<Vec<Entry>, StoreError> {
        match self.kind {
            ListKind::Commits => {
                let found = feed.feed_before(self.part, before, self.chunk).await?;
                Ok(found.into_iter().map(Entry::of_feed).collect())
            }
            ListKind::Refused => {
                let found = feed.refused_before(self.part, before, self.chunk).await?;
                let entry = |found: RefusedEntry| Entry {
                    place: found.place,
                    at_ms: found.at_ms,
                    graph: found.graph,
                    from: found.of_graph,
                    to: found.of_graph,
                    is_purge: false,
                };
                Ok(found.into_iter().map(entry).collect())
            }
        }
    }
}

impl Entry {
    fn of_feed(entry: FeedEntry) -> Self {
        let (from, to) = (RefusalPlace::before(entry.from), RefusalPlace::before(entry.to));
        let is_purge = entry.purged.is_some();
        Self { place: entry.place, at_ms: entry.at_ms, graph: entry.graph, from, to, is_purge }
    }
}

/// The version before this one.
pub(super) fn before(version: Version) -> Version {
    Version::new(version.get().saturating_sub(1)).unwrap_or_default()
}
