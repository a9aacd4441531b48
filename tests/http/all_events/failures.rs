//! Other servers, restarts, positions that don't exist, stores that are away and histories that can't be read.

use std::collections::BTreeSet;

use serde_json::json;

use super::{LINES, SSE, follow, key, keys, next_commit, race, replay, trim};
use crate::{
    every_store::{Key, batch, create},
    support::{redis::RedisServer, server::Server, stream::Stream},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_a_stream_has_the_commits_of_both_servers() {
    let redis = RedisServer::start();
    let (one, other) = (Server::on_redis(&redis).await, Server::on_redis(&redis).await);
    race(&one, &other).await;
}

#[tokio::test]
async fn s3_positions_survive_a_restart() {
    let server = Server::start().await;
    batch(&server, "g", "a", 5).await;
    let (all, end) = replay(&server, "since=0").await;
    let server = server.restart().await;
    assert_eq!(replay(&server, "since=0").await, (all, end.clone()));
    create(&server, "g", "then").await;
    assert_eq!(keys(&replay(&server, &format!("since={end}")).await.0), [("g".to_owned(), 6)]);

    let mut redis = RedisServer::start();
    let server = Server::on_redis(&redis).await;
    batch(&server, "g", "a", 5).await;
    let (all, end) = replay(&server, "since=0").await;
    redis.restart();
    let server = Server::on_redis(&redis).await;
    assert_eq!(replay(&server, "since=0").await, (all, end.clone()));
    create(&server, "g", "then").await;
    assert_eq!(keys(&replay(&server, &format!("since={end}")).await.0), [("g".to_owned(), 6)]);
}

#[tokio::test]
async fn s3_a_position_beyond_the_end_of_a_restored_store_starts_over() {
    let lost = Server::start().await;
    for n in 0..9 {
        create(&lost, "g", &format!("n{n}")).await;
    }
    let (_, beyond) = replay(&lost, "since=0").await;
    let restored = Server::start().await;
    for n in 0..3 {
        create(&restored, "g", &format!("n{n}")).await;
    }
    let told = keys(&replay(&restored, &format!("since={beyond}")).await.0);
    assert_eq!(told, [("g".to_owned(), 1), ("g".to_owned(), 2), ("g".to_owned(), 3)]);
    let (mut stream, _) = follow(&restored, &format!("/events?since={beyond}")).await;
    create(&restored, "g", "another").await;
    for version in 1..=4 {
        assert_eq!(next_commit(&mut stream).await.1["version"], version);
    }
}

/// The histories and feeds that a running reader follows are gone, and others are there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_a_feed_that_went_back_is_followed_from_its_start() {
    let redis = RedisServer::start();
    let server = Server::on_redis(&redis).await;
    // A place that no clock comes to: all that follows is before it, as after a fail-over to a
    // machine whose clock is behind.
    let partition = server.projections().feed_part(&crate::support::history::graph("g"));
    create(&server, "g", "n").await;
    let feed = format!("dao:{{{partition}}}:feed");
    redis.command(&["XADD", &feed, "99999999999999-0", "graph", "g", "from", "1", "to", "1"]);
    let (mut stream, _) = follow(&server, "/events").await;
    redis.command(&["DEL", &feed]);
    let other = Server::on_redis(&redis).await;
    create(&other, "g", "m").await;
    assert_eq!(key(&next_commit(&mut stream).await.1), ("g".into(), 2));
}

#[tokio::test]
async fn v7_a_damaged_history_is_reported_and_others_go_on() {
    let redis = RedisServer::start();
    let server = Server::on_redis(&redis).await;
    let (mut stream, _) = follow(&server, "/events").await;
    batch(&server, "bad", "n", 6).await;
    for _ in 0..6 {
        next_commit(&mut stream).await;
    }
    batch(&server, "good", "n", 2).await;
    for _ in 0..2 {
        next_commit(&mut stream).await;
    }
    let events = redis.keys("dao:*graph:bad:events").pop().unwrap();
    redis.command(&["XDEL", &events, "4-0"]);
    for kept in [1_000_000, 0] {
        // First from the feed, then from the histories.
        trim(&server, kept).await;
        let stream = Stream::open(&server, "/events?since=0", &[LINES]).await;
        let lines = stream.lines().await;
        let told: BTreeSet<Key> = lines.iter().filter(|line| !line["hash"].is_null()).map(key).collect();
        for expected in [("bad", 1), ("bad", 2), ("bad", 3), ("good", 1), ("good", 2)] {
            assert!(told.contains(&(expected.0.to_owned(), expected.1)), "{expected:?} in {told:?}");
        }
        assert!(!told.contains(&("bad".to_owned(), 5)), "nothing is read across a hole: {told:?}");
        let damage = lines.iter().find(|line| line.get("error").is_some()).expect("a word of it");
        assert_eq!((&damage["graphId"], &damage["version"]), (&json!("bad"), &json!(4)));
        assert_eq!(damage["error"]["code"], "HISTORY_DAMAGED");
    }
    let mut events = Stream::open(&server, "/events?since=0", &[SSE]).await;
    loop {
        let event = events.event().await.unwrap();
        if event.name == "problem" {
            assert_eq!((&event.data["graphId"], event.data["version"].as_u64()), (&json!("bad"), Some(4)));
            break;
        }
    }
    create(&server, "good", "after").await;
    assert_eq!(key(&next_commit(&mut stream).await.1), ("good".into(), 3));
}

#[tokio::test]
async fn h4_no_stream_starts_while_the_store_is_unavailable() {
    let mut redis = RedisServer::start();
    let server = Server::on_redis(&redis).await;
    redis.kill();
    server.get("/events").await.problem(503, "STORE_UNAVAILABLE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_a_reader_waits_while_the_store_is_unavailable() {
    let mut redis = RedisServer::start();
    let server = Server::on_redis(&redis).await;
    let (mut stream, _) = follow(&server, "/events").await;
    create(&server, "g", "a").await;
    assert_eq!(key(&next_commit(&mut stream).await.1), ("g".into(), 1));
    redis.restart();
    let other = Server::on_redis(&redis).await;
    create(&other, "g", "b").await;
    assert_eq!(key(&next_commit(&mut stream).await.1), ("g".into(), 2));
}
