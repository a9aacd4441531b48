//! The client's state machine against rules W, rule by rule; then against any order of cuts, repeats
//! and reconnects (`any_order`).

mod any_order;
mod frames;
mod operations;
mod subscribing;

use std::time::Duration;

use dao_api::client::{Aim, Ending, Follower, Point, Refused, ServerFrame, Step, Why};
use frames::{commit, frame, graph, head, page, sync, update, version};
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
fn w9_a_graph_that_may_not_be_followed_is_given_up() {
    let mut follower = follower(Aim::State, Some(3));
    follower.connected();
    let no = json!({"type": "ERROR", "code": "FORBIDDEN", "message": "no right to read", "graphId": "g"});
    assert_eq!(take(&mut follower, no), ["give up FORBIDDEN"]);
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
