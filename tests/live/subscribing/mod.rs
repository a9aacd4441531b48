//! W1 to W4, W8 and W10: how one begins to follow a graph, what comes then, and how it ends.

mod beginning;

use serde_json::{Value, json};

use crate::support::{
    gate::{Call, GatedStore},
    graph::{bare_state, fold, new_id, with},
    server::{Server, embedded_store},
    ws::{EVERY_SPEECH, Ws, command_frame},
};

/// What the history of a graph with `n` nodes is made by.
async fn grow(server: &Server, graph: &str, from: usize, to: usize) {
    for n in from..to {
        let node = json!({"id": format!("n{n}"), "position": {"x": n, "y": 0}, "data": {"label": format!("node {n}")}});
        server.apply(graph, "CREATE_NODE", node).await;
    }
}

/// A `STATE_UPDATE` without its type: a commit as `changes` has it.
fn commit_of(update: &Value) -> Value {
    let mut commit = update.clone();
    let kind = commit.as_object_mut().unwrap().shift_remove("type");
    assert_eq!(kind, Some(json!("STATE_UPDATE")), "{update}");
    commit
}

async fn updates(ws: &mut Ws, count: usize) -> Vec<Value> {
    let mut all = vec![];
    while all.len() < count {
        all.push(commit_of(&ws.recv().await));
    }
    all
}

#[tokio::test]
async fn w4_every_subscriber_gets_every_commit_once_and_in_order() {
    let server = Server::start().await;
    let mut readers = vec![];
    for speech in EVERY_SPEECH {
        let mut ws = Ws::connect_as(server.address(), "?graphId=g", speech).await;
        assert_eq!(ws.expect("SYNC").await["version"], 0);
        readers.push(ws);
    }
    let mut author = Ws::connect(server.address(), "?graphId=g&userId=ada&clientId=tab-1").await;
    author.expect("SYNC").await;
    for n in 0..5 {
        author
            .command(
                "g",
                "CREATE_NODE",
                json!({"id": format!("w{n}"), "data": {"text": "é漢😀".repeat(200)}}),
            )
            .await;
        grow(&server, "g", n, n + 1).await;
    }
    server
        .post(
            "/graphs/g/batch",
            &json!({"atomic": true, "operations": [
        {"type": "DELETE_NODE", "payload": {"nodeId": "w0"}},
        {"type": "CREATE_EDGE", "payload": {"source": "w1", "target": "w2"}}]}),
        )
        .await;
    let history = server.changes("g", 0).await;
    assert_eq!(history.len(), 11);
    for ws in &mut readers {
        assert_eq!(updates(ws, 11).await, history);
        assert_eq!(ws.so_far().await, [] as [Value; 0]);
    }
    let own: Vec<_> = author.so_far().await.into_iter().filter(|m| m["type"] == "STATE_UPDATE").collect();
    assert_eq!(own.iter().map(commit_of).collect::<Vec<_>>(), history, "the author included");
    let by_ada = history.iter().filter(|c| c["userId"] == "ada" && c["clientId"] == "tab-1").count();
    assert_eq!(by_ada, 5);
    assert_eq!(fold(&history), bare_state(&server.state("g").await));
}

#[tokio::test]
async fn w10_no_frames_come_after_unsubscribe() {
    let server = Server::start().await;
    grow(&server, "g", 0, 2).await;
    let mut ws = Ws::connect(server.address(), "?graphId=g").await;
    ws.expect("SYNC").await;
    ws.send(&json!({"type": "UNSUBSCRIBE", "graphId": "g"})).await;
    assert_eq!(ws.so_far().await, [] as [Value; 0]);
    grow(&server, "g", 2, 4).await;
    assert_eq!(ws.so_far().await, [] as [Value; 0]);
    // Also where the subscription was still being made.
    let both =
        [json!({"type": "SUBSCRIBE", "graphId": "cold"}), json!({"type": "UNSUBSCRIBE", "graphId": "cold"})];
    let frames: Vec<u8> = both.iter().flat_map(|frame| ws.encode(frame)).collect();
    ws.write(&frames).await;
    grow(&server, "cold", 0, 3).await;
    assert_eq!(ws.so_far().await, [] as [Value; 0], "the SYNC does not come through");
    ws.send(&json!({"type": "UNSUBSCRIBE", "graphId": "never-followed"})).await;
    assert_eq!(ws.so_far().await, [] as [Value; 0], "it is so already");
    assert_eq!(ws.subscribe("cold", json!({"version": 1})).await["status"], "replay");
}

#[tokio::test]
async fn w4_one_connection_follows_many_graphs_up_to_its_limit() {
    let server = Server::start().await;
    let mut ws = Ws::connect(server.address(), "").await;
    for n in 0..256 {
        ws.send(&json!({"type": "SUBSCRIBE", "graphId": format!("g{n}")})).await;
    }
    for _ in 0..256 {
        ws.expect("SYNC").await;
    }
    ws.send(&json!({"type": "SUBSCRIBE", "graphId": "one-more"})).await;
    let error = ws.expect("ERROR").await;
    assert_eq!((&error["code"], &error["graphId"]), (&json!("BAD_REQUEST"), &json!("one-more")));
    assert_eq!(ws.subscribe("g7", json!({})).await["version"], 0, "one that is followed is no more");
    ws.send(&json!({"type": "UNSUBSCRIBE", "graphId": "g7"})).await;
    assert_eq!(ws.subscribe("one-more", json!({})).await["version"], 0);
    for n in [0, 100, 255] {
        grow(&server, &format!("g{n}"), 0, 2).await;
        for version in 1..=2 {
            let update = ws.expect("STATE_UPDATE").await;
            assert_eq!((&update["graphId"], &update["version"]), (&json!(format!("g{n}")), &json!(version)));
        }
    }
    ws.send(&json!({"type": "PING"})).await;
    let versions = &ws.expect("PONG").await["versions"];
    assert_eq!(versions.as_object().unwrap().len(), 256);
    assert_eq!((&versions["g100"], &versions["g1"]), (&json!(2), &json!(0)), "W8: the heads");
}

#[tokio::test]
async fn w4_w5_commits_at_the_moment_of_joining_are_neither_missed_nor_repeated() {
    let server = Server::start().await;
    let mut author = Ws::connect(server.address(), "").await;
    for round in 0..20 {
        // Subscribing and writing race: the server gets both at once, on one connection and on two.
        let graph = format!("race-{round}");
        let mut ws = Ws::connect(server.address(), "").await;
        let own_id = new_id();
        let subscribe = json!({"type": "SUBSCRIBE", "graphId": graph, "version": 0});
        let own = command_frame(&graph, &own_id, "CREATE_NODE", json!({"id": "own"}));
        let frames = if round % 2 == 0 { [&own, &subscribe] } else { [&subscribe, &own] };
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| ws.encode(frame)).collect();
        author.command(&graph, "CREATE_NODE", json!({"id": "other"})).await;
        ws.write(&bytes).await;
        author.command(&graph, "CREATE_NODE", json!({"id": "third"})).await;
        let (mut versions, mut is_acknowledged, mut own_version) = (vec![], false, 0);
        let mut base = None;
        while !is_acknowledged || base.is_none() || versions.last().copied().or(base) != Some(3) {
            let message = ws.recv().await;
            let version = message["version"].as_u64().unwrap();
            match message["type"].as_str().unwrap() {
                "SYNC" if message["status"] == "replay" => base = Some(0),
                "SYNC" => base = Some(version),
                "STATE_UPDATE" => {
                    if message["operationId"] == *own_id {
                        own_version = version;
                    }
                    versions.push(version);
                }
                "ACK" => {
                    assert_eq!(message["operationId"], *own_id);
                    if base.is_some_and(|base| base < version) {
                        assert_eq!(own_version, version, "the ACK is after the STATE_UPDATE");
                    }
                    is_acknowledged = true;
                }
                other => panic!("{other}: {message}"),
            }
        }
        let first = base.unwrap() + 1;
        assert_eq!(versions, (first..=3).collect::<Vec<_>>(), "round {round}");
        for _ in 0..2 {
            author.expect("ACK").await;
        }
    }
}

#[tokio::test]
async fn w8_pings_of_both_kinds_are_answered() {
    let server = Server::start().await;
    let mut ws = Ws::connect(server.address(), "").await;
    ws.write(&crate::support::ws::frame(0x89, b"are you there?")).await;
    assert_eq!(ws.next().await, crate::support::ws::Came::Pong(b"are you there?".to_vec()));
    ws.send(&json!({"type": "PING"})).await;
    assert_eq!(ws.expect("PONG").await, json!({"type": "PONG", "versions": {}}));
    ws.send(&with(&json!({"type": "PING"}), json!({"stranger": 1}))).await;
    assert_eq!(ws.expect("ERROR").await["code"], "BAD_REQUEST");
}

#[tokio::test]
async fn w6_subscribing_and_unsubscribing_over_and_over_is_bounded_work() {
    let dir = tempfile::tempdir().unwrap();
    let store = GatedStore::to(embedded_store(dir.path()));
    let server = Server::over(store.clone()).await;
    grow(&server, "g", 0, 2).await;
    let mut ws = Ws::connect(server.address(), "").await;
    store.hold(Call::Operations);
    let subscribe = json!({"type": "SUBSCRIBE", "graphId": "g", "pending": [new_id()]});
    for _ in 0..300 {
        ws.send(&subscribe).await;
        ws.send(&json!({"type": "UNSUBSCRIBE", "graphId": "g"})).await;
    }
    ws.send(&json!({"type": "PING"})).await;
    assert_eq!(ws.recv().await["type"], "PONG", "nobody waits for what nobody wants");
    let asked = store.arrived(Call::Operations);
    assert!(asked <= 4, "{asked} are made at the same time");
    ws.send(&subscribe).await;
    store.open();
    let sync = ws.expect("SYNC").await;
    assert_eq!((&sync["version"], &sync["settled"][0]["status"]), (&json!(2), &json!("unknown")));
    server.apply("g", "CREATE_NODE", json!({"id": "after"})).await;
    assert_eq!(ws.expect("STATE_UPDATE").await["version"], 3);
    assert_eq!(ws.so_far().await, [] as [Value; 0], "and of the others nothing is heard");
}

#[tokio::test]
async fn w6_only_a_few_states_are_encoded_at_once() {
    const GRAPHS: usize = 30;
    let dir = tempfile::tempdir().unwrap();
    let store = GatedStore::to(embedded_store(dir.path()));
    let server = Server::over(store.clone()).await;
    let data = json!({"text": "x".repeat(200_000)});
    for n in 0..GRAPHS {
        let nodes: Vec<Value> = (0..10).map(|m| json!({"id": format!("n{m}"), "data": data})).collect();
        server.apply(&format!("g{n}"), "BATCH_UPDATE", json!({"nodes": nodes})).await;
    }
    let mut ws = Ws::connect(server.address(), "").await;
    store.hold(Call::Operations);
    for n in 0..GRAPHS {
        let pending = json!([new_id()]);
        ws.send(&json!({"type": "SUBSCRIBE", "graphId": format!("g{n}"), "pending": pending})).await;
    }
    ws.send(&json!({"type": "PING"})).await;
    assert_eq!(ws.recv().await["type"], "PONG");
    let made = store.arrived(Call::Operations);
    assert!(made <= 4, "{made} are made at the same time");
    store.open();
    let mut told = std::collections::BTreeSet::new();
    while told.len() < GRAPHS {
        told.insert(ws.expect("SYNC").await["graphId"].to_string());
    }
}
