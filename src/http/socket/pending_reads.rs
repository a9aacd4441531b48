//! Reads of the store that one connection has started or queued for its subscriptions.
//!
//! Invariant: at most [`SYNCS_AT_ONCE`] reads of a whole state run at a time, and they start only if the send queue has
//! room. A subscription has at most one read. A read whose subscription has ended counts as a request in flight (rule
//! W6). Not here: the reads themselves ([`super::catch_up`]).

use futures::FutureExt;

use super::{
    catch_up,
    connection::{Connection, Event},
    read_outcome::{FinishedRead, ReadSize},
    read_queue::{ReadRequest, SYNCS_AT_ONCE},
};
use crate::telemetry::Counted;

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
