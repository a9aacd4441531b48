//! All graphs' commits as server-sent events and as lines (rules S3, S4, H5).

mod failures;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use dao_api::store::FeedPlace;
use serde_json::Value;

use crate::{
    every_store::{Key, batch, create},
    support::{
        http::{Client, Request},
        redis::RedisServer,
        server::Server,
        stream::Stream,
    },
};

const SSE: (&str, &str) = ("accept", "text/event-stream");

const LINES: (&str, &str) = ("accept", "application/x-ndjson");

fn key(commit: &Value) -> Key {
    (commit["graphId"].as_str().unwrap().to_owned(), commit["version"].as_u64().unwrap())
}

/// The next commit with its position; what is not a commit says only where the stream is.
async fn next_commit(stream: &mut Stream) -> (String, Value) {
    loop {
        let event = stream.event().await.expect("an event");
        match event.name.as_str() {
            "commit" => return (event.id, event.data),
            "" => assert_eq!(event.data, Value::Null),
            other => panic!("{other}: {}", event.data),
        }
    }
}

/// Opens a stream, and the position that it begins with: from here on nothing is missed.
async fn follow(client: &Client, path: &str) -> (Stream, String) {
    let mut stream = Stream::open(client, path, &[SSE]).await;
    assert_eq!(stream.status, 200);
    let first = stream.event().await.unwrap();
    assert!(first.name.is_empty() && !first.id.is_empty(), "{first:?}");
    (stream, first.id)
}

/// All commits of a stream that ends, with their positions; and the position at its end.
async fn replay(client: &Client, query: &str) -> (Vec<(String, Value)>, String) {
    let stream = Stream::open(client, &format!("/events?follow=false&{query}"), &[LINES]).await;
    assert_eq!(stream.status, 200, "{query}");
    let mut lines = stream.lines().await;
    let end = lines.pop().expect("a last line");
    assert_eq!(end.as_object().unwrap().len(), 1, "the end is a position alone: {end}");
    let with_position = |mut line: Value| {
        let position = line.as_object_mut().unwrap().shift_remove("position").expect("a position");
        (position.as_str().unwrap().to_owned(), line)
    };
    (lines.into_iter().map(with_position).collect(), end["position"].as_str().unwrap().to_owned())
}

fn keys(commits: &[(String, Value)]) -> Vec<Key> {
    commits.iter().map(|(_, commit)| key(commit)).collect()
}

/// Each graph's commits from 1 to its last, in order, though some may come again.
fn assert_nothing_is_skipped(told: &[Key], heads: &BTreeMap<String, u64>) {
    let mut at: BTreeMap<&str, u64> = BTreeMap::new();
    for (graph, version) in told {
        let last = at.entry(graph).or_insert(0);
        assert!(*version <= *last + 1, "{graph}: {version} after {last}");
        *last = (*last).max(*version);
    }
    for (graph, head) in heads {
        assert_eq!(at.get(graph.as_str()), Some(head), "{graph}");
    }
}

/// Lets go of the first entries of every part of the feed: `keep` are left, where there are as many.
async fn trim(server: &Server, keep: usize) {
    let store = server.projections();
    for part in 0..store.feed_parts() {
        let entries = store.feed(part, FeedPlace::START, 1_000_000).await.unwrap();
        if let Some(last) = entries.len().checked_sub(keep + 1).map(|index| entries[index].place) {
            store.trim_feed(part, last).await.unwrap();
        }
    }
}

on_every_store! {
    s3_without_since_it_begins_now
    s3_from_the_beginning_and_then_live
    s3_every_position_is_one_to_resume_from
    s3_after_trimming_the_beginning_is_read_from_histories
    s3_a_position_before_what_was_trimmed_skips_nothing
    s4_a_filter_gives_the_same_in_the_replay_and_live
    s3_what_is_passed_over_moves_the_position
    s3_writers_that_race_hide_nothing_from_any_reader
    s3_a_reader_that_stalls_misses_nothing
    s3_a_server_that_stops_ends_its_streams
}

/// Many writers on both servers; readers on both that begin before, in the midst, and that change
/// from one server to the other all the time.
async fn race(one: &Client, other: &Client) {
    const COMMITS: usize = 60;
    let graphs = ["a", "b", "c", "d", "e", "f"];
    let heads: BTreeMap<String, u64> =
        graphs.iter().map(|graph| ((*graph).to_owned(), 2 * COMMITS as u64)).collect();
    let all = 2 * COMMITS * graphs.len();
    let mut readers = tokio::task::JoinSet::new();
    for client in [one, other] {
        for path in ["/events?since=0", "/events"] {
            let mut stream = follow(client, path).await.0;
            readers.spawn(async move {
                let mut told = Vec::new();
                while told.iter().collect::<BTreeSet<_>>().len() < all {
                    told.push(key(&next_commit(&mut stream).await.1));
                }
                told
            });
        }
    }
    let (clients, mut since) = ([one.clone(), other.clone()], follow(one, "/events").await.1);
    readers.spawn(async move {
        let (mut told, mut seen, mut turn) = (Vec::new(), BTreeSet::new(), 0);
        while seen.len() < all {
            turn += 1;
            let path = format!("/events?since={since}");
            let mut stream = Stream::open(&clients[turn % 2], &path, &[SSE]).await;
            for _ in 0..turn % 17 + 1 {
                if seen.len() == all {
                    break;
                }
                let (position, commit) = next_commit(&mut stream).await;
                seen.insert(key(&commit));
                told.push(key(&commit));
                since = position;
            }
        }
        told
    });
    let mut writers = tokio::task::JoinSet::new();
    for (name, client) in [("one", one), ("other", other)] {
        for graph in graphs {
            let client = client.clone();
            writers.spawn(async move {
                let mut left = COMMITS;
                while left > 0 {
                    let count = (left % 7 + 1).min(left);
                    batch(&client, graph, &format!("{name}-{left}"), count).await;
                    left -= count;
                }
            });
        }
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    while let Some(told) = readers.join_next().await {
        assert_nothing_is_skipped(&told.unwrap(), &heads);
    }
}

#[tokio::test]
async fn s3_last_event_id_overrides_since() {
    let server = Server::start().await;
    batch(&server, "a", "n", 1).await;
    let (_, position) = replay(&server, "since=0").await;
    batch(&server, "b", "n", 1).await;
    let headers = [SSE, ("last-event-id", position.as_str())];
    let mut stream = Stream::open(&server, "/events?since=0", &headers).await;
    assert_eq!(key(&next_commit(&mut stream).await.1), ("b".into(), 1));
    let mut stream = Stream::open(&server, "/events", &[SSE, ("last-event-id", "0")]).await;
    assert_eq!(key(&next_commit(&mut stream).await.1), ("a".into(), 1));
}

#[tokio::test]
async fn s3_lines_can_follow_and_events_can_end() {
    let server = Server::start().await;
    create(&server, "g", "a").await;
    let mut lines = Stream::open(&server, "/events?since=0&follow=true", &[LINES]).await;
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    let first = lines.line().await.unwrap();
    assert_eq!(first.as_object().unwrap().len(), 1, "the position it begins with: {first}");
    assert_eq!(key(&lines.line().await.unwrap()), ("g".into(), 1));
    create(&server, "g", "b").await;
    let second = lines.line().await.unwrap();
    assert_eq!((key(&second), second["position"].is_string()), (("g".into(), 2), true));

    let mut events = Stream::open(&server, "/events?since=0&follow=false", &[SSE]).await;
    let (_, first) = next_commit(&mut events).await;
    let (id, second) = next_commit(&mut events).await;
    assert_eq!((key(&first), key(&second)), (("g".into(), 1), ("g".into(), 2)));
    let end = events.event().await.unwrap();
    assert_eq!((end.id, end.name.as_str()), (id, ""));
    assert_eq!(events.event().await, None);
}

#[tokio::test]
async fn h5_a_malformed_position_or_filter_is_refused() {
    let server = Server::start().await;
    create(&server, "g", "n").await;
    let (_, position) = replay(&server, "since=0").await;
    let garbled = format!("{}A{}", &position[..3], &position[4..]);
    for (query, place) in [
        ("since=-1".to_owned(), "since"),
        ("since=1".to_owned(), "since"),
        ("since=".to_owned(), "since"),
        (format!("since={garbled}"), "since"),
        (format!("since={position}="), "since"),
        (format!("since={}", "A".repeat(5_000)), "since"),
        ("types=".to_owned(), "types"),
        ("types=NodeCreated,".to_owned(), "types"),
        ("types=Nothing".to_owned(), "types"),
        ("graphs=".to_owned(), "graphs"),
        ("graphs=a%20b".to_owned(), "graphs"),
        ("graphs=.*".to_owned(), "graphs"),
        ("users=".to_owned(), "users"),
        ("users=a%0Ab".to_owned(), "users"),
        ("follow=maybe".to_owned(), "follow"),
    ] {
        server.get(&format!("/events?{query}")).await.bad(&query, place);
    }
    for last in ["x", &garbled, "3:00"] {
        let request = Request::get("/events").header("last-event-id", last);
        server.ask(request).await.bad(last, "Last-Event-ID");
    }
    let redis = RedisServer::start();
    let other = Server::on_redis(&redis).await;
    let refused = other.get(&format!("/events?since={position}")).await;
    refused.bad("a position of a store with other partitions", "1 partitions");
}
