//! The events of a `BATCH_UPDATE`: each entity that changes is one event.

use std::collections::HashSet;

use dao_projections::{Edge, EdgeId, Entity, Event, Graph, Node, Viewport};

use super::{
    ancestry::Ancestry,
    entity_change::{
        apply_all, check_edge_size, check_ends, check_node_size, edge_change, found_edge, found_node,
        node_change, set_viewport,
    },
    limits::Limits,
    rejection::Rejection,
};

/// The events that make the graph what is given, without checking the invariants: nodes created or replaced in the
/// order received, then the edge set, then the viewport; one event for each entity that changes.
pub(super) fn batch_update(
    graph: &Graph,
    nodes: &[Node],
    edges: Option<&[Edge]>,
    viewport: Option<&Viewport>,
    limits: &Limits,
) -> Vec<Event> {
    let mut events = Vec::with_capacity(nodes.len() + edges.map_or(0, <[Edge]>::len) + 1);
    events.extend(nodes.iter().filter_map(|node| node_change(graph, node, limits)));
    events.extend(edges.into_iter().flat_map(|edges| edge_set_changes(graph, edges, limits)));
    events.extend(viewport.into_iter().flat_map(|viewport| set_viewport(graph, viewport)));
    events.shrink_to_fit();
    events
}

/// Checks rules G4 and O3 for the events of [`batch_update`].
pub(super) fn check_batch_update(
    graph: &Graph,
    events: &[Event],
    edges: Option<&[Edge]>,
    limits: &Limits,
) -> Result<(), Rejection> {
    let is_of_node = |event: &&Event| matches!(event.entity(), Entity::Node(_));
    let (of_nodes, others) = events.split_at(events.iter().take_while(is_of_node).count());
    let mut then = graph.clone();
    apply_all(&mut then, of_nodes);
    if then.nodes().len() > limits.nodes_max {
        return Err(Rejection::TooManyNodes);
    }
    let mut ancestry = Ancestry::in_graph(&then);
    for event in of_nodes {
        if let Entity::Node(id) = event.entity() {
            let node = &found_node(&then, id)?.entity;
            check_node_size(node, limits)?;
            ancestry.check(node)?;
        }
    }
    if edges.is_some_and(|edges| edges.len() > limits.edges_max) {
        return Err(Rejection::TooManyEdges);
    }
    for event in others {
        if let Some(edge) = edge_after(graph, event)? {
            check_edge_size(&edge, limits)?;
            check_ends(&then, &edge)?;
        }
    }
    Ok(())
}

/// The edge that an event writes.
fn edge_after(graph: &Graph, event: &Event) -> Result<Option<Edge>, Rejection> {
    match event {
        Event::EdgeCreated { edge } | Event::EdgeReplaced { edge } | Event::EdgeRestored { edge, .. } => {
            Ok(Some(edge.clone()))
        }
        Event::EdgeUpdated { edge_id, patch } => {
            found_edge(graph, edge_id).map(|old| Some(old.entity.patched(patch)))
        }
        Event::EdgeDeleted { .. }
        | Event::NodeCreated { .. }
        | Event::NodeUpdated { .. }
        | Event::NodeMoved { .. }
        | Event::NodeReplaced { .. }
        | Event::NodeDeleted { .. }
        | Event::ViewportSet { .. }
        | Event::NodeRestored { .. }
        | Event::GraphCreated { .. }
        | Event::GraphUpdated { .. }
        | Event::GraphTrashed { .. }
        | Event::GraphRecovered {}
        | Event::GraphForked { .. }
        | Event::VersionLabelled { .. } => Ok(None),
    }
}

/// Sets the edges; those that are not given are deleted first.
fn edge_set_changes<'a>(
    graph: &'a Graph,
    edges: &'a [Edge],
    limits: &'a Limits,
) -> impl Iterator<Item = Event> + 'a {
    let kept: HashSet<&EdgeId> = edges.iter().map(Edge::id).collect();
    let gone = graph.edges().iter().map(|old| old.entity.id()).filter(move |id| !kept.contains(id));
    let gone = gone.map(|id| Event::EdgeDeleted { edge_id: id.clone() });
    gone.chain(edges.iter().filter_map(|edge| edge_change(graph, edge, limits)))
}
