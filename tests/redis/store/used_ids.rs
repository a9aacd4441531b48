//! The graphs that used an operation id are named (rule H).

use std::sync::Arc;

use dao_api::store::{
    Append, EventStore,
    redis::{RedisConfig, RedisStore},
};
use dao_projections::Head;

use super::{all, config};
use crate::support::{
    history::{accepted, found, graph, grow, operation, record, refused},
    redis::RedisServer,
};

#[tokio::test]
async fn h_graphs_that_used_an_id_are_named() {
    name_graphs(64, false).await;
}

#[tokio::test]
async fn h_graphs_that_used_an_id_are_named_in_the_order_in_which_they_did() {
    name_graphs(257, true).await;
}

async fn name_graphs(partitions: u32, has_index: bool) {
    let server = RedisServer::start();
    let config = RedisConfig { partitions: Some(partitions), ..config(server.url()) };
    let store = RedisStore::connect(config).await.unwrap();
    for name in ["z", "b", "a"] {
        let entries = [accepted(7, Head::EMPTY), refused(100)];
        assert_eq!(store.append(&graph(name), Head::EMPTY, &entries).await.unwrap(), Append::Appended);
    }
    for n in [7, 100] {
        let mut places = store.find_operation(operation(n), all(), 10).await.unwrap();
        assert_eq!(places.is_in_order, has_index);
        if !has_index {
            places.graphs.sort_by(|a, b| b.cmp(a));
        }
        assert_eq!(places.graphs, ["z", "b", "a"].map(graph));
        let wanted = std::sync::Arc::new(|graph: &dao_projections::GraphId| graph.as_str() < "z");
        let wanted = store.find_operation(operation(n), wanted, 10).await.unwrap().graphs;
        assert_eq!(wanted.len(), 2, "{wanted:?}");
    }
    if !has_index {
        return;
    }
    // What holds the index ends by itself.
    let keys = server.keys("dao:*:index:*");
    assert!(keys.len() >= 3, "{keys:?}");
    for key in keys {
        let left = server.command(&["PTTL", &key]);
        assert!(left.trim().strip_prefix(':').is_some_and(|left| left.parse::<i64>().unwrap() > 0), "{left}");
    }
}

#[tokio::test]
async fn h_records_from_before_there_was_an_index_are_found_for_as_long_as_they_last() {
    let server = RedisServer::start();
    let many = RedisConfig { partitions: Some(257), ..config(server.url()) };
    let connect = async |_: &RedisServer| Arc::new(RedisStore::connect(many.clone()).await.unwrap());
    let (store, g) = (connect(&server).await, graph("g"));
    grow(&*store, &g, Head::EMPTY, [1]).await;
    for key in server.keys("dao:*:index:*") {
        server.command(&["DEL", &key]);
    }
    // As this release finds it where an earlier one has written.
    server.command(&["HDEL", "dao:meta", "operation_index_begun_ms"]);
    let upgraded = connect(&server).await;
    assert_eq!(found(&*upgraded, operation(1)).await.unwrap(), [(g.clone(), record(1))]);
    // Long after that there are none.
    server.command(&["HSET", "dao:meta", "operation_index_begun_ms", "1"]);
    let later = connect(&server).await;
    assert_eq!(found(&*later, operation(1)).await.unwrap(), []);
    assert_eq!(later.operations(&g, &[operation(1)]).await.unwrap(), [Some(record(1))], "but by its graph");
}
