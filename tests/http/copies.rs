//! Graphs that begin as copies of others, with or without their history (rule L7).

use std::{path::Path, time::Duration};

use dao_api::{
    http::{App, LocalService, RequestLimits, SocketConfig, bind_socket, serve_socket},
    project::Stores,
    store::ProjectionStore,
    write::{Graphs, GraphsConfig},
};
use dao_projections::GraphId;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::support::{
    gate::{Call, GatedStore},
    graph::{bare, command, ids, new_id, with},
    http::Client,
    server::{Server, embedded_store},
    ws::Ws,
};

/// A graph with a label, an attribute, settings, and a node that was deleted.
async fn original(client: &Client) {
    let attributes = json!({"title": "Original", "tags": ["t"]});
    client.apply("g", "CREATE_GRAPH", json!({"attributes": attributes})).await;
    client.apply("g", "CREATE_NODE", json!({"id": "gone"})).await;
    client.apply("g", "CREATE_NODE", json!({"id": "child", "parentId": "gone"})).await;
    client.apply("g", "CREATE_NODE", json!({"id": "p"})).await;
    client.apply("g", "UPDATE_NODE", json!({"nodeId": "child", "updates": {"parentId": "p"}})).await;
    client.apply("g", "DELETE_NODE", json!({"nodeId": "gone"})).await;
    client.apply("g", "CREATE_EDGE", json!({"id": "e", "source": "p", "target": "child"})).await;
    client.apply("g", "SET_VIEWPORT", json!({"x": 1, "y": 2, "zoom": 3})).await;
    client.apply("g", "LABEL_VERSION", json!({"name": "v1", "version": 4})).await;
    client.apply("g", "UPDATE_GRAPH", json!({"updates": {"settings": {"readOnly": false}}})).await;
}

fn copy(from: Value) -> Value {
    command("CREATE_GRAPH", json!({"from": from}))
}

fn bare_list(list: &Value) -> Vec<Value> {
    list.as_array().unwrap().iter().map(bare).collect()
}

#[tokio::test]
async fn l7_a_copy_is_one_commit_with_the_contents() {
    let server = Server::start().await;
    original(&server).await;
    let head = server.read("/graphs/g").await;
    let sent = with(&copy(json!({"graphId": "g"})), json!({"operationId": new_id()}));
    let answer = server.as_user("bob").accept("h", &sent).await;
    assert_eq!((&answer["version"], &answer["outcome"]), (&json!(1), &json!("applied")));
    let (state, source) = (server.state("h").await, server.state("g").await);
    for list in ["nodes", "edges"] {
        assert_eq!(bare_list(&state[list]), bare_list(&source[list]), "{list}");
    }
    assert_eq!(state["viewport"], source["viewport"]);
    assert_eq!(state["attributes"], json!({"title": "Original", "tags": ["t"]}), "no settings");
    let row = server.read("/graphs/h").await;
    let origin = json!({"graphId": "g", "version": head["version"], "hash": head["hash"]});
    assert_eq!((&row["forkedFrom"], &row["labels"], &row["createdBy"]), (&origin, &json!({}), &json!("bob")));
    let event = server.changes("h", 0).await[0]["events"][0].clone();
    assert_eq!((&event["type"], &event["from"]), (&json!("GraphCreated"), &origin));

    // A retry is told of the first copy, whatever became of the source.
    server.apply("g", "CREATE_NODE", json!({"id": "later"})).await;
    server.apply("g", "DELETE_GRAPH", json!({})).await;
    let again = server.as_user("bob").accept("h", &sent).await;
    assert_eq!((&again["duplicate"], &again["version"]), (&json!(true), &json!(1)));
}

#[tokio::test]
async fn l7_a_copy_of_an_earlier_version_with_attributes_of_its_own() {
    let server = Server::start().await;
    original(&server).await;
    let from = json!({"from": {"graphId": "g", "at": "v1"}, "attributes": {"title": "Copy", "owner": "ada"}});
    server.apply("h", "CREATE_GRAPH", from).await;
    let state = server.state("h").await;
    assert_eq!(ids(&state["nodes"]), ["gone", "child", "p"]);
    assert_eq!(state["attributes"], json!({"title": "Copy", "tags": ["t"], "owner": "ada"}));
    assert_eq!(server.read("/graphs/h").await["forkedFrom"]["version"], 4);
}

#[tokio::test]
async fn l7_a_copy_with_history_has_equal_hashes_and_verifies() {
    let server = Server::start().await;
    original(&server).await;
    let source = server.changes("g", 0).await;
    let from = json!({"from": {"graphId": "g", "history": true}, "attributes": {"title": "Fork"}});
    let answer = server.as_user("bob").apply("h", "CREATE_GRAPH", from).await;
    let v = source.len() as u64;
    assert_eq!(answer["version"], v + 1);
    let commits = server.changes("h", 0).await;
    for (one, other) in source.iter().zip(&commits) {
        assert_eq!(with(one, json!({"graphId": "h"})), *other);
    }
    let last = commits.last().unwrap();
    let hash = &source.last().unwrap()["hash"];
    let fork = json!({"type": "GraphForked", "graphId": "g", "version": v, "hash": hash});
    let described = json!({"type": "GraphUpdated", "patch": {"title": "Fork", "settings": null}});
    assert_eq!((&last["events"], &last["userId"]), (&json!([fork, described]), &json!("bob")));
    let verified = server.read("/graphs/h/verify").await;
    assert_eq!((&verified["ok"], &verified["version"]), (&json!(true), &json!(v + 1)));
    let row = server.read("/graphs/h").await;
    assert_eq!(row["forkedFrom"], json!({"graphId": "g", "version": v, "hash": hash}));
    assert_eq!((&row["labels"], &row["attributes"]["title"]), (&json!({}), &json!("Fork")));
    let (state, source) = (server.state("h").await, server.state("g").await);
    assert_eq!((&state["nodes"], &state["edges"]), (&source["nodes"], &source["edges"]));

    // Ids of operations that were copied are free in the copy.
    let id = commits[1]["operationId"].clone();
    let reused = with(&command("CREATE_NODE", json!({"id": "new"})), json!({"operationId": id}));
    assert_eq!(server.accept("h", &reused).await["version"], v + 2);
    let listed = server.read("/graphs/h/operations?limit=1000").await["operations"].clone();
    assert_eq!(listed.as_array().unwrap().len() as u64, v + 2);
    let server = server.restart().await;
    assert_eq!(server.state("h").await["version"], v + 2, "as the log has it");
    assert_eq!(server.read("/graphs/h/verify").await["ok"], true);
}

#[tokio::test]
async fn l7_what_can_not_be_copied_is_told() {
    let server = Server::start().await;
    original(&server).await;
    for (from, status, code) in [
        (json!({"graphId": "nobody"}), 404, "GRAPH_NOT_FOUND"),
        (json!({"graphId": "g", "at": 99}), 404, "VERSION_NOT_FOUND"),
        (json!({"graphId": "g", "at": "v9", "history": true}), 404, "LABEL_NOT_FOUND"),
    ] {
        server.command("h", &copy(from)).await.problem(status, code);
    }
    let exists = server.command("g", &copy(json!({"graphId": "g"}))).await;
    exists.problem(409, "GRAPH_EXISTS");
    for (payload, place) in [
        (json!({"from": "g"}), "payload.from"),
        (json!({"from": {}}), "payload.from.graphId"),
        (json!({"from": {"graphId": "g", "at": []}}), "payload.from.at"),
        (json!({"from": {"graphId": "g", "history": 1}}), "payload.from.history"),
        (json!({"from": {"graphId": "g", "colour": 1}}), "payload.from.colour"),
        (json!({"from": {"graphId": "g"}, "document": {}}), "payload.document"),
    ] {
        server.command("h", &command("CREATE_GRAPH", payload.clone())).await.bad(&payload.to_string(), place);
    }
    let id = new_id();
    let sent = with(&copy(json!({"graphId": "g"})), json!({"operationId": id}));
    server.apply("g", "DELETE_GRAPH", json!({})).await;
    server.command("h", &sent).await.problem(410, "GRAPH_TRASHED");
    server.apply("g", "RECOVER_GRAPH", json!({})).await;
    assert_eq!(server.accept("h", &sent).await["version"], 1, "the id was not used up");
}

#[tokio::test]
async fn l7_a_copy_reaches_those_who_wait_for_the_graph() {
    let server = Server::start().await;
    original(&server).await;
    let mut ws = Ws::connect(server.address(), "").await;
    ws.subscribe("h", json!({})).await;
    ws.command("h", "CREATE_GRAPH", json!({"from": {"graphId": "g", "history": true}})).await;
    let v = server.read("/graphs/g").await["version"].as_u64().unwrap();
    for version in 1..=v + 1 {
        assert_eq!(ws.expect("STATE_UPDATE").await["version"], version);
    }
    ws.expect("ACK").await;
}

/// A connection of the command line on which this was asked.
async fn asked_on(socket: &Path, path: &str, body: &Value) -> UnixStream {
    let body = body.to_string();
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn l7_a_stop_waits_for_a_copy_whose_caller_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let inner = embedded_store(dir.path());
    let store = GatedStore::to(inner.clone());
    let graphs = Graphs::new(store.clone(), GraphsConfig::default());
    let stores = Stores { events: store.clone(), rows: inner.clone() };
    let app = App::new(graphs.clone(), RequestLimits::default(), SocketConfig::default());
    let service = LocalService::beside(app.with_projections(stores));
    let (path, stop) = (dir.path().join("socket"), CancellationToken::new());
    let listener = bind_socket(&path).unwrap();
    let mut serving = {
        let (path, stop) = (path.clone(), stop.clone());
        tokio::spawn(async move { serve_socket(listener, &path, service, stop).await })
    };
    let mut answer = String::new();
    let mut stream = asked_on(&path, "/graphs/g/command", &command("CREATE_NODE", json!({"id": "a"}))).await;
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("200 OK"), "{answer}");

    store.hold(Call::Append);
    let body = json!({"source": "g", "at": "head"});
    let caller = asked_on(&path, "/local/graphs/copied/copy", &body).await;
    store.has_arrived(Call::Append, 1).await;
    drop(caller);
    stop.cancel();
    let early = timeout(Duration::from_millis(300), &mut serving).await;
    assert!(early.is_err(), "the copy is not made yet");
    store.open();
    serving.await.unwrap();
    // To its end: the list has it too.
    let listed = inner.list_rows(&[GraphId::parse("copied").unwrap()]).await.unwrap();
    assert!(listed[0].is_some());
    graphs.close().await;
}
