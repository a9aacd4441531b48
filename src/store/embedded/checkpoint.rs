//! Copying the WAL into the database file, beside the writer and not in its way.
//!
//! SQLite would do it inside some unlucky COMMIT. Here a thread of its own copies what there is,
//! whenever [`WAKE_FRAMES`] wait. Under steady load it never catches up quite, and only a WAL that
//! is wholly copied starts again from its beginning (which matters: syncing a file that grows
//! takes twice as long). So when the WAL has grown to [`RESTART_FRAMES`], the writer waits for the
//! thread to end its pass and copies the little that is left itself.
//!
//! With [`SyncMode::Interval`] the thread also brings the WAL to the disk once a second.
//! Not here: what is in the WAL.

use std::{
    ffi::OsString,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{OpenError, SyncMode, schema};

/// Pages (4 KiB) in the WAL and not yet in the file that make the thread start copying.
const WAKE_FRAMES: i64 = 2_048;

/// Pages in the WAL from which the writer looks for a moment to start it again: 64 MiB. While
/// somebody else's long read holds on to it, it grows beyond.
const RESTART_FRAMES: i64 = 16_384;

/// Time between two looks of the writer at how full the WAL is: a look costs as much as an append.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// Time between two attempts of the writer to start the WAL again.
const RESTART_PAUSE: Duration = Duration::from_millis(100);

/// How old a commit gets before it is brought to the disk, with [`SyncMode::Interval`].
const SYNC_PERIOD: Duration = Duration::from_secs(1);

/// How full the WAL is, in pages.
#[derive(Clone, Copy, Debug)]
struct Wal {
    frames: i64,
    copied: i64,
}

/// The writer's handle to the thread.
#[derive(Debug)]
pub(super) struct Checkpointer {
    wake: Option<SyncSender<()>>,
    /// From when the thread is woken until it has copied.
    copying: Arc<AtomicBool>,
    written: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    looked: Instant,
    restarted: Instant,
}

impl Checkpointer {
    pub(super) fn start(path: &Path, durability: SyncMode) -> Result<Self, OpenError> {
        let connection = schema::open_checkpointer(path, durability)
            .map_err(|source| OpenError::Database { path: path.into(), source })?;
        let written = Arc::new(AtomicBool::new(false));
        let copying = Arc::new(AtomicBool::new(false));
        let (wake, woken) = sync_channel(1);
        let mut wal = OsString::from(path);
        wal.push("-wal");
        let task = CheckpointTask {
            connection,
            wal: wal.into(),
            durability,
            written: Arc::clone(&written),
            copying: Arc::clone(&copying),
            woken,
        };
        let thread = thread::Builder::new()
            .name("dao-checkpoint".into())
            .spawn(move || task.run())
            .map_err(OpenError::Thread)?;
        let now = Instant::now();
        Ok(Self { wake: Some(wake), copying, written, thread: Some(thread), looked: now, restarted: now })
    }

    /// Looks at the WAL after a commit, and has it copied where it is time.
    pub(super) fn after_commit(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.written.store(true, Ordering::Release);
        if self.looked.elapsed() < LOOK_PAUSE {
            return Ok(());
        }
        self.looked = Instant::now();
        let wal = pragma(connection, "PRAGMA wal_checkpoint(NOOP)")?;
        let left = wal.frames - wal.copied;
        if wal.frames >= RESTART_FRAMES && self.restarted.elapsed() >= RESTART_PAUSE {
            if !self.copying.load(Ordering::Acquire) {
                self.restarted = Instant::now();
                pragma(connection, "PRAGMA wal_checkpoint(PASSIVE)")?;
            }
        } else if left >= WAKE_FRAMES
            && let Some(wake) = &self.wake
            && !self.copying.swap(true, Ordering::AcqRel)
        {
            // It has room: the thread took the last one before it began to copy.
            let _ = wake.try_send(());
        }
        Ok(())
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the checkpoint thread of the store had panicked");
        }
    }
}

struct CheckpointTask {
    connection: Connection,
    wal: PathBuf,
    durability: SyncMode,
    written: Arc<AtomicBool>,
    copying: Arc<AtomicBool>,
    woken: Receiver<()>,
}

impl CheckpointTask {
    fn run(self) {
        let period = match self.durability {
            SyncMode::Fsync => Duration::MAX,
            SyncMode::Interval => SYNC_PERIOD,
        };
        let mut synced = Instant::now();
        loop {
            match self.woken.recv_timeout(period.saturating_sub(synced.elapsed())) {
                Ok(()) => {
                    if let Err(e) = pragma(&self.connection, "PRAGMA wal_checkpoint(PASSIVE)") {
                        tracing::warn!(error = %e, "the write-ahead log could not be copied; it will be tried again");
                    }
                    self.copying.store(false, Ordering::Release);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if synced.elapsed() >= period {
                self.sync();
                synced = Instant::now();
            }
        }
        if self.durability == SyncMode::Interval {
            self.sync();
        }
    }

    fn sync(&self) {
        if self.written.swap(false, Ordering::AcqRel)
            && let Err(e) = sync_file(&self.wal)
        {
            self.written.store(true, Ordering::Release);
            tracing::error!(error = %e, "acknowledged commits could not be brought to the disk; it will be tried again");
        }
    }
}

/// `fdatasync`. SQLite holds its locks on other files, so closing this handle lets go of none.
fn sync_file(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Ok(file) => file.sync_data(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

fn pragma(connection: &Connection, sql: &str) -> rusqlite::Result<Wal> {
    connection.prepare_cached(sql)?.query_row([], |r| Ok(Wal { frames: r.get(1)?, copied: r.get(2)? }))
}
