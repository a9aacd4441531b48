//! How soon a follower that has everything is sent the next commits.
//!
//! A send costs the system the same whether it carries one commit or five. Below
//! [`PacingConfig::deliveries_per_second`] every commit is sent at once. Above it a follower that has everything, and got
//! the last of it less than [`PacingConfig::pause`] ago, is left alone until that time is over; then one send carries all
//! that it missed. The rate is that of this process: deliveries of all graphs, one for each commit and follower. Pauses
//! don't change it, so they don't end themselves.
//!
//! Not here: what never waits (answers, `SYNC`, the end of a connection), which is the transport's.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use crate::write::GraphWatch;

/// Deliveries are counted for this long before their rate is known.
const WINDOW: Duration = Duration::from_secs(1);

/// When followers wait for one another's commits, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacingConfig {
    /// From this rate on followers pause between sends: deliveries a second of this process.
    pub deliveries_per_second: u64,
    /// For how long. A commit comes at most this much later.
    pub pause: Duration,
}

impl Default for PacingConfig {
    fn default() -> Self {
        Self { deliveries_per_second: 25_000, pause: Duration::from_millis(25) }
    }
}

/// The rate of deliveries in this process, and the pause that follows from it.
#[derive(Debug)]
pub struct DeliveryPacing {
    config: PacingConfig,
    start: Instant,
    /// When the window of this count began, in milliseconds since the start.
    begun_ms: AtomicU64,
    /// Deliveries before the window.
    before: AtomicU64,
    /// Whether the window so far, or the one before, had more than the rate allows.
    is_busy: AtomicBool,
}

impl DeliveryPacing {
    /// Nothing was delivered yet.
    pub fn new(config: PacingConfig) -> Self {
        let (begun_ms, before) = Default::default();
        // A rate of nothing is always reached.
        let is_busy = (config.deliveries_per_second == 0).into();
        Self { config, start: Instant::now(), begun_ms, before, is_busy }
    }

    /// Commits were delivered: `delivered` in all since the start, by this process. Two atomic reads, but once a window.
    pub fn note(&self, delivered: u64, now: Instant) {
        let (now_ms, begun_ms) = (self.ms(now), self.begun_ms.load(Ordering::Relaxed));
        let elapsed_ms = now_ms.saturating_sub(begun_ms);
        let is_over = elapsed_ms >= WINDOW.as_millis() as u64;
        if !is_over {
            let count = delivered.saturating_sub(self.before.load(Ordering::Relaxed));
            // The window is a second: its count alone reaches the rate.
            if count >= self.config.deliveries_per_second && !self.is_busy.load(Ordering::Relaxed) {
                self.is_busy.store(true, Ordering::Relaxed);
            }
            return;
        }
        let (done, failed) = (Ordering::Relaxed, Ordering::Relaxed);
        if self.begun_ms.compare_exchange(begun_ms, now_ms, done, failed).is_ok() {
            let count = delivered.saturating_sub(self.before.swap(delivered, Ordering::Relaxed));
            let a_second = u128::from(count) * 1_000 / u128::from(elapsed_ms);
            let is_busy = a_second >= u128::from(self.config.deliveries_per_second);
            self.is_busy.store(is_busy, Ordering::Relaxed);
        }
    }

    /// Until when a follower that has everything by `now` is left alone; `None` if it gets the next commit at once.
    pub fn quiet_until(&self, now: Instant) -> Option<Instant> {
        let is_recent = || {
            let elapsed_ms = self.ms(now).saturating_sub(self.begun_ms.load(Ordering::Relaxed));
            elapsed_ms < 2 * WINDOW.as_millis() as u64 || self.config.deliveries_per_second == 0
        };
        (self.is_busy.load(Ordering::Relaxed) && is_recent()).then(|| now + self.config.pause)
    }

    fn ms(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_millis() as u64
    }
}

/// Waits for commits of a graph, and not before a pause is over.
#[derive(Debug)]
pub struct PacedWatch {
    graph: GraphWatch,
    quiet_until: Option<Instant>,
}

impl PacedWatch {
    /// Wakes at the first change.
    pub fn new(graph: GraphWatch) -> Self {
        Self { graph, quiet_until: None }
    }

    /// Until when no change wakes it; what happens until then has to be looked for.
    pub fn asleep_until(&self) -> Option<Instant> {
        self.quiet_until
    }

    /// Waits for the next change after the pause; false when the server stops and there will be none. What follows on
    /// it may be delivered at once, and the next pause begins. Cancel-safe.
    pub async fn changed(&mut self, pacing: &DeliveryPacing) -> bool {
        if let Some(until) = self.quiet_until {
            sleep_until(until).await;
            self.quiet_until = None;
        }
        let is_there = self.graph.changed().await;
        self.quiet_until = pacing.quiet_until(Instant::now());
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pacing() -> DeliveryPacing {
        DeliveryPacing::new(PacingConfig { deliveries_per_second: 1_000, pause: Duration::from_millis(25) })
    }

    fn after(ms: u64, pacing: &DeliveryPacing) -> Instant {
        pacing.start + Duration::from_millis(ms)
    }

    #[test]
    fn below_the_rate_nobody_waits() {
        let pacing = pacing();
        for ms in 0..10_000 {
            let now = after(ms, &pacing);
            pacing.note(ms * 999 / 1_000, now);
            assert_eq!(pacing.quiet_until(now), None, "{ms}");
        }
    }

    #[test]
    fn from_the_rate_on_a_follower_waits_for_the_pause_and_not_longer() {
        let pacing = pacing();
        let mut waits = 0;
        for ms in 0..10_000 {
            let now = after(ms, &pacing);
            pacing.note(ms, now);
            if let Some(until) = pacing.quiet_until(now) {
                assert_eq!(until - now, Duration::from_millis(25));
                waits += 1;
            }
        }
        assert!(waits >= 8_900, "known within the first second: {waits}");
    }

    #[test]
    fn a_storm_is_known_before_its_first_second_is_over() {
        let pacing = pacing();
        pacing.note(999, after(5, &pacing));
        assert_eq!(pacing.quiet_until(after(5, &pacing)), None);
        pacing.note(1_000, after(6, &pacing));
        assert!(pacing.quiet_until(after(6, &pacing)).is_some());
    }

    #[test]
    fn after_a_storm_nobody_waits_once_a_window_was_calm_or_nothing_came_for_two() {
        let pacing = pacing();
        pacing.note(5_000, after(500, &pacing));
        assert!(pacing.quiet_until(after(1_999, &pacing)).is_some());
        assert_eq!(pacing.quiet_until(after(2_000, &pacing)), None, "nothing came");
        pacing.note(5_001, after(60_000, &pacing));
        assert_eq!(pacing.quiet_until(after(60_000, &pacing)), None, "the window was long");
        pacing.note(9_000, after(60_900, &pacing));
        assert!(pacing.quiet_until(after(60_900, &pacing)).is_some());
        pacing.note(9_001, after(61_000, &pacing));
        assert!(pacing.quiet_until(after(61_000, &pacing)).is_some(), "it had more than 1,000");
        pacing.note(9_500, after(62_000, &pacing));
        assert_eq!(pacing.quiet_until(after(62_000, &pacing)), None, "it was calm");
    }

    #[test]
    fn a_rate_of_nothing_is_always_reached() {
        let pacing = DeliveryPacing::new(PacingConfig { deliveries_per_second: 0, pause: Duration::MAX / 4 });
        let now = after(60_000, &pacing);
        assert!(pacing.quiet_until(now).is_some());
        pacing.note(0, now);
        assert!(pacing.quiet_until(now).is_some());
    }
}
