//! Rule U6: what was created is deleted, unless others use it.

use dao_api::domain::{OnConflict, Reason, SkipReason, Verdict};
use serde_json::json;

use super::{a, restored, undo};
use crate::given::{edge_created, edge_deleted, given, node_created, node_deleted, node_moved, node_updated};

#[test]
fn u6_what_was_created_is_deleted_with_what_its_authors_hung_on_it() {
    let history = given([node_created("a", json!({})), node_created("b", json!({}))])
        .by("ada", [edge_created("ab", "a", "b")])
        .by("bob", [node_moved("b", 9, 9)]);
    undo(history, &[2]).then([edge_deleted("ab"), node_deleted("b")]);
}

#[test]
fn u6_what_others_use_stays() {
    let nodes = || given([node_created("a", json!({})), node_created("b", json!({}))]);
    for others in [
        node_updated("b", json!({"data": {"label": "x"}})),
        edge_created("ab", "a", "b"),
        node_created("child", json!({"parentId": "b"})),
    ] {
        let refusal = undo(nodes().by("bob", [others.clone()]), &[2]).then_refused(Reason::UndoConflict);
        let conflict = &refusal.resolution.expect("a resolution").conflicts[0];
        assert_eq!(
            (&*conflict.id, conflict.user_id.as_str(), conflict.version.get()),
            ("b", "bob", 3),
            "{others:?}"
        );
        let overwritten = undo(nodes().by("bob", [others]), &[2]).on_conflict(OnConflict::Overwrite);
        assert!(matches!(overwritten.verdict(), Verdict::Accepted { .. }));
    }
}

#[test]
fn u6_what_others_deleted_is_not_in_use_by_them_where_the_author_brought_it_back() {
    let back = restored("b", json!({}), 1, 2);
    let nodes = || given([node_created("a", json!({})), node_created("b", json!({}))]);
    let history = nodes().by("bob", [node_deleted("b")]).by("ada", [back.clone()]);
    undo(history, &[2]).then([node_deleted("b")]);
    // Who brings it back wants it.
    let history = nodes().by("ada", [node_deleted("b")]).by("bob", [back]);
    undo(history, &[2]).then_refused(Reason::UndoConflict);
}

#[test]
fn u6_what_was_there_before_the_node_does_not_go_with_it() {
    let history = a()
        .by("ada", [node_created("group", json!({}))])
        .by("ada", [node_updated("a", json!({"parentId": "group"}))]);
    undo(history.clone(), &[2]).then_refused(Reason::UndoConflict);
    undo(history, &[2, 3]).then([node_updated("a", json!({"parentId": null})), node_deleted("group")]);
}

#[test]
fn u6_what_others_made_and_goes_back_into_the_node_keeps_it() {
    let dragged_out = given([node_created("a", json!({}))])
        .by("ada", [node_created("group", json!({}))])
        .by("bob", [node_created("theirs", json!({"parentId": "group"}))])
        .by("ada", [node_updated("theirs", json!({"parentId": null}))]);
    undo(dragged_out, &[2, 4]).then_merged(
        [node_updated("theirs", json!({"parentId": "group"}))],
        &[(SkipReason::InUse, "group", "")],
    );
    let deleted = given([node_created("a", json!({}))])
        .by("ada", [node_created("group", json!({}))])
        .by("bob", [node_created("theirs", json!({"parentId": "group"}))])
        .by("ada", [node_deleted("theirs")]);
    undo(deleted, &[2, 4]).then_merged(
        [restored("theirs", json!({"parentId": "group"}), 2, 3)],
        &[(SkipReason::InUse, "group", "")],
    );
    // What hangs on what goes back counts too.
    let with_child = given([node_created("a", json!({}))])
        .by("bob", [node_created("b", json!({}))])
        .by("ada", [node_created("group", json!({}))])
        .by("ada", [node_updated("a", json!({"parentId": "group"}))])
        .by("bob", [node_created("child", json!({"parentId": "a"}))])
        .by("ada", [node_updated("a", json!({"parentId": null}))]);
    undo(with_child, &[3, 6])
        .then_merged([node_updated("a", json!({"parentId": "group"}))], &[(SkipReason::InUse, "group", "")]);
}

#[test]
fn u6_one_that_is_in_use_keeps_all_that_it_is_inside_of() {
    let chain = given([node_created("a", json!({}))])
        .by(
            "ada",
            [
                node_created("g", json!({})),
                node_created("h", json!({"parentId": "g"})),
                node_created("i", json!({"parentId": "h"})),
            ],
        )
        .by("bob", [node_updated("i", json!({"data": {"label": "x"}}))]);
    let refusal = undo(chain, &[2]).then_refused(Reason::UndoConflict);
    let conflicts = refusal.resolution.expect("a resolution").conflicts;
    let told: Vec<_> = conflicts.iter().map(|c| (&*c.id, c.user_id.as_str(), c.version.get())).collect();
    assert_eq!(told, [("i", "bob", 3), ("h", "bob", 3), ("g", "bob", 3)]);
}
