//! Rules A3 and A4: differences and histories of entities.

use serde_json::{Value, json};

use super::{a_long_story, a_morning, field, pages};
use crate::support::{
    graph::{bare, fold, ids, new_id},
    http::Request,
    server::Server,
};

#[tokio::test]
async fn a3_a_diff_leads_from_one_version_to_the_other() {
    let server = Server::start().await;
    a_morning(&server).await;
    let states: Vec<Value> = {
        let mut states = vec![];
        for version in 0..=8 {
            states.push(server.read(&format!("/graphs/g/state?version={version}")).await);
        }
        states
    };
    for (from, before) in states.iter().enumerate() {
        for (to, after) in states.iter().enumerate() {
            let diff = server.read(&format!("/graphs/g/diff?from={from}&to={to}")).await;
            assert_eq!((&diff["from"], &diff["to"]), (&json!(from), &json!(to)));
            for table in ["nodes", "edges"] {
                check_table(&diff[table], &before[table], &after[table]);
            }
            let viewport = match before["viewport"] == after["viewport"] {
                true => Value::Null,
                false => json!({"before": before["viewport"], "after": after["viewport"]}),
            };
            assert_eq!(diff["viewport"], viewport);
        }
        let to_head = server.read(&format!("/graphs/g/diff?from={from}")).await;
        assert_eq!(to_head, server.read(&format!("/graphs/g/diff?from={from}&to=8")).await);
    }
    let label = server.read("/graphs/g/diff?from=2&to=5").await;
    let changes = json!([{"path": "/data/label", "before": "x", "after": "z"}]);
    assert_eq!(label["nodes"]["changed"], json!([{"id": "a", "changes": changes}]));
    let request = Request::get("/graphs/g/diff?from=2&to=5").header("accept", "application/msgpack");
    assert_eq!(server.ask(request).await.message_pack(), label);
    for query in ["from=9", "from=0&to=9", "from=9&to=0"] {
        let problem = server.get(&format!("/graphs/g/diff?{query}")).await.problem(404, "VERSION_NOT_FOUND");
        assert!(problem["detail"].as_str().unwrap().contains('8'), "{problem}");
    }
}

fn check_table(table: &Value, before: &Value, after: &Value) {
    let find = |list: &Value, id: &str| list.as_array().unwrap().iter().find(|e| e["id"] == id).cloned();
    let only_in = |list: &Value, other: &Value| -> Vec<Value> {
        let all = list.as_array().unwrap().iter();
        all.filter(|e| find(other, e["id"].as_str().unwrap()).is_none()).cloned().collect()
    };
    assert_eq!(table["added"], json!(only_in(after, before)), "as they are in the state");
    assert_eq!(table["removed"], json!(only_in(before, after)));
    let changed = ids(&table["changed"]);
    for id in ids(after) {
        let (Some(old), Some(new)) = (find(before, id), find(after, id)) else { continue };
        assert_eq!(changed.contains(&id), bare(&old) != bare(&new), "{id}");
    }
}

#[tokio::test]
async fn a4_a_history_has_values_before_and_after() {
    let server = Server::start().await;
    a_morning(&server).await;
    let history = pages(&server, "/graphs/g/nodes/a/history", "history", 1_000).await;
    assert_eq!(field(&history, "version"), [8, 7, 5, 4, 1], "a node created again keeps its history");
    let commits = server.changes("g", 0).await;
    for touch in &history {
        let commit = &commits[touch["version"].as_u64().unwrap() as usize - 1];
        for name in ["operationId", "userId", "clientId", "timestamp", "commandType"] {
            assert_eq!(touch[name], commit[name]);
        }
    }
    let node = |label: &str| json!({"id": "a", "position": {"x": 0, "y": 0}, "data": {"label": label}});
    let one =
        |path: &str, before: Value, after: Value| json!([{"path": path, "before": before, "after": after}]);
    let expected = [
        one("", Value::Null, node("again")),
        one("", node("z"), Value::Null),
        one("/data/label", json!("y"), json!("z")),
        one("/data/label", json!("x"), json!("y")),
        one("", Value::Null, node("x")),
    ];
    assert_eq!(field(&history, "changes"), expected.iter().collect::<Vec<_>>());
    for limit in 1..=6 {
        let paged = pages(&server, "/graphs/g/nodes/a/history", "history", limit).await;
        assert_eq!(paged, history, "{limit} at a time");
    }
    let edge = pages(&server, "/graphs/g/edges/e/history", "history", 10).await;
    assert_eq!(field(&edge, "version"), [7, 3]);
    assert_eq!(field(&edge, "commandType"), ["DELETE_NODE", "CREATE_EDGE"]);
    assert_eq!(edge[0]["changes"], one("", json!({"id": "e", "source": "a", "target": "b"}), Value::Null));
    for nothing in ["nodes/e", "edges/a", "nodes/never"] {
        let path = format!("/graphs/g/{nothing}/history");
        assert_eq!(server.read(&path).await, json!({"history": [], "nextCursor": null}), "{nothing}");
    }
    let request = Request::get("/graphs/g/nodes/a/history").header("accept", "application/msgpack");
    assert_eq!(server.ask(request).await.message_pack()["history"], json!(history));
}

#[tokio::test]
async fn a4_a_batch_is_one_entry() {
    let server = Server::start().await;
    let member = |name: &str, payload: Value| json!({"type": name, "payload": payload});
    let batch = |operations: Value| json!({"atomic": true, "batchId": new_id(), "operations": operations});
    server.apply("g", "CREATE_NODE", json!({"id": "n", "data": {"v": 1}})).await;
    let reply = server
        .post(
            "/graphs/g/batch",
            &batch(json!([
                member("UPDATE_NODE_POSITION", json!({"nodeId": "n", "position": {"x": 3, "y": 4}})),
                member("UPDATE_NODE", json!({"nodeId": "n", "updates": {"data": {"v": 2}}})),
                member("UPDATE_NODE", json!({"nodeId": "n", "updates": {"data": {"v": 3, "w": [1]}}})),
            ])),
        )
        .await;
    assert_eq!(reply.status, 200);
    let reply = server
        .post(
            "/graphs/g/batch",
            &batch(json!([
                member("CREATE_NODE", json!({"id": "brief"})),
                member("DELETE_NODE", json!({"nodeId": "brief"})),
            ])),
        )
        .await;
    assert_eq!(reply.status, 200);
    let history = pages(&server, "/graphs/g/nodes/n/history", "history", 1).await;
    let expected = json!([
        {"path": "/position", "before": {"x": 0, "y": 0}, "after": {"x": 3, "y": 4}},
        {"path": "/data/v", "before": 1, "after": 3},
        {"path": "/data/w", "before": null, "after": [1]},
    ]);
    assert_eq!((history.len(), &history[0]["changes"]), (2, &expected));
    let brief = pages(&server, "/graphs/g/nodes/brief/history", "history", 10).await;
    assert_eq!((brief.len(), &brief[0]["changes"]), (1, &json!([])), "touched, and nothing came of it");
}

#[tokio::test]
async fn a4_a_long_history_comes_in_pages_with_values_before_and_after() {
    let server = Server::start().await;
    let last = a_long_story(&server).await;
    let first = server.read("/graphs/g/nodes/rare/history").await;
    assert_eq!(field(first["history"].as_array().unwrap(), "version"), [last]);
    assert!(first["nextCursor"].is_string(), "it did not look at everything");
    let all = pages(&server, "/graphs/g/nodes/rare/history", "history", 10).await;
    assert_eq!(field(&all, "version"), [last, 3, 1]);
    assert_eq!(all[0]["changes"], json!([{"path": "/data/v", "before": 1, "after": 2}]));
    assert_eq!(all[1]["changes"], json!([{"path": "/data", "before": null, "after": {"v": 1}}]));
    // A page in the middle knows what was before it.
    let busy = server.read("/graphs/g/nodes/busy/history?limit=2").await;
    let x = |n: u64| json!({"x": n, "y": 0});
    let move_to = |n: u64| json!([{"path": "/position", "before": x(n - 1), "after": x(n)}]);
    let moves = [move_to(last - 2), move_to(last - 3)];
    assert_eq!(field(busy["history"].as_array().unwrap(), "changes"), moves.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn a3_a_diff_over_a_long_history_compares_its_two_ends() {
    let server = Server::start().await;
    let last = a_long_story(&server).await;
    let diff = server.read("/graphs/g/diff?from=2").await;
    assert_eq!(ids(&diff["nodes"]["changed"]), ["rare", "busy"]);
    let state = server.read(&format!("/graphs/g/state?version={last}")).await;
    let folded = fold(&server.changes("g", 0).await);
    assert_eq!(bare(&state["nodes"][1]), folded["nodes"][1]);
    assert_eq!(diff["nodes"]["changed"][1]["changes"][0]["after"], folded["nodes"][1]["position"]);
}
