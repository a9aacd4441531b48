//! The journal's file: what was acknowledged and may not be in the tables yet, one row a round.
//!
//! Invariants:
//! - A row is there from when its round is durable until a `moved` that covers it is durable in the tables' file.
//! - Rows are numbered without holes.
//! - It names the tables' file that it belongs to, by a random number that both have.
//!
//! Not here: the bytes of a row (`round`), when rows are deleted (`journal_thread`), what becomes of those that a start finds
//! (`recovery`).

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    config::SyncMode,
    file_permissions,
    open_error::OpenError,
    round::{self, Round},
    schema,
};

const TABLES: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE round (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
    INSERT INTO meta VALUES ('fence', 0), ('store', 0);
";

/// The name of the file, beside that of the tables.
pub(super) const NAME: &str = "journal.db";

/// The journal's file in the data directory.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// Opens the file to write, and makes it if it isn't there.
pub(super) fn open(dir: &Path, durability: SyncMode) -> Result<Connection, OpenError> {
    let path = path(dir);
    let failed = |error| schema::open_error(dir, &path, error);
    file_permissions::make_file(&path)
        .map_err(|error| OpenError::NotWritable { dir: dir.into(), problem: error.to_string() })?;
    let connection = schema::open_file(&path, durability).map_err(failed)?;
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    if count("SELECT count(*) FROM sqlite_schema").map_err(failed)? == 0 {
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {TABLES} COMMIT;")).map_err(failed)?;
    }
    schema::store_of(&connection).map_err(failed)?;
    Ok(connection)
}

/// Has it belong to this store.
pub(super) fn set_store(connection: &Connection, store: i64) -> rusqlite::Result<()> {
    connection.execute("UPDATE meta SET value = ?1 WHERE key = 'store'", [store]).map(drop)
}

/// The first and the last number; `None` if it is empty.
pub(super) fn ends(connection: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
    let mut ends = connection.prepare_cached("SELECT min(seq), max(seq) FROM round")?;
    let (first, last): (Option<i64>, Option<i64>) =
        ends.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(first.zip(last))
}

/// Adds a row, inside the transaction that the caller has open.
pub(super) fn add(connection: &Connection, seq: i64, body: &[u8]) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT INTO round VALUES (?1, ?2)")?.execute(params![seq, body]).map(drop)
}

/// Deletes the rows up to this number, inside the transaction that the caller has open.
pub(super) fn delete_to(connection: &Connection, seq: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM round WHERE seq <= ?1")?.execute([seq]).map(drop)
}

/// What a journal has after a round.
pub(super) enum Next {
    Round(Round),
    End,
    /// Its rows are no journal: what is wrong with them.
    Damaged(String),
}

/// The round after this one.
pub(super) fn next(connection: &Connection, after: i64) -> rusqlite::Result<Next> {
    let mut find =
        connection.prepare_cached("SELECT seq, body FROM round WHERE seq > ?1 ORDER BY seq LIMIT 1")?;
    let found = find.query_row([after], |row| {
        let seq: i64 = row.get(0)?;
        Ok((seq, round::decode(seq, row.get_ref(1)?.as_blob()?)))
    });
    Ok(match found.optional()? {
        None => Next::End,
        Some((seq, _)) if seq != after + 1 => Next::Damaged(format!("round {} is missing", after + 1)),
        Some((seq, Err(problem))) => Next::Damaged(format!("round {seq} can't be read: {problem}")),
        Some((_, Ok(round))) => Next::Round(round),
    })
}
