//! Connections that take places, memory or turns from others (O3, W6).

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{graph::new_id, http::Client, server::Process};

/// Address space that a sound server needs a fraction of.
const ADDRESS_SPACE_KIB: u64 = 6 << 20;
/// What does not come in this time does not come.
const PATIENCE: Duration = Duration::from_secs(30);

fn start(dir: &Path, settings: &[(&str, &str)]) -> Process {
    let data = dir.join("data");
    let own = [("DATA_DIR", data.to_str().expect("text"))];
    Process::start_within(ADDRESS_SPACE_KIB, &[&own[..], settings].concat())
}

fn connect(server: &Process) -> TcpStream {
    let stream = TcpStream::connect(server.address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream
}

/// One answer, as far as its `Content-Length` goes; all that came, if the connection ended first.
fn answer(stream: &mut TcpStream) -> String {
    let mut got = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&got).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().expect("a length")) {
                return text;
            }
        }
        match stream.read(&mut piece) {
            Ok(read @ 1..) => got.extend_from_slice(&piece[..read]),
            _ => return text,
        }
    }
}

fn ends(answer: &str) -> bool {
    answer.contains("\r\nconnection: close\r\n")
}

/// Requests that are refused by their heads, with the beginning of their answers.
const REFUSED: [(&str, &str); 6] = [
    ("POST /graphs/g/command HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer nonsense\r\n", "HTTP/1.1 401 "),
    ("POST /graphs/g/command HTTP/1.1\r\nHost: a\r\n", "HTTP/1.1 401 "),
    ("POST /nowhere HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer nonsense\r\n", "HTTP/1.1 401 "),
    ("PUT /healthz HTTP/1.1\r\nHost: a\r\n", "HTTP/1.1 405 "),
    ("POST /healthz HTTP/1.1\r\nHost: a\r\n", "HTTP/1.1 405 "),
    ("GET /healthz HTTP/1.1\r\nHost: a\r\n", "HTTP/1.1 200 "),
];

#[test]
fn h10_a_request_that_is_refused_by_its_head_leaves_the_connection_usable_or_says_that_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[("JWT_SECRET", "a-secret-of-more-than-thirty-two-bytes-for-hs256")]);
    let body = "x".repeat(5_000);
    let sized = (format!("Content-Length: {}\r\n\r\n", body.len()), body.clone());
    let chunked = ("Transfer-Encoding: chunked\r\n\r\n".to_owned(), format!("1388\r\n{body}\r\n0\r\n\r\n"));
    for (head, status) in REFUSED {
        for (rest, body) in [&sized, &chunked] {
            // How slow a client is belongs to the case: its body comes with the head, a little later, in pieces, or
            // so late that nobody waits for it.
            for (pause_ms, pieces) in [(0, 1), (5, 1), (2, 50), (1_500, 1)] {
                if pause_ms == 1_500 && head != REFUSED[0].0 {
                    continue; // it is waited for the same time whatever the answer is
                }
                let mut stream = connect(&server);
                stream.write_all(format!("{head}{rest}").as_bytes()).unwrap();
                for piece in body.as_bytes().chunks(body.len().div_ceil(pieces)) {
                    std::thread::sleep(Duration::from_millis(pause_ms));
                    stream.write_all(piece).unwrap();
                }
                let first = answer(&mut stream);
                assert!(first.starts_with(status), "{head}, {pause_ms} ms: {first:?}");
                if ends(&first) {
                    assert_eq!(pause_ms, 1_500, "{head}: what came in time is not a reason to end");
                    continue;
                }
                stream.write_all(format!("{head}{rest}{body}").as_bytes()).unwrap();
                assert!(answer(&mut stream).starts_with(status), "{head}, {pause_ms} ms: the next request");
            }
        }
    }
}

#[test]
fn h10_requests_in_one_packet_are_answered_one_after_the_other_also_if_they_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[("JWT_SECRET", "a-secret-of-more-than-thirty-two-bytes-for-hs256")]);
    let mut stream = connect(&server);
    let refused = "POST /graphs/g/batch HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n{ \"x\"";
    let health = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(format!("{refused}{refused}{health}").as_bytes()).unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    let statuses: Vec<&str> = all.match_indices("HTTP/1.1 ").map(|(at, _)| &all[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["401", "401", "200"], "{all}");
}

#[test]
fn h10_a_body_far_too_large_gets_its_413_from_clients_that_send_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let before = server.memory_kib("VmRSS");
    for (mib, framing) in [(9, "sized"), (100, "sized"), (20, "chunked")] {
        let mut stream = connect(&server);
        let head = "POST /graphs/g/command HTTP/1.1\r\nHost: localhost\r\n";
        let piece = vec![b' '; 1 << 20];
        match framing {
            "sized" => write!(stream, "{head}Content-Length: {}\r\n\r\n", mib << 20).unwrap(),
            _ => write!(stream, "{head}Transfer-Encoding: chunked\r\n\r\n").unwrap(),
        }
        for _ in 0..mib {
            if framing == "chunked" {
                stream.write_all(b"100000\r\n").unwrap();
            }
            stream.write_all(&piece).unwrap_or_else(|error| panic!("{mib} MiB {framing}: {error}"));
            if framing == "chunked" {
                stream.write_all(b"\r\n").unwrap();
            }
        }
        let answer = answer(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 413 ") && ends(&answer), "{mib} MiB {framing}: {answer:?}");
        assert!(answer.contains("\"TOO_LARGE\""), "{answer}");
    }
    let grown = server.memory_kib("VmHWM").saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB");
}

#[test]
fn h10_a_client_that_asks_before_it_sends_a_body_is_told_not_to() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[("JWT_SECRET", "a-secret-of-more-than-thirty-two-bytes-for-hs256")]);
    let head =
        "POST /graphs/g/command HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let mut stream = connect(&server);
    stream.write_all(head.as_bytes()).unwrap();
    let told = answer(&mut stream);
    assert!(told.starts_with("HTTP/1.1 401 ") && ends(&told), "{told}");
    let mut rest = Vec::new();
    assert_eq!(stream.read_to_end(&mut rest).unwrap(), 0, "and the connection ends");
}

#[test]
fn o3_a_head_that_can_be_understood_in_two_ways_is_400_and_a_problem_document() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let post = "POST /graphs/g/command HTTP/1.1\r\n";
    let heads = [
        format!("{post}Host: a\r\nHost: a\r\n"),
        format!("{post}Content-Type: application/json\r\n"),
        format!("{post}Host: a b\r\n"),
        format!("{post}Host: [::1].evil.example\r\n"),
        format!("{post}Host: a\r\nTransfer-Encoding: gzip, chunked\r\n"),
        format!("{post}Host: a\r\nTransfer-Encoding: gzip\r\n"),
        format!("{post}Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        format!("{post}Host: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n"),
        format!("{post}Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n"),
        format!("{post}Host: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n"),
        format!("{post}Host: a\r\nContent-Length: +2\r\n"),
        format!("{post}Host: a\r\nOrigin: http://localhost\r\nOrigin: http://evil.example\r\n"),
        format!("{post}Host: a\r\nX-User-Id: ada\r\nX-User-Id: bob\r\n"),
        format!("{post}Host: a\r\nX-One: a\r\n folded\r\n"),
        format!("{post}Host: a\r\nContent-Length : 2\r\n"),
        "POST http://a@b/graphs/g/command HTTP/1.1\r\nHost: a\r\n".to_owned(),
    ];
    for head in heads {
        let mut stream = connect(&server);
        stream.write_all(format!("{head}\r\n{{}}").as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let answer = answer(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{head}: {answer:?}");
        assert!(answer.contains("content-type: application/problem+json\r\n"), "{head}: {answer}");
        assert!(answer.contains("\"BAD_REQUEST\"") && answer.contains("x-request-id: "), "{head}: {answer}");
    }
    let mut stream = connect(&server);
    let long = format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(3 << 20));
    stream.write_all(long.as_bytes()).unwrap();
    let answer = answer(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 431 ") && answer.contains("\"TOO_LARGE\""), "{answer:?}");
}

/// A graph whose state is about so large.
async fn large_graph(client: &Client, mib: usize) {
    let text = "x".repeat(200 << 10);
    for n in 0..mib * 5 {
        let payload = json!({"id": format!("n{n}"), "data": {"text": text}});
        let command = json!({"type": "CREATE_NODE", "payload": payload, "operationId": new_id()});
        assert_eq!(client.command("g", &command).await.status, 200);
    }
}

#[tokio::test]
async fn w6_readers_who_take_nothing_share_what_they_hold_and_are_closed() {
    const READERS: usize = 30;
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[("ANSWER_IDLE_TIMEOUT", "2s"), ("MAX_ANSWERS_BYTES", "67108864")]);
    let client = server.client();
    large_graph(&client, 20).await;
    assert_eq!(client.get("/graphs/g/state").await.status, 200);
    let before = server.memory_kib("VmRSS");
    let paths = [
        ("/graphs/g/state", "application/msgpack"),
        ("/graphs/g/nodes", "application/json"),
        ("/graphs/g/nodes", "application/msgpack"),
        ("/graphs/g/changes", "application/json"),
        ("/graphs/g/events", "text/event-stream"),
        ("/events?since=0", "text/event-stream"),
    ];
    for (path, accept) in paths {
        let mut readers: Vec<TcpStream> = (0..READERS).map(|_| connect(&server)).collect();
        for reader in &mut readers {
            write!(reader, "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n").unwrap();
        }
        // Each has begun to read, or was told that there is no room.
        for reader in &mut readers {
            let mut start = [0; 12];
            reader.read_exact(&mut start).unwrap();
            let start = String::from_utf8_lossy(&start).into_owned();
            assert!(["HTTP/1.1 200", "HTTP/1.1 503"].contains(&&*start), "{path} {accept}: {start}");
        }
        assert_eq!(
            client
                .command("other", &json!({"type": "SET_VIEWPORT", "payload": {"x": 1, "y": 2, "zoom": 1}}))
                .await
                .status,
            200
        );
        // Stalled readers are closed while they hold on: what they get is less than all of it.
        for reader in &mut readers {
            let mut rest = Vec::new();
            closed_by_server(reader);
            if let Err(error) = reader.read_to_end(&mut rest) {
                assert!(matches!(error.kind(), ErrorKind::ConnectionReset), "{path} {accept}: {error}");
            }
        }
    }
    let grown = server.memory_kib("VmHWM").saturating_sub(before);
    assert!(grown < 400 << 10, "{READERS} readers each time: {grown} KiB");
}

/// Waits until the server has closed a connection of which nothing is read.
fn closed_by_server(reader: &TcpStream) {
    let began = Instant::now();
    // A write to a closed connection is answered by a reset, which the next one reports.
    while (&*reader).write(b"x").is_ok() {
        assert!(began.elapsed() < PATIENCE, "a reader who takes nothing is not closed");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test]
async fn o3_silent_connections_keep_nobody_out() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[("MAX_CONNECTIONS", "60"), ("WS_MAX_CONNECTIONS", "20")]);
    let client = server.client();
    let silent: Vec<TcpStream> = (0..300).map(|_| connect(&server)).collect();
    let half: Vec<TcpStream> = (0..300)
        .map(|_| {
            let mut stream = connect(&server);
            let _made_way_already = stream.write_all(b"GET /graphs/g/state HTTP/1.1\r\nHost: a\r\nX: y");
            stream
        })
        .collect();
    for n in 0..20 {
        let fresh = Client::new(server.address);
        assert_eq!(fresh.get("/healthz").await.status, 200);
        assert_eq!(
            client
                .command("g", &json!({"type": "CREATE_NODE", "payload": {"id": format!("n{n}")}}))
                .await
                .status,
            200
        );
    }
    drop((silent, half));
}

#[tokio::test]
async fn o3_health_is_answered_when_every_place_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let settings =
        [("MAX_CONNECTIONS", "4"), ("WS_MAX_CONNECTIONS", "2"), ("MAX_CONNECTIONS_PER_ADDRESS", "4")];
    let server = start(dir.path(), &settings);
    let held: Vec<Client> = (0..4).map(|_| server.client()).collect();
    for client in &held {
        assert_eq!(client.get("/graphs/g/state").await.status, 200);
    }
    for _ in 0..10 {
        assert_eq!(server.client().get("/healthz").await.status, 200);
        assert_eq!(server.client().get("/readyz").await.status, 200);
        let refused = server.client().get("/graphs/g/state").await;
        assert_eq!(refused.header("connection"), Some("close"));
        refused.problem(503, "OVERLOADED");
        let refused = server.client().command("g", &json!({"type": "CREATE_NODE", "payload": {}})).await;
        refused.problem(503, "OVERLOADED");
    }
    assert_eq!(held[0].get("/graphs/g/state").await.status, 200, "who was there goes on");
    drop(held);
    closed_down_to_a_place(&server).await;
}

/// Waits until a place is free again.
async fn closed_down_to_a_place(server: &Process) {
    let began = Instant::now();
    while server.client().get("/graphs/g/state").await.status != 200 {
        assert!(began.elapsed() < PATIENCE, "places come back");
    }
}

#[tokio::test]
async fn o3_one_address_has_a_share_of_the_connections() {
    let dir = tempfile::tempdir().unwrap();
    let settings =
        [("MAX_CONNECTIONS", "40"), ("WS_MAX_CONNECTIONS", "4"), ("MAX_CONNECTIONS_PER_ADDRESS", "3")];
    let server = start(dir.path(), &settings);
    let held: Vec<Client> = (0..3).map(|_| server.client()).collect();
    for client in &held {
        assert_eq!(client.get("/graphs/g/state").await.status, 200);
    }
    let problem = server.client().get("/graphs/g/state").await.problem(503, "OVERLOADED");
    assert!(problem["detail"].as_str().unwrap().contains("MAX_CONNECTIONS_PER_ADDRESS"), "{problem}");
    assert_eq!(server.client().get("/healthz").await.status, 200);
}

#[tokio::test]
async fn o3_heads_that_do_not_end_hold_a_bounded_amount_of_memory() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let client = server.client();
    assert_eq!(client.get("/graphs/g/state").await.status, 200);
    let before = server.memory_kib("VmRSS");
    let half = format!("GET /graphs/g/state HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(30 << 10));
    let mut all = Vec::new();
    for _ in 0..4_000 {
        let mut stream = connect(&server);
        for piece in half.as_bytes().chunks(8 << 10) {
            let _made_way_already = stream.write_all(piece);
        }
        all.push(stream);
    }
    assert_eq!(client.get("/graphs/g/state").await.status, 200);
    let grown = server.memory_kib("VmHWM").saturating_sub(before);
    assert!(grown < 160 << 10, "{grown} KiB");
}

#[test]
fn o5_what_the_server_keeps_is_for_its_user_alone() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[]);
    let data = dir.path().join("data");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    let files: Vec<_> = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    drop(server);
}

#[tokio::test]
async fn o5_readiness_tells_strangers_nothing_but_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), &[("JWT_SECRET", "a-secret-of-more-than-thirty-two-bytes-for-hs256")]);
    assert_eq!(server.client().read("/readyz").await, json!({"status": "ready"}));
    let own = tempfile::tempdir().unwrap();
    let server = start(own.path(), &[]);
    let ready = server.client().read("/readyz").await;
    assert!(ready["store"].as_str().unwrap().contains("data"), "{ready}");
    let rebound = b"GET /readyz HTTP/1.1\r\nHost: evil.example\r\nUser-Agent: Mozilla/5.0\r\n\r\n";
    let reply = server.client().raw(rebound).await.unwrap();
    assert_eq!((reply.status, reply.json()), (200, json!({"status": "ready"})), "no page of another site");
}
