//! Properties of undo over random histories of three people (rules U).

use std::collections::HashSet;

use dao_api::domain::{Command, Verdict};
use dao_projections::{Commit, Event, Graph, GraphDiff, Pointer, Viewport, fold_strictly};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    given::{Given, connect, create, delete, delete_edge, move_to, node, update, update_edge},
    undo::undo,
};

const NODES: [&str; 5] = ["a", "b", "c", "d", "e"];
const EDGES: [&str; 3] = ["x", "y", "z"];
const USERS: [&str; 3] = ["ada", "bob", "eve"];

#[derive(Clone, Debug)]
pub enum Step {
    Create(usize, Option<usize>),
    Write(usize, u8, u8),
    Move(usize, u8),
    Into(usize, Option<usize>),
    Delete(usize),
    Connect(usize, usize, usize),
    Reconnect(usize, usize),
    Disconnect(usize),
    Look(u8),
}

pub fn step() -> impl Strategy<Value = (usize, Step)> {
    let (node, edge) = (0..NODES.len(), 0..EDGES.len());
    let node = move || node.clone();
    let edge = move || edge.clone();
    let step = prop_oneof![
        4 => (node(), prop::option::of(node())).prop_map(|(n, p)| Step::Create(n, p)),
        4 => (node(), 0..4_u8, 0..3_u8).prop_map(|(n, field, value)| Step::Write(n, field, value)),
        2 => (node(), 0..4_u8).prop_map(|(n, x)| Step::Move(n, x)),
        2 => (node(), prop::option::of(node())).prop_map(|(n, p)| Step::Into(n, p)),
        2 => node().prop_map(Step::Delete),
        3 => (edge(), node(), node()).prop_map(|(e, from, to)| Step::Connect(e, from, to)),
        1 => (edge(), node()).prop_map(|(e, to)| Step::Reconnect(e, to)),
        1 => edge().prop_map(Step::Disconnect),
        1 => (0..3_u8).prop_map(Step::Look),
    ];
    (0..USERS.len(), step)
}

fn command(step: &Step) -> Command {
    let parent = |parent: &Option<usize>| parent.map(|parent| NODES[parent]);
    match step {
        Step::Create(n, p) => create(node(NODES[*n], json!({"parentId": parent(p), "data": {"k": n}}))),
        Step::Write(n, field, value) => update(NODES[*n], written(*field, *value)),
        Step::Move(n, x) => move_to(NODES[*n], i64::from(*x), 0),
        Step::Into(n, p) => update(NODES[*n], json!({"parentId": parent(p)})),
        Step::Delete(n) => delete(NODES[*n]),
        Step::Connect(e, from, to) => connect(EDGES[*e], NODES[*from], NODES[*to]),
        Step::Reconnect(e, to) => update_edge(EDGES[*e], json!({"target": NODES[*to]})),
        Step::Disconnect(e) => delete_edge(EDGES[*e]),
        Step::Look(x) => Command::SetViewport {
            viewport: Viewport::from_json(&json!({"x": x, "y": 0, "zoom": 1})).expect("a viewport"),
        },
    }
}

/// Fields beside and inside each other; 0 removes.
fn written(field: u8, value: u8) -> Value {
    let value = if value == 0 { Value::Null } else { json!(value) };
    match field {
        0 => json!({"type": value.as_u64().map(|n| n.to_string())}),
        1 => json!({"data": {"x": value}}),
        2 => json!({"data": {"deep": {"y": value}}}),
        _ => json!({"data": {"deep": value}}),
    }
}

pub fn history(steps: &[(usize, Step)]) -> Given {
    history_after(Given::default(), steps)
}

pub fn history_after(before: Given, steps: &[(usize, Step)]) -> Given {
    steps.iter().fold(before, |given, (user, step)| {
        let when = given.clone().when(command(step)).from(USERS[*user]);
        match when.verdict() {
            Verdict::Accepted { events, .. } => given.by(USERS[*user], events),
            Verdict::Unchanged { .. } | Verdict::Refused(_) => given,
        }
    })
}

/// Some versions of the history, each once.
fn some(given: &Given, picked: &[prop::sample::Index]) -> Vec<u64> {
    let picked = picked.iter().filter(|_| given.version() > 0);
    let mut versions: Vec<u64> =
        picked.map(|index| 1 + index.index(given.version() as usize) as u64).collect();
    versions.sort_unstable();
    versions.dedup();
    versions
}

/// What the graph holds, whoever wrote it last and when.
pub fn contents(graph: &Graph) -> Vec<(Value, u64, u64)> {
    let nodes = graph.nodes().iter().map(|n| (Value::Object(n.entity.to_json()), n.ordinal, n.created_at.0));
    let edges = graph.edges().iter().map(|e| (Value::Object(e.entity.to_json()), e.ordinal, e.created_at.0));
    nodes.chain(edges).chain([(graph.viewport().to_json(), 0, 0)]).collect()
}

/// The latest commit that wrote at this path of the entity.
fn writer<'a>(given: &'a Given, id: &str, path: &Pointer) -> Option<&'a Commit> {
    let writes = |event: &Event| {
        event.entity().to_string() == id && event.paths().iter().any(|written| written.overlaps(path))
    };
    given.commits.iter().rev().find(|commit| commit.body.events.iter().any(writes))
}

fn at(graph: &Graph, id: &str, path: &Pointer) -> Option<Value> {
    let node = graph.nodes().get(&id.parse().expect("an id")).map(|node| node.entity.to_json());
    let edge = || graph.edges().get(&id.parse().expect("an id")).map(|edge| edge.entity.to_json());
    let fields = node.or_else(edge)?;
    path.keys().try_fold(Value::Object(fields), |value, key| value.get(key.as_ref()).cloned())
}

pub fn graph_at(given: &Given, version: u64) -> Graph {
    let mut graph = Graph::empty();
    given.commits.iter().take(version as usize).for_each(|commit| graph.apply(commit));
    graph
}

/// Whether something else has this id now.
fn is_exchanged(before: &Graph, after: &Graph, id: &str) -> bool {
    let place = |graph: &Graph| {
        let node = graph.nodes().get(&id.parse().expect("an id")).map(|node| node.ordinal);
        node.or_else(|| graph.edges().get(&id.parse().expect("an id")).map(|edge| edge.ordinal))
    };
    place(before) != place(after)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn u8_an_undo_after_anything_leaves_a_graph_that_could_have_happened(
        steps in prop::collection::vec(step(), 1..40),
        picked in prop::collection::vec(any::<prop::sample::Index>(), 1..5),
    ) {
        let given = history(&steps);
        let versions = some(&given, &picked);
        prop_assume!(!versions.is_empty());
        if let Verdict::Accepted { events, .. } = undo(given.clone(), &versions).verdict() {
            let after = given.clone().by("ada", events);
            let commit = after.commits.last().expect("a commit");
            prop_assert_eq!(fold_strictly(&mut given.graph.clone(), commit), Ok(()));
        }
    }

    #[test]
    fn u4_an_undo_never_changes_a_field_that_somebody_wrote_since(
        steps in prop::collection::vec(step(), 1..40),
        picked in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let given = history(&steps);
        let versions = some(&given, &picked);
        prop_assume!(!versions.is_empty());
        let Verdict::Accepted { events, .. } = undo(given.clone(), &versions).verdict() else { return Ok(()) };
        let after = given.clone().by("ada", events);
        let undone: HashSet<u64> = versions.iter().copied().collect();
        let mut exchanged = vec![];
        let difference = GraphDiff::between(&given.graph, &after.graph);
        let nodes = difference.nodes.changed.iter().map(|changed| (changed.id.as_str(), &changed.changes));
        let edges = difference.edges.changed.iter().map(|changed| (changed.id.as_str(), &changed.changes));
        for (id, changes) in nodes.chain(edges) {
            if is_exchanged(&given.graph, &after.graph, id) {
                exchanged.push(id.to_owned());
                continue;
            }
            for change in changes {
                let Some(writer) = writer(&given, id, &change.path) else { continue };
                // Somebody may have written again what one of the operations wrote: that still stands (rule U4).
                let stands = at(&given.graph, id, &change.path);
                let wrote_the_same = versions.iter().any(|v| at(&graph_at(&given, *v), id, &change.path) == stands);
                prop_assert!(undone.contains(&writer.version.get()) || wrote_the_same, "{id} at {}", change.path);
            }
        }
        // What goes was made by the authors of the operations, and nobody else worked on it.
        let authors: HashSet<&str> =
            versions.iter().map(|v| given.commits[*v as usize - 1].body.user_id.as_str()).collect();
        let nodes = difference.nodes.removed.iter().map(|node| node.entity.id().to_string());
        let edges = difference.edges.removed.iter().map(|edge| edge.entity.id().to_string());
        for id in nodes.chain(edges).chain(exchanged) {
            let writes = |event: &&Event| {
                event.entity().to_string() == id && !event.paths().iter().all(Pointer::is_within_position)
            };
            let last = given.commits.iter().rev().find(|commit| commit.body.events.iter().any(|e| writes(&e)));
            let last = last.expect("somebody wrote it");
            prop_assert!(authors.contains(last.body.user_id.as_str()), "{id} by {}", last.body.user_id);
        }
    }

    #[test]
    fn u9_undoing_an_undo_gives_back_what_was_there(
        steps in prop::collection::vec(step(), 1..40),
        picked in prop::collection::vec(any::<prop::sample::Index>(), 1..5),
    ) {
        let given = history(&steps);
        let versions = some(&given, &picked);
        prop_assume!(!versions.is_empty());
        let Verdict::Accepted { events, .. } = undo(given.clone(), &versions).verdict() else { return Ok(()) };
        let undone = given.clone().by("ada", events);
        let redo = undo(undone.clone(), &[undone.version()]);
        let verdict = redo.verdict();
        let Verdict::Accepted { events, .. } = verdict else {
            return Err(TestCaseError::fail(format!("{verdict:#?}")));
        };
        let redone = undone.by("ada", events);
        prop_assert_eq!(contents(&redone.graph), contents(&given.graph));
    }

    #[test]
    fn u3_undoing_the_last_operations_gives_back_the_graph_before_them(
        steps in prop::collection::vec(step(), 1..30),
        back in 1..6_u64,
    ) {
        let given = history(&steps);
        let back = back.min(given.version());
        prop_assume!(back > 0);
        let versions: Vec<u64> = (given.version() - back + 1..=given.version()).collect();
        let before = graph_at(&given, given.version() - back);
        match undo(given.clone(), &versions).verdict() {
            Verdict::Accepted { events, .. } => {
                let after = given.by("ada", events);
                prop_assert_eq!(contents(&after.graph), contents(&before));
            }
            Verdict::Unchanged { .. } => prop_assert_eq!(contents(&given.graph), contents(&before)),
            Verdict::Refused(refusal) => return Err(TestCaseError::fail(format!("{refusal:#?}"))),
        }
    }
}
