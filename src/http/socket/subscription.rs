//! The subscription of one connection to one graph: its cursor, and answers that wait for the cursor.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use dao_projections::{ClientId, GraphId, Head, Version};
use futures::future::AbortHandle;
use tokio::time::Instant;

use super::{presence_pauses::PresencePause, read_outcome::ResumeRequest};
use crate::{
    http::connection_list::Reached,
    live::{AvailableCommits, Cursor, CursorStep, FollowedGraph, PresenceSlot},
    telemetry::Counted,
    write::GraphWatch,
};

/// One graph that a connection follows, or is about to.
pub(super) struct Subscription {
    pub(super) graph: GraphId,
    /// Distinguishes this subscription from earlier ones to the same graph.
    pub(super) generation: u64,
    pub(super) stage: Stage,
    /// Answers that wait until the cursor has reached their version (rule W5).
    answers: VecDeque<(Version, Bytes)>,
    /// Bytes of those answers.
    answer_bytes: usize,
    /// Held from the `SUBSCRIBE` on, so that no commit is missed.
    pub(super) followed: Arc<FollowedGraph>,
    pub(super) presence: PresenceDelivery,
    pub(super) showing: OwnPresence,
    /// `SUBSCRIBE`s that arrived while an earlier one was being answered. Each gets its own `SYNC`, in order.
    pub(super) asked_again: VecDeque<ResumeRequest>,
    /// Where others look how far it is.
    reached: Reached,
    _open: Counted,
}

pub(super) enum Stage {
    /// Its `SYNC` is being built. If that fails, it continues from `before`.
    Joining { before: Option<Cursor> },
    /// It has had its `SYNC`.
    Following(Following),
}

/// A subscription that has had its `SYNC`.
pub(super) struct Following {
    pub(super) hot: GraphWatch,
    /// Whether the graph's task has ended, so that `hot` gets no more commits.
    pub(super) is_hot_over: bool,
    pub(super) cursor: Cursor,
    /// Whether there may be commits after the cursor.
    pub(super) may_have_more: bool,
    /// Until then commits wake nobody, so `may_have_more` does not know of them.
    pub(super) asleep_until: Option<Instant>,
    /// Whether commits or a snapshot are being read. No step is taken meanwhile.
    pub(super) is_fetching: bool,
    /// No step is taken before this, after a failed read.
    pub(super) retry_at: Option<Instant>,
    /// Up to this version the log was found shorter than a snapshot.
    pub(super) replay_to: Version,
    /// The streams that wake this connection. They end with the subscription.
    pub(super) watching: [AbortHandle; 2],
}

impl Drop for Following {
    fn drop(&mut self) {
        self.watching.iter().for_each(AbortHandle::abort);
    }
}

/// How much presence of others the subscriber has been sent.
pub(super) struct PresenceDelivery {
    pub(super) revision: u64,
    pub(super) has_changed: bool,
    /// Nothing is sent before this (rule W7).
    pub(super) not_before: Instant,
}

/// The peer's own presence in this graph.
pub(super) struct OwnPresence {
    /// Nothing is passed on before this (rule W7).
    pub(super) not_before: Instant,
    /// The slots that show something, or are about to show it or to be cleared.
    pub(super) slots: Vec<OwnSlot>,
}

/// One slot of the peer's own presence.
pub(super) struct OwnSlot {
    pub(super) slot: PresenceSlot,
    /// The client that it is shown for.
    pub(super) client: ClientId,
    /// The latest state that is not passed on yet.
    pub(super) waiting: Option<Arc<str>>,
    /// Bytes of the latest state; 0 if that is null.
    pub(super) bytes: usize,
    /// Whether others were shown a state that is not null.
    pub(super) is_shown: bool,
}

/// What comes next for a subscription.
pub(super) enum Next {
    /// A step towards the graph's head.
    Cursor { step: CursorStep, head: Head },
    /// The graph is not in memory: it must be loaded.
    Load,
}

impl Subscription {
    pub(super) fn new(
        graph: GraphId,
        followed: Arc<FollowedGraph>,
        pause: PresencePause,
        reached: Reached,
    ) -> Self {
        let _open = Counted::one(&followed.metrics().socket_subscriptions);
        Self {
            graph,
            generation: 0,
            stage: Stage::Joining { before: None },
            answers: VecDeque::new(),
            answer_bytes: 0,
            followed,
            presence: PresenceDelivery { revision: 0, has_changed: true, not_before: pause.receive },
            showing: OwnPresence { not_before: pause.send, slots: Vec::new() },
            asked_again: VecDeque::new(),
            reached,
            _open,
        }
    }

    /// Notes how far it is, for those who ask who is connected.
    pub(super) fn note_reached(&self) {
        if let Stage::Following(following) = &self.stage {
            self.reached.note(following.cursor.head().version);
        }
    }

    pub(super) fn following(&mut self) -> Option<&mut Following> {
        match &mut self.stage {
            Stage::Joining { .. } => None,
            Stage::Following(following) => Some(following),
        }
    }

    /// The same after a read has finished: it may take steps again.
    pub(super) fn fetched(&mut self) -> Option<&mut Following> {
        let following = self.following()?;
        (following.is_fetching, following.may_have_more, following.retry_at) = (false, true, None);
        Some(following)
    }

    /// Whether a read is running or queued for it.
    pub(super) fn is_fetching(&self) -> bool {
        match &self.stage {
            Stage::Joining { .. } => true,
            Stage::Following(following) => following.is_fetching,
        }
    }

    /// Restarts the subscription. If that fails, it continues where it was.
    pub(super) fn rejoin(&mut self, generation: u64) {
        let before = match &self.stage {
            Stage::Joining { before } => *before,
            Stage::Following(following) => Some(following.cursor),
        };
        (self.generation, self.stage) = (generation, Stage::Joining { before });
    }

    /// When presence may be sent and received again.
    pub(super) fn presence_pause(&self) -> PresencePause {
        PresencePause { send: self.showing.not_before, receive: self.presence.not_before }
    }

    pub(super) fn is_joining(&self) -> bool {
        matches!(self.stage, Stage::Joining { .. })
    }

    /// The newest version known of the graph.
    pub(super) fn version(&self) -> Version {
        match &self.stage {
            Stage::Joining { before } => before.map_or(Version::EMPTY, |cursor| cursor.head().version),
            Stage::Following(following) => {
                let known = following.hot.head().map_or(Version::EMPTY, |head| head.version);
                known.max(following.cursor.head().version)
            }
        }
    }

    /// Whether it has everything that is known of.
    pub(super) fn is_level(&self) -> bool {
        match &self.stage {
            Stage::Joining { .. } => false,
            Stage::Following(following) => !following.may_have_more && !following.is_fetching,
        }
    }

    /// Keeps an answer until its commit has been sent; returns it if that is already so.
    pub(super) fn keep_answer(&mut self, version: Version, frame: Bytes) -> Option<Bytes> {
        if let Stage::Following(following) = &mut self.stage {
            if version <= following.cursor.head().version {
                return Some(frame);
            }
            following.may_have_more = true;
        }
        self.answer_bytes += frame.len();
        self.answers.push_back((version, frame));
        None
    }

    /// Requests that are not answered yet.
    pub(super) fn unanswered(&self) -> usize {
        self.answers.len() + self.asked_again.len() + usize::from(self.is_joining())
    }

    /// Bytes of waiting answers.
    pub(super) fn answer_bytes(&self) -> usize {
        self.answer_bytes
    }

    /// It has everything up to this head. Answers that wait for more are due once another look finds no more.
    pub(super) fn note_level(&mut self, head: Head) {
        if let Stage::Following(following) = &mut self.stage
            && following.cursor.head() == head
        {
            following.may_have_more = !self.answers.is_empty();
        }
    }

    /// Takes the answers whose commit has been sent.
    pub(super) fn answers_due(&mut self) -> Vec<Bytes> {
        let Stage::Following(following) = &self.stage else { return vec![] };
        if self.answers.is_empty() {
            return vec![];
        }
        let reached = following.cursor.head().version;
        let (due, waiting) =
            self.answers.drain(..).partition::<Vec<_>, _>(|(version, _)| *version <= reached);
        self.answers = waiting.into();
        self.answer_bytes -= due.iter().map(|(_, frame)| frame.len()).sum::<usize>();
        due.into_iter().map(|(_, frame)| frame).collect()
    }

    /// Takes all answers, due or not.
    pub(super) fn all_answers(&mut self) -> Vec<Bytes> {
        self.answer_bytes = 0;
        std::mem::take(&mut self.answers).into_iter().map(|(_, frame)| frame).collect()
    }
}

impl Following {
    /// Whether there may be commits that woke nobody.
    pub(super) fn is_asleep(&self, now: Instant) -> bool {
        self.asleep_until.is_some_and(|until| now < until)
    }

    /// Whether a step may be taken.
    pub(super) fn may_step(&self, now: Instant) -> bool {
        self.may_have_more && !self.is_fetching && self.retry_at.is_none_or(|at| at <= now)
    }

    /// The next step for this subscriber.
    pub(super) fn step(&self) -> Next {
        let version = self.cursor.head().version;
        match AvailableCommits::after(version, &self.hot).filter(|_| !self.is_hot_over) {
            Some(available) => {
                let head = available.head;
                Next::Cursor { step: self.cursor.step(available), head }
            }
            None => Next::Load,
        }
    }
}

/// Graphs that one connection may follow; more are refused with an `ERROR`.
pub(super) const SUBSCRIPTIONS_MAX: usize = 256;
