//! Commands over HTTP: what each comes to, what its sender is told, and what the graph keeps
//! (rules C, C1, C2, G1 to G6, V1 to V5).

mod batches;

use serde_json::{Value, json};

use crate::support::{
    graph::{assert_invariants, bare, bare_state, command, fold, ids},
    server::Server,
};

/// The events of the graph's last commit.
async fn last_events(server: &Server, graph: &str) -> Value {
    server.changes(graph, 0).await.last().unwrap()["events"].clone()
}

/// Two nodes and an edge.
async fn a_to_b(server: &Server) {
    server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    server.apply("g", "CREATE_NODE", json!({"id": "b"})).await;
    server.apply("g", "CREATE_EDGE", json!({"id": "ab", "source": "a", "target": "b"})).await;
}

#[tokio::test]
async fn c_create_node() {
    let server = Server::start().await;
    let node = json!({"id": "a", "position": {"x": 1, "y": 2.5}, "type": "input", "data": {"k": [1]}});
    let answer = server.apply("g", "CREATE_NODE", node.clone()).await;
    assert_eq!(answer["outcome"], "applied");
    assert_eq!(answer["version"], 1);
    assert_eq!(bare(&answer["result"]), node);
    assert_eq!(answer["result"]["version"], 1);
    assert!(answer.get("duplicate").is_none());
    assert_eq!(last_events(&server, "g").await, json!([{"type": "NodeCreated", "node": node}]));

    let answer = server.apply("g", "CREATE_NODE", json!({})).await;
    let id = answer["result"]["id"].as_str().unwrap();
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7, "G3");
    assert_eq!(answer["result"]["position"], json!({"x": 0, "y": 0}));
}

#[tokio::test]
async fn c_update_node() {
    let server = Server::start().await;
    let node =
        json!({"id": "a", "position": {"x": 1, "y": 2}, "type": "t", "data": {"keep": 1, "drop": {"x": 1}}});
    server.apply("g", "CREATE_NODE", node).await;
    let updates =
        json!({"data": {"drop": null, "new": {"deep": null, "kept": 1}}, "position": {"x": 9}, "width": 5});
    let answer = server.apply("g", "UPDATE_NODE", json!({"nodeId": "a", "updates": updates})).await;
    let after = json!({"id": "a", "position": {"x": 9, "y": 2}, "type": "t",
        "data": {"keep": 1, "new": {"kept": 1}}, "width": 5});
    assert_eq!(bare(&answer["result"]), after, "RFC 7396");
    assert_eq!(
        last_events(&server, "g").await,
        json!([{"type": "NodeUpdated", "nodeId": "a", "patch": updates}])
    );
    let answer = server.apply("g", "UPDATE_NODE", json!({"nodeId": "a", "updates": {"type": null}})).await;
    assert!(answer["result"].get("type").is_none());
}

#[tokio::test]
async fn c_update_node_position() {
    let server = Server::start().await;
    server.apply("g", "CREATE_NODE", json!({"id": "a", "data": {"k": 1}})).await;
    let position = json!({"x": -3.25, "y": 1e10});
    let answer =
        server.apply("g", "UPDATE_NODE_POSITION", json!({"nodeId": "a", "position": position})).await;
    assert_eq!(bare(&answer["result"]), json!({"id": "a", "position": position, "data": {"k": 1}}));
    assert_eq!(
        last_events(&server, "g").await,
        json!([{"type": "NodeMoved", "nodeId": "a", "position": position}])
    );
}

#[tokio::test]
async fn c_delete_node_takes_descendants_and_edges_children_first() {
    let server = Server::start().await;
    a_to_b(&server).await;
    for (id, parent) in [("group", ""), ("inner", "group"), ("leaf", "inner")] {
        let parent = if parent.is_empty() { Value::Null } else { json!(parent) };
        server.apply("g", "CREATE_NODE", json!({"id": id, "parentId": parent})).await;
    }
    for (id, source, target) in [("al", "a", "leaf"), ("gg", "group", "group"), ("ib", "inner", "b")] {
        server.apply("g", "CREATE_EDGE", json!({"id": id, "source": source, "target": target})).await;
    }
    let answer = server.apply("g", "DELETE_NODE", json!({"nodeId": "group"})).await;
    let result = &answer["result"];
    assert_eq!(result["deletedNode"], "group");
    assert_eq!(result["deletedNodes"], json!(["leaf", "inner", "group"]));
    assert_eq!(result["deletedEdges"], json!(["al", "gg", "ib"]));
    let events = last_events(&server, "g").await;
    let expected: Vec<Value> = (["al", "gg", "ib"].map(|id| json!({"type": "EdgeDeleted", "edgeId": id})))
        .into_iter()
        .chain(["leaf", "inner", "group"].map(|id| json!({"type": "NodeDeleted", "nodeId": id})))
        .collect();
    assert_eq!(events, Value::from(expected));
    let state = server.state("g").await;
    assert_eq!((ids(&state["nodes"]), ids(&state["edges"])), (vec!["a", "b"], vec!["ab"]));
}

#[tokio::test]
async fn c_edges() {
    let server = Server::start().await;
    a_to_b(&server).await;
    let long_id = format!("reactflow__edge-{}", "{œdataTypeœ:œChatInputœ}".repeat(20));
    let edge = json!({"id": long_id, "source": "a", "target": "a", "sourceHandle": null,
        "targetHandle": "{\"id\":1}", "animated": true, "data": {"a": null}});
    let answer = server.apply("g", "CREATE_EDGE", edge.clone()).await;
    assert_eq!(bare(&answer["result"]), edge, "a self-loop with everything it came with");
    assert_eq!(last_events(&server, "g").await, json!([{"type": "EdgeCreated", "edge": edge}]));
    server.apply("g", "CREATE_EDGE", json!({"source": "a", "target": "b"})).await; // parallel to ab

    let updates = json!({"target": "b", "label": "x", "sourceHandle": null});
    let answer = server.apply("g", "UPDATE_EDGE", json!({"edgeId": long_id, "updates": updates})).await;
    assert_eq!(
        (&answer["result"]["source"], &answer["result"]["target"], &answer["result"]["label"]),
        (&json!("a"), &json!("b"), &json!("x"))
    );
    assert!(answer["result"].get("sourceHandle").is_none(), "null in a merge patch takes away");
    assert_eq!(
        last_events(&server, "g").await,
        json!([{"type": "EdgeUpdated", "edgeId": long_id, "patch": updates}])
    );

    let answer = server.apply("g", "DELETE_EDGE", json!({"edgeId": long_id})).await;
    assert_eq!(answer["result"], json!({"deletedEdge": long_id}));
    assert_eq!(last_events(&server, "g").await, json!([{"type": "EdgeDeleted", "edgeId": long_id}]));
}

#[tokio::test]
async fn c_set_viewport() {
    let server = Server::start().await;
    let viewport = json!({"x": -1, "y": 2.5, "zoom": 0.001});
    let answer = server.apply("g", "SET_VIEWPORT", viewport.clone()).await;
    assert_eq!(answer["result"], viewport);
    assert_eq!(last_events(&server, "g").await, json!([{"type": "ViewportSet", "viewport": viewport}]));
    assert_eq!(server.read("/graphs/g/viewport").await, viewport);
}

#[tokio::test]
async fn c1_what_changes_nothing_makes_no_commit() {
    let server = Server::start().await;
    a_to_b(&server).await;
    server
        .apply("g", "UPDATE_NODE", json!({"nodeId": "a", "updates": {"data": {"k": 1}, "width": 100}}))
        .await;
    let before = server.state("g").await;
    let unchanged = [
        ("UPDATE_NODE", json!({"nodeId": "a", "updates": {}})),
        ("UPDATE_NODE", json!({"nodeId": "a", "updates": {"data": {"k": 1, "absent": null}}})),
        ("UPDATE_NODE", json!({"nodeId": "a", "updates": {"id": "a", "version": 99, "createdAt": 0}})),
        ("UPDATE_NODE_POSITION", json!({"nodeId": "a", "position": {"x": 0.0, "y": 0}})),
        ("UPDATE_EDGE", json!({"edgeId": "ab", "updates": {"source": "a"}})),
        ("SET_VIEWPORT", json!({"x": 0, "y": 0, "zoom": 1})),
        ("BATCH_UPDATE", json!({})),
        ("BATCH_UPDATE", json!({"nodes": before["nodes"], "edges": before["edges"]})),
    ];
    for (name, payload) in unchanged {
        let answer = server.apply("g", name, payload.clone()).await;
        assert_eq!(answer["outcome"], "unchanged", "{name} {payload}");
        assert_eq!((&answer["version"], &answer["hash"]), (&before["version"], &before["hash"]));
    }
    assert_eq!(server.state("g").await, before);
}

#[tokio::test]
async fn g1_every_attribute_is_kept_as_given() {
    let server = Server::start().await;
    let node = json!({"id": "ノード 1", "position": {"x": 0.1, "y": -0.0}, "type": null, "data": null,
        "selected": false, "measured": {"width": 1e-7, "height": 123456789012345678_u64}, "z": [],
        "min": i64::MIN, "max": u64::MAX, "float": 1.7976931348623157e308, "": {"": ""}, "$type": "x"});
    server.apply("g", "CREATE_NODE", node.clone()).await;
    assert_eq!(bare(&server.state("g").await["nodes"][0]), node);
    let text = String::from_utf8(server.get("/graphs/g/state").await.body).unwrap();
    assert!(text.contains("\"max\":18446744073709551615"), "G6: {text}");
    let keys: Vec<&String> = node.as_object().unwrap().keys().collect();
    let kept = bare(&server.state("g").await["nodes"][0]);
    assert_eq!(kept.as_object().unwrap().keys().collect::<Vec<_>>(), keys, "in their order");
    server.apply("g", "CREATE_NODE", json!({"id": "p", "parentId": null})).await;
    assert!(server.read("/graphs/g/nodes/p").await.get("parentId").is_none_or(Value::is_null));
}

#[tokio::test]
async fn g2_server_fields_in_requests_are_ignored() {
    let server = Server::start().await;
    let forged = json!({"id": "a", "createdAt": 1, "updatedAt": "x", "version": {}});
    let node = server.apply("g", "CREATE_NODE", forged).await["result"].clone();
    assert!(node["createdAt"].as_u64().unwrap() > 1_600_000_000_000);
    assert_eq!((&node["createdAt"], &node["version"]), (&node["updatedAt"], &json!(1)));
    server.apply("g", "SET_VIEWPORT", json!({"x": 1, "y": 1, "zoom": 1})).await;
    let updates = json!({"data": {"k": 1}, "version": 77});
    let after =
        server.apply("g", "UPDATE_NODE", json!({"nodeId": "a", "updates": updates})).await["result"].clone();
    assert_eq!((&after["version"], &after["createdAt"]), (&json!(3), &node["createdAt"]));
    assert!(after["updatedAt"].as_u64() >= node["updatedAt"].as_u64());
    let edge = json!({"id": "e", "source": "a", "target": "a", "version": 5, "createdAt": []});
    let edge = server.apply("g", "CREATE_EDGE", edge).await["result"].clone();
    assert_eq!(edge["version"], 4);
    bare(&edge);
}

#[tokio::test]
async fn g4_parents_by_either_name() {
    let server = Server::start().await;
    server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    server.apply("g", "CREATE_NODE", json!({"id": "b", "parentNode": "a"})).await;
    server.apply("g", "CREATE_NODE", json!({"id": "c", "parentId": "b"})).await;
    let update = |id: &str, updates: Value| command("UPDATE_NODE", json!({"nodeId": id, "updates": updates}));
    let refused = [
        (update("a", json!({"parentId": "c"})), "PARENT_CYCLE"),
        (update("a", json!({"parentNode": "c"})), "PARENT_CYCLE"),
        (update("a", json!({"parentId": "a"})), "PARENT_CYCLE"),
        (command("CREATE_NODE", json!({"id": "s", "parentNode": "s"})), "PARENT_CYCLE"),
        (command("CREATE_NODE", json!({"parentNode": "nobody"})), "PARENT_NOT_FOUND"),
        (update("c", json!({"parentId": "nobody"})), "PARENT_NOT_FOUND"),
        (
            command("BATCH_UPDATE", json!({"nodes": {"x": {"parentId": "y"}, "y": {"parentNode": "x"}}})),
            "PARENT_CYCLE",
        ),
        (command("CREATE_EDGE", json!({"source": "a", "target": "nobody"})), "DANGLING_EDGE"),
        (command("BATCH_UPDATE", json!({"edges": [{"source": "nobody", "target": "a"}]})), "DANGLING_EDGE"),
    ];
    for (envelope, code) in refused {
        let problem = server.command("g", &envelope).await.problem(422, code);
        assert!(problem.get("resolution").is_none(), "{problem}");
    }
    let forward = json!({"nodes": [{"id": "child", "parentId": "later"}, {"id": "later"}]});
    server.apply("g", "BATCH_UPDATE", forward).await;
    let answer = server.apply("g", "DELETE_NODE", json!({"nodeId": "a"})).await;
    assert_eq!(answer["result"]["deletedNodes"], json!(["c", "b", "a"]));
    assert_invariants(&server.state("g").await);
}

#[tokio::test]
async fn v3_v5_hashes_chain_and_times_never_decrease() {
    let server = Server::start().await;
    a_to_b(&server).await;
    let ada = server.as_user("ada");
    let envelope =
        json!({"type": "SET_VIEWPORT", "payload": {"x": 1, "y": 1, "zoom": 1}, "clientId": "tab-1"});
    let answer = ada.accept("g", &envelope).await;
    let commits = server.changes("g", 0).await;
    let versions: Vec<_> = commits.iter().map(|c| c["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, [1, 2, 3, 4], "V1");
    assert!(commits.windows(2).all(|two| two[0]["timestamp"].as_u64() <= two[1]["timestamp"].as_u64()), "V5");
    let last = &commits[3];
    assert_eq!(last["hash"], answer["hash"]);
    assert_eq!(last["operationId"], answer["operationId"]);
    assert_eq!((&last["userId"], &last["clientId"]), (&json!("ada"), &json!("tab-1")));
    assert_eq!((&commits[0]["userId"], &commits[0]["clientId"]), (&json!("anonymous"), &json!("anonymous")));
    assert_eq!((&last["commandType"], &last["outcome"]), (&json!("SET_VIEWPORT"), &json!("applied")));
    let stored =
        server.graphs.store().read(&"g".parse().unwrap(), versions_from(0), versions_from(4), 9).await;
    let mut hash = dao_projections::Hash::EMPTY;
    for (stored, commit) in stored.unwrap().iter().zip(&commits) {
        hash = hash.chain(&stored.body);
        assert_eq!(commit["hash"], hash.to_hex());
    }
    assert_eq!(bare_state(&server.state("g").await), fold(&commits));
}

fn versions_from(n: u64) -> dao_projections::Version {
    dao_projections::Version::new(n).unwrap()
}
