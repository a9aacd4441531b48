//! Which entities operations are about, so that of a long history only what matters to them is kept.

use std::collections::HashSet;

use dao_projections::{Commit, EdgeId, Entity, MergePatch, Node, NodeId};

use super::command::{Command, Operation};

/// Which entities operations are about, to sift a long history for what can matter to them.
#[derive(Debug, Default)]
pub struct Interest {
    nodes: HashSet<NodeId>,
    edges: HashSet<EdgeId>,
    every_edge: bool,
    viewport: bool,
}

impl Interest {
    /// Everything that [`judge`](super::judge) may look at for any of `operations`.
    pub fn of<'o>(operations: impl IntoIterator<Item = &'o Operation>) -> Self {
        let mut interest = Self::default();
        for member in operations.into_iter().flat_map(|operation| operation.action.members()) {
            interest.add(&member.command);
        }
        interest
    }

    fn add(&mut self, command: &Command) {
        match command {
            Command::CreateNode { node } => self.add_node(node),
            Command::UpdateNode { node_id, patch } => {
                self.nodes.insert(node_id.clone());
                self.add_named(patch, &["parentId", "parentNode"]);
            }
            Command::UpdateNodePosition { node_id, .. } | Command::DeleteNode { node_id } => {
                self.nodes.insert(node_id.clone());
            }
            Command::CreateEdge { edge } => {
                self.edges.insert(edge.id().clone());
                self.nodes.extend([edge.source().clone(), edge.target().clone()]);
            }
            Command::UpdateEdge { edge_id, patch } => {
                self.edges.insert(edge_id.clone());
                self.add_named(patch, &["source", "target"]);
            }
            Command::DeleteEdge { edge_id } => {
                self.edges.insert(edge_id.clone());
            }
            Command::SetViewport { .. } => self.viewport = true,
            Command::BatchUpdate { nodes, edges, viewport } => {
                nodes.iter().for_each(|node| self.add_node(node));
                self.every_edge |= edges.is_some();
                let ends = edges.iter().flatten().flat_map(|e| [e.source().clone(), e.target().clone()]);
                self.nodes.extend(ends);
                self.viewport |= viewport.is_some();
            }
        }
    }

    fn add_node(&mut self, node: &Node) {
        self.nodes.insert(node.id().clone());
        self.nodes.extend(node.parents().map(|(_, parent)| parent));
    }

    fn add_named(&mut self, patch: &MergePatch, fields: &[&str]) {
        let named = fields.iter().filter_map(|field| patch.fields().get(*field)?.as_str());
        self.nodes.extend(named.filter_map(|id| NodeId::parse(id).ok()));
    }

    /// `commit` with those of its events that touch any of it; `None` if there are none.
    pub fn part_of(&self, mut commit: Commit) -> Option<Commit> {
        commit.body.events.retain(|event| match event.entity() {
            Entity::Node(id) => self.nodes.contains(id),
            Entity::Edge(id) => self.every_edge || self.edges.contains(id),
            Entity::Viewport => self.viewport,
        });
        (!commit.body.events.is_empty()).then_some(commit)
    }
}
