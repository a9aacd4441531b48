//! Reading a graph's stream of refused operations; `append.lua` writes it.
//!
//! Invariant: every range is bounded at both ends and in its count.

use std::sync::Arc;

use bytes::Bytes;
use dao_projections::{GraphId, OperationId, Version};
use fred::{interfaces::StreamsInterface, prelude::Client, types::Value};

use super::{
    errors,
    keys::Partition,
    nodes::{ConnectionRole, LiveClient, Nodes},
};
use crate::store::{Order, READ_BYTES_MAX, RefusalPlace, StoreError, StoredRefusal};

/// Refusals in one page of a read: one takes some hundred bytes, but a large batch can make it many.
const PAGE: usize = 128;

/// See [`crate::store::EventStore::refusals`].
pub(super) async fn read(
    nodes: &Nodes,
    partition: Partition,
    graph: &GraphId,
    between: (RefusalPlace, RefusalPlace),
    order: Order,
    limit: usize,
) -> Result<Vec<StoredRefusal>, StoreError> {
    let (mut after, mut before) = between;
    let mut refusals: Vec<StoredRefusal> = Vec::new();
    let mut bytes = 0;
    while after < before && refusals.len() < limit {
        let count = PAGE.min(limit - refusals.len());
        let (key, low, high) = (partition.refusals(graph), exclusive(after), exclusive(before));
        let count_asked = u64::try_from(count).ok();
        let page = async |live: Arc<LiveClient<Client>>| {
            let (key, low, high) = (key.clone(), low.as_str(), high.as_str());
            match order {
                Order::OldestFirst => live.client.xrange::<Value, _, _, _>(key, low, high, count_asked).await,
                Order::NewestFirst => live.client.xrevrange(key, high, low, count_asked).await,
            }
        };
        let reply = nodes.call(partition.slot(), ConnectionRole::Reader, page).await;
        let (Value::Array(rows), _) = reply.map_err(|error| errors::of_read(&error))? else { break };
        for row in &rows {
            let refusal = decode(row).ok_or_else(|| {
                let problem = "an entry of the refusals is none".to_owned();
                StoreError::Corrupt { graph: graph.clone(), version: after.version, problem }
            })?;
            bytes += refusal.record.len();
            if bytes > READ_BYTES_MAX && !refusals.is_empty() {
                return Ok(refusals);
            }
            match order {
                Order::OldestFirst => after = refusal.place,
                Order::NewestFirst => before = refusal.place,
            }
            refusals.push(refusal);
        }
        if rows.len() < count {
            break;
        }
    }
    Ok(refusals)
}

/// The end of a range that leaves out its place.
fn exclusive(place: RefusalPlace) -> String {
    format!("({}-{}", place.version, place.number)
}

/// An entry is `[id, ["operation", id, "record", bytes]]`.
fn decode(row: &Value) -> Option<StoredRefusal> {
    let Value::Array(row) = row else { return None };
    let [id, Value::Array(fields)] = row.as_slice() else { return None };
    let [_, operation, _, record] = fields.as_slice() else { return None };
    let id = id.as_str()?;
    let (version, number) = id.split_once('-')?;
    let version = Version::new(version.parse().ok()?)?;
    Some(StoredRefusal {
        place: RefusalPlace { version, number: number.parse().ok()? },
        operation: OperationId::from(uuid::Uuid::from_slice(operation.as_bytes()?).ok()?),
        record: Bytes::copy_from_slice(record.as_bytes()?),
    })
}
