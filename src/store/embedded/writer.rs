//! The handle to the one thread that writes, and the bounded queue before it.
//!
//! Invariants: what was taken into the queue is finished before the thread ends; and whoever waits
//! is answered, also if the thread dies. Not here: what the thread does (`rounds`).

use std::{
    fs::File,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use dao_projections::{GraphId, Head};
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{
    OpenError, SyncMode,
    append_transaction::{self, AppendRequest, Appender},
    checkpoint::Checkpointer,
    projection::ReadSideWrite,
    record_windows::{LiveWindows, RecordWindows},
    rounds::Rounds,
};
use crate::store::{Append, Entry, StoreError, StoredCommit};

/// Bytes that wait for the writer or are being written. A caller that finds it full waits for room.
const QUEUE_BYTES_MAX: u32 = 64 << 20;
/// What an append and each entry count for beside their bytes, so that small ones are bounded too.
const ITEM_BYTES: usize = 256;

pub(super) enum Request {
    Append {
        asked: AppendRequest,
        room: OwnedSemaphorePermit,
        answer: oneshot::Sender<Result<Append, StoreError>>,
    },
    /// Something of the read side's; answered whether it could be done from where it is.
    Keep {
        keep: ReadSideWrite,
        room: OwnedSemaphorePermit,
        answer: oneshot::Sender<Result<bool, StoreError>>,
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
        durability: SyncMode,
        ttl: Duration,
    ) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Database { path: path.into(), source };
        let windows =
            RecordWindows::new(append_transaction::windows_found(&connection).map_err(failed)?, ttl);
        let published = windows.published();
        let checkpointer = Checkpointer::start(path, durability)?;
        let trouble = Arc::new(Mutex::new(None));
        let (queue, requests) = channel();
        let ledger = Appender::new(windows);
        let task = Rounds::new(requests, ledger, Arc::clone(&trouble), checkpointer, connection, lock);
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
        copied: &[StoredCommit],
        entries: &[Entry],
    ) -> Result<Append, StoreError> {
        let (copied, entries) = (copied.to_vec(), entries.to_vec());
        let asked = AppendRequest { graph: graph.clone(), expected, copied, entries };
        let room = Arc::clone(&self.room).acquire_many_owned(cost(&asked)).await.map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        self.send(Request::Append { asked, room, answer })?;
        answered.await.unwrap_or_else(|_| {
            Err(StoreError::OutcomeUnknown("the writer thread died; restart the server".into()))
        })
    }

    /// Writes something of the read side's, in one of the rounds.
    pub(super) async fn keep(&self, keep: ReadSideWrite) -> Result<bool, StoreError> {
        let cost = u32::try_from(ITEM_BYTES + keep.bytes()).unwrap_or(u32::MAX).min(QUEUE_BYTES_MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(cost).await.map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        self.send(Request::Keep { keep, room, answer })?;
        answered.await.unwrap_or_else(|_| Err(closed()))
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
fn cost(asked: &AppendRequest) -> u32 {
    let commits: usize = asked.commits().map(|commit| commit.body.len()).sum();
    let records: usize = asked.entries.iter().map(|entry| ITEM_BYTES + entry.record.len()).sum();
    let bytes = commits + records + asked.copied.len() * ITEM_BYTES;
    u32::try_from(bytes + ITEM_BYTES).unwrap_or(u32::MAX).min(QUEUE_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_writer_thread_hangs_nobody() {
        let (queue, requests) = channel::<Request>();
        let thread = thread::spawn(move || {
            let _taken = requests.recv();
            panic!("as a defect would");
        });
        let writer = Writer {
            queue: Mutex::new(Some(queue)),
            room: Arc::new(Semaphore::new(QUEUE_BYTES_MAX as usize)),
            windows: LiveWindows::default(),
            trouble: Arc::default(),
            thread: Mutex::new(Some(thread)),
        };
        let graph = GraphId::parse("g").expect("a graph id");
        let taken = writer.append(&graph, Head::EMPTY, &[], &[]).await;
        assert!(matches!(taken, Err(StoreError::OutcomeUnknown(_))), "{taken:?}");
        writer.close().await;
        let refused = writer.append(&graph, Head::EMPTY, &[], &[]).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert!(writer.check().await.is_err());
    }
}
