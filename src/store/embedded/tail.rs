//! The tail: what is durable in the journal and not yet in the tables; and how those who read, write and move agree on it.
//!
//! Invariants:
//! - A round is in the tail from when it is durable until it is in the tables. So what a reader is told by neither does
//!   not exist; the journal thread looks here first and into the tables then.
//! - Rounds leave in the order in which they came.
//! - Nobody waits for ever: where moving fails, those who wait for it are told why.
//!
//! Its bytes are bounded ([`BYTES_MAX`]): where it is full, the journal waits. Not here: how rounds are moved (`tables`,
//! `moving`), and what is in the journal's file (`journal`).

mod state;

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use dao_projections::{GraphId, Head, OperationId, Version};
use tokio::sync::watch;

use self::state::{BYTES_MAX, Batch, State};
use super::{
    moving::BATCH_ENTRIES,
    pending_write::{PendingWrite, Probe},
    read_side_write::ReadSideWrite,
    round::Round,
};
use crate::store::StoreError;

/// How far moving is, for those who wait for it.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    moved: i64,
    failures: u64,
}

/// What the tables thread is to do next.
pub(super) enum Work {
    /// One transaction: these rounds, the last with this number, then these writes.
    Write { rounds: Vec<Arc<Round>>, last: i64, writes: Vec<PendingWrite>, probes: Vec<Probe> },
    /// Nothing for the moment.
    Rest,
    /// All is done, and nothing more will come.
    End,
}

/// The tail. Shared by the two threads and all readers; its lock is held for look-ups in memory only.
pub(super) struct Tail {
    state: Mutex<State>,
    /// Wakes the tables thread, and a journal thread that waits for room.
    changed: Condvar,
    progress: watch::Sender<Progress>,
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.lock();
        f.debug_struct("Tail").field("last", &state.last).field("moved", &state.moved).finish()
    }
}

impl Tail {
    /// Empty, after this round.
    pub(super) fn new(moved: i64) -> Self {
        let state = State { last: moved, moved, ..State::default() };
        let progress = Progress { moved, failures: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new(), progress: watch::Sender::new(progress) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room for another round; why there is none where moving fails.
    pub(super) fn wait_for_room(&self) -> Result<(), String> {
        let mut state = self.lock();
        let failures = state.failures;
        while state.bytes >= BYTES_MAX {
            if state.is_dead || state.failures != failures || state.trouble.is_some() {
                let why = state.trouble.clone().unwrap_or_default();
                return Err(format!(
                    "what waits to be moved into the tables is full, and can't be moved: {why}"
                ));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Adds a round that is durable.
    pub(super) fn extend(&self, round: Round, bytes: usize) {
        let (mut graphs, entries, round) = (state::by_graph(&round), round.entries(), Arc::new(round));
        let mut state = self.lock();
        let was_empty = state.batches.is_empty();
        if state.batches.back().is_none_or(|last| last.is_closed || last.entries >= BATCH_ENTRIES) {
            state.batches.push_back(Batch::default());
        }
        state.bytes += bytes;
        state.last = round.seq;
        let Some(batch) = state.batches.back_mut() else { return };
        (batch.last, batch.bytes, batch.entries) = (round.seq, batch.bytes + bytes, batch.entries + entries);
        batch.add_graphs(&mut graphs);
        batch.rounds.push(round);
        let is_full = batch.entries >= BATCH_ENTRIES;
        // Else the tables thread knows already when it is due.
        if was_empty || is_full || state.bytes >= BYTES_MAX / 2 {
            drop(state);
            self.changed.notify_all();
        }
    }

    /// The head of a graph that has something in the tail.
    pub(super) fn head(&self, graph: &GraphId) -> Option<Head> {
        self.lock().batches.iter().rev().find_map(|batch| Some(batch.graphs.get(graph)?.head))
    }

    pub(super) fn record(&self, graph: &GraphId, id: OperationId) -> Option<Bytes> {
        self.lock().record(graph, id)
    }

    /// The records of these that are in the tail.
    pub(super) fn records(&self, graph: &GraphId, ids: &[OperationId]) -> Vec<Option<Bytes>> {
        let state = self.lock();
        ids.iter().map(|id| state.record(graph, *id)).collect()
    }

    /// The last round that is durable, and the last that is in the tables.
    pub(super) fn ends(&self) -> (i64, i64) {
        let state = self.lock();
        (state.last, state.moved)
    }

    /// Whether everything that is durable is in the tables.
    pub(super) fn is_empty(&self) -> bool {
        let (last, moved) = self.ends();
        last <= moved
    }

    /// Waits until everything of this graph that is durable now is in the tables.
    pub(super) async fn moved_of(&self, graph: &GraphId) -> Result<(), StoreError> {
        self.moved_to(|state| state.last_of(graph)).await
    }

    /// The same, if commits of it up to this version are not there yet.
    pub(super) async fn moved_of_to(&self, graph: &GraphId, to: Version) -> Result<(), StoreError> {
        self.moved_to(|state| match state.base(graph) {
            Some(base) if to > base => state.last_of(graph),
            Some(_) | None => 0,
        })
        .await
    }

    /// Waits until everything that is durable now is in the tables.
    pub(super) async fn moved_all(&self) -> Result<(), StoreError> {
        self.moved_to(|state| state.last).await
    }

    async fn moved_to(&self, target: impl FnOnce(&State) -> i64) -> Result<(), StoreError> {
        let (target, failures, mut progress) = {
            let mut state = self.lock();
            let target = target(&state);
            if target <= state.moved {
                return Ok(());
            }
            if state.is_dead {
                return Err(state.cannot_move());
            }
            state.asked = state.asked.max(target);
            (target, state.failures, self.progress.subscribe())
        };
        self.changed.notify_all();
        let seen = progress.wait_for(|now| now.moved >= target || now.failures != failures).await;
        match seen.map(|now| now.moved >= target) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(self.lock().cannot_move()),
        }
    }

    /// Gives the tables thread something to write for the read side.
    pub(super) fn write(&self, mut write: PendingWrite) {
        let mut state = self.lock();
        if state.is_dead {
            let refused = Err(state.cannot_move());
            drop(state);
            drop(write.room);
            let _ = write.answer.send(refused);
            return;
        }
        match &write.write {
            ReadSideWrite::Purge { .. } => write.after = state.last,
            ReadSideWrite::Rows { graph, .. }
            | ReadSideWrite::Park { graph, .. }
            | ReadSideWrite::Checkpoint { graph, .. } => write.again_after = state.last_of(graph),
            ReadSideWrite::Place { .. }
            | ReadSideWrite::Trim { .. }
            | ReadSideWrite::Document { .. }
            | ReadSideWrite::Sweep { .. } => {}
        }
        state.writes.push_back(write);
        drop(state);
        self.changed.notify_all();
    }

    /// Gives it once more what could not be written yet.
    pub(super) fn write_again(&self, write: PendingWrite) {
        self.lock().writes.push_back(write);
    }

    /// Why the tables can't be written to, if they could not the last time.
    pub(super) fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    /// Asks the tables thread to try.
    pub(super) fn probe(&self, probe: Probe) {
        let mut state = self.lock();
        if state.is_dead {
            let _ = probe.send(Err(state.cannot_move()));
            return;
        }
        state.probes.push(probe);
        drop(state);
        self.changed.notify_all();
    }

    /// Has the tables thread end, once all is done.
    pub(super) fn close(&self) {
        self.lock().is_closing = true;
        self.changed.notify_all();
    }

    /// The tables thread has ended: whoever waits is told so.
    pub(super) fn died(&self) {
        let (writes, probes, error) = {
            let mut state = self.lock();
            state.is_dead = true;
            if state.trouble.is_none() && !state.is_closing {
                state.trouble = Some("the thread that moves them died; restart the server".into());
            }
            (std::mem::take(&mut state.writes), std::mem::take(&mut state.probes), state.cannot_move())
        };
        for write in writes {
            let _ = write.answer.send(Err(error.clone()));
        }
        for probe in probes {
            let _ = probe.send(Err(error.clone()));
        }
        self.progress.send_modify(|progress| progress.failures += 1);
        self.changed.notify_all();
    }

    /// Waits for something to do, until `rest` at the latest.
    pub(super) fn next(&self, rest: Instant) -> Work {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let due = state.move_due(now);
            // Whether the tables can be written to shows where something is to be moved.
            let moves = due.is_some_and(|due| due <= now || !state.probes.is_empty());
            let last = match state.batches.front_mut().filter(|_| moves) {
                Some(batch) => {
                    batch.is_closed = true;
                    batch.last
                }
                None => state.moved,
            };
            let (ready, later) =
                state.writes.drain(..).partition::<VecDeque<_>, _>(|write| write.after <= last);
            state.writes = later;
            if moves || !ready.is_empty() || !state.probes.is_empty() {
                let rounds = match state.batches.front().filter(|_| moves) {
                    Some(batch) => batch.rounds.clone(),
                    None => Vec::new(),
                };
                if moves {
                    state.began = Some(now);
                }
                let probes = std::mem::take(&mut state.probes);
                return Work::Write { rounds, last, writes: ready.into(), probes };
            }
            if state.is_closing && state.batches.is_empty() && state.writes.is_empty() {
                return Work::End;
            }
            let until = due.map_or(rest, |due| due.min(rest));
            if rest <= now {
                return Work::Rest;
            }
            let waited = self.changed.wait_timeout(state, until.saturating_duration_since(now));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Everything up to this round is in the tables. They could be written to; but where rounds wait still, of which some
    /// could not be moved, that is no news.
    pub(super) fn moved(&self, last: i64) {
        let mut gone = Vec::new();
        {
            let mut state = self.lock();
            while state.batches.front().is_some_and(|batch| batch.last <= last) {
                let batch = state.batches.pop_front();
                state.bytes -= batch.as_ref().map_or(0, |batch| batch.bytes);
                gone.extend(batch);
            }
            if last > state.moved || state.batches.is_empty() {
                state.trouble = None;
            }
            state.moved = last;
            self.progress.send_modify(|progress| progress.moved = last);
        }
        self.changed.notify_all();
        // Freed when nobody waits for the lock.
        drop(gone);
    }

    /// The tables could not be written to: whoever waits for it is told why. False if that was the last attempt.
    pub(super) fn failed(&self, why: String) -> bool {
        let mut state = self.lock();
        state.trouble = Some(why);
        state.failures += 1;
        state.asked = state.moved;
        let (failures, error) = (state.failures, state.cannot_move());
        for write in state.writes.drain(..) {
            let _ = write.answer.send(Err(error.clone()));
        }
        self.progress.send_modify(|progress| progress.failures = failures);
        let goes_on = !state.is_closing;
        drop(state);
        self.changed.notify_all();
        goes_on
    }
}

#[cfg(test)]
mod tests;
