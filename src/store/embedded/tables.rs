//! The thread that writes to the tables: it moves rounds there from the tail, and writes what the read side asks for.
//!
//! Invariants:
//! - Rounds, what the read side writes with them, and `moved` are one transaction.
//! - Who is answered that something is kept may rely on it as [`ReadSideWrite::is_durable`] says.
//! - A transaction that fails leaves its rounds in the tail; they are tried again, and what the read side wanted is
//!   refused.
//!
//! Not here: when a transaction is due (`tail`), and what it does to the tables (`moving`, `read_side_write`).

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::{runtime::Handle, sync::oneshot};

use super::{
    checkpoint::Checkpointer,
    config::SyncMode,
    moving::{self, Fit, MoveError},
    pending_write::{PendingWrite, Probe},
    read_side_write::{self, ReadSideWrite},
    record_windows::{RecordWindows, now_ms},
    round::Round,
    schema,
    sync_state::{MovedMarks, SUSPECT},
    tail::{Tail, Work},
    transaction::{Failure, is_sync_failure, transact},
};
use crate::store::StoreError;

/// Answers that the thread gives itself. To wake a task costs much less from within the runtime, so where there are more,
/// one task is woken that gives them.
const ANSWERS_MAX: usize = 2;
/// Time between two deletions of dead operation records.
const PURGE_PAUSE: Duration = Duration::from_millis(50);
/// Time before the next after one that failed.
const PURGE_RETRY: Duration = Duration::from_secs(10);
/// How often the thread looks for windows of operations that have died.
const WINDOWS_PERIOD: Duration = Duration::from_secs(1);

type Answer = (oneshot::Sender<Result<bool, StoreError>>, Result<bool, StoreError>);

/// What the thread owns.
pub(super) struct Tables {
    tail: Arc<Tail>,
    windows: RecordWindows,
    marks: Arc<MovedMarks>,
    durability: SyncMode,
    /// What the connection does at a COMMIT now.
    syncs: bool,
    /// Whether there may be dead operation records to delete.
    purging: bool,
    purge_at: Instant,
    looked: Instant,
    runtime: Option<Handle>,
    checkpointer: Checkpointer,
    connection: Connection,
}

/// Tells those who wait that there is no thread any more, however it ended.
struct Ended(Arc<Tail>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.died();
    }
}

impl Tables {
    /// On a connection that syncs each COMMIT as `durability` says.
    pub(super) fn new(
        tail: Arc<Tail>,
        windows: RecordWindows,
        marks: Arc<MovedMarks>,
        durability: SyncMode,
        checkpointer: Checkpointer,
        connection: Connection,
    ) -> Self {
        let now = Instant::now();
        Self {
            tail,
            windows,
            marks,
            durability,
            syncs: durability == SyncMode::Fsync,
            purging: true,
            purge_at: now,
            looked: now,
            runtime: Handle::try_current().ok(),
            checkpointer,
            connection,
        }
    }

    /// Until the tail is closed and empty. Then everything is in the tables, and on the disk; false where it is not.
    pub(super) fn run(mut self) -> bool {
        let _ended = Ended(Arc::clone(&self.tail));
        let is_done = self.work();
        self.checkpointer.before_close(&self.connection);
        is_done
    }

    fn work(&mut self) -> bool {
        loop {
            let rest = if self.purging { self.purge_at } else { self.looked + WINDOWS_PERIOD };
            match self.tail.next(rest) {
                Work::Write { rounds, last, writes, probes } => {
                    if !self.write(&rounds, last, writes, probes) {
                        return false;
                    }
                }
                Work::Rest => {}
                Work::End => break,
            }
            self.housekeep();
        }
        // It syncs once more.
        self.checkpointer.stop();
        if self.marks.is_suspect() {
            return false;
        }
        let synced = self.set_syncs(true).and_then(|()| schema::set_needs_journal(&self.connection, false));
        if synced.as_ref().is_err_and(is_sync_failure) {
            self.marks.suspect();
        }
        synced.is_ok()
    }

    /// One transaction; false if there will be no other.
    fn write(
        &mut self,
        rounds: &[Arc<Round>],
        last: i64,
        writes: Vec<PendingWrite>,
        probes: Vec<Probe>,
    ) -> bool {
        let writes = self.refuse_promises(writes);
        let marks = Arc::clone(&self.marks);
        let writing = marks.writing();
        let written = self.transact(rounds, &writes, !probes.is_empty());
        match written {
            Ok(kept) => {
                self.windows.count(rounds.iter().map(|round| round.records()).sum());
                marks.set_moved(last);
                drop(writing);
                self.tail.moved(last);
                for probe in probes {
                    let _ = probe.send(Ok(()));
                }
                self.answer(writes, kept, last);
                let _writing = marks.writing();
                if let Err(error) = self.checkpointer.after_commit(&self.connection) {
                    tracing::warn!(%error, "the write-ahead log could not be looked at");
                }
                true
            }
            Err(failure) => {
                tracing::warn!(rounds = rounds.len(), writes = writes.len(), error = %failure, "the tables could not be written to");
                if failure.is_unsynced {
                    marks.suspect();
                }
                drop(writing);
                let goes_on = self.tail.failed(failure.to_string());
                for probe in probes {
                    let _ = probe.send(Err(StoreError::Unavailable(failure.to_string())));
                }
                for PendingWrite { answer, .. } in writes {
                    let _ = answer.send(Err(failure.to_error()));
                }
                goes_on
            }
        }
    }

    /// After a sync that failed nothing can be promised: what has to be on the disk when it is answered is refused.
    fn refuse_promises(&self, writes: Vec<PendingWrite>) -> Vec<PendingWrite> {
        if !self.marks.is_suspect() {
            return writes;
        }
        let (promises, others) =
            writes.into_iter().partition(|pending| is_promised(self.durability, &pending.write));
        for PendingWrite { answer, .. } in Vec::into_iter(promises) {
            let _ = answer.send(Err(StoreError::Unavailable(SUSPECT.into())));
        }
        others
    }

    fn transact(
        &mut self,
        rounds: &[Arc<Round>],
        writes: &[PendingWrite],
        is_probed: bool,
    ) -> Result<Vec<Result<bool, StoreError>>, Failure> {
        let syncs = is_synced(self.durability, writes.iter().map(|pending| &pending.write), is_probed);
        self.set_syncs(syncs).map_err(Failure::nothing_changed)?;
        let window = rounds.iter().map(|round| round.at_ms).max().map(|made| self.windows.current(made));
        transact(&self.connection, || {
            move_into(&self.connection, rounds, window)?;
            let kept = writes.iter().map(|pending| keep(&self.connection, &pending.write));
            let kept = kept.collect::<rusqlite::Result<_>>()?;
            if is_probed {
                self.connection
                    .prepare_cached("UPDATE meta SET value = value + 1 WHERE key = 'fence'")?
                    .execute([])?;
            }
            Ok::<_, MoveError>(kept)
        })
    }

    fn set_syncs(&mut self, syncs: bool) -> rusqlite::Result<()> {
        if self.syncs != syncs {
            schema::set_synchronous(&self.connection, syncs)?;
            self.syncs = syncs;
        }
        Ok(())
    }

    /// Answers those who wait. What could not be done because its graph is not moved yet is tried again.
    fn answer(&self, writes: Vec<PendingWrite>, kept: Vec<Result<bool, StoreError>>, moved: i64) {
        let mut answers = Answers(Vec::with_capacity(writes.len()));
        let is_promised = |pending: &PendingWrite| is_promised(self.durability, &pending.write);
        let is_sure = !writes.iter().any(is_promised) || self.marks.is_sure();
        for (mut pending, kept) in writes.into_iter().zip(kept) {
            if !is_sure && is_promised(&pending) && matches!(kept, Ok(true)) {
                answers.0.push((pending.answer, Err(StoreError::OutcomeUnknown(SUSPECT.into()))));
                continue;
            }
            if matches!(kept, Ok(false)) && pending.again_after > moved {
                pending.after = pending.again_after;
                self.tail.write_again(pending);
                continue;
            }
            answers.0.push((pending.answer, kept));
        }
        match &self.runtime {
            Some(runtime) if answers.0.len() > ANSWERS_MAX => drop(runtime.spawn(async { drop(answers) })),
            _ => drop(answers),
        }
    }

    /// Lets old operation records go, a few at a time.
    fn housekeep(&mut self) {
        if self.looked.elapsed() >= WINDOWS_PERIOD {
            self.looked = Instant::now();
            self.purging |= self.windows.retire(now_ms());
        }
        if self.purging && Instant::now() >= self.purge_at {
            self.purge_at = Instant::now() + PURGE_PAUSE;
            let (connection, windows) = (&self.connection, &self.windows);
            let _writing = self.marks.writing();
            let purged = transact(connection, || moving::delete_dead_records(connection, windows));
            self.purging = purged.unwrap_or_else(|error| {
                if error.is_unsynced {
                    self.marks.suspect();
                }
                self.purge_at = Instant::now() + PURGE_RETRY;
                tracing::warn!(%error, "old operation records could not be deleted; it will be tried again");
                true
            });
        }
    }
}

/// The thread, for who owns it. It has ended when this is dropped: also by a panic of the owner.
pub(super) struct TablesThread {
    tail: Arc<Tail>,
    thread: Option<JoinHandle<bool>>,
}

impl TablesThread {
    pub(super) fn new(tail: Arc<Tail>, thread: JoinHandle<bool>) -> Self {
        Self { tail, thread: Some(thread) }
    }

    /// Has it finish, and says what [`Tables::run`] did.
    pub(super) fn end(mut self) -> thread::Result<bool> {
        self.join()
    }

    fn join(&mut self) -> thread::Result<bool> {
        self.tail.close();
        self.thread.take().map_or(Ok(true), JoinHandle::join)
    }
}

impl Drop for TablesThread {
    fn drop(&mut self) {
        if self.join().is_err() {
            tracing::error!("the tables thread of the store had panicked");
        }
    }
}

/// Whether the COMMIT of these is synced.
fn is_synced<'w>(
    durability: SyncMode,
    mut writes: impl Iterator<Item = &'w ReadSideWrite>,
    is_probed: bool,
) -> bool {
    let probes = is_probed && durability == SyncMode::Fsync;
    probes || writes.any(|write| is_promised(durability, write))
}

/// Whether it must be on the disk when it is answered. A purge always is: what is said to be gone does not come back
/// (rule L10).
fn is_promised(durability: SyncMode, write: &ReadSideWrite) -> bool {
    match durability {
        SyncMode::Fsync => write.is_durable(),
        SyncMode::Interval => matches!(write, ReadSideWrite::Purge { .. }),
    }
}

/// Given when this is dropped: also by a runtime that is no more.
struct Answers(Vec<Answer>);

impl Drop for Answers {
    fn drop(&mut self) {
        for (answer, kept) in self.0.drain(..) {
            let _ = answer.send(kept);
        }
    }
}

fn move_into(connection: &Connection, rounds: &[Arc<Round>], window: Option<i64>) -> Result<(), MoveError> {
    window.map_or(Ok(()), |window| moving::move_rounds(connection, rounds, window, Fit::Judged))
}

/// Keeps something for the read side. What SQLite refuses of it is undone, and fails nothing else of the transaction.
fn keep(connection: &Connection, write: &ReadSideWrite) -> rusqlite::Result<Result<bool, StoreError>> {
    connection.prepare_cached("SAVEPOINT keep")?.execute([])?;
    let kept = match read_side_write::keep(connection, write) {
        Ok(kept) => Ok(kept),
        // SQLite has ended the whole transaction: the disk is full, or failed.
        Err(error) if connection.is_autocommit() => return Err(error),
        Err(error) => {
            connection.prepare_cached("ROLLBACK TO keep")?.execute([])?;
            Err(StoreError::Unavailable(error.to_string()))
        }
    };
    connection.prepare_cached("RELEASE keep")?.execute([])?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use dao_projections::{GraphId, Head, OperationId};

    use super::*;
    use crate::store::PurgeRequest;

    #[test]
    fn l10_a_purge_is_on_the_disk_when_it_is_answered_whatever_the_durability() {
        let request = PurgeRequest {
            expected: Head::EMPTY,
            operation: OperationId::from(uuid::Uuid::nil()),
            fingerprint: [0; 8],
        };
        let purge = ReadSideWrite::Purge { graph: GraphId::parse("g").expect("an id"), request };
        let (place, trim) =
            (ReadSideWrite::Place { reader: "r".into(), seq: 1 }, ReadSideWrite::Trim { to: 1 });
        let synced = |durability, write| is_synced(durability, [&place, write].into_iter(), false);
        assert!(synced(SyncMode::Fsync, &purge) && synced(SyncMode::Interval, &purge));
        assert!(synced(SyncMode::Fsync, &trim) && !synced(SyncMode::Interval, &trim));
        assert!(!synced(SyncMode::Fsync, &place));
    }

    #[test]
    fn where_the_owner_panics_the_thread_ends_before_what_the_owner_holds_is_let_go_of() {
        let tail = Arc::new(Tail::new(0));
        let (ended, told) = mpsc::channel();
        let thread = {
            let tail = Arc::clone(&tail);
            thread::spawn(move || {
                while !matches!(tail.next(Instant::now() + WINDOWS_PERIOD), Work::End) {}
                ended.send(()).is_ok()
            })
        };
        let owner = TablesThread::new(tail, thread);
        let panicked = thread::spawn(move || {
            let _owner = owner;
            panic!("as a defect would");
        });
        assert!(panicked.join().is_err());
        told.try_recv().expect("it had ended by then");
    }
}
