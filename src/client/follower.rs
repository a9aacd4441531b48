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

mod operations;

use std::{collections::VecDeque, time::Duration};

use dao_projections::{GraphId, Head};

use self::operations::{Pending, Progress};
use super::{
    frames::{Complaint, Operation, ServerFrame, Subscribe, Sync, SyncStatus},
    page::Page,
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
}

/// Whether a point is this head, as far as it can be known.
fn is_at(at: Point, head: Head) -> bool {
    at.version == head.version && at.hash.is_none_or(|hash| hash == head.hash)
}
