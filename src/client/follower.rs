//! The client's side of rules W as a synchronous state machine: one graph, one client.
//!
//! This is the reference for clients in other languages. It does no I/O, has no clock and draws no
//! random number: it is told what arrived, and says what to do, as [`Step`]s in the order in which
//! they have to be done. `tests/client/follower` is its specification, rule by rule.
//!
//! | it is told | it says |
//! |---|---|
//! | [`connected`](Follower::connected) | the `SUBSCRIBE` with the point it has and the operations it waits for (W2, W3) |
//! | `SYNC in_sync` | nothing is missing; what was not settled is sent again (W2, W3) |
//! | `SYNC replay` | the same; the missing commits follow as `STATE_UPDATE`s (W2) |
//! | `SYNC snapshot`, to who wants the state | replace everything by it (W2, V4) |
//! | `SYNC snapshot`, to who wants every commit | fetch those in between; replace only if the point is of another history (W2, V4, H2) |
//! | `STATE_UPDATE` of the next version | apply it; an own operation in it is settled (W4) |
//! | … of a version it has | nothing: a repeat; with another hash, connect anew (W4, V4) |
//! | … of a later version | connect anew: there is a gap, and the point is still good (W4) |
//! | `ACK` | the operation is settled, as soon as its version is applied (W5) |
//! | `REVERT` | the operation is settled; if `temporary`, send it again later (W5) |
//! | `WELCOME` | nothing; what is longer than a message may be is settled where it would be sent (W1, W5) |
//! | `REVERT HISTORY_REPLACED` | send the same again from an older point, which both histories may have (D8) |
//! | `ERROR` in place of a `SYNC` | subscribe again later, or give up (W2, W9) |
//! | `GOODBYE` | connect anew when it says (W9) |
//! | [`disconnected`](Follower::disconnected) | nothing: the point and the operations are kept (V4, C3) |

use std::{collections::VecDeque, time::Duration};

use dao_projections::{GraphId, Head, OperationId, Version};

use super::{
    frames::{
        Ack, Complaint, HISTORY_REPLACED, Operation, Revert, ServerFrame, Settled, SettledStatus, Subscribe,
        Sync, SyncStatus,
    },
    page::Page,
    rebase::{at_point, named_version, with_hash},
    received::Received,
    step::{Aim, Ending, Point, Refused, Snapshot, Step, Why},
};

/// Operations that one `SUBSCRIBE` may ask after. The others are simply sent again, which is as safe
/// (rule C3).
const PENDING_ASKED_MAX: usize = 1_000;
/// Points that are remembered, newest last, so that an operation whose history is no more can be moved to one that
/// today's history has too. Where none of them is, it is moved to the beginning, which every history has.
const POINTS_MAX: usize = 1_024;
/// When to try again what could not be done for now, where the server does not say.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Codes of an `ERROR` after which the same `SUBSCRIBE` may succeed.
const TEMPORARY: [&str; 4] = ["STORE_UNAVAILABLE", "OVERLOADED", "VERSION_NOT_REACHED", "RATE_LIMITED"];

/// The code of an operation that is longer than a message may be.
const TOO_LARGE: &str = "TOO_LARGE";

#[derive(Debug)]
enum FollowState {
    /// There is no connection.
    Away,
    /// `SUBSCRIBE` was sent; what comes before its `SYNC` is of an earlier subscription.
    Subscribing,
    /// Commits come as they happen.
    Following,
    /// The commits up to this snapshot are being fetched.
    Fetching(Snapshot),
}

#[derive(Debug)]
struct Pending {
    operation: Operation,
    progress: Progress,
    /// Which jump it was made after: only points from before can be those that its author had in mind.
    era: u64,
    /// How often it was moved to an older point.
    moves: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Not sent on this connection.
    Unsent,
    /// Sent on this connection, and not answered.
    Sent,
    /// Accepted with this version, which is not applied yet.
    Accepted(Version),
}

/// Follows one graph. See the page of [`crate::client`].
#[derive(Debug)]
pub struct Follower {
    graph: GraphId,
    aim: Aim,
    /// The last version that was applied; none before the first snapshot.
    at: Option<Point>,
    phase: FollowState,
    /// In the order in which they were made, which is the order in which they are sent.
    pending: VecDeque<Pending>,
    /// Bytes of a message that the server reads; `None` until it said so.
    message_bytes_max: Option<usize>,
    /// Points that were applied, each with the era it is of: how often everything was replaced before it.
    points: VecDeque<(u64, Head)>,
    era: u64,
}

impl Follower {
    /// A client that has applied everything up to `at`; without it, one that starts from a snapshot.
    pub fn new(graph: GraphId, aim: Aim, at: Option<Point>) -> Self {
        let mut follower = Self {
            graph,
            aim,
            at,
            phase: FollowState::Away,
            pending: VecDeque::new(),
            message_bytes_max: None,
            points: VecDeque::new(),
            era: 0,
        };
        if let Some(Point { version, hash: Some(hash) }) = at {
            follower.remember(Head { version, hash });
        }
        follower
    }

    /// The graph.
    pub fn graph(&self) -> &GraphId {
        &self.graph
    }

    fn remember(&mut self, head: Head) {
        if self.points.back() != Some(&(self.era, head)) {
            self.points.push_back((self.era, head));
        }
        if self.points.len() > POINTS_MAX {
            self.points.pop_front();
        }
    }

    /// From where it would resume: what to keep, with [`pending`](Self::pending), if the program ends.
    pub fn point(&self) -> Option<Point> {
        self.at
    }

    /// The operations that have not ended, oldest first.
    pub fn pending(&self) -> impl Iterator<Item = &Operation> {
        self.pending.iter().map(|pending| &pending.operation)
    }

    /// There is a connection, or it is time to subscribe again: the `SUBSCRIBE` to send. It names the
    /// last good point (rule W2) and asks what became of the operations in flight (rule W3).
    pub fn connected(&mut self) -> String {
        self.phase = FollowState::Subscribing;
        for pending in &mut self.pending {
            // What an earlier connection said may be of a history that is no more: ask again.
            pending.progress = Progress::Unsent;
        }
        let pending = self.pending.iter().take(PENDING_ASKED_MAX).map(|pending| pending.operation.id);
        Subscribe {
            graph_id: &self.graph,
            version: self.at.map(|at| at.version),
            hash: self.at.and_then(|at| at.hash),
            pending: pending.collect(),
        }
        .to_text()
    }

    /// The connection is gone. The point and the operations are kept; what had arrived and was not
    /// taken comes again (rules V4, C3).
    pub fn disconnected(&mut self) {
        self.phase = FollowState::Away;
    }

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

    /// A frame arrived. Frames about other graphs are passed over.
    pub fn take(&mut self, frame: ServerFrame) -> Vec<Step> {
        if matches!(self.phase, FollowState::Away) {
            return vec![];
        }
        match frame {
            ServerFrame::Welcome(welcome) => {
                self.message_bytes_max = welcome.limits.message_bytes;
                vec![]
            }
            ServerFrame::Sync(sync) if sync.graph_id == self.graph => self.sync(sync),
            ServerFrame::StateUpdate(received) if received.graph == self.graph => self.update(received),
            ServerFrame::Ack(ack) if ack.graph_id == self.graph => self.acknowledged(&ack),
            ServerFrame::Revert(revert) if revert.graph_id == self.graph => self.reverted(revert),
            ServerFrame::Presence(presence) if presence.graph_id == self.graph => vec![Step::Show(presence)],
            ServerFrame::Error(complaint) => self.complained(complaint),
            ServerFrame::Goodbye(goodbye) => {
                let after = Duration::from_millis(goodbye.reconnect_after_ms);
                vec![Step::Reconnect(Why::Goodbye { after })]
            }
            _ => vec![],
        }
    }

    /// Rules W2 and W3. Also one that comes unasked, when a history was replaced.
    fn sync(&mut self, mut sync: Sync) -> Vec<Step> {
        let head = sync.head();
        let settled = std::mem::take(&mut sync.settled);
        if !matches!(self.phase, FollowState::Subscribing) {
            // Unasked: what the history that is no more had accepted may be lost. Sending it again finds
            // out, and is safe (C3).
            let accepted = |pending: &&mut Pending| matches!(pending.progress, Progress::Accepted(_));
            self.pending.iter_mut().filter(accepted).for_each(|pending| pending.progress = Progress::Unsent);
        }
        let mut steps = vec![Step::Synced(head)];
        match (sync.status, self.at) {
            (SyncStatus::InSync, Some(at)) if is_at(at, head) => {
                (self.at, self.phase) = (Some(head.into()), FollowState::Following);
                self.remember(head);
            }
            (SyncStatus::InSync, Some(at)) if at.version == head.version => {
                return vec![Step::Reconnect(Why::OtherHistory(head.version))];
            }
            (SyncStatus::Replay, Some(at)) if at.version < head.version => {
                self.phase = FollowState::Following
            }
            (SyncStatus::InSync | SyncStatus::Replay, _) => {
                return vec![Step::Reconnect(Why::OutOfTurn(
                    "said that nothing is missing where something is",
                ))];
            }
            (SyncStatus::Snapshot, at) => {
                let Some(state) = sync.state else {
                    return vec![Step::Reconnect(Why::OutOfTurn("sent a snapshot without a state"))];
                };
                let snapshot = Snapshot { head, state };
                match at {
                    Some(at) if self.aim == Aim::Commits => {
                        self.phase = FollowState::Fetching(snapshot);
                        steps.push(Step::Fetch(at));
                    }
                    _ => steps.push(self.replace(snapshot)),
                }
            }
        }
        steps.extend(self.settled(settled));
        steps.extend(self.send_unsent());
        steps
    }

    /// Rule W4: exactly the next commit is applied.
    fn update(&mut self, received: Box<Received>) -> Vec<Step> {
        match (&self.phase, self.at) {
            (FollowState::Following, Some(at)) => self.advance(at, received),
            // Of an earlier subscription: the SYNC that is awaited starts from the same point.
            _ => vec![],
        }
    }

    fn advance(&mut self, at: Point, received: Box<Received>) -> Vec<Step> {
        let got = received.commit.head();
        if got.version == at.version.next() {
            self.at = Some(got.into());
            self.remember(got);
            let own = received.commit.body.operation_id;
            self.mark(own, Progress::Accepted(got.version));
            let mut steps = vec![Step::Apply(received)];
            steps.extend(self.settle_reached());
            return steps;
        }
        if got.version > at.version {
            return vec![Step::Reconnect(Why::Gap { at: at.version, got: got.version })];
        }
        if got.version == at.version && !is_at(at, got) {
            return vec![Step::Reconnect(Why::OtherHistory(at.version))];
        }
        vec![] // a repeat
    }

    /// The answer to a [`Step::Fetch`].
    pub fn fetched(&mut self, page: Page) -> Vec<Step> {
        let snapshot = match std::mem::replace(&mut self.phase, FollowState::Following) {
            FollowState::Fetching(snapshot) => snapshot,
            other => {
                self.phase = other;
                return vec![];
            }
        };
        if page.is_reset {
            return self.start_again(snapshot);
        }
        let (mut steps, mut is_progress) = (vec![], false);
        for received in page.commits {
            let Some(at) = self.at else { return steps };
            if received.commit.version == snapshot.head.version && received.commit.head() != snapshot.head {
                // The history was replaced between the SYNC and this answer, or the other way round.
                steps.push(Step::Reconnect(Why::OtherHistory(snapshot.head.version)));
                return steps;
            }
            is_progress |= received.commit.version > at.version;
            steps.extend(self.advance(at, Box::new(received)));
            if matches!(steps.last(), Some(Step::Reconnect(_))) {
                return steps;
            }
        }
        match self.at {
            Some(at) if at.version >= snapshot.head.version => {} // level, or a little ahead
            Some(at) if is_progress && page.has_more => {
                self.phase = FollowState::Fetching(snapshot);
                steps.push(Step::Fetch(at));
            }
            _ => steps.push(Step::Reconnect(Why::OutOfTurn("has fewer commits than it said"))),
        }
        steps
    }

    /// The point is of a history that is no more (rule V4).
    fn start_again(&mut self, snapshot: Snapshot) -> Vec<Step> {
        let mut steps = vec![self.replace(snapshot)];
        steps.extend(self.settle_reached());
        steps
    }

    fn replace(&mut self, snapshot: Snapshot) -> Step {
        (self.at, self.phase) = (Some(snapshot.head.into()), FollowState::Following);
        // It may be of another history: what comes now is not what earlier operations were made on.
        self.era += 1;
        self.remember(snapshot.head);
        Step::Replace(Box::new(snapshot))
    }

    /// Rule W3.
    fn settled(&mut self, settled: Vec<Settled>) -> Vec<Step> {
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
    fn acknowledged(&mut self, ack: &Ack) -> Vec<Step> {
        if ack.has_replaced_member()
            && let Some(step) = self.move_back(ack.operation_id, ack.version)
        {
            return vec![step];
        }
        self.mark(ack.operation_id, Progress::Accepted(ack.version));
        self.settle_reached()
    }

    /// Rule W5: `temporary` leaves the optimistic state as it is.
    fn reverted(&mut self, revert: Box<Revert>) -> Vec<Step> {
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

    /// Rules W2 and W9: an `ERROR` about the graph where a `SYNC` is due takes its place.
    fn complained(&mut self, complaint: Complaint) -> Vec<Step> {
        let is_ours = complaint.graph_id.as_ref().is_none_or(|graph| *graph == self.graph);
        if !is_ours {
            return vec![];
        }
        if let Some(id) = complaint.operation_id {
            // It could not even be read, and never will be.
            let refused = Refused::with(Some(complaint.code.clone()));
            let ended = self.end(id, Ending::Failed(refused));
            return ended.into_iter().chain([Step::Warn(complaint)]).collect();
        }
        if !matches!(self.phase, FollowState::Subscribing) || complaint.graph_id.is_none() {
            return vec![Step::Warn(complaint)];
        }
        if TEMPORARY.contains(&complaint.code.as_str()) {
            return vec![Step::Warn(complaint), Step::SubscribeAgain { after: RETRY_AFTER }];
        }
        vec![Step::GiveUp(complaint)]
    }

    /// Sends what this connection has not sent. What is longer than a message may be would be refused each time,
    /// so it ends (rules W1, W5).
    fn send_unsent(&mut self) -> Vec<Step> {
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

    fn mark(&mut self, id: OperationId, progress: Progress) {
        if let Some(pending) = self.pending.iter_mut().find(|pending| pending.operation.id == id) {
            pending.progress = progress;
        }
    }

    /// Those accepted operations whose version is applied have ended. Not before: an editor that
    /// dropped its optimistic copy earlier would show the graph without the change for a moment.
    fn settle_reached(&mut self) -> Vec<Step> {
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

    fn end(&mut self, id: OperationId, ending: Ending) -> Option<Step> {
        let place = self.pending.iter().position(|pending| pending.operation.id == id)?;
        self.pending.remove(place)?;
        Some(Step::Settle(id, ending))
    }
}

/// Whether a point is this head, as far as it can be known.
fn is_at(at: Point, head: Head) -> bool {
    at.version == head.version && at.hash.is_none_or(|hash| hash == head.hash)
}
