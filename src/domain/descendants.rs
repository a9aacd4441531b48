//! What is inside of a node, and the edges of all that.

use std::collections::{HashSet, VecDeque};

use dao_projections::{Edge, Graph, Node, NodeId, Ordinal, Placed};

/// What ties a node to another one: it stands or falls together.
pub(super) const PARENT_FIELDS: [&str; 3] = ["parentId", "parentNode", "extent"];

/// The node and all nodes inside it, parents first; empty if the node does not exist.
pub(super) fn with_descendants<'g>(graph: &'g Graph, id: &NodeId) -> Vec<&'g Placed<Node>> {
    descendants(graph, [id]).collect()
}

/// The nodes, and all nodes inside any of them, each once and found as it is asked for. Those that do not exist are
/// left out.
pub(super) fn descendants<'g, 'i>(
    graph: &'g Graph,
    ids: impl IntoIterator<Item = &'i NodeId>,
) -> impl Iterator<Item = &'g Placed<Node>> {
    let mut seen = HashSet::<Ordinal>::new();
    let given = ids.into_iter().filter_map(|id| graph.nodes().get(id));
    let mut next: VecDeque<&Placed<Node>> =
        given.filter(|node| seen.insert(node.ordinal)).map(AsRef::as_ref).collect();
    std::iter::from_fn(move || {
        let node = next.pop_front()?;
        let inside = graph.children_of(node.entity.id()).filter(|child| seen.insert(child.ordinal));
        next.extend(inside.map(AsRef::as_ref));
        Some(node)
    })
}

/// The edges that begin or end at any of these nodes, each once, in creation order.
pub(super) fn edges_of_all<'g>(graph: &'g Graph, nodes: &[&Placed<Node>]) -> Vec<&'g Placed<Edge>> {
    let edges = nodes.iter().flat_map(|node| graph.edges_of(node.entity.id()));
    let mut edges: Vec<&Placed<Edge>> = edges.map(AsRef::as_ref).collect();
    edges.sort_unstable_by_key(|edge| edge.ordinal);
    edges.dedup_by_key(|edge| edge.ordinal);
    edges
}
