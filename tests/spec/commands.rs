//! Rules C and G4: what each command comes to on the graph as it stands.

use dao_api::domain::{Command, Reason};
use serde_json::json;

use super::given::*;

fn ab() -> Given {
    given([node_created("a", json!({})), node_created("b", json!({})), edge_created("ab", "a", "b")])
}

#[test]
fn c_create_node_creates_it_as_given() {
    let wanted = node("a", json!({"data": {"label": "x"}, "width": 10, "position": {"x": 1, "y": 2}}));
    given([]).when(create(wanted.clone())).then([dao_projections::Event::NodeCreated { node: wanted }]);
}

#[test]
fn d4_creating_an_existing_id_is_refused_with_the_current_entity() {
    let refusal = ab()
        .by("bob", [node_moved("a", 5, 5)])
        .when(create(node("a", json!({}))))
        .then_conflict(Reason::IdTaken);
    let resolution = refusal.resolution.expect("a conflict");
    let entry = &resolution.conflicts[0];
    assert_eq!((entry.path.as_str(), entry.user_id.as_str(), entry.version.get()), ("", "bob", 4));
    assert_eq!(entry.current, json!({"id": "a", "position": {"x": 5, "y": 5}}));
    assert_eq!(entry.yours, json!({"id": "a", "position": {"x": 0, "y": 0}}));
    ab().when(connect("ab", "b", "a")).then_conflict(Reason::IdTaken);
}

#[test]
fn c1_creating_an_identical_entity_again_is_unchanged() {
    let fields = json!({"data": {"label": "x", "list": [1, null]}, "type": "t"});
    let history = || given([node_created("a", fields.clone())]).by("bob", [edge_created("aa", "a", "a")]);
    history().when(create(node("a", fields.clone()))).then_unchanged();
    let as_answered = json!({"type": "t", "data": {"list": [1, null], "label": "x"}, "version": 1, "createdAt": 5,
        "position": {"x": 0.0, "y": 0}, "parentId": null});
    history().when(create(node("a", as_answered))).at(0).then_unchanged();
    history().when(connect("aa", "a", "a")).from("bob").then_unchanged();
    history().when(create(node("a", json!({"type": "t"})))).then_conflict(Reason::IdTaken);
    let once = [create(node("n", json!({}))), create(node("n", json!({}))), connect("aa", "a", "a")];
    history().when_all(once).then([node_created("n", json!({}))]);
    history().when_all([create(node("a", fields.clone()))]).then_unchanged();
}

#[test]
fn c_update_node_keeps_the_patch_as_sent() {
    ab().when(update("a", json!({"data": {"x": 1}}))).then([node_updated("a", json!({"data": {"x": 1}}))]);
}

#[test]
fn c1_a_command_that_changes_nothing_decides_nothing() {
    let start = given([node_created("a", json!({"data": {"x": 1}})), node_moved("a", 3, 4)]);
    start.clone().when(update("a", json!({"data": {"x": 1}}))).then_unchanged();
    start.clone().when(update("a", json!({"missing": null}))).then_unchanged();
    start.clone().when(update("a", json!({}))).then_unchanged();
    start.clone().when(move_to("a", 3, 4)).then_unchanged();
    start.when(Command::SetViewport { viewport: viewport(0, 0, 1.0) }).then_unchanged();
}

#[test]
fn d4_a_missing_target_is_not_found() {
    given([]).when(update("a", json!({"x": 1}))).then_failed(Reason::NodeNotFound);
    given([]).when(move_to("a", 1, 1)).then_failed(Reason::NodeNotFound);
    given([]).when(delete("a")).then_failed(Reason::NodeNotFound);
    given([]).when(update_edge("e", json!({"x": 1}))).then_failed(Reason::EdgeNotFound);
    given([]).when(delete_edge("e")).then_failed(Reason::EdgeNotFound);
    ab().by("bob", [node_deleted("b")]).when(move_to("b", 1, 1)).then_failed(Reason::NodeNotFound);
}

#[test]
fn c_deleting_a_node_deletes_its_edges_first() {
    ab().when(delete("a")).then([edge_deleted("ab"), node_deleted("a")]);
}

#[test]
fn c_deleting_a_node_deletes_its_children_first() {
    let group = given([
        node_created("out", json!({})),
        node_created("group", json!({})),
        node_created("child", json!({"parentId": "group"})),
        node_created("grandchild", json!({"parentNode": "child"})),
        edge_created("e1", "out", "grandchild"),
        edge_created("loop", "child", "child"),
        edge_created("e2", "child", "out"),
        edge_created("stays", "out", "out"),
    ]);
    group.when(delete("group")).then([
        edge_deleted("e1"),
        edge_deleted("loop"),
        edge_deleted("e2"),
        node_deleted("grandchild"),
        node_deleted("child"),
        node_deleted("group"),
    ]);
}

#[test]
fn g4_both_ends_of_an_edge_exist() {
    ab().when(connect("e", "a", "z")).then_failed(Reason::DanglingEdge);
    ab().when(connect("e", "z", "a")).then_failed(Reason::DanglingEdge);
    ab().when(update_edge("ab", json!({"target": "z"}))).then_failed(Reason::DanglingEdge);
    ab().when(update_edge("ab", json!({"target": "a"}))).then([edge_updated("ab", json!({"target": "a"}))]);
}

#[test]
fn g4_self_loops_and_parallel_edges_are_allowed() {
    ab().when(connect("loop", "a", "a")).then([edge_created("loop", "a", "a")]);
    ab().when(connect("again", "a", "b")).then([edge_created("again", "a", "b")]);
}

#[test]
fn g4_a_parent_exists() {
    ab().when(create(node("c", json!({"parentId": "z"})))).then_failed(Reason::ParentNotFound);
    ab().when(update("a", json!({"parentNode": "z"}))).then_failed(Reason::ParentNotFound);
}

#[test]
fn g4_parents_form_no_cycle() {
    ab().when(create(node("c", json!({"parentId": "c"})))).then_failed(Reason::ParentCycle);
    ab().when(update("a", json!({"parentId": "a"}))).then_failed(Reason::ParentCycle);
    let nested = ab().by("ada", [node_updated("b", json!({"parentId": "a"}))]);
    nested.clone().when(update("a", json!({"parentId": "b"}))).then_failed(Reason::ParentCycle);
    nested.when(update("a", json!({"parentNode": "b"}))).then_failed(Reason::ParentCycle);
}

#[test]
fn o3_the_number_of_nodes_and_edges_is_bounded() {
    let full = given((0..8).map(|i| node_created(&format!("n{i}"), json!({}))));
    full.when(create(node("one-more", json!({})))).then_failed(Reason::TooManyEntities);
    let edges = (0..8).map(|i| edge_created(&format!("e{i}"), "a", "a"));
    given([node_created("a", json!({}))])
        .by("ada", edges)
        .when(connect("one-more", "a", "a"))
        .then_failed(Reason::TooManyEntities);
}

#[test]
fn h1_an_entity_too_large_is_refused_on_creation_and_by_an_update() {
    let long = "é".repeat(2_100);
    given([]).when(create(node("a", json!({"data": {"x": long}})))).then_failed(Reason::EntityTooLarge);
    let half = "x".repeat(2_500);
    given([node_created("a", json!({"data": {"x": half}}))])
        .when(update("a", json!({"data": {"y": half}})))
        .then_failed(Reason::EntityTooLarge);
    given([])
        .when(create(node("a", json!({"data": {"x": "x".repeat(4_000)}}))))
        .then([node_created("a", json!({"data": {"x": "x".repeat(4_000)}}))]);
}

#[test]
fn v2_an_atomic_batch_is_all_its_events_in_order() {
    given([]).when_all([create(node("a", json!({}))), move_to("a", 1, 1), connect("e", "a", "a")]).then([
        node_created("a", json!({})),
        node_moved("a", 1, 1),
        edge_created("e", "a", "a"),
    ]);
}

#[test]
fn v2_an_atomic_batch_with_a_refused_member_is_refused_and_names_it() {
    let refusal =
        given([]).when_all([create(node("a", json!({}))), delete("z")]).then_refused(Reason::NodeNotFound);
    assert_eq!(refusal.index, Some(1));
    let taken = given([])
        .when_all([create(node("a", json!({}))), create(node("a", json!({"k": 1})))])
        .then_conflict(Reason::IdTaken);
    assert_eq!(taken.index, Some(1));
}

/// Found by the simulation, seed 4558: the refused batch itself was named as the latest commit.
#[test]
fn d7_a_refused_batch_never_counts_as_the_latest_writer() {
    let refusal = given([node_created("a", json!({}))])
        .when_all([move_to("a", 1, 1), create(node("a", json!({})))])
        .from("bob")
        .then_conflict(Reason::IdTaken);
    let entry = &refusal.resolution.expect("a conflict").conflicts[0];
    assert_eq!((entry.version.get(), entry.user_id.as_str()), (1, "ada"));
}

#[test]
fn c1_an_atomic_batch_of_nothing_new_is_unchanged() {
    ab().when_all([move_to("a", 0, 0), move_to("b", 0, 0)]).then_unchanged();
}
