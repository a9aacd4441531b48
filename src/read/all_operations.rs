//! Who did what in all graphs: operations, accepted and refused, the latest first (rule A1).
//!
//! Commits are found by the feed, refused operations by the list beside it, and of both only those that are asked for are
//! read. So a page costs what it looks at, however many graphs there are; and it goes back as far as the feed does.
//!
//! Invariants:
//! - A page costs a bounded number of operations looked at, also where none of them matches: then it is short, or empty, and
//!   says where to go on.
//! - Going on from a place never repeats and never skips what was there when the walk began.
//!
//! Not here: the operations of one graph, as far back as it goes ([`super::operations`]).

use std::collections::{HashMap, VecDeque};

use dao_projections::{GraphId, OperationId, Timestamp, Version};
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    AuditFilter, CommitFilter, ListedOperation, ReadError,
    history_walk::{HistoryItem, WalkBudget},
    undone,
};
use crate::{
    store::{EventStore, FeedPlace, Order, ProjectionStore, READ_BYTES_MAX, RefusalPlace, StoreError},
    write::Graphs,
};

/// Entries of one list that are read at once, at first and at most.
const ENTRIES: [usize; 2] = [16, 256];
/// Reads of one list after which nothing was found: then the page ends, and says where to go on.
const READS_MAX: usize = 64;
/// Commits of one entry that are read at once.
const COMMITS: u64 = 128;
/// Lists that are read at the same time.
const READS_AT_ONCE: usize = 16;
/// Clocks of servers and stores differ by less than this.
const CLOCKS_DIFFER_MS: u64 = 60_000;

/// Where a page ended in each part of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllOperationsPlace {
    /// Commits: those of entries before this place, and those of the entry there below this version.
    pub commits: Vec<(FeedPlace, Version)>,
    /// Refused operations before this place.
    pub refused: Vec<FeedPlace>,
}

/// One page of the operations of all graphs.
#[derive(Clone, Debug)]
pub struct AllOperationsQuery {
    /// Which operations.
    pub filter: AuditFilter,
    /// Of which graphs.
    pub graphs: CommitFilter,
    /// How many at most.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<AllOperationsPlace>,
}

/// The answer to a [`AllOperationsQuery`].
#[derive(Clone, Debug, Default)]
pub struct AllOperationsPage {
    /// Those that match, the latest first; none at all does not mean that there are no more.
    pub operations: Vec<(GraphId, ListedOperation)>,
    /// Where to go on; `None` at the end.
    pub next: Option<AllOperationsPlace>,
    /// Those of the operations that were undone since, each with the operation that did so last (rule U12).
    pub undone_by: HashMap<(GraphId, OperationId), OperationId>,
}

/// The operations of all graphs that match.
pub async fn all_operations(
    graphs: &Graphs,
    feed: &dyn ProjectionStore,
    question: &AllOperationsQuery,
) -> Result<AllOperationsPage, ReadError> {
    let mut walk = Walk::begin(graphs, feed, question).await?;
    let (mut page, mut effort, mut bytes_kept) = (AllOperationsPage::default(), WalkBudget::default(), 0);
    while let Some((graph, item)) = walk.next().await? {
        let bytes = item.as_ref().map_or(0, HistoryItem::bytes);
        effort.spend(bytes);
        if let Some(item) = item
            && let Some(listed) = question.filter.look_at(&graph, item)?
        {
            bytes_kept += bytes;
            page.operations.push((graph, listed));
        }
        if page.operations.len() >= question.limit || bytes_kept >= READ_BYTES_MAX || effort.is_spent() {
            page.next = walk.place();
            break;
        }
    }
    if walk.is_cut() {
        page.next = walk.place();
    }
    page.undone_by = undone_by(graphs, &page.operations).await?;
    Ok(page)
}

/// Asked of each graph on the page once.
async fn undone_by(
    graphs: &Graphs,
    operations: &[(GraphId, ListedOperation)],
) -> Result<HashMap<(GraphId, OperationId), OperationId>, ReadError> {
    let mut by_graph: HashMap<&GraphId, Vec<OperationId>> = HashMap::new();
    for (graph, listed) in operations {
        by_graph.entry(graph).or_default().extend(listed.accepted().map(|commit| commit.body.operation_id));
    }
    let mut all = HashMap::new();
    for (graph, ids) in by_graph.into_iter().filter(|(_, ids)| !ids.is_empty()) {
        let head = graphs.store().head(graph).await?.version;
        let undone = undone::undone_by(graphs, graph, head, &ids).await?;
        all.extend(undone.into_iter().map(|(id, by)| ((graph.clone(), id), by)));
    }
    Ok(all)
}

/// What a list tells of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ListKind {
    Commits,
    Refused,
}

/// One list of one part of the feed, read from its end.
struct List {
    kind: ListKind,
    part: u32,
    /// What stands from here on was told, or passed over.
    place: FeedPlace,
    /// Of the entry at this place, only commits below this version are still to come.
    partly: Option<(FeedPlace, Version)>,
    ready: VecDeque<Entry>,
    chunk: usize,
    is_done: bool,
    /// Whether there may be more, and nothing was found for long.
    is_cut: bool,
}

/// An entry of a list.
struct Entry {
    place: FeedPlace,
    at_ms: u64,
    graph: GraphId,
    /// The first and the last commit, or where the refused operation stands.
    from: RefusalPlace,
    to: RefusalPlace,
    /// Whether it tells of the end of the graph: then there is nothing to read.
    is_purge: bool,
}

struct Walk<'a> {
    graphs: &'a Graphs,
    feed: &'a dyn ProjectionStore,
    question: &'a AllOperationsQuery,
    lists: Vec<List>,
    /// The list whose entry is being read, and commits of that, the oldest first.
    commits: (usize, Vec<HistoryItem>),
}

impl<'a> Walk<'a> {
    async fn begin(
        graphs: &'a Graphs,
        feed: &'a dyn ProjectionStore,
        question: &'a AllOperationsQuery,
    ) -> Result<Walk<'a>, StoreError> {
        let mut lists = Vec::new();
        for part in 0..feed.feed_parts() {
            let index = part as usize;
            let until = match question.filter.to {
                Some(Timestamp(to)) if question.after.is_none() => {
                    let later = to.saturating_add(CLOCKS_DIFFER_MS);
                    let before = feed.feed_place_at(part, later).await?;
                    FeedPlace { minor: u64::MAX, ..before }
                }
                _ => FeedPlace::END,
            };
            let after = question.after.as_ref();
            let commits = after.and_then(|after| after.commits.get(index).copied());
            // A list of refused operations has places of its own.
            let refused = after.and_then(|after| after.refused.get(index).copied()).unwrap_or(FeedPlace::END);
            let (place, below) = commits.unwrap_or((until, Version::EMPTY));
            let partly = (below > Version::EMPTY).then_some((place, below));
            let place = if partly.is_some() { following(place) } else { place };
            lists.push(List { partly, ..List::before(ListKind::Commits, part, place) });
            lists.push(List::before(ListKind::Refused, part, refused));
        }
        let mut walk = Self { graphs, feed, question, lists, commits: (0, vec![]) };
        walk.fill().await?;
        Ok(walk)
    }

    /// Has the next entry of every list ready, if there is one.
    async fn fill(&mut self) -> Result<(), StoreError> {
        let (feed, question) = (self.feed, self.question);
        let reads: Vec<_> = self.lists.iter_mut().map(|list| list.fill(feed, question)).collect();
        stream::iter(reads).buffer_unordered(READS_AT_ONCE).try_collect::<()>().await
    }

    /// The latest of what is left, with its graph; `None` for an operation that is not there any more.
    async fn next(&mut self) -> Result<Option<(GraphId, Option<HistoryItem>)>, StoreError> {
        loop {
            let Some(index) = self.latest().filter(|_| !self.is_cut()) else { return Ok(None) };
            let list = &mut self.lists[index];
            let Some(entry) = list.ready.front() else { return Ok(None) };
            let graph = entry.graph.clone();
            match list.kind {
                ListKind::Refused => {
                    let found = self.refusal(index).await?;
                    self.pass(index).await?;
                    return Ok(Some((graph, found)));
                }
                ListKind::Commits => {
                    if self.commits.0 != index || self.commits.1.is_empty() {
                        self.commits = (index, self.read_commits(index).await?);
                    }
                    let Some(commit) = self.commits.1.pop() else {
                        // What it tells of is gone.
                        self.pass(index).await?;
                        continue;
                    };
                    let version = commit.place().version;
                    let list = &mut self.lists[index];
                    let entry = list.ready.front().map(|entry| (entry.place, entry.from.version));
                    match entry.filter(|(_, first)| version > *first) {
                        Some((place, _)) => list.partly = Some((place, version)),
                        None => {
                            self.commits.1.clear();
                            self.pass(index).await?;
                        }
                    }
                    return Ok(Some((graph, Some(commit))));
                }
            }
        }
    }

    /// Whether it is unknown what comes next.
    fn is_cut(&self) -> bool {
        self.lists.iter().any(|list| list.is_cut)
    }

    /// The list whose next entry is the latest. Of one graph the order is that of its operations.
    fn latest(&self) -> Option<usize> {
        let ready =
            self.lists.iter().enumerate().filter_map(|(index, list)| Some((index, list.ready.front()?)));
        let latest = ready.reduce(|best, next| {
            let is_later = match next.1.graph == best.1.graph {
                true => self.lists[next.0].next_place() > self.lists[best.0].next_place(),
                false => next.1.at_ms > best.1.at_ms,
            };
            if is_later { next } else { best }
        });
        latest.map(|(index, _)| index)
    }

    /// The next entry of a list was told.
    async fn pass(&mut self, index: usize) -> Result<(), StoreError> {
        let list = &mut self.lists[index];
        if let Some(entry) = list.ready.pop_front() {
            (list.place, list.partly) = (entry.place, None);
        }
        let (feed, question) = (self.feed, self.question);
        self.lists[index].fill(feed, question).await
    }

    async fn refusal(&self, index: usize) -> Result<Option<HistoryItem>, StoreError> {
        let Some(Entry { graph, to, .. }) = self.lists[index].ready.front() else { return Ok(None) };
        let before = |place: RefusalPlace| RefusalPlace { number: place.number.saturating_sub(1), ..place };
        let between = (before(*to), RefusalPlace { number: to.number.saturating_add(1), ..*to });
        let found = self.graphs.store().refusals(graph, between, Order::NewestFirst, 1).await?;
        Ok(found.into_iter().next().map(HistoryItem::Refusal))
    }

    /// The latest commits of the entry that were not told yet.
    async fn read_commits(&self, index: usize) -> Result<Vec<HistoryItem>, StoreError> {
        let list = &self.lists[index];
        let Some(entry) = list.ready.front() else { return Ok(vec![]) };
        let to = list.next_place().version;
        let mut count = COMMITS.min(to.since(before(entry.from.version)));
        let store: &dyn EventStore = &**self.graphs.store();
        // A read begins at the low end and may stop early, where bodies are large: then less is asked for.
        while count > 0 {
            let after = Version::new(to.get() - count).unwrap_or_default();
            let found = match store.read(&entry.graph, after, to, count as usize).await {
                Ok(found) => found,
                // One history that can't be read hides nothing of the others: its own audit says what is wrong.
                Err(StoreError::Corrupt { .. }) => return Ok(vec![]),
                Err(error) => return Err(error),
            };
            if found.last().is_some_and(|last| last.version == to) {
                return Ok(found.into_iter().map(HistoryItem::Commit).collect());
            }
            count = if found.is_empty() { 0 } else { count / 2 };
        }
        Ok(vec![])
    }

    /// Where to go on; `None` if there is nothing more.
    fn place(&self) -> Option<AllOperationsPlace> {
        if self.latest().is_none() && !self.is_cut() {
            return None;
        }
        let of = |kind: ListKind| self.lists.iter().filter(move |list| list.kind == kind);
        let commits = of(ListKind::Commits).map(|list| {
            let next = list.ready.front().map(|entry| entry.place);
            list.partly.filter(|(place, _)| Some(*place) == next).unwrap_or((list.place, Version::EMPTY))
        });
        let refused = of(ListKind::Refused).map(|list| list.place).collect();
        Some(AllOperationsPlace { commits: commits.collect(), refused })
    }
}

impl List {
    fn before(kind: ListKind, part: u32, place: FeedPlace) -> Self {
        let (ready, chunk) = (VecDeque::new(), ENTRIES[0]);
        Self { kind, part, place, partly: None, ready, chunk, is_done: false, is_cut: false }
    }

    /// Where what comes next of its next entry stands in its graph.
    fn next_place(&self) -> RefusalPlace {
        let Some(entry) = self.ready.front() else { return RefusalPlace::default() };
        match self.partly.filter(|(place, _)| *place == entry.place) {
            Some((_, below)) => RefusalPlace::before(before(below)),
            None => entry.to,
        }
    }

    /// Reads on until an entry is ready, or to the end of what is asked for.
    async fn fill(
        &mut self,
        feed: &dyn ProjectionStore,
        question: &AllOperationsQuery,
    ) -> Result<(), StoreError> {
        let earliest = question.filter.from.map_or(0, |from| from.0.saturating_sub(CLOCKS_DIFFER_MS));
        let mut reads = 0;
        while self.ready.is_empty() && !self.is_done {
            reads += 1;
            self.is_cut = reads > READS_MAX;
            if self.is_cut {
                return Ok(());
            }
            let found = self.read(feed, self.place).await?;
            self.is_done = found.len() < self.chunk;
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
                let entry = |found: crate::store::RefusedEntry| Entry {
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
    fn of_feed(entry: crate::store::FeedEntry) -> Self {
        let (from, to) = (RefusalPlace::before(entry.from), RefusalPlace::before(entry.to));
        let is_purge = entry.purged.is_some();
        Self { place: entry.place, at_ms: entry.at_ms, graph: entry.graph, from, to, is_purge }
    }
}

/// The version before this one.
fn before(version: Version) -> Version {
    Version::new(version.get().saturating_sub(1)).unwrap_or_default()
}

/// The place right after this one.
fn following(place: FeedPlace) -> FeedPlace {
    match place.minor.checked_add(1) {
        Some(minor) => FeedPlace { minor, ..place },
        None => FeedPlace { major: place.major.saturating_add(1), minor: 0 },
    }
}
