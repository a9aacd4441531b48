//! The program with keys: what it prints, where it listens, what it refuses.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use serde_json::json;

use crate::{
    RSA, SECRET, get,
    support::server::{Process, program},
    token,
};

#[tokio::test]
async fn o1_a_token_minted_for_development_opens_what_it_names() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let settings = [
        ("DATA_DIR", data.to_str().unwrap()),
        ("JWT_SECRET", SECRET),
        ("JWT_AUDIENCE", "dao"),
        ("JWT_ISSUER", "dev"),
        // With keys the server may listen anywhere, and needs no further word.
        ("HOST", "0.0.0.0"),
    ];
    let server = Process::start(&settings);
    let client = crate::support::http::Client::new(([127, 0, 0, 1], server.address.port()).into());
    let arguments = ["token", "--user", "ada", "--graph", "team.*=read", "--graph", "g=write", "--ttl", "5m"];
    let minted = program(&settings).args(arguments).output().unwrap();
    assert!(minted.status.success(), "{}", String::from_utf8_lossy(&minted.stderr));
    let minted = String::from_utf8(minted.stdout).unwrap();
    let minted = minted.trim();
    assert_eq!(client.ask(get("/graphs/team.a/state", minted)).await.status, 200);
    assert_eq!(client.ask(crate::bearing(crate::create_node("g", "a"), minted)).await.status, 200);
    client.ask(crate::bearing(crate::create_node("team.a", "a"), minted)).await.problem(403, "FORBIDDEN");
    let without_audience = token("ada", json!({"g": "read"}));
    client.ask(get("/graphs/g/state", &without_audience)).await.problem(401, "UNAUTHENTICATED");
    client.get("/graphs/g/state").await.problem(401, "UNAUTHENTICATED");
    server.terminate();
    assert!(server.wait().success());
}

#[test]
fn o1_a_token_that_can_not_be_made_is_refused_with_one_line() {
    let mistakes = [
        ("g=read", "1h", ("JWT_ISSUER", ""), "JWT_SECRET"),
        ("g=read", "1h", ("JWT_PUBLIC_KEY", RSA), "JWT_SECRET"),
        ("g=read", "1h", ("JWT_SECRET", "too short"), "JWT_SECRET"),
        ("g", "1h", ("JWT_SECRET", SECRET), "--graph"),
        ("g=owner", "1h", ("JWT_SECRET", SECRET), "read, write or admin"),
        ("team/*=read", "1h", ("JWT_SECRET", SECRET), "glob"),
        ("g=read", "60", ("JWT_SECRET", SECRET), "--ttl"),
    ];
    for (graph, ttl, setting, place) in mistakes {
        let arguments = ["token", "--user", "ada", "--graph", graph, "--ttl", ttl];
        let output = program(&[setting]).args(arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), text.lines().count()), (Some(1), 1), "{arguments:?}: {text}");
        assert!(text.contains(place) && output.stdout.is_empty(), "{place} in {text}");
    }
}

#[tokio::test]
async fn o4_a_server_on_any_host_is_found_by_its_health_check() {
    for host in ["0.0.0.0", "127.0.0.1", "localhost", "::", "::1"] {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let settings = [("DATA_DIR", data.to_str().unwrap()), ("HOST", host)];
        let mut child = program(&settings);
        let mut with_keys = settings.to_vec();
        with_keys.push(("JWT_SECRET", SECRET));
        let server = Process::start(&with_keys);
        let port = server.address.port().to_string();
        let checked = child.env("PORT", &port).arg("healthcheck").output().unwrap();
        assert!(checked.status.success(), "{host}: {}", String::from_utf8_lossy(&checked.stderr));
    }
}

/// The first lines of `dao-api watch` with these arguments; it is stopped then.
fn watched(port: u16, arguments: &[&str], lines: usize) -> Vec<String> {
    let port = port.to_string();
    let mut command = program(&[("PORT", &port)]);
    command.args(["watch", "g", "--from", "0", "--json"]).args(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let lines = output.lines().take(lines).map(Result::unwrap).collect();
    let _ended_already = child.kill();
    child.wait().unwrap();
    lines
}

#[tokio::test]
async fn o1_watch_brings_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [("DATA_DIR", dir.path().to_str().unwrap()), ("JWT_SECRET", SECRET)];
    let server = Process::start(&settings);
    let ada = token("ada", json!({"g": "write"}));
    assert_eq!(server.client().ask(crate::bearing(crate::create_node("g", "a"), &ada)).await.status, 200);
    let port = server.address.port();
    let lines = tokio::task::spawn_blocking(move || watched(port, &["--token", &ada], 1)).await.unwrap();
    assert!(lines[0].contains("\"userId\":\"ada\""), "{lines:?}");
    let without = program(&[("PORT", &port.to_string())]).args(["watch", "g"]).output().unwrap();
    let text = String::from_utf8(without.stderr).unwrap();
    assert!(!without.status.success() && text.contains("Missing token"), "{text}");
}
