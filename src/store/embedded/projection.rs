//! The read side's half of the store: the feed, rows of projections, places of their readers.
//!
//! What is read goes through the readers' connections. Not here: what is written (`read_side_write`).

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dao_projections::{GraphId, Hash, Head, OperationId, Version};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    EmbeddedStore, catalog, document,
    lookup::{self, TRIMMED},
    purge,
    read_failure::ReadFailure,
    read_side_write::ReadSideWrite,
    refused_operations,
};
use crate::store::{
    FeedBounds, FeedEntry, FeedPlace, Gone, ListPiece, ListQuery, Order, ParkedGraph, ProjectionStore, Purge,
    PurgeRequest, Purging, RefusedEntry, RowsChange, RowsFound, RowsHead, StoreError,
};

fn feed_bounds(connection: &Connection) -> Result<FeedBounds, ReadFailure> {
    let trimmed = place(connection, TRIMMED)?;
    let mut last = connection.prepare_cached("SELECT max(seq) FROM feed")?;
    let last: Option<i64> = last.query_row([], |r| r.get(0))?;
    let end = FeedPlace { major: last.unwrap_or(0) as u64, minor: 0 };
    Ok(FeedBounds { trimmed, end: end.max(trimmed) })
}

/// What it tells of a purged graph is left out, but for the purge itself.
fn feed(
    connection: &Connection,
    place: u64,
    order: Order,
    limit: usize,
) -> Result<Vec<FeedEntry>, ReadFailure> {
    let mut select = connection.prepare_cached(match order {
        Order::OldestFirst => {
            "SELECT feed.seq, coalesce(gone.name, graph.name), \"from\", \"to\", feed.at, gone.hash
             FROM feed JOIN graph ON graph.id = feed.graph LEFT JOIN gone ON gone.seq = feed.seq
             WHERE feed.seq > ?1 AND (graph.name >= '0' OR gone.name IS NOT NULL) ORDER BY feed.seq LIMIT ?2"
        }
        Order::NewestFirst => {
            "SELECT feed.seq, coalesce(gone.name, graph.name), \"from\", \"to\", feed.at, gone.hash
             FROM feed JOIN graph ON graph.id = feed.graph LEFT JOIN gone ON gone.seq = feed.seq
             WHERE feed.seq < ?1 AND (graph.name >= '0' OR gone.name IS NOT NULL) ORDER BY feed.seq DESC LIMIT ?2"
        }
    })?;
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let mut rows = select.query([number(place), number(limit as u64)])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let name = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        let version = |index| row.get::<_, i64>(index).map(|v| Version::new(v as u64).unwrap_or_default());
        let Ok(graph) = GraphId::parse(name) else { continue };
        let place = FeedPlace { major: row.get::<_, i64>(0)? as u64, minor: 0 };
        let at_ms = row.get::<_, i64>(4)? as u64;
        let purged = row.get_ref(5)?.as_blob_or_null().map_err(rusqlite::Error::from)?;
        let purged = purged.and_then(|hash| Hash::from_bytes(hash).ok());
        entries.push(FeedEntry { place, graph, from: version(2)?, to: version(3)?, at_ms, purged });
    }
    Ok(entries)
}

/// Whether an entry with this number or a later one is there: then those before it are.
fn feed_reaches(connection: &Connection, seq: u64) -> rusqlite::Result<bool> {
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    connection.prepare_cached("SELECT 1 FROM feed WHERE seq >= ?1 LIMIT 1")?.exists([seq])
}

/// The first number that is not before this place: places have no minor part here, so one that has is beyond its major part.
fn end_of(place: FeedPlace) -> u64 {
    place.major.saturating_add(u64::from(place.minor > 0))
}

fn place(connection: &Connection, reader: &str) -> Result<FeedPlace, ReadFailure> {
    let mut find = connection.prepare_cached("SELECT seq FROM place WHERE reader = ?1")?;
    let seq: Option<i64> = find.query_row([reader], |r| r.get(0)).optional()?;
    Ok(FeedPlace { major: seq.unwrap_or(0) as u64, minor: 0 })
}

#[async_trait]
impl ProjectionStore for EmbeddedStore {
    fn feed_parts(&self) -> u32 {
        1
    }

    fn feed_part(&self, _graph: &GraphId) -> u32 {
        0
    }

    async fn feed(&self, _part: u32, after: FeedPlace, limit: usize) -> Result<Vec<FeedEntry>, StoreError> {
        self.readers
            .run_in_order(move |connection| {
                let found = feed(connection, after.major, Order::OldestFirst, limit)?;
                let is_full = found.len() >= limit;
                Ok((found, is_full))
            })
            .await
    }

    /// What is moved already: who polls has nothing moved sooner than it would be.
    async fn feed_for_poll(
        &self,
        _part: u32,
        after: FeedPlace,
        limit: usize,
    ) -> Result<Vec<FeedEntry>, StoreError> {
        self.readers.run(move |connection| feed(connection, after.major, Order::OldestFirst, limit)).await
    }

    async fn feed_before(
        &self,
        _part: u32,
        before: FeedPlace,
        limit: usize,
    ) -> Result<Vec<FeedEntry>, StoreError> {
        self.readers
            .run_in_order(move |connection| {
                // Asked first: what is read then is not less.
                let is_final = feed_reaches(connection, end_of(before))?;
                Ok((feed(connection, end_of(before), Order::NewestFirst, limit)?, is_final))
            })
            .await
    }

    async fn refused_before(
        &self,
        _part: u32,
        before: FeedPlace,
        limit: usize,
    ) -> Result<Vec<RefusedEntry>, StoreError> {
        self.readers
            .run_in_order(move |connection| {
                let is_final = refused_operations::reach(connection, end_of(before))?;
                Ok((refused_operations::of_all_graphs(connection, end_of(before), limit)?, is_final))
            })
            .await
    }

    async fn feed_bounds(&self, _part: u32) -> Result<FeedBounds, StoreError> {
        self.readers.run_on_all(feed_bounds).await
    }

    /// What a read returned is in the tables: there is nothing to wait for.
    async fn feed_bounds_after_read(&self, _part: u32) -> Result<FeedBounds, StoreError> {
        self.readers.run(feed_bounds).await
    }

    /// Numbers have no gaps and times do not decrease, unless the clock was set back: a search by halves.
    async fn feed_place_at(&self, _part: u32, time_ms: u64) -> Result<FeedPlace, StoreError> {
        self.readers
            .run_in_order(move |connection| {
                let mut ends = connection.prepare_cached("SELECT min(seq), max(seq) FROM feed")?;
                let ends = ends.query_row([], |r| Ok((r.get(0)?, r.get(1)?)))?;
                let (Some(first), Some(last)): (Option<i64>, Option<i64>) = ends else {
                    return Ok((FeedPlace::START, false));
                };
                let mut at = connection.prepare_cached("SELECT at FROM feed WHERE seq = ?1")?;
                let (mut before, mut after) = (first - 1, last + 1);
                while after - before > 1 {
                    let middle = before + (after - before) / 2;
                    let found: Option<i64> = at.query_row([middle], |r| r.get(0)).optional()?;
                    match found.is_none_or(|at| (at as u64) < time_ms) {
                        true => before = middle,
                        false => after = middle,
                    }
                }
                // There is one that is not older: so is what comes after it.
                Ok((FeedPlace { major: before as u64, minor: 0 }, before < last))
            })
            .await
    }

    async fn refused_place_at(&self, _part: u32, time_ms: u64) -> Result<FeedPlace, StoreError> {
        self.readers.run_in_order(move |connection| refused_operations::place_at(connection, time_ms)).await
    }

    async fn trim_feed(&self, _part: u32, to: FeedPlace) -> Result<(), StoreError> {
        self.writer.keep(ReadSideWrite::Trim { to: to.major }).await.map(drop)
    }

    async fn place(&self, reader: &str, _part: u32) -> Result<FeedPlace, StoreError> {
        let reader = reader.to_owned();
        self.readers.run(move |connection| place(connection, &reader)).await
    }

    async fn set_place(&self, reader: &str, _part: u32, place: FeedPlace) -> Result<(), StoreError> {
        self.writer.keep(ReadSideWrite::Place { reader: reader.to_owned(), seq: place.major }).await.map(drop)
    }

    /// No other process can have the directory.
    async fn lease(&self, _: &str, _: u32, _: &str, _: Duration) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn rows(
        &self,
        graph: &GraphId,
        projection: &str,
        keys: &[String],
    ) -> Result<RowsFound, StoreError> {
        let (graph, projection, keys) = (graph.clone(), projection.to_owned(), keys.to_vec());
        self.readers
            .run(move |connection| {
                let snapshot = connection.unchecked_transaction()?;
                let Some(row) = lookup::row(&snapshot, &graph)? else {
                    return Ok(RowsFound { at: None, rows: vec![None; keys.len()] });
                };
                let at = lookup::rows_head(&snapshot, row, &projection)?;
                let mut find = snapshot.prepare_cached(
                    "SELECT row FROM projection_row WHERE graph = ?1 AND name = ?2 AND key = ?3",
                )?;
                let mut rows = Vec::with_capacity(keys.len());
                for key in &keys {
                    let found = find.query_row(params![row, projection, key], |r| {
                        Ok(Bytes::copy_from_slice(r.get_ref(0)?.as_blob()?))
                    });
                    rows.push(found.optional()?);
                }
                Ok(RowsFound { at, rows })
            })
            .await
    }

    async fn all_rows(
        &self,
        graph: &GraphId,
        projection: &str,
    ) -> Result<Option<(RowsHead, Vec<(String, Bytes)>)>, StoreError> {
        let (graph, projection) = (graph.clone(), projection.to_owned());
        self.readers
            .run(move |connection| {
                let snapshot = connection.unchecked_transaction()?;
                let Some(row) = lookup::row(&snapshot, &graph)? else { return Ok(None) };
                let Some(at) = lookup::rows_head(&snapshot, row, &projection)? else { return Ok(None) };
                let mut select = snapshot
                    .prepare_cached("SELECT key, row FROM projection_row WHERE graph = ?1 AND name = ?2")?;
                let mut found = select.query(params![row, projection])?;
                let mut rows = Vec::new();
                while let Some(row) = found.next()? {
                    let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
                    rows.push((row.get(0)?, Bytes::copy_from_slice(bytes)));
                }
                Ok(Some((at, rows)))
            })
            .await
    }

    async fn change_rows(
        &self,
        graph: &GraphId,
        projection: &str,
        change: RowsChange,
    ) -> Result<bool, StoreError> {
        let (graph, projection) = (graph.clone(), projection.to_owned());
        self.writer.keep(ReadSideWrite::Rows { graph, projection, change }).await
    }

    async fn put_checkpoint(&self, graph: &GraphId, head: Head, state: Bytes) -> Result<(), StoreError> {
        self.writer.keep(ReadSideWrite::Checkpoint { graph: graph.clone(), head, state }).await.map(drop)
    }

    async fn checkpoint(
        &self,
        graph: &GraphId,
        version: Version,
    ) -> Result<Option<(Head, Bytes)>, StoreError> {
        let graph = graph.clone();
        self.readers
            .run(move |connection| {
                let Some(row) = lookup::row(connection, &graph)? else { return Ok(None) };
                let mut find = connection.prepare_cached(
                    "SELECT version, hash, state FROM checkpoint WHERE graph = ?1 AND version <= ?2
                     ORDER BY version DESC LIMIT 1",
                )?;
                let found = find.query_row(params![row, version.get() as i64], |r| {
                    let version = Version::new(r.get::<_, i64>(0)? as u64);
                    let hash = Hash::from_bytes(r.get_ref(1)?.as_blob()?).ok();
                    let state = Bytes::copy_from_slice(r.get_ref(2)?.as_blob()?);
                    Ok(version.zip(hash).map(|(version, hash)| (Head { version, hash }, state)))
                });
                Ok(found.optional()?.flatten())
            })
            .await
    }

    async fn list(&self, query: &ListQuery) -> Result<ListPiece, StoreError> {
        let query = query.clone();
        self.readers.run(move |connection| catalog::list(connection, &query)).await
    }

    async fn list_rows(&self, graphs: &[GraphId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let graphs = graphs.to_vec();
        self.readers.run(move |connection| catalog::rows(connection, &graphs)).await
    }

    async fn due_for_purge(
        &self,
        before_ms: u64,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<GraphId>, StoreError> {
        self.readers.run(move |connection| catalog::due_for_purge(connection, before_ms, skip, limit)).await
    }

    async fn purge(&self, graph: &GraphId, request: &PurgeRequest) -> Result<Purge, StoreError> {
        let write = ReadSideWrite::Purge { graph: graph.clone(), request: *request };
        let is_purged = self.writer.keep(write).await?;
        Ok(if is_purged { Purge::Purged } else { Purge::HeadMoved })
    }

    async fn gone(&self, graph: &GraphId) -> Result<Option<Gone>, StoreError> {
        let graph = graph.clone();
        self.readers.run(move |connection| purge::gone(connection, &graph)).await
    }

    async fn purged_by(&self, graph: &GraphId, operation: OperationId) -> Result<Option<Gone>, StoreError> {
        let graph = graph.clone();
        self.readers.run(move |connection| purge::purged_by(connection, &graph, operation)).await
    }

    async fn purging(&self) -> Result<Vec<Purging>, StoreError> {
        self.readers.run(purge::purging).await
    }

    async fn is_purging(&self, purging: &Purging) -> Result<bool, StoreError> {
        let gone = purging.place.major;
        self.readers.run(move |connection| purge::is_purging(connection, gone as i64)).await
    }

    async fn sweep(&self, purging: &Purging) -> Result<bool, StoreError> {
        self.writer.keep(ReadSideWrite::Sweep { gone: purging.place.major }).await
    }

    /// There are none: rows belong to the number of a graph, which is never used again.
    async fn drop_rows(&self, _graph: &GraphId) -> Result<(), StoreError> {
        Ok(())
    }

    async fn park(&self, graph: &GraphId, parked: Option<&ParkedGraph>) -> Result<(), StoreError> {
        self.writer
            .keep(ReadSideWrite::Park { graph: graph.clone(), parked: parked.cloned() })
            .await
            .map(drop)
    }

    async fn parked(&self) -> Result<Vec<(GraphId, ParkedGraph)>, StoreError> {
        self.readers
            .run(|connection| {
                let mut select = connection.prepare_cached(
                    "SELECT name, version, reason FROM parked JOIN graph ON graph.id = parked.graph ORDER BY name",
                )?;
                let mut found = select.query([])?;
                let mut all = Vec::new();
                while let Some(row) = found.next()? {
                    let name: String = row.get(0)?;
                    let Ok(graph) = GraphId::parse(&name) else { continue };
                    let version = Version::new(row.get::<_, i64>(1)? as u64).unwrap_or_default();
                    all.push((graph, ParkedGraph { version, reason: row.get(2)? }));
                }
                Ok(all)
            })
            .await
    }

    async fn document(&self, kind: &str, name: &str) -> Result<Option<(u64, Bytes)>, StoreError> {
        let (kind, name) = (kind.to_owned(), name.to_owned());
        self.readers.run(move |connection| Ok(document::find(connection, &kind, &name)?)).await
    }

    async fn put_document(
        &self,
        kind: &str,
        name: &str,
        expected: Option<u64>,
        bytes: Option<Bytes>,
    ) -> Result<bool, StoreError> {
        let (kind, name) = (kind.to_owned(), name.to_owned());
        self.writer.keep(ReadSideWrite::Document { kind, name, expected, bytes }).await
    }

    async fn documents(&self, kind: &str) -> Result<Vec<String>, StoreError> {
        let kind = kind.to_owned();
        self.readers.run(move |connection| Ok(document::names(connection, &kind)?)).await
    }
}
