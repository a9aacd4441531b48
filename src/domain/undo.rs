//! `UNDO`: takes back operations where what they did still stands, and leaves what others took over (rules U).
//!
//! Pure, as all of `domain`: what the operations did comes as a [`Past`], which [`trace`] finds in the commits. From
//! that the operations are taken back one by one, the newest first, on a copy of the graph (`steps`), field by field
//! (`merge`). The events are the difference of the copy to the graph (`net`).
//!
//! Not here: reading commits. The caller has them, or gets [`HistoryMissing::Past`](super::HistoryMissing) and reads.

mod fields;
mod fields_at;
mod merge;
mod net;
mod past;
mod skipped;
mod skipping;
mod state;
mod steps;
mod trace;
mod undone;

use dao_projections::{EdgeId, Entity, EntityKind, Graph, Map, NodeId, OperationId, Ordinal, Pointer};
use serde::Serialize;

pub use self::undone::Undone;
pub(super) use self::{
    net::events as net_events,
    skipped::Writers,
    state::Key,
    steps::{Taken, Taking},
};
pub use self::{
    past::Past,
    skipped::{SkipReason, Skipped},
    trace::Tracing,
};

/// Operations that one command may undo.
pub const OPERATIONS_MAX: usize = 1_000;
/// Entities that a result names as reverted; of more it is only known that they are.
pub(super) const REVERTED_TOLD_MAX: usize = 1_000;
/// Paths that it names of one of them.
pub(super) const PATHS_TOLD_MAX: usize = 100;

/// An entity that was put back, wholly or in part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reverted {
    /// What kind of thing it is.
    pub entity: EntityKind,
    /// Its id; `viewport` for the viewport.
    pub id: String,
    /// Where; `""` where it was created, deleted or brought back as a whole.
    pub paths: Vec<Pointer>,
}

/// What an undo did and what it left alone (rule U12).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UndoResult {
    /// The operations that it takes back: those that had made a commit.
    pub undoes: Vec<OperationId>,
    /// What was put back.
    pub reverted: Vec<Reverted>,
    /// What was left alone, and why.
    pub skipped: Vec<Skipped>,
    /// Nodes that came back without the parent that they had.
    pub detached: Vec<dao_projections::NodeId>,
}

impl UndoResult {
    fn revert(&mut self, entity: Entity<'_>, paths: Vec<Pointer>) {
        let (kind, id) = (entity.kind(), entity.to_string());
        let is_full = self.reverted.len() >= REVERTED_TOLD_MAX;
        let known = self.reverted.iter_mut().rev().find(|known| known.entity == kind && known.id == id);
        match known {
            Some(known) => {
                for path in paths.into_iter().take(PATHS_TOLD_MAX) {
                    if known.paths.len() < PATHS_TOLD_MAX && !known.paths.contains(&path) {
                        known.paths.push(path);
                    }
                }
            }
            None if !is_full => {
                let paths = paths.into_iter().take(PATHS_TOLD_MAX).collect();
                self.reverted.push(Reverted { entity: kind, id, paths });
            }
            None => {}
        }
    }

    /// Drops what one operation brought and an older one took again: nothing came of it.
    fn keep_what_differs(&mut self, head: &Graph, then: &Graph) {
        self.reverted.retain_mut(|one| one.keep_what_differs(head, then));
        self.detached.retain(|id| then.nodes().get(id).is_some());
    }
}

impl Reverted {
    /// Whether anything of it is left.
    fn keep_what_differs(&mut self, head: &Graph, then: &Graph) -> bool {
        let [was, is_now] = [head, then].map(|graph| Standing::of(graph, self.entity, &self.id));
        if was == is_now {
            return false;
        }
        if let (Some(was), Some(is_now)) = (was, is_now) {
            self.paths.retain(|path| {
                let [was, is_now] = [&was, &is_now].map(|side| fields_at::standing_at(&side.fields, path));
                path.as_str().is_empty() || was != is_now
            });
        }
        !self.paths.is_empty()
    }
}

/// What stands under an id, and its place in creation order.
#[derive(PartialEq)]
struct Standing {
    fields: Map,
    ordinal: Option<Ordinal>,
}

impl Standing {
    fn of(graph: &Graph, kind: EntityKind, id: &str) -> Option<Self> {
        let whole = |fields| Some(Self { fields, ordinal: None });
        match kind {
            EntityKind::Node => graph
                .nodes()
                .get(&NodeId::parse(id).ok()?)
                .map(|node| Self { fields: node.entity.to_json(), ordinal: Some(node.ordinal) }),
            EntityKind::Edge => graph
                .edges()
                .get(&EdgeId::parse(id).ok()?)
                .map(|edge| Self { fields: edge.entity.to_json(), ordinal: Some(edge.ordinal) }),
            EntityKind::Viewport => whole(graph.viewport().to_json().as_object()?.clone()),
            EntityKind::Graph => whole(graph.metadata().attributes.fields().clone()),
        }
    }
}
