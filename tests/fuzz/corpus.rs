//! What is right, for changes to begin with.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use dao_api::{
    auth::{Glob, Keys, KeysConfig, Right, Rights, mint},
    http::Format,
};
use dao_projections::{Commit, CommitBody, Graph, Head, UserId, snapshot_rows};
use serde_json::{Value, json};

const ID: &str = "0192f0a0-0000-7000-8000-000000000001";
const OTHER: &str = "0192f0a0-0000-7000-8000-000000000002";

/// Commands of every type, and a batch.
fn bodies() -> Vec<Value> {
    let node = json!({"id": "a", "position": {"x": 1.5, "y": -2}, "data": {"é": [1, null, true, 1e300]}});
    let edge = json!({"id": "a-b", "source": "a", "target": "b", "sourceHandle": null});
    let commands = [
        json!({"type": "CREATE_NODE", "payload": node, "operationId": ID, "clientVersion": 3}),
        json!({"type": "UPDATE_NODE", "payload": {"nodeId": "a", "updates": {"data": {"x": null}}}}),
        json!({"type": "UPDATE_NODE_POSITION", "payload": {"nodeId": "a", "position": {"x": 0, "y": 0}}}),
        json!({"type": "CREATE_EDGE", "payload": edge, "onConflict": "reject"}),
        json!({"type": "UPDATE_EDGE", "payload": {"edgeId": "a-b", "updates": {"target": "a"}}}),
        json!({"type": "SET_VIEWPORT", "payload": {"x": 0, "y": 0, "zoom": 2}, "clientId": "tab"}),
        json!({"type": "BATCH_UPDATE", "payload": {"nodes": {"a": node}, "edges": [edge]}}),
    ];
    let batch = json!({"operations": commands, "batchId": ID, "atomic": false});
    commands.into_iter().chain([batch]).collect()
}

fn frames() -> Vec<Value> {
    let command = json!({"type": "DELETE_NODE", "payload": {"nodeId": "a"}});
    vec![
        json!({"type": "SUBSCRIBE", "graphId": "g", "version": 1, "hash": "0".repeat(64), "pending": [ID]}),
        json!({"type": "COMMAND", "graphId": "g", "operationId": ID, "after": OTHER, "command": command}),
        json!({"type": "BATCH", "graphId": "g", "batchId": ID, "operations": [command]}),
        json!({"type": "BATCH", "graphId": "g", "batchId": ID, "atomic": true, "ifMissing": "skip", "operations": [command]}),
        json!({"type": "PRESENCE", "graphId": "g", "slot": "drag", "state": {"cursor": [1, 2]}}),
        json!({"type": "AUTH", "token": "a.b.c"}),
        json!({"type": "PING"}),
    ]
}

fn encoded(values: Vec<Value>, format: Format) -> Vec<Vec<u8>> {
    values.iter().map(|value| encode(value, format)).collect()
}

pub(crate) fn encode(value: &Value, format: Format) -> Vec<u8> {
    match format {
        Format::Json => serde_json::to_vec(value).unwrap(),
        Format::MessagePack => rmp_serde::to_vec_named(value).unwrap(),
    }
}

fn commit_bytes(events: &Value) -> Vec<u8> {
    let stored = json!({"format": 1, "operation": null, "user": "ada", "client": "tab", "at": 1_763_800_000_000_u64,
        "command": "BATCH", "outcome": "merged", "events": events});
    // A stored id is bytes, which JSON can't say: it is put in its place.
    let mut bytes = rmp_serde::to_vec_named(&stored).unwrap();
    let at = bytes.windows(10).position(|window| window == b"operation\xc0").unwrap() + 9;
    bytes.splice(at..=at, [0xc4, 16].into_iter().chain([7; 16]));
    bytes
}

fn commits() -> Vec<Vec<u8>> {
    let node = json!({"id": "a", "position": {"x": 1, "y": 2}, "data": {"label": "é"}, "parentId": "b"});
    let created = json!([{"type": "NodeCreated", "node": {"id": "b", "position": {"x": 0, "y": 0}}},
        {"type": "NodeCreated", "node": node},
        {"type": "EdgeCreated", "edge": {"id": "a-b", "source": "a", "target": "b"}}]);
    let changed = json!([{"type": "NodeUpdated", "nodeId": "a", "patch": {"data": {"x": 1}}},
        {"type": "NodeMoved", "nodeId": "a", "position": {"x": 3, "y": 4}},
        {"type": "EdgeUpdated", "edgeId": "a-b", "patch": {"label": null}},
        {"type": "ViewportSet", "viewport": {"x": 0, "y": 0, "zoom": 1.5}}]);
    let deleted = json!([{"type": "EdgeDeleted", "edgeId": "a-b"}, {"type": "NodeDeleted", "nodeId": "a"}]);
    [created, changed, deleted].iter().map(commit_bytes).collect()
}

/// The snapshot of the first two commits.
pub(crate) fn rows() -> Vec<(String, Vec<u8>)> {
    let mut graph = Graph::empty();
    for bytes in commits().iter().take(2) {
        let head: Head = graph.head().after(bytes);
        let body = CommitBody::decode(bytes).unwrap();
        graph.apply(&Commit { version: head.version, hash: head.hash, body });
    }
    snapshot_rows(&graph)
}

/// Places of four parts, and histories left to read; without the checksum.
fn positions() -> Vec<Vec<u8>> {
    vec![
        vec![1, 1, 0, 0, 0],
        vec![1, 4, 0x90, 0x4e, 0, 1, 0, 0x85, 0x01, 3, 2, 9, 0],
        vec![1, 2, 100, 1, 0, 1, 5, 2, 0, 1, 7, 1, b'g'],
    ]
}

fn tokens() -> Vec<Vec<u8>> {
    let secret = Some(super::targets::SECRET.to_owned());
    let keys = Keys::load(KeysConfig { secret, ..KeysConfig::default() }).unwrap();
    let rights = Rights::new(vec![(Glob::parse("team-*.*").unwrap(), Right::Write)]);
    let token = mint(&keys, &UserId::parse("ada").unwrap(), &rights, std::time::Duration::from_secs(86_400));
    vec![token.unwrap().into_bytes(), b"team-*.*a*a*a*a*a*a*a*a*b".to_vec()]
}

/// What another instance publishes: commits, a head, a word; and one of presence.
fn published() -> Vec<Vec<u8>> {
    let header = [&[1][..], &[9; 16]].concat();
    let body = &commits()[0];
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let commit = [&header[..], b"C\x0212", &[3; 32], &length, body].concat();
    let head = [&header[..], b"H", &[3; 32], b"12"].concat();
    let word = [&header[..], b"Mword"].concat();
    vec![commit, head, word]
}

/// As clients send them: masked, one of them in pieces, one with a lie about its compression.
fn streams() -> Vec<Vec<u8>> {
    let masked = |first: u8, payload: &[u8]| {
        let mask = [1, 2, 3, 4];
        let length = 0x80 | u8::try_from(payload.len()).unwrap();
        let hidden = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        [first, length].into_iter().chain(mask).chain(hidden).collect::<Vec<u8>>()
    };
    vec![
        [masked(0x01, "h\u{e9}".as_bytes()), masked(0x89, b"ping"), masked(0x80, b"llo")].concat(),
        [masked(0x82, &[0xc1; 100]), masked(0x88, &[0x03, 0xe8])].concat(),
        // "Hello", compressed (RFC 7692, section 7.2.3.1).
        masked(0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]),
    ]
}

/// A fingerprint, an outcome, a writer.
fn records() -> Vec<Vec<u8>> {
    let record = [&[0x93, 0xc4, 8][..], &[5; 8], b"\x81\xa1c\x91\x07", &[0xc4, 4], &[6; 4]].concat();
    let bare = [&[0x93, 0xc4, 8][..], &[5; 8], b"\x81\xa1c\x07", &[0xc4, 4], &[6; 4]].concat();
    vec![record, bare]
}

/// What changes of this target begin with.
pub(crate) fn of(target: &str) -> Vec<Vec<u8>> {
    static ROWS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        rows().into_iter().map(|(key, row)| [key.as_bytes(), &[0], &row].concat()).collect()
    });
    let cursor = |text: &str| URL_SAFE_NO_PAD.encode(text).into_bytes();
    match target {
        "json_body" => encoded(bodies(), Format::Json),
        "message_pack_body" => encoded(bodies(), Format::MessagePack),
        "json_frame" => encoded(frames(), Format::Json),
        "message_pack_frame" => encoded(frames(), Format::MessagePack),
        "websocket" => streams(),
        "commit" => commits(),
        "operation_record" => records(),
        "snapshot_row" => ROWS.clone(),
        "position" => positions(),
        "activity_cursor" => vec![cursor(r#"["g",null]"#), cursor(r#"["team.e","5:NodeCreated:ada"]"#)],
        "token" => tokens(),
        "published" => published(),
        other => panic!("{other} has no corpus"),
    }
}
