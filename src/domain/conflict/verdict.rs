//! What judging an operation results in.

use dao_projections::{Event, Outcome};

use crate::domain::{
    refusal::{Reason, Refusal},
    restore::RestoreResult,
    undo::UndoResult,
};

/// A member of an atomic batch that was left out because its target is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkippedMember {
    /// Its index in the batch.
    pub index: usize,
    /// Why it would have been refused.
    pub reason: Reason,
}

/// The result of judging an operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The operation changes the graph: these events, in one commit.
    Accepted {
        /// The events; never empty.
        events: Vec<Event>,
        /// Whether it was applied as is or merged with changes of others.
        outcome: Outcome,
        /// The number of events of each member, in order.
        by_member: Vec<usize>,
        /// What an undo did and left alone.
        undone: Option<Box<UndoResult>>,
        /// What a restore did and left alone.
        restored: Option<Box<RestoreResult>>,
        /// The members that were left out.
        skipped: Vec<SkippedMember>,
    },
    /// The graph already is as asked.
    Unchanged {
        /// The members that were left out.
        skipped: Vec<SkippedMember>,
        /// What a restore left alone.
        restored: Option<Box<RestoreResult>>,
    },
    /// The operation is refused.
    Refused(Refusal),
}

#[derive(Default)]
pub(super) struct Decided {
    pub(super) events: Vec<Event>,
    pub(super) outcome: Outcome,
    pub(super) undone: Option<Box<UndoResult>>,
    pub(super) restored: Option<Box<RestoreResult>>,
}

impl Decided {
    pub(super) fn of(events: Vec<Event>, outcome: Outcome) -> Self {
        Self { events, outcome, ..Self::default() }
    }

    pub(super) fn into_verdict(self, by_member: Vec<usize>, skipped: Vec<SkippedMember>) -> Verdict {
        if self.events.is_empty() {
            return Verdict::Unchanged { skipped, restored: self.restored };
        }
        Verdict::Accepted {
            events: self.events,
            outcome: self.outcome,
            by_member,
            undone: self.undone,
            restored: self.restored,
            skipped,
        }
    }
}
