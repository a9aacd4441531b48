//! Rules D3 to D5: deletions, by others and of what others changed.

use dao_api::domain::{OnConflict, Reason, Verdict};
use dao_projections::Outcome;
use serde_json::json;

use super::a;
use crate::given::*;

#[test]
fn d3_deleting_what_others_updated_is_a_conflict() {
    let updated = a().by("bob", [node_updated("a", json!({"data": {"x": 9}}))]);
    let refusal = updated.clone().when(delete("a")).at(1).then_conflict(Reason::Conflict);
    let entry = &refusal.resolution.expect("a conflict").conflicts[0];
    assert_eq!((entry.path.as_str(), &entry.yours), ("", &json!(null)));
    assert_eq!(entry.current["data"]["x"], json!(9));
    updated.when(delete("a")).at(1).on_conflict(OnConflict::Overwrite).then_merged([node_deleted("a")]);
}

#[test]
fn d3_deleting_what_others_moved_is_not_a_conflict() {
    a().by("bob", [node_moved("a", 1, 1)]).when(delete("a")).at(1).then_merged([node_deleted("a")]);
}

/// Node `a`, in it `c`, and in that `d`, at version 3.
fn nested() -> Given {
    a().by("ada", [node_created("c", json!({"parentId": "a"}))])
        .by("ada", [node_created("d", json!({"parentId": "c"}))])
}

#[test]
fn d3_edges_and_moves_of_nodes_deleted_along_are_not_a_conflict() {
    nested()
        .by("bob", [node_moved("d", 9, 9)])
        .by("bob", [edge_created("e", "d", "a")])
        .by("bob", [edge_updated("e", json!({"label": "bobs"}))])
        .when(delete("a"))
        .at(3)
        .then([edge_deleted("e"), node_deleted("d"), node_deleted("c"), node_deleted("a")]);
}

#[test]
fn d3_changes_of_others_inside_a_node_are_not_deleted_unseen() {
    let theirs = [
        (node_created("n", json!({"parentId": "a"})), "n"),
        (node_created("n", json!({"parentNode": "d"})), "n"),
        (node_updated("d", json!({"data": {"x": 1}})), "d"),
    ];
    for (event, id) in theirs {
        let history = || nested().by("bob", [event.clone()]);
        let refusal = history().when(delete("a")).at(3).then_conflict(Reason::Conflict);
        let conflicts = refusal.resolution.expect("a conflict").conflicts;
        let entry = &conflicts[0];
        assert_eq!((conflicts.len(), entry.id.as_str(), entry.path.as_str()), (1, id, ""));
        assert_eq!((&entry.yours, &entry.current["id"]), (&json!(null), &json!(id)));
        assert_eq!((entry.version.get(), entry.user_id.as_str()), (4, "bob"));
        let outcome = |when: When| match when.verdict() {
            Verdict::Accepted { outcome, .. } => outcome,
            other => panic!("{other:?}"),
        };
        let overwriting = history().when(delete("a")).at(3).on_conflict(OnConflict::Overwrite);
        assert_eq!(outcome(overwriting), Outcome::Merged);
        assert_eq!(outcome(history().when(delete("a")).at(4)), Outcome::Applied, "seen");
    }
    // Nor by a batch that first takes out what its author knew of.
    let ungroup = || [update("c", json!({"parentId": null})), delete("a")];
    let put_beside = nested().by("bob", [node_created("n", json!({"parentId": "a"}))]);
    let refusal = put_beside.when_all(ungroup()).at(3).then_conflict(Reason::Conflict);
    assert_eq!(refusal.index, Some(1));
    nested()
        .by("bob", [node_created("n", json!({"parentId": "c"}))])
        .when_all(ungroup())
        .at(3)
        .then([node_updated("c", json!({"parentId": null})), node_deleted("a")]);
    let put_in = given([node_created("a", json!({})), node_created("n", json!({}))])
        .by("bob", [node_updated("n", json!({"parentId": "a"}))]);
    put_in.when(delete("a")).at(2).then_conflict(Reason::Conflict);
    let taken_out = nested().by("bob", [node_updated("c", json!({"parentId": null}))]);
    taken_out.when(delete("a")).at(3).then([node_deleted("a")]);
    let own = nested().by("ada", [node_created("n", json!({"parentId": "a"}))]);
    own.when(delete("n")).at(3).then([node_deleted("n")]);
}

#[test]
fn d5_reject_looks_at_everything_that_is_deleted_along() {
    let edge = || nested().by("ada", [edge_created("e", "d", "d")]);
    let theirs = [
        node_moved("d", 9, 9),
        node_updated("c", json!({"k": 1})),
        node_created("n", json!({"parentId": "d"})),
        edge_created("f", "a", "d"),
        edge_updated("e", json!({"label": "bobs"})),
    ];
    for event in theirs {
        let id = event.entity().to_string();
        let history = edge().by("bob", [event]);
        let refusal = history.when(delete("a")).at(4).on_conflict(OnConflict::Reject);
        let conflicts = refusal.then_conflict(Reason::Conflict).resolution.expect("a conflict").conflicts;
        assert_eq!(conflicts.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), [id]);
    }
    edge()
        .by("bob", [node_created("z", json!({}))])
        .when(delete("a"))
        .at(4)
        .on_conflict(OnConflict::Reject)
        .then([edge_deleted("e"), node_deleted("d"), node_deleted("c"), node_deleted("a")]);
}

#[test]
fn d4_the_target_was_deleted_since_by_anyone() {
    for who in ["ada", "bob"] {
        let refusal = a()
            .by(who, [node_deleted("a")])
            .when(update("a", json!({"data": {"x": 5}})))
            .at(1)
            .then_conflict(Reason::TargetDeleted);
        let entry = &refusal.resolution.expect("a conflict").conflicts[0];
        assert_eq!((entry.version.get(), entry.user_id.as_str(), &entry.current), (2, who, &json!(null)));
    }
    a().by("bob", [node_deleted("a")]).when(move_to("a", 1, 1)).at(1).then_conflict(Reason::TargetDeleted);
    a().by("bob", [node_deleted("a")]).when(delete("a")).at(1).then_conflict(Reason::TargetDeleted);
}

#[test]
fn d4_ones_own_deletion_and_creation_again_is_not_a_conflict() {
    for policy in [OnConflict::Merge, OnConflict::Overwrite, OnConflict::Reject] {
        let again = a().by("ada", [node_deleted("a")]).by("ada", [node_created("a", json!({}))]);
        let patch = json!({"k": 1});
        again
            .clone()
            .when(update("a", patch.clone()))
            .at(1)
            .on_conflict(policy)
            .then([node_updated("a", patch)]);
        again.when(delete("a")).at(1).on_conflict(policy).then([node_deleted("a")]);
    }
    let gone = a().by("ada", [node_deleted("a")]).by("ada", [node_created("a", json!({}))]);
    let gone = gone.by("ada", [node_deleted("a")]);
    gone.when(update("a", json!({"k": 1}))).at(1).then_conflict(Reason::TargetDeleted);
    let brought_back = a().by("ada", [node_deleted("a")]).by("bob", [node_created("a", json!({"k": 2}))]);
    brought_back.when(update("a", json!({"k": 1}))).at(1).then_conflict(Reason::Conflict);
}

#[test]
fn d4_a_deletion_by_others_counts_also_if_it_was_created_again() {
    for who in ["ada", "bob"] {
        let again = a().by("bob", [node_deleted("a")]).by(who, [node_created("a", json!({}))]);
        let refusal = again.when(update("a", json!({"k": 1}))).at(1).then_conflict(Reason::TargetDeleted);
        assert_eq!(refusal.resolution.expect("a conflict").conflicts[0].version.get(), 2);
    }
    let again = a().by("bob", [node_deleted("a")]).by("bob", [node_created("a", json!({}))]);
    again
        .when(move_to("a", 1, 1))
        .at(1)
        .on_conflict(OnConflict::Overwrite)
        .then_conflict(Reason::TargetDeleted);
}

#[test]
fn d4_a_target_that_was_missing_at_that_version_too_is_not_found() {
    a().by("bob", [node_deleted("a")]).when(move_to("a", 1, 1)).at(2).then_failed(Reason::NodeNotFound);
    a().by("bob", [node_moved("a", 2, 2)]).when(move_to("z", 1, 1)).at(1).then_failed(Reason::NodeNotFound);
}

#[test]
fn d4_an_end_or_a_parent_that_was_deleted_since_is_a_conflict() {
    let gone = a().by("ada", [node_created("b", json!({}))]).by("bob", [node_deleted("b")]);
    let refusal = gone.clone().when(connect("e", "a", "b")).at(2).then_conflict(Reason::DanglingEdge);
    let entry = &refusal.resolution.expect("a conflict").conflicts[0];
    assert_eq!((entry.path.as_str(), &entry.yours, entry.user_id.as_str()), ("/target", &json!("b"), "bob"));
    gone.clone().when(connect("e", "a", "b")).at(3).then_failed(Reason::DanglingEdge);
    gone.clone()
        .when(create(node("c", json!({"parentId": "b"}))))
        .at(2)
        .then_conflict(Reason::ParentNotFound);
    gone.when(create(node("c", json!({"parentId": "b"})))).then_failed(Reason::ParentNotFound);
}
