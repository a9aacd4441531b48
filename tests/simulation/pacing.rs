//! Pauses of a reader that has everything (decision 0134), in paused time: how long it waits, and for what it doesn't.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use dao_api::{
    live::{Delivery, FollowedGraphs, LiveConfig, PacingConfig, Reader},
    write::{Graphs, GraphsConfig},
};
use dao_projections::{GraphId, Head};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::{durable::Shared, rng::Rng, store::SimStore, upheaval, world::HANG};

const PAUSE: Duration = Duration::from_millis(25);

/// A graph, and one reader of it.
struct Following {
    shared: Arc<Mutex<Shared>>,
    id: GraphId,
    rng: Rng,
    graphs: Arc<Graphs>,
    reader: Reader,
    head: Head,
    /// When it got something last.
    got_at: Instant,
}

impl Following {
    async fn start(deliveries_per_second: u64) -> Self {
        let shared = Arc::<Mutex<Shared>>::default();
        let store = Arc::new(SimStore::new(shared.clone(), Rng::new(1), CancellationToken::new(), 0));
        let graphs = Graphs::new(store, GraphsConfig::default());
        let pacing = PacingConfig { deliveries_per_second, pause: PAUSE };
        let hub = FollowedGraphs::new(graphs.clone(), LiveConfig { pacing, ..LiveConfig::default() });
        let id: GraphId = "g".parse().unwrap();
        graphs.refresh(&id).await.unwrap();
        let reader = Reader::new(graphs.clone(), &hub, &id);
        let (rng, got_at) = (Rng::new(2), Instant::now());
        Self { shared, id, rng, graphs, reader, head: Head::EMPTY, got_at }
    }

    /// So many more commits, which this process has heard of.
    async fn commit(&mut self, count: u64) {
        upheaval::write(&mut self.shared.lock().unwrap(), &self.id, count, &mut self.rng);
        self.graphs.refresh(&self.id).await.unwrap();
    }

    /// Checks that these follow on what it has.
    fn take(&mut self, delivery: Delivery) -> usize {
        let Delivery::Commits(commits) = delivery else { panic!("{delivery:?}") };
        for commit in &commits {
            assert_eq!(self.head.after(&commit.body), commit.commit.head());
            self.head = commit.commit.head();
        }
        commits.len()
    }

    /// How many commits come next, and how long it waits for them.
    async fn next(&mut self) -> (usize, Duration) {
        let start = Instant::now();
        let delivery = timeout(HANG, self.reader.next()).await.expect("it comes").unwrap();
        self.got_at = Instant::now();
        (self.take(delivery), start.elapsed())
    }

    /// The same once a pause is over that began with what it got last: how many there are.
    async fn next_after_pause(&mut self) -> usize {
        let before = self.got_at;
        let (count, _) = self.next().await;
        let waited = self.got_at - before;
        assert!(is_about(waited, PAUSE), "{count} after {waited:?}");
        count
    }
}

/// A timer of a millisecond's grain.
fn is_about(waited: Duration, expected: Duration) -> bool {
    waited >= expected && waited <= expected + Duration::from_millis(2)
}

#[tokio::test(start_paused = true)]
async fn w4_below_the_rate_no_reader_waits() {
    let mut following = Following::start(1_000_000).await;
    for _ in 0..100 {
        following.commit(1).await;
        assert_eq!(following.next().await, (1, Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn w4_above_the_rate_a_reader_gets_all_commits_of_a_pause_at_once() {
    let mut following = Following::start(0).await;
    following.commit(1).await;
    assert_eq!(following.next().await, (1, Duration::ZERO), "it got nothing before");
    following.commit(2).await;
    following.commit(3).await;
    assert_eq!(following.next_after_pause().await, 5);
    tokio::time::sleep(Duration::from_millis(10)).await;
    following.commit(1).await;
    assert_eq!(following.next_after_pause().await, 1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    following.commit(1).await;
    assert_eq!(following.next().await, (1, Duration::ZERO), "the pause was over");
}

#[tokio::test(start_paused = true)]
async fn w4_a_reader_that_is_behind_does_not_wait() {
    let mut following = Following::start(0).await;
    following.commit(200).await;
    let mut total = 0;
    while total < 200 {
        let (count, waited) = following.next().await;
        assert_eq!(waited, Duration::ZERO, "after {total}");
        total += count;
    }
}

#[tokio::test(start_paused = true)]
async fn w4_a_wait_that_is_cancelled_loses_nothing_and_is_no_longer() {
    let mut following = Following::start(0).await;
    following.commit(1).await;
    following.next().await;
    following.commit(2).await;
    let mut given_up = 0;
    let count = loop {
        match timeout(Duration::from_millis(4), following.reader.next()).await {
            Ok(delivery) => break following.take(delivery.unwrap()),
            Err(_elapsed) => given_up += 1,
        }
    };
    let waited = following.got_at.elapsed();
    assert!(count == 2 && given_up > 0 && is_about(waited, PAUSE), "{count}, {given_up}: {waited:?}");
}

#[tokio::test(start_paused = true)]
async fn w9_a_stream_that_ends_is_given_what_its_reader_waits_with() {
    let mut following = Following::start(0).await;
    assert!(following.reader.held().is_empty(), "nothing was held");
    following.commit(1).await;
    following.next().await;
    following.commit(3).await;
    let held = following.reader.held();
    assert_eq!(following.take(Delivery::Commits(held)), 3);
    assert!(following.reader.held().is_empty());
}
