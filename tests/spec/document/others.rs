//! Rules DS3, DS4 and DS9: what others did since the base.

use dao_api::domain::{Document, OnConflict, Reason, Refusal, Verdict};
use dao_projections::Event;
use serde_json::{Value, json};

use super::{abab, document, label, labelled, with_node, without};
use crate::given::*;

#[test]
fn ds4_what_others_created_is_kept_and_equal_creations_are_no_change() {
    let base = document(&abab().graph);
    let d = node("d", json!({"data": {"v": 1}}));
    let bobs = || abab().by("bob", [Event::NodeCreated { node: d.clone() }]);
    bobs().saves(3, base.clone()).then_unchanged();
    bobs().saves(3, with_node(base.clone(), d.clone())).then_unchanged();
    let other = with_node(base, node("d", json!({"data": {"v": 2}})));
    bobs().saves(3, other.clone()).then_refused(Reason::IdTaken);
    let overwritten = node_updated("d", json!({"data": {"v": 2}}));
    bobs().saves(3, other).policy(OnConflict::Overwrite).then_merged([overwritten]);
}

#[test]
fn ds4_a_removal_meets_what_others_did() {
    let without_b = || without(document(&abab().graph), &["b", "ab"]);
    let gone = [edge_deleted("ab"), node_deleted("b")];
    abab().saves(3, without_b()).then_applied(gone.clone());
    abab().by("bob", [node_moved("b", 9, 9)]).saves(3, without_b()).then_merged(gone.clone());
    // What was deleted already is no change; the rest is.
    abab().by("bob", gone.clone()).saves(3, without_b()).then_unchanged();
    let refusal = abab().by("bob", [label("b", "B")]).saves(3, without_b()).then_refused(Reason::Conflict);
    let conflicts = refusal.resolution.expect("a conflict").conflicts;
    assert_eq!((conflicts[0].id.as_str(), conflicts[0].path.as_str()), ("b", ""));
    // Edges that others drew to it go with it.
    let given = abab().by("bob", [node_created("c", json!({})), edge_created("bc", "b", "c")]);
    given.saves(3, without_b()).then_merged([edge_deleted("ab"), edge_deleted("bc"), node_deleted("b")]);
}

#[test]
fn ds4_what_others_deleted_and_the_saver_left_alone_stays_deleted() {
    let base = document(&abab().graph);
    let deleted = || abab().by("bob", [edge_deleted("ab"), node_deleted("b")]);
    deleted().saves(3, base.clone()).then_unchanged();
    deleted().saves(3, labelled(base.clone(), "a", "A")).then_merged([label("a", "A")]);
    deleted().saves(3, labelled(base.clone(), "b", "B")).then_refused(Reason::TargetDeleted);
    let mut drawn = base.clone();
    drawn.edges.push(edge("ba", "b", "a", json!({})));
    deleted().saves(3, drawn).then_refused(Reason::DanglingEdge);
    let inside = with_node(base.clone(), node("c", json!({"parentId": "b"})));
    deleted().saves(3, inside).then_refused(Reason::ParentNotFound);
    let again = node_created("b", json!({"data": {"label": "B"}}));
    deleted().saves(3, labelled(base, "b", "B")).policy(OnConflict::Overwrite).then_merged([again]);
}

#[test]
fn ds9_policies() {
    let theirs = || abab().by("bob", [label("a", "B")]);
    let mine = || labelled(document(&abab().graph), "a", "A");
    let refusal = theirs().saves(3, mine()).then_refused(Reason::Conflict);
    let conflict = &refusal.resolution.expect("a conflict").conflicts[0];
    assert_eq!((&conflict.yours, &conflict.current), (&json!("A"), &json!("B")));
    theirs().saves(3, mine()).policy(OnConflict::Overwrite).then_merged([label("a", "A")]);
    theirs().saves(3, mine()).policy(OnConflict::Reject).then_refused(Reason::Conflict);
    // What stands is kept, and the rest applied: in the same node and in others.
    let more = |document: Document| {
        let old = document.nodes.iter().find(|node| node.id().as_str() == "a").expect("a").clone();
        labelled(with_node(document, old.patched(&patch(json!({"data": {"n": 2}})))), "b", "mine")
    };
    let saving = theirs().saves(3, more(mine())).keeping();
    let saved = saving.saved();
    let kept: Vec<(&str, &Value)> =
        saved.report.kept.iter().map(|kept| (kept.path.as_str(), &kept.current)).collect();
    assert_eq!(kept, [("/data/label", &json!("B"))]);
    saving.then_merged([label("b", "mine"), node_updated("a", json!({"data": {"n": 2}}))]);
    let saved = theirs().saves(3, mine()).keeping().saved();
    assert_eq!(
        (saved.verdict, saved.report.kept.len()),
        (Verdict::Unchanged { skipped: vec![], restored: None }, 1)
    );
}

#[test]
fn ds9_the_document_wins_over_what_others_created_anew_under_an_id() {
    let another = || {
        let edge = edge_created("ab", "a", "b");
        abab()
            .by("bob", [edge_deleted("ab"), node_deleted("b")])
            .by("bob", [label("a", "B"), node_created("b", json!({})), edge])
    };
    let base = || document(&abab().graph);
    // Changed by the saver: another one is refused, or becomes the saver's.
    let mine = || labelled(base(), "b", "mine");
    another().saves(3, mine()).then_refused(Reason::TargetDeleted);
    another()
        .saves(3, mine())
        .policy(OnConflict::Overwrite)
        .then_merged([node_updated("b", json!({"data": {"label": "mine"}}))]);
    // Removed by the saver.
    let without_edge = || without(base(), &["ab"]);
    another().saves(3, without_edge()).then_refused(Reason::TargetDeleted);
    another().saves(3, without_edge()).policy(OnConflict::Overwrite).then_merged([edge_deleted("ab")]);
    let without_b = without(base(), &["b", "ab"]);
    let gone = [edge_deleted("ab"), node_deleted("b")];
    another().saves(3, without_b).policy(OnConflict::Overwrite).then_merged(gone);
    // Left alone.
    another().saves(3, base()).policy(OnConflict::Overwrite).then_unchanged();
}

#[test]
fn ds9_what_others_put_into_a_removed_node_is_only_taken_out_of_it() {
    let base = || given([node_created("g", json!({})), node_created("n", json!({"data": {"label": "n"}}))]);
    let another = node_created("n", json!({"parentId": "g", "data": {"label": "bob"}}));
    base()
        .by("bob", [node_deleted("n")])
        .by("bob", [another])
        .saves(2, without(document(&base().graph), &["g"]))
        .policy(OnConflict::Overwrite)
        .then_merged([node_updated("n", json!({"parentId": null})), node_deleted("g")]);
}

#[test]
fn ds4_an_edge_that_comes_back_without_its_end_is_told_with_who_deleted_that() {
    let mut mine = document(&abab().graph);
    mine.edges = vec![edge("ab", "a", "b", json!({"label": "mine"}))];
    let refusal = abab()
        .by("bob", [edge_deleted("ab"), node_deleted("b")])
        .saves(3, mine)
        .policy(OnConflict::Overwrite)
        .then_refused(Reason::DanglingEdge);
    let conflicts = refusal.resolution.expect("it is a conflict").conflicts;
    let told = |conflict: &dao_api::domain::Conflict| {
        (conflict.id.clone(), conflict.path.as_str().to_owned(), conflict.user_id.to_string())
    };
    assert_eq!(
        conflicts.iter().map(told).collect::<Vec<_>>(),
        [("ab".into(), "/target".into(), "bob".into())]
    );
}

#[test]
fn ds3_own_commits_are_part_of_the_base() {
    let base = document(&abab().graph);
    let c = || node("c", json!({"data": {}}));
    // Adds c, saves; Bob adds d; removes c, saves, and the base stays 3.
    let then = || {
        let given = abab().by("ada", [Event::NodeCreated { node: c() }]);
        given.by("bob", [node_created("d", json!({}))])
    };
    then().saves(3, base.clone()).named().then_merged([node_deleted("c")]);
    then().saves(3, base.clone()).own(&[4]).then_merged([node_deleted("c")]);
    // Without a client that is named, and without the version in the base, c is somebody else's: it stays.
    then().saves(3, base.clone()).then_unchanged();
    // Keeps its picture, with c, on the base of the answer: d is left alone.
    then().saves(3, with_node(base.clone(), c())).own(&[4]).then_unchanged();
    // The version of somebody else is nobody's own, whoever names it.
    then().saves(3, base).own(&[4, 5]).then_merged([node_deleted("c")]);
}

#[test]
fn ds3_what_one_deleted_oneself_can_be_put_back() {
    let base = document(&abab().graph);
    let deleted = || abab().by("ada", [edge_deleted("ab"), node_deleted("b")]);
    let put_back = [node_created("b", json!({"data": {"label": "b"}})), edge_created("ab", "a", "b")];
    deleted().saves(3, base.clone()).own(&[4]).then_applied(put_back.clone());
    deleted().saves(3, base).named().then_applied(put_back);
}

#[test]
fn d7_a_refused_save_names_each_path_once() {
    let paths = |refusal: Refusal| -> Vec<(String, Value)> {
        let conflicts = refusal.resolution.expect("a conflict").conflicts;
        conflicts.into_iter().map(|told| (told.id, told.yours)).collect()
    };
    // Moved and changed by the saver, which are two changes.
    let old = node("b", json!({"position": {"x": 9, "y": 9}, "data": {"label": "mine"}}));
    let refusal = abab()
        .by("bob", [edge_deleted("ab"), node_deleted("b")])
        .saves(3, with_node(document(&abab().graph), old))
        .then_refused(Reason::TargetDeleted);
    let both = json!({"position": {"x": 9, "y": 9}, "data": {"label": "mine"}});
    assert_eq!(paths(refusal), [("b".into(), both)]);
    // Removed by the saver, and inside of another one that is.
    let inside = || given([node_created("g", json!({})), node_created("n", json!({"parentId": "g"}))]);
    let refusal = inside()
        .by("bob", [node_updated("n", json!({"data": {"label": "bob"}}))])
        .saves(2, without(document(&inside().graph), &["g", "n"]))
        .then_refused(Reason::Conflict);
    assert_eq!(paths(refusal), [("n".into(), Value::Null)]);
}
