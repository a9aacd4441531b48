//! Many instances on one Redis: what is done on one reaches those who follow on the others, whatever
//! happens to connections, servers and slots in between.
//!
//! Titles begin with the rule of `docs/protocol.md` that is proved. Nothing here happens by the clock
//! alone unless the test says so: an hour lies between two comparisons.

mod presence;

use std::{sync::Arc, time::Duration};

use dao_api::{live::LiveConfig, store::EventStore};
use dao_projections::Version;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    follower::{Follower, Instance, patient},
    history::{assert_is_a_history, graph, read_all},
    proxy::Proxy,
    redis::RedisServer,
};

/// Everybody who follows hears, from now on.
async fn until_subscribed(redis: &RedisServer, channel: &str, instances: usize) {
    let words = ["PUBSUB", "SHARDNUMSUB", channel];
    let want = format!("*2\r\n${}\r\n{channel}\r\n:{instances}\r\n", channel.len());
    let start = tokio::time::Instant::now();
    while redis.command(&words) != want {
        assert!(start.elapsed() < Duration::from_secs(30), "{}", redis.command(&words));
        tokio::time::sleep(Duration::from_millis(5)).await; // between two looks at the event itself
    }
}

/// The channel of a graph where there is one partition.
fn channel(graph: &str) -> String {
    format!("dao:{{0}}:live:0:{graph}")
}

async fn on(redis: &RedisServer) -> Instance {
    Instance::partitioned(redis.url(), patient(), Some(1)).await
}

/// How often Redis was asked for a range of commits since it was told to count.
fn ranges_read(redis: &RedisServer) -> u64 {
    let stats = redis.command(&["INFO", "commandstats"]);
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_xrange:calls="));
    calls.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}

/// That these followers, who began where they began, have exactly the log.
async fn assert_saw_the_log(instance: &Instance, follower: &Follower) {
    let log = read_all(&*instance.store, follower.followed.id()).await;
    assert_is_a_history(&log);
    let from = follower.from.version.get() as usize;
    let seen: Vec<_> = follower.seen.iter().map(|recorded| recorded.stored()).collect();
    assert_eq!(seen, log[from..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w4_commits_made_on_one_instance_are_published_to_the_others() {
    let redis = RedisServer::start();
    let (a, b, g) = (on(&redis).await, on(&redis).await, graph("g"));
    a.create_nodes(&g, 3).await;
    let (mut on_a, mut on_b) = (a.follow(&g).await, b.follow(&g).await);
    assert_eq!((on_a.from.version.get(), on_b.from), (3, on_a.from));
    until_subscribed(&redis, &channel("g"), 2).await;

    redis.command(&["CONFIG", "RESETSTAT"]);
    for n in 0..30 {
        let author = if n % 2 == 0 { &a } else { &b };
        let head = author.create_nodes(&g, 1).await;
        on_a.until(head).await;
        on_b.until(head).await;
    }
    assert_saw_the_log(&a, &on_a).await;
    assert_saw_the_log(&b, &on_b).await;
    assert_eq!(on_b.seen.len(), 30);
    // One look each after the subscription was made may have come after the first commit. The reads
    // of the log by this test are two.
    assert!(ranges_read(&redis) <= 2 + 2 * 4, "{} ranges were read", ranges_read(&redis));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w4_commits_too_large_to_be_published_are_fetched() {
    let redis = RedisServer::start();
    let (a, b, g) = (on(&redis).await, on(&redis).await, graph("g"));
    let mut on_b = b.follow(&g).await;
    until_subscribed(&redis, &channel("g"), 1).await;
    let node = |n: u32| json!({"id": format!("n{n}"), "data": {"text": n.to_string().repeat(120_000)}});
    let nodes: Vec<Value> = (1..=3).map(node).collect();
    let large = a.commit(&g, "BATCH_UPDATE", json!({"nodes": nodes})).await;
    on_b.until(large).await;
    let small = a.create_nodes(&g, 1).await;
    on_b.until(small).await;
    assert_saw_the_log(&b, &on_b).await;
    assert!(on_b.seen[0].body.len() > 256 << 10, "it is large");
}

/// The history that an instance has in memory, and its followers with it, is deleted, and another
/// one written by somebody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v4_followers_on_other_instances_of_a_replaced_history_start_over() {
    let redis = RedisServer::start();
    let (a, b, g) = (on(&redis).await, on(&redis).await, graph("g"));
    let mut on_b = b.follow(&g).await;
    until_subscribed(&redis, &channel("g"), 1).await;
    let head = a.create_nodes(&g, 5).await;
    on_b.until(head).await;

    for key in redis.keys("dao:{0}:*") {
        redis.command(&["DEL", &key]);
    }
    let c = on(&redis).await;
    let other = c.create_nodes(&g, 2).await;
    on_b.until(other).await;
    assert!(on_b.starts_again >= 1, "it was told");
    let more = c.create_nodes(&g, 3).await;
    on_b.until(more).await;
    assert_eq!(b.store.head(&g).await.unwrap(), more);
    // And an operation judged there is judged on the history there is.
    let own = b.create_nodes(&g, 1).await;
    assert_eq!(own.version, Version::new(6).unwrap());
    on_b.until(own).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w4_a_published_commit_that_is_not_in_the_log_is_ignored() {
    let redis = RedisServer::start();
    let (a, b, g) = (on(&redis).await, on(&redis).await, graph("g"));
    let mut on_b = b.follow(&g).await;
    until_subscribed(&redis, &channel("g"), 1).await;
    let head = a.create_nodes(&g, 2).await;
    on_b.until(head).await;
    let header = "\x01sixteen bytes...";
    for forged in [
        format!("{header}C\x013{}\0\0\0\x01x", "h".repeat(32)), // its hash is no hash of it
        format!("{header}C\x019{}\0\0\0\x01x", "h".repeat(32)), // a gap
        format!("{header}C\x012{}\0\0\0\x01x", "h".repeat(32)), // another history
        format!("{header}H{}7", "h".repeat(32)),
        format!("{header}M\x01garbled"),
        "subscribe".to_owned(),
        String::new(),
    ] {
        redis.command(&["SPUBLISH", &channel("g"), &forged]);
    }
    let head = a.create_nodes(&g, 2).await;
    on_b.until(head).await;
    assert_saw_the_log(&b, &on_b).await;
    assert_eq!(on_b.starts_again, 0);
}

/// One instance loses its connections again and again while the other commits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w4_connections_cut_in_the_middle_of_load_lose_nothing_and_repeat_nothing() {
    let redis = RedisServer::start();
    let proxy = Proxy::to(redis.port()).await;
    let a = Arc::new(on(&redis).await);
    let b = Arc::new(Instance::partitioned(proxy.url(), patient(), Some(1)).await);
    let g = graph("g");
    let (mut on_a, mut on_b) = (a.follow(&g).await, b.follow(&g).await);
    until_subscribed(&redis, &channel("g"), 2).await;

    let (there, name) = (a.clone(), g.clone());
    let load = tokio::spawn(async move { there.create_nodes(&name, 400).await });
    for _ in 0..4 {
        let head = b.create_nodes(&g, 10).await; // the write path of the cut instance goes on too
        on_b.until(head).await;
        proxy.cut();
    }
    load.await.unwrap();
    let head = a.create_nodes(&g, 1).await;
    on_a.until(head).await;
    on_b.until(head).await;
    assert_eq!(head.version.get(), 441);
    assert_saw_the_log(&a, &on_a).await;
    assert_saw_the_log(&a, &on_b).await;
    assert_eq!((on_a.starts_again, on_b.starts_again), (0, 0));
}

/// The connection for subscriptions is dead and nobody can know: the comparison of heads finds out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w4_a_silent_subscription_is_compensated_by_comparing_heads() {
    let redis = RedisServer::start();
    let proxy = Proxy::to(redis.port()).await;
    let live = LiveConfig { heads_every: Duration::from_millis(200), ..patient() };
    let (a, g) = (on(&redis).await, graph("g"));
    let b = Instance::partitioned(proxy.url(), live, Some(1)).await;
    let mut on_b = b.follow(&g).await;
    until_subscribed(&redis, &channel("g"), 1).await;
    let head = a.create_nodes(&g, 1).await;
    on_b.until(head).await;
    assert_eq!(proxy.silence_subscribers(), 1);
    for _ in 0..3 {
        let head = a.create_nodes(&g, 5).await;
        on_b.until(head).await;
    }
    assert_saw_the_log(&b, &on_b).await;
}

/// The same, with no comparison for an hour: the connection is probed, given up, and made again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w4_a_silent_subscription_connection_is_detected_and_replaced() {
    let redis = RedisServer::start();
    let proxy = Proxy::to(redis.port()).await;
    let (a, g) = (on(&redis).await, graph("g"));
    let b = Instance::partitioned(proxy.url(), patient(), Some(1)).await;
    let mut on_b = b.follow(&g).await;
    until_subscribed(&redis, &channel("g"), 1).await;
    assert_eq!(proxy.silence_subscribers(), 1);
    let head = a.create_nodes(&g, 5).await;
    on_b.until(head).await;
    assert_saw_the_log(&b, &on_b).await;
}

/// Redis itself dies and comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w4_followers_get_commits_again_after_a_restart_of_redis() {
    let mut redis = RedisServer::with(&["--appendfsync", "always"]);
    let (a, b, g) = (on(&redis).await, on(&redis).await, graph("g"));
    let mut on_b = b.follow(&g).await;
    until_subscribed(&redis, &channel("g"), 1).await;
    let head = a.create_nodes(&g, 3).await;
    on_b.until(head).await;
    redis.restart();
    let head = a.create_nodes(&g, 3).await;
    on_b.until(head).await;
    until_subscribed(&redis, &channel("g"), 1).await;
    let head = a.create_nodes(&g, 3).await;
    on_b.until(head).await;
    assert_saw_the_log(&a, &on_b).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w10_redis_subscriptions_end_with_the_last_follower_and_start_again() {
    let redis = RedisServer::start();
    let (a, b, g) = (on(&redis).await, on(&redis).await, graph("g"));
    for round in 0..20 {
        let (mut first, second) = (b.follow(&g).await, b.follow(&g).await);
        drop(second);
        let head = a.create_nodes(&g, 1).await;
        first.until(head).await;
        drop(first);
        if round % 5 == 0 {
            until_subscribed(&redis, &channel("g"), 0).await;
        } // else it is followed again while it is being unsubscribed
    }
    until_subscribed(&redis, &channel("g"), 0).await;
}

/// The client library takes replies that begin with these words for publications, and gives later
/// replies to the wrong caller. Graphs, clients and states are all such words, while the same
/// connections answer other questions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publications_and_replies_are_never_confused() {
    const WORDS: [&str; 6] = ["message", "subscribe", "smessage", "ssubscribe", "sunsubscribe", "pubsub"];
    let redis = RedisServer::start();
    let (a, b) = (on(&redis).await, on(&redis).await);
    let mut followers = Vec::new();
    for word in WORDS {
        followers.push((word, a.follow(&graph(word)).await, b.follow(&graph(word)).await));
        until_subscribed(&redis, &channel(word), 2).await;
    }
    for round in 0..10 {
        for (word, on_a, on_b) in &mut followers {
            let g = graph(word);
            let author = if round % 2 == 0 { &a } else { &b };
            let head = author
                .commit(&g, "CREATE_NODE", json!({"id": format!("{word}{round}"), "type": *word}))
                .await;
            on_a.show(Uuid::from_u128(1), word, json!([*word, round]));
            on_b.until_shown(word, json!([*word, round])).await;
            on_a.until(head).await;
            on_b.until(head).await;
            assert_eq!((a.store.head(&g).await.unwrap(), b.store.head(&g).await.unwrap()), (head, head));
        }
    }
    for (_, on_a, on_b) in &followers {
        assert_saw_the_log(&a, on_a).await;
        assert_saw_the_log(&b, on_b).await;
    }
}

/// A history that grows while nobody is in the way, and a follower who begins in the middle of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w4_a_subscription_may_start_during_load_on_another_instance() {
    let redis = RedisServer::start();
    let (a, b, g) = (Arc::new(on(&redis).await), on(&redis).await, graph("g"));
    let (there, name) = (a.clone(), g.clone());
    let load = tokio::spawn(async move { there.create_nodes(&name, 300).await });
    let mut followers = Vec::new();
    while !load.is_finished() {
        let mut follower = b.follow(&g).await;
        follower.until_version(b.store.head(&g).await.unwrap().version.get()).await;
        followers.push(follower);
        if followers.len() > 20 {
            followers.remove(0);
        }
    }
    let head = load.await.unwrap();
    for follower in &mut followers {
        follower.until(head).await;
        assert_saw_the_log(&b, follower).await;
    }
}

mod cluster {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn w4_followers_survive_a_slot_migration_under_load() {
        let nodes = RedisServer::cluster();
        let url = nodes[0].url().replace("redis://", "redis-cluster://");
        let a = Arc::new(Instance::partitioned(url.clone(), patient(), Some(1)).await);
        let (b, g) = (Instance::partitioned(url, patient(), Some(1)).await, graph("g"));
        let (mut on_a, mut on_b) = (a.follow(&g).await, b.follow(&g).await);
        let slot = nodes[0].slot_of(&channel("g"));
        // The slot of {0} is 13,907, in the last third.
        let (from, to) = (&nodes[2], &nodes[0]);
        until_subscribed(from, &channel("g"), 2).await;
        let head = a.create_nodes(&g, 20).await;
        on_b.until(head).await;

        let (there, name) = (a.clone(), g.clone());
        let load = tokio::spawn(async move { there.create_nodes(&name, 300).await });
        on_b.until_version(60).await;
        tokio::task::block_in_place(|| from.migrate(&slot, to, &nodes));
        let head = load.await.unwrap();
        on_a.until(head).await;
        on_b.until(head).await;
        assert_eq!(head.version.get(), 320);
        until_subscribed(to, &channel("g"), 2).await;

        let head = b.create_nodes(&g, 20).await;
        on_a.until(head).await;
        on_b.until(head).await;
        assert_saw_the_log(&b, &on_a).await;
        assert_saw_the_log(&b, &on_b).await;
        on_a.show(Uuid::now_v7(), "ada", json!("there"));
        on_b.until_shown("ada", json!("there")).await;
    }
}
