//! Histories that nobody in this world wrote: what was there before it began, what a restored backup
//! puts in the place of what was lost, and what nobody can read.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use dao_api::store::{Publication, StoredCommit};
use dao_projections::{
    CommandType, CommitBody, Event, GraphId, Head, Map, Node, NodeId, OperationId, Outcome, Position,
    Timestamp, Version, Viewport,
};
use serde_json::json;
use tokio::time::sleep;

use crate::{durable::Shared, rng::Rng, world::World};

/// No store has this number: everybody hears of what it does.
const NOBODY: usize = usize::MAX;

/// The body of a commit that follows on `head`: the first makes a node, others move it or the view.
fn invent(head: Head, rng: &mut Rng) -> Bytes {
    let id: NodeId = "n0".parse().unwrap();
    let position = || Position::from_json(&json!({"x": head.version.get(), "y": 0})).unwrap();
    let (command_type, event) = if head == Head::EMPTY {
        (CommandType::CreateNode, Event::NodeCreated { node: Node::new(id, position(), Map::new()).unwrap() })
    } else if rng.chance(50) {
        (CommandType::UpdateNodePosition, Event::NodeMoved { node_id: id, position: position() })
    } else {
        let viewport = json!({"x": rng.below(1_000_000), "y": 0, "zoom": 1});
        let viewport = Viewport::from_json(&viewport).unwrap();
        (CommandType::SetViewport, Event::ViewportSet { viewport })
    };
    let body = CommitBody {
        operation_id: OperationId::from(uuid::Uuid::from_u64_pair(rng.draw(), rng.draw())),
        user_id: "fay".parse().unwrap(),
        client_id: "fay".parse().unwrap(),
        is_client_named: true,
        traceparent: None,
        timestamp: Timestamp(head.version.get() * 60_000),
        command_type,
        outcome: Outcome::Applied,
        undoes: vec![],
        restores: None,
        is_erased: false,
        events: vec![event],
    };
    Bytes::from(body.encode())
}

fn push(shared: &mut Shared, graph: &GraphId, body: Bytes) {
    let log = shared.graphs.entry(graph.clone()).or_default();
    let head = log.head().after(&body);
    log.push(StoredCommit { version: head.version, hash: head.hash, body });
}

/// Commits that are there from elsewhere; the feed may tell of them or not.
pub fn write(shared: &mut Shared, graph: &GraphId, count: u64, rng: &mut Rng) {
    let head = |shared: &Shared| shared.graphs.get(graph).map_or(Head::EMPTY, |log| log.head());
    let from = head(shared).version.next();
    for _ in 0..count {
        let body = invent(head(shared), rng);
        push(shared, graph, body);
    }
    if count > 0 && rng.chance(60) {
        shared.tell_feed(graph, from, head(shared).version);
    }
}

/// A history whose last commit is of the right hash, and no commit; the feed tells of it.
pub fn poison(shared: &mut Shared, graph: &GraphId, rng: &mut Rng) -> Version {
    write(shared, graph, 1 + rng.below(20), rng);
    push(shared, graph, Bytes::from_static(b"not a commit"));
    let version = shared.graphs[graph].head().version;
    shared.tell_feed(graph, version, version);
    version
}

/// A history loses its end, or is another one from some version on.
pub fn upheave(shared: &mut Shared, graph: &GraphId, rng: &mut Rng) {
    let Some(log) = shared.graphs.get_mut(graph) else { return };
    let length = log.commits.len() as u64;
    let lost = match rng.below(10) {
        0 => length,
        1..4 => rng.below(length + 1),
        _ => 1 + rng.below(4),
    };
    log.cut(length.saturating_sub(lost) as usize);
    let end = log.head().version;
    if rng.chance(50) {
        let parts = shared.read_side.feed.iter_mut();
        parts.for_each(|part| part.entries.retain(|entry| entry.graph != *graph || entry.to <= end));
    }
    if rng.chance(60) {
        write(shared, graph, rng.below(2 * lost + 2), rng);
    }
    // Connections break when the store that has it goes, and whoever listens knows that; or they do not,
    // and the next commit, or the next comparison of heads, shows it.
    if rng.chance(50) {
        shared.publish(graph, &Publication::MayHaveMissed, NOBODY);
    }
}

/// Makes upheavals as long as it lives.
pub async fn rage(world: Arc<World>, mut rng: Rng) {
    loop {
        sleep(Duration::from_millis(rng.below(500))).await;
        let graph = world.plan.graphs[rng.index(world.plan.graphs.len())].clone();
        upheave(&mut world.shared.lock().unwrap(), &graph, &mut rng);
        world.remark("an upheaval", graph.to_string());
    }
}

/// A history that can be read takes the place of one that can't.
pub fn repair(shared: &mut Shared, graph: &GraphId, rng: &mut Rng) {
    let log = shared.graphs.get_mut(graph).unwrap();
    log.cut(log.commits.len() - 1);
    write(shared, graph, 1 + rng.below(3), rng);
}
