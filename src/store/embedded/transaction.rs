//! One transaction on a connection that writes, and what it means that it failed.
//!
//! Not here: what is written in it (`journal`, `moving`, `read_side_write`).

use std::fmt::Display;

use rusqlite::{Connection, ErrorCode, ffi};

use crate::store::StoreError;

/// How a transaction failed; told to everybody in it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{why}")]
pub(super) struct Failure {
    pub(super) why: String,
    /// Whether it is as if it had never been; else a crash may bring it back.
    nothing_changed: bool,
    /// Whether what was committed before may not be on the disk either, though it was said to be.
    pub(super) is_unsynced: bool,
    /// What SQLite said, if it was SQLite.
    pub(super) sqlite: Option<ffi::Error>,
    is_damaged_graph: bool,
}

/// What is to blame for a failure.
#[derive(Debug)]
pub(super) enum Blame {
    /// What was to be written: it does not fit what is there.
    Content,
    /// One graph in the file, which is damaged.
    Graph,
    /// The file: it is damaged. What SQLite says.
    File(rusqlite::Error),
    /// The disk, or who else uses the file.
    Moment,
}

/// What fails in a transaction.
pub(super) trait Cause: Display + From<rusqlite::Error> {
    /// The error of SQLite that it is, if it is one.
    fn sqlite(&self) -> Option<&rusqlite::Error>;

    /// Whether it is that one graph in the file is damaged.
    fn is_damaged_graph(&self) -> bool {
        false
    }
}

impl Cause for rusqlite::Error {
    fn sqlite(&self) -> Option<&rusqlite::Error> {
        Some(self)
    }
}

impl Failure {
    pub(super) fn nothing_changed(why: impl Display) -> Self {
        let (nothing_changed, is_damaged_graph) = (true, false);
        Self { why: why.to_string(), nothing_changed, is_unsynced: false, sqlite: None, is_damaged_graph }
    }

    fn before_commit(cause: &impl Cause) -> Self {
        let sqlite = cause.sqlite();
        Self {
            is_unsynced: sqlite.is_some_and(is_sync_failure),
            sqlite: sqlite.and_then(|error| error.sqlite_error().copied()),
            is_damaged_graph: cause.is_damaged_graph(),
            ..Self::nothing_changed(cause)
        }
    }

    /// What is to blame.
    pub(super) fn blame(&self) -> Blame {
        let Some(error) = self.sqlite else {
            return if self.is_damaged_graph { Blame::Graph } else { Blame::Content };
        };
        match error.code {
            ErrorCode::ConstraintViolation => Blame::Content,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                Blame::File(rusqlite::Error::SqliteFailure(error, Some(self.why.clone())))
            }
            _ => Blame::Moment,
        }
    }

    pub(super) fn to_error(&self) -> StoreError {
        match self.nothing_changed {
            true => StoreError::Unavailable(self.why.clone()),
            false => StoreError::OutcomeUnknown(self.why.clone()),
        }
    }
}

/// Whether the system could not bring to the disk what it had taken.
pub(super) fn is_sync_failure(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC))
}

/// Runs `write` in a transaction of its own and commits it.
pub(super) fn transact<T, E: Cause>(
    connection: &Connection,
    write: impl FnOnce() -> Result<T, E>,
) -> Result<T, Failure> {
    let written = begin(connection).map_err(E::from).and_then(|()| write()).map_err(|error| {
        roll_back(connection);
        Failure::before_commit(&error)
    })?;
    commit(connection).map(|()| written).map_err(|error| undo_commit(connection, &error))
}

/// A durable transaction that says nothing.
pub(super) fn fence(connection: &Connection) -> rusqlite::Result<()> {
    let written = begin(connection).and_then(|()| {
        connection.prepare_cached("UPDATE meta SET value = value + 1 WHERE key = 'fence'")?.execute([])?;
        commit(connection)
    });
    if written.is_err() {
        roll_back(connection);
    }
    written
}

/// After a COMMIT that failed. Nobody sees the transaction now; but if all its frames reached the WAL and only the
/// sync failed, a crash could bring it back. The next transaction overwrites those frames: one that succeeds makes
/// sure.
fn undo_commit(connection: &Connection, error: &rusqlite::Error) -> Failure {
    roll_back(connection);
    let short_write = matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull))
        || error.sqlite_error().is_some_and(|e| e.extended_code == ffi::SQLITE_IOERR_WRITE);
    let nothing_changed = short_write || fence(connection).is_ok();
    Failure {
        why: error.to_string(),
        nothing_changed,
        is_unsynced: is_sync_failure(error),
        sqlite: error.sqlite_error().copied(),
        is_damaged_graph: false,
    }
}

fn begin(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([]).map(drop)
}

fn commit(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("COMMIT")?.execute([]).map(drop)
}

fn roll_back(connection: &Connection) {
    // SQLite may have done so itself.
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "a failed transaction could not be rolled back");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v6_a_sync_that_fails_before_the_commit_is_told_like_one_that_fails_in_it() {
        let connection = Connection::open_in_memory().expect("a connection");
        let fails = |code| {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            transact::<(), _>(&connection, || Err(error)).expect_err("it fails")
        };
        assert!(fails(ffi::SQLITE_IOERR_FSYNC).is_unsynced);
        let full = fails(ffi::SQLITE_FULL);
        assert!(!full.is_unsynced && matches!(full.blame(), Blame::Moment));
        assert!(matches!(fails(ffi::SQLITE_CONSTRAINT_PRIMARYKEY).blame(), Blame::Content));
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_CORRUPT_INDEX, ffi::SQLITE_NOTADB] {
            assert!(matches!(fails(code).blame(), Blame::File(_)));
        }
    }
}
