//! Whether an answer is what the model says of an operation, on the version that it was judged on.

use dao_api::{
    domain::{OperationRecord, RecordedOutcome},
    write::{Effect, Ending},
};
use dao_projections::OperationId;

use super::{Checker, Seen, Tally, count};
use crate::{
    client::Ask,
    compare::{command_type, head_of, is_this_refusal, name, same_events, word},
    conflict::Judge,
    model::Verdict,
};

impl<'a> Checker<'a> {
    /// An answer says what the record says.
    pub(super) fn check_same(&self, ending: &Ending, recorded: &RecordedOutcome) -> Result<(), String> {
        let is_same = match (ending, recorded) {
            (Ending::Completed { effect, head, .. }, RecordedOutcome::Committed { version }) => {
                let outcome = self.bodies.get(version.get() as usize - 1).map(|body| body.outcome);
                head.version == *version && outcome.map(Effect::Committed) == Some(*effect)
            }
            (Ending::Completed { effect, head, .. }, RecordedOutcome::Unchanged(by)) => {
                *effect == Effect::Unchanged && (head.version, head.hash) == (by.version, by.hash)
            }
            (Ending::Refused { refusal, head }, RecordedOutcome::Refused { by, refusal: recorded }) => {
                refusal.for_the_record() == **recorded && (head.version, head.hash) == (by.version, by.hash)
            }
            _ => false,
        };
        if is_same && self.has_head(head_of(ending)) {
            return Ok(());
        }
        Err(format!("was answered {ending:?}, and the log says {recorded:?}"))
    }

    /// An operation without a record of its own left nothing in the log either.
    pub(super) fn check_absent(
        &self,
        id: &OperationId,
        other: Option<&OperationRecord>,
    ) -> Result<(), String> {
        if other.is_none() && self.bodies.iter().any(|body| body.operation_id == *id) {
            return Err("has a commit and no record".to_owned());
        }
        Ok(())
    }

    /// It ended as the model says it must on the very prefix it was judged on, and not before what
    /// its author could know of.
    pub(super) fn check_judgement(
        &self,
        seen: &Seen,
        record: &OperationRecord,
        firsts: u64,
        tally: &mut Tally,
    ) -> Result<(), String> {
        let id = seen.asks[0].id;
        let commits: Vec<usize> =
            (0..self.bodies.len()).filter(|index| self.bodies[*index].operation_id == id).collect();
        let (judged_on, at) = match &record.outcome {
            RecordedOutcome::Committed { version } => {
                let index = version.get() as usize - 1;
                if commits != [index] {
                    return Err(format!("is commit {version}, and the log has it at {commits:?}"));
                }
                (version.get() - 1, self.bodies[index].timestamp)
            }
            RecordedOutcome::Unchanged(by) | RecordedOutcome::Refused { by, .. } => {
                if !commits.is_empty() || self.heads[by.version.get() as usize].hash != by.hash {
                    return Err(format!("made no commit, and the log has it at {commits:?}"));
                }
                (by.version.get(), by.at)
            }
        };
        // Two whose clocks stand behind the log write the same bytes: neither can tell whose are there.
        if firsts > 1 && at != self.times[judged_on as usize] {
            return Err(format!("was answered {firsts} times as if for the first time"));
        }
        let first_sent = seen.sent.iter().copied().min().unwrap_or(0);
        if judged_on < self.known_at(first_sent) {
            return Err(format!("was judged on {judged_on}, and its author could know of more"));
        }
        let judged = self.judgements(seen, judged_on);
        let fits = |verdict: &Verdict| match &record.outcome {
            RecordedOutcome::Committed { version } => {
                let (body, past) = (&self.bodies[version.get() as usize - 1], &self.history.commits);
                let is_same = matches!(verdict, Verdict::Committed { events, outcome }
                    if *outcome == word(body.outcome) && same_events(events, &past[judged_on as usize].events));
                is_same && body.command_type.as_str() == command_type(&seen.asks[0])
            }
            RecordedOutcome::Unchanged(_) => *verdict == Verdict::Unchanged,
            RecordedOutcome::Refused { refusal, .. } => is_this_refusal(verdict, refusal),
        };
        match judged.iter().find(|verdict| fits(verdict)) {
            Some(verdict) => {
                count(tally, &name(verdict));
                if seen.asks.iter().any(|ask| self.is_beyond_memory(ask, judged_on)) {
                    count(tally, "judged on commits that are not in memory");
                }
            }
            None => {
                let log = self.history.commits.get(judged_on as usize).filter(|_| !commits.is_empty());
                return Err(format!(
                    "on version {judged_on} the model says {judged:#?},\n  the record {record:#?}\n  and the \
                     log {log:#?}"
                ));
            }
        }
        Ok(())
    }

    /// Whether its author was further behind than the megabyte of commits that a server remembers.
    fn is_beyond_memory(&self, ask: &Ask, judged_on: u64) -> bool {
        let versions = ask.members.iter().filter_map(|member| member.client_version);
        let Some(since) = versions.min().filter(|since| *since < judged_on) else { return false };
        let bodies = &self.bodies[since as usize..judged_on as usize];
        bodies.iter().map(|body| body.encode().len()).sum::<usize>() > (1 << 20)
    }

    /// What the model makes of it on this version: one for each way it was sent.
    pub(super) fn judgements(&self, seen: &Seen, version: u64) -> Vec<Verdict> {
        let judge = |ask: &Ask| {
            let (history, bounds) = (&self.history, &self.world.plan.bounds);
            let operation = &ask.id.to_string();
            let (user, client, is_named) = (&ask.user, &ask.client, ask.is_named);
            Judge { history, version, bounds, user, client, is_named, operation }
                .verdict(&ask.members, ask.is_batch)
        };
        seen.asks.iter().map(judge).collect()
    }
}
