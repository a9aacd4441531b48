//! Graphs that begin as copies of others (rule L7).

use dao_api::domain::{Command, CopyFrom, CopyPart, Details, Reason, Source, VersionRef};
use dao_projections::{Attributes, Event, Hash, Origin, Timestamp, Trashed, Version};
use serde_json::{Value, json};

use crate::given::{Given, edge_created, given, map, node_created, node_deleted, patch, viewport};

fn copy(part: CopyPart, attributes: Value) -> Command {
    let from = CopyFrom { graph: "g".parse().expect("an id"), at: VersionRef::Head, part };
    Command::CopyGraph { attributes: Attributes::new(map(attributes)), from }
}

fn origin(source: &Given) -> Origin {
    let head = source.graph.head();
    Origin { graph_id: "g".parse().expect("an id"), version: head.version, hash: head.hash }
}

/// An empty graph beside this one.
fn beside(source: &Given) -> Given {
    let found = Source::Found { origin: origin(source), graph: Box::new(source.graph.clone()) };
    Given { source: Some(found), ..Given::default() }
}

fn source() -> Given {
    let attributes = json!({"title": "One", "tags": ["t"], "settings": {"readOnly": true}});
    let created = Event::GraphCreated { attributes: Attributes::new(map(attributes)), from: None };
    given([created, node_created("gone", json!({})), node_created("child", json!({"parentId": "p"}))])
        .by("ada", [node_created("p", json!({})), node_deleted("gone"), edge_created("e", "p", "child")])
        .by("ada", [Event::ViewportSet { viewport: viewport(1, 2, 3.0) }])
}

#[test]
fn l7_a_copy_has_the_contents_in_the_order_of_lists_and_no_settings() {
    let source = source();
    let created = |attributes: Value| Event::GraphCreated {
        attributes: Attributes::new(map(attributes)),
        from: Some(origin(&source)),
    };
    let contents = [
        node_created("p", json!({})),
        node_created("child", json!({"parentId": "p"})),
        edge_created("e", "p", "child"),
        Event::ViewportSet { viewport: viewport(1, 2, 3.0) },
    ];
    let expected = [created(json!({"title": "One", "tags": ["t"]}))].into_iter().chain(contents);
    beside(&source).when(copy(CopyPart::Contents, json!({}))).then(expected);
    beside(&source)
        .when(copy(CopyPart::Outline, json!({"title": "Two", "owner": "bob"})))
        .then([created(json!({"title": "Two", "tags": ["t"], "owner": "bob"}))]);
}

#[test]
fn l7_a_copy_with_history_ends_with_the_fork() {
    let source = source();
    let Origin { graph_id, version, hash } = origin(&source);
    let fork = || Event::GraphForked { graph_id: graph_id.clone(), version, hash };
    // The settings stay behind: to set them takes another right (rule L5).
    let described = |fields: Value| Event::GraphUpdated { patch: patch(fields) };
    let copied = |attributes: Value| beside(&source).when(copy(CopyPart::History, attributes));
    copied(json!({})).then([fork(), described(json!({"settings": null}))]);
    copied(json!({"title": "Two"})).then([fork(), described(json!({"title": "Two", "settings": null}))]);
    copied(json!({"settings": {"readOnly": true}})).then([fork()]);
    let without = source.clone().by("ada", [described(json!({"settings": null}))]);
    let Origin { graph_id, version, hash } = origin(&without);
    let fork_of_it = Event::GraphForked { graph_id, version, hash };
    beside(&without).when(copy(CopyPart::History, json!({"title": "One"}))).then([fork_of_it]);

    // Where its commits are there already.
    let there = Given { source: beside(&source).source, ..source.clone() };
    there.clone().when(copy(CopyPart::History, json!({}))).then_conflict(Reason::GraphExists);
    let short = Given { source: there.source.clone(), ..given([node_created("a", json!({}))]) };
    short.when(copy(CopyPart::Fork, json!({}))).then_conflict(Reason::GraphExists);
}

#[test]
fn l7_what_can_not_be_copied_is_refused() {
    let version = |number| Version::new(number).expect("small");
    let trashed = Trashed { reason: None, moved_to: None, purge_after: None, at: Timestamp(1), by: None };
    for (source, reason, is_final) in [
        (Source::NotFound, Reason::GraphNotFound, false),
        (Source::Trashed(trashed), Reason::GraphTrashed, false),
        (Source::NoVersion { version: version(9), head: version(2) }, Reason::VersionNotFound, true),
        (Source::NoLabel("v1".parse().expect("a label")), Reason::LabelNotFound, true),
        (Source::TooLarge, Reason::AnswerTooLarge, false),
    ] {
        let given = Given { source: Some(source), ..Given::default() };
        let refusal = given.when(copy(CopyPart::Contents, json!({}))).then_refused(reason);
        assert_eq!(refusal.reason.is_final(), is_final, "{reason:?}");
        let is_trash = reason == Reason::GraphTrashed;
        assert_eq!(matches!(refusal.details.as_deref(), Some(Details::Trashed(_))), is_trash);
    }
    let many = Given::default().by("ada", (0..9).map(|n| node_created(&format!("n{n}"), json!({}))));
    beside(&many).when(copy(CopyPart::Contents, json!({}))).then_failed(Reason::TooManyEntities);
    let exists = Given { source: beside(&many).source, ..given([node_created("a", json!({}))]) };
    exists.when(copy(CopyPart::Contents, json!({}))).then_conflict(Reason::GraphExists);
    assert_ne!(origin(&many).hash, Hash::EMPTY);
}
