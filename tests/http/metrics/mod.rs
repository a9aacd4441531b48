//! `GET /metrics`: each family moves when its thing happens, the text is what it says it is, nobody can make a label,
//! and what is written about metrics is true of them.

mod documents;

use std::time::Duration;

use dao_api::http::MetricsRoute;
use serde_json::{Value, json};

use crate::support::{
    graph::{command, new_id, with},
    http::{Client, Request},
    openmetrics::Exposition,
    redis::RedisServer,
    server::{Process, Server},
    stream::Stream,
    ws::{Ws, frame},
};

pub(crate) async fn scrape(client: &Client) -> Exposition {
    let reply = client.get("/metrics").await;
    assert_eq!(reply.status, 200);
    let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(reply.header("content-type"), Some(media));
    Exposition::read(std::str::from_utf8(&reply.body).unwrap())
}

/// Scrapes until this holds: gauges follow sockets that have just been closed.
async fn until(client: &Client, what: &str, holds: impl Fn(&Exposition) -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !holds(&scrape(client).await) {
        assert!(tokio::time::Instant::now() < deadline, "{what} never came to be");
        tokio::time::sleep(Duration::from_millis(10)).await; // between two looks at the event itself
    }
}

/// What changed between two looks.
struct Moved(Exposition, Exposition);

impl Moved {
    fn by(&self, sample: &str, labels: &[(&str, &str)]) -> f64 {
        self.1.value(sample, labels) - self.0.value(sample, labels)
    }
}

/// What happens in `scenario`, as metrics of this server tell it.
async fn moved(client: &Client, scenario: impl Future<Output = ()>) -> Moved {
    let before = scrape(client).await;
    scenario.await;
    Moved(before, scrape(client).await)
}

fn node(id: &str) -> Value {
    json!({"id": id, "data": {"label": "a"}})
}

/// Commands with every outcome, and what is refused.
async fn send_commands(server: &Server) {
    let (ada, bob) = (server.as_user("ada"), server.as_user("bob"));
    ada.apply("g", "CREATE_NODE", node("n")).await;
    let first = with(&command("CREATE_NODE", node("m")), json!({"operationId": new_id()}));
    assert_eq!(ada.accept("g", &first).await["outcome"], "applied");
    assert_eq!(ada.accept("g", &first).await["duplicate"], true);
    let update = |field: &str| {
        let payload = json!({"nodeId": "n", "updates": {"data": {field: "x"}}});
        with(&command("UPDATE_NODE", payload), json!({"clientVersion": 2}))
    };
    assert_eq!(ada.accept("g", &update("label")).await["outcome"], "applied");
    assert_eq!(bob.accept("g", &update("colour")).await["outcome"], "merged");
    let other = json!({"nodeId": "n", "updates": {"data": {"label": "y"}}});
    let stale = with(&command("UPDATE_NODE", other), json!({"clientVersion": 2}));
    bob.command("g", &stale).await.problem(409, "CONFLICT");
    let to_where_it_is = json!({"nodeId": "n", "position": {"x": 0, "y": 0}});
    ada.apply("g", "UPDATE_NODE_POSITION", to_where_it_is).await;
    bob.command("g", &command("DELETE_EDGE", json!({"edgeId": "no"}))).await.problem(404, "EDGE_NOT_FOUND");
    let batch = json!({"atomic": true, "operations": [command("CREATE_NODE", node("b")), command("CREATE_NODE", node("c"))]});
    assert_eq!(ada.post("/graphs/g/batch", &batch).await.status, 200);
    server.post("/graphs/g/command", &json!({"type": "NO"})).await.bad("no payload", "payload");
}

async fn commands_and_conflicts(server: &Server) {
    let moved = moved(server, send_commands(server)).await;
    let commands =
        |kind: &str, outcome: &str| moved.by("dao_commands_total", &[("type", kind), ("outcome", outcome)]);
    assert_eq!(commands("CREATE_NODE", "applied"), 2.0);
    assert_eq!(commands("CREATE_NODE", "duplicate"), 1.0);
    assert_eq!(commands("UPDATE_NODE", "applied"), 1.0);
    assert_eq!(commands("UPDATE_NODE", "merged"), 1.0);
    assert_eq!(commands("UPDATE_NODE", "refused"), 1.0);
    assert_eq!(commands("UPDATE_NODE_POSITION", "unchanged"), 1.0);
    assert_eq!(commands("DELETE_EDGE", "refused"), 1.0);
    assert_eq!(commands("BATCH", "applied"), 1.0);
    assert_eq!(moved.by("dao_command_refusals_total", &[("code", "CONFLICT")]), 1.0);
    assert_eq!(moved.by("dao_command_refusals_total", &[("code", "EDGE_NOT_FOUND")]), 1.0);
    assert_eq!(moved.by("dao_conflicts_total", &[("kind", "same_field")]), 1.0);
    assert_eq!(moved.by("dao_conflicts_total", &[("kind", "merged")]), 1.0);
    assert_eq!(moved.by("dao_commits_total", &[]), 5.0);
    assert_eq!(moved.by("dao_append_commits_sum", &[]), 5.0);
    // Also for what changes nothing something is recorded.
    assert_eq!(moved.by("dao_appends_total", &[("outcome", "appended")]), 8.0);
    assert_eq!(moved.by("dao_append_duration_seconds_count", &[]), 8.0);
    assert!(moved.by("dao_append_duration_seconds_sum", &[]) > 0.0);
    assert_eq!(moved.by("dao_round_operations_sum", &[]), 9.0);
    assert_eq!(moved.by("dao_store_calls_total", &[("call", "append")]), 8.0);
    let command = |status: &str| {
        let labels = [("route", "/graphs/{graphId}/command"), ("status", status)];
        moved.by("dao_http_requests_total", &labels)
    };
    assert_eq!([command("200"), command("409"), command("404"), command("400")], [6.0, 1.0, 1.0, 1.0]);
    let timed = [("route", "/graphs/{graphId}/command")];
    assert_eq!(moved.by("dao_http_request_duration_seconds_count", &timed), 9.0);
    for (code, times) in [("CONFLICT", 1.0), ("EDGE_NOT_FOUND", 1.0), ("BAD_REQUEST", 1.0)] {
        assert_eq!(moved.by("dao_problems_total", &[("code", code)]), times, "{code}");
    }
    assert_eq!(moved.1.value("dao_hot_graphs", &[]), 1.0);
    assert!(moved.1.value("dao_hot_graph_bytes", &[]) > 1_000.0);
    assert_eq!(moved.1.value("dao_store_available", &[]), 1.0);
}

async fn sockets_and_streams(server: &Server) {
    let before = scrape(server).await;
    let mut ws = Ws::connect(server.address(), "?userId=ada").await;
    ws.subscribe("live", json!({})).await;
    ws.command("live", "CREATE_NODE", node("a")).await;
    ws.expect("STATE_UPDATE").await;
    ws.expect("ACK").await;
    ws.command("live", "DELETE_NODE", json!({"nodeId": "no"})).await;
    ws.expect("REVERT").await;
    ws.send(&json!({"type": "PRESENCE", "graphId": "live", "state": {"cursor": 1}})).await;
    ws.send(&json!({"type": "NO_SUCH"})).await;
    ws.expect("ERROR").await;
    let mut events = Stream::open(server, "/graphs/live/events", &[("accept", "text/event-stream")]).await;
    events.commit().await;
    let lines =
        Stream::open(server, "/graphs/live/events?follow=true", &[("accept", "application/x-ndjson")]).await;
    let moved = Moved(before, scrape(server).await);
    for (sample, labels, by) in [
        ("dao_websocket_connections", &[][..], 1.0),
        ("dao_websocket_connections_opened_total", &[], 1.0),
        ("dao_websocket_subscriptions", &[], 1.0),
        ("dao_websocket_messages_total", &[("direction", "in")], 5.0),
        ("dao_websocket_messages_total", &[("direction", "out")], 6.0),
        ("dao_streams", &[("style", "sse")], 1.0),
        ("dao_streams", &[("style", "ndjson")], 1.0),
        ("dao_live_snapshots_total", &[], 1.0),
        ("dao_followed_graphs", &[], 1.0),
        ("dao_present_clients", &[], 1.0),
        ("dao_problems_total", &[("code", "NODE_NOT_FOUND")], 1.0),
        ("dao_problems_total", &[("code", "BAD_REQUEST")], 1.0),
        ("dao_commands_total", &[("type", "DELETE_NODE"), ("outcome", "refused")], 1.0),
    ] {
        assert_eq!(moved.by(sample, labels), by, "{sample} {labels:?}");
    }
    assert!(moved.by("dao_live_commits_total", &[("source", "memory")]) >= 2.0);
    assert!(moved.by("dao_websocket_bytes_total", &[("direction", "in")]) > 100.0);
    assert!(moved.by("dao_websocket_bytes_total", &[("direction", "out")]) > 100.0);
    // A frame that is not masked breaks the protocol (RFC 6455, 5.1).
    let mut unmasked = frame(0x81, b"{}");
    unmasked[1] &= 0x7f;
    ws.write(&unmasked).await;
    ws.expect_close(1002).await;
    drop((ws, events, lines));
    until(server, "the end of sockets and streams", |now| {
        let gauges = [
            "dao_websocket_connections",
            "dao_websocket_subscriptions",
            "dao_followed_graphs",
            "dao_present_clients",
        ];
        gauges.iter().all(|name| now.value(name, &[]) == 0.0)
            && now.value("dao_streams", &[("style", "sse")])
                + now.value("dao_streams", &[("style", "ndjson")])
                == 0.0
    })
    .await;
    let dropped = scrape(server).await.value("dao_websocket_dropped_total", &[("reason", "protocol")]);
    assert_eq!(dropped, 1.0);
}

/// A follower that is far behind is told from the log, and that is counted apart.
async fn laggards(server: &Server) {
    let operations: Vec<_> = (0..1_000).map(|n| command("CREATE_NODE", node(&format!("n{n}")))).collect();
    for _ in 0..2 {
        let mut operations = operations.clone();
        operations.iter_mut().for_each(|operation| operation["payload"]["id"] = json!(new_id()));
        assert_eq!(server.post("/graphs/long/batch", &json!({"operations": operations})).await.status, 200);
    }
    let moved = moved(server, async {
        let lines = Stream::open(
            server,
            "/graphs/long/events?types=NodeCreated",
            &[("accept", "application/x-ndjson")],
        )
        .await;
        assert_eq!(lines.lines().await.len(), 2_000);
    });
    let moved = moved.await;
    let delivered = |source: &str| moved.by("dao_live_commits_total", &[("source", source)]);
    assert!(
        delivered("log") >= 900.0 && delivered("log") + delivered("memory") == 2_000.0,
        "{}",
        delivered("log")
    );
    assert!(moved.by("dao_live_lag_commits_count", &[]) >= 1.0);
    assert_eq!(moved.1.value("dao_live_laggards", &[]), 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_metric_changes_when_its_event_happens() {
    let redis = RedisServer::start();
    for server in [Server::start().await, Server::on_redis(&redis).await] {
        commands_and_conflicts(&server).await;
        sockets_and_streams(&server).await;
        laggards(&server).await;
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn races_of_two_instances_show_in_the_metrics() {
    let redis = RedisServer::start();
    let (one, other) = (Server::on_redis(&redis).await, Server::on_redis(&redis).await);
    one.apply("g", "CREATE_NODE", node("a")).await;
    let moved = moved(&other, async {
        other.state("g").await;
        one.apply("g", "CREATE_NODE", node("b")).await;
        other.apply("g", "CREATE_NODE", node("c")).await;
    });
    assert_eq!(moved.await.by("dao_appends_total", &[("outcome", "head_moved")]), 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_an_unavailable_store_shows_in_the_metrics() {
    let mut redis = RedisServer::start();
    let server = Server::on_redis(&redis).await;
    server.apply("g", "CREATE_NODE", node("a")).await;
    redis.kill();
    let before = scrape(&server).await;
    server.command("g", &command("CREATE_NODE", node("b"))).await.problem(503, "STORE_UNAVAILABLE");
    let moved = Moved(before, scrape(&server).await);
    assert_eq!(moved.1.value("dao_store_available", &[]), 0.0);
    let errors =
        ["unavailable", "outcome_unknown"].map(|kind| moved.by("dao_store_errors_total", &[("kind", kind)]));
    assert!(errors.iter().sum::<f64>() >= 1.0);
    assert!(
        moved.by("dao_appends_total", &[("outcome", "unavailable")])
            + moved.by("dao_appends_total", &[("outcome", "unknown")])
            >= 1.0
    );
    assert_eq!(moved.by("dao_problems_total", &[("code", "STORE_UNAVAILABLE")]), 1.0);
    redis.restart();
    until(&server, "the store's return", |now| now.value("dao_store_available", &[]) == 1.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_can_not_create_metric_labels() {
    let server = Server::start().await;
    let ask = |n: usize| {
        let (graph, user) = (format!("secret-graph-{n}"), format!("secret-user-{n}"));
        let server = server.as_user(&user);
        async move {
            server.apply(&graph, "CREATE_NODE", node(&format!("secret-node-{n}"))).await;
            server.get(&format!("/secret-path-{n}/x")).await.problem(404, "NOT_FOUND");
            server.get(&format!("/graphs/{graph}/nodes/secret-node-{n}?secret={n}")).await;
            server.ask(Request::new(&format!("SECRET{n}"), &format!("/graphs/{graph}/state"))).await;
            server
                .command(&graph, &json!({"type": format!("SECRET{n}"), "payload": {}}))
                .await
                .bad("", "type");
        }
    };
    ask(0).await;
    let before = scrape(&server).await;
    for n in 1..50 {
        ask(n).await;
    }
    let after = scrape(&server).await;
    assert_eq!(after.series(), before.series() + 1, "but for the first scrape of /metrics itself");
    let values = after.label_values();
    assert!(values.iter().all(|value| !value.to_ascii_lowercase().contains("secret")), "{values:?}");
    assert!(after.series() < 1_500, "{} series", after.series());
    let unmatched = [("route", "unmatched"), ("status", "404")];
    assert_eq!(after.value("dao_http_requests_total", &unmatched), 50.0);
}

#[tokio::test]
async fn o4_without_metrics_the_route_is_404() {
    let server = Server::of(|app| app.with_metrics(MetricsRoute::Off)).await;
    server.get("/metrics").await.problem(404, "NOT_FOUND");
    assert_eq!(server.get("/healthz").await.status, 200);
}

/// The program as it is started: what it is, what it promises, how projections are, what it takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o5_the_server_reports_its_version_and_durability() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(&[("DATA_DIR", dir.path().to_str().unwrap())]);
    let client = server.client();
    for n in 0..20 {
        client.apply("g", "CREATE_NODE", node(&format!("n{n}"))).await;
    }
    let subscription = Request { method: "PUT".into(), ..Request::post("/subscriptions/s", "{}") };
    assert_eq!(client.ask(subscription).await.status, 201);
    until(&client, "a projection that is level", |now| {
        now.families.contains_key("dao_projection_lag_commits")
            && now.value("dao_projection_lag_commits", &[]) == 0.0
    })
    .await;
    let now = scrape(&client).await;
    assert_eq!(now.value("dao_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    assert_eq!(now.value("dao_durability_info", &[("name", "fsync")]), 1.0);
    assert_eq!(now.value("dao_projection_parked_graphs", &[]), 0.0);
    assert_eq!(now.value("dao_subscriptions", &[]), 1.0);
    assert!(now.value("dao_uptime_seconds", &[]) > 0.0);
    assert!(
        now.value("dao_store_calls_total", &[("call", "change_rows")]) >= 1.0,
        "projectors are counted too"
    );
    #[cfg(target_os = "linux")]
    {
        let resident = now.value("process_resident_memory_bytes", &[]) / 1_024.0;
        let told = server.memory_kib("VmRSS") as f64;
        assert!(resident > told / 2.0 && resident < told * 2.0, "{resident} {told}");
        assert!(now.value("process_cpu_seconds_total", &[]) > 0.0);
        assert!(now.value("process_open_fds", &[]) > 5.0);
    }
}
