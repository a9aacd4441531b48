//! Rules D1 to D7: what others did since the client looked. Ada's clients are called like her; what
//! Bob did is somebody else's.

use dao_api::domain::{Command, OnConflict, Reason, Verdict};
use dao_projections::{Hash, Outcome};
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
fn d6_a_version_above_the_graphs_is_refused() {
    let refusal = a().when(update("z", json!({"x": 1}))).at(2).then_conflict(Reason::VersionAhead);
    assert_eq!(refusal.resolution.expect("a conflict").current_version.get(), 1);
}

#[test]
fn d8_a_version_of_a_replaced_history_is_refused_before_everything_else() {
    let start = || a().by("bob", [node_updated("a", json!({"data": {"x": 9}}))]);
    let hash = |version: usize| Some(start().commits[version - 1].hash);
    let write = || update("a", json!({"data": {"y": 5}}));
    let merged = || [node_updated("a", json!({"data": {"y": 5}}))];
    start().when(write()).at(1).claiming(1, hash(1)).then_merged(merged());
    start().when(write()).at(2).claiming(2, hash(2)).then(merged());
    start()
        .when(create(node("n", json!({}))))
        .claiming(0, Some(Hash::EMPTY))
        .then([node_created("n", json!({}))]);
    let others =
        [(1, hash(2)), (2, hash(1)), (1, None), (3, hash(2)), (0, hash(1)), (1_000, Some(Hash::EMPTY))];
    for (version, claimed) in others {
        for command in [write(), delete("ghost"), create(node("a", json!({}))), move_to("a", 0, 0)] {
            let at =
                start().when(command).at(version).claiming(0, Some(Hash::EMPTY)).claiming(version, claimed);
            let refusal = at.then_conflict(Reason::HistoryReplaced);
            assert!(!refusal.reason.is_final(), "the id is not used up");
            let resolution = refusal.resolution.expect("a conflict");
            assert_eq!((resolution.current_version.get(), resolution.hash.as_deref().copied()), (2, hash(2)));
            assert_eq!(resolution.conflicts, []);
        }
    }
    start().when_all([write(), delete("ghost")]).claiming(1, None).then_conflict(Reason::HistoryReplaced);
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
