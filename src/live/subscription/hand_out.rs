//! One look for commits to hand out: first those that the ledger knows of, then what the feed tells.
//!
//! Invariants: a look costs a bounded number of reads; what it reads and has no room for, it has not
//! taken. Not here: that two looks at once are made one after the other (`mod`).

use std::{sync::Arc, time::Duration};

use dao_projections::{GraphId, Version};
use futures::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::ledger::{Due, Ledger, Span};
use crate::{
    live::{AllGraphs, Extent, Piece, Since},
    read::CommitFilter,
    store::StoreError,
    write::Recorded,
};

/// Histories read at the same time.
const READS_AT_ONCE: usize = 16;
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

/// A commit that a consumer gets.
#[derive(Clone, Debug)]
pub struct Handed {
    /// What it settles it by.
    pub delivery_id: String,
    /// The how manieth delivery of this commit it is, from 1.
    pub attempt: u32,
    /// Whose commit.
    pub graph: GraphId,
    /// The commit.
    pub commit: Arc<Recorded>,
}

/// A look under way.
pub(super) struct Look<'a> {
    pub(super) all: &'a Arc<AllGraphs>,
    pub(super) filter: &'a CommitFilter,
    pub(super) ledger: &'a mut Ledger,
    pub(super) now_ms: u64,
    pub(super) max: usize,
    pub(super) handed: Vec<Handed>,
    pub(super) bytes: usize,
}

impl Look<'_> {
    /// Hands out what there is.
    pub(super) async fn run(mut self) -> Result<Vec<Handed>, StoreError> {
        self.ledger.expire(self.now_ms);
        self.look_at_lanes().await?;
        if self.room() > 0 {
            self.look_at_feed().await?;
        }
        Ok(self.handed)
    }

    fn room(&self) -> usize {
        if self.bytes >= HANDED_BYTES { 0 } else { self.max.saturating_sub(self.handed.len()) }
    }

    fn give(&mut self, graph: &GraphId, commit: &Arc<Recorded>) {
        let given = self.ledger.give(graph, commit.commit.version, self.now_ms);
        self.bytes += commit.body.len();
        self.handed.push(Handed {
            delivery_id: given.delivery_id,
            attempt: given.attempt,
            graph: graph.clone(),
            commit: commit.clone(),
        });
    }

    async fn look_at_lanes(&mut self) -> Result<(), StoreError> {
        for _ in 0..LANE_STEPS {
            let due = self.ledger.due(self.now_ms, self.room());
            if due.is_empty() {
                return Ok(());
            }
            let mut has_moved = false;
            for due in due.chunks(READS_AT_ONCE) {
                let mut reads = Vec::with_capacity(due.len());
                for Due { graph, span } in due {
                    reads.push(self.all.read(graph, span.from, span.to, LANE_COMMITS));
                }
                let found: Vec<_> = stream::iter(reads).buffered(READS_AT_ONCE).collect().await;
                for (due, found) in due.iter().zip(found) {
                    // What is full stays as it is, and is due the next time.
                    if self.room() > 0 {
                        let (commits, damage) = found?;
                        has_moved |= self.hand_out(due, &commits, damage);
                    }
                }
            }
            if !has_moved {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The first wanted commit of what was due; whether the ledger changed.
    fn hand_out(&mut self, due: &Due, commits: &[Arc<Recorded>], damage: Option<StoreError>) -> bool {
        let Due { graph, span } = due;
        if let Some(wanted) = commits.iter().find(|commit| self.filter.wants(graph, &commit.commit)) {
            self.give(graph, wanted);
            return true;
        }
        let last = commits.last().map(|last| last.commit.version);
        match (damage, last) {
            (None, Some(last)) => self.ledger.pass(graph, last),
            (None, None) => self.ledger.pass(graph, span.to),
            (Some(damage), last) => {
                if !self.ledger.can_park() {
                    return false;
                }
                let from = last.map_or(span.from, Version::next);
                self.ledger.park_damage(graph, Span { from, to: span.to }, &damage.to_string());
                self.ledger.pass(graph, span.to);
            }
        }
        true
    }

    /// Takes what the feed tells of, and hands out the first commit of every graph that is free.
    async fn look_at_feed(&mut self) -> Result<(), StoreError> {
        let since = match self.all.parse(self.ledger.position()) {
            Ok(position) => Since::Position(position),
            // Another number of partitions: nothing is skipped if all is read again.
            Err(_) => Since::Beginning,
        };
        let mut reader = self.all.open(since, self.filter.clone(), Extent::UntilNow).await?;
        let (begun, begun_ms, from) = (Instant::now(), self.now_ms, reader.position());
        let mut taken = 0;
        while self.room() > 0 && taken < FEED_COMMITS {
            let time = match self.handed.is_empty() {
                true if reader.position() == from => FEED_TIME_FIRST,
                true => FEED_TIME,
                false => FEED_TIME_WITH_SOME,
            };
            let Ok(Some(pieces)) = timeout_at(begun + time, reader.advance()).await else {
                self.ledger.move_to(&reader.position());
                return Ok(());
            };
            if self.handed.is_empty() {
                // Leases run from when there is something to lease.
                self.now_ms = begun_ms + begun.elapsed().as_millis() as u64;
            }
            for piece in &pieces {
                if self.room() == 0 || !self.take(piece) {
                    return Ok(());
                }
                if let Piece::Commits { commits, .. } = piece {
                    taken += commits.len();
                }
            }
        }
        Ok(())
    }

    /// Takes what is told of; false where there is no room for it.
    fn take(&mut self, piece: &Piece) -> bool {
        match piece {
            Piece::Commits { graph, commits, before, after } => {
                let (Some(first), Some(last)) = (commits.first(), commits.last()) else { return true };
                if !self.ledger.has_room_for(graph) {
                    return false;
                }
                let is_free = self.ledger.is_free(graph);
                let span = Span { from: first.commit.version, to: last.commit.version };
                let due = self.ledger.take(graph, span, before, after);
                let next = due.and_then(|due| commits.iter().find(|c| c.commit.version >= due.from));
                if let Some(next) = next.filter(|_| is_free) {
                    self.give(graph, next);
                }
                true
            }
            Piece::Damaged { graph, version, error } => {
                if !self.ledger.can_park() {
                    return false;
                }
                let span = Span { from: *version, to: Version::MAX };
                self.ledger.park_damage(graph, span, &error.to_string());
                true
            }
        }
    }
}
