//! `dao-api demo`, as a person runs it who has just heard of it; and what `dao-api serve` says of where to go.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Stdio},
    time::{Duration, Instant},
};

use crate::support::{
    http::{Client, Request},
    server::{Process, program},
};

/// A demo that runs.
struct Demo {
    child: Child,
    out: BufReader<ChildStdout>,
    temporary: tempfile::TempDir,
}

impl Demo {
    fn start() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().to_str().unwrap();
        // Settings of another server do not reach it.
        let mut command = program(&[("TMPDIR", dir), ("JWT_SECRET", &"x".repeat(40)), ("CONSOLE", "off")]);
        let mut child = command.args(["demo", "--no-open"]).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out, temporary }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    /// The address that it says.
    fn client(&mut self) -> Client {
        let line = self.line();
        let (_, rest) = line.split_once("http://").unwrap_or_else(|| panic!("no address in {line:?}"));
        let (address, path) = rest.trim().split_once('/').unwrap();
        assert_eq!(path, "console/demo");
        Client::new(address.parse().unwrap())
    }

    fn stop(&mut self) {
        std::process::Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().next().is_none()
}

#[tokio::test]
async fn a_demo_has_its_page_its_graph_and_a_server_that_can_be_killed() {
    let mut demo = Demo::start();
    let client = demo.client();
    assert_eq!(client.ask(Request::get("/demo")).await.json(), serde_json::json!({"graphId": "demo"}));
    assert_eq!(client.ask(Request::get("/console/demo")).await.status, 200);
    let before = client.ask(Request::get("/graphs/demo/state")).await.json();
    assert!(before["nodes"].as_array().unwrap().len() > 3, "{before}");
    // Pages of other sites may not kill it.
    let foreign = Request::post("/demo/kill", "").header("origin", "https://evil.example");
    client.ask(foreign).await.problem(403, "FORBIDDEN");
    assert_eq!(client.ask(Request::post("/demo/kill", "")).await.status, 202);
    let began = Instant::now();
    let mut was_away = false;
    let after = loop {
        match client.send(&Request::get("/graphs/demo/state")).await {
            Ok(reply) if was_away => break reply.json(),
            Ok(_) => {}
            Err(_) => was_away = true,
        }
        assert!(began.elapsed() < Duration::from_secs(60), "it comes back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(before, after);
    demo.stop();
    assert!(is_empty(demo.temporary.path()), "nothing of it is left");
    assert!(client.send(&Request::get("/healthz")).await.is_err(), "its server ends with it");
}

#[tokio::test]
async fn the_server_of_a_demo_ends_with_it_however_that_ends() {
    let mut demo = Demo::start();
    let client = demo.client();
    demo.child.kill().unwrap();
    demo.child.wait().unwrap();
    let began = Instant::now();
    while client.send(&Request::get("/healthz")).await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(30), "it ends");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn other_servers_have_no_demo() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(&[("DATA_DIR", dir.path().to_str().unwrap())]);
    server.client().ask(Request::get("/demo")).await.problem(404, "NOT_FOUND");
    server.client().ask(Request::post("/demo/kill", "")).await.problem(404, "NOT_FOUND");
}

#[test]
fn a_server_says_where_to_go_with_a_browser() {
    let lines = |settings: &[(&str, &str)]| {
        let dir = tempfile::tempdir().unwrap();
        let mut command = program(settings);
        command.env("DATA_DIR", dir.path()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        out.read_line(&mut first).unwrap();
        std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
        child.wait().unwrap();
        let rest: Vec<String> = out.lines().map(Result::unwrap).collect();
        (first, rest)
    };
    let (first, rest) = lines(&[]);
    let (_, address) = first.split_once("http://").unwrap();
    let address = address.split(' ').next().unwrap();
    let expected = [
        format!("Console  http://{address}/console/"),
        format!("API      http://{address}/docs"),
        "Try      dao-api demo".to_owned(),
    ];
    assert_eq!(rest, expected);
    let (_, rest) = lines(&[("CONSOLE", "off"), ("DOCS", "off")]);
    assert!(rest.is_empty(), "{rest:?}");
}

#[tokio::test]
async fn k10_a_console_apart_is_not_on_the_port_of_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let apart = format!("127.0.0.1:{}", crate::support::redis::free_port());
    let settings = [("DATA_DIR", dir.path().to_str().unwrap()), ("CONSOLE_LISTEN", &apart)];
    let server = Process::start(&settings);
    let console = Client::new(apart.parse().unwrap());
    server.client().get("/console/").await.problem(404, "NOT_FOUND");
    assert_eq!(console.get("/console/").await.status, 200);
    // The page asks where it comes from.
    server.client().apply("g", "CREATE_NODE", serde_json::json!({"id": "a"})).await;
    assert_eq!(console.state("g").await["nodes"][0]["id"], "a");
    server.terminate();
    assert!(server.wait().success());
    assert!(console.send(&Request::get("/healthz")).await.is_err());

    let refused = |settings: &[(&str, &str)]| {
        let output = program(settings).env("DATA_DIR", dir.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    for (settings, expected) in [
        ([("CONSOLE_LISTEN", "3001"), ("CONSOLE", "on")], "is not an address with a port"),
        ([("CONSOLE_LISTEN", "0.0.0.0:0"), ("CONSOLE", "on")], "impersonate"),
        ([("CONSOLE_LISTEN", "127.0.0.1:0"), ("CONSOLE", "off")], "CONSOLE=off"),
    ] {
        let said = refused(&settings);
        assert!(said.contains("CONSOLE_LISTEN") && said.contains(expected), "{said}");
    }
}
