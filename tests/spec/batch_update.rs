//! `BATCH_UPDATE`: one event for each entity that changes, in the words of the single commands
//! where they can say it; judged by those events when it is stale (rules C, D3).

use dao_api::domain::{Command, OnConflict, Reason};
use dao_projections::{Edge, Event, Node};
use serde_json::json;

use super::given::*;

fn batch(nodes: impl IntoIterator<Item = Node>, edges: Option<Vec<Edge>>) -> Command {
    Command::BatchUpdate { nodes: nodes.into_iter().collect(), edges, viewport: None }
}

fn start() -> Given {
    given([
        node_created("a", json!({"data": {"x": 1}})),
        node_created("b", json!({"data": {"x": 1}})),
        edge_created("ab", "a", "b"),
        edge_created("ba", "b", "a"),
    ])
}

#[test]
fn c_batch_update_makes_the_smallest_events() {
    let replaced = node("b", json!({"data": {"x": null}}));
    start()
        .when(Command::BatchUpdate {
            nodes: vec![
                node("10", json!({})),
                node("2", json!({"parentId": "10"})),
                node("a", json!({"data": {"x": 1}, "position": {"x": 7, "y": 7}})),
                replaced.clone(),
            ],
            edges: Some(vec![edge("ab", "a", "a", json!({})), edge("new", "2", "10", json!({}))]),
            viewport: Some(viewport(1, 2, 3.0)),
        })
        .then([
            node_created("10", json!({})),
            node_created("2", json!({"parentId": "10"})),
            node_moved("a", 7, 7),
            Event::NodeReplaced { node: replaced },
            edge_deleted("ba"),
            edge_updated("ab", json!({"target": "a"})),
            edge_created("new", "2", "10"),
            Event::ViewportSet { viewport: viewport(1, 2, 3.0) },
        ]);
}

#[test]
fn c_batch_update_removes_attributes_that_are_not_given() {
    start()
        .when(batch([node("a", json!({"width": 5, "position": {"x": 1, "y": 0}}))], None))
        .then([node_updated("a", json!({"data": null, "position": {"x": 1}, "width": 5}))]);
}

#[test]
fn c1_batch_update_to_the_current_state_is_unchanged_whatever_the_edge_order() {
    let edges = vec![edge("ba", "b", "a", json!({})), edge("ab", "a", "b", json!({}))];
    start().when(batch([node("a", json!({"data": {"x": 1}}))], Some(edges))).then_unchanged();
}

#[test]
fn g4_batch_update_keeps_every_invariant() {
    start().when(batch([], Some(vec![edge("ab", "a", "z", json!({}))]))).then_failed(Reason::DanglingEdge);
    start().when(batch([node("c", json!({"parentId": "z"}))], None)).then_failed(Reason::ParentNotFound);
    let cycle = [node("a", json!({"parentId": "b"})), node("b", json!({"parentId": "a"}))];
    start().when(batch(cycle, None)).then_failed(Reason::ParentCycle);
}

#[test]
fn g4_batch_update_may_create_a_child_before_its_parent() {
    let nodes = [node("child", json!({"parentId": "late"})), node("late", json!({}))];
    start()
        .when(batch(nodes, None))
        .then([node_created("child", json!({"parentId": "late"})), node_created("late", json!({}))]);
}

#[test]
fn d3_a_stale_batch_update_that_would_undo_others_work_is_a_conflict() {
    let moved_on = start().by("bob", [node_updated("a", json!({"data": {"x": 9}}))]);
    let mine = node("a", json!({"data": {"x": 1}, "position": {"x": 3, "y": 3}}));
    let refusal = moved_on.clone().when(batch([mine.clone()], None)).at(4).then_conflict(Reason::Conflict);
    let paths: Vec<_> =
        refusal.resolution.iter().flat_map(|r| &r.conflicts).map(|c| c.path.as_str()).collect();
    assert_eq!(paths, ["/data/x"]);
    moved_on
        .when(batch([mine], None))
        .at(4)
        .on_conflict(OnConflict::Overwrite)
        .then_merged([node_updated("a", json!({"data": {"x": 1}, "position": {"x": 3, "y": 3}}))]);
}

#[test]
fn d2_a_stale_batch_update_on_other_fields_is_merged() {
    start()
        .by("bob", [node_moved("a", 5, 5)])
        .when(batch([node("a", json!({"data": {"x": 2}, "position": {"x": 5, "y": 5}}))], None))
        .at(4)
        .then_merged([node_updated("a", json!({"data": {"x": 2}}))]);
}

#[test]
fn d3_removing_an_edge_that_others_created_or_updated_since_is_a_conflict() {
    let only_old = || Some(vec![edge("ab", "a", "b", json!({})), edge("ba", "b", "a", json!({}))]);
    let created = start().by("bob", [edge_created("theirs", "a", "b")]);
    created.clone().when(batch([], only_old())).at(4).then_conflict(Reason::Conflict);
    created.when(batch([], only_old())).then([edge_deleted("theirs")]);
    let updated = start().by("bob", [edge_updated("ba", json!({"label": "x"}))]);
    updated
        .when(batch([], Some(vec![edge("ab", "a", "b", json!({}))])))
        .at(4)
        .then_conflict(Reason::Conflict);
}

#[test]
fn d4_a_stale_batch_update_does_not_bring_back_what_others_deleted() {
    let gone = start().by("bob", [edge_deleted("ab"), edge_deleted("ba"), node_deleted("b")]);
    let stale = batch([node("b", json!({"data": {"x": 1}}))], None);
    gone.clone().when(stale.clone()).at(4).then_conflict(Reason::TargetDeleted);
    gone.when(stale).then([node_created("b", json!({"data": {"x": 1}}))]);
}

#[test]
fn d3_a_null_brought_in_by_a_stale_batch_update_does_not_undo_others_work() {
    let theirs = start()
        .by("bob", [edge_updated("ab", json!({"label": "bobs", "data": {"w": 5}}))])
        .by("bob", [node_updated("a", json!({"data": {"label": "bobs"}}))]);
    let edges = vec![edge("ab", "a", "b", json!({"sourceHandle": null})), edge("ba", "b", "a", json!({}))];
    let refusal = theirs.clone().when(batch([], Some(edges))).at(4).then_conflict(Reason::Conflict);
    let entry = &refusal.resolution.expect("a conflict").conflicts[0];
    assert_eq!((entry.id.as_str(), entry.path.as_str(), &entry.current["label"]), ("ab", "", &json!("bobs")));
    let mine = node("a", json!({"data": {"x": 1}, "k": null}));
    theirs.clone().when(batch([mine.clone()], None)).at(4).then_conflict(Reason::Conflict);
    theirs
        .when(batch([mine.clone()], None))
        .at(4)
        .on_conflict(OnConflict::Overwrite)
        .then_merged([Event::NodeReplaced { node: mine }]);
}

#[test]
fn d4_a_conflict_comes_before_a_broken_invariant() {
    let theirs = start().by("bob", [node_updated("a", json!({"data": {"x": 9}}))]);
    let mine = || node("a", json!({"data": {"x": 3, "y": 1}}));
    let edges = || vec![edge("ab", "a", "b", json!({})), edge("f", "a", "ghost", json!({}))];
    for policy in [OnConflict::Merge, OnConflict::Reject] {
        let dangling = theirs.clone().when(batch([mine()], Some(edges()))).at(4);
        dangling.on_conflict(policy).then_conflict(Reason::Conflict);
        for parent in ["ghost", "c"] {
            let lost = node("c", json!({"parentId": parent}));
            let lost = theirs.clone().when(batch([mine(), lost], None)).at(4);
            lost.on_conflict(policy).then_conflict(Reason::Conflict);
        }
    }
    let overwriting = theirs.when(batch([mine()], Some(edges()))).at(4);
    overwriting.on_conflict(OnConflict::Overwrite).then_failed(Reason::DanglingEdge);
}

#[test]
fn d4_a_deleted_target_comes_before_everything_else() {
    let gone = start()
        .by("bob", [edge_deleted("ab"), edge_deleted("ba"), node_deleted("a")])
        .by("bob", [node_updated("b", json!({"data": {"x": 9}}))]);
    let edges = || Some(vec![edge("ab", "a", "b", json!({}))]);
    let stale = [node("b", json!({"data": {"x": 2}})), node("a", json!({}))];
    let refusal = gone.clone().when(batch(stale, edges())).at(4).then_conflict(Reason::TargetDeleted);
    assert_eq!(refusal.resolution.expect("a conflict").conflicts[0].id, "a");
    let refusal = gone.clone().when(batch([], edges())).at(4).then_conflict(Reason::TargetDeleted);
    let entry = &refusal.resolution.expect("a conflict").conflicts[0];
    assert_eq!((entry.id.as_str(), &entry.yours["source"]), ("ab", &json!("a")));
    gone.when(batch([], edges())).then_failed(Reason::DanglingEdge);
}

#[test]
fn d4_a_target_of_a_batch_update_that_anyone_deleted_is_deleted() {
    for who in ["ada", "bob"] {
        let gone = given([node_created("a", json!({}))]).by(who, [node_deleted("a")]);
        let again = gone.clone().by(who, [node_created("a", json!({}))]);
        if who == "ada" {
            let as_x = batch([node("a", json!({"type": "x"}))], None);
            again.clone().when(as_x).at(1).then([node_updated("a", json!({"type": "x"}))]);
        }
        for history in [Some(gone), Some(again).filter(|_| who == "bob")].into_iter().flatten() {
            let stale = batch([node("a", json!({"type": "x"}))], None);
            let refusal = history.clone().when(stale).at(1).then_conflict(Reason::TargetDeleted);
            let entry = &refusal.resolution.expect("a conflict").conflicts[0];
            assert_eq!((&entry.yours["type"], entry.user_id.as_str()), (&json!("x"), who));
            history.when(batch([node("b", json!({}))], None)).at(1).then([node_created("b", json!({}))]);
        }
    }
}

#[test]
fn d5_reject_looks_at_everything_that_a_batch_update_names() {
    let theirs = start()
        .by("bob", [node_updated("a", json!({"data": {"x": 2}}))])
        .by("bob", [edge_updated("ab", json!({"label": "bobs"}))]);
    let as_it_stands = || node("a", json!({"data": {"x": 2}}));
    let rejecting = |command| theirs.clone().when(command).at(4).on_conflict(OnConflict::Reject);
    let refusal = rejecting(batch([as_it_stands()], None)).then_conflict(Reason::Conflict);
    let entry = &refusal.resolution.expect("a conflict").conflicts[0];
    assert_eq!((entry.path.as_str(), &entry.yours, &entry.current), ("/data/x", &json!(2), &json!(2)));
    let edges = vec![edge("ab", "a", "b", json!({"label": "bobs"})), edge("ba", "b", "a", json!({}))];
    rejecting(batch([], Some(edges))).then_conflict(Reason::Conflict);
    rejecting(batch([], Some(vec![edge("ba", "b", "a", json!({}))]))).then_conflict(Reason::Conflict);
    rejecting(batch([node("b", json!({"data": {"x": 1}}))], None)).then_unchanged();
    theirs.when(batch([as_it_stands()], None)).at(4).then_unchanged();
}

#[test]
fn d2_a_position_that_conflicts_is_shown_as_one_value() {
    let theirs = start().by("bob", [node_moved("a", 4, 0)]);
    let mine = node("a", json!({"position": {"x": 7, "y": 0}, "data": {"x": 2}}));
    let refusal = theirs.when(batch([mine], None)).at(4).then_conflict(Reason::Conflict);
    let entry = &refusal.resolution.expect("a conflict").conflicts[0];
    assert_eq!((entry.path.as_str(), &entry.yours), ("/position", &json!({"x": 7, "y": 0})));
}
