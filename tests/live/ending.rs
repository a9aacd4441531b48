//! W6, W8, W9: how connections end, and that they don't end otherwise.

use std::time::Duration;

use dao_api::http::SocketConfig;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::{
    graph::new_id,
    server::{Process, Server},
    ws::{Came, PLAIN, Ws, command_frame, frame},
};

fn sockets(heartbeat_ms: u64, connections_max: usize) -> SocketConfig {
    SocketConfig {
        heartbeat: Duration::from_millis(heartbeat_ms),
        connections_max,
        ..SocketConfig::default()
    }
}

#[tokio::test]
async fn w9_on_shutdown_read_commands_are_answered_then_the_connection_closes_with_1012() {
    const COMMANDS: usize = 20;
    let server = Server::start().await;
    let mut idle = Ws::connect(server.address(), "").await;
    let mut busy = Ws::connect(server.address(), "?graphId=g").await;
    busy.expect("SYNC").await;
    let bytes: Vec<u8> = (0..COMMANDS)
        .flat_map(|n| {
            busy.encode(&command_frame("g", &new_id(), "CREATE_NODE", json!({"id": n.to_string()})))
        })
        .chain(busy.encode(&json!({"type": "SUBSCRIBE", "graphId": "another"})))
        .chain(busy.encode(&json!({"type": "PING"})))
        .collect();
    busy.write(&bytes).await;
    // The PONG says that the server has read all of it.
    let mut before = vec![];
    while before.last().is_none_or(|last: &Value| last["type"] != "PONG") {
        before.push(busy.recv().await);
    }
    let stopped = tokio::spawn(server.stop());
    before.into_iter().rev().for_each(|message| busy.put_back(message));
    let (mut updates, mut acks, mut syncs, mut pongs, mut goodbyes) = (0, 0, 0, 0, 0);
    loop {
        match busy.next_or_kept().await {
            Came::Message(message) => {
                assert_eq!(goodbyes, 0, "nothing after the goodbye: {message}");
                match message["type"].as_str().unwrap() {
                    "STATE_UPDATE" => updates += 1,
                    "ACK" => acks += 1,
                    "SYNC" => syncs += 1,
                    "PONG" => pongs += 1,
                    "GOODBYE" => {
                        goodbyes += 1;
                        assert!(message["reconnectAfterMs"].as_u64().unwrap() < 5_000);
                    }
                    other => panic!("{other}"),
                }
            }
            Came::Close(code, _) => {
                assert_eq!(code, Some(1012));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((updates, acks, syncs, pongs, goodbyes), (COMMANDS, COMMANDS, 1, 1, 1));
    assert_eq!(busy.next().await, Came::End);
    assert_eq!(idle.expect("GOODBYE").await["type"], "GOODBYE");
    idle.expect_close(1012).await;
    drop((busy, idle));
    stopped.await.unwrap();
}

#[tokio::test]
async fn w9_the_goodbye_reaches_a_client_that_keeps_sending() {
    let server = Server::start().await;
    let mut ws = Ws::connect(server.address(), "").await;
    let stopped = tokio::spawn(server.stop());
    // What the server does not read any more must not reset the connection under its last frames.
    for _ in 0..50 {
        let sent = ws.stream.write_all(&frame(0x89, &[0; 100])).await;
        tokio::task::yield_now().await;
        if sent.is_err() {
            break;
        }
    }
    ws.expect_close(1012).await;
    drop(ws);
    stopped.await.unwrap();
}

#[tokio::test]
async fn w9_a_client_that_reads_nothing_does_not_keep_the_server_from_stopping() {
    let server = Server::start().await;
    for n in 0..60 {
        server
            .apply("g", "CREATE_NODE", json!({"id": n.to_string(), "data": {"text": "x".repeat(200_000)}}))
            .await;
    }
    let mut stalled = Ws::connect(server.address(), "").await;
    stalled.send(&json!({"type": "SUBSCRIBE", "graphId": "g"})).await; // 12 MB, of which it takes none
    server.stop().await; // bounded by the server's patience, or the test does not end
}

#[tokio::test]
async fn w9_over_the_limit_of_connections_the_handshake_is_503() {
    let server = Server::with_sockets(sockets(30_000, 3)).await;
    let mut kept = vec![];
    for _ in 0..3 {
        kept.push(Ws::connect(server.address(), "").await);
    }
    let refused = Ws::handshake(server.address(), "", PLAIN).await.err().unwrap();
    assert_eq!((refused.status, &refused.body["code"]), (503, &json!("OVERLOADED")));
    assert!(refused.head.to_ascii_lowercase().contains("retry-after: "), "{}", refused.head);
    let mut leaving = kept.pop().unwrap();
    leaving.write(&frame(0x88, b"")).await;
    assert_eq!(leaving.next().await, Came::Close(None, String::new()));
    assert_eq!(leaving.next().await, Came::End);
    drop(leaving);
    // Its place is free once the server has seen its end.
    loop {
        match Ws::handshake(server.address(), "", PLAIN).await {
            Ok(ws) => break kept.push(ws),
            Err(refused) => assert_eq!(refused.status, 503),
        }
    }
    assert_eq!(Ws::handshake(server.address(), "", PLAIN).await.err().unwrap().status, 503);
}

#[tokio::test]
async fn w8_a_silent_peer_is_dropped_and_one_that_sends_anything_is_not() {
    let server = Server::with_sockets(sockets(500, 10)).await;
    let mut silent = Ws::connect(server.address(), "").await;
    let mut talker = Ws::connect(server.address(), "").await;
    let mut ponger = Ws::connect(server.address(), "").await;
    let talking = tokio::spawn(async move {
        // Never a pong, but something else, for as long as the silent one is kept twice over.
        for _ in 0..50 {
            talker.send(&json!({"type": "UNSUBSCRIBE", "graphId": "g"})).await;
            tokio::time::sleep(Duration::from_millis(50)).await; // the pace of a talker, not a wait
        }
        talker.send(&json!({"type": "PING"})).await;
        loop {
            match talker.next().await {
                Came::Message(message) => break message["type"].clone(),
                Came::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    });
    let ponging = tokio::spawn(async move {
        for _ in 0..4 {
            match ponger.next().await {
                Came::Ping(payload) => ponger.write(&frame(0x8a, &payload)).await,
                other => panic!("{other:?}"),
            }
        }
    });
    let mut pings = 0;
    loop {
        match silent.next().await {
            Came::Ping(_) => pings += 1,
            Came::End => break,
            other => panic!("{other:?}"),
        }
    }
    assert!((1..=2).contains(&pings), "{pings} pings, then it is dropped");
    assert_eq!(talking.await.unwrap(), "PONG");
    ponging.await.unwrap();
}

#[tokio::test]
async fn w9_a_close_is_answered_with_its_code() {
    let server = Server::start().await;
    for code in [1000_u16, 1001, 3000, 4999] {
        let mut ws = Ws::connect(server.address(), "?graphId=g").await;
        ws.expect("SYNC").await;
        ws.write(&frame(0x88, &[&code.to_be_bytes()[..], b"bye"].concat())).await;
        ws.expect_close(code).await;
    }
}

#[tokio::test]
async fn w9_commands_sent_right_before_a_disconnect_take_effect() {
    let server = Server::start().await;
    let mut watcher = Ws::connect(server.address(), "?graphId=g").await;
    watcher.expect("SYNC").await;
    for n in 0..10 {
        let mut ws = Ws::connect(server.address(), "").await;
        ws.command("g", "CREATE_NODE", json!({"id": n.to_string()})).await;
        drop(ws);
        assert_eq!(watcher.expect("STATE_UPDATE").await["version"], n + 1);
    }
}

/// The loop of a connection sleeps when there is nothing to do, whatever it has been through.
#[tokio::test]
async fn w6_idle_connections_take_no_processor_time() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(&[("DATA_DIR", dir.path().to_str().unwrap())]);
    let mut all: Vec<Ws> = vec![];
    for n in 0..60 {
        let mut ws = Ws::connect(server.address, "?graphId=g").await;
        ws.expect("SYNC").await;
        match n % 6 {
            0 => ws.send(&json!({"type": "PRESENCE", "graphId": "g", "state": n})).await,
            1 => drop(ws.command("g", "CREATE_NODE", json!({"id": n.to_string()})).await),
            2 => ws.send(&json!({"type": "UNSUBSCRIBE", "graphId": "g"})).await,
            3 => ws.write(&[0x81]).await, // the beginning of a frame
            4 => ws.send(&json!({"type": "SUBSCRIBE", "graphId": "g", "version": 0})).await,
            _ => ws.send(&json!({"type": "nonsense"})).await,
        }
        all.push(ws);
    }
    // It settles once a second passes in which hardly anything is done. A loop that spins takes a
    // hundred hundredths of each, for ever.
    for _ in 0..20 {
        let before = server.cpu_ticks();
        tokio::time::sleep(Duration::from_secs(1)).await; // what is measured is a second
        if server.cpu_ticks() - before <= 10 {
            return;
        }
    }
    panic!("the server never comes to rest");
}

#[tokio::test]
async fn w9_sigterm_closes_connections_with_a_goodbye() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(&[("DATA_DIR", dir.path().to_str().unwrap())]);
    let mut ws = Ws::connect(server.address, "?graphId=g").await;
    assert_eq!(ws.expect("SYNC").await["version"], 0);
    let id = ws.command("g", "CREATE_NODE", json!({"id": "a"})).await;
    ws.expect("STATE_UPDATE").await;
    server.terminate();
    assert_eq!(ws.expect("ACK").await["operationId"], *id);
    ws.expect("GOODBYE").await;
    ws.expect_close(1012).await;
    drop(ws);
    assert!(tokio::task::spawn_blocking(|| server.wait()).await.unwrap().success());
    let restarted = Process::start(&[("DATA_DIR", dir.path().to_str().unwrap())]);
    let mut ws = Ws::connect(restarted.address, "").await;
    let sync = ws.subscribe("g", json!({"version": 0, "pending": [id]})).await;
    assert_eq!(sync["settled"][0]["status"], "completed");
    assert_eq!(ws.expect("STATE_UPDATE").await["operationId"], *id);
    let rest: Vec<Value> = ws.so_far().await;
    assert_eq!(rest, [] as [Value; 0]);
}
