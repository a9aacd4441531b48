//! One look for commits to hand out: first those that the ledger knows of, then what the feed tells, then
//! what goes with them in runs.
//!
//! Invariants: a look costs a bounded number of reads; what it reads and has no room for, it has not
//! taken. One graph whose history can't be had for now stops no other. Not here: that two looks at once are
//! made one after the other (`subscriptions`).

use std::{collections::HashMap, sync::Arc, time::Duration};

use dao_projections::{GraphId, Version};
use tokio::time::{Instant, timeout_at};

use super::{
    delivery_ledger::{DeliveryLease, DeliveryLedger},
    reads::{FeedItem, FeedRead, HistoryReads, READS_AT_ONCE, WantedCommits},
    spans::{DueSpan, RunExtension, VersionSpan},
};
use crate::{live::Piece, read::CommitFilter, store::StoreError, write::Recorded};

/// Commits of one graph that are looked at in one step for one that is wanted.
const LANE_COMMITS: usize = 32;
/// Such steps in one look.
const LANE_STEPS: usize = 8;
/// Commits that the feed tells of, wanted ones, after which a look ends.
const FEED_COMMITS: usize = 4_096;
/// How long a look at the feed waits for the first thing that comes of it. What is being read is thrown
/// away with the look, and the next one would begin with the same: large commits would never arrive.
const FEED_TIME_FIRST: Duration = Duration::from_secs(10);
/// How long a look at the feed goes on where little is wanted; the next one goes on from there.
const FEED_TIME: Duration = Duration::from_millis(500);
/// The same where there is something to hand out: leases run from about when that was found.
const FEED_TIME_WITH_SOME: Duration = Duration::from_millis(50);
/// Bytes of commits after which no more are handed out.
const HANDED_BYTES: usize = 8 << 20;
/// Commits that a run is made longer by at a time, where there is room for so many: rather a few long runs than
/// many short ones, since each takes a read.
const RUN_SHARE: usize = 64;

/// A commit that a consumer gets.
#[derive(Clone, Debug)]
pub struct DeliveredCommit {
    /// What it settles it by.
    pub delivery_id: String,
    /// The delivery attempt of this commit, from 1.
    pub attempt: u32,
    /// Whose commit.
    pub graph: GraphId,
    /// The commit.
    pub commit: Arc<Recorded>,
}

/// A look under way.
pub(super) struct DeliveryPass<'a> {
    pub(super) filter: &'a CommitFilter,
    pub(super) ledger: &'a mut DeliveryLedger,
    pub(super) reads: &'a mut HistoryReads,
    now_ms: u64,
    max: usize,
    handed: Vec<DeliveredCommit>,
    bytes: usize,
    /// Why a history could not be read.
    error: Option<StoreError>,
}

impl<'a> DeliveryPass<'a> {
    pub(super) fn new(
        filter: &'a CommitFilter,
        ledger: &'a mut DeliveryLedger,
        reads: &'a mut HistoryReads,
        now_ms: u64,
        max: usize,
    ) -> Self {
        Self { filter, ledger, reads, now_ms, max, handed: vec![], bytes: 0, error: None }
    }

    /// Hands out what there is. An error says that nothing could be.
    pub(super) async fn run(mut self) -> Result<Vec<DeliveredCommit>, StoreError> {
        self.ledger.expire(self.now_ms);
        self.look_at_lanes().await;
        if self.room() > 0 {
            self.look_at_feed().await;
        }
        self.lengthen_runs().await;
        match self.error {
            Some(error) if self.handed.is_empty() => Err(error),
            _ => Ok(by_graph(self.handed)),
        }
    }

    fn room(&self) -> usize {
        if self.bytes >= HANDED_BYTES { 0 } else { self.max.saturating_sub(self.handed.len()) }
    }

    fn give(&mut self, graph: &GraphId, commit: &Arc<Recorded>) {
        let given = self.ledger.give(graph, commit.commit.version, self.now_ms);
        self.hand(graph, commit, given);
    }

    fn hand(&mut self, graph: &GraphId, commit: &Arc<Recorded>, given: DeliveryLease) {
        self.bytes += commit.body.len();
        self.handed.push(DeliveredCommit {
            delivery_id: given.delivery_id,
            attempt: given.attempt,
            graph: graph.clone(),
            commit: commit.clone(),
        });
    }

    async fn look_at_lanes(&mut self) {
        for _ in 0..LANE_STEPS {
            let due = self.ledger.due(self.now_ms, self.room());
            let mut has_moved = false;
            for due in due.chunks(READS_AT_ONCE) {
                // What is full stays as it is, and is due the next time.
                if self.room() == 0 {
                    return;
                }
                self.reads.look(due, self.filter, LANE_COMMITS, 1).await;
                for due in due {
                    match self.reads.seen(due) {
                        Some(Ok(seen)) if self.room() > 0 => has_moved |= self.hand_out(due, &seen),
                        Some(Err(error)) => self.error = Some(error),
                        Some(Ok(_)) | None => {}
                    }
                }
            }
            if !has_moved {
                return;
            }
        }
    }

    /// The first wanted commit of what was due; whether the ledger changed.
    fn hand_out(&mut self, due: &DueSpan, seen: &WantedCommits) -> bool {
        let DueSpan { graph, span } = due;
        if let Some(wanted) = seen.wanted.first() {
            self.give(graph, wanted);
            return true;
        }
        match (&seen.damage, seen.last) {
            (None, Some(last)) => self.ledger.pass(graph, last),
            (None, None) => self.ledger.pass(graph, span.to),
            (Some(damage), last) => {
                if !self.ledger.can_park() {
                    return false;
                }
                let from = last.map_or(span.from, Version::next);
                self.ledger.park_damage(graph, VersionSpan { from, to: span.to }, damage);
                self.ledger.pass(graph, span.to);
            }
        }
        true
    }

    /// Takes what the feed tells of, and hands out the first commit of every graph that is free.
    async fn look_at_feed(&mut self) {
        if let Some(mut feed) = self.reads.feed.take() {
            // What was read from another position is of no use.
            if feed.from == self.ledger.position() {
                self.take_again(&mut feed);
            }
            self.reads.feed = Some(feed);
        }
        if self.reads.is_closed() {
            return;
        }
        let from = self.ledger.position().to_owned();
        let mut feed = FeedRead { from, told: vec![], end: None };
        if let Err(error) = self.read_feed(&mut feed).await {
            self.error = Some(error);
        }
        self.reads.feed = Some(feed);
    }

    fn take_again(&mut self, feed: &mut FeedRead) {
        for told in &mut feed.told {
            if self.room() == 0 || !self.take(told, &[]) {
                return;
            }
        }
        if let Some(end) = &feed.end {
            self.ledger.move_to(end);
        }
    }

    async fn read_feed(&mut self, feed: &mut FeedRead) -> Result<(), StoreError> {
        let mut reader = self.reads.open(&feed.from, self.filter).await?;
        let (begun, begun_ms, start) = (Instant::now(), self.now_ms, reader.position());
        let mut taken = 0;
        while self.room() > 0 && taken < FEED_COMMITS {
            let time = match self.handed.is_empty() {
                true if reader.position() == start => FEED_TIME_FIRST,
                true => FEED_TIME,
                false => FEED_TIME_WITH_SOME,
            };
            let Ok(Some(pieces)) = timeout_at(begun + time, reader.advance()).await else {
                feed.end = Some(reader.position());
                self.ledger.move_to(&reader.position());
                return Ok(());
            };
            if self.handed.is_empty() {
                // Leases run from when there is something to lease.
                self.now_ms = begun_ms + begun.elapsed().as_millis() as u64;
            }
            for piece in &pieces {
                let (Some(mut told), commits) = (FeedItem::of(piece), commits_of(piece)) else { continue };
                if self.room() == 0 || !self.take(&mut told, commits) {
                    return Ok(());
                }
                taken += commits.len();
                feed.told.push(told);
            }
        }
        Ok(())
    }

    /// Takes what is told of, and of these commits hands out the first if its graph is free; false where there
    /// is no room for it.
    fn take(&mut self, told: &mut FeedItem, commits: &[Arc<Recorded>]) -> bool {
        match told {
            FeedItem::Commits { graph, span, first, before, after } => {
                if !self.ledger.has_room_for(graph) {
                    return false;
                }
                let is_free = self.ledger.is_free(graph);
                let new = self.ledger.take(graph, *span, before, after).filter(|_| is_free);
                let Some(VersionSpan { from, .. }) = new else { return true };
                let next = match first.take().filter(|(of, _)| *of == from) {
                    Some((_, known)) => Some(known),
                    None => commits.iter().find(|commit| commit.commit.version >= from).cloned(),
                };
                if let Some(next) = next {
                    self.give(graph, &next);
                    *first = Some((from, next));
                }
                true
            }
            FeedItem::Gone { graph, after } => {
                self.ledger.forget(graph);
                self.ledger.move_to(after);
                true
            }
            FeedItem::Damaged { graph, version, problem } => {
                if !self.ledger.can_park() {
                    return false;
                }
                let span = VersionSpan { from: *version, to: Version::MAX };
                self.ledger.park_damage(graph, span, problem);
                true
            }
        }
    }

    /// What is left of the room goes to graphs that are far behind, and to runs that were not settled.
    async fn lengthen_runs(&mut self) {
        let graphs = self.handed.iter().map(|handed| handed.graph.clone());
        let graphs: Vec<GraphId> =
            graphs.filter(|graph| self.ledger.more(graph, usize::MAX).is_some()).collect();
        for (done, graph) in graphs.iter().enumerate() {
            let room = self.room();
            let share = (room / (graphs.len() - done)).max(RUN_SHARE).min(room);
            if let Some(more) = self.ledger.more(graph, share) {
                self.lengthen_run(graph, more).await;
            }
        }
    }

    async fn lengthen_run(&mut self, graph: &GraphId, RunExtension { span, count }: RunExtension) {
        let due = DueSpan { graph: graph.clone(), span };
        let commits = count.max(LANE_COMMITS);
        self.reads.look(std::slice::from_ref(&due), self.filter, commits, count).await;
        // What can't be read is found to be so when it is the first of its graph.
        let Some(Ok(seen)) = self.reads.seen(&due) else { return };
        for commit in seen.wanted.iter().take(count) {
            if self.room() == 0 {
                return;
            }
            if let Some(given) = self.ledger.extend(graph, commit.commit.version) {
                self.hand(graph, commit, given);
            }
        }
    }
}

fn commits_of(piece: &Piece) -> &[Arc<Recorded>] {
    match piece {
        Piece::Commits { commits, .. } => commits,
        Piece::Gone { .. } | Piece::Damaged { .. } => &[],
    }
}

/// Each graph's together, in the order of their first.
fn by_graph(mut handed: Vec<DeliveredCommit>) -> Vec<DeliveredCommit> {
    let mut places = HashMap::new();
    for DeliveredCommit { graph, .. } in &handed {
        let next = places.len();
        places.entry(graph.clone()).or_insert(next);
    }
    handed.sort_by_key(|handed| places.get(&handed.graph).copied());
    handed
}
