//! What the program logs: nothing for what goes well, one line for each failure of its own, with what it was about and
//! nothing that is secret.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Stdio},
};

use serde_json::{Value, json};

use crate::support::{
    graph::{command, new_id, with},
    http::{Client, Request},
    redis::RedisServer,
    server::program,
    ws::{Ws, command_frame},
};

/// The program, with its log kept.
struct Logged {
    child: Child,
    client: Client,
}

impl Logged {
    fn start(settings: &[(&str, &str)]) -> Self {
        let mut program = program(settings);
        program.env("LOG_LEVEL", "info").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split_once("http://").unwrap().1.split_whitespace().next().unwrap();
        let client = Client::new(address.parse().unwrap());
        Self { child, client }
    }

    /// Stops it, and everything it has logged.
    fn stop(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        drop(self.client);
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        self.child.wait().unwrap();
        log
    }
}

fn lines(log: &str) -> Vec<Value> {
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

/// The value of a field, of the event or of a span around it.
fn field<'a>(event: &'a Value, name: &str) -> Option<&'a Value> {
    let spans = event["spans"].as_array().into_iter().flatten();
    event.get(name).or_else(|| spans.filter_map(|span| span.get(name)).next())
}

/// Says which of ada's commands failed, and why.
fn assert_tells_of_failed_command(event: &Value, request: &str) {
    assert_eq!(event["level"], "WARN");
    for (name, value) in [
        ("graph", "g"),
        ("user", "ada"),
        ("request_id", request),
        ("method", "POST"),
        ("path", "/graphs/g/command"),
        ("code", "STORE_UNAVAILABLE"),
    ] {
        assert_eq!(field(event, name), Some(&json!(value)), "{name} in {event}");
    }
    let spans: Vec<_> = event["spans"].as_array().unwrap().iter().map(|span| &span["name"]).collect();
    assert_eq!(spans, ["request", "command"], "{event}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn successes_are_not_logged_and_failures_are_logged_once() {
    let mut redis = RedisServer::start();
    let url = redis.url();
    let server = Logged::start(&[("REDIS_URL", &url), ("LOG_FORMAT", "json"), ("PROJECTORS", "off")]);
    let client = server.client.as_user("ada");
    let mut ws = Ws::connect(client.address(), "?userId=bob").await;
    ws.subscribe("g", json!({})).await;
    for n in 0..50 {
        client.apply("g", "CREATE_NODE", json!({"id": n.to_string(), "data": {"secret": "hunter2"}})).await;
        ws.expect("STATE_UPDATE").await;
    }
    client
        .command("g", &command("DELETE_NODE", json!({"nodeId": "no"})))
        .await
        .problem(404, "NODE_NOT_FOUND");
    client.command("g", &json!({"type": "NO"})).await.bad("no payload", "payload");
    redis.kill();
    let id = new_id();
    let body = with(&command("CREATE_NODE", json!({"id": "x"})), json!({"operationId": id})).to_string();
    let request = Request::post("/graphs/g/command?token=hunter2", body)
        .header("x-request-id", "request-1")
        .header("authorization", "Bearer hunter2");
    client.ask(request).await.problem(503, "STORE_UNAVAILABLE");
    // Without a query it goes past the router, and its spans are made for the log alone.
    let plain_id = new_id();
    let body =
        with(&command("CREATE_NODE", json!({"id": "z"})), json!({"operationId": plain_id})).to_string();
    let request = Request::post("/graphs/g/command", body).header("x-request-id", "request-2");
    client.ask(request).await.problem(503, "STORE_UNAVAILABLE");
    let by_socket = new_id();
    ws.send(&command_frame("g", &by_socket, "CREATE_NODE", json!({"id": "y"}))).await;
    assert_eq!(ws.expect("REVERT").await["code"], "STORE_UNAVAILABLE");
    redis.restart();
    drop(ws);
    let log = server.stop();
    assert!(!log.contains("hunter2"), "{log}");
    let events = lines(&log);
    for event in &events {
        for name in ["timestamp", "level", "message", "target"] {
            assert!(event[name].is_string(), "{name} in {event}");
        }
    }
    let about = |id: &str| -> Vec<&Value> {
        events.iter().filter(|event| field(event, "operation").is_some_and(|found| found == id)).collect()
    };
    for (id, request) in [(&id, "request-1"), (&plain_id, "request-2")] {
        let failed = about(id).into_iter().filter(|event| event.get("cause").is_some()).collect::<Vec<_>>();
        assert_eq!(failed.len(), 1, "{log}");
        assert_tells_of_failed_command(failed[0], request);
    }
    let failed =
        about(&by_socket).into_iter().filter(|event| event.get("cause").is_some()).collect::<Vec<_>>();
    assert_eq!((failed.len(), field(failed[0], "user")), (1, Some(&json!("bob"))), "{log}");
    let others = events.iter().filter(|event| event["message"].as_str().unwrap().contains("request"));
    assert_eq!(others.count(), 3, "of 55 requests the three that failed are told: {log}");
}

#[test]
fn the_text_log_is_readable() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let log = Logged::start(&[("DATA_DIR", data), ("LOG_FORMAT", "text")]).stop();
    assert!(log.contains("no keys are configured") && !log.contains('{'), "{log}");
    // Where nobody looks on, it is JSON.
    let log = Logged::start(&[("DATA_DIR", data)]).stop();
    assert!(lines(&log).iter().any(|event| event["message"].as_str().unwrap().contains("no keys")), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o2_each_refused_origin_is_logged_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Logged::start(&[("DATA_DIR", dir.path().to_str().unwrap())]);
    let body = json!({"type": "CREATE_NODE", "payload": {}}).to_string();
    for _ in 0..3 {
        for (number, origin) in
            ["https://a.example", "https://b.example", "https://c.example"].iter().enumerate()
        {
            let preflight = Request::new("OPTIONS", "/graphs/g/command").header("origin", origin);
            let preflight = preflight.header("access-control-request-method", "POST");
            let read = Request::get("/graphs/g/state").header("origin", origin);
            let write = Request::post("/graphs/g/command", body.clone()).header("origin", origin);
            // A page sees one of these, or a socket that does not open.
            server.client.ask([preflight, read, write][number].clone()).await;
        }
        let header = "origin: https://socket.example\r\n";
        let refused = Ws::upgrade(server.client.address(), "", header).await;
        assert_eq!(refused.err().map(|refused| refused.status), Some(403));
    }
    for own in ["http://localhost:5173", "http://localhost"] {
        server.client.ask(Request::post("/graphs/g/command", body.clone()).header("origin", own)).await;
        server.client.ask(Request::get("/graphs/g/state").header("origin", own)).await;
    }
    let log = server.stop();
    let logged: Vec<String> = lines(&log)
        .iter()
        .filter(|event| event["level"] == "WARN")
        .filter_map(|event| Some(field(event, "origin")?.as_str()?.to_owned()))
        .collect();
    let expected = ["https://a.example", "https://b.example", "https://c.example", "https://socket.example"];
    assert_eq!(logged, expected, "{log}");
    assert!(log.contains("CORS_ORIGINS"), "it says what to do: {log}");
}
