//! Why a save is refused.

use dao_projections::{Entity, Event, Graph};

use super::{Progress, Saving};
use crate::domain::{
    conflict::{
        HistoryMissing,
        judgement::Judgement,
        wording::{conflict_message, with_resolution},
    },
    limits::Limits,
    refusal::{Details, Reason, Refusal},
    rejection::Rejection,
};

/// Taken ids that are told with who took them: each is a look into the history. Of more it is told how many.
pub(super) const TAKEN_TOLD_MAX: usize = 16;
/// Deleting more nodes than this, and over half of them, has to be said (rule DS11).
const DELETES_UNSAID_MAX: usize = 20;

impl<'a> Saving<'a> {
    pub(super) fn refusal_of(&self, progress: Progress<'_>) -> Refusal {
        let first = progress.reasons.first().copied().unwrap_or(Reason::Conflict);
        let reason =
            if progress.reasons.iter().all(|reason| *reason == first) { first } else { Reason::Conflict };
        let message = conflict_message(&progress.conflicts);
        with_resolution(self.graph, Refusal::new(reason, message), progress.conflicts.told)
    }

    /// The refusal of what the graph doesn't allow.
    pub(super) fn rejected(&self, rejection: Rejection) -> Result<Refusal, HistoryMissing> {
        let Self { graph, operation, member, history, limits, own, .. } = *self;
        Judgement { base: graph, graph, operation, member, history, limits, own, written: None }
            .refusal(rejection)
    }

    pub(super) fn too_many(&self, then: &Graph, limits: &Limits) -> Result<Option<Refusal>, HistoryMissing> {
        let grows_past = |before: usize, after: usize, max: usize| after > max && after > before;
        let rejection = if grows_past(self.graph.nodes().len(), then.nodes().len(), limits.nodes_max) {
            Rejection::TooManyNodes
        } else if grows_past(self.graph.edges().len(), then.edges().len(), limits.edges_max) {
            Rejection::TooManyEdges
        } else {
            return Ok(None);
        };
        self.rejected(rejection).map(Some)
    }

    /// A save that would empty the graph, or most of it, has to say so: editors save before they have loaded.
    pub(super) fn deletes_much(&self, progress: &Progress<'_>) -> Option<Refusal> {
        let gone = |event: &&Event| match event.entity() {
            Entity::Node(id) => event.is_deletion() && progress.then.nodes().get(id).is_none(),
            Entity::Edge(id) => event.is_deletion() && progress.then.edges().get(id).is_none(),
            Entity::Viewport | Entity::Graph => false,
        };
        let is_node = |event: &&Event| matches!(event.entity(), Entity::Node(_));
        let (nodes, edges): (Vec<&Event>, Vec<&Event>) =
            progress.events.iter().filter(gone).partition(is_node);
        let (nodes, edges, all) = (nodes.len(), edges.len(), self.graph.nodes().len());
        let is_much = nodes > 0 && nodes == all || nodes > DELETES_UNSAID_MAX && nodes * 2 > all;
        if !is_much || self.save.deletes == Some(nodes) {
            return None;
        }
        let message = format!("the save would delete {nodes} of {all} nodes and {edges} edges");
        Some(Refusal {
            details: Some(Box::new(Details::Deletes { nodes, edges })),
            ..Refusal::new(Reason::DeletesMuch, message)
        })
    }
}
