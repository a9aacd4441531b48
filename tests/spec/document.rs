//! Rules DS2 to DS14: a document saved over what others did. Ada saves; what Bob did is somebody else's.

use dao_api::domain::{
    Absent, Action, Base, Command, Details, Document, Fingerprint, Limits, Member, OnConflict, Operation,
    Reading, Reason, Refusal, Save, Saved, Verdict, WithoutBase, judge_save,
};
use dao_projections::{
    ClientId, Edge, Event, Graph, Node, OperationId, Outcome, Pointer, UserId, Version, Viewport,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::given::*;

/// Nodes a and b, and an edge from a to b: version 3.
fn abab() -> Given {
    given([
        node_created("a", json!({"data": {"label": "a", "n": 1}})),
        node_created("b", json!({"data": {"label": "b"}})),
        edge_created("ab", "a", "b"),
    ])
}

/// The graph as its editor has it.
fn document(graph: &Graph) -> Document {
    Document {
        nodes: graph.nodes_in_order().map(|node| node.entity.clone()).collect(),
        edges: graph.edges().iter().map(|edge| edge.entity.clone()).collect(),
        viewport: None,
    }
}

fn with_node(mut document: Document, node: Node) -> Document {
    document.nodes.retain(|old| old.id() != node.id());
    document.nodes.push(node);
    document
}

fn without(mut document: Document, ids: &[&str]) -> Document {
    document.nodes.retain(|node| !ids.contains(&node.id().as_str()));
    document.edges.retain(|edge| !ids.contains(&edge.id().as_str()));
    document
}

fn labelled(document: Document, id: &str, label: &str) -> Document {
    let old = document.nodes.iter().find(|node| node.id().as_str() == id).expect("a node");
    let new = old.patched(&patch(json!({"data": {"label": label}})));
    let nodes =
        document.nodes.iter().map(|node| if node.id().as_str() == id { new.clone() } else { node.clone() });
    Document { nodes: nodes.collect(), ..document }
}

/// A save on its way, by Ada.
struct Saving {
    given: Given,
    document: Document,
    base: Option<u64>,
    own: Vec<u64>,
    without_base: WithoutBase,
    is_client_named: bool,
    reading: Reading,
    on_conflict: OnConflict,
    keeps: bool,
    deletes: Option<usize>,
}

impl Given {
    /// Ada's document, which started from version `base`.
    fn saves(self, base: u64, document: Document) -> Saving {
        Saving {
            given: self,
            document,
            base: Some(base),
            own: vec![],
            without_base: WithoutBase::Create,
            is_client_named: false,
            reading: Reading::default(),
            on_conflict: OnConflict::Merge,
            keeps: false,
            deletes: None,
        }
    }
}

impl Saving {
    fn own(mut self, versions: &[u64]) -> Self {
        self.own = versions.to_vec();
        self
    }

    fn named(mut self) -> Self {
        self.is_client_named = true;
        self
    }

    fn without_base(mut self, mode: WithoutBase) -> Self {
        (self.base, self.without_base) = (None, mode);
        if mode == WithoutBase::Merge {
            self.reading.absent = Absent::Keep;
        }
        self
    }

    fn policy(mut self, policy: OnConflict) -> Self {
        self.on_conflict = policy;
        self
    }

    fn keeping(mut self) -> Self {
        self.keeps = true;
        self
    }

    fn saying(mut self, deletes: usize) -> Self {
        self.deletes = Some(deletes);
        self
    }

    fn reading(mut self, reading: Reading) -> Self {
        self.reading = reading;
        self
    }

    fn saved(&self) -> Saved {
        let version = |number: u64| Version::new(number).expect("a version");
        let (user, client): (UserId, ClientId) =
            ("ada".parse().expect("a user"), "ada".parse().expect("a client"));
        let base = match self.base {
            None => Base::Unknown(self.without_base),
            Some(_) => Base::Known { own: self.own.iter().copied().map(version).collect() },
        };
        let save = Save {
            document: self.document.clone(),
            reading: self.reading.clone(),
            base,
            keeps: self.keeps,
            deletes: self.deletes,
            ignored: vec![],
            only_at: None,
        };
        let member = Member {
            command: Command::SaveDocument { save: Box::new(save.clone()) },
            client_version: self.base.map(version),
            on_conflict: self.on_conflict,
        };
        let operation = Operation {
            id: OperationId::from(Uuid::from_u128(u128::MAX)),
            fingerprint: Fingerprint([0; 8]),
            user,
            traceparent: None,
            after: None,
            client,
            is_client_named: self.is_client_named,
            claims: vec![],
            action: Action::Single(member.clone()),
        };
        let limits = Limits { entity_bytes_max: 4_096, nodes_max: 60, edges_max: 60, ..Limits::default() };
        judge_save(&self.given.graph, &operation, (&save, &member), &self.given, &limits)
            .expect("history at hand")
    }

    #[track_caller]
    fn then(self, expected: Outcome, events: impl IntoIterator<Item = Event>) {
        match self.saved().verdict {
            Verdict::Accepted { events: found, outcome, .. } => {
                assert_eq!((outcome, found), (expected, events.into_iter().collect::<Vec<_>>()));
            }
            other => panic!("{other:#?}"),
        }
    }

    #[track_caller]
    fn then_applied(self, events: impl IntoIterator<Item = Event>) {
        self.then(Outcome::Applied, events);
    }

    #[track_caller]
    fn then_merged(self, events: impl IntoIterator<Item = Event>) {
        self.then(Outcome::Merged, events);
    }

    #[track_caller]
    fn then_unchanged(self) {
        let saved = self.saved();
        assert_eq!(
            (saved.verdict, saved.report.kept),
            (Verdict::Unchanged { skipped: vec![], restored: None }, vec![])
        );
    }

    #[track_caller]
    fn then_refused(self, reason: Reason) -> Refusal {
        match self.saved().verdict {
            Verdict::Refused(refusal) if refusal.reason == reason => refusal,
            other => panic!("expected {reason:?}, got {other:#?}"),
        }
    }
}

fn label(id: &str, label: &str) -> Event {
    node_updated(id, json!({"data": {"label": label}}))
}

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
    super::given::given([])
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
