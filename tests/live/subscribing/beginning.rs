//! Rules W1 to W3 and V4: where a subscriber begins.

use serde_json::{Value, json};

use super::{grow, updates};
use crate::support::{
    graph::new_id,
    server::Server,
    ws::{EVERY_SPEECH, Ws},
};

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
