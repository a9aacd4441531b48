//! What events about the graph itself, and restored entities, add up to: in memory and in rows alike.

use dao_projections::{
    Attributes, CommandType, Commit, CommitBody, Edge, Event, Graph, GraphDiff, Hash, LabelName, Map,
    MergePatch, Misfit, Node, OperationId, Origin, Outcome, PROJECTIONS, Position, Registered, Timestamp,
    Version, fold_strictly, graph_of_rows, snapshot_rows,
};
use serde_json::{Value, json};

fn fields(value: Value) -> Map {
    value.as_object().cloned().expect("an object")
}

fn node(id: &str) -> Node {
    Node::new(id.parse().expect("an id"), Position::default(), Map::new()).expect("a node")
}

fn edge(id: &str, from: &str, to: &str) -> Edge {
    let id_of = |text: &str| text.parse().expect("an id");
    Edge::new(id.parse().expect("an id"), id_of(from), id_of(to), Map::new()).expect("an edge")
}

fn commit(graph: &Graph, user: &str, events: Vec<Event>) -> Commit {
    let at = graph.head().version.next().get();
    let body = CommitBody {
        operation_id: OperationId::from(uuid::Uuid::from_u128(at.into())),
        user_id: user.parse().expect("a user"),
        client_id: "tab".parse().expect("a client"),
        is_client_named: true,
        timestamp: Timestamp(at),
        command_type: CommandType::Batch,
        outcome: Outcome::Applied,
        traceparent: None,
        undoes: vec![],
        restores: None,
        is_erased: false,
        events,
    };
    let head = graph.head().after(&body.encode());
    Commit { version: head.version, hash: head.hash, body }
}

/// The graph after these commits; folding them into rows gives the same, and so do the graph's own rows.
fn fold(commits: &[(&str, Vec<Event>)]) -> Graph {
    let snapshot: &Registered = PROJECTIONS.iter().find(|one| one.name == "snapshot").expect("a snapshot");
    let (mut graph, mut rows) = (Graph::empty(), snapshot.start());
    for (user, events) in commits {
        let commit = commit(&graph, user, events.clone());
        rows.fold(&commit);
        fold_strictly(&mut graph, &commit).expect("it can have happened");
    }
    let (folded, own) = (rows.rows(), snapshot_rows(&graph));
    let sorted = |mut rows: Vec<(String, Vec<u8>)>| {
        rows.sort();
        rows
    };
    let pairs = folded.iter().map(|(key, row)| (key.as_str(), &row[..]));
    assert_eq!(graph_of_rows(graph.head(), pairs).expect("a graph"), graph);
    assert_eq!(sorted(folded.clone()), sorted(own));
    graph
}

fn label(name: &str, version: Option<u64>) -> Event {
    let version = version.map(|version| Version::EMPTY.plus(version));
    Event::VersionLabelled { name: name.parse().expect("a label"), version, hash: None, note: None }
}

fn ids(graph: &Graph) -> Vec<&str> {
    graph.nodes().iter().map(|node| node.entity.id().as_str()).collect()
}

#[test]
fn l1_attributes_are_set_and_patched() {
    let attributes = Attributes::new(fields(json!({"title": "Flow", "tags": ["a"], "data": {"k": 1}})));
    let patch = MergePatch::new(fields(json!({"title": null, "data": {"l": 2}})));
    let graph = fold(&[
        ("ada", vec![Event::GraphCreated { attributes, from: None }, Event::NodeCreated { node: node("a") }]),
        ("bob", vec![Event::GraphUpdated { patch }]),
    ]);
    let metadata = graph.metadata();
    assert_eq!(
        Value::Object(metadata.attributes.fields().clone()),
        json!({"tags": ["a"], "data": {"k": 1, "l": 2}})
    );
    assert_eq!(metadata.attributes_version, graph.head().version);
    let (at, by) = graph.created().expect("a first commit");
    assert_eq!((at, by.as_str()), (Timestamp(1), "ada"));
    assert_eq!(graph.last_author().map(|user| user.as_str()), Some("bob"));
    let difference = GraphDiff::between(&fold(&[]), &graph);
    assert_eq!(difference.attributes.len(), 2);
}

#[test]
fn l4_a_graph_that_nobody_created_has_an_author_and_no_attributes() {
    let graph = fold(&[("ada", vec![Event::NodeCreated { node: node("a") }])]);
    assert_eq!(graph.created().map(|(_, by)| by.as_str()), Some("ada"));
    assert_eq!(graph.metadata(), &dao_projections::Metadata::default());
    let late =
        commit(&graph, "ada", vec![Event::GraphCreated { attributes: Attributes::default(), from: None }]);
    assert_eq!(fold_strictly(&mut graph.clone(), &late), Err(Misfit::AlreadyThere("the graph".to_owned())));
}

#[test]
fn l7_a_fork_keeps_attributes_and_neither_labels_nor_the_trash() {
    let attributes = Attributes::new(fields(json!({"title": "Flow"})));
    let trashed = Event::GraphTrashed { reason: None, moved_to: None, purge_after: None };
    let origin: Origin = Origin {
        graph_id: "g".parse().expect("a graph"),
        version: Version::EMPTY.plus(3),
        hash: Hash::EMPTY,
    };
    let forked =
        Event::GraphForked { graph_id: origin.graph_id.clone(), version: origin.version, hash: origin.hash };
    let graph = fold(&[
        ("ada", vec![Event::GraphCreated { attributes: attributes.clone(), from: None }]),
        ("ada", vec![label("published", Some(1))]),
        ("ada", vec![trashed]),
        ("bob", vec![forked]),
    ]);
    let metadata = graph.metadata();
    assert_eq!((&metadata.attributes, &metadata.origin), (&attributes, &Some(origin)));
    assert!(metadata.labels.is_empty() && metadata.trashed.is_none());
}

#[test]
fn l8_a_graph_goes_into_the_trash_and_comes_back_as_it_was() {
    let trashed = Event::GraphTrashed {
        reason: Some("old".into()),
        moved_to: "g2".parse().ok(),
        purge_after: Some(Timestamp(9)),
    };
    let history =
        [("ada", vec![Event::NodeCreated { node: node("a") }, label("v1", Some(1))]), ("bob", vec![trashed])];
    let graph = fold(&history);
    let trash = graph.metadata().trashed.clone().expect("it is in the trash");
    assert_eq!((trash.at, trash.by.expect("an author").as_str()), (Timestamp(2), "bob"));
    assert_eq!((trash.reason.as_deref(), trash.purge_after), (Some("old"), Some(Timestamp(9))));
    let graph = fold(&[&history[..], &[("ada", vec![Event::GraphRecovered {}])]].concat());
    assert_eq!(graph.metadata().trashed, None);
    assert_eq!(graph.metadata().labels.len(), 1);
}

#[test]
fn l12_labels_are_set_moved_and_removed() {
    let graph = fold(&[
        ("ada", vec![Event::NodeCreated { node: node("a") }]),
        ("ada", vec![label("published", Some(1))]),
        ("bob", vec![label("published", Some(2)), label("v1", Some(1))]),
        ("ada", vec![label("v1", None)]),
    ]);
    let labels = &graph.metadata().labels;
    assert_eq!(labels.len(), 1);
    let published = &labels[&LabelName::parse("published").expect("a label")];
    assert_eq!((published.version.get(), published.at), (2, Timestamp(3)));
    assert_eq!(published.by.as_ref().map(|user| user.as_str()), Some("bob"));
    fold(&[("ada", vec![label("v1", Some(1))]), ("ada", vec![label("v1", None)])]);
}

#[test]
fn u7_what_is_restored_has_its_old_place_in_creation_order() {
    let created =
        |ids: &[&str]| ids.iter().map(|id| Event::NodeCreated { node: node(id) }).collect::<Vec<_>>();
    let gone = vec![
        Event::EdgeDeleted { edge_id: "ab".parse().expect("an id") },
        Event::NodeDeleted { node_id: "a".parse().expect("an id") },
    ];
    let restored = vec![
        Event::NodeRestored { node: node("a"), ordinal: 0, created_at: Timestamp(1) },
        Event::EdgeRestored { edge: edge("ab", "a", "b"), ordinal: 2, created_at: Timestamp(2) },
    ];
    let graph = fold(&[
        ("ada", created(&["a", "b"])),
        ("ada", vec![Event::EdgeCreated { edge: edge("ab", "a", "b") }]),
        ("ada", gone),
        ("ada", created(&["c"])),
        ("ada", restored.clone()),
    ]);
    assert_eq!(ids(&graph), ["a", "b", "c"]);
    let node = graph.nodes().get(&"a".parse().expect("an id")).expect("it is there");
    assert_eq!((node.created_at, node.updated_at, node.version.get()), (Timestamp(1), Timestamp(5), 5));
    assert_eq!(graph.edges_of(node.entity.id()).count(), 1);
    assert_eq!(graph.next_ordinal(), 4);

    let again = commit(&graph, "ada", restored);
    assert_eq!(fold_strictly(&mut graph.clone(), &again), Err(Misfit::AlreadyThere("node a".to_owned())));
    let taken = Event::NodeRestored { node: self::node("d"), ordinal: 1, created_at: Timestamp(1) };
    let taken = commit(&graph, "ada", vec![taken]);
    assert_eq!(fold_strictly(&mut graph.clone(), &taken), Err(Misfit::PlaceTaken("node d".to_owned())));
    let mut total = graph.clone();
    total.apply(&taken);
    assert_eq!(total.nodes().len(), 4, "folding loses nobody");
}
