//! The subscriptions of one connection: how they start and end, and delivery of commits as the send queue has room
//! (rules W2, W4, W6, W10). Not here: presence ([`super::presence`]).

use std::sync::Arc;

use dao_projections::{GraphId, Version};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::time::Instant;

use super::{
    connection::Connection,
    dispatch::RETRY_AFTER,
    presence::presence,
    read_outcome::{FinishedRead, ReadOutcome, ResumeRequest},
    read_queue::ReadRequest,
    server_frames,
    subscription::{Following, Next, SUBSCRIPTIONS_MAX, Stage, Subscription},
    wake::Wake,
};
use crate::{
    http::problem::Problem,
    live::{Cursor, CursorStep, DeliveryPacing, Follower, PacedWatch},
    telemetry::Source,
    write::{GraphWatch, Recorded},
};

impl Connection {
    pub(super) fn subscription(&mut self, graph: &GraphId) -> Option<&mut Subscription> {
        self.subscriptions.iter_mut().find(|subscription| subscription.graph == *graph)
    }

    /// Starts a subscription, or restarts an existing one.
    pub(super) fn subscribe(&mut self, graph: GraphId, request: ResumeRequest) {
        let existing = self.subscriptions.iter().position(|subscription| subscription.graph == graph);
        let index = match existing {
            Some(index) if self.subscriptions[index].is_joining() => {
                return self.subscriptions[index].asked_again.push_back(request);
            }
            Some(index) => index,
            None if self.subscriptions.len() >= SUBSCRIPTIONS_MAX => {
                let message = format!("graphId: one connection follows at most {SUBSCRIPTIONS_MAX} graphs");
                return self.send_error(&Problem::bad_request(message), Some(&graph), None);
            }
            None => {
                let followed = self.live.hub.follow(&graph);
                let (client, user) = (self.peer.client.clone(), self.peer.user.clone());
                let since = self.live.graphs.now();
                followed.room().join(self.peer.id, Follower { client, user, since });
                let pause = self.presence_pauses.resume(&graph, self.now);
                let reached = self.peer.listed.follow(&graph);
                self.subscriptions.push(Subscription::new(graph, followed, pause, reached));
                self.subscriptions.len() - 1
            }
        };
        self.join(index, request);
    }

    fn join(&mut self, index: usize, request: ResumeRequest) {
        self.generations += 1;
        let subscription = &mut self.subscriptions[index];
        if subscription.following().is_some_and(|following| following.is_fetching) {
            self.pending_reads.abandon(subscription.generation);
        }
        subscription.rejoin(self.generations);
        self.fetch_for(index, ReadRequest::Sync(request));
    }

    /// Frames in the send queue are the last ones. A `SYNC` that is being built is not sent.
    pub(super) fn unsubscribe(&mut self, graph: &GraphId) {
        let Some(index) = self.subscriptions.iter().position(|s| s.graph == *graph) else { return };
        if self.subscriptions[index].is_fetching() {
            self.pending_reads.abandon(self.subscriptions[index].generation);
        }
        self.end_subscription(index);
    }

    fn end_subscription(&mut self, index: usize) {
        let mut subscription = self.subscriptions.swap_remove(index);
        subscription.followed.room().leave(self.peer.id);
        self.peer.listed.unfollow(&subscription.graph);
        self.presence_pauses.keep(subscription.graph.clone(), subscription.presence_pause(), self.now);
        subscription.all_answers().into_iter().for_each(|frame| self.send(frame));
    }

    pub(super) fn take_fetched(&mut self, fetched: FinishedRead) {
        let FinishedRead { generation, size, outcome } = fetched;
        self.pending_reads.end(size);
        let Some(index) = self.subscriptions.iter().position(|s| s.generation == generation) else {
            // Its subscription has ended or restarted.
            self.pending_reads.forget_abandoned();
            return;
        };
        let is_joining = self.subscriptions[index].is_joining();
        match outcome {
            Ok(ReadOutcome::Sync { cursor, frame, access }) => {
                self.place(index, cursor);
                self.send_in_pieces(frame);
                self.send_access_if_changed(index, access);
                self.send_answers_due(index);
                self.join_again(index);
            }
            Ok(ReadOutcome::Commits(commits)) => self.take_commits(index, &commits),
            Ok(ReadOutcome::Replay { to }) => {
                if let Some(following) = self.subscriptions[index].fetched() {
                    following.replay_to = to;
                }
            }
            Ok(ReadOutcome::Loaded) => self.take_hot(index),
            Err(problem) if is_joining => {
                let graph = self.subscriptions[index].graph.clone();
                self.send_error(&problem, Some(&graph), None);
                self.go_back(index);
            }
            Err(problem) => self.try_again_later(index, &problem),
        }
    }

    /// The `SYNC` failed. The next queued `SUBSCRIBE` is tried; else the subscription continues where it was, or ends if
    /// it is new.
    fn go_back(&mut self, index: usize) {
        if self.join_again(index) {
            return;
        }
        match self.subscriptions[index].stage {
            Stage::Joining { before: Some(cursor) } => self.follow_from(index, cursor),
            Stage::Joining { before: None } => self.end_subscription(index),
            Stage::Following(_) => {}
        }
    }

    /// Continues with the next queued `SUBSCRIBE`, if there is one.
    fn join_again(&mut self, index: usize) -> bool {
        let next = self.subscriptions[index].asked_again.pop_front();
        let is_another = next.is_some();
        if let Some(request) = next {
            self.join(index, request);
        }
        is_another
    }

    fn take_commits(&mut self, index: usize, commits: &[Arc<Recorded>]) {
        let Some(following) = self.subscriptions[index].fetched() else { return };
        match following.cursor.check(commits) {
            CursorStep::Deliver(commits) => self.deliver(index, &commits, Source::Log),
            CursorStep::StartAgain => self.start_again(index),
            CursorStep::CaughtUp | CursorStep::ReadLog { .. } => {}
        }
    }

    /// Retries a failed read. The subscriber is told once.
    fn try_again_later(&mut self, index: usize, problem: &Problem) {
        let retry_at = self.now + RETRY_AFTER;
        let subscription = &mut self.subscriptions[index];
        let graph = subscription.graph.clone();
        let Some(following) = subscription.following() else { return };
        following.is_fetching = false;
        if following.retry_at.replace(retry_at).is_none() {
            self.send_error(problem, Some(&graph), None);
        }
    }

    /// Moves the subscription to the cursor of its `SYNC`.
    fn place(&mut self, index: usize, cursor: Cursor) {
        if let Some(following) = self.subscriptions[index].fetched() {
            (following.cursor, following.replay_to) = (cursor, Version::EMPTY);
            return;
        }
        self.subscriptions[index].presence.revision = 0;
        self.follow_from(index, cursor);
    }

    /// Delivers commits after the cursor from now on.
    fn follow_from(&mut self, index: usize, cursor: Cursor) {
        let subscription = &mut self.subscriptions[index];
        let (hot, generation) = (self.live.graphs.hot(&subscription.graph), subscription.generation);
        let commits = commits(generation, hot.clone(), subscription.followed.pacing().clone());
        let (commits, commits_handle) = stream::abortable(commits);
        let (presence, presence_handle) = stream::abortable(presence(generation, &subscription.followed));
        subscription.presence.has_changed = true;
        subscription.stage = Stage::Following(Following {
            hot,
            is_hot_over: false,
            cursor,
            may_have_more: true,
            asleep_until: None,
            is_fetching: false,
            retry_at: None,
            replay_to: Version::EMPTY,
            watching: [commits_handle, presence_handle],
        });
        self.wakes.push(commits);
        self.wakes.push(presence);
    }

    /// The graph is in memory again, possibly in another task.
    fn take_hot(&mut self, index: usize) {
        let subscription = &mut self.subscriptions[index];
        let (hot, generation) = (self.live.graphs.hot(&subscription.graph), subscription.generation);
        let pacing = subscription.followed.pacing().clone();
        let Some(following) = subscription.fetched() else { return };
        let (commits, handle) = stream::abortable(commits(generation, hot.clone(), pacing));
        following.watching[0].abort();
        (following.hot, following.is_hot_over, following.watching[0]) = (hot, false, handle);
        following.asleep_until = None;
        self.wakes.push(commits);
    }

    /// The graph's history was replaced: sends an unsolicited `SYNC` (rules V4, W2).
    fn start_again(&mut self, index: usize) {
        self.fetch_for(index, ReadRequest::Sync(ResumeRequest { point: None, pending: vec![], reset: true }));
    }

    pub(super) fn wake(&mut self, wake: Wake) {
        let (Wake::Commits { generation, .. } | Wake::Ended { generation } | Wake::Presence { generation }) =
            wake;
        let found = self.subscriptions.iter_mut().find(|s| s.generation == generation);
        let Some(subscription) = found else { return };
        if matches!(wake, Wake::Presence { .. }) {
            subscription.presence.has_changed = true;
        } else if let Some(following) = subscription.following() {
            following.may_have_more = true;
            following.is_hot_over |= matches!(wake, Wake::Ended { .. });
            if let Wake::Commits { asleep_until, .. } = wake {
                following.asleep_until = asleep_until;
            }
        }
    }

    /// Delivers from every cursor as long as the send queue has room. Each time another subscription is first, so that
    /// one busy graph does not starve the others. During a pause only what else is to be written takes commits along.
    pub(super) fn fill(&mut self) {
        self.begin_fetches();
        let is_quiet = self.is_quiet();
        if !is_quiet {
            self.end_quiet();
        }
        let count = self.subscriptions.len();
        for turn in 0..count {
            let index = (self.turn + turn) % count;
            if !is_quiet {
                self.catch_up(index);
            }
            self.show_own(index);
            self.show_presence(index);
        }
        if is_quiet && !self.send_queue.is_empty() {
            self.deliver_held();
        }
        self.turn = self.turn.wrapping_add(1);
    }

    /// Delivers from one cursor as long as the send queue has room.
    pub(super) fn catch_up(&mut self, index: usize) {
        while self.send_queue.has_room() && self.step(index) {}
        self.subscriptions[index].note_reached();
    }

    /// Takes one step of one subscription; true if another may follow at once.
    fn step(&mut self, index: usize) -> bool {
        let now = self.now;
        let Some(following) = self.subscriptions[index].following() else { return false };
        if !following.may_step(now) {
            return false;
        }
        match following.step() {
            Next::Cursor { step: CursorStep::CaughtUp, .. } => {
                following.may_have_more = false;
                // Answers that still wait belong to commits that this history does not have.
                let all = self.subscriptions[index].all_answers();
                all.into_iter().for_each(|frame| self.send(frame));
                false
            }
            Next::Cursor { step: CursorStep::Deliver(commits), head } => {
                self.deliver(index, &commits, Source::Memory);
                self.subscriptions[index].note_level(head);
                true
            }
            Next::Cursor { step: CursorStep::ReadLog { after, to }, .. } => {
                self.live.metrics().lag_commits.counted(to.since(after));
                let wanted = if after < following.replay_to {
                    ReadRequest::Log { after, to: following.replay_to.min(to) }
                } else {
                    ReadRequest::CatchUp(following.cursor.head())
                };
                self.fetch_for(index, wanted);
                false
            }
            Next::Cursor { step: CursorStep::StartAgain, .. } => {
                self.start_again(index);
                false
            }
            Next::Load => {
                self.fetch_for(index, ReadRequest::Load);
                false
            }
        }
    }

    /// Sends as many of these commits as the send queue has room for. The rest is delivered later.
    fn deliver(&mut self, index: usize, commits: &[Arc<Recorded>], source: Source) {
        let (encoding, mut count) = (self.peer.encoding, 0);
        for commit in commits {
            if !self.send_queue.has_room() {
                break;
            }
            let subscription = &mut self.subscriptions[index];
            let graph = &subscription.graph;
            let encode =
                |commit: &_| encoding.shared(&server_frames::state_update(graph, commit, encoding.format));
            let frame = commit.encoded(encoding.slot(), encode);
            if let Some(following) = subscription.following() {
                following.cursor.advance(commit);
            }
            count += 1;
            self.send(frame);
            self.send_answers_due(index);
        }
        let before = self.live.metrics().delivered.of(source).inc_by(count);
        if source == Source::Memory {
            self.live.hub.pacing().note(before + count, self.now);
        }
    }

    fn send_answers_due(&mut self, index: usize) {
        let due = self.subscriptions[index].answers_due();
        due.into_iter().for_each(|frame| self.send(frame));
    }
}

impl Subscription {
    /// When it must be served again at the latest.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let Stage::Following(following) = &self.stage else { return None };
        let retry = following.retry_at.filter(|_| following.may_have_more && !following.is_fetching);
        let presence = self.presence.has_changed.then_some(self.presence.not_before);
        retry.into_iter().chain(presence).min()
    }
}

/// Wakes for changes of the graph's head, until its task ends; on a busy server once for all of a pause.
fn commits(generation: u64, hot: GraphWatch, pacing: Arc<DeliveryPacing>) -> BoxStream<'static, Wake> {
    stream::unfold(Some((PacedWatch::new(hot), pacing)), move |watching| async move {
        let (mut watch, pacing) = watching?;
        if watch.changed(&pacing).await {
            let asleep_until = watch.asleep_until();
            return Some((Wake::Commits { generation, asleep_until }, Some((watch, pacing))));
        }
        Some((Wake::Ended { generation }, None))
    })
    .boxed()
}
