//! What the write path counts: the words of this layer as those of [`crate::telemetry`].

use std::time::Duration;

use dao_projections::Outcome;

use super::reply::{Effect, Ending, Reply};
use crate::{
    domain::{Operation, Reason, Refusal},
    store::{Append, StoreError},
    telemetry::{self, AppendOutcome, ConflictKind, Metrics, RefusalCode},
};

/// The operations of one round were answered; both are in the same order.
pub(super) fn answered(metrics: &Metrics, requests: &[Vec<Operation>], answers: &[Reply]) {
    let counted = &metrics.writing;
    counted.round_operations.counted(answers.len() as u64);
    for (operation, answer) in requests.iter().flatten().zip(answers) {
        let effect = effect_of(answer);
        counted.commands.of(operation.action.command_type(), effect).inc();
        if answer.duplicate {
            continue;
        }
        match &answer.ending {
            Ending::Completed { effect: Effect::Committed(Outcome::Merged), .. } => {
                counted.conflicts.of(ConflictKind::Merged).inc();
            }
            Ending::Completed { .. } => {}
            Ending::Refused { refusal, .. } => {
                counted.refusals.of(code_of(refusal.reason)).inc();
                if let Some(kind) = conflict_of(refusal) {
                    counted.conflicts.of(kind).inc();
                }
            }
        }
    }
}

/// An attempt to append ended like this.
pub(super) fn appended(metrics: &Metrics, tried: &Result<Append, StoreError>, after: Duration) {
    let counted = &metrics.writing;
    let outcome = match tried {
        Ok(Append::Appended) => AppendOutcome::Appended,
        Ok(Append::HeadMoved(_)) => AppendOutcome::HeadMoved,
        Ok(Append::Duplicate(_)) => AppendOutcome::Duplicate,
        Err(StoreError::OutcomeUnknown(_)) => AppendOutcome::Unknown,
        Err(StoreError::NotReplicated(_)) => AppendOutcome::NotReplicated,
        Err(StoreError::Unavailable(_)) => AppendOutcome::Unavailable,
        Err(StoreError::Corrupt { .. }) => AppendOutcome::Corrupt,
    };
    counted.appends.of(outcome).inc();
    counted.append_time.took(after);
}

/// This many commits of one append are durable.
pub(super) fn committed(metrics: &Metrics, commits: usize) {
    metrics.writing.commits.inc_by(commits as u64);
    metrics.writing.append_commits.counted(commits as u64);
}

fn effect_of(answer: &Reply) -> telemetry::Effect {
    match &answer.ending {
        _ if answer.duplicate => telemetry::Effect::Duplicate,
        Ending::Refused { .. } => telemetry::Effect::Refused,
        Ending::Completed { effect: Effect::Unchanged, .. } => telemetry::Effect::Unchanged,
        Ending::Completed { effect: Effect::Committed(outcome), .. } => match outcome {
            Outcome::Applied => telemetry::Effect::Applied,
            Outcome::Merged => telemetry::Effect::Merged,
        },
    }
}

fn code_of(reason: Reason) -> RefusalCode {
    match reason {
        Reason::Conflict => RefusalCode::Conflict,
        Reason::TargetDeleted => RefusalCode::TargetDeleted,
        Reason::VersionAhead => RefusalCode::VersionAhead,
        Reason::HistoryReplaced => RefusalCode::HistoryReplaced,
        Reason::IdTaken => RefusalCode::IdTaken,
        Reason::NodeNotFound => RefusalCode::NodeNotFound,
        Reason::EdgeNotFound => RefusalCode::EdgeNotFound,
        Reason::DanglingEdge => RefusalCode::DanglingEdge,
        Reason::ParentNotFound => RefusalCode::ParentNotFound,
        Reason::ParentCycle => RefusalCode::ParentCycle,
        Reason::OperationIdReused => RefusalCode::OperationIdReused,
        Reason::VersionChanged => RefusalCode::VersionChanged,
        Reason::BaseRequired => RefusalCode::BaseRequired,
        Reason::BaseUnknown => RefusalCode::BaseUnknown,
        Reason::BaseTooOld => RefusalCode::BaseTooOld,
        Reason::DeletesMuch => RefusalCode::DeletesMuch,
        Reason::OperationNotFound => RefusalCode::OperationNotFound,
        Reason::UndoConflict => RefusalCode::UndoConflict,
        Reason::DependencyPending => RefusalCode::DependencyPending,
        Reason::DependencyRefused => RefusalCode::DependencyRefused,
        Reason::TooManyEntities
        | Reason::EntityTooLarge
        | Reason::AnswerTooLarge
        | Reason::AttributesTooLarge
        | Reason::TooManyLabels => RefusalCode::TooLarge,
        Reason::VersionNotFound => RefusalCode::VersionNotFound,
        Reason::LabelNotFound => RefusalCode::LabelNotFound,
        Reason::LabelMoved => RefusalCode::LabelMoved,
        Reason::GraphExists => RefusalCode::GraphExists,
        Reason::GraphNotFound => RefusalCode::GraphNotFound,
        Reason::GraphTrashed => RefusalCode::GraphTrashed,
        Reason::GraphReadOnly => RefusalCode::GraphReadOnly,
    }
}

/// What stood against what, where it was the work of others that stood in the way (rule D7).
fn conflict_of(refusal: &Refusal) -> Option<ConflictKind> {
    if !refusal.is_conflict() {
        return None;
    }
    match refusal.reason {
        Reason::Conflict | Reason::UndoConflict | Reason::LabelMoved => Some(ConflictKind::SameField),
        Reason::TargetDeleted => Some(ConflictKind::Deleted),
        Reason::IdTaken | Reason::GraphExists => Some(ConflictKind::IdTaken),
        Reason::VersionAhead | Reason::HistoryReplaced | Reason::BaseUnknown => {
            Some(ConflictKind::OtherHistory)
        }
        Reason::DanglingEdge | Reason::ParentNotFound => Some(ConflictKind::Missing),
        Reason::NodeNotFound
        | Reason::EdgeNotFound
        | Reason::ParentCycle
        | Reason::OperationIdReused
        | Reason::OperationNotFound
        | Reason::TooManyEntities
        | Reason::EntityTooLarge
        | Reason::AnswerTooLarge
        | Reason::BaseRequired
        | Reason::VersionChanged
        | Reason::BaseTooOld
        | Reason::DeletesMuch
        | Reason::DependencyPending
        | Reason::DependencyRefused
        | Reason::AttributesTooLarge
        | Reason::VersionNotFound
        | Reason::LabelNotFound
        | Reason::TooManyLabels
        | Reason::GraphNotFound
        | Reason::GraphTrashed
        | Reason::GraphReadOnly => None,
    }
}
