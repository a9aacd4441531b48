//! Workers that stop, die, share and take over, and reads that wait for them.

use std::time::{Duration, Instant};

use dao_api::{
    project::{self, ProjectorConfig},
    read,
    store::{FeedPlace, embedded},
};
use dao_projections::{Activity, Catalog, Projection, Snapshot, Version};

use super::{Bench, PATIENCE, caught_up, fold_of, grow, id, level, quick};

#[tokio::test]
async fn a_worker_that_stops_writes_the_rows_that_wait() {
    for bench in Bench::both().await {
        let graphs = bench.graphs();
        let patient = ProjectorConfig { busy_interval: Duration::from_secs(3_600), ..quick("w") };
        let worker = bench.work(&patient);
        for turn in 0..8 {
            grow(&graphs, "g", turn, turn + 1).await;
            // The first is folded at once, and the later ones wait for longer and longer.
            if turn == 0 {
                level(&bench, "g").await;
            }
            tokio::time::sleep(patient.interval * 3).await;
        }
        worker.stop().await;
        let head = bench.stores.events.head(&id("g")).await.unwrap();
        for name in [Snapshot::NAME, Activity::NAME, Catalog::NAME] {
            let at = bench.stores.rows.rows(&id("g"), name, &[]).await.unwrap().at;
            assert_eq!(at.map(|at| at.head), Some(head), "{name}");
        }
        assert_eq!(
            project::health(&bench.stores).await.unwrap().lag.commits,
            0,
            "and the place is behind them"
        );
    }
}

#[tokio::test]
async fn h3_a_read_that_waits_to_be_counted_has_one_place_and_two_seconds_for_all() {
    // A disk that is slow to sync has no part in it.
    let bench = Bench::embedded_with(embedded::SyncMode::Interval);
    let (graphs, g, one) = (bench.graphs(), id("g"), Version::new(1).unwrap());
    let start = Instant::now();
    let writing = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        grow(&graphs, "g", 0, 1).await;
    };
    let (waiting, ()) = tokio::join!(read::ActivityWait::begin(&graphs, &g, one), writing);
    let waiting = waiting.unwrap().expect("it is not counted");
    assert!(start.elapsed() >= Duration::from_millis(500));
    let until = waiting.deadline().into_std() - start;
    assert!(until >= Duration::from_secs(2) && until < Duration::from_millis(2_500), "{until:?} for both");
    assert_eq!(waiting.missing(), 1);
    let places: Vec<_> = std::iter::from_fn(|| graphs.place_to_wait().ok()).collect();
    assert_eq!(places.len(), 1_023, "it has one of 1,024");
    drop(places);
    let late = waiting.counted().await;
    assert!(
        matches!(late, Err(read::ReadError::VersionNotReached { current }) if current == Version::EMPTY),
        "{late:?}"
    );
    assert!(start.elapsed() >= until);
    drop(waiting);
    assert_eq!(std::iter::from_fn(|| graphs.place_to_wait().ok()).collect::<Vec<_>>().len(), 1_024);
    project::fold_graph(&bench.stores, &g, one, 100).await.unwrap();
    assert!(read::ActivityWait::begin(&graphs, &g, one).await.unwrap().is_none());
}

#[tokio::test]
async fn a_worker_that_dies_leaves_what_waits_to_the_next() {
    for bench in Bench::both().await {
        let graphs = bench.graphs();
        let patient = ProjectorConfig { busy_interval: Duration::from_secs(3_600), ..quick("first") };
        let worker = bench.work(&patient);
        for turn in 0..8 {
            grow(&graphs, "g", turn, turn + 1).await;
            grow(&graphs, "other", turn, turn + 1).await;
            tokio::time::sleep(patient.interval * 3).await;
        }
        worker.task.abort();
        let _dead = worker.task.await;
        let next = bench.work(&quick("next"));
        for graph in ["g", "other"] {
            assert!(level(&bench, graph).await == fold_of(&graphs, graph).await, "{graph}");
        }
        caught_up(&bench).await;
        next.stop().await;
    }
}

#[tokio::test]
async fn a_batch_that_is_delivered_again_changes_nothing() {
    for bench in Bench::both().await {
        let graphs = bench.graphs();
        let worker = bench.work(&quick("w"));
        grow(&graphs, "g", 0, 23).await;
        let before = level(&bench, "g").await;
        worker.stop().await;
        for part in 0..bench.stores.rows.feed_parts() {
            bench.stores.rows.set_place(project::READER, part, FeedPlace::START).await.unwrap();
        }
        let worker = bench.work(&quick("w"));
        grow(&graphs, "other", 0, 1).await;
        level(&bench, "other").await;
        assert!(level(&bench, "g").await == before);
        caught_up(&bench).await;
        worker.stop().await;
    }
}

#[tokio::test]
async fn two_workers_share_and_one_takes_over_from_one_that_died() {
    let bench = Bench::redis().await;
    let graphs = bench.graphs();
    let (first, second) = (bench.work(&quick("first")), bench.work(&quick("second")));
    let names: Vec<String> = (0..12).map(|n| format!("g{n}")).collect();
    for graph in &names {
        grow(&graphs, graph, 0, 12).await;
    }
    first.task.abort(); // it lets go of nothing
    for graph in &names {
        grow(&graphs, graph, 12, 20).await;
    }
    for graph in &names {
        assert!(level(&bench, graph).await == fold_of(&graphs, graph).await, "{graph}");
    }
    second.stop().await;
}

#[tokio::test]
async fn a_worker_without_the_lease_follows_nothing_until_it_gets_it() {
    let bench = Bench::redis().await;
    let graphs = bench.graphs();
    let rows = &bench.stores.rows;
    for part in 0..rows.feed_parts() {
        assert!(rows.lease(project::READER, part, "another", PATIENCE).await.unwrap());
    }
    grow(&graphs, "g", 0, 5).await;
    let worker = bench.work(&quick("w"));
    // Fifty looks at the feed long: a worker that followed it would have been at its end.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let part = rows.feed_part(&id("g"));
    assert_eq!(rows.place(project::READER, part).await.unwrap(), FeedPlace::START);
    assert_eq!(rows.rows(&id("g"), Snapshot::NAME, &[]).await.unwrap().at, None);
    for part in 0..rows.feed_parts() {
        assert!(rows.lease(project::READER, part, "another", Duration::ZERO).await.unwrap());
    }
    level(&bench, "g").await;
    worker.stop().await;
}
