//! The event that makes one node or edge what it shall be, and what every node and edge must keep to.

use dao_projections::{
    Edge, EdgeId, Event, Graph, Map, MergePatch, Node, NodeId, Placed, Timestamp, Version, Viewport,
};

use super::{limits::Limits, rejection::Rejection, size};

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

pub(super) fn set_viewport(graph: &Graph, viewport: &Viewport) -> Vec<Event> {
    if graph.viewport() == viewport {
        return vec![];
    }
    vec![Event::ViewportSet { viewport: viewport.clone() }]
}

pub(super) fn found_node<'a>(graph: &'a Graph, id: &NodeId) -> Result<&'a Placed<Node>, Rejection> {
    graph.nodes().get(id).map(AsRef::as_ref).ok_or_else(|| Rejection::NodeNotFound(id.clone()))
}

pub(super) fn found_edge<'a>(graph: &'a Graph, id: &EdgeId) -> Result<&'a Placed<Edge>, Rejection> {
    graph.edges().get(id).map(AsRef::as_ref).ok_or_else(|| Rejection::EdgeNotFound(id.clone()))
}
