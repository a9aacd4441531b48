//! The read side's half of the store: the feed, rows of projections, places of their readers.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use dao_projections::{GraphId, Hash, Head, OperationId, Version};
use fred::{
    interfaces::{HashesInterface, StreamsInterface},
    prelude::Client,
    types::{Key, Value, scripts::Script},
};

use super::{
    catalog,
    feed::{entry, place_text, refused_entry},
    keys::{self, Partition},
    nodes::{ConnectionRole, LiveClient},
    redis_store::RedisStore,
};
use crate::store::{
    FeedBounds, FeedEntry, FeedPlace, Gone, ListPiece, ListQuery, Listing, ParkedGraph, ProjectionStore,
    Purge, PurgeRequest, Purging, RefusedEntry, RowsChange, RowsFound, RowsHead, StoreError,
};

/// Up to where the feed was trimmed, among the places of readers.
const TRIMMED: &str = "feed:trimmed";
/// What rows are true of: fields beside them, whose names no row has.
const HEAD_FIELDS: [&str; 3] = ["version", "hash", "format"];

fn rows_head(version: &Value, hash: &Value, format: &Value) -> Option<RowsHead> {
    let version = Version::new(version.as_str()?.parse().ok()?)?;
    let hash = Hash::from_bytes(hash.as_bytes()?).ok()?;
    Some(RowsHead { head: Head { version, hash }, format: format.as_str()?.parse().ok()? })
}

fn push_head(args: &mut Vec<Value>, at: Option<RowsHead>) {
    match at {
        None => args.extend([Value::from(""), Value::from(""), Value::from("")]),
        Some(RowsHead { head, format }) => args.extend([
            Value::from(head.version.to_string()),
            Value::Bytes(Bytes::copy_from_slice(head.hash.as_bytes())),
            Value::from(format.to_string()),
        ]),
    }
}

impl RedisStore {
    /// Whether the script did what it was asked to.
    pub(super) async fn change(
        &self,
        slot: u16,
        script: &Script,
        keys: Vec<Key>,
        args: Vec<Value>,
    ) -> Result<bool, StoreError> {
        let call = async |live: Arc<LiveClient<Client>>| {
            script.evalsha_with_reload::<(i64,), _, _>(&live.client, keys.clone(), args.clone()).await
        };
        Ok(self.ask(slot, ConnectionRole::Writer, call).await?.0 == 1)
    }

    async fn hgetall(&self, slot: u16, key: Key) -> Result<Value, StoreError> {
        let get = async |live: Arc<LiveClient<Client>>| live.client.hgetall::<Value, _>(key.clone()).await;
        self.ask(slot, ConnectionRole::Reader, get).await
    }

    async fn hmget(&self, slot: u16, key: Key, fields: Vec<Key>) -> Result<Value, StoreError> {
        let get = async |live: Arc<LiveClient<Client>>| {
            live.client.hmget::<Value, _, _>(key.clone(), fields.clone()).await
        };
        self.ask(slot, ConnectionRole::Reader, get).await
    }

    async fn hset(&self, slot: u16, key: Key, field: &str, value: Bytes) -> Result<(), StoreError> {
        let set = async |live: Arc<LiveClient<Client>>| {
            live.client.hset::<(), _, _>(key.clone(), (field, Value::Bytes(value.clone()))).await
        };
        self.ask(slot, ConnectionRole::Writer, set).await
    }
}

#[async_trait]
impl ProjectionStore for RedisStore {
    fn feed_parts(&self) -> u32 {
        self.partitions
    }

    fn feed_part(&self, graph: &GraphId) -> u32 {
        self.partition(graph).number()
    }

    async fn feed(&self, part: u32, after: FeedPlace, limit: usize) -> Result<Vec<FeedEntry>, StoreError> {
        let from = format!("({}", place_text(after));
        // The client takes no count beyond an i64.
        let count = u64::try_from(limit).ok().filter(|count| *count < i64::MAX as u64);
        let partition = self.part(part);
        let range = async |live: Arc<LiveClient<Client>>| {
            live.client.xrange::<Value, _, _, _>(partition.feed(), from.as_str(), "+", count).await
        };
        let reply = self.ask(partition.slot(), ConnectionRole::Reader, range).await?;
        let Value::Array(rows) = reply else { return Ok(vec![]) };
        // An entry that was passed over could be somebody's commits: better to stand still, and say so.
        let unreadable = || {
            let place = place_text(after);
            StoreError::Unavailable(format!(
                "part {part} of the feed can't be read after {place}: what stands there is no entry"
            ))
        };
        rows.iter().map(|row| entry(row).ok_or_else(unreadable)).collect()
    }

    async fn feed_before(
        &self,
        part: u32,
        before: FeedPlace,
        limit: usize,
    ) -> Result<Vec<FeedEntry>, StoreError> {
        let partition = self.part(part);
        self.stream_before((partition, partition.feed()), before, limit, entry).await
    }

    async fn refused_before(
        &self,
        part: u32,
        before: FeedPlace,
        limit: usize,
    ) -> Result<Vec<RefusedEntry>, StoreError> {
        let partition = self.part(part);
        self.stream_before((partition, partition.refused()), before, limit, refused_entry).await
    }

    async fn feed_bounds(&self, part: u32) -> Result<FeedBounds, StoreError> {
        // The end first: whatever is trimmed in between is then known to have been there.
        let partition = self.part(part);
        let last = async |live: Arc<LiveClient<Client>>| {
            live.client.xrevrange::<Value, _, _, _>(partition.feed(), "+", "-", Some(1)).await
        };
        let reply = self.ask(partition.slot(), ConnectionRole::Reader, last).await?;
        let trimmed = self.place_of(part, TRIMMED).await?;
        let last = match &reply {
            Value::Array(rows) => rows.first().and_then(entry),
            _ => None,
        };
        let end = last.map_or(FeedPlace::START, |entry| entry.place);
        Ok(FeedBounds { trimmed, end: end.max(trimmed) })
    }

    /// Ids begin with the time.
    async fn feed_place_at(&self, _part: u32, time_ms: u64) -> Result<FeedPlace, StoreError> {
        Ok(FeedPlace { major: time_ms.saturating_sub(1), minor: u64::MAX })
    }

    async fn refused_place_at(&self, part: u32, time_ms: u64) -> Result<FeedPlace, StoreError> {
        // Both are streams whose ids are times.
        self.feed_place_at(part, time_ms).await
    }

    async fn trim_feed(&self, part: u32, to: FeedPlace) -> Result<(), StoreError> {
        let first_kept = FeedPlace { minor: to.minor.saturating_add(1), ..to };
        let (major, minor) = (to.major.to_string(), to.minor.to_string());
        let args = vec![major.into(), minor.into(), place_text(first_kept).into(), TRIMMED.into()];
        let keys = vec![self.part(part).feed(), self.part(part).places(), self.part(part).refused()];
        self.change(self.part(part).slot(), &self.read_side.trim_feed, keys, args).await.map(drop)
    }

    async fn place(&self, reader: &str, part: u32) -> Result<FeedPlace, StoreError> {
        self.place_of(part, reader).await
    }

    async fn set_place(&self, reader: &str, part: u32, place: FeedPlace) -> Result<(), StoreError> {
        let partition = self.part(part);
        self.hset(partition.slot(), partition.places(), reader, place_text(place).into()).await
    }

    async fn lease(&self, reader: &str, part: u32, worker: &str, time: Duration) -> Result<bool, StoreError> {
        let args = vec![Value::from(worker), Value::from(time.as_millis().to_string())];
        let partition = self.part(part);
        self.change(partition.slot(), &self.read_side.lease, vec![partition.lease(reader)], args).await
    }

    async fn rows(
        &self,
        graph: &GraphId,
        projection: &str,
        keys: &[String],
    ) -> Result<RowsFound, StoreError> {
        // The version comes first: a reply must never begin with what somebody else chose.
        let fields: Vec<Key> = HEAD_FIELDS
            .iter()
            .map(|f| Key::from(*f))
            .chain(keys.iter().map(|k| Key::from(k.as_str())))
            .collect();
        let partition = self.partition(graph);
        let reply = self.hmget(partition.slot(), partition.projection(graph, projection), fields).await?;
        let Value::Array(values) = reply else {
            return Ok(RowsFound { at: None, rows: vec![None; keys.len()] });
        };
        let [version, hash, format, rows @ ..] = values.as_slice() else {
            return Ok(RowsFound { at: None, rows: vec![None; keys.len()] });
        };
        let rows = rows.iter().map(|row| row.as_bytes().map(Bytes::copy_from_slice)).collect();
        Ok(RowsFound { at: rows_head(version, hash, format), rows })
    }

    async fn all_rows(
        &self,
        graph: &GraphId,
        projection: &str,
    ) -> Result<Option<(RowsHead, Vec<(String, Bytes)>)>, StoreError> {
        let partition = self.partition(graph);
        let reply = self.hgetall(partition.slot(), partition.projection(graph, projection)).await?;
        let Value::Map(map) = reply else { return Ok(None) };
        let (mut head, mut rows) = ([Value::Null, Value::Null, Value::Null], Vec::new());
        for (key, value) in map.inner() {
            let Some(key) = key.into_string() else { continue };
            match HEAD_FIELDS.iter().position(|field| *field == key) {
                Some(index) => head[index] = value,
                None => rows.extend(value.as_bytes().map(|row| (key, Bytes::copy_from_slice(row)))),
            }
        }
        let [version, hash, format] = &head;
        Ok(rows_head(version, hash, format).map(|head| (head, rows)))
    }

    async fn change_rows(
        &self,
        graph: &GraphId,
        projection: &str,
        change: RowsChange,
    ) -> Result<bool, StoreError> {
        let mut args = Vec::with_capacity(8 + 2 * change.rows.len());
        push_head(&mut args, change.from);
        push_head(&mut args, Some(change.to));
        args.push(Value::from(if change.replaces { "1" } else { "0" }));
        args.push(Value::from(change.rows.iter().filter(|(_, row)| row.is_some()).count().to_string()));
        for (key, row) in &change.rows {
            if let Some(row) = row {
                args.extend([Value::from(key.as_str()), Value::Bytes(row.clone())]);
            }
        }
        let gone = change.rows.iter().filter(|(_, row)| row.is_none());
        args.extend(gone.map(|(key, _)| Value::from(key.as_str())));
        let partition = self.partition(graph);
        let mut keys = vec![partition.projection(graph, projection)];
        if let Some(Listing { keys: sorted, purge_after_ms, row }) = &change.listing {
            keys.extend(catalog::keys(partition));
            args.extend([Value::from(graph.as_str()), Value::Bytes(row.clone())]);
            args.extend(
                [&sorted.updated, &sorted.created, &sorted.title].map(|key| Value::from(key.as_str())),
            );
            args.push(Value::from(purge_after_ms.map(|ms| ms.to_string()).unwrap_or_default()));
        }
        self.change(partition.slot(), &self.read_side.change_rows, keys, args).await
    }

    /// A field for each, named by its version: the hash, then the state.
    async fn put_checkpoint(&self, graph: &GraphId, head: Head, state: Bytes) -> Result<(), StoreError> {
        let partition = self.partition(graph);
        let value = Bytes::from([head.hash.as_bytes().as_slice(), &state].concat());
        self.hset(partition.slot(), partition.checkpoints(graph), &head.version.to_string(), value).await
    }

    async fn checkpoint(
        &self,
        graph: &GraphId,
        version: Version,
    ) -> Result<Option<(Head, Bytes)>, StoreError> {
        let partition = self.partition(graph);
        let key = partition.checkpoints(graph);
        // Digits all of them: no reply here begins with what somebody else chose.
        let names =
            async |live: Arc<LiveClient<Client>>| live.client.hkeys::<Vec<String>, _>(key.clone()).await;
        let fields = self.ask(partition.slot(), ConnectionRole::Reader, names).await?;
        let versions = fields.iter().filter_map(|field| Version::new(field.parse().ok()?));
        let Some(found) = versions.filter(|at| *at <= version).max() else { return Ok(None) };
        let get = async |live: Arc<LiveClient<Client>>| {
            live.client.hget::<Option<Bytes>, _, _>(key.clone(), found.to_string()).await
        };
        let value = self.ask(partition.slot(), ConnectionRole::Reader, get).await?;
        Ok(value.filter(|value| value.len() >= 32).and_then(|value| {
            let hash = Hash::from_bytes(&value[..32]).ok()?;
            Some((Head { version: found, hash }, value.slice(32..)))
        }))
    }

    async fn list(&self, query: &ListQuery) -> Result<ListPiece, StoreError> {
        self.list_graphs(query).await
    }

    async fn list_rows(&self, graphs: &[GraphId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.rows_of_list(graphs).await
    }

    async fn due_for_purge(
        &self,
        before_ms: u64,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<GraphId>, StoreError> {
        self.due(before_ms, skip, limit).await
    }

    async fn purge(&self, graph: &GraphId, request: &PurgeRequest) -> Result<Purge, StoreError> {
        self.purge_graph(graph, request).await
    }

    async fn gone(&self, graph: &GraphId) -> Result<Option<Gone>, StoreError> {
        self.what_is_left(graph).await
    }

    async fn purged_by(&self, graph: &GraphId, operation: OperationId) -> Result<Option<Gone>, StoreError> {
        self.what_operation_left(graph, operation).await
    }

    async fn purging(&self) -> Result<Vec<Purging>, StoreError> {
        self.all_purging().await
    }

    async fn is_purging(&self, purging: &Purging) -> Result<bool, StoreError> {
        self.is_still_purging(purging).await
    }

    async fn sweep(&self, purging: &Purging) -> Result<bool, StoreError> {
        let Purging { graph: Some(graph), place } = purging else { return Ok(false) };
        self.sweep_graph(graph, *place).await?;
        Ok(false)
    }

    async fn drop_rows(&self, graph: &GraphId) -> Result<(), StoreError> {
        let partition = self.partition(graph);
        let keys = catalog::keys(partition).into_iter().chain(partition.of_graph(graph)).collect();
        let args = vec![Value::from(graph.as_str())];
        self.change(partition.slot(), &self.read_side.drop_rows, keys, args).await.map(drop)
    }

    async fn park(&self, graph: &GraphId, parked: Option<&ParkedGraph>) -> Result<(), StoreError> {
        let partition = self.partition(graph);
        let Some(ParkedGraph { version, reason }) = parked else {
            let remove = async |live: Arc<LiveClient<Client>>| {
                live.client.hdel::<(), _, _>(partition.parked(), graph.as_str()).await
            };
            return self.ask(partition.slot(), ConnectionRole::Writer, remove).await;
        };
        let value = format!("{version} {reason}").into();
        self.hset(partition.slot(), partition.parked(), graph.as_str(), value).await
    }

    async fn parked(&self) -> Result<Vec<(GraphId, ParkedGraph)>, StoreError> {
        let mut all = Vec::new();
        for partition in Partition::all(self.partitions) {
            let reply = self.hgetall(partition.slot(), partition.parked()).await?;
            let Value::Map(map) = reply else { continue };
            for (graph, value) in map.inner() {
                let read = || {
                    let (version, reason) =
                        value.as_str()?.split_once(' ').map(|(v, r)| (v.to_owned(), r.to_owned()))?;
                    let version = Version::new(version.parse().ok()?)?;
                    Some((GraphId::parse(&graph.into_string()?).ok()?, ParkedGraph { version, reason }))
                };
                all.extend(read());
            }
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(all)
    }

    async fn document(&self, kind: &str, name: &str) -> Result<Option<(u64, Bytes)>, StoreError> {
        // The version comes first: a reply must never begin with what somebody else chose.
        let fields = vec![Key::from("version"), Key::from("body")];
        let reply = self.hmget(keys::documents_slot(), keys::document(kind, name), fields).await?;
        let Value::Array(values) = reply else { return Ok(None) };
        let [version, body] = values.as_slice() else { return Ok(None) };
        Ok(version.as_u64().zip(body.as_bytes().map(Bytes::copy_from_slice)))
    }

    async fn put_document(
        &self,
        kind: &str,
        name: &str,
        expected: Option<u64>,
        bytes: Option<Bytes>,
    ) -> Result<bool, StoreError> {
        let keys = vec![keys::document(kind, name), keys::documents(kind), keys::DOCUMENT_CHANGES.into()];
        let expected = expected.map(|version| version.to_string()).unwrap_or_default();
        let is_put = if bytes.is_some() { "1" } else { "0" };
        let body = Value::Bytes(bytes.unwrap_or_default());
        let args = vec![name.into(), expected.into(), is_put.into(), body];
        self.change(keys::documents_slot(), &self.read_side.put_document, keys, args).await
    }

    async fn documents(&self, kind: &str) -> Result<Vec<String>, StoreError> {
        // A map, not a list: a list must never begin with what somebody else chose.
        let reply = self.hgetall(keys::documents_slot(), keys::documents(kind)).await?;
        let Value::Map(map) = reply else { return Ok(vec![]) };
        let mut names: Vec<String> = map.inner().into_keys().filter_map(|name| name.into_string()).collect();
        names.sort();
        Ok(names)
    }
}
