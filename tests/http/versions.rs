//! Versions by name: reads of them (L13), labels on them (L12), and the way back to one (L11).

use serde_json::{Value, json};

use crate::support::{
    graph::{assert_invariants, bare, command, ids, new_id, with},
    http::{Client, Reply, Request},
    server::Server,
    stream::Stream,
    ws::Ws,
};

/// Four versions: two nodes, an edge, and the first node moved.
async fn four() -> Server {
    let server = Server::start().await;
    server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    server.apply("g", "CREATE_NODE", json!({"id": "b"})).await;
    server.apply("g", "CREATE_EDGE", json!({"id": "ab", "source": "a", "target": "b"})).await;
    server.apply("g", "UPDATE_NODE_POSITION", json!({"nodeId": "a", "position": {"x": 7, "y": 7}})).await;
    server
}

async fn put(client: &Client, name: &str, body: &str) -> Reply {
    let request = Request::new("PUT", &format!("/graphs/g/labels/{name}"));
    client.ask(Request { body: body.as_bytes().to_vec(), ..request }).await
}

async fn label(client: &Client, name: &str, version: u64) -> Value {
    let reply = put(client, name, &json!({"version": version}).to_string()).await;
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    reply.json()
}

#[tokio::test]
async fn l13_contents_are_read_at_a_version_a_label_a_time_or_the_head() {
    let server = four().await;
    label(&server, "v2", 2).await;
    let times: Vec<u64> =
        server.changes("g", 0).await.iter().map(|commit| commit["timestamp"].as_u64().unwrap()).collect();
    let at_first = times.iter().rposition(|time| *time == times[0]).unwrap() as u64 + 1;
    for (at, version) in [
        ("2".to_owned(), 2),
        ("v2".to_owned(), 2),
        ("head".to_owned(), 5),
        (times[0].to_string(), at_first),
        ((times[0] - 1).to_string(), 0),
        ("2001-01-01T00:00:00Z".to_owned(), 0),
        ("2999-01-01T00:00:00%2B01:00".to_owned(), 5),
    ] {
        let state = server.read(&format!("/graphs/g/state?at={at}")).await;
        assert_eq!(state["version"], version, "{at}");
        assert_eq!(state, server.read(&format!("/graphs/g/state?version={version}")).await, "{at}");
        let nodes = server.read(&format!("/graphs/g/nodes?at={at}")).await;
        assert_eq!(nodes, json!({"version": version, "nodes": state["nodes"]}), "{at}");
        let edges = server.read(&format!("/graphs/g/edges?at={at}")).await;
        assert_eq!(edges, json!({"version": version, "edges": state["edges"]}), "{at}");
        let document = server.get(&format!("/graphs/g/document?at={at}")).await;
        assert!(document.header("x-base").unwrap().starts_with(&format!("{version}:")), "{at}");
        assert_eq!(ids(&document.json()["nodes"]), ids(&state["nodes"]), "{at}");
        let diff = server.read(&format!("/graphs/g/diff?from={at}&to=head")).await;
        assert_eq!((&diff["from"], &diff["to"]), (&json!(version), &json!(5)), "{at}");
    }
    let node = server.read("/graphs/g/nodes/a?at=v2").await;
    assert_eq!(bare(&node)["position"], json!({"x": 0, "y": 0}));
    server.get("/graphs/g/edges/ab?at=v2").await.problem(404, "EDGE_NOT_FOUND");
    assert_eq!(server.read("/graphs/g/viewport?at=1").await["zoom"], 1);
    let authors = server.get("/graphs/g/authors?at=v2").await;
    assert_eq!(authors.header("x-base"), server.get("/graphs/g/document?at=2").await.header("x-base"));
    assert_eq!(authors.json(), server.read("/graphs/g/authors?at=2").await);
}

#[tokio::test]
async fn l13_what_names_no_version_is_told() {
    let server = four().await;
    for path in ["state", "document", "nodes", "nodes/a", "edges", "edges/ab", "viewport", "authors"] {
        for (at, status, code) in [
            ("9", 404, "VERSION_NOT_FOUND"),
            ("nosuch", 404, "LABEL_NOT_FOUND"),
            ("-1", 400, "BAD_REQUEST"),
            ("2026-13-01", 400, "BAD_REQUEST"),
            ("9223372036854775808", 400, "BAD_REQUEST"),
            ("", 400, "BAD_REQUEST"),
        ] {
            server.get(&format!("/graphs/g/{path}?at={at}")).await.problem(status, code);
        }
    }
    server.get("/graphs/g/state?at=1&version=1").await.bad("both", "version");
    server.get("/graphs/g/diff?from=nosuch").await.problem(404, "LABEL_NOT_FOUND");
    server.get("/graphs/g/diff?from=1&to=9").await.problem(404, "VERSION_NOT_FOUND");
    server.get("/graphs/g/diff?from=1&to=a%20b").await.bad("a blank", "to");
}

#[tokio::test]
async fn l13_a_poll_of_a_label_is_304_until_it_moves() {
    let server = four().await;
    label(&server, "published", 2).await;
    for path in ["state", "document", "nodes", "edges"] {
        let path = format!("/graphs/g/{path}?at=published");
        label(&server, "published", 2).await;
        let tag = server.get(&path).await.header("etag").unwrap().to_owned();
        server.apply("g", "SET_VIEWPORT", json!({"x": 1, "y": 1, "zoom": 2})).await;
        server.apply("g", "SET_VIEWPORT", json!({"x": 0, "y": 0, "zoom": 1})).await;
        let poll = || server.ask(Request::get(&path).header("if-none-match", &tag));
        let same = poll().await;
        assert_eq!(
            (same.status, same.header("etag"), same.body.len()),
            (304, Some(tag.as_str()), 0),
            "{path}"
        );
        label(&server, "published", 3).await;
        let moved = poll().await;
        assert_eq!(moved.status, 200, "{path}");
        assert_ne!(moved.header("etag"), Some(tag.as_str()), "{path}");
    }
    let tag = server.get("/graphs/g/state?at=published").await.header("etag").unwrap().to_owned();
    assert_eq!(server.get("/graphs/g/state?version=3").await.header("etag"), Some(tag.as_str()));
}

#[tokio::test]
async fn l12_a_label_is_set_read_moved_and_removed() {
    let server = four().await;
    let hash = server.changes("g", 1).await[0]["hash"].clone();
    let answer = put(&server.as_user("ada"), "v1", r#"{"version": 2, "note": "Release"}"#).await.json();
    assert_eq!((&answer["version"], &answer["outcome"]), (&json!(5), &json!("applied")));
    let at = server.changes("g", 4).await[0]["timestamp"].clone();
    let shown = json!({"name": "v1", "version": 2, "hash": hash, "note": "Release", "at": at, "by": "ada"});
    assert_eq!(answer["result"], shown);
    let commit = server.changes("g", 4).await[0].clone();
    assert_eq!(commit["commandType"], "LABEL_VERSION");
    let event =
        json!({"type": "VersionLabelled", "name": "v1", "version": 2, "hash": hash, "note": "Release"});
    assert_eq!(commit["events"], json!([event]));

    assert_eq!(server.read("/graphs/g/labels/v1").await, shown);
    let mut fields = shown.as_object().unwrap().clone();
    fields.shift_remove("name");
    let all = server.read("/graphs/g/labels").await;
    assert_eq!((&all["labels"], &all["version"]), (&json!({"v1": fields}), &json!(5)));
    let row = server.read("/graphs/g").await;
    assert_eq!((&row["labels"]["v1"]["version"], &row["contentVersion"]), (&json!(2), &json!(4)));

    assert_eq!(put(&server, "v2", "").await.json()["result"]["version"], 5, "the head by default");
    assert_eq!(put(&server, "v1", r#"{"version": 3}"#).await.json()["result"].get("note"), None);
    let again = put(&server, "v1", r#"{"version": 3}"#).await.json();
    assert_eq!((&again["outcome"], &again["version"]), (&json!("unchanged"), &json!(7)));
    let gone = put(&server, "v1", r#"{"version": null}"#).await.json();
    assert_eq!(gone["result"], json!({"name": "v1", "version": null}));
    server.get("/graphs/g/labels/v1").await.problem(404, "LABEL_NOT_FOUND");
    let delete = server.ask(Request::new("DELETE", "/graphs/g/labels/v2?expect=5")).await;
    assert_eq!((delete.status, &delete.json()["outcome"]), (200, &json!("applied")));
    assert_eq!(server.read("/graphs/g/labels").await["labels"], json!({}));
    assert_eq!(server.read("/graphs/nobody/labels").await["labels"], json!({}));
}

#[tokio::test]
async fn l12_a_label_moves_only_from_where_it_is_expected() {
    let server = four().await;
    let first = json!({"name": "p", "version": 1, "expect": null});
    assert_eq!(server.apply("g", "LABEL_VERSION", first).await["version"], 5);
    let wrong = server
        .command("g", &command("LABEL_VERSION", json!({"name": "p", "version": 2, "expect": null})))
        .await
        .problem(409, "LABEL_MOVED");
    assert!(wrong["detail"].as_str().unwrap().contains("version 1"), "{wrong}");
    let conflict = &wrong["resolution"]["conflicts"][0];
    assert_eq!((&conflict["path"], &conflict["current"]), (&json!("/labels/p"), &json!(1)));
    assert_eq!((&conflict["yours"], &conflict["version"]), (&json!(2), &json!(5)));
    put(&server, "p", r#"{"version": 2, "expect": 3}"#).await.problem(409, "LABEL_MOVED");
    server.ask(Request::new("DELETE", "/graphs/g/labels/p?expect=2")).await.problem(409, "LABEL_MOVED");
    let moved = json!({"name": "p", "version": 2, "expect": 1});
    assert_eq!(server.apply("g", "LABEL_VERSION", moved).await["outcome"], "applied");
}

#[tokio::test]
async fn l12_what_is_sent_is_checked() {
    let server = four().await;
    for (payload, place) in [
        (json!({}), "payload.name"),
        (json!({"name": "head"}), "payload.name"),
        (json!({"name": "1st"}), "payload.name"),
        (json!({"name": "x".repeat(65)}), "payload.name"),
        (json!({"name": "v", "version": -1}), "payload.version"),
        (json!({"name": "v", "version": "v1"}), "payload.version"),
        (json!({"name": "v", "expect": "v1"}), "payload.expect"),
        (json!({"name": "v", "note": 7}), "payload.note"),
        (json!({"name": "v", "colour": 7}), "payload.colour"),
    ] {
        server
            .command("g", &command("LABEL_VERSION", payload.clone()))
            .await
            .bad(&payload.to_string(), place);
    }
    put(&server, "head", "").await.bad("head", "name");
    put(&server, "v", r#"{"name": "w"}"#).await.bad("a name", "name");
    put(&server, "v", &json!({"note": "x".repeat(1_025)}).to_string()).await.problem(422, "TOO_LARGE");
    for version in [0, 9] {
        put(&server, "v", &json!({"version": version}).to_string()).await.problem(404, "VERSION_NOT_FOUND");
    }
    let nobody = server.command("nobody", &command("LABEL_VERSION", json!({"name": "v"}))).await;
    nobody.problem(404, "GRAPH_NOT_FOUND");
    for name in ["LABEL_VERSION", "RESTORE_VERSION"] {
        let member = command(name, json!({"name": "v", "to": 1}));
        let batch = json!({"operations": [member]});
        let problem = server.post("/graphs/g/batch", &batch).await.problem(400, "BAD_REQUEST");
        assert_eq!(problem["index"], 0);
    }
}

#[tokio::test]
async fn l12_a_repeat_may_use_either_spelling() {
    let server = four().await;
    let id = new_id();
    let request = Request::new("PUT", "/graphs/g/labels/v").header("idempotency-key", &id);
    let request = Request { body: br#"{"version":1}"#.to_vec(), ..request };
    assert_eq!(server.ask(request.clone()).await.json()["version"], 5);
    assert_eq!(server.ask(request).await.json()["duplicate"], true);
    let sent =
        with(&command("LABEL_VERSION", json!({"version": 1, "name": "v"})), json!({"operationId": id}));
    let repeated = server.accept("g", &sent).await;
    assert_eq!((&repeated["duplicate"], &repeated["version"]), (&json!(true), &json!(5)));
}

#[tokio::test]
async fn l15_followers_and_readers_of_all_graphs_see_labels() {
    let server = four().await;
    let mut ws = Ws::connect(server.address(), "").await;
    ws.subscribe("g", json!({})).await;
    label(&server, "v1", 2).await;
    let update = ws.expect("STATE_UPDATE").await;
    assert_eq!(update["events"][0]["type"], "VersionLabelled");
    let path = "/events?since=0&types=VersionLabelled&follow=false";
    let mut stream = Stream::open(&server, path, &[("accept", "application/x-ndjson")]).await;
    assert_eq!(stream.line().await.unwrap()["events"][0]["name"], "v1");
}

#[tokio::test]
async fn l11_a_restore_is_one_commit_of_ordinary_events() {
    let server = four().await;
    let before = server.state("g").await;
    server.apply("g", "DELETE_NODE", json!({"nodeId": "a"})).await;
    server.apply("g", "CREATE_NODE", json!({"id": "c"})).await;
    label(&server, "good", 4).await;
    let answer = server.apply("g", "RESTORE_VERSION", json!({"to": "good"})).await;
    assert_eq!((&answer["version"], &answer["outcome"]), (&json!(8), &json!("applied")));
    let none = json!({"nodes": [], "edges": []});
    assert_eq!(
        answer["result"],
        json!({"to": 4, "created": {"nodes": ["a"], "edges": ["ab"]}, "updated": none,
            "deleted": {"nodes": ["c"], "edges": []}, "included": [], "skipped": []})
    );
    let commit = server.changes("g", 7).await[0].clone();
    assert_eq!((&commit["commandType"], &commit["restores"]), (&json!("RESTORE_VERSION"), &json!(4)));
    let types: Vec<&str> =
        commit["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["NodeRestored", "EdgeRestored", "NodeDeleted"]);
    let after = server.state("g").await;
    assert_invariants(&after);
    let bare_list = |list: &Value| list.as_array().unwrap().iter().map(bare).collect::<Vec<_>>();
    assert_eq!(bare_list(&after["nodes"]), bare_list(&before["nodes"]));
    assert_eq!(after["nodes"][0]["createdAt"], before["nodes"][0]["createdAt"]);
    let diff = server.read("/graphs/g/diff?from=good").await;
    assert_eq!(diff["nodes"], json!({"added": [], "removed": [], "changed": []}));
    let again = server.apply("g", "RESTORE_VERSION", json!({"to": 4})).await;
    assert_eq!((&again["outcome"], &again["version"]), (&json!("unchanged"), &json!(8)));

    let undo = json!({"operations": [{"operationId": answer["operationId"], "version": 8}]});
    server.apply("g", "UNDO", undo).await;
    assert_eq!(ids(&server.state("g").await["nodes"]), ["b", "c"]);
    assert_eq!(server.read("/graphs/g/verify").await["ok"], true);
}

#[tokio::test]
async fn l11_some_entities_are_restored_and_the_rest_is_told() {
    let server = four().await;
    server.apply("g", "DELETE_NODE", json!({"nodeId": "a"})).await;
    let answer = server.apply("g", "RESTORE_VERSION", json!({"to": 4, "edges": ["ab"]})).await;
    assert_eq!(answer["outcome"], "unchanged");
    let skipped = json!([{"entity": "edge", "id": "ab", "reason": "DANGLING_EDGE"}]);
    assert_eq!(answer["result"]["skipped"], skipped);
    let answer =
        server.apply("g", "RESTORE_VERSION", json!({"to": 4, "nodes": ["a"], "edges": ["ab"]})).await;
    assert_eq!(answer["result"]["created"], json!({"nodes": ["a"], "edges": ["ab"]}));
}

#[tokio::test]
async fn l11_others_since_are_a_conflict_and_ones_own_are_not() {
    let server = four().await;
    let (ada, bob) = (server.as_user("ada"), server.as_user("bob"));
    let back = with(
        &command("RESTORE_VERSION", json!({"to": 3})),
        json!({"clientVersion": 4, "clientId": "tab", "operationId": new_id()}),
    );
    let moved = with(
        &command("UPDATE_NODE_POSITION", json!({"nodeId": "a", "position": {"x": 9, "y": 9}})),
        json!({"clientId": "tab"}),
    );
    ada.accept("g", &moved).await;
    bob.accept("g", &command("CREATE_NODE", json!({"id": "c"}))).await;
    let refused = ada.command("g", &back).await.problem(409, "CONFLICT");
    assert_eq!(refused["resolution"]["conflicts"][0]["id"], "c");
    ada.command("g", &back).await.problem(409, "CONFLICT"); // remembered
    let anew = with(&back, json!({"operationId": new_id(), "onConflict": "overwrite"}));
    assert_eq!(ada.accept("g", &anew).await["outcome"], "merged");
    let own = with(&moved, json!({"clientVersion": 7}));
    ada.accept("g", &own).await;
    let back = with(&back, json!({"operationId": new_id(), "clientVersion": 7}));
    assert_eq!(ada.accept("g", &back).await["outcome"], "applied");
}

#[tokio::test]
async fn l11_what_is_sent_is_checked() {
    let server = four().await;
    for (payload, place) in [
        (json!({}), "payload.to"),
        (json!({"to": true}), "payload.to"),
        (json!({"to": -1}), "payload.to"),
        (json!({"to": "a b"}), "payload.to"),
        (json!({"to": 1, "nodes": "a"}), "payload.nodes"),
        (json!({"to": 1, "nodes": [7]}), "payload.nodes[0]"),
        (json!({"to": 1, "edges": [""]}), "payload.edges[0]"),
        (json!({"to": 1, "include": ["settings"]}), "payload.include[0]"),
        (json!({"to": 1, "include": ["viewport", "viewport"]}), "payload.include"),
        (json!({"to": 1, "include": ["viewport", "attributes", "viewport"]}), "payload.include"),
        (json!({"to": 1, "colour": 1}), "payload.colour"),
    ] {
        server
            .command("g", &command("RESTORE_VERSION", payload.clone()))
            .await
            .bad(&payload.to_string(), place);
    }
    let many = json!({"to": 1, "nodes": vec!["n"; 10_001]});
    server.command("g", &command("RESTORE_VERSION", many)).await.problem(422, "TOO_LARGE");
    for (to, code) in [(json!(9), "VERSION_NOT_FOUND"), (json!("nosuch"), "LABEL_NOT_FOUND")] {
        server.command("g", &command("RESTORE_VERSION", json!({"to": to}))).await.problem(404, code);
    }
    let nobody = server.command("nobody", &command("RESTORE_VERSION", json!({"to": 0}))).await;
    nobody.problem(404, "GRAPH_NOT_FOUND");
}

#[tokio::test]
async fn l11_a_time_names_a_version_that_is_no_longer_in_memory() {
    let server = four().await;
    let first = server.changes("g", 0).await[0]["timestamp"].as_u64().unwrap();
    while server.state("g").await["lastModified"].as_u64() == Some(first) {
        server.apply("g", "SET_VIEWPORT", json!({"x": 1, "y": 1, "zoom": 2})).await;
        server.apply("g", "SET_VIEWPORT", json!({"x": 1, "y": 1, "zoom": 1})).await;
    }
    let server = server.restart().await;
    let expected = server.read(&format!("/graphs/g/state?at={first}")).await;
    let answer = server.apply("g", "RESTORE_VERSION", json!({"to": first})).await;
    assert_eq!(answer["result"]["to"], expected["version"]);
    assert_eq!(ids(&server.state("g").await["nodes"]), ids(&expected["nodes"]));
}

#[tokio::test]
async fn l11_l12_on_a_socket() {
    let server = four().await;
    let mut ws = Ws::connect(server.address(), "").await;
    ws.subscribe("g", json!({})).await;
    ws.command("g", "LABEL_VERSION", json!({"name": "v1", "version": 3})).await;
    ws.expect("STATE_UPDATE").await;
    let ack = ws.expect("ACK").await;
    assert_eq!(ack["result"]["version"], 3, "{ack}");
    ws.command("g", "RESTORE_VERSION", json!({"to": "v1"})).await;
    ws.expect("STATE_UPDATE").await;
    let ack = ws.expect("ACK").await;
    assert_eq!(ack["result"]["updated"]["nodes"], json!(["a"]), "{ack}");
    let update = server.changes("g", 5).await[0].clone();
    assert_eq!(update["restores"], 3);
}
