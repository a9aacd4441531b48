//! What followers and reads that wait ask of the store.

use std::sync::Arc;

use dao_api::{
    http::parse_command,
    read::{self, ReadError},
    store::EventStore,
    write::{Ending, Graphs, GraphsConfig, WriteError},
};
use dao_projections::Version;
use serde_json::json;

use super::{PATIENCE, accepted, create, graphs, id, store};
use crate::support::gate::{Call, GatedStore};

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
