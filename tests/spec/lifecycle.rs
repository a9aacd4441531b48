//! What happens to a graph as a whole (rules L).

use dao_api::domain::{Command, Details, OnConflict, Reason};
use dao_projections::{Attributes, Event};
use serde_json::{Value, json};

use crate::given::{create, delete, edge, edge_created, given, map, node, node_created, patch, update};

fn created(attributes: Value) -> Event {
    Event::GraphCreated { attributes: Attributes::new(map(attributes)), from: None }
}

fn updated(fields: Value) -> Event {
    Event::GraphUpdated { patch: patch(fields) }
}

fn trashed() -> Event {
    Event::GraphTrashed { reason: None, moved_to: None, purge_after: None }
}

fn describe(fields: Value) -> Command {
    Command::UpdateGraph { patch: patch(fields) }
}

fn trash() -> Command {
    Command::DeleteGraph { reason: None, moved_to: None }
}

#[test]
fn l4_a_graph_begins_with_its_creation_and_then_its_contents() {
    let attributes = Attributes::new(map(json!({"title": "T"})));
    let (nodes, edges) =
        (vec![node("a", json!({})), node("b", json!({}))], vec![edge("ab", "a", "b", json!({}))]);
    let command = Command::CreateGraph { attributes, nodes, edges, viewport: None };
    given([]).when(command.clone()).then([
        created(json!({"title": "T"})),
        node_created("a", json!({})),
        node_created("b", json!({})),
        edge_created("ab", "a", "b"),
    ]);
    given([node_created("x", json!({}))]).when(command).then_conflict(Reason::GraphExists);
}

#[test]
fn l5_a_description_conflicts_by_its_leaves_and_with_nothing_else() {
    let history = || {
        given([created(json!({"title": "One", "data": {"x": 1}}))])
            .by("bob", [updated(json!({"data": {"y": 2}}))])
            .by("bob", [node_created("a", json!({}))])
    };
    history()
        .when(describe(json!({"data": {"x": 3}})))
        .at(1)
        .then_merged([updated(json!({"data": {"x": 3}}))]);
    history().when(describe(json!({"data": {"y": 3}}))).at(1).then_conflict(Reason::Conflict);
    history().when(describe(json!({"data": {"y": 2}}))).at(1).then_unchanged();
    history()
        .when(describe(json!({"title": "T"})))
        .at(1)
        .on_conflict(OnConflict::Reject)
        .then_conflict(Reason::Conflict);
    history()
        .when(update("a", json!({"k": 1})))
        .at(3)
        .then([crate::given::node_updated("a", json!({"k": 1}))]);
}

#[test]
fn l8_nothing_is_done_to_a_graph_in_the_trash_but_recovering_it() {
    let history = || given([node_created("a", json!({})), trashed()]);
    for command in [create(node("b", json!({}))), delete("a"), describe(json!({"title": "T"}))] {
        let refusal = history().when(command).then_refused(Reason::GraphTrashed);
        assert!(
            matches!(refusal.details.as_deref(), Some(Details::Trashed(_))) && !refusal.reason.is_final()
        );
    }
    history().when(trash()).then_unchanged();
    history().when(Command::RecoverGraph).then([Event::GraphRecovered {}]);
    given([node_created("a", json!({}))]).when(Command::RecoverGraph).then_unchanged();
    given([]).when(trash()).then_failed(Reason::GraphNotFound);
}

#[test]
fn l14_a_read_only_graph_can_be_described_and_trashed() {
    let history = || given([created(json!({"settings": {"readOnly": true}}))]);
    history().when(create(node("a", json!({})))).then_failed(Reason::GraphReadOnly);
    history().when(describe(json!({"title": "T"}))).then([updated(json!({"title": "T"}))]);
    history().when(trash()).then([trashed()]);
    // Members of a batch see what those before them did.
    let thaw = describe(json!({"settings": {"readOnly": false}}));
    history()
        .when_all([thaw, create(node("a", json!({})))])
        .then([updated(json!({"settings": {"readOnly": false}})), node_created("a", json!({}))]);
}
