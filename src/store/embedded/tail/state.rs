//! What the tail holds, under its lock: rounds by the transaction that moves them, and who waits.
//!
//! Not here: waiting and waking (`tail`).

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use dao_projections::{GraphId, Head, OperationId, Version};

use super::super::{moving::BATCH_ENTRIES, round::Round};
use crate::store::{
    StoreError,
    embedded::pending_write::{PendingWrite, Probe},
};

/// Bytes of the tail, counted as in the queue. One round may go beyond it.
pub(super) const BYTES_MAX: usize = 64 << 20;
/// Time from the beginning of a move to that of the next, where nobody asks.
pub(super) const MOVE_PERIOD: Duration = Duration::from_millis(250);
/// The same where a reader waits.
pub(super) const MOVE_PAUSE: Duration = Duration::from_millis(20);
/// The same after a move that failed.
pub(super) const MOVE_RETRY: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(super) struct GraphTail {
    pub(super) head: Head,
    /// The version before its first commit in the batch.
    pub(super) base: Version,
    /// The last round with something of this graph.
    pub(super) seq: i64,
    pub(super) records: HashMap<OperationId, Bytes>,
}

/// What a round has of each graph.
pub(super) fn by_graph(round: &Round) -> HashMap<GraphId, GraphTail> {
    let mut graphs: HashMap<GraphId, GraphTail> = HashMap::new();
    for append in &round.appends {
        let graph = graphs
            .entry(append.graph.clone())
            .or_insert_with(|| GraphTail { base: append.expected.version, ..GraphTail::default() });
        (graph.head, graph.seq) = (append.head(), round.seq);
        graph.records.extend(append.entries.iter().map(|entry| (entry.operation, entry.record.clone())));
    }
    graphs
}

/// Rounds that are moved in one transaction.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) rounds: Vec<Arc<Round>>,
    pub(super) graphs: HashMap<GraphId, GraphTail>,
    pub(super) entries: usize,
    pub(super) bytes: usize,
    /// The number of its last round.
    pub(super) last: i64,
    /// It is being moved, and takes no more.
    pub(super) is_closed: bool,
}

impl Batch {
    /// Takes what a later round has of each graph. What is over is left in `added`, for the caller to free.
    pub(super) fn add_graphs(&mut self, added: &mut HashMap<GraphId, GraphTail>) {
        if self.graphs.is_empty() {
            return std::mem::swap(&mut self.graphs, added);
        }
        for (graph, later) in added.drain() {
            match self.graphs.entry(graph) {
                Entry::Vacant(place) => {
                    place.insert(later);
                }
                Entry::Occupied(mut place) => {
                    let known = place.get_mut();
                    (known.head, known.seq) = (later.head, later.seq);
                    known.records.extend(later.records);
                }
            }
        }
    }
}

#[derive(Default)]
pub(super) struct State {
    pub(super) batches: VecDeque<Batch>,
    pub(super) bytes: usize,
    /// The last round that is durable.
    pub(super) last: i64,
    /// The last round that is in the tables.
    pub(super) moved: i64,
    /// A reader waits for this round to be in the tables.
    pub(super) asked: i64,
    pub(super) began: Option<Instant>,
    pub(super) writes: VecDeque<PendingWrite>,
    pub(super) probes: Vec<Probe>,
    pub(super) trouble: Option<String>,
    pub(super) failures: u64,
    pub(super) is_closing: bool,
    pub(super) is_dead: bool,
}

impl State {
    /// The last round with something of this graph; 0 if there is nothing of it in the tail.
    pub(super) fn last_of(&self, graph: &GraphId) -> i64 {
        self.batches.iter().rev().find_map(|batch| batch.graphs.get(graph)).map_or(0, |graph| graph.seq)
    }

    /// Commits of this graph up to this version are in the tables; `None` if there is nothing of it in the tail.
    pub(super) fn base(&self, graph: &GraphId) -> Option<Version> {
        self.batches.iter().find_map(|batch| batch.graphs.get(graph)).map(|graph| graph.base)
    }

    pub(super) fn record(&self, graph: &GraphId, id: OperationId) -> Option<Bytes> {
        self.batches.iter().rev().find_map(|batch| batch.graphs.get(graph)?.records.get(&id).cloned())
    }

    pub(super) fn cannot_move(&self) -> StoreError {
        let why = self.trouble.as_deref().unwrap_or("it is closed");
        StoreError::Unavailable(format!("what was written can't be moved into the tables: {why}"))
    }

    /// When the first batch is to be moved.
    pub(super) fn move_due(&self, now: Instant) -> Option<Instant> {
        let batch = self.batches.front()?;
        let Some(began) = self.began else { return Some(now) };
        let pause = if self.is_closing {
            Duration::ZERO
        } else if self.trouble.is_some() {
            MOVE_RETRY
        } else if self.writes.iter().any(|write| write.turn.is_some() && write.after > self.moved)
            || self.bytes >= BYTES_MAX / 2
            || batch.entries >= BATCH_ENTRIES
        {
            Duration::ZERO
        } else if self.asked > self.moved || self.writes.iter().any(|write| write.after > self.moved) {
            MOVE_PAUSE
        } else {
            MOVE_PERIOD
        };
        Some(began + pause)
    }
}
