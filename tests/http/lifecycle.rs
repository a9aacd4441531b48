//! A graph as one thing: created, described, read, put into the trash and recovered (rules L).

use serde_json::{Value, json};

use crate::support::{
    graph::{command, ids, new_id, with},
    http::{Client, Reply, Request},
    server::Server,
    ws::{Ws, command_frame},
};

async fn send(client: &Client, graph: &str, name: &str, payload: Value) -> Reply {
    client.command(graph, &command(name, payload)).await
}

#[tokio::test]
async fn l4_a_graph_is_created_with_attributes_and_contents_in_one_commit() {
    let server = Server::start().await;
    let document = json!({"nodes": [{"id": "a"}, {"id": "b", "parentId": "a"}],
        "edges": [{"id": "ab", "source": "a", "target": "b"}], "viewport": {"x": 1, "y": 2, "zoom": 1}});
    let attributes = json!({"title": "Invoices", "tags": ["billing"], "description": null, "data": {"k": 1}});
    let payload = json!({"attributes": attributes, "document": document});
    let reply = send(&server, "g", "CREATE_GRAPH", payload.clone()).await;
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let kept = json!({"title": "Invoices", "tags": ["billing"], "data": {"k": 1}});
    let answer = reply.json();
    assert_eq!((&answer["version"], &answer["result"]), (&json!(1), &json!({"attributes": kept})));
    let commits = server.changes("g", 0).await;
    let types: Vec<&str> =
        commits[0]["events"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["GraphCreated", "NodeCreated", "NodeCreated", "EdgeCreated", "ViewportSet"]);
    let state = server.read("/graphs/g/state").await;
    assert_eq!((&state["attributes"], ids(&state["nodes"])), (&kept, vec!["a", "b"]));

    let again = send(&server, "g", "CREATE_GRAPH", payload).await;
    let refused = again.problem(409, "GRAPH_EXISTS");
    assert_eq!(refused["resolution"]["conflicts"][0]["entity"], "graph", "{refused}");
    assert_eq!(refused["resolution"]["conflicts"][0]["version"], 1, "{refused}");
}

#[tokio::test]
async fn l4_a_graph_that_another_command_created_exists() {
    let server = Server::start().await;
    server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    send(&server, "g", "CREATE_GRAPH", json!({})).await.problem(409, "GRAPH_EXISTS");
    let dangling = json!({"document": {"edges": [{"source": "x", "target": "y"}]}});
    send(&server, "h", "CREATE_GRAPH", dangling).await.problem(422, "DANGLING_EDGE");
    assert_eq!(server.read("/graphs/h/state").await["version"], 0);
}

#[tokio::test]
async fn l4_the_lifecycle_of_a_graph_is_not_a_part_of_batches() {
    let server = Server::start().await;
    for (name, is_atomic) in [("CREATE_GRAPH", true), ("DELETE_GRAPH", false), ("RECOVER_GRAPH", true)] {
        let batch = json!({"atomic": is_atomic, "operations": [command(name, json!({}))]});
        let refused = server.post("/graphs/g/batch", &batch).await.problem(400, "BAD_REQUEST");
        assert!(refused["detail"].as_str().unwrap().contains("operations[0].type"), "{refused}");
    }
}

#[tokio::test]
async fn l1_attributes_have_limits_and_the_field_is_named() {
    let server = Server::start().await;
    server.apply("g", "CREATE_GRAPH", json!({})).await;
    for (updates, status, place) in [
        (json!({"title": "é".repeat(257)}), 422, "updates.title"),
        (json!({"title": 7}), 400, "updates.title"),
        (json!({"description": "x".repeat(4_097)}), 422, "updates.description"),
        (json!({"tags": vec!["t"; 33]}), 422, "updates.tags"),
        (json!({"tags": ["x".repeat(65)]}), 422, "updates.tags[0]"),
        (json!({"tags": "one"}), 400, "updates.tags"),
        (json!({"settings": {"readOnly": "yes"}}), 400, "updates.settings.readOnly"),
        (json!({"settings": {"colour": 1}}), 400, "updates.settings.colour"),
        (json!({"data": []}), 400, "updates.data"),
        (json!({"colour": "red"}), 400, "updates.colour"),
        (json!({"data": {"text": "x".repeat(17_000)}}), 422, "16384 bytes"),
    ] {
        let reply = send(&server, "g", "UPDATE_GRAPH", json!({"updates": updates})).await;
        let refused = reply.problem(status, if status == 400 { "BAD_REQUEST" } else { "TOO_LARGE" });
        assert!(refused["detail"].as_str().unwrap().contains(place), "{refused}");
    }
    let fits = json!({"title": "é".repeat(256), "description": "x".repeat(4_096), "tags": vec!["t"; 32],
        "data": {"text": "x".repeat(8_000)}, "owner": "ada"});
    server.apply("g", "UPDATE_GRAPH", json!({"updates": fits})).await;
    // Together they would be more than 16 KiB.
    let more = json!({"updates": {"data": {"more": "x".repeat(8_000)}}});
    send(&server, "g", "UPDATE_GRAPH", more).await.problem(422, "TOO_LARGE");
}

#[tokio::test]
async fn l5_attributes_conflict_by_their_leaves() {
    let server = Server::start().await;
    let (ada, bob) = (server.as_user("ada"), server.as_user("bob"));
    ada.apply("g", "CREATE_GRAPH", json!({"attributes": {"title": "One", "data": {"x": 1, "y": 1}}})).await;
    bob.apply("g", "UPDATE_GRAPH", json!({"updates": {"title": "Two", "data": {"x": 2}}})).await;
    let stale = |updates: Value| {
        with(&command("UPDATE_GRAPH", json!({"updates": updates})), json!({"clientVersion": 1}))
    };
    let merged = ada.command("g", &stale(json!({"data": {"y": 3}}))).await.json();
    assert_eq!(merged["outcome"], "merged", "{merged}");
    let refused = ada.command("g", &stale(json!({"title": "Three"}))).await.problem(409, "CONFLICT");
    let conflict = &refused["resolution"]["conflicts"][0];
    assert_eq!(
        (&conflict["entity"], &conflict["id"], &conflict["path"], &conflict["yours"], &conflict["current"]),
        (&json!("graph"), &json!("graph"), &json!("/title"), &json!("Three"), &json!("Two"))
    );
    let same = ada.command("g", &stale(json!({"title": "Two"}))).await.json();
    assert_eq!(same["outcome"], "unchanged", "{same}");
    // A title is no conflict with what others did to nodes, and the other way round.
    let node = with(&command("CREATE_NODE", json!({"id": "a"})), json!({"clientVersion": 1}));
    assert_eq!(ada.command("g", &node).await.status, 200);
    let gone = ada.apply("g", "UPDATE_GRAPH", json!({"updates": {"title": null}})).await;
    assert_eq!(gone["result"], json!({"attributes": {"data": {"x": 2, "y": 3}}}));
}

#[tokio::test]
async fn l3_a_graph_is_one_row() {
    let server = Server::start().await;
    server.get("/graphs/g").await.problem(404, "GRAPH_NOT_FOUND");
    let document = json!({"nodes": [{"id": "a"}, {"id": "b"}], "edges": [{"source": "a", "target": "b"}]});
    let payload = json!({"attributes": {"title": "T"}, "document": document});
    server.as_user("ada").apply("g", "CREATE_GRAPH", payload).await;
    server.as_user("bob").apply("g", "DELETE_NODE", json!({"nodeId": "b"})).await;
    let row = server.read("/graphs/g").await;
    let state = server.read("/graphs/g/state").await;
    assert_eq!(
        (&row["version"], &row["hash"], &row["updatedAt"]),
        (&json!(2), &state["hash"], &state["lastModified"])
    );
    assert_eq!((&row["createdBy"], &row["updatedBy"]), (&json!("ada"), &json!("bob")));
    assert_eq!((&row["nodes"], &row["edges"], &row["labels"]), (&json!(1), &json!(0), &json!({})));
    assert_eq!((&row["attributes"], &row["access"]), (&json!({"title": "T"}), &json!("admin")));
    assert!(row.get("trashed").is_none(), "{row}");
}

#[tokio::test]
async fn l8_the_contents_of_a_graph_in_the_trash_are_gone_and_its_history_is_not() {
    let server = Server::start().await;
    server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    server.apply("g", "CREATE_NODE", json!({"id": "b"})).await;
    let trashed =
        server.as_user("ada").apply("g", "DELETE_GRAPH", json!({"reason": "old", "movedTo": "h"})).await;
    assert_eq!(trashed["version"], 3);
    let shown = &trashed["result"]["trashed"];
    assert_eq!(
        (&shown["by"], &shown["reason"], &shown["movedTo"]),
        (&json!("ada"), &json!("old"), &json!("h"))
    );
    let days = (shown["purgeAt"].as_u64().unwrap() - shown["at"].as_u64().unwrap()) / 86_400_000;
    assert_eq!(days, 30, "{shown}");

    for path in ["state", "state?version=1", "nodes", "nodes/a", "edges", "viewport"] {
        let gone = server.get(&format!("/graphs/g/{path}")).await.problem(410, "GRAPH_TRASHED");
        assert_eq!((&gone["by"], &gone["movedTo"]), (&json!("ada"), &json!("h")), "{path}: {gone}");
        assert_eq!((&gone["at"], &gone["purgeAt"]), (&shown["at"], &shown["purgeAt"]), "{path}: {gone}");
    }
    for path in
        ["changes", "operations", "diff?from=0&to=2", "verify", "nodes/a/history", "state?trashed=include"]
    {
        let reply = server.get(&format!("/graphs/g/{path}")).await;
        assert_eq!(reply.status, 200, "{path}: {}", String::from_utf8_lossy(&reply.body));
    }
    assert_eq!(ids(&server.read("/graphs/g/state?trashed=include&version=1").await["nodes"]), ["a"]);
    assert_eq!(&server.read("/graphs/g").await["trashed"], shown);
    let twice = server.apply("g", "DELETE_GRAPH", json!({})).await;
    assert_eq!((&twice["outcome"], &twice["version"]), (&json!("unchanged"), &json!(3)));
}

#[tokio::test]
async fn l8_a_command_on_a_graph_in_the_trash_does_not_use_up_its_id() {
    let server = Server::start().await;
    let early = with(&command("CREATE_NODE", json!({"id": "a"})), json!({"operationId": new_id()}));
    assert_eq!(server.command("g", &early).await.status, 200);
    server.apply("g", "DELETE_GRAPH", json!({})).await;
    let queued = with(&command("CREATE_NODE", json!({"id": "b"})), json!({"operationId": new_id()}));
    for _ in 0..2 {
        let gone = server.command("g", &queued).await.problem(410, "GRAPH_TRASHED");
        assert!(gone["at"].is_u64() && gone.get("duplicate").is_none(), "{gone}");
    }
    for (name, payload) in [("UPDATE_GRAPH", json!({"updates": {"title": "T"}})), ("CREATE_GRAPH", json!({}))]
    {
        send(&server, "g", name, payload).await.problem(410, "GRAPH_TRASHED");
    }
    // What had ended before is still answered with its outcome (C3).
    assert_eq!(server.command("g", &early).await.json()["duplicate"], true);
    let recovered = server.apply("g", "RECOVER_GRAPH", json!({})).await;
    assert_eq!((&recovered["version"], &recovered["result"]), (&json!(3), &json!({"attributes": {}})));
    let accepted = server.command("g", &queued).await.json();
    assert_eq!((&accepted["version"], accepted.get("duplicate")), (&json!(4), None), "{accepted}");
    assert_eq!(server.apply("g", "RECOVER_GRAPH", json!({})).await["outcome"], "unchanged");
}

#[tokio::test]
async fn l8_delete_is_the_same_operation_in_another_spelling() {
    let server = Server::start().await;
    server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    let id = new_id();
    let delete = || Request::new("DELETE", "/graphs/g?reason=old").header("Idempotency-Key", &id);
    let reply = server.ask(delete()).await;
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    assert_eq!(server.ask(delete()).await.json()["duplicate"], true);
    let spelled = with(&command("DELETE_GRAPH", json!({"reason": "old"})), json!({"operationId": id}));
    assert_eq!(server.command("g", &spelled).await.json()["duplicate"], true);
    let bad = Request::new("DELETE", "/graphs/g").header("Idempotency-Key", "soon");
    server.ask(bad).await.problem(400, "BAD_REQUEST");
    server.ask(Request::new("DELETE", "/graphs/nobody")).await.problem(404, "GRAPH_NOT_FOUND");
    send(&server, "nobody", "RECOVER_GRAPH", json!({})).await.problem(404, "GRAPH_NOT_FOUND");
}

#[tokio::test]
async fn l14_a_read_only_graph_takes_no_changes_of_its_contents() {
    let server = Server::start().await;
    server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    server.apply("g", "UPDATE_GRAPH", json!({"updates": {"settings": {"readOnly": true}}})).await;
    let queued = with(&command("CREATE_NODE", json!({"id": "b"})), json!({"operationId": new_id()}));
    server.command("g", &queued).await.problem(403, "GRAPH_READ_ONLY");
    server.apply("g", "UPDATE_GRAPH", json!({"updates": {"title": "Frozen"}})).await;
    server.apply("g", "DELETE_GRAPH", json!({})).await;
    server.apply("g", "RECOVER_GRAPH", json!({})).await;
    server.command("g", &queued).await.problem(403, "GRAPH_READ_ONLY");
    server.apply("g", "UPDATE_GRAPH", json!({"updates": {"settings": {"readOnly": null}}})).await;
    let accepted = server.command("g", &queued).await;
    assert_eq!(accepted.status, 200, "the id was not used up");
}

#[tokio::test]
async fn l14_settings_lower_the_limits_of_a_graph() {
    let server = Server::start().await;
    let settings = |limits: Value| json!({"updates": {"settings": {"limits": limits}}});
    server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    server.apply("g", "UPDATE_GRAPH", settings(json!({"nodes": 2, "edges": 1, "entityBytes": 200}))).await;
    server.apply("g", "CREATE_NODE", json!({"id": "b"})).await;
    send(&server, "g", "CREATE_NODE", json!({"id": "c"})).await.problem(422, "TOO_LARGE");
    let large = json!({"nodeId": "a", "updates": {"data": {"text": "x".repeat(200)}}});
    send(&server, "g", "UPDATE_NODE", large.clone()).await.problem(413, "TOO_LARGE");
    server.apply("g", "CREATE_EDGE", json!({"source": "a", "target": "b"})).await;
    send(&server, "g", "CREATE_EDGE", json!({"source": "b", "target": "a"})).await.problem(422, "TOO_LARGE");
    // They are lowered, never raised; and taken away again.
    server.apply("g", "UPDATE_GRAPH", settings(json!({"nodes": null, "entityBytes": 1_u64 << 40}))).await;
    server.apply("g", "CREATE_NODE", json!({"id": "c"})).await;
    server.apply("g", "UPDATE_NODE", large).await;
    let huge = json!({"nodeId": "a", "updates": {"data": {"text": "x".repeat(300 << 10)}}});
    send(&server, "g", "UPDATE_NODE", huge).await.problem(413, "TOO_LARGE");
    for (limits, place) in
        [(json!(7), "limits"), (json!({"nodes": -1}), "limits.nodes"), (json!({"x": 1}), "limits.x")]
    {
        let refused = send(&server, "g", "UPDATE_GRAPH", settings(limits)).await.problem(400, "BAD_REQUEST");
        assert!(refused["detail"].as_str().unwrap().contains(place), "{refused}");
    }
    let document = json!({"nodes": [{"id": "a"}, {"id": "b"}]});
    let create = json!({"attributes": {"settings": {"limits": {"nodes": 1}}}, "document": document});
    send(&server, "h", "CREATE_GRAPH", create).await.problem(422, "TOO_LARGE");
}

/// Graphs with different attributes, as everybody sees them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "one list of graphs, and one case for each filter and order")]
async fn l2_lists_are_filtered_and_sorted() {
    let dir = tempfile::tempdir().unwrap();
    let server = crate::support::server::Process::start(&[("DATA_DIR", dir.path().to_str().unwrap())]);
    let client = server.client();
    let graphs = [
        (
            "b.two",
            json!({"title": "Zebra", "tags": ["x"], "owner": "ada", "data": {"stage": "draft", "n": 3}}),
        ),
        (
            "a.one",
            json!({"title": "apple", "description": "About ZEBRAS", "data": {"stage": "live", "n": 3, "on": true}}),
        ),
        (
            "b.three",
            json!({"title": "Mango", "tags": ["x", "y"], "owner": "bob", "data": {"n": "3", "list": [1]}}),
        ),
    ];
    for (id, attributes) in &graphs {
        client.apply(id, "CREATE_GRAPH", json!({"attributes": attributes})).await;
    }
    client.apply("a.one", "CREATE_NODE", json!({"id": "n"})).await;
    client.apply("gone", "CREATE_NODE", json!({"id": "n"})).await;
    client.apply("gone", "DELETE_GRAPH", json!({})).await;
    let listed = async |query: &str| {
        let page = client.read(&format!("/graphs?{query}")).await;
        page["graphs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["graphId"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    // Each graph comes to the list by itself.
    while listed("trashed=only").await != ["gone"] || listed("").await.len() != graphs.len() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for (query, expected) in [
        ("", vec!["a.one", "b.three", "b.two"]),
        ("order=asc", vec!["b.two", "b.three", "a.one"]),
        ("sort=created", vec!["b.three", "a.one", "b.two"]),
        ("sort=title", vec!["a.one", "b.three", "b.two"]),
        ("sort=title&order=desc", vec!["b.two", "b.three", "a.one"]),
        ("sort=id", vec!["a.one", "b.three", "b.two"]),
        ("prefix=b.&sort=id", vec!["b.three", "b.two"]),
        ("q=zebra&sort=id", vec!["a.one", "b.two"]),
        ("q=B.T&sort=id", vec!["b.three", "b.two"]),
        ("tag=x&sort=id", vec!["b.three", "b.two"]),
        ("tag=x&owner=ada", vec!["b.two"]),
        ("label=none", vec![]),
        ("data.stage=draft", vec!["b.two"]),
        ("data.n=3&sort=id", vec!["a.one", "b.three", "b.two"]),
        ("data.n=3&data.on=true", vec!["a.one"]),
        ("data.list=[1]", vec![]),
        ("data.none=", vec![]),
        ("trashed=any&sort=id", vec!["a.one", "b.three", "b.two", "gone"]),
    ] {
        assert_eq!(listed(query).await, expected, "{query}");
    }
    for bad in ["data.=x", "data=x", "data.n=1&data.n=2", "minVersion=1", "limit=201", "sort=size"] {
        client.get(&format!("/graphs?{bad}")).await.problem(400, "BAD_REQUEST");
    }
    let (mut paged, mut cursor) = (vec![], String::new());
    loop {
        let page = client.read(&format!("/graphs?limit=1{cursor}")).await;
        paged.extend(
            page["graphs"].as_array().unwrap().iter().map(|row| row["graphId"].as_str().unwrap().to_owned()),
        );
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, ["a.one", "b.three", "b.two"]);
}

#[tokio::test]
async fn l8_followers_stay_connected_and_commands_on_sockets_are_refused_alike() {
    let server = Server::start().await;
    server.apply("g", "CREATE_GRAPH", json!({"attributes": {"title": "T"}})).await;
    let mut ws = Ws::connect(server.address(), "?userId=bob").await;
    let sync = ws.subscribe("g", json!({})).await;
    assert_eq!(sync["state"]["attributes"], json!({"title": "T"}), "{sync}");
    server.as_user("ada").apply("g", "DELETE_GRAPH", json!({})).await;
    let update = ws.expect("STATE_UPDATE").await;
    assert_eq!(update["events"][0]["type"], "GraphTrashed", "{update}");
    let id = ws.command("g", "CREATE_NODE", json!({"id": "a"})).await;
    let revert = ws.expect("REVERT").await;
    assert_eq!((&revert["code"], &revert["by"]), (&json!("GRAPH_TRASHED"), &json!("ada")), "{revert}");
    assert!(revert["purgeAt"].is_u64() && revert["temporary"] == false, "{revert}");
    ws.command("g", "RECOVER_GRAPH", json!({})).await;
    let recovered = ws.expect("STATE_UPDATE").await;
    assert_eq!(recovered["events"], json!([{"type": "GraphRecovered"}]));
    ws.expect("ACK").await;
    ws.send(&command_frame("g", &id, "CREATE_NODE", json!({"id": "a"}))).await;
    assert_eq!(ws.expect("STATE_UPDATE").await["operationId"], id.as_str(), "the id was not used up");
}

#[tokio::test]
async fn l8_refusals_are_the_same_in_batches_and_as_message_pack() {
    let server = Server::start().await;
    server.apply("g", "CREATE_GRAPH", json!({})).await;
    server.as_user("ada").apply("g", "DELETE_GRAPH", json!({"movedTo": "h"})).await;
    let batch = json!({"operations": [command("CREATE_NODE", json!({"id": "a"}))]});
    let asked = Request::post("/graphs/g/batch", batch.to_string()).header("accept", "application/msgpack");
    let answer = server.ask(asked).await.message_pack();
    let error = &answer["results"][0]["error"];
    assert_eq!(
        (&error["code"], &error["by"], &error["movedTo"]),
        (&json!("GRAPH_TRASHED"), &json!("ada"), &json!("h"))
    );
}
