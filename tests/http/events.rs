//! One graph's commits as server-sent events and as lines (rules S1, S2, V4, H5).

use serde_json::{Value, json};

use crate::support::{redis::RedisServer, server::Server, stream::Stream};

const SSE: (&str, &str) = ("accept", "text/event-stream");
const LINES: (&str, &str) = ("accept", "application/x-ndjson");

async fn grow(server: &Server, graph: &str, from: u64, to: u64) {
    for n in from..to {
        server.apply(graph, "CREATE_NODE", json!({"id": format!("n{n}")})).await;
    }
}

fn id_of(commit: &Value) -> String {
    format!("{}:{}", commit["version"], commit["hash"].as_str().unwrap())
}

#[tokio::test]
async fn s1_a_stream_has_every_commit_after_since_and_then_live_ones() {
    let server = Server::start().await;
    grow(&server, "g", 0, 3).await;
    let mut stream = Stream::open(&server, "/graphs/g/events?since=1", &[SSE]).await;
    assert_eq!(stream.status, 200);
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    assert_eq!(stream.header("cache-control"), Some("no-cache"));
    let changes = server.changes("g", 1).await;
    for expected in &changes {
        assert_eq!(stream.commit().await, (id_of(expected), expected.clone()));
    }
    grow(&server, "g", 3, 6).await;
    for expected in &server.changes("g", 3).await {
        assert_eq!(stream.commit().await, (id_of(expected), expected.clone()));
    }
}

#[tokio::test]
async fn s2_accept_honours_quality_values_and_ignores_case() {
    let server = Server::start().await;
    for (accept, expected) in [
        ("text/event-stream;q=0, application/x-ndjson", "application/x-ndjson"),
        ("text/event-stream;q=0.4, application/x-ndjson;Q=0.5", "application/x-ndjson"),
        ("Application/X-NDJSON", "application/x-ndjson"),
        ("application/x-ndjson;q=0.4, Text/Event-Stream;q=0.5", "text/event-stream"),
        ("*/*", "text/event-stream"),
    ] {
        for path in ["/graphs/g/events", "/events"] {
            let stream = Stream::open(&server, path, &[("accept", accept)]).await;
            assert_eq!(stream.header("content-type"), Some(expected), "{path} {accept}");
        }
    }
}

#[tokio::test]
async fn s1_a_stream_of_an_empty_graph_waits_for_commits() {
    let server = Server::start().await;
    let mut stream = Stream::open(&server, "/graphs/later/events", &[SSE]).await;
    grow(&server, "later", 0, 1).await;
    assert_eq!(stream.commit().await.1["version"], 1);
}

#[tokio::test]
async fn s1_last_event_id_resumes_and_overrides_since() {
    let server = Server::start().await;
    grow(&server, "g", 0, 5).await;
    let all = server.changes("g", 0).await;
    let id = id_of(&all[2]);
    for last in [id.as_str(), "3"] {
        let headers = [SSE, ("last-event-id", last)];
        let mut stream = Stream::open(&server, "/graphs/g/events?since=0", &headers).await;
        assert_eq!(stream.commit().await.1, all[3], "{last}");
        assert_eq!(stream.commit().await.1, all[4], "{last}");
    }
    let hash = all[1]["hash"].as_str().unwrap();
    let mut stream = Stream::open(&server, &format!("/graphs/g/events?since=2&hash={hash}"), &[SSE]).await;
    assert_eq!(stream.commit().await.1, all[2]);
}

#[tokio::test]
async fn s1_a_resume_point_off_the_history_gets_a_reset_and_continues_at_the_head() {
    let server = Server::start().await;
    grow(&server, "g", 0, 3).await;
    let all = server.changes("g", 0).await;
    let wrong = format!("2:{}", all[2]["hash"].as_str().unwrap());
    for last in [wrong.as_str(), "2:nothex", "9", "9:00"] {
        let head = server.state("g").await;
        let mut stream = Stream::open(&server, "/graphs/g/events", &[SSE, ("last-event-id", last)]).await;
        let event = stream.event().await.unwrap();
        assert_eq!((event.name.as_str(), event.id), ("reset", id_of(&head)), "{last}");
        assert_eq!(event.data, json!({"currentVersion": head["version"], "hash": head["hash"]}), "{last}");
        let x = head["version"].as_u64().unwrap();
        let next = server.apply("g", "SET_VIEWPORT", json!({"x": x, "y": 0, "zoom": 1})).await;
        assert_eq!(stream.commit().await.1["version"], next["version"], "{last}");
    }
}

#[tokio::test]
async fn s2_lines_end_at_the_current_version_unless_they_follow() {
    let server = Server::start().await;
    grow(&server, "g", 0, 300).await;
    let stream = Stream::open(&server, "/graphs/g/events", &[LINES]).await;
    assert_eq!(stream.header("content-type"), Some("application/x-ndjson"));
    let all = server.changes("g", 0).await;
    assert_eq!(stream.lines().await, all);
    let stream = Stream::open(&server, "/graphs/g/events?since=298&follow=false", &[LINES]).await;
    assert_eq!(stream.lines().await, all[298..]);
    let at_head = Stream::open(&server, "/graphs/g/events?since=300", &[LINES]).await;
    assert_eq!(at_head.lines().await, Vec::<Value>::new());
    let ahead = Stream::open(&server, "/graphs/g/events?since=301", &[LINES]).await;
    let reset = json!({"reset": true, "currentVersion": 300, "hash": all[299]["hash"]});
    assert_eq!(ahead.lines().await, [reset]);
    let mut finite = Stream::open(&server, "/graphs/g/events?since=299&follow=false", &[SSE]).await;
    assert_eq!(finite.commit().await.1, all[299]);
    assert_eq!(finite.event().await, None);
    let mut following = Stream::open(&server, "/graphs/g/events?since=299&follow=true", &[LINES]).await;
    assert_eq!(following.line().await.unwrap(), all[299]);
    grow(&server, "g", 300, 301).await;
    assert_eq!(following.line().await.unwrap()["version"], 301);
}

#[tokio::test]
async fn s1_older_commits_come_from_the_log_without_a_gap_before_live_ones() {
    let server = Server::start().await;
    let batch = |from: u64| {
        let operations: Vec<Value> = (from..from + 500)
            .map(|n| json!({"type": "CREATE_NODE", "payload": {"id": format!("n{n}")}}))
            .collect();
        json!({"operations": operations})
    };
    for from in [0, 500, 1_000, 1_500] {
        assert_eq!(server.post("/graphs/g/batch", &batch(from)).await.status, 200);
    }
    let mut stream = Stream::open(&server, "/graphs/g/events", &[SSE]).await;
    for version in 1..=700 {
        assert_eq!(stream.commit().await.1["version"], version);
    }
    assert_eq!(server.post("/graphs/g/batch", &batch(2_000)).await.status, 200);
    for version in 701..=2_500 {
        assert_eq!(stream.commit().await.1["version"], version);
    }
}

#[tokio::test]
async fn s4_filters_by_type_and_user_are_the_same_in_replay_and_live() {
    let server = Server::start().await;
    let queries =
        ["types=NodeMoved", "users=bob", "users=ada,bob&types=NodeCreated,EdgeCreated", "users=eve"];
    let mut live = Vec::new();
    for query in queries {
        live.push(Stream::open(&server, &format!("/graphs/g/events?{query}"), &[SSE]).await);
    }
    for n in 0..6 {
        let client = server.as_user(["ada", "bob", "cy"][n % 3]);
        client.apply("g", "CREATE_NODE", json!({"id": format!("n{n}")})).await;
        let position = json!({"nodeId": format!("n{n}"), "position": {"x": 1, "y": n}});
        server.as_user("dan").apply("g", "UPDATE_NODE_POSITION", position).await;
    }
    let all = server.changes("g", 0).await;
    let is = |commit: &Value, name: &str| commit["events"][0]["type"] == name;
    let wanted: [&dyn Fn(&Value) -> bool; 4] = [
        &|c| is(c, "NodeMoved"),
        &|c| c["userId"] == "bob",
        &|c| is(c, "NodeCreated") && c["userId"] != "cy",
        &|_| false,
    ];
    for ((query, wanted), stream) in queries.iter().zip(wanted).zip(&mut live) {
        let expected: Vec<Value> = all.iter().filter(|commit| wanted(commit)).cloned().collect();
        let lines = Stream::open(&server, &format!("/graphs/g/events?{query}"), &[LINES]).await;
        assert_eq!(lines.lines().await, expected, "{query}");
        for commit in &expected {
            assert_eq!(stream.commit().await, (id_of(commit), commit.clone()), "{query} live");
        }
    }
}

#[tokio::test]
async fn s2_lines_of_a_long_history_equal_the_changes() {
    let redis = RedisServer::start();
    for server in [Server::start().await, Server::on_redis(&redis).await] {
        for from in (0..5_000).step_by(1_000) {
            let operations: Vec<Value> = (from..from + 1_000)
                .map(|n| json!({"type": "CREATE_NODE", "payload": {"id": format!("n{n}"), "data": {"é\n": [n, 0.5, null]}}}))
                .collect();
            assert_eq!(server.post("/graphs/g/batch", &json!({"operations": operations})).await.status, 200);
        }
        let all = server.changes("g", 0).await;
        let stream = Stream::open(&server, "/graphs/g/events", &[LINES]).await;
        assert!(stream.lines().await == all);
        let mut stream = Stream::open(&server, "/graphs/g/events?since=100", &[SSE]).await;
        for expected in &all[100..] {
            assert_eq!(stream.commit().await, (id_of(expected), expected.clone()));
        }
    }
}

#[tokio::test]
async fn h5_a_malformed_resume_point_is_refused() {
    let server = Server::start().await;
    for (query, place) in [
        ("since=-1", "since"),
        ("since=x", "since"),
        ("follow=maybe", "follow"),
        ("types=x", "types"),
        ("users=", "users"),
    ] {
        server.get(&format!("/graphs/g/events?{query}")).await.bad(query, place);
    }
    for last in ["x", "-1", ":", "1.5:00", "9223372036854775808"] {
        let request = crate::support::http::Request::get("/graphs/g/events").header("last-event-id", last);
        server.ask(request).await.bad(last, "Last-Event-ID");
    }
}

#[tokio::test]
async fn v4_a_replaced_history_resets_a_stream_that_follows() {
    let redis = RedisServer::start();
    let server = Server::on_redis(&redis).await;
    grow(&server, "g", 0, 3).await;
    let mut stream = Stream::open(&server, "/graphs/g/events?since=2", &[SSE]).await;
    assert_eq!(stream.commit().await.1["version"], 3);
    for key in redis.keys("dao:*graph:g:*") {
        redis.command(&["DEL", &key]);
    }
    let other = Server::on_redis(&redis).await;
    other.apply("g", "CREATE_NODE", json!({"id": "another"})).await;
    let head = server.state("g").await; // which finds out
    let event = stream.event().await.unwrap();
    assert_eq!(event.name, "reset");
    if event.data["currentVersion"] == 0 {
        // It looked after the old history was gone and before the other one began: that is what comes next.
        let (_, commit) = stream.commit().await;
        assert_eq!((&commit["version"], &commit["hash"]), (&json!(1), &head["hash"]));
        return;
    }
    assert_eq!((&event.data["currentVersion"], &event.data["hash"]), (&json!(1), &head["hash"]));
}

#[tokio::test]
async fn a_stopping_server_ends_its_streams() {
    let server = Server::start().await;
    let mut stream = Stream::open(&server, "/graphs/g/events", &[SSE]).await;
    grow(&server, "g", 0, 1).await;
    stream.commit().await;
    let restarting = tokio::spawn(server.restart());
    assert_eq!(stream.event().await, None, "it ends like any answer");
    restarting.await.unwrap();
}
