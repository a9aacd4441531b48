//! What one connection asks of the store for the graphs it follows: what is under way, and what waits.
//!
//! Invariant: at most [`SYNCS_AT_ONCE`] reads that may come to a state are under way, and they begin only
//! where there is room for one; a subscription has one fetch at most, and what was begun for one that has
//! ended counts as a request (rule W6). Not here: what is fetched ([`super::catch_up`]).

use std::collections::VecDeque;

use dao_projections::{Head, Version};
use futures::FutureExt;

use super::{
    catch_up::{self, FinishedRead, ReadSize, ResumeRequest},
    connection::{Connection, Event},
};
use crate::telemetry::Counted;

/// States that are made for one connection at the same time, and may be sent beyond what there is room
/// for; who else is to get one waits.
const SYNCS_AT_ONCE: usize = 4;

/// What a fetch is for.
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

/// What has been asked of the store for one connection.
#[derive(Default)]
pub(super) struct PendingReads {
    /// Those that may come to a state and wait for their turn: at most one a subscription, told by its
    /// generation.
    waiting: VecDeque<(u64, ReadRequest)>,
    /// Such that are under way.
    states: usize,
    /// Those under way for nobody any more: they count as requests until they end.
    abandoned: usize,
}

impl PendingReads {
    /// How many are under way for nobody.
    pub(super) fn abandoned(&self) -> usize {
        self.abandoned
    }

    /// A subscription that something is fetched for ends, or starts anew.
    pub(super) fn abandon(&mut self, generation: u64) {
        let before = self.waiting.len();
        self.waiting.retain(|(waiting, _)| *waiting != generation);
        self.abandoned += usize::from(self.waiting.len() == before);
    }

    /// One that was under way has ended.
    pub(super) fn end(&mut self, size: ReadSize) {
        self.states -= usize::from(size == ReadSize::State);
    }

    /// And nobody waited for it.
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

    /// States are only made where there is room for one, and few at a time (rule W6).
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
