//! Rules U2 to U5 and U9 to U12: what goes back, what others took over, and what is told.

use dao_api::domain::{OnConflict, Reason, SkipReason};
use dao_projections::{Event, OperationId, Version};
use serde_json::json;
use uuid::Uuid;

use super::{a, edge_restored, restored, undo};
use crate::given::{
    Given, edge_created, edge_deleted, edge_updated, given, node, node_created, node_deleted, node_moved,
    node_updated, patch, viewport,
};

#[test]
fn u2_each_operation_must_be_the_commit_of_its_version() {
    let mut wrong = undo(a().by("ada", [node_moved("a", 1, 1)]), &[2]);
    wrong.operations[0].version = Version::new(1).expect("a version");
    let refusal = wrong.then_refused(Reason::OperationNotFound);
    assert!(!refusal.is_conflict());
    undo(a(), &[7]).then_refused(Reason::OperationNotFound);
}

#[test]
fn u2_anybodys_operation_may_be_undone() {
    undo(a().by("bob", [node_moved("a", 1, 1)]), &[2]).then([node_moved("a", 0, 0)]);
}

#[test]
fn u3_a_move_an_update_and_a_replacement_go_back_to_what_was_before() {
    undo(a().by("ada", [node_moved("a", 5, 5)]).by("ada", [node_moved("a", 9, 9)]), &[3])
        .then([node_moved("a", 5, 5)]);
    let updated =
        || a().by("ada", [node_updated("a", json!({"data": {"label": "Go", "new": 1, "n": null}}))]);
    undo(updated(), &[2]).then([node_updated("a", json!({"data": {"new": null, "label": "Start", "n": 1}}))]);
    let replaced = Event::NodeReplaced { node: node("a", json!({"type": "t"})) };
    undo(a().by("ada", [replaced]), &[2])
        .then([node_updated("a", json!({"type": null, "data": {"label": "Start", "n": 1}}))]);
}

#[test]
fn u3_an_edge_and_the_viewport_go_back() {
    let nodes =
        || given([node_created("a", json!({})), node_created("b", json!({})), edge_created("ab", "a", "b")]);
    undo(nodes().by("ada", [edge_updated("ab", json!({"target": "a", "label": "x"}))]), &[4])
        .then([edge_updated("ab", json!({"label": null, "target": "b"}))]);
    let set = |x| Event::ViewportSet { viewport: viewport(x, 0, 1.0) };
    undo(given([set(1), set(2)]), &[2]).then([set(1)]);
    undo(given([set(1)]), &[1]).then([set(0)]);
}

#[test]
fn u3_what_the_operations_did_among_themselves_is_one_change() {
    let moved = a().by("ada", [node_moved("a", 1, 1)]).by("ada", [node_moved("a", 2, 2)]);
    let result = undo(moved, &[3, 2]).then([node_moved("a", 0, 0)]);
    assert_eq!(result.undoes.len(), 2);
    let made = || {
        given([node_created("x", json!({})), node_created("y", json!({}))])
            .by("ada", [edge_created("xy", "x", "y")])
    };
    undo(made(), &[1, 2, 3]).then([edge_deleted("xy"), node_deleted("y"), node_deleted("x")]);
    let gone = a().by("ada", [node_updated("a", json!({"n": 1}))]).by("ada", [node_deleted("a")]);
    undo(gone, &[2, 3]).then([restored("a", json!({"data": {"label": "Start", "n": 1}}), 0, 1)]);
}

#[test]
fn u4_what_others_took_over_is_left_and_told_with_its_latest_writer() {
    let history = a()
        .by("ada", [node_updated("a", json!({"data": {"label": "Go", "n": 2}}))])
        .by("bob", [node_updated("a", json!({"data": {"label": "Begin"}}))])
        .by("bob", [node_moved("a", 3, 3)]);
    let result = undo(history, &[2]).then_merged(
        [node_updated("a", json!({"data": {"n": 1}}))],
        &[(SkipReason::TakenOver, "a", "/data/label")],
    );
    let conflict = &result.skipped[0].conflict;
    assert_eq!((&conflict.yours, &conflict.current), (&json!("Start"), &json!("Begin")));
    assert_eq!((conflict.version.get(), conflict.user_id.as_str()), (3, "bob"));
    assert_eq!(result.reverted[0].paths[0].as_str(), "/data/n");
}

#[test]
fn u4_what_is_already_as_it_was_before_needs_nothing() {
    undo(a().by("ada", [node_moved("a", 1, 1)]).by("bob", [node_moved("a", 0, 0)]), &[2]).then_unchanged();
}

#[test]
fn u4_what_others_changed_between_two_operations_is_theirs() {
    let history = a()
        .by("ada", [node_moved("a", 1, 1)])
        .by("bob", [node_moved("a", 5, 5)])
        .by("ada", [node_moved("a", 2, 2)]);
    undo(history, &[2, 4]).then_merged([node_moved("a", 5, 5)], &[(SkipReason::TakenOver, "a", "/position")]);
}

#[test]
fn u5_reject_refuses_where_anything_would_be_skipped() {
    let history = || {
        a().by("ada", [node_updated("a", json!({"data": {"label": "Go", "n": 2}}))])
            .by("bob", [node_updated("a", json!({"data": {"label": "Begin"}}))])
    };
    let refusal = undo(history(), &[2]).on_conflict(OnConflict::Reject).then_refused(Reason::UndoConflict);
    assert_eq!(refusal.resolution.expect("a resolution").conflicts.len(), 1);
    undo(history(), &[2])
        .on_conflict(OnConflict::Overwrite)
        .then([node_updated("a", json!({"data": {"label": "Start", "n": 1}}))]);
}

#[test]
fn u5_an_undo_of_which_all_would_be_skipped_is_refused() {
    let history = a().by("ada", [node_moved("a", 1, 1)]).by("bob", [node_moved("a", 2, 2)]);
    let refusal = undo(history, &[2]).then_refused(Reason::UndoConflict);
    assert!(refusal.is_conflict() && refusal.message.contains("bob"), "{}", refusal.message);
}

#[test]
fn u3_an_undo_changes_no_settings_of_the_graph() {
    let updated = |fields: serde_json::Value| Event::GraphUpdated { patch: patch(fields) };
    let opened = a()
        .by("ada", [updated(json!({"title": "Old", "settings": {"readOnly": true}}))])
        .by("ada", [updated(json!({"title": "New", "settings": {"readOnly": false}}))]);
    undo(opened.clone(), &[3]).then([updated(json!({"title": "Old"}))]);
    let only = a().by("ada", [updated(json!({"settings": {"note": 1}}))]);
    undo(only.clone(), &[2]).then_unchanged();
    undo(only, &[2]).on_conflict(OnConflict::Overwrite).then_unchanged();
}

#[test]
fn u12_each_path_has_one_entry_with_what_the_oldest_operation_would_put_back() {
    let history = a()
        .by("ada", [node_moved("a", 1, 1), node_updated("a", json!({"data": {"n": 5}}))])
        .by("ada", [node_moved("a", 2, 2)])
        .by("bob", [node_moved("a", 3, 3), node_updated("a", json!({"data": {"n": 7}}))]);
    let told = |history: Given| {
        let refusal = undo(history, &[2, 3]).then_refused(Reason::UndoConflict);
        let conflicts = refusal.resolution.expect("a resolution").conflicts;
        conflicts.into_iter().map(|one| (one.path.as_str().to_owned(), one.yours)).collect::<Vec<_>>()
    };
    let [position, n] = [json!({"x": 0, "y": 0}), json!(1)];
    assert_eq!(
        told(history.clone()),
        [("/position".into(), position.clone()), ("/data/n".into(), n.clone())]
    );
    let gone = history.by("bob", [node_deleted("a")]);
    assert_eq!(told(gone), [(String::new(), json!({"position": position, "data": {"n": n}}))]);
}

#[test]
fn u9_redo_is_undo_of_the_undo() {
    let deleted = given([node_created("a", json!({})), node_created("b", json!({}))])
        .by("ada", [edge_created("ab", "a", "b")])
        .by("ada", [edge_deleted("ab"), node_deleted("a")]);
    let back = [restored("a", json!({}), 0, 1), edge_restored("ab", "a", "b", 2, 3)];
    let undone = undo(deleted.clone(), &[4]);
    undone.then(back.clone());
    let redone = undo(deleted.by("ada", back), &[5]);
    redone.then([edge_deleted("ab"), node_deleted("a")]);
}

#[test]
fn u10_another_undo_of_what_is_undone_is_unchanged() {
    let history = a().by("ada", [node_moved("a", 1, 1)]).by("ada", [node_moved("a", 0, 0)]);
    undo(history, &[2]).then_unchanged();
    undo(a().by("ada", [node_deleted("a")]), &[1]).then_unchanged();
}

#[test]
fn u11_the_client_version_is_only_checked_for_being_ahead() {
    let mut undoing = undo(a().by("ada", [node_moved("a", 1, 1)]), &[2]);
    undoing.version = Version::new(1);
    undoing.then([node_moved("a", 0, 0)]);
    let mut ahead = undo(a(), &[1]);
    ahead.version = Version::new(9);
    ahead.then_refused(Reason::VersionAhead);
}

#[test]
fn u12_the_result_names_what_was_put_back() {
    let history = a().by("ada", [node_moved("a", 1, 1), node_updated("a", json!({"data": {"n": 5}}))]);
    let result = undo(history, &[2])
        .then([node_updated("a", json!({"position": {"x": 0, "y": 0}, "data": {"n": 1}}))]);
    let paths: Vec<_> = result.reverted[0].paths.iter().map(|path| path.as_str()).collect();
    assert_eq!((result.reverted.len(), paths), (1, vec!["/position", "/data/n"]));
    assert_eq!(result.undoes, [OperationId::from(Uuid::from_u128(2))]);
}

#[test]
fn u12_what_one_operation_brings_and_an_older_one_takes_again_is_not_told() {
    let history = a()
        .by("ada", [node_created("b", json!({}))])
        .by("ada", [node_deleted("b")])
        .by("ada", [node_updated("a", json!({"data": {"n": 5}}))])
        .by("ada", [node_updated("a", json!({"data": {"n": 1, "label": "Begin"}}))]);
    let result = undo(history, &[2, 3, 4, 5]).then([node_updated("a", json!({"data": {"label": "Start"}}))]);
    let told: Vec<_> = result.reverted.iter().map(|one| (&*one.id, one.paths.len())).collect();
    assert_eq!(told, [("a", 1)]);
}
