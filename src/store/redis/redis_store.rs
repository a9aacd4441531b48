//! The store: its servers, its scripts, and what is known of them.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use dao_projections::{GraphId, Head, OperationId, Version};
use fred::{
    error::Error,
    interfaces::{ClientLike, KeysInterface, PubsubInterface},
    prelude::{Client, Options},
    types::Expiration,
};
use futures::future::{join_all, try_join_all};

use super::{
    errors,
    index::Index,
    keys::Partition,
    message::Publisher,
    nodes::{ConnectionRole, LiveClient, Nodes},
    publication_reader::PublicationReader,
    read_side_scripts::ReadSideScripts,
    refused_operations,
    scripts::{self, ScriptReply, Scripts},
    stream,
};
use crate::store::{
    Append, BEING_PURGED, Durability, Entry, EventStore, GraphFilter, OperationPlaces, Order, Publications,
    RefusalPlace, StoreError, StoredCommit, StoredRefusal,
};

/// How long [`EventStore::check`] waits for an answer.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);
/// When the key that a check writes goes.
const FENCE_EXPIRES: Expiration = Expiration::EX(60);
/// How long a broadcast may take; who listens has the next one then.
const BROADCAST_TIMEOUT: Duration = Duration::from_secs(1);

/// Histories in Redis, or in a Redis Cluster.
pub struct RedisStore {
    pub(super) nodes: Arc<Nodes>,
    /// How many replicas must have what is acknowledged.
    pub(super) min_replicas: Option<NonZeroU32>,
    /// What is published arrives here.
    pub(super) listening: PublicationReader,
    pub(super) scripts: Scripts,
    pub(super) index: Index,
    pub(super) sender: Publisher,
    pub(super) read_side: ReadSideScripts,
    /// What took no write at the last check, though others did.
    pub(super) impaired: Mutex<Vec<String>>,
    pub(super) partitions: u32,
    pub(super) durability: Durability,
    pub(super) location: String,
}

impl RedisStore {
    pub(super) fn partition(&self, graph: &GraphId) -> Partition {
        Partition::of(graph, self.partitions)
    }

    /// Reads where the slot is.
    pub(super) async fn ask<T, F, Fut>(
        &self,
        slot: u16,
        lane: ConnectionRole,
        call: F,
    ) -> Result<T, StoreError>
    where
        F: Fn(Arc<LiveClient<Client>>) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let done = self.nodes.call(slot, lane, call).await;
        done.map(|(done, _)| done).map_err(|error| errors::of_read(&error))
    }

    /// One shard takes a write, and enough of its replicas have it.
    pub(super) async fn check_shard(&self, slot: u16) -> Result<(), StoreError> {
        let options = Options { timeout: Some(CHECK_TIMEOUT), max_attempts: Some(1), ..Options::default() };
        let of = |p: Partition| p.slot() == slot;
        let partition = Partition::all(self.partitions).find(|p| of(*p)).unwrap_or(Partition::numbered(0));
        let write = async |live: Arc<LiveClient<Client>>| {
            let client = live.client.with_options(&options);
            client.set::<(), _, _>(partition.fence(), "", Some(FENCE_EXPIRES), None, false).await
        };
        let live = self.nodes.writer_of(slot).await.map_err(|error| errors::of_read(&error))?;
        live.run(write(live.clone())).await.map_err(|error| {
            self.nodes.learn_from(&error, slot, None);
            errors::of_read(&error)
        })?;
        live.confirm_written(self.min_replicas).await
    }
}

#[async_trait]
impl EventStore for RedisStore {
    async fn append(&self, graph: &GraphId, expected: Head, entries: &[Entry]) -> Result<Append, StoreError> {
        self.append_copied(graph, expected, &[], entries).await
    }

    async fn append_copied(
        &self,
        graph: &GraphId,
        expected: Head,
        copied: &[StoredCommit],
        entries: &[Entry],
    ) -> Result<Append, StoreError> {
        let first = expected.version.next();
        let mut commits = copied.iter().chain(entries.iter().filter_map(|entry| entry.commit.as_ref()));
        let gapless = commits.try_fold(first, |next, commit| (commit.version == next).then(|| next.next()));
        if gapless.is_none() {
            // A mistake of the caller's that must not become a hole in the history.
            return Err(StoreError::Unavailable("the commits do not follow on the expected head".to_owned()));
        }
        let partition = self.partition(graph);
        let to = self.sender.address(partition, graph);
        let append = async |live: Arc<LiveClient<Client>>| {
            self.scripts.append(&live.client, partition, graph, expected, (copied, entries), &to).await
        };
        let append = self.nodes.call(partition.slot(), ConnectionRole::Writer, append);
        let appended = self.index.beside(&self.scripts, &self.nodes, graph, entries, append).await;
        let (reply, live) = appended.map_err(|error| errors::of_append(&error, graph, first))?;
        let unreadable =
            || StoreError::OutcomeUnknown("the append script's reply is not understood".to_owned());
        match reply {
            ScriptReply::Answer(_) => {
                live.confirm_written(self.min_replicas).await.map(|()| Append::Appended)
            }
            ScriptReply::HeadMoved(values) => {
                scripts::head(&values).map(Append::HeadMoved).ok_or_else(unreadable)
            }
            ScriptReply::Purging => Err(StoreError::Unavailable(BEING_PURGED.to_owned())),
            ScriptReply::Duplicate(values) => {
                live.confirm_found(self.min_replicas, partition).await?;
                scripts::duplicates(&values).map(Append::Duplicate).ok_or_else(unreadable)
            }
        }
    }

    async fn head(&self, graph: &GraphId) -> Result<Head, StoreError> {
        stream::head(&self.nodes, self.partition(graph), graph).await
    }

    async fn read(
        &self,
        graph: &GraphId,
        after: Version,
        to: Version,
        limit: usize,
    ) -> Result<Vec<StoredCommit>, StoreError> {
        stream::read(&self.nodes, self.partition(graph), graph, (after, to), limit).await
    }

    async fn operations(
        &self,
        graph: &GraphId,
        ids: &[OperationId],
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let partition = self.partition(graph);
        let look = async |live: Arc<LiveClient<Client>>| {
            self.scripts.operations(&live.client, partition, graph, ids).await
        };
        let found = self.nodes.call(partition.slot(), ConnectionRole::Writer, look).await;
        let (values, live) = found.map_err(|error| errors::of_read(&error))?;
        let records: Vec<Option<Bytes>> = values.iter().map(scripts::bytes).collect();
        if records.iter().any(Option::is_some) {
            live.confirm_found(self.min_replicas, partition).await?;
        }
        Ok(records)
    }

    async fn refusals(
        &self,
        graph: &GraphId,
        between: (RefusalPlace, RefusalPlace),
        order: Order,
        limit: usize,
    ) -> Result<Vec<StoredRefusal>, StoreError> {
        refused_operations::read(&self.nodes, self.partition(graph), graph, between, order, limit).await
    }

    async fn graphs(&self, after: Option<&GraphId>, limit: usize) -> Result<Vec<GraphId>, StoreError> {
        let of = async |p: Partition| {
            let list = async |live: Arc<LiveClient<Client>>| {
                self.scripts.graphs(&live.client, p, after, limit).await
            };
            self.ask(p.slot(), ConnectionRole::Reader, list).await
        };
        let found = try_join_all(Partition::all(self.partitions).map(of)).await?;
        let mut graphs: Vec<GraphId> = found.into_iter().flatten().collect();
        graphs.sort_unstable();
        graphs.truncate(limit);
        Ok(graphs)
    }

    async fn find_operation(
        &self,
        id: OperationId,
        wanted: GraphFilter,
        limit: usize,
    ) -> Result<OperationPlaces, StoreError> {
        self.index.find(&self.scripts, &self.nodes, id, &wanted, limit).await
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn listen(&self, graph: &GraphId) -> Publications {
        let partition = self.partition(graph);
        self.listening.listen(self.sender.channel(partition, graph), partition.slot())
    }

    async fn broadcast(&self, graph: &GraphId, message: Bytes) -> Result<(), StoreError> {
        let options =
            Options { timeout: Some(BROADCAST_TIMEOUT), max_attempts: Some(1), ..Options::default() };
        let partition = self.partition(graph);
        let (channel, message) = (self.sender.channel(partition, graph), self.sender.broadcast(&message));
        let publish = async |live: Arc<LiveClient<Client>>| {
            let client = live.client.with_options(&options);
            client.spublish::<i64, _, _>(channel.as_str(), message.clone()).await
        };
        self.ask(partition.slot(), ConnectionRole::Writer, publish).await.map(drop)
    }

    /// A write that changes nothing finds out what a ping would not: a replica, a full memory, a
    /// disk that failed. Of a cluster each shard is written to: it is well while one of them takes writes.
    async fn check(&self) -> Result<(), StoreError> {
        let slots = self.nodes.one_of_each_primary(Partition::all(self.partitions).map(Partition::slot));
        let checked = join_all(slots.iter().map(|slot| self.check_shard(*slot))).await;
        let failed = |(slot, checked): (&u16, &Result<(), StoreError>)| {
            let error = checked.as_ref().err()?;
            Some(format!("the shard of slot {slot} takes no writes: {error}"))
        };
        *self.impaired.lock().unwrap_or_else(PoisonError::into_inner) =
            slots.iter().zip(&checked).filter_map(failed).collect();
        match checked.iter().any(Result::is_ok) {
            true => Ok(()),
            false => checked.into_iter().next().unwrap_or(Ok(())),
        }
    }

    fn impaired(&self) -> Vec<String> {
        self.impaired.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn durability(&self) -> Durability {
        self.durability.clone()
    }

    fn location(&self) -> String {
        self.location.clone()
    }

    async fn close(&self) {
        self.nodes.close().await;
    }
}
