//! The nodes and edges that a save or a restore wrote.

use dao_projections::{EdgeId, Entity, NodeId};

/// Ids of nodes and edges, each in the order of the events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Touched {
    /// Nodes.
    pub nodes: Vec<NodeId>,
    /// Edges.
    pub edges: Vec<EdgeId>,
}

impl Touched {
    pub(super) fn add(&mut self, entity: Entity<'_>) {
        match entity {
            Entity::Node(id) if !self.nodes.ends_with(std::slice::from_ref(id)) => {
                self.nodes.push(id.clone())
            }
            Entity::Edge(id) if !self.edges.ends_with(std::slice::from_ref(id)) => {
                self.edges.push(id.clone())
            }
            Entity::Node(_) | Entity::Edge(_) | Entity::Viewport | Entity::Graph => {}
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.nodes.len() + self.edges.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
