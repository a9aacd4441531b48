//! The timer of a connection: pings, silent peers, stalled sockets, and deadlines of tokens, messages and subscriptions
//! (rules W6, W8).

use std::{io, task::Context, time::Duration};

use tokio::time::Instant;

use super::{
    connection::{Connection, ConnectionPhase, STOP_PATIENCE},
    subscription::Subscription,
};
use crate::{telemetry::DropReason, websocket::encode_ping};

/// A socket that accepts no byte for this long is closed (rule W6).
const STALL: Duration = Duration::from_secs(30);

impl Connection {
    /// Resets the timer only if it would fire too late, or has fired.
    pub(super) fn timer_has_fired(&mut self, cx: &mut Context<'_>) -> bool {
        let next = self.next_deadline();
        if next < self.timer.deadline() {
            self.timer.as_mut().reset(next);
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.now = Instant::now();
        if !self.is_quiet() {
            // It is over, and no deadline any more.
            self.end_quiet();
        }
        let next = self.next_deadline().max(self.now + Duration::from_millis(1));
        self.timer.as_mut().reset(next);
        true
    }

    fn next_deadline(&self) -> Instant {
        let mut next = match self.phase {
            ConnectionPhase::Open => {
                self.peer.credentials.deadline().map_or(self.ping_at, |at| at.min(self.ping_at))
            }
            ConnectionPhase::Closing => self.ping_at,
            ConnectionPhase::Stopping(until) | ConnectionPhase::Lingering(until) => until,
        };
        if let Some(since) = self.send_queue.stalled_since() {
            next = next.min(since + self.stall());
        }
        if let Some(until) = self.message_budget.until().filter(|_| self.is_alive()) {
            next = next.min(until);
        }
        if let Some(until) = self.paused_until.filter(|until| self.is_alive() && *until > self.now) {
            next = next.min(until);
        }
        if self.is_alive() {
            next = self.subscriptions.iter().filter_map(Subscription::shows_at).fold(next, Instant::min);
        }
        if let Some(until) = self.held_until().filter(|_| self.phase == ConnectionPhase::Open) {
            next = next.min(until);
        }
        if self.send_queue.has_room() && self.is_alive() {
            let due = self.subscriptions.iter().filter_map(Subscription::next_deadline);
            next = due.fold(next, Instant::min);
        }
        next
    }

    /// How long the socket may accept nothing of the send queue.
    fn stall(&self) -> Duration {
        if self.phase == ConnectionPhase::Open { STALL } else { STOP_PATIENCE }
    }

    pub(super) fn tick(&mut self) -> io::Result<()> {
        let timed_out = |why: &str| Err(io::Error::new(io::ErrorKind::TimedOut, why));
        if self.send_queue.stalled_since().is_some_and(|since| self.now >= since + self.stall()) {
            self.live.metrics().dropped.of(DropReason::Slow).inc();
            return timed_out("the peer reads no bytes");
        }
        if matches!(self.phase, ConnectionPhase::Lingering(until) if self.now >= until) {
            return timed_out("the peer does not close the connection");
        }
        if self.now < self.ping_at {
            return Ok(());
        }
        if !self.accepts_input() {
            // The socket is not read, so silence means nothing.
            self.heard_at = self.now;
        }
        if self.now >= self.heard_at + self.live.heartbeat * 2 {
            self.live.metrics().dropped.of(DropReason::Silent).inc();
            return timed_out("the peer does not answer pings");
        }
        self.ping_at = self.now + self.live.heartbeat;
        if self.send_queue.has_room() {
            self.send(encode_ping(b""));
        }
        Ok(())
    }
}
