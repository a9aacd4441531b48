//! Writes to the entities of a graph.

use std::collections::HashMap;

use dao_projections::{Commit, Entity, Event, Graph, Version};

use super::asked::Fields;

/// One write to an entity: the commit, and the fields that it wrote.
#[derive(Clone, Copy)]
pub(super) struct Write<'a> {
    pub(super) commit: &'a Commit,
    pub(super) event: &'a Event,
    /// Whether another user or client made it (rule D1).
    pub(super) is_theirs: bool,
}

impl<'a> Write<'a> {
    /// The fields of the entity that it wrote.
    pub(super) fn fields(&self) -> Fields<'a> {
        Fields::of(self.event)
    }
}

/// Writes by the entity that they wrote, oldest first.
pub(super) type Written<'a> = HashMap<Entity<'a>, Vec<Write<'a>>>;

/// The commit that last wrote the entity; `None` if the entity does not exist.
pub(in crate::domain) fn last_written(graph: &Graph, entity: Entity<'_>) -> Option<Version> {
    match entity {
        Entity::Node(id) => graph.nodes().get(id).map(|node| node.version),
        Entity::Edge(id) => graph.edges().get(id).map(|edge| edge.version),
        Entity::Viewport => Some(graph.viewport_version()),
        Entity::Graph => Some(graph.metadata().attributes_version),
    }
}
