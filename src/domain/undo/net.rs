//! The events that make the graph what an undo made of its copy: one for each entity, in an order in which each finds
//! what it refers to.

use std::collections::HashSet;

use dao_projections::{Edge, EdgeId, Event, Graph, Node, NodeId, Placed};

use super::state::Key;
use crate::domain::{
    entity_change::{edge_change, node_change},
    limits::Limits,
    order::parents_first,
};

/// From `head` to `then`, which differ in these entities at most, in the order in which they were touched.
pub(in crate::domain) fn events(head: &Graph, then: &Graph, touched: &[Key], limits: &Limits) -> Vec<Event> {
    let mut seen = HashSet::new();
    let touched: Vec<&Key> = touched.iter().filter(|key| seen.insert(*key)).collect();
    let mut parts = Parts::default();
    for key in touched {
        match key {
            Key::Node(id) => parts.add_node(head, then, id, limits),
            Key::Edge(id) => parts.add_edge(head, then, id, limits),
            Key::Viewport if head.viewport() != then.viewport() => {
                parts.others.push(Event::ViewportSet { viewport: then.viewport().clone() });
            }
            Key::Graph => parts.others.extend(attributes(head, then)),
            Key::Viewport => {}
        }
    }
    parts.into_events()
}

fn restored_node(node: &Placed<Node>) -> Event {
    Event::NodeRestored { node: node.entity.clone(), ordinal: node.ordinal, created_at: node.created_at }
}

fn restored_edge(edge: &Placed<Edge>) -> Event {
    Event::EdgeRestored { edge: edge.entity.clone(), ordinal: edge.ordinal, created_at: edge.created_at }
}

/// Attributes hold no nulls that a merge patch can't say: they came from merge patches.
fn attributes(head: &Graph, then: &Graph) -> Option<Event> {
    let (before, after) = (&head.metadata().attributes, &then.metadata().attributes);
    if before == after {
        return None;
    }
    let patch = dao_projections::MergePatch::between(before.fields(), after.fields())?;
    Some(Event::GraphUpdated { patch })
}

#[derive(Default)]
struct Parts<'g> {
    restored_nodes: Vec<&'g Placed<Node>>,
    changed_nodes: Vec<Event>,
    edges: Vec<Event>,
    deleted_edges: Vec<Event>,
    deleted_nodes: Vec<&'g Placed<Node>>,
    others: Vec<Event>,
    /// Whether something is exchanged for what had its id before: it goes before it comes.
    is_exchanged: bool,
}

impl<'g> Parts<'g> {
    fn add_node(&mut self, head: &'g Graph, then: &'g Graph, id: &NodeId, limits: &Limits) {
        match (head.nodes().get(id), then.nodes().get(id)) {
            (None, Some(node)) => self.restored_nodes.push(node),
            (Some(old), Some(node)) if old.ordinal != node.ordinal => {
                self.is_exchanged = true;
                self.deleted_nodes.push(old);
                self.restored_nodes.push(node);
            }
            (Some(_), Some(node)) => self.changed_nodes.extend(node_change(head, &node.entity, limits)),
            (Some(old), None) => self.deleted_nodes.push(old),
            (None, None) => {}
        }
    }

    fn add_edge(&mut self, head: &Graph, then: &Graph, id: &EdgeId, limits: &Limits) {
        let gone = || Event::EdgeDeleted { edge_id: id.clone() };
        match (head.edges().get(id), then.edges().get(id)) {
            (None, Some(edge)) => self.edges.push(restored_edge(edge)),
            (Some(old), Some(edge)) if old.ordinal != edge.ordinal => {
                self.is_exchanged = true;
                self.deleted_edges.push(gone());
                self.edges.push(restored_edge(edge));
            }
            (Some(_), Some(edge)) => self.edges.extend(edge_change(head, &edge.entity, limits)),
            (Some(_), None) => self.deleted_edges.push(gone()),
            (None, None) => {}
        }
    }

    fn into_events(mut self) -> Vec<Event> {
        self.deleted_nodes.reverse();
        let restored = parents_first(self.restored_nodes, |node| &node.entity).into_iter().map(restored_node);
        let deleted = parents_first(self.deleted_nodes, |node| &node.entity).into_iter().rev();
        let deleted = deleted.map(|node| Event::NodeDeleted { node_id: node.entity.id().clone() });
        let there = restored.chain(self.changed_nodes).chain(self.edges);
        let gone = self.deleted_edges.into_iter().chain(deleted);
        match self.is_exchanged {
            true => gone.chain(there).chain(self.others).collect(),
            false => there.chain(gone).chain(self.others).collect(),
        }
    }
}
