//! The loop of the thread that writes.
//!
//! Invariants:
//! - Everything that waits is committed in one transaction, a *round*, and answered after it.
//! - A round that fails changes nothing and is answered `Unavailable`; where that can't be made
//!   sure, `OutcomeUnknown`. The loop goes on.
//!
//! Not here: the queue (`writer`), what a round does to the tables (`append_transaction`), when the WAL is
//! copied (`checkpoint`).

use std::{
    fs::File,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, ffi};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, oneshot},
};

use super::{
    append_transaction::{AppendRequest, Appender},
    checkpoint::Checkpointer,
    projection::{self, ReadSideWrite},
    writer::Request,
};
use crate::store::{Append, StoreError};

/// Entries in one round. The rest makes the next, so that the first don't wait for the last.
const ROUND_ENTRIES_MAX: usize = 16_384;
/// Bytes in one round, counted as in the queue; one append may be larger, and is a round by itself.
const ROUND_BYTES_MAX: u32 = 8 << 20;

/// Answers of one round that the thread gives itself. To wake a task costs much less from within the runtime, so
/// where there are more, one task is woken that gives them.
const ANSWERS_MAX: usize = 2;

/// Time between two deletions of dead operation records while appends keep coming.
const PURGE_PAUSE: Duration = Duration::from_millis(50);
/// Time before the next after one that failed.
const PURGE_RETRY: Duration = Duration::from_secs(10);
/// How often the thread looks for windows of operations that have died.
const WINDOWS_PERIOD: Duration = Duration::from_secs(1);

/// How a round failed; told to everybody in it.
enum RoundFailure {
    NothingChanged(String),
    Unknown(String),
}

impl RoundFailure {
    fn to_error(&self) -> StoreError {
        match self {
            Self::NothingChanged(why) => StoreError::Unavailable(why.clone()),
            Self::Unknown(why) => StoreError::OutcomeUnknown(why.clone()),
        }
    }
}

type PendingAppend = (AppendRequest, OwnedSemaphorePermit, oneshot::Sender<Result<Append, StoreError>>);
type PendingWrite = (ReadSideWrite, OwnedSemaphorePermit, oneshot::Sender<Result<bool, StoreError>>);

/// What the parts of a round came to, in their order.
struct RoundResults {
    appends: Vec<Result<Append, StoreError>>,
    kept: Vec<Result<bool, StoreError>>,
}

/// The answers of a round, given when this is dropped: also by a runtime that is no more.
struct RoundReplies {
    appends: Vec<(PendingAppend, Result<Append, StoreError>)>,
    kept: Vec<(PendingWrite, Result<bool, StoreError>)>,
}

impl RoundReplies {
    fn len(&self) -> usize {
        self.appends.len() + self.kept.len()
    }
}

impl Drop for RoundReplies {
    fn drop(&mut self) {
        for ((_, room, answer), outcome) in self.appends.drain(..) {
            drop(room);
            let _ = answer.send(outcome);
        }
        for ((_, room, answer), kept) in self.kept.drain(..) {
            drop(room);
            let _ = answer.send(kept);
        }
    }
}

/// What the thread owns. Fields are dropped in this order: the lock last.
pub(super) struct Rounds {
    requests: Receiver<Request>,
    ledger: Appender,
    trouble: Arc<Mutex<Option<String>>>,
    /// Whether there may be dead operation records to delete.
    purging: bool,
    purge_at: Instant,
    looked: Instant,
    checkpointer: Checkpointer,
    /// Where those who wait run, if that is known.
    runtime: Option<Handle>,
    connection: Connection,
    _lock: File,
}

impl Rounds {
    pub(super) fn new(
        requests: Receiver<Request>,
        ledger: Appender,
        trouble: Arc<Mutex<Option<String>>>,
        checkpointer: Checkpointer,
        connection: Connection,
        lock: File,
    ) -> Self {
        let now = Instant::now();
        Self {
            requests,
            ledger,
            trouble,
            purging: true,
            purge_at: now,
            looked: now,
            checkpointer,
            runtime: Handle::try_current().ok(),
            connection,
            _lock: lock,
        }
    }

    /// Until the handle is gone and the queue is finished.
    pub(super) fn run(mut self) {
        loop {
            let pause = if self.purging { PURGE_PAUSE } else { WINDOWS_PERIOD };
            match self.requests.recv_timeout(pause) {
                Ok(first) => self.round(first),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.housekeep();
        }
    }

    /// Takes everything that waits, commits it, answers.
    fn round(&mut self, first: Request) {
        let (mut waiting, mut keeping, mut probes) = (Vec::new(), Vec::new(), Vec::new());
        let (mut entries, mut bytes) = (0, 0);
        let mut next = Ok(first);
        while let Ok(request) = next {
            match request {
                Request::Append { asked, room, answer } => {
                    entries += asked.copied.len() + asked.entries.len();
                    bytes += room.num_permits();
                    waiting.push((asked, room, answer));
                }
                Request::Keep { keep, room, answer } => {
                    bytes += room.num_permits();
                    keeping.push((keep, room, answer));
                }
                Request::Probe(answer) => probes.push(answer),
            }
            let full = entries >= ROUND_ENTRIES_MAX || bytes >= ROUND_BYTES_MAX as usize;
            next = if full { Err(TryRecvError::Empty) } else { self.requests.try_recv() };
        }
        if !waiting.is_empty() || !keeping.is_empty() {
            self.write(waiting, keeping);
        }
        if !probes.is_empty() {
            let fenced = self.fence();
            self.note(fenced.as_ref().err().map(ToString::to_string));
            for probe in probes {
                let _ =
                    probe.send(fenced.as_ref().map_err(|e| StoreError::Unavailable(e.to_string())).copied());
            }
        }
    }

    /// One transaction. Whoever stopped waiting for the answer is not told.
    fn write(&mut self, waiting: Vec<PendingAppend>, keeping: Vec<PendingWrite>) {
        match self.transact(&waiting, &keeping) {
            Ok(written) => {
                self.note(None);
                let answers = RoundReplies {
                    appends: waiting.into_iter().zip(written.appends).collect(),
                    kept: keeping.into_iter().zip(written.kept).collect(),
                };
                match &self.runtime {
                    Some(runtime) if answers.len() > ANSWERS_MAX => {
                        drop(runtime.spawn(async { drop(answers) }))
                    }
                    _ => drop(answers),
                }
            }
            Err(failure) => {
                let error = failure.to_error();
                tracing::warn!(appends = waiting.len(), %error, "a round of appends failed");
                self.note(Some(error.to_string()));
                for (_, room, answer) in waiting {
                    drop(room);
                    let _ = answer.send(Err(failure.to_error()));
                }
                for (_, room, answer) in keeping {
                    drop(room);
                    let _ = answer.send(Err(failure.to_error()));
                }
            }
        }
    }

    fn transact(
        &mut self,
        waiting: &[PendingAppend],
        keeping: &[PendingWrite],
    ) -> Result<RoundResults, RoundFailure> {
        let applied = self.begin().and_then(|()| {
            let appends = self.ledger.apply(&self.connection, waiting.iter().map(|w| &w.0))?;
            let kept = keeping.iter().map(|k| self.keep(&k.0));
            Ok(RoundResults { appends, kept: kept.collect::<rusqlite::Result<_>>()? })
        });
        let written = applied.map_err(|e| {
            self.roll_back();
            RoundFailure::NothingChanged(e.to_string())
        })?;
        match self.commit() {
            Ok(()) => {
                if let Err(e) = self.checkpointer.after_commit(&self.connection) {
                    tracing::warn!(error = %e, "the write-ahead log could not be looked at");
                }
                Ok(written)
            }
            Err(e) => Err(self.undo_commit(e)),
        }
    }

    /// Keeps something for the read side. What SQLite refuses of it is undone, and fails nothing else of the round.
    fn keep(&mut self, keep: &ReadSideWrite) -> rusqlite::Result<Result<bool, StoreError>> {
        self.connection.prepare_cached("SAVEPOINT keep")?.execute([])?;
        let kept = match projection::keep(&self.connection, keep) {
            Ok(kept) => {
                if let ReadSideWrite::Purge { graph, .. } = keep {
                    self.ledger.forget_graph(graph);
                }
                Ok(kept)
            }
            // SQLite has ended the whole transaction: the disk is full, or failed.
            Err(error) if self.connection.is_autocommit() => return Err(error),
            Err(error) => {
                self.connection.prepare_cached("ROLLBACK TO keep")?.execute([])?;
                Err(StoreError::Unavailable(error.to_string()))
            }
        };
        self.connection.prepare_cached("RELEASE keep")?.execute([])?;
        Ok(kept)
    }

    /// After a COMMIT that failed. Nobody sees the transaction now; but if all its frames reached
    /// the WAL and only the sync failed, a crash could bring it back. The next transaction
    /// overwrites those frames: one that succeeds makes sure.
    fn undo_commit(&mut self, error: rusqlite::Error) -> RoundFailure {
        self.roll_back();
        let short_write = matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull))
            || error.sqlite_error().is_some_and(|e| e.extended_code == ffi::SQLITE_IOERR_WRITE);
        if short_write || self.fence().is_ok() {
            return RoundFailure::NothingChanged(error.to_string());
        }
        RoundFailure::Unknown(error.to_string())
    }

    /// A durable transaction that says nothing.
    fn fence(&mut self) -> rusqlite::Result<()> {
        let written = self.begin().and_then(|()| {
            self.connection
                .prepare_cached("UPDATE meta SET value = value + 1 WHERE key = 'fence'")?
                .execute([])?;
            self.commit()
        });
        if written.is_err() {
            self.roll_back();
        }
        written
    }

    fn begin(&self) -> rusqlite::Result<()> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([]).map(drop)
    }

    fn commit(&self) -> rusqlite::Result<()> {
        self.connection.prepare_cached("COMMIT")?.execute([]).map(drop)
    }

    fn roll_back(&mut self) {
        self.ledger.forget();
        // SQLite may have done so itself.
        if !self.connection.is_autocommit()
            && let Err(e) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(error = %e, "a failed transaction could not be rolled back");
        }
    }

    fn note(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Lets old operation records go, a few at a time.
    fn housekeep(&mut self) {
        if self.looked.elapsed() >= WINDOWS_PERIOD {
            self.looked = Instant::now();
            self.purging |= self.ledger.retire_windows();
        }
        if self.purging && Instant::now() >= self.purge_at {
            self.purge_at = Instant::now() + PURGE_PAUSE;
            let purged = self.begin().and_then(|()| {
                let more = self.ledger.purge(&self.connection)?;
                self.commit()?;
                Ok(more)
            });
            self.purging = purged.unwrap_or_else(|e| {
                self.roll_back();
                self.purge_at = Instant::now() + PURGE_RETRY;
                tracing::warn!(error = %e, "old operation records could not be deleted; it will be tried again");
                true
            });
        }
    }
}
