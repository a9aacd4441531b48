//! Which time windows of operation records are alive (rule C3).
//!
//! A window is named by the time it was opened, in milliseconds. It takes records for one
//! `operation_ttl`, then a new one is opened; it dies one more `operation_ttl` later, when every
//! record in it is old enough. So a change of the setting, or a clock that goes back, keeps records
//! longer and never loses one early. Not here: the deleting of a dead window's rows (`writer`).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// The windows alive, oldest first, as readers see them. The lock guards only this list and is
/// held for a copy.
#[derive(Clone, Debug, Default)]
pub(super) struct LiveWindows(Arc<Mutex<Arc<[i64]>>>);

impl LiveWindows {
    /// The windows alive now, oldest first.
    pub(super) fn get(&self) -> Arc<[i64]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, windows: &[i64]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = windows.into();
    }
}

/// The writer's own view of the windows.
#[derive(Debug)]
pub(super) struct RecordWindows {
    ttl_ms: i64,
    alive: Vec<i64>,
    published: LiveWindows,
}

impl RecordWindows {
    /// From the windows that have rows, oldest first.
    pub(super) fn new(found: Vec<i64>, ttl: Duration) -> Self {
        let ttl_ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX).max(1);
        let published = LiveWindows::default();
        published.set(&found);
        Self { ttl_ms, alive: found, published }
    }

    /// What readers look at.
    pub(super) fn published(&self) -> LiveWindows {
        self.published.clone()
    }

    /// The window that takes a record made now.
    pub(super) fn current(&mut self, now_ms: i64) -> i64 {
        match self.alive.last() {
            Some(&newest) if now_ms.saturating_sub(newest) < self.ttl_ms => newest,
            _ => {
                self.alive.push(now_ms);
                self.published.set(&self.alive);
                now_ms
            }
        }
    }

    /// The windows before the one that takes records: usually one, or none.
    pub(super) fn earlier(&self) -> &[i64] {
        self.alive.split_last().map_or(&[], |(_, earlier)| earlier)
    }

    /// Lets go of windows whose records are all old enough. True if there were any.
    pub(super) fn retire(&mut self, now_ms: i64) -> bool {
        let ttl_ms = self.ttl_ms;
        let closed_at = |i: usize, alive: &[i64]| match alive.get(i + 1) {
            Some(&next) => next,
            None => alive[i].saturating_add(ttl_ms),
        };
        let mut dead = 0;
        while dead < self.alive.len() && closed_at(dead, &self.alive).saturating_add(ttl_ms) <= now_ms {
            dead += 1;
        }
        if dead > 0 {
            self.alive.drain(..dead);
            self.published.set(&self.alive);
        }
        dead > 0
    }

    /// Rows of windows before this one may be deleted.
    pub(super) fn oldest(&self) -> i64 {
        self.alive.first().copied().unwrap_or(i64::MAX)
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(found: Vec<i64>) -> RecordWindows {
        RecordWindows::new(found, Duration::from_millis(100))
    }

    #[test]
    fn c3_a_record_is_looked_for_at_least_one_ttl() {
        let mut w = windows(vec![]);
        assert_eq!(w.current(1_000), 1_000);
        assert_eq!(w.current(1_099), 1_000);
        assert_eq!(w.current(1_100), 1_100);
        assert_eq!(w.earlier(), [1_000]);
        assert!(!w.retire(1_199), "a record made at 1,099 is 100 ms old at 1,199");
        assert!(w.retire(1_200));
        assert_eq!((w.oldest(), &*w.published().get()), (1_100, &[1_100][..]));
    }

    #[test]
    fn c3_a_clock_that_goes_back_opens_no_window() {
        let mut w = windows(vec![5_000]);
        assert_eq!(w.current(4_000), 5_000);
        assert!(!w.retire(4_000));
    }

    #[test]
    fn c3_the_last_window_dies_without_a_successor() {
        let mut w = windows(vec![1_000]);
        assert!(!w.retire(1_199));
        assert!(w.retire(1_200));
        assert_eq!(w.oldest(), i64::MAX);
    }
}
