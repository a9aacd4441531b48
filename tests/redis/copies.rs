//! Copies of graphs across the slots of a Redis Cluster (rule L7).

use std::{sync::Arc, time::Duration};

use dao_api::store::redis::{RedisConfig, RedisStore};
use serde_json::json;

use crate::support::{
    graph::{command, new_id, with},
    redis::RedisServer,
    server::Server,
};

async fn server(url: &str) -> Server {
    let config = RedisConfig::at(url.to_owned(), Duration::from_secs(3_600));
    Server::over(Arc::new(RedisStore::connect(config).await.unwrap())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l7_a_copy_crosses_slots_and_another_server_knows_of_it() {
    let nodes = RedisServer::cluster();
    let url = nodes[0].cluster_url();
    let (one, other) = (server(&url).await, server(&url).await);
    for id in ["x", "y"] {
        one.apply("a", "CREATE_NODE", json!({"id": id})).await;
    }
    one.apply("a", "CREATE_EDGE", json!({"id": "xy", "source": "x", "target": "y"})).await;
    one.apply("a", "LABEL_VERSION", json!({"name": "v1", "version": 2})).await;
    let source = one.changes("a", 0).await;
    // These are on all three primaries.
    for (graph, history) in [("b", true), ("c", false), ("d", true), ("e", false)] {
        let from = json!({"from": {"graphId": "a", "at": "head", "history": history}});
        let sent = with(&command("CREATE_GRAPH", from), json!({"operationId": new_id()}));
        let made = one.accept(graph, &sent).await;
        let again = other.accept(graph, &sent).await;
        assert_eq!((&again["duplicate"], &again["hash"]), (&json!(true), &made["hash"]), "{graph}");
        let commits = other.changes(graph, 0).await;
        if history {
            let hashes = |commits: &[serde_json::Value]| -> Vec<_> {
                commits.iter().map(|commit| commit["hash"].clone()).collect()
            };
            assert_eq!(hashes(&commits)[..source.len()], hashes(&source));
            assert_eq!(commits.len(), source.len() + 1);
        }
        assert_eq!(other.read(&format!("/graphs/{graph}/verify")).await["ok"], true);
        assert_eq!(other.state(graph).await["nodes"].as_array().unwrap().len(), 2);
        assert_eq!(other.read(&format!("/graphs/{graph}")).await["forkedFrom"]["graphId"], "a");
    }
    for server in [one, other] {
        server.stop().await;
    }
}
