//! Judges a `BATCH_UPDATE`. It writes the fields of its events; its targets are all entities that it names, changed or
//! not, and the edges that it removes (rules D2 to D5).

use std::collections::HashMap;

use dao_projections::{Edge, EdgeId, Entity, Event, Node, Outcome, Viewport};

use super::{
    asked::Asked,
    judgement::{Judged, Judgement},
    overlap::Conflicts,
    verdict::Decided,
    wording::conflict_message,
};
use crate::domain::{
    batch_update::{batch_update, check_batch_update},
    command::OnConflict,
    conflict::HistoryMissing,
    refusal::{Conflict, Reason, Refusal},
};

/// One target.
#[derive(Clone, Copy)]
enum Named<'a> {
    Node(&'a Node),
    Edge(&'a Edge),
    Viewport(&'a Viewport),
    /// An edge that is not in the given edge set.
    Removed(&'a EdgeId),
}

impl<'a> Named<'a> {
    fn entity(self) -> Entity<'a> {
        match self {
            Self::Node(node) => Entity::Node(node.id()),
            Self::Edge(edge) => Entity::Edge(edge.id()),
            Self::Viewport(_) => Entity::Viewport,
            Self::Removed(id) => Entity::Edge(id),
        }
    }

    /// The requested entity.
    fn asked(self) -> Asked<'a> {
        match self {
            Self::Node(node) => Asked::Node(node),
            Self::Edge(edge) => Asked::Edge(edge),
            Self::Viewport(viewport) => Asked::Viewport(viewport),
            Self::Removed(_) => Asked::Removal,
        }
    }
}

impl Judgement<'_> {
    /// Existence first, then changes of others, then the invariants (rule D4).
    pub(super) fn judge_batch_update(
        &self,
        nodes: &[Node],
        edges: Option<&[Edge]>,
        viewport: Option<&Viewport>,
    ) -> Judged {
        let events = batch_update(self.graph, nodes, edges, viewport, self.limits);
        let mut outcome = Outcome::Applied;
        if self.stale_version().is_some() {
            match self.judge_targets((nodes, edges, viewport), &events)? {
                Ok(found) => outcome = found,
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        match check_batch_update(self.graph, &events, edges, self.limits) {
            Ok(()) => Ok(Ok(Decided::of(events, outcome))),
            Err(rejection) => Ok(Err(self.refusal(rejection)?)),
        }
    }

    /// Checks what others did to the targets of a stale command: its outcome, or the refusal.
    fn judge_targets(
        &self,
        (nodes, edges, viewport): (&[Node], Option<&[Edge]>, Option<&Viewport>),
        events: &[Event],
    ) -> Result<Result<Outcome, Refusal>, HistoryMissing> {
        let removed = events.iter().filter_map(|event| {
            if let Event::EdgeDeleted { edge_id } = event { Some(Named::Removed(edge_id)) } else { None }
        });
        let named = nodes.iter().map(Named::Node).chain(edges.into_iter().flatten().map(Named::Edge));
        let targets: Vec<Named<'_>> = named.chain(viewport.map(Named::Viewport)).chain(removed).collect();
        let entities: Vec<Entity<'_>> = targets.iter().map(|target| target.entity()).collect();
        let writes = self.writes_to(&entities)?;
        if writes.is_empty() {
            return Ok(Ok(Outcome::Applied));
        }
        for target in &targets {
            let entity = target.entity();
            if let Some(deletion) = writes.get(&entity).and_then(|writes| self.deletion_of(entity, writes)) {
                let yours = target.asked().yours(&[]);
                return Ok(Err(self.target_deleted(entity, yours, deletion)));
            }
        }
        let changes: HashMap<Entity<'_>, &Event> = events.iter().map(|e| (e.entity(), e)).collect();
        let (mut outcome, mut conflicts) = (Outcome::Applied, Conflicts::default());
        for target in &targets {
            let entity = target.entity();
            let writes = writes.get(&entity).filter(|writes| writes.iter().any(|write| write.is_theirs));
            let Some(writes) = writes else { continue };
            outcome = Outcome::Merged;
            let asked = changes.get(&entity).map_or(Asked::Nothing, |event| Asked::of(event));
            let overlap = self.overlap(entity, asked, writes);
            let others = conflicts.told.len();
            match self.member.on_conflict {
                OnConflict::Overwrite => {}
                OnConflict::Reject => overlap.everything_touched(target.asked(), &mut conflicts),
                OnConflict::Merge => overlap.same_fields(|write| write.is_theirs, &mut conflicts),
            }
            if let Named::Node(node) = target {
                show_positions_whole(node, &mut conflicts.told[others..]);
            }
        }
        if conflicts.told.is_empty() {
            return Ok(Ok(outcome));
        }
        Ok(Err(self.conflict(Reason::Conflict, conflict_message(&conflicts), conflicts.told)))
    }
}

/// A position is one field (rule D2), though an event may write one coordinate of it.
fn show_positions_whole(node: &Node, conflicts: &mut [Conflict]) {
    for conflict in conflicts.iter_mut().filter(|conflict| conflict.path.as_str() == "/position") {
        conflict.yours = node.position().to_json();
    }
}
