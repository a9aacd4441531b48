//! Purging graphs (rule L10): one script takes a graph away from everybody, and what it cannot reach is swept after it.
//!
//! What is left to sweep are the records of its operations and what the partition's streams tell of it. Until that is done
//! the graph stands in `purging`, and no other graph can have its name: `append.lua` refuses its first commit. So nothing
//! of a later graph of that name is ever taken for something of this one, also if the sweep is finished after a crash.

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
    RedisStore, catalog, errors,
    keys::Partition,
    nodes::{ConnectionRole, LiveClient},
    projection::read_place,
};
use crate::store::{Gone, Purge, PurgeRequest, StoreError};

/// Entries of a stream that are looked at by one script.
const ENTRIES_MAX: u32 = 500;

/// Under which a purged graph is remembered. Its name goes.
fn token(graph: &GraphId) -> String {
    let digest = Sha256::new().chain_update(b"dao-gone/1\0").chain_update(graph.as_str()).finalize();
    Hash::from_bytes(&digest).map_or_else(|_| String::new(), |hash| hash.to_hex())
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
            Value::from(remembered(request)),
            Value::from(to.channel.as_str()),
            Value::Bytes(to.header),
        ];
        let purge = async |live: Arc<LiveClient<Client>>| {
            let script = &self.row_scripts.purge;
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

    /// Graphs of which something is left: where they are, and up to which place the feed tells of them.
    pub(super) async fn all_purging(&self) -> Result<Vec<(Partition, GraphId, String)>, StoreError> {
        let of = async |partition: Partition| {
            let get = async |live: Arc<LiveClient<Client>>| {
                live.client.hgetall::<Value, _>(partition.purging()).await
            };
            let Value::Map(purging) = self.ask(partition.slot(), ConnectionRole::Writer, get).await? else {
                return Ok(vec![]);
            };
            let found = purging.inner().into_iter().filter_map(|(graph, place)| {
                Some((partition, GraphId::parse(&graph.into_string()?).ok()?, place.into_string()?))
            });
            Ok::<_, StoreError>(found.collect())
        };
        let all = try_join_all(Partition::all(self.partitions).map(of)).await?;
        Ok(all.into_iter().flatten().collect::<Vec<_>>())
    }

    /// Sweeps what is left of purged graphs.
    pub(super) async fn sweep_all(&self) -> Result<bool, StoreError> {
        let purging = self.all_purging().await?;
        for (partition, graph, place) in &purging {
            self.sweep_graph(*partition, graph, place).await?;
        }
        Ok(!purging.is_empty())
    }

    async fn sweep_graph(
        &self,
        partition: Partition,
        graph: &GraphId,
        place: &str,
    ) -> Result<(), StoreError> {
        let mut from = Some(String::new());
        while let Some(at) = from {
            let forget = async |live: Arc<LiveClient<Client>>| {
                self.scripts.forget_records(&live.client, partition, graph, &at).await
            };
            from = self.ask(partition.slot(), ConnectionRole::Writer, forget).await?;
        }
        for stream in [partition.feed(), partition.refused()] {
            self.forget_entries(partition, &stream, graph, place).await?;
        }
        let done = async |live: Arc<LiveClient<Client>>| {
            live.client.hdel::<(), _, _>(partition.purging(), graph.as_str()).await
        };
        self.ask(partition.slot(), ConnectionRole::Writer, done).await
    }

    /// Removes what a stream tells of the graph before this place.
    async fn forget_entries(
        &self,
        partition: Partition,
        stream: &Key,
        graph: &GraphId,
        place: &str,
    ) -> Result<(), StoreError> {
        let mut after = "0-0".to_owned();
        loop {
            let args = [after.as_str(), place, graph.as_str(), &ENTRIES_MAX.to_string()].map(Value::from);
            let forget = async |live: Arc<LiveClient<Client>>| {
                let script = &self.row_scripts.forget_entries;
                script
                    .evalsha_with_reload::<Value, _, _>(&live.client, vec![stream.clone()], args.to_vec())
                    .await
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
