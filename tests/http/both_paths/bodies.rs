//! Rule H1: commands, batches and mistakes in bodies.

use dao_api::http::RequestLimits;
use serde_json::{Value, json};

use super::{Both, id};

/// One command of each type, in an order in which most are accepted.
fn commands() -> Vec<Value> {
    let node =
        |id: &str| json!({"id": id, "position": {"x": 1.5, "y": -2}, "data": {"é": [1, null, true, 1e300]}});
    let payloads = [
        ("CREATE_NODE", node("a")),
        ("CREATE_NODE", node("b")),
        ("UPDATE_NODE", json!({"nodeId": "a", "updates": {"data": {"x": null, "label": "\u{1f600}\n"}}})),
        ("UPDATE_NODE_POSITION", json!({"nodeId": "a", "position": {"x": 0, "y": 0.0}})),
        ("CREATE_EDGE", json!({"id": "a-b", "source": "a", "target": "b", "sourceHandle": null})),
        ("UPDATE_EDGE", json!({"edgeId": "a-b", "updates": {"target": "a"}})),
        ("SET_VIEWPORT", json!({"x": 0, "y": 0, "zoom": 2})),
        ("BATCH_UPDATE", json!({"nodes": [node("a"), node("c")]})),
        ("SAVE_DOCUMENT", json!({"nodes": [node("a")], "edges": [], "mode": "merge"})),
        ("UPDATE_GRAPH", json!({"updates": {"title": "A graph"}})),
        ("LABEL_VERSION", json!({"name": "first", "version": 1})),
        ("RESTORE_VERSION", json!({"to": 2})),
        ("UNDO", json!({"operations": [{"operationId": id(6), "version": 7}]})),
        ("DELETE_EDGE", json!({"edgeId": "a-b"})),
        ("DELETE_NODE", json!({"nodeId": "c"})),
        ("DELETE_GRAPH", json!({})),
        ("CREATE_NODE", node("late")),
        ("RECOVER_GRAPH", json!({})),
        ("CREATE_GRAPH", json!({"attributes": {"title": "again"}})),
        ("NO_SUCH_COMMAND", json!({})),
    ];
    payloads.into_iter().map(|(name, payload)| json!({"type": name, "payload": payload})).collect()
}

/// What a field may be replaced by.
fn values() -> Vec<Value> {
    let deep = (0..70).fold(json!(0), |inner, _| json!([inner]));
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(7),
        json!(7.0),
        json!(7.5),
        json!(u64::MAX),
        json!(""),
        json!("merge"),
        json!("keep"),
        json!("x".repeat(300)),
        json!("0".repeat(64)),
        json!(id(77)),
        json!([]),
        json!({}),
        json!({"id": "a"}),
        deep,
    ]
}

/// The command with one field changed, left out or added, in every way.
fn changed(command: &Value) -> Vec<Value> {
    let mut changed = vec![];
    for field in [
        "type",
        "payload",
        "operationId",
        "clientId",
        "clientVersion",
        "clientHash",
        "onConflict",
        "stranger",
    ] {
        let mut without = command.clone();
        without.as_object_mut().unwrap().shift_remove(field);
        changed.push(without);
        for value in values() {
            let mut with = command.clone();
            with[field] = value.clone();
            changed.push(with.clone());
            // A hash needs a version beside it.
            with["clientVersion"] = json!(1);
            changed.push(with);
        }
    }
    changed
}

/// Texts that are no value of `serde_json`.
fn texts() -> Vec<Vec<u8>> {
    let whole =
        r#"{"type":"CREATE_NODE","operationId":"00000001-0000-4000-8000-000000000009","payload":{"id":"t"}}"#;
    let mut texts: Vec<Vec<u8>> = (0..whole.len()).map(|end| whole.as_bytes()[..end].to_vec()).collect();
    let others = [
        format!("\u{feff} {whole}\r\n\t "),
        format!("{whole}x"),
        format!("{whole}{whole}"),
        format!("[{whole}]"),
        whole.replace("\"payload\"", "\"type\":\"CREATE_NODE\",\"payload\""),
        whole.replace("\"payload\":{", "\"payload\":{},\"payload\":{"),
        whole.replace("\"id\":\"t\"", "\"id\":\"t\",\"id\":\"u\""),
        whole.replace("\"id\":\"t\"", "\"id\":\"t2\",\"data\":{\"k\":1,\"k\":2}"),
        whole.replace("\"id\":\"t\"", "\"id\":\"t3\",\"position\":{\"x\":1,\"x\":2,\"y\":0}"),
        whole.replace("\"id\":\"t\"", "\"id\":\"t4\",\"data\":{\"k\":99999999999999999999}"),
        whole.replace("\"id\":\"t\"", "\"id\":\"t5\",\"data\":{\"k\":1e400}"),
        whole.replace("\"id\":\"t\"", "\"id\":\"t6\",\"data\":{\"k\":1e19}"),
        whole.replace("\"id\":\"t\"", "\"id\":\"t7\",\"data\":{\"k\":\"\\ud83d\"}"),
        whole.replace("\"id\":\"t\"", "\"id\":\"\\ud83d\\ude00\""),
        whole.replace("\"id\":\"t\"", "\"id\":\"t8\",\"data\":NaN"),
        whole.replace("CREATE_NODE", "CREATE\\u005fNODE"),
        whole.replace("\"type\"", "\"ty\\u0070e\""),
        whole.replace("\"type\"", "\"Type\""),
        whole.replace('"', "'"),
        "null".to_owned(),
        "{}".to_owned(),
        " ".to_owned(),
        "// a comment\n{}".to_owned(),
    ];
    texts.extend(others.map(String::into_bytes));
    texts.push(b"\xff\xfe".to_vec());
    texts.push(
        whole
            .replace("\"id\":\"t\"", "\"id\":\"?\"")
            .into_bytes()
            .into_iter()
            .map(|b| if b == b'?' { 0xff } else { b })
            .collect(),
    );
    texts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h1_every_command_has_the_same_answer_on_both_paths() {
    let both = Both::plain().await;
    let mut accepted = 0;
    for (n, command) in commands().iter().enumerate() {
        let mut command = command.clone();
        command["operationId"] = json!(id(n));
        let answer =
            both.post("/graphs/g/command", "x-user-id: ada\r\n", command.to_string().as_bytes()).await;
        accepted += usize::from(answer.starts_with("HTTP/1.1 200 "));
        // Again, and again by somebody else.
        both.post("/graphs/g/command", "x-user-id: ada\r\n", command.to_string().as_bytes()).await;
        both.post("/graphs/g/command", "x-user-id: bob\r\n", command.to_string().as_bytes()).await;
        command["operationId"] = json!(id(1_000 + n));
        let packed = rmp_serde::to_vec_named(&command).unwrap();
        let headers = "content-type: application/msgpack\r\naccept: application/msgpack\r\n";
        both.post("/graphs/packed/command", headers, &packed).await;
        both.post("/graphs/packed/command", headers, &packed[..packed.len() - 1]).await;
        both.post("/graphs/packed/command", headers, &[&packed[..], &[0]].concat()).await;
    }
    assert!(accepted > 12, "{accepted} of {}", commands().len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h1_every_mistake_in_a_body_has_the_same_answer_on_both_paths() {
    let both = Both::plain().await;
    let base = json!({"type": "CREATE_NODE", "operationId": id(1), "payload": {"id": "a"}});
    let mut accepted = 0;
    for (n, body) in changed(&base).iter().enumerate() {
        let mut body = body.clone();
        if body["operationId"] == base["operationId"] {
            body["operationId"] = json!(id(n + 100));
        }
        for graph in ["g", "h"] {
            let packed = graph == "h";
            let (headers, bytes) = match packed {
                false => ("content-type: application/json\r\n", body.to_string().into_bytes()),
                true => ("content-type: application/x-msgpack\r\n", rmp_serde::to_vec_named(&body).unwrap()),
            };
            // Hashes are of ids: a commit with one that a server made has a graph of its own, and is compared without.
            if body["operationId"].is_null() || body["payload"]["id"].is_null() {
                both.post_made(&format!("/graphs/{graph}-{n}/command"), headers, &bytes).await;
            } else {
                let answer = both.post(&format!("/graphs/{graph}/command"), headers, &bytes).await;
                accepted += usize::from(answer.contains(" 200 OK"));
            }
        }
    }
    assert!(accepted > 0);
    for text in texts() {
        both.post("/graphs/t/command", "", &text).await;
        both.post("/graphs/t/batch", "", &text).await;
    }
    for body in values() {
        both.post("/graphs/t/command", "", body.to_string().as_bytes()).await;
        both.post("/graphs/t/batch", "", body.to_string().as_bytes()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h1_batches_have_the_same_answer_on_both_paths() {
    let limits = RequestLimits { batch_operations_max: 30, ..RequestLimits::default() };
    let both = Both::of(limits, |app| app).await;
    let operations = commands();
    for (n, batch) in [
        json!({"operations": operations[..8]}),
        json!({"operations": operations[..8], "atomic": true}),
        json!({"operations": operations[..3], "atomic": true, "ifMissing": "skip"}),
        json!({"operations": operations[..3], "ifMissing": "skip"}),
        json!({"operations": operations}),
        json!({"operations": []}),
        json!({"operations": vec![operations[6].clone(); 31]}),
        json!({"operations": [{"type": "CREATE_NODE", "operationId": id(9), "payload": {}}], "atomic": true}),
        json!({"operations": "none"}),
        json!({"atomic": 1, "operations": operations[..1]}),
        json!({"onConflict": "keep", "operations": operations[..1]}),
        json!({}),
    ]
    .into_iter()
    .enumerate()
    {
        let mut batch = batch;
        batch["batchId"] = json!(id(n));
        both.post("/graphs/g/batch", "", batch.to_string().as_bytes()).await;
        both.post("/graphs/g/batch", "", batch.to_string().as_bytes()).await;
        let packed = rmp_serde::to_vec_named(&batch).unwrap();
        both.post("/graphs/p/batch", "content-type: application/vnd.msgpack\r\n", &packed).await;
    }
}
