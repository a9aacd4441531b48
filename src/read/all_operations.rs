//! Who did what in all graphs: operations, accepted and refused, the latest first (rule A1).
//!
//! Commits are found by the feed, refused operations by the list beside it, and of both only those that are asked for are
//! read. So a page costs what it looks at, however many graphs there are; and it goes back as far as the feed does.
//! A history that is damaged hides nothing of the others: what does not follow or can't be read is left out, and the audit
//! of its graph says what is wrong.
//!
//! Invariants:
//! - A page costs a bounded number of entries and operations looked at, also where none of them matches: then it is short,
//!   or empty, and says where to go on.
//! - Going on from a place never repeats and never skips what was there when the walk began.
//!
//! Not here: the operations of one graph, as far back as it goes ([`super::operations`]).

mod lists;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};

use dao_projections::{GraphId, Head, OperationId, Timestamp, Version};
use futures::{StreamExt, TryStreamExt, stream};

use self::lists::{CLOCKS_DIFFER_MS, Entry, List, ListKind, PageBudget, before};
use super::{
    AuditFilter, CommitFilter, ListedOperation,
    error::ReadError,
    history_walk::HistoryItem,
    undone::{self, UnseenBudget},
};
use crate::{
    store::{
        EventStore, FeedPlace, Order, ProjectionStore, READ_BYTES_MAX, RefusalPlace, StoreError, StoredCommit,
    },
    write::Graphs,
};

/// Commits of one entry that are read at once.
const COMMITS: u64 = 128;
/// Lists that are read at the same time.
const READS_AT_ONCE: usize = 16;
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
    page(graphs, feed, question, &PageBudget::default()).await
}

async fn page(
    graphs: &Graphs,
    feed: &dyn ProjectionStore,
    question: &AllOperationsQuery,
    budget: &PageBudget,
) -> Result<AllOperationsPage, ReadError> {
    let mut walk = Walk::begin(graphs, feed, question, budget).await?;
    let (mut page, mut bytes_kept) = (AllOperationsPage::default(), 0);
    while let Some((graph, item)) = walk.next().await? {
        let bytes = item.as_ref().map_or(0, HistoryItem::bytes);
        let found = item.map(|item| readable(question.filter.look_at(&graph, item))).transpose()?;
        if let Some(listed) = found.flatten().flatten() {
            bytes_kept += bytes;
            page.operations.push((graph, listed));
        }
        if page.operations.len() >= question.limit || bytes_kept >= READ_BYTES_MAX || budget.is_spent() {
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

/// What there is to be read; `None` if it is damaged.
fn readable<T>(found: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Asked of each graph on the page once.
async fn undone_by(
    graphs: &Graphs,
    operations: &[(GraphId, ListedOperation)],
) -> Result<HashMap<(GraphId, OperationId), OperationId>, ReadError> {
    let mut by_graph: BTreeMap<&GraphId, Vec<OperationId>> = BTreeMap::new();
    for (graph, listed) in operations {
        by_graph.entry(graph).or_default().extend(listed.accepted().map(|commit| commit.body.operation_id));
    }
    let (mut all, mut budget) = (HashMap::new(), UnseenBudget::default());
    for (graph, ids) in by_graph.into_iter().filter(|(_, ids)| !ids.is_empty()) {
        let Some(head) = readable(graphs.store().head(graph).await)? else { continue };
        let undone = undone::undone_by(graphs, graph, head.version, &ids, &mut budget).await;
        let undone = readable(undone)?.unwrap_or_default();
        all.extend(undone.into_iter().map(|(id, by)| ((graph.clone(), id), by)));
    }
    Ok(all)
}

struct Walk<'a> {
    graphs: &'a Graphs,
    feed: &'a dyn ProjectionStore,
    question: &'a AllOperationsQuery,
    budget: &'a PageBudget,
    /// Whether the page may cost no more, and nothing was told since.
    is_over: bool,
    lists: Vec<List>,
    /// The list whose entry is being read, and commits of that, the oldest first.
    commits: (usize, Vec<HistoryItem>),
}

impl<'a> Walk<'a> {
    async fn begin(
        graphs: &'a Graphs,
        feed: &'a dyn ProjectionStore,
        question: &'a AllOperationsQuery,
        budget: &'a PageBudget,
    ) -> Result<Walk<'a>, StoreError> {
        let mut lists = Vec::new();
        for part in 0..feed.feed_parts() {
            let index = part as usize;
            // A list of refused operations has places of its own.
            let [until, refused_until] = match question.filter.to {
                Some(Timestamp(to)) if question.after.is_none() => {
                    let later = to.saturating_add(CLOCKS_DIFFER_MS);
                    let before =
                        [feed.feed_place_at(part, later).await?, feed.refused_place_at(part, later).await?];
                    before.map(|before| FeedPlace { minor: u64::MAX, ..before })
                }
                _ => [FeedPlace::END; 2],
            };
            let after = question.after.as_ref();
            let commits = after.and_then(|after| after.commits.get(index).copied());
            let refused = after.and_then(|after| after.refused.get(index).copied()).unwrap_or(refused_until);
            let (place, below) = commits.unwrap_or((until, Version::EMPTY));
            let partly = (below > Version::EMPTY).then_some((place, below));
            let place = if partly.is_some() { right_after(place) } else { place };
            lists.push(List { partly, ..List::before(ListKind::Commits, part, place) });
            lists.push(List::before(ListKind::Refused, part, refused));
        }
        let mut walk = Self { graphs, feed, question, budget, is_over: false, lists, commits: (0, vec![]) };
        walk.fill().await?;
        Ok(walk)
    }

    /// Has the next entry of every list ready, if there is one.
    async fn fill(&mut self) -> Result<(), StoreError> {
        let (feed, question, budget) = (self.feed, self.question, self.budget);
        let reads: Vec<_> = self.lists.iter_mut().map(|list| list.fill(feed, question, budget)).collect();
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
                        // What it tells of is gone, or damaged.
                        self.pass(index).await?;
                        self.is_over = self.budget.is_spent();
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
        self.is_over || self.lists.iter().any(|list| list.is_cut)
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
        self.lists[index].fill(self.feed, self.question, self.budget).await
    }

    async fn refusal(&self, index: usize) -> Result<Option<HistoryItem>, StoreError> {
        let Some(Entry { graph, to, .. }) = self.lists[index].ready.front() else { return Ok(None) };
        let before = |place: RefusalPlace| RefusalPlace { number: place.number.saturating_sub(1), ..place };
        let between = (before(*to), RefusalPlace { number: to.number.saturating_add(1), ..*to });
        let found = readable(self.graphs.store().refusals(graph, between, Order::NewestFirst, 1).await)?;
        let found = found.and_then(|found| found.into_iter().next()).map(HistoryItem::Refusal);
        self.budget.spend(1, found.as_ref().map_or(0, HistoryItem::bytes));
        Ok(found)
    }

    /// The latest commits of the entry that were not told yet, up to the first that does not follow from the one before it.
    async fn read_commits(&self, index: usize) -> Result<Vec<HistoryItem>, StoreError> {
        let list = &self.lists[index];
        let Some(entry) = list.ready.front() else { return Ok(vec![]) };
        let to = list.next_place().version;
        let mut count = COMMITS.min(to.since(before(entry.from.version)));
        // A read begins at the low end and may stop early, where bodies are large: then less is asked for.
        while count > 0 {
            let after = Version::new(to.get() - count).unwrap_or_default();
            // With the one before: the first follows from it.
            let mut found = self.read_between(&entry.graph, before(after), to).await?;
            if count == 1 && found.last().is_some_and(|last| last.version == after) {
                found.extend(self.read_between(&entry.graph, after, to).await?);
            }
            if found.last().is_some_and(|last| last.version == to) {
                return Ok(following(after, found).into_iter().map(HistoryItem::Commit).collect());
            }
            count = if found.is_empty() { 0 } else { count / 2 };
        }
        Ok(vec![])
    }

    /// The commits in `(after, to]` or the first of them; none if they are damaged.
    async fn read_between(
        &self,
        graph: &GraphId,
        after: Version,
        to: Version,
    ) -> Result<Vec<StoredCommit>, StoreError> {
        let store: &dyn EventStore = &**self.graphs.store();
        let count = usize::try_from(to.since(after)).unwrap_or(usize::MAX);
        let found = readable(store.read(graph, after, to, count).await)?.unwrap_or_default();
        self.budget.spend(found.len(), found.iter().map(|stored| stored.body.len()).sum());
        Ok(found)
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

/// The commits after `after`, up to the first that does not follow. What was found begins with the one at `after`, if there
/// is one.
fn following(after: Version, found: Vec<StoredCommit>) -> Vec<StoredCommit> {
    let (mut found, mut head) = (VecDeque::from(found), Head::EMPTY);
    if after > Version::EMPTY {
        head = match found.pop_front() {
            Some(stored) if stored.version == after => stored.head(),
            Some(_) | None => return vec![],
        };
    }
    let follows = |stored: &StoredCommit| {
        head = head.after(&stored.body);
        head == stored.head()
    };
    found.into_iter().take_while(follows).collect()
}

/// The place right after this one.
fn right_after(place: FeedPlace) -> FeedPlace {
    match place.minor.checked_add(1) {
        Some(minor) => FeedPlace { minor, ..place },
        None => FeedPlace { major: place.major.saturating_add(1), minor: 0 },
    }
}
