//! Rules D6 and D8: versions that are ahead, and histories that were replaced.

use serde_json::{Value, json};

use super::{Desk, POLICIES, SEEN, stale, update};
use crate::support::graph::{command, with};

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
