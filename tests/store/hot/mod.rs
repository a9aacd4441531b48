//! Graphs in memory: bounded in number and in bytes, nothing for ids that nobody has written to, and a task that fails
//! is replaced.

mod reads;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use dao_api::{
    domain::Operation,
    http::parse_command,
    read::{self, StateSource},
    store::EventStore,
    write::{Ending, Graphs, GraphsConfig, WriteError},
};
use dao_projections::{GraphId, Head, Version};
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

/// Waits until graphs take at most so many bytes of memory: those that are let go of are gone a moment later.
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
async fn h4_a_graph_whose_task_panicked_gets_another_and_followers_go_on() {
    let (_dir, inner) = store();
    let store = GatedStore::to(inner);
    let graphs = Graphs::new(store.clone(), GraphsConfig::default());
    accepted(&graphs, &id("g"), create("a")).await;
    let mut hot = graphs.hot(&id("g"));
    store.set_panics(true);
    let lost = create("b");
    let failed = graphs.execute(&id("g"), vec![lost.clone()]).await;
    assert!(matches!(failed, Err(WriteError::Failed)), "{failed:?}");
    store.set_panics(false);
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
