//! A Redis Cluster of three primaries and three replicas whose slots move and whose primaries die under load: no server is
//! restarted, nobody stays without an answer, nothing acknowledged is lost, followers miss nothing.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use dao_api::store::{
    EventStore,
    redis::{RedisConfig, RedisStore},
};

use crate::support::{
    load::{Load, Outcome, assert_kept, operations_in},
    redis::RedisServer,
    server::Process,
};

/// On all three primaries.
const GRAPHS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

struct Cluster {
    nodes: Vec<RedisServer>,
    load: Load,
}

impl Cluster {
    async fn under_load(min_replicas: &str) -> Self {
        let nodes = RedisServer::cluster_with_replicas();
        let url = nodes[1].cluster_url();
        let settings = [("REDIS_URL", url.as_str()), ("REDIS_MIN_REPLICAS", min_replicas)];
        let servers = vec![Process::start(&settings), Process::start(&settings)];
        let mut load = Load::start(servers, &GRAPHS).await;
        load.grown(10).await;
        Self { nodes, load }
    }

    /// Kills a primary, and starts it again as the replica of its own replica.
    async fn fail_over(&mut self, from: usize, to: usize) {
        let start = Instant::now();
        self.nodes[from].kill();
        self.nodes[to].wait_until("role:master");
        println!("a successor after {:?}", start.elapsed());
        self.nodes[from].restart();
        self.load.grown(10).await;
        println!("all graphs grow again after {:?}", start.elapsed());
        self.nodes[to].wait_until("connected_slaves:1");
        self.nodes[from].wait_until("master_link_status:up");
    }

    /// Moves the slot of a graph to the next primary.
    async fn migrate(&mut self, graph: &str) {
        let key = format!("dao:*:graph:{graph}:events");
        let primaries = &self.nodes[..3];
        let from = primaries.iter().position(|node| !node.keys(&key).is_empty()).unwrap();
        let slot = primaries[from].slot_of(&primaries[from].keys(&key)[0]);
        let to = &primaries[(from + 1) % 3];
        tokio::task::block_in_place(|| primaries[from].migrate(&slot, to, &self.nodes));
        assert!(!to.keys(&key).is_empty());
        self.load.grown(10).await;
    }

    /// What became of all, and the version of every operation that is in the log.
    async fn finish(self) -> (Outcome, HashMap<String, u64>) {
        let config = RedisConfig::at(self.nodes[1].cluster_url(), Duration::from_secs(86_400));
        let store = RedisStore::connect(config).await.unwrap();
        let outcome = self.load.finish(&store).await;
        let stored = operations_in(&store, &GRAPHS).await;
        store.close().await;
        (outcome, stored)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v6_with_a_replica_asked_for_no_fail_over_nor_move_loses_what_was_acknowledged() {
    let mut cluster = Cluster::under_load("1").await;
    cluster.migrate("a").await;
    cluster.fail_over(0, 3).await;
    cluster.fail_over(3, 0).await;
    let (Outcome { ledger, resets }, stored) = cluster.finish().await;
    assert_kept(&ledger, &stored);
    assert_eq!(stored.len(), ledger.all().len(), "every operation has exactly one effect");
    println!("{} operations, {resets} resets", stored.len());
}

/// Histories lose their tails, since the replica that takes over was cut off; then followers are told. What
/// each has in the end is the log, as `finish` checks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v4_without_replicas_asked_for_followers_are_told_of_what_a_fail_over_lost() {
    let mut cluster = Cluster::under_load("0").await;
    let primary = &cluster.nodes[0];
    primary.command(&["ACL", "SETUSER", "default", "-psync", "-sync"]);
    primary.command(&["CLIENT", "KILL", "TYPE", "replica"]);
    primary.wait_until("connected_slaves:0");
    cluster.load.grown(5).await;
    cluster.fail_over(0, 3).await;
    let (Outcome { ledger, resets }, stored) = cluster.finish().await;
    let lost = ledger.all().iter().filter(|(id, _)| !stored.contains_key(id)).count();
    println!("{} operations, {lost} lost, {resets} resets", stored.len());
    assert!(lost > 0 && resets > 0, "{lost} lost, {resets} resets");
}

/// Lists, purges and what happened in all graphs go over all shards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_graphs_on_all_shards_are_listed_and_purged() {
    let nodes = RedisServer::cluster();
    let server = Process::start(&[("REDIS_URL", nodes[0].cluster_url().as_str())]);
    let client = server.client();
    for graph in GRAPHS {
        client.apply(graph, "CREATE_GRAPH", serde_json::json!({"attributes": {"title": graph}})).await;
        client.apply(graph, "CREATE_NODE", serde_json::json!({"id": "n"})).await;
    }
    let all = client.read("/operations?limit=1000").await;
    assert_eq!(all["operations"].as_array().unwrap().len(), 2 * GRAPHS.len(), "{all}");
    let listed = async || {
        let page = client.read("/graphs?sort=title").await;
        let graphs = page["graphs"].as_array().unwrap().iter();
        graphs.map(|row| row["graphId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let wait = async {
        while listed().await != GRAPHS {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("all are listed");
    for graph in GRAPHS {
        client.apply(graph, "DELETE_GRAPH", serde_json::json!({})).await;
        let purged = client.post(&format!("/graphs/{graph}/purge"), &serde_json::json!({})).await;
        assert_eq!(purged.status, 200, "{graph}: {}", String::from_utf8_lossy(&purged.body));
        client.get(&format!("/graphs/{graph}")).await.problem(404, "GRAPH_NOT_FOUND");
        client.apply(graph, "CREATE_NODE", serde_json::json!({"id": "again"})).await;
    }
    let all = client.read("/operations?limit=1000").await;
    assert_eq!(all["operations"].as_array().unwrap().len(), GRAPHS.len(), "{all}");
}
