//! Sockets: frames whose cost is out of proportion to what is sent, seats that nobody gives back, and presence that
//! makes the server tell everybody everything (rules O3, W5, W6, W7).

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::support::{
    graph::new_id,
    server::Process,
    ws::{BINARY, Came, FIN, PING, PLAIN, RSV1, Speech, TEXT, Ws, command_frame, deflated, frame},
};

const SECRET: &str = "a secret of tests, and of nothing else";
const MESSAGE_PACK: Speech = Speech { message_pack: true, deflate: true };
pub(crate) const DEFLATE: Speech = Speech { message_pack: false, deflate: true };
/// Address space of the program: thread stacks and what the allocator reserves are in it.
const SPACE_KIB: u64 = 5 << 20;
/// What a server may grow by under any of these: two long messages at a time, and what it is anyway.
const GROWN_KIB: u64 = 400 << 10;
/// Sockets that send the same frame at the same time.
const SOCKETS: usize = 7;

pub(crate) struct Attacked {
    pub(crate) process: Process,
    before_kib: u64,
    _dir: TempDir,
}

/// The program with keys and these settings.
pub(crate) fn attacked(settings: &[(&str, &str)]) -> Attacked {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap().to_owned();
    let own = [("DATA_DIR", path.as_str()), ("JWT_SECRET", SECRET)];
    let process = Process::start_within(SPACE_KIB, &[&own, settings].concat());
    let before_kib = process.memory_kib("VmRSS");
    Attacked { process, before_kib, _dir: dir }
}

impl Attacked {
    #[track_caller]
    pub(crate) fn assert_small(&self) {
        let grown = self.process.memory_kib("VmHWM").saturating_sub(self.before_kib);
        assert!(grown < GROWN_KIB, "the server grew by {} MiB", grown >> 10);
    }

    pub(crate) async fn open(&self, speech: Speech, user: &str, rights: Value) -> Ws {
        let headers = authorization(user, rights);
        let ws = Ws::handshake_with(self.process.address, "", speech, &headers).await;
        let mut ws = ws.unwrap_or_else(|refused| panic!("{refused:?}"));
        ws.expect("WELCOME").await;
        ws
    }
}

fn token(user: &str, rights: Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({"sub": user, "graphs": rights, "exp": now + 600});
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

fn authorization(user: &str, rights: Value) -> String {
    format!("authorization: Bearer {}\r\n", token(user, rights))
}

/// A `COMMAND` as MessagePack whose payload is `[[0],[0],…]`, of about 8 MiB; where `is_late` what it is about stands
/// after it.
fn nested_lists(id: &str, is_late: bool) -> Vec<u8> {
    const LISTS: u32 = 4_100_000;
    let packed = |value: &Value| rmp_serde::to_vec(value).unwrap();
    let pair = |key: &str, value: &Value| [packed(&json!(key)), packed(value)].concat();
    let about =
        [pair("type", &json!("COMMAND")), pair("graphId", &json!("g")), pair("operationId", &json!(id))]
            .concat();
    let mut command = [packed(&json!("command")), vec![0x82], pair("type", &json!("CREATE_NODE"))].concat();
    command.extend(packed(&json!("payload")));
    command.push(0xdd);
    command.extend(LISTS.to_be_bytes());
    command.extend([0x91, 0].repeat(LISTS as usize));
    let fields = if is_late { [command, about] } else { [about, command] };
    [vec![0x84], fields.concat()].concat()
}

fn compressed(message: &[u8]) -> Vec<u8> {
    frame(FIN | RSV1 | BINARY, &deflated(message))
}

/// The next command of somebody who may write is done.
pub(crate) async fn assert_serves(ws: &mut Ws) {
    ws.command("mine", "CREATE_NODE", json!({"id": new_id()})).await;
    ws.expect("ACK").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o3_a_short_deflated_frame_of_millions_of_lists_costs_little_whoever_sends_it() {
    let attacked = attacked(&[]);
    for (rights, code) in
        [(json!({"mine": "write"}), "FORBIDDEN"), (json!({"g": "write", "mine": "write"}), "TOO_LARGE")]
    {
        for is_late in [false, true] {
            let mut sockets = vec![];
            for n in 0..SOCKETS {
                let mut ws = attacked.open(MESSAGE_PACK, &format!("user-{n}"), rights.clone()).await;
                let id = new_id();
                let bytes = compressed(&nested_lists(&id, is_late));
                assert!(bytes.len() < 64 << 10, "{} bytes are sent", bytes.len());
                ws.write(&bytes).await;
                sockets.push((ws, id));
            }
            for (ws, id) in &mut sockets {
                let revert = ws.expect("REVERT").await;
                assert_eq!((&revert["operationId"], &revert["code"]), (&json!(id), &json!(code)), "{revert}");
                assert_serves(ws).await;
            }
        }
    }
    attacked.assert_small();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o3_with_a_spent_budget_nothing_of_a_frame_is_built() {
    let attacked = attacked(&[("RATE_LIMIT_MAX_REQUESTS", "1"), ("RATE_LIMIT_WINDOW", "3600000")]);
    let mut sockets = vec![];
    for n in 0..SOCKETS {
        // The handshake spends it.
        let mut ws = attacked.open(MESSAGE_PACK, &format!("user-{n}"), json!({"*": "write"})).await;
        let ids = [new_id(), new_id()];
        for (id, is_late) in ids.iter().zip([false, true]) {
            ws.write(&compressed(&nested_lists(id, is_late))).await;
        }
        sockets.push((ws, ids));
    }
    for (ws, ids) in &mut sockets {
        for id in ids {
            let revert = ws.expect("REVERT").await;
            assert_eq!((&revert["operationId"], &revert["code"]), (&json!(id), &json!("RATE_LIMITED")));
        }
    }
    attacked.assert_small();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o3_what_a_frame_begins_with_does_not_hide_what_it_ends_with() {
    let attacked = attacked(&[]);
    let mut ws = attacked.open(DEFLATE, "eve", json!({"mine": "write"})).await;
    let lists = "[0],".repeat(1_500_000);
    // A frame of a type that costs nothing has little room; another one is not what it began with.
    let beginnings =
        [(r#""type":"PING""#, "TOO_LARGE"), (r#""type":"COMMAND","graphId":"mine""#, "BAD_REQUEST")];
    for (first, code) in beginnings {
        let message = format!(
            r#"{{{first},"pad":"{}","command":{{"type":"CREATE_NODE","payload":[{lists}0]}},"type":"COMMAND","graphId":"g"}}"#,
            "x".repeat(20_000)
        );
        ws.write(&frame(FIN | RSV1 | TEXT, &deflated(message.as_bytes()))).await;
        assert_eq!(ws.expect("ERROR").await["code"], code);
    }
    let kinds = [
        ("PING", "TOO_LARGE"),
        ("AUTH", "TOO_LARGE"),
        ("UNSUBSCRIBE", "TOO_LARGE"),
        ("NONSENSE", "BAD_REQUEST"),
    ];
    for (kind, code) in kinds {
        let message = format!(r#"{{"type":"{kind}","graphId":"mine","state":[{lists}0]}}"#);
        ws.write(&frame(FIN | RSV1 | TEXT, &deflated(message.as_bytes()))).await;
        assert_eq!(ws.expect("ERROR").await["code"], code, "{kind}");
    }
    assert_serves(&mut ws).await;
    attacked.assert_small();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w5_messages_over_the_limit_are_passed_over_without_being_kept() {
    let attacked = attacked(&[]);
    let mut ws = attacked.open(DEFLATE, "ada", json!({"g": "write", "mine": "write"})).await;
    let spaces = " ".repeat(64 << 20);
    let id = new_id();
    let long = command_frame("g", &id, "CREATE_NODE", json!({"text": spaces})).to_string();
    ws.write(&frame(FIN | TEXT, long.as_bytes())).await;
    ws.write(&frame(FIN | RSV1 | TEXT, &deflated(long.as_bytes()))).await;
    for _ in 0..2 {
        let revert = ws.expect("REVERT").await;
        assert_eq!((&revert["code"], &revert["operationId"]), (&json!("TOO_LARGE"), &json!(id)));
        assert_eq!(revert["temporary"], false);
    }
    ws.write(&frame(FIN | TEXT, spaces.as_bytes())).await;
    assert_eq!(ws.expect("ERROR").await["code"], "TOO_LARGE");
    assert_serves(&mut ws).await;
    attacked.assert_small();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o3_inflated_messages_count_with_all_bodies() {
    // Room for one message of the limit.
    let attacked = attacked(&[("MAX_BODIES_BYTES", "10000000")]);
    let message = format!(r#"{{"type":"SUBSCRIBE","graphId":"mine"{}}}"#, " ".repeat((8 << 20) - 37));
    let bytes = frame(FIN | RSV1 | TEXT, &deflated(message.as_bytes()));
    let mut sockets = vec![];
    for n in 0..SOCKETS * 3 {
        let mut ws = attacked.open(DEFLATE, &format!("user-{n}"), json!({"mine": "write"})).await;
        ws.write(&bytes).await;
        sockets.push(ws);
    }
    for ws in &mut sockets {
        match ws.next().await {
            Came::Message(message) => assert_eq!(message["type"], "SYNC"),
            Came::Close(code, _) => assert_eq!(code, Some(1013), "come again"),
            other => panic!("{other:?}"),
        }
    }
    attacked.assert_small();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w9_sockets_that_never_bring_a_token_keep_no_good_one_out() {
    const SEATS: usize = 100;
    let attacked = attacked(&[("WS_MAX_CONNECTIONS", "100")]);
    let address = attacked.process.address;
    let mut silent = vec![];
    for _ in 0..SEATS {
        silent.push(Ws::handshake(address, "", PLAIN).await.unwrap_or_else(|refused| panic!("{refused:?}")));
    }
    for n in 0..20 {
        // By the header, and by a first frame.
        let mut ws = attacked.open(PLAIN, &format!("user-{n}"), json!({"mine": "write"})).await;
        assert_serves(&mut ws).await;
        let mut ws = Ws::handshake(address, "", PLAIN).await.unwrap_or_else(|refused| panic!("{refused:?}"));
        ws.expect("WELCOME").await;
        ws.send(&json!({"type": "AUTH", "token": token("ada", json!({"mine": "write"}))})).await;
        ws.expect("AUTHENTICATED").await;
        assert_serves(&mut ws).await;
        silent.push(Ws::handshake(address, "", PLAIN).await.unwrap_or_else(|refused| panic!("{refused:?}")));
    }
    // The first of them gave way long before its time was over.
    silent[0].expect("WELCOME").await;
    assert!(matches!(silent[0].next().await, Came::Close(Some(4401), why) if why.contains("others wait")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o3_a_handshake_that_proves_nothing_is_its_address_s() {
    let attacked = attacked(&[("RATE_LIMIT_MAX_REQUESTS", "5"), ("RATE_LIMIT_WINDOW", "3600000")]);
    let address = attacked.process.address;
    let mut silent = vec![];
    for _ in 0..5 {
        silent.push(Ws::handshake(address, "", PLAIN).await.unwrap_or_else(|refused| panic!("{refused:?}")));
    }
    let refused = Ws::handshake(address, "", PLAIN).await.err().expect("the address has spent its budget");
    assert_eq!((refused.status, &refused.body["code"]), (429, &json!("RATE_LIMITED")));
    let mut good = attacked.open(PLAIN, "ada", json!({"mine": "write"})).await;
    assert_serves(&mut good).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w7_a_flood_of_presence_is_passed_on_within_bounds_and_its_end_arrives() {
    const SENDERS: usize = 10;
    const FOLLOWERS: usize = 40;
    const STATES: usize = 200;
    let attacked = attacked(&[]);
    let rights = json!({"g": "read", "mine": "write"});
    let mut followers = vec![];
    for n in 0..FOLLOWERS {
        let mut ws = attacked.open(PLAIN, &format!("follower-{n}"), rights.clone()).await;
        ws.subscribe("g", json!({})).await;
        followers.push(ws);
    }
    let began = Instant::now();
    let state = |n: usize| json!({"n": n, "pad": "x".repeat(15_000)});
    let mut senders = tokio::task::JoinSet::new();
    for n in 0..SENDERS {
        let mut ws = attacked.open(PLAIN, &format!("sender-{n}"), rights.clone()).await;
        ws.send(&json!({"type": "SUBSCRIBE", "graphId": "g"})).await;
        let states: Vec<Vec<u8>> = (1..=STATES)
            .map(|n| ws.encode(&json!({"type": "PRESENCE", "graphId": "g", "state": state(n)})))
            .collect();
        let (mut ws, mut writer) = ws.split();
        senders.spawn(async move {
            for bytes in states {
                writer.write_all(&bytes).await.unwrap();
            }
            // It stays, and takes what it is told, until the test is over.
            while !matches!(ws.next().await, Came::End | Came::Cut) {}
        });
    }
    let mut following = tokio::task::JoinSet::new();
    for mut ws in followers {
        following.spawn(async move {
            let mut last = std::collections::BTreeSet::new();
            while last.len() < SENDERS {
                let presence = ws.expect("PRESENCE").await;
                if presence["state"]["n"] == STATES {
                    last.insert(presence["userId"].to_string());
                }
            }
            // 512 KiB a second for each follower, and what is sent at once at most.
            let most = (512 << 10) * (began.elapsed().as_secs() as usize + 1) + (2 << 20);
            assert!(ws.bytes_received < most, "{} of {most}", ws.bytes_received);
        });
    }
    following.join_all().await;
    drop(senders);
    assert_serves(&mut attacked.open(PLAIN, "ada", json!({"mine": "write"})).await).await;
    attacked.assert_small();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w6_a_socket_that_takes_nothing_is_not_listened_to_either() {
    /// Long before so much the server has stopped reading.
    const BYTES_MAX: usize = 64 << 20;
    let attacked = attacked(&[]);
    let mut loud = attacked.open(PLAIN, "loud", json!({"g": "write", "mine": "write"})).await;
    let mut stalled = attacked.open(PLAIN, "stalled", json!({"g": "read"})).await;
    loud.subscribe("g", json!({})).await;
    stalled.subscribe("g", json!({})).await;
    let id = new_id();
    let round = [
        frame(FIN | PING, &[0; 125]),
        stalled.encode(&json!({"type": "PING"})),
        stalled.encode(&command_frame("g", &id, "DELETE_NODE", json!({"nodeId": "x"}))),
        stalled.encode(&json!({"type": "PRESENCE", "graphId": "g", "state": 1})),
        stalled.encode(&json!({"type": "NONSENSE"})),
    ]
    .concat()
    .repeat(100);
    let mut sent = 0;
    while let Ok(written) =
        tokio::time::timeout(Duration::from_secs(2), stalled.stream.write_all(&round)).await
    {
        written.unwrap();
        sent += round.len();
        assert!(sent < BYTES_MAX, "it is read on and on");
    }
    for n in 0..50 {
        loud.send(&json!({"type": "PRESENCE", "graphId": "g", "state": {"n": n, "pad": "x".repeat(15_000)}}))
            .await;
    }
    assert_serves(&mut attacked.open(PLAIN, "other", json!({"mine": "write"})).await).await;
    attacked.assert_small();
}
