//! The pause of a connection that has everything and was sent something not long ago: on a busy server one write
//! carries all commits of a pause ([`crate::live::DeliveryPacing`]).
//!
//! Invariants:
//! - Answers, `SYNC`, `PONG` and the end of the connection never wait. Commits that are due go before a `REVERT`, a
//!   `PONG`, `GOODBYE`, the end of a subscription and that of the connection, so a client has what it is told of. Only a
//!   connection that loses its right to them is closed without them.
//! - A connection that is behind has no pause: it is sent what the send queue has room for.
//! - Whatever is written during a pause takes along the commits that are due.
//!
//! A pause ends with the timer of the connection or with that of the stream that wakes it: while it lasts, commits of the
//! graph that was written wake nobody.
//!
//! Not here: when a server is busy, and how long a pause is ([`crate::live::DeliveryPacing`]).

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    connection::{Connection, ConnectionPhase},
    subscription::Subscription,
};

impl Connection {
    /// Whether commits wait: there is a pause, and nothing else is to be written.
    pub(super) fn is_quiet(&self) -> bool {
        self.phase == ConnectionPhase::Open
            && self.send_queue.is_empty()
            && self.quiet_until.is_some_and(|until| self.now < until)
    }

    /// Ends the pause. Cursors whose commits woke nobody look.
    pub(super) fn end_quiet(&mut self) {
        let now = self.now;
        self.quiet_until = None;
        let followings = self.subscriptions.iter_mut().filter_map(Subscription::following);
        followings.for_each(|following| following.may_have_more |= following.is_asleep(now));
    }

    /// Ends the pause and puts the commits that are due into the send queue, as far as it has room.
    pub(super) fn deliver_held(&mut self) {
        let now = self.now;
        let mut followings = self.subscriptions.iter_mut().filter_map(Subscription::following);
        if self.quiet_until.is_some() || followings.any(|following| following.is_asleep(now)) {
            self.end_quiet();
            (0..self.subscriptions.len()).for_each(|index| self.catch_up(index));
        }
    }

    /// Ends the connection with this frame, after the commits that are due.
    pub(super) fn end_with_held(&mut self, frame: Bytes) {
        self.deliver_held();
        self.end(frame);
    }

    /// Something was written: a pause begins if that was everything, and the server is busy.
    pub(super) fn begin_quiet(&mut self) {
        let until = self.live.hub.pacing().quiet_until(self.now);
        let has_everything =
            || self.send_queue.is_empty() && self.subscriptions.iter().all(Subscription::is_level);
        self.quiet_until = until.filter(|_| has_everything());
    }

    /// When commits that are known of are due; `None` if there are none, or no pause.
    pub(super) fn held_until(&self) -> Option<Instant> {
        let is_held = |subscription: &Subscription| !subscription.is_joining() && !subscription.is_level();
        self.quiet_until.filter(|_| self.subscriptions.iter().any(is_held))
    }
}
