//! An `UNDO` judged (rules U2, U5, U10).

use dao_projections::Outcome;

use super::{
    HistoryMissing,
    judgement::{Judged, Judgement},
    verdict::Decided,
};
use crate::domain::{
    command::OnConflict,
    interest::Interest,
    refusal::{Reason, Refusal, Resolution},
    undo::{Taken, Taking, Undone, Writers},
};

impl Judgement<'_> {
    pub(super) fn judge_undo(&self, operations: &[Undone]) -> Judged {
        let past = self.history.past(operations).ok_or_else(|| HistoryMissing::Past(operations.to_vec()))?;
        if past.is_too_much() {
            let message = "These operations did too much to be undone at once. Nothing was written. Undo them in parts.";
            return Ok(Err(Refusal::new(Reason::AnswerTooLarge, message)));
        }
        if let Some(unknown) = past.not_found() {
            let message = format!(
                "Operation {} is not the commit of version {} in this graph's history. Read the version in the \
                 answer to it, or in GET /operations/{{operationId}}.",
                unknown.operation, unknown.version
            );
            return Ok(Err(Refusal::new(Reason::OperationNotFound, message)));
        }
        let wanted = past.entities_written_since(self.graph);
        let writers = if wanted.is_empty() {
            Writers::default()
        } else {
            let missing = || HistoryMissing::Since(past.oldest(), Box::new(Interest::in_entities(&wanted)));
            Writers::of(self.history.since(past.oldest(), &wanted).ok_or_else(missing)?, &wanted)
        };
        let on_conflict = self.member.on_conflict;
        let taken = Taking::new(self.graph, past, on_conflict, self.limits, writers).run();
        Ok(self.verdict_of(taken, on_conflict))
    }

    /// Rule U5.
    fn verdict_of(&self, taken: Taken, on_conflict: OnConflict) -> Result<Decided, Refusal> {
        let Taken { events, result, skipped } = taken;
        let may_skip = on_conflict == OnConflict::Merge && !events.is_empty();
        if skipped > 0 && !may_skip {
            return Err(
                self.undo_conflict(result.skipped.into_iter().map(|skip| skip.conflict).collect(), skipped)
            );
        }
        let outcome = if skipped > 0 { Outcome::Merged } else { Outcome::Applied };
        Ok(Decided { undone: Some(Box::new(result)), ..Decided::of(events, outcome) })
    }

    fn undo_conflict(&self, conflicts: Vec<crate::domain::Conflict>, found: usize) -> Refusal {
        let first = conflicts.first().map(|first| {
            let at =
                if first.path.as_str().is_empty() { String::new() } else { format!(" at {}", first.path) };
            format!("{}{at}, last written by {} in version {}", first.id, first.user_id, first.version)
        });
        let first = first.unwrap_or_default();
        let more = if found > 1 { format!(", and {} more", found - 1) } else { String::new() };
        let message = format!(
            "Undoing this would overwrite what others did: {first}{more}. Nothing was written. Send the command with \
             onConflict \"overwrite\" and another operationId to put it back nevertheless."
        );
        let resolution = Resolution { current_version: self.graph.head().version, conflicts, hash: None };
        Refusal { resolution: Some(resolution), ..Refusal::new(Reason::UndoConflict, message) }
    }
}
