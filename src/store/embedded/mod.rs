//! The embedded store: every history in one SQLite file, for one process on one machine.
//!
//! Invariants:
//! - One thread writes (`writer`, `rounds`). It commits everything that waits, of all graphs, in one durable
//!   transaction, and answers only then.
//! - A lock on `dao.lock` keeps a second process out, so what the writer remembers is the truth.
//! - Readers have connections of their own (`reader`) and never block the writer, nor it them.
//! - No asynchronous thread ever waits for the disk.
//!
//! Where things are: tables and connections in `schema`, what one transaction does in `append_transaction`,
//! time windows of operations in `record_windows`, refused operations in `refused_operations`, purged graphs in `purge`, copying the WAL into the file in `checkpoint`,
//! backups in `backup`, older formats in `migrate`.
//! Not here: what the bytes mean, and retries.

mod append_transaction;
pub mod backup;
mod catalog;
mod checkpoint;
mod document;
mod file_permissions;
mod migrate;
mod projection;
mod purge;
mod reader;
mod record_windows;
mod refused_operations;
mod rounds;
mod schema;
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

use self::{reader::Readers, writer::Writer};
use super::{
    Append, Durability, Entry, EventStore, GraphFilter, OperationPlaces, Order, RefusalPlace, StoreError,
    StoredCommit, StoredRefusal,
};

pub use self::migrate::migrate;

/// When a commit is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// Before it is acknowledged.
    Fsync,
    /// At most a second after it is acknowledged: a power cut can take that second with it, the
    /// death of this process can't.
    Interval,
}

/// Where the store is and what it promises.
#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// The data directory; made if it isn't there.
    pub dir: PathBuf,
    /// When a commit is on the disk.
    pub durability: SyncMode,
    /// How long an operation's record is kept, at least (rule C3); at most twice that and a little.
    pub operation_ttl: Duration,
}

/// Why the store can't be opened: one line each, that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory isn't there and can't be made.
    #[error("cannot make the data directory {dir}: {source}; make it yourself or set DATA_DIR to another")]
    Directory {
        /// The data directory.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The directory or the file in it can't be written to.
    #[error(
        "cannot write to the data directory {dir}: {problem}; give this user the right or set DATA_DIR to another"
    )]
    NotWritable {
        /// The data directory.
        dir: PathBuf,
        /// What the system says.
        problem: String,
    },
    /// Another process has the directory.
    #[error("another process is using the data directory {dir}; stop it or set DATA_DIR to another")]
    Locked {
        /// The data directory.
        dir: PathBuf,
    },
    /// The file holds something else.
    #[error("{path} is no database of this program; move it away or set DATA_DIR to another directory")]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by an earlier program.
    #[error(
        "{path} has format {found} and this program knows {known}; back it up, then run `dao-api migrate`"
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The format that this program knows.
        known: i64,
    },
    /// The file was written by a later program.
    #[error(
        "{path} has format {found} and this program knows {known}; run the newer program or set DATA_DIR to another directory"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format that this program knows.
        known: i64,
    },
    /// SQLite says no.
    #[error("cannot open {path}: {source}; check the disk, or restore a backup if the file is damaged")]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A thread can't be started.
    #[error("cannot start a thread for the store: {0}; raise this user's limit on processes")]
    Thread(io::Error),
}

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
    file_permissions::warn_where_wider(dir, &[schema::path(dir), dir.join(LOCK_FILE)]);
}

impl EmbeddedStore {
    /// Opens the store in its directory; makes both if there is none. Blocks for milliseconds,
    /// longer where a crash left much of the WAL to be read.
    pub fn open(config: EmbeddedConfig) -> Result<Self, OpenError> {
        let EmbeddedConfig { dir, durability, operation_ttl } = config;
        file_permissions::make_directory(&dir)
            .map_err(|source| OpenError::Directory { dir: dir.clone(), source })?;
        let lock = lock(&dir)?;
        let path = schema::path(&dir);
        let connection = schema::open_writer(&dir, durability)?;
        let writer = Writer::start(connection, lock, &path, durability, operation_ttl)?;
        let readers = Readers::new(path, writer.windows());
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
