//! Notes what an undo leaves alone ([`super::skipped`]).

use dao_projections::{Entity, Map, Pointer};
use serde_json::Value;

use super::{
    fields_at::standing_at,
    merge::{IsWhole, Merged, Sides, changed},
    past::Step,
    skipped::SkipReason,
    steps::Taking,
};
use crate::domain::{refusal::Conflict, rejection::Rejection};

impl Taking<'_> {
    pub(super) fn skip_taken_over(
        &mut self,
        step: &Step,
        entity: Entity<'_>,
        standing: &Map,
        merged: &Merged,
    ) {
        for (path, yours) in &merged.taken_over {
            let current = at(standing, path);
            self.skip(SkipReason::TakenOver, step, entity, path.clone(), (yours.clone(), current));
        }
    }

    /// Leaves fields alone that can't be put back, and tells of the first.
    pub(super) fn skip_fields(
        &mut self,
        rejection: &Rejection,
        step: &Step,
        entity: Entity<'_>,
        fields: &[&str],
        merged: &mut Merged,
    ) {
        let is_left = |path: &Pointer| path.keys().next().is_some_and(|key| fields.contains(&key.as_ref()));
        let first = merged.reverted.iter().find(|path| is_left(path)).cloned();
        merged.reverted.retain(|path| !is_left(path));
        if let Some(path) = first {
            self.skip_rejected(rejection, step, entity, path, Value::Null);
        }
    }

    /// Of what is gone only that is known which the operation changed. Where it left the fields as they were, nothing is.
    pub(super) fn skip_gone(&mut self, step: &Step, entity: Entity<'_>, before: &Map, after: &Map) {
        let is_whole: IsWhole = match entity {
            Entity::Node(_) => Pointer::is_within_position,
            Entity::Edge(_) | Entity::Viewport | Entity::Graph => |_| false,
        };
        let yours = changed(Sides { before, after }, is_whole);
        if !yours.is_empty() {
            let values = (Value::Object(yours), Value::Null);
            self.skip(SkipReason::TargetDeleted, step, entity, Pointer::root(), values);
        }
    }

    pub(super) fn skip_rejected(
        &mut self,
        rejection: &Rejection,
        step: &Step,
        entity: Entity<'_>,
        path: Pointer,
        yours: Value,
    ) {
        let (reason, in_the_way) = match rejection {
            Rejection::DanglingEdge { node, .. } => (SkipReason::DanglingEdge, Some(node)),
            Rejection::ParentNotFound { parent, .. } => (SkipReason::ParentNotFound, Some(parent)),
            Rejection::ParentCycle(_) => (SkipReason::ParentCycle, None),
            Rejection::TooManyNodes | Rejection::TooManyEdges => (SkipReason::TooManyEntities, None),
            Rejection::NodeTooLarge(_)
            | Rejection::EdgeTooLarge(_)
            | Rejection::NodeNotFound(_)
            | Rejection::EdgeNotFound(_)
            | Rejection::NodeIdTaken(_)
            | Rejection::EdgeIdTaken(_)
            | Rejection::GraphExists
            | Rejection::AttributesTooLarge => (SkipReason::EntityTooLarge, None),
        };
        let by = in_the_way.map_or(entity, Entity::Node);
        let conflict = self.conflict(step, entity, path, by);
        self.skips.add(reason, Conflict { yours, ..conflict });
    }

    pub(super) fn skip(
        &mut self,
        reason: SkipReason,
        step: &Step,
        entity: Entity<'_>,
        path: Pointer,
        (yours, current): (Value, Value),
    ) {
        let conflict = self.conflict(step, entity, path, entity);
        self.skips.add(reason, Conflict { yours, current, ..conflict });
    }

    /// An entry that names who wrote last what is in the way; the operation itself where nobody did since.
    pub(super) fn conflict(
        &self,
        step: &Step,
        entity: Entity<'_>,
        path: Pointer,
        in_the_way: Entity<'_>,
    ) -> Conflict {
        let written_at = if in_the_way == entity { path.clone() } else { Pointer::root() };
        let latest = self.writers.latest(in_the_way, &written_at, step.version);
        let (version, user_id, operation_id) = latest
            .map_or((step.version, step.user.clone(), step.operation), |commit| {
                (commit.version, commit.body.user_id.clone(), commit.body.operation_id)
            });
        Conflict {
            entity: entity.kind(),
            id: entity.to_string(),
            path,
            yours: Value::Null,
            current: Value::Null,
            version,
            user_id,
            operation_id,
        }
    }
}

/// What stands at a path; null where nothing does.
fn at(fields: &Map, path: &Pointer) -> Value {
    standing_at(fields, path).cloned().unwrap_or(Value::Null)
}
