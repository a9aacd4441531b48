//! A cluster whose slots move and whose servers go, seen from the store: each answer belongs to its question, nobody is
//! stuck, and what is well goes on.

use std::{sync::Arc, time::Duration};

use dao_api::store::{
    EventStore, Publication,
    redis::{RedisConfig, RedisStore},
};
use dao_projections::{GraphId, Version};
use futures::future::join_all;
use tokio::time::{Instant, timeout};

use crate::support::{
    history::{graph, grow as grow_on},
    redis::RedisServer,
};

async fn connect(node: &RedisServer) -> Arc<RedisStore> {
    let config = RedisConfig::at(node.cluster_url(), Duration::from_secs(3_600));
    Arc::new(RedisStore::connect(config).await.expect("connect"))
}

/// So many commits more.
async fn grow(store: &RedisStore, id: &GraphId, count: u64) {
    let head = store.head(id).await.expect("a head");
    let first = head.version.get() as u128 + 1;
    grow_on(store, id, head, first..first + u128::from(count)).await;
}

/// The primary that has the graph, and the slot it is in.
fn place_of(graph: &GraphId, primaries: &[RedisServer]) -> (usize, String) {
    let key = format!("dao:*:graph:{graph}:events");
    let at = primaries.iter().position(|node| !node.keys(&key).is_empty()).expect("the graph");
    (at, primaries[at].slot_of(&primaries[at].keys(&key)[0]))
}

fn events_key(graph: &GraphId, node: &RedisServer) -> String {
    node.keys(&format!("dao:*:graph:{graph}:events")).pop().expect("its stream")
}

/// Graphs with as many commits as their number.
async fn graphs(store: &RedisStore, count: u64) -> Vec<(GraphId, u64)> {
    let mut made = vec![];
    for n in 1..=count {
        let id = graph(&format!("g{n}"));
        grow(store, &id, n).await;
        made.push((id, n));
    }
    made
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v6_while_a_key_is_asked_for_elsewhere_every_answer_belongs_to_its_question() {
    let nodes = RedisServer::cluster();
    let store = connect(&nodes[0]).await;
    let graphs = graphs(&store, 24).await;
    let (moving, versions) = &graphs[4];
    let (from, slot) = place_of(moving, &nodes);
    let (from, to) = (&nodes[from], &nodes[(from + 1) % 3]);
    from.begin_to_migrate(&slot, to);
    from.migrate_keys(&[&events_key(moving, from)], to);
    for _ in 0..40 {
        // Of each server there are questions under way, among them those that are answered with ASK.
        let asked = (0..3).flat_map(|_| &graphs).map(async |(id, versions)| {
            let (head, commits) =
                tokio::join!(store.head(id), store.read(id, Version::EMPTY, Version::MAX, 100));
            let (head, commits) = (head.expect("a head"), commits.expect("commits"));
            assert_eq!(head.version.get(), *versions, "{id}");
            assert_eq!(commits.len() as u64, *versions, "{id}");
            assert_eq!(commits.last().map(|last| last.head()), Some(head), "{id}");
        });
        join_all(asked).await;
    }
    from.finish_migrating(&slot, to, &nodes);
    grow(&store, moving, 3).await;
    assert_eq!(store.head(moving).await.expect("a head").version.get(), versions + 3);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_after_its_connections_were_cut_a_store_answers_as_before() {
    let nodes = RedisServer::cluster();
    let store = connect(&nodes[1]).await;
    let graphs = graphs(&store, 6).await;
    for _ in 0..20 {
        for node in &nodes {
            node.command(&["CLIENT", "KILL", "TYPE", "normal"]);
            node.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        }
        let asked = graphs.iter().map(|(id, _)| store.head(id));
        join_all(asked).await; // some of them fail
    }
    let start = Instant::now();
    while join_all(graphs.iter().map(|(id, _)| store.head(id))).await.iter().any(Result::is_err) {
        assert!(start.elapsed() < Duration::from_secs(20), "it does not come back");
    }
    for round in 0..10_000 / graphs.len() {
        for (asked, (id, versions)) in
            join_all(graphs.iter().map(|(id, _)| store.head(id))).await.into_iter().zip(&graphs)
        {
            assert_eq!(asked.expect("an answer").version.get(), *versions, "{id} in round {round}");
        }
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o5_a_start_while_a_primary_is_dead_waits_for_its_successor() {
    let mut nodes = RedisServer::cluster_with_replicas();
    let store = connect(&nodes[0]).await;
    let graphs = graphs(&store, 6).await;
    store.close().await;
    nodes[1].kill();
    let store = timeout(Duration::from_secs(40), connect(&nodes[0])).await.expect("it starts");
    let start = Instant::now();
    for (id, _) in &graphs {
        // What the successor had not copied yet is gone (no replica was waited for).
        while store.head(id).await.is_err() {
            assert!(start.elapsed() < Duration::from_secs(30), "{id} does not come back");
        }
        grow(&store, id, 1).await;
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o5_a_shard_without_a_primary_is_named_and_the_others_take_writes() {
    let mut nodes = RedisServer::cluster();
    for node in &nodes {
        node.command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    let store = connect(&nodes[0]).await;
    let graphs = graphs(&store, 6).await;
    store.check().await.expect("all is well");
    assert_eq!(store.impaired(), Vec::<String>::new());
    let dead: Vec<usize> = graphs.iter().map(|(id, _)| place_of(id, &nodes).0).collect();
    nodes[2].kill();
    store.check().await.expect("the others take writes");
    assert_eq!(store.impaired().len(), 1, "{:?}", store.impaired());
    for ((id, _), at) in graphs.iter().zip(dead) {
        match at {
            2 => assert!(store.head(id).await.is_err(), "{id}"),
            _ => grow(&store, id, 1).await,
        }
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w4_hints_follow_a_slot_that_moves_there_and_back() {
    let nodes = RedisServer::cluster();
    let (writer, listener) = (connect(&nodes[0]).await, connect(&nodes[2]).await);
    let id = graph("followed");
    grow(&writer, &id, 2).await;
    let mut hints = listener.listen(&id);
    let (from, slot) = place_of(&id, &nodes);
    let (here, there) = (&nodes[from], &nodes[(from + 1) % 3]);
    for (from, to) in [(here, there), (there, here)] {
        from.migrate(&slot, to, &nodes);
        // A hint with the commit itself can come only over a subscription where the slot is now.
        let heard = async {
            loop {
                grow(&writer, &id, 1).await;
                let next = timeout(Duration::from_millis(300), hints.next()).await;
                if matches!(next, Ok(Publication::Commits(_))) {
                    return;
                }
            }
        };
        timeout(Duration::from_secs(20), heard).await.expect("heard again");
    }
    writer.close().await;
    listener.close().await;
}
