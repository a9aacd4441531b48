//! How long to wait before connecting again.

use std::time::Duration;

/// The first wait is at most this.
const FIRST: Duration = Duration::from_millis(250);
/// The longest wait.
const MAX: Duration = Duration::from_secs(15);

/// Delays that double with each failure, each shortened at random by up to half: clients that lost one server at once
/// don't reconnect at once.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure; `chance` is any random number.
    pub(super) fn wait(&mut self, chance: u32) -> Duration {
        let longest = FIRST.saturating_mul(1 << self.failures.min(16)).min(MAX);
        self.failures = self.failures.saturating_add(1);
        longest / 2 + (longest / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX))
    }

    /// The connection works: the next delay is short again.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_start_again_after_a_success() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..40).map(|_| backoff.wait(u32::MAX)).collect();
        assert_eq!(waits[..3], [FIRST, FIRST * 2, FIRST * 4]);
        assert_eq!(waits[39], MAX);
        backoff.succeeded();
        assert_eq!(backoff.wait(u32::MAX), FIRST);
    }

    #[test]
    fn chance_takes_up_to_half_of_a_wait() {
        let wait = |chance| Backoff::default().wait(chance);
        assert_eq!((wait(0), wait(u32::MAX)), (FIRST / 2, FIRST));
        assert!((FIRST / 2..FIRST).contains(&wait(12_345)));
    }
}
