//! Rules W2 and V4: where a follower begins, what it is given, and when it starts over.

use super::frames::{
    commit, fetched_page, graph, head, operation, operation_id, page, reset_page, snapshot, sync, update,
    version,
};
use dao_api::client::{Aim, Follower, Page, Point, ServerFrame, Step};
use dao_projections::Head;
use serde_json::json;

use super::{at, follower, level_at, said, subscribe, take};

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
fn v4_the_same_version_with_another_hash_is_another_history() {
    let mut follower = level_at(3);
    assert_eq!(take(&mut follower, update(3, "bob")), ["reconnect: version 3 is not what it was"]);
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
