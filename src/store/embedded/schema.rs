//! The file of the tables: what they are, its format number, and the connections to it.
//!
//! Invariant: a file whose format this program doesn't know is never written to. Not here: what is
//! written (`moving`, `read_side_write`) and read (`reader`), and the journal's file (`journal`).

use std::path::{Path, PathBuf};

use dao_projections::Version;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{config::SyncMode, file_permissions, open_error::OpenError};

/// The format of the file that this program writes, kept in `meta`.
pub(super) const FORMAT: i64 = 4;

/// How many of a commit key's 63 bits count versions: 17 thousand million commits a graph. What
/// is left numbers 536 million graphs. An append beyond either is refused as unavailable.
pub(super) const VERSION_BITS: u32 = 34;

/// How long a connection waits for somebody else's lock, such as that of a person who writes with
/// the `sqlite3` program. After that the round that waited is refused as unavailable.
const LOCK_WAIT_MS: u32 = 5_000;

/// Statements that a connection keeps prepared: more than there are. One that is not among them is parsed again.
const STATEMENTS_MAX: usize = 96;

/// Memory for pages of the connection that writes. Rounds that dirty more spill into the WAL early.
const WRITER_CACHE_KIB: u32 = 8_192;
/// Memory for pages of each connection that reads: what is missing comes from the system's cache.
const READER_CACHE_KIB: u32 = 1_024;

/// `key` is `graph << 34 | version`: one integer, the cheapest key there is, makes a graph's
/// history one run of pages, and makes a second commit with the same number impossible.
/// `operation` holds its rows by time window so that old ones lie together when they are deleted.
/// The `version` of a `document` is the number of a change among those of all documents, which `meta` counts.
/// The `digest` of an event is the SHA-256 that its hash covers, where other bytes stand in `body` now; nothing in
/// this release writes one. The `salt` of a graph is for proofs that don't tell its name.
/// `catalog` says where each graph stands in lists, and what they show; `purge` is when one in the trash is purged.
/// `refused` lists the refused operations of all graphs as they came.
/// `gone` has what is left of purged graphs, by their place in the feed; `purging` those of which rows are still to be
/// deleted, and how far the feed and `refused` were looked through. Their rows in `graph` stay, under a name that no graph
/// can have, so that no other graph gets their number.
/// Of `meta`, `moved` is the last round of the journal that is in here, `store` a random number that the journal has too, and
/// `journal` is 1 while the journal may have something that is not in here.
/// `refusal` numbers the refused operations of each graph, so that the oldest are at its beginning.
const TABLES: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE graph (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, salt BLOB) STRICT;
    CREATE TABLE event (key INTEGER PRIMARY KEY, hash BLOB NOT NULL, body BLOB NOT NULL, digest BLOB) STRICT;
    CREATE TABLE feed (
        seq INTEGER PRIMARY KEY, graph INTEGER NOT NULL, \"from\" INTEGER NOT NULL, \"to\" INTEGER NOT NULL,
        at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE operation (
        window INTEGER NOT NULL, id BLOB NOT NULL, graph INTEGER NOT NULL, record BLOB NOT NULL,
        PRIMARY KEY (window, id, graph)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE projection (
        graph INTEGER NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, hash BLOB NOT NULL,
        format INTEGER NOT NULL, PRIMARY KEY (graph, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE projection_row (
        graph INTEGER NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, row BLOB NOT NULL,
        PRIMARY KEY (graph, name, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE checkpoint (
        graph INTEGER NOT NULL, version INTEGER NOT NULL, hash BLOB NOT NULL, state BLOB NOT NULL,
        PRIMARY KEY (graph, version)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE place (reader TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE parked (
        graph INTEGER PRIMARY KEY, version INTEGER NOT NULL, reason TEXT NOT NULL
    ) STRICT;
    CREATE TABLE document (
        kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (kind, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE refusal (
        graph INTEGER NOT NULL, number INTEGER NOT NULL, version INTEGER NOT NULL, operation BLOB NOT NULL,
        record BLOB NOT NULL, PRIMARY KEY (graph, number)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX refusal_version ON refusal (graph, version);
    CREATE TABLE catalog (
        graph INTEGER PRIMARY KEY, name TEXT NOT NULL, updated TEXT NOT NULL, created TEXT NOT NULL,
        title TEXT NOT NULL, row BLOB NOT NULL, purge INTEGER
    ) STRICT;
    CREATE INDEX catalog_updated ON catalog (updated, name);
    CREATE INDEX catalog_created ON catalog (created, name);
    CREATE INDEX catalog_title ON catalog (title, name);
    CREATE UNIQUE INDEX catalog_name ON catalog (name);
    CREATE INDEX catalog_purge ON catalog (purge) WHERE purge IS NOT NULL;
    CREATE TABLE refused (
        seq INTEGER PRIMARY KEY, graph INTEGER NOT NULL, version INTEGER NOT NULL, number INTEGER NOT NULL,
        at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE gone (
        seq INTEGER PRIMARY KEY, name TEXT, token BLOB NOT NULL, version INTEGER NOT NULL, hash BLOB NOT NULL,
        operation BLOB NOT NULL, fingerprint BLOB NOT NULL, at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX gone_token ON gone (token);
    CREATE TABLE purging (
        graph INTEGER PRIMARY KEY, gone INTEGER NOT NULL, feed INTEGER NOT NULL, refused INTEGER NOT NULL
    ) STRICT;
    CREATE VIEW history AS
        SELECT graph.name AS graph, key & ((1 << 34) - 1) AS version, hash, body, digest
        FROM event JOIN graph ON graph.id = key >> 34;
    INSERT INTO meta VALUES
        ('format', 4), ('fence', 0), ('documents', 0), ('moved', 0), ('store', random()), ('journal', 0);
";

/// The key of a commit; `None` where the version or the graph's row is beyond what a key can say.
pub(super) fn key(graph: i64, version: Version) -> Option<i64> {
    let version = i64::try_from(version.get()).ok().filter(|v| *v <= LAST_VERSION)?;
    (0..=i64::MAX >> VERSION_BITS).contains(&graph).then_some(graph << VERSION_BITS | version)
}

/// How many graphs a key can tell apart.
pub(super) const GRAPHS_MAX: i64 = (1 << (63 - VERSION_BITS)) - 1;

/// The last version that a key can say.
pub(super) const LAST_VERSION: i64 = (1 << VERSION_BITS) - 1;

/// The version in a key.
pub(super) fn version_of(key: i64) -> Version {
    Version::new((key & LAST_VERSION) as u64).unwrap_or_default()
}

/// The database file in the data directory.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("dao.db")
}

/// Opens the file to write, and makes it if it isn't there. Each COMMIT is synced.
pub(super) fn open_writer(dir: &Path) -> Result<Connection, OpenError> {
    let path = path(dir);
    let failed = |error| open_error(dir, &path, error);
    file_permissions::make_file(&path)
        .map_err(|error| OpenError::NotWritable { dir: dir.into(), problem: error.to_string() })?;
    let connection = Connection::open(&path).map_err(failed)?;
    set_common(&connection, WRITER_CACHE_KIB).map_err(failed)?;
    check_format(&connection, &path)?;
    set_durability(&connection, SyncMode::Fsync).map_err(failed)?;
    Ok(connection)
}

/// Opens a file of ours that is there, to write, whatever is in it.
pub(super) fn open_file(path: &Path, durability: SyncMode) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    set_common(&connection, READER_CACHE_KIB)?;
    set_durability(&connection, durability)?;
    Ok(connection)
}

/// Whether the following COMMITs of this connection are synced. Checkpoints are in any case.
pub(super) fn set_synchronous(connection: &Connection, syncs: bool) -> rusqlite::Result<()> {
    connection.execute_batch(if syncs { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" })
}

/// Opens the file to read: a second connection beside the writer's.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    set_common(&connection, READER_CACHE_KIB)?;
    Ok(connection)
}

/// Opens a file of any format to change it; the writer of this program isn't running.
pub(super) fn open_to_migrate(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    set_common(&connection, WRITER_CACHE_KIB)?;
    set_durability(&connection, SyncMode::Fsync)?;
    Ok(connection)
}

/// Opens the file to copy its WAL into it, on a thread of its own.
pub(super) fn open_checkpointer(path: &Path, durability: SyncMode) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    set_common(&connection, READER_CACHE_KIB)?;
    set_durability(&connection, durability)?;
    Ok(connection)
}

fn set_common(connection: &Connection, cache_kib: u32) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.execute_batch(&format!(
        "PRAGMA busy_timeout = {LOCK_WAIT_MS}; PRAGMA cache_size = -{cache_kib}; PRAGMA temp_store = MEMORY;"
    ))
}

fn set_durability(connection: &Connection, durability: SyncMode) -> rusqlite::Result<()> {
    let synchronous = match durability {
        SyncMode::Fsync => "FULL",
        SyncMode::Interval => "NORMAL",
    };
    // Checkpoints have their own thread. Without fullfsync, macOS only hands the bytes to the drive.
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};
         PRAGMA fullfsync = 1; PRAGMA checkpoint_fullfsync = 1; PRAGMA wal_autocheckpoint = 0;"
    ))
}

/// Makes the tables in an empty file; refuses one that isn't ours or is newer.
fn check_format(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |error| open_error(path.parent().unwrap_or(path), path, error);
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    if count("SELECT count(*) FROM sqlite_schema").map_err(failed)? == 0 {
        return connection.execute_batch(&format!("BEGIN IMMEDIATE; {TABLES} COMMIT;")).map_err(failed);
    }
    match format(connection).map_err(failed)? {
        Some(FORMAT) => Ok(()),
        Some(found) if found > FORMAT => Err(OpenError::Newer { path: path.into(), found, known: FORMAT }),
        Some(found) if found > 0 => Err(OpenError::Older { path: path.into(), found, known: FORMAT }),
        Some(_) | None => Err(OpenError::NotOurs { path: path.into() }),
    }
}

/// The format that the file says it has; `None` where it is somebody else's.
pub(super) fn format(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let found =
        connection.query_row("SELECT value FROM meta WHERE key = 'format'", [], |row| row.get::<_, i64>(0));
    match found {
        Ok(format) => Ok(Some(format)),
        // There is no such table, no such row, or it holds something else.
        Err(rusqlite::Error::SqliteFailure(error, says)) if error.code != ErrorCode::Unknown => {
            Err(rusqlite::Error::SqliteFailure(error, says))
        }
        Err(_) => Ok(None),
    }
}

/// The random number of the store that this file belongs to, the tables or the journal; 0 in a new journal.
pub(super) fn store_of(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT value FROM meta WHERE key = 'store'", [], |row| row.get(0))
}

/// Whether the journal may have something that is not in the tables.
pub(super) fn needs_journal(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT value FROM meta WHERE key = 'journal'", [], |row| row.get(0))
}

/// Says so, or that it has nothing.
pub(super) fn set_needs_journal(connection: &Connection, needs: bool) -> rusqlite::Result<()> {
    connection.execute("UPDATE meta SET value = ?1 WHERE key = 'journal'", [needs]).map(drop)
}

pub(super) fn open_error(dir: &Path, path: &Path, error: rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotOurs { path: path.into() },
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            OpenError::NotWritable { dir: dir.into(), problem: error.to_string() }
        }
        _ => OpenError::Database { path: path.into(), source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_sorts_by_graph_then_version_and_gives_the_version_back() {
        let version = |n| Version::new(n).expect("small");
        let (a, b) = (key(1, version(LAST_VERSION as u64)), key(2, version(1)));
        assert!(a < b && a.is_some());
        assert_eq!(version_of(b.unwrap_or_default()), version(1));
        assert_eq!(key(1, version(LAST_VERSION as u64 + 1)), None);
        assert_eq!(key(GRAPHS_MAX + 1, Version::EMPTY), None);
        assert!(key(GRAPHS_MAX, version(LAST_VERSION as u64)).is_some());
    }
}
