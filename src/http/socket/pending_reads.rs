//! What one connection asks of the store for the graphs it follows: what is under way, and what waits.
//!
//! Invariant: at most [`SYNCS_AT_ONCE`] fetches that may come to a state are under way, and they begin only
//! where there is room for one; a subscription has one fetch at most, and what was begun for one that has
//! ended counts as a request (rule W6). Not here: what is fetched ([`super::catch_up`]).

use std::collections::VecDeque;

use dao_projections::{Head, Version};
use futures::FutureExt;

use super::{
    catch_up::{self, Asking, Fetched, Size},
    connection::{Connection, Event},
};
use crate::telemetry::Counted;

/// States that are made for one connection at the same time, and may be sent beyond what there is room
/// for; who else is to get one waits.
const SYNCS_AT_ONCE: usize = 4;

/// What a fetch is for.
pub(super) enum Wanted {
    Sync(Asking),
    CatchUp(Head),
    Log { after: Version, to: Version },
    Load,
}

impl Wanted {
    fn size(&self) -> Size {
        match self {
            Self::Sync(_) | Self::CatchUp(_) => Size::State,
            Self::Log { .. } | Self::Load => Size::Piece,
        }
    }
}

/// What has been asked of the store for one connection.
#[derive(Default)]
pub(super) struct Fetches {
    /// Those that may come to a state and wait for their turn: at most one a subscription, told by its
    /// generation.
    waiting: VecDeque<(u64, Wanted)>,
    /// Such that are under way.
    states: usize,
    /// Those under way for nobody any more: they count as requests until they end.
    abandoned: usize,
}

impl Fetches {
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
    pub(super) fn end(&mut self, size: Size) {
        self.states -= usize::from(size == Size::State);
    }

    /// And nobody waited for it.
    pub(super) fn forget_abandoned(&mut self) {
        self.abandoned -= 1;
    }
}

impl Connection {
    pub(super) fn fetch_for(&mut self, index: usize, wanted: Wanted) {
        let subscription = &mut self.subscriptions[index];
        if let Some(following) = subscription.following() {
            following.is_fetching = true;
        }
        match wanted.size() {
            Size::State => {
                self.fetches.waiting.push_back((subscription.generation, wanted));
                self.begin_fetches();
            }
            Size::Piece => self.begin_fetch(index, wanted),
        }
    }

    /// States are only made where there is room for one, and few at a time (rule W6).
    pub(super) fn begin_fetches(&mut self) {
        while self.output.has_room() && self.fetches.states < SYNCS_AT_ONCE {
            let Some((generation, wanted)) = self.fetches.waiting.pop_front() else { return };
            if let Some(index) = self.subscriptions.iter().position(|s| s.generation == generation) {
                self.fetches.states += 1;
                self.begin_fetch(index, wanted);
            }
        }
    }

    fn begin_fetch(&mut self, index: usize, wanted: Wanted) {
        let subscription = &self.subscriptions[index];
        let (followed, generation) = (subscription.followed.clone(), subscription.generation);
        let (live, voice, size) = (self.live.clone(), self.peer.voice, wanted.size());
        let access = self.peer.standing.access(&subscription.graph);
        let laggard = match wanted {
            Wanted::CatchUp(_) | Wanted::Log { .. } => Some(Counted::one(&live.metrics().laggards)),
            Wanted::Sync(_) | Wanted::Load => None,
        };
        let fetch = async move {
            let _while_it_lasts = laggard;
            let graph = followed.id();
            let outcome = match wanted {
                Wanted::Sync(asking) => catch_up::sync(&live, graph, asking, access, voice).await,
                Wanted::CatchUp(at) => catch_up::catch_up(&live, graph, at, access, voice).await,
                Wanted::Log { after, to } => catch_up::from_log(&followed, after, to).await,
                Wanted::Load => catch_up::load(&live, graph).await,
            };
            Event::Fetched(Box::new(Fetched { generation, size, outcome }))
        };
        self.begin(fetch.boxed());
    }
}
