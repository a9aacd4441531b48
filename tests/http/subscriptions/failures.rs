//! Other servers, restarts, stores that are away and histories that can't be read.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use super::{WAIT, ack, ask_next, drain, key, keys, next, race, set, settle, subscribe};
use crate::{
    every_store::{Key, batch, create},
    support::{
        gate::{Call, GatedStore},
        http::Client,
        redis::RedisServer,
        server::{Server, embedded_store},
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_two_servers_serve_one_subscription() {
    let redis = RedisServer::start();
    let (first, second) = (Server::on_redis(&redis).await, Server::on_redis(&redis).await);
    race(&[&first, &second], &first).await;
    // What one handed out, the other settles.
    batch(&first, "a", "more", 2).await;
    let held = next(&first, "s", WAIT).await;
    let (then, known) = tokio::join!(next(&first, "s", WAIT), ack(&second, "s", &held));
    assert_eq!((keys(&held), known, keys(&then)), (set([("a", 9)]), 1, set([("a", 10)])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_a_restart_changes_nothing() {
    let server = Server::start().await;
    subscribe(&server, "s", json!({"maxAttempts": 1})).await;
    batch(&server, "a", "n", 3).await;
    create(&server, "b", "n").await;
    let held = next(&server, "s", "").await;
    let (of_a, of_b): (Vec<Value>, Vec<Value>) = held.into_iter().partition(|d| key(d).0 == "a");
    assert_eq!(settle(&server, "s", "nack", &of_b, json!({"reason": "broken"})).await, 1);
    let server = server.restart().await;
    assert_eq!(next(&server, "s", "").await, Vec::<Value>::new());
    assert_eq!(ack(&server, "s", &of_a).await, 1);
    assert_eq!(drain(&server, "s", 10).await["a"], [2, 3]);
    let parked = server.read("/subscriptions/s/parked").await;
    assert_eq!(
        (key(&parked["parked"][0]), &parked["parked"][0]["reason"]),
        (key(&of_b[0]), &json!("broken"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_while_the_store_is_unavailable_it_is_503_and_nothing_is_lost() {
    let mut redis = RedisServer::start();
    let server = Server::on_redis(&redis).await;
    subscribe(&server, "s", json!({})).await;
    create(&server, "a", "n").await;
    redis.kill();
    ask_next(&server, "s", "").await.problem(503, "STORE_UNAVAILABLE");
    server.post("/subscriptions/s/ack", &json!({"deliveryIds": []})).await.problem(503, "STORE_UNAVAILABLE");
    redis.restart();
    loop {
        let reply = ask_next(&server, "s", WAIT).await;
        if reply.status == 200 {
            assert_eq!(keys(reply.json()["deliveries"].as_array().unwrap()), set([("a", 1)]));
            break;
        }
        reply.problem(503, "STORE_UNAVAILABLE");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_an_unreadable_history_is_parked_and_others_go_on() {
    let redis = RedisServer::start();
    let server = Server::on_redis(&redis).await;
    subscribe(&server, "s", json!({})).await;
    for n in 0..3 {
        create(&server, "a", &format!("n{n}")).await;
    }
    create(&server, "b", "n").await;
    let events = redis.keys("dao:*:graph:a:events");
    assert_eq!(redis.command(&["XDEL", &events[0], "2-0"]).trim(), ":1");
    let told = drain(&server, "s", 10).await;
    assert_eq!((&told["b"][..], told["a"][0]), (&[1][..], 1));
    assert!(!told["a"].contains(&2), "{told:?}");
    let page = server.read("/subscriptions/s/parked").await;
    let parked = page["parked"].as_array().unwrap().clone();
    let missing = parked.iter().find(|parked| parked["version"] == 2).expect("it is said aloud");
    assert_eq!(
        (&missing["graphId"], &missing["attempts"], &missing["commit"]),
        (&json!("a"), &json!(0), &Value::Null)
    );
    // It is not whole yet: tried again, it is parked again.
    assert_eq!(settle(&server, "s", "parked/retry", &parked, json!({})).await, parked.len() as u64);
    drain(&server, "s", 10).await;
    let page = server.read("/subscriptions/s/parked").await;
    assert!(page["parked"].as_array().unwrap().iter().any(|parked| parked["version"] == 2), "{page}");
    assert_eq!(
        settle(&server, "s", "parked/drop", page["parked"].as_array().unwrap(), json!({})).await,
        parked.len() as u64
    );
}

/// Rule S6: what takes longer to read than a look has patience for still arrives.
#[tokio::test]
async fn s6_a_slow_read_finishes_instead_of_restarting_forever() {
    let dir = tempfile::tempdir().unwrap();
    let feed = embedded_store(dir.path());
    let store = GatedStore::shared(feed.clone());
    let server = Server::over_halves(store.clone(), feed).await;
    create(&server, "g", "a").await;
    subscribe(&server, "slow", json!({})).await;
    store.set_read_takes(Duration::from_millis(800));
    let deliveries = next(&server, "slow", "wait=0").await;
    assert_eq!(deliveries.iter().map(key).collect::<Vec<_>>(), [("g".to_owned(), 1)]);
}

/// Rule S7: a look that reads for long holds up no acknowledgement, nor loses one (`hold` stops its reads).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s7_acknowledgements_do_not_wait_for_polls() {
    let dir = tempfile::tempdir().unwrap();
    let feed = embedded_store(dir.path());
    let store = GatedStore::shared(feed.clone());
    let server = Server::over_halves(store.clone(), feed).await;
    subscribe(&server, "s", json!({"leaseMs": 1_000})).await;
    for graph in ["a", "b", "c"] {
        create(&server, graph, "first").await;
    }
    let held = next(&server, "s", "").await;
    assert_eq!(held.len(), 3);
    for graph in ["a", "b", "c"] {
        create(&server, graph, "second").await;
    }
    store.hold(Call::Read);
    let client = Client::new(server.address());
    let looking = tokio::spawn(async move { next(&client, "s", "").await });
    store.has_arrived(Call::Read, 1).await;
    // Its look reads, and has not ended. These are answered all the same.
    let of = |graph: &str| -> Vec<Value> { held.iter().filter(|d| key(d).0 == graph).cloned().collect() };
    assert_eq!(ack(&server, "s", &of("a")).await, 1);
    assert_eq!(settle(&server, "s", "nack", &of("b"), json!({"reason": "not now"})).await, 1);
    store.open();
    let handed = looking.await.unwrap();
    assert!(!handed.iter().any(|delivery| key(delivery) == ("a".to_owned(), 1)), "that is done: {handed:?}");
    ack(&server, "s", &handed).await;
    ack(&server, "s", &of("c")).await;
    let mut told: BTreeSet<Key> = keys(&handed);
    for (graph, versions) in drain(&server, "s", 10).await {
        told.extend(versions.into_iter().map(|version| (graph.clone(), version)));
    }
    assert_eq!(told, set([("a", 2), ("b", 1), ("b", 2), ("c", 2)]));
    assert_eq!(server.read("/subscriptions/s").await["inFlight"], 0);
}

/// Rules S6 and S7: a history that the store refuses to read stops no other graph.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_an_unreadable_graph_does_not_stop_others() {
    let dir = tempfile::tempdir().unwrap();
    let feed = embedded_store(dir.path());
    let store = GatedStore::shared(feed.clone());
    let server = Server::over_halves(store.clone(), feed).await;
    subscribe(&server, "s", json!({})).await;
    for graph in ["a", "b"] {
        batch(&server, graph, "n", 2).await;
    }
    let first = next(&server, "s", "").await;
    assert_eq!(ack(&server, "s", &first).await, 2);
    store.refuse_reads_of(Some("a"));
    let second = next(&server, "s", "").await;
    assert_eq!((keys(&second), ack(&server, "s", &second).await), (set([("b", 2)]), 1));
    ask_next(&server, "s", "").await.problem(503, "STORE_UNAVAILABLE");
    store.refuse_reads_of(None);
    assert_eq!(keys(&next(&server, "s", "").await), set([("a", 2)]));
}
