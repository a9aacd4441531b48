//! Tests that run on a server over each store, and what they fill it with.

use serde_json::{Value, json};

use crate::support::http::Client;

/// A commit by its graph and version.
pub(crate) type Key = (String, u64);

pub(crate) async fn create(client: &Client, graph: &str, node: &str) {
    client.apply(graph, "CREATE_NODE", json!({"id": node})).await;
}

/// So many commits in one request, and so for the most part in one append.
pub(crate) async fn batch(client: &Client, graph: &str, name: &str, count: usize) {
    let operations: Vec<Value> = (0..count)
        .map(|n| json!({"type": "CREATE_NODE", "payload": {"id": format!("{name}-{n}")}}))
        .collect();
    let reply = client.post(&format!("/graphs/{graph}/batch"), &json!({"operations": operations})).await;
    assert_eq!(reply.status, 200);
}

/// Runs each of these functions of the module `rules` on a server over each store.
macro_rules! on_every_store {
    ($($name:ident)*) => {
        mod embedded {
            use crate::support::server::Server;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::rules::$name(Server::start().await).await;
            })*
        }
        mod redis {
            use crate::support::{redis::RedisServer, server::Server};
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let redis = RedisServer::start();
                super::rules::$name(Server::on_redis(&redis).await).await;
            })*
        }
    };
}
