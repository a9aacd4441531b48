//! W5, with C3, D1, D4 and H1 as they show on a socket: each operation is answered exactly once.

mod refusals;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::{
    graph::{new_id, with},
    server::Server,
    ws::{EVERY_SPEECH, Ws, command_frame},
};

async fn follower(server: &Server, query: &str) -> Ws {
    let mut ws = Ws::connect(server.address(), query).await;
    ws.expect("SYNC").await;
    ws
}

#[tokio::test]
async fn w5_a_command_is_acknowledged_after_its_state_update() {
    let server = Server::start().await;
    for (n, speech) in EVERY_SPEECH.into_iter().enumerate() {
        let graph = format!("g{n}");
        let mut ws = Ws::connect_as(server.address(), "", speech).await;
        ws.subscribe(&graph, json!({})).await;
        let id = ws.command(&graph, "CREATE_NODE", json!({"id": "a", "data": {"label": "A"}})).await;
        let update = ws.expect("STATE_UPDATE").await;
        let ack = ws.expect("ACK").await;
        assert_eq!((&update["operationId"], &ack["operationId"]), (&json!(id), &json!(id)));
        assert_eq!((&ack["version"], &ack["hash"]), (&update["version"], &update["hash"]));
        assert_eq!((&ack["graphId"], &ack["outcome"]), (&json!(graph), &json!("applied")));
        assert_eq!(ack["result"]["data"]["label"], "A");
        assert_eq!(ack.get("duplicate"), None);
    }
}

#[tokio::test]
async fn w5_a_command_without_a_subscription_is_acknowledged_too() {
    let server = Server::start().await;
    let mut ws = Ws::connect(server.address(), "").await;
    let id = ws.command("g", "CREATE_NODE", json!({"id": "a"})).await;
    let ack = ws.expect("ACK").await;
    assert_eq!((&ack["operationId"], &ack["version"]), (&json!(id), &json!(1)));
}

#[tokio::test]
async fn c3_w5_a_repeated_operation_is_acknowledged_as_a_duplicate() {
    let server = Server::start().await;
    let mut ws = follower(&server, "?graphId=g").await;
    let id = new_id();
    let frame = command_frame("g", &id, "CREATE_NODE", json!({"id": "a"}));
    // Twice at once: both are answered, one commit is made.
    let twice = [ws.encode(&frame), ws.encode(&frame)].concat();
    ws.write(&twice).await;
    assert_eq!(ws.expect("STATE_UPDATE").await["version"], 1);
    let acks = [ws.expect("ACK").await, ws.expect("ACK").await];
    assert_eq!(acks.iter().filter(|ack| ack["duplicate"] == true).count(), 1);
    assert!(acks.iter().all(|ack| ack["version"] == 1 && ack["operationId"] == *id));
    // And later, on another connection, of somebody who is further on.
    server.apply("g", "CREATE_NODE", json!({"id": "b"})).await;
    let mut other = follower(&server, "?graphId=g").await;
    other.send(&frame).await;
    let ack = other.expect("ACK").await;
    assert_eq!((&ack["duplicate"], &ack["version"]), (&json!(true), &json!(1)));
    other.send(&command_frame("g", &id, "CREATE_NODE", json!({"id": "c"}))).await;
    let revert = other.expect("REVERT").await;
    assert_eq!((&revert["code"], &revert["temporary"]), (&json!("OPERATION_ID_REUSED"), &json!(false)));
}

#[tokio::test]
async fn d1_a_connection_is_its_own_client_unless_it_names_one() {
    let server = Server::start().await;
    let label = |text: &str| json!({"nodeId": "a", "updates": {"data": {"label": text}}});
    server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    let mut ws = Ws::handshake(server.address(), "?userId=ada&graphId=g", EVERY_SPEECH[0]).await.unwrap();
    let connection = ws.expect("WELCOME").await["connectionId"].clone();
    ws.expect("SYNC").await;
    let mut twin = Ws::connect(server.address(), "?userId=ada&clientId=tab-2").await;
    ws.command("g", "UPDATE_NODE", label("first")).await;
    assert_eq!(ws.expect("STATE_UPDATE").await["clientId"], connection);
    ws.expect("ACK").await;
    // It named no client: nothing is its own, not even what came through the same connection.
    let behind = json!({"clientVersion": 1});
    ws.send(&with(&command_frame("g", &new_id(), "UPDATE_NODE", label("second")), behind.clone())).await;
    assert_eq!(ws.expect("REVERT").await["code"], "CONFLICT");
    // The same user in another tab is another client, whose own earlier commit does not conflict with its next.
    let tab = |text: &str| {
        with(&command_frame("g", &new_id(), "UPDATE_NODE", label(text)), json!({"clientVersion": 2}))
    };
    twin.send(&tab("third")).await;
    assert_eq!(twin.expect("ACK").await["outcome"], "applied");
    twin.send(&tab("fourth")).await;
    assert_eq!(twin.expect("ACK").await["outcome"], "applied");
    for _ in 0..2 {
        assert_eq!(ws.expect("STATE_UPDATE").await["clientId"], "tab-2");
    }
    // A frame may name another client than its connection.
    ws.send(&with(&tab("fifth"), json!({"clientId": "tab-2"}))).await;
    assert_eq!(ws.expect("STATE_UPDATE").await["outcome"], "applied");
    ws.expect("ACK").await;
    ws.send(&with(&tab("sixth"), json!({"clientId": "tab-3"}))).await;
    assert_eq!(ws.expect("REVERT").await["code"], "CONFLICT");
}

#[tokio::test]
async fn d8_frames_name_their_history() {
    let server = Server::start().await;
    let first = server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    let second = server.apply("g", "CREATE_NODE", json!({"id": "b"})).await;
    for speech in EVERY_SPEECH {
        let mut ws = Ws::connect_as(server.address(), "?clientId=tab", speech).await;
        let (id, batch_id) = (new_id(), new_id());
        let payload = json!({"nodeId": "a", "position": {"x": 0, "y": 0}});
        let frame = command_frame("g", &id, "UPDATE_NODE_POSITION", payload.clone());
        let lost = json!({"clientVersion": 1, "clientHash": second["hash"]});
        let found = json!({"clientVersion": 1, "clientHash": first["hash"]});
        ws.send(&with(&frame, lost.clone())).await;
        let revert = ws.expect("REVERT").await;
        assert_eq!((&revert["code"], &revert["temporary"]), (&json!("HISTORY_REPLACED"), &json!(false)));
        let resolution = json!({"currentVersion": 2, "conflicts": [], "hash": second["hash"]});
        assert_eq!(revert["resolution"], resolution);
        ws.send(&with(&frame, found.clone())).await;
        let ack = ws.expect("ACK").await;
        assert_eq!(
            (&ack["outcome"], ack.get("duplicate")),
            (&json!("unchanged"), None),
            "the id was not used up"
        );
        let operations = json!([{"type": "UPDATE_NODE_POSITION", "payload": payload}]);
        let batch = json!({"type": "BATCH", "graphId": "g", "batchId": batch_id, "atomic": true, "operations": operations});
        ws.send(&with(&batch, lost)).await;
        assert_eq!(ws.expect("REVERT").await["code"], "HISTORY_REPLACED");
        ws.send(&with(&batch, found)).await;
        assert_eq!(ws.expect("ACK").await["outcome"], "unchanged");
        let mut inside = frame.clone();
        inside["command"]["clientHash"] = first["hash"].clone();
        inside["command"]["clientVersion"] = json!(1);
        ws.send(&inside).await;
        let revert = ws.expect("REVERT").await;
        assert!(revert["message"].as_str().unwrap().contains("stands beside the command"), "W5: {revert}");
        ws.send(&with(&frame, json!({"clientHash": first["hash"]}))).await;
        let revert = ws.expect("REVERT").await;
        assert_eq!(revert["code"], "BAD_REQUEST");
        assert!(
            revert["message"].as_str().unwrap().starts_with("clientHash: needs clientVersion"),
            "{revert}"
        );
    }
}

#[tokio::test]
async fn w5_batches_get_one_answer() {
    let server = Server::start().await;
    let mut ws = follower(&server, "?graphId=g").await;
    let node = |id: &str| json!({"type": "CREATE_NODE", "payload": {"id": id}});
    let other = |id: &str| json!({"type": "CREATE_NODE", "payload": {"id": id, "type": "other"}});
    let batch = |id: &str, atomic: bool, operations: Value| json!({"type": "BATCH", "graphId": "g", "batchId": id, "atomic": atomic, "operations": operations});
    let id = new_id();
    ws.send(&batch(&id, true, json!([node("a"), node("b")]))).await;
    let update = ws.expect("STATE_UPDATE").await;
    assert_eq!((&update["commandType"], &update["operationId"]), (&json!("BATCH"), &json!(id)));
    let ack = ws.expect("ACK").await;
    assert_eq!((&ack["operationId"], &ack["version"]), (&json!(id), &json!(1)));
    assert_eq!(ack["results"].as_array().unwrap().len(), 2);
    // What is gone can be left out (H11).
    let gone = json!({"type": "DELETE_EDGE", "payload": {"edgeId": "gone"}});
    let mut skipping = batch(&new_id(), true, json!([gone]));
    skipping["ifMissing"] = "skip".into();
    ws.send(&skipping).await;
    let ack = ws.expect("ACK").await;
    assert_eq!((&ack["outcome"], &ack["results"]), (&json!("unchanged"), &json!([null])));
    assert_eq!(ack["skipped"], json!([{"index": 0, "code": "EDGE_NOT_FOUND"}]));
    // Nothing of this one: its second member is refused.
    let id = new_id();
    ws.send(&batch(&id, true, json!([node("c"), other("a")]))).await;
    let revert = ws.expect("REVERT").await;
    assert_eq!((&revert["operationId"], &revert["code"]), (&json!(id), &json!("ID_TAKEN")));
    assert_eq!((&revert["index"], &revert["version"]), (&json!(1), &json!(1)));
    // Each by itself: one answer after the last of its commits, with what became of each.
    let id = new_id();
    ws.send(&batch(&id, false, json!([node("c"), other("a"), node("d")]))).await;
    assert_eq!(ws.expect("STATE_UPDATE").await["version"], 2);
    assert_eq!(ws.expect("STATE_UPDATE").await["version"], 3);
    let ack = ws.expect("ACK").await;
    assert_eq!((&ack["operationId"], &ack["version"]), (&json!(id), &json!(3)));
    let statuses: Vec<_> =
        ack["results"].as_array().unwrap().iter().map(|result| result["status"].clone()).collect();
    assert_eq!(statuses, ["completed", "conflict", "completed"]);
    assert_eq!(ack["results"][1]["error"]["code"], "ID_TAKEN");
    let again = batch(&id, false, json!([node("c"), other("a"), node("d")]));
    ws.send(&again).await;
    let ack = ws.expect("ACK").await;
    assert!(ack["results"].as_array().unwrap().iter().all(|result| result["duplicate"] == true), "{ack}");
    // One malformed member, and nothing runs.
    let id = new_id();
    ws.send(&batch(&id, false, json!([node("x"), {"type": "NONSENSE", "payload": {}}]))).await;
    let revert = ws.expect("REVERT").await;
    assert_eq!(
        (&revert["operationId"], &revert["code"], &revert["index"]),
        (&json!(id), &json!("BAD_REQUEST"), &json!(1))
    );
    assert_eq!(ws.so_far().await, [] as [Value; 0]);
}

#[tokio::test]
async fn w5_thousands_of_commands_on_one_connection_are_each_answered_once_and_in_order() {
    const COMMANDS: usize = 2_000;
    let server = Server::start().await;
    let ws = follower(&server, "?graphId=g").await;
    let ids: Vec<String> = (0..COMMANDS).map(|_| new_id()).collect();
    let bytes: Vec<u8> = (ids.iter().enumerate())
        .flat_map(|(n, id)| {
            // Every third is refused: its node is there already.
            let node = json!({"id": format!("n{}", n - n % 3)});
            ws.encode(&command_frame("g", id, "CREATE_NODE", node))
        })
        .collect();
    // Written from elsewhere: the server reads on only as its answers are taken.
    let (mut reader, mut other_half) = ws.split();
    let writing = tokio::spawn(async move {
        other_half.write_all(&bytes).await.unwrap();
        other_half
    });
    let (mut seen, mut answered) = (0, vec![]);
    while answered.len() < COMMANDS {
        let message = reader.recv().await;
        match message["type"].as_str().unwrap() {
            "STATE_UPDATE" => {
                seen += 1;
                assert_eq!(message["version"], seen);
            }
            "ACK" => {
                assert!(message["version"].as_u64().unwrap() <= seen, "after its STATE_UPDATE");
                answered.push(message["operationId"].as_str().unwrap().to_owned());
            }
            "REVERT" => answered.push(message["operationId"].as_str().unwrap().to_owned()),
            other => panic!("{other}"),
        }
    }
    assert_eq!(seen as usize, COMMANDS.div_ceil(3));
    let mut sorted = answered.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), COMMANDS, "each once");
    drop(writing.await.unwrap());
}

#[tokio::test]
async fn ds1_a_document_is_saved_on_a_socket_with_its_base() {
    let server = Server::start().await;
    server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    server.apply("g", "CREATE_NODE", json!({"id": "b"})).await;
    let loaded = server.get("/graphs/g/document").await;
    let base = loaded.header("x-base").unwrap().to_owned();
    let hash = base.split_once(':').unwrap().1.to_owned();
    let mut mine = loaded.json();
    mine["nodes"][0]["data"] = json!({"label": "A"});
    server.apply("g", "UPDATE_NODE", json!({"nodeId": "b", "updates": {"data": {"label": "B"}}})).await;
    for (n, speech) in EVERY_SPEECH.into_iter().enumerate() {
        let mut ws = Ws::connect_as(server.address(), &format!("?clientId=tab-{n}"), speech).await;
        let document = with(&mine, json!({"base": base}));
        // What the base says is said once: beside the command, or in its payload.
        let twice = command_frame("g", &new_id(), "SAVE_DOCUMENT", document.clone());
        for beside in [json!({"clientVersion": 2}), json!({"clientVersion": 2, "clientHash": hash})] {
            ws.send(&with(&twice, beside)).await;
            let revert = ws.expect("REVERT").await;
            assert_eq!(revert["code"], "BAD_REQUEST", "{revert}");
            assert!(revert["message"].as_str().unwrap().contains("command.payload.base"), "{revert}");
        }
        ws.command("g", "SAVE_DOCUMENT", document).await;
        let ack = ws.expect("ACK").await;
        let (outcome, updated) = if n == 0 { ("merged", json!(["a"])) } else { ("unchanged", json!([])) };
        assert_eq!(
            (&ack["outcome"], &ack["result"]["updated"]["nodes"]),
            (&json!(outcome), &updated),
            "{ack}"
        );
        // The same pair beside the command says the same.
        let beside = json!({"clientVersion": 2, "clientHash": hash});
        ws.send(&with(&command_frame("g", &new_id(), "SAVE_DOCUMENT", mine.clone()), beside)).await;
        assert_eq!(ws.expect("ACK").await["outcome"], "unchanged");
        let unknown = with(&mine, json!({"base": format!("2:{}", "0".repeat(64))}));
        ws.command("g", "SAVE_DOCUMENT", unknown).await;
        let revert = ws.expect("REVERT").await;
        assert_eq!(
            (&revert["code"], &revert["temporary"]),
            (&json!("BASE_UNKNOWN"), &json!(false)),
            "{revert}"
        );
    }
    let state = server.state("g").await;
    assert_eq!((&state["version"], &state["nodes"][1]["data"]["label"]), (&json!(4), &json!("B")));
}
