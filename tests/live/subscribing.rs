//! W1 to W4, W8 and W10: how one begins to follow a graph, what comes then, and how it ends.

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
async fn w1_the_first_frame_is_a_welcome() {
    let server = Server::start().await;
    for speech in EVERY_SPEECH {
        let mut ws = Ws::handshake(server.address(), "?graphId=g", speech).await.unwrap();
        let welcome = ws.expect("WELCOME").await;
        let id = welcome["connectionId"].as_str().unwrap();
        assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7);
        assert_eq!(welcome["heartbeatMs"], 30_000);
        assert!(welcome["serverTime"].as_u64().unwrap() > 1_700_000_000_000);
        assert_eq!(welcome["limits"]["operationTtlMs"], 86_400_000);
        for limit in
            ["messageBytes", "entityBytes", "batchOperations", "subscriptions", "inFlight", "presenceBytes"]
        {
            assert!(welcome["limits"][limit].as_u64().unwrap() > 0, "{limit}");
        }
        assert_eq!(ws.expect("SYNC").await["status"], "snapshot");
    }
}

#[tokio::test]
async fn w2_a_subscriber_without_a_version_starts_from_a_snapshot() {
    let server = Server::start().await;
    grow(&server, "g", 0, 40).await;
    for speech in EVERY_SPEECH {
        let mut ws = Ws::connect_as(server.address(), "", speech).await;
        let sync = ws.subscribe("g", json!({})).await;
        assert_eq!(sync["status"], "snapshot");
        assert_eq!(sync["state"], server.state("g").await, "{speech:?}");
        assert_eq!((&sync["version"], &sync["hash"]), (&sync["state"]["version"], &sync["state"]["hash"]));
        assert_eq!(sync["settled"], json!([]));
        assert_eq!(ws.so_far().await, [] as [Value; 0]);
    }
    let mut empty = Ws::connect(server.address(), "?graphId=nobody-wrote-here").await;
    let sync = empty.expect("SYNC").await;
    assert_eq!((&sync["version"], &sync["status"]), (&json!(0), &json!("snapshot")));
    assert_eq!(sync["hash"], "0".repeat(64));
}

#[tokio::test]
async fn w2_w4_resuming_at_any_version_gives_exactly_the_missing_commits() {
    const COMMITS: usize = 30;
    let server = Server::start().await;
    grow(&server, "g", 0, COMMITS).await;
    let history = server.changes("g", 0).await;
    let head = &history[COMMITS - 1];
    for speech in EVERY_SPEECH {
        let mut ws = Ws::connect_as(server.address(), "", speech).await;
        for version in 0..=COMMITS {
            let hash = match version {
                0 => json!("0".repeat(64)),
                version => history[version - 1]["hash"].clone(),
            };
            let sync = ws.subscribe("g", json!({"version": version, "hash": hash})).await;
            assert_eq!((&sync["version"], &sync["hash"]), (&head["version"], &head["hash"]));
            match sync["status"].as_str().unwrap() {
                "in_sync" => assert_eq!(version, COMMITS),
                "replay" => {
                    assert_eq!(
                        updates(&mut ws, COMMITS - version).await,
                        history[version..],
                        "from {version}"
                    );
                }
                "snapshot" => assert_eq!(sync["state"], server.state("g").await),
                other => panic!("{other}"),
            }
            assert_eq!(ws.so_far().await, [] as [Value; 0], "nothing after the head");
        }
    }
}

#[tokio::test]
async fn v4_w2_a_resume_point_off_the_history_starts_from_a_snapshot() {
    let server = Server::start().await;
    grow(&server, "g", 0, 5).await;
    let mut ws = Ws::connect(server.address(), "").await;
    for point in [
        json!({"version": 3, "hash": "ab".repeat(32)}),
        json!({"version": 5, "hash": "ab".repeat(32)}),
        json!({"version": 0, "hash": "ab".repeat(32)}),
        json!({"version": 3, "hash": "no hash at all"}),
        json!({"version": 6}),
        json!({"version": 9_223_372_036_854_775_807_u64}),
    ] {
        let sync = ws.subscribe("g", point.clone()).await;
        assert_eq!((&sync["status"], &sync["version"]), (&json!("snapshot"), &json!(5)), "{point}");
        assert_eq!(sync["state"]["nodes"].as_array().unwrap().len(), 5);
    }
    let sync = ws.subscribe("g", json!({"version": 3})).await;
    assert_eq!(sync["status"], "replay", "without a hash the version is taken at its word");
}

#[tokio::test]
async fn w2_the_query_of_the_handshake_subscribes_at_once() {
    let server = Server::start().await;
    grow(&server, "g", 0, 3).await;
    let second = &server.changes("g", 0).await[1];
    let query = format!("?graphId=g&version=2&hash={}", second["hash"].as_str().unwrap());
    let mut ws = Ws::connect(server.address(), &query).await;
    assert_eq!(ws.expect("SYNC").await["status"], "replay");
    assert_eq!(ws.expect("STATE_UPDATE").await["version"], 3);
    for (query, place) in
        [("?graphId=-", "graphId"), ("?graphId=g&version=x", "version"), ("?clientId=", "clientId")]
    {
        let refused = Ws::upgrade(server.address(), query, "").await.err().unwrap();
        assert_eq!((refused.status, &refused.body["code"]), (400, &json!("BAD_REQUEST")), "{query}");
        assert!(refused.body["detail"].as_str().unwrap().contains(place), "{}", refused.body);
    }
}

#[tokio::test]
async fn w2_a_snapshot_is_sent_if_it_is_smaller_than_the_commits() {
    let server = Server::start().await;
    grow(&server, "g", 0, 1).await;
    for n in 0..200 {
        server
            .apply("g", "UPDATE_NODE_POSITION", json!({"nodeId": "n0", "position": {"x": n, "y": 1}}))
            .await;
    }
    let mut ws = Ws::connect(server.address(), "").await;
    let sync = ws.subscribe("g", json!({"version": 1})).await;
    assert_eq!((&sync["status"], &sync["version"]), (&json!("snapshot"), &json!(201)));
    let sync = ws.subscribe("g", json!({"version": 195})).await;
    assert_eq!(sync["status"], "replay", "a few commits are never worth throwing the editor's state away");
    assert_eq!(updates(&mut ws, 6).await.len(), 6);
}

#[tokio::test]
async fn w2_reset_means_that_the_history_was_replaced() {
    let server = Server::start().await;
    for n in 0..3 {
        server.apply("g", "CREATE_NODE", json!({"id": format!("n{n}")})).await;
    }
    for speech in EVERY_SPEECH {
        let mut ws = Ws::connect_as(server.address(), "", speech).await;
        for other in [json!({"version": 2, "hash": "ab".repeat(32)}), json!({"version": 9})] {
            let sync = ws.subscribe("g", other).await;
            assert_eq!((&sync["status"], &sync["reset"]), (&json!("snapshot"), &json!(true)), "{sync}");
            assert_eq!(sync["access"], "admin", "without keys everybody may do everything");
        }
        for same in [json!({}), json!({"version": 3}), json!({"version": 0})] {
            let sync = ws.subscribe("g", same).await;
            assert_eq!(sync["reset"], Value::Null, "{sync}");
            let missing = if sync["status"] == "replay" { 3 } else { 0 };
            assert_eq!(ws.so_far().await.len(), missing);
        }
    }
}

#[tokio::test]
async fn w3_a_sync_reports_every_outcome_of_pending_operations() {
    let server = Server::start().await;
    let ids: Vec<String> = (0..5).map(|_| new_id()).collect();
    let create = |id: &str| json!({"type": "CREATE_NODE", "payload": {"id": "a"}, "operationId": id});
    server.accept("g", &create(&ids[0])).await; // completed
    let same = json!({"type": "UPDATE_NODE_POSITION", "operationId": ids[1],
        "payload": {"nodeId": "a", "position": {"x": 0, "y": 0}}});
    assert_eq!(server.accept("g", &same).await["outcome"], "unchanged");
    let taken =
        json!({"type": "CREATE_NODE", "payload": {"id": "a", "type": "other"}, "operationId": ids[2]});
    assert_eq!(server.command("g", &taken).await.status, 409);
    let missing = json!({"type": "DELETE_NODE", "payload": {"nodeId": "nobody"}, "operationId": ids[3]});
    assert_eq!(server.command("g", &missing).await.status, 404);
    for speech in EVERY_SPEECH {
        let mut ws = Ws::connect_as(server.address(), "", speech).await;
        let sync = ws.subscribe("g", json!({"version": 1, "pending": ids})).await;
        assert_eq!(
            sync["settled"],
            json!([
                {"operationId": ids[0], "status": "completed", "version": 1},
                {"operationId": ids[1], "status": "completed", "version": 1},
                {"operationId": ids[2], "status": "conflict", "version": 1, "code": "ID_TAKEN"},
                {"operationId": ids[3], "status": "failed", "version": 1, "code": "NODE_NOT_FOUND"},
                {"operationId": ids[4], "status": "unknown"},
            ])
        );
    }
    let mut ws = Ws::connect(server.address(), "").await;
    ws.send(&json!({"type": "SUBSCRIBE", "graphId": "g", "pending": [ids[0], "no-uuid"]})).await;
    let error = ws.expect("ERROR").await;
    assert!(error["message"].as_str().unwrap().contains("pending[1]"), "{error}");
    let many: Vec<String> = (0..1_001).map(|_| new_id()).collect();
    ws.send(&json!({"type": "SUBSCRIBE", "graphId": "g", "pending": many})).await;
    assert_eq!(ws.expect("ERROR").await["code"], "TOO_LARGE");
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
async fn w2_subscribing_again_starts_over_and_every_subscribe_gets_its_sync() {
    let server = Server::start().await;
    grow(&server, "g", 0, 4).await;
    let mut ws = Ws::connect(server.address(), "").await;
    // All at once: the later ones come while the first is being answered.
    let frames: Vec<u8> = [1, 3, 2]
        .iter()
        .flat_map(|v| ws.encode(&json!({"type": "SUBSCRIBE", "graphId": "g", "version": v})))
        .collect();
    ws.write(&frames).await;
    let mut versions = vec![];
    let mut syncs = 0;
    while syncs < 3 || versions.last() != Some(&4) {
        let message = ws.recv().await;
        match message["type"].as_str().unwrap() {
            "SYNC" => {
                (syncs, versions) = (syncs + 1, vec![]);
                assert_eq!(message["status"], "replay");
            }
            _ => versions.push(message["version"].as_u64().unwrap()),
        }
    }
    assert_eq!(versions, [3, 4], "after the last SYNC: what follows on its version");
    grow(&server, "g", 4, 5).await;
    assert_eq!(ws.expect("STATE_UPDATE").await["version"], 5);
    assert_eq!(ws.so_far().await, [] as [Value; 0], "there is one subscription");
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
