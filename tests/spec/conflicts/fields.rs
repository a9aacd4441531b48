//! Rules D1 to D3 and D7: whose changes count, and which fields conflict.

use dao_api::domain::{Command, OnConflict, Reason};
use serde_json::json;

use super::a;
use crate::given::*;

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
fn d1_without_a_named_client_no_commit_is_ones_own() {
    let named = || a().by("ada", [node_updated("a", json!({"data": {"x": 5}}))]);
    let unnamed = || a().by_unnamed("ada", [node_updated("a", json!({"data": {"x": 5}}))]);
    let write = || update("a", json!({"data": {"x": 6}}));
    unnamed().when(write()).at(1).unnamed().then_conflict(Reason::Conflict);
    named().when(write()).at(1).unnamed().then_conflict(Reason::Conflict);
    // The user's id is stored where no client was named: who gives it as a name is somebody else.
    unnamed().when(write()).at(1).then_conflict(Reason::Conflict);
    named().when(write()).at(1).then([node_updated("a", json!({"data": {"x": 6}}))]);
    let other_field = update("a", json!({"data": {"y": 6}}));
    unnamed().when(other_field.clone()).at(1).then_merged([node_updated("a", json!({"data": {"y": 6}}))]);
    unnamed()
        .when(other_field)
        .at(1)
        .unnamed()
        .on_conflict(OnConflict::Reject)
        .then_conflict(Reason::Conflict);
}

#[test]
fn d1_a_node_that_one_created_since_is_ones_own() {
    given([])
        .by("ada", [node_created("n", json!({}))])
        .when(move_to("n", 1, 1))
        .at(0)
        .then([node_moved("n", 1, 1)]);
}

#[test]
fn d2_changes_of_other_entities_leave_it_applied() {
    a().by("bob", [node_created("b", json!({}))])
        .when(update("a", json!({"data": {"x": 5}})))
        .at(1)
        .then([node_updated("a", json!({"data": {"x": 5}}))]);
}

#[test]
fn d2_changes_of_other_fields_are_merged() {
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
fn d2_without_a_version_it_applies_to_the_current_state() {
    a().by("bob", [node_updated("a", json!({"data": {"x": 9}}))])
        .when(update("a", json!({"data": {"x": 5}})))
        .then([node_updated("a", json!({"data": {"x": 5}}))]);
}

#[test]
fn d3_the_same_field_conflicts_and_the_answer_has_the_current_value() {
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
fn d3_writing_the_current_value_is_not_a_conflict() {
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
fn d3_a_patch_writes_a_list_as_a_whole() {
    let refusal = a()
        .by("bob", [node_updated("a", json!({"data": {"list": [5]}}))])
        .when(update("a", json!({"data": {"list": {"0": 5}}})))
        .at(1)
        .then_conflict(Reason::Conflict);
    assert_eq!(refusal.resolution.expect("a conflict").conflicts[0].current, json!(null));
}

#[test]
fn d3_an_equal_position_in_other_digits_is_not_a_conflict() {
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
