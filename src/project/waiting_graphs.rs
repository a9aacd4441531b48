//! Graphs that the feed told of and whose rows are not written yet. A graph under steady work is folded less often, so
//! that what changes again and again is written once.
//!
//! Invariants:
//! - The place in the feed that is kept is before every entry whose graph still waits.
//! - A graph that nobody worked on for a while never waits. One that is worked on waits at most as long as [`Pauses`]
//!   say, or until so many commits came together.
//! - It is bounded: with more graphs than [`GRAPHS_MAX`], none waits any longer.
//!
//! Not here: how they are folded ([`super::fold`]), and what becomes of one that can't be ([`super::failing_graphs`]).

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use dao_projections::{GraphId, Version};
use tokio::time::Instant;

use crate::store::{FeedEntry, FeedPlace};

/// Commits of a graph that wait together; with more, it is folded at once. What is in the memory of a hot graph reaches
/// twice as far back.
const COMMITS_MAX: u64 = 500;
/// Graphs that wait; with more, all are folded at once.
const GRAPHS_MAX: usize = 4_096;
/// Graphs that are remembered as folded lately; with more, all are forgotten, and wait for nothing the next time.
const FOLDED_MAX: usize = 65_536;

/// The graphs of one part of the feed.
#[derive(Default)]
pub(super) struct WaitingGraphs {
    waiting: BTreeMap<GraphId, Waiting>,
    folded: HashMap<GraphId, Folded>,
}

/// A graph that waits.
struct Waiting {
    /// Up to where the feed told of it.
    to: Version,
    /// How many commits wait.
    commits: u64,
    /// The place in the feed before the first entry that waits.
    before: FeedPlace,
}

/// How long a graph waits between two folds.
#[derive(Clone, Copy)]
pub(super) struct Pauses {
    /// After the first time.
    pub(super) first: Duration,
    /// However long it is worked on. It is less once the worker has less to do.
    pub(super) max: Duration,
}

/// When a graph was folded last.
struct Folded {
    at: Instant,
    /// How long it waits before the next time: doubled as long as it is worked on.
    pause: Duration,
}

impl WaitingGraphs {
    /// The feed tells of these commits; `before` is the place before the entry.
    pub(super) fn add(&mut self, entry: &FeedEntry, before: FeedPlace) {
        let waiting = self.waiting.entry(entry.graph.clone());
        let waiting = waiting.or_insert(Waiting { to: Version::EMPTY, commits: 0, before });
        waiting.commits += entry.to.since(entry.from) + 1;
        waiting.to = match entry.purged.is_some() {
            // What stands before a purge is of a history that is gone.
            true => Version::EMPTY,
            false => entry.to.max(waiting.to),
        };
        if entry.purged.is_some() {
            self.folded.remove(&entry.graph);
        }
    }

    /// Its rows are level with what the feed told of, or need not be.
    pub(super) fn done(&mut self, graph: &GraphId) {
        self.waiting.remove(graph);
    }

    /// Graphs that are to be folded now, and up to where. They wait until they are [`done`](Self::done).
    pub(super) fn due(&self, pauses: Pauses, now: Instant) -> Vec<(GraphId, Version)> {
        let is_crowded = self.waiting.len() > GRAPHS_MAX;
        let is_due = |(graph, waiting): &(&GraphId, &Waiting)| {
            is_crowded
                || waiting.commits >= COMMITS_MAX
                || self
                    .folded
                    .get(*graph)
                    .is_none_or(|folded| folded.at + folded.pause.min(pauses.max) <= now)
        };
        self.waiting.iter().filter(is_due).map(|(graph, waiting)| (graph.clone(), waiting.to)).collect()
    }

    /// All that wait, and up to where they are to be folded.
    pub(super) fn all(&self) -> Vec<(GraphId, Version)> {
        self.waiting.iter().map(|(graph, waiting)| (graph.clone(), waiting.to)).collect()
    }

    /// A graph was folded: it waits before the next time, longer each time as long as it is worked on, up to the longest.
    pub(super) fn folded(&mut self, graph: GraphId, pauses: Pauses, now: Instant) {
        if self.folded.len() >= FOLDED_MAX {
            self.folded.clear();
        }
        let pause = self.folded.get(&graph).map_or(pauses.first, |folded| folded.pause * 2);
        let pause = pause.min(pauses.max);
        self.folded.insert(graph, Folded { at: now, pause });
    }

    /// Forgets graphs that nobody worked on for as long again as they would have waited.
    pub(super) fn forget_idle(&mut self, now: Instant) {
        let waiting = &self.waiting;
        self.folded.retain(|graph, folded| folded.at + folded.pause * 2 > now || waiting.contains_key(graph));
    }

    /// The place that may be kept, where the feed was read up to `read`: nothing after it is lost if this ends now.
    pub(super) fn place(&self, read: FeedPlace) -> FeedPlace {
        self.waiting.values().map(|waiting| waiting.before).min().map_or(read, |before| before.min(read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: Duration = Duration::from_secs(2);

    const PAUSES: Pauses = Pauses { first: Duration::from_millis(100), max: BUSY };

    fn id(graph: &str) -> GraphId {
        GraphId::parse(graph).expect("a graph id")
    }

    fn place(number: u64) -> FeedPlace {
        FeedPlace { major: number, minor: 0 }
    }

    /// The entry of these commits, at the place of the last one.
    fn entry(graph: &str, from: u64, to: u64) -> FeedEntry {
        let version = |number| Version::new(number).expect("a version");
        let (from, to, place) = (version(from), version(to), place(to));
        FeedEntry { place, graph: id(graph), from, to, at_ms: 0, purged: None }
    }

    fn due(waiting: &WaitingGraphs, now: Instant) -> Vec<(String, u64)> {
        let due = waiting.due(PAUSES, now).into_iter();
        due.map(|(graph, to)| (graph.as_str().to_owned(), to.get())).collect()
    }

    /// Folds all that is due, and says how many that were.
    fn fold(waiting: &mut WaitingGraphs, now: Instant) -> usize {
        let due = waiting.due(PAUSES, now);
        for (graph, _) in &due {
            waiting.done(graph);
            waiting.folded(graph.clone(), PAUSES, now);
        }
        waiting.forget_idle(now);
        due.len()
    }

    #[test]
    fn a_graph_that_nobody_worked_on_is_folded_at_once_and_a_busy_one_less_and_less_often() {
        let (mut waiting, start) = (WaitingGraphs::default(), Instant::now());
        let mut folded_at = vec![];
        // A commit every 10 ms for 20 seconds, and a look every 100 ms.
        for tick in 0..2_000_u64 {
            waiting.add(&entry("busy", tick + 1, tick + 1), place(tick));
            let now = start + Duration::from_millis(tick * 10);
            if tick % 10 == 0 && fold(&mut waiting, now) > 0 {
                folded_at.push(tick * 10);
            }
        }
        assert_eq!(folded_at[..6], [0, 100, 300, 700, 1_500, 3_100]);
        assert!(
            folded_at[5..].windows(2).all(|two| two[1] - two[0] == BUSY.as_millis() as u64),
            "{folded_at:?}"
        );
        assert_eq!(folded_at.len(), 14, "of 200 looks");
        let later = start + Duration::from_secs(60);
        assert_eq!(fold(&mut waiting, later), 1);
        waiting.forget_idle(later + 3 * BUSY);
        assert!(waiting.folded.is_empty());
        waiting.add(&entry("busy", 2_001, 2_001), place(2_000));
        assert_eq!(due(&waiting, later + 3 * BUSY), [("busy".to_owned(), 2_001)]);
    }

    #[test]
    fn a_busy_graph_waits_no_longer_once_the_worker_has_less_to_do() {
        let (mut waiting, mut now) = (WaitingGraphs::default(), Instant::now());
        for turn in 1..20 {
            waiting.add(&entry("g", turn, turn), place(turn));
            fold(&mut waiting, now);
            now += BUSY;
        }
        waiting.add(&entry("g", 20, 20), place(20));
        fold(&mut waiting, now);
        waiting.add(&entry("g", 21, 21), place(21));
        let soon = now + 2 * PAUSES.first;
        assert!(due(&waiting, soon).is_empty());
        let light = Pauses { max: PAUSES.first, ..PAUSES };
        assert_eq!(waiting.due(light, soon).len(), 1);
    }

    #[test]
    fn a_graph_with_many_commits_waits_no_longer() {
        let (mut waiting, now) = (WaitingGraphs::default(), Instant::now());
        waiting.add(&entry("g", 1, 1), place(0));
        fold(&mut waiting, now);
        waiting.add(&entry("g", 2, COMMITS_MAX), place(1));
        assert!(due(&waiting, now).is_empty());
        waiting.add(&entry("g", COMMITS_MAX + 1, COMMITS_MAX + 1), place(COMMITS_MAX));
        assert_eq!(due(&waiting, now), [("g".to_owned(), COMMITS_MAX + 1)]);
    }

    #[test]
    fn the_place_that_is_kept_is_before_all_that_waits() {
        let (mut waiting, now) = (WaitingGraphs::default(), Instant::now());
        assert_eq!(waiting.place(place(7)), place(7));
        waiting.add(&entry("a", 1, 1), place(0));
        fold(&mut waiting, now);
        waiting.add(&entry("a", 2, 3), place(1));
        waiting.add(&entry("b", 4, 4), place(3));
        waiting.add(&entry("a", 5, 5), place(4));
        assert_eq!(waiting.place(place(5)), place(1));
        assert_eq!(fold(&mut waiting, now), 1, "b, which is new");
        assert_eq!(waiting.place(place(5)), place(1));
        assert_eq!(waiting.all(), [(id("a"), Version::new(5).expect("a version"))]);
        waiting.done(&id("a"));
        assert_eq!(waiting.place(place(5)), place(5));
    }

    #[test]
    fn what_waits_is_bounded() {
        let (mut waiting, now) = (WaitingGraphs::default(), Instant::now());
        for turn in 0..2 {
            for number in 0..GRAPHS_MAX {
                waiting.add(&entry(&format!("g{number}"), 1, 1), place(number as u64));
            }
            assert_eq!(fold(&mut waiting, now), if turn == 0 { GRAPHS_MAX } else { 0 });
        }
        waiting.add(&entry("one-more", 1, 1), place(0));
        assert_eq!(fold(&mut waiting, now), GRAPHS_MAX + 1, "a crowd waits no longer");
        for number in 0..2 * FOLDED_MAX {
            waiting.folded(id(&format!("g{number}")), PAUSES, now);
            assert!(waiting.folded.len() <= FOLDED_MAX);
        }
    }

    #[test]
    fn a_purged_graph_waits_for_nothing() {
        let (mut waiting, now) = (WaitingGraphs::default(), Instant::now());
        waiting.add(&entry("g", 1, 3), place(0));
        fold(&mut waiting, now);
        let purge = FeedEntry { purged: Some(dao_projections::Hash::EMPTY), ..entry("g", 3, 3) };
        waiting.add(&purge, place(3));
        assert_eq!(due(&waiting, now), [("g".to_owned(), 0)]);
        waiting.add(&entry("g", 1, 1), place(4));
        assert_eq!(due(&waiting, now), [("g".to_owned(), 1)], "of the history that began anew");
    }
}
