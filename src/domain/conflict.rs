//! `judge`: checks an operation against the current graph and the commits of others since its author's version (rules
//! D). The order is the protocol's: history replaced, version ahead, existence, conflict, invariants.
//!
//! Conflicts are looked for only if the target was written after the client's version, and then in the commits since;
//! nothing is tracked per field. If a commit is no longer in memory, the result is [`HistoryMissing`], and the caller
//! loads it and calls again.

mod asked;
mod batch;
mod batch_update;
mod copying;
mod current;
mod deleted_along;
mod history;
mod judgement;
mod labelling;
mod overlap;
mod replaced;
mod restoring;
mod save;
mod save_base;
mod save_changes;
mod save_report;
mod undoing;
mod verdict;
mod wording;
mod writes;

use std::borrow::Cow;

use dao_projections::{Entity, Graph, Outcome};

pub use self::verdict::{SkippedMember, Verdict};
pub(super) use self::writes::last_written;
use self::{
    asked::{Asked, yours_of},
    batch::judge_batch,
    deleted_along::is_unseen_work,
    judgement::{Judged, Judgement},
    overlap::Conflicts,
    verdict::Decided,
    wording::conflict_message,
    writes::Write,
};
use super::{
    command::{Action, Command, OnConflict, Operation},
    decide::decide,
    lifecycle::check_state,
    limits::Limits,
    refusal::Reason,
};
pub use history::{History, HistoryMissing};
pub use save::judge_save;
pub use save_report::{SaveReport, Saved};

/// Judges `operation` on `graph`. A batch is judged member by member, each on the graph after the members before it;
/// the first refusal refuses the whole batch.
pub fn judge(
    graph: &Graph,
    operation: &Operation,
    history: &dyn History,
    limits: &Limits,
) -> Result<Verdict, HistoryMissing> {
    if let Some(refusal) = replaced::check(graph, operation, history)? {
        return Ok(Verdict::Refused(refusal));
    }
    match &operation.action {
        Action::Single(member) => {
            let judgement =
                Judgement { base: graph, graph, operation, member, history, limits, own: &[], written: None };
            Ok(match judgement.run()? {
                Ok(decided) => {
                    let by_member = vec![decided.events.len()];
                    decided.into_verdict(by_member, vec![])
                }
                Err(refusal) => Verdict::Refused(refusal),
            })
        }
        Action::Atomic { members, if_missing } => {
            judge_batch(graph, operation, (members, *if_missing), history, limits)
        }
    }
}

impl<'a> Judgement<'a> {
    fn run(&self) -> Judged {
        if let Some(refusal) = check_state(self.graph, &self.member.command, self.limits) {
            return Ok(Err(refusal));
        }
        let current = self.graph.head().version;
        if self.member.client_version.is_some_and(|version| version > current) {
            let message =
                format!("clientVersion is above the graph's version {current}: the history was replaced");
            return Ok(Err(self.conflict(Reason::VersionAhead, message, vec![])));
        }
        match &self.member.command {
            Command::CreateNode { .. }
            | Command::CreateEdge { .. }
            | Command::CreateGraph { .. }
            | Command::DeleteGraph { .. }
            | Command::RecoverGraph => self.finish(Outcome::Applied),
            Command::UpdateNode { node_id, .. }
            | Command::UpdateNodePosition { node_id, .. }
            | Command::DeleteNode { node_id } => self.judge_target(Entity::Node(node_id)),
            Command::UpdateEdge { edge_id, .. } | Command::DeleteEdge { edge_id } => {
                self.judge_target(Entity::Edge(edge_id))
            }
            Command::SetViewport { .. } => self.judge_target(Entity::Viewport),
            Command::UpdateGraph { .. } => self.judge_target(Entity::Graph),
            Command::BatchUpdate { nodes, edges, viewport } => {
                self.judge_batch_update(nodes, edges.as_deref(), viewport.as_ref())
            }
            Command::SaveDocument { save } => {
                let Self { base, operation, member, history, limits, .. } = *self;
                Ok(judge_save(base, operation, (save, member), history, limits)?.into_decided())
            }
            Command::Undo { operations } => self.judge_undo(operations),
            Command::CopyGraph { attributes, from } => self.judge_copy(from, attributes),
            Command::LabelVersion { labelling } => self.judge_label(labelling),
            Command::RestoreVersion { restoring } => self.judge_restore(restoring),
        }
    }

    /// Judges a command with one existing target.
    fn judge_target(&self, entity: Entity<'_>) -> Judged {
        let command = &self.member.command;
        let along = self.deleted_along();
        let looked_at: Vec<Entity<'_>> = std::iter::once(entity).chain(along.iter().copied()).collect();
        let mut all_writes = self.writes_to(&looked_at)?;
        let writes = all_writes.remove(&entity).unwrap_or_default();
        if let Some(deletion) = self.deletion_of(entity, &writes) {
            return Ok(Err(self.target_deleted(entity, Cow::Owned(yours_of(command)), deletion)));
        }
        if !self.exists(entity) {
            return self.finish(Outcome::Applied); // decides that it is not found
        }
        let mut is_merged = writes.iter().any(|write| write.is_theirs);
        let mut conflicts = Conflicts::default();
        match self.member.on_conflict {
            _ if !is_merged => {}
            OnConflict::Reject => {
                self.overlap(entity, Asked::by(command), &writes)
                    .everything_touched(Asked::Nothing, &mut conflicts);
            }
            OnConflict::Merge => self.same_fields(entity, &writes, &mut conflicts),
            OnConflict::Overwrite => {}
        }
        let mut unseen = Conflicts::default();
        self.unseen_work(&along, &all_writes, &mut unseen);
        match self.member.on_conflict {
            OnConflict::Overwrite => is_merged |= unseen.found > 0,
            OnConflict::Merge | OnConflict::Reject => conflicts.append(unseen),
        }
        if conflicts.told.is_empty() {
            return self.finish(if is_merged { Outcome::Merged } else { Outcome::Applied });
        }
        Ok(Err(self.conflict(Reason::Conflict, conflict_message(&conflicts), conflicts.told)))
    }

    /// Decides the events, after all conflicts were ruled out.
    fn finish(&self, outcome: Outcome) -> Judged {
        match decide(self.graph, &self.member.command, self.limits) {
            Ok(events) => Ok(Ok(Decided::of(events, outcome))),
            Err(rejection) => Ok(Err(self.refusal(rejection)?)),
        }
    }

    /// Rule D3 for a command with one target.
    fn same_fields(&self, entity: Entity<'_>, writes: &[Write<'_>], into: &mut Conflicts) {
        let command = &self.member.command;
        let overlap = self.overlap(entity, Asked::by(command), writes);
        match command {
            // The last writer wins.
            Command::UpdateNodePosition { .. } | Command::SetViewport { .. } => {}
            // That others moved it is no conflict; that they updated or created it is.
            Command::DeleteNode { .. } | Command::DeleteEdge { .. } => {
                overlap.same_fields(is_unseen_work, into);
            }
            Command::UpdateNode { .. } | Command::UpdateEdge { .. } | Command::UpdateGraph { .. } => {
                overlap.same_fields(|write| write.is_theirs, into);
            }
            Command::CreateNode { .. }
            | Command::CreateEdge { .. }
            | Command::BatchUpdate { .. }
            | Command::SaveDocument { .. }
            | Command::Undo { .. }
            | Command::CreateGraph { .. }
            | Command::CopyGraph { .. }
            | Command::DeleteGraph { .. }
            | Command::RecoverGraph
            | Command::LabelVersion { .. }
            | Command::RestoreVersion { .. } => {}
        }
    }
}
