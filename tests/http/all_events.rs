//! All graphs' commits as server-sent events and as lines (rules S3, S4, H5).

use std::collections::{BTreeMap, BTreeSet};

use dao_api::store::FeedPlace;
use serde_json::{Value, json};

use crate::support::{http::Client, http::Request, redis::RedisServer, server::Server, stream::Stream};

const SSE: (&str, &str) = ("accept", "text/event-stream");
const LINES: (&str, &str) = ("accept", "application/x-ndjson");

/// A commit by its graph and version.
type Key = (String, u64);

fn key(commit: &Value) -> Key {
    (commit["graphId"].as_str().unwrap().to_owned(), commit["version"].as_u64().unwrap())
}

async fn create(client: &Client, graph: &str, node: &str) {
    client.apply(graph, "CREATE_NODE", json!({"id": node})).await;
}

/// So many commits in one request, and so for the most part in one append.
async fn batch(client: &Client, graph: &str, name: &str, count: usize) {
    let operations: Vec<Value> = (0..count)
        .map(|n| json!({"type": "CREATE_NODE", "payload": {"id": format!("{name}-{n}")}}))
        .collect();
    let reply = client.post(&format!("/graphs/{graph}/batch"), &json!({"operations": operations})).await;
    assert_eq!(reply.status, 200);
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

/// Runs a test on a server over each store.
macro_rules! on_every_store {
    ($($name:ident)*) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::rules::$name(super::Server::start().await).await;
            })*
        }
        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let redis = super::RedisServer::start();
                super::rules::$name(super::Server::on_redis(&redis).await).await;
            })*
        }
    };
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

mod rules {
    use super::*;

    pub(super) async fn s3_without_since_it_begins_now(server: Server) {
        create(&server, "a", "before").await;
        let (mut stream, first) = follow(&server, "/events").await;
        assert_eq!(stream.header("content-type"), Some("text/event-stream"));
        assert_eq!(stream.header("cache-control"), Some("no-cache"));
        create(&server, "b", "n").await;
        let (position, commit) = next_commit(&mut stream).await;
        assert_eq!(commit, server.changes("b", 0).await[0], "the commit as everywhere else");
        create(&server, "a", "after").await;
        assert_eq!(key(&next_commit(&mut stream).await.1), ("a".into(), 2));
        // What was said at once is a place to come back to.
        let from_first = replay(&server, &format!("since={first}")).await.0;
        let told: BTreeSet<Key> = keys(&from_first).into_iter().collect();
        assert_eq!(told, [("a".into(), 2), ("b".into(), 1)].into());
        assert_eq!(keys(&replay(&server, &format!("since={position}")).await.0), [("a".to_owned(), 2)]);
    }

    pub(super) async fn s3_from_the_beginning_and_then_live(server: Server) {
        for graph in ["a", "b", "c"] {
            batch(&server, graph, "first", 5).await;
        }
        let (mut stream, _) = follow(&server, "/events?since=0").await;
        let mut told = Vec::new();
        for _ in 0..15 {
            told.push(key(&next_commit(&mut stream).await.1));
        }
        for n in 0..10 {
            create(&server, ["a", "b"][n % 2], &format!("then-{n}")).await;
            told.push(key(&next_commit(&mut stream).await.1));
        }
        assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), 25, "no repeat was needed");
        assert_nothing_is_skipped(&told, &[("a".into(), 10), ("b".into(), 10), ("c".into(), 5)].into());
        let changes = server.changes("a", 0).await;
        let lines = replay(&server, "since=0&graphs=a").await.0;
        assert_eq!(lines.into_iter().map(|(_, commit)| commit).collect::<Vec<_>>(), changes);
    }

    pub(super) async fn s3_every_position_is_one_to_resume_from(server: Server) {
        for round in 0..4 {
            for graph in ["a", "b", "c", "d"] {
                batch(&server, graph, &round.to_string(), 1 + 2 * round).await;
            }
        }
        resume_from_every_position(&server, 7).await;
        // And from the positions of a reader of histories, which has to look into every graph.
        trim(&server, 1).await;
        resume_from_every_position(&server, 32).await;
    }

    /// Nothing is missed, and not more than so many come again.
    async fn resume_from_every_position(server: &Server, repeats_max: usize) {
        let (all, end) = replay(server, "since=0").await;
        assert_eq!(keys(&all).into_iter().collect::<BTreeSet<_>>().len(), 4 * 16);
        for (index, (position, commit)) in all.iter().enumerate() {
            let rest = keys(&replay(server, &format!("since={position}")).await.0);
            let told: BTreeSet<&Key> = rest.iter().collect();
            let missed = keys(&all[index + 1..]).into_iter().find(|key| !told.contains(key));
            assert_eq!(missed, None, "after {}, with {position}", key(commit).1);
            let left = all.len() - index - 1;
            assert!(rest.len() <= left + repeats_max, "{} of {left}", rest.len());
        }
        assert_eq!(replay(server, &format!("since={end}")).await.0, []);
    }

    pub(super) async fn s3_after_trimming_the_beginning_is_read_from_histories(server: Server) {
        let names: Vec<String> = (0..40).map(|n| format!("g{n}")).collect();
        for (n, graph) in names.iter().enumerate() {
            batch(&server, graph, "a", 1 + n % 3).await;
        }
        batch(&server, "long", "a", 1_000).await;
        batch(&server, "long", "b", 400).await;
        trim(&server, 0).await;
        let mut heads: BTreeMap<String, u64> =
            (names.iter().enumerate()).map(|(n, graph)| (graph.clone(), 1 + n as u64 % 3)).collect();
        heads.insert("long".into(), 1_400);
        let (all, _) = replay(&server, "since=0").await;
        assert_nothing_is_skipped(&keys(&all), &heads);
        let globbed = keys(&replay(&server, "since=0&graphs=g1*").await.0);
        let expected = keys(&all).into_iter().filter(|(graph, _)| graph.starts_with("g1"));
        assert_eq!(globbed, expected.collect::<Vec<_>>());

        // It goes on with what happens while it reads, and after.
        let (mut stream, _) = follow(&server, "/events?since=0").await;
        create(&server, "g7", "meanwhile").await;
        create(&server, "new", "meanwhile").await;
        *heads.get_mut("g7").unwrap() += 1;
        heads.insert("new".into(), 1);
        let mut told = Vec::new();
        while told.iter().collect::<BTreeSet<_>>().len() < heads.values().sum::<u64>() as usize {
            told.push(key(&next_commit(&mut stream).await.1));
        }
        assert_nothing_is_skipped(&told, &heads);
        create(&server, "new", "later").await;
        while told.last() != Some(&("new".to_owned(), 2)) {
            told.push(key(&next_commit(&mut stream).await.1));
        }
    }

    pub(super) async fn s3_a_position_before_what_was_trimmed_skips_nothing(server: Server) {
        batch(&server, "a", "first", 3).await;
        let (_, early) = replay(&server, "since=0").await;
        for n in 0..6 {
            create(&server, "a", &format!("n{n}")).await;
            create(&server, "b", &format!("n{n}")).await;
        }
        trim(&server, 2).await;
        let told: BTreeSet<Key> =
            keys(&replay(&server, &format!("since={early}")).await.0).into_iter().collect();
        for version in 4..=9 {
            assert!(told.contains(&("a".to_owned(), version)), "{version} in {told:?}");
        }
        for version in 1..=6 {
            assert!(told.contains(&("b".to_owned(), version)), "{version} in {told:?}");
        }
        // A reader that is level does not notice that what it has is trimmed.
        let (mut stream, _) = follow(&server, "/events").await;
        trim(&server, 0).await;
        create(&server, "a", "last").await;
        assert_eq!(key(&next_commit(&mut stream).await.1), ("a".into(), 10));
    }

    pub(super) async fn s4_a_filter_gives_the_same_in_the_replay_and_live(server: Server) {
        let filters = [
            "",
            "types=NodeDeleted",
            "types=NodeMoved,EdgeDeleted",
            "graphs=team-a.*",
            "graphs=team-b.x,*y",
            "users=ada",
            "users=bob,eve&types=NodeCreated&graphs=team*",
            "users=nobody",
        ];
        let mut live = Vec::new();
        for filter in filters {
            live.push(follow(&server, &format!("/events?{filter}")).await.0);
        }
        for (n, graph) in ["team-a.x", "team-b.x", "team-a.y", "solo"].iter().enumerate() {
            let client = server.as_user(["ada", "bob"][n % 2]);
            create(&client, graph, "a").await;
            create(&client, graph, "b").await;
            client.apply(graph, "CREATE_EDGE", json!({"id": "ab", "source": "a", "target": "b"})).await;
            let moved = json!({"nodeId": "a", "position": {"x": 1, "y": 2}});
            server.as_user("eve").apply(graph, "UPDATE_NODE_POSITION", moved).await;
            client.apply(graph, "DELETE_NODE", json!({"nodeId": "b"})).await; // with its edge: one commit
        }
        let all: Vec<Value> = replay(&server, "since=0").await.0.into_iter().map(|(_, c)| c).collect();
        assert_eq!(all.len(), 20);
        let has = |c: &Value, name: &str| c["events"].as_array().unwrap().iter().any(|e| e["type"] == name);
        let graph = |c: &Value| c["graphId"].as_str().unwrap().to_owned();
        let by = |c: &Value, user: &str| c["userId"] == user;
        let wanted: [&dyn Fn(&Value) -> bool; 8] = [
            &|_| true,
            &|c| has(c, "NodeDeleted"),
            &|c| has(c, "NodeMoved") || has(c, "EdgeDeleted"),
            &|c| graph(c).starts_with("team-a."),
            &|c| graph(c) == "team-b.x" || graph(c).ends_with('y'),
            &|c| by(c, "ada"),
            &|c| (by(c, "bob") || by(c, "eve")) && has(c, "NodeCreated") && graph(c).starts_with("team"),
            &|_| false,
        ];
        let mut wanted_of = Vec::new();
        for ((filter, wanted), stream) in filters.iter().zip(wanted).zip(&mut live) {
            let expected: BTreeMap<Key, &Value> =
                all.iter().filter(|commit| wanted(commit)).map(|commit| (key(commit), commit)).collect();
            let mut told = Vec::new();
            for _ in 0..expected.len() {
                told.push(next_commit(stream).await.1);
            }
            let told: BTreeMap<Key, &Value> = told.iter().map(|commit| (key(commit), commit)).collect();
            assert_eq!(told, expected, "{filter:?} live");
            let lines = replay(&server, &format!("since=0&{filter}")).await.0;
            let replayed: BTreeMap<Key, &Value> = lines.iter().map(|(_, c)| (key(c), c)).collect();
            assert_eq!(replayed, expected, "the replay of {filter:?} from the feed");
            wanted_of.push((filter, expected));
        }
        trim(&server, 2).await;
        for (filter, expected) in wanted_of {
            let lines = replay(&server, &format!("since=0&{filter}")).await.0;
            let replayed: BTreeMap<Key, &Value> = lines.iter().map(|(_, c)| (key(c), c)).collect();
            assert_eq!(replayed, expected, "the replay of {filter:?} from histories");
        }
    }

    pub(super) async fn s3_what_is_passed_over_moves_the_position(server: Server) {
        for n in 0..20 {
            create(&server, "noise", &format!("n{n}")).await;
        }
        for query in ["since=0&graphs=quiet", "since=0&types=EdgeDeleted", "since=0&users=nobody"] {
            let (none, end) = replay(&server, query).await;
            assert_eq!(none, [], "{query}");
            assert_eq!(replay(&server, &format!("since={end}")).await.0, [], "{query} went over all");
        }
        let (_, end) = replay(&server, "since=0&graphs=quiet").await;
        create(&server, "noise", "later").await;
        assert_eq!(keys(&replay(&server, &format!("since={end}")).await.0), [("noise".to_owned(), 21)]);
    }

    pub(super) async fn s3_writers_that_race_hide_nothing_from_any_reader(server: Server) {
        race(&server, &server).await;
    }

    pub(super) async fn s3_a_reader_that_stalls_misses_nothing(server: Server) {
        let (mut stalled, _) = follow(&server, "/events").await;
        let (mut quick, _) = follow(&server, "/events").await;
        let text = "x".repeat(16_000);
        let requests = 12;
        for request in 0..requests {
            let operations: Vec<Value> = (0..60)
                .map(|n| {
                    let id = format!("{request}-{n}");
                    json!({"type": "CREATE_NODE", "payload": {"id": id, "data": {"text": text}}})
                })
                .collect();
            let graph = ["a", "b"][request % 2];
            let body = json!({"operations": operations});
            assert_eq!(server.post(&format!("/graphs/{graph}/batch"), &body).await.status, 200);
        }
        // Twelve megabytes: more than the ring and the sockets between hold.
        for stream in [&mut quick, &mut stalled] {
            let mut told = Vec::new();
            while told.iter().collect::<BTreeSet<_>>().len() < 60 * requests {
                told.push(key(&next_commit(stream).await.1));
            }
            assert_nothing_is_skipped(&told, &[("a".into(), 360), ("b".into(), 360)].into());
        }
    }

    pub(super) async fn s3_a_server_that_stops_ends_its_streams(server: Server) {
        let (mut stream, _) = follow(&server, "/events").await;
        create(&server, "g", "n").await;
        next_commit(&mut stream).await;
        let stopping = tokio::spawn(server.stop());
        assert_eq!(stream.event().await, None, "it ends like any answer");
        stopping.await.unwrap();
    }
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
