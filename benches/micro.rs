//! `cargo bench --bench micro`: what the pure parts cost, without network or disk.
//!
//! The median of rounds, in nanoseconds; the first rounds warm up and don't count. Not here: what
//! the server as a whole does (`targets`).

use std::{collections::HashSet, hint::black_box, time::Instant};

use dao_api::{
    domain::{History, Limits, Operation, Saver, Verdict, judge},
    http::{parse_command, wire::commit_json},
};
use dao_projections::{
    Commit, CommitBody, Entity, Event, Graph, GraphId, Hash, NodeId, OperationId, Outcome, Position,
    Timestamp, UserId, Version,
};
use serde_json::{Value, json};
use uuid::Uuid;

type Done<T> = Result<T, Box<dyn std::error::Error>>;

const ROUNDS: usize = 15;
const WARM_UP: usize = 3;
const NODES: usize = 10_000;
/// Operations in one round.
const TIMES: usize = 20_000;

fn main() -> Done<()> {
    let user = UserId::parse("ada")?;
    let graph = graph_of(NODES, &user)?;
    parse(&user)?;
    decide(&graph, &user)?;
    fold(&graph, &user)?;
    codec(&user)?;
    encode(&graph, &user)
}

/// Prints what one `work` costs; `each` is how many things of `unit` it does.
fn measure(what: &str, times: usize, mut work: impl FnMut(usize)) {
    let mut rounds: Vec<f64> = (0..WARM_UP + ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..times).for_each(&mut work);
            start.elapsed().as_nanos() as f64 / times as f64
        })
        .skip(WARM_UP)
        .collect();
    rounds.sort_by(f64::total_cmp);
    let median = rounds[ROUNDS / 2];
    println!("{what:<58} {median:>10.0} ns {:>14.0}/s", 1e9 / median);
}

/// The body of a move, as it is sent.
fn sent(turn: usize) -> String {
    let id = Uuid::now_v7();
    format!(
        r#"{{"type":"UPDATE_NODE_POSITION","operationId":"{id}","payload":{{"nodeId":"n{:05}","position":{{"x":{turn},"y":17}}}}}}"#,
        turn % NODES
    )
}

fn parse(user: &UserId) -> Done<()> {
    let bodies: Vec<String> = (0..TIMES).map(sent).collect();
    measure("JSON text of a command to a value (serde_json)", TIMES, |turn| {
        black_box(serde_json::from_str::<Value>(&bodies[turn]).ok());
    });
    measure("the same, and to an operation with its fingerprint", TIMES, |turn| {
        let value = serde_json::from_str(&bodies[turn]).unwrap_or_default();
        black_box(parse_command(value, user).ok());
    });
    Ok(())
}

/// No history: commands that name no version never look back.
struct Nothing;

impl History for Nothing {
    fn since(&self, _: Version, _: &HashSet<Entity<'_>>) -> Option<Box<dyn Iterator<Item = &Commit> + '_>> {
        None
    }

    fn at(&self, _: Version) -> Option<&Commit> {
        None
    }

    fn graph_at(&self, _: Version) -> Option<Graph> {
        None
    }

    fn owned_since(&self, _: Version, _: &Saver<'_>) -> Option<Vec<&Commit>> {
        None
    }

    fn hash_at(&self, _: dao_projections::Version) -> Option<dao_projections::Hash> {
        None
    }
}

fn decide(graph: &Graph, user: &UserId) -> Done<()> {
    let operations: Vec<Operation> = (0..TIMES)
        .map(|turn| parse_command(serde_json::from_str(&sent(turn))?, user).map_err(Into::into))
        .collect::<Done<_>>()?;
    let limits = Limits::default();
    measure("judge a move on a graph of 10,000 nodes", TIMES, |turn| {
        let verdict = judge(graph, &operations[turn], &Nothing, &limits);
        assert!(matches!(black_box(verdict), Ok(Verdict::Accepted { .. })));
    });
    Ok(())
}

fn fold(graph: &Graph, user: &UserId) -> Done<()> {
    for nodes in [50, NODES] {
        let mut version = graph.head().version;
        let commits: Vec<Commit> = (0..TIMES)
            .map(|turn| {
                version = version.next();
                let body = body_of(moved(turn * 7 % nodes, turn)?, user);
                Ok(Commit { version, hash: Hash::EMPTY, body })
            })
            .collect::<Done<_>>()?;
        let mut folded = graph.clone();
        measure(&format!("fold a move of one of {nodes} nodes"), TIMES, |turn| {
            if turn == 0 {
                folded = graph.clone();
            }
            folded.apply(&commits[turn]);
        });
        let mut folded = graph.clone();
        measure(&format!("… and keep every version of it, {nodes} nodes"), TIMES, |turn| {
            if turn == 0 {
                folded = graph.clone();
            }
            let before = folded.clone();
            folded.apply(&commits[turn]);
            black_box(before);
        });
    }
    Ok(())
}

fn codec(user: &UserId) -> Done<()> {
    let body = body_of(moved(7, 123_456)?, user);
    let bytes = body.encode();
    println!("a commit of one move is {} bytes", bytes.len());
    measure("encode a commit", TIMES, |_| {
        black_box(black_box(&body).encode());
    });
    measure("decode a commit", TIMES, |_| {
        black_box(CommitBody::decode(black_box(&bytes)).ok());
    });
    let hash = Hash::EMPTY;
    measure("one link of the hash chain", TIMES, |_| {
        black_box(hash.chain(black_box(&bytes)));
    });
    Ok(())
}

fn encode(graph: &Graph, user: &UserId) -> Done<()> {
    let id = GraphId::parse("g1")?;
    let commit =
        Commit { version: Version::EMPTY.next(), hash: Hash::EMPTY, body: body_of(moved(7, 9)?, user) };
    measure("a commit as JSON for the wire", TIMES, |_| {
        black_box(commit_json(&id, black_box(&commit)));
    });
    let nodes: Vec<_> = graph.nodes().iter().cloned().collect();
    measure("a node as JSON", TIMES, |turn| {
        black_box(serde_json::to_vec(&*nodes[turn % NODES]).ok());
    });
    nodes.iter().for_each(|node| {
        black_box(node.json());
    });
    let mut bytes = Vec::with_capacity(4 << 20);
    measure("10,000 nodes as JSON, encoded before", 50, |_| {
        bytes.clear();
        graph.nodes().iter().for_each(|node| bytes.extend_from_slice(node.json()));
        black_box(&bytes);
    });
    Ok(())
}

fn moved(node: usize, x: usize) -> Done<Event> {
    let position = Position::from_json(&json!({"x": x, "y": 17}))?;
    Ok(Event::NodeMoved { node_id: NodeId::parse(&format!("n{node:05}"))?, position })
}

fn body_of(event: Event, user: &UserId) -> CommitBody {
    CommitBody {
        operation_id: OperationId::from(Uuid::now_v7()),
        user_id: user.clone(),
        client_id: user.into(),
        is_client_named: false,
        traceparent: None,
        timestamp: Timestamp(1_763_800_000_000),
        command_type: dao_projections::CommandType::UpdateNodePosition,
        outcome: Outcome::Applied,
        undoes: vec![],
        restores: None,
        is_erased: false,
        events: vec![event],
    }
}

fn graph_of(nodes: usize, user: &UserId) -> Done<Graph> {
    let mut graph = Graph::empty();
    for n in 0..nodes {
        let attributes = json!({"type": "default", "data": {"label": format!("Node {n}")}});
        let Value::Object(attributes) = attributes else { continue };
        let node =
            dao_projections::Node::new(NodeId::parse(&format!("n{n:05}"))?, Position::default(), attributes)?;
        let body = body_of(Event::NodeCreated { node }, user);
        graph.apply(&Commit { version: graph.head().version.next(), hash: Hash::EMPTY, body });
    }
    Ok(graph)
}
