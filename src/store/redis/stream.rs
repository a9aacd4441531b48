//! Reading a graph's stream.
//!
//! Invariant: what is returned is gapless; every range is bounded at both ends and in its count.

use std::sync::Arc;

use bytes::Bytes;
use dao_projections::{GraphId, Hash, Head, Version};
use fred::{interfaces::StreamsInterface, prelude::Client, types::Value};

use super::{
    errors,
    keys::Partition,
    nodes::{ConnectionRole, LiveClient, Nodes},
};
use crate::store::{READ_BYTES_MAX, StoreError, StoredCommit};

/// Commits in the first page of a read, while nothing is known about their size.
const FIRST_PAGE: usize = 16;
/// By how much a page may have more commits than the one before: big ones may follow small ones.
const PAGE_GROWTH_MAX: usize = 16;
/// Most commits in a page.
const PAGE_MAX: usize = 4_096;
/// The bytes of bodies that a page should come to, going by the commits before it.
const PAGE_BYTES: usize = 2 << 20;

/// The last commit's version and hash.
pub(super) async fn head(nodes: &Nodes, partition: Partition, graph: &GraphId) -> Result<Head, StoreError> {
    let last = async |live: Arc<LiveClient<Client>>| {
        live.client.xrevrange::<Value, _, _, _>(partition.events(graph), "+", "-", Some(1)).await
    };
    let reply = nodes.call(partition.slot(), ConnectionRole::Writer, last).await;
    let (reply, _) = reply.map_err(|error| errors::of_read(&error))?;
    match rows(reply).first() {
        None => Ok(Head::EMPTY),
        Some(row) => decode(row)
            .map(|commit| commit.head())
            .ok_or_else(|| corrupt(graph, Version::EMPTY, "the last entry is not a commit")),
    }
}

/// See [`crate::store::EventStore::read`].
pub(super) async fn read(
    nodes: &Nodes,
    partition: Partition,
    graph: &GraphId,
    (after, to): (Version, Version),
    limit: usize,
) -> Result<Vec<StoredCommit>, StoreError> {
    let mut commits: Vec<StoredCommit> = Vec::new();
    let mut bytes = 0;
    let mut at = after;
    let mut page = FIRST_PAGE;
    while at < to && commits.len() < limit {
        let left = usize::try_from(to.since(at)).unwrap_or(usize::MAX).min(limit - commits.len());
        let count = page.min(left);
        let mut rows = range(nodes, partition, graph, at, &to.to_string(), count).await?;
        if rows.is_empty() && commits.is_empty() {
            // Either the history ends here, or all of this range is missing and it goes on after.
            rows = range(nodes, partition, graph, at, "+", 1).await?;
        }
        for row in &rows {
            let next = at.next();
            let commit = decode(row).ok_or_else(|| corrupt(graph, next, "the entry is not a commit"))?;
            if commit.version != next {
                return Err(corrupt(graph, next, &format!("it is missing before {}", commit.version)));
            }
            bytes += commit.body.len();
            if bytes > READ_BYTES_MAX && !commits.is_empty() {
                return Ok(commits);
            }
            at = next;
            commits.push(commit);
        }
        if rows.len() < count || bytes >= READ_BYTES_MAX {
            break;
        }
        let body_bytes_mean = (bytes / commits.len()).max(1);
        let budget = PAGE_BYTES.min(READ_BYTES_MAX - bytes);
        page = (budget / body_bytes_mean).clamp(1, PAGE_MAX.min(count * PAGE_GROWTH_MAX));
    }
    Ok(commits)
}

async fn range(
    nodes: &Nodes,
    partition: Partition,
    graph: &GraphId,
    after: Version,
    to: &str,
    count: usize,
) -> Result<Vec<Value>, StoreError> {
    let (from, count) = (after.next().to_string(), u64::try_from(count).ok());
    let range = async |live: Arc<LiveClient<Client>>| {
        live.client.xrange::<Value, _, _, _>(partition.events(graph), from.as_str(), to, count).await
    };
    let reply = nodes.call(partition.slot(), ConnectionRole::Reader, range).await;
    reply.map(|(reply, _)| rows(reply)).map_err(|error| errors::of_read(&error))
}

fn rows(reply: Value) -> Vec<Value> {
    match reply {
        Value::Array(rows) => rows,
        _ => Vec::new(),
    }
}

/// An entry is `[id, [field, value, field, value]]`.
fn decode(row: &Value) -> Option<StoredCommit> {
    let Value::Array(row) = row else { return None };
    let [id, Value::Array(fields)] = row.as_slice() else { return None };
    let [hash_name, hash, body_name, body] = fields.as_slice() else { return None };
    if hash_name.as_bytes()? != b"hash" || body_name.as_bytes()? != b"body" {
        return None;
    }
    Some(StoredCommit {
        version: Version::new(id.as_str()?.strip_suffix("-0")?.parse().ok()?)?,
        hash: Hash::from_bytes(hash.as_bytes()?).ok()?,
        body: Bytes::copy_from_slice(body.as_bytes()?),
    })
}

fn corrupt(graph: &GraphId, version: Version, problem: &str) -> StoreError {
    StoreError::Corrupt { graph: graph.clone(), version, problem: problem.to_owned() }
}
