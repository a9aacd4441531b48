//! What a document changes: the difference to its base (rules DS2 and DS5).

use std::collections::{HashMap, HashSet};

use dao_projections::{Commit, Edge, EdgeId, Entity, Graph, Node, NodeId, Version, Viewport};

use super::{Absent, Document, Reading, difference::Ignored};
use crate::domain::{command::Command, order::parents_first, rejection::Rejection};

/// The graph that a saver started from: `graph`, with the commits `own` since, oldest first. What others did in between
/// is not part of it.
pub(in crate::domain) fn effective_base<'c>(
    mut graph: Graph,
    own: impl IntoIterator<Item = &'c Commit>,
) -> Graph {
    for commit in own {
        let at = commit.body.timestamp;
        commit.body.events.iter().for_each(|event| graph.apply_event(event, commit.version, at));
    }
    graph
}

impl Document {
    /// Whether the graph differs from it in anything that is compared: whether its author has something to adopt.
    pub fn differs_from(&self, graph: &Graph, reading: &Reading) -> bool {
        let reading = Reading { absent: Absent::Delete, ..reading.clone() };
        !Intent::between(graph, self, &reading).changes.is_empty()
    }
}

/// One change that a saver wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// As a command says it.
    Command(Command),
    /// A node written whole, since it holds a null that is new: no merge patch can say that.
    ReplaceNode(Node),
    /// The same of an edge.
    ReplaceEdge(Edge),
}

/// What a saver wants changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Intent {
    /// In an order in which they can be decided one after the other.
    pub changes: Vec<Change>,
    /// Nodes that the document removes.
    pub removed_nodes: HashSet<NodeId>,
    /// Edges that the document removes.
    pub removed_edges: HashSet<EdgeId>,
    /// The viewport of the document, where it may be written.
    pub viewport: Option<Viewport>,
}

impl Intent {
    /// The difference from `base` to `document`. Linear in the size of both.
    pub fn between(base: &Graph, document: &Document, reading: &Reading) -> Self {
        let (of_nodes, of_edges) = (Ignored::of_nodes(reading), Ignored::of_edges(reading));
        let mut intent = Self::default();
        let nodes: HashMap<&NodeId, &Node> = document.nodes.iter().map(|node| (node.id(), node)).collect();
        for node in parents_first(document.nodes.iter().collect(), |node| node) {
            match base.nodes().get(node.id()) {
                None => intent
                    .changes
                    .push(Change::Command(Command::CreateNode { node: of_nodes.stored_node(node) })),
                Some(old) => of_nodes.node_changes(&old.entity, node, &mut intent.changes),
            }
        }
        let is_there = |id: &NodeId| {
            nodes.contains_key(id) || (reading.absent == Absent::Keep && base.nodes().get(id).is_some())
        };
        let mut kept: HashSet<&EdgeId> = HashSet::with_capacity(document.edges.len());
        for edge in &document.edges {
            match base.edges().get(edge.id()) {
                None => intent
                    .changes
                    .push(Change::Command(Command::CreateEdge { edge: of_edges.stored_edge(edge) })),
                // An edge of the base whose end the document removed goes with that node (rule DS14).
                Some(old)
                    if (old.entity.source(), old.entity.target()) == (edge.source(), edge.target())
                        && !(is_there(edge.source()) && is_there(edge.target())) =>
                {
                    continue;
                }
                Some(old) => of_edges.edge_changes(&old.entity, edge, &mut intent.changes),
            }
            kept.insert(edge.id());
        }
        if reading.absent == Absent::Delete {
            intent.remove_absent(base, &nodes, &kept);
        }
        intent.viewport = document.viewport.clone().filter(|viewport| match reading.saves_viewport {
            true => viewport != base.viewport(),
            false => base.viewport_version() == Version::EMPTY && *viewport != Viewport::default(),
        });
        intent
    }

    /// Edges go first, then nodes, children before parents: so no deletion takes along what the document removes too.
    fn remove_absent(&mut self, base: &Graph, nodes: &HashMap<&NodeId, &Node>, edges: &HashSet<&EdgeId>) {
        for edge in base.edges().iter().filter(|edge| !edges.contains(edge.entity.id())) {
            self.removed_edges.insert(edge.entity.id().clone());
            self.changes.push(Change::Command(Command::DeleteEdge { edge_id: edge.entity.id().clone() }));
        }
        let gone: Vec<&NodeId> =
            base.nodes_in_order().map(|node| node.entity.id()).filter(|id| !nodes.contains_key(id)).collect();
        for id in gone.into_iter().rev() {
            self.removed_nodes.insert(id.clone());
            self.changes.push(Change::Command(Command::DeleteNode { node_id: id.clone() }));
        }
    }

    /// What the document keeps or makes, and what it needs and removes itself (rule DS14).
    pub(in crate::domain) fn torn(&self, base: &Graph, document: &Document) -> Option<Rejection> {
        if self.removed_nodes.is_empty() {
            return None;
        }
        let is_new = |edge: &&Edge| {
            let old = base.edges().get(edge.id()).map(|old| (old.entity.source(), old.entity.target()));
            old != Some((edge.source(), edge.target()))
        };
        let removed = |id: &NodeId| self.removed_nodes.contains(id);
        let edges = document.edges.iter().filter(is_new).find_map(|edge| {
            let ends = [("source", edge.source()), ("target", edge.target())];
            let (end, node) = ends.into_iter().find(|(_, node)| removed(node))?;
            Some(Rejection::DanglingEdge { edge: edge.id().clone(), end, node: node.clone() })
        });
        let nodes = || {
            document.nodes.iter().find_map(|node| {
                let (field, parent) = node.parents().find(|(_, parent)| removed(parent))?;
                Some(Rejection::ParentNotFound { node: node.id().clone(), field, parent })
            })
        };
        edges.or_else(nodes)
    }

    /// Whether the document removes it.
    pub fn removes(&self, entity: Entity<'_>) -> bool {
        match entity {
            Entity::Node(id) => self.removed_nodes.contains(id),
            Entity::Edge(id) => self.removed_edges.contains(id),
            Entity::Viewport | Entity::Graph => false,
        }
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.viewport.is_none()
    }
}

impl Reading {
    /// What has to happen to the node `old` to make `new` of it.
    pub(in crate::domain) fn node_changes(&self, old: &Node, new: &Node) -> Vec<Change> {
        let mut changes = Vec::new();
        Ignored::of_nodes(self).node_changes(old, new, &mut changes);
        changes
    }

    /// The same of an edge.
    pub(in crate::domain) fn edge_changes(&self, old: &Edge, new: &Edge) -> Vec<Change> {
        let mut changes = Vec::new();
        Ignored::of_edges(self).edge_changes(old, new, &mut changes);
        changes
    }

    /// The node as it is stored where it is new.
    pub(in crate::domain) fn stored_node(&self, node: &Node) -> Node {
        Ignored::of_nodes(self).stored_node(node)
    }

    /// The same of an edge.
    pub(in crate::domain) fn stored_edge(&self, edge: &Edge) -> Edge {
        Ignored::of_edges(self).stored_edge(edge)
    }
}
