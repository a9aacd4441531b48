//! Rules D1 to D7: what others did since the client looked. Ada's clients are called like her; what
//! Bob did is somebody else's.

use dao_api::domain::{Command, OnConflict, Reason};
use serde_json::json;

use super::given::*;

/// Node `a` at version 1, with three fields.
fn a() -> Given {
    given([node_created("a", json!({"data": {"x": 1, "y": 2, "deep": {"p": 1, "q": 2}}}))])
}

#[test]
fn d1_own_commits_never_conflict_under_any_policy() {
    for policy in [OnConflict::Merge, OnConflict::Overwrite, OnConflict::Reject] {
        a().by("ada", [node_updated("a", json!({"data": {"x": 5}}))])
            .when(update("a", json!({"data": {"x": 6}})))
            .at(1)
            .on_conflict(policy)
            .then([node_updated("a", json!({"data": {"x": 6}}))]);
    }
}

#[test]
fn d1_a_node_created_by_oneself_since_is_ones_own() {
    given([])
        .by("ada", [node_created("n", json!({}))])
        .when(move_to("n", 1, 1))
        .at(0)
        .then([node_moved("n", 1, 1)]);
}

#[test]
fn d2_others_on_other_entities_leave_it_applied() {
    a().by("bob", [node_created("b", json!({}))])
        .when(update("a", json!({"data": {"x": 5}})))
        .at(1)
        .then([node_updated("a", json!({"data": {"x": 5}}))]);
}

#[test]
fn d2_others_on_other_fields_are_merged_with() {
    a().by("bob", [node_updated("a", json!({"data": {"y": 9}}))])
        .when(update("a", json!({"data": {"x": 5}})))
        .at(1)
        .then_merged([node_updated("a", json!({"data": {"x": 5}}))]);
    a().by("bob", [node_moved("a", 1, 1)])
        .when(update("a", json!({"data": {"x": 5}})))
        .at(1)
        .then_merged([node_updated("a", json!({"data": {"x": 5}}))]);
}

#[test]
fn d2_without_a_version_it_applies_to_what_stands() {
    a().by("bob", [node_updated("a", json!({"data": {"x": 9}}))])
        .when(update("a", json!({"data": {"x": 5}})))
        .then([node_updated("a", json!({"data": {"x": 5}}))]);
}

#[test]
fn d3_the_same_field_conflicts_and_the_answer_says_what_stands() {
    let refusal = a()
        .by("bob", [node_updated("a", json!({"data": {"x": 8}}))])
        .by("bob", [node_updated("a", json!({"data": {"x": 9}}))])
        .when(update("a", json!({"data": {"x": 5, "y": 7}})))
        .at(1)
        .then_conflict(Reason::Conflict);
    let resolution = refusal.resolution.expect("a conflict");
    assert_eq!(resolution.current_version.get(), 3);
    assert_eq!(resolution.conflicts.len(), 1, "one entry a path");
    let entry = &resolution.conflicts[0];
    assert_eq!((entry.id.as_str(), entry.path.as_str()), ("a", "/data/x"));
    assert_eq!((&entry.yours, &entry.current), (&json!(5), &json!(9)));
    assert_eq!((entry.version.get(), entry.user_id.as_str()), (3, "bob"), "the latest commit that wrote it");
}

#[test]
fn d3_a_path_and_its_ancestor_are_the_same_field() {
    let below = a().by("bob", [node_updated("a", json!({"data": {"deep": {"p": 9}}}))]);
    below.when(update("a", json!({"data": {"deep": 5}}))).at(1).then_conflict(Reason::Conflict);
    let above = a().by("bob", [node_updated("a", json!({"data": {"deep": 7}}))]);
    above.when(update("a", json!({"data": {"deep": {"p": 5}}}))).at(1).then_conflict(Reason::Conflict);
}

#[test]
fn d3_what_stands_there_already_is_no_conflict() {
    let start = a().by("bob", [node_updated("a", json!({"data": {"x": 9}}))]);
    start.clone().when(update("a", json!({"data": {"x": 9}}))).at(1).then_unchanged();
    let both = json!({"data": {"x": 9, "y": 3}});
    start.when(update("a", both.clone())).at(1).then_merged([node_updated("a", both)]);
    let gone = a().by("bob", [node_updated("a", json!({"data": {"x": null}}))]);
    gone.when(update("a", json!({"data": {"x": null}}))).at(1).then_unchanged();
}

#[test]
fn d3_removing_below_what_others_replaced_or_removed_is_a_conflict() {
    let theirs = [
        json!({"data": {"deep": "by bob"}}),
        json!({"data": {"deep": [1, 2]}}),
        json!({"data": {"deep": null}}),
        json!({"data": null}),
    ];
    for fields in theirs {
        let refusal = a()
            .by("bob", [node_updated("a", fields)])
            .when(update("a", json!({"data": {"deep": {"p": null}}})))
            .at(1)
            .then_conflict(Reason::Conflict);
        let entry = &refusal.resolution.expect("a conflict").conflicts[0];
        assert_eq!((entry.path.as_str(), &entry.current), ("/data/deep/p", &json!(null)));
    }
    a().by("bob", [node_updated("a", json!({"data": {"deep": {"p": null}}}))])
        .when(update("a", json!({"data": {"deep": {"p": null}}})))
        .at(1)
        .then_unchanged();
}

#[test]
fn d3_an_element_of_a_list_is_not_what_a_patch_asks_for() {
    let refusal = a()
        .by("bob", [node_updated("a", json!({"data": {"list": [5]}}))])
        .when(update("a", json!({"data": {"list": {"0": 5}}})))
        .at(1)
        .then_conflict(Reason::Conflict);
    assert_eq!(refusal.resolution.expect("a conflict").conflicts[0].current, json!(null));
}

#[test]
fn d3_the_same_place_in_other_digits_is_what_was_asked_for() {
    let moved = || a().by("bob", [node_moved("a", 5, 7)]);
    for same in [json!({"x": 5.0, "y": 7.0}), json!({"x": 5}), json!({"y": 7.0})] {
        moved().when(update("a", json!({"position": same}))).at(1).then_unchanged();
    }
    let more = json!({"position": {"x": 5.0}, "type": "input"});
    moved().when(update("a", more.clone())).at(1).then_merged([node_updated("a", more)]);
    moved().when(update("a", json!({"position": {"x": 5.5}}))).at(1).then_conflict(Reason::Conflict);
}

#[test]
fn d7_an_entry_names_the_latest_commit_that_wrote_the_field() {
    for policy in [OnConflict::Merge, OnConflict::Reject] {
        let refusal = a()
            .by("bob", [node_updated("a", json!({"data": {"x": 2}}))])
            .by("ada", [node_updated("a", json!({"data": {"x": 3}}))])
            .by("ada", [node_updated("a", json!({"data": {"y": 3}}))])
            .when(update("a", json!({"data": {"x": 4}})))
            .at(1)
            .on_conflict(policy)
            .then_conflict(Reason::Conflict);
        let conflicts = refusal.resolution.expect("a conflict").conflicts;
        let entry = &conflicts[0];
        assert_eq!((conflicts.len(), &entry.current), (1, &json!(3)));
        assert_eq!((entry.version.get(), entry.user_id.as_str()), (3, "ada"));
    }
}

#[test]
fn d3_positions_and_the_viewport_are_last_writer_wins() {
    a().by("bob", [node_moved("a", 1, 1)])
        .when(move_to("a", 2, 2))
        .at(1)
        .then_merged([node_moved("a", 2, 2)]);
    let wanted = viewport(1, 1, 2.0);
    a().by("bob", [dao_projections::Event::ViewportSet { viewport: viewport(9, 9, 1.0) }])
        .when(Command::SetViewport { viewport: wanted.clone() })
        .at(1)
        .then_merged([dao_projections::Event::ViewportSet { viewport: wanted }]);
}

#[test]
fn d3_a_position_in_an_update_is_one_field_and_conflicts() {
    let moved = a().by("bob", [node_moved("a", 1, 1)]);
    let refusal =
        moved.when(update("a", json!({"position": {"x": 5}}))).at(1).then_conflict(Reason::Conflict);
    let entry = &refusal.resolution.expect("a conflict").conflicts[0];
    assert_eq!(entry.path.as_str(), "/position");
    assert_eq!(entry.current, json!({"x": 1, "y": 1}));
}

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
fn d3_deleting_what_others_moved_is_none() {
    a().by("bob", [node_moved("a", 1, 1)]).when(delete("a")).at(1).then_merged([node_deleted("a")]);
}

#[test]
fn d3_what_is_deleted_along_is_no_conflict() {
    a().by("ada", [node_created("c", json!({"parentId": "a"}))])
        .by("bob", [node_updated("c", json!({"data": {"x": 1}}))])
        .by("bob", [edge_created("e", "c", "a")])
        .when(delete("a"))
        .at(2)
        .then([edge_deleted("e"), node_deleted("c"), node_deleted("a")]);
}

#[test]
fn d3_edges_have_fields_too() {
    let start = a().by("ada", [edge_created("e", "a", "a")]);
    start
        .clone()
        .by("bob", [edge_updated("e", json!({"label": "theirs"}))])
        .when(update_edge("e", json!({"label": "mine"})))
        .at(2)
        .then_conflict(Reason::Conflict);
    start
        .clone()
        .by("bob", [edge_updated("e", json!({"label": "theirs"}))])
        .when(update_edge("e", json!({"animated": true})))
        .at(2)
        .then_merged([edge_updated("e", json!({"animated": true}))]);
    start
        .by("bob", [edge_updated("e", json!({"label": "theirs"}))])
        .when(delete_edge("e"))
        .at(2)
        .then_conflict(Reason::Conflict);
}

#[test]
fn d4_the_target_was_deleted_since_by_anybody() {
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
fn d4_also_if_it_was_created_again() {
    for who in ["ada", "bob"] {
        let again = a().by(who, [node_deleted("a")]).by(who, [node_created("a", json!({}))]);
        again.when(update("a", json!({"k": 1}))).at(1).then_conflict(Reason::TargetDeleted);
    }
    let again = a().by("bob", [node_deleted("a")]).by("bob", [node_created("a", json!({}))]);
    again
        .when(move_to("a", 1, 1))
        .at(1)
        .on_conflict(OnConflict::Overwrite)
        .then_conflict(Reason::TargetDeleted);
}

#[test]
fn d4_what_was_not_there_at_that_version_either_is_not_found() {
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

#[test]
fn d5_overwrite_makes_every_conflict_last_writer_wins() {
    a().by("bob", [node_updated("a", json!({"data": {"x": 9}}))])
        .when(update("a", json!({"data": {"x": 5}})))
        .at(1)
        .on_conflict(OnConflict::Overwrite)
        .then_merged([node_updated("a", json!({"data": {"x": 5}}))]);
}

#[test]
fn d5_reject_refuses_whatever_others_did_to_the_target() {
    let refusal = a()
        .by("bob", [node_moved("a", 1, 1)])
        .when(update("a", json!({"data": {"x": 5}})))
        .at(1)
        .on_conflict(OnConflict::Reject)
        .then_conflict(Reason::Conflict);
    let entry = &refusal.resolution.expect("a conflict").conflicts[0];
    assert_eq!((entry.path.as_str(), &entry.yours), ("/position", &json!(null)));
    a().by("bob", [node_moved("a", 1, 1)])
        .when(move_to("a", 2, 2))
        .at(1)
        .on_conflict(OnConflict::Reject)
        .then_conflict(Reason::Conflict);
    a().by("bob", [node_created("b", json!({}))])
        .when(update("a", json!({"data": {"x": 5}})))
        .at(1)
        .on_conflict(OnConflict::Reject)
        .then([node_updated("a", json!({"data": {"x": 5}}))]);
}

#[test]
fn d6_a_version_above_the_graphs_is_another_history() {
    let refusal = a().when(update("z", json!({"x": 1}))).at(2).then_conflict(Reason::VersionAhead);
    assert_eq!(refusal.resolution.expect("a conflict").current_version.get(), 1);
}

#[test]
fn d3_a_member_of_a_batch_conflicts_like_a_command_alone() {
    let refusal = a()
        .by("bob", [node_updated("a", json!({"data": {"x": 9}}))])
        .when_all([move_to("a", 1, 1), update("a", json!({"data": {"x": 5}}))])
        .at(1)
        .then_conflict(Reason::Conflict);
    assert_eq!(refusal.index, Some(1));
    a().by("bob", [node_updated("a", json!({"data": {"x": 9}}))])
        .when_all([move_to("a", 1, 1), update("a", json!({"data": {"y": 5}}))])
        .at(1)
        .then_merged([node_moved("a", 1, 1), node_updated("a", json!({"data": {"y": 5}}))]);
}
