//! The Lua scripts: how they are called, and what they answer.
//!
//! Invariant: every reply begins with an integer, and all keys of a call are of one partition.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use dao_projections::{GraphId, Hash, Head, OperationId, Version};
use fred::{
    error::{Error, ErrorKind},
    prelude::Client,
    types::{Key, Value, scripts::Script},
};

use super::{keys::Partition, message::ChannelAddress};
use crate::store::{Entry, StoredCommit};

/// How often a call is made again because the operation window turned. Once does, unless the
/// machines of a cluster disagree about the time just then.
const WINDOW_TRIES_MAX: usize = 4;

/// What a script answers, without the integer that says which it is.
pub(super) enum ScriptReply {
    Answer(Vec<Value>),
    HeadMoved(Vec<Value>),
    Duplicate(Vec<Value>),
    /// The graph is being purged.
    Purging,
}

/// The scripts and the window they were last told.
pub(super) struct Scripts {
    append: Script,
    operations: Script,
    find: Script,
    index: Script,
    search: Script,
    locate: Script,
    graphs: Script,
    forget_records: Script,
    operation_ttl_ms: i64,
    /// The operation window at the last call: a guess that the script corrects. 0 at first.
    window: AtomicU64,
}

impl Scripts {
    pub(super) fn new(operation_ttl: Duration) -> Self {
        const PRELUDE: &str = include_str!("operations_prelude.lua");
        const INDEX: &str = include_str!("operations_index.lua");
        let script = |lua: &str| Script::from_lua([PRELUDE, lua].concat());
        Self {
            append: script(include_str!("append.lua")),
            operations: script(include_str!("operations.lua")),
            find: script(include_str!("find.lua")),
            index: Script::from_lua([PRELUDE, INDEX, include_str!("index.lua")].concat()),
            search: script(include_str!("search.lua")),
            locate: script(include_str!("locate.lua")),
            graphs: Script::from_lua(include_str!("graphs.lua")),
            forget_records: script(include_str!("forget_records.lua")),
            operation_ttl_ms: i64::try_from(operation_ttl.as_millis()).unwrap_or(i64::MAX).max(1),
            window: AtomicU64::new(0),
        }
    }

    /// Makes Redis know the scripts. It may forget them: every call gives them again if it has to.
    pub(super) async fn load(&self, client: &Client) -> Result<(), Error> {
        self.append.load(client).await?;
        self.operations.load(client).await?;
        self.find.load(client).await?;
        self.index.load(client).await?;
        self.search.load(client).await?;
        self.locate.load(client).await?;
        self.forget_records.load(client).await?;
        self.graphs.load(client).await
    }

    /// Removes some of the records of a graph's operations, which was purged at `place`; from where to go on, `None` at
    /// the end.
    pub(super) async fn forget_records(
        &self,
        client: &Client,
        partition: Partition,
        (graph, place): (&GraphId, &str),
        from: &str,
    ) -> Result<Option<String>, Error> {
        let keys = |window| {
            let mut keys = partition.windows(window);
            keys.push(partition.purging());
            keys
        };
        let args = vec![Value::from(graph.as_str()), Value::from(from), Value::from(place)];
        let reply = self.call(client, &self.forget_records, keys, args).await?;
        let ScriptReply::Answer(values) = reply else { return Err(not_understood()) };
        Ok(values.first().and_then(Value::as_string))
    }

    pub(super) async fn append(
        &self,
        client: &Client,
        partition: Partition,
        graph: &GraphId,
        expected: Head,
        (copied, entries): (&[StoredCommit], &[Entry]),
        to: &ChannelAddress,
    ) -> Result<ScriptReply, Error> {
        let mut args = Vec::with_capacity(6 + 6 * entries.len() + 3 * copied.len());
        args.push(Value::from(graph.as_str()));
        args.push(Value::from(expected.version.to_string()));
        args.push(raw(expected.hash.as_bytes()));
        args.push(Value::from(to.channel.as_str()));
        args.push(Value::Bytes(to.header.clone()));
        args.push(Value::from(entries.len().to_string()));
        for entry in entries {
            args.push(raw(entry.operation.as_bytes()));
            args.push(Value::Bytes(entry.record.clone()));
            args.push(Value::from(entry.refused_at.map(|at| at.to_string()).unwrap_or_default()));
        }
        for commit in copied.iter().chain(entries.iter().filter_map(|entry| entry.commit.as_ref())) {
            args.push(Value::from(commit.version.to_string()));
            args.push(raw(commit.hash.as_bytes()));
            args.push(Value::Bytes(commit.body.clone()));
        }
        let keys = |window| {
            let mut keys = partition.windows(window);
            keys.extend([partition.events(graph), partition.feed(), partition.refusals(graph)]);
            keys.extend([partition.graphs(), partition.purging(), partition.refused()]);
            keys
        };
        self.call(client, &self.append, keys, args).await
    }

    /// A record or null for each id.
    pub(super) async fn operations(
        &self,
        client: &Client,
        partition: Partition,
        graph: &GraphId,
        ids: &[OperationId],
    ) -> Result<Vec<Value>, Error> {
        let mut args = vec![Value::from(graph.as_str())];
        args.extend(ids.iter().map(|id| raw(id.as_bytes())));
        match self.call(client, &self.operations, |window| partition.windows(window), args).await? {
            ScriptReply::Answer(values) if values.len() == ids.len() => Ok(values),
            _ => Err(not_understood()),
        }
    }

    /// The graphs of the partition that have a record of the operation.
    pub(super) async fn find(
        &self,
        client: &Client,
        partition: Partition,
        id: OperationId,
    ) -> Result<Vec<GraphId>, Error> {
        let args = vec![raw(id.as_bytes())];
        let reply = self.call(client, &self.find, |window| partition.windows(window), args).await?;
        graphs_in(reply)
    }

    /// The graphs of all partitions that have a record of the operation, so many at most; of each partition first
    /// the one that used the id first. Only where one script can touch all keys.
    pub(super) async fn search(
        &self,
        client: &Client,
        partitions: u32,
        id: OperationId,
        limit: usize,
    ) -> Result<Vec<GraphId>, Error> {
        let numbers = [Value::from(partitions.to_string()), Value::from(limit.to_string())];
        let args = [vec![raw(id.as_bytes())], numbers.to_vec()].concat();
        let first = Partition::numbered(0);
        graphs_in(self.call(client, &self.search, |window| first.windows(window), args).await?)
    }

    /// Notes in a part of the index that the graph uses these ids.
    pub(super) async fn index(
        &self,
        client: &Client,
        part: Partition,
        graph: &GraphId,
        ids: &[OperationId],
    ) -> Result<(), Error> {
        let mut args = vec![Value::from(graph.as_str())];
        args.extend(ids.iter().map(|id| raw(id.as_bytes())));
        self.call(client, &self.index, |window| part.index_windows(window), args).await.map(drop)
    }

    /// The graphs that used the id, as the index has them: the first first, and so many at most.
    pub(super) async fn locate(
        &self,
        client: &Client,
        part: Partition,
        id: OperationId,
        limit: usize,
    ) -> Result<Vec<GraphId>, Error> {
        let args = vec![raw(id.as_bytes()), Value::from(limit.to_string())];
        let reply = self.call(client, &self.locate, |window| part.index_windows(window), args).await?;
        graphs_in(reply)
    }

    /// Names of the partition's graphs after `after`, in byte order.
    pub(super) async fn graphs(
        &self,
        client: &Client,
        partition: Partition,
        after: Option<&GraphId>,
        limit: usize,
    ) -> Result<Vec<GraphId>, Error> {
        let from = after.map_or_else(|| "-".to_owned(), |graph| format!("({graph}"));
        let keys = vec![partition.graphs()];
        let args = vec![Value::from(from), Value::from(limit.to_string())];
        let reply: Value = self.graphs.evalsha_with_reload(client, keys, args).await?;
        let Value::Array(values) = reply else { return Err(not_understood()) };
        let names = values.iter().skip(1);
        names
            .map(|name| GraphId::parse(&name.as_str()?).ok())
            .collect::<Option<_>>()
            .ok_or_else(not_understood)
    }

    async fn call(
        &self,
        client: &Client,
        script: &Script,
        keys: impl Fn(u64) -> Vec<Key>,
        args: Vec<Value>,
    ) -> Result<ScriptReply, Error> {
        let mut window = self.window.load(Ordering::Relaxed);
        for _ in 0..WINDOW_TRIES_MAX {
            let mut all_args = Vec::with_capacity(2 + args.len());
            all_args.push(Value::from(window.to_string()));
            all_args.push(Value::Integer(self.operation_ttl_ms));
            all_args.extend_from_slice(&args);
            let reply: Value = script.evalsha_with_reload(client, keys(window), all_args).await?;
            let Value::Array(mut values) = reply else { return Err(not_understood()) };
            if values.is_empty() {
                return Err(not_understood());
            }
            let rest = values.split_off(1);
            match values[0].as_i64() {
                Some(0) => return Ok(ScriptReply::Answer(rest)),
                Some(1) => return Ok(ScriptReply::HeadMoved(rest)),
                Some(2) => return Ok(ScriptReply::Duplicate(rest)),
                Some(4) => return Ok(ScriptReply::Purging),
                Some(3) => window = rest.first().and_then(Value::as_u64).ok_or_else(not_understood)?,
                _ => return Err(not_understood()),
            }
            self.window.store(window, Ordering::Relaxed);
        }
        Err(Error::new(ErrorKind::Backpressure, "the clocks of the Redis servers disagree"))
    }
}

/// An answer that is names of graphs.
fn graphs_in(reply: ScriptReply) -> Result<Vec<GraphId>, Error> {
    let ScriptReply::Answer(values) = reply else { return Err(not_understood()) };
    let graphs = values.iter().map(|graph| GraphId::parse(&graph.as_str()?).ok());
    graphs.collect::<Option<_>>().ok_or_else(not_understood)
}

fn raw(bytes: &[u8]) -> Value {
    Value::Bytes(Bytes::copy_from_slice(bytes))
}

fn not_understood() -> Error {
    Error::new(ErrorKind::Protocol, "a script's reply is not understood")
}

/// A copy of a string's bytes; `None` for null.
pub(super) fn bytes(value: &Value) -> Option<Bytes> {
    value.as_bytes().map(Bytes::copy_from_slice)
}

/// The head in a `HeadMoved`.
pub(super) fn head(values: &[Value]) -> Option<Head> {
    let [version, hash] = values else { return None };
    let version = Version::new(version.as_str()?.parse().ok()?)?;
    Some(Head { version, hash: Hash::from_bytes(hash.as_bytes()?).ok()? })
}

/// The operations and their records in a `Duplicate`.
pub(super) fn duplicates(values: &[Value]) -> Option<Vec<(OperationId, Bytes)>> {
    let (pairs, _) = values.as_chunks::<2>();
    pairs
        .iter()
        .map(|[id, record]| {
            let id = uuid::Uuid::from_slice(id.as_bytes()?).ok()?;
            Some((OperationId::from(id), bytes(record)?))
        })
        .collect()
}
