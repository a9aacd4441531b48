//! Rules D1 to D3: whose changes count, and which fields conflict.

use serde_json::{Value, json};

use super::{Desk, POLICIES, SEEN, paths, stale, update};
use crate::support::graph::{command, with};

#[tokio::test]
async fn d1_ones_own_commits_never_conflict() {
    for policy in POLICIES {
        let desk = Desk::new().await;
        let tab = |id: &str, updates: Value| {
            with(&stale(policy, "UPDATE_NODE", update("a", updates)), json!({"clientId": id}))
        };
        assert_eq!(desk.ada.accept("g", &tab("tab-1", json!({"k": 1}))).await["outcome"], "applied");
        assert_eq!(desk.ada.accept("g", &tab("tab-1", json!({"k": 2}))).await["outcome"], "applied");
        // Her other tab had not seen it, and bob's client of the same name is not hers.
        let others = [desk.ada.clone(), desk.bob.clone()].into_iter().zip(["tab-2", "tab-1"]);
        for (k, (client, id)) in (3..).zip(others) {
            let reply = client.command("g", &tab(id, json!({"k": k}))).await;
            match policy {
                "overwrite" => assert_eq!(reply.json()["outcome"], "merged"),
                _ => drop(reply.problem(409, "CONFLICT")),
            }
        }
    }
}

#[tokio::test]
async fn d1_without_a_client_id_no_commit_is_ones_own() {
    for policy in POLICIES {
        let desk = Desk::new().await;
        let write = |k: u8, more: Value| {
            let command = command("UPDATE_NODE", update("a", json!({"k": k})));
            with(&command, with(&json!({"clientVersion": SEEN, "onConflict": policy}), more))
        };
        assert_eq!(desk.ada.accept("g", &write(1, json!({}))).await["outcome"], "applied");
        // Her other tab; a script of hers; and one that calls itself as she is called.
        for (k, more) in (2..).zip([json!({}), json!({"clientId": "tab"}), json!({"clientId": "ada"})]) {
            let reply = desk.ada.command("g", &write(k, more)).await;
            match policy {
                "overwrite" => assert_eq!(reply.json()["outcome"], "merged"),
                _ => drop(reply.problem(409, "CONFLICT")),
            }
        }
        assert_eq!(desk.ada.changes("g", SEEN).await[0]["clientId"], "ada", "as before");
    }
    let desk = Desk::new().await;
    for k in 1..3 {
        let named =
            with(&stale("reject", "UPDATE_NODE", update("a", json!({"k": k}))), json!({"clientId": "ada"}));
        assert_eq!(desk.ada.accept("g", &named).await["outcome"], "applied", "the name may be the user's");
    }
}

#[tokio::test]
async fn d2_changes_of_other_entities_are_applied() {
    for policy in POLICIES {
        let desk = Desk::new().await;
        desk.bob("UPDATE_NODE", update("b", json!({"k": 1}))).await;
        desk.bob("CREATE_NODE", json!({"id": "c"})).await;
        desk.bob("SET_VIEWPORT", json!({"x": 9, "y": 9, "zoom": 9})).await;
        desk.ada(policy, "UPDATE_NODE", update("a", json!({"k": 1})), "applied").await;
        desk.ada(
            policy,
            "UPDATE_NODE_POSITION",
            json!({"nodeId": "a", "position": {"x": 1, "y": 1}}),
            "applied",
        )
        .await;
        desk.ada(policy, "UPDATE_EDGE", json!({"edgeId": "ab", "updates": {"k": 1}}), "applied").await;
        desk.ada(policy, "CREATE_EDGE", json!({"source": "a", "target": "b"}), "applied").await;
        desk.ada(policy, "DELETE_NODE", json!({"nodeId": "a"}), "applied").await;
    }
}

#[tokio::test]
async fn d2_changes_of_other_fields_are_merged() {
    let rows = [
        (json!({"data": {"x": 2}}), json!({"data": {"y": {"z": 2}}})),
        (json!({"data": {"y": {"z": 2}}}), json!({"data": {"y": {"new": 1}}})),
        (json!({"type": "u"}), json!({"data": {"x": 2}})),
        (json!({"position": {"x": 5}}), json!({"width": 5})),
        (json!({"data": {"x": null}}), json!({"data": {"new": null, "w": 1}})),
        (json!({"data": {"": 1}}), json!({"data": {"~": 1, "/": 1}})),
    ];
    for (theirs, hers) in rows {
        for policy in ["merge", "overwrite"] {
            let desk = Desk::new().await;
            desk.bob("UPDATE_NODE", update("a", theirs.clone())).await;
            desk.ada(policy, "UPDATE_NODE", update("a", hers.clone()), "merged").await;
        }
        let desk = Desk::new().await;
        desk.bob("UPDATE_NODE", update("a", theirs.clone())).await;
        let conflicts = desk.ada_refused("reject", "UPDATE_NODE", update("a", hers), "CONFLICT").await;
        assert!(!paths(&conflicts).is_empty(), "D5: what was touched is told");
    }
}

#[tokio::test]
async fn d3_the_same_field_conflicts() {
    let rows = [
        // bob's, ada's, the path in conflict, what stands there
        (json!({"data": {"x": 2}}), json!({"data": {"x": 3}}), "/data/x", json!(2)),
        (json!({"data": {"x": null}}), json!({"data": {"x": 3}}), "/data/x", Value::Null),
        (json!({"data": {"x": 2}}), json!({"data": {"x": null}}), "/data/x", json!(2)),
        (json!({"data": {"y": {"z": 2}}}), json!({"data": {"y": null}}), "/data/y", json!({"z": 2})),
        (json!({"data": {"y": 5}}), json!({"data": {"y": {"z": 2}}}), "/data/y/z", Value::Null),
        (json!({"data": {"a/b~": 1}}), json!({"data": {"a/b~": 2}}), "/data/a~1b~0", json!(1)),
        (json!({"position": {"x": 1}}), json!({"position": {"y": 1}}), "/position", json!({"x": 1, "y": 0})),
        (json!({"l": [1, 2]}), json!({"l": [1, 3]}), "/l", json!([1, 2])),
    ];
    for (theirs, hers, path, current) in rows {
        for policy in ["merge", "reject"] {
            let desk = Desk::new().await;
            let by = desk.bob("UPDATE_NODE", update("a", theirs.clone())).await;
            let conflicts =
                desk.ada_refused(policy, "UPDATE_NODE", update("a", hers.clone()), "CONFLICT").await;
            assert_eq!(paths(&conflicts), [path], "{policy}");
            let conflict = &conflicts[0];
            assert_eq!((&conflict["entity"], &conflict["id"]), (&json!("node"), &json!("a")));
            assert_eq!(conflict["current"], current, "{path}");
            assert_eq!((&conflict["version"], &conflict["userId"]), (&json!(5), &json!("bob")));
            assert_eq!(conflict["operationId"], by["operationId"]);
        }
        let desk = Desk::new().await;
        desk.bob("UPDATE_NODE", update("a", theirs)).await;
        desk.ada("overwrite", "UPDATE_NODE", update("a", hers), "merged").await;
    }
}

#[tokio::test]
async fn d3_d7_each_conflicting_path_names_its_latest_commit() {
    let desk = Desk::new().await;
    desk.bob("UPDATE_NODE", update("a", json!({"data": {"x": 2}, "type": "u"}))).await;
    desk.bob("UPDATE_NODE", update("a", json!({"data": {"x": 3}}))).await;
    let hers = json!({"data": {"x": 9, "free": 1}, "type": "v"});
    let conflicts = desk.ada_refused("merge", "UPDATE_NODE", update("a", hers), "CONFLICT").await;
    let told: Vec<_> = (conflicts.as_array().unwrap().iter())
        .map(|c| {
            (c["path"].as_str().unwrap(), c["yours"].clone(), c["current"].clone(), c["version"].clone())
        })
        .collect();
    assert_eq!(
        told,
        [("/data/x", json!(9), json!(3), json!(6)), ("/type", json!("v"), json!("u"), json!(5))]
    );
}

#[tokio::test]
async fn d3_writing_the_current_value_is_not_a_conflict() {
    let desk = Desk::new().await;
    desk.bob("UPDATE_NODE", update("a", json!({"data": {"x": 2}}))).await;
    desk.ada("merge", "UPDATE_NODE", update("a", json!({"data": {"x": 2}})), "unchanged").await;
    desk.ada("merge", "UPDATE_NODE", update("a", json!({"data": {"x": 2, "w": 1}})), "merged").await;
    desk.bob("UPDATE_EDGE", json!({"edgeId": "ab", "updates": {"label": "l"}})).await;
    desk.ada("merge", "UPDATE_EDGE", json!({"edgeId": "ab", "updates": {"label": "l"}}), "unchanged").await;
}

#[tokio::test]
async fn d3_moves_and_the_viewport_are_last_writer_wins() {
    let to = |x: u8| json!({"nodeId": "a", "position": {"x": x, "y": 0}});
    let view = |x: u8| json!({"x": x, "y": 0, "zoom": 1});
    for policy in ["merge", "overwrite"] {
        let desk = Desk::new().await;
        desk.bob("UPDATE_NODE_POSITION", to(5)).await;
        desk.bob("SET_VIEWPORT", view(5)).await;
        desk.ada(policy, "UPDATE_NODE_POSITION", to(6), "merged").await;
        desk.ada(policy, "SET_VIEWPORT", view(6), "merged").await;
        desk.ada(policy, "UPDATE_NODE_POSITION", to(6), "unchanged").await;
        let state = desk.ada.state("g").await;
        assert_eq!((&state["nodes"][0]["position"]["x"], &state["viewport"]), (&json!(6), &view(6)));
    }
    let desk = Desk::new().await;
    desk.bob("UPDATE_NODE_POSITION", to(5)).await;
    desk.bob("SET_VIEWPORT", view(5)).await;
    let conflicts = desk.ada_refused("reject", "UPDATE_NODE_POSITION", to(6), "CONFLICT").await;
    assert_eq!(paths(&conflicts), ["/position"]);
    let conflicts = desk.ada_refused("reject", "SET_VIEWPORT", view(6), "CONFLICT").await;
    assert_eq!(conflicts[0]["entity"], "viewport");
}

#[tokio::test]
async fn d3_deleting_what_others_changed_is_a_conflict() {
    let node = || json!({"nodeId": "a"});
    for (change, merge_conflicts) in [
        (("UPDATE_NODE", update("a", json!({"k": 1}))), true),
        (("UPDATE_NODE_POSITION", json!({"nodeId": "a", "position": {"x": 5, "y": 5}})), false),
        (("BATCH_UPDATE", json!({"nodes": {"a": {"k": 1}}})), true),
    ] {
        let (name, payload) = change;
        for policy in POLICIES {
            let desk = Desk::new().await;
            desk.bob(name, payload.clone()).await;
            match policy {
                "merge" if merge_conflicts => {
                    desk.ada_refused(policy, "DELETE_NODE", node(), "CONFLICT").await;
                }
                "reject" => drop(desk.ada_refused(policy, "DELETE_NODE", node(), "CONFLICT").await),
                _ => desk.ada(policy, "DELETE_NODE", node(), "merged").await,
            }
        }
    }
    // Edges that go along with it are no obstacle, unless she wants nothing of others to go.
    for policy in POLICIES {
        let desk = Desk::new().await;
        desk.bob("UPDATE_EDGE", json!({"edgeId": "ab", "updates": {"k": 1}})).await;
        desk.bob("CREATE_EDGE", json!({"id": "aa", "source": "a", "target": "a"})).await;
        if policy == "reject" {
            let conflicts = desk.ada_refused(policy, "DELETE_NODE", node(), "CONFLICT").await;
            assert_eq!((&conflicts[0]["id"], &conflicts[1]["id"]), (&json!("ab"), &json!("aa")));
            continue;
        }
        desk.ada(policy, "DELETE_NODE", node(), "applied").await;
        assert_eq!(desk.ada.state("g").await["nodes"].as_array().unwrap().len(), 1);
    }

    let desk = Desk::new().await;
    desk.bob("UPDATE_EDGE", json!({"edgeId": "ab", "updates": {"k": 1}})).await;
    let conflicts = desk.ada_refused("merge", "DELETE_EDGE", json!({"edgeId": "ab"}), "CONFLICT").await;
    assert_eq!((&conflicts[0]["entity"], &conflicts[0]["id"]), (&json!("edge"), &json!("ab")));
    desk.ada("overwrite", "DELETE_EDGE", json!({"edgeId": "ab"}), "merged").await;
}

#[tokio::test]
async fn d3_deleting_a_node_that_others_changed_inside_is_a_conflict() {
    let node = || json!({"nodeId": "a"});
    let works = [
        ("CREATE_NODE", json!({"id": "new", "parentId": "inner"}), true),
        ("CREATE_NODE", json!({"id": "new", "parentNode": "a"}), true),
        ("UPDATE_NODE", update("inner", json!({"k": 1})), true),
        ("UPDATE_NODE", update("b", json!({"parentId": "inner"})), true),
        ("BATCH_UPDATE", json!({"nodes": [{"id": "inner", "parentId": "a", "data": {"k": 1}}]}), true),
        ("UPDATE_NODE_POSITION", json!({"nodeId": "inner", "position": {"x": 5, "y": 5}}), false),
        ("CREATE_EDGE", json!({"id": "e", "source": "inner", "target": "b"}), false),
    ];
    for (name, payload, is_work) in works {
        for policy in POLICIES {
            let desk = Desk::new().await;
            let seen =
                desk.ada.apply("g", "CREATE_NODE", json!({"id": "inner", "parentId": "a"})).await["version"]
                    .clone();
            let work = desk.bob(name, payload.clone()).await;
            let delete = with(&stale(policy, "DELETE_NODE", node()), json!({"clientVersion": seen}));
            let ungroup = json!({"atomic": true, "clientVersion": seen, "onConflict": policy, "operations": [
                command("UPDATE_NODE", update("inner", json!({"parentId": null}))), command("DELETE_NODE", node())]});
            let reply = desk.ada.command("g", &delete).await;
            match policy {
                "overwrite" => {
                    assert_eq!(reply.json()["outcome"], if is_work { "merged" } else { "applied" })
                }
                "merge" if !is_work => assert_eq!(reply.json()["outcome"], "applied"),
                _ => {
                    let problem = reply.problem(409, "CONFLICT");
                    let entry = &problem["resolution"]["conflicts"][0];
                    assert_eq!(
                        (&entry["operationId"], &entry["userId"]),
                        (&work["operationId"], &json!("bob"))
                    );
                    assert_eq!(entry["yours"], Value::Null);
                    let again = with(&delete, json!({"clientVersion": work["version"]}));
                    if name == "CREATE_NODE" && payload["parentNode"] == "a" {
                        assert_eq!(
                            desk.ada.post("/graphs/g/batch", &ungroup).await.problem(409, "CONFLICT")["index"],
                            1
                        );
                    }
                    assert_eq!(
                        desk.ada.accept("g", &again).await["outcome"],
                        "applied",
                        "now she has seen it"
                    );
                }
            }
        }
    }
}
