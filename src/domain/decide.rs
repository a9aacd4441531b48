//! `decide(graph, command) -> events`: the events of a command on the current graph.
//!
//! An empty list means that the graph already is as asked. Nothing here knows about versions or changes of others:
//! [`super::conflict`] does, and calls this last.

use dao_projections::{Edge, EdgeId, Event, Graph, MergePatch, Node, NodeId, Position};

use super::{
    ancestry::Ancestry,
    batch_update::{batch_update, check_batch_update},
    command::Command,
    descendants::{edges_of_all, with_descendants},
    entity_change::{check_edge_size, check_ends, check_node_size, found_edge, found_node, set_viewport},
    lifecycle::{create_graph, recover_graph, trash_graph, update_graph},
    limits::Limits,
    rejection::Rejection,
    size,
};

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
