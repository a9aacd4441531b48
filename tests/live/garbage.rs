//! Bytes nobody would send: whatever comes in a well-formed WebSocket message, the connection lives
//! and answers; whatever comes at all, the server lives. `GARBAGE_SEED` repeats a run.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::{
    graph::new_id,
    server::Server,
    ws::{BINARY, Came, EVERY_SPEECH, FIN, RSV1, TEXT, Ws, command_frame, deflated, frame},
};

/// xorshift64*: enough to make garbage, the same for the same seed.
struct Rng(u64);

impl Rng {
    fn new() -> Self {
        let seed = std::env::var("GARBAGE_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) << 20 | 0x9e37);
        println!("GARBAGE_SEED={seed}");
        Self(seed | 1)
    }

    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.next(most + 1)).map(|_| self.next(256) as u8).collect()
    }
}

/// Frames that are almost right.
fn seeds() -> Vec<Value> {
    vec![
        json!({"type": "SUBSCRIBE", "graphId": "g", "version": 1, "hash": "00", "pending": [new_id()]}),
        json!({"type": "UNSUBSCRIBE", "graphId": "g"}),
        json!({"type": "PRESENCE", "graphId": "g", "clientId": "c", "state": {"x": [1, 2.5, null, true]}}),
        command_frame("g", &new_id(), "CREATE_NODE", json!({"id": "a", "position": {"x": 1, "y": 2}})),
        command_frame("g", &new_id(), "BATCH_UPDATE", json!({"nodes": {"a": {}}, "edges": []})),
        json!({"type": "BATCH", "graphId": "g", "batchId": new_id(), "operations":
            [{"type": "SET_VIEWPORT", "payload": {"x": 0, "y": 0, "zoom": 1}}]}),
    ]
}

fn mangle(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..1 + rng.next(4) {
        if bytes.is_empty() {
            return;
        }
        let at = rng.next(bytes.len());
        match rng.next(5) {
            0 => bytes[at] = rng.next(256) as u8,
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, rng.next(256) as u8),
            3 => bytes.truncate(at),
            _ => bytes.extend_from_within(at..),
        }
    }
}

/// Answers up to that to a PING of the protocol: it is alive, and nobody waits for anything.
async fn is_answering(ws: &mut Ws) {
    ws.write(&frame(0x89, b"alive?")).await;
    loop {
        match ws.next().await {
            Came::Message(_) | Came::Ping(_) => {}
            Came::Pong(payload) => {
                assert_eq!(payload, b"alive?");
                return;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn w9_no_malformed_message_closes_the_connection() {
    let server = Server::start().await;
    let mut rng = Rng::new();
    for speech in EVERY_SPEECH {
        let mut ws = Ws::connect_as(server.address(), "", speech).await;
        for round in 0..400 {
            let seed = &seeds()[rng.next(6)];
            let mut payload = match (rng.next(4), speech.message_pack) {
                (0, _) => rng.bytes(60),
                (_, true) => rmp_serde::to_vec_named(seed).unwrap(),
                (_, false) => seed.to_string().into_bytes(),
            };
            mangle(&mut payload, &mut rng);
            if !speech.message_pack {
                payload = String::from_utf8_lossy(&payload).into_owned().into_bytes(); // a text is UTF-8
            }
            let opcode = if speech.message_pack { BINARY } else { TEXT };
            let bytes = match speech.deflate {
                true => frame(FIN | RSV1 | opcode, &deflated(&payload)),
                false => frame(FIN | opcode, &payload),
            };
            ws.write(&bytes).await;
            if round % 20 == 0 {
                is_answering(&mut ws).await;
            }
        }
        is_answering(&mut ws).await;
    }
}

#[tokio::test]
async fn no_bytes_stop_the_server() {
    let server = Server::start().await;
    let mut rng = Rng::new();
    for round in 0..150 {
        let mut ws = Ws::connect_as(server.address(), "?graphId=g", EVERY_SPEECH[round % 4]).await;
        let mut bytes = match rng.next(3) {
            0 => rng.bytes(300),
            _ => seeds().iter().flat_map(|seed| ws.encode(seed)).collect(),
        };
        mangle(&mut bytes, &mut rng);
        let _closed_meanwhile = ws.stream.write_all(&bytes).await;
        let _closed_meanwhile = ws.stream.shutdown().await;
        // It ends: the server does not wait for the rest of a frame whose sender is gone.
        while !matches!(ws.next().await, Came::End | Came::Cut) {}
    }
    let mut ws = Ws::connect(server.address(), "").await;
    is_answering(&mut ws).await;
}
