//! Differences and histories against the fold, for random histories (rules A3, A4, A5).

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

use std::collections::BTreeMap;

use dao_projections::{
    Change, CommandType, Commit, CommitBody, Edge, EdgeId, Event, Graph, GraphDiff, Map, MergePatch, Misfit,
    Node, NodeId, OperationId, Outcome, Position, Subject, Tracked, Version, Viewport, fold_strictly,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What somebody might try; it becomes an event where the graph allows it.
#[derive(Clone, Debug)]
enum Attempt {
    Create(usize, Value),
    Update(usize, Value),
    Replace(usize, Value),
    Move(usize, i8),
    Delete(usize),
    Connect(usize, usize, usize),
    Reconnect(usize, Value, usize),
    Disconnect(usize),
    Look(i8),
}

const IDS: [&str; 3] = ["a", "b/~", "c"];

fn node_id(n: usize) -> NodeId {
    NodeId::parse(IDS[n]).unwrap()
}

fn edge_id(n: usize) -> EdgeId {
    EdgeId::parse(IDS[n]).unwrap()
}

fn value() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(json!(null)), any::<bool>().prop_map(Value::from), (0..4).prop_map(Value::from)];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map(prop::sample::select(vec!["x", "y~1", "z/~"]), inner, 0..3)
                .prop_map(|fields| fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let id = || 0..IDS.len();
    prop_oneof![
        3 => (id(), value()).prop_map(|(n, v)| Attempt::Create(n, v)),
        3 => (id(), value()).prop_map(|(n, v)| Attempt::Update(n, v)),
        1 => (id(), value()).prop_map(|(n, v)| Attempt::Replace(n, v)),
        2 => (id(), any::<i8>()).prop_map(|(n, x)| Attempt::Move(n, x)),
        1 => id().prop_map(Attempt::Delete),
        3 => (id(), id(), id()).prop_map(|(e, a, b)| Attempt::Connect(e, a, b)),
        1 => (id(), value(), id()).prop_map(|(e, v, b)| Attempt::Reconnect(e, v, b)),
        1 => id().prop_map(Attempt::Disconnect),
        1 => any::<i8>().prop_map(Attempt::Look),
    ]
}

fn node(n: usize, extra: &Value) -> Node {
    let attributes = json!({"extra": extra, "type": "t"});
    Node::new(node_id(n), Position::default(), attributes.as_object().unwrap().clone()).unwrap()
}

fn edge(n: usize, from: usize, to: usize) -> Edge {
    Edge::new(edge_id(n), node_id(from), node_id(to), Map::new()).unwrap()
}

fn position(x: i8) -> Position {
    Position::from_json(&json!({"x": x, "y": 1})).unwrap()
}

/// The events that an attempt comes to.
fn events(graph: &Graph, attempt: &Attempt) -> Vec<Event> {
    let has_node = |n: usize| graph.nodes().get(&node_id(n)).is_some();
    let has_edge = |n: usize| graph.edges().get(&edge_id(n)).is_some();
    let patch = |fields: Value| MergePatch::new(fields.as_object().unwrap().clone());
    match attempt {
        Attempt::Create(n, v) if !has_node(*n) => vec![Event::NodeCreated { node: node(*n, v) }],
        Attempt::Update(n, v) if has_node(*n) => {
            vec![Event::NodeUpdated { node_id: node_id(*n), patch: patch(json!({"extra": v})) }]
        }
        Attempt::Replace(n, v) if has_node(*n) => vec![Event::NodeReplaced { node: node(*n, v) }],
        Attempt::Move(n, x) if has_node(*n) => {
            vec![Event::NodeMoved { node_id: node_id(*n), position: position(*x) }]
        }
        Attempt::Delete(n) if has_node(*n) => {
            let id = node_id(*n);
            let edges = graph.edges_of(&id).map(|e| Event::EdgeDeleted { edge_id: e.entity.id().clone() });
            edges.chain([Event::NodeDeleted { node_id: id.clone() }]).collect()
        }
        Attempt::Connect(e, a, b) if !has_edge(*e) && has_node(*a) && has_node(*b) => {
            vec![Event::EdgeCreated { edge: edge(*e, *a, *b) }]
        }
        Attempt::Reconnect(e, v, b) if has_edge(*e) && has_node(*b) => {
            let patch = patch(json!({"label": v, "target": IDS[*b]}));
            vec![Event::EdgeUpdated { edge_id: edge_id(*e), patch }]
        }
        Attempt::Disconnect(e) if has_edge(*e) => vec![Event::EdgeDeleted { edge_id: edge_id(*e) }],
        Attempt::Look(x) => {
            let viewport = Viewport::from_json(&json!({"x": x, "y": 0, "zoom": 1})).unwrap();
            vec![Event::ViewportSet { viewport }]
        }
        _ => vec![],
    }
}

/// A commit of these events on `graph`.
fn commit(graph: &Graph, at: u64, events: Vec<Event>) -> Commit {
    let body = CommitBody {
        operation_id: OperationId::from(uuid::Uuid::from_u128(at.into())),
        user_id: "ada".parse().unwrap(),
        client_id: "tab".parse().unwrap(),
        is_client_named: true,
        traceparent: None,
        timestamp: dao_projections::Timestamp(at),
        command_type: CommandType::Batch,
        outcome: Outcome::Applied,
        undoes: vec![],
        restores: None,
        is_erased: false,
        events,
    };
    let head = graph.head().after(&body.encode());
    Commit { version: head.version, hash: head.hash, body }
}

/// The graphs after every commit, the empty one first, and the commits between them.
fn history(rounds: &[Vec<Attempt>]) -> (Vec<Graph>, Vec<Commit>) {
    let (mut graphs, mut commits) = (vec![Graph::empty()], vec![]);
    for (at, round) in rounds.iter().enumerate() {
        let mut graph = graphs.last().unwrap().clone();
        let mut all = vec![];
        for attempt in round {
            let next = events(&graph, attempt);
            let version = graph.head().version.next();
            next.iter().for_each(|e| graph.apply_event(e, version, dao_projections::Timestamp(at as u64)));
            all.extend(next);
        }
        let before = graphs.last().unwrap();
        let commit = commit(before, at as u64, all);
        let mut after = before.clone();
        fold_strictly(&mut after, &commit).unwrap();
        graphs.push(after);
        commits.push(commit);
    }
    (graphs, commits)
}

fn histories() -> impl Strategy<Value = Vec<Vec<Attempt>>> {
    prop::collection::vec(prop::collection::vec(attempt(), 1..4), 1..25)
}

/// Without nulls in objects: to a difference they are as good as absent.
fn bare(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), bare(v))).collect()
        }
        other => other.clone(),
    }
}

/// Writes what stands after a change where the change says.
fn write(target: &mut Value, change: &Change) {
    let path = change.path.as_str();
    let current =
        if path.is_empty() { target.clone() } else { target.pointer(path).cloned().unwrap_or(Value::Null) };
    assert_eq!(bare(&current), bare(&change.before), "what stood at {path}");
    let Some((above, last)) = path.rsplit_once('/') else {
        *target = change.after.clone();
        return;
    };
    let key = last.replace("~1", "/").replace("~0", "~");
    let fields = target.pointer_mut(above).unwrap().as_object_mut().unwrap();
    fields.insert(key, change.after.clone());
}

type Entities = BTreeMap<String, Value>;

fn nodes(graph: &Graph) -> Entities {
    graph
        .nodes()
        .iter()
        .map(|n| (n.entity.id().to_string(), bare(&Value::Object(n.entity.to_json()))))
        .collect()
}

fn edges(graph: &Graph) -> Entities {
    graph
        .edges()
        .iter()
        .map(|e| (e.entity.id().to_string(), bare(&Value::Object(e.entity.to_json()))))
        .collect()
}

/// `entities` with one table of a difference applied, read from its JSON as a client would.
fn patched(mut entities: Entities, table: &Value) -> Entities {
    let own = |entity: &Value| {
        let mut fields = entity.as_object().unwrap().clone();
        for field in ["createdAt", "updatedAt", "version"] {
            fields.shift_remove(field).unwrap();
        }
        bare(&Value::Object(fields))
    };
    for gone in table["removed"].as_array().unwrap() {
        assert_eq!(entities.remove(gone["id"].as_str().unwrap()), Some(own(gone)));
    }
    for new in table["added"].as_array().unwrap() {
        assert_eq!(entities.insert(new["id"].as_str().unwrap().to_owned(), own(new)), None);
    }
    for changed in table["changed"].as_array().unwrap() {
        let entity = entities.get_mut(changed["id"].as_str().unwrap()).unwrap();
        let changes = changed["changes"].as_array().unwrap();
        assert!(!changes.is_empty());
        for change in changes {
            assert_ne!(change["before"], change["after"]);
            let path = serde_json::from_value(change["path"].clone()).unwrap();
            let (before, after) = (change["before"].clone(), change["after"].clone());
            write(entity, &Change { path, before, after });
        }
        *entity = bare(entity);
    }
    entities
}

proptest! {
    #[test]
    fn a3_a_difference_turns_the_one_graph_into_the_other(
        rounds in histories(), from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(),
    ) {
        let (graphs, _) = history(&rounds);
        let (from, to) = (from.get(&graphs), to.get(&graphs));
        let diff = GraphDiff::between(from, to);
        let json = serde_json::to_value(&diff).unwrap();
        prop_assert_eq!(patched(nodes(from), &json["nodes"]), nodes(to));
        prop_assert_eq!(patched(edges(from), &json["edges"]), edges(to));
        match &diff.viewport {
            None => prop_assert_eq!(from.viewport(), to.viewport()),
            Some(change) => prop_assert_eq!((&change.before, &change.after), (from.viewport(), to.viewport())),
        }
        prop_assert!(GraphDiff::between(from, from).is_empty());

        // And back again.
        let back = GraphDiff::between(to, from);
        prop_assert_eq!(&back.nodes.added, &diff.nodes.removed);
        prop_assert_eq!(&back.edges.removed, &diff.edges.added);
        let ids = |diff: &GraphDiff| diff.nodes.changed.iter().map(|c| c.id.clone()).collect::<std::collections::BTreeSet<_>>();
        prop_assert_eq!(ids(&back), ids(&diff));
    }

    #[test]
    fn a4_the_history_of_an_entity_adds_up_to_it(
        rounds in histories(), split in any::<prop::sample::Index>(),
    ) {
        let (graphs, commits) = history(&rounds);
        let subjects = (0..IDS.len()).flat_map(|n| [Subject::Node(node_id(n)), Subject::Edge(edge_id(n))]);
        for subject in subjects {
            let mut tracked = Tracked::unborn(subject.clone());
            let mut told = Value::Null;
            for (index, commit) in commits.iter().enumerate() {
                let changes = tracked.follow(commit);
                prop_assert_eq!(changes.is_some(), subject.is_touched_by(commit));
                if subject.is_touched_by(commit) && subject.is_born_in(commit) {
                    let mut anew = Tracked::unborn(subject.clone());
                    let first = anew.follow(commit);
                    prop_assert_eq!((&first, &anew), (&changes, &tracked), "a birth needs no past");
                }
                changes.iter().flatten().for_each(|change| write(&mut told, change));
                let entity = tracked.entity().map_or(Value::Null, Value::Object);
                prop_assert_eq!(bare(&told), bare(&entity));
                prop_assert_eq!(&tracked, &Tracked::in_graph(subject.clone(), &graphs[index + 1]));
            }
            let at = split.index(graphs.len());
            let mut late = Tracked::in_graph(subject.clone(), &graphs[at]);
            commits[at..].iter().for_each(|commit| drop(late.follow(commit)));
            prop_assert_eq!(late, tracked, "wherever it begins");
        }
    }
}

#[test]
fn a4_deleted_and_created_again_in_one_commit_is_one_change() {
    let (graphs, _) = history(&[vec![Attempt::Create(0, json!(1))]]);
    let again = commit(
        &graphs[1],
        9,
        vec![Event::NodeDeleted { node_id: node_id(0) }, Event::NodeCreated { node: node(0, &json!(2)) }],
    );
    let changes = Tracked::in_graph(Subject::Node(node_id(0)), &graphs[1]).follow(&again);
    let expected = json!([{"path": "/extra", "before": 1, "after": 2}]);
    assert_eq!(serde_json::to_value(changes).unwrap(), expected);
}

#[test]
fn a5_a_commit_that_cannot_have_happened_is_told() {
    let rounds = [
        vec![Attempt::Create(0, json!(1))],
        vec![Attempt::Create(1, json!(1))],
        vec![Attempt::Connect(0, 0, 1)],
    ];
    let (graphs, _) = history(&rounds);
    let graph = graphs.last().unwrap();
    let child = {
        let attributes = json!({"parentId": "gone"}).as_object().unwrap().clone();
        Node::new(node_id(2), Position::default(), attributes).unwrap()
    };
    let not_there = |name: &str| Misfit::NotThere(name.to_owned());
    let dangling = |node| Misfit::Dangling { edge: "a".to_owned(), node };
    let cases = [
        (Event::NodeMoved { node_id: node_id(2), position: position(1) }, not_there("node c")),
        (Event::NodeReplaced { node: node(2, &json!(1)) }, not_there("node c")),
        (Event::NodeDeleted { node_id: node_id(2) }, not_there("node c")),
        (Event::EdgeDeleted { edge_id: edge_id(1) }, not_there("edge b/~")),
        (Event::NodeCreated { node: node(0, &json!(1)) }, Misfit::AlreadyThere("node a".to_owned())),
        (Event::EdgeCreated { edge: edge(0, 0, 1) }, Misfit::AlreadyThere("edge a".to_owned())),
        (Event::NodeDeleted { node_id: node_id(1) }, dangling(node_id(1))),
        (Event::EdgeReplaced { edge: edge(0, 0, 2) }, dangling(node_id(2))),
        (
            Event::NodeCreated { node: child },
            Misfit::Orphan { child: node_id(2), parent: NodeId::parse("gone").unwrap() },
        ),
    ];
    for (event, misfit) in cases {
        let mut folded = graph.clone();
        let told = fold_strictly(&mut folded, &commit(graph, 9, vec![event.clone()]));
        assert_eq!(told, Err(misfit), "{event:?}");
        assert_eq!(folded, *graph, "and nothing is folded");
    }
    let look = events(graph, &Attempt::Look(1));
    assert_eq!(fold_strictly(&mut graph.clone(), &commit(graph, 1, look.clone())), Err(Misfit::TimeGoesBack));
    let mut folded = graph.clone();
    assert_eq!(fold_strictly(&mut folded, &commit(graph, 2, look)), Ok(()));
    assert_eq!(folded.head().version, Version::new(4).unwrap());
}
