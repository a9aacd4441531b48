//! What writers and readers look up in the tables in the same way: the number of a graph, its head, that of its rows,
//! records of operations.
//!
//! Not here: what is unmoved (`tail`).

use bytes::Bytes;
use dao_projections::{GraphId, Hash, Head, OperationId, Version};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::schema::{LAST_VERSION, key, version_of};
use crate::store::{RowsHead, StoreError};

/// The last number that the feed gave, also if it was trimmed away.
pub(super) const LAST_SEQ: &str = "SELECT max(coalesce((SELECT max(seq) FROM feed), 0),
    coalesce((SELECT seq FROM place WHERE reader = ?1), 0))";

const RECORD: &str = "SELECT record FROM operation WHERE window = ?1 AND id = ?2 AND graph = ?3";

/// The number of a graph that has a row.
pub(super) fn row(connection: &Connection, graph: &GraphId) -> rusqlite::Result<Option<i64>> {
    let mut find = connection.prepare_cached("SELECT id FROM graph WHERE name = ?1")?;
    find.query_row([graph.as_str()], |r| r.get(0)).optional()
}

/// The head of a graph that has a row.
pub(super) fn head(
    connection: &Connection,
    graph: &GraphId,
    row: i64,
) -> rusqlite::Result<Result<Head, StoreError>> {
    let mut last = connection.prepare_cached(
        "SELECT key, hash FROM event WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT 1",
    )?;
    let range = [key(row, Version::EMPTY), key(row, version_of(LAST_VERSION))];
    let found = last
        .query_row(range, |r| {
            let hash = Hash::from_bytes(r.get_ref(1)?.as_blob()?);
            Ok((version_of(r.get(0)?), hash))
        })
        .optional()?;
    Ok(match found {
        None => Ok(Head::EMPTY),
        Some((version, Ok(hash))) => Ok(Head { version, hash }),
        Some((version, Err(e))) => {
            Err(StoreError::Corrupt { graph: graph.clone(), version, problem: format!("its hash {e}") })
        }
    })
}

/// Of what the rows are true; nothing, where what stands there can't be read: they are rebuilt.
pub(super) fn rows_head(
    connection: &Connection,
    graph: i64,
    projection: &str,
) -> rusqlite::Result<Option<RowsHead>> {
    let mut find = connection
        .prepare_cached("SELECT version, hash, format FROM projection WHERE graph = ?1 AND name = ?2")?;
    let found = find.query_row(params![graph, projection], |r| {
        let version = Version::new(r.get::<_, i64>(0)? as u64);
        let hash = Hash::from_bytes(r.get_ref(1)?.as_blob()?).ok();
        let format = r.get(2)?;
        Ok(version.zip(hash).map(|(version, hash)| RowsHead { head: Head { version, hash }, format }))
    });
    Ok(found.optional()?.flatten())
}

/// The statement that [`record`] takes.
pub(super) fn records(connection: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
    connection.prepare_cached(RECORD)
}

/// The record of one operation in one graph, newest window first.
pub(super) fn record(
    statement: &mut CachedStatement<'_>,
    windows: &[i64],
    id: OperationId,
    row: i64,
) -> rusqlite::Result<Option<Bytes>> {
    for window in windows.iter().rev() {
        let found = statement.query_row(params![window, id.as_bytes(), row], |r| {
            Ok(Bytes::copy_from_slice(r.get_ref(0)?.as_blob()?))
        });
        if let Some(record) = found.optional()? {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// The windows that have rows, oldest first: one short look-up each.
pub(super) fn windows_found(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    let mut next = connection.prepare("SELECT min(window) FROM operation WHERE window > ?1")?;
    let mut found = Vec::new();
    while let Some(window) = next.query_row([found.last().copied().unwrap_or(i64::MIN)], |r| r.get(0))? {
        found.push(window);
    }
    Ok(found)
}

/// Up to where the feed was trimmed, among the places of readers.
pub(super) const TRIMMED: &str = "feed:trimmed";
