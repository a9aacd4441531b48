//! `decide(graph, command) -> events`: the events of a command on the current graph.
//!
//! An empty list means that the graph already is as asked. Nothing here knows about versions or changes of others:
//! [`super::conflict`] does, and calls this last.

use std::collections::{HashSet, VecDeque};

use dao_projections::{
    Edge, EdgeId, Entity, Event, Graph, Map, MergePatch, Node, NodeId, Ordinal, Placed, Position, Timestamp,
    Version, Viewport,
};

use super::{
    ancestry::Ancestry,
    command::Command,
    lifecycle::{create_graph, recover_graph, trash_graph, update_graph},
    size,
};

/// What may be done to any graph: the size limits of a graph and its entities (rule O3), and how graphs begin and end
/// (rules L4, L8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of one entity, as JSON.
    pub entity_bytes_max: usize,
    /// The most nodes in one graph.
    pub nodes_max: usize,
    /// The most edges in one graph.
    pub edges_max: usize,
    /// Whether a first command creates its graph.
    pub auto_create: AutoCreate,
    /// How long a graph stays in the trash before it may be purged, in milliseconds; `None`: for ever.
    pub trash_retention_ms: Option<u64>,
}

/// What creates a graph (rule L4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoCreate {
    /// The first command, whichever it is.
    On,
    /// Only `CREATE_GRAPH`.
    Off,
}

impl Default for Limits {
    /// The defaults: 256 KiB, 100,000 nodes, 200,000 edges, any first command, 30 days.
    fn default() -> Self {
        Self {
            entity_bytes_max: 256 << 10,
            nodes_max: 100_000,
            edges_max: 200_000,
            auto_create: AutoCreate::On,
            trash_retention_ms: Some(30 * 24 * 60 * 60 * 1_000),
        }
    }
}

/// Why the current graph does not allow a command.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Rejection {
    NodeNotFound(NodeId),
    EdgeNotFound(EdgeId),
    NodeIdTaken(NodeId),
    EdgeIdTaken(EdgeId),
    DanglingEdge { edge: EdgeId, end: &'static str, node: NodeId },
    ParentNotFound { node: NodeId, field: &'static str, parent: NodeId },
    ParentCycle(NodeId),
    TooManyNodes,
    TooManyEdges,
    NodeTooLarge(NodeId),
    EdgeTooLarge(EdgeId),
    GraphExists,
    AttributesTooLarge,
}

/// Decides the events of `command`.
pub(super) fn decide(graph: &Graph, command: &Command, limits: &Limits) -> Result<Vec<Event>, Rejection> {
    match command {
        Command::CreateNode { node } => create_node(graph, node, limits),
        Command::UpdateNode { node_id, patch } => update_node(graph, node_id, patch, limits),
        Command::UpdateNodePosition { node_id, position } => move_node(graph, node_id, position),
        Command::DeleteNode { node_id } => delete_node(graph, node_id),
        Command::CreateEdge { edge } => create_edge(graph, edge, limits),
        Command::UpdateEdge { edge_id, patch } => update_edge(graph, edge_id, patch, limits),
        Command::DeleteEdge { edge_id } => delete_edge(graph, edge_id),
        Command::SetViewport { viewport } => Ok(set_viewport(graph, viewport)),
        Command::BatchUpdate { nodes, edges, viewport } => {
            let events = batch_update(graph, nodes, edges.as_deref(), viewport.as_ref(), limits);
            check_batch_update(graph, &events, edges.as_deref(), limits).map(|()| events)
        }
        // Its changes are decided one by one.
        Command::SaveDocument { .. } => Ok(vec![]),
        // It is judged by what the operations did, not by the graph alone.
        Command::Undo { .. } => Ok(vec![]),
        Command::CreateGraph { attributes, nodes, edges, viewport } => {
            create_graph(graph, (attributes, None), (nodes, edges, viewport.as_ref()), limits)
        }
        // It is judged by what the other graph is.
        Command::CopyGraph { .. } => Ok(vec![]),
        Command::UpdateGraph { patch } => update_graph(graph, patch),
        Command::DeleteGraph { reason, moved_to } => {
            Ok(trash_graph(graph, reason.as_deref(), moved_to.as_ref()))
        }
        Command::RecoverGraph => Ok(recover_graph(graph)),
        // They are judged by versions of the history.
        Command::LabelVersion { .. } | Command::RestoreVersion { .. } => Ok(vec![]),
    }
}

/// Creates a node. Creating an identical node again decides nothing (rule C1).
fn create_node(graph: &Graph, node: &Node, limits: &Limits) -> Result<Vec<Event>, Rejection> {
    match graph.nodes().get(node.id()) {
        Some(found) if found.entity == *node => return Ok(vec![]),
        Some(_) => return Err(Rejection::NodeIdTaken(node.id().clone())),
        None => {}
    }
    if graph.nodes().len() >= limits.nodes_max {
        return Err(Rejection::TooManyNodes);
    }
    check_node_size(node, limits)?;
    Ancestry::in_graph(graph).check(node)?;
    Ok(vec![Event::NodeCreated { node: node.clone() }])
}

fn update_node(
    graph: &Graph,
    id: &NodeId,
    patch: &MergePatch,
    limits: &Limits,
) -> Result<Vec<Event>, Rejection> {
    let old = &found_node(graph, id)?.entity;
    if size::sets_more_than(patch, limits.entity_bytes_max) && check_node_size(old, limits).is_ok() {
        return Err(Rejection::NodeTooLarge(id.clone()));
    }
    let new = old.patched(patch);
    if new == *old {
        return Ok(vec![]);
    }
    check_node_size(&new, limits)?;
    if !new.parents().eq(old.parents()) {
        Ancestry::in_graph(graph).check(&new)?;
    }
    Ok(vec![Event::NodeUpdated { node_id: id.clone(), patch: patch.clone() }])
}

/// Moves a node. Moving it to where it already is decides nothing.
fn move_node(graph: &Graph, id: &NodeId, to: &Position) -> Result<Vec<Event>, Rejection> {
    if found_node(graph, id)?.entity.position() == to {
        return Ok(vec![]);
    }
    Ok(vec![Event::NodeMoved { node_id: id.clone(), position: to.clone() }])
}

/// Deletes a node, all nodes inside it and all their edges: edges first, then nodes, children before parents.
fn delete_node(graph: &Graph, id: &NodeId) -> Result<Vec<Event>, Rejection> {
    found_node(graph, id)?;
    let going = with_descendants(graph, id);
    let edges = edges_of_all(graph, &going);
    let edges = edges.into_iter().map(|edge| Event::EdgeDeleted { edge_id: edge.entity.id().clone() });
    let nodes = going.iter().rev().map(|node| Event::NodeDeleted { node_id: node.entity.id().clone() });
    Ok(edges.chain(nodes).collect())
}

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

/// Creates an edge. Creating an identical edge again decides nothing (rule C1).
fn create_edge(graph: &Graph, edge: &Edge, limits: &Limits) -> Result<Vec<Event>, Rejection> {
    match graph.edges().get(edge.id()) {
        Some(found) if found.entity == *edge => return Ok(vec![]),
        Some(_) => return Err(Rejection::EdgeIdTaken(edge.id().clone())),
        None => {}
    }
    if graph.edges().len() >= limits.edges_max {
        return Err(Rejection::TooManyEdges);
    }
    check_edge_size(edge, limits)?;
    check_ends(graph, edge)?;
    Ok(vec![Event::EdgeCreated { edge: edge.clone() }])
}

fn update_edge(
    graph: &Graph,
    id: &EdgeId,
    patch: &MergePatch,
    limits: &Limits,
) -> Result<Vec<Event>, Rejection> {
    let old = &found_edge(graph, id)?.entity;
    if size::sets_more_than(patch, limits.entity_bytes_max) && check_edge_size(old, limits).is_ok() {
        return Err(Rejection::EdgeTooLarge(id.clone()));
    }
    let new = old.patched(patch);
    if new == *old {
        return Ok(vec![]);
    }
    check_edge_size(&new, limits)?;
    check_ends(graph, &new)?;
    Ok(vec![Event::EdgeUpdated { edge_id: id.clone(), patch: patch.clone() }])
}

fn delete_edge(graph: &Graph, id: &EdgeId) -> Result<Vec<Event>, Rejection> {
    found_edge(graph, id)?;
    Ok(vec![Event::EdgeDeleted { edge_id: id.clone() }])
}

fn set_viewport(graph: &Graph, viewport: &Viewport) -> Vec<Event> {
    if graph.viewport() == viewport {
        return vec![];
    }
    vec![Event::ViewportSet { viewport: viewport.clone() }]
}

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

/// The patch that turns one entity into another: of the fields that every one has, before and after, and of the other
/// attributes, which are compared where they are; a copy may take many times what was sent. `None` where no merge
/// patch can say it.
fn patch_between(fixed: &[Map; 2], before: &Map, after: &Map) -> Option<MergePatch> {
    let attributes = MergePatch::between(before, after)?.into_fields();
    // What is removed comes first, as in any difference.
    let (mut patch, written): (Map, Map) = attributes.into_iter().partition(|(_, value)| value.is_null());
    patch.extend(MergePatch::between(&fixed[0], &fixed[1])?.into_fields());
    patch.extend(written);
    Some(MergePatch::new(patch))
}

/// The event that creates or changes this node, as a single command would where one can. A node far over the size
/// limit is not compared in detail: it will be refused.
pub(super) fn node_change(graph: &Graph, node: &Node, limits: &Limits) -> Option<Event> {
    let Some(old) = graph.nodes().get(node.id()).map(|old| &old.entity) else {
        return Some(Event::NodeCreated { node: node.clone() });
    };
    if old == node {
        return None;
    }
    if old.attributes() == node.attributes() {
        return Some(Event::NodeMoved { node_id: node.id().clone(), position: node.position().clone() });
    }
    if size::exceeds(node, node.attributes(), compared_bytes_max(limits)) {
        return Some(Event::NodeReplaced { node: node.clone() });
    }
    let positions = [old.position().to_json(), node.position().to_json()];
    let fixed = positions.map(|position| Map::from_iter([("position".to_owned(), position)]));
    Some(match patch_between(&fixed, old.attributes(), node.attributes()) {
        Some(patch) => Event::NodeUpdated { node_id: node.id().clone(), patch },
        None => Event::NodeReplaced { node: node.clone() },
    })
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

pub(super) fn edge_change(graph: &Graph, edge: &Edge, limits: &Limits) -> Option<Event> {
    let Some(old) = graph.edges().get(edge.id()).map(|old| &old.entity) else {
        return Some(Event::EdgeCreated { edge: edge.clone() });
    };
    if old == edge {
        return None;
    }
    if size::exceeds(edge, edge.attributes(), compared_bytes_max(limits)) {
        return Some(Event::EdgeReplaced { edge: edge.clone() });
    }
    let fixed = [old, edge].map(|edge| {
        let ends = [("source", edge.source()), ("target", edge.target())];
        ends.into_iter().map(|(field, id)| (field.to_owned(), id.as_str().into())).collect()
    });
    Some(match patch_between(&fixed, old.attributes(), edge.attributes()) {
        Some(patch) => Event::EdgeUpdated { edge_id: edge.id().clone(), patch },
        None => Event::EdgeReplaced { edge: edge.clone() },
    })
}

/// Applies events that are not committed yet.
pub(super) fn apply_all(graph: &mut Graph, events: &[Event]) {
    let version: Version = graph.head().version.next();
    let at = graph.last_modified().unwrap_or(Timestamp(0));
    events.iter().for_each(|event| graph.apply_event(event, version, at));
}

fn found_node<'a>(graph: &'a Graph, id: &NodeId) -> Result<&'a Placed<Node>, Rejection> {
    graph.nodes().get(id).map(AsRef::as_ref).ok_or_else(|| Rejection::NodeNotFound(id.clone()))
}

fn found_edge<'a>(graph: &'a Graph, id: &EdgeId) -> Result<&'a Placed<Edge>, Rejection> {
    graph.edges().get(id).map(AsRef::as_ref).ok_or_else(|| Rejection::EdgeNotFound(id.clone()))
}

/// The most bytes of an entity that is compared field by field with the current one. A larger one is refused for its
/// size anyway; one that is only a little too large gets its conflicts first (rule D4).
fn compared_bytes_max(limits: &Limits) -> usize {
    const LITTLE: usize = 64 << 10;
    limits.entity_bytes_max.saturating_add(LITTLE)
}

pub(super) fn check_node_size(node: &Node, limits: &Limits) -> Result<(), Rejection> {
    let attributes: &Map = node.attributes();
    if size::exceeds(node, attributes, limits.entity_bytes_max) {
        return Err(Rejection::NodeTooLarge(node.id().clone()));
    }
    Ok(())
}

pub(super) fn check_edge_size(edge: &Edge, limits: &Limits) -> Result<(), Rejection> {
    if size::exceeds(edge, edge.attributes(), limits.entity_bytes_max) {
        return Err(Rejection::EdgeTooLarge(edge.id().clone()));
    }
    Ok(())
}

/// Checks that both ends exist (rule G4).
pub(super) fn check_ends(graph: &Graph, edge: &Edge) -> Result<(), Rejection> {
    for (end, node) in [("source", edge.source()), ("target", edge.target())] {
        if graph.nodes().get(node).is_none() {
            return Err(Rejection::DanglingEdge { edge: edge.id().clone(), end, node: node.clone() });
        }
    }
    Ok(())
}
