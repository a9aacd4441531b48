//! The embedded store: every history on one machine, in two SQLite files, for one process.
//!
//! Invariants:
//! - `dao.db` holds the tables. `journal.db` holds what was acknowledged and may not be in them yet. What is in neither was
//!   never acknowledged; what is in both is in the tables once.
//! - The journal thread (`journal_thread`) judges everything that waits, of all graphs, in memory, commits it as one row of the
//!   journal in one durable transaction, and answers only then. The tables thread (`tables`) moves rows into the tables in
//!   bulk, and writes what the read side keeps.
//! - A lock on `dao.lock` keeps a second process out, so what the journal thread remembers is the truth.
//! - Readers have connections of their own (`reader`), which take no lock that a writer waits for, nor wait for one of its
//!   locks. They wait for moves: what of a history, the feed or the list of graphs is asked about is in the tables before it
//!   is told, so a reader sees what was acknowledged before it asked, and never a gap; one that polls the feed sees it a
//!   moment later. Heads and records of operations are told from the tail. What the read side keeps is in the tables when it is answered.
//! - No asynchronous thread ever waits for the disk.
//!
//! Where things are: tables and connections in `schema`, the journal's file in `journal`, a round and its bytes in `round`,
//! what is not moved yet in `tail`, how appends are judged in `judge` and `operation_filter`, what moving does to the tables
//! in `moving`, what is written for the read side in `read_side_write`, what a start does in `recovery`; time windows of operations in `record_windows`, refused operations in
//! `refused_operations`, purged graphs in `purge`, copying a WAL into its file in `checkpoint`, backups in `backup`, older
//! formats in `migrate`.
//! Not here: what the bytes mean, and retries.

pub mod backup;
mod catalog;
mod checkpoint;
mod config;
mod document;
mod file_permissions;
mod journal;
mod journal_thread;
mod judge;
mod lookup;
mod migrate;
mod moving;
mod open_error;
mod operation_filter;
mod pending_write;
mod projection;
mod purge;
mod read_failure;
mod read_side_write;
mod reader;
mod record_windows;
mod recovery;
mod refused_operations;
mod round;
mod schema;
mod sync_state;
mod tables;
mod tail;
mod transaction;
mod writer;

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use dao_projections::{GraphId, Head, OperationId, Version};

pub use self::config::{EmbeddedConfig, SyncMode};
pub use self::migrate::migrate;
pub use self::open_error::OpenError;
use self::{reader::Readers, writer::Writer};
use super::{
    Append, Durability, Entry, EventStore, GraphFilter, OperationPlaces, Order, RefusalPlace, StoreError,
    StoredCommit, StoredRefusal,
};

/// The embedded store. Dropping it finishes what was asked and ends its threads, as
/// [`EventStore::close`] does without holding up an asynchronous thread.
#[derive(Debug)]
pub struct EmbeddedStore {
    dir: PathBuf,
    durability: SyncMode,
    // Dropped before the writer, whose connection is then the last and takes the WAL with it.
    readers: Readers,
    writer: Writer,
}

/// Says in the log, in one line, what other users may read of a data directory, if anything.
pub fn warn_where_others_may_read(dir: &Path) {
    file_permissions::warn_where_wider(dir, &[schema::path(dir), journal::path(dir), dir.join(LOCK_FILE)]);
}

impl EmbeddedStore {
    /// Opens the store in its directory; makes both if there is none. Blocks for milliseconds,
    /// longer where a crash left much of a WAL to be read or of the journal to be moved.
    pub fn open(config: EmbeddedConfig) -> Result<Self, OpenError> {
        let EmbeddedConfig { dir, durability, operation_ttl } = config;
        file_permissions::make_directory(&dir)
            .map_err(|source| OpenError::Directory { dir: dir.clone(), source })?;
        let lock = lock(&dir)?;
        let recovered = recovery::open(&dir, durability, operation_ttl)?;
        let windows = recovered.windows.published();
        let writer = Writer::start(&dir, recovered, lock, durability, operation_ttl)?;
        let readers = Readers::new(schema::path(&dir), windows, writer.tail());
        Ok(Self { dir, durability, readers, writer })
    }
}

/// Held by the process that has the directory.
const LOCK_FILE: &str = "dao.lock";

fn lock(dir: &Path) -> Result<File, OpenError> {
    let not_writable = |e: io::Error| OpenError::NotWritable { dir: dir.into(), problem: e.to_string() };
    let mut options = file_permissions::options();
    let file =
        options.create(true).write(true).truncate(false).open(dir.join(LOCK_FILE)).map_err(not_writable)?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOCK_POLL),
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked { dir: dir.into() }),
            Err(TryLockError::Error(e)) => return Err(not_writable(e)),
        }
    }
}

/// How long a held lock is waited for: its holder may be on its way out, as in a restart; or be a
/// child that was just forked, and drops what it inherited when it becomes another program.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
/// How often it is tried meanwhile.
const LOCK_POLL: Duration = Duration::from_millis(20);

#[async_trait]
impl EventStore for EmbeddedStore {
    async fn append(&self, graph: &GraphId, expected: Head, entries: &[Entry]) -> Result<Append, StoreError> {
        self.writer.append(graph, expected, &[], entries).await
    }

    async fn append_copied(
        &self,
        graph: &GraphId,
        expected: Head,
        copied: &[StoredCommit],
        entries: &[Entry],
    ) -> Result<Append, StoreError> {
        self.writer.append(graph, expected, copied, entries).await
    }

    async fn head(&self, graph: &GraphId) -> Result<Head, StoreError> {
        self.readers.head(graph).await
    }

    async fn read(
        &self,
        graph: &GraphId,
        after: Version,
        to: Version,
        limit: usize,
    ) -> Result<Vec<StoredCommit>, StoreError> {
        self.readers.read(graph, after, to, limit).await
    }

    async fn operations(
        &self,
        graph: &GraphId,
        ids: &[OperationId],
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.readers.operations(graph, ids).await
    }

    async fn refusals(
        &self,
        graph: &GraphId,
        between: (RefusalPlace, RefusalPlace),
        order: Order,
        limit: usize,
    ) -> Result<Vec<StoredRefusal>, StoreError> {
        self.readers.refusals(graph, between, order, limit).await
    }

    async fn graphs(&self, after: Option<&GraphId>, limit: usize) -> Result<Vec<GraphId>, StoreError> {
        self.readers.graphs(after, limit).await
    }

    async fn find_operation(
        &self,
        id: OperationId,
        wanted: GraphFilter,
        limit: usize,
    ) -> Result<OperationPlaces, StoreError> {
        self.readers.find_operation(id, wanted, limit).await
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.writer.check().await
    }

    fn durability(&self) -> Durability {
        let (name, meaning) = match self.durability {
            SyncMode::Fsync => {
                ("fsync", "every commit is on the disk before it is acknowledged: none can be lost")
            }
            SyncMode::Interval => (
                "interval",
                "commits are on the disk a second after they are acknowledged: a power cut can lose that second",
            ),
        };
        Durability { name: name.into(), meaning: meaning.into() }
    }

    fn location(&self) -> String {
        schema::path(&self.dir).display().to_string()
    }

    async fn close(&self) {
        self.readers.close();
        self.writer.close().await;
    }
}
