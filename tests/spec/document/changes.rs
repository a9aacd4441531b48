//! Rules DS2 and DS5 to DS14: what a save changes, and what it must say.

use dao_api::domain::{Absent, Details, Document, Reading, Reason, Verdict, WithoutBase};
use dao_projections::{Edge, Event, Pointer, Viewport};
use serde_json::json;

use super::{abab, document, label, labelled, with_node, without};
use crate::given::*;

#[test]
fn ds2_only_what_the_saver_changed_is_written() {
    let mine = labelled(document(&abab().graph), "a", "A");
    abab().saves(3, mine.clone()).then_applied([label("a", "A")]);
    abab().by("bob", [label("b", "B")]).saves(3, mine.clone()).then_merged([label("a", "A")]);
    let runner = node_updated("b", json!({"data": {"lastRun": "ok"}}));
    abab().by("bob", [runner]).saves(3, mine).then_merged([label("a", "A")]);
}

#[test]
fn ds2_a_move_is_an_event_of_its_own() {
    let (base, moved) = (abab(), node("b", json!({"data": {"label": "b"}, "position": {"x": 5, "y": 5}})));
    let mine = with_node(document(&base.graph), moved);
    base.by("bob", [node_moved("b", 9, 9)]).saves(3, mine).then_merged([node_moved("b", 5, 5)]);
}

#[test]
fn ds5_what_shows_one_persons_view_is_ignored() {
    let view = json!({"data": {"label": "a", "n": 1}, "selected": true, "dragging": false, "measured": {"width": 3}});
    let mut mine = with_node(document(&abab().graph), node("a", view));
    mine.viewport = Some(viewport(7, 7, 2.0));
    abab()
        .by("ada", [Event::ViewportSet { viewport: viewport(1, 1, 1.0) }])
        .saves(4, mine.clone())
        .then_unchanged();
    // A graph without a viewport gets one; one that has one only where it is asked for.
    let set = |to: Viewport| Event::ViewportSet { viewport: to };
    abab().saves(3, mine.clone()).then_applied([set(viewport(7, 7, 2.0))]);
    let saves_viewport = Reading { saves_viewport: true, ..Reading::default() };
    let given = abab().by("ada", [set(viewport(1, 1, 1.0))]);
    given.saves(4, mine).reading(saves_viewport).then_applied([set(viewport(7, 7, 2.0))]);
}

#[test]
fn ds5_what_is_stored_under_an_ignored_path_stays() {
    let stored = json!({"selected": true, "data": {"label": "a", "hover": {"x": 1}}});
    let given = || given([node_created("a", stored.clone())]);
    let mine = Document { nodes: vec![node("a", json!({"data": {"label": "A"}}))], ..Document::default() };
    let hover = Pointer::root().child("data").child("hover");
    let reading = Reading { ignore: vec![hover], ..Reading::default() };
    given().saves(1, mine.clone()).reading(reading).then_applied([label("a", "A")]);
    let patch = node_updated("a", json!({"data": {"hover": null, "label": "A"}}));
    given().saves(1, mine).then_applied([patch]);
    // Nothing of it is stored with a new node.
    let new = node("n", json!({"selected": true, "data": {"hover": 1, "k": 2}}));
    let reading =
        Reading { ignore: vec![Pointer::root().child("data").child("hover")], ..Reading::default() };
    let document = Document { nodes: vec![new], ..Document::default() };
    crate::given::given([])
        .saves(0, document)
        .reading(reading)
        .then_applied([node_created("n", json!({"data": {"k": 2}}))]);
}

#[test]
fn ds6_what_the_document_lacks_is_kept_where_the_editor_asks_for_it() {
    let keep = || Reading { absent: Absent::Keep, ..Reading::default() };
    let mine = Document { nodes: vec![node("a", json!({"data": {"n": 2}}))], ..Document::default() };
    abab()
        .saves(3, mine.clone())
        .reading(keep())
        .then_applied([node_updated("a", json!({"data": {"n": 2}}))]);
    let events =
        [node_updated("a", json!({"data": {"label": null, "n": 2}})), edge_deleted("ab"), node_deleted("b")];
    abab().saves(3, mine).then_applied(events);
}

#[test]
fn ds7_a_save_without_a_base_creates_and_overwrites_nothing_silently() {
    let mine = || Document { nodes: vec![node("n", json!({}))], ..Document::default() };
    given([]).saves(0, mine()).without_base(WithoutBase::Create).then_applied([node_created("n", json!({}))]);
    abab().saves(0, mine()).without_base(WithoutBase::Create).then_refused(Reason::BaseRequired);
    abab().saves(0, mine()).without_base(WithoutBase::Merge).then_applied([node_created("n", json!({}))]);
    let replace = || abab().saves(0, mine()).without_base(WithoutBase::Replace);
    replace().then_refused(Reason::DeletesMuch);
    let events = [node_created("n", json!({})), edge_deleted("ab"), node_deleted("b"), node_deleted("a")];
    replace().saying(2).then_applied(events);
}

#[test]
fn ds11_a_save_that_empties_the_graph_has_to_say_so() {
    let nodes = (0..40).map(|n| node_created(&format!("n{n}"), json!({})));
    let forty = given(nodes);
    let refusal = forty.clone().saves(40, Document::default()).then_refused(Reason::DeletesMuch);
    assert_eq!(refusal.details.as_deref(), Some(&Details::Deletes { nodes: 40, edges: 0 }));
    forty.clone().saves(40, Document::default()).saying(39).then_refused(Reason::DeletesMuch);
    assert!(matches!(
        forty.clone().saves(40, Document::default()).saying(40).saved().verdict,
        Verdict::Accepted { .. }
    ));
    let all = document(&forty.graph);
    let keep = |count: usize| Document { nodes: all.nodes[..count].to_vec(), ..Document::default() };
    assert!(matches!(forty.clone().saves(40, keep(20)).saved().verdict, Verdict::Accepted { .. }));
    forty.saves(40, keep(19)).then_refused(Reason::DeletesMuch);
}

#[test]
fn ds12_a_null_in_the_place_of_a_value_replaces_the_entity() {
    let content = json!({"data": {"label": null, "n": 1}});
    let mine = with_node(document(&abab().graph), node("a", content.clone()));
    abab().saves(3, mine).then_applied([Event::NodeReplaced { node: node("a", content) }]);
    let drawn = Event::EdgeCreated { edge: edge("aa", "a", "a", json!({"x": 1})) };
    let given = || given([node_created("a", json!({})), drawn.clone()]);
    let without_x: Edge = edge("aa", "a", "a", json!({"x": null}));
    let mine = Document { edges: vec![without_x.clone()], ..document(&given().graph) };
    given().saves(2, mine).then_applied([Event::EdgeReplaced { edge: without_x }]);
}

#[test]
fn ds2_a_null_is_as_good_as_absent() {
    let mine =
        with_node(document(&abab().graph), node("a", json!({"data": {"label": "a", "n": 1, "x": null}})));
    abab().saves(3, mine).then_unchanged();
    let mut mine = document(&abab().graph);
    mine.edges = vec![edge("ab", "a", "b", json!({"sourceHandle": null}))];
    abab().saves(3, mine).then_unchanged();
    let stored = given([node_created("a", json!({"data": {"x": null}}))]);
    let mine = Document { nodes: vec![node("a", json!({"data": {}}))], ..Document::default() };
    stored.saves(1, mine).then_unchanged();
}

#[test]
fn ds14_an_edge_that_hangs_on_a_removed_node_goes_with_it() {
    let mine = without(document(&abab().graph), &["b"]);
    abab().saves(3, mine.clone()).then_applied([edge_deleted("ab"), node_deleted("b")]);
    let mut dangling = mine;
    dangling.edges.push(edge("ax", "a", "x", json!({})));
    abab().saves(3, dangling).then_refused(Reason::DanglingEdge);
}

#[test]
fn ds14_a_document_needs_nothing_that_it_removes() {
    let mine = without(document(&abab().graph), &["b"]);
    // A new edge, or one that was connected anew.
    for id in ["new", "ab"] {
        let mut torn = without(mine.clone(), &["ab"]);
        torn.edges.push(edge(id, "b", "a", json!({})));
        let refusal = abab().saves(3, torn).then_refused(Reason::DanglingEdge);
        assert!(refusal.message.contains("source"), "{}", refusal.message);
    }
    // A child whose parent is gone: it would go with the parent, though the document has it.
    let group = given([node_created("g", json!({})), node_created("x", json!({"parentId": "g"}))]);
    for child in [node("x", json!({"parentId": "g"})), node("y", json!({"parentId": "g"}))] {
        let torn = Document { nodes: vec![child], ..Document::default() };
        group.clone().saves(2, torn).saying(2).then_refused(Reason::ParentNotFound);
    }
}

#[test]
fn ds14_groups_can_be_made_and_dissolved_in_one_save() {
    let group = || {
        given([
            node_created("g", json!({})),
            node_created("x", json!({"parentId": "g"})),
            node_created("y", json!({"parentId": "g"})),
        ])
    };
    // The children leave the group, which goes.
    let free = Document { nodes: vec![node("x", json!({})), node("y", json!({}))], ..Document::default() };
    let left = |id: &str| node_updated(id, json!({"parentId": null}));
    group().saves(3, free).then_applied([left("x"), left("y"), node_deleted("g")]);
    // Parent and child change places, in whichever order the document has them.
    let turned = Document {
        nodes: vec![
            node("g", json!({"parentId": "x"})),
            node("x", json!({})),
            node("y", json!({"parentId": "g"})),
        ],
        ..Document::default()
    };
    let into = node_updated("g", json!({"parentId": "x"}));
    group().saves(3, turned).then_applied([left("x"), into]);
    // A new group that the document lists after its child.
    let grouped = Document {
        nodes: vec![node("n", json!({"parentId": "h"})), node("h", json!({}))],
        ..Document::default()
    };
    let created = [node_created("h", json!({})), node_created("n", json!({"parentId": "h"}))];
    given([]).saves(0, grouped).then_applied(created);
    // What others put into a group that the saver removes would be destroyed unseen.
    let theirs = group().by("bob", [node_created("z", json!({"parentId": "g"}))]);
    theirs.saves(3, Document::default()).saying(4).then_refused(Reason::Conflict);
}
