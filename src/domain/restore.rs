//! `RESTORE_VERSION`: the events that turn the graph into what it was at an earlier version (rule L11).
//!
//! Invariants:
//! - A restore of everything makes the graph what it was, entity by entity, with ids, times of creation and creation
//!   order.
//! - A restore of some entities changes those, and with a node that was not there it deletes what came into it and onto
//!   it since. What it can't put back without breaking rule G4 it leaves alone.
//!
//! Not here: the graph at that version, and what others did since (`conflict::restoring`).

mod events;
mod some;

use dao_projections::{EdgeId, Entity, EntityKind, Graph, NodeId, Version};
use serde::Serialize;

use self::events::differs;
pub(super) use self::events::restore;
use super::{
    size::json_bytes,
    touched::Touched,
    undo::{Key, SkipReason},
    version_ref::VersionRef,
};

/// Ids that a restore of some entities names, at most.
pub const RESTORE_IDS_MAX: usize = 10_000;
/// What one commit may store to bring something back, as JSON.
pub const RESTORED_BYTES_MAX: usize = 64 << 20;
/// Entities that were left alone and are told one by one.
const SKIPPED_TOLD_MAX: usize = 1_000;

/// What is to be put back.
#[derive(Clone, Debug, PartialEq)]
pub struct Restoring {
    /// Which version.
    pub to: VersionRef,
    /// Only these entities; all if there is none.
    pub scope: Option<RestoreScope>,
    /// What is put back beside nodes and edges.
    pub include: Vec<RestorePart>,
}

/// The entities that a restore is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RestoreScope {
    /// Nodes.
    pub nodes: Vec<NodeId>,
    /// Edges.
    pub edges: Vec<EdgeId>,
}

/// What a graph has beside nodes and edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RestorePart {
    /// The attributes but for the settings.
    Attributes,
    /// The viewport.
    Viewport,
}

impl Restoring {
    /// How many entities it names.
    pub fn named(&self) -> usize {
        self.scope.as_ref().map_or(0, |scope| scope.nodes.len() + scope.edges.len())
    }
}

/// What a restore did and left alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RestoreResult {
    /// The version that was restored.
    pub to: Version,
    /// What is there again.
    pub created: Touched,
    /// What is as it was.
    pub updated: Touched,
    /// What was not there then.
    pub deleted: Touched,
    /// What else is as it was.
    pub included: Vec<RestorePart>,
    /// What was left alone, the first of many.
    pub skipped: Vec<SkippedEntity>,
}

/// An entity that was left alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SkippedEntity {
    /// What kind of thing it is.
    pub entity: EntityKind,
    /// Its id.
    pub id: String,
    /// Why.
    pub reason: SkipReason,
}

impl RestoreResult {
    /// How much it tells of: a measure of the work that encoding it makes.
    pub fn weight(&self) -> usize {
        let touched = [&self.created, &self.updated, &self.deleted];
        self.skipped.len() + touched.map(|list| list.nodes.len() + list.edges.len()).iter().sum::<usize>()
    }

    /// About how many bytes it takes as JSON.
    pub fn json_bytes(&self) -> usize {
        let touched = [&self.created, &self.updated, &self.deleted];
        let touched = touched.map(|list| json_bytes(&list.nodes) + json_bytes(&list.edges));
        json_bytes(&self.skipped) + touched.iter().sum::<usize>()
    }

    fn skip(&mut self, entity: Entity<'_>, reason: SkipReason) {
        if self.skipped.len() < SKIPPED_TOLD_MAX {
            self.skipped.push(SkippedEntity { entity: entity.kind(), id: entity.to_string(), reason });
        }
    }

    /// Says what became of these entities from one graph to the other.
    fn tell(&mut self, head: &Graph, then: &Graph, keys: &[Key]) {
        for key in keys {
            let (before, after) = match key {
                Key::Node(id) => (head.nodes().get(id).is_some(), then.nodes().get(id).is_some()),
                Key::Edge(id) => (head.edges().get(id).is_some(), then.edges().get(id).is_some()),
                Key::Viewport | Key::Graph => continue,
            };
            if !differs(head, then, key) {
                continue;
            }
            let list = match (before, after) {
                (false, true) => &mut self.created,
                (true, false) => &mut self.deleted,
                _ => &mut self.updated,
            };
            match key {
                Key::Node(id) => list.nodes.push(id.clone()),
                Key::Edge(id) => list.edges.push(id.clone()),
                Key::Viewport | Key::Graph => {}
            }
        }
    }
}
