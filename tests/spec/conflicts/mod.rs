//! Rules D1 to D7: what others did since the client looked. Ada's clients are called like her; what
//! Bob did is somebody else's.

mod deletions;
mod fields;

use dao_api::domain::{OnConflict, Reason};
use dao_projections::Hash;
use serde_json::json;

use super::given::*;

/// Node `a` at version 1, with three fields.
fn a() -> Given {
    given([node_created("a", json!({"data": {"x": 1, "y": 2, "deep": {"p": 1, "q": 2}}}))])
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
