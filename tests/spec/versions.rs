//! Labels on versions, and the way back to one (rules L11 to L13).

use dao_api::domain::{
    Command, LABELS_MAX, LabelTo, Labelling, OnConflict, Reason, RestorePart, RestoreResult, RestoreScope,
    Restoring, SkipReason, Verdict, VersionRef,
};
use dao_projections::{Attributes, Event, Timestamp, Version};
use serde_json::{Value, json};

use crate::given::{
    Given, When, edge_created, edge_deleted, given, map, node_created, node_deleted, node_moved,
    node_updated, patch, viewport,
};

fn version(number: u64) -> Version {
    Version::new(number).expect("small")
}

fn labelling(name: &str, to: LabelTo) -> Labelling {
    Labelling { name: name.parse().expect("a label"), to, note: None, expect: None }
}

fn label(labelling: Labelling) -> Command {
    Command::LabelVersion { labelling: Box::new(labelling) }
}

fn labelled(given: &Given, name: &str, number: Option<u64>) -> Event {
    let commit = number.map(|number| &given.commits[number as usize - 1]);
    Event::VersionLabelled {
        name: name.parse().expect("a label"),
        version: number.map(version),
        hash: commit.map(|commit| commit.hash),
        note: None,
    }
}

pub fn restoring(to: VersionRef) -> Restoring {
    Restoring { to, scope: None, include: vec![] }
}

pub fn restore(restoring: Restoring) -> Command {
    Command::RestoreVersion { restoring: Box::new(restoring) }
}

pub fn back_to(number: u64) -> Command {
    restore(restoring(VersionRef::Version(version(number))))
}

pub fn some(number: u64, nodes: &[&str], edges: &[&str]) -> Command {
    let scope = RestoreScope {
        nodes: nodes.iter().map(|id| id.parse().expect("an id")).collect(),
        edges: edges.iter().map(|id| id.parse().expect("an id")).collect(),
    };
    restore(Restoring { scope: Some(scope), ..restoring(VersionRef::Version(version(number))) })
}

/// What a restore is told to have done.
#[track_caller]
fn result(when: &When) -> (Vec<Event>, RestoreResult) {
    match when.verdict() {
        Verdict::Accepted { events, restored, .. } => (events, *restored.expect("a restore")),
        Verdict::Unchanged { restored, .. } => (vec![], *restored.expect("a restore")),
        Verdict::Refused(refusal) => panic!("{refusal:#?}"),
    }
}

fn two() -> Given {
    given([node_created("a", json!({})), node_created("b", json!({}))])
}

#[test]
fn l12_a_label_names_the_head_or_a_version_with_its_hash() {
    let given = two();
    let (first, second) = (labelled(&given, "v1", Some(1)), labelled(&given, "v1", Some(2)));
    given.clone().when(label(labelling("v1", LabelTo::Head))).then([second]);
    given.clone().when(label(labelling("v1", LabelTo::Version(version(1))))).then([first]);
    for number in [0, 3] {
        let to = LabelTo::Version(version(number));
        given.clone().when(label(labelling("v1", to))).then_failed(Reason::VersionNotFound);
    }
    crate::given::given([]).when(label(labelling("v1", LabelTo::Head))).then_failed(Reason::GraphNotFound);
}

#[test]
fn l12_setting_what_is_set_changes_nothing_and_another_note_does() {
    let given = two();
    let given = given.clone().by("ada", [labelled(&given, "v1", Some(1))]);
    let again = labelling("v1", LabelTo::Version(version(1)));
    given.clone().when(label(again.clone())).then_unchanged();
    let noted = Labelling { note: Some("why".into()), ..again };
    assert!(matches!(given.clone().when(label(noted)).verdict(), Verdict::Accepted { .. }));
    given.clone().when(label(labelling("v1", LabelTo::Nothing))).then([labelled(&given, "v1", None)]);
    given.when(label(labelling("v2", LabelTo::Nothing))).then_unchanged();
}

#[test]
fn l12_a_label_moves_only_from_where_it_is_expected() {
    let given = two();
    let given = given.clone().by("bob", [labelled(&given, "published", Some(1))]);
    let expecting = |expect: Option<u64>| {
        let to = LabelTo::Version(version(2));
        label(Labelling { expect: Some(expect.map(version)), ..labelling("published", to) })
    };
    given.clone().when(expecting(Some(1))).then([labelled(&given, "published", Some(2))]);
    for wrong in [None, Some(2)] {
        let refusal = given.clone().when(expecting(wrong)).then_conflict(Reason::LabelMoved);
        let conflicts = refusal.resolution.expect("a resolution").conflicts;
        let [conflict] = conflicts.as_slice() else { panic!("{conflicts:#?}") };
        assert_eq!((conflict.path.as_str(), conflict.id.as_str()), ("/labels/published", "graph"));
        assert_eq!((&conflict.yours, &conflict.current), (&json!(2), &json!(1)));
        assert_eq!((conflict.version, conflict.user_id.as_str()), (version(3), "bob"));
        assert!(refusal.reason.is_final());
    }
    let none = label(Labelling { expect: Some(Some(version(1))), ..labelling("v9", LabelTo::Nothing) });
    let refusal = given.when(none).then_conflict(Reason::LabelMoved);
    assert!(refusal.resolution.expect("a resolution").conflicts.is_empty(), "there is no such label");
}

#[test]
fn l12_a_graph_has_a_thousand_labels_and_notes_of_64_kib() {
    let given = given([node_created("a", json!({}))]);
    let many = (0..LABELS_MAX).map(|n| labelled(&given, &format!("v{n}"), Some(1))).collect::<Vec<_>>();
    let full = given.clone().by("ada", many);
    full.clone().when(label(labelling("one-more", LabelTo::Head))).then_failed(Reason::TooManyLabels);
    let moved = full.when(label(labelling("v7", LabelTo::Head))).verdict();
    assert!(matches!(moved, Verdict::Accepted { .. }), "{moved:#?}");

    let noted = |n: usize| Event::VersionLabelled {
        name: format!("v{n}").parse().expect("a label"),
        version: Some(version(1)),
        hash: None,
        note: Some("x".repeat(1 << 10).into()),
    };
    let wordy = given.by("ada", (0..64).map(noted));
    let note = || Some("x".into());
    let new = Labelling { note: note(), ..labelling("new", LabelTo::Head) };
    wordy.clone().when(label(new)).then_failed(Reason::TooManyLabels);
    let shorter = wordy.when(label(Labelling { note: note(), ..labelling("v0", LabelTo::Head) })).verdict();
    assert!(matches!(shorter, Verdict::Accepted { .. }), "{shorter:#?}");
}

#[test]
fn l14_a_read_only_graph_keeps_its_labels_and_its_head() {
    let settings = Attributes::new(map(json!({"settings": {"readOnly": true}})));
    let given =
        given([Event::GraphCreated { attributes: settings, from: None }, node_created("a", json!({}))]);
    for command in [label(labelling("v1", LabelTo::Head)), back_to(1)] {
        given.clone().when(command).then_failed(Reason::GraphReadOnly);
    }
}

#[test]
fn l11_a_restore_brings_back_what_was_deleted_in_its_old_place() {
    let history = two()
        .by("ada", [edge_created("ab", "a", "b")])
        .by("bob", [edge_deleted("ab"), node_deleted("a"), node_created("c", json!({}))]);
    let when = history.clone().when(back_to(3));
    let (events, result) = result(&when);
    let after = history.clone().by("ada", events);
    let order = |given: &Given| -> Vec<(String, u64, u64)> {
        let nodes = given.graph.nodes_in_order();
        nodes.map(|node| (node.entity.id().to_string(), node.ordinal, node.created_at.0)).collect()
    };
    let mut then = Given { commits: history.commits[..3].to_vec(), ..Given::default() };
    then.commits.iter().for_each(|commit| then.graph.apply(commit));
    assert_eq!(order(&after), order(&then));
    let ids = |list: &[dao_projections::NodeId]| list.iter().map(|id| id.to_string()).collect::<Vec<_>>();
    assert_eq!(
        (ids(&result.created.nodes), ids(&result.deleted.nodes)),
        (vec!["a".into()], vec!["c".into()])
    );
    assert_eq!((result.created.edges.len(), result.to), (1, version(3)));
    after.when(back_to(3)).then_unchanged_but_told();
}

#[test]
fn l11_one_event_says_what_one_command_could() {
    two()
        .by("bob", [node_moved("a", 5, 5), node_updated("b", json!({"data": {"x": 1}}))])
        .when(back_to(2))
        .then([node_moved("a", 0, 0), node_updated("b", json!({"data": null}))]);
    two().when(back_to(0)).then([node_deleted("a"), node_deleted("b")]);
}

#[test]
fn l11_a_version_is_named_in_any_way() {
    let given = two();
    let given = given.clone().by("ada", [labelled(&given, "v1", Some(1))]);
    let name = |to: VersionRef| given.clone().when(restore(restoring(to)));
    for to in [VersionRef::Label("v1".parse().expect("a label")), VersionRef::Time(Timestamp(1_000))] {
        name(to).then([node_deleted("b")]);
    }
    for to in [VersionRef::Head, VersionRef::Time(Timestamp(9_000)), VersionRef::Version(version(3))] {
        name(to).then_unchanged_but_told();
    }
    name(VersionRef::Version(version(4))).then_failed(Reason::VersionNotFound);
    name(VersionRef::Label("v2".parse().expect("a label"))).then_failed(Reason::LabelNotFound);
    let before = name(VersionRef::Time(Timestamp(999)));
    before.then([node_deleted("a"), node_deleted("b")]);
}

#[test]
fn l11_attributes_and_the_viewport_only_if_they_are_named_and_settings_never() {
    let attributes = |fields: Value| Event::GraphUpdated { patch: patch(fields) };
    let history = || {
        given([node_created("a", json!({}))])
            .by(
                "ada",
                [attributes(json!({"title": "One"})), Event::ViewportSet { viewport: viewport(1, 2, 1.0) }],
            )
            .by(
                "bob",
                [
                    attributes(json!({"title": "Two", "data": {"k": 1}, "settings": {"readOnly": false}})),
                    Event::ViewportSet { viewport: viewport(9, 9, 2.0) },
                ],
            )
    };
    history().when(back_to(2)).then_unchanged_but_told();
    let include = vec![RestorePart::Attributes, RestorePart::Viewport];
    let all = Restoring { include, ..restoring(VersionRef::Version(version(2))) };
    history().when(restore(all)).then([
        attributes(json!({"title": "One", "data": null})),
        Event::ViewportSet { viewport: viewport(1, 2, 1.0) },
    ]);
}

#[test]
fn l11_a_restore_tells_of_each_id_once() {
    let history = two().by("ada", [node_created("c", json!({"parentId": "b"}))]);
    let (_, result) = result(&history.when(some(1, &["b", "c"], &[])));
    let deleted: Vec<&str> = result.deleted.nodes.iter().map(|id| id.as_str()).collect();
    assert_eq!(deleted, ["b", "c"]);
}

#[test]
fn l11_others_since_the_clients_version_refuse_it_unless_it_overwrites() {
    let history = || two().by("bob", [node_moved("a", 5, 5)]).by("bob", [node_created("c", json!({}))]);
    let refusal = history().when(back_to(2)).at(2).then_conflict(Reason::Conflict);
    let conflicts = refusal.resolution.expect("a resolution").conflicts;
    let ids: Vec<&str> = conflicts.iter().map(|conflict| conflict.id.as_str()).collect();
    assert_eq!(ids, ["a", "c"]);
    assert_eq!((&conflicts[0].version, conflicts[0].user_id.as_str()), (&version(3), "bob"));
    // What others wrote may have nothing to do with it.
    history().when(some(2, &["a"], &[])).at(3).then_conflict(Reason::Conflict);
    history()
        .when(back_to(2))
        .at(2)
        .on_conflict(OnConflict::Overwrite)
        .then_merged([node_moved("a", 0, 0), node_deleted("c")]);
    history().when(back_to(2)).at(4).then([node_moved("a", 0, 0), node_deleted("c")]);
    two().by("ada", [node_moved("a", 5, 5)]).when(back_to(2)).at(2).then([node_moved("a", 0, 0)]);
    two().by("ada", [node_moved("a", 5, 5)]).when(back_to(2)).at(2).unnamed().then_conflict(Reason::Conflict);
    history().when(back_to(4)).at(2).then_unchanged_but_told();
}

#[test]
fn l11_a_version_too_long_ago_is_a_conflict_whoever_wrote_since() {
    let mut history = two();
    for x in 0..20_001 {
        history = history.by("ada", [node_moved("a", x, 1)]);
    }
    history.clone().when(back_to(2)).at(3).then([node_moved("a", 0, 0)]);
    history.when(back_to(2)).at(2).then_conflict(Reason::Conflict);
}

#[test]
fn o3_a_restore_of_more_than_64_mib_is_refused() {
    let text = "x".repeat(17 << 20);
    let nodes = ["a", "b", "c", "d"].map(|id| node_created(id, json!({"data": {"text": text}})));
    let history = Given::default().by("ada", nodes).by("ada", ["a", "b", "c", "d"].map(node_deleted));
    let refused = history.clone().when(back_to(1)).unlimited().verdict();
    assert!(matches!(refused, Verdict::Refused(refusal) if refusal.reason == Reason::AnswerTooLarge));
    let some = history.when(some(1, &["a", "b"], &[])).unlimited().verdict();
    assert!(matches!(some, Verdict::Accepted { .. }));
}

#[test]
fn l11_some_entities_change_and_what_they_need_decides() {
    let history = || {
        given([
            node_created("p", json!({})),
            node_created("a", json!({"parentId": "p"})),
            node_created("b", json!({})),
        ])
        .by("ada", [edge_created("ab", "a", "b")])
        .by("bob", [edge_deleted("ab"), node_deleted("a"), node_deleted("p"), node_moved("b", 1, 1)])
    };
    let told = |when: When| {
        let (events, result) = result(&when);
        let skipped = result.skipped.into_iter().map(|skip| (skip.id, skip.reason));
        (events.len(), skipped.collect::<Vec<_>>())
    };
    assert_eq!(told(history().when(some(4, &["b"], &[]))), (1, vec![]));
    assert_eq!(
        told(history().when(some(4, &["a"], &["ab"]))),
        (0, vec![("a".to_owned(), SkipReason::ParentNotFound), ("ab".to_owned(), SkipReason::DanglingEdge)])
    );
    assert_eq!(told(history().when(some(4, &["a", "p"], &["ab"]))), (3, vec![]));
    assert_eq!(told(history().when(some(4, &["a", "p"], &["ab", "ab", "none"]))), (3, vec![]));
}

#[test]
fn l11_a_node_that_was_not_there_goes_with_what_came_onto_it_but_not_with_what_was_there() {
    let history = || {
        two().by(
            "bob",
            [
                node_created("x", json!({})),
                node_created("y", json!({"parentId": "x"})),
                edge_created("xb", "x", "b"),
            ],
        )
    };
    history().when(some(2, &["x"], &[])).then([edge_deleted("xb"), node_deleted("y"), node_deleted("x")]);
    let used = history().by("bob", [node_updated("a", json!({"parentId": "x"}))]);
    let (events, told) = result(&used.clone().when(some(2, &["x"], &[])));
    assert_eq!((events, told.skipped[0].reason), (vec![], SkipReason::InUse));
    used.when(some(2, &["x", "a"], &[])).then([
        node_updated("a", json!({"parentId": null})),
        edge_deleted("xb"),
        node_deleted("y"),
        node_deleted("x"),
    ]);
}

#[test]
fn l11_no_node_is_put_into_itself() {
    let into = |id: &str, parent: &str| node_updated(id, json!({"parentId": parent}));
    let history = given([node_created("a", json!({})), node_created("b", json!({}))])
        .by("ada", [into("a", "b")])
        .by("bob", [node_updated("a", json!({"parentId": null})), into("b", "a")]);
    let (events, told) = result(&history.clone().when(some(3, &["a"], &[])));
    assert_eq!((events, told.skipped[0].reason), (vec![], SkipReason::ParentCycle));
    let (events, told) = result(&history.when(some(3, &["a", "b"], &[])));
    assert_eq!((events.len(), told.skipped.len()), (2, 0));
}

#[test]
fn o3_a_restore_keeps_to_the_limits() {
    let many = (0..8).map(|n| node_created(&format!("n{n}"), json!({})));
    let history =
        Given::default().by("ada", many).by("bob", [node_deleted("n0"), node_created("m", json!({}))]);
    history.clone().when(some(1, &["n0"], &[])).then_failed(Reason::TooManyEntities);
    assert!(matches!(history.when(back_to(1)).verdict(), Verdict::Accepted { .. }));
}
