//! Purging a graph leaves nothing of it, on both stores (rule L10); and what is told of operations of all graphs (rule A1).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use dao_api::{
    domain::Limits,
    http::parse_command,
    live::{AllGraphs, DeliverySettings, PurgeEnding, Purger, SubscriptionName, Subscriptions},
    store::{
        Append, EventStore, FeedPlace, ListOrder, ListQuery, ListSort, Listing, Order, ParkedGraph,
        ProjectionStore, Purge, PurgeRequest, Purging, RefusalPlace, RowsChange, RowsHead, StoreError,
        embedded::{EmbeddedConfig, EmbeddedStore, SyncMode},
        redis::{RedisConfig, RedisStore},
    },
    write::{Graphs, GraphsConfig},
};
use dao_projections::{GraphId, Head, ListKeys};
use serde_json::json;

use crate::support::{
    history::{accepted, accepted_all, found, graph, grow, operation, record, refused, refused_at, version},
    redis::RedisServer,
};

const OPERATION_TTL: Duration = Duration::from_secs(3_600);

async fn on_redis(server: &RedisServer) -> RedisStore {
    let config = RedisConfig { partitions: Some(2), ..RedisConfig::at(server.url(), OPERATION_TTL) };
    RedisStore::connect(config).await.expect("connect")
}

fn on_disk(dir: &std::path::Path) -> EmbeddedStore {
    let config =
        EmbeddedConfig { dir: dir.to_owned(), durability: SyncMode::Fsync, operation_ttl: OPERATION_TTL };
    EmbeddedStore::open(config).expect("open")
}

fn request(expected: Head) -> PurgeRequest {
    request_by(9_999, expected)
}

fn request_by(n: u128, expected: Head) -> PurgeRequest {
    PurgeRequest { expected, operation: operation(n), fingerprint: [7; 8] }
}

/// A graph in the trash that may be purged from this time on, in lists.
fn due_from(purge_after_ms: u64) -> Option<Listing> {
    let keys = ListKeys { updated: "5".to_owned(), created: "1".to_owned(), title: "t".to_owned() };
    Some(Listing { keys, purge_after_ms: Some(purge_after_ms), row: Bytes::from_static(b"row") })
}

/// A graph with commits, refusals, rows, a checkpoint, a place in lists, and a reason why it is parked.
async fn whole(store: &(impl EventStore + ProjectionStore), g: &GraphId) -> Head {
    let head = grow(store, g, Head::EMPTY, 0..5).await;
    store.append(g, head, &[refused_at(100, head.version), refused_at(101, head.version)]).await.unwrap();
    let listing = due_from(1_000);
    let (at, rows) = (RowsHead { head, format: 1 }, vec![("k".to_owned(), Some(Bytes::from_static(b"v")))]);
    for (projection, listing) in [("catalog", listing), ("snapshot", None), ("activity", None)] {
        let change = RowsChange { from: None, to: at, replaces: false, rows: rows.clone(), listing };
        assert!(store.change_rows(g, projection, &change).await.unwrap());
    }
    store.put_checkpoint(g, head, Bytes::from_static(b"state")).await.unwrap();
    let parked = ParkedGraph { version: version(1), reason: "a test".to_owned() };
    store.park(g, Some(&parked)).await.unwrap();
    head
}

async fn listed(store: &impl ProjectionStore) -> Vec<String> {
    let query = ListQuery {
        sort: ListSort::Updated,
        order: ListOrder::Descending,
        prefix: String::new(),
        after: None,
        limit: 100,
    };
    store.list(&query).await.unwrap().places.iter().map(|place| place.graph.to_string()).collect()
}

/// What is to be swept, by name.
async fn names(store: &impl ProjectionStore) -> Vec<Option<GraphId>> {
    store.purging().await.unwrap().into_iter().map(|purging| purging.graph).collect()
}

async fn sweep(store: &impl ProjectionStore) {
    for purging in store.purging().await.unwrap() {
        while store.sweep(&purging).await.unwrap() {}
    }
}

/// All places among refusals of a version.
fn everywhere(head: Head) -> (RefusalPlace, RefusalPlace) {
    (RefusalPlace::before(version(0)), RefusalPlace::after(head.version))
}

async fn nothing_is_left(store: &(impl EventStore + ProjectionStore)) {
    let (g, other) = (graph("team.g"), graph("team.h"));
    let head = whole(store, &g).await;
    let other_head = grow(store, &other, Head::EMPTY, 0..3).await;
    assert_eq!(store.due_for_purge(1_000, 0, 10).await.unwrap(), [], "not before its time");
    assert_eq!(store.due_for_purge(1_001, 0, 10).await.unwrap(), std::slice::from_ref(&g));
    assert_eq!(store.due_for_purge(1_001, 1, 10).await.unwrap(), []);

    let stale = request(Head { version: version(4), ..head });
    assert_eq!(store.purge(&g, &stale).await.unwrap(), Purge::HeadMoved);
    assert_eq!(store.head(&g).await.unwrap(), head, "nothing was done");
    assert_eq!(store.gone(&g).await.unwrap(), None);
    assert_eq!(store.purged_by(&g, operation(9_999)).await.unwrap(), None);

    assert_eq!(store.purge(&g, &request(head)).await.unwrap(), Purge::Purged);
    assert_eq!(store.head(&g).await.unwrap(), Head::EMPTY);
    assert_eq!(names(store).await, [Some(g.clone())]);
    sweep(store).await;
    assert_eq!(store.purging().await.unwrap(), []);
    assert_eq!(store.read(&g, version(0), version(9), 9).await.unwrap(), []);
    let ids: Vec<_> = (0..5).chain([100, 101]).map(operation).collect();
    assert_eq!(store.operations(&g, &ids).await.unwrap(), vec![None; ids.len()]);
    assert_eq!(store.refusals(&g, everywhere(head), Order::OldestFirst, 9).await.unwrap(), []);
    for projection in ["catalog", "snapshot", "activity"] {
        assert_eq!(store.all_rows(&g, projection).await.unwrap(), None, "{projection}");
    }
    assert_eq!(store.checkpoint(&g, version(9)).await.unwrap(), None);
    assert_eq!(store.parked().await.unwrap(), []);
    assert_eq!(listed(store).await, Vec::<String>::new());
    assert_eq!(store.list_rows(std::slice::from_ref(&g)).await.unwrap(), [None]);
    assert_eq!(store.due_for_purge(u64::MAX >> 1, 0, 10).await.unwrap(), []);
    assert_eq!(store.graphs(None, 10).await.unwrap(), std::slice::from_ref(&other));

    // The feed tells of the purge, and of nothing before it.
    let part = store.feed_part(&g);
    let entries = store.feed(part, FeedPlace::START, 100).await.unwrap();
    let of_g: Vec<_> = entries.iter().filter(|entry| entry.graph == g).collect();
    assert_eq!((of_g.len(), of_g[0].to, of_g[0].purged), (1, head.version, Some(head.hash)), "{entries:?}");
    assert_eq!(store.refused_before(part, FeedPlace::END, 10).await.unwrap(), []);
    let gone = store.gone(&g).await.unwrap().expect("what is left");
    assert_eq!((gone.head, gone.operation, gone.fingerprint), (head, operation(9_999), [7; 8]));
    assert_eq!(gone.place, of_g[0].place);
    assert_eq!(store.purged_by(&g, operation(9_999)).await.unwrap(), Some(gone));

    // The name is free, and so are the operation ids; and another graph has lost nothing.
    let again = grow(store, &g, Head::EMPTY, [3, 2]).await;
    assert_eq!(store.head(&g).await.unwrap(), again);
    assert_eq!(store.operations(&g, &ids[3..4]).await.unwrap(), [Some(record(3))]);
    assert_eq!(store.head(&other).await.unwrap(), other_head);
    assert_eq!(store.operations(&other, &ids[..1]).await.unwrap(), [Some(record(0))]);
    let entries = store.feed(part, FeedPlace::START, 100).await.unwrap();
    let of_g: Vec<_> = entries.iter().filter(|entry| entry.graph == g).map(|e| e.purged.is_some()).collect();
    assert_eq!(of_g, [true, false]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_nothing_of_a_purged_graph_is_left_embedded() {
    let dir = tempfile::tempdir().unwrap();
    nothing_is_left(&on_disk(dir.path())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_nothing_of_a_purged_graph_is_left_redis() {
    let server = RedisServer::start();
    nothing_is_left(&on_redis(&server).await).await;
    let left = server.keys("*graph:team.g:*");
    let of_commits = left.iter().filter(|key| !key.ends_with(":events"));
    assert_eq!(of_commits.count(), 0, "what there is are the commits of the second one: {left:?}");
}

/// Each purge takes away one user of an operation id, whichever it is of those that used it.
async fn others_keep_their_records(store: &(impl EventStore + ProjectionStore)) {
    for victim in 0..4 {
        // All in one partition, where stores keep the users of an id in order.
        let names = (0..).map(|n| graph(&format!("v{victim}-{n}")));
        let part = store.feed_part(&graph("a"));
        let graphs: Vec<GraphId> = names.filter(|name| store.feed_part(name) == part).take(4).collect();
        let mut heads = vec![];
        for g in &graphs {
            heads.push(grow(store, g, Head::EMPTY, [victim as u128, 77]).await);
        }
        let purged = &graphs[victim];
        assert_eq!(store.purge(purged, &request(heads[victim])).await.unwrap(), Purge::Purged);
        sweep(store).await;
        for id in [operation(victim as u128), operation(77)] {
            for g in &graphs {
                let known = store.operations(g, &[id]).await.unwrap()[0].is_some();
                assert_eq!(known, g != purged, "victim {victim}: {g} {id}");
            }
            let mut named: Vec<GraphId> =
                found(store, id).await.unwrap().into_iter().map(|(g, _)| g).collect();
            named.retain(|g| graphs.contains(g));
            named.sort();
            let expected: Vec<GraphId> = graphs.iter().filter(|g| *g != purged).cloned().collect();
            assert_eq!(named, expected, "victim {victim}");
        }
        // A repeat is still told apart from a new operation.
        let other = graphs.iter().position(|g| g != purged).unwrap();
        let repeat = [accepted(victim as u128, heads[other])];
        let again = store.append(&graphs[other], heads[other], &repeat).await.unwrap();
        assert!(matches!(again, Append::Duplicate(_)), "{again:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_others_that_used_the_same_operation_ids_keep_their_records_embedded() {
    let dir = tempfile::tempdir().unwrap();
    others_keep_their_records(&on_disk(dir.path())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_others_that_used_the_same_operation_ids_keep_their_records_redis() {
    let server = RedisServer::start();
    others_keep_their_records(&on_redis(&server).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_a_purge_that_was_cut_off_is_finished_after_a_restart_embedded() {
    let dir = tempfile::tempdir().unwrap();
    let store = on_disk(dir.path());
    let (g, head) = (graph("g"), whole(&store, &graph("g")).await);
    assert_eq!(store.purge(&g, &request(head)).await.unwrap(), Purge::Purged);
    let purging = store.purging().await.unwrap().remove(0);
    assert!(store.sweep(&purging).await.unwrap(), "there is more");
    store.close().await;
    drop(store);
    let store = on_disk(dir.path());
    assert_eq!((store.head(&g).await.unwrap(), store.purging().await.unwrap()), (Head::EMPTY, vec![purging]));
    is_free_only_when_it_is_swept(&store, &g).await;
    let second = request_by(10_000, store.head(&g).await.unwrap());
    assert_eq!(store.purge(&g, &second).await.unwrap(), Purge::Purged);
    sweep(&store).await;
    store.close().await;
    drop(store);
    let db = rusqlite::Connection::open(dir.path().join("dao.db")).unwrap();
    for table in [
        "event",
        "projection",
        "projection_row",
        "checkpoint",
        "refusal",
        "refused",
        "catalog",
        "parked",
        "purging",
    ] {
        let count: i64 = db.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0)).unwrap();
        assert_eq!(count, 0, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_a_name_is_free_only_when_a_purge_that_was_cut_off_is_finished_redis() {
    let mut server = RedisServer::start();
    let store = on_redis(&server).await;
    let (g, head) = (graph("g"), whole(&store, &graph("g")).await);
    assert_eq!(store.purge(&g, &request(head)).await.unwrap(), Purge::Purged);
    store.close().await;
    server.restart();
    let store = on_redis(&server).await;
    is_free_only_when_it_is_swept(&store, &g).await;
}

/// The name of the graph that is being purged.
async fn is_free_only_when_it_is_swept(store: &(impl EventStore + ProjectionStore), g: &GraphId) {
    assert_eq!(names(store).await, [Some(g.clone())]);
    let (entries, _) = accepted_all([1], Head::EMPTY);
    for entries in [&entries[..], &[refused(2)]] {
        let early = store.append(g, Head::EMPTY, entries).await;
        assert!(matches!(early, Err(StoreError::Unavailable(_))), "{early:?}");
    }
    let other = graph("another");
    assert_eq!(store.append(&other, Head::EMPTY, &[refused(2)]).await.unwrap(), Append::Appended);
    sweep(store).await;
    assert_eq!(store.append(g, Head::EMPTY, &entries).await.unwrap(), Append::Appended);
}

/// Whoever sweeps may be behind: what it saw was swept by another one, and the name used again.
async fn a_late_sweep_takes_nothing(store: &(impl EventStore + ProjectionStore)) {
    let (g, head) = (graph("g"), whole(store, &graph("g")).await);
    assert_eq!(store.purge(&g, &request_by(9_001, head)).await.unwrap(), Purge::Purged);
    let first = store.purging().await.unwrap().remove(0);
    assert!(store.is_purging(&first).await.unwrap());
    sweep(store).await;
    assert!(!store.is_purging(&first).await.unwrap());

    let head = whole(store, &g).await;
    let ids: Vec<_> = (0..5).chain([100, 101]).map(operation).collect();
    let known: Vec<_> = store.operations(&g, &ids).await.unwrap();
    let part = store.feed_part(&g);
    let told = (
        store.feed(part, FeedPlace::START, 100).await.unwrap(),
        store.refused_before(part, FeedPlace::END, 100).await.unwrap(),
    );
    assert!(known.iter().all(Option::is_some) && told.1.len() == 2);
    assert!(!store.sweep(&first).await.unwrap());
    assert_eq!(store.operations(&g, &ids).await.unwrap(), known);
    let still = (
        store.feed(part, FeedPlace::START, 100).await.unwrap(),
        store.refused_before(part, FeedPlace::END, 100).await.unwrap(),
    );
    assert_eq!(still, told);
    assert_eq!(store.head(&g).await.unwrap(), head);

    // Nor does it end a later purge.
    assert_eq!(store.purge(&g, &request_by(9_002, head)).await.unwrap(), Purge::Purged);
    let second = store.purging().await.unwrap().remove(0);
    assert!(!store.sweep(&first).await.unwrap());
    assert_eq!(store.purging().await.unwrap(), std::slice::from_ref(&second));
    assert!(!store.is_purging(&first).await.unwrap() && store.is_purging(&second).await.unwrap());
    is_free_only_when_it_is_swept(store, &g).await;

    // Each is found by its operation.
    let places = [9_001, 9_002, 9_003].map(operation);
    let mut found = vec![];
    for operation in places {
        found.push(store.purged_by(&g, operation).await.unwrap().map(|gone| gone.place));
    }
    assert_eq!(found, [Some(first.place), Some(second.place), None]);
    assert_eq!(store.gone(&g).await.unwrap().map(|gone| gone.place), Some(second.place), "the last one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_a_late_sweep_takes_nothing_of_a_later_graph_embedded() {
    let dir = tempfile::tempdir().unwrap();
    a_late_sweep_takes_nothing(&on_disk(dir.path())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_a_late_sweep_takes_nothing_of_a_later_graph_redis() {
    let server = RedisServer::start();
    a_late_sweep_takes_nothing(&on_redis(&server).await).await;
}

/// A purge keeps its name until it is swept, also if the feed is trimmed beyond it; and without a name it is swept too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_a_purge_is_swept_also_if_its_name_is_not_known_any_more_embedded() {
    let dir = tempfile::tempdir().unwrap();
    let name_in_file = |is_set_null: bool| {
        let db = rusqlite::Connection::open(dir.path().join("dao.db")).unwrap();
        if is_set_null {
            db.execute("UPDATE gone SET name = NULL", []).unwrap();
        }
        db.query_row("SELECT name FROM gone ORDER BY seq DESC", [], |r| r.get::<_, Option<String>>(0))
            .unwrap()
    };
    let (store, g) = (on_disk(dir.path()), graph("g"));
    for is_known in [true, false] {
        let head = whole(&store, &g).await;
        assert_eq!(store.purge(&g, &request(head)).await.unwrap(), Purge::Purged);
        let end = store.feed_bounds(0).await.unwrap().end;
        store.trim_feed(0, end).await.unwrap();
        assert_eq!(names(&store).await, [Some(g.clone())]);
        if !is_known {
            name_in_file(true);
            assert_eq!(names(&store).await, [None]);
        }
        let early = store.append(&g, Head::EMPTY, &[refused(2)]).await;
        assert!(matches!(early, Err(StoreError::Unavailable(_))), "{early:?}");
        sweep(&store).await;
        assert_eq!((store.purging().await.unwrap(), name_in_file(false)), (vec![], None));
    }
    grow(&store, &g, Head::EMPTY, [1]).await;
}

/// Of the hash of records, which two graphs share, only the record of one id is left: it must not be gone in between, and
/// with it the time at which it expires.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_the_records_of_others_still_expire_redis() {
    let server = RedisServer::start();
    let store = on_redis(&server).await;
    let g = graph("g");
    let names = (0..).map(|n| graph(&format!("beside-{n}")));
    let beside = names.into_iter().find(|name| store.feed_part(name) == store.feed_part(&g)).unwrap();
    let head = grow(&store, &g, Head::EMPTY, [1]).await;
    grow(&store, &beside, Head::EMPTY, [1]).await;
    assert_eq!(store.purge(&g, &request(head)).await.unwrap(), Purge::Purged);
    sweep(&store).await;
    assert_eq!(store.operations(&beside, &[operation(1)]).await.unwrap(), [Some(record(1))]);
    let windows = server.keys("*:operations:*");
    assert!(!windows.is_empty());
    for window in windows {
        let expires = server.command(&["PTTL", &window]);
        assert!(!expires.contains('-'), "{window}: {expires}");
    }
}

/// Streams number what comes in one millisecond each by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_operations_that_were_refused_in_the_millisecond_of_the_purge_are_forgotten_redis() {
    let server = RedisServer::start();
    let store = on_redis(&server).await;
    let (g, head) = (graph("g"), whole(&store, &graph("g")).await);
    assert_eq!(store.purge(&g, &request(head)).await.unwrap(), Purge::Purged);
    let place = store.purging().await.unwrap().remove(0).place;
    let stream = server.keys("*:refused").remove(0);
    let id = format!("{}-{}", place.major, place.minor + 7);
    server.command(&["XADD", &stream, &id, "graph", "g", "version", "1", "number", "9"]);
    let part = store.feed_part(&g);
    assert_eq!(store.refused_before(part, FeedPlace::END, 9).await.unwrap().len(), 3);
    sweep(&store).await;
    assert_eq!(store.refused_before(part, FeedPlace::END, 9).await.unwrap(), []);
}

/// What is answered as done before is on replicas, where that is asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_a_purge_that_is_found_is_confirmed_by_replicas_redis() {
    let server = RedisServer::start();
    let store = on_redis(&server).await;
    let (g, head) = (graph("g"), whole(&store, &graph("g")).await);
    assert_eq!(store.purge(&g, &request(head)).await.unwrap(), Purge::Purged);
    let config =
        RedisConfig { partitions: Some(2), min_replicas: 1, ..RedisConfig::at(server.url(), OPERATION_TTL) };
    let strict = RedisStore::connect(config).await.unwrap();
    let found = strict.purged_by(&g, operation(9_999)).await;
    assert!(matches!(found, Err(StoreError::NotReplicated(_))), "{found:?}");
    assert_eq!(strict.purged_by(&g, operation(1)).await.unwrap(), None);
}

/// A server over a store, in which the trash is purged after a millisecond.
struct Bench<S> {
    store: Arc<S>,
    graphs: Arc<Graphs>,
    subscriptions: Arc<Subscriptions>,
    purger: Arc<Purger>,
}

impl<S: EventStore + ProjectionStore> Bench<S> {
    fn over(store: S) -> Self {
        let store = Arc::new(store);
        let limits = Limits { trash_retention_ms: Some(1), ..Limits::default() };
        let graphs = Graphs::new(store.clone(), GraphsConfig { limits, ..GraphsConfig::default() });
        let subscriptions = Subscriptions::new(AllGraphs::new(graphs.clone(), store.clone()));
        let purger = Purger::new(graphs.clone(), store.clone(), subscriptions.clone());
        Self { store, graphs, subscriptions, purger }
    }

    /// A graph in the trash.
    async fn trashed(&self, g: &GraphId) -> Head {
        for (kind, payload) in [("CREATE_NODE", json!({"id": "a"})), ("DELETE_GRAPH", json!({}))] {
            let command = json!({"type": kind, "payload": payload});
            let command = parse_command(command, &"ada".parse().unwrap()).unwrap();
            self.graphs.execute(g, vec![command]).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(5)).await; // its time has come
        self.store.head(g).await.unwrap()
    }

    /// As if a projector had listed it.
    async fn list(&self, g: &GraphId, purge_after_ms: u64) {
        let to = RowsHead { head: self.store.head(g).await.unwrap(), format: 1 };
        let listing = due_from(purge_after_ms);
        let change = RowsChange { from: None, to, replaces: false, rows: vec![], listing };
        assert!(self.store.change_rows(g, "catalog", &change).await.unwrap());
    }

    async fn in_flight(&self, name: &SubscriptionName) -> usize {
        self.subscriptions.overview(name).await.unwrap().ledger.in_flight()
    }
}

/// Whoever forgets a purged graph may be behind, too: deliveries of a later graph of that name stay.
async fn later_deliveries_stay(bench: Bench<impl EventStore + ProjectionStore>) {
    let (g, name) = (graph("g"), SubscriptionName::parse("s").unwrap());
    let Bench { store, graphs, subscriptions, .. } = &bench;
    let settings = DeliverySettings {
        filter: Default::default(),
        start: "beginning".to_owned(),
        lease_ms: 600_000,
        attempts_max: 3,
    };
    subscriptions.create(&name, &settings).await.unwrap();
    let mut purged: Vec<Purging> = vec![];
    for n in 0..2 {
        let head = bench.trashed(&g).await;
        let handed = subscriptions.next(&name, 1, Duration::ZERO, std::future::pending()).await.unwrap();
        assert_eq!((handed.len(), bench.in_flight(&name).await), (1, 1), "of life {n}");
        for earlier in &purged {
            subscriptions.forget_graph(earlier).await.unwrap();
        }
        assert_eq!(bench.in_flight(&name).await, 1, "of life {n}");
        assert_eq!(store.purge(&g, &request_by(n, head)).await.unwrap(), Purge::Purged);
        graphs.refresh(&g).await.unwrap();
        for earlier in &purged {
            subscriptions.forget_graph(earlier).await.unwrap();
        }
        assert_eq!(bench.in_flight(&name).await, 1, "its purge is not the one that is forgotten: life {n}");
        purged.extend(store.purging().await.unwrap());
        subscriptions.forget_graph(&purged[n as usize]).await.unwrap();
        assert_eq!(bench.in_flight(&name).await, 0, "of life {n}");
        sweep(&**store).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_deliveries_of_a_later_graph_are_not_forgotten_embedded() {
    let dir = tempfile::tempdir().unwrap();
    later_deliveries_stay(Bench::over(on_disk(dir.path()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_deliveries_of_a_later_graph_are_not_forgotten_redis() {
    let server = RedisServer::start();
    later_deliveries_stay(Bench::over(on_redis(&server).await)).await;
}

/// What is swept was forgotten before: who purges one graph leaves what is left of another one to whoever looks after
/// all of them.
async fn a_purge_finishes_its_own_graph(bench: Bench<impl EventStore + ProjectionStore>) {
    let (mine, other) = (graph("mine"), graph("other"));
    let head = whole(&*bench.store, &other).await;
    assert_eq!(bench.store.purge(&other, &request(head)).await.unwrap(), Purge::Purged);
    let left = bench.store.purging().await.unwrap();
    let (head, user) = (bench.trashed(&mine).await, "ada".parse().unwrap());
    let ending = bench.purger.purge(&mine, operation(1), &user).await.unwrap();
    assert_eq!(ending, PurgeEnding::Purged { head, is_duplicate: false });
    assert_eq!(bench.store.purging().await.unwrap(), left);
    let ending = bench.purger.purge(&mine, operation(1), &user).await.unwrap();
    assert_eq!(ending, PurgeEnding::Purged { head, is_duplicate: true });
    assert_eq!(bench.store.purging().await.unwrap(), left);
    bench.purger.pass().await.unwrap();
    assert_eq!(bench.store.purging().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_a_request_finishes_its_own_graph_and_no_other_embedded() {
    let dir = tempfile::tempdir().unwrap();
    a_purge_finishes_its_own_graph(Bench::over(on_disk(dir.path()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_a_request_finishes_its_own_graph_and_no_other_redis() {
    let server = RedisServer::start();
    a_purge_finishes_its_own_graph(Bench::over(on_redis(&server).await)).await;
}

/// More graphs than are listed at once can't be read, or are not in the trash whatever lists say.
async fn bad_graphs_stop_no_other(bench: Bench<impl EventStore + ProjectionStore>) {
    let (store, user) = (&bench.store, "ada".parse().unwrap());
    let bad: Vec<GraphId> = (0..120).map(|n| graph(&format!("bad-{n}"))).collect();
    for (n, g) in bad.iter().enumerate() {
        if n % 2 == 0 {
            grow(&**store, g, Head::EMPTY, [1]).await;
        } else {
            let command = json!({"type": "CREATE_NODE", "payload": {"id": "a"}});
            bench.graphs.execute(g, vec![parse_command(command, &user).unwrap()]).await.unwrap();
        }
        bench.list(g, 1_000).await;
    }
    let mut names = (0..).map(|n| graph(&format!("g{n}")));
    let g = names.find(|name| store.feed_part(name) + 1 == store.feed_parts()).unwrap();
    bench.trashed(&g).await;
    bench.list(&g, 2_000).await;
    assert!(
        !store.due_for_purge(u64::MAX >> 1, 0, 100).await.unwrap().contains(&g),
        "it is behind the others"
    );
    bench.purger.pass().await.unwrap();
    assert_eq!(store.head(&g).await.unwrap(), Head::EMPTY);
    assert_eq!(store.purging().await.unwrap(), []);
    for g in &bad {
        assert_eq!(store.head(g).await.unwrap().version.get(), 1, "{g}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_graphs_that_cannot_be_purged_stop_no_other_embedded() {
    let dir = tempfile::tempdir().unwrap();
    bad_graphs_stop_no_other(Bench::over(on_disk(dir.path()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_graphs_that_cannot_be_purged_stop_no_other_redis() {
    let server = RedisServer::start();
    bad_graphs_stop_no_other(Bench::over(on_redis(&server).await)).await;
}

/// Rows that somebody writes of a graph that was purged meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_rows_that_come_too_late_are_dropped_redis() {
    let server = RedisServer::start();
    let store = on_redis(&server).await;
    let (g, head) = (graph("g"), whole(&store, &graph("g")).await);
    assert_eq!(store.purge(&g, &request(head)).await.unwrap(), Purge::Purged);
    sweep(&store).await;
    let keys = ListKeys { updated: "5".to_owned(), created: "1".to_owned(), title: "t".to_owned() };
    let listing = Some(Listing { keys, purge_after_ms: Some(1), row: Bytes::from_static(b"late") });
    let to = RowsHead { head, format: 1 };
    let late = RowsChange { from: None, to, replaces: false, rows: vec![], listing };
    assert!(store.change_rows(&g, "catalog", &late).await.unwrap());
    assert_eq!(listed(&store).await, ["g"]);
    store.drop_rows(&g).await.unwrap();
    assert_eq!(listed(&store).await, Vec::<String>::new());
    assert_eq!(store.all_rows(&g, "catalog").await.unwrap(), None);
    assert_eq!(store.due_for_purge(u64::MAX >> 1, 0, 9).await.unwrap(), []);
    let h = graph("h");
    let there = whole(&store, &h).await;
    store.drop_rows(&h).await.unwrap();
    assert_eq!(
        store.all_rows(&h, "catalog").await.unwrap().map(|(at, _)| at.head),
        Some(there),
        "it has commits"
    );
}

/// The feed and the list of refused operations are read from their ends.
async fn read_backwards(store: &(impl EventStore + ProjectionStore)) {
    let g = graph("g");
    let (part, mut head) = (store.feed_part(&g), Head::EMPTY);
    for n in 0..10_u128 {
        head = grow(store, &g, head, [n]).await;
        store.append(&g, head, &[refused_at(100 + n, head.version)]).await.unwrap();
    }
    let forwards = store.feed(part, FeedPlace::START, 100).await.unwrap();
    let (mut backwards, mut refused) = (vec![], vec![]);
    let mut before = FeedPlace::END;
    loop {
        let piece = store.feed_before(part, before, 3).await.unwrap();
        let Some(last) = piece.last() else { break };
        before = last.place;
        backwards.extend(piece);
    }
    backwards.reverse();
    assert_eq!(backwards, forwards);
    let mut before = FeedPlace::END;
    loop {
        let piece = store.refused_before(part, before, 3).await.unwrap();
        let Some(last) = piece.last() else { break };
        before = last.place;
        refused.extend(piece.into_iter().map(|entry| entry.of_graph.version.get()));
    }
    assert_eq!(refused, (1..=10).rev().collect::<Vec<_>>());
    for entry in store.refused_before(part, FeedPlace::END, 100).await.unwrap() {
        let of = |number: u64| RefusalPlace { number, ..entry.of_graph };
        let between = (of(entry.of_graph.number - 1), of(entry.of_graph.number + 1));
        let found = store.refusals(&g, between, Order::OldestFirst, 9).await.unwrap();
        assert_eq!(found.len(), 1, "{entry:?}");
        assert_eq!(found[0].place, entry.of_graph);
    }
    store.trim_feed(part, forwards[9].place).await.unwrap();
    assert_eq!(store.feed_before(part, FeedPlace::END, 9).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_operations_of_all_graphs_are_read_from_the_latest_on_embedded() {
    let dir = tempfile::tempdir().unwrap();
    read_backwards(&on_disk(dir.path())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_operations_of_all_graphs_are_read_from_the_latest_on_redis() {
    let server = RedisServer::start();
    let store = Arc::new(on_redis(&server).await);
    read_backwards(&*store).await;
}
