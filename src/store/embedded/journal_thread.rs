//! The loop of the thread that writes the journal.
//!
//! Invariants:
//! - All appends that wait are judged in memory, written as one row in one durable transaction, a *round*, and answered
//!   after it. Where none is accepted there is nothing to write.
//! - A round that fails changes nothing and is answered `Unavailable`; where that can't be made
//!   sure, `OutcomeUnknown`. The loop goes on.
//! - A purge has its place between rounds: what was acknowledged before is in the tables when it is made, and nothing
//!   is judged meanwhile.
//! - Rows are deleted when the tables are sure to have them, some with each round.
//!
//! Not here: the queue (`writer`), how an append is judged (`judge`), the tables (`tables`), when the WAL is copied
//! (`checkpoint`).

use std::{
    fs::File,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, TryRecvError},
    },
    time::Duration,
};

use rusqlite::Connection;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, oneshot},
};

use super::{
    checkpoint::Checkpointer,
    journal,
    judge::Judge,
    pending_write::PendingWrite,
    read_side_write::ReadSideWrite,
    record_windows::now_ms,
    round::{self, AppendRequest, Round},
    sync_state::MovedMarks,
    tables::TablesThread,
    tail::Tail,
    transaction::{Failure, fence, transact},
};
use crate::store::{Append, StoreError};

/// Entries in one round. The rest makes the next, so that the first don't wait for the last.
const ROUND_ENTRIES_MAX: usize = 16_384;
/// Bytes in one round, counted as in the queue; one append may be larger, and is a round by itself.
const ROUND_BYTES_MAX: usize = 8 << 20;

/// Answers of one round that the thread gives itself. To wake a task costs much less from within the runtime, so
/// where there are more, one task is woken that gives them.
const ANSWERS_MAX: usize = 2;

/// Rows that a round deletes, if there are so many: more than one round makes, so that the file stays small.
const DELETED_WITH_ROUND: i64 = 64;
/// Rows deleted at once where nobody waits.
const DELETED_AT_REST: i64 = 1_024;
/// How long nothing comes before rows are deleted without a round.
const REST: Duration = Duration::from_millis(500);

type PendingAppend = (AppendRequest, OwnedSemaphorePermit, oneshot::Sender<Result<Append, StoreError>>);
type Answer = (OwnedSemaphorePermit, oneshot::Sender<Result<Append, StoreError>>, Result<Append, StoreError>);

/// What the journal thread is asked.
pub(super) enum Request {
    Append {
        asked: AppendRequest,
        room: OwnedSemaphorePermit,
        answer: oneshot::Sender<Result<Append, StoreError>>,
    },
    /// Has its place between rounds.
    Purge(Box<PendingWrite>),
    /// Proves that the disk takes a write.
    Probe(oneshot::Sender<Result<(), StoreError>>),
}

/// An append, and what becomes of it.
struct Judged {
    pending: PendingAppend,
    outcome: Result<Append, StoreError>,
    /// Whether the round has it: it was accepted, and there is something to write.
    is_in_round: bool,
}

/// The answers of a round, given when this is dropped: also by a runtime that is no more.
struct RoundReplies(Vec<Answer>);

impl Drop for RoundReplies {
    fn drop(&mut self) {
        for (room, answer, outcome) in self.0.drain(..) {
            drop(room);
            let _ = answer.send(outcome);
        }
    }
}

/// What the thread owns. Fields are dropped in this order, also by a panic: the lock last, after the tables thread ended.
pub(super) struct JournalThread {
    requests: Receiver<Request>,
    judge: Judge,
    tail: Arc<Tail>,
    /// The next round's number.
    next: i64,
    /// The first row that is there, if there is any.
    first: i64,
    marks: Arc<MovedMarks>,
    trouble: Arc<Mutex<Option<String>>>,
    checkpointer: Checkpointer,
    /// Where those who wait run, if that is known.
    runtime: Option<Handle>,
    connection: Connection,
    tables: TablesThread,
    _lock: File,
}

/// What the loop begins with.
pub(super) struct Start {
    pub(super) judge: Judge,
    pub(super) tail: Arc<Tail>,
    /// The numbers of the first row that is there and of the next.
    pub(super) rows: (i64, i64),
    pub(super) marks: Arc<MovedMarks>,
    pub(super) checkpointer: Checkpointer,
    /// To the journal's file.
    pub(super) connection: Connection,
    pub(super) tables: TablesThread,
    pub(super) lock: File,
}

impl JournalThread {
    pub(super) fn new(
        start: Start,
        requests: Receiver<Request>,
        trouble: Arc<Mutex<Option<String>>>,
    ) -> Self {
        let Start { judge, tail, rows: (first, next), marks, checkpointer, connection, tables, lock } = start;
        let runtime = Handle::try_current().ok();
        Self {
            requests,
            judge,
            tail,
            next,
            first,
            marks,
            trouble,
            checkpointer,
            runtime,
            connection,
            tables,
            _lock: lock,
        }
    }

    /// Until the handle is gone and the queue is finished.
    pub(super) fn run(mut self) {
        loop {
            match self.requests.recv_timeout(REST) {
                Ok(first) => self.round(first),
                Err(RecvTimeoutError::Timeout) => self.rest(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.end();
    }

    /// Takes everything that waits, commits it, answers.
    fn round(&mut self, first: Request) {
        let (mut waiting, mut purges, mut probes) = (Vec::new(), Vec::new(), Vec::new());
        let (mut entries, mut bytes) = (0, 0);
        let mut next = Ok(first);
        while let Ok(request) = next {
            match request {
                Request::Append { asked, room, answer } => {
                    entries += asked.copied.len() + asked.entries.len();
                    bytes += room.num_permits();
                    waiting.push((asked, room, answer));
                }
                Request::Purge(write) => purges.push(*write),
                Request::Probe(answer) => probes.push(answer),
            }
            let full = entries >= ROUND_ENTRIES_MAX || bytes >= ROUND_BYTES_MAX;
            next = if full { Err(TryRecvError::Empty) } else { self.requests.try_recv() };
        }
        if !waiting.is_empty() {
            self.write(waiting);
        }
        self.purge(purges);
        if !probes.is_empty() {
            let fenced = fence(&self.connection);
            self.note(fenced.as_ref().err().map(ToString::to_string));
            for probe in probes {
                let _ =
                    probe.send(fenced.as_ref().map_err(|e| StoreError::Unavailable(e.to_string())).copied());
            }
        }
    }

    /// Judges these, and makes one transaction of those that are accepted. Whoever stopped waiting for the answer is not
    /// told.
    fn write(&mut self, waiting: Vec<PendingAppend>) {
        if let Err(why) = self.tail.wait_for_room() {
            return refuse(waiting, &StoreError::Unavailable(why));
        }
        let at_ms = now_ms();
        self.judge.begin(at_ms);
        let judged: Vec<_> = waiting.into_iter().map(|pending| self.judge(pending)).collect();
        let has_round = judged.iter().any(|judged| judged.is_in_round);
        if has_round {
            let accepted = judged.iter().filter(|judged| judged.is_in_round).map(|judged| &judged.pending.0);
            let written = round::encode(at_ms, accepted)
                .map_err(Failure::nothing_changed)
                .and_then(|row| self.commit(&row));
            if let Err(failure) = written {
                let error = failure.to_error();
                tracing::warn!(appends = judged.len(), %error, "a round of appends failed");
                self.judge.forget();
                self.note(Some(error.to_string()));
                return refuse(judged.into_iter().map(|judged| judged.pending), &error);
            }
            self.note(None);
        }
        self.publish(at_ms, judged);
        if has_round {
            // Those of this round are answered: it may copy what is left of the log.
            self.look_at_wal();
        }
    }

    fn judge(&mut self, pending: PendingAppend) -> Judged {
        let (asked, ..) = &pending;
        let outcome = self.judge.judge(asked);
        let is_in_round = matches!(outcome, Ok(Append::Appended)) && !asked.is_empty();
        Judged { pending, outcome, is_in_round }
    }

    /// Adds the row of a round, and lets go of some that are in the tables.
    fn commit(&mut self, row: &[u8]) -> Result<(), Failure> {
        let first = self.deletable(DELETED_WITH_ROUND);
        transact(&self.connection, || {
            if first > self.first {
                journal::delete_to(&self.connection, first - 1)?;
            }
            journal::add(&self.connection, self.next, row)
        })?;
        (self.first, self.next) = (first, self.next + 1);
        Ok(())
    }

    /// Adds the round to the tail, and answers.
    fn publish(&mut self, at_ms: i64, judged: Vec<Judged>) {
        let (mut appends, mut answers, mut bytes) = (Vec::new(), Vec::with_capacity(judged.len()), 0);
        for Judged { pending: (asked, room, answer), outcome, is_in_round } in judged {
            if is_in_round {
                bytes += room.num_permits();
                appends.push(asked);
            }
            answers.push((room, answer, outcome));
        }
        if !appends.is_empty() {
            self.tail.extend(Round { seq: self.next - 1, at_ms, appends }, bytes);
            self.judge.keep();
        }
        let answers = RoundReplies(answers);
        match &self.runtime {
            Some(runtime) if answers.0.len() > ANSWERS_MAX => drop(runtime.spawn(async { drop(answers) })),
            _ => drop(answers),
        }
    }

    /// Has the tables thread make purges, together, after everything that is in the tail.
    fn purge(&mut self, purges: Vec<PendingWrite>) {
        let mut turns = Vec::with_capacity(purges.len());
        for mut purge in purges {
            let ReadSideWrite::Purge { graph, .. } = &purge.write else { continue };
            let (turn, done) = mpsc::channel();
            turns.push((graph.clone(), done));
            purge.turn = Some(turn);
            self.tail.write(purge);
        }
        for (graph, done) in turns {
            // The other end is dropped when the purge is made, or refused.
            let _ = done.recv();
            self.judge.forget_graph(&graph);
        }
    }

    /// The first row that stays if at most `rows` may go.
    fn deletable(&self, rows: i64) -> i64 {
        (self.marks.durable() + 1).min(self.first + rows).min(self.next).max(self.first)
    }

    /// Lets go of rows that are in the tables, while nobody waits.
    fn rest(&mut self) {
        let first = self.deletable(DELETED_AT_REST);
        if first == self.first {
            return;
        }
        match transact(&self.connection, || journal::delete_to(&self.connection, first - 1)) {
            Ok(()) => {
                self.first = first;
                self.look_at_wal();
            }
            Err(error) => tracing::warn!(%error, "moved rounds could not be deleted; it will be tried again"),
        }
    }

    fn look_at_wal(&mut self) {
        if let Err(e) = self.checkpointer.after_commit(&self.connection) {
            tracing::warn!(error = %e, "the write-ahead log could not be looked at");
        }
    }

    fn note(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Has everything moved, and leaves an empty journal if it was.
    fn end(self) {
        let Self { judge, tables, connection, checkpointer, marks, next, _lock, .. } = self;
        // Its connections go first: that of the tables takes the WAL with it.
        drop(judge);
        match tables.end() {
            Ok(true) => {
                let emptied = transact(&connection, || journal::delete_to(&connection, next));
                // Nothing of what was purged stays behind in free pages.
                let small = emptied
                    .and_then(|()| connection.execute_batch("VACUUM").map_err(Failure::nothing_changed));
                if let Err(error) = small {
                    tracing::warn!(%error, "the journal could not be emptied; the next start does it");
                }
            }
            Ok(false) if marks.is_suspect() => tracing::error!(
                "what was moved into the tables may not be on the disk; the journal has it, and the next start sees to it: \
                 check the disk"
            ),
            Ok(false) => {
                tracing::error!("not everything could be moved into the tables; the next start does it")
            }
            Err(_) => tracing::error!("the tables thread of the store had panicked"),
        }
        checkpointer.before_close(&connection);
        drop((checkpointer, connection));
    }
}

fn refuse(waiting: impl IntoIterator<Item = PendingAppend>, error: &StoreError) {
    for (_, room, answer) in waiting {
        drop(room);
        let _ = answer.send(Err(error.clone()));
    }
}
