//! The feed in Redis: its parts, places and entries.

use std::sync::Arc;

use dao_projections::{GraphId, Hash, Version};
use fred::{
    interfaces::{HashesInterface, StreamsInterface},
    prelude::Client,
    types::{Key, Value},
};

use super::{
    keys::Partition,
    nodes::{ConnectionRole, LiveClient},
    redis_store::RedisStore,
};
use crate::store::{FeedEntry, FeedPlace, RefusalPlace, RefusedEntry, StoreError};

pub(super) fn read_place(text: &str) -> Option<FeedPlace> {
    let (major, minor) = text.split_once('-')?;
    Some(FeedPlace { major: major.parse().ok()?, minor: minor.parse().ok()? })
}

pub(super) fn place_text(place: FeedPlace) -> String {
    format!("{}-{}", place.major, place.minor)
}

/// An entry is `[id, [graph, <id>, from, <version>, to, <version>]]`, or `[id, [graph, <id>, purged, <version>, hash, <hash>]]`.
pub(super) fn entry(row: &Value) -> Option<FeedEntry> {
    let Value::Array(row) = row else { return None };
    let [id, Value::Array(fields)] = row.as_slice() else { return None };
    let [_, graph, name, first, _, second] = fields.as_slice() else { return None };
    let version = |value: &Value| Version::new(value.as_str()?.parse().ok()?);
    let place = read_place(&id.as_str()?)?;
    let (to, purged) = match name.as_bytes()? {
        b"purged" => (version(first)?, Some(Hash::from_bytes(second.as_bytes()?).ok()?)),
        _ => (version(second)?, None),
    };
    let (graph, from) = (GraphId::parse(&graph.as_str()?).ok()?, version(first)?);
    Some(FeedEntry { place, at_ms: place.major, graph, from, to, purged })
}

/// `[id, [graph, <id>, version, <version>, number, <number>]]`.
pub(super) fn refused_entry(row: &Value) -> Option<RefusedEntry> {
    let Value::Array(row) = row else { return None };
    let [id, Value::Array(fields)] = row.as_slice() else { return None };
    let [_, graph, _, version, _, number] = fields.as_slice() else { return None };
    let (place, version) = (read_place(&id.as_str()?)?, Version::new(version.as_str()?.parse().ok()?)?);
    let of_graph = RefusalPlace { version, number: number.as_str()?.parse().ok()? };
    Some(RefusedEntry { place, graph: GraphId::parse(&graph.as_str()?).ok()?, of_graph, at_ms: place.major })
}

impl RedisStore {
    pub(super) fn part(&self, part: u32) -> Partition {
        Partition::numbered(part)
    }

    /// The entries of a stream of a part before this place, the latest first.
    pub(super) async fn stream_before<T>(
        &self,
        (partition, stream): (Partition, Key),
        before: FeedPlace,
        limit: usize,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<T>, StoreError> {
        let to = if before == FeedPlace::END { "+".to_owned() } else { format!("({}", place_text(before)) };
        let count = u64::try_from(limit).ok().filter(|count| *count < i64::MAX as u64);
        let range = async |live: Arc<LiveClient<Client>>| {
            live.client.xrevrange::<Value, _, _, _>(stream.clone(), to.as_str(), "-", count).await
        };
        let Value::Array(rows) = self.ask(partition.slot(), ConnectionRole::Reader, range).await? else {
            return Ok(vec![]);
        };
        Ok(rows.iter().filter_map(read).collect())
    }

    pub(super) async fn place_of(&self, part: u32, reader: &str) -> Result<FeedPlace, StoreError> {
        let partition = self.part(part);
        let get = async |live: Arc<LiveClient<Client>>| {
            live.client.hget::<Option<String>, _, _>(partition.places(), reader).await
        };
        let text = self.ask(partition.slot(), ConnectionRole::Reader, get).await?;
        Ok(text.and_then(|text| read_place(&text)).unwrap_or(FeedPlace::START))
    }
}
