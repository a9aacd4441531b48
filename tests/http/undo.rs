//! Rules U over HTTP and on a socket: what was done is taken back where it still stands.

use serde_json::{Value, json};

use crate::support::{
    graph::{assert_invariants, command, new_id, with},
    http::Client,
    server::Server,
    ws::Ws,
};

/// Names the operations of these answers.
fn undo(answers: &[&Value]) -> Value {
    let name = |answer: &&Value| json!({"operationId": answer["operationId"], "version": answer["version"]});
    command("UNDO", json!({"operations": answers.iter().map(name).collect::<Vec<_>>()}))
}

async fn two() -> (Server, Client, Client) {
    let server = Server::start().await;
    let (ada, bob) = (server.as_user("ada"), server.as_user("bob"));
    (server, ada, bob)
}

#[tokio::test]
async fn u1_an_undo_is_one_commit_that_names_what_it_undoes() {
    let (_server, ada, _) = two().await;
    let made = ada.accept("g", &command("CREATE_NODE", json!({"id": "a"}))).await;
    let moved = ada
        .accept("g", &command("UPDATE_NODE_POSITION", json!({"nodeId": "a", "position": {"x": 1, "y": 2}})))
        .await;
    let undone = ada.accept("g", &undo(&[&moved])).await;
    assert_eq!((&undone["outcome"], &undone["version"]), (&json!("applied"), &json!(3)));
    let result = json!({"reverted": [{"entity": "node", "id": "a", "paths": ["/position"]}], "skipped": [], "detached": []});
    assert_eq!(undone["result"], result);
    let commit = &ada.changes("g", 2).await[0];
    assert_eq!((&commit["commandType"], &commit["undoes"]), (&json!("UNDO"), &json!([moved["operationId"]])));
    assert_eq!(commit["events"], json!([{"type": "NodeMoved", "nodeId": "a", "position": {"x": 0, "y": 0}}]));
    assert_eq!(ada.changes("g", 0).await[0].get("undoes"), None, "left out where there is nothing");

    let both = ada.accept("g", &undo(&[&made, &undone])).await;
    assert_eq!(ada.changes("g", 3).await[0]["undoes"], json!([made["operationId"], undone["operationId"]]));
    assert_eq!(ada.state("g").await["nodes"], json!([]));
    assert_eq!(both["outcome"], "applied");
}

#[tokio::test]
async fn u1_what_names_the_operations_is_checked() {
    let (server, ada, _) = two().await;
    let item = json!({"operationId": new_id(), "version": 1});
    for (payload, place) in [
        (json!({}), "payload.operations"),
        (json!({"operations": []}), "payload.operations"),
        (json!({"operations": [{"version": 1}]}), "payload.operations[0].operationId"),
        (json!({"operations": [{"operationId": new_id()}]}), "payload.operations[0].version"),
        (json!({"operations": [{"operationId": "x", "version": 1}]}), "payload.operations[0].operationId"),
        (json!({"operations": [item], "else": 1}), "payload.else"),
    ] {
        ada.command("g", &command("UNDO", payload.clone())).await.bad(&payload.to_string(), place);
    }
    let many = json!({"operations": vec![item.clone(); 1_001]});
    ada.command("g", &command("UNDO", many)).await.problem(422, "TOO_LARGE");
    for atomic in [true, false] {
        let batch = json!({"batchId": new_id(), "atomic": atomic, "operations": [command("UNDO", json!({"operations": [item]}))]});
        let problem =
            server.post("/graphs/g/batch", &batch).await.bad("a batch", "UNDO is not allowed in a batch");
        assert_eq!(problem["index"], 0);
    }
}

#[tokio::test]
async fn u2_an_operation_must_be_the_commit_of_its_version_or_have_changed_nothing() {
    let (_server, ada, _) = two().await;
    let made = ada.accept("g", &command("CREATE_NODE", json!({"id": "a"}))).await;
    let again = ada.accept("g", &command("CREATE_NODE", json!({"id": "a"}))).await;
    assert_eq!(again["outcome"], "unchanged");
    let nothing = ada.accept("g", &undo(&[&again])).await;
    assert_eq!((&nothing["outcome"], &nothing["result"]["reverted"]), (&json!("unchanged"), &json!([])));
    let refused =
        with(&command("CREATE_NODE", json!({"id": "a", "type": "x"})), json!({"operationId": new_id()}));
    ada.command("g", &refused).await.problem(409, "ID_TAKEN");
    for wrong in [
        json!({"operationId": new_id(), "version": 1}),
        json!({"operationId": made["operationId"], "version": 7}),
        json!({"operationId": made["operationId"], "version": 0}),
        json!({"operationId": refused["operationId"], "version": 1}),
    ] {
        let problem = ada.command("g", &undo(&[&wrong])).await.problem(404, "OPERATION_NOT_FOUND");
        assert!(problem["detail"].as_str().unwrap().contains("Operation "), "{problem}");
    }
    let result = ada.accept("g", &undo(&[&made, &again])).await;
    assert_eq!(result["result"]["reverted"][0]["id"], "a");
}

#[tokio::test]
async fn u4_u5_what_others_took_over_is_skipped_refused_or_overwritten() {
    let (_server, ada, bob) = two().await;
    ada.accept("g", &command("CREATE_NODE", json!({"id": "a", "data": {"label": "Start", "n": 1}}))).await;
    let update = |data: Value| command("UPDATE_NODE", json!({"nodeId": "a", "updates": {"data": data}}));
    let hers = ada.accept("g", &update(json!({"label": "Go", "n": 2}))).await;
    let his = bob.accept("g", &update(json!({"label": "Begin"}))).await;

    let reject = with(&undo(&[&hers]), json!({"onConflict": "reject"}));
    let problem = ada.command("g", &reject).await.problem(409, "UNDO_CONFLICT");
    let entry = json!({"entity": "node", "id": "a", "path": "/data/label", "yours": "Start", "current": "Begin",
        "version": his["version"], "userId": "bob", "operationId": his["operationId"]});
    assert_eq!(problem["resolution"], json!({"currentVersion": 3, "conflicts": [entry]}));

    let merged = ada.accept("g", &undo(&[&hers])).await;
    assert_eq!(merged["outcome"], "merged");
    assert_eq!(merged["result"]["skipped"], json!([with(&entry, json!({"reason": "TAKEN_OVER"}))]));
    assert_eq!(ada.state("g").await["nodes"][0]["data"], json!({"label": "Begin", "n": 1}));
    ada.command("g", &undo(&[&hers])).await.problem(409, "UNDO_CONFLICT");

    let overwrite = with(&undo(&[&hers]), json!({"onConflict": "overwrite"}));
    assert_eq!(ada.accept("g", &overwrite).await["outcome"], "applied");
    assert_eq!(ada.state("g").await["nodes"][0]["data"], json!({"label": "Start", "n": 1}));
}

#[tokio::test]
async fn u7_u9_a_deleted_group_comes_back_in_its_place_and_goes_again() {
    let (_server, ada, bob) = two().await;
    for (name, payload) in [
        ("CREATE_NODE", json!({"id": "group", "position": {"x": 10, "y": 10}})),
        ("CREATE_NODE", json!({"id": "in", "parentId": "group", "data": {"k": [1, null]}})),
        ("CREATE_NODE", json!({"id": "out"})),
        ("CREATE_EDGE", json!({"id": "e", "source": "in", "target": "out", "label": "x"})),
    ] {
        ada.apply("g", name, payload).await;
    }
    let before = ada.state("g").await;
    let deleted = ada.accept("g", &command("DELETE_NODE", json!({"nodeId": "group"}))).await;
    bob.apply("g", "CREATE_NODE", json!({"id": "last"})).await;
    let undone = bob.accept("g", &undo(&[&deleted])).await;
    let after = ada.state("g").await;
    assert_invariants(&after);
    let ids: Vec<&str> =
        after["nodes"].as_array().unwrap().iter().map(|n| n["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["group", "in", "out", "last"], "G5");
    for (list, index) in [("nodes", 0), ("nodes", 1), ("edges", 0)] {
        let [old, new] = [&before, &after].map(|state| state[list][index].clone());
        let as_old = with(&new, json!({"updatedAt": old["updatedAt"], "version": old["version"]}));
        assert_eq!(as_old, old, "createdAt too");
    }
    let redone = ada.accept("g", &undo(&[&undone])).await;
    assert_eq!(redone["outcome"], "applied");
    assert_eq!(ada.state("g").await["edges"], json!([]));
    let verified = ada.get("/graphs/g/verify").await.json();
    assert_eq!(verified["ok"], true, "{verified}");
}

#[tokio::test]
async fn u3_what_is_far_back_is_read_from_the_log() {
    let (_server, ada, bob) = two().await;
    ada.apply("g", "CREATE_NODE", json!({"id": "a", "data": {"label": "Start"}})).await;
    ada.apply("g", "CREATE_NODE", json!({"id": "b"})).await;
    let renamed = ada
        .accept("g", &command("UPDATE_NODE", json!({"nodeId": "a", "updates": {"data": {"label": "Go"}}})))
        .await;
    let deleted = ada.accept("g", &command("DELETE_NODE", json!({"nodeId": "b"}))).await;
    // More than a graph in memory keeps.
    for n in 0..14 {
        let moves: Vec<Value> = (0..100)
            .map(|m| {
                command(
                    "UPDATE_NODE_POSITION",
                    json!({"nodeId": "a", "position": {"x": n * 100 + m, "y": 1}}),
                )
            })
            .collect();
        let batch = json!({"batchId": new_id(), "atomic": false, "operations": moves});
        assert_eq!(bob.post("/graphs/g/batch", &batch).await.status, 200);
    }
    let undone = ada.accept("g", &undo(&[&renamed, &deleted])).await;
    assert_eq!((&undone["outcome"], &undone["version"]), (&json!("applied"), &json!(1405)));
    let state = ada.state("g").await;
    assert_eq!(
        (&state["nodes"][0]["data"]["label"], &state["nodes"][1]["id"]),
        (&json!("Start"), &json!("b"))
    );
    assert_eq!(
        state["nodes"][1]["createdAt"],
        ada.get("/graphs/g/state?version=2").await.json()["nodes"][1]["createdAt"]
    );
}

#[tokio::test]
async fn u10_a_repeat_is_a_duplicate_and_another_undo_is_unchanged() {
    let (_server, ada, _) = two().await;
    let made = ada.accept("g", &command("CREATE_NODE", json!({"id": "a"}))).await;
    let envelope = with(&undo(&[&made]), json!({"operationId": new_id()}));
    let first = ada.accept("g", &envelope).await;
    let second = ada.accept("g", &envelope).await;
    assert_eq!((&second["duplicate"], &second["version"]), (&json!(true), &first["version"]));
    assert_eq!(ada.accept("g", &undo(&[&made])).await["outcome"], "unchanged");
}

#[tokio::test]
async fn u11_a_client_version_above_the_graphs_is_refused() {
    let (_server, ada, _) = two().await;
    let made = ada.accept("g", &command("CREATE_NODE", json!({"id": "a"}))).await;
    let ahead = with(&undo(&[&made]), json!({"clientVersion": 9}));
    ada.command("g", &ahead).await.problem(409, "VERSION_AHEAD");
    assert_eq!(
        ada.accept("g", &with(&undo(&[&made]), json!({"clientVersion": 0}))).await["outcome"],
        "applied"
    );
}

#[tokio::test]
async fn u12_operations_show_what_an_undo_undoes() {
    let (_server, ada, _) = two().await;
    let made = ada.accept("g", &command("CREATE_NODE", json!({"id": "a"}))).await;
    let undone = ada.accept("g", &undo(&[&made])).await;
    let listed = ada.get("/graphs/g/operations?type=UNDO").await.json();
    assert_eq!(listed["operations"][0]["operationId"], undone["operationId"]);
    assert_eq!(listed["operations"][0]["undoes"], json!([made["operationId"]]));
    let events = ada.get("/graphs/g/operations").await.json();
    assert_eq!(events["operations"][1].get("undoes"), None);
}

#[tokio::test]
async fn u1_w5_an_undo_on_a_socket() {
    let (server, ada, _) = two().await;
    let made = ada.accept("g", &command("CREATE_NODE", json!({"id": "a"}))).await;
    let mut ws = Ws::connect(server.address(), "?graphId=g").await;
    ws.expect("SYNC").await;
    let id = ws.command("g", "UNDO", undo(&[&made])["payload"].clone()).await;
    let update = ws.expect("STATE_UPDATE").await;
    assert_eq!((&update["undoes"], &update["commandType"]), (&json!([made["operationId"]]), &json!("UNDO")));
    let ack = ws.expect("ACK").await;
    assert_eq!((&ack["operationId"], &ack["result"]["reverted"][0]["id"]), (&json!(id), &json!("a")));
    let wrong = json!({"operations": [{"operationId": new_id(), "version": 1}]});
    ws.command("g", "UNDO", wrong).await;
    let revert = ws.expect("REVERT").await;
    assert_eq!((&revert["code"], &revert["temporary"]), (&json!("OPERATION_NOT_FOUND"), &json!(false)));
}
