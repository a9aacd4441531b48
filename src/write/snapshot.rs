//! Graphs from where projector tasks left them: what a cold start and a read of an old version begin
//! with, instead of the whole log.
//!
//! A snapshot is never trusted further than its hash: whoever begins with one goes on by following
//! the log from there, and the chain shows whether it is of this history.

use std::io::{Read, Write};

use bytes::Bytes;
use dao_projections::{Graph, GraphId, Head, Projection, Snapshot, Version, graph_of_rows};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use serde_bytes::ByteBuf;

use crate::store::{ProjectionStore, StoreError};

/// What a checkpoint may inflate to; larger ones are not used.
const CHECKPOINT_BYTES_MAX: u64 = 1 << 30;

/// The graph as its snapshot has it; nothing, where there is none that this program can read.
pub async fn load(rows: &dyn ProjectionStore, id: &GraphId) -> Result<Option<Graph>, StoreError> {
    let Some((at, rows)) = rows.all_rows(id, Snapshot::NAME).await? else { return Ok(None) };
    if at.format != Snapshot::FORMAT {
        return Ok(None);
    }
    let pairs = rows.iter().map(|(key, row)| (key.as_str(), &row[..]));
    match super::run_blocking(|| graph_of_rows(at.head, pairs)) {
        Ok(graph) => Ok(Some(graph)),
        Err(error) => {
            tracing::warn!(graph = %id, %error, "a snapshot can't be read; the log is folded instead");
            Ok(None)
        }
    }
}

/// Keeps the snapshot of `head` for reads of old versions, if the rows are still true of that.
pub async fn keep_checkpoint(rows: &dyn ProjectionStore, id: &GraphId, head: Head) -> Result<(), StoreError> {
    let Some((at, found)) = rows.all_rows(id, Snapshot::NAME).await? else { return Ok(()) };
    if at.head != head || at.format != Snapshot::FORMAT {
        return Ok(());
    }
    match super::run_blocking(|| encode(&found)) {
        Ok(state) => rows.put_checkpoint(id, head, state).await,
        Err(error) => {
            tracing::warn!(graph = %id, %error, "a checkpoint could not be made");
            Ok(())
        }
    }
}

/// The graph at the latest checkpoint at or before `version`; nothing, where there is none.
pub async fn checkpoint(
    rows: &dyn ProjectionStore,
    id: &GraphId,
    version: Version,
) -> Result<Option<Graph>, StoreError> {
    let Some((head, state)) = rows.checkpoint(id, version).await? else { return Ok(None) };
    match super::run_blocking(|| decode(head, &state)) {
        Ok(graph) => Ok(Some(graph)),
        Err(problem) => {
            tracing::warn!(graph = %id, version = %head.version, problem, "a checkpoint can't be read");
            Ok(None)
        }
    }
}

/// The snapshot's format, then all rows as MessagePack, deflated.
fn encode(rows: &[(String, Bytes)]) -> std::io::Result<Bytes> {
    let rows: Vec<(&str, &serde_bytes::Bytes)> =
        rows.iter().map(|(key, row)| (key.as_str(), serde_bytes::Bytes::new(row))).collect();
    let mut deflate = DeflateEncoder::new(Snapshot::FORMAT.to_be_bytes().to_vec(), Compression::fast());
    let packed = rmp_serde::to_vec(&rows).map_err(std::io::Error::other)?;
    deflate.write_all(&packed)?;
    deflate.finish().map(Bytes::from)
}

fn decode(head: Head, state: &[u8]) -> Result<Graph, String> {
    let Some((format, deflated)) = state.split_first_chunk::<4>() else {
        return Err("it is too short".into());
    };
    if u32::from_be_bytes(*format) != Snapshot::FORMAT {
        return Err("it is of another format".to_owned());
    }
    let mut packed = Vec::new();
    let mut inflate = DeflateDecoder::new(deflated).take(CHECKPOINT_BYTES_MAX);
    inflate.read_to_end(&mut packed).map_err(|e| e.to_string())?;
    let rows: Vec<(String, ByteBuf)> = rmp_serde::from_slice(&packed).map_err(|e| e.to_string())?;
    let pairs = rows.iter().map(|(key, row)| (key.as_str(), &row[..]));
    graph_of_rows(head, pairs).map_err(|e| e.to_string())
}
