//! One reader of all graphs: from its position, by histories where it must and the feed where it
//! can, to the shared tail.

mod histories;

use std::{collections::VecDeque, sync::Arc};

use dao_projections::{GraphId, Head, Version};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::{sync::watch, time::sleep};

use super::{
    AllGraphs,
    feed_commits::{FeedCommits, PendingEntry, READS_AT_ONCE, read_step},
    position::{Histories, Position},
    sources::RETRY_AFTER,
    tail::{Tail, take_off},
};
use crate::{
    read::CommitFilter,
    store::{FeedEntry, FeedPlace, StoreError},
    write::Recorded,
};

/// Items taken from the tail at once.
const TAIL_ITEMS: usize = 256;
/// Commits of a history between two positions: so many come again at most.
const HISTORY_PIECE: usize = 32;
/// Names of graphs read at once.
const NAMES: usize = 256;

/// Something for the reader's owner.
#[derive(Debug)]
pub enum Piece {
    /// Commits of one graph, in order, with none that is not wanted.
    Commits {
        /// Whose.
        graph: GraphId,
        /// At least one.
        commits: Vec<Arc<Recorded>>,
        /// The position at each of them but the last.
        before: Arc<str>,
        /// The position at the last one.
        after: Arc<str>,
    },
    /// The graph was purged, and nothing of it is there any more (rule L10).
    Gone {
        /// Which.
        graph: GraphId,
        /// Its last version.
        head: Head,
        /// The position after it.
        after: Arc<str>,
    },
    /// The history of a graph can't be read from this version on: what follows in it until it can be
    /// read again is missing, and is told of in this way alone.
    Damaged {
        /// Whose.
        graph: GraphId,
        /// From where on.
        version: Version,
        /// Why.
        error: StoreError,
    },
}

/// A reader. What [`AllReader::next`] was not asked for, it has not read.
pub struct AllReader {
    all: Arc<AllGraphs>,
    filter: CommitFilter,
    position: Position,
    /// The position as a text, until it moves.
    text: Option<Arc<str>>,
    /// Where it ends; `None` if it goes on for ever.
    until: Option<Vec<FeedPlace>>,
    phase: ReadPhase,
}

/// Where the next commits come from.
enum ReadPhase {
    /// That is to be found out.
    Start,
    /// From the graphs' histories: of those named here next, then of those after them by name.
    Histories(VecDeque<GraphId>),
    /// From the feed, up to these places.
    Feed { to: Vec<FeedPlace>, waiting: VecDeque<PendingEntry> },
    /// From the tail, from this number on.
    Tail { tail: Arc<Tail>, moved: watch::Receiver<()>, number: u64 },
    /// From nowhere: it is at its end.
    End,
}

impl AllReader {
    pub(super) fn new(
        all: Arc<AllGraphs>,
        filter: CommitFilter,
        position: Position,
        until: Option<Vec<FeedPlace>>,
    ) -> Self {
        Self { all, filter, position, text: None, until, phase: ReadPhase::Start }
    }

    /// How far it is: everything that follows on this is still to come.
    pub fn position(&mut self) -> Arc<str> {
        let position = &self.position;
        self.text.get_or_insert_with(|| position.encode().into()).clone()
    }

    /// What comes next; waits for it. `None` at its end. An unavailable store is waited for.
    /// Cancel-safe: what was not returned is returned the next time.
    pub async fn next(&mut self) -> Option<Vec<Piece>> {
        loop {
            match self.advance().await {
                Some(pieces) if pieces.is_empty() => {}
                end_or_pieces => return end_or_pieces,
            }
        }
    }

    /// One step of [`AllReader::next`]: nothing may come of it but that the position has moved.
    pub(in crate::live) async fn advance(&mut self) -> Option<Vec<Piece>> {
        match self.step().await {
            Ok(pieces) if pieces.is_empty() && matches!(self.phase, ReadPhase::End) => None,
            Ok(pieces) => Some(pieces),
            Err(error) => {
                tracing::debug!(%error, "a reader of all graphs waits for the store");
                sleep(RETRY_AFTER).await;
                Some(vec![])
            }
        }
    }

    /// One step; state changes only after its last await.
    async fn step(&mut self) -> Result<Vec<Piece>, StoreError> {
        match &self.phase {
            ReadPhase::Start => self.start().await.map(|()| vec![]),
            ReadPhase::Histories(_) => self.step_histories().await,
            ReadPhase::Feed { .. } => self.step_feed().await,
            ReadPhase::Tail { .. } => Ok(self.step_tail().await),
            ReadPhase::End => Ok(vec![]),
        }
    }

    /// Finds out from where to read on. A part of the feed that was trimmed beyond the position, or
    /// ends before it because another feed has taken its place, is read from its beginning.
    async fn start(&mut self) -> Result<(), StoreError> {
        let bounds = self.all.sources.bounds().await?;
        let ends: Vec<FeedPlace> = bounds.iter().map(|bounds| bounds.end).collect();
        if self.position.histories.is_none() {
            let mut lost = Vec::new();
            let mut places = self.position.places.clone();
            for ((part, place), bounds) in (0_u32..).zip(&mut places).zip(&bounds) {
                if *place > bounds.end {
                    *place = FeedPlace::START;
                }
                if *place < bounds.trimmed {
                    // The feed is read on from here when the histories are: taken before they are
                    // looked at, so that nothing falls between.
                    *place = bounds.end;
                    lost.push(part);
                }
            }
            let histories = Histories { parts: lost, ..Histories::default() };
            let histories = (!histories.parts.is_empty()).then_some(histories);
            self.move_to(Position { places, histories });
        }
        if let Some(histories) = &self.position.histories {
            self.phase = ReadPhase::Histories(histories.graph.iter().cloned().collect());
            return Ok(());
        }
        if let Some(to) = self.until.clone() {
            self.phase = ReadPhase::Feed { to, waiting: VecDeque::new() };
            return Ok(());
        }
        let tail = self.all.tail(ends);
        let moved = tail.watch();
        let (base, number) = tail.base();
        let is_level = base.iter().zip(&self.position.places).all(|(base, place)| place >= base);
        self.phase = match is_level {
            true => ReadPhase::Tail { tail, moved, number },
            false => ReadPhase::Feed { to: base, waiting: VecDeque::new() },
        };
        Ok(())
    }

    fn move_to(&mut self, position: Position) {
        (self.position, self.text) = (position, None);
    }

    fn move_part(&mut self, part: u32, place: FeedPlace) {
        self.position.places[part as usize] = place;
        self.text = None;
    }

    /// Commits that the feed tells of, up to where the tail begins or the reader ends.
    async fn step_feed(&mut self) -> Result<Vec<Piece>, StoreError> {
        let ReadPhase::Feed { to, waiting } = &self.phase else { return Ok(vec![]) };
        if waiting.is_empty() {
            return self.look_into_feed(to.clone()).await.map(|()| vec![]);
        }
        let unwanted = waiting.iter().take_while(|(_, entry)| !self.filter.wants_graph(&entry.graph)).count();
        if unwanted == 0 {
            let told = read_step(&self.all.sources, waiting).await?;
            let mut pieces = Vec::new();
            for told in told {
                if let ReadPhase::Feed { waiting, .. } = &mut self.phase {
                    take_off(waiting, &told);
                }
                self.tell_entry(&mut pieces, &told);
            }
            return Ok(pieces);
        }
        let ReadPhase::Feed { waiting, .. } = &mut self.phase else { return Ok(vec![]) };
        let passed: Vec<PendingEntry> = waiting.drain(..unwanted).collect();
        passed.into_iter().for_each(|(part, entry)| self.move_part(part, entry.place));
        tokio::task::consume_budget().await;
        Ok(vec![])
    }

    /// Reads entries of the parts in which the reader is behind `to`.
    async fn look_into_feed(&mut self, to: Vec<FeedPlace>) -> Result<(), StoreError> {
        let behind: Vec<(u32, FeedPlace, FeedPlace)> = (0_u32..)
            .zip(self.position.places.iter().zip(&to))
            .filter(|(_, (place, to))| place < to)
            .map(|(part, (place, to))| (part, *place, *to))
            .take(READS_AT_ONCE)
            .collect();
        if behind.is_empty() {
            self.phase = if self.until.is_some() { ReadPhase::End } else { ReadPhase::Start };
            return Ok(());
        }
        let mut reads = Vec::with_capacity(behind.len());
        for (part, after, _) in &behind {
            reads.push(self.all.sources.chunk(*part, *after, true));
        }
        let chunks: Vec<_> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
        let mut found: VecDeque<PendingEntry> = VecDeque::new();
        let (mut is_lost, mut emptied) = (false, Vec::new());
        for ((part, after, to), (entries, bounds)) in behind.into_iter().zip(chunks) {
            if bounds.is_some_and(|bounds| bounds.trimmed > after || bounds.end < after) {
                is_lost = true;
                continue;
            }
            let mut due: Vec<FeedEntry> = entries.into_iter().take_while(|entry| entry.place <= to).collect();
            let Some(last) = due.last().map(|last| last.place) else {
                // What stood there was of graphs that were purged.
                if bounds.is_some_and(|bounds| bounds.end >= to) {
                    emptied.push((part, to));
                    continue;
                }
                // The feed has nothing up to there, where it once had: it is another one.
                match &mut self.until {
                    Some(until) => until[part as usize] = after,
                    None => is_lost = true,
                }
                continue;
            };
            // The last one moves the reader over those that are not wanted.
            due.retain(|entry| entry.place == last || self.filter.wants_graph(&entry.graph));
            found.extend(due.into_iter().map(|entry| (part, entry)));
        }
        for (part, to) in emptied {
            self.move_part(part, to);
        }
        if is_lost {
            // Where the tail has not found it out yet, it does so soon.
            sleep(RETRY_AFTER / 10).await;
            self.phase = ReadPhase::Start;
        } else {
            let to = self.until.clone().unwrap_or(to);
            self.phase = ReadPhase::Feed { to, waiting: found };
        }
        Ok(())
    }

    async fn step_tail(&mut self) -> Vec<Piece> {
        let ReadPhase::Tail { tail, moved, number } = &mut self.phase else { return vec![] };
        // What comes after this look wakes the next wait.
        moved.mark_unchanged();
        let Some(items) = tail.from(*number, TAIL_ITEMS) else {
            self.phase = ReadPhase::Start;
            return vec![];
        };
        if items.is_empty() {
            if moved.changed().await.is_err() {
                self.phase = ReadPhase::Start;
            }
            return vec![];
        }
        *number += items.len() as u64;
        let mut pieces = Vec::new();
        for told in items {
            if told.place > self.position.places[told.part as usize] {
                self.tell_entry(&mut pieces, &told);
            }
        }
        pieces
    }

    fn tell_entry(&mut self, pieces: &mut Vec<Piece>, told: &FeedCommits) {
        let is_wanted = self.filter.wants_graph(&told.graph);
        let before = if is_wanted { self.position() } else { Arc::from("") };
        if told.is_all {
            self.move_part(told.part, told.place);
        }
        if let Some(head) = told.purged.filter(|_| is_wanted) {
            let after = self.position();
            pieces.push(Piece::Gone { graph: told.graph.clone(), head, after });
        } else if is_wanted {
            self.tell(pieces, told.graph.clone(), told.commits.clone(), told.damage.clone(), before);
        }
    }

    /// Those of the commits that are wanted; the reader is where they leave it already.
    fn tell(
        &mut self,
        pieces: &mut Vec<Piece>,
        graph: GraphId,
        mut commits: Vec<Arc<Recorded>>,
        damage: Option<StoreError>,
        before: Arc<str>,
    ) {
        commits.retain(|commit| self.filter.wants(&graph, &commit.commit));
        if !commits.is_empty() {
            // Until the damage is told of, the reader is not past it.
            let after = if damage.is_some() { before.clone() } else { self.position() };
            pieces.push(Piece::Commits { graph: graph.clone(), commits, before, after });
        }
        if let Some(error) = damage {
            let version = match &error {
                StoreError::Corrupt { version, .. } => *version,
                StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_) | StoreError::NotReplicated(_) => {
                    Version::EMPTY
                }
            };
            pieces.push(Piece::Damaged { graph, version, error });
        }
    }
}
