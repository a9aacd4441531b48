//! Judges an atomic batch: each member on the graph after the members before it, all or nothing. With `ifMissing:
//! "skip"`, members whose target is gone are left out (rule H11).

use std::collections::HashSet;

use dao_projections::{Graph, Outcome};

use super::{
    History, HistoryMissing,
    judgement::Judgement,
    verdict::{Decided, SkippedMember, Verdict},
};
use crate::domain::{
    command::{Command, IfMissing, Member, Operation, Target},
    entity_change::apply_all,
    limits::Limits,
    refusal::{Reason, Refusal},
};

pub(super) fn judge_batch(
    graph: &Graph,
    operation: &Operation,
    (members, if_missing): (&[Member], IfMissing),
    history: &dyn History,
    limits: &Limits,
) -> Result<Verdict, HistoryMissing> {
    let mut then = graph.clone();
    let mut all = Decided::default();
    let mut by_member = Vec::with_capacity(members.len());
    let mut skipped = Vec::new();
    let created = match if_missing {
        IfMissing::Refuse => HashSet::new(),
        IfMissing::Skip => created_by(members),
    };
    for (index, member) in members.iter().enumerate() {
        let judgement = Judgement {
            base: graph,
            graph: &then,
            operation,
            member,
            history,
            limits,
            own: &[],
            written: None,
        };
        match judgement.run()? {
            Ok(decided) => {
                apply_all(&mut then, &decided.events);
                by_member.push(decided.events.len());
                all.events.extend(decided.events);
                if decided.outcome == Outcome::Merged {
                    all.outcome = Outcome::Merged;
                }
            }
            Err(Refusal { reason, .. })
                if if_missing == IfMissing::Skip && is_skippable(&member.command, reason, &created) =>
            {
                by_member.push(0);
                skipped.push(SkippedMember { index, reason });
            }
            Err(refusal) => return Ok(Verdict::Refused(Refusal { index: Some(index), ..refusal })),
        }
    }
    Ok(all.into_verdict(by_member, skipped))
}

/// Whether the member's one target is gone. A `BATCH_UPDATE` has many, so leaving it out would drop more than the
/// missing one. What the batch itself creates must be there: its absence is a mistake in the batch.
fn is_skippable(command: &Command, reason: Reason, created: &HashSet<Target>) -> bool {
    let is_missing = matches!(reason, Reason::TargetDeleted | Reason::NodeNotFound | Reason::EdgeNotFound);
    let target = command.target();
    is_missing && target != Target::Whole && !created.contains(&target)
}

/// The nodes and edges that the members create or bring in.
fn created_by(members: &[Member]) -> HashSet<Target> {
    let mut created = HashSet::new();
    for member in members {
        match &member.command {
            command @ (Command::CreateNode { .. } | Command::CreateEdge { .. }) => {
                created.insert(command.target());
            }
            Command::BatchUpdate { nodes, edges, .. } => {
                created.extend(nodes.iter().map(|node| Target::Node(node.id().clone())));
                created.extend(edges.iter().flatten().map(|edge| Target::Edge(edge.id().clone())));
            }
            Command::UpdateNode { .. }
            | Command::UpdateNodePosition { .. }
            | Command::DeleteNode { .. }
            | Command::UpdateEdge { .. }
            | Command::DeleteEdge { .. }
            | Command::SetViewport { .. }
            | Command::UpdateGraph { .. }
            // These are never members.
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
    created
}
