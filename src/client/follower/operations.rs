//! The operations of a [`Follower`] that have not ended: sent in order, sent again after a reconnect, moved to the
//! present history if theirs was replaced (rules C3, W3, W5, D8).

use std::time::Duration;

use dao_projections::{Head, OperationId, Version};

use super::{
    super::{
        frames::{Ack, HISTORY_REPLACED, Operation, Revert, Settled, SettledStatus},
        rebase::{at_point, named_version, with_hash},
        step::{Ending, Refused, Step},
    },
    FollowState, Follower, RETRY_AFTER,
};

/// The code of an operation that is longer than a message may be.
const TOO_LARGE: &str = "TOO_LARGE";

#[derive(Debug)]
pub(super) struct Pending {
    pub(super) operation: Operation,
    pub(super) progress: Progress,
    /// The era that it was made in: its author has seen no point of a later one.
    pub(super) era: u64,
    /// How often it was moved to an older point.
    pub(super) moves: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Not sent on this connection.
    Unsent,
    /// Sent on this connection, and not answered.
    Sent,
    /// Accepted with this version, which is not applied yet.
    Accepted(Version),
}

impl Follower {
    /// The user did something. It is sent at once if the graph is followed; else after the `SYNC`,
    /// behind the operations before it. A version that its frame names is named with its hash, where that is
    /// known (rule D8): keep [`pending`](Self::pending) if the program ends, not what was submitted.
    pub fn submit(&mut self, operation: Operation) -> Vec<Step> {
        let operation = self.naming_its_history(operation);
        self.pending.push_back(Pending { operation, progress: Progress::Unsent, era: self.era, moves: 0 });
        match self.phase {
            FollowState::Following | FollowState::Fetching(_) => self.send_unsent(),
            FollowState::Away | FollowState::Subscribing => vec![],
        }
    }

    fn naming_its_history(&self, operation: Operation) -> Operation {
        let Some((version, false)) = named_version(&operation.frame) else { return operation };
        let known = self.points.iter().rev().find(|(era, head)| *era == self.era && head.version == version);
        let named = known.and_then(|(_, head)| with_hash(&operation.frame, head.hash));
        match named {
            Some(frame) => Operation { frame, ..operation },
            None => operation,
        }
    }

    /// Rule W3.
    pub(super) fn settled(&mut self, settled: Vec<Settled>) -> Vec<Step> {
        let mut steps = vec![];
        for Settled { operation_id, status, version, code } in settled {
            match status {
                SettledStatus::Completed => {
                    self.mark(operation_id, Progress::Accepted(version.unwrap_or(Version::EMPTY)));
                }
                SettledStatus::Conflict => {
                    steps.extend(self.end(operation_id, Ending::Conflict(Refused::with(code))));
                }
                SettledStatus::Failed => {
                    steps.extend(self.end(operation_id, Ending::Failed(Refused::with(code))));
                }
                SettledStatus::Unknown => {} // it is still unsent
            }
        }
        steps.extend(self.settle_reached());
        steps
    }

    /// Rule W5. The answer may be that to a repetition, with a version that was applied long ago.
    pub(super) fn acknowledged(&mut self, ack: &Ack) -> Vec<Step> {
        if ack.has_replaced_member()
            && let Some(step) = self.move_back(ack.operation_id, ack.version)
        {
            return vec![step];
        }
        self.mark(ack.operation_id, Progress::Accepted(ack.version));
        self.settle_reached()
    }

    /// Rule W5: `temporary` leaves the optimistic state as it is.
    pub(super) fn reverted(&mut self, revert: Box<Revert>) -> Vec<Step> {
        let id = revert.operation_id;
        if revert.temporary {
            let after = revert.retry_after_ms.map_or(RETRY_AFTER, Duration::from_millis);
            let waiting = self.pending.iter().find(|pending| pending.operation.id == id);
            let frame = waiting.map(|pending| pending.operation.frame.clone());
            return frame.map(|frame| Step::Send { frame, after }).into_iter().collect();
        }
        if revert.code == HISTORY_REPLACED
            && let Some(step) = self.move_back(id, revert.current_version())
        {
            return vec![step];
        }
        let is_conflict = revert.resolution.is_some();
        let ending = if is_conflict { Ending::Conflict } else { Ending::Failed };
        self.end(id, ending(revert.into())).into_iter().collect()
    }

    /// Rule D8: the history that an operation was made in is no more. It is sent again from an older point that
    /// its author knew, ever further back, until one is of today's history too; then it is judged against all that
    /// others did since. `None` if it was at the beginning already, which every history has.
    fn move_back(&mut self, id: OperationId, current: Version) -> Option<Step> {
        let pending = self.pending.iter_mut().find(|pending| pending.operation.id == id)?;
        let from = named_version(&pending.operation.frame).map_or(Version::MAX, |(version, _)| version);
        if from == Version::EMPTY {
            return None;
        }
        let is_older = |(era, head): &&(u64, Head)| {
            *era <= pending.era && head.version < from && head.version <= current
        };
        let mut older: Vec<Head> = self.points.iter().filter(is_older).map(|(_, head)| *head).collect();
        older.sort_unstable_by_key(|head| head.version);
        let skipped = (1_usize << pending.moves.min(usize::BITS - 1)) - 1;
        let point = older.len().checked_sub(1).map_or(Head::EMPTY, |last| older[last - skipped.min(last)]);
        pending.operation.frame = at_point(&pending.operation.frame, point)?;
        (pending.progress, pending.moves) = (Progress::Sent, pending.moves + 1);
        Some(Step::Send { frame: pending.operation.frame.clone(), after: Duration::ZERO })
    }

    /// Sends what this connection has not sent. What is longer than a message may be would be refused each time,
    /// so it ends (rules W1, W5).
    pub(super) fn send_unsent(&mut self) -> Vec<Step> {
        let bytes_max = self.message_bytes_max.unwrap_or(usize::MAX);
        let mut steps = vec![];
        self.pending.retain_mut(|pending| {
            if pending.progress != Progress::Unsent {
                return true;
            }
            let fits = pending.operation.frame.len() <= bytes_max;
            steps.push(if fits {
                pending.progress = Progress::Sent;
                Step::Send { frame: pending.operation.frame.clone(), after: Duration::ZERO }
            } else {
                let refused = Refused::with(Some(TOO_LARGE.to_owned()));
                Step::Settle(pending.operation.id, Ending::Failed(refused))
            });
            fits
        });
        steps
    }

    pub(super) fn mark(&mut self, id: OperationId, progress: Progress) {
        if let Some(pending) = self.pending.iter_mut().find(|pending| pending.operation.id == id) {
            pending.progress = progress;
        }
    }

    /// Those accepted operations whose version is applied have ended. Not before: an editor that
    /// dropped its optimistic copy earlier would show the graph without the change for a moment.
    pub(super) fn settle_reached(&mut self) -> Vec<Step> {
        let Some(at) = self.at else { return vec![] };
        let mut steps = vec![];
        self.pending.retain(|pending| match pending.progress {
            Progress::Accepted(version) if version <= at.version => {
                steps.push(Step::Settle(pending.operation.id, Ending::Completed(version)));
                false
            }
            Progress::Accepted(_) | Progress::Sent | Progress::Unsent => true,
        });
        steps
    }

    pub(super) fn end(&mut self, id: OperationId, ending: Ending) -> Option<Step> {
        let place = self.pending.iter().position(|pending| pending.operation.id == id)?;
        self.pending.remove(place)?;
        Some(Step::Settle(id, ending))
    }
}
