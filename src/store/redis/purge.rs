//! Purging graphs (rule L10): one script takes a graph away from everybody, and what it cannot reach is swept after it.
//!
//! What is left to sweep are the records of its operations and what the partition's streams tell of it. Until that is done
//! the graph stands in `purging`, and no other graph can have its name: `append.lua` refuses its first commit. So nothing
//! of a later graph of that name is ever taken for something of this one, also if the sweep is finished after a crash. Each
//! step of a sweep looks whether it is still for this very purge, as another server may have finished it meanwhile.

use std::sync::Arc;

use bytes::Bytes;
use dao_projections::{GraphId, Hash, Head, OperationId, Version};
use fred::{
    interfaces::HashesInterface,
    prelude::Client,
    types::{Key, Value},
};
use futures::future::try_join_all;
use sha2::{Digest, Sha256};

use super::{
    catalog, errors,
    feed::{place_text, read_place},
    keys::Partition,
    nodes::{ConnectionRole, LiveClient},
    redis_store::RedisStore,
};
use crate::store::{FeedPlace, Gone, Purge, PurgeRequest, Purging, StoreError};

/// Entries of a stream that are looked at by one script.
const ENTRIES_MAX: u32 = 500;

/// Under which a purged graph is remembered. Its name goes.
fn token(graph: &GraphId) -> String {
    let digest = Sha256::new().chain_update(b"dao-gone/1\0").chain_update(graph.as_str()).finalize();
    Hash::from_bytes(&digest).map_or_else(|_| String::new(), |hash| hash.to_hex())
}

/// The same of one of the graphs of a name: the one that this operation purged.
fn token_of_operation(graph: &GraphId, operation: OperationId) -> String {
    format!("{}:{operation}", token(graph))
}

/// What is remembered, without the place in the feed: version, hash, operation and fingerprint.
fn remembered(request: &PurgeRequest) -> String {
    let PurgeRequest { expected, operation, fingerprint } = request;
    let (version, hash) = (expected.version, expected.hash.to_hex());
    format!("{version} {hash} {operation} {:016x}", u64::from_be_bytes(*fingerprint))
}

fn read(text: &str) -> Option<Gone> {
    let mut words = text.split(' ');
    let version = Version::new(words.next()?.parse().ok()?)?;
    let head = Head { version, hash: Hash::from_hex(words.next()?).ok()? };
    let operation = OperationId::parse(words.next()?).ok()?;
    let fingerprint = u64::from_str_radix(words.next()?, 16).ok()?.to_be_bytes();
    let place = read_place(words.next()?)?;
    Some(Gone { head, at_ms: place.major, operation, fingerprint, place })
}

impl RedisStore {
    pub(super) async fn purge_graph(
        &self,
        graph: &GraphId,
        request: &PurgeRequest,
    ) -> Result<Purge, StoreError> {
        let partition = self.partition(graph);
        let of_all =
            [partition.feed(), partition.graphs(), partition.gone(), partition.purging(), partition.parked()];
        let listed = catalog::keys(partition);
        let keys: Vec<Key> = of_all.into_iter().chain(listed).chain(partition.of_graph(graph)).collect();
        let to = self.sender.address(partition, graph);
        let args = vec![
            Value::from(graph.as_str()),
            Value::from(request.expected.version.to_string()),
            Value::Bytes(Bytes::copy_from_slice(request.expected.hash.as_bytes())),
            Value::from(token(graph)),
            Value::from(token_of_operation(graph, request.operation)),
            Value::from(remembered(request)),
            Value::from(to.channel.as_str()),
            Value::Bytes(to.header),
        ];
        let purge = async |live: Arc<LiveClient<Client>>| {
            let script = &self.read_side.purge;
            script.evalsha_with_reload::<(i64,), _, _>(&live.client, keys.clone(), args.clone()).await
        };
        let done = self.nodes.call(partition.slot(), ConnectionRole::Writer, purge).await;
        let ((outcome,), live) =
            done.map_err(|error| errors::of_append(&error, graph, request.expected.version.next()))?;
        if outcome != 0 {
            return Ok(Purge::HeadMoved);
        }
        live.confirm_written(self.min_replicas).await?;
        Ok(Purge::Purged)
    }

    pub(super) async fn what_is_left(&self, graph: &GraphId) -> Result<Option<Gone>, StoreError> {
        let partition = self.partition(graph);
        let token = token(graph);
        let get = async |live: Arc<LiveClient<Client>>| {
            live.client.hget::<Option<String>, _, _>(partition.gone(), token.as_str()).await
        };
        let found = self.ask(partition.slot(), ConnectionRole::Reader, get).await?;
        Ok(found.and_then(|text| read(&text)))
    }

    /// What is left of the graph of this name that this operation purged.
    pub(super) async fn what_operation_left(
        &self,
        graph: &GraphId,
        operation: OperationId,
    ) -> Result<Option<Gone>, StoreError> {
        let partition = self.partition(graph);
        let field = token_of_operation(graph, operation);
        let get = async |live: Arc<LiveClient<Client>>| {
            live.client.hget::<Option<String>, _, _>(partition.gone(), field.as_str()).await
        };
        let found = self.nodes.call(partition.slot(), ConnectionRole::Writer, get).await;
        let (found, live) = found.map_err(|error| errors::of_read(&error))?;
        if found.is_some() {
            live.confirm_found(self.min_replicas, partition).await?;
        }
        Ok(found.and_then(|text| read(&text)))
    }

    /// Graphs of which something is left.
    pub(super) async fn all_purging(&self) -> Result<Vec<Purging>, StoreError> {
        let of = async |partition: Partition| {
            let get = async |live: Arc<LiveClient<Client>>| {
                live.client.hgetall::<Value, _>(partition.purging()).await
            };
            let Value::Map(purging) = self.ask(partition.slot(), ConnectionRole::Writer, get).await? else {
                return Ok(vec![]);
            };
            let found = purging.inner().into_iter().filter_map(|(graph, place)| {
                let graph = Some(GraphId::parse(&graph.into_string()?).ok()?);
                Some(Purging { graph, place: read_place(&place.into_string()?)? })
            });
            Ok::<_, StoreError>(found.collect())
        };
        let all = try_join_all(Partition::all(self.partitions).map(of)).await?;
        Ok(all.into_iter().flatten().collect::<Vec<_>>())
    }

    /// Whether something is left of this one.
    pub(super) async fn is_still_purging(&self, purging: &Purging) -> Result<bool, StoreError> {
        let Purging { graph: Some(graph), place } = purging else { return Ok(false) };
        let partition = self.partition(graph);
        let get = async |live: Arc<LiveClient<Client>>| {
            live.client.hget::<Option<String>, _, _>(partition.purging(), graph.as_str()).await
        };
        let found = self.ask(partition.slot(), ConnectionRole::Writer, get).await?;
        Ok(found.is_some_and(|found| found == place_text(*place)))
    }

    /// Sweeps what is left of the graph of this name that was purged at this place. Each script looks whether that is so.
    pub(super) async fn sweep_graph(&self, graph: &GraphId, place: FeedPlace) -> Result<(), StoreError> {
        let (partition, purged_at) = (self.partition(graph), place_text(place));
        let mut from = Some(String::new());
        while let Some(at) = from {
            let forget = async |live: Arc<LiveClient<Client>>| {
                self.scripts.forget_records(&live.client, partition, (graph, &purged_at), &at).await
            };
            from = self.ask(partition.slot(), ConnectionRole::Writer, forget).await?;
        }
        // The other stream has places of its own. Nothing of a later graph is in it: the name is not free before the end.
        for (stream, to) in
            [(partition.feed(), format!("({purged_at}")), (partition.refused(), "+".to_owned())]
        {
            self.forget_entries(partition, &stream, (graph, &purged_at), &to).await?;
        }
        let end = async |live: Arc<LiveClient<Client>>| {
            let script = &self.read_side.end_purge;
            let args = vec![Value::from(graph.as_str()), Value::from(purged_at.as_str())];
            script.evalsha_with_reload::<(i64,), _, _>(&live.client, vec![partition.purging()], args).await
        };
        self.ask(partition.slot(), ConnectionRole::Writer, end).await.map(drop)
    }

    /// Removes what a stream tells of the graph up to an entry.
    async fn forget_entries(
        &self,
        partition: Partition,
        stream: &Key,
        (graph, place): (&GraphId, &str),
        to: &str,
    ) -> Result<(), StoreError> {
        let mut after = "0-0".to_owned();
        loop {
            let keys = vec![stream.clone(), partition.purging()];
            let args = [after.as_str(), to, graph.as_str(), place, &ENTRIES_MAX.to_string()].map(Value::from);
            let forget = async |live: Arc<LiveClient<Client>>| {
                let script = &self.read_side.forget_entries;
                script.evalsha_with_reload::<Value, _, _>(&live.client, keys.clone(), args.to_vec()).await
            };
            let Value::Array(reply) = self.ask(partition.slot(), ConnectionRole::Writer, forget).await?
            else {
                return Ok(());
            };
            match reply.get(1).and_then(Value::as_string) {
                Some(last) => after = last,
                None => return Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l10_what_is_left_is_read_back_without_the_name() {
        let request = PurgeRequest {
            expected: Head { version: Version::new(7).expect("a version"), hash: Hash::EMPTY.chain(b"x") },
            operation: OperationId::from(uuid::Uuid::from_u128(9)),
            fingerprint: [0, 1, 2, 3, 4, 5, 6, 255],
        };
        let gone = read(&format!("{} 1763800000000-2", remembered(&request))).expect("it is read");
        assert_eq!(
            (gone.head, gone.operation, gone.fingerprint),
            (request.expected, request.operation, request.fingerprint)
        );
        assert_eq!((gone.at_ms, gone.place.minor), (1_763_800_000_000, 2));
        let graph = GraphId::parse("team-a.flow").expect("an id");
        assert!(token(&graph).len() == 64 && !token(&graph).contains("flow"));
        assert_eq!(read("7 zz"), None);
    }
}
