//! Many sockets at once: storms of reconnections, readers that stall, thousands that follow.

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod support;

use std::{collections::HashMap, net::SocketAddr};

use serde_json::{Value, json};
use support::{
    graph::new_id,
    server::{Process, Server},
    ws::{Came, EVERY_SPEECH, Ws, command_frame},
};

/// Checks what one subscriber is told: from where it stands, every version once, in order, with the
/// hash that every other one was told for it.
struct Checker {
    at: u64,
    hash: String,
}

impl Checker {
    fn take(&mut self, message: &Value, hashes: &mut HashMap<u64, String>) {
        let version = message["version"].as_u64().unwrap();
        let hash = message["hash"].as_str().unwrap().to_owned();
        match message["type"].as_str().unwrap() {
            "SYNC" if message["status"] == "snapshot" => (self.at, self.hash) = (version, hash.clone()),
            "SYNC" => assert!(version >= self.at, "a SYNC is never older than the client's own point"),
            "STATE_UPDATE" => {
                assert_eq!(version, self.at + 1, "no gap and no repeat");
                (self.at, self.hash) = (version, hash.clone());
            }
            other => panic!("{other}: {message}"),
        }
        assert_eq!(*hashes.entry(version).or_insert_with(|| hash.clone()), hash, "one history");
    }
}

/// Follows `g` up to this version, on one connection after the other. Gives the hash of each version that it was told,
/// and the number of connections.
async fn come_and_go(address: SocketAddr, n: usize, up_to: u64) -> (HashMap<u64, String>, usize) {
    let mut hashes = HashMap::new();
    let mut checker = Checker { at: 0, hash: "0".repeat(64) };
    let mut connections = 0;
    while checker.at < up_to {
        let mut ws = Ws::connect_as(address, "", EVERY_SPEECH[(n + connections) % 4]).await;
        connections += 1;
        let point = json!({"type": "SUBSCRIBE", "graphId": "g", "version": checker.at, "hash": checker.hash});
        ws.send(&point).await;
        // It stays for a while that differs from one to the next.
        for _ in 0..1 + (n * 7 + connections * 13) % 40 {
            if checker.at == up_to {
                break;
            }
            checker.take(&ws.recv().await, &mut hashes);
        }
    }
    (hashes, connections)
}

/// Many clients that vanish and come back at any moment while others write: rules W2 to W4.
#[tokio::test]
async fn w4_a_storm_of_reconnections_skips_and_repeats_nothing() {
    const CLIENTS: usize = 40;
    const COMMITS: u64 = 300;
    let server = Server::start().await;
    let address = server.address();
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let client = server.as_user(&format!("writer-{writer}"));
            tokio::spawn(async move {
                for n in 0..COMMITS / 3 {
                    let text = "x".repeat((n as usize * 37) % 900);
                    client
                        .apply(
                            "g",
                            "CREATE_NODE",
                            json!({"id": format!("{writer}-{n}"), "data": {"text": text}}),
                        )
                        .await;
                }
            })
        })
        .collect();
    let clients: Vec<_> = (0..CLIENTS).map(|n| tokio::spawn(come_and_go(address, n, COMMITS))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let log = server.changes("g", 0).await;
    let (mut reconnections, mut snapshots) = (0, 0);
    for client in clients {
        let (hashes, connections) = client.await.unwrap();
        reconnections += connections - 1;
        snapshots += usize::from(hashes.len() < COMMITS as usize);
        for commit in &log {
            if let Some(hash) = hashes.get(&commit["version"].as_u64().unwrap()) {
                assert_eq!(commit["hash"], **hash, "what was told is what the log holds");
            }
        }
    }
    assert!(
        reconnections > CLIENTS,
        "it was a storm: {reconnections} reconnections, {snapshots} with a snapshot"
    );
}

#[tokio::test]
async fn w4_thousands_at_once_each_see_every_commit() {
    const COMMITS: u64 = 3;
    let open_files = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = open_files.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let most: usize = line.split_whitespace().nth(3).unwrap().parse().unwrap_or(65_536);
    // Each takes a file here; the server has as many of its own.
    let count = 2_500.min(most.saturating_sub(200));
    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(&[("DATA_DIR", dir.path().to_str().unwrap())]);
    let address = server.address;
    let mut joining = tokio::task::JoinSet::new();
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(100));
    for n in 0..count {
        let gate = gate.clone();
        joining.spawn(async move {
            let _permit = gate.acquire().await.unwrap();
            let mut ws = Ws::connect_as(address, "?graphId=g", EVERY_SPEECH[n % 4]).await;
            assert_eq!(ws.expect("SYNC").await["version"], 0);
            ws
        });
    }
    let mut all = joining.join_all().await;
    for n in 0..COMMITS {
        server
            .client()
            .apply("g", "CREATE_NODE", json!({"id": n.to_string(), "data": {"text": "x".repeat(300)}}))
            .await;
    }
    for ws in &mut all {
        for version in 1..=COMMITS {
            assert_eq!(ws.expect("STATE_UPDATE").await["version"], version);
        }
    }
    assert_eq!(all.len(), count);
}

/// W6: a reader that stops costs a bounded amount of memory, and nobody else any time.
#[tokio::test]
async fn w6_a_stalled_reader_holds_up_nobody_costs_little_and_misses_nothing() {
    // Half of them fill what is bounded: the ring, caches of the store, what the allocator keeps.
    const BATCHES: u64 = 80;
    const EACH: u64 = 50;
    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(&[("DATA_DIR", dir.path().to_str().unwrap()), ("DURABILITY", "interval")]);
    let client = server.client();
    client.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    let mut stalled = vec![];
    for n in 0..20 {
        let mut ws = Ws::connect_as(server.address, "?graphId=g", EVERY_SPEECH[n % 4]).await;
        ws.expect("SYNC").await;
        stalled.push(ws);
    }
    let mut reader = Ws::connect(server.address, "?graphId=g").await;
    reader.expect("SYNC").await;
    let mut after_warming = 0;
    for batch in 0..BATCHES {
        // About 4 kB each that does not compress, and all of it another each time.
        let operations: Vec<Value> = (0..EACH)
            .map(|n| {
                let text: String = (0..100).map(|_| new_id()).collect();
                json!({"type": "UPDATE_NODE", "payload": {"nodeId": "a", "updates": {"data": {"n": batch * EACH + n, "text": text}}}})
            })
            .collect();
        let reply = client.post("/graphs/g/batch", &json!({"operations": operations})).await;
        assert_eq!(reply.status, 200);
        for n in 0..EACH {
            assert_eq!(
                reader.expect("STATE_UPDATE").await["version"],
                2 + batch * EACH + n,
                "it is not held up"
            );
        }
        if batch == BATCHES / 2 {
            after_warming = server.memory_kib("VmRSS");
        }
    }
    // In the second half 20 stalled readers are each behind by another 8 MB.
    let grown = server.memory_kib("VmRSS").saturating_sub(after_warming);
    assert!(grown < 16 << 10, "the server grew by {grown} KiB while its readers stood still");
    let head = 1 + BATCHES * EACH;
    for (n, mut ws) in stalled.into_iter().enumerate() {
        let mut hashes = HashMap::new();
        let mut checker = Checker { at: 1, hash: String::new() };
        while checker.at < head {
            match ws.next().await {
                Came::Message(message) => checker.take(&message, &mut hashes),
                Came::Ping(_) => {}
                // On a slow machine it has taken nothing for longer than the server has patience: it
                // is closed, and resumes where it was.
                Came::Cut | Came::End => {
                    ws = Ws::connect_as(server.address, "", EVERY_SPEECH[n % 4]).await;
                    let point = json!({"type": "SUBSCRIBE", "graphId": "g", "version": checker.at});
                    ws.send(&point).await;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(ws.so_far().await, [] as [Value; 0]);
    }
}

/// C3, W3: who vanishes with operations on the way learns what became of each, and none is lost or
/// made twice.
#[tokio::test]
async fn w3_c3_operations_of_clients_that_vanish_are_settled_or_sent_again() {
    let server = Server::start().await;
    let address = server.address();
    let clients: Vec<_> = (0..12)
        .map(|n| {
            tokio::spawn(async move {
                let mut pending: Vec<(String, Value)> = (0..30)
                    .map(|k| {
                        let id = new_id();
                        let frame = command_frame("g", &id, "CREATE_NODE", json!({"id": format!("{n}-{k}")}));
                        (id, frame)
                    })
                    .collect();
                let mut rounds = 0;
                while !pending.is_empty() {
                    rounds += 1;
                    let mut ws = Ws::connect_as(address, "", EVERY_SPEECH[rounds % 4]).await;
                    let ids: Vec<&String> = pending.iter().map(|(id, _)| id).collect();
                    let sync = ws.subscribe("g", json!({"pending": ids})).await;
                    let settled = sync["settled"].as_array().unwrap().clone();
                    pending.retain(|(id, _)| {
                        let found = settled.iter().find(|settled| settled["operationId"] == **id).unwrap();
                        match found["status"].as_str().unwrap() {
                            "unknown" => true,
                            "completed" => false,
                            other => panic!("{other}"),
                        }
                    });
                    // All at once, and gone before most are answered.
                    let bytes: Vec<u8> = pending.iter().flat_map(|(_, frame)| ws.encode(frame)).collect();
                    ws.write(&bytes[..bytes.len() * ((n + rounds) % 4 + 1) / 4]).await;
                    for _ in 0..(n * rounds) % 5 {
                        if !pending.is_empty() {
                            drop(ws.recv().await);
                        }
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let log = server.changes("g", 0).await;
    assert_eq!(log.len(), 12 * 30, "each once");
    assert_eq!(server.state("g").await["nodes"].as_array().unwrap().len(), 12 * 30);
}
