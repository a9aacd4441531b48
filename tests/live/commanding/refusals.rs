//! What is refused, reverted or is an error.

use serde_json::{Value, json};

use super::follower;
use crate::support::{
    graph::{new_id, with},
    server::Server,
    ws::{BINARY, FIN, Speech, TEXT, Ws, command_frame, frame},
};

#[tokio::test]
async fn w5_a_refusal_is_explained_and_does_not_hold_up_the_next() {
    let server = Server::start().await;
    let mut ada = follower(&server, "?graphId=g&userId=ada").await;
    ada.command("g", "CREATE_NODE", json!({"id": "a", "data": {"label": "one"}})).await;
    ada.expect("STATE_UPDATE").await;
    ada.expect("ACK").await;
    let update = |label: &str| json!({"nodeId": "a", "updates": {"data": {"label": label}}});
    server.as_user("bob").apply("g", "UPDATE_NODE", update("bob's")).await;
    let stale =
        with(&command_frame("g", &new_id(), "UPDATE_NODE", update("ada's")), json!({"clientVersion": 1}));
    let missing = command_frame("g", &new_id(), "DELETE_NODE", json!({"nodeId": "nobody"}));
    let good = command_frame("g", &new_id(), "CREATE_NODE", json!({"id": "b"}));
    let frames: Vec<u8> = [&stale, &missing, &good].iter().flat_map(|frame| ada.encode(frame)).collect();
    ada.write(&frames).await;
    assert_eq!(ada.expect("STATE_UPDATE").await["version"], 2);
    let mut answers: Vec<Value> = vec![];
    while answers.len() < 3 {
        let message = ada.recv().await;
        if message["type"] != "STATE_UPDATE" {
            answers.push(message);
        }
    }
    let of = |frame: &Value| answers.iter().find(|a| a["operationId"] == frame["operationId"]).unwrap();
    let conflict = of(&stale);
    assert_eq!((&conflict["type"], &conflict["code"]), (&json!("REVERT"), &json!("CONFLICT")));
    assert_eq!((&conflict["temporary"], &conflict["version"]), (&json!(false), &json!(2)));
    let told = &conflict["resolution"]["conflicts"][0];
    assert_eq!(
        (&told["path"], &told["current"], &told["userId"]),
        (&json!("/data/label"), &json!("bob's"), &json!("bob"))
    );
    assert_eq!((&of(&missing)["code"], &of(&missing)["type"]), (&json!("NODE_NOT_FOUND"), &json!("REVERT")));
    assert_eq!((&of(&good)["type"], &of(&good)["version"]), (&json!("ACK"), &json!(3)));
    // A refusal is final (C3), also here.
    ada.send(&missing).await;
    let again = ada.expect("REVERT").await;
    assert_eq!((&again["code"], &again["duplicate"]), (&json!("NODE_NOT_FOUND"), &json!(true)));
}

#[tokio::test]
async fn w5_w9_a_malformed_command_is_reverted_or_an_error_without_an_operation_id() {
    let server = Server::start().await;
    let mut ws = follower(&server, "?graphId=g").await;
    let id = new_id();
    let frame = json!({"type": "COMMAND", "graphId": "g", "operationId": id, "command": {"type": "CREATE_NODE", "payload": []}});
    ws.send(&frame).await;
    let revert = ws.expect("REVERT").await;
    assert_eq!(
        (&revert["operationId"], &revert["code"], &revert["temporary"]),
        (&json!(id), &json!("BAD_REQUEST"), &json!(false))
    );
    assert!(revert["message"].as_str().unwrap().contains("payload"), "{revert}");
    // 400 does not use up the id.
    ws.send(&command_frame("g", &id, "CREATE_NODE", json!({"id": "a"}))).await;
    ws.expect("STATE_UPDATE").await;
    assert_eq!(ws.expect("ACK").await["operationId"], *id);
    for (frame, place) in [
        (
            json!({"type": "COMMAND", "graphId": "g", "command": {"type": "CREATE_NODE", "payload": {}}}),
            "operationId",
        ),
        (
            json!({"type": "COMMAND", "graphId": "g", "operationId": "7", "command": {"type": "CREATE_NODE", "payload": {}}}),
            "operationId",
        ),
        (
            json!({"type": "COMMAND", "operationId": new_id(), "command": {"type": "CREATE_NODE", "payload": {}}}),
            "graphId",
        ),
        (json!({"type": "BATCH", "graphId": "g", "operations": []}), "batchId"),
        (json!({"type": "SUBSCRIBE", "graphId": "g", "version": -1, "operationId": new_id()}), "version"),
        (json!({"type": "SUBSCRIBE"}), "graphId"),
        (json!({"type": "subscribe", "graphId": "g"}), "type"),
        (json!({"graphId": "g"}), "type"),
        (json!({"type": "PRESENCE", "graphId": "g", "state": 1, "stranger": 2}), "stranger"),
        (json!([1, 2]), "object"),
        (json!("PING"), "object"),
    ] {
        ws.send(&frame).await;
        let error = ws.expect("ERROR").await;
        assert_eq!(error["code"], "BAD_REQUEST");
        assert!(error["message"].as_str().unwrap().contains(place), "{frame} -> {error}");
    }
    assert_eq!(ws.so_far().await, [] as [Value; 0], "and it lives");
}

#[tokio::test]
async fn w5_a_command_with_a_value_that_can_not_be_read_is_reverted() {
    let server = Server::start().await;
    let mut ws = follower(&server, "?graphId=g").await;
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let too_deep = [deep(65), deep(100_000)];
    for bad in ["1000000000000000000000000000000", "1e999", &too_deep[0], &too_deep[1]] {
        let id = new_id();
        let text = command_frame("g", &id, "CREATE_NODE", json!({"id": "a", "data": {"k": "BAD"}}));
        ws.write(&frame(FIN | TEXT, text.to_string().replace("\"BAD\"", bad).as_bytes())).await;
        is_final(&ws.expect("REVERT").await, &id, "command.payload.data.k");
        // The same in a member of a batch, whose index is told.
        for atomic in [true, false] {
            let id = new_id();
            let fine = json!({"type": "CREATE_NODE", "payload": {}});
            let member = json!({"type": "CREATE_NODE", "payload": {"data": {"k": "BAD"}}});
            let batch = json!({"type": "BATCH", "graphId": "g", "batchId": id, "atomic": atomic,
                "operations": [fine, member]});
            ws.write(&frame(FIN | TEXT, batch.to_string().replace("\"BAD\"", bad).as_bytes())).await;
            let revert = ws.expect("REVERT").await;
            is_final(&revert, &id, "operations[1].payload.data.k");
            assert_eq!(revert["index"], 1);
        }
    }
    assert_eq!(server.state("g").await["version"], 0, "nothing ran");
}

#[tokio::test]
async fn w5_a_command_in_message_pack_without_a_json_form_is_reverted() {
    let server = Server::start().await;
    let speech = Speech { message_pack: true, deflate: false };
    let mut ws = Ws::connect_as(server.address(), "?graphId=g", speech).await;
    ws.expect("SYNC").await;
    let nested = [vec![0x91; 5_000], vec![0xc0]].concat();
    let bad: [&[u8]; 5] = [
        &[0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0], // NaN
        &[0xc4, 1, 0],                         // bin
        &[0xd4, 1, 0],                         // ext
        &[0x81, 1, 2],                         // a key that is no text
        &nested,
    ];
    for bad in bad {
        let id = new_id();
        let text = command_frame("g", &id, "CREATE_NODE", json!({"data": {"k": "BAD"}}));
        let packed = rmp_serde::to_vec_named(&text).expect("MessagePack");
        let place = packed.windows(4).position(|bytes| bytes == b"\xa3BAD").expect("it is there");
        let packed = [&packed[..place], bad, &packed[place + 4..]].concat();
        ws.write(&frame(FIN | BINARY, &packed)).await;
        is_final(&ws.expect("REVERT").await, &id, "command.payload.data.k");
    }
}

/// A `REVERT` of a malformed operation, naming the place.
fn is_final(revert: &Value, id: &str, place: &str) {
    assert_eq!((&revert["operationId"], &revert["graphId"]), (&json!(id), &json!("g")));
    assert_eq!((&revert["code"], &revert["temporary"]), (&json!("BAD_REQUEST"), &json!(false)));
    assert!(revert["message"].as_str().is_some_and(|message| message.starts_with(place)), "{revert}");
}

#[tokio::test]
async fn w5_frame_fields_are_refused_inside_the_command() {
    let server = Server::start().await;
    let mut ws = follower(&server, "?graphId=g").await;
    let own = [
        ("operationId", json!(new_id())),
        ("clientId", json!("tab")),
        ("clientVersion", json!(99)),
        ("onConflict", json!("reject")),
    ];
    for (field, value) in own {
        let id = new_id();
        let mut frame = command_frame("g", &id, "CREATE_NODE", json!({}));
        frame["command"][field] = value;
        ws.send(&frame).await;
        is_final(&ws.expect("REVERT").await, &id, &format!("command.{field}"));
    }
}
