//! One followed graph of one connection: its cursor, and what waits for the cursor to get there.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use dao_projections::{GraphId, Head, Version};
use futures::{StreamExt, stream::BoxStream};
use tokio::time::Instant;

use crate::{
    live::{Cursor, Followed, Known, Step},
    write::Hot,
};

/// Commits taken from memory in one step.
const STEP_COMMITS_MAX: usize = 64;

pub(super) struct Subscription {
    /// Tells this subscription from an earlier one to the same graph.
    pub(super) generation: u64,
    pub(super) hot: Hot,
    pub(super) cursor: Cursor,
    /// Whether there may be commits after the cursor.
    pub(super) may_have_more: bool,
    /// Whether commits or a snapshot are being fetched; no step is taken meanwhile.
    pub(super) is_fetching: bool,
    /// After a fetch that failed: no step is taken before this.
    pub(super) retry_at: Option<Instant>,
    /// Answers that wait until the cursor has reached their version (rule W5).
    pub(super) answers: VecDeque<(Version, Bytes)>,
    pub(super) followed: Arc<Followed>,
    pub(super) presence_seen: u64,
    pub(super) presence_changed: bool,
    /// Not before this, so that at most thirty a second are sent (rule W7).
    pub(super) presence_not_before: Instant,
}

impl Subscription {
    pub(super) fn new(generation: u64, hot: Hot, cursor: Cursor, followed: Arc<Followed>) -> Self {
        Self {
            generation,
            hot,
            cursor,
            may_have_more: true,
            is_fetching: false,
            retry_at: None,
            answers: VecDeque::new(),
            followed,
            presence_seen: 0,
            presence_changed: true,
            presence_not_before: Instant::now(),
        }
    }

    /// Whether it makes sense to ask what comes next.
    pub(super) fn may_step(&self, now: Instant) -> bool {
        self.may_have_more && !self.is_fetching && self.retry_at.is_none_or(|at| at <= now)
    }

    /// What comes next for this subscriber.
    pub(super) fn step(&self) -> Step {
        let Some(head) = self.known_head() else { return Step::Level };
        let in_memory = self.hot.commits_since(self.cursor.head().version, STEP_COMMITS_MAX);
        // Memory may already hold commits that the view taken before does not show.
        let head = match in_memory.as_ref().and_then(|(_, commits)| commits.last()) {
            Some(last) if last.commit.version > head.version => last.commit.head(),
            _ => head,
        };
        self.cursor.step(Known { head, in_memory })
    }

    fn known_head(&self) -> Option<Head> {
        self.hot.view().map(|view| view.graph.head())
    }

    /// Those answers whose commit the subscriber has been sent.
    pub(super) fn answers_due(&mut self) -> impl Iterator<Item = Bytes> + use<'_> {
        let reached = self.cursor.head().version;
        let due = self.answers.iter().take_while(|(version, _)| *version <= reached).count();
        self.answers.drain(..due).map(|(_, frame)| frame)
    }
}

/// Something happened to a followed graph.
pub(super) enum Wake {
    /// There may be commits.
    Commits { graph: GraphId, generation: u64 },
    /// The graph's task ended: its handle must be taken anew.
    Ended { graph: GraphId, generation: u64 },
    /// Somebody's presence changed.
    Presence { graph: GraphId, generation: u64 },
}

/// Wakes for every change of the graph's head, until its task ends.
pub(super) fn commits(graph: GraphId, generation: u64, hot: Hot) -> BoxStream<'static, Wake> {
    futures::stream::unfold(Some((graph, hot)), move |state| async move {
        let (graph, mut hot) = state?;
        if hot.changed().await {
            return Some((Wake::Commits { graph: graph.clone(), generation }, Some((graph, hot))));
        }
        Some((Wake::Ended { graph, generation }, None))
    })
    .boxed()
}

/// Wakes for every change of presence in the room.
pub(super) fn presence(graph: GraphId, generation: u64, followed: &Followed) -> BoxStream<'static, Wake> {
    let watch = followed.room().watch();
    futures::stream::unfold((graph, watch), move |(graph, mut watch)| async move {
        watch.changed().await.ok()?;
        watch.borrow_and_update();
        Some((Wake::Presence { graph: graph.clone(), generation }, (graph, watch)))
    })
    .boxed()
}
