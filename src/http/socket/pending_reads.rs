//! Reads of the store that one connection has started or queued for its subscriptions.
//!
//! Invariant: at most [`SYNCS_AT_ONCE`] reads of a whole state run at a time, and they start only if the send queue has
//! room. A subscription has at most one read. A read whose subscription has ended counts as a request in flight (rule
//! W6). Not here: the reads themselves ([`super::catch_up`]).

use std::collections::VecDeque;

use dao_projections::{Head, Version};
use futures::FutureExt;

use super::{
    catch_up::{self, FinishedRead, ReadSize, ResumeRequest},
    connection::{Connection, Event},
};
use crate::telemetry::Counted;

/// States that are read for one connection at the same time. They may exceed the send queue; further ones wait.
const SYNCS_AT_ONCE: usize = 4;

/// A read for a subscription.
pub(super) enum ReadRequest {
    Sync(ResumeRequest),
    CatchUp(Head),
    Log { after: Version, to: Version },
    Load,
}

impl ReadRequest {
    fn size(&self) -> ReadSize {
        match self {
            Self::Sync(_) | Self::CatchUp(_) => ReadSize::State,
            Self::Log { .. } | Self::Load => ReadSize::Piece,
        }
    }
}

/// The reads of one connection.
#[derive(Default)]
pub(super) struct PendingReads {
    /// Queued reads of a state, by the generation of their subscription: at most one each.
    waiting: VecDeque<(u64, ReadRequest)>,
    /// Running reads of a state.
    states: usize,
    /// Running reads whose subscription has ended. They count as requests until they finish.
    abandoned: usize,
}

impl PendingReads {
    /// How many running reads have no subscription.
    pub(super) fn abandoned(&self) -> usize {
        self.abandoned
    }

    /// A subscription with a read ends or restarts.
    pub(super) fn abandon(&mut self, generation: u64) {
        let before = self.waiting.len();
        self.waiting.retain(|(waiting, _)| *waiting != generation);
        self.abandoned += usize::from(self.waiting.len() == before);
    }

    /// A read has finished.
    pub(super) fn end(&mut self, size: ReadSize) {
        self.states -= usize::from(size == ReadSize::State);
    }

    /// A read without a subscription has finished.
    pub(super) fn forget_abandoned(&mut self) {
        self.abandoned -= 1;
    }
}

impl Connection {
    pub(super) fn fetch_for(&mut self, index: usize, wanted: ReadRequest) {
        let subscription = &mut self.subscriptions[index];
        if let Some(following) = subscription.following() {
            following.is_fetching = true;
        }
        match wanted.size() {
            ReadSize::State => {
                self.pending_reads.waiting.push_back((subscription.generation, wanted));
                self.begin_fetches();
            }
            ReadSize::Piece => self.begin_fetch(index, wanted),
        }
    }

    /// Starts queued reads of a state, as the send queue and [`SYNCS_AT_ONCE`] allow (rule W6).
    pub(super) fn begin_fetches(&mut self) {
        while self.send_queue.has_room() && self.pending_reads.states < SYNCS_AT_ONCE {
            let Some((generation, wanted)) = self.pending_reads.waiting.pop_front() else { return };
            if let Some(index) = self.subscriptions.iter().position(|s| s.generation == generation) {
                self.pending_reads.states += 1;
                self.begin_fetch(index, wanted);
            }
        }
    }

    fn begin_fetch(&mut self, index: usize, wanted: ReadRequest) {
        let subscription = &self.subscriptions[index];
        let (followed, generation) = (subscription.followed.clone(), subscription.generation);
        let (live, encoding, size) = (self.live.clone(), self.peer.encoding, wanted.size());
        let access = self.peer.credentials.access(&subscription.graph);
        let laggard = match wanted {
            ReadRequest::CatchUp(_) | ReadRequest::Log { .. } => Some(Counted::one(&live.metrics().laggards)),
            ReadRequest::Sync(_) | ReadRequest::Load => None,
        };
        let fetch = async move {
            let _while_it_lasts = laggard;
            let graph = followed.id();
            let outcome = match wanted {
                ReadRequest::Sync(request) => catch_up::sync(&live, graph, request, access, encoding).await,
                ReadRequest::CatchUp(at) => catch_up::catch_up(&live, graph, at, access, encoding).await,
                ReadRequest::Log { after, to } => catch_up::from_log(&followed, after, to).await,
                ReadRequest::Load => catch_up::load(&live, graph).await,
            };
            Event::Fetched(Box::new(FinishedRead { generation, size, outcome }))
        };
        self.begin(fetch.boxed());
    }
}
