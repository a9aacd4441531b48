//! Two people on one graph (rules D1 to D7): ada acts on what she last saw, bob was there meanwhile.

use serde_json::{Value, json};

use crate::support::{
    graph::{assert_invariants, command, with},
    http::Client,
    server::Server,
};

/// A graph at version 4 with nodes `a`, `b`, an edge `ab` and data in them, and its two users.
struct Desk {
    _server: Server,
    ada: Client,
    bob: Client,
}

/// What ada had seen: everything but what bob does in the test.
const SEEN: u64 = 4;

impl Desk {
    async fn new() -> Self {
        let server = Server::start().await;
        let (ada, bob) = (server.as_user("ada"), server.as_user("bob"));
        ada.apply("g", "CREATE_NODE", json!({"id": "a", "data": {"x": 1, "y": {"z": 1}}, "type": "t"})).await;
        ada.apply("g", "CREATE_NODE", json!({"id": "b"})).await;
        ada.apply("g", "CREATE_EDGE", json!({"id": "ab", "source": "a", "target": "b"})).await;
        ada.apply("g", "SET_VIEWPORT", json!({"x": 1, "y": 1, "zoom": 1})).await;
        Self { _server: server, ada, bob }
    }

    /// Bob, who sees everything, does this.
    async fn bob(&self, name: &str, payload: Value) -> Value {
        self.bob.apply("g", name, payload).await
    }

    /// Ada, who has seen nothing of it, is accepted with this outcome.
    async fn ada(&self, policy: &str, name: &str, payload: Value, outcome: &str) {
        let answer = self.ada.accept("g", &stale(policy, name, payload.clone())).await;
        assert_eq!(answer["outcome"], outcome, "{policy} {name} {payload}");
        if outcome != "unchanged" {
            let version = answer["version"].as_u64().unwrap();
            let commit = &self.ada.changes("g", version - 1).await[0];
            assert_eq!(commit["outcome"], outcome, "the commit says so too");
        }
        assert_invariants(&self.ada.state("g").await);
    }

    /// Ada is refused with a 409 of this code, and nothing is written.
    async fn ada_refused(&self, policy: &str, name: &str, payload: Value, code: &str) -> Value {
        let before = self.ada.state("g").await;
        let problem = self.ada.command("g", &stale(policy, name, payload)).await.problem(409, code);
        assert_eq!(self.ada.state("g").await, before);
        let resolution = &problem["resolution"];
        assert_eq!(resolution["currentVersion"], before["version"], "D7");
        for conflict in resolution["conflicts"].as_array().unwrap() {
            for field in ["entity", "id", "path", "yours", "current", "version", "userId", "operationId"] {
                assert!(conflict.get(field).is_some(), "D7: {field} in {conflict}");
            }
        }
        resolution["conflicts"].clone()
    }
}

fn stale(policy: &str, name: &str, payload: Value) -> Value {
    with(&command(name, payload), json!({"clientVersion": SEEN, "onConflict": policy, "clientId": "tab"}))
}

fn update(id: &str, updates: Value) -> Value {
    json!({"nodeId": id, "updates": updates})
}

fn paths(conflicts: &Value) -> Vec<&str> {
    conflicts.as_array().unwrap().iter().map(|c| c["path"].as_str().unwrap()).collect()
}

const POLICIES: [&str; 3] = ["merge", "overwrite", "reject"];

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
async fn d4_the_target_was_deleted_since() {
    let on_a = [
        ("UPDATE_NODE", update("a", json!({"k": 1}))),
        ("UPDATE_NODE_POSITION", json!({"nodeId": "a", "position": {"x": 5, "y": 5}})),
        ("DELETE_NODE", json!({"nodeId": "a"})),
    ];
    let on_edge = [
        ("UPDATE_EDGE", json!({"edgeId": "ab", "updates": {"k": 1}})),
        ("DELETE_EDGE", json!({"edgeId": "ab"})),
    ];
    for again in [false, true] {
        for policy in POLICIES {
            let desk = Desk::new().await;
            let deletion = desk.bob("DELETE_NODE", json!({"nodeId": "a"})).await;
            if again {
                desk.bob("CREATE_NODE", json!({"id": "a"})).await;
                desk.bob("CREATE_EDGE", json!({"id": "ab", "source": "a", "target": "b"})).await;
            }
            for (name, payload) in on_a.iter().chain(&on_edge) {
                let conflicts = desk.ada_refused(policy, name, payload.clone(), "TARGET_DELETED").await;
                let entry = &conflicts[0];
                assert_eq!((&entry["path"], &entry["userId"]), (&json!(""), &json!("bob")), "{name}");
                assert_eq!(entry["operationId"], deletion["operationId"], "{name}");
                assert_eq!(entry["current"].is_null(), !again, "{name}: what stands there now");
            }
        }
    }
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

#[tokio::test]
async fn d4_ones_own_deletion_and_creation_is_not_a_conflict() {
    for policy in POLICIES {
        let desk = Desk::new().await;
        desk.ada(policy, "DELETE_NODE", json!({"nodeId": "a"}), "applied").await;
        desk.ada(policy, "CREATE_NODE", json!({"id": "a", "again": true}), "applied").await;
        desk.ada(policy, "UPDATE_NODE", update("a", json!({"k": 1})), "applied").await;
        desk.ada(policy, "BATCH_UPDATE", json!({"nodes": {"a": {"k": 2}}}), "applied").await;
        desk.ada(policy, "DELETE_NODE", json!({"nodeId": "a"}), "applied").await;
        desk.ada_refused(policy, "UPDATE_NODE", update("a", json!({"k": 3})), "TARGET_DELETED").await;
    }
}

#[tokio::test]
async fn d8_an_operation_from_a_replaced_history_is_not_judged_and_can_be_rebased() {
    let desk = Desk::new().await;
    let seen = desk.ada.state("g").await;
    let first = desk.ada.changes("g", 0).await[0].clone();
    for policy in POLICIES {
        let id = crate::support::graph::new_id();
        let plain = with(
            &stale(policy, "UPDATE_NODE", update("a", json!({"by": policy}))),
            json!({"operationId": id}),
        );
        let named =
            |version: Value, hash: Value| with(&plain, json!({"clientVersion": version, "clientHash": hash}));
        let wrong = [
            named(json!(SEEN), first["hash"].clone()),
            named(json!(1), seen["hash"].clone()),
            named(json!(0), seen["hash"].clone()),
            named(json!(SEEN), json!("beef")),
            named(json!(SEEN), json!("f".repeat(64))),
            named(json!(1_000_000), seen["hash"].clone()), // before D6
        ];
        for lost in wrong {
            let problem = desk.ada.command("g", &lost).await.problem(409, "HISTORY_REPLACED");
            let head = desk.ada.state("g").await;
            let resolution =
                json!({"currentVersion": head["version"], "conflicts": [], "hash": head["hash"]});
            assert_eq!(problem["resolution"], resolution);
            assert_eq!(desk.ada.get(&format!("/operations/{id}")).await.status, 404, "the id is not used up");
        }
        let done = desk.ada.accept("g", &named(json!(SEEN), seen["hash"].clone())).await;
        assert!(done.get("duplicate").is_none());
        // C3 comes first: what has ended is answered, whatever history it names.
        let again = desk.ada.accept("g", &named(json!(SEEN), json!("beef"))).await;
        assert_eq!((&again["duplicate"], &again["version"]), (&json!(true), &done["version"]));
        let zeros = named(json!(0), json!("0".repeat(64)));
        assert_eq!(desk.ada.accept("g", &zeros).await["duplicate"], true);
    }
    let upper = seen["hash"].as_str().unwrap().to_uppercase();
    let envelope = with(
        &command("DELETE_EDGE", json!({"edgeId": "ab"})),
        json!({"clientVersion": SEEN, "clientHash": upper}),
    );
    desk.ada.accept("g", &envelope).await;
    for bad in [json!({"clientHash": "beef"}), json!({"clientHash": 7, "clientVersion": 1})] {
        let envelope = with(&command("SET_VIEWPORT", json!({"x": 0, "y": 0, "zoom": 1})), bad);
        let problem = desk.ada.command("g", &envelope).await.problem(400, "BAD_REQUEST");
        assert!(problem["detail"].as_str().unwrap().starts_with("clientHash"), "{problem}");
    }
}

#[tokio::test]
async fn d8_batches_and_their_members_name_their_history() {
    let desk = Desk::new().await;
    let commits = desk.ada.changes("g", 0).await;
    let hash = |version: usize| commits[version - 1]["hash"].clone();
    let make = |more: Value| with(&command("CREATE_NODE", json!({})), more);
    let at = |version: u64, hash: Value| json!({"clientVersion": version, "clientHash": hash});
    let batch = |atomic: bool, operations: Value, more: Value| {
        with(&json!({"atomic": atomic, "operations": operations}), more)
    };
    for (members, more, index) in [
        (json!([make(json!({})), make(json!({}))]), at(4, hash(3)), Value::Null),
        (json!([make(json!({})), make(at(2, hash(3)))]), at(4, hash(4)), json!(1)),
        (json!([make(json!({})), make(at(2, hash(3)))]), json!({}), json!(1)),
        (json!([make(at(2, hash(2)))]), at(4, hash(3)), Value::Null),
    ] {
        let problem = desk
            .ada
            .post("/graphs/g/batch", &batch(true, members, more))
            .await
            .problem(409, "HISTORY_REPLACED");
        assert_eq!(problem["index"], index);
    }
    let good = batch(true, json!([make(json!({})), make(at(1, hash(1)))]), at(3, hash(3)));
    assert_eq!(desk.ada.post("/graphs/g/batch", &good).await.status, 200);
    let each = batch(
        false,
        json!([make(json!({})), make(at(1, hash(2))), make(json!({"clientVersion": 2}))]),
        at(3, hash(3)),
    );
    let answer = desk.ada.post("/graphs/g/batch", &each).await.json();
    let codes: Vec<Value> =
        answer["results"].as_array().unwrap().iter().map(|r| r["error"]["code"].clone()).collect();
    assert_eq!(codes, [Value::Null, json!("HISTORY_REPLACED"), Value::Null], "{answer}");
}

#[tokio::test]
async fn d4_the_target_never_existed() {
    let desk = Desk::new().await;
    desk.bob("DELETE_NODE", json!({"nodeId": "b"})).await;
    for (name, payload, code) in [
        ("UPDATE_NODE", update("x", json!({})), "NODE_NOT_FOUND"),
        ("UPDATE_NODE_POSITION", json!({"nodeId": "x", "position": {"x": 1, "y": 1}}), "NODE_NOT_FOUND"),
        ("DELETE_NODE", json!({"nodeId": "x"}), "NODE_NOT_FOUND"),
        ("UPDATE_EDGE", json!({"edgeId": "x", "updates": {}}), "EDGE_NOT_FOUND"),
        ("DELETE_EDGE", json!({"edgeId": "x"}), "EDGE_NOT_FOUND"),
    ] {
        for policy in POLICIES {
            let reply = desk.ada.command("g", &stale(policy, name, payload.clone())).await;
            assert!(reply.problem(404, code).get("resolution").is_none());
        }
        desk.ada.command("g", &command(name, payload)).await.problem(404, code);
    }
    // Without clientVersion, and with one after the deletion, a deleted target is just not there.
    let gone = command("DELETE_NODE", json!({"nodeId": "b"}));
    desk.ada.command("g", &gone).await.problem(404, "NODE_NOT_FOUND");
    desk.ada.command("g", &with(&gone, json!({"clientVersion": 5}))).await.problem(404, "NODE_NOT_FOUND");
}

#[tokio::test]
async fn d4_creating_an_existing_id_is_refused() {
    for policy in POLICIES {
        let desk = Desk::new().await;
        let by = desk.bob("CREATE_NODE", json!({"id": "c"})).await;
        let conflicts = desk.ada_refused(policy, "CREATE_NODE", json!({"id": "c", "k": 1}), "ID_TAKEN").await;
        assert_eq!(conflicts[0]["operationId"], by["operationId"]);
        assert_eq!(conflicts[0]["current"]["id"], "c");
        desk.ada(policy, "CREATE_NODE", json!({"id": "c"}), "unchanged").await; // C1: the very same
        desk.ada(policy, "CREATE_EDGE", json!({"id": "ab", "source": "a", "target": "b"}), "unchanged").await;
        let edge = json!({"id": "ab", "source": "b", "target": "a"});
        desk.ada_refused(policy, "CREATE_EDGE", edge.clone(), "ID_TAKEN").await;
        let reply = desk.ada.command("g", &command("CREATE_EDGE", edge)).await;
        assert!(reply.problem(409, "ID_TAKEN")["resolution"]["currentVersion"].is_u64());
    }
}

#[tokio::test]
async fn d4_an_end_or_a_parent_was_deleted_since() {
    let to_b = json!({"id": "e", "source": "a", "target": "b"});
    let in_b = json!({"parentId": "b"});
    let rows = [
        ("CREATE_EDGE", to_b.clone(), "DANGLING_EDGE"),
        ("UPDATE_EDGE", json!({"edgeId": "aa", "updates": {"target": "b"}}), "DANGLING_EDGE"),
        ("CREATE_NODE", in_b.clone(), "PARENT_NOT_FOUND"),
        ("UPDATE_NODE", update("a", in_b), "PARENT_NOT_FOUND"),
        ("BATCH_UPDATE", json!({"nodes": {"new": {"parentNode": "b"}}}), "PARENT_NOT_FOUND"),
        (
            "BATCH_UPDATE",
            json!({"edges": [{"id": "aa", "source": "a", "target": "a"}, to_b]}),
            "DANGLING_EDGE",
        ),
    ];
    for (name, payload, code) in rows {
        let desk = Desk::new().await;
        let own = with(
            &command("CREATE_EDGE", json!({"id": "aa", "source": "a", "target": "a"})),
            json!({"clientId": "tab"}),
        );
        desk.ada.accept("g", &own).await;
        desk.bob("DELETE_NODE", json!({"nodeId": "b"})).await;
        let conflicts = desk.ada_refused("merge", name, payload.clone(), code).await;
        assert_eq!(conflicts[0]["userId"], "bob", "{name}: who took it away");
        let fresh = desk.ada.command("g", &command(name, payload)).await;
        assert!(fresh.problem(422, code).get("resolution").is_none());
    }
}

#[tokio::test]
async fn d6_a_version_ahead_is_refused() {
    let desk = Desk::new().await;
    for (name, payload) in [
        ("UPDATE_NODE", update("a", json!({"k": 1}))),
        ("DELETE_NODE", json!({"nodeId": "nobody"})), // D4: before existence
        ("BATCH_UPDATE", json!({})),
        ("CREATE_NODE", json!({"id": "a"})),
    ] {
        let envelope =
            with(&command(name, payload), json!({"clientVersion": SEEN + 1, "onConflict": "overwrite"}));
        let problem = desk.ada.command("g", &envelope).await.problem(409, "VERSION_AHEAD");
        assert_eq!(problem["resolution"], json!({"currentVersion": SEEN, "conflicts": []}));
        let empty = desk.ada.command("empty", &envelope).await.problem(409, "VERSION_AHEAD");
        assert_eq!(empty["resolution"]["currentVersion"], 0);
    }
    let envelope = with(&command("BATCH_UPDATE", json!({})), json!({"clientVersion": i64::MAX}));
    desk.ada.command("g", &envelope).await.problem(409, "VERSION_AHEAD");
}

#[tokio::test]
async fn d_atomic_batches_are_judged_member_by_member() {
    let desk = Desk::new().await;
    desk.bob("UPDATE_NODE", update("a", json!({"data": {"x": 2}}))).await;
    let members = |x: &str| {
        let hers = command("UPDATE_NODE", update("a", json!({"data": {x: 3}})));
        let made = command("CREATE_NODE", json!({"id": "c", "made": x}));
        json!({"operations": [made, hers], "atomic": true, "clientVersion": SEEN})
    };
    let problem = desk.ada.post("/graphs/g/batch", &members("x")).await.problem(409, "CONFLICT");
    assert_eq!(problem["index"], 1);
    assert_eq!(paths(&problem["resolution"]["conflicts"]), ["/data/x"]);
    let overwrite = with(&members("x"), json!({"onConflict": "overwrite"}));
    assert_eq!(desk.ada.post("/graphs/g/batch", &members("w")).await.json()["outcome"], "merged");
    let reply = desk.ada.post("/graphs/g/batch", &overwrite).await;
    reply.problem(409, "ID_TAKEN"); // c is there now; D5 does not help against that
}
