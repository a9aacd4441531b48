//! Purging graphs (rule L10): at once for everybody who asks, then row by row.
//!
//! Invariants:
//! - The transaction that purges a graph takes its name away from its rows: from then on nobody finds them.
//! - What is left of them is deleted a few at a time, by whoever sweeps, also after a crash: `purging` says of which graphs.
//! - Until that is done no graph can have the name: what is told of the name then is of the purged one.
//! - The number of a graph is never given to another one. So records of its operations, which expire by themselves,
//!   are nobody else's.

use dao_projections::{GraphId, Hash, Head, OperationId, Version};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use super::{
    lookup::{self, LAST_SEQ, TRIMMED},
    read_failure::ReadFailure,
    record_windows::now_ms,
    schema::{LAST_VERSION, VERSION_BITS},
};
use crate::store::{FeedPlace, Gone, PurgeRequest, Purging};

/// Rows deleted in one step, about two milliseconds of the writer's time; of those that may be large, fewer.
const ROWS_MAX: i64 = 1_000;
const LARGE_ROWS_MAX: i64 = 64;
/// Entries of the feed that are looked through in one step.
const LOOKED_THROUGH_MAX: i64 = 10_000;

/// Under which a purged graph is remembered. Its name goes.
fn token(graph: &GraphId) -> [u8; 32] {
    Sha256::new().chain_update(b"dao-gone/1\0").chain_update(graph.as_str()).finalize().into()
}

/// Purges the graph with this number, inside the transaction that the caller has open; false if its head is another.
pub(super) fn purge(
    connection: &Connection,
    row: i64,
    graph: &GraphId,
    request: &PurgeRequest,
) -> rusqlite::Result<bool> {
    match lookup::head(connection, graph, row)? {
        Ok(found) if found == request.expected && found != Head::EMPTY => {}
        Ok(_) | Err(_) => return Ok(false),
    }
    let seq: i64 = connection.prepare_cached(LAST_SEQ)?.query_row([TRIMMED], |r| r.get(0))?;
    let (seq, now, version) = (seq + 1, now_ms(), request.expected.version.get() as i64);
    // No graph has such a name.
    connection.prepare_cached("UPDATE graph SET name = '!' || id WHERE id = ?1")?.execute([row])?;
    connection.prepare_cached("DELETE FROM catalog WHERE graph = ?1")?.execute([row])?;
    connection.prepare_cached("DELETE FROM parked WHERE graph = ?1")?.execute([row])?;
    connection.prepare_cached("DELETE FROM projection WHERE graph = ?1")?.execute([row])?;
    connection
        .prepare_cached("INSERT INTO feed VALUES (?1, ?2, ?3, ?3, ?4)")?
        .execute([seq, row, version, now])?;
    connection.prepare_cached("INSERT INTO gone VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?.execute(
        params![
            seq,
            graph.as_str(),
            token(graph),
            version,
            request.expected.hash.as_bytes(),
            request.operation.as_bytes(),
            request.fingerprint,
            now
        ],
    )?;
    connection.prepare_cached("INSERT INTO purging VALUES (?1, ?2, 0, 0)")?.execute([row, seq])?;
    Ok(true)
}

/// What is left of the last graph of this name that was purged.
pub(super) fn gone(connection: &Connection, graph: &GraphId) -> Result<Option<Gone>, ReadFailure> {
    let mut find = connection.prepare_cached(
        "SELECT seq, version, hash, at, operation, fingerprint FROM gone WHERE token = ?1 ORDER BY seq DESC LIMIT 1",
    )?;
    Ok(find.query_row([token(graph)], read_gone).optional()?)
}

/// What is left of the graph of this name that this operation purged.
pub(super) fn purged_by(
    connection: &Connection,
    graph: &GraphId,
    operation: OperationId,
) -> Result<Option<Gone>, ReadFailure> {
    let mut find = connection.prepare_cached(
        "SELECT seq, version, hash, at, operation, fingerprint FROM gone WHERE token = ?1 AND operation = ?2
         ORDER BY seq DESC LIMIT 1",
    )?;
    Ok(find.query_row(params![token(graph), operation.as_bytes()], read_gone).optional()?)
}

fn read_gone(row: &Row<'_>) -> rusqlite::Result<Gone> {
    let version = Version::new(row.get::<_, i64>(1)? as u64).unwrap_or_default();
    let hash = Hash::from_bytes(row.get_ref(2)?.as_blob()?).unwrap_or(Hash::EMPTY);
    let operation: [u8; 16] = row.get(4)?;
    Ok(Gone {
        head: Head { version, hash },
        at_ms: row.get::<_, i64>(3)? as u64,
        operation: OperationId::from(uuid::Uuid::from_bytes(operation)),
        fingerprint: row.get(5)?,
        place: FeedPlace { major: row.get::<_, i64>(0)? as u64, minor: 0 },
    })
}

/// Graphs of which there are rows to delete, the first purged first.
pub(super) fn purging(connection: &Connection) -> Result<Vec<Purging>, ReadFailure> {
    let mut select = connection.prepare_cached(
        "SELECT purging.gone, gone.name FROM purging LEFT JOIN gone ON gone.seq = purging.gone
         ORDER BY purging.gone",
    )?;
    let found = select.query_map([], |r| Ok((r.get::<_, i64>(0)?, r.get::<_, Option<String>>(1)?)))?;
    let found: Vec<(i64, Option<String>)> = found.collect::<rusqlite::Result<_>>()?;
    let read = |(gone, name): (i64, Option<String>)| Purging {
        graph: name.and_then(|name| GraphId::parse(&name).ok()),
        place: FeedPlace { major: gone as u64, minor: 0 },
    };
    Ok(found.into_iter().map(read).collect())
}

/// Whether there are rows to delete of the graph whose purge is this entry of the feed.
pub(super) fn is_purging(connection: &Connection, gone: i64) -> Result<bool, ReadFailure> {
    Ok(connection.prepare_cached("SELECT 1 FROM purging WHERE gone = ?1")?.exists([gone])?)
}

/// Whether there are rows to delete of a graph of this name.
pub(super) fn is_name_purging(connection: &Connection, graph: &GraphId) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM purging JOIN gone ON gone.seq = purging.gone WHERE gone.token = ?1")?
        .exists([token(graph)])
}

/// The feed is trimmed up to here, and does not tell of these purges any more: the names go. Those of which rows are
/// still to be deleted keep theirs until that is done: by it everybody finds what they have of the graph.
pub(super) fn forget_names(connection: &Connection, trimmed: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE gone SET name = NULL
             WHERE seq <= ?1 AND name IS NOT NULL AND seq NOT IN (SELECT gone FROM purging)",
        )?
        .execute([trimmed])
        .map(drop)
}

/// Deletes some rows of the graph whose purge is this entry of the feed, inside the transaction that the caller has open;
/// false if there are no more.
pub(super) fn sweep(connection: &Connection, gone: i64) -> rusqlite::Result<bool> {
    let found = connection
        .prepare_cached("SELECT graph, feed, refused FROM purging WHERE gone = ?1")?
        .query_row([gone], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)));
    let Some((row, feed, refused)) = found.optional()? else { return Ok(false) };
    if delete_rows(connection, row)?
        || look_through(connection, row, "feed", feed, gone)?
        || look_through(connection, row, "refused", refused, i64::MAX)?
    {
        return Ok(true);
    }
    connection.prepare_cached("DELETE FROM purging WHERE graph = ?1")?.execute([row])?;
    let mut trimmed = connection.prepare_cached("SELECT seq FROM place WHERE reader = ?1")?;
    if let Some(trimmed) = trimmed.query_row([TRIMMED], |r| r.get(0)).optional()? {
        forget_names(connection, trimmed)?;
    }
    Ok(false)
}

/// Deletes some rows of the tables that are sorted by graph; whether there were any. Commits go from the last one on, so
/// what is there of a history can be verified all the same.
fn delete_rows(connection: &Connection, row: i64) -> rusqlite::Result<bool> {
    let first = row << VERSION_BITS;
    let events = connection
        .prepare_cached(
            "DELETE FROM event WHERE key IN
             (SELECT key FROM event WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT ?3)",
        )?
        .execute([first, first | LAST_VERSION, LARGE_ROWS_MAX])?;
    if events > 0 {
        return Ok(true);
    }
    let states = connection
        .prepare_cached(
            "DELETE FROM checkpoint WHERE graph = ?1 AND version IN
             (SELECT version FROM checkpoint WHERE graph = ?1 LIMIT 1)",
        )?
        .execute([row])?;
    if states > 0 {
        return Ok(true);
    }
    let refusals = connection
        .prepare_cached(
            "DELETE FROM refusal WHERE graph = ?1 AND number IN
             (SELECT number FROM refusal WHERE graph = ?1 LIMIT ?2)",
        )?
        .execute([row, LARGE_ROWS_MAX])?;
    if refusals > 0 {
        return Ok(true);
    }
    let rows = connection
        .prepare_cached(
            "DELETE FROM projection_row WHERE (graph, name, key) IN
             (SELECT graph, name, key FROM projection_row WHERE graph = ?1 LIMIT ?2)",
        )?
        .execute([row, ROWS_MAX])?;
    Ok(rows > 0)
}

/// Deletes what a list of all graphs tells of this one in the next entries after `after`; false if it was at its end.
fn look_through(
    connection: &Connection,
    row: i64,
    list: &str,
    after: i64,
    before: i64,
) -> rusqlite::Result<bool> {
    let last = connection
        .prepare_cached(&format!(
            "SELECT max(seq) FROM (SELECT seq FROM {list} WHERE seq > ?1 AND seq < ?2 ORDER BY seq LIMIT ?3)"
        ))?
        .query_row([after, before, LOOKED_THROUGH_MAX], |r| r.get::<_, Option<i64>>(0))?;
    let Some(last) = last else { return Ok(false) };
    connection
        .prepare_cached(&format!("DELETE FROM {list} WHERE seq > ?1 AND seq <= ?2 AND graph = ?3"))?
        .execute([after, last, row])?;
    connection
        .prepare_cached(&format!("UPDATE purging SET {list} = ?2 WHERE graph = ?1"))?
        .execute([row, last])?;
    Ok(true)
}
