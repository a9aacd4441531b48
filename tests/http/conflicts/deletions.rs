//! Rule D4: the target, an end or a parent is not there any more.

use serde_json::json;

use super::{Desk, POLICIES, stale, update};
use crate::support::graph::{command, with};

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
