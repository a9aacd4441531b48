//! Documents: one row each, changed from what the writer saw.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

/// The document, and which change it is.
pub(super) fn find(
    connection: &Connection,
    kind: &str,
    name: &str,
) -> rusqlite::Result<Option<(u64, Bytes)>> {
    let mut find =
        connection.prepare_cached("SELECT version, body FROM document WHERE kind = ?1 AND name = ?2")?;
    let found = find.query_row(params![kind, name], |row| {
        Ok((row.get::<_, i64>(0)? as u64, Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?)))
    });
    found.optional()
}

/// Changes it inside the transaction that the caller has open; whether it was the `expected` one.
pub(super) fn put(
    connection: &Connection,
    kind: &str,
    name: &str,
    expected: Option<u64>,
    bytes: Option<&[u8]>,
) -> rusqlite::Result<bool> {
    let mut find = connection.prepare_cached("SELECT version FROM document WHERE kind = ?1 AND name = ?2")?;
    let found: Option<i64> = find.query_row(params![kind, name], |row| row.get(0)).optional()?;
    if found.map(|version| version as u64) != expected {
        return Ok(false);
    }
    let Some(bytes) = bytes else {
        let mut remove = connection.prepare_cached("DELETE FROM document WHERE kind = ?1 AND name = ?2")?;
        return remove.execute(params![kind, name]).map(|_| true);
    };
    let mut count = connection
        .prepare_cached("UPDATE meta SET value = value + 1 WHERE key = 'documents' RETURNING value")?;
    let version: i64 = count.query_row([], |row| row.get(0))?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO document VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![kind, name, version, bytes])
        .map(|_| true)
}

/// The names of all of a kind, in order.
pub(super) fn names(connection: &Connection, kind: &str) -> rusqlite::Result<Vec<String>> {
    let mut select = connection.prepare_cached("SELECT name FROM document WHERE kind = ?1 ORDER BY name")?;
    let names = select.query_map([kind], |row| row.get(0))?;
    names.collect()
}
