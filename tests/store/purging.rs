//! Purging a graph leaves nothing of it, on both stores (rule L10); and what is told of operations of all graphs (rule A1).

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
    history::{accepted, accepted_all, found, graph, grow, operation, record, refused_at, version},
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
    PurgeRequest { expected, operation: operation(9_999), fingerprint: [7; 8] }
}

/// A graph with commits, refusals, rows, a checkpoint, a place in lists, and a reason why it is parked.
async fn whole(store: &(impl EventStore + ProjectionStore), g: &GraphId) -> Head {
    let head = grow(store, g, Head::EMPTY, 0..5).await;
    store.append(g, head, &[refused_at(100, head.version), refused_at(101, head.version)]).await.unwrap();
    let keys = ListKeys { updated: "5".to_owned(), created: "1".to_owned(), title: "t".to_owned() };
    let listing = Some(Listing { keys, purge_after_ms: Some(1_000), row: Bytes::from_static(b"row") });
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

async fn sweep(store: &impl ProjectionStore) {
    while store.sweep().await.unwrap() {}
}

/// All places among refusals of a version.
fn everywhere(head: Head) -> (RefusalPlace, RefusalPlace) {
    (RefusalPlace::before(version(0)), RefusalPlace::after(head.version))
}

async fn nothing_is_left(store: &(impl EventStore + ProjectionStore)) {
    let (g, other) = (graph("team.g"), graph("team.h"));
    let head = whole(store, &g).await;
    let other_head = grow(store, &other, Head::EMPTY, 0..3).await;
    assert_eq!(store.due_for_purge(1_000, 10).await.unwrap(), [], "not before its time");
    assert_eq!(store.due_for_purge(1_001, 10).await.unwrap(), std::slice::from_ref(&g));

    let stale = request(Head { version: version(4), ..head });
    assert_eq!(store.purge(&g, &stale).await.unwrap(), Purge::HeadMoved);
    assert_eq!(store.head(&g).await.unwrap(), head, "nothing was done");
    assert_eq!(store.gone(&g).await.unwrap(), None);

    assert_eq!(store.purge(&g, &request(head)).await.unwrap(), Purge::Purged);
    assert_eq!(store.head(&g).await.unwrap(), Head::EMPTY);
    assert_eq!(store.purging().await.unwrap(), std::slice::from_ref(&g));
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
    assert_eq!(store.due_for_purge(u64::MAX >> 1, 10).await.unwrap(), []);
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
    assert!(store.sweep().await.unwrap(), "there is more");
    store.close().await;
    drop(store);
    let store = on_disk(dir.path());
    assert_eq!(
        (store.head(&g).await.unwrap(), store.purging().await.unwrap()),
        (Head::EMPTY, vec![g.clone()])
    );
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
    assert_eq!(store.purging().await.unwrap(), std::slice::from_ref(&g));
    let (entries, _) = accepted_all([1], Head::EMPTY);
    let early = store.append(&g, Head::EMPTY, &entries).await;
    assert!(matches!(early, Err(StoreError::Unavailable(_))), "{early:?}");
    sweep(&store).await;
    assert_eq!(store.append(&g, Head::EMPTY, &entries).await.unwrap(), Append::Appended);
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
    assert_eq!(store.due_for_purge(u64::MAX >> 1, 9).await.unwrap(), []);
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
