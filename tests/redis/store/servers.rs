//! Redis that dies, is away, is full, only reads or was moved: rules V6 and H4.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use dao_api::store::{
    Append, EventStore, StoreError,
    redis::{RedisConfig, RedisStore},
};
use dao_projections::{Head, Version};

use super::{config, connect};
use crate::support::{
    history::{
        accepted, accepted_all, assert_is_a_history, graph, grow, operation, read_all, refused, version,
    },
    proxy::Proxy,
    redis::{RedisServer, free_port},
};

/// Asks until the answer is `Ok`, as the write path does after an error.
async fn until_ok<T, F: Future<Output = Result<T, StoreError>>>(mut ask: impl FnMut() -> F) -> T {
    let start = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(20), "still {error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v6_nothing_acknowledged_is_lost_or_doubled_by_kill_9_of_redis() {
    const WRITERS: u128 = 6;
    let mut server = RedisServer::with(&["--appendfsync", "always"]);
    let store = connect(&server).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (store, stop) = (store.clone(), stop.clone());
        let g = graph(&format!("g{writer}"));
        writers.spawn(async move {
            let mut head = Head::EMPTY;
            let mut acknowledged = Vec::new();
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                let (entries, after) = accepted_all(n..n + 3, head);
                match store.append(&g, head, &entries).await {
                    Ok(Append::Appended) => {}
                    // A lost answer, or the client sent it twice: all three or none.
                    Ok(Append::Duplicate(found)) => assert_eq!(found.len(), 3),
                    Ok(Append::HeadMoved(now)) => panic!("only one writer, but the head is {now:?}"),
                    Err(StoreError::Corrupt { problem, .. }) => panic!("{problem}"),
                    Err(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_)) => continue,
                    Err(error @ StoreError::NotReplicated(_)) => panic!("no replica is asked for: {error}"),
                }
                acknowledged.extend(entries.into_iter().filter_map(|entry| entry.commit));
                (head, n) = (after, n + 3);
            }
            (g, acknowledged)
        });
    }
    let probe = graph("probe");
    let mut head = Head::EMPTY;
    for kill in 0..5_u128 {
        for n in 0..40 {
            let entry = accepted(kill * 100 + n, head);
            until_ok(|| store.append(&probe, head, std::slice::from_ref(&entry))).await;
            head = entry.commit.unwrap().head();
        }
        server.kill();
        server.restart();
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = writers.join_next().await {
        let (g, acknowledged) = ended.unwrap();
        until_ok(|| store.check()).await;
        let commits = read_all(&*store, &g).await;
        assert_is_a_history(&commits);
        assert!(acknowledged.len() > 3 && commits.len() <= acknowledged.len() + 3);
        assert_eq!(commits[..acknowledged.len()], acknowledged);
    }
    assert_eq!(store.head(&probe).await.unwrap(), head);
}

#[tokio::test]
async fn h4_redis_away_is_an_error_and_its_return_is_noticed() {
    let mut server = RedisServer::start();
    let (store, g) = (connect(&server).await, graph("g"));
    let head = grow(&*store, &g, Head::EMPTY, [1]).await;
    server.kill();

    let start = Instant::now();
    let first = store.append(&g, head, &[accepted(2, head)]).await;
    assert!(matches!(first, Err(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_))), "{first:?}");
    let later = store.append(&g, head, &[accepted(2, head)]).await;
    assert!(matches!(later, Err(StoreError::Unavailable(_))), "{later:?}");
    assert!(matches!(store.head(&g).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.read(&g, Version::EMPTY, version(9), 9).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    assert!(start.elapsed() < Duration::from_secs(15), "it took {:?} to say so", start.elapsed());

    server.restart();
    until_ok(|| store.check()).await;
    assert_eq!(until_ok(|| store.head(&g)).await, head);
    grow(&*store, &g, head, [2]).await;
    until_ok(|| store.read(&g, Version::EMPTY, version(9), 9)).await;
}

#[tokio::test]
async fn h4_an_append_that_times_out_has_an_unknown_outcome() {
    let server = RedisServer::start();
    let (store, g) = (connect(&server).await, graph("g"));
    let head = grow(&*store, &g, Head::EMPTY, [1]).await;
    server.pause(Duration::from_secs(7)); // longer than the store waits

    let entries = [accepted(2, head)];
    let outcome = store.append(&g, head, &entries).await;
    assert!(matches!(outcome, Err(StoreError::OutcomeUnknown(_))), "{outcome:?}");
    // It may have happened since: asking again tells.
    let again = until_ok(|| store.append(&g, head, &entries)).await;
    assert!(matches!(again, Append::Appended | Append::Duplicate(_)), "{again:?}");
    assert_eq!(read_all(&*store, &g).await.len(), 2);
}

#[tokio::test]
async fn h4_a_full_redis_refuses_an_append_and_changes_nothing() {
    let server = RedisServer::start();
    let (store, g) = (connect(&server).await, graph("g"));
    let head = grow(&*store, &g, Head::EMPTY, [1]).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1mb"]);

    for entry in [accepted(2, head), refused(3)] {
        let outcome = store.append(&g, head, &[entry]).await;
        assert!(
            matches!(&outcome, Err(StoreError::Unavailable(why)) if why.starts_with("OOM")),
            "{outcome:?}"
        );
    }
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))), "O5: not ready");
    assert_eq!(store.head(&g).await.unwrap(), head);
    assert_eq!(store.operations(&g, &[operation(2), operation(3)]).await.unwrap(), [None, None]);
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    store.check().await.unwrap();
    grow(&*store, &g, head, [2]).await;
}

#[tokio::test]
async fn h4_a_replica_refuses_an_append() {
    let server = RedisServer::start();
    let (store, g) = (connect(&server).await, graph("g"));
    let head = grow(&*store, &g, Head::EMPTY, [1]).await;
    server.command(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
    let outcome = store.append(&g, head, &[accepted(2, head)]).await;
    assert!(matches!(&outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    server.command(&["REPLICAOF", "NO", "ONE"]);
    until_ok(|| store.check()).await;
    grow(&*store, &g, head, [2]).await;
}

/// An address can be a name or a proxy that leads to another primary after a fail-over, while connections to the
/// old one, a replica now, stay open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_an_address_that_leads_to_another_primary_now_is_followed() {
    let first = RedisServer::start();
    let second = first.replica();
    let proxy = Proxy::to(first.port()).await;
    for min_replicas in [0, 1] {
        let (old, new) = if min_replicas == 0 { (&first, &second) } else { (&second, &first) };
        let config = RedisConfig { min_replicas, ..config(proxy.url()) };
        let (store, g) = (RedisStore::connect(config).await.unwrap(), graph(&format!("g{min_replicas}")));
        let head = grow(&store, &g, Head::EMPTY, [1]).await;
        new.wait_until("master_link_status:up");
        // A replica is told a little later: one that took over before would have another history.
        let (arrived, events) = (Instant::now(), format!("dao:*graph:g{min_replicas}:events"));
        while new.keys(&events).is_empty() {
            assert!(arrived.elapsed() < Duration::from_secs(20), "the commit is not replicated");
        }
        new.promote();
        assert!(old.command(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]).starts_with("+OK"));
        proxy.lead_to(new.port());
        old.wait_until("master_link_status:up");
        let entries = [accepted(2, head)];
        let outcome = until_ok(|| store.append(&g, head, &entries)).await;
        assert!(matches!(outcome, Append::Appended | Append::Duplicate(_)), "{outcome:?}");
        until_ok(|| store.check()).await;
        assert_eq!(read_all(&store, &g).await.len(), 2);
        store.close().await;
    }
}

/// Redis refuses writes while it can't save, and takes them again when it can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_a_redis_that_cannot_save_refuses_appends_until_it_can() {
    let server = RedisServer::with(&[
        "--appendonly",
        "no",
        "--save",
        "3600 1000000",
        "--enable-protected-configs",
        "yes",
    ]);
    let (store, g) = (connect(&server).await, graph("g"));
    let head = grow(&*store, &g, Head::EMPTY, [1]).await;
    let dir = server.dir().to_owned();
    let save = || {
        server.command(&["BGSAVE"]);
        while server.command(&["INFO", "persistence"]).contains("rdb_bgsave_in_progress:1") {}
    };
    std::fs::remove_dir_all(&dir).unwrap();
    save();
    let outcome = store.append(&g, head, &[accepted(2, head)]).await;
    assert!(
        matches!(&outcome, Err(StoreError::Unavailable(why)) if why.starts_with("MISCONF")),
        "{outcome:?}"
    );
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))), "O5: not ready");
    assert_eq!(store.head(&g).await.unwrap(), head, "reads go on");
    std::fs::create_dir(&dir).unwrap();
    server.command(&["CONFIG", "SET", "dir", dir.to_str().unwrap()]);
    save();
    store.check().await.unwrap();
    grow(&*store, &g, head, [2]).await;
}
