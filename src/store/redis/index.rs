//! Where the record of an operation is: records lie with their graphs, and an id does not say which graph that was.
//!
//! Invariants: a look-up is one call, however many partitions there are and however often an id was used, and who
//! used an id first is not pushed out by who copies it.
//!
//! Where one script can touch all keys, it looks into all partitions. In a cluster, or where there are too many of
//! them, there is an index by operation id. It is written beside the append, on another node mostly, and what could
//! not be written is written later ([`Index::owe`]). It says where to look and nothing else: it may name a graph
//! that has no record, and what it does not name is still found by who names the graph. Not here: the records.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use dao_projections::{GraphId, OperationId};
use fred::{
    error::Error,
    interfaces::HashesInterface,
    prelude::Client,
    types::{Value, scripts::Script},
};
use futures::future::{join_all, try_join_all};
use tokio::{sync::Mutex as TurnMutex, time::timeout};

use super::{
    connect_error::{ConnectError, not_writable},
    errors,
    keys::{self, META, Partition},
    layout::Layout,
    nodes::{ConnectionRole, LiveClient, Nodes},
    scripts::Scripts,
};
use crate::store::{Entry, GraphFilter, OperationPlaces, StoreError};

/// Into how many parts the index is spread: a round of operations writes to each once, and so many primaries share
/// the work.
const PARTS: u32 = 8;
/// Partitions that one script looks into: 0.2 ms. With more of them there is an index.
const SEARCHED_MAX: u32 = 64;
/// When the index was begun, in the layout of the store: by the clock of who did, or 0 if with the first record.
const BEGUN: &str = "operation_index_begun_ms";
/// Graphs that one look-up looks at, the oldest uses of the id first. A graph that used an id before it was made known is
/// among them, however many copy it.
const LOOKED_AT_MAX: usize = 4_096;
/// How long an append waits for the index, once it has its own answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// Operations whose place in the index is still to be written. More push out the oldest: these are found by graph.
const OWED_MAX: usize = 10_000;
/// Clocks differ, and windows are kept a little longer.
const SLACK_MS: u64 = 600_000;

/// How this process finds operations.
pub(super) struct Index {
    partitions: u32,
    /// Whether one script looks into all partitions, and there is no index.
    is_searched: bool,
    /// Until then there may be records that were written before there was an index.
    is_whole_at_ms: u64,
    /// Only one asks all partitions at a time. Held across that.
    search: TurnMutex<()>,
    /// Guards what is owed, never across an await.
    owed: Mutex<VecDeque<(GraphId, OperationId)>>,
}

impl Index {
    /// Over these servers; begins the index, if one is needed and there is none yet.
    pub(super) async fn open(nodes: &Nodes, location: &str, layout: &Layout) -> Result<Self, ConnectError> {
        let Layout { partitions, operation_ttl, is_new } = *layout;
        let is_searched = partitions <= SEARCHED_MAX && is_one_place(nodes).await;
        let mut is_whole_at_ms = 0;
        if !is_searched {
            let now = if is_new { 0 } else { now_ms() };
            let begin = async |live: Arc<LiveClient<Client>>| {
                live.client.hsetnx::<(), _, _, _>(META, BEGUN, now.to_string()).await?;
                live.client.hget::<u64, _, _>(META, BEGUN).await
            };
            let begun = nodes.call_at_start(keys::slot(META), begin).await;
            let (begun, _) = begun.map_err(|error| not_writable(location, &error))?;
            let window_ms = u64::try_from(operation_ttl.as_millis()).unwrap_or(u64::MAX);
            if begun > 0 {
                is_whole_at_ms = begun.saturating_add(window_ms.saturating_mul(2)).saturating_add(SLACK_MS);
            }
        }
        let (search, owed) = (TurnMutex::default(), Mutex::default());
        Ok(Self { partitions, is_searched, is_whole_at_ms, search, owed })
    }

    fn part_of(&self, id: OperationId) -> Partition {
        Partition::numbered(u32::from(id.as_bytes()[15]) % PARTS.min(self.partitions))
    }

    /// Writes into the index, where there is one, that the graph uses these ids, while `append` does its work. What
    /// can't be written in time is owed.
    pub(super) async fn beside<T>(
        &self,
        scripts: &Scripts,
        nodes: &Nodes,
        graph: &GraphId,
        entries: &[Entry],
        append: impl Future<Output = T>,
    ) -> T {
        if self.is_searched {
            return append.await;
        }
        let uses: Vec<(GraphId, OperationId)> =
            entries.iter().map(|entry| (graph.clone(), entry.operation)).collect();
        let (appended, unwritten) = tokio::join!(append, self.write(scripts, nodes, uses));
        let has_failed = !unwritten.is_empty();
        self.owe(unwritten);
        if !has_failed {
            self.settle(scripts, nodes).await;
        }
        appended
    }

    /// Writes what is owed, if anything is.
    async fn settle(&self, scripts: &Scripts, nodes: &Nodes) {
        let owed: Vec<_> = {
            let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
            let count = owed.len().min(1_000);
            owed.drain(..count).collect()
        };
        if !owed.is_empty() {
            self.owe(self.write(scripts, nodes, owed).await);
        }
    }

    /// What is to be written later.
    fn owe(&self, uses: Vec<(GraphId, OperationId)>) {
        if uses.is_empty() {
            return;
        }
        tracing::debug!(operations = uses.len(), "the index of operations could not be written for now");
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        owed.extend(uses);
        let surplus = owed.len().saturating_sub(OWED_MAX);
        owed.drain(..surplus);
    }

    /// One call for each graph and part; what could not be written.
    async fn write(
        &self,
        scripts: &Scripts,
        nodes: &Nodes,
        uses: Vec<(GraphId, OperationId)>,
    ) -> Vec<(GraphId, OperationId)> {
        let mut groups: BTreeMap<(GraphId, u32), Vec<OperationId>> = BTreeMap::new();
        for (graph, id) in uses {
            groups.entry((graph, self.part_of(id).number())).or_default().push(id);
        }
        let calls = groups.into_iter().map(|((graph, part), ids)| async move {
            let part = Partition::numbered(part);
            let write =
                async |live: Arc<LiveClient<Client>>| scripts.index(&live.client, part, &graph, &ids).await;
            // Graphs on other shards don't wait for one that is unavailable.
            let written = match nodes.is_reached(part.slot()) {
                true => timeout(PATIENCE, nodes.call(part.slot(), ConnectionRole::Writer, write)).await.ok(),
                false => None,
            };
            match written {
                Some(Ok(_)) => vec![],
                _ => ids.into_iter().map(|id| (graph.clone(), id)).collect(),
            }
        });
        join_all(calls).await.into_iter().flatten().collect::<Vec<_>>()
    }

    /// See [`crate::store::EventStore::find_operation`].
    pub(super) async fn find(
        &self,
        scripts: &Scripts,
        nodes: &Nodes,
        id: OperationId,
        wanted: &GraphFilter,
        limit: usize,
    ) -> Result<OperationPlaces, StoreError> {
        if self.is_searched {
            let search = async |live: Arc<LiveClient<Client>>| {
                scripts.search(&live.client, self.partitions, id, LOOKED_AT_MAX).await
            };
            let found = nodes.call(Partition::numbered(0).slot(), ConnectionRole::Reader, search).await;
            let (found, _) = found.map_err(|error| errors::of_read(&error))?;
            return Ok(OperationPlaces { graphs: those_wanted(found, wanted, limit), is_in_order: false });
        }
        let part = self.part_of(id);
        let locate =
            async |live: Arc<LiveClient<Client>>| scripts.locate(&live.client, part, id, LOOKED_AT_MAX).await;
        let named = nodes.call(part.slot(), ConnectionRole::Reader, locate).await;
        let (named, _) = named.map_err(|error| errors::of_read(&error))?;
        let graphs = those_wanted(named, wanted, limit);
        if !graphs.is_empty() || now_ms() >= self.is_whole_at_ms {
            return Ok(OperationPlaces { graphs, is_in_order: true });
        }
        let found = self.ask_all(scripts, nodes, id).await.map_err(|error| errors::of_read(&error))?;
        Ok(OperationPlaces { graphs: those_wanted(found, wanted, limit), is_in_order: false })
    }

    /// Asks every partition, as there was no other way before there was an index.
    async fn ask_all(
        &self,
        scripts: &Scripts,
        nodes: &Nodes,
        id: OperationId,
    ) -> Result<Vec<GraphId>, Error> {
        let _turn = self.search.lock().await;
        let finds = Partition::all(self.partitions).map(async |p| {
            let find = async |live: Arc<LiveClient<Client>>| scripts.find(&live.client, p, id).await;
            nodes.call(p.slot(), ConnectionRole::Reader, find).await.map(|(found, _)| found)
        });
        Ok(try_join_all(finds).await?.into_iter().flatten().collect())
    }
}

/// Whether a script may name keys of two slots. Not in a cluster; and behind an address that looks like one server a
/// cluster can stand too.
async fn is_one_place(nodes: &Nodes) -> bool {
    if nodes.is_cluster() {
        return false;
    }
    let nothing = Script::from_lua("return {0}");
    let call = async |live: Arc<LiveClient<Client>>| {
        let keys = vec![Partition::numbered(0).fence(), Partition::numbered(1).fence()];
        nothing.evalsha_with_reload::<Value, _, _>(&live.client, keys, Vec::<Value>::new()).await
    };
    nodes.call(Partition::numbered(0).slot(), ConnectionRole::Writer, call).await.is_ok()
}

/// Those wanted, each once.
fn those_wanted(named: Vec<GraphId>, wanted: &GraphFilter, limit: usize) -> Vec<GraphId> {
    let mut graphs: Vec<GraphId> = Vec::new();
    for graph in named.into_iter().filter(|graph| wanted(graph)) {
        if graphs.len() < limit && !graphs.contains(&graph) {
            graphs.push(graph);
        }
    }
    graphs
}

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as u64)
}
