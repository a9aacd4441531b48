//! What holds for every history that commands can make: random commands of random users at random
//! versions on few ids, so that they meet.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use dao_api::{
    domain::{Command, OnConflict, Verdict},
    http::{transcode::append_commit_json, wire::commit_json},
    store::StoredCommit,
};
use dao_projections::{
    Commit, CommitBody, Graph, NodeId, PROJECTIONS, Registered, graph_of_rows, snapshot_rows,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::given::*;

fn id() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map(prop::sample::select(vec!["x", "y", "z/~"]), inner, 0..3)
                .prop_map(|fields| fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Value> {
    (prop::option::of(id()), prop::option::of(id()), value(), any::<bool>()).prop_map(
        |(parent, old, data, typed)| {
            let mut fields = json!({"extra": data.clone()});
            if data.is_object() {
                fields["data"] = data;
            }
            if let Some(parent) = parent {
                fields["parentId"] = json!(parent);
            }
            if let Some(parent) = old {
                fields["parentNode"] = json!(parent);
            }
            if typed {
                fields["type"] = json!("input");
            }
            fields
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    let some_node = || (id(), attributes(), any::<i16>());
    let some_edge = || (id(), id(), id());
    let make_node = |(id, attributes, x): (String, Value, i16)| {
        let mut attributes = attributes;
        attributes["position"] = json!({"x": x, "y": 0});
        node(&id, attributes)
    };
    let make_edge = |(id, from, to): (String, String, String)| edge(&id, &from, &to, json!({}));
    prop_oneof![
        4 => some_node().prop_map(move |n| create(make_node(n))),
        3 => (id(), attributes()).prop_map(|(id, fields)| update(&id, fields)),
        2 => (id(), prop::sample::select(vec!["parentId", "data", "extra"]))
            .prop_map(|(id, field)| update(&id, json!({field: null}))),
        3 => (id(), any::<i8>()).prop_map(|(id, x)| move_to(&id, x.into(), 0)),
        1 => id().prop_map(|id| delete(&id)),
        3 => some_edge().prop_map(|(id, from, to)| connect(&id, &from, &to)),
        2 => (id(), id()).prop_map(|(id, to)| update_edge(&id, json!({"target": to}))),
        1 => id().prop_map(|id| delete_edge(&id)),
        1 => (1..4_u8).prop_map(|zoom| Command::SetViewport { viewport: viewport(0, 0, zoom.into()) }),
        2 => (prop::collection::vec(some_node(), 0..3), prop::option::of(prop::collection::vec(some_edge(), 0..3)))
            .prop_map(move |(nodes, edges)| {
                let mut seen = HashSet::new();
                let nodes = nodes.into_iter().filter(|(id, ..)| seen.insert(id.clone())).map(make_node).collect();
                let mut seen = HashSet::new();
                let edges = edges.map(|edges| {
                    edges.into_iter().filter(|(id, ..)| seen.insert(id.clone())).map(make_edge).collect()
                });
                Command::BatchUpdate { nodes, edges, viewport: None }
            }),
    ]
}

#[derive(Clone, Debug)]
struct Step {
    user: &'static str,
    commands: Vec<Command>,
    behind: Option<u64>,
    policy: OnConflict,
}

fn step() -> impl Strategy<Value = Step> {
    let policies = vec![OnConflict::Merge, OnConflict::Overwrite, OnConflict::Reject];
    (
        prop::sample::select(vec!["ada", "bob"]),
        prop::collection::vec(command(), 1..3),
        prop::option::of(0..6_u64),
        prop::sample::select(policies),
    )
        .prop_map(|(user, commands, behind, policy)| Step { user, commands, behind, policy })
}

fn when(given: &Given, step: &Step) -> When {
    let given = given.clone();
    let version = given.version();
    let when = match step.commands.as_slice() {
        [command] => given.when(command.clone()),
        commands => given.when_all(commands.to_vec()),
    };
    let when = when.from(step.user).on_conflict(step.policy);
    match step.behind {
        Some(behind) => when.at(version.saturating_sub(behind)),
        None => when,
    }
}

/// A history of whatever of these steps is accepted.
fn history(steps: &[Step]) -> Given {
    steps.iter().fold(Given::default(), |given, step| match when(&given, step).verdict() {
        Verdict::Accepted { events, .. } => given.by(step.user, events),
        Verdict::Unchanged { .. } | Verdict::Refused(_) => given,
    })
}

/// Rule G4, looked at from outside.
fn assert_invariants(graph: &Graph) {
    let nodes: HashSet<NodeId> = graph.nodes().iter().map(|n| n.entity.id().clone()).collect();
    assert_eq!(nodes.len(), graph.nodes().len(), "ids are unique");
    for edge in graph.edges().iter() {
        assert!(nodes.contains(edge.entity.source()) && nodes.contains(edge.entity.target()), "{edge:?}");
    }
    for start in graph.nodes().iter() {
        let mut above = vec![start.entity.id().clone()];
        let mut seen = HashSet::new();
        while let Some(id) = above.pop() {
            let node = graph.nodes().get(&id).expect("a parent exists");
            for (_, parent) in node.entity.parents() {
                assert_ne!(parent, *start.entity.id(), "a cycle");
                if seen.insert(parent.clone()) {
                    above.push(parent);
                }
            }
        }
    }
}

/// The order of rule G5, as slowly as it can be said.
fn oldest_whose_parents_stand_there(graph: &Graph) -> Vec<u64> {
    let mut left: Vec<_> = graph.nodes().iter().collect();
    let (mut placed, mut order) = (HashSet::new(), vec![]);
    while !left.is_empty() {
        let is_next = |node: &&std::sync::Arc<dao_projections::Placed<dao_projections::Node>>| {
            node.entity.parents().all(|(_, parent)| placed.contains(&parent))
        };
        let next = left.remove(left.iter().position(is_next).expect("no circle of parents"));
        placed.insert(next.entity.id().clone());
        order.push(next.ordinal);
    }
    order
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn g4_deciding_and_folding_never_breaks_an_invariant(steps in prop::collection::vec(step(), 1..40)) {
        let mut graph = Graph::empty();
        for commit in &history(&steps).commits {
            graph.apply(commit);
            assert_invariants(&graph);
        }
    }

    #[test]
    fn g5_lists_are_in_creation_order_but_parents_come_first(steps in prop::collection::vec(step(), 1..40)) {
        let mut graph = Graph::empty();
        for commit in &history(&steps).commits {
            graph.apply(commit);
            let listed: Vec<u64> = graph.nodes_in_order().map(|node| node.ordinal).collect();
            prop_assert_eq!(&listed, &oldest_whose_parents_stand_there(&graph));
        }
    }

    #[test]
    fn c1_deciding_a_command_again_decides_nothing(steps in prop::collection::vec(step(), 1..30)) {
        let mut given = Given::default();
        for step in &steps {
            let step = Step { commands: step.commands[..1].to_vec(), behind: None, ..step.clone() };
            if let Verdict::Accepted { events, .. } = when(&given, &step).verdict() {
                given = given.by(step.user, events);
                let again = when(&given, &step).verdict();
                let is_once_only = matches!(
                    step.commands[0],
                    Command::DeleteNode { .. } | Command::DeleteEdge { .. }
                );
                if is_once_only {
                    prop_assert!(matches!(again, Verdict::Refused(_)), "{again:?}");
                } else {
                    prop_assert_eq!(again, Verdict::Unchanged { skipped: vec![], restored: None });
                }
            }
        }
    }

    #[test]
    fn a2_the_fold_of_any_prefix_and_the_rest_is_the_fold_of_all(
        steps in prop::collection::vec(step(), 1..30),
        cut in any::<prop::sample::Index>(),
    ) {
        let all = history(&steps);
        let cut = cut.index(all.commits.len() + 1);
        let mut graph = Graph::empty();
        all.commits[..cut].iter().for_each(|commit| graph.apply(commit));
        let kept = graph.clone();
        let before: Vec<_> = kept.nodes().iter().cloned().collect();
        all.commits[cut..].iter().for_each(|commit| graph.apply(commit));
        prop_assert!(graph == all.graph);
        let after: Vec<_> = kept.nodes().iter().cloned().collect();
        prop_assert_eq!(before, after, "a reader's copy stays as it was");
    }

    #[test]
    fn v3_a_commit_is_read_back_and_written_again_byte_for_byte(steps in prop::collection::vec(step(), 1..20)) {
        for commit in &history(&steps).commits {
            let bytes = commit.body.encode();
            let read = CommitBody::decode(&bytes).expect("a commit");
            prop_assert_eq!(&read, &commit.body);
            prop_assert_eq!(read.encode(), &bytes[..]);
            // Straight from the stored bytes, and by way of events.
            let graph = "g".parse().expect("a graph");
            let stored = StoredCommit { version: commit.version, hash: commit.hash, body: bytes.into() };
            let mut json = Vec::new();
            append_commit_json(&graph, &stored, &mut json).expect("a commit");
            let read = Commit { version: commit.version, hash: commit.hash, body: read };
            prop_assert_eq!(String::from_utf8(json), String::from_utf8(commit_json(&graph, &read).to_vec()));
        }
    }

    #[test]
    fn every_projection_folds_the_same_however_it_is_split_and_only_touches_the_rows_it_names(
        steps in prop::collection::vec(step(), 1..30),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let all = history(&steps);
        let cuts: BTreeSet<usize> = cuts.iter().map(|cut| cut.index(all.commits.len() + 1)).collect();
        for projection in PROJECTIONS {
            let mut stored = BTreeMap::new();
            let mut from = 0;
            for to in cuts.iter().copied().chain([all.commits.len()]) {
                fold_batch(projection, &mut stored, &all.commits[from..to]);
                from = to;
            }
            let mut whole = BTreeMap::new();
            fold_batch(projection, &mut whole, &all.commits);
            prop_assert_eq!(&stored, &whole, "{}", projection.name);
        }
    }

    #[test]
    fn a2_a_snapshot_and_the_commits_after_it_are_the_fold_of_all_at_every_version(
        steps in prop::collection::vec(step(), 1..25),
    ) {
        let all = history(&steps);
        let mut stored = BTreeMap::new();
        let mut graph = Graph::empty();
        for (at, commit) in all.commits.iter().enumerate() {
            fold_batch(&PROJECTIONS[0], &mut stored, &all.commits[at..=at]);
            graph.apply(commit);
            let made: BTreeMap<_, _> = snapshot_rows(&graph).into_iter().collect();
            prop_assert_eq!(&stored, &made, "rows folded one by one, and rows of the graph");
            let pairs = stored.iter().map(|(key, row)| (key.as_str(), row.as_slice()));
            let mut resumed = graph_of_rows(commit.head(), pairs).expect("rows");
            prop_assert!(resumed == graph, "{resumed:?} is not {graph:?}");
            all.commits[at + 1..].iter().for_each(|commit| resumed.apply(commit));
            prop_assert!(resumed == all.graph);
        }
    }
}

/// What a projector does with a batch: rows of a store come in, changed rows go out.
fn fold_batch(projection: &Registered, stored: &mut BTreeMap<String, Vec<u8>>, commits: &[Commit]) {
    let mut rows = projection.start();
    let mut named = BTreeSet::new();
    commits.iter().for_each(|commit| rows.missing(commit, &mut named));
    for key in &named {
        rows.load(key.clone(), stored.get(key).map(Vec::as_slice)).expect("a row");
    }
    commits.iter().for_each(|commit| rows.fold(commit));
    for (key, row) in rows.take_changes() {
        assert!(named.contains(&key), "{key} was not named");
        match row {
            Some(row) => drop(stored.insert(key, row)),
            None => drop(stored.remove(&key)),
        }
    }
}
