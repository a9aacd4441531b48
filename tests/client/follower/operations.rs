//! Rules W3, W5 and D8: what becomes of operations.

use std::time::Duration;

use super::frames::{frame, head, operation, operation_id, settled, snapshot, sync, update};
use dao_api::client::{Aim, Follower, Operation, Step};
use serde_json::{Value, json};

use super::{follower, level_at, said, subscribe, take};

#[test]
fn w5_what_is_longer_than_a_message_may_be_ends_instead_of_being_sent() {
    let welcome =
        json!({"type": "WELCOME", "heartbeatMs": 1, "limits": {"messageBytes": 100, "operationTtlMs": 9}});
    let mut follower = follower(Aim::State, Some(3));
    let long = Operation { frame: "x".repeat(101), ..operation(1) };
    assert_eq!(said(&follower.submit(long.clone())), [] as [&str; 0], "there is no connection");
    follower.submit(operation(2));
    follower.connected();
    assert_eq!(take(&mut follower, welcome), [] as [&str; 0]);
    let synced = take(&mut follower, sync("in_sync", head(3, "ada")));
    assert_eq!(synced, ["synced 3", "settle 1 failed TOO_LARGE", "send 2 after 0 ms"]);
    let again = Operation { id: operation_id(3), ..long };
    assert_eq!(said(&follower.submit(again)), ["settle 3 failed TOO_LARGE"]);
    assert_eq!(follower.pending().count(), 1);
}

#[test]
fn w5_an_operation_that_the_server_finds_too_large_ends() {
    let mut follower = level_at(3);
    follower.submit(operation(1));
    let revert = json!({"type": "REVERT", "graphId": "g", "operationId": operation_id(1), "code": "TOO_LARGE",
        "message": "the message is larger", "temporary": false, "version": 0});
    assert_eq!(take(&mut follower, revert), ["settle 1 failed explained"]);
}

#[test]
fn w3_settled_says_why_an_operation_was_refused() {
    let mut follower = follower(Aim::State, Some(3));
    follower.submit(operation(1));
    follower.submit(operation(2));
    follower.connected();
    let mut frame = sync("in_sync", head(3, "ada"));
    let with_code = |operation, status, code: &str| {
        let mut one = settled(operation, status, Some(3));
        one["code"] = code.into();
        one
    };
    frame["settled"] =
        json!([with_code(1, "conflict", "CONFLICT"), with_code(2, "failed", "NODE_NOT_FOUND")]);
    let expected = ["synced 3", "settle 1 conflict CONFLICT", "settle 2 failed NODE_NOT_FOUND"];
    assert_eq!(take(&mut follower, frame), expected);
}

#[test]
fn w5_an_operation_is_sent_at_once_and_ends_with_its_commit() {
    let mut follower = level_at(3);
    assert_eq!(said(&follower.submit(operation(1))), ["send 1 after 0 ms"]);
    let own = super::frames::update_by(4, "ada", 1);
    assert_eq!(take(&mut follower, own), ["apply 4", "settle 1 completed 4"]);
    let ack = json!({"type": "ACK", "graphId": "g", "operationId": operation_id(1), "version": 4});
    assert_eq!(take(&mut follower, ack), [""; 0], "it has ended already");
    assert_eq!(follower.pending().count(), 0);
}

#[test]
fn w5_an_ack_without_a_commit_ends_it_too_but_not_before_its_version_is_applied() {
    let mut follower = level_at(3);
    follower.submit(operation(1));
    follower.submit(operation(2));
    let ack = |id, version| json!({"type": "ACK", "graphId": "g", "operationId": operation_id(id), "version": version});
    assert_eq!(take(&mut follower, ack(1, 3)), ["settle 1 completed 3"], "it changed nothing");
    assert_eq!(take(&mut follower, ack(2, 4)), [""; 0]);
    assert_eq!(take(&mut follower, update(4, "ada")), ["apply 4", "settle 2 completed 4"]);
}

#[test]
fn w5_a_revert_ends_it_with_the_reason() {
    let mut follower = level_at(3);
    follower.submit(operation(1));
    follower.submit(operation(2));
    let mut revert = json!({"type": "REVERT", "graphId": "g", "operationId": operation_id(1), "code": "NODE_NOT_FOUND",
        "message": "no node a", "temporary": false, "version": 3});
    assert_eq!(take(&mut follower, revert.clone()), ["settle 1 failed explained"]);
    revert["operationId"] = json!(operation_id(2));
    revert["resolution"] = json!({"currentVersion": 3, "conflicts": []});
    assert_eq!(take(&mut follower, revert.clone()), ["settle 2 conflict explained"]);
    assert_eq!(take(&mut follower, revert), [""; 0], "once");
}

#[test]
fn w5_a_temporary_revert_means_to_send_the_same_again_later() {
    let mut follower = level_at(3);
    let first = said(&follower.submit(operation(1)));
    let mut revert = json!({"type": "REVERT", "graphId": "g", "operationId": operation_id(1), "code": "OVERLOADED",
        "message": "later", "temporary": true, "retryAfterMs": 250, "version": 3});
    assert_eq!(take(&mut follower, revert.clone()), ["send 1 after 250 ms"]);
    assert_eq!(first, ["send 1 after 0 ms"]);
    let steps = follower.take(frame(revert.clone()));
    assert!(
        matches!(&steps[..], [Step::Send { frame, .. }] if *frame == operation(1).frame),
        "the same bytes"
    );
    revert["operationId"] = json!(operation_id(9));
    assert_eq!(take(&mut follower, revert), [""; 0], "not one of ours");
}

#[test]
fn w3_what_was_in_flight_is_asked_after_and_settled_or_sent_again_in_order() {
    let mut follower = level_at(3);
    for id in 1..=5 {
        follower.submit(operation(id));
    }
    follower.disconnected();
    assert!(follower.submit(operation(6)).is_empty(), "there is no connection");
    let ids: Vec<_> = (1..=6).map(operation_id).collect();
    assert_eq!(subscribe(&mut follower)["pending"], json!(ids));
    assert!(follower.submit(operation(7)).is_empty(), "those before it come first");
    let mut sync = sync("replay", head(4, "ada"));
    sync["settled"] = json!([
        settled(1, "completed", Some(3)),
        settled(2, "completed", Some(4)),
        settled(3, "conflict", Some(3)),
        settled(4, "failed", None),
        settled(5, "unknown", None),
    ]);
    assert_eq!(
        take(&mut follower, sync),
        [
            "synced 4",
            "settle 3 conflict",
            "settle 4 failed",
            "settle 1 completed 3",
            "send 5 after 0 ms",
            "send 6 after 0 ms", // nothing was said about it: sending again is safe (C3)
            "send 7 after 0 ms",
        ]
    );
    assert_eq!(take(&mut follower, update(4, "ada")), ["apply 4", "settle 2 completed 4"]);
    assert_eq!(follower.pending().count(), 3);
}

#[test]
fn w3_with_a_snapshot_what_is_completed_ends_after_it() {
    let mut follower = level_at(3);
    follower.submit(operation(1));
    follower.connected();
    let mut snapshot = snapshot(head(9, "ada"));
    snapshot["settled"] = json!([settled(1, "completed", Some(8))]);
    assert_eq!(take(&mut follower, snapshot), ["synced 9", "replace by 9", "settle 1 completed 8"]);
}

#[test]
fn w3_what_a_lost_connection_said_is_asked_again() {
    let mut follower = level_at(3);
    follower.submit(operation(1));
    let ack = json!({"type": "ACK", "graphId": "g", "operationId": operation_id(1), "version": 9});
    take(&mut follower, ack); // and version 9 never comes: that history is lost
    follower.disconnected();
    assert_eq!(subscribe(&mut follower)["pending"], json!([operation_id(1)]));
    assert_eq!(take(&mut follower, sync("in_sync", head(3, "ada"))), ["synced 3", "send 1 after 0 ms"]);
}

#[test]
fn w3_more_operations_than_may_be_asked_after_are_sent_again() {
    let mut follower = follower(Aim::State, Some(3));
    for id in 1..=1_001 {
        follower.submit(operation(id));
    }
    assert_eq!(subscribe(&mut follower)["pending"].as_array().unwrap().len(), 1_000);
    let steps = take(&mut follower, sync("in_sync", head(3, "ada")));
    assert_eq!(steps.len(), 1 + 1_001);
}

#[test]
fn w9_an_error_about_an_operation_ends_it() {
    let mut follower = level_at(3);
    follower.submit(operation(1));
    let bad = json!({"type": "ERROR", "code": "BAD_REQUEST", "message": "?", "operationId": operation_id(1)});
    assert_eq!(take(&mut follower, bad), ["settle 1 failed BAD_REQUEST", "warn BAD_REQUEST"]);
    let other = json!({"type": "ERROR", "code": "BAD_REQUEST", "message": "?", "graphId": "another"});
    assert_eq!(take(&mut follower, other), [""; 0]);
}

/// A command made at this version, and the frame that is sent of it.
fn made_at(follower: &mut Follower, n: u128, version: u64) -> Value {
    let id = operation_id(n);
    let command = json!({"type": "DELETE_EDGE", "payload": {"edgeId": "e"}});
    let frame = json!({"type": "COMMAND", "graphId": "g", "operationId": id, "clientVersion": version, "command": command});
    sent(&follower.submit(Operation { id, frame: frame.to_string() }))
}

fn sent(steps: &[Step]) -> Value {
    let [Step::Send { frame, after: Duration::ZERO }] = steps else { panic!("{steps:?}") };
    serde_json::from_str(frame).unwrap()
}

fn point_of(frame: &Value) -> (u64, String) {
    (frame["clientVersion"].as_u64().unwrap(), frame["clientHash"].as_str().unwrap().to_owned())
}

fn replaced(n: u128, current: u64) -> Value {
    json!({"type": "REVERT", "graphId": "g", "operationId": operation_id(n), "code": "HISTORY_REPLACED",
        "message": "another history", "temporary": false, "version": current,
        "resolution": {"currentVersion": current, "conflicts": [], "hash": head(current, "bob").hash}})
}

#[test]
fn d8_an_operation_names_the_hash_of_its_version() {
    let mut follower = level_at(3);
    take(&mut follower, update(4, "ada"));
    for n in [3, 4] {
        let frame = made_at(&mut follower, n.into(), n);
        assert_eq!(point_of(&frame), (n, head(n, "ada").hash.to_hex()));
        assert_eq!(frame["command"]["type"], "DELETE_EDGE");
    }
    assert!(made_at(&mut follower, 9, 2).get("clientHash").is_none(), "it is not known");
    let kept: Vec<_> = follower.pending().map(|operation| operation.frame.clone()).collect();
    assert!(kept[0].contains("clientHash"), "what is kept over a restart names it: {kept:?}");
}

#[test]
fn d8_an_operation_of_a_lost_history_is_moved_back_until_both_have_its_point() {
    let mut follower = level_at(3);
    for n in 4..=12 {
        take(&mut follower, update(n, "ada"));
    }
    let first = made_at(&mut follower, 1, 12);
    assert_eq!(point_of(&first), (12, head(12, "ada").hash.to_hex()));
    // The history lost its end, and bob went on with it: what is known of that is no point of the operation.
    take(&mut follower, snapshot(head(9, "bob")));
    take(&mut follower, update(10, "bob"));
    for version in [10, 8, 4, 3] {
        let frame = sent(&follower.take(frame(replaced(1, 10))));
        assert_eq!(point_of(&frame), (version, head(version, "ada").hash.to_hex()));
        assert_eq!((&frame["operationId"], &frame["command"]), (&first["operationId"], &first["command"]));
    }
    let last = sent(&follower.take(frame(replaced(1, 10))));
    assert_eq!(point_of(&last), (0, "0".repeat(64)), "every history has its beginning");
    assert_eq!(take(&mut follower, replaced(1, 10)), ["settle 1 conflict explained"], "it can't be moved");
    assert_eq!(follower.pending().count(), 0);
}

#[test]
fn d8_a_batch_of_a_lost_history_is_moved_as_a_whole() {
    let mut follower = level_at(3);
    let id = operation_id(1);
    let members =
        json!([{"type": "DELETE_EDGE", "payload": {"edgeId": "e"}, "clientVersion": 2, "clientHash": "x"}]);
    let batch =
        json!({"type": "BATCH", "graphId": "g", "batchId": id, "clientVersion": 3, "operations": members});
    let first = sent(&follower.submit(Operation { id, frame: batch.to_string() }));
    assert_eq!((point_of(&first).0, &first["operations"]), (3, &members));
    let error = json!({"status": 409, "code": "HISTORY_REPLACED"});
    let ack = json!({"type": "ACK", "graphId": "g", "operationId": id, "batchId": id, "version": 2,
        "results": [{"accepted": false, "operationId": operation_id(2), "error": error}]});
    let moved = sent(&follower.take(frame(ack.clone())));
    assert_eq!(point_of(&moved), (0, "0".repeat(64)));
    assert_eq!(moved["operations"], json!([{"type": "DELETE_EDGE", "payload": {"edgeId": "e"}}]));
    let mut done = ack;
    done["results"] = json!([{"accepted": true}]);
    assert_eq!(take(&mut follower, done), ["settle 1 completed 2"]);
}
