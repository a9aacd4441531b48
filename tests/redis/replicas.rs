//! `REDIS_MIN_REPLICAS` (rule O5) with real replicas: what is acknowledged is on them, whatever dies,
//! hangs or is cut off in between.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use dao_api::store::{
    Append, EventStore, StoreError, StoredCommit,
    redis::{RedisConfig, RedisStore},
};
use dao_projections::{GraphId, Head};
use serde_json::json;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::support::{
    graph::{command, new_id, with},
    history::{accepted, assert_is_a_history, found, graph, grow, operation, read_all, record},
    redis::{RedisServer, free_port},
    server::Process,
};

async fn connect(server: &RedisServer, min_replicas: u32) -> Arc<RedisStore> {
    let config = RedisConfig { min_replicas, ..RedisConfig::at(server.url(), Duration::from_secs(3_600)) };
    Arc::new(RedisStore::connect(config).await.expect("connect"))
}

async fn until_ok<T, F: Future<Output = Result<T, StoreError>>>(mut ask: impl FnMut() -> F) -> T {
    let start = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(20), "still {error}"),
        }
    }
}

fn assert_not_replicated<T: std::fmt::Debug>(outcome: Result<T, StoreError>) {
    assert!(matches!(outcome, Err(StoreError::NotReplicated(_))), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o5_nothing_is_acknowledged_before_a_replica_has_it() {
    let primary = RedisServer::start();
    let replica = primary.replica();
    let (store, g) = (connect(&primary, 1).await, graph("g"));
    assert_eq!(store.durability().name, "appendfsync everysec, WAIT 1");
    let head = grow(&*store, &g, Head::EMPTY, [1]).await;
    store.check().await.unwrap();

    replica.freeze();
    let entries = [accepted(2, head)];
    let start = Instant::now();
    assert_not_replicated(store.append(&g, head, &entries).await);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    // It is in the log, and may be read. Nothing says that it is safe: not a repeat, not a look-up.
    assert_eq!(read_all(&*store, &g).await.len(), 2);
    assert_not_replicated(store.append(&g, head, &entries).await);
    assert_not_replicated(store.operations(&g, &[operation(2)]).await);
    assert_not_replicated(found(&*store, operation(2)).await);
    assert_not_replicated(store.check().await);
    // What has no record promises nothing, and what lost a race neither.
    assert_eq!(store.operations(&g, &[operation(9)]).await.unwrap(), [None]);
    assert_eq!(found(&*store, operation(9)).await.unwrap(), []);
    assert!(matches!(store.append(&g, head, &[accepted(3, head)]).await.unwrap(), Append::HeadMoved(_)));

    replica.thaw();
    let again = until_ok(|| store.append(&g, head, &entries)).await;
    assert_eq!(again, Append::Duplicate(vec![(operation(2), record(2))]));
    assert_eq!(store.operations(&g, &[operation(2)]).await.unwrap(), [Some(record(2))]);
    assert_eq!(found(&*store, operation(2)).await.unwrap(), [(g.clone(), record(2))]);
    store.check().await.unwrap();
    grow(&*store, &g, entries[0].commit.as_ref().unwrap().head(), [3]).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o5_fewer_replicas_than_asked_for_acknowledge_nothing() {
    let primary = RedisServer::start();
    let (store, g) = (connect(&primary, 2).await, graph("g"));
    assert_not_replicated(store.check().await);
    let _first = primary.replica();
    let entries = [accepted(1, Head::EMPTY)];
    assert_not_replicated(store.append(&g, Head::EMPTY, &entries).await);
    let _second = primary.replica();
    until_ok(|| store.check()).await;
    let again = until_ok(|| store.append(&g, Head::EMPTY, &entries)).await;
    assert!(matches!(again, Append::Duplicate(_)), "{again:?}");
}

/// `WAIT` on a connection that has written nothing is answered at once. A connection that was cut and
/// made again must not be asked for what was written on the one before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o5_a_new_connection_confirms_nothing_of_the_old_one() {
    let primary = RedisServer::start();
    let replica = primary.replica();
    let (store, g) = (connect(&primary, 1).await, graph("g"));
    let head = grow(&*store, &g, Head::EMPTY, [1]).await;
    replica.freeze();
    let entries = [accepted(2, head)];
    let (there, name, sent) = (store.clone(), g.clone(), entries.clone());
    let waiting = tokio::spawn(async move { there.append(&name, head, &sent).await });
    while store.head(&g).await.unwrap() == head {} // it is written, and waits
    primary.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    assert_not_replicated(waiting.await.unwrap());
    for _ in 0..2 {
        let again = store.append(&g, head, &entries).await;
        assert!(again.is_err(), "{again:?}");
    }
    replica.thaw();
    let again = until_ok(|| store.append(&g, head, &entries)).await;
    assert!(matches!(again, Append::Duplicate(_)), "{again:?}");
}

/// A writer that appends one commit after the other and tells of each that is acknowledged.
fn writer(
    store: Arc<RedisStore>,
    g: GraphId,
    stop: Arc<AtomicBool>,
    told: mpsc::UnboundedSender<()>,
) -> JoinHandle<Vec<StoredCommit>> {
    tokio::spawn(async move {
        let (mut head, mut acknowledged) = (Head::EMPTY, Vec::new());
        for n in 0.. {
            let entry = accepted(n, head);
            loop {
                match store.append(&g, head, std::slice::from_ref(&entry)).await {
                    Ok(Append::Appended | Append::Duplicate(_)) => break,
                    Ok(Append::HeadMoved(now)) => panic!("only one writer, but the head is {now:?}"),
                    Err(_) if stop.load(Ordering::Relaxed) => return acknowledged,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
            let commit = entry.commit.unwrap();
            head = commit.head();
            acknowledged.push(commit);
            let _nobody_counts = told.send(());
        }
        acknowledged
    })
}

/// Writers under load; the replica is cut off for a while, then the primary dies, and the replica takes its
/// place. How many acknowledged commits are not there any more.
async fn lost_in_a_fail_over(min_replicas: u32) -> usize {
    const WRITERS: usize = 6;
    let mut primary = RedisServer::start();
    let replica = primary.replica();
    let store = connect(&primary, min_replicas).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (told, mut acknowledged) = mpsc::unbounded_channel();
    let graphs: Vec<GraphId> = (0..WRITERS).map(|n| graph(&format!("g{n}"))).collect();
    let writers: Vec<_> =
        graphs.iter().map(|g| writer(store.clone(), g.clone(), stop.clone(), told.clone())).collect();
    for _ in 0..300 {
        acknowledged.recv().await.unwrap();
    }
    replica.command(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
    if min_replicas == 0 {
        while acknowledged.try_recv().is_ok() {}
        for _ in 0..300 {
            acknowledged.recv().await.unwrap();
        }
    } else {
        // All writers have one in the log that is not safe.
        primary.wait_until("connected_slaves:0");
        while acknowledged.try_recv().is_ok() {}
        let nobody = tokio::time::timeout(Duration::from_millis(300), acknowledged.recv()).await;
        assert!(nobody.is_err(), "acknowledged without a replica");
    }
    stop.store(true, Ordering::Relaxed);
    primary.kill();
    replica.promote();

    let after = connect(&replica, 0).await;
    let mut lost = 0;
    for (g, writer) in graphs.iter().zip(writers) {
        let acknowledged = writer.await.unwrap();
        let commits = read_all(&*after, g).await;
        assert_is_a_history(&commits);
        assert!(!acknowledged.is_empty());
        lost += acknowledged.iter().filter(|commit| !commits.contains(commit)).count();
    }
    lost
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v6_what_a_replica_confirmed_survives_the_death_of_the_primary() {
    assert_eq!(lost_in_a_fail_over(1).await, 0);
}

/// So that the test above is known to see what is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v6_without_replicas_asked_for_a_fail_over_can_take_commits_back() {
    assert!(lost_in_a_fail_over(0).await > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o5_one_wait_confirms_all_that_was_written_before_it() {
    const WRITERS: usize = 32;
    let primary = RedisServer::start();
    let _replica = primary.replica();
    let store = connect(&primary, 1).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (told, mut acknowledged) = mpsc::unbounded_channel();
    for n in 0..WRITERS {
        writer(store.clone(), graph(&format!("g{n}")), stop.clone(), told.clone());
    }
    for _ in 0..2_000 {
        acknowledged.recv().await.unwrap();
    }
    let stats = primary.command(&["INFO", "commandstats"]);
    let calls = |name: &str| -> u64 {
        let line = stats.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.strip_prefix(":calls=").unwrap().split(',').next().unwrap().parse().unwrap()
    };
    let (waits, appends) = (calls("cmdstat_wait"), calls("cmdstat_evalsha"));
    println!("{appends} appends, {waits} waits");
    assert!(waits * 3 < appends, "{waits} waits for {appends} appends");
    stop.store(true, Ordering::Relaxed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_a_command_without_its_replica_is_503_and_can_be_sent_again() {
    let primary = RedisServer::start();
    let replica = primary.replica();
    let server = Process::start(&[("REDIS_URL", &primary.url()), ("REDIS_MIN_REPLICAS", "1")]);
    let client = server.client();
    let create = |id: &str| {
        let envelope = command("CREATE_NODE", json!({"id": id}));
        with(&envelope, json!({"operationId": new_id()}))
    };
    assert_eq!(client.command("g", &create("a")).await.status, 200);
    let ready = client.get("/readyz").await.json();
    assert_eq!(ready["durability"]["name"], "appendfsync everysec, WAIT 1", "{ready}");

    replica.freeze();
    let sent = create("b");
    for _ in 0..2 {
        let refused = client.command("g", &sent).await;
        assert!(refused.header("retry-after").is_some(), "H4");
        let problem = refused.problem(503, "STORE_UNAVAILABLE");
        assert!(!problem.to_string().contains("redis://"), "{problem}");
    }
    let path = format!("/operations/{}", sent["operationId"].as_str().unwrap());
    client.get(&path).await.problem(503, "STORE_UNAVAILABLE");
    let reasons = client.get("/readyz").await.problem(503, "STORE_UNAVAILABLE");
    assert!(reasons.to_string().contains("0 of 1 replicas"), "{reasons}");
    assert_eq!(client.get("/graphs/g/state").await.status, 200);

    replica.thaw();
    let start = Instant::now();
    let again = loop {
        let reply = client.command("g", &sent).await;
        if reply.status == 200 {
            break reply.json();
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{}", reply.json());
    };
    assert_eq!((&again["duplicate"], &again["version"]), (&json!(true), &json!(2)), "{again}");
    assert_eq!(client.get(&path).await.json()["status"], "completed");
    assert_eq!(client.command("g", &create("c")).await.json()["version"], 3);
}
