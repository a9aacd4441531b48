//! One part of the feed as one worker has it: where it is, what waits there, and what it remembers.
//!
//! Not here: how a part is followed ([`super::projector`]).

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    failing_graphs::FailingGraphs, row_cache::RowCache, waiting_graphs::WaitingGraphs, worker_load::Load,
};
use crate::store::FeedPlace;

/// Pause before a part of the feed that could not be followed is followed again, doubled each time up to the second:
/// short beside the lag at which a server counts as not ready.
pub(super) const BACK_OFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// One part of the feed as this worker has it.
pub(super) struct FeedPart {
    pub(super) number: u32,
    pub(super) is_leased: bool,
    /// The place that the store keeps, while this worker has the lease: everything before it is in the rows.
    pub(super) place: Option<FeedPlace>,
    /// Up to where it was read. What stands in between is of graphs that wait.
    pub(super) read: Option<FeedPlace>,
    pub(super) waiting: WaitingGraphs,
    /// That of all parts of this worker.
    pub(super) load: Arc<Load>,
    pub(super) kept: RowCache,
    /// Graphs that the store refuses.
    pub(super) aside: FailingGraphs,
    /// When the lease is asked for next, or renewed.
    pub(super) lease_at: Instant,
    /// When what is parked in it is tried again.
    pub(super) parked_at: Instant,
    pub(super) trim_at: Instant,
    /// When it is followed again after it could not be, and the pause after the next time.
    pub(super) follow_at: Instant,
    pub(super) back_off: Duration,
}

impl FeedPart {
    /// Forgets what another worker may have made untrue, and asks for the lease at this time.
    pub(super) fn forget(&mut self, lease_at: Instant) {
        (self.place, self.lease_at) = (None, lease_at);
        self.read_again();
        self.kept.forget_all();
    }

    /// Reads again what is not in the rows.
    pub(super) fn read_again(&mut self) {
        (self.read, self.waiting) = (None, WaitingGraphs::default());
    }

    /// It could not be followed: what was remembered may not be true any more.
    pub(super) fn fail(&mut self) {
        self.forget(Instant::now());
        self.follow_at = Instant::now() + self.back_off;
        self.back_off = (self.back_off * 2).min(BACK_OFF.1);
    }
}
