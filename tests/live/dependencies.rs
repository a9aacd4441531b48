//! W5: `after`, by which an operation names the one that it builds on.

use serde_json::json;

use crate::support::{
    graph::{new_id, with},
    server::Server,
    ws::{Ws, command_frame},
};

#[tokio::test]
async fn w5_a_command_waits_for_the_one_that_it_builds_on() {
    let server = Server::start().await;
    let mut ws = Ws::connect(server.address(), "").await;
    let create = |id: &str, node: &str, after: &str| {
        with(&command_frame("g", id, "CREATE_NODE", json!({"id": node})), json!({"after": after}))
    };
    let [first, second, third] = [new_id(), new_id(), new_id()];
    for _ in 0..2 {
        ws.send(&create(&second, "b", &first)).await;
        let revert = ws.expect("REVERT").await;
        assert_eq!((&revert["code"], &revert["temporary"]), (&json!("DEPENDENCY_PENDING"), &json!(true)));
        assert!(revert["retryAfterMs"].as_u64().is_some_and(|after| after > 0), "{revert}");
    }
    // Sent together: they are judged in order.
    let frames = [
        command_frame("g", &first, "CREATE_NODE", json!({"id": "a"})),
        create(&second, "b", &first),
        create(&third, "c", &second),
    ];
    let bytes: Vec<u8> = frames.iter().flat_map(|frame| ws.encode(frame)).collect();
    ws.write(&bytes).await;
    for version in 1..=3 {
        assert_eq!(ws.expect("ACK").await["version"], version);
    }
    // Sent again without it, or with another: `after` is no part of the command (C3).
    ws.send(&command_frame("g", &second, "CREATE_NODE", json!({"id": "b"}))).await;
    assert_eq!(ws.expect("ACK").await["duplicate"], true);
    ws.send(&create(&second, "b", &new_id())).await;
    assert_eq!(ws.expect("ACK").await["duplicate"], true);
}

#[tokio::test]
async fn w5_a_command_that_builds_on_a_refused_one_is_refused_for_good() {
    let server = Server::start().await;
    let mut ws = Ws::connect(server.address(), "").await;
    let [refused, second, third] = [new_id(), new_id(), new_id()];
    let create = |id: &str, after: &str| {
        with(&command_frame("g", id, "CREATE_NODE", json!({"id": "a"})), json!({"after": after}))
    };
    let gone = command_frame("g", &refused, "DELETE_NODE", json!({"nodeId": "gone"}));
    let frames = [gone, create(&second, &refused), create(&third, &second)];
    let bytes: Vec<u8> = frames.iter().flat_map(|frame| ws.encode(frame)).collect();
    ws.write(&bytes).await;
    assert_eq!(ws.expect("REVERT").await["code"], "NODE_NOT_FOUND");
    for id in [&second, &third] {
        let revert = ws.expect("REVERT").await;
        assert_eq!((&revert["operationId"], &revert["code"]), (&json!(id), &json!("DEPENDENCY_REFUSED")));
        assert_eq!(revert["temporary"], false);
    }
    // It is remembered, also without `after`.
    ws.send(&command_frame("g", &second, "CREATE_NODE", json!({"id": "a"}))).await;
    let revert = ws.expect("REVERT").await;
    assert_eq!((&revert["code"], &revert["duplicate"]), (&json!("DEPENDENCY_REFUSED"), &json!(true)));
    let sync = ws.subscribe("g", json!({"pending": [third]})).await;
    let settled =
        json!([{"operationId": third, "status": "failed", "version": 0, "code": "DEPENDENCY_REFUSED"}]);
    assert_eq!(sync["settled"], settled);
    let listed = server.read("/graphs/g/operations?status=failed").await;
    assert_eq!(listed["operations"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn w5_batches_wait_as_a_whole() {
    let server = Server::start().await;
    let mut ws = Ws::connect(server.address(), "").await;
    let node = |id: &str| json!({"type": "CREATE_NODE", "payload": {"id": id}});
    let batch = |atomic: bool, nodes: [&str; 2], after: &str| {
        json!({"type": "BATCH", "graphId": "g", "batchId": new_id(), "atomic": atomic, "after": after,
            "operations": nodes.map(node)})
    };
    let first = new_id();
    let both = [batch(true, ["a", "b"], &first), batch(false, ["c", "d"], &first)];
    for frame in &both {
        ws.send(frame).await;
        let revert = ws.expect("REVERT").await;
        assert_eq!((&revert["operationId"], &revert["temporary"]), (&frame["batchId"], &json!(true)));
        assert_eq!(revert["code"], "DEPENDENCY_PENDING");
    }
    ws.send(&command_frame("g", &first, "CREATE_NODE", json!({"id": "first"}))).await;
    ws.expect("ACK").await;
    for frame in &both {
        ws.send(frame).await;
        assert_eq!(ws.expect("ACK").await["results"].as_array().unwrap().len(), 2);
    }
    // After one that was refused, each member of a batch that is not atomic is refused.
    let refused = new_id();
    ws.send(&command_frame("g", &refused, "DELETE_NODE", json!({"nodeId": "gone"}))).await;
    ws.expect("REVERT").await;
    ws.send(&batch(false, ["e", "f"], &refused)).await;
    let ack = ws.expect("ACK").await;
    let codes: Vec<_> =
        ack["results"].as_array().unwrap().iter().map(|result| &result["error"]["code"]).collect();
    assert_eq!(codes, ["DEPENDENCY_REFUSED"; 2]);
    ws.send(&batch(true, ["e", "f"], &refused)).await;
    assert_eq!(ws.expect("REVERT").await["code"], "DEPENDENCY_REFUSED");
}

#[tokio::test]
async fn w5_after_names_another_operation() {
    let server = Server::start().await;
    let mut ws = Ws::connect(server.address(), "").await;
    let (id, text) = (new_id(), json!("no id"));
    let command = command_frame("g", &id, "CREATE_NODE", json!({}));
    let member = json!({"type": "CREATE_NODE", "operationId": id, "payload": {}});
    let batch = json!({"type": "BATCH", "graphId": "g", "batchId": new_id(), "operations": [member]});
    for frame in [&command, &batch] {
        for after in [json!(id), text.clone()] {
            ws.send(&with(frame, json!({"after": after}))).await;
            let revert = ws.expect("REVERT").await;
            assert_eq!((&revert["code"], &revert["temporary"]), (&json!("BAD_REQUEST"), &json!(false)));
            assert!(revert["message"].as_str().unwrap().starts_with("after"), "{revert}");
        }
    }
    // It is told of frames only.
    let body = json!({"type": "CREATE_NODE", "payload": {}, "after": new_id()});
    server.post("/graphs/g/command", &body).await.problem(400, "BAD_REQUEST");
}
