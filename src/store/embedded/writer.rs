//! The one thread that writes, and the queue before it.
//!
//! Invariants:
//! - Everything that waits is committed in one transaction, a *round*, and answered after it.
//! - A round that fails changes nothing and is answered `Unavailable`; where that can't be made
//!   sure, `OutcomeUnknown`. The thread goes on.
//! - What was taken into the queue is finished before the thread ends.
//!
//! Not here: what a round does to the tables (`ledger`), when the WAL is copied (`checkpoint`).

use std::{
    fs::File,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use dao_projections::{GraphId, Head};
use rusqlite::{Connection, ErrorCode, ffi};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{
    OpenError, Sync,
    checkpoint::Checkpointer,
    ledger::{self, Asked, Ledger},
    windows::{LiveWindows, Windows},
};
use crate::store::{Append, Entry, StoreError};

/// Bytes that wait for the writer or are being written. Who finds it full waits for room.
const QUEUE_BYTES_MAX: u32 = 64 << 20;
/// What an append and each entry count for beside their bytes, so that small ones are bounded too.
const ITEM_BYTES: usize = 256;

/// Entries in one round. The rest makes the next, so that the first don't wait for the last.
const ROUND_ENTRIES_MAX: usize = 16_384;
/// Bytes in one round, counted as in the queue; one append may be larger, and is a round by itself.
const ROUND_BYTES_MAX: u32 = 8 << 20;

/// Time between two deletions of dead operation records while appends keep coming.
const PURGE_PAUSE: Duration = Duration::from_millis(50);
/// How often the thread looks for windows of operations that have died.
const WINDOWS_PERIOD: Duration = Duration::from_secs(1);

enum Request {
    Append {
        asked: Asked,
        room: OwnedSemaphorePermit,
        answer: oneshot::Sender<Result<Append, StoreError>>,
    },
    /// Proves that the disk takes a write.
    Probe(oneshot::Sender<Result<(), StoreError>>),
}

/// The handle: cheap to ask from any task.
#[derive(Debug)]
pub(super) struct Writer {
    /// `None` once closed. Locked only to send, so that nothing is sent that nobody will take.
    queue: Mutex<Option<Sender<Request>>>,
    room: Arc<Semaphore>,
    windows: LiveWindows,
    /// Why the last round failed; `None` after one that didn't.
    trouble: Arc<Mutex<Option<String>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread. The lock is let go of when it ends.
    pub(super) fn start(
        connection: Connection,
        lock: File,
        path: &Path,
        durability: Sync,
        ttl: Duration,
    ) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Database { path: path.into(), source };
        let windows = Windows::new(ledger::windows_found(&connection).map_err(failed)?, ttl);
        let published = windows.published();
        let checkpointer = Checkpointer::start(path, durability)?;
        let trouble = Arc::new(Mutex::new(None));
        let (queue, requests) = channel();
        let task = Task {
            requests,
            ledger: Ledger::new(windows),
            trouble: Arc::clone(&trouble),
            purging: true,
            purged: Instant::now(),
            looked: Instant::now(),
            checkpointer,
            connection,
            _lock: lock,
        };
        let thread = thread::Builder::new()
            .name("dao-writer".into())
            .spawn(move || task.run())
            .map_err(OpenError::Thread)?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            room: Arc::new(Semaphore::new(QUEUE_BYTES_MAX as usize)),
            windows: published,
            trouble,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Which windows of operations readers look into.
    pub(super) fn windows(&self) -> LiveWindows {
        self.windows.clone()
    }

    pub(super) async fn append(
        &self,
        graph: &GraphId,
        expected: Head,
        entries: &[Entry],
    ) -> Result<Append, StoreError> {
        let asked = Asked { graph: graph.clone(), expected, entries: entries.to_vec() };
        let room = Arc::clone(&self.room).acquire_many_owned(cost(entries)).await.map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        self.send(Request::Append { asked, room, answer })?;
        answered.await.unwrap_or_else(|_| {
            Err(StoreError::OutcomeUnknown("the writer thread died; restart the server".into()))
        })
    }

    /// Whether a write would succeed. Asks the disk only where the last write failed.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        if self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .is_none_or(JoinHandle::is_finished)
        {
            return Err(closed());
        }
        if self.trouble.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            return Ok(());
        }
        let (answer, answered) = oneshot::channel();
        self.send(Request::Probe(answer))?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Finishes what is queued, copies the WAL and ends the thread.
    pub(super) async fn close(&self) {
        if let Some(thread) = self.end() {
            let joined = tokio::task::spawn_blocking(|| thread.join()).await;
            report(joined.is_ok_and(|end| end.is_ok()));
        }
    }

    fn end(&self) -> Option<JoinHandle<()>> {
        self.room.close();
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn send(&self, request: Request) -> Result<(), StoreError> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.as_ref().ok_or_else(closed)?.send(request).map_err(|_| closed())
    }
}

impl Drop for Writer {
    /// Waits for the queue to be finished, so that the directory can be opened again at once.
    fn drop(&mut self) {
        if let Some(thread) = self.end() {
            report(thread.join().is_ok());
        }
    }
}

fn report(ended_well: bool) {
    if !ended_well {
        tracing::error!("the writer thread of the store had panicked");
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is closed, or its writer thread died".into())
}

/// What an append counts for in the queue.
fn cost(entries: &[Entry]) -> u32 {
    let bytes: usize = entries
        .iter()
        .map(|e| ITEM_BYTES + e.record.len() + e.commit.as_ref().map_or(0, |c| c.body.len()))
        .sum();
    u32::try_from(bytes + ITEM_BYTES).unwrap_or(u32::MAX).min(QUEUE_BYTES_MAX)
}

/// How a round failed; told to everybody in it.
enum Failure {
    NothingChanged(String),
    Unknown(String),
}

impl Failure {
    fn to_error(&self) -> StoreError {
        match self {
            Self::NothingChanged(why) => StoreError::Unavailable(why.clone()),
            Self::Unknown(why) => StoreError::OutcomeUnknown(why.clone()),
        }
    }
}

type Waiting = (Asked, OwnedSemaphorePermit, oneshot::Sender<Result<Append, StoreError>>);

/// What the thread owns. Fields are dropped in this order: the lock last.
struct Task {
    requests: Receiver<Request>,
    ledger: Ledger,
    trouble: Arc<Mutex<Option<String>>>,
    /// Whether there may be dead operation records to delete.
    purging: bool,
    purged: Instant,
    looked: Instant,
    checkpointer: Checkpointer,
    connection: Connection,
    _lock: File,
}

impl Task {
    fn run(mut self) {
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
        let (mut waiting, mut probes) = (Vec::new(), Vec::new());
        let (mut entries, mut bytes) = (0, 0);
        let mut next = Ok(first);
        while let Ok(request) = next {
            match request {
                Request::Append { asked, room, answer } => {
                    entries += asked.entries.len();
                    bytes += room.num_permits();
                    waiting.push((asked, room, answer));
                }
                Request::Probe(answer) => probes.push(answer),
            }
            let full = entries >= ROUND_ENTRIES_MAX || bytes >= ROUND_BYTES_MAX as usize;
            next = if full { Err(TryRecvError::Empty) } else { self.requests.try_recv() };
        }
        if !waiting.is_empty() {
            self.write(waiting);
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
    fn write(&mut self, waiting: Vec<Waiting>) {
        match self.transact(&waiting) {
            Ok(answers) => {
                self.note(None);
                for ((_, room, answer), outcome) in waiting.into_iter().zip(answers) {
                    drop(room);
                    let _ = answer.send(outcome);
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
            }
        }
    }

    fn transact(&mut self, waiting: &[Waiting]) -> Result<Vec<Result<Append, StoreError>>, Failure> {
        let applied =
            self.begin().and_then(|()| self.ledger.apply(&self.connection, waiting.iter().map(|w| &w.0)));
        let answers = applied.map_err(|e| {
            self.roll_back();
            Failure::NothingChanged(e.to_string())
        })?;
        match self.commit() {
            Ok(()) => {
                if let Err(e) = self.checkpointer.after_commit(&self.connection) {
                    tracing::warn!(error = %e, "the write-ahead log could not be looked at");
                }
                Ok(answers)
            }
            Err(e) => Err(self.undo_commit(e)),
        }
    }

    /// After a COMMIT that failed. Nobody sees the transaction now; but if all its frames reached
    /// the WAL and only the sync failed, a crash could bring it back. The next transaction
    /// overwrites those frames: one that succeeds makes sure.
    fn undo_commit(&mut self, error: rusqlite::Error) -> Failure {
        self.roll_back();
        let short_write = matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull))
            || error.sqlite_error().is_some_and(|e| e.extended_code == ffi::SQLITE_IOERR_WRITE);
        if short_write || self.fence().is_ok() {
            return Failure::NothingChanged(error.to_string());
        }
        Failure::Unknown(error.to_string())
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
        if self.purging && self.purged.elapsed() >= PURGE_PAUSE {
            self.purged = Instant::now();
            let purged = self.begin().and_then(|()| {
                let more = self.ledger.purge(&self.connection)?;
                self.commit()?;
                Ok(more)
            });
            self.purging = purged.unwrap_or_else(|e| {
                self.roll_back();
                tracing::warn!(error = %e, "old operation records could not be deleted; it will be tried again");
                true
            });
        }
    }
}
