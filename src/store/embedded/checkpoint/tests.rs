//! Tests of syncs that fail, and of what is kept then.

use std::io::Cursor;

use super::*;
use crate::store::embedded::sync_state::{MovedMarks, SyncTrouble};

#[test]
fn o5_a_failed_sync_of_the_journal_is_known_until_its_log_is_written_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, in_the_way) = (dir.path().join("in/journal.db"), dir.path().join("in"));
    let trouble = Arc::new(SyncTrouble::default());
    let task = CheckpointTask {
        connection: Connection::open_in_memory().expect("a connection"),
        wal: wal_of(&path),
        synced: Synced::Journal(Arc::clone(&trouble)),
        syncs: true,
        written: Arc::new(AtomicBool::new(true)),
        copying: Arc::default(),
        woken: sync_channel(1).1,
    };
    // The log is in no directory, but in a file.
    std::fs::write(&in_the_way, "").expect("written");
    for _ in 0..2 {
        task.sync();
        assert!(trouble.get().is_some());
    }
    std::fs::remove_file(&in_the_way).expect("removed");
    std::fs::create_dir(&in_the_way).expect("made");
    std::fs::write(wal_of(&path), "a log").expect("written");
    // A log that nobody may write to can be synced, and that is not enough.
    let other = impatient(&dir.path().join("locked"));
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let locked = CheckpointTask { connection: impatient(&dir.path().join("locked")), ..task };
    locked.sync();
    assert!(trouble.get().is_some());
    other.execute_batch("ROLLBACK").expect("free");
    locked.sync();
    assert_eq!(trouble.get(), None);
}

/// A connection that does not wait for locks.
fn impatient(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("a connection");
    connection.execute_batch("PRAGMA busy_timeout = 0").expect("set");
    connection
}

/// Keeps the places that were written.
struct Recording(Cursor<Vec<u8>>, Vec<(u64, Vec<u8>)>);

impl Read for Recording {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Seek for Recording {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl Write for Recording {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.push((self.0.position(), bytes.to_vec()));
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn v6_a_log_is_written_again_to_its_end() {
    let log: Vec<u8> = (0..2 * REWRITTEN_BYTES + 7).map(|n| (n % 251) as u8).collect();
    let mut file = Recording(Cursor::new(log.clone()), vec![]);
    write_again(&mut file).expect("written");
    let mut end = 0;
    for (at, bytes) in &file.1 {
        assert_eq!(*at, end);
        end += bytes.len() as u64;
        assert_eq!(bytes[..], log[*at as usize..end as usize]);
    }
    assert_eq!(end, log.len() as u64);
    assert_eq!(file.0.into_inner(), log);
}

/// A file with a log that is to be copied, its writer and what copies it.
fn copied_by(path: &Path, synced: Synced) -> (Connection, Checkpointer) {
    let writer = schema::open_checkpointer(path, SyncMode::Interval).expect("a connection");
    writer.execute_batch("CREATE TABLE t (b BLOB)").expect("a table");
    let checkpointer = Checkpointer::start(path, SyncMode::Interval, synced).expect("a thread");
    (writer, checkpointer)
}

#[test]
fn v6_after_a_failed_sync_a_log_is_kept_whole_for_the_next_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let failed =
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC), None);
    for is_failed in [false, true] {
        for name in ["journal", "tables"] {
            let path = dir.path().join(format!("{name}-{is_failed}"));
            std::fs::write(&path, "").expect("a file");
            let synced = match name {
                "journal" => Synced::Journal(Arc::default()),
                _ => Synced::Tables(Arc::new(MovedMarks::new(0))),
            };
            let (writer, mut checkpointer) = copied_by(&path, synced.clone());
            if is_failed {
                synced.copy_failed(&failed);
            }
            let mut is_copied = false;
            for _ in 0..RESTART_FRAMES / 256 + 8 {
                writer.execute("INSERT INTO t VALUES (zeroblob(1048576))", []).expect("added");
                checkpointer.looked -= LOOK_PAUSE;
                checkpointer.restarted -= RESTART_PAUSE;
                checkpointer.after_commit(&writer).expect("looked");
                is_copied |= pragma(&writer, "PRAGMA wal_checkpoint(NOOP)").expect("a look").copied > 0;
            }
            assert_eq!(is_copied, !is_failed, "{name}");
            drop(checkpointer);
            synced.before_close(&writer);
            drop(writer);
            let left = std::fs::metadata(wal_of(&path)).map_or(0, |log| log.len());
            assert_eq!(left > RESTART_FRAMES as u64 * 4_096, is_failed, "{name}: {left} bytes are left");
        }
    }
}
