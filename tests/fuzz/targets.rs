//! Each decoder as a function of bytes. It panics where a law is broken, and says whether the bytes were read.

use dao_api::{
    auth::{Glob, Keys, KeysConfig},
    domain::OperationRecord,
    http::{Format, fuzzing as http},
    live::fuzzing as live,
    read::CommitFilter,
    store::redis::fuzzing as redis,
    websocket::{Decoder, Deflate, Limits},
};
use dao_projections::{CommitBody, GraphId, Hash, Head, Version, graph_of_rows, snapshot_rows};

pub(crate) const SECRET: &str = "a secret of thirty-two bytes, and more";

/// What is read, and by what.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&[u8]) -> bool,
}

pub(crate) const TARGETS: [Target; 12] = [
    Target { name: "json_body", run: |bytes| body(bytes, Format::Json) },
    Target { name: "message_pack_body", run: |bytes| body(bytes, Format::MessagePack) },
    Target { name: "json_frame", run: |bytes| http::frame(bytes, Format::Json) },
    Target { name: "message_pack_frame", run: |bytes| http::frame(bytes, Format::MessagePack) },
    Target { name: "websocket", run: websocket },
    Target { name: "commit", run: commit },
    Target { name: "operation_record", run: operation_record },
    Target { name: "snapshot_row", run: snapshot_row },
    Target { name: "position", run: position },
    Target { name: "activity_cursor", run: activity_cursor },
    Target { name: "token", run: token },
    Target { name: "published", run: published },
];

/// What is read is read again from its own encoding.
fn body(bytes: &[u8], format: Format) -> bool {
    let Some(value) = http::body(bytes, format) else { return false };
    let again = http::body(&crate::corpus::encode(&value, format), format);
    assert_eq!(again, Some(value));
    true
}

/// However the bytes come in, they are the same messages and the same end.
fn websocket(bytes: &[u8]) -> bool {
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut decoder = Decoder::new(Limits { message_bytes_max: 4 << 10 }, Deflate::On);
        let mut said = Vec::new();
        for piece in pieces {
            decoder.push(piece);
            loop {
                match decoder.next() {
                    Ok(Some(message)) => said.push(format!("{message:?}")),
                    Ok(None) => break,
                    Err(error) => {
                        said.push(format!("{error:?}"));
                        return (said, false);
                    }
                }
            }
        }
        (said, true)
    };
    let whole = read(&mut std::iter::once(bytes));
    assert_eq!(read(&mut bytes.chunks(1)), whole);
    whole.1 && !whole.0.is_empty()
}

fn commit(bytes: &[u8]) -> bool {
    let Ok(body) = CommitBody::decode(bytes) else { return false };
    let again = CommitBody::decode(&body.encode()).expect("what was encoded is decoded");
    assert_eq!(again, body);
    true
}

fn operation_record(bytes: &[u8]) -> bool {
    let Some(record) = OperationRecord::decode(bytes) else { return false };
    let again = OperationRecord::decode(&record.encode()).expect("what was encoded is decoded");
    assert_eq!(again.encode(), record.encode());
    true
}

/// A key, a zero byte, a row: beside the rows of a graph that are as they should be.
fn snapshot_row(bytes: &[u8]) -> bool {
    let head = Head { version: Version::new(9).expect("small"), hash: Hash::default().chain(b"any") };
    let Some(end) = bytes.iter().position(|byte| *byte == 0) else { return false };
    let Ok(key) = std::str::from_utf8(&bytes[..end]) else { return false };
    let mut rows = crate::corpus::rows();
    rows.retain(|(other, _)| other != key);
    rows.push((key.to_owned(), bytes[end + 1..].to_vec()));
    let rows = rows.iter().map(|(key, row)| (key.as_str(), row.as_slice()));
    let Ok(graph) = graph_of_rows(head, rows) else { return false };
    let written = snapshot_rows(&graph);
    let again = written.iter().map(|(key, row)| (key.as_str(), row.as_slice()));
    let again = graph_of_rows(head, again).expect("what was written is read");
    assert_eq!(snapshot_rows(&again), written);
    true
}

fn position(bytes: &[u8]) -> bool {
    let Some((position, again)) = live::position(bytes) else { return false };
    assert_eq!(again, Ok(position));
    true
}

fn activity_cursor(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Some((written, again)) = http::activity_cursor(text) else { return false };
    assert_eq!(again, Some(written));
    true
}

/// Tokens, and the globs of graphs in rights and in filters.
fn token(bytes: &[u8]) -> bool {
    thread_local! {
        static KEYS: Keys = Keys::load(KeysConfig { secret: Some(SECRET.to_owned()), ..KeysConfig::default() })
            .expect("a secret that is long enough");
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    if let Ok(glob) = Glob::parse(text) {
        glob.matches(&GraphId::parse("team-a.b.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").expect("an id"));
    }
    let _is_filter = CommitFilter::default().with_graphs(text).is_ok();
    KEYS.with(|keys| keys.verify(text).is_ok())
}

/// Also what instances tell each other of who is where.
fn published(bytes: &[u8]) -> bool {
    let is_presence = live::presence_message(bytes);
    redis::message(bytes).is_some() || is_presence
}
