//! What is written for the read side: rows of projections, places of readers, documents, purges.
//!
//! Invariant: it is written by the tables thread, in the transactions in which it moves rounds. Not here: who waits for it
//! (`tables`), and what is read (`projection`).

use bytes::Bytes;
use dao_projections::{GraphId, Head};
use rusqlite::{Connection, params};

use super::{
    catalog, document,
    lookup::{self, TRIMMED},
    purge, refused_operations,
};
use crate::store::{ParkedGraph, PurgeRequest, RowsChange, RowsHead};

/// Something to be written for the read side.
#[derive(Debug)]
pub(super) enum ReadSideWrite {
    Rows { graph: GraphId, projection: String, change: RowsChange },
    Place { reader: String, seq: u64 },
    Trim { to: u64 },
    Park { graph: GraphId, parked: Option<ParkedGraph> },
    Checkpoint { graph: GraphId, head: Head, state: Bytes },
    Document { kind: String, name: String, expected: Option<u64>, bytes: Option<Bytes> },
    Purge { graph: GraphId, request: PurgeRequest },
    Sweep { gone: u64 },
}

impl ReadSideWrite {
    /// About how many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Rows { change, .. } => {
                change.rows.iter().map(|(key, row)| key.len() + row.as_ref().map_or(0, Bytes::len)).sum()
            }
            Self::Checkpoint { state, .. } => state.len(),
            Self::Document { bytes, .. } => bytes.as_ref().map_or(0, Bytes::len),
            Self::Place { .. }
            | Self::Trim { .. }
            | Self::Park { .. }
            | Self::Purge { .. }
            | Self::Sweep { .. } => 0,
        }
    }

    /// Whether it must be on the disk when it is answered. Of the others a power cut may take the latest with it: rows,
    /// places and old states are made again from the log, and a sweep goes on.
    pub(super) fn is_durable(&self) -> bool {
        match self {
            Self::Document { .. } | Self::Purge { .. } | Self::Trim { .. } | Self::Park { .. } => true,
            // Somebody is told that they are rebuilt.
            Self::Rows { change, .. } => change.replaces,
            Self::Place { .. } | Self::Checkpoint { .. } | Self::Sweep { .. } => false,
        }
    }
}

/// Writes it inside the transaction that the caller has open; false if what stood there was
/// something else, and nothing was changed.
pub(super) fn keep(connection: &Connection, write: &ReadSideWrite) -> rusqlite::Result<bool> {
    match write {
        ReadSideWrite::Document { kind, name, expected, bytes } => {
            document::put(connection, kind, name, *expected, bytes.as_deref())
        }
        ReadSideWrite::Rows { graph, projection, change } => {
            change_rows(connection, graph, projection, change)
        }
        ReadSideWrite::Place { reader, seq } => {
            let mut put = connection.prepare_cached("INSERT OR REPLACE INTO place VALUES (?1, ?2)")?;
            put.execute(params![reader, *seq as i64]).map(|_| true)
        }
        ReadSideWrite::Purge { graph, request } => match lookup::row(connection, graph)? {
            Some(row) => purge::purge(connection, row, graph, request),
            None => Ok(false),
        },
        ReadSideWrite::Sweep { gone } => purge::sweep(connection, *gone as i64),
        ReadSideWrite::Trim { to } => {
            refused_operations::trim(connection, *to as i64)?;
            purge::forget_names(connection, *to as i64)?;
            let mut trim = connection.prepare_cached("DELETE FROM feed WHERE seq <= ?1")?;
            trim.execute([*to as i64])?;
            let mut put = connection.prepare_cached(
                "INSERT INTO place VALUES (?1, ?2) ON CONFLICT (reader) DO UPDATE SET seq = max(seq, ?2)",
            )?;
            put.execute(params![TRIMMED, *to as i64]).map(|_| true)
        }
        ReadSideWrite::Checkpoint { graph, head, state } => {
            let Some(row) = lookup::row(connection, graph)? else { return Ok(false) };
            connection
                .prepare_cached("INSERT OR REPLACE INTO checkpoint VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![row, head.version.get() as i64, head.hash.as_bytes(), &state[..]])
                .map(|_| true)
        }
        ReadSideWrite::Park { graph, parked } => {
            let Some(row) = lookup::row(connection, graph)? else { return Ok(false) };
            match parked {
                Some(ParkedGraph { version, reason }) => connection
                    .prepare_cached("INSERT OR REPLACE INTO parked VALUES (?1, ?2, ?3)")?
                    .execute(params![row, version.get() as i64, reason]),
                None => connection.prepare_cached("DELETE FROM parked WHERE graph = ?1")?.execute([row]),
            }
            .map(|_| true)
        }
    }
}

fn change_rows(
    connection: &Connection,
    graph: &GraphId,
    projection: &str,
    change: &RowsChange,
) -> rusqlite::Result<bool> {
    let Some(row) = lookup::row(connection, graph)? else { return Ok(false) };
    if lookup::rows_head(connection, row, projection)? != change.from {
        return Ok(false);
    }
    if change.replaces {
        connection
            .prepare_cached("DELETE FROM projection_row WHERE graph = ?1 AND name = ?2")?
            .execute(params![row, projection])?;
    }
    let mut put =
        connection.prepare_cached("INSERT OR REPLACE INTO projection_row VALUES (?1, ?2, ?3, ?4)")?;
    let mut remove = connection
        .prepare_cached("DELETE FROM projection_row WHERE graph = ?1 AND name = ?2 AND key = ?3")?;
    for (key, bytes) in &change.rows {
        match bytes {
            Some(bytes) => put.execute(params![row, projection, key, &bytes[..]])?,
            None => remove.execute(params![row, projection, key])?,
        };
    }
    if let Some(listing) = &change.listing {
        catalog::put(connection, row, graph, listing)?;
    }
    let RowsHead { head, format } = change.to;
    connection
        .prepare_cached("INSERT OR REPLACE INTO projection VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![row, projection, head.version.get() as i64, head.hash.as_bytes(), format])?;
    Ok(true)
}
