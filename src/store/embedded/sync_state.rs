//! What is known of syncs that no round waits for: how far the tables are on the disk, and whether a sync ever failed.
//!
//! Invariant: after a sync of a file failed, its WAL is copied no more, not even when it is closed: the system may call pages
//! clean that the disk has not got, and the WAL is what the next start copies them from. A start that fails copies none either.
//! Not here: who syncs, and when ([`super::checkpoint`]).

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use rusqlite::{Connection, config::DbConfig};

use super::transaction::is_sync_failure;

/// What to do after a sync of the tables failed.
pub(super) const SUSPECT: &str = "what was moved into the tables may not be on the disk: check the disk and restart the \
    server; until then the journal and the log of the tables keep everything and grow";
const JOURNAL_SUSPECT: &str = "journal.db may not be on the disk as it is: check the disk and restart the server; until then its \
    log keeps everything and grows";

/// How far the tables are, for the journal.
#[derive(Debug)]
pub(super) struct MovedMarks {
    /// The last round whose transaction in the tables is committed.
    moved: AtomicI64,
    /// The last one that is there after a power cut too.
    durable: AtomicI64,
    /// A sync failed: what it was to bring to the disk may be lost though a later one succeeds. Nothing is called durable
    /// any more, and the journal keeps it for the next start.
    is_suspect: AtomicBool,
    /// Held while the tables thread writes, and until it has said how that went.
    writing: Mutex<()>,
    /// The same of the thread that copies and syncs the log.
    syncing: Mutex<()>,
}

impl MovedMarks {
    /// Where the tables have this round, and it is on the disk.
    pub(super) fn new(durable: i64) -> Self {
        Self {
            moved: AtomicI64::new(durable),
            durable: AtomicI64::new(durable),
            is_suspect: AtomicBool::new(false),
            writing: Mutex::new(()),
            syncing: Mutex::new(()),
        }
    }

    /// The tables thread writes, until this is dropped.
    pub(super) fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The other thread copies or syncs, until this is dropped.
    pub(super) fn syncing(&self) -> MutexGuard<'_, ()> {
        self.syncing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn moved(&self) -> i64 {
        self.moved.load(Ordering::Acquire)
    }

    pub(super) fn set_moved(&self, moved: i64) {
        self.moved.store(moved, Ordering::Release);
    }

    /// The last round that the journal may let go of.
    pub(super) fn durable(&self) -> i64 {
        self.durable.load(Ordering::Acquire)
    }

    /// A sync of the tables' file failed.
    pub(super) fn suspect(&self) {
        if !self.is_suspect.swap(true, Ordering::AcqRel) {
            tracing::error!("{SUSPECT}");
        }
    }

    /// Whether one ever did.
    pub(super) fn is_suspect(&self) -> bool {
        self.is_suspect.load(Ordering::Acquire)
    }

    /// A sync succeeded that began when this round was moved. If one of the tables thread had failed before, that is known
    /// when it has ended.
    pub(super) fn set_durable(&self, durable: i64) {
        drop(self.writing());
        if !self.is_suspect() {
            self.durable.fetch_max(durable, Ordering::AcqRel);
        }
    }

    /// Whether what the tables thread has just synced is on the disk: no sync of the other thread had failed before.
    pub(super) fn is_sure(&self) -> bool {
        drop(self.syncing());
        !self.is_suspect()
    }
}

/// How syncs of the journal go that no round waits for.
#[derive(Debug, Default)]
pub(super) struct SyncTrouble {
    /// Why the WAL could not be brought to the disk; `None` once it was.
    of_wal: Mutex<Option<String>>,
    /// Why the file could not be, when the WAL was copied into it. Only the next start can mend that.
    of_copy: OnceLock<&'static str>,
}

impl SyncTrouble {
    /// For who asks whether the store is well.
    pub(super) fn get(&self) -> Option<String> {
        let of_wal = |why| {
            format!("what was acknowledged could not be brought to the disk, and is tried again: {why}")
        };
        self.of_copy.get().map(|why| (*why).to_owned()).or_else(|| self.of_wal().map(of_wal))
    }

    pub(super) fn of_wal(&self) -> Option<String> {
        self.of_wal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_of_wal(&self, trouble: Option<String>) {
        *self.of_wal.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// Which file a thread is for, and who learns how its syncs go.
#[derive(Clone, Debug)]
pub(super) enum Synced {
    Journal(Arc<SyncTrouble>),
    Tables(Arc<MovedMarks>),
}

impl Synced {
    /// The WAL could not be copied into its file. To copy it, SQLite syncs both.
    pub(super) fn copy_failed(&self, error: &rusqlite::Error) {
        if !is_sync_failure(error) {
            return;
        }
        match self {
            Self::Journal(trouble) => {
                if trouble.of_copy.set(JOURNAL_SUSPECT).is_ok() {
                    tracing::error!(%error, "{JOURNAL_SUSPECT}");
                }
            }
            Self::Tables(marks) => marks.suspect(),
        }
    }

    /// Copies or syncs, until this is dropped.
    pub(super) fn syncing(&self) -> Option<MutexGuard<'_, ()>> {
        match self {
            // Who writes the journal is told by its own sync.
            Self::Journal(_) => None,
            Self::Tables(marks) => Some(marks.syncing()),
        }
    }

    /// Whether the WAL may be copied into its file.
    pub(super) fn may_copy(&self) -> bool {
        match self {
            Self::Journal(trouble) => trouble.of_copy.get().is_none(),
            Self::Tables(marks) => !marks.is_suspect(),
        }
    }

    /// Before a connection to the file is closed: the last one would copy the WAL, and delete it.
    pub(super) fn before_close(&self, connection: &Connection) {
        if !self.may_copy() {
            keep_log(connection, true);
        }
    }
}

/// Whether closing this connection leaves the WAL as it is; else the last one to be closed copies it into its file, and
/// deletes it.
pub(super) fn keep_log(connection: &Connection, keeps: bool) {
    if let Err(error) = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keeps) {
        tracing::error!(%error, "a log that has to be kept may be deleted");
    }
}
