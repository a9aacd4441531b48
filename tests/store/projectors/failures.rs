//! What can't be read, folded or stored stops nothing else.

use std::time::Duration;

use dao_api::{
    project::{self, Stores},
    store::{FeedPlace, ParkedGraph},
};
use dao_projections::{Activity, Catalog, GraphId, Projection, Snapshot, Version};

use super::{Bench, PATIENCE, caught_up, fold_of, grow, id, level, quick};
use crate::support::gate::GatedStore;

#[tokio::test]
async fn an_entry_of_the_feed_that_can_not_be_read_is_said_aloud_and_never_passed_over() {
    let bench = Bench::redis().await;
    let redis = bench.redis.as_ref().unwrap();
    grow(&bench.graphs(), "g", 0, 2).await;
    let part = bench.stores.rows.feed_part(&id("g"));
    redis.command(&["XADD", &format!("dao:{{{part}}}:feed"), "*", "not", "an entry"]);
    let read = bench.stores.rows.feed(part, FeedPlace::START, 10).await;
    let error = read.expect_err("it is told").to_string();
    assert!(error.contains(&format!("part {part} of the feed")), "{error}");
}

#[tokio::test]
async fn a_history_that_can_not_be_folded_is_parked_with_the_reason_and_the_others_go_on() {
    let bench = Bench::redis().await;
    let redis = bench.redis.as_ref().unwrap();
    let graphs = bench.graphs();
    grow(&graphs, "poison", 0, 5).await;
    let key = redis.keys("dao:*graph:poison:events").remove(0);
    redis.command(&["XDEL", &key, "3-0"]);
    let worker = bench.work(&quick("w"));
    grow(&graphs, "fine", 0, 5).await;
    level(&bench, "fine").await;
    let health = caught_up(&bench).await; // nobody waits for it
    assert_eq!(health.parked.len(), 1, "{health:?}");
    assert_eq!((health.parked[0].0.as_str(), health.parked[0].1.version.get()), ("poison", 3));
    assert!(health.parked[0].1.reason.contains("missing"), "{health:?}");
    worker.stop().await;
}

#[tokio::test]
async fn o5_what_a_worker_parked_before_it_died_is_tried_at_once_by_who_takes_its_part_over() {
    for bench in Bench::both().await {
        let (graphs, rows) = (bench.graphs(), &bench.stores.rows);
        grow(&graphs, "g", 0, 3).await;
        let (version, reason) = (Version::new(1).unwrap(), "the store did not answer".to_owned());
        rows.park(&id("g"), Some(&ParkedGraph { version, reason })).await.unwrap();
        // The feed was followed to its end: only what is parked tells of the graph.
        let part = rows.feed_part(&id("g"));
        let end = rows.feed(part, FeedPlace::START, 100).await.unwrap().last().unwrap().place;
        rows.set_place(project::READER, part, end).await.unwrap();
        let worker = bench.work(&quick("next"));
        assert!(level(&bench, "g").await == fold_of(&graphs, "g").await);
        let taken_back = async {
            while !rows.parked().await.unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, taken_back).await.expect("it is not parked any more");
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_waited_for() {
    let mut bench = Bench::redis().await;
    let graphs = bench.graphs();
    let worker = bench.work(&quick("w"));
    grow(&graphs, "g", 0, 10).await;
    level(&bench, "g").await;
    bench.redis.as_mut().unwrap().restart();
    let grown = tokio::time::timeout(PATIENCE, async {
        while graphs.store().check().await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    grown.await.unwrap();
    grow(&graphs, "g", 10, 20).await;
    assert!(level(&bench, "g").await == fold_of(&graphs, "g").await);
    worker.stop().await;
}

/// One graph that the store refuses is parked with the reason, and nobody else waits for it.
#[tokio::test]
async fn o5_a_graph_that_the_store_refuses_is_parked_and_the_others_go_on() {
    let bench = Bench::embedded().await;
    let gated = GatedStore::to(bench.stores.events.clone());
    let stores = Stores { events: gated.clone(), rows: bench.stores.rows.clone() };
    let bench = Bench { stores, ..bench };
    let graphs = bench.graphs();
    grow(&graphs, "refused", 0, 3).await;
    gated.refuse_reads_of(Some("refused"));
    let worker = bench.work(&quick("w"));
    grow(&graphs, "fine", 0, 5).await;
    level(&bench, "fine").await;
    let health = caught_up(&bench).await; // nobody waits for it
    assert_eq!(health.parked.len(), 1, "{health:?}");
    assert_eq!((health.parked[0].0.as_str(), health.parked[0].1.version.get()), ("refused", 1));
    assert!(health.parked[0].1.reason.contains("not this graph"), "{health:?}");
    // The others go on while it is refused, and it is tried again by itself.
    grow(&graphs, "fine", 5, 9).await;
    level(&bench, "fine").await;
    gated.refuse_reads_of(None);
    level(&bench, "refused").await;
    let unparked = tokio::time::timeout(PATIENCE, async {
        while !project::health(&bench.stores).await.unwrap().parked.is_empty() {
            tokio::task::yield_now().await;
        }
    });
    unparked.await.expect("it is parked no more");
    worker.stop().await;
}

/// What SQLite refuses of one graph's rows fails neither the appends nor the rows of others that are written with it.
#[tokio::test]
async fn o5_rows_that_sqlite_refuses_fail_nothing_else_of_their_round() {
    let bench = Bench::embedded().await;
    let graphs = bench.graphs();
    grow(&graphs, "refused", 0, 3).await;
    let path = bench._dir.as_ref().unwrap().path().join("dao.db");
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON projection_row
        WHEN NEW.graph = (SELECT id FROM graph WHERE name = 'refused')
        BEGIN SELECT RAISE(ABORT, 'not these rows'); END";
    rusqlite::Connection::open(&path).unwrap().execute_batch(trigger).unwrap();
    let worker = bench.work(&quick("w"));
    for n in 0..20 {
        grow(&graphs, "fine", 5 * n, 5 * n + 5).await;
    }
    level(&bench, "fine").await;
    let health = caught_up(&bench).await;
    assert_eq!(health.parked.len(), 1, "{health:?}");
    assert!(health.parked[0].1.reason.contains("not these rows"), "{health:?}");
    rusqlite::Connection::open(&path).unwrap().execute_batch("DROP TRIGGER refuse").unwrap();
    level(&bench, "refused").await;
    worker.stop().await;
}

/// What the store refuses of one projection keeps the others from nothing: the graph is in the list.
#[tokio::test]
async fn l2_a_graph_whose_snapshot_can_not_be_kept_is_in_the_list_all_the_same() {
    let bench = Bench::embedded().await;
    let graphs = bench.graphs();
    grow(&graphs, "refused", 0, 3).await;
    let path = bench._dir.as_ref().unwrap().path().join("dao.db");
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON projection_row WHEN NEW.name = 'snapshot'
        BEGIN SELECT RAISE(ABORT, 'no snapshots'); END";
    rusqlite::Connection::open(&path).unwrap().execute_batch(trigger).unwrap();
    let graph: GraphId = "refused".parse().unwrap();
    let to = Version::new(3).unwrap();
    let error = project::fold_graph(&bench.stores, &graph, to, 1_000).await.expect_err("it is told");
    assert!(error.to_string().contains("no snapshots"), "{error}");
    let found = bench.stores.rows.rows(&graph, Snapshot::NAME, &[]).await.unwrap();
    assert_eq!(found.at, None);
    for name in [Catalog::NAME, Activity::NAME] {
        let found = bench.stores.rows.rows(&graph, name, &[]).await.unwrap();
        assert_eq!(found.at.map(|at| at.head.version), Some(to), "{name}");
    }
}
