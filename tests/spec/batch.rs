//! Rule H11: members of an atomic batch whose target is gone.

use dao_api::domain::{Command, Reason, SkippedMember, Verdict};
use serde_json::json;

use super::given::*;

/// Nodes a and b with an edge; then Bob deleted b, and the edge with it.
fn b_is_gone() -> Given {
    given([node_created("a", json!({})), node_created("b", json!({})), edge_created("ab", "a", "b")])
        .by("bob", [edge_deleted("ab"), node_deleted("b")])
}

fn skipped(verdict: Verdict) -> Vec<(usize, Reason)> {
    match verdict {
        Verdict::Accepted { skipped, .. } | Verdict::Unchanged { skipped, .. } => {
            skipped.into_iter().map(|SkippedMember { index, reason }| (index, reason)).collect()
        }
        Verdict::Refused(refusal) => panic!("{refusal:#?}"),
    }
}

fn drag() -> [Command; 5] {
    [
        move_to("b", 1, 1),
        move_to("a", 1, 1),
        move_to("never", 1, 1),
        update_edge("ab", json!({"label": "x"})),
        delete_edge("never"),
    ]
}

#[test]
fn h11_members_whose_target_is_gone_are_left_out() {
    let when = b_is_gone().when_all(drag()).at(3).skipping();
    let expected = [
        (0, Reason::TargetDeleted),
        (2, Reason::NodeNotFound),
        (3, Reason::TargetDeleted),
        (4, Reason::EdgeNotFound),
    ];
    assert_eq!(skipped(when.verdict()), expected);
    when.then([node_moved("a", 1, 1)]);
}

#[test]
fn h11_by_default_they_refuse_the_batch() {
    let refusal = b_is_gone().when_all(drag()).at(3).then_conflict(Reason::TargetDeleted);
    assert_eq!(refusal.index, Some(0));
}

#[test]
fn h11_if_all_are_left_out_nothing_changes() {
    let when = b_is_gone().when_all([delete("b"), update("b", json!({"x": 1}))]).at(3).skipping();
    assert_eq!(skipped(when.verdict()), [(0, Reason::TargetDeleted), (1, Reason::TargetDeleted)]);
    assert!(matches!(when.verdict(), Verdict::Unchanged { .. }));
}

#[test]
fn h11_what_goes_with_a_node_may_be_deleted_after_it() {
    let graph = given([node_created("a", json!({})), edge_created("aa", "a", "a")]);
    let when = graph.when_all([delete("a"), delete_edge("aa")]).skipping();
    assert_eq!(skipped(when.verdict()), [(1, Reason::EdgeNotFound)]);
    when.then([edge_deleted("aa"), node_deleted("a")]);
}

#[test]
fn h11_what_the_batch_itself_creates_must_be_there() {
    let early = [update("c", json!({"x": 1})), create(node("c", json!({})))];
    given([]).when_all(early).skipping().then_failed(Reason::NodeNotFound);
    let late = [create(node("c", json!({}))), delete("c"), move_to("c", 1, 1)];
    given([]).when_all(late).skipping().then_failed(Reason::NodeNotFound);
}

#[test]
fn h11_other_refusals_still_refuse_the_batch() {
    let theirs = b_is_gone().by("bob", [node_updated("a", json!({"x": 2}))]);
    let both = [move_to("b", 1, 1), update("a", json!({"x": 1}))];
    let refusal = theirs.clone().when_all(both).at(3).skipping().then_conflict(Reason::Conflict);
    assert_eq!(refusal.index, Some(1));
    let ends = [move_to("b", 1, 1), connect("new", "a", "b")];
    theirs.when_all(ends).at(3).skipping().then_conflict(Reason::DanglingEdge);
    // A BATCH_UPDATE has many targets: one that is gone does not drop the others.
    let nodes = vec![node("a", json!({"y": 1})), node("b", json!({}))];
    let update = Command::BatchUpdate { nodes, edges: None, viewport: None };
    b_is_gone().when_all([update]).at(3).skipping().then_conflict(Reason::TargetDeleted);
}
