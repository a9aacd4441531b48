//! Purging a graph leaves nothing of it, on both stores (rule L10); and what is told of operations of all graphs (rule A1).

mod ids;
mod unfinished;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use dao_api::store::{
    Append, EventStore, FeedPlace, ListOrder, ListQuery, ListSort, Listing, Order, ParkedGraph,
    ProjectionStore, Purge, PurgeRequest, RefusalPlace, RowsChange, RowsHead, StoreError,
    embedded::{EmbeddedConfig, EmbeddedStore, SyncMode},
    redis::{RedisConfig, RedisStore},
};
use dao_projections::{GraphId, Head, ListKeys};

use crate::support::{
    history::{accepted_all, graph, grow, operation, record, refused, refused_at, version},
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
        assert!(store.change_rows(g, projection, change).await.unwrap());
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
