//! Copying the WAL of a file into it, beside its writer and not in its way: one thread for the journal, one for the tables.
//!
//! SQLite would do it inside some unlucky COMMIT. Here a thread of its own copies what there is,
//! whenever [`WAKE_FRAMES`] wait. Under steady load it never catches up quite, and only a WAL that
//! is wholly copied starts again from its beginning (which matters: syncing a file that grows
//! takes twice as long). So when the WAL has grown to [`RESTART_FRAMES`], the writer waits for the
//! thread to end its pass and copies the little that is left itself.
//!
//! With [`SyncMode::Interval`] the thread also brings the WAL to the disk once a second. That of the tables it brings there
//! in any case, and then says which rounds the journal may let go of ([`super::sync_state::MovedMarks`]).
//!
//! Not here: what is in the WAL, and what follows from a sync that failed ([`super::sync_state`]).

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{config::SyncMode, open_error::OpenError, schema, sync_state::Synced};

/// Pages (4 KiB) in the WAL and not yet in the file that make the thread start copying.
const WAKE_FRAMES: i64 = 2_048;

/// Pages in the WAL from which the writer looks for a moment to start it again: 64 MiB. While
/// somebody else's long read holds on to it, it grows beyond.
const RESTART_FRAMES: i64 = 16_384;

/// Time between two looks of the writer at how full the WAL is: a look costs as much as an append.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// Time between two attempts of the writer to start the WAL again.
const RESTART_PAUSE: Duration = Duration::from_millis(100);

/// How old a commit gets before it is brought to the disk, where it isn't at once.
const SYNC_PERIOD: Duration = Duration::from_secs(1);

/// Bytes of a WAL that are written again in one piece.
const REWRITTEN_BYTES: usize = 1 << 20;

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
    synced: Synced,
    /// From when the thread is woken until it has copied.
    copying: Arc<AtomicBool>,
    written: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    looked: Instant,
    restarted: Instant,
}

impl Checkpointer {
    /// Starts the thread for the file at `path`.
    pub(super) fn start(path: &Path, durability: SyncMode, synced: Synced) -> Result<Self, OpenError> {
        // Else each COMMIT brings the WAL to the disk.
        let syncs = matches!(synced, Synced::Tables(_)) || durability == SyncMode::Interval;
        let connection = schema::open_checkpointer(path, durability)
            .map_err(|source| OpenError::Database { path: path.into(), source })?;
        let written = Arc::new(AtomicBool::new(false));
        let copying = Arc::new(AtomicBool::new(false));
        let (wake, woken) = sync_channel(1);
        let of_writer = synced.clone();
        let task = CheckpointTask {
            connection,
            wal: wal_of(path),
            synced,
            syncs,
            written: Arc::clone(&written),
            copying: Arc::clone(&copying),
            woken,
        };
        let thread = thread::Builder::new()
            .name("dao-checkpoint".into())
            .spawn(move || task.run())
            .map_err(OpenError::Thread)?;
        let now = Instant::now();
        Ok(Self {
            wake: Some(wake),
            synced: of_writer,
            copying,
            written,
            thread: Some(thread),
            looked: now,
            restarted: now,
        })
    }

    /// Looks at the WAL after a commit, and has it copied where it is time.
    pub(super) fn after_commit(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.written.store(true, Ordering::Release);
        if self.looked.elapsed() < LOOK_PAUSE {
            return Ok(());
        }
        self.looked = Instant::now();
        if !self.synced.may_copy() {
            return Ok(());
        }
        let wal = pragma(connection, "PRAGMA wal_checkpoint(NOOP)")?;
        let left = wal.frames - wal.copied;
        if wal.frames >= RESTART_FRAMES && self.restarted.elapsed() >= RESTART_PAUSE {
            if !self.copying.load(Ordering::Acquire) {
                self.restarted = Instant::now();
                pragma(connection, "PRAGMA wal_checkpoint(PASSIVE)")
                    .inspect_err(|error| self.synced.copy_failed(error))?;
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

    /// Ends the thread, which syncs once more.
    pub(super) fn stop(&mut self) {
        self.wake = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the checkpoint thread of the store had panicked");
        }
    }

    /// Before the connection that writes is closed.
    pub(super) fn before_close(&self, connection: &Connection) {
        self.synced.before_close(connection);
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop();
    }
}

struct CheckpointTask {
    connection: Connection,
    wal: PathBuf,
    synced: Synced,
    /// Whether the WAL is brought to the disk once a period.
    syncs: bool,
    written: Arc<AtomicBool>,
    copying: Arc<AtomicBool>,
    woken: Receiver<()>,
}

impl CheckpointTask {
    fn run(self) {
        let period = if self.syncs { SYNC_PERIOD } else { Duration::MAX };
        let mut synced_at = Instant::now();
        loop {
            match self.woken.recv_timeout(period.saturating_sub(synced_at.elapsed())) {
                Ok(()) => {
                    let _syncing = self.synced.syncing();
                    if self.synced.may_copy()
                        && let Err(e) = pragma(&self.connection, "PRAGMA wal_checkpoint(PASSIVE)")
                    {
                        self.synced.copy_failed(&e);
                        tracing::warn!(error = %e, "the write-ahead log could not be copied; it will be tried again");
                    }
                    self.copying.store(false, Ordering::Release);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if synced_at.elapsed() >= period {
                self.sync();
                synced_at = Instant::now();
            }
        }
        if self.syncs {
            self.sync();
        }
        self.synced.before_close(&self.connection);
    }

    /// What is committed before is on the disk then: it is in the WAL, or a checkpoint has brought it into the file.
    fn sync(&self) {
        if !self.written.swap(false, Ordering::AcqRel) {
            return;
        }
        let synced = match &self.synced {
            Synced::Tables(marks) => {
                let moved = marks.moved();
                let syncing = marks.syncing();
                let synced = sync_file(&self.wal).inspect_err(|_| marks.suspect());
                drop(syncing);
                synced.map(|()| marks.set_durable(moved))
            }
            Synced::Journal(trouble) => {
                // A sync that follows on one that failed says nothing.
                let synced = match trouble.of_wal() {
                    Some(_) => {
                        write_wal_again(&self.connection, &self.wal).map(|()| trouble.set_of_wal(None))
                    }
                    None => sync_file(&self.wal),
                };
                synced.inspect_err(|error| trouble.set_of_wal(Some(error.to_string())))
            }
        };
        if let Err(error) = synced {
            self.written.store(true, Ordering::Release);
            tracing::error!(%error, "what was written could not be brought to the disk; it will be tried again");
        }
    }
}

/// Brings to the disk what is committed to the file at `path`: its WAL, and that there is one.
pub(super) fn sync_wal(path: &Path) -> io::Result<()> {
    sync_file(&wal_of(path))?;
    sync_directory(path)
}

/// Has the system bring all of a WAL to the disk, also what it takes for being there: after a sync that failed it can call
/// pages clean that the disk has not got, and another sync passes them over. So they are written again, in their place, each
/// with the bytes that it has. Nobody commits meanwhile, to the file of this connection; only the sync holds nobody up.
pub(super) fn write_wal_again(connection: &Connection, wal: &Path) -> io::Result<()> {
    // SQLite holds its locks on other files, so closing this handle lets go of none.
    let mut file = match File::options().read(true).write(true).open(wal) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    let alone = Transaction::new_unchecked(connection, TransactionBehavior::Immediate);
    let alone = alone.map_err(io::Error::other)?;
    write_again(&mut file)?;
    drop(alone);
    file.sync_all()
}

/// Writes all of it again, in its place.
fn write_again(file: &mut (impl Read + Write + Seek)) -> io::Result<()> {
    let (mut bytes, mut at) = (vec![0; REWRITTEN_BYTES], 0);
    loop {
        file.seek(SeekFrom::Start(at))?;
        let read = file.read(&mut bytes)?;
        if read == 0 {
            return Ok(());
        }
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&bytes[..read])?;
        at += read as u64;
    }
}

/// The WAL of the file at `path`.
pub(super) fn wal_of(path: &Path) -> PathBuf {
    let mut wal = OsString::from(path);
    wal.push("-wal");
    wal.into()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
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

#[cfg(test)]
mod tests;
