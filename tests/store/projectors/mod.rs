//! Projector tasks over both stores: rows that are close behind and never wrong, whatever happens.

mod failures;
mod workers;

use std::{sync::Arc, time::Duration};

use dao_api::{
    project::{self, ProjectorConfig, Stores},
    read,
    store::{
        FeedPlace, RowsChange,
        embedded::{self, EmbeddedConfig, EmbeddedStore},
        redis::{RedisConfig, RedisStore},
    },
    write::{Graphs, GraphsConfig, snapshot},
};
use dao_projections::{Activity, Graph, GraphId, Head, Projection, Snapshot, UserId, Version};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{
    gate::{Call, GatedStore},
    redis::RedisServer,
    switch::SwitchedStore,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A store and what keeps it alive.
struct Bench {
    stores: Stores,
    redis: Option<RedisServer>,
    _dir: Option<TempDir>,
}

impl Bench {
    async fn embedded() -> Self {
        Self::embedded_with(embedded::SyncMode::Fsync)
    }

    fn embedded_with(durability: embedded::SyncMode) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let operation_ttl = Duration::from_secs(3_600);
        let config = EmbeddedConfig { dir: dir.path().to_owned(), durability, operation_ttl };
        let store = Arc::new(EmbeddedStore::open(config).unwrap());
        Self { stores: Stores { events: store.clone(), rows: store }, redis: None, _dir: Some(dir) }
    }

    async fn redis() -> Self {
        let redis = RedisServer::start();
        let stores = Self::connect(&redis).await;
        Self { stores, redis: Some(redis), _dir: None }
    }

    async fn connect(redis: &RedisServer) -> Stores {
        let operation_ttl = Duration::from_secs(3_600);
        let config = RedisConfig { partitions: Some(4), ..RedisConfig::at(redis.url(), operation_ttl) };
        let store = Arc::new(RedisStore::connect(config).await.unwrap());
        Stores { events: store.clone(), rows: store }
    }

    async fn both() -> [Self; 2] {
        [Self::embedded().await, Self::redis().await]
    }

    fn graphs(&self) -> Arc<Graphs> {
        let config = GraphsConfig { rows: Some(self.stores.rows.clone()), ..GraphsConfig::default() };
        Graphs::new(self.stores.events.clone(), config)
    }

    fn work(&self, config: &ProjectorConfig) -> Worker {
        let stop = CancellationToken::new();
        let task = tokio::spawn(project::run(self.stores.clone(), config.clone(), stop.clone()));
        Worker { stop, task }
    }
}

struct Worker {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Worker {
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn quick(worker: &str) -> ProjectorConfig {
    let (interval, lease) = (Duration::from_millis(10), Duration::from_secs(1));
    ProjectorConfig {
        worker: worker.to_owned(),
        interval,
        busy_interval: Duration::from_millis(200),
        // Whatever the load is.
        busy_load: 0.0..0.0,
        lease,
        checkpoint_every: 10,
        ..ProjectorConfig::default()
    }
}

fn id(graph: &str) -> GraphId {
    GraphId::parse(graph).unwrap()
}

async fn apply(graphs: &Graphs, graph: &str, name: &str, payload: Value) {
    let user = UserId::parse("ada").unwrap();
    let command = dao_api::http::parse_command(json!({"type": name, "payload": payload}), &user).unwrap();
    graphs.execute(&id(graph), vec![command]).await.unwrap();
}

/// Commits of several kinds, `from..to` of them.
async fn grow(graphs: &Graphs, graph: &str, from: u64, to: u64) {
    for n in from..to {
        match n % 5 {
            3 => {
                let node = format!("n{}", n - 3);
                apply(graphs, graph, "UPDATE_NODE", json!({"nodeId": node, "updates": {"data": {"n": n}}}))
                    .await;
            }
            4 => apply(graphs, graph, "DELETE_NODE", json!({"nodeId": format!("n{}", n - 4)})).await,
            _ => apply(graphs, graph, "CREATE_NODE", json!({"id": format!("n{n}")})).await,
        }
    }
}

/// Waits until the rows of both projections are true of the head, and returns the snapshot.
async fn level(bench: &Bench, graph: &str) -> Graph {
    let head = bench.stores.events.head(&id(graph)).await.unwrap();
    let wait = async {
        for name in [Snapshot::NAME, Activity::NAME] {
            while bench.stores.rows.rows(&id(graph), name, &[]).await.unwrap().at.map(|at| at.head)
                != Some(head)
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("{graph} did not come level with {head:?}"));
    snapshot::load(&*bench.stores.rows, &id(graph)).await.unwrap().expect("a snapshot")
}

/// Waits until everything in the feed is behind the projectors: rows are written before the place.
async fn caught_up(bench: &Bench) -> project::Health {
    let wait = async {
        loop {
            let health = project::health(&bench.stores).await.unwrap();
            if health.lag.commits == 0 {
                break health;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the feed is followed to its end")
}

async fn fold_of(graphs: &Graphs, graph: &str) -> Graph {
    let head = graphs.store().head(&id(graph)).await.unwrap();
    dao_api::write::history_reader::at_version(&**graphs.store(), None, &id(graph), head.version)
        .await
        .unwrap()
}

/// A worker over these stores, within a process that has these graphs.
fn work_beside(graphs: &Arc<Graphs>, stores: Stores) -> Worker {
    let config = ProjectorConfig { memory: Some(graphs.clone()), ..quick("w") };
    let stop = CancellationToken::new();
    Worker { task: tokio::spawn(project::run(stores, config, stop.clone())), stop }
}

#[tokio::test]
async fn commits_in_memory_are_folded_without_asking_the_store() {
    let bench = Bench::embedded().await;
    let (graphs, others) = (bench.graphs(), bench.graphs());
    grow(&graphs, "g", 0, 24).await;
    let store = GatedStore::to(bench.stores.events.clone());
    store.hold(Call::Read);
    let worker = work_beside(&graphs, Stores { events: store.clone(), rows: bench.stores.rows.clone() });

    let folded = level(&bench, "g").await;
    assert_eq!(folded, graphs.refresh(&id("g")).await.unwrap().graph);

    // What is not in this memory is read.
    grow(&others, "h", 0, 4).await;
    store.has_arrived(Call::Read, 1).await;
    store.open();
    level(&bench, "h").await;
    worker.stop().await;
}

#[tokio::test]
async fn v6_memory_of_a_history_that_others_replaced_is_not_folded() {
    let (lost, there) = (Bench::embedded().await, Bench::embedded().await);
    grow(&lost.graphs(), "g", 0, 6).await;
    grow(&there.graphs(), "g", 5, 11).await;
    let switched = SwitchedStore::to(lost.stores.events.clone());
    let graphs = Graphs::new(switched.clone(), GraphsConfig::default());
    graphs.refresh(&id("g")).await.unwrap();
    switched.switch(there.stores.events.clone());

    let worker = work_beside(&graphs, Stores { events: switched, rows: there.stores.rows.clone() });
    let folded = level(&there, "g").await;
    assert_eq!(folded, there.graphs().refresh(&id("g")).await.unwrap().graph);
    worker.stop().await;
}

#[tokio::test]
async fn snapshots_follow_the_log_and_are_its_fold() {
    for bench in Bench::both().await {
        let graphs = bench.graphs();
        grow(&graphs, "before", 0, 25).await;
        let worker = bench.work(&quick("w"));
        for graph in ["a", "b"] {
            grow(&graphs, graph, 0, 33).await;
        }
        for graph in ["before", "a", "b"] {
            assert!(level(&bench, graph).await == fold_of(&graphs, graph).await, "{graph}");
        }
        let rows = bench.stores.rows.all_rows(&id("a"), Activity::NAME).await.unwrap().unwrap().1;
        let counts: u64 = rows.iter().map(|(key, row)| Activity::decode(key, row).unwrap()).sum();
        assert_eq!(counts, 33, "an event each");
        assert_eq!(caught_up(&bench).await.parked, vec![]);
        worker.stop().await;
        graphs.close().await;
    }
}

#[tokio::test]
async fn a_cold_start_begins_with_the_snapshot_and_old_versions_with_a_checkpoint() {
    for bench in Bench::both().await {
        let graphs = bench.graphs();
        let worker = bench.work(&quick("w"));
        grow(&graphs, "g", 0, 57).await;
        level(&bench, "g").await;
        worker.stop().await;
        grow(&graphs, "g", 57, 60).await;
        let again = bench.graphs();
        let view = again.refresh(&id("g")).await.unwrap();
        assert!(view.graph == fold_of(&graphs, "g").await);
        let hot = again.hot(&id("g"));
        assert!(hot.commits_since(Version::new(57).unwrap(), 10).is_some(), "the tail was read");
        assert!(
            hot.commits_since(Version::new(56).unwrap(), 10).is_none(),
            "what the snapshot holds was not"
        );
        for n in [1, 9, 10, 11, 29, 30, 45, 57, 59] {
            let version = Version::new(n).unwrap();
            let found = bench.stores.rows.checkpoint(&id("g"), version).await.unwrap();
            assert_eq!(
                found.map(|(head, _)| head.version.get()),
                Some(n / 10 * 10).filter(|n| *n > 0),
                "{n}"
            );
            let there = read::at_version(&again, &id("g"), version).await.unwrap();
            let plain =
                dao_api::write::history_reader::at_version(&*bench.stores.events, None, &id("g"), version)
                    .await
                    .unwrap();
            assert!(there.view.graph == plain, "at {n}");
        }
    }
}

#[tokio::test]
async fn rows_that_were_deleted_or_belong_to_nothing_are_made_anew() {
    for bench in Bench::both().await {
        let graphs = bench.graphs();
        let worker = bench.work(&quick("w"));
        grow(&graphs, "g", 0, 20).await;
        level(&bench, "g").await;
        // As if somebody had written other rows, true of a head that never was.
        let found = bench.stores.rows.rows(&id("g"), Snapshot::NAME, &[]).await.unwrap().at.unwrap();
        let elsewhere = Head { hash: found.head.hash.chain(b"another history"), ..found.head };
        let to = dao_api::store::RowsHead { head: elsewhere, format: found.format };
        let rows = vec![("node:ghost".to_owned(), Some(bytes::Bytes::from_static(b"no row")))];
        let change = RowsChange { from: Some(found), to, replaces: true, rows, listing: None };
        assert!(bench.stores.rows.change_rows(&id("g"), Snapshot::NAME, change).await.unwrap());
        let cold = bench.graphs();
        assert!(
            cold.refresh(&id("g")).await.unwrap().graph == fold_of(&graphs, "g").await,
            "it is not believed"
        );
        grow(&graphs, "g", 20, 25).await;
        assert!(level(&bench, "g").await == fold_of(&graphs, "g").await);
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_rebuild_while_everything_goes_on_gives_the_same_rows() {
    for bench in Bench::both().await {
        let graphs = bench.graphs();
        let worker = bench.work(&quick("w"));
        grow(&graphs, "g", 0, 40).await;
        let writing = tokio::spawn({
            let graphs = graphs.clone();
            async move { grow(&graphs, "g", 40, 80).await }
        });
        let mut heard = 0;
        let rebuilt =
            project::rebuild(&bench.stores, &id("g"), None, |commits| heard += commits).await.unwrap();
        assert!((40..=80).contains(&rebuilt.commits), "each commit counts once: {rebuilt:?}");
        assert!(heard >= 80, "progress is that of two projections: {heard}");
        writing.await.unwrap();
        assert!(level(&bench, "g").await == fold_of(&graphs, "g").await);
        worker.stop().await;
    }
}

#[tokio::test]
async fn what_is_projected_and_old_goes_from_the_feed_and_numbers_go_on() {
    for bench in Bench::both().await {
        let graphs = bench.graphs();
        grow(&graphs, "g", 0, 10).await;
        let rows = &bench.stores.rows;
        let part = rows.feed_part(&id("g"));
        let end = rows.feed_bounds(part).await.unwrap().end;
        let far = rows.feed_place_at(part, u64::MAX / 2).await.unwrap();
        assert!(far >= end, "all of it is older than the far future");
        assert!(
            rows.feed_place_at(part, 1).await.unwrap()
                < rows.feed(part, FeedPlace::START, 1).await.unwrap()[0].place
        );
        rows.trim_feed(part, end).await.unwrap();
        let bounds = rows.feed_bounds(part).await.unwrap();
        assert_eq!((bounds.trimmed, bounds.end), (end, end));
        assert_eq!(rows.feed(part, FeedPlace::START, 10).await.unwrap(), vec![]);
        grow(&graphs, "g", 10, 11).await;
        let left = rows.feed(part, end, 10).await.unwrap();
        assert_eq!(left.len(), 1);
        assert!(left[0].place > end);
    }
}
