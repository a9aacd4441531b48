//! A `BATCH_UPDATE` judged. What it writes are the events it comes to; its targets are all entities it
//! names, also those that it names as they stand, and the edges it removes (rules D2 to D5).

use std::collections::HashMap;

use dao_projections::{Edge, EdgeId, Entity, Event, Node, Outcome, Viewport};
use serde_json::Value;

use super::{Decided, Judged, Judgement, asked::asked_of, wording::conflict_message};
use crate::domain::{
    command::OnConflict,
    decide::{batch_update, check_batch_update},
    refusal::Reason,
};

/// One target.
#[derive(Clone, Copy)]
enum Named<'a> {
    Node(&'a Node),
    Edge(&'a Edge),
    Viewport(&'a Viewport),
    /// An edge that is not in the edge set given.
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

    /// What it is to be.
    fn to_json(self) -> Value {
        match self {
            Self::Node(node) => Value::Object(node.to_json()),
            Self::Edge(edge) => Value::Object(edge.to_json()),
            Self::Viewport(viewport) => viewport.to_json(),
            Self::Removed(_) => Value::Null,
        }
    }
}

impl Judgement<'_> {
    /// Existence first, then what others did, the invariants last (rule D4).
    pub(super) fn judge_batch_update(
        &self,
        nodes: &[Node],
        edges: Option<&[Edge]>,
        viewport: Option<&Viewport>,
    ) -> Judged {
        let events = batch_update(self.graph, nodes, edges, viewport);
        let removed = events.iter().filter_map(|event| {
            if let Event::EdgeDeleted { edge_id } = event { Some(Named::Removed(edge_id)) } else { None }
        });
        let named = nodes.iter().map(Named::Node).chain(edges.into_iter().flatten().map(Named::Edge));
        let targets: Vec<Named<'_>> = named.chain(viewport.map(Named::Viewport)).chain(removed).collect();
        let entities: Vec<Entity<'_>> = targets.iter().map(|target| target.entity()).collect();
        let writes = self.writes_to(&entities)?;

        for target in &targets {
            let entity = target.entity();
            if let Some(deletion) = writes.get(&entity).and_then(|writes| self.deletion_of(entity, writes)) {
                return Ok(Err(self.target_deleted(entity, target.to_json(), deletion)));
            }
        }
        let changes: HashMap<Entity<'_>, &Event> = events.iter().map(|e| (e.entity(), e)).collect();
        let (mut outcome, mut conflicts) = (Outcome::Applied, Vec::new());
        for target in &targets {
            let entity = target.entity();
            let writes = writes.get(&entity).filter(|writes| writes.iter().any(|write| write.is_theirs));
            let Some(writes) = writes else { continue };
            outcome = Outcome::Merged;
            let asked = changes.get(&entity).map_or(vec![], |event| asked_of(event));
            conflicts.extend(match self.member.on_conflict {
                OnConflict::Overwrite => vec![],
                OnConflict::Reject => self.everything_touched(entity, &asked, &target.to_json(), writes),
                OnConflict::Merge => self.overlaps(entity, &asked, writes, |write| write.is_theirs),
            });
        }
        if !conflicts.is_empty() {
            return Ok(Err(self.conflict(Reason::Conflict, conflict_message(&conflicts), conflicts)));
        }
        match check_batch_update(self.graph, &events, edges, self.limits) {
            Ok(()) => Ok(Ok(Decided { events, outcome })),
            Err(rejection) => Ok(Err(self.refusal(rejection)?)),
        }
    }
}
