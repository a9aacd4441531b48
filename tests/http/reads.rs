//! Reads over HTTP (rules V1, V4, V7, A2, H2, H3, H5, H6, O5).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    graph::{bare_state, command, fold, new_id, with},
    http::Request,
    redis::RedisServer,
    server::Server,
};

const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A graph with a bit of everything in it, and how many commits that is.
async fn grown(server: &Server) -> u64 {
    for n in 0..6 {
        let parent = if n > 3 { json!("n0") } else { Value::Null };
        server
            .apply(
                "g",
                "CREATE_NODE",
                json!({"id": format!("n{n}"), "parentId": parent, "data": {"l": [n, null]}}),
            )
            .await;
    }
    let edge = |id: &str, to: &str| json!({"id": id, "source": "n1", "target": to});
    server.apply("g", "CREATE_EDGE", edge("e1", "n0")).await;
    server.apply("g", "CREATE_EDGE", edge("e2", "n2")).await;
    server
        .apply("g", "UPDATE_NODE", json!({"nodeId": "n1", "updates": {"data": {"l": null, "m": {}}}}))
        .await;
    server.apply("g", "UPDATE_NODE_POSITION", json!({"nodeId": "n2", "position": {"x": 1.5, "y": 2}})).await;
    server.apply("g", "SET_VIEWPORT", json!({"x": 1, "y": 2, "zoom": 0.5})).await;
    server
        .apply(
            "g",
            "BATCH_UPDATE",
            json!({"nodes": {"n1": {"data": {"m": null}}}, "edges": [edge("e2", "n3"), edge("e3", "n0")]}),
        )
        .await;
    server.apply("g", "DELETE_NODE", json!({"nodeId": "n0"})).await["version"].as_u64().unwrap()
}

#[tokio::test]
async fn v7_the_empty_graph() {
    let server = Server::start().await;
    let state = server.state("nobody").await;
    let expected = json!({"graphId": "nobody", "version": 0, "hash": ZEROS, "lastModified": null,
        "lastOperationId": null, "attributes": {}, "nodes": [], "edges": [], "viewport": {"x": 0, "y": 0, "zoom": 1}});
    assert_eq!(state, expected);
    let changes = server.read("/graphs/nobody/changes").await;
    let expected = json!({"graphId": "nobody", "since": 0, "currentVersion": 0, "hash": ZEROS,
        "hasMore": false, "changes": []});
    assert_eq!(changes, expected);
    assert_eq!(server.read("/graphs/nobody/nodes").await, json!({"version": 0, "nodes": []}));
    assert_eq!(server.read("/graphs/nobody/state?version=0").await, state);
    server.get("/graphs/nobody/state?version=1").await.problem(404, "VERSION_NOT_FOUND");
}

#[tokio::test]
async fn h_state_has_an_etag() {
    let mut server = Server::start().await;
    grown(&server).await;
    let first = server.get("/graphs/g/state").await;
    assert_eq!(first.header("x-cache"), Some("HIT"));
    let tag = first.header("etag").unwrap().to_owned();
    let ask = async |server: &Server, known: &str| {
        let request = Request::get("/graphs/g/state").header("if-none-match", known);
        server.ask(request).await
    };
    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let reply = ask(&server, &known).await;
        assert_eq!((reply.status, reply.body.len()), (304, 0), "{known}");
        assert_eq!(reply.header("etag"), Some(tag.as_str()));
    }
    assert_eq!(ask(&server, "\"x\"").await.status, 200);
    server.apply("g", "CREATE_NODE", json!({})).await;
    let reply = ask(&server, &tag).await;
    assert_eq!(reply.status, 200);
    assert_ne!(reply.header("etag"), Some(tag.as_str()));

    let body = reply.body.clone();
    server = server.restart().await;
    let reply = server.get("/graphs/g/state").await;
    assert_eq!(reply.header("x-cache"), Some("MISS"), "it had to be loaded");
    assert_eq!(reply.body, body, "and is the same to the byte");
    assert_eq!(server.get("/graphs/g/state").await.header("x-cache"), Some("HIT"));
}

#[tokio::test]
async fn a2_every_version_is_the_fold_of_its_commits() {
    let server = Server::start().await;
    let last = grown(&server).await;
    let commits = server.changes("g", 0).await;
    assert_eq!(commits.len() as u64, last);
    for version in 0..=last {
        let state = server.read(&format!("/graphs/g/state?version={version}")).await;
        assert_eq!(state["version"], version);
        assert_eq!(bare_state(&state), fold(&commits[..version as usize]), "version {version}");
        if version > 0 {
            let commit = &commits[version as usize - 1];
            assert_eq!((&state["hash"], &state["lastModified"]), (&commit["hash"], &commit["timestamp"]));
            assert_eq!(state["lastOperationId"], commit["operationId"]);
        }
    }
    let head = server.get("/graphs/g/state").await;
    assert_eq!(server.get(&format!("/graphs/g/state?version={last}")).await.body, head.body);
    let problem = server.get(&format!("/graphs/g/state?version={}", last + 1)).await;
    problem.problem(404, "VERSION_NOT_FOUND");
}

#[tokio::test]
async fn h_changes_are_only_the_commits_after() {
    let server = Server::start().await;
    let last = grown(&server).await;
    let all = server.changes("g", 0).await;
    for since in 0..=last {
        let page = server.read(&format!("/graphs/g/changes?since={since}")).await;
        assert_eq!(page["changes"].as_array().unwrap(), &all[since as usize..]);
        assert_eq!((&page["since"], &page["currentVersion"]), (&json!(since), &json!(last)));
        assert_eq!((&page["hash"], &page["hasMore"]), (&all[last as usize - 1]["hash"], &json!(false)));
        assert!(page.get("reset").is_none() && page.get("nodes").is_none());
    }
    let (mut since, mut pages) = (0, vec![]);
    loop {
        let page = server.read(&format!("/graphs/g/changes?since={since}&limit=4")).await;
        let commits = page["changes"].as_array().unwrap().clone();
        assert!(commits.len() <= 4 && !commits.is_empty());
        assert_eq!(page["currentVersion"], last);
        pages.extend(commits);
        since = pages.len();
        if page["hasMore"] == false {
            break;
        }
    }
    assert_eq!(pages, all);
}

#[tokio::test]
async fn h2_h6_a_resume_point_of_a_replaced_history_gets_a_reset() {
    let mut server = Server::start().await;
    let last = grown(&server).await;
    let all = server.changes("g", 0).await;
    for restarted in [false, true] {
        if restarted {
            server = server.restart().await; // the history is in no memory now
        }
        let hash_at = |v: u64| match v {
            0 => ZEROS.to_owned(),
            v => all[v as usize - 1]["hash"].as_str().unwrap().to_owned(),
        };
        for since in 0..=last {
            let hash = hash_at(since);
            let page = server.read(&format!("/graphs/g/changes?since={since}&hash={hash}")).await;
            assert_eq!(page["changes"].as_array().unwrap(), &all[since as usize..], "of this history");
            assert!(page.get("reset").is_none());
            for wrong in [hash_at((since + 1) % (last + 1)).as_str(), "", "xyz", &hash[..63]] {
                let page = server.read(&format!("/graphs/g/changes?since={since}&hash={wrong}")).await;
                assert_eq!((&page["reset"], &page["changes"]), (&json!(true), &json!([])), "{since} {wrong}");
                assert_eq!((&page["currentVersion"], &page["hash"]), (&json!(last), &json!(hash_at(last))));
            }
        }
        for ahead in [last + 1, i64::MAX as u64] {
            let page = server.read(&format!("/graphs/g/changes?since={ahead}")).await;
            assert_eq!((&page["reset"], &page["changes"]), (&json!(true), &json!([])));
        }
    }
}

#[tokio::test]
async fn h3_min_version_waits_for_a_write() {
    let server = Server::start().await;
    for (n, route) in ["state", "changes", "nodes", "edges", "viewport", "nodes/n"].iter().enumerate() {
        let version = n as u64 + 1;
        let client = server.clone();
        let path = format!("/graphs/g/{route}?minVersion={version}");
        let reading = async { client.get(&path).await };
        let writing = async {
            tokio::task::yield_now().await;
            let id = if route == &"nodes/n" { "n".to_owned() } else { new_id() };
            server.apply("g", "CREATE_NODE", json!({"id": id})).await
        };
        let started = Instant::now();
        let (reply, _) = tokio::join!(reading, writing);
        assert_eq!(reply.status, 200, "{path}");
        assert!(started.elapsed() < Duration::from_millis(1_500), "woken by the write");
        let shown = reply.json();
        let at = shown.get("version").or(shown.get("currentVersion"));
        assert!(route == &"viewport" || at.and_then(Value::as_u64) >= Some(version), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h3_min_version_waits_for_another_instance_but_not_forever() {
    let redis = RedisServer::start();
    let servers = [Server::on_redis(&redis).await, Server::on_redis(&redis).await];
    servers[1].state("g").await;
    let reader = servers[1].clone();
    let reading = tokio::spawn(async move { reader.read("/graphs/g/state?minVersion=1").await });
    servers[0].apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    assert_eq!(reading.await.unwrap()["version"], 1);
    let started = Instant::now();
    let reply = servers[1].get("/graphs/g/state?minVersion=2").await;
    reply.problem(503, "VERSION_NOT_REACHED");
    let waited = started.elapsed();
    assert!(waited > Duration::from_millis(1_900) && waited < Duration::from_secs(4), "{waited:?}");
    let answer = servers[1].apply("g", "CREATE_NODE", json!({"id": "b"})).await;
    assert_eq!(answer["version"], 2, "a write sees what others wrote");
}

#[tokio::test]
async fn h_entities_alone_and_in_lists() {
    let server = Server::start().await;
    let last = grown(&server).await;
    let state = server.state("g").await;
    assert_eq!(server.read("/graphs/g/nodes").await, json!({"version": last, "nodes": state["nodes"]}));
    assert_eq!(server.read("/graphs/g/edges").await, json!({"version": last, "edges": state["edges"]}));
    assert_eq!(server.read("/graphs/g/viewport").await, state["viewport"]);
    for node in state["nodes"].as_array().unwrap() {
        assert_eq!(&server.read(&format!("/graphs/g/nodes/{}", node["id"].as_str().unwrap())).await, node);
    }
    assert_eq!(server.read("/graphs/g/edges/e2").await, state["edges"][0]);
    server.get("/graphs/g/nodes/n0").await.problem(404, "NODE_NOT_FOUND");
    server.get("/graphs/g/edges/e1").await.problem(404, "EDGE_NOT_FOUND");
    // Whoever knows the version is told nevertheless that it is not there.
    for known in ["*".to_owned(), server.get("/graphs/g/state").await.header("etag").unwrap().to_owned()] {
        let ask = |path: &str| server.ask(Request::get(path).header("if-none-match", &known));
        ask("/graphs/g/nodes/n0").await.problem(404, "NODE_NOT_FOUND");
        ask("/graphs/g/edges/e1").await.problem(404, "EDGE_NOT_FOUND");
        assert_eq!(ask("/graphs/g/nodes/n1").await.status, 304);
    }
    for route in ["nodes", "edges", "viewport", "nodes/n1", "edges/e2"] {
        let path = format!("/graphs/g/{route}");
        let tag = server.get(&path).await.header("etag").unwrap().to_owned();
        assert!(tag.contains(&last.to_string()), "the graph's version: {tag}");
        assert_eq!(server.ask(Request::get(&path).header("if-none-match", &tag)).await.status, 304);
    }
}

#[tokio::test]
async fn h_operations_report_all_three_outcomes() {
    let mut server = Server::start().await;
    server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    let update = |updates: Value| command("UPDATE_NODE", json!({"nodeId": "a", "updates": updates}));
    server.as_user("bob").accept("g", &update(json!({"k": 1}))).await;
    let ada = server.as_user("ada");
    let rows = [
        (update(json!({"w": 1})), "completed", json!("applied")),
        (update(json!({"w": 1})), "completed", json!("unchanged")),
        (with(&update(json!({"v": 1})), json!({"clientVersion": 1})), "completed", json!("merged")),
        (with(&update(json!({"k": 2})), json!({"clientVersion": 1})), "conflict", Value::Null),
        (command("DELETE_NODE", json!({"nodeId": "x"})), "failed", Value::Null),
        (command("CREATE_EDGE", json!({"source": "a", "target": "x"})), "failed", Value::Null),
    ];
    let mut told = Vec::new();
    for (envelope, status, outcome) in rows {
        let envelope = with(&envelope, json!({"operationId": new_id()}));
        let reply = ada.command("g", &envelope).await.json();
        let path = format!("/operations/{}", envelope["operationId"].as_str().unwrap());
        let found = server.read(&path).await;
        assert_eq!((&found["status"], &found["outcome"]), (&json!(status), &outcome), "{found}");
        assert_eq!((&found["graphId"], &found["userId"]), (&json!("g"), &json!("ada")));
        assert_eq!((&found["operationId"], &found["type"]), (&envelope["operationId"], &envelope["type"]));
        assert!(found["createdAt"].as_u64() <= found["completedAt"].as_u64() && found["createdAt"].is_u64());
        match status {
            "completed" => assert_eq!(found["version"], reply["version"]),
            _ => assert_eq!(found["error"]["code"], reply["code"], "{found}"),
        }
        assert_eq!(found.get("resolution"), reply.get("resolution"));
        told.push((path, found));
    }
    server = server.restart().await;
    for (path, found) in told {
        assert_eq!(server.read(&path).await, found, "after a restart");
    }
    server.get(&format!("/operations/{}", new_id())).await.problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn h_message_pack_in_and_out() {
    let server = Server::start().await;
    let envelope = command("CREATE_NODE", json!({"id": "a", "data": {"n": [u64::MAX, -1, 1.5, null, "ü"]}}));
    for (graph, kind) in
        ["application/msgpack", "application/vnd.msgpack", "application/x-msgpack"].iter().enumerate()
    {
        let request =
            Request::post(&format!("/graphs/{graph}/command"), rmp_serde::to_vec(&envelope).unwrap());
        let reply = server.ask(request.header("content-type", kind).header("accept", kind)).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.message_pack()["result"]["data"], envelope["payload"]["data"]);
        let id = reply.message_pack()["operationId"].as_str().unwrap().to_owned();
        let paths = ["state", "changes", "nodes", "nodes/a", "edges", "viewport", "state?version=1"]
            .map(|route| format!("/graphs/{graph}/{route}"));
        for path in paths.into_iter().chain([format!("/operations/{id}")]) {
            let packed = server.ask(Request::get(&path).header("accept", kind)).await;
            assert_eq!(packed.message_pack(), server.read(&path).await, "{path}");
            let tags =
                [packed.header("etag"), server.get(&path).await.header("etag")].map(|t| t.map(str::to_owned));
            assert!(tags[0].is_none() || tags[0] != tags[1], "two encodings are two representations");
        }
    }
    for accept in ["application/msgpack;q=0.1, application/json", "*/*", "text/html", "application/*"] {
        let reply = server.ask(Request::get("/graphs/0/state").header("accept", accept)).await;
        assert_eq!(reply.header("content-type"), Some("application/json"), "{accept}");
    }
}

#[tokio::test]
async fn o5_health() {
    let server = Server::start().await;
    assert_eq!(server.get("/healthz").await.status, 200);
    let ready = server.read("/readyz").await;
    assert!(ready.to_string().contains("fsync"), "durability is declared: {ready}");
    for path in ["/healthz", "/readyz"] {
        let reply = server.ask(Request::get(path).header("accept", "application/msgpack")).await;
        assert_eq!(reply.header("content-type"), Some("application/msgpack"), "{path}");
        assert!(reply.message_pack()["status"].is_string(), "{path}");
    }
    server.graphs.store().close().await;
    assert_eq!(server.get("/healthz").await.status, 200, "the process lives");
    let problem = server.get("/readyz").await.problem(503, "STORE_UNAVAILABLE");
    assert!(!problem["reasons"].as_array().unwrap().is_empty());
}
