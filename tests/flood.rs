//! Thousands who send garbage, all at once, to a real server process: it stays small, and serves everybody else
//! throughout (rule O3).

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod support;

use std::{sync::Arc, time::Duration};

use serde_json::json;
use support::{
    http::{Client, Request},
    server::Process,
    ws::{BINARY, FIN, RSV1, TEXT, frame},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Barrier, Semaphore},
    task::JoinSet,
    time::timeout,
};

/// Those who send garbage, if this machine allows as many open files.
const CONNECTIONS: usize = 10_000;
/// Open files that this test and the server need beside the connections.
const SPARE_FILES: usize = 500;
const MEMORY_KIB_MAX: u64 = 512 << 10;
/// How long each holds its connection, once all have theirs.
const HOLD: Duration = Duration::from_secs(5);
/// Connections being made at once: more would overflow the queue of the listener and only wait.
const CONNECTING_MAX: usize = 200;

/// The bytes of one who means no good.
fn garbage(n: usize) -> Vec<u8> {
    let noise: Vec<u8> =
        (0..2_000_usize).map(|at| ((n + at).wrapping_mul(2_654_435_761) >> 7) as u8).collect();
    let upgrade = b"GET /ws HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let post = |announced: &str| {
        format!("POST /graphs/g/command HTTP/1.1\r\nhost: a\r\n{announced}\r\n\r\n").into_bytes()
    };
    match n % 10 {
        0 => noise,
        1 => b"GET /graphs/g/state HTTP/1.1\r\nhost: a\r\nx-half-a-head: ".to_vec(),
        2 => format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}", "y".repeat(60_000)).into_bytes(),
        3 => [upgrade, &noise[..]].concat(),
        // A frame that announces all there is, and one that announces as much as may be.
        4 => [&upgrade[..], &[FIN | BINARY, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]].concat(),
        5 => [&upgrade[..], &[FIN | TEXT, 0xff, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 1, 2, 3, 4], &noise[..]]
            .concat(),
        6 => post("content-length: 8000000"),
        7 => [post("transfer-encoding: chunked"), b"7fffffff\r\n".to_vec(), noise].concat(),
        8 => [&upgrade[..], &frame(FIN | RSV1 | TEXT, &noise)].concat(),
        _ => [post("content-length: 4000"), "[".repeat(4_000).into_bytes()].concat(),
    }
}

/// Some go on sending for as long as they are let.
fn never_ends(n: usize) -> bool {
    matches!(n % 10, 5..=7) && n % 50 < 10
}

async fn flood(process: Arc<Process>, n: usize, turn: Arc<Semaphore>, all: Arc<Barrier>) {
    let connected = {
        let _turn = turn.acquire().await;
        TcpStream::connect(process.address).await
    };
    let Ok(mut stream) = connected else {
        all.wait().await;
        return;
    };
    let _turned_away = stream.write_all(&garbage(n)).await;
    all.wait().await;
    let _held = timeout(HOLD, async {
        let (mut from, mut to) = stream.split();
        if never_ends(n) {
            let piece = vec![b' '; 16 << 10];
            while to.write_all(&piece).await.is_ok() {}
        }
        let mut read = [0; 1_024];
        while from.read(&mut read).await.is_ok_and(|count| count > 0) {}
    })
    .await;
}

/// Somebody who works all the while, on a connection of their own each time.
async fn work(client: Client, n: usize) {
    let id = format!("node-{n}");
    let command = json!({"type": "CREATE_NODE", "payload": {"id": id}}).to_string();
    let request = Request::post("/graphs/flooded/command", command).header("connection", "close");
    let reply = client.send(&request).await.unwrap_or_else(|error| panic!("command {n}: {error}"));
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
}

/// As many connections as the files that may be open allow; fewer are said aloud.
fn connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
    let files = line.split_whitespace().nth(3).and_then(|soft| soft.parse::<usize>().ok()).unwrap_or(1_024);
    let connections = CONNECTIONS.min(files.saturating_sub(SPARE_FILES));
    if connections < CONNECTIONS {
        eprintln!(
            "WARNING: only {files} files may be open, so the flood is {connections} connections and not \
             {CONNECTIONS}: run `ulimit -n {}` first",
            CONNECTIONS + SPARE_FILES
        );
    }
    connections
}

#[tokio::test(flavor = "multi_thread")]
async fn o3_a_flood_of_garbage_takes_little_memory_and_nobody_elses_service() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().to_str().unwrap();
    let process = Arc::new(Process::start(&[("DATA_DIR", dir)]));
    let connections = connections();
    let (turn, all) = (Arc::new(Semaphore::new(CONNECTING_MAX)), Arc::new(Barrier::new(connections + 1)));
    let mut crowd = JoinSet::new();
    for n in 0..connections {
        crowd.spawn(flood(process.clone(), n, turn.clone(), all.clone()));
    }
    let mut working = Box::pin(all.wait());
    let mut done = 0;
    // While they come …
    while timeout(Duration::from_millis(1), &mut working).await.is_err() {
        work(process.client(), done).await;
        done += 1;
    }
    let while_they_came = done;
    // … and while they are there.
    while !crowd.is_empty() {
        work(process.client(), done).await;
        done += 1;
        while crowd.try_join_next().is_some_and(|ended| ended.is_ok()) {}
    }
    let memory = process.memory_kib("VmHWM");
    println!(
        "{connections} connections; {while_they_came} and then {} commands beside them; {memory} KiB at most",
        done - while_they_came
    );
    assert!(while_they_came > 0 && done > while_they_came);
    assert!(memory < MEMORY_KIB_MAX, "{memory} KiB");
    let nodes = process.client().state("flooded").await["nodes"].as_array().unwrap().len();
    assert_eq!(nodes, done, "what was answered is there");
}
