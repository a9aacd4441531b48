//! A purge takes nothing of others, nor of a later graph of the same name.

use std::{sync::Arc, time::Duration};

use dao_api::{
    domain::Limits,
    http::parse_command,
    live::{AllGraphs, DeliverySettings, PurgeEnding, Purger, SubscriptionName, Subscriptions},
    store::{Append, EventStore, FeedPlace, ProjectionStore, Purge, Purging, RowsChange, RowsHead},
    write::{Graphs, GraphsConfig},
};
use dao_projections::{GraphId, Head};
use serde_json::json;

use super::{due_from, is_free_only_when_it_is_swept, on_disk, on_redis, request, request_by, sweep, whole};
use crate::support::{
    history::{accepted, found, graph, grow, operation, record},
    redis::RedisServer,
};

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
        assert!(self.store.change_rows(g, "catalog", change).await.unwrap());
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
