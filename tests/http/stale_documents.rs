//! A stale `BATCH_UPDATE`: what an editor sends that saves whole documents (rules D3, D4, D5).

use serde_json::{Value, json};

use crate::support::{
    graph::{command, ids, with},
    http::{Client, Reply},
    server::Server,
};

/// Nodes `a` and `b` and an edge `ab`, at version 1, and two users.
async fn desk() -> (Server, Client, Client) {
    let server = Server::start().await;
    let (ada, bob) = (server.as_user("ada"), server.as_user("bob"));
    ada.apply("g", "BATCH_UPDATE", document()).await;
    (server, ada, bob)
}

/// What ada saw at version 1.
fn document() -> Value {
    json!({"nodes": [{"id": "a", "data": {"x": 1, "y": 1}}, {"id": "b"}],
        "edges": [{"id": "ab", "source": "a", "target": "b"}]})
}

/// Ada saves `document`, having seen version 1 and nothing since.
async fn save(ada: &Client, policy: &str, document: &Value) -> Reply {
    let seen = json!({"clientVersion": 1, "onConflict": policy});
    ada.command("g", &with(&command("BATCH_UPDATE", document.clone()), seen)).await
}

/// The same in a tab that says which it is (rule D1).
async fn save_in(ada: &Client, policy: &str, document: &Value, tab: &str) -> Reply {
    let seen = json!({"clientVersion": 1, "onConflict": policy, "clientId": tab});
    ada.command("g", &with(&command("BATCH_UPDATE", document.clone()), seen)).await
}

fn outcome(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    reply.json()["outcome"].clone()
}

#[tokio::test]
async fn d3_saving_over_what_another_wrote_is_a_conflict() {
    for (name, theirs, hers, path) in [
        (
            "UPDATE_NODE",
            json!({"nodeId": "a", "updates": {"data": {"x": 2}}}),
            json!({"nodes": {"a": {"data": {"x": 3, "y": 1}}}}),
            "/data/x",
        ),
        (
            // The document that ada saves has bob's field as it was before.
            "UPDATE_NODE",
            json!({"nodeId": "a", "updates": {"data": {"x": 2}}}),
            json!({"nodes": {"a": {"data": {"x": 1, "y": 5}}}}),
            "/data/x",
        ),
        (
            "UPDATE_EDGE",
            json!({"edgeId": "ab", "updates": {"label": "theirs"}}),
            json!({"edges": [{"id": "ab", "source": "a", "target": "b", "label": "hers"}]}),
            "/label",
        ),
        (
            "UPDATE_NODE_POSITION",
            json!({"nodeId": "a", "position": {"x": 5, "y": 5}}),
            json!({"nodes": {"a": {"position": {"x": 6, "y": 6}, "data": {"x": 1, "y": 1}}}}),
            "/position",
        ),
    ] {
        let (_server, ada, bob) = desk().await;
        let by = bob.apply("g", name, theirs.clone()).await;
        for policy in ["merge", "reject"] {
            let problem = save(&ada, policy, &hers).await.problem(409, "CONFLICT");
            let conflicts = problem["resolution"]["conflicts"].as_array().unwrap();
            let found = conflicts.iter().find(|conflict| conflict["path"] == path);
            let found = found.unwrap_or_else(|| panic!("{path} is not in {conflicts:?}"));
            assert_eq!(
                (&found["userId"], &found["operationId"]),
                (&json!("bob"), &by["operationId"]),
                "{hers}"
            );
        }
        assert_eq!(outcome(&save(&ada, "overwrite", &hers).await), "merged");
    }
}

#[tokio::test]
async fn d2_saving_beside_changes_of_others_is_merged() {
    let (_server, ada, bob) = desk().await;
    bob.apply("g", "UPDATE_NODE", json!({"nodeId": "b", "updates": {"k": 1}})).await;
    let hers = json!({"nodes": {"a": {"data": {"x": 5, "y": 1}}}});
    assert_eq!(outcome(&save(&ada, "reject", &hers).await), "applied", "another entity");
    bob.apply("g", "UPDATE_NODE", json!({"nodeId": "b", "updates": {"k": 2}})).await;
    let same = json!({"nodes": {"b": {"k": 2}}});
    assert_eq!(outcome(&save(&ada, "merge", &same).await), "unchanged", "what stands there was asked for");
}

#[tokio::test]
async fn d3_removing_an_edge_that_another_created_is_a_conflict() {
    let (_server, ada, bob) = desk().await;
    bob.apply("g", "CREATE_EDGE", json!({"id": "new", "source": "b", "target": "a"})).await;
    let mut hers = document();
    hers["nodes"][0]["data"]["x"] = json!(9);
    for policy in ["merge", "reject"] {
        let problem = save(&ada, policy, &hers).await.problem(409, "CONFLICT");
        let conflict = &problem["resolution"]["conflicts"][0];
        assert_eq!(
            (&conflict["entity"], &conflict["id"], &conflict["path"]),
            (&json!("edge"), &json!("new"), &json!(""))
        );
        assert_eq!((&conflict["yours"], &conflict["current"]["source"]), (&Value::Null, &json!("b")));
    }
    let state = ada.state("g").await;
    assert_eq!((&state["version"], ids(&state["edges"])), (&json!(2), vec!["ab", "new"]), "nothing written");
    assert_eq!(outcome(&save(&ada, "overwrite", &hers).await), "merged");
    assert_eq!(ids(&ada.state("g").await["edges"]), ["ab"]);
}

#[tokio::test]
async fn d3_removing_an_edge_that_another_removed_is_unchanged() {
    let (_server, ada, bob) = desk().await;
    bob.apply("g", "DELETE_EDGE", json!({"edgeId": "ab"})).await;
    assert_eq!(outcome(&save(&ada, "merge", &json!({"edges": []})).await), "unchanged");
}

#[tokio::test]
async fn d4_saving_a_node_that_another_deleted() {
    for hers in [document(), json!({"nodes": {"a": {"data": {"x": 5}}}})] {
        for policy in ["merge", "overwrite", "reject"] {
            let (_server, ada, bob) = desk().await;
            bob.apply("g", "DELETE_NODE", json!({"nodeId": "a"})).await;
            let problem = save(&ada, policy, &hers).await.problem(409, "TARGET_DELETED");
            let conflict = &problem["resolution"]["conflicts"][0];
            assert_eq!((&conflict["id"], &conflict["current"]), (&json!("a"), &Value::Null));
            assert_eq!(conflict["userId"], "bob");
        }
    }
    let (_server, ada, bob) = desk().await;
    bob.apply("g", "DELETE_EDGE", json!({"edgeId": "ab"})).await;
    let problem = save(&ada, "merge", &document()).await.problem(409, "TARGET_DELETED");
    assert_eq!(problem["resolution"]["conflicts"][0]["entity"], "edge");
}

#[tokio::test]
async fn d4_saving_a_node_that_one_deleted_in_another_client() {
    let (_server, ada, _bob) = desk().await;
    let delete = with(&command("DELETE_NODE", json!({"nodeId": "b"})), json!({"clientId": "other-tab"}));
    ada.accept("g", &delete).await;
    save(&ada, "merge", &document()).await.problem(409, "TARGET_DELETED");
}

#[tokio::test]
async fn d4_saving_a_node_that_was_deleted_and_created_again() {
    let (_server, ada, bob) = desk().await;
    bob.apply("g", "DELETE_NODE", json!({"nodeId": "b"})).await;
    bob.apply("g", "CREATE_NODE", json!({"id": "b", "k": 1})).await;
    let hers = json!({"nodes": {"b": {"k": 2}}});
    for policy in ["merge", "overwrite", "reject"] {
        save(&ada, policy, &hers).await.problem(409, "TARGET_DELETED");
    }
}

#[tokio::test]
async fn d1_saving_after_ones_own_changes_is_applied() {
    let (_server, ada, _bob) = desk().await;
    let in_tab = |name, payload| with(&command(name, payload), json!({"clientId": "tab"}));
    ada.accept("g", &in_tab("UPDATE_NODE", json!({"nodeId": "a", "updates": {"data": {"x": 2}}}))).await;
    ada.accept("g", &in_tab("CREATE_EDGE", json!({"id": "new", "source": "b", "target": "a"}))).await;
    save(&ada, "merge", &document()).await.problem(409, "CONFLICT"); // another tab of hers
    for policy in ["merge", "reject", "overwrite"] {
        let mut hers = document();
        hers["viewport"] = json!({"x": policy.len(), "y": 0, "zoom": 1});
        assert_eq!(outcome(&save_in(&ada, policy, &hers, "tab").await), "applied", "{policy}");
    }
    assert_eq!(ids(&ada.state("g").await["edges"]), ["ab"]);
}
