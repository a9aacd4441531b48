//! The client's state machine against rules W, rule by rule; then against any order of cuts, repeats
//! and reconnects (`any_order`).

mod any_order;
mod frames;

use std::time::Duration;

use dao_api::client::{Aim, Ending, Follower, Operation, Page, Point, Refused, ServerFrame, Step, Why};
use dao_projections::Head;
use frames::{
    commit, fetched_page, frame, graph, head, operation, operation_id, page, reset_page, settled, snapshot,
    sync, update, version,
};
use serde_json::{Value, json};

fn follower(aim: Aim, at: Option<u64>) -> Follower {
    Follower::new(graph(), aim, at.map(|n| Point::from(head(n, "ada"))))
}

/// One that is level at this version and follows.
fn level_at(n: u64) -> Follower {
    let mut follower = follower(Aim::State, Some(n));
    follower.connected();
    assert_eq!(said(&follower.take(frame(sync("in_sync", head(n, "ada"))))), [format!("synced {n}")]);
    follower
}

/// Steps in short words.
fn said(steps: &[Step]) -> Vec<String> {
    steps.iter().map(word).collect()
}

fn word(step: &Step) -> String {
    match step {
        Step::Synced(head) => format!("synced {}", head.version),
        Step::Apply(received) => format!("apply {}", received.commit.version),
        Step::Replace(snapshot) => format!("replace by {}", snapshot.head.version),
        Step::Settle(id, ending) => format!("settle {} {}", id.as_uuid().as_u128(), end(ending)),
        Step::Show(presence) => format!("show {}", presence.client_id),
        Step::Warn(complaint) => format!("warn {}", complaint.code),
        Step::Send { frame, after } => {
            let frame: Value = serde_json::from_str(frame).unwrap();
            let id =
                frame["operationId"].as_str().unwrap().rsplit('-').next().unwrap().trim_start_matches('0');
            format!("send {id} after {} ms", after.as_millis())
        }
        Step::SubscribeAgain { after } => format!("subscribe after {} ms", after.as_millis()),
        Step::Fetch(point) => format!("fetch after {}", point.version),
        Step::Reconnect(why) => format!("reconnect: {why}"),
        Step::GiveUp(complaint) => format!("give up {}", complaint.code),
    }
}

fn end(ending: &Ending) -> String {
    match ending {
        Ending::Completed(version) => format!("completed {version}"),
        Ending::Conflict(refused) => format!("conflict{}", why(refused)),
        Ending::Failed(refused) => format!("failed{}", why(refused)),
    }
}

fn why(refused: &Refused) -> String {
    match (&refused.revert, &refused.code) {
        (Some(_), _) => " explained".to_owned(),
        (None, Some(code)) => format!(" {code}"),
        (None, None) => String::new(),
    }
}

fn take(follower: &mut Follower, value: Value) -> Vec<String> {
    said(&follower.take(frame(value)))
}

fn subscribe(follower: &mut Follower) -> Value {
    serde_json::from_str(&follower.connected()).unwrap()
}

fn at(follower: &Follower) -> Option<u64> {
    follower.point().map(|point| point.version.get())
}

#[test]
fn w1_welcome_says_how_often_the_server_is_heard() {
    let welcome = json!({"type": "WELCOME", "connectionId": "x", "heartbeatMs": 30000, "limits": {"new": 1}});
    let ServerFrame::Welcome(welcome) = frame(welcome) else { panic!("no welcome") };
    assert_eq!(welcome.heartbeat_ms, 30_000);
}

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
fn w2_subscribe_names_the_point_and_nothing_where_there_is_none() {
    let hash = head(3, "ada").hash.to_hex();
    let expected = json!({"type": "SUBSCRIBE", "graphId": "g", "version": 3, "hash": hash});
    assert_eq!(subscribe(&mut follower(Aim::State, Some(3))), expected);
    let mut fresh = follower(Aim::State, None);
    assert_eq!(subscribe(&mut fresh), json!({"type": "SUBSCRIBE", "graphId": "g"}));
}

#[test]
fn h6_a_point_without_a_hash_is_named_without() {
    let point = Point { version: version(3), hash: None };
    let mut follower = Follower::new(graph(), Aim::Commits, Some(point));
    assert_eq!(subscribe(&mut follower), json!({"type": "SUBSCRIBE", "graphId": "g", "version": 3}));
    take(&mut follower, sync("in_sync", head(3, "ada")));
    assert_eq!(follower.point(), Some(Point::from(head(3, "ada"))), "the hash is learned");
}

#[test]
fn w2_a_replay_is_applied_from_the_point_on() {
    let mut follower = follower(Aim::State, Some(3));
    follower.connected();
    assert_eq!(take(&mut follower, sync("replay", head(5, "ada"))), ["synced 5"]);
    assert_eq!(take(&mut follower, update(4, "ada")), ["apply 4"]);
    assert_eq!(take(&mut follower, update(5, "ada")), ["apply 5"]);
    assert_eq!(follower.point(), Some(Point::from(head(5, "ada"))));
}

#[test]
fn w2_a_snapshot_replaces_everything_for_who_wants_the_state() {
    for from in [None, Some(3), Some(9)] {
        let mut follower = follower(Aim::State, from);
        follower.connected();
        assert_eq!(take(&mut follower, snapshot(head(7, "bob"))), ["synced 7", "replace by 7"]);
        assert_eq!(follower.point(), Some(Point::from(head(7, "bob"))));
        assert_eq!(take(&mut follower, update(8, "bob")), ["apply 8"]);
    }
}

#[test]
fn w2_the_state_of_a_snapshot_is_handed_on_as_the_server_wrote_it() {
    let mut follower = follower(Aim::State, None);
    follower.connected();
    let text = snapshot(head(7, "ada")).to_string();
    let steps = follower.take(ServerFrame::read(&text).unwrap());
    let Some(Step::Replace(snapshot)) = steps.last() else { panic!("{steps:?}") };
    assert!(text.contains(snapshot.state.get()));
}

#[test]
fn w2_who_wants_every_commit_fetches_what_a_snapshot_skips() {
    let mut follower = follower(Aim::Commits, Some(3));
    follower.connected();
    assert_eq!(take(&mut follower, snapshot(head(7, "ada"))), ["synced 7", "fetch after 3"]);
    let steps = follower.fetched(fetched_page(4..=5, "ada", true));
    assert_eq!(said(&steps), ["apply 4", "apply 5", "fetch after 5"]);
    let steps = follower.fetched(fetched_page(6..=8, "ada", false));
    assert_eq!(said(&steps), ["apply 6", "apply 7", "apply 8"], "one more has happened");
    assert_eq!(take(&mut follower, update(8, "ada")), [""; 0], "a repeat");
    assert_eq!(take(&mut follower, update(9, "ada")), ["apply 9"]);
}

#[test]
fn v4_only_another_history_is_jumped_to_by_who_wants_every_commit() {
    let mut follower = follower(Aim::Commits, Some(3));
    follower.connected();
    take(&mut follower, snapshot(head(7, "bob")));
    assert_eq!(said(&follower.fetched(reset_page(head(7, "bob")))), ["replace by 7"]);
    assert_eq!(take(&mut follower, update(8, "bob")), ["apply 8"]);
}

#[test]
fn w2_a_fetch_that_brings_nothing_or_another_history_starts_over() {
    for page in [fetched_page(4..=5, "ada", false), page(&[], head(7, "ada"), true, false)] {
        let mut follower = follower(Aim::Commits, Some(3));
        follower.connected();
        take(&mut follower, snapshot(head(7, "ada")));
        let steps = said(&follower.fetched(page));
        assert_eq!(steps.last().unwrap(), "reconnect: the server has fewer commits than it said");
    }
    let mut follower = follower(Aim::Commits, Some(3));
    follower.connected();
    take(&mut follower, snapshot(head(5, "ada")));
    let steps = said(&follower.fetched(fetched_page(4..=5, "bob", false)));
    assert_eq!(steps, ["apply 4", "reconnect: version 5 is not what it was"]);
}

#[test]
fn w2_a_page_that_nobody_asked_for_is_passed_over() {
    let mut follower = level_at(3);
    assert!(follower.fetched(fetched_page(4..=5, "ada", false)).is_empty());
    assert_eq!(at(&follower), Some(3));
}

#[test]
fn v4_a_history_that_is_replaced_comes_unasked() {
    let mut follower = level_at(5);
    assert_eq!(take(&mut follower, snapshot(head(2, "bob"))), ["synced 2", "replace by 2"]);
    assert_eq!(take(&mut follower, update(3, "bob")), ["apply 3"]);
}

#[test]
fn v4_what_a_lost_history_had_accepted_is_sent_again() {
    let mut follower = level_at(3);
    follower.submit(operation(1));
    let ack = json!({"type": "ACK", "graphId": "g", "operationId": operation_id(1), "version": 9});
    assert_eq!(take(&mut follower, ack), [""; 0], "its commit is awaited");
    let steps = take(&mut follower, snapshot(head(2, "bob")));
    assert_eq!(steps, ["synced 2", "replace by 2", "send 1 after 0 ms"]);
}

#[test]
fn w2_a_sync_that_makes_no_sense_starts_over() {
    for wrong in [
        sync("in_sync", head(4, "ada")),
        sync("in_sync", head(3, "bob")),
        sync("replay", head(3, "ada")),
        sync("snapshot", head(3, "ada")), // without a state
    ] {
        let mut follower = follower(Aim::State, Some(3));
        follower.connected();
        let steps = take(&mut follower, wrong);
        assert!(steps.len() == 1 && steps[0].starts_with("reconnect: "), "{steps:?}");
        assert_eq!(at(&follower), Some(3), "the point is still good");
    }
}

#[test]
fn w4_exactly_the_next_commit_is_applied() {
    let mut follower = level_at(3);
    assert_eq!(take(&mut follower, update(4, "ada")), ["apply 4"]);
    for repeat in [1, 3, 4] {
        assert_eq!(take(&mut follower, update(repeat, "ada")), [""; 0], "{repeat}");
    }
    assert_eq!(at(&follower), Some(4));
}

#[test]
fn w4_a_gap_starts_over_from_the_last_good_point() {
    let mut follower = level_at(3);
    let steps = follower.take(frame(update(5, "ada")));
    let gap = Why::Gap { at: version(3), got: version(5) };
    assert!(matches!(&steps[..], [Step::Reconnect(why)] if *why == gap), "{steps:?}");
    follower.disconnected();
    assert_eq!(subscribe(&mut follower)["version"], 3);
}

#[test]
fn v4_the_same_version_with_another_hash_is_another_history() {
    let mut follower = level_at(3);
    assert_eq!(take(&mut follower, update(3, "bob")), ["reconnect: version 3 is not what it was"]);
}

#[test]
fn w4_what_is_in_flight_of_an_earlier_subscription_is_passed_over() {
    let mut follower = level_at(3);
    follower.connected();
    assert_eq!(take(&mut follower, update(4, "ada")), [""; 0]);
    assert_eq!(take(&mut follower, sync("replay", head(4, "ada"))), ["synced 4"]);
    assert_eq!(take(&mut follower, update(4, "ada")), ["apply 4"]);
}

#[test]
fn w4_a_commit_is_handed_on_as_the_server_wrote_it() {
    let mut follower = level_at(3);
    let bare = commit(4, "ada").to_string();
    let steps = follower.take(frame(update(4, "ada")));
    let [Step::Apply(received)] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(received.json, bare);
}

#[test]
fn w4_other_graphs_and_frames_of_later_releases_are_passed_over() {
    let mut follower = level_at(3);
    let mut other = update(9, "ada");
    other["graphId"] = "another".into();
    assert_eq!(take(&mut follower, other), [""; 0]);
    assert_eq!(take(&mut follower, json!({"type": "CONFETTI", "n": 1})), [""; 0]);
    assert!(
        ServerFrame::read("{\"type\":\"SYNC\"}").is_err(),
        "one that lacks what it must have is no frame"
    );
    assert!(ServerFrame::read("nonsense").is_err());
}

#[test]
fn w5_an_operation_is_sent_at_once_and_ends_with_its_commit() {
    let mut follower = level_at(3);
    assert_eq!(said(&follower.submit(operation(1))), ["send 1 after 0 ms"]);
    let own = frames::update_by(4, "ada", 1);
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
fn w2_while_the_store_is_away_it_subscribes_again_with_the_point_it_has() {
    let mut follower = follower(Aim::State, Some(3));
    follower.connected();
    let away = json!({"type": "ERROR", "code": "STORE_UNAVAILABLE", "message": "away", "graphId": "g"});
    let steps = take(&mut follower, away.clone());
    assert_eq!(steps, ["warn STORE_UNAVAILABLE", "subscribe after 1000 ms"]);
    assert_eq!(subscribe(&mut follower)["version"], 3);
    take(&mut follower, sync("in_sync", head(3, "ada")));
    assert_eq!(take(&mut follower, away), ["warn STORE_UNAVAILABLE"], "the subscription lives on");
}

#[test]
fn w9_a_graph_that_may_not_be_followed_is_given_up() {
    let mut follower = follower(Aim::State, Some(3));
    follower.connected();
    let no = json!({"type": "ERROR", "code": "FORBIDDEN", "message": "no right to read", "graphId": "g"});
    assert_eq!(take(&mut follower, no), ["give up FORBIDDEN"]);
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

#[test]
fn w9_goodbye_says_when_to_come_back() {
    let mut follower = level_at(3);
    let steps = follower.take(frame(json!({"type": "GOODBYE", "reconnectAfterMs": 1234})));
    let goodbye = Why::Goodbye { after: Duration::from_millis(1_234) };
    assert!(matches!(&steps[..], [Step::Reconnect(why)] if *why == goodbye), "{steps:?}");
}

#[test]
fn w7_presence_of_others_is_shown() {
    let mut follower = level_at(3);
    let cursor =
        json!({"type": "PRESENCE", "graphId": "g", "clientId": "tab", "userId": "bob", "state": {"x": 1}});
    assert_eq!(take(&mut follower, cursor), ["show tab"]);
}

#[test]
fn without_a_connection_nothing_is_taken() {
    let mut follower = level_at(3);
    follower.disconnected();
    assert_eq!(take(&mut follower, update(4, "ada")), [""; 0]);
    assert_eq!(at(&follower), Some(3));
}

#[test]
fn v7_a_graph_that_nobody_has_written_to_is_followed_from_version_0() {
    let mut follower = Follower::new(graph(), Aim::Commits, Some(Head::EMPTY.into()));
    assert_eq!(subscribe(&mut follower)["hash"], "0".repeat(64));
    take(&mut follower, sync("in_sync", Head::EMPTY));
    assert_eq!(take(&mut follower, update(1, "ada")), ["apply 1"]);
}

#[test]
fn h2_a_page_is_read_as_the_server_writes_it() {
    let page = json!({"graphId": "g", "since": 3, "currentVersion": 5, "hash": head(5, "ada").hash,
        "hasMore": true, "changes": [commit(4, "ada")]});
    let page = Page::read(&page.to_string()).unwrap();
    assert_eq!((page.current, page.is_reset, page.has_more), (head(5, "ada"), false, true));
    assert_eq!(page.commits[0].json, commit(4, "ada").to_string());
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

#[test]
fn l15_events_and_commands_of_later_releases_are_passed_over() {
    let mut commit = commit(8, "ada");
    commit["commandType"] = json!("PAINT_GRAPH");
    let known = commit["events"][0].clone();
    let unknown = json!({"type": "GraphPainted", "colour": {"type": "NodeDeleted"}, "at": 1e300});
    commit["events"] = json!([unknown, known, unknown]);
    let mut with_frame = json!({"type": "STATE_UPDATE"});
    for (key, value) in commit.as_object().unwrap() {
        with_frame[key] = value.clone();
    }
    let mut follower = level_at(7);
    let steps = follower.take(frame(with_frame));
    assert_eq!(said(&steps), ["apply 8"]);
    let Step::Apply(applied) = &steps[0] else { panic!("{steps:?}") };
    let fetched = &page(std::slice::from_ref(&commit), head(8, "ada"), false, false).commits[0];
    for received in [&**applied, fetched] {
        assert_eq!(received.commit.body.events.len(), 1, "{received:?}");
        assert!(received.json.contains("GraphPainted") && received.json.contains("PAINT_GRAPH"));
    }
    // Nothing else is forgiven: an event of a known type is complete.
    commit["events"] = json!([{"type": "NodeDeleted"}]);
    commit["type"] = json!("STATE_UPDATE");
    assert!(ServerFrame::read(&commit.to_string()).is_err());
}
