//! How many commits a second a worker is told of, and how long the rows of busy graphs may wait for that: writing rows
//! less often is worth its delay only where it saves much.
//!
//! Not here: which graphs are busy ([`super::waiting_graphs`]).

use std::{sync::Mutex, time::Duration};

use tokio::time::Instant;

use super::ProjectorConfig;

/// Over how long commits are counted.
const PERIOD: Duration = Duration::from_millis(500);

/// The load of one worker, over all its parts of the feed.
pub(super) struct Load(Mutex<Count>);

struct Count {
    since: Instant,
    commits: u64,
    /// Commits a second in the period before.
    rate: f64,
}

impl Count {
    /// Begins a new period if this one is over.
    fn turn(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= PERIOD {
            *self = Self { since: now, commits: 0, rate: self.commits as f64 / elapsed.as_secs_f64() };
        }
    }
}

impl Load {
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(Count { since: now, commits: 0, rate: 0.0 }))
    }

    /// The feed told of so many commits.
    pub(super) fn add(&self, commits: u64, now: Instant) {
        let mut count = self.count();
        count.turn(now);
        count.commits += commits;
    }

    /// How long a busy graph waits at most: up to the lower load until the next look at the feed, with the higher one
    /// for as long as it may.
    pub(super) fn pause_max(&self, config: &ProjectorConfig, now: Instant) -> Duration {
        let mut count = self.count();
        count.turn(now);
        let (light, heavy) = (config.busy_load.start, config.busy_load.end);
        let part = if count.rate >= heavy { 1.0 } else { ((count.rate - light) / (heavy - light)).max(0.0) };
        config.interval + config.busy_interval.saturating_sub(config.interval).mul_f64(part)
    }

    fn count(&self) -> std::sync::MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_commits_the_longer_rows_may_wait() {
        let config = ProjectorConfig::default();
        let start = Instant::now();
        for (rate, expected_ms) in [(0, 100), (1_300, 100), (2_000, 100), (6_000, 1_050), (13_000, 2_000)] {
            let load = Load::new(start);
            for tenth in 1..=20 {
                load.add(rate / 10, start + tenth * Duration::from_millis(100));
            }
            let pause = load.pause_max(&config, start + Duration::from_millis(2_050));
            let apart = pause.as_millis().abs_diff(expected_ms);
            assert!(apart <= 150, "{rate}/s: {pause:?}");
            // A worker that is told of nothing more lets rows wait for nothing again.
            let later = start + Duration::from_secs(60);
            load.pause_max(&config, later);
            assert_eq!(load.pause_max(&config, later + PERIOD), config.interval);
        }
    }
}
