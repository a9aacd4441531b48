//! What caused a commit: `traceparent` is kept with it, shown wherever the commit is, and changes nothing else.

use serde_json::{Value, json};

use crate::support::{
    graph::{command, new_id, with},
    http::{Reply, Request},
    redis::RedisServer,
    server::Server,
    stream::Stream,
    ws::{Ws, command_frame},
};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OTHER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b8-00";

fn create(id: &str) -> Value {
    with(&command("CREATE_NODE", json!({"id": id})), json!({"operationId": new_id()}))
}

async fn caused(server: &Server, parents: &[&str], path: &str, body: &Value) -> Reply {
    let request = Request::post(path, body.to_string());
    server.ask(parents.iter().fold(request, |request, parent| request.header("traceparent", parent))).await
}

async fn kept_and_shown(server: &Server) {
    let path = "/graphs/g/command";
    let operation = create("a");
    assert_eq!(caused(server, &[PARENT], path, &operation).await.status, 200);
    let batch = json!({"atomic": true, "operations": [command("CREATE_NODE", json!({"id": "b"}))]});
    assert_eq!(caused(server, &[PARENT], "/graphs/g/batch", &batch).await.status, 200);
    let each = json!({"operations": [create("c")]});
    assert_eq!(caused(server, &[PARENT], "/graphs/g/batch", &each).await.status, 200);
    // Sent again from elsewhere in the trace it is the same operation (C3).
    let again = caused(server, &[OTHER], path, &operation).await.json();
    assert_eq!((&again["duplicate"], &again["version"]), (&json!(true), &json!(1)));
    for parents in [&[][..], &["nonsense"], &[PARENT, OTHER]] {
        assert_eq!(caused(server, parents, path, &create(&new_id())).await.status, 200, "{parents:?}");
    }
    let commits = server.changes("g", 0).await;
    let shown: Vec<_> = commits.iter().map(|commit| commit.get("traceparent").cloned()).collect();
    let parent = Some(json!(PARENT));
    assert_eq!(shown, [parent.clone(), parent.clone(), parent, None, None, None]);
    let lines = Stream::open(server, "/graphs/g/events", &[("accept", "application/x-ndjson")]).await;
    assert_eq!(lines.lines().await, commits, "streams tell the same");
    let listed = server.read("/graphs/g/operations?order=asc").await;
    assert_eq!(listed["operations"][0]["traceparent"], PARENT);
    assert!(listed["operations"][3].get("traceparent").is_none());
    assert_eq!(server.read("/graphs/g/verify").await["ok"], true);
}

async fn by_socket(server: &Server) {
    let mut ws = Ws::connect(server.address(), "").await;
    ws.subscribe("live", json!({})).await;
    let frame = |id: &str, parent: Value| {
        with(&command_frame("live", id, "CREATE_NODE", json!({"id": id})), json!({"traceparent": parent}))
    };
    let id = new_id();
    ws.send(&frame(&id, json!(PARENT))).await;
    assert_eq!(ws.expect("STATE_UPDATE").await["traceparent"], PARENT);
    ws.expect("ACK").await;
    ws.send(&frame(&new_id(), json!("nonsense"))).await;
    assert!(ws.expect("STATE_UPDATE").await.get("traceparent").is_none());
    ws.expect("ACK").await;
    ws.send(&frame(&new_id(), json!(7))).await;
    let revert = ws.expect("REVERT").await;
    assert_eq!(revert["code"], "BAD_REQUEST", "a field of another kind is malformed (H1): {revert}");
    let batch = json!({"type": "BATCH", "graphId": "live", "batchId": new_id(), "atomic": true, "traceparent": OTHER,
        "operations": [command("CREATE_NODE", json!({"id": "z"}))]});
    ws.send(&batch).await;
    assert_eq!(ws.expect("STATE_UPDATE").await["traceparent"], OTHER);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c3_the_trace_of_a_commit_is_kept_and_changes_nothing_else() {
    let redis = RedisServer::start();
    for server in [Server::start().await, Server::on_redis(&redis).await] {
        kept_and_shown(&server).await;
        by_socket(&server).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn h1_in_the_body_of_a_request_it_is_an_unknown_field() {
    let server = Server::start().await;
    let body = with(&create("a"), json!({"traceparent": PARENT}));
    server.command("g", &body).await.bad("a header in the body", "traceparent");
}
