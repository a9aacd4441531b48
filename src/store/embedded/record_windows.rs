//! Which time windows of operation records are alive (rule C3).
//!
//! A window is named by the time it was opened, in milliseconds. It takes records for one `operation_ttl`, or until it is
//! full, then a new one is opened; it dies one `operation_ttl` after that, when every record in it is old enough. A new one is
//! named no earlier than the latest record that was seen, and one of an earlier process ends no earlier than this one began.
//! So a change of the setting, or a clock that goes back, keeps records longer and never loses one early. The time of a record
//! is that of its round.
//!
//! Records of random ids fall anywhere among those of their window. In a small one those of one move share pages; among
//! millions each would have a page to itself. But a look-up asks each window, so the more are alive, the larger new ones are.
//! Not here: the deleting of a dead window's rows (`moving`).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// Records after which a window is full, where few are alive: about ten megabytes.
const RECORDS_MAX: usize = 131_072;
/// With each further so many windows alive a new one is twice as large.
const DOUBLED_AFTER: usize = 8;
/// How often it doubles at most.
const DOUBLED_MAX: usize = 9;

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

/// The tables thread's own view of the windows.
#[derive(Debug)]
pub(super) struct RecordWindows {
    ttl_ms: i64,
    alive: Vec<i64>,
    /// Records that the newest has got from this process: one of an earlier process may become that much larger.
    records: usize,
    /// No record in these is of a later time.
    latest_ms: i64,
    published: LiveWindows,
}

impl RecordWindows {
    /// From the windows that have rows, oldest first, whose records were made before `now_ms`.
    pub(super) fn new(found: Vec<i64>, ttl: Duration, now_ms: i64) -> Self {
        let ttl_ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX).max(1);
        let published = LiveWindows::default();
        published.set(&found);
        Self { ttl_ms, alive: found, records: 0, latest_ms: now_ms, published }
    }

    /// What readers look at.
    pub(super) fn published(&self) -> LiveWindows {
        self.published.clone()
    }

    /// The window that takes records of which the latest was made then.
    pub(super) fn current(&mut self, made_ms: i64) -> i64 {
        self.latest_ms = self.latest_ms.max(made_ms);
        let newest = self.alive.last().copied();
        let is_open =
            |newest: &i64| made_ms.saturating_sub(*newest) < self.ttl_ms && self.records < self.records_max();
        if let Some(newest) = newest.filter(is_open) {
            return newest;
        }
        let next = newest.map_or(self.latest_ms, |newest| self.latest_ms.max(newest.saturating_add(1)));
        self.alive.push(next);
        self.records = 0;
        self.published.set(&self.alive);
        next
    }

    /// So many records are in the newest.
    pub(super) fn count(&mut self, records: usize) {
        self.records += records;
    }

    fn records_max(&self) -> usize {
        RECORDS_MAX << (self.alive.len() / DOUBLED_AFTER).min(DOUBLED_MAX)
    }

    /// Lets go of windows whose records are all old enough. True if there were any.
    pub(super) fn retire(&mut self, now_ms: i64) -> bool {
        let (ttl_ms, latest_ms) = (self.ttl_ms, self.latest_ms);
        let closed_at = |i: usize, alive: &[i64]| match alive.get(i + 1) {
            Some(&next) => next,
            None => alive[i].saturating_add(ttl_ms).max(latest_ms),
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
        RecordWindows::new(found, Duration::from_millis(100), 0)
    }

    #[test]
    fn c3_a_record_is_looked_for_at_least_one_ttl() {
        let mut w = windows(vec![]);
        assert_eq!(w.current(1_000), 1_000);
        assert_eq!(w.current(1_099), 1_000);
        assert_eq!(w.current(1_100), 1_100);
        assert_eq!(&*w.published().get(), &[1_000, 1_100]);
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
    fn c3_a_full_window_is_followed_by_another_one() {
        let mut w = windows(vec![]);
        w.current(1_000);
        w.count(RECORDS_MAX - 1);
        assert_eq!(w.current(1_001), 1_000);
        w.count(16_384);
        assert_eq!(w.current(1_002), 1_002);
        assert_eq!(w.current(1_003), 1_002, "what could not be moved counts for nothing");
        assert!(!w.retire(1_101), "a record made at 1,001 is 100 ms old at 1,101");
        assert!(w.retire(1_102));
        assert_eq!(w.oldest(), 1_002);
    }

    #[test]
    fn c3_a_full_window_ends_after_its_latest_record_also_where_the_clock_goes_back() {
        let mut w = windows(vec![]);
        assert_eq!((w.current(1_000), w.current(1_090)), (1_000, 1_000));
        w.count(RECORDS_MAX);
        assert_eq!(w.current(1_020), 1_090);
        w.count(RECORDS_MAX);
        assert_eq!(w.current(1_020), 1_091, "two windows have two names");
        assert!(!w.retire(1_189));
        assert!(w.retire(1_190));
    }

    #[test]
    fn c3_records_of_an_earlier_process_are_kept_as_long_as_any_where_the_setting_is_smaller() {
        // Opened at 1,000 where it took records for longer. The process began at 9,000.
        let mut w = RecordWindows::new(vec![1_000], Duration::from_millis(100), 9_000);
        assert!(!w.retire(9_099));
        assert!(w.retire(9_100));
    }

    #[test]
    fn c3_the_last_window_dies_without_a_successor() {
        let mut w = windows(vec![1_000]);
        assert!(!w.retire(1_199));
        assert!(w.retire(1_200));
        assert_eq!(w.oldest(), i64::MAX);
    }

    #[test]
    fn windows_are_larger_where_many_are_alive() {
        let mut w = RecordWindows::new(vec![], Duration::from_secs(86_400), 0);
        let (mut records, mut at) = (0, 1_000);
        while records < 200_000_000 {
            w.current(at);
            w.count(16_384);
            (records, at) = (records + 16_384, at + 1);
        }
        let alive = w.published().get().len();
        assert!((50..=70).contains(&alive), "{alive} windows");
    }
}
