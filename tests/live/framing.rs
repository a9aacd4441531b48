//! RFC 6455 and RFC 7692 over a real socket: the cases of the Autobahn test suite that are the
//! connection's to keep. Those that are the codec's alone are in `tests/websocket_codec`; the numbers
//! in the names are Autobahn's.

use dao_api::http::RequestLimits;
use serde_json::{Value, json};

use crate::support::{
    graph::new_id,
    server::Server,
    ws::{
        BINARY, CLOSE, CONTINUATION, Came, EVERY_SPEECH, FIN, PING, PLAIN, PONG, RSV1, Speech, TEXT, Ws,
        command_frame, deflated, frame,
    },
};

const DEFLATE: Speech = Speech { deflate: true, ..PLAIN };
const PING_MESSAGE: &[u8] = br#"{"type":"PING"}"#;

async fn connect(server: &Server, speech: Speech) -> Ws {
    Ws::connect_as(server.address(), "", speech).await
}

/// The connection lives: a `PING` is answered, and nothing comes before.
async fn assert_alive(ws: &mut Ws) {
    assert_eq!(ws.so_far().await, [] as [Value; 0]);
}

#[tokio::test]
async fn autobahn_1_2_pings_of_every_length_are_echoed_also_in_one_packet_and_byte_by_byte() {
    let server = Server::start().await;
    let mut ws = connect(&server, PLAIN).await;
    for length in [0, 1, 124, 125] {
        ws.write(&frame(FIN | PING, &vec![0xfe; length])).await;
        assert_eq!(ws.next().await, Came::Pong(vec![0xfe; length]));
    }
    let ten: Vec<u8> = (0..10).flat_map(|n| frame(FIN | PING, &[n])).collect();
    ws.write(&ten).await;
    for n in 0..10 {
        assert_eq!(ws.next().await, Came::Pong(vec![n]));
    }
    for byte in frame(FIN | PING, b"slowly") {
        ws.write(&[byte]).await;
    }
    assert_eq!(ws.next().await, Came::Pong(b"slowly".to_vec()));
    ws.write(&frame(FIN | PONG, b"nobody asked")).await;
    assert_alive(&mut ws).await;
}

#[tokio::test]
async fn autobahn_5_fragments_with_control_frames_between_are_one_message() {
    let server = Server::start().await;
    let mut ws = connect(&server, PLAIN).await;
    let (a, b) = PING_MESSAGE.split_at(7);
    let pieces = [
        frame(TEXT, a),
        frame(FIN | PING, b"between"),
        frame(CONTINUATION, b""),
        frame(FIN | PONG, b"also"),
        frame(FIN | CONTINUATION, b),
    ];
    ws.write(&pieces.concat()).await;
    assert_eq!(ws.next().await, Came::Pong(b"between".to_vec()));
    ws.expect("PONG").await;
    // A large message in many pieces, each alone on the wire.
    let filler = " ".repeat(100_000);
    let message = format!(r#"{{"type":"SUBSCRIBE","graphId":"g"{filler}}}"#).into_bytes();
    let count = message.chunks(1_000).count();
    for (index, piece) in message.chunks(1_000).enumerate() {
        let first = if index == 0 { TEXT } else { CONTINUATION };
        let fin = if index + 1 == count { FIN } else { 0 };
        ws.write(&frame(fin | first, piece)).await;
    }
    ws.expect("SYNC").await;
}

#[tokio::test]
async fn autobahn_3_4_5_7_a_protocol_error_closes_the_connection_with_1002() {
    let server = Server::start().await;
    let unmasked = [&[FIN | PING, 4][..], b"ping"].concat();
    let long_ping = frame(FIN | PING, &[0; 126]);
    for (what, bytes) in [
        ("RSV1 without an extension", frame(FIN | RSV1 | TEXT, b"{}")),
        ("RSV2", frame(FIN | 0x20 | TEXT, b"{}")),
        ("RSV3", frame(FIN | 0x10 | PING, b"")),
        ("opcode 3", frame(FIN | 3, b"")),
        ("opcode 11", frame(FIN | 11, b"")),
        ("an unmasked frame", unmasked),
        ("a long control frame", long_ping),
        ("a fragmented ping", frame(PING, b"")),
        ("a continuation of nothing", frame(FIN | CONTINUATION, b"x")),
        ("a message within a message", [frame(TEXT, b"a"), frame(FIN | TEXT, b"b")].concat()),
        ("a Close of one byte", frame(FIN | CLOSE, &[3])),
        ("close code 1005", frame(FIN | CLOSE, &1005_u16.to_be_bytes())),
        ("close code 999", frame(FIN | CLOSE, &999_u16.to_be_bytes())),
    ] {
        let mut ws = connect(&server, PLAIN).await;
        ws.write(&bytes).await;
        match ws.next().await {
            Came::Close(code, reason) => {
                assert_eq!(code, Some(1002), "{what}");
                assert!(!reason.is_empty(), "{what}: the reason is said");
            }
            other => panic!("{what}: {other:?}"),
        }
        assert_eq!(ws.next().await, Came::End, "{what}");
    }
}

#[tokio::test]
async fn autobahn_6_bad_utf8_ends_the_connection_with_1007_at_once() {
    let server = Server::start().await;
    for bytes in [
        frame(FIN | TEXT, b"\xff"),
        frame(FIN | TEXT, b"\xed\xa0\x80"),
        frame(TEXT, b"\xce\xba\xf4\x90\x80\x80"), // before the message is whole
        frame(FIN | CLOSE, b"\x03\xe8\xff"),
    ] {
        let mut ws = connect(&server, PLAIN).await;
        ws.write(&bytes).await;
        ws.expect_close(1007).await;
    }
    let mut ws = connect(&server, PLAIN).await;
    let text = r#"{"type":"é"}"#.as_bytes();
    let (a, b) = text.split_at(10); // within the two bytes of the letter
    ws.write(&[frame(TEXT, a), frame(FIN | CONTINUATION, b)].concat()).await;
    assert!(ws.expect("ERROR").await["message"].as_str().unwrap().contains('é'));
}

/// A limit that tests pass without sending much.
const SMALL_LIMIT: usize = 100_000;

async fn small() -> Server {
    let limits = RequestLimits { body_bytes_max: SMALL_LIMIT, ..RequestLimits::default() };
    Server::limited(limits, |app| app).await
}

/// An operation of each kind, with this much in it.
fn operations(filler: &str) -> [(String, Value); 2] {
    let payload = json!({"id": new_id(), "data": {"text": filler}});
    let (one, many) = (new_id(), new_id());
    let batch = json!({"type": "BATCH", "graphId": "g", "batchId": many,
        "operations": [{"type": "CREATE_NODE", "payload": payload}]});
    [(one.clone(), command_frame("g", &one, "CREATE_NODE", payload)), (many, batch)]
}

/// What fits no limit, compressed or not: text that DEFLATE makes nothing of.
fn noise(length: usize) -> String {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b' ' + 3 + (state >> 33) as u8 % 56)
    };
    (0..length).map(|_| next()).collect()
}

/// These operations are refused for good, and the next one is not held up.
async fn assert_refused(ws: &mut Ws, ids: &[String], what: &str) {
    for id in ids {
        let revert = ws.expect("REVERT").await;
        assert_eq!(
            (&revert["code"], &revert["operationId"]),
            (&json!("TOO_LARGE"), &json!(id)),
            "{what}: {revert}"
        );
        assert_eq!((&revert["temporary"], &revert["graphId"]), (&json!(false), &json!("g")), "{what}");
        let message = revert["message"].as_str().unwrap();
        assert!(message.contains("100000 bytes") && message.contains("MAX_BODY_BYTES"), "{message}");
    }
    ws.command("g", "CREATE_NODE", json!({"id": new_id()})).await;
    ws.expect("ACK").await;
}

#[tokio::test]
async fn w5_an_operation_over_the_limit_is_reverted_and_the_connection_lives() {
    let server = small().await;
    for speech in EVERY_SPEECH {
        let mut ws = connect(&server, speech).await;
        for filler in ["x".repeat(SMALL_LIMIT), "x".repeat(SMALL_LIMIT * 9), noise(SMALL_LIMIT * 4)] {
            for (id, operation) in operations(&filler) {
                let whole = ws.encode(&operation);
                ws.write(&whole).await;
                assert_refused(&mut ws, &[id], &format!("{speech:?}, {} bytes", whole.len())).await;
            }
        }
    }
}

#[tokio::test]
async fn w5_a_fragmented_operation_over_the_limit_is_reverted_once() {
    let server = small().await;
    let mut ws = connect(&server, PLAIN).await;
    for (id, operation) in operations(&"x".repeat(SMALL_LIMIT * 3)) {
        let message = operation.to_string().into_bytes();
        let mut stream = frame(TEXT, b"");
        for piece in message.chunks(30_000) {
            stream.extend(frame(CONTINUATION, piece));
            stream.extend(frame(FIN | PING, b"between"));
        }
        stream.extend(frame(FIN | CONTINUATION, b""));
        ws.write(&stream).await;
        let mut pongs = 0;
        let revert = loop {
            match ws.next().await {
                Came::Pong(_) => pongs += 1,
                Came::Message(message) => break message,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((&revert["code"], &revert["operationId"]), (&json!("TOO_LARGE"), &json!(id)));
        for _ in pongs..message.chunks(30_000).count() {
            assert_eq!(
                ws.next().await,
                Came::Pong(b"between".to_vec()),
                "control frames are heard meanwhile"
            );
        }
        assert_refused(&mut ws, &[], "fragments").await;
    }
}

#[tokio::test]
async fn w5_a_too_long_message_is_answered_after_its_first_bytes() {
    let server = small().await;
    let announced = |length: u64| [&[FIN | TEXT, 0x80 | 127], &length.to_be_bytes()[..], &[0; 4]].concat();
    let [(id, operation), _] = operations(&"x".repeat(20_000));
    let mut ws = connect(&server, PLAIN).await;
    ws.write(&announced(1 << 40)).await;
    ws.write(operation.to_string().as_bytes()).await; // the mask is zero
    let revert = ws.expect("REVERT").await;
    assert_eq!((&revert["code"], &revert["operationId"]), (&json!("TOO_LARGE"), &json!(id)));
    // Nobody can send what this announces: the protocol is broken.
    for length in [(1 << 40) + 1, (1 << 63) - 1] {
        let mut ws = connect(&server, PLAIN).await;
        ws.write(&announced(length)).await;
        ws.expect_close(1009).await;
    }
}

#[tokio::test]
async fn w9_a_too_long_message_without_an_operation_gets_an_error_and_the_connection_lives() {
    let server = small().await;
    let filler = "x".repeat(SMALL_LIMIT);
    let id = new_id();
    let late = json!({"type": "COMMAND", "graphId": "g", "command": {"type": "CREATE_NODE",
        "payload": {"data": {"text": filler}}}, "operationId": id});
    let presence = json!({"type": "PRESENCE", "graphId": "g", "state": filler});
    for speech in EVERY_SPEECH {
        let mut ws = connect(&server, speech).await;
        for message in [&late, &presence, &json!(filler), &json!([filler])] {
            ws.send(message).await;
            let error = ws.expect("ERROR").await;
            assert_eq!(error["code"], "TOO_LARGE", "{speech:?}: {error}");
        }
        assert_refused(&mut ws, &[], "about nothing").await;
    }
}

#[tokio::test]
async fn o3_a_message_at_the_limit_is_read_even_if_its_type_comes_last() {
    let server = Server::start().await;
    let limit = 8 << 20;
    let spaces = " ".repeat(limit - 34);
    let whole = format!(r#"{{"type":"SUBSCRIBE","graphId":"g"{spaces}}}"#);
    let last = format!(r#"{{{spaces}"type":"SUBSCRIBE","graphId":"g"}}"#);
    assert_eq!((whole.len(), last.len()), (limit, limit));
    for message in [whole, last] {
        let mut ws = connect(&server, DEFLATE).await;
        ws.write(&frame(FIN | TEXT, message.as_bytes())).await;
        ws.expect("SYNC").await;
        ws.write(&frame(FIN | RSV1 | TEXT, &deflated(message.as_bytes()))).await;
        ws.expect("SYNC").await;
    }
}

#[tokio::test]
async fn autobahn_12_13_compressed_and_plain_messages_are_understood_side_by_side() {
    let server = Server::start().await;
    let mut ws = connect(&server, DEFLATE).await;
    ws.write(&frame(FIN | TEXT, PING_MESSAGE)).await;
    ws.expect("PONG").await;
    let short = deflated(PING_MESSAGE);
    let (a, b) = short.split_at(5);
    ws.write(&[frame(RSV1 | TEXT, a), frame(FIN | PING, b"."), frame(FIN | CONTINUATION, b)].concat()).await;
    assert_eq!(ws.next().await, Came::Pong(b".".to_vec()));
    ws.expect("PONG").await;
    ws.write(&frame(FIN | RSV1 | TEXT, b"\xff\xff no deflate")).await;
    ws.expect_close(1007).await;
}

#[tokio::test]
async fn w9_the_other_kind_of_message_gets_an_error_and_the_connection_lives() {
    let server = Server::start().await;
    for speech in EVERY_SPEECH {
        let mut ws = connect(&server, speech).await;
        let other = if speech.message_pack { TEXT } else { BINARY };
        ws.write(&frame(FIN | other, PING_MESSAGE)).await;
        assert_eq!(ws.expect("ERROR").await["code"], "BAD_REQUEST");
        assert_alive(&mut ws).await;
    }
}

#[tokio::test]
async fn a_refused_handshake_names_the_mistake() {
    let server = Server::start().await;
    let request = |lines: &str| format!("GET /ws HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n").into_bytes();
    let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let upgrade = "upgrade: websocket\r\nconnection: Upgrade\r\n";
    for (lines, status) in [
        (format!("{upgrade}{key}sec-websocket-version: 8\r\n"), 426),
        (format!("{upgrade}sec-websocket-version: 13\r\n"), 400),
        (format!("{upgrade}sec-websocket-version: 13\r\nsec-websocket-key: short\r\n"), 400),
        (format!("{key}sec-websocket-version: 13\r\n"), 400),
        (String::new(), 400),
    ] {
        let refused = Ws::raw(server.address(), &request(&lines)).await.err().unwrap();
        assert_eq!((refused.status, &refused.body["status"]), (status, &json!(status)), "{lines}");
    }
    // Protocols that are not known leave the default; of several the known one is chosen.
    let mut ws = Ws::upgrade(server.address(), "", "").await.unwrap();
    ws.expect("WELCOME").await;
    let ws = Ws::upgrade(server.address(), "", "sec-websocket-protocol: x, dao.v1.json\r\n").await.unwrap();
    assert!(ws.head.to_ascii_lowercase().contains("sec-websocket-protocol: dao.v1.json\r\n"), "{}", ws.head);
}

#[tokio::test]
async fn bytes_sent_together_with_the_handshake_are_not_lost() {
    let server = Server::start().await;
    let mut request = b"GET /ws HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    request.extend(frame(FIN | TEXT, PING_MESSAGE));
    request.extend(&frame(FIN | TEXT, PING_MESSAGE)[..3]);
    let mut ws = Ws::raw(server.address(), &request).await.unwrap();
    ws.expect("WELCOME").await;
    ws.expect("PONG").await;
    ws.write(&frame(FIN | TEXT, PING_MESSAGE)[3..]).await;
    ws.expect("PONG").await;
}
