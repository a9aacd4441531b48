//! Where the record of an operation is: an index by operation id. Records lie with their graphs, and an id does not
//! say which graph that was.
//!
//! Invariants: a look-up is one call, however many partitions there are and however often an id was used. The index
//! says where to look and nothing else: it may name a graph that has no record, and what it does not name is still
//! found by who names the graph.
//!
//! Where one script can touch all keys, the append script writes the index. In a cluster the index of an id lies on
//! another node than its graph, mostly: there it is written beside the append, and what could not be written is
//! written later ([`Index::owe`]). Not here: the records.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use dao_projections::{GraphId, OperationId};
use fred::{
    error::Error,
    prelude::Client,
    types::{Value, scripts::Script},
};
use futures::future::{join_all, try_join_all};
use tokio::{sync::Mutex as TurnMutex, time::timeout};

use super::{
    errors,
    keys::Partition,
    nodes::{Lane, Live, Nodes},
    scripts::Scripts,
    survey::Layout,
};
use crate::store::{Entry, GraphFilter, OperationPlaces, StoreError};

/// Into how many parts the index of a cluster is spread: a round of operations writes to each once, and so many
/// primaries share the work. Where there is no cluster, it is one.
const CLUSTER_PARTS: u32 = 8;
/// Graphs that one look-up looks at, the oldest uses of the id first. Who used an id before it was made known is
/// among them, however many copy it.
const LOOKED_AT_MAX: usize = 4_096;
/// How long an append waits for the index, once it has its own answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// Operations whose place in the index is still to be written. More push out the oldest: these are found by graph.
const OWED_MAX: usize = 10_000;
/// Clocks differ, and windows are kept a little longer.
const SLACK_MS: u64 = 600_000;

/// The index, as this process writes and reads it.
pub(super) struct Index {
    parts: u32,
    partitions: u32,
    /// Whether one script can touch all keys.
    is_one_place: bool,
    /// Until then there may be records that were written before there was an index.
    is_whole_at_ms: u64,
    /// Only one asks all partitions at a time. Held across that.
    search: TurnMutex<()>,
    /// Guards what is owed, never across an await.
    owed: Mutex<VecDeque<(GraphId, OperationId)>>,
}

impl Index {
    pub(super) async fn open(nodes: &Nodes, layout: &Layout) -> Self {
        let Layout { partitions, operation_ttl, index_begun_ms, index_parts } = *layout;
        let window_ms = u64::try_from(operation_ttl.as_millis()).unwrap_or(u64::MAX);
        let is_whole_at_ms = match index_begun_ms {
            0 => 0,
            begun => begun.saturating_add(window_ms.saturating_mul(2)).saturating_add(SLACK_MS),
        };
        Self {
            parts: index_parts.clamp(1, partitions),
            partitions,
            is_one_place: is_one_place(nodes).await,
            is_whole_at_ms,
            search: TurnMutex::default(),
            owed: Mutex::default(),
        }
    }

    /// How many parts a new index has.
    pub(super) fn parts_over(nodes: &Nodes) -> u32 {
        if nodes.is_cluster() { CLUSTER_PARTS } else { 1 }
    }

    /// The part that the append script writes to, where it can: there is only one.
    pub(super) fn part_within_reach(&self) -> Option<Partition> {
        (self.is_one_place && self.parts == 1).then(|| Partition::numbered(0))
    }

    fn part_of(&self, id: OperationId) -> Partition {
        Partition::numbered(u32::from(id.as_bytes()[15]) % self.parts)
    }

    /// Writes down, in a cluster, that the graph uses these ids, while `append` does its work. What can't be written
    /// in time is owed.
    pub(super) async fn beside<T>(
        &self,
        scripts: &Scripts,
        nodes: &Nodes,
        graph: &GraphId,
        entries: &[Entry],
        append: impl Future<Output = T>,
    ) -> T {
        if self.part_within_reach().is_some() {
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
            let write = async |live: Arc<Live<Client>>| scripts.index(&live.client, part, &graph, &ids).await;
            // Graphs on other shards don't wait for one that is away.
            let written = match nodes.is_reached(part.slot()) {
                true => timeout(PATIENCE, nodes.call(part.slot(), Lane::Writer, write)).await.ok(),
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
        let part = self.part_of(id);
        let locate =
            async |live: Arc<Live<Client>>| scripts.locate(&live.client, part, id, LOOKED_AT_MAX).await;
        let named = nodes.call(part.slot(), Lane::Reader, locate).await;
        let (named, _) = named.map_err(|error| errors::of_read(&error))?;
        let graphs = those_wanted(named, wanted, limit);
        if !graphs.is_empty() || now_ms() >= self.is_whole_at_ms {
            return Ok(OperationPlaces { graphs, is_in_order: true });
        }
        let found = self.search(scripts, nodes, id).await.map_err(|error| errors::of_read(&error))?;
        Ok(OperationPlaces { graphs: those_wanted(found, wanted, limit), is_in_order: false })
    }

    /// Asks every partition, as there was no other way before there was an index.
    async fn search(&self, scripts: &Scripts, nodes: &Nodes, id: OperationId) -> Result<Vec<GraphId>, Error> {
        let _turn = self.search.lock().await;
        let finds = Partition::all(self.partitions).map(async |p| {
            let find = async |live: Arc<Live<Client>>| scripts.find(&live.client, p, id).await;
            nodes.call(p.slot(), Lane::Reader, find).await.map(|(found, _)| found)
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
    let call = async |live: Arc<Live<Client>>| {
        let keys = vec![Partition::numbered(0).fence(), Partition::numbered(1).fence()];
        nothing.evalsha_with_reload::<Value, _, _>(&live.client, keys, Vec::<Value>::new()).await
    };
    nodes.call(Partition::numbered(0).slot(), Lane::Writer, call).await.is_ok()
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
pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as u64)
}
