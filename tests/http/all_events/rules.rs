//! What holds on a server over either store.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{assert_nothing_is_skipped, follow, key, keys, next_commit, race, replay, trim};
use crate::{
    every_store::{Key, batch, create},
    support::server::Server,
};

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
    let told: BTreeSet<Key> = keys(&replay(&server, &format!("since={early}")).await.0).into_iter().collect();
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

/// Commits of three users in four graphs: 20 in all.
async fn fill(server: &Server) {
    for (n, graph) in ["team-a.x", "team-b.x", "team-a.y", "solo"].iter().enumerate() {
        let client = server.as_user(["ada", "bob"][n % 2]);
        create(&client, graph, "a").await;
        create(&client, graph, "b").await;
        client.apply(graph, "CREATE_EDGE", json!({"id": "ab", "source": "a", "target": "b"})).await;
        let moved = json!({"nodeId": "a", "position": {"x": 1, "y": 2}});
        server.as_user("eve").apply(graph, "UPDATE_NODE_POSITION", moved).await;
        client.apply(graph, "DELETE_NODE", json!({"nodeId": "b"})).await; // with its edge: one commit
    }
}

/// That the replay through a filter has these commits, and no others.
async fn assert_replayed(server: &Server, filter: &str, expected: &BTreeMap<Key, &Value>, from: &str) {
    let lines = replay(server, &format!("since=0&{filter}")).await.0;
    let replayed: BTreeMap<Key, &Value> = lines.iter().map(|(_, c)| (key(c), c)).collect();
    assert_eq!(replayed, *expected, "the replay of {filter:?} from {from}");
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
    fill(&server).await;
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
        assert_replayed(&server, filter, &expected, "the feed").await;
        wanted_of.push((filter, expected));
    }
    trim(&server, 2).await;
    for (filter, expected) in wanted_of {
        assert_replayed(&server, filter, &expected, "histories").await;
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
