//! What a copy is made of: the tables at one moment, and the rounds that only their journal has then.
//!
//! Not here: the copying (`backup`).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::Connection;

use super::{
    super::{
        journal, moving, recovery,
        round::Round,
        schema::{self, FORMAT},
    },
    BackupError, known_format, unreadable,
};
use crate::store::embedded::open_error::OpenError;

/// Whether what only the journal has is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Journal {
    /// There is no copy without it.
    Needed,
    /// It is not looked at.
    GivenUp,
}

/// A connection that sees the file as it is at one moment, its format, and the rounds that are not in it then.
pub(super) fn one_moment(
    from: &Path,
    journal: Journal,
) -> Result<(Connection, i64, Vec<Arc<Round>>), BackupError> {
    let failed = |source: rusqlite::Error| BackupError::Database { path: from.into(), source };
    let path = from.with_file_name(journal::NAME);
    let tables = schema::open_reader(from).map_err(|error| unreadable(from, error))?;
    // The journal's moment comes first: what is not in it any more is in the tables then.
    let held = if journal == Journal::Needed { Unmoved::hold(&path) } else { Ok(None) };
    // From the first read to the end of the transaction this connection sees one moment.
    tables.execute_batch("BEGIN").map_err(failed)?;
    let format = known_format(&tables, from)?;
    // What lies beside a file that has everything is not its journal, or has nothing more.
    let is_needed =
        journal == Journal::Needed && format == FORMAT && schema::needs_journal(&tables).map_err(failed)?;
    let unmoved = match is_needed {
        true => held?
            .ok_or_else(|| OpenError::JournalMissing { journal: path, path: from.into() })?
            .read(&tables, from)?,
        false => Vec::new(),
    };
    Ok((tables, format, unmoved))
}

/// The journal beside the file that is copied, in a read transaction.
struct Unmoved {
    connection: Connection,
    path: PathBuf,
}

impl Unmoved {
    /// As it is now; `None` where there is none, or it is just being made.
    fn hold(path: &Path) -> Result<Option<Self>, BackupError> {
        if !path.is_file() {
            return Ok(None);
        }
        let connection = schema::open_reader(path).map_err(|error| unreadable(path, error))?;
        let held = connection
            .execute_batch("BEGIN")
            .and_then(|()| connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)));
        let tables: i64 = held.map_err(|error| unreadable(path, error))?;
        Ok((tables > 0).then(|| Self { connection, path: path.into() }))
    }

    /// The rounds that are not in the tables, as these are in their transaction: as many as a server keeps in memory, so
    /// they are not copied bit by bit, and the journal is let go of before the copying begins.
    fn read(self, tables: &Connection, from: &Path) -> Result<Vec<Arc<Round>>, BackupError> {
        let (journal, failed) = (&self.connection, |error| unreadable(&self.path, error));
        if schema::store_of(journal).map_err(failed)? != schema::store_of(tables).map_err(failed)? {
            let is_empty = journal::ends(journal).map_err(failed)?.is_none();
            let (journal, path) = (self.path.clone(), from.into());
            return Err(match is_empty {
                true => OpenError::JournalMissing { journal, path },
                false => OpenError::JournalOfAnother { journal, path },
            }
            .into());
        }
        let mut last = moving::moved(tables).map_err(failed)?;
        let mut all = Vec::new();
        loop {
            let rounds = recovery::rounds_after(journal, last).map_err(failed)?.map_err(|problem| {
                OpenError::JournalUnfit { journal: self.path.clone(), path: from.into(), problem }
            })?;
            let Some(round) = rounds.last() else { return Ok(all) };
            last = round.seq;
            all.extend(rounds);
        }
    }
}
