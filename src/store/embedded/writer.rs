//! The handle to the two threads that write, and the bounded queue before the first: that of the journal.
//!
//! Invariants: what was taken into the queue is finished before the threads end; and whoever waits
//! is answered, also if a thread dies. Not here: what the threads do (`journal_thread`, `tables`).

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
use tokio::sync::{Semaphore, oneshot};

use super::{
    checkpoint::Checkpointer,
    config::SyncMode,
    journal,
    journal_thread::{JournalThread, Request, Start},
    judge::Judge,
    open_error::OpenError,
    pending_write::PendingWrite,
    read_side_write::ReadSideWrite,
    recovery::Recovered,
    round::AppendRequest,
    schema,
    sync_state::{MovedMarks, SUSPECT, SyncTrouble, Synced},
    tables::{Tables, TablesThread},
    tail::Tail,
};
use crate::store::{Append, Entry, StoreError, StoredCommit};

/// Bytes that wait for the writer or are being written. A caller that finds it full waits for room.
const QUEUE_BYTES_MAX: u32 = 64 << 20;
/// What an append and each entry count for beside their bytes, so that small ones are bounded too.
const ITEM_BYTES: usize = 256;

/// The handle: cheap to ask from any task.
#[derive(Debug)]
pub(super) struct Writer {
    /// `None` once closed. Locked only to send, so that nothing is sent that nobody will take.
    queue: Mutex<Option<Sender<Request>>>,
    room: Arc<Semaphore>,
    tail: Arc<Tail>,
    /// Why the last round failed; `None` after one that didn't.
    trouble: Arc<Mutex<Option<String>>>,
    /// That of syncs of the journal which no round waits for.
    sync_trouble: Arc<SyncTrouble>,
    marks: Arc<MovedMarks>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts both threads. The lock is let go of when they end.
    pub(super) fn start(
        dir: &Path,
        recovered: Recovered,
        lock: File,
        durability: SyncMode,
        ttl: Duration,
    ) -> Result<Self, OpenError> {
        let Recovered { tables, journal: connection, windows, moved, rows } = recovered;
        let (path, live) = (schema::path(dir), windows.published());
        let (tail, marks) = (Arc::new(Tail::new(moved)), Arc::new(MovedMarks::new(moved)));
        let ttl_ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX).max(1);
        let judge = Judge::open(path.clone(), Arc::clone(&tail), live, ttl_ms)?;
        let checkpointer = Checkpointer::start(&path, durability, Synced::Tables(Arc::clone(&marks)))?;
        let mover =
            Tables::new(Arc::clone(&tail), windows, Arc::clone(&marks), durability, checkpointer, tables);
        let sync_trouble = Arc::new(SyncTrouble::default());
        let synced = Synced::Journal(Arc::clone(&sync_trouble));
        let checkpointer = Checkpointer::start(&journal::path(dir), durability, synced)?;
        let tables = thread::Builder::new()
            .name("dao-tables".into())
            .spawn(move || mover.run())
            .map_err(OpenError::Thread)?;
        let tables = TablesThread::new(Arc::clone(&tail), tables);
        let start = Start {
            judge,
            tail: Arc::clone(&tail),
            rows,
            marks: Arc::clone(&marks),
            checkpointer,
            connection,
            tables,
            lock,
        };
        let trouble = Arc::new(Mutex::new(None));
        let (queue, requests) = channel();
        let task = JournalThread::new(start, requests, Arc::clone(&trouble));
        let thread = thread::Builder::new()
            .name("dao-journal".into())
            .spawn(move || task.run())
            .map_err(OpenError::Thread)?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            room: Arc::new(Semaphore::new(QUEUE_BYTES_MAX as usize)),
            tail,
            trouble,
            sync_trouble,
            marks,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// What is not in the tables yet.
    pub(super) fn tail(&self) -> Arc<Tail> {
        Arc::clone(&self.tail)
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

    /// Writes something of the read side's; whether it could be done from where it is.
    pub(super) async fn keep(&self, keep: ReadSideWrite) -> Result<bool, StoreError> {
        let cost = u32::try_from(ITEM_BYTES + keep.bytes()).unwrap_or(u32::MAX).min(QUEUE_BYTES_MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(cost).await.map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        let is_purge = matches!(keep, ReadSideWrite::Purge { .. });
        let write =
            PendingWrite { write: keep, after: 0, again_after: 0, room: Some(room), answer, turn: None };
        match is_purge {
            true => self.send(Request::Purge(Box::new(write)))?,
            false => self.tail.write(write),
        }
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Whether a write would succeed, to the journal and to the tables. Asks the disk only where the last write failed.
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
        if self.trouble.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            let (answer, answered) = oneshot::channel();
            self.send(Request::Probe(answer))?;
            answered.await.unwrap_or_else(|_| Err(closed()))?;
        }
        if let Some(why) = self.sync_trouble.get() {
            return Err(StoreError::Unavailable(why));
        }
        if self.marks.is_suspect() {
            return Err(StoreError::Unavailable(SUSPECT.into()));
        }
        if self.tail.trouble().is_none() {
            return Ok(());
        }
        let (answer, answered) = oneshot::channel();
        self.tail.probe(answer);
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Finishes what is queued, moves what is in the tail, copies both WALs and ends the threads.
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
    use std::sync::mpsc::Receiver;

    use bytes::Bytes;
    use dao_projections::OperationId;

    use super::{super::EmbeddedStore, *};
    use crate::store::{EventStore, ProjectionStore, PurgeRequest, embedded::EmbeddedConfig};

    /// A handle to a journal thread that does this.
    fn writer_to(thread: impl FnOnce(Receiver<Request>) + Send + 'static) -> Writer {
        let (queue, requests) = channel();
        Writer {
            queue: Mutex::new(Some(queue)),
            room: Arc::new(Semaphore::new(QUEUE_BYTES_MAX as usize)),
            tail: Arc::new(Tail::new(0)),
            trouble: Arc::default(),
            sync_trouble: Arc::default(),
            marks: Arc::new(MovedMarks::new(0)),
            thread: Mutex::new(Some(thread::spawn(move || thread(requests)))),
        }
    }

    #[tokio::test]
    async fn a_dead_writer_thread_hangs_nobody() {
        let writer = writer_to(|requests| {
            let _taken = requests.recv();
            panic!("as a defect would");
        });
        let graph = GraphId::parse("g").expect("a graph id");
        let taken = writer.append(&graph, Head::EMPTY, &[], &[]).await;
        assert!(matches!(taken, Err(StoreError::OutcomeUnknown(_))), "{taken:?}");
        writer.close().await;
        let refused = writer.append(&graph, Head::EMPTY, &[], &[]).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert!(writer.check().await.is_err());
    }

    #[tokio::test]
    async fn o5_after_a_failed_sync_of_the_tables_it_is_not_ready_until_the_next_start() {
        let writer = writer_to(|requests| while requests.recv().is_ok() {});
        writer.check().await.expect("it is ready");
        writer.marks.suspect();
        let refused = writer.check().await;
        assert!(
            matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("restart")),
            "{refused:?}"
        );
    }

    #[tokio::test]
    async fn v6_after_a_failed_sync_of_the_tables_commands_are_kept_and_what_stands_there_alone_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let operation_ttl = Duration::from_secs(3_600);
        let config = EmbeddedConfig { dir: dir.path().into(), durability: SyncMode::Fsync, operation_ttl };
        let store = EmbeddedStore::open(config).expect("it opens");
        let put = |expected| store.put_document("kind", "name", expected, Some(Bytes::from_static(b"one")));
        assert!(put(None).await.expect("put"));
        store.writer.marks.suspect();
        let refused = put(Some(1)).await;
        assert!(
            matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("restart")),
            "{refused:?}"
        );
        let (graph, body) = (GraphId::parse("g").expect("a graph id"), Bytes::from_static(b"body"));
        let head = Head::EMPTY.after(&body);
        let commit = Some(StoredCommit { version: head.version, hash: head.hash, body });
        let operation = OperationId::from(uuid::Uuid::nil());
        let entry = Entry { operation, record: Bytes::new(), commit, refused_at: None };
        let appended = store.append(&graph, Head::EMPTY, &[entry]).await;
        assert_eq!(appended.expect("an outcome"), Append::Appended);
        let request = PurgeRequest { expected: head, operation, fingerprint: [0; 8] };
        assert!(matches!(store.purge(&graph, &request).await, Err(StoreError::Unavailable(_))));
        assert_eq!(store.head(&graph).await.expect("a head"), head);
    }
}
