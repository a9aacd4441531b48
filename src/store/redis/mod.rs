//! The store in Redis: [`RedisStore`]. Several instances can share it.
//!
//! A graph is a stream whose entry ids are the versions, so Redis itself refuses a second commit of
//! the same number. One script does everything an append does: nobody sees half of one. Operation
//! records live in hashes by time window, which end as a whole.
//!
//! Rules that hold for every line here, because of how the client reads replies:
//! - No reply may be an array of three or four whose first element somebody else chose: the client
//!   takes `["message", …]` for a publication, drops it, and gives the next reply to the wrong
//!   caller. Scripts answer with an integer first; streams answer with arrays in an array.
//! - What is kept is copied out of a reply, or it would keep the whole reply in memory.
//!
//! Not here: what to do after a lost race or a lost answer; that is the write path's. The client
//! library is named nowhere outside this directory.

mod address;
mod connect;
mod errors;
#[doc(hidden)]
pub mod fuzzing;
mod index;
mod keys;
mod listen;
mod message;
mod migrate;
mod projection;
mod refusals;
mod refused;
mod replicas;
mod scripts;
mod stream;
mod survey;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dao_projections::{GraphId, Head, OperationId, Version};
use fred::{
    error::Error,
    interfaces::{ClientLike, HashesInterface, PubsubInterface},
    prelude::{Client, Options},
};
use futures::future::{join_all, try_join_all};
use tokio::{
    sync::Mutex,
    task::JoinHandle,
    time::{Instant, timeout},
};

pub use self::migrate::migrate;
pub use self::{
    address::Mistake,
    connect::{RedisConfig, TlsFiles},
    refused::ConnectError,
};
use self::{
    index::Index,
    keys::Partition,
    listen::Listening,
    message::Sender,
    projection::RowScripts,
    replicas::{Promising, Replicas},
    scripts::{Reply, Scripts},
};
use crate::store::{
    Append, Durability, Entry, EventStore, GraphFilter, Hints, OperationPlaces, Order, RefusalPlace,
    StoreError, StoredCommit, StoredRefusal,
};

/// How long a call waits for a connection that is being made again. After that it is refused:
/// whoever waits is told early that the store is away, and a short break is not noticed.
const RECONNECT_PATIENCE: Duration = Duration::from_millis(500);
/// How often connections are made anew because they lead to a replica.
const CONNECT_ANEW_EVERY: Duration = Duration::from_secs(1);
/// How long [`EventStore::check`] waits for an answer.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);
/// How long [`EventStore::close`] waits for calls that are under way.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a broadcast may take; who listens has the next one then.
const BROADCAST_TIMEOUT: Duration = Duration::from_secs(1);

/// Histories in Redis, or in a Redis Cluster.
pub struct RedisStore {
    writer: Client,
    /// A connection of its own: a long range read would hold up the appends behind it.
    reader: Client,
    /// Where more than the primary must have what is acknowledged.
    replicas: Option<Replicas>,
    /// One more: what is published arrives on it.
    listening: Listening,
    /// The tasks that keep the connections; they end when the clients quit.
    connections: Vec<JoinHandle<()>>,
    scripts: Scripts,
    index: Index,
    sender: Sender,
    row_scripts: RowScripts,
    /// When the connections were last made anew because they led to a replica; locked while they are.
    connected_anew: Mutex<Option<Instant>>,
    partitions: u32,
    durability: Durability,
    location: String,
}

impl RedisStore {
    fn partition(&self, graph: &GraphId) -> Partition {
        Partition::of(graph, self.partitions)
    }

    /// The connection for what is to be acknowledged of this partition's graphs.
    async fn promising(&self, partition: Partition) -> Result<Promising<'_>, StoreError> {
        match &self.replicas {
            None => connected(&self.writer).await.map(Promising::Primary),
            Some(replicas) => replicas.line(&self.writer, partition).await.map(Promising::Replicas),
        }
    }

    /// What can be done about a failed call, so that the next may succeed: a slot has moved, or the address
    /// leads to another primary now while our connections lead to what was one.
    async fn learn_from(&self, error: &Error) {
        match errors::reply_code(error.details()) {
            "MOVED" | "ASK" if self.replicas.is_some() => replicas::learn_the_cluster(&self.writer).await,
            "READONLY" => self.connect_anew().await,
            _ => {}
        }
    }

    async fn connect_anew(&self) {
        // Somebody else is at it, or was just now.
        let Ok(mut last) = self.connected_anew.try_lock() else { return };
        if last.is_some_and(|at| at.elapsed() < CONNECT_ANEW_EVERY) {
            return;
        }
        tracing::warn!(redis = %self.location, "Redis is a replica here: connecting anew to find the primary");
        if let Some(replicas) = &self.replicas {
            replicas.close().await;
        }
        let all = [&self.writer, &self.reader]
            .map(|client| timeout(RECONNECT_PATIENCE, client.force_reconnection()));
        let ear = timeout(RECONNECT_PATIENCE, self.listening.client().force_reconnection());
        // What did not succeed in this time goes on by itself.
        let (_all, _ear) = tokio::join!(join_all(all), ear);
        *last = Some(Instant::now());
    }
}

/// The client, if it is connected or is so within [`RECONNECT_PATIENCE`].
async fn connected(client: &Client) -> Result<&Client, StoreError> {
    if !client.is_connected() {
        // Times out also if the connection was made between the two looks at it; hence the third.
        let _ = timeout(RECONNECT_PATIENCE, client.wait_for_connect()).await;
        if !client.is_connected() {
            return Err(StoreError::Unavailable("not connected to Redis".to_owned()));
        }
    }
    Ok(client)
}

#[async_trait]
impl EventStore for RedisStore {
    async fn append(&self, graph: &GraphId, expected: Head, entries: &[Entry]) -> Result<Append, StoreError> {
        let first = expected.version.next();
        let gapless = (entries.iter().filter_map(|entry| entry.commit.as_ref()))
            .try_fold(first, |next, commit| (commit.version == next).then(|| next.next()));
        if gapless.is_none() {
            // A mistake of the caller's that must not become a hole in the history.
            return Err(StoreError::Unavailable("the commits do not follow on the expected head".to_owned()));
        }
        let partition = self.partition(graph);
        let connection = self.promising(partition).await?;
        let (client, to) = (connection.client(), self.sender.address(partition, graph));
        let append = self.scripts.append(client, partition, graph, expected, entries, &to);
        let reply = match self.index.beside(&self.scripts, &self.writer, graph, entries, append).await {
            Ok(reply) => reply,
            Err(error) => {
                self.learn_from(&error).await;
                return Err(errors::of_append(&error, graph, first));
            }
        };
        let unreadable =
            || StoreError::OutcomeUnknown("the append script's reply is not understood".to_owned());
        match reply {
            Reply::Answer(_) => connection.confirm_written().await.map(|()| Append::Appended),
            Reply::HeadMoved(values) => scripts::head(&values).map(Append::HeadMoved).ok_or_else(unreadable),
            Reply::Duplicate(values) => {
                connection.confirm_found(partition).await?;
                scripts::duplicates(&values).map(Append::Duplicate).ok_or_else(unreadable)
            }
        }
    }

    async fn head(&self, graph: &GraphId) -> Result<Head, StoreError> {
        let client = connected(&self.writer).await?;
        stream::head(client, self.partition(graph), graph).await
    }

    async fn read(
        &self,
        graph: &GraphId,
        after: Version,
        to: Version,
        limit: usize,
    ) -> Result<Vec<StoredCommit>, StoreError> {
        let client = connected(&self.reader).await?;
        stream::read(client, self.partition(graph), graph, after, to, limit).await
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
        let connection = self.promising(partition).await?;
        let records = match self.scripts.operations(connection.client(), partition, graph, ids).await {
            Ok(values) => values.iter().map(scripts::bytes).collect::<Vec<_>>(),
            Err(error) => {
                self.learn_from(&error).await;
                return Err(errors::of_read(&error));
            }
        };
        if records.iter().any(Option::is_some) {
            connection.confirm_found(partition).await?;
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
        let client = connected(&self.reader).await?;
        refusals::read(client, self.partition(graph), graph, between, order, limit).await
    }

    async fn graphs(&self, after: Option<&GraphId>, limit: usize) -> Result<Vec<GraphId>, StoreError> {
        let client = connected(&self.reader).await?;
        let of = |p| self.scripts.graphs(client, p, after, limit);
        let found = try_join_all(Partition::all(self.partitions).map(of)).await;
        let mut graphs: Vec<GraphId> =
            found.map_err(|error| errors::of_read(&error))?.into_iter().flatten().collect();
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
        let client = connected(&self.reader).await?;
        self.index.find(&self.scripts, client, id, &wanted, limit).await
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn listen(&self, graph: &GraphId) -> Hints {
        self.listening.listen(self.sender.channel(self.partition(graph), graph))
    }

    async fn broadcast(&self, graph: &GraphId, message: Bytes) -> Result<(), StoreError> {
        let options =
            Options { timeout: Some(BROADCAST_TIMEOUT), max_attempts: Some(1), ..Options::default() };
        let client = connected(&self.writer).await?.with_options(&options);
        let channel = self.sender.channel(self.partition(graph), graph);
        let receivers: Result<i64, _> = client.spublish(channel, self.sender.broadcast(&message)).await;
        receivers.map(drop).map_err(|error| errors::of_read(&error))
    }

    /// A write that changes nothing finds out what a ping would not: a replica, a full memory, a
    /// disk that failed.
    async fn check(&self) -> Result<(), StoreError> {
        let options = Options { timeout: Some(CHECK_TIMEOUT), max_attempts: Some(1), ..Options::default() };
        let client = connected(&self.writer).await?.with_options(&options);
        let written: Result<(), _> = client.hsetnx(keys::META, "partitions", self.partitions).await;
        if let Err(error) = written {
            self.learn_from(&error).await;
            return Err(errors::of_read(&error));
        }
        match &self.replicas {
            None => Ok(()),
            Some(replicas) => replicas.check(&self.writer, self.partitions).await,
        }
    }

    fn durability(&self) -> Durability {
        self.durability.clone()
    }

    fn location(&self) -> String {
        self.location.clone()
    }

    async fn close(&self) {
        if let Some(replicas) = &self.replicas {
            replicas.close().await;
        }
        let quits = [&self.writer, &self.reader].map(|client| timeout(CLOSE_TIMEOUT, client.quit()));
        let ear = timeout(CLOSE_TIMEOUT, self.listening.client().quit());
        let (ear, mut quits) = tokio::join!(ear, join_all(quits));
        quits.push(ear);
        for quit in quits {
            if !matches!(quit, Ok(Ok(()))) {
                tracing::debug!("a connection to Redis was already gone at the end");
            }
        }
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        for connection in &self.connections {
            connection.abort();
        }
    }
}
