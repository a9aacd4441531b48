//! Frames that no request budget pays for: `PING`, `PRESENCE`, `UNSUBSCRIBE` and `AUTH` (rules O3, W6, W7). They must
//! stay cheap however long they are and however many come.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::{
    sockets::{DEFLATE, assert_serves, attacked},
    support::{
        graph::new_id,
        ws::{Came, FIN, PING, PLAIN, RSV1, TEXT, Ws, deflated, frame},
    },
};

/// Settings of a budget of so many requests that does not fill up again during a test.
fn budget(requests: &'static str) -> [(&'static str, &'static str); 2] {
    [("RATE_LIMIT_MAX_REQUESTS", requests), ("RATE_LIMIT_WINDOW", "3600000")]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o3_a_long_frame_of_a_free_kind_is_refused_and_charged() {
    let padding = " ".repeat((8 << 20) - 100);
    for kind in ["PING", "UNSUBSCRIBE", "PRESENCE", "AUTH"] {
        for is_late in [false, true] {
            // The handshake and two frames spend the budget.
            let attacked = attacked(&budget("3"));
            let mut ws = attacked.open(DEFLATE, "eve", json!({"mine": "write"})).await;
            let about = format!(r#""type":"{kind}","graphId":"mine""#);
            let message = match is_late {
                false => format!("{{{about}{padding}}}"),
                true => format!("{{{padding}{about}}}"),
            };
            for first in [FIN | TEXT, FIN | RSV1 | TEXT] {
                let payload = match first & RSV1 {
                    0 => message.clone().into_bytes(),
                    _ => deflated(message.as_bytes()),
                };
                ws.write(&frame(first, &payload)).await;
                let error = ws.expect("ERROR").await;
                assert_eq!(error["code"], "TOO_LARGE", "{kind}: {error}");
                assert!(error["message"].as_str().unwrap().contains("65536 bytes"), "{kind}: {error}");
            }
            ws.command("mine", "CREATE_NODE", json!({"id": new_id()})).await;
            assert_eq!(ws.expect("REVERT").await["code"], "RATE_LIMITED", "{kind}");
            // A short one of the same kind is still free.
            ws.send(&json!({"type": "PING"})).await;
            ws.expect("PONG").await;
            attacked.assert_small();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o3_small_deflated_frames_beyond_the_budget_are_read_one_after_a_pause() {
    const FRAMES: u32 = 50;
    /// The pause after each of them.
    const PAUSE: Duration = Duration::from_millis(20);
    let padding = " ".repeat((64 << 10) - 200);
    let bad = [
        format!(r#"{{"type":"NONSENSE"{padding}}}"#),
        format!(r#"{{"type":"PRESENCE","graphId":"mine","more":1{padding}}}"#),
        format!(r#"{{"type":"PING","more":1{padding}}}"#),
    ];
    for message in &bad {
        // The handshake spends the budget.
        let attacked = attacked(&budget("1"));
        let mut ws = attacked.open(DEFLATE, "eve", json!({"mine": "write"})).await;
        let bytes = frame(FIN | RSV1 | TEXT, &deflated(message.as_bytes()));
        assert!(bytes.len() < 300, "{} bytes are sent", bytes.len());
        let began = Instant::now();
        ws.write(&bytes.repeat(FRAMES as usize)).await;
        for _ in 0..FRAMES {
            assert_eq!(ws.expect("ERROR").await["code"], "BAD_REQUEST", "{message:.40}");
        }
        assert!(began.elapsed() >= PAUSE * (FRAMES - 1), "they were read in {:?}", began.elapsed());
        // Short ones are free, and nothing is lost meanwhile.
        let began = Instant::now();
        for _ in 0..FRAMES {
            ws.send(&json!({"type": "PING"})).await;
            ws.expect("PONG").await;
        }
        assert!(began.elapsed() < PAUSE * FRAMES, "{:?}", began.elapsed());
        attacked.assert_small();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o3_each_message_over_the_limit_has_its_own_time_to_end() {
    const MESSAGE_BYTES: usize = 300_000;
    /// Longer than one message takes, shorter than all of them.
    const TIMEOUT: &str = "2s";
    let attacked = attacked(&[("MAX_BODY_BYTES", "200000"), ("BODY_TIMEOUT", TIMEOUT)]);
    let mut ws = attacked.open(PLAIN, "ada", json!({"mine": "write"})).await;
    let message = frame(FIN | TEXT, " ".repeat(MESSAGE_BYTES).as_bytes());
    let (first, rest) = message.split_at(100);
    ws.write(first).await;
    for _ in 0..8 {
        let (most, end) = rest.split_at(rest.len() - 100);
        ws.write(most).await;
        assert_eq!(ws.expect("ERROR").await["code"], "TOO_LARGE");
        // What is tested is the time that all of them take together.
        tokio::time::sleep(Duration::from_millis(500)).await;
        // The end of one message and the beginning of the next arrive together.
        ws.write(&[end, first].concat()).await;
    }
    ws.write(rest).await;
    assert_eq!(ws.expect("ERROR").await["code"], "TOO_LARGE");
    assert_serves(&mut ws).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w6_a_flood_of_pings_whose_answers_are_not_read_costs_no_memory() {
    /// Long before so much the server has stopped reading.
    const BYTES_MAX: usize = 16 << 20;
    const SOCKETS: usize = 8;
    const GRAPHS: usize = 200;
    let attacked = attacked(&[]);
    let mut silent = vec![];
    for n in 0..SOCKETS {
        let mut ws = attacked.open(PLAIN, &format!("user-{n}"), json!({"*": "read"})).await;
        for graph in 0..GRAPHS {
            // Each answer lists all followed graphs, so it is far longer than the `PING`.
            ws.subscribe(&format!("{graph}-{}", "g".repeat(50)), json!({})).await;
        }
        silent.push(ws);
    }
    attacked.process.forget_peak();
    let before_kib = attacked.process.memory_kib("VmRSS");
    let round = [silent[0].encode(&json!({"type": "PING"})), frame(FIN | PING, &[0; 125])].concat();
    let round = round.repeat(1_000);
    for ws in &mut silent {
        let sent = flood(ws, &round, BYTES_MAX).await;
        assert!(sent < BYTES_MAX, "the server reads on and on");
    }
    let grown = attacked.process.memory_kib("VmHWM").saturating_sub(before_kib);
    assert!(grown < 32 << 10, "{SOCKETS} sockets cost {grown} KiB");
    for ws in &mut silent {
        // What was asked before the server stopped reading is answered.
        let first = ws.next().await;
        assert!(matches!(&first, Came::Message(pong) if pong["type"] == "PONG"), "{first:?}");
    }
    assert_serves(&mut attacked.open(PLAIN, "other", json!({"mine": "write"})).await).await;
}

/// Writes until the server takes nothing for two seconds, or has taken so many bytes; returns how many it took.
async fn flood(ws: &mut Ws, round: &[u8], bytes_max: usize) -> usize {
    let mut sent = 0;
    while sent < bytes_max {
        match tokio::time::timeout(Duration::from_secs(2), ws.stream.write_all(round)).await {
            Ok(written) => written.unwrap(),
            Err(_stalled) => break,
        }
        sent += round.len();
    }
    sent
}
