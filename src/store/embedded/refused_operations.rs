//! The record of refused operations, for auditors: moved with the round that refused them, bounded
//! for each graph.
//!
//! Invariant: a graph's refusals are numbered as they came, and the versions they were judged on
//! never decrease, because rounds are moved in their order. Not here: what a record says.

use bytes::Bytes;
use dao_projections::{GraphId, OperationId, Version};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::read_failure::ReadFailure;
use crate::store::{
    Entry, FeedPlace, Order, READ_BYTES_MAX, REFUSALS_MAX, REFUSED_MAX, RefusalPlace, RefusedEntry,
    StoredRefusal,
};

/// The statements that moving rounds needs.
pub(super) struct Statements<'c> {
    last: CachedStatement<'c>,
    add: CachedStatement<'c>,
    remove: CachedStatement<'c>,
    list: CachedStatement<'c>,
}

impl<'c> Statements<'c> {
    pub(super) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            last: connection.prepare_cached("SELECT max(number) FROM refusal WHERE graph = ?1")?,
            add: connection.prepare_cached("INSERT INTO refusal VALUES (?1, ?2, ?3, ?4, ?5)")?,
            remove: connection.prepare_cached("DELETE FROM refusal WHERE graph = ?1 AND number <= ?2")?,
            list: connection
                .prepare_cached("INSERT INTO refused (graph, version, number, at) VALUES (?1, ?2, ?3, ?4)")?,
        })
    }

    /// Adds the refusals among `entries` of a round at this time, and lets go of the oldest beyond the bound.
    pub(super) fn add(&mut self, row: i64, entries: &[Entry], at_ms: i64) -> rusqlite::Result<()> {
        let refused = || entries.iter().filter_map(|entry| Some((entry, entry.refused_at?)));
        if refused().next().is_none() {
            return Ok(());
        }
        let mut number: i64 = self.last.query_row([row], |r| r.get(0)).optional()?.flatten().unwrap_or(0);
        for (entry, version) in refused() {
            number += 1;
            let id = entry.operation.as_bytes();
            self.add.execute(params![row, number, version.get() as i64, id, &entry.record[..]])?;
            self.list.execute([row, version.get() as i64, number, at_ms])?;
        }
        self.remove.execute([row, number - REFUSALS_MAX as i64])?;
        Ok(())
    }
}

/// See [`crate::store::EventStore::refusals`].
pub(super) fn read(
    connection: &Connection,
    row: i64,
    (after, before): (RefusalPlace, RefusalPlace),
    order: Order,
    limit: usize,
) -> rusqlite::Result<Vec<StoredRefusal>> {
    let mut statement = connection.prepare_cached(match order {
        Order::OldestFirst => {
            "SELECT version, number, operation, record FROM refusal
             WHERE graph = ?1 AND (version, number) > (?2, ?3) AND (version, number) < (?4, ?5)
             ORDER BY version, number LIMIT ?6"
        }
        Order::NewestFirst => {
            "SELECT version, number, operation, record FROM refusal
             WHERE graph = ?1 AND (version, number) > (?2, ?3) AND (version, number) < (?4, ?5)
             ORDER BY version DESC, number DESC LIMIT ?6"
        }
    })?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let place = |place: RefusalPlace| (place.version.get() as i64, place.number as i64);
    let ((low, low_number), (high, high_number)) = (place(after), place(before));
    let mut rows = statement.query(params![row, low, low_number, high, high_number, limit])?;
    let mut refusals: Vec<StoredRefusal> = Vec::new();
    let mut bytes = 0;
    while let Some(found) = rows.next()? {
        let record = found.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
        bytes += record.len();
        if bytes > READ_BYTES_MAX && !refusals.is_empty() {
            break;
        }
        let version = Version::new(found.get::<_, i64>(0)? as u64).unwrap_or_default();
        let operation: [u8; 16] = found.get(2)?;
        refusals.push(StoredRefusal {
            place: RefusalPlace { version, number: found.get::<_, i64>(1)? as u64 },
            operation: OperationId::from(uuid::Uuid::from_bytes(operation)),
            record: Bytes::copy_from_slice(record),
        });
    }
    Ok(refusals)
}

/// See [`crate::store::ProjectionStore::refused_before`].
pub(super) fn of_all_graphs(
    connection: &Connection,
    before: u64,
    limit: usize,
) -> Result<Vec<RefusedEntry>, ReadFailure> {
    let mut select = connection.prepare_cached(
        "SELECT seq, name, version, number, at FROM refused JOIN graph ON graph.id = refused.graph
         WHERE seq < ?1 AND name >= '0' ORDER BY seq DESC LIMIT ?2",
    )?;
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let mut rows = select.query([number(before), number(limit as u64)])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let name = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        let Ok(graph) = GraphId::parse(name) else { continue };
        let version = Version::new(row.get::<_, i64>(2)? as u64).unwrap_or_default();
        entries.push(RefusedEntry {
            place: FeedPlace { major: row.get::<_, i64>(0)? as u64, minor: 0 },
            graph,
            of_graph: RefusalPlace { version, number: row.get::<_, i64>(3)? as u64 },
            at_ms: row.get::<_, i64>(4)? as u64,
        });
    }
    Ok(entries)
}

/// Whether one with this number or a later one is there: then those before it are.
pub(super) fn reach(connection: &Connection, seq: u64) -> rusqlite::Result<bool> {
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    connection.prepare_cached("SELECT 1 FROM refused WHERE seq >= ?1 LIMIT 1")?.exists([seq])
}

/// See [`crate::store::ProjectionStore::refused_place_at`]. And whether there is one that is not older.
pub(super) fn place_at(connection: &Connection, time_ms: u64) -> Result<(FeedPlace, bool), ReadFailure> {
    // At one moment: a sweep may delete some meanwhile.
    let _snapshot = connection.unchecked_transaction()?;
    let mut ends = connection.prepare_cached("SELECT min(seq), max(seq) FROM refused")?;
    let ends = ends.query_row([], |r| Ok((r.get(0)?, r.get(1)?)))?;
    let (Some(first), Some(last)): (Option<i64>, Option<i64>) = ends else {
        return Ok((FeedPlace::START, false));
    };
    // They stand in the order of time. A purge leaves gaps.
    let mut next =
        connection.prepare_cached("SELECT seq, at FROM refused WHERE seq >= ?1 ORDER BY seq LIMIT 1")?;
    let (mut before, mut after) = (first - 1, last + 1);
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        let (found, at): (i64, i64) = next.query_row([middle], |r| Ok((r.get(0)?, r.get(1)?)))?;
        match (at as u64) < time_ms {
            true => before = found,
            false => after = middle,
        }
    }
    Ok((FeedPlace { major: before as u64, minor: 0 }, before < last))
}

/// Lets go of what is older than this entry of the feed, and of the oldest beyond the bound.
pub(super) fn trim(connection: &Connection, feed_to: i64) -> rusqlite::Result<()> {
    // The first that is younger: found at once, for they stand in the order of time.
    connection
        .prepare_cached(
            "DELETE FROM refused WHERE seq < coalesce(
                 (SELECT min(seq) FROM refused WHERE at > (SELECT at FROM feed WHERE seq = ?1)), 0)
             OR seq <= (SELECT max(seq) FROM refused) - ?2",
        )?
        .execute([feed_to, REFUSED_MAX as i64])
        .map(drop)
}
