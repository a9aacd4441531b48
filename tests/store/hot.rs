//! Graphs in memory: bounded in number and in bytes, nothing for ids that nobody has written to, and a task that fails
//! is replaced.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use dao_api::{
    domain::Operation,
    http::parse_command,
    read::{self, ReadError, StateSource},
    store::{
        Append, Durability, Entry, EventStore, GraphFilter, OperationPlaces, Order, RefusalPlace, StoreError,
        StoredCommit, StoredRefusal,
    },
    write::{Ending, Graphs, GraphsConfig, WriteError},
};
use dao_projections::{GraphId, Head, OperationId, Version};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    gate::{Call, GatedStore},
    server::embedded_store,
};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn id(name: &str) -> GraphId {
    name.parse().unwrap()
}

fn operation(kind: &str, payload: Value) -> Operation {
    parse_command(json!({"type": kind, "payload": payload}), &"ada".parse().unwrap()).unwrap()
}

fn create(node: &str) -> Operation {
    operation("CREATE_NODE", json!({"id": node}))
}

/// A node whose values take about a megabyte in memory, and 30 kB as JSON.
fn large(node: &str) -> Operation {
    operation("CREATE_NODE", json!({"id": node, "data": {"points": vec![0; 15_000]}}))
}

fn store() -> (TempDir, Arc<dyn EventStore>) {
    let dir = tempfile::tempdir().unwrap();
    let store = embedded_store(dir.path());
    (dir, store)
}

fn graphs(store: &Arc<dyn EventStore>, hot_max: usize, hot_bytes_max: usize) -> Arc<Graphs> {
    Graphs::new(store.clone(), GraphsConfig { hot_max, hot_bytes_max, ..GraphsConfig::default() })
}

async fn accepted(graphs: &Graphs, graph: &GraphId, operation: Operation) {
    let answers = graphs.execute(graph, vec![operation]).await.unwrap();
    assert!(matches!(answers[0].ending, Ending::Completed { .. }), "{answers:?}");
}

/// Waits until this many graphs are in memory at most: those that are let go of are gone a moment later.
async fn hold_at_most(graphs: &Graphs, bytes: usize) {
    let settled = async {
        while graphs.occupancy().1 > bytes {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, settled).await;
    assert!(in_time.is_ok(), "{:?}", graphs.occupancy());
}

#[tokio::test]
async fn o3_graphs_in_memory_are_bounded_in_bytes_and_in_number() {
    const BOUND: usize = 8 << 20;
    let (_dir, store) = store();
    let bounded = graphs(&store, 1_000, BOUND);
    for n in 0..40 {
        accepted(&bounded, &id(&format!("g{n}")), large("a")).await;
    }
    for n in 0..40 {
        let current = read::current(&bounded, &id(&format!("g{n}")), None).await.ok().unwrap();
        current.view.state(|graph| Bytes::from(vec![0; graph.json_bytes()]));
        assert_eq!(current.view.graph.nodes().len(), 1);
    }
    hold_at_most(&bounded, BOUND).await;
    let (held, bytes) = bounded.occupancy();
    assert!((2..=16).contains(&held) && bytes > BOUND / 4, "{held} graphs, {bytes} bytes");
    assert!(bounded.in_memory(&id("g39")).is_some(), "the latest stays");
    assert!(bounded.in_memory(&id("g0")).is_none(), "the one asked for longest ago goes");

    let few = graphs(&store, 3, usize::MAX / 2);
    for n in 0..10 {
        few.refresh(&id(&format!("g{n}"))).await.unwrap();
        few.refresh(&id("g0")).await.unwrap();
    }
    assert!(few.occupancy().0 <= 3, "{:?}", few.occupancy());
    assert!(few.in_memory(&id("g0")).is_some() && few.in_memory(&id("g1")).is_none());
}

#[tokio::test]
async fn o3_made_up_ids_cost_no_task_and_push_nobody_out() {
    let (_dir, store) = store();
    let graphs = graphs(&store, 2, 64 << 20);
    for real in ["one", "two"] {
        accepted(&graphs, &id(real), create("a")).await;
    }
    let before = graphs.occupancy();
    let mut followed = Vec::new();
    for n in 0..300 {
        let made_up = id(&format!("made-up-{n}"));
        let current = read::current(&graphs, &made_up, None).await.ok().unwrap();
        assert_eq!((current.head(), current.source), (Head::EMPTY, StateSource::Store));
        assert!(read::changes(&graphs, &made_up, Version::EMPTY, None, 10, None).await.is_ok());
        assert!(read::verify(&graphs, &made_up, |_, _| {}).await.is_ok());
        let hot = graphs.hot(&made_up);
        graphs.refresh(&made_up).await.unwrap();
        assert_eq!(hot.head(), Some(Head::EMPTY), "a follower is told that there is nothing");
        followed.push((made_up, hot));
    }
    // Refused on an empty graph: recorded in the store, and forgotten here.
    for (made_up, _) in followed.iter().take(50) {
        let answers =
            graphs.execute(made_up, vec![operation("DELETE_NODE", json!({"nodeId": "a"}))]).await.unwrap();
        assert!(matches!(answers[0].ending, Ending::Refused { .. }));
    }
    let left = async {
        while graphs.occupancy().0 > before.0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, left).await.expect("no task stays");
    for real in ["one", "two"] {
        let current = read::current(&graphs, &id(real), None).await.ok().unwrap();
        assert_eq!(current.source, StateSource::Memory, "{real} is still in memory");
    }
    // And who follows one hears of its first commit.
    let (made_up, mut hot) = followed.pop().unwrap();
    hot.mark_seen();
    accepted(&graphs, &made_up, create("a")).await;
    assert!(tokio::time::timeout(PATIENCE, hot.changed()).await.expect("it is woken"));
    let commits = hot.commits_since(Version::EMPTY, 10).unwrap().1;
    assert_eq!(commits.len(), 1);
}

#[tokio::test]
async fn o3_graphs_in_use_stay_and_others_are_refused_while_they_fill_the_memory() {
    const BOUND: usize = 6 << 20;
    let (_dir, store) = store();
    let filling = graphs(&store, 1_000, usize::MAX / 2);
    for n in 0..12 {
        accepted(&filling, &id(&format!("g{n}")), large("a")).await;
    }
    let bounded = graphs(&store, 1_000, BOUND);
    let (mut followed, mut refused) = (Vec::new(), None);
    for n in 0..12 {
        let graph = id(&format!("g{n}"));
        let hot = bounded.hot(&graph);
        match bounded.refresh(&graph).await {
            Ok(_) => followed.push(hot),
            Err(WriteError::MemoryFull) => refused = Some(graph),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(followed.len() >= 2, "some have room");
    let refused = refused.expect("not all have room");
    assert!(followed.iter().all(|hot| hot.view().is_some()), "those in use stay");
    // One that gets smaller always may, also now.
    let smaller = bounded.execute(&id("g0"), vec![operation("DELETE_NODE", json!({"nodeId": "a"}))]).await;
    assert!(smaller.is_ok(), "{smaller:?}");
    drop(followed);
    assert!(bounded.refresh(&refused).await.is_ok(), "there is room again");
}

#[tokio::test]
async fn o3_a_graph_does_not_grow_beyond_what_can_be_loaded_again() {
    const BOUND: usize = 8 << 20;
    let (_dir, store) = store();
    let bounded = graphs(&store, 1_000, BOUND);
    let mut grown = 0;
    let refused = loop {
        match bounded.execute(&id("g"), vec![large(&format!("n{grown}"))]).await {
            Ok(_) => grown += 1,
            Err(error) => break error,
        }
        assert!(grown < 100, "it grows and grows");
    };
    assert!(matches!(refused, WriteError::MemoryFull), "{refused}");
    let again = graphs(&store, 1_000, BOUND);
    let view = again.refresh(&id("g")).await.expect("it can be loaded");
    assert_eq!(view.graph.nodes().len(), grown);
}

/// Fails in ways that no store should: its appends panic while it is told to.
struct Panicking {
    inner: Arc<dyn EventStore>,
    panics: AtomicBool,
}

#[async_trait]
impl EventStore for Panicking {
    async fn append(&self, graph: &GraphId, expected: Head, entries: &[Entry]) -> Result<Append, StoreError> {
        assert!(!self.panics.load(Ordering::SeqCst), "a mistake that a test makes");
        self.inner.append(graph, expected, entries).await
    }
    async fn append_copied(
        &self,
        graph: &GraphId,
        expected: Head,
        copied: &[StoredCommit],
        entries: &[Entry],
    ) -> Result<Append, StoreError> {
        self.inner.append_copied(graph, expected, copied, entries).await
    }

    async fn head(&self, graph: &GraphId) -> Result<Head, StoreError> {
        self.inner.head(graph).await
    }
    async fn read(
        &self,
        graph: &GraphId,
        after: Version,
        to: Version,
        limit: usize,
    ) -> Result<Vec<StoredCommit>, StoreError> {
        self.inner.read(graph, after, to, limit).await
    }
    async fn operations(
        &self,
        graph: &GraphId,
        ids: &[OperationId],
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.inner.operations(graph, ids).await
    }
    async fn refusals(
        &self,
        graph: &GraphId,
        between: (RefusalPlace, RefusalPlace),
        order: Order,
        limit: usize,
    ) -> Result<Vec<StoredRefusal>, StoreError> {
        self.inner.refusals(graph, between, order, limit).await
    }
    async fn graphs(&self, after: Option<&GraphId>, limit: usize) -> Result<Vec<GraphId>, StoreError> {
        self.inner.graphs(after, limit).await
    }
    async fn find_operation(
        &self,
        id: OperationId,
        wanted: GraphFilter,
        limit: usize,
    ) -> Result<OperationPlaces, StoreError> {
        self.inner.find_operation(id, wanted, limit).await
    }
    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }
    async fn check(&self) -> Result<(), StoreError> {
        self.inner.check().await
    }
    fn durability(&self) -> Durability {
        self.inner.durability()
    }
    fn location(&self) -> String {
        self.inner.location()
    }
    async fn close(&self) {
        self.inner.close().await;
    }
}

#[tokio::test]
async fn h4_a_graph_whose_task_panicked_gets_another_and_followers_go_on() {
    let (_dir, inner) = store();
    let store = Arc::new(Panicking { inner, panics: AtomicBool::new(false) });
    let graphs = Graphs::new(store.clone(), GraphsConfig::default());
    accepted(&graphs, &id("g"), create("a")).await;
    let mut hot = graphs.hot(&id("g"));
    store.panics.store(true, Ordering::SeqCst);
    let lost = create("b");
    let failed = graphs.execute(&id("g"), vec![lost.clone()]).await;
    assert!(matches!(failed, Err(WriteError::Failed)), "{failed:?}");
    store.panics.store(false, Ordering::SeqCst);
    // A follower finds that it has to load the graph, or that somebody has.
    accepted(&graphs, &id("g"), lost).await;
    let reached = async {
        while hot.head().is_none_or(|head| head.version.get() < 2) {
            assert!(hot.changed().await);
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.expect("the follower sees the commit on the same handle");
    assert!(graphs.metrics().encode(&Default::default()).unwrap().contains("dao_graph_task_panics_total 1"));
}

#[tokio::test]
async fn w6_followers_find_commits_in_memory_while_the_graph_is_brought_level() {
    let (_dir, inner) = store();
    let store = GatedStore::shared(inner);
    let graphs = Graphs::new(store.clone(), GraphsConfig::default());
    accepted(&graphs, &id("g"), create("a")).await;
    accepted(&graphs, &id("g"), create("b")).await;
    let hot = graphs.hot(&id("g"));
    for call in [Call::Head] {
        store.hold(call);
        let refreshing = tokio::spawn({
            let graphs = graphs.clone();
            async move { graphs.refresh(&id("g")).await.map(drop) }
        });
        store.has_arrived(call, 1).await;
        assert_eq!(hot.commits_since(Version::EMPTY, 10).expect("from memory").1.len(), 2);
        store.open();
        refreshing.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn h3_reads_that_wait_for_a_version_share_few_looks_into_the_store() {
    const READERS: usize = 40;
    let (_dir, inner) = store();
    let store = GatedStore::shared(inner);
    let graphs = Graphs::new(store.clone(), GraphsConfig::default());
    accepted(&graphs, &id("g"), create("a")).await;
    store.hold(Call::Operations); // counts from here on; nothing here asks for operations
    let never = Version::new(1 << 62);
    let reads = (0..READERS).map(|_| {
        let graphs = graphs.clone();
        tokio::spawn(async move { read::current(&graphs, &id("g"), never).await.map(drop) })
    });
    for read in reads.collect::<Vec<_>>() {
        let read = read.await.unwrap();
        assert!(matches!(read, Err(ReadError::VersionNotReached { current }) if current.get() == 1));
    }
    // Each looks once before it waits; all share what comes then.
    let looks = store.arrived(Call::Head);
    assert!(looks <= READERS + 30, "{looks} looks for {READERS} readers");
}

#[tokio::test]
async fn h3_a_read_that_waits_sees_what_another_instance_writes() {
    let (_dir, inner) = store();
    let store = GatedStore::shared(inner);
    let (here, there) =
        (Graphs::new(store.clone(), GraphsConfig::default()), Graphs::new(store, GraphsConfig::default()));
    let waiting = tokio::spawn({
        let here = here.clone();
        async move { read::current(&here, &id("g"), Version::new(1)).await.map(|current| current.head()) }
    });
    accepted(&there, &id("g"), create("a")).await;
    let head = tokio::time::timeout(PATIENCE, waiting).await.expect("in time").unwrap().ok();
    assert_eq!(head.map(|head| head.version.get()), Some(1));
}

#[tokio::test]
async fn h3_no_more_reads_wait_for_a_version_than_may() {
    let (_dir, store) = store();
    let graphs = graphs(&store, 10, 64 << 20);
    let places: Vec<_> = std::iter::from_fn(|| graphs.place_to_wait().ok()).collect();
    assert_eq!(places.len(), 1_024);
    let refused = read::current(&graphs, &id("g"), Version::new(5)).await.map(drop);
    assert!(matches!(refused, Err(ReadError::Graph(WriteError::Overloaded))), "{refused:?}");
}

#[tokio::test]
async fn o3_graphs_of_a_slow_shard_do_not_keep_others_from_being_loaded() {
    let (_dir, inner) = store();
    let earlier = graphs(&inner, 100, usize::MAX);
    let slow: Vec<GraphId> = (0..10).map(|n| id(&format!("slow-{n}"))).collect();
    let quick = id("quick");
    for graph in slow.iter().chain([&quick]) {
        accepted(&earlier, graph, create("n")).await;
    }
    let gate = GatedStore::to(inner);
    let store: Arc<dyn EventStore> = gate.clone();
    let graphs = graphs(&store, 100, usize::MAX);
    gate.hold_heads_of("slow");
    let waiting: Vec<_> =
        slow.iter().map(|graph| graphs.submit(graph, vec![create("m")]).expect("there is room")).collect();
    gate.has_arrived(Call::Head, slow.len()).await;
    let loaded = tokio::time::timeout(PATIENCE, accepted(&graphs, &quick, create("m"))).await;
    assert!(loaded.is_ok(), "it waits for graphs that it has nothing to do with");
    gate.open();
    for answers in waiting {
        assert!(answers.await.expect("it is answered").is_ok());
    }
}

#[tokio::test]
async fn d8_the_old_versions_that_a_round_names_are_read_together() {
    const OLD: usize = 1_000;
    let (_dir, inner) = store();
    let earlier = graphs(&inner, 100, usize::MAX);
    let graph = id("g");
    for batch in 0..3 {
        let creates = (0..OLD).map(|n| create(&format!("n{batch}-{n}"))).collect();
        earlier.execute(&graph, creates).await.unwrap();
    }
    let mut history = vec![];
    while history.len() < OLD {
        let after = Version::new(history.len() as u64).unwrap();
        let to = Version::new(OLD as u64).unwrap();
        history.extend(inner.read(&graph, after, to, OLD).await.unwrap());
    }
    let gate = GatedStore::to(inner);
    let store: Arc<dyn EventStore> = gate.clone();
    let graphs = graphs(&store, 100, usize::MAX);
    accepted(&graphs, &graph, create("loaded")).await;
    let claims = history.iter().map(|commit| {
        let (version, hash) = (commit.version.get(), commit.hash.to_string());
        let node = json!({"id": format!("late-{version}")});
        let command =
            json!({"type": "CREATE_NODE", "payload": node, "clientVersion": version, "clientHash": hash});
        parse_command(command, &"ada".parse().unwrap()).unwrap()
    });
    let before = gate.arrived(Call::Read);
    let answers = graphs.execute(&graph, claims.collect()).await.unwrap();
    assert!(answers.iter().all(|answer| matches!(answer.ending, Ending::Completed { .. })), "{answers:?}");
    let reads = gate.arrived(Call::Read) - before;
    assert!((1..=5).contains(&reads), "{reads} reads for {OLD} versions");
}
