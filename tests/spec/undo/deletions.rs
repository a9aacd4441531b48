//! Rules U7 and U8: what was deleted or exchanged comes back, within the rules of a graph.

use dao_api::domain::{OnConflict, Reason, SkipReason};
use dao_projections::{Entity, Event};
use serde_json::json;

use super::{a, edge_restored, restored, undo};
use crate::given::{
    Given, edge_created, edge_deleted, given, node_created, node_deleted, node_moved, node_updated, patch,
};

#[test]
fn u8_attributes_stay_within_their_limit() {
    let updated = |fields: serde_json::Value| Event::GraphUpdated { patch: patch(fields) };
    let long = "x".repeat(12 << 10);
    let history = a()
        .by("ada", [updated(json!({"data": {"one": long}}))])
        .by("ada", [updated(json!({"data": {"one": null}}))])
        .by("bob", [updated(json!({"data": {"two": long}}))]);
    let refusal = undo(history, &[3]).then_refused(Reason::UndoConflict);
    assert_eq!(refusal.resolution.expect("a resolution").conflicts[0].entity, Entity::Graph.kind());
}

#[test]
fn u7_what_was_deleted_comes_back_as_it_was_in_its_old_place() {
    let history =
        given([node_created("a", json!({"data": {"x": 1}})), node_created("b", json!({"parentId": "a"}))])
            .by("ada", [edge_created("ab", "a", "b")])
            .by("ada", [node_created("c", json!({}))])
            .by("ada", [edge_deleted("ab"), node_deleted("b"), node_deleted("a")])
            .by("bob", [node_created("d", json!({}))]);
    let result = undo(history, &[5]).then([
        restored("a", json!({"data": {"x": 1}}), 0, 1),
        restored("b", json!({"parentId": "a"}), 1, 2),
        edge_restored("ab", "a", "b", 2, 3),
    ]);
    assert!(result.detached.is_empty());
}

#[test]
fn u7_an_id_that_is_in_use_again_is_skipped() {
    let history = a().by("ada", [node_deleted("a")]).by("bob", [node_created("a", json!({"type": "other"}))]);
    let refusal = undo(history, &[2]).then_refused(Reason::UndoConflict);
    let conflict = &refusal.resolution.expect("a resolution").conflicts[0];
    assert_eq!((conflict.user_id.as_str(), &conflict.current["type"]), ("bob", &json!("other")));
}

/// A node that was deleted and made anew, and is exchanged for the first one by ada's fifth commit, as a restore does.
fn exchanged() -> Given {
    a().by("ada", [node_created("c", json!({"data": {"n": 1}}))])
        .by("ada", [node_deleted("c")])
        .by("ada", [node_created("c", json!({"data": {"n": 2}}))])
        .by("ada", [node_deleted("c"), restored("c", json!({"data": {"n": 1}}), 1, 2)])
}

#[test]
fn u7_what_was_exchanged_is_exchanged_back_and_keeps_what_hangs_on_it() {
    let back = [node_deleted("c"), restored("c", json!({"data": {"n": 2}}), 2, 4)];
    undo(exchanged(), &[5]).then(back.clone());
    // Somebody's edge at it, and what somebody put into it, stay.
    let used = exchanged()
        .by("bob", [edge_created("ac", "a", "c")])
        .by("bob", [node_updated("a", json!({"parentId": "c"}))]);
    undo(used, &[5]).then(back.clone());
    // What the same commit moved into it goes out, and what it made in it goes.
    let moved = a()
        .by("ada", [node_created("c", json!({"data": {"n": 1}}))])
        .by("ada", [node_deleted("c")])
        .by("ada", [node_created("c", json!({"data": {"n": 2}}))])
        .by(
            "ada",
            [
                node_deleted("c"),
                restored("c", json!({"data": {"n": 1}}), 1, 2),
                node_created("d", json!({"parentId": "c"})),
                node_updated("a", json!({"parentId": "c"})),
            ],
        );
    undo(moved, &[5]).then([
        node_deleted("d"),
        node_deleted("c"),
        restored("c", json!({"data": {"n": 2}}), 2, 4),
        node_updated("a", json!({"parentId": null})),
    ]);
}

#[test]
fn u7_what_others_updated_since_it_was_exchanged_keeps_its_place() {
    let written = exchanged().by("bob", [node_updated("c", json!({"data": {"theirs": true}}))]);
    undo(written.clone(), &[5]).then([node_updated("c", json!({"data": {"n": 2}}))]);
    let back = [node_deleted("c"), restored("c", json!({"data": {"n": 2, "theirs": true}}), 2, 4)];
    undo(written, &[5]).on_conflict(OnConflict::Overwrite).then(back);
    let gone = exchanged().by("bob", [node_deleted("c")]);
    undo(gone, &[5]).then_refused(Reason::UndoConflict);
}

#[test]
fn u7_an_edge_whose_end_is_gone_is_skipped() {
    let history =
        given([node_created("a", json!({})), node_created("b", json!({})), node_created("c", json!({}))])
            .by("ada", [edge_created("ab", "a", "b"), edge_created("ac", "a", "c")])
            .by("ada", [edge_deleted("ab"), edge_deleted("ac")])
            .by("bob", [node_deleted("b")]);
    let result = undo(history, &[5])
        .then_merged([edge_restored("ac", "a", "c", 4, 4)], &[(SkipReason::DanglingEdge, "ab", "")]);
    assert_eq!(
        (result.skipped[0].conflict.version.get(), result.skipped[0].conflict.user_id.as_str()),
        (6, "bob")
    );
}

#[test]
fn u7_a_node_whose_parent_is_gone_comes_back_without_it_where_it_stood() {
    let history = given([
        node_created("outer", json!({"position": {"x": 1000, "y": 0}})),
        node_created("box", json!({"position": {"x": 100, "y": 10}, "parentId": "outer"})),
        node_created("a", json!({"position": {"x": 1, "y": 2}, "parentId": "box", "extent": "parent"})),
    ])
    .by("ada", [node_deleted("a")])
    .by("bob", [node_moved("box", 200, 20)])
    .by("bob", [node_deleted("box")]);
    let result = undo(history, &[4]).then([restored("a", json!({"position": {"x": 1201, "y": 22}}), 2, 3)]);
    assert_eq!(result.detached.len(), 1);
}

#[test]
fn u8_a_parent_that_was_changed_and_is_gone_is_told_beside_what_comes_back_without_it() {
    let history = given([
        node_created("p", json!({"position": {"x": 5, "y": 5}})),
        node_created("c", json!({"parentId": "p", "position": {"x": 1, "y": 1}})),
    ])
    .by("ada", [node_moved("p", 6, 5), node_deleted("c")])
    .by("bob", [node_deleted("p")]);
    let alone = restored("c", json!({"position": {"x": 7, "y": 6}}), 1, 2);
    let result = undo(history, &[3]).then_merged([alone], &[(SkipReason::TargetDeleted, "p", "")]);
    assert_eq!(
        result.skipped[0].conflict.yours,
        json!({"position": {"x": 5, "y": 5}}),
        "a position is one field"
    );
    assert_eq!(result.detached.len(), 1);
}

#[test]
fn u8_a_parent_and_its_child_that_changed_places_change_back() {
    // A batch, a save and a restore are judged as a whole: between two of their events a node may be inside of itself.
    let inside = |parent: serde_json::Value| json!({"parentId": parent});
    let history = given([
        node_created("q", json!({})),
        node_created("p", json!({"parentId": "q"})),
        node_created("u", json!({"parentId": "p"})),
    ])
    .by("ada", [node_updated("q", inside(json!("u"))), node_updated("u", inside(json!(null)))]);
    undo(history, &[4]).then([node_updated("q", inside(json!(null))), node_updated("u", inside(json!("p")))]);
}

#[test]
fn u8_what_would_break_the_limits_or_g4_is_skipped() {
    let ids = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let history = given(ids.map(|id| node_created(id, json!({}))))
        .by("ada", [node_deleted("a"), node_deleted("b")])
        .by("bob", [node_created("z", json!({}))]);
    let result = undo(history, &[9])
        .then_merged([restored("b", json!({}), 1, 2)], &[(SkipReason::TooManyEntities, "a", "")]);
    assert_eq!(result.reverted.len(), 1);

    let history = given([node_created("a", json!({"parentId": null})), node_created("box", json!({}))])
        .by("ada", [node_updated("a", json!({"parentId": "box"}))])
        .by("ada", [node_updated("a", json!({"parentId": null, "data": {"x": 1}}))])
        .by("bob", [node_deleted("box")]);
    undo(history, &[4]).then_merged(
        [node_updated("a", json!({"data": null}))],
        &[(SkipReason::ParentNotFound, "a", "/parentId")],
    );
}
