//! V4, W2, H4: the store goes away, comes back, and has another history.

use std::{path::Path, sync::Arc, time::Duration};

use dao_api::store::EventStore;
use serde_json::{Value, json};

use crate::support::{
    graph::new_id,
    server::{Server, embedded_store},
    switch::SwitchedStore,
    ws::{EVERY_SPEECH, Ws},
};

struct Stage {
    _dirs: [tempfile::TempDir; 2],
    store: Arc<SwitchedStore>,
    another: Arc<dyn EventStore>,
    server: Server,
}

fn open(dir: &Path) -> Arc<dyn EventStore> {
    embedded_store(dir)
}

/// A server whose store can be switched to another with `commits` of its own in graph `g`.
async fn stage(commits: usize) -> Stage {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let another = open(dirs[1].path());
    let elsewhere = Server::over(another.clone()).await;
    for n in 0..commits {
        elsewhere.apply("g", "CREATE_NODE", json!({"id": format!("other-{n}")})).await;
    }
    let store = SwitchedStore::to(open(dirs[0].path()));
    let server = Server::over(store.clone()).await;
    Stage { _dirs: dirs, store, another, server }
}

#[tokio::test]
async fn v4_w2_followers_of_a_replaced_history_get_an_unasked_sync() {
    // Longer than what it replaces, as long, and shorter.
    for commits in [5, 3, 1] {
        let stage = stage(commits).await;
        for n in 0..3 {
            stage.server.apply("g", "CREATE_NODE", json!({"id": format!("n{n}")})).await;
        }
        let mut followers = vec![];
        for speech in EVERY_SPEECH {
            let mut ws = Ws::connect_as(stage.server.address(), "?graphId=g", speech).await;
            assert_eq!(ws.expect("SYNC").await["version"], 3);
            followers.push(ws);
        }
        stage.store.switch(stage.another.clone());
        let state = stage.server.state("g").await; // whoever asks finds it out
        assert_eq!(state["version"], commits);
        stage.server.apply("g", "CREATE_NODE", json!({"id": "after"})).await;
        for ws in &mut followers {
            let sync = ws.expect("SYNC").await;
            assert_eq!(sync["status"], "snapshot");
            let at = sync["version"].as_u64().unwrap() as usize;
            let ids: Vec<&str> = crate::support::graph::ids(&sync["state"]["nodes"]);
            assert!(ids.iter().all(|id| !id.starts_with('n')), "nothing of the old history: {ids:?}");
            if at == commits {
                assert_eq!(ws.expect("STATE_UPDATE").await["version"], commits + 1);
            }
            assert_eq!(ws.so_far().await, [] as [Value; 0]);
        }
    }
}

#[tokio::test]
async fn w2_h4_while_the_store_is_unavailable_nobody_gets_older_state() {
    let stage = stage(0).await;
    stage.server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    let mut follower = Ws::connect(stage.server.address(), "?graphId=g").await;
    follower.expect("SYNC").await;
    stage.store.set_away(true);
    for graph in ["g", "cold"] {
        let mut ws = Ws::connect(stage.server.address(), &format!("?graphId={graph}&version=1")).await;
        let error = ws.expect("ERROR").await;
        assert_eq!((&error["code"], &error["graphId"]), (&json!("STORE_UNAVAILABLE"), &json!(graph)));
        ws.send(&json!({"type": "PRESENCE", "graphId": graph, "state": 1})).await;
        let error = ws.expect("ERROR").await;
        assert_eq!(error["code"], "BAD_REQUEST", "it does not follow");
        stage.store.set_away(false);
        assert_eq!(ws.subscribe(graph, json!({})).await["status"], "snapshot", "it may try again");
        stage.store.set_away(true);
    }
    // A command: temporary, under the same id again, and then once.
    let id = follower.command("g", "CREATE_NODE", json!({"id": "b"})).await;
    let revert = follower.expect("REVERT").await;
    assert_eq!((&revert["code"], &revert["temporary"]), (&json!("STORE_UNAVAILABLE"), &json!(true)));
    assert!(revert["retryAfterMs"].as_u64().unwrap() > 0);
    stage.store.set_away(false);
    follower.send(&crate::support::ws::command_frame("g", &id, "CREATE_NODE", json!({"id": "b"}))).await;
    assert_eq!(follower.expect("STATE_UPDATE").await["version"], 2);
    assert_eq!(follower.expect("ACK").await["operationId"], *id);
}

#[tokio::test]
async fn w2_a_failed_subscribe_keeps_the_earlier_subscription() {
    let stage = stage(0).await;
    stage.server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    let mut ws = Ws::connect(stage.server.address(), "?graphId=g").await;
    ws.expect("SYNC").await;
    stage.store.set_away(true);
    for _ in 0..2 {
        ws.send(&json!({"type": "SUBSCRIBE", "graphId": "g", "version": 0})).await;
        assert_eq!(ws.expect("ERROR").await["code"], "STORE_UNAVAILABLE");
    }
    stage.store.set_away(false);
    stage.server.apply("g", "CREATE_NODE", json!({"id": "b"})).await;
    assert_eq!(ws.expect("STATE_UPDATE").await["version"], 2, "where it was");
    ws.send(&json!({"type": "PRESENCE", "graphId": "g", "state": 1})).await;
    ws.send(&json!({"type": "PING"})).await;
    assert_eq!(ws.recv().await["versions"], json!({"g": 2}), "it follows");
    assert_eq!(ws.subscribe("g", json!({"version": 2})).await["status"], "in_sync");
}

#[tokio::test]
async fn w6_a_laggard_gets_one_error_while_the_store_is_unavailable_and_catches_up_after() {
    let stage = stage(0).await;
    let text = "x".repeat(100_000);
    stage.server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    // 40 commits of 100 kB: memory keeps the last ten, and a snapshot would be larger than the rest.
    for n in 0..40 {
        stage.server.apply("g", "CREATE_NODE", json!({"id": format!("n{n}"), "data": {"text": text}})).await;
    }
    let mut ws = Ws::connect(stage.server.address(), "").await;
    ws.send(&json!({"type": "SUBSCRIBE", "graphId": "g", "version": 2})).await;
    let sync = ws.expect("SYNC").await;
    assert_eq!(sync["status"], "replay");
    // It has taken hardly anything yet when the store goes.
    stage.store.set_away(true);
    let (mut versions, mut errors) = (vec![], 0);
    while errors == 0 {
        let message = ws.recv().await;
        match message["type"].as_str().unwrap() {
            "STATE_UPDATE" => versions.push(message["version"].as_u64().unwrap()),
            "ERROR" => {
                assert_eq!(message["code"], "STORE_UNAVAILABLE");
                errors += 1;
            }
            other => panic!("{other}"),
        }
    }
    // A second failure is not told again.
    tokio::time::sleep(Duration::from_millis(1_200)).await; // longer than it takes to try again
    let quiet = ws.so_far().await;
    assert_eq!(quiet, [] as [Value; 0]);
    stage.store.set_away(false);
    while versions.last() != Some(&41) {
        versions.push(ws.expect("STATE_UPDATE").await["version"].as_u64().unwrap());
    }
    assert_eq!(versions, (3..=41).collect::<Vec<_>>());
}

#[tokio::test]
async fn w4_followers_stay_up_to_date_when_the_graphs_task_is_replaced() {
    let server = Server::start().await;
    let mut ws = Ws::connect(server.address(), "?graphId=g").await;
    ws.expect("SYNC").await;
    let id = new_id();
    ws.send(&crate::support::ws::command_frame("g", &id, "CREATE_NODE", json!({"id": "a"}))).await;
    ws.expect("STATE_UPDATE").await;
    ws.expect("ACK").await;
    // A registry in which more graphs are asked for than it keeps: followed ones stay.
    for n in 0..50 {
        server.state(&format!("other-{n}")).await;
    }
    server.apply("g", "CREATE_NODE", json!({"id": "b"})).await;
    assert_eq!(ws.expect("STATE_UPDATE").await["version"], 2);
}
