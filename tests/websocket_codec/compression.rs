//! Groups 12 and 13, and the examples of RFC 7692 section 7.2.3: compressed messages both ways.

use dao_api::websocket::{
    DEFLATE_THRESHOLD_BYTES, Deflate, MessageKind, ProtocolError, deflate, encode_shared,
};

use crate::client::*;

fn inbound(stream: &[u8]) -> Outcome {
    decode_with(Deflate::On, stream)
}

/// JSON of about `length` bytes, a little different on each line.
fn json(length: usize) -> String {
    let line =
        |n: usize| format!(r#"{{"type":"NodeMoved","nodeId":"n{n}","position":{{"x":{n}.5,"y":7}}}},"#);
    let mut text: String = (0..length / 50 + 1).map(line).collect();
    text.truncate(length);
    text
}

#[test]
fn rfc_7692_7_2_3_examples() {
    let hello: [&[u8]; 4] = [
        b"\xf2\x48\xcd\xc9\xc9\x07\x00",
        b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
        b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
        b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
    ];
    for payload in hello {
        assert_eq!(inbound(&frame(FIN | RSV1 | TEXT, payload)), (vec![text("Hello")], None));
    }
}

#[test]
fn a_message_may_not_use_the_context_of_the_one_before() {
    let stream = frames([
        (FIN | RSV1 | TEXT, &b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..]),
        (FIN | RSV1 | TEXT, b"\xf2\x00\x11\x00\x00"),
    ]);
    assert_eq!(inbound(&stream), (vec![text("Hello")], Some(ProtocolError::CorruptDeflate)));
}

#[test]
fn case_12_compressed_messages_of_every_size_level_and_fragmentation() {
    for length in [0, 16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131_072] {
        let payload = json(length);
        for level in [0, 1, 6, 9] {
            let short = deflated(payload.as_bytes(), level);
            for size in [256, 1 << 20] {
                let mut stream = frame(RSV1 | TEXT, b"");
                stream.extend(short.chunks(size).flat_map(|piece| frame(CONTINUATION, piece)));
                stream.extend(frame(FIN | PING, b"between"));
                stream.extend(frame(FIN | CONTINUATION, b""));
                let outcome = decode_pieces(decoder(Deflate::On), stream.chunks(4096));
                assert_eq!(outcome, (vec![ping(b"between"), text(&payload)], None));
            }
        }
    }
}

#[test]
fn case_13_a_thousand_messages_on_one_connection() {
    let stream: Vec<u8> =
        (0..1000).flat_map(|n| frame(FIN | RSV1 | BINARY, &deflated(json(n).as_bytes(), 6))).collect();
    let (events, error) = decode_pieces(decoder(Deflate::On), stream.chunks(1000));
    assert_eq!(error, None);
    assert!(events.iter().enumerate().all(|(n, event)| *event == binary(json(n).as_bytes())));
    assert_eq!(events.len(), 1000);
}

#[test]
fn plain_and_compressed_messages_mix() {
    let short = deflated(b"two", 6);
    let stream = frames([(FIN | TEXT, &b"one"[..]), (FIN | RSV1 | TEXT, &short), (FIN | TEXT, b"three")]);
    assert_eq!(inbound(&stream), (vec![text("one"), text("two"), text("three")], None));
}

#[test]
fn an_empty_compressed_message_is_empty() {
    for payload in [&b""[..], b"\x00", b"\x02\x00"] {
        assert_eq!(inbound(&frame(FIN | RSV1 | TEXT, payload)), (vec![text("")], None));
    }
}

#[test]
fn rsv1_stands_on_a_message_s_first_frame_only() {
    let short = deflated(b"Hello", 6);
    assert_eq!(decode(&frame(FIN | RSV1 | TEXT, &short)).1, Some(ProtocolError::ReservedBit), "not agreed");
    for opcode in [PING, PONG, CLOSE] {
        assert_eq!(inbound(&frame(FIN | RSV1 | opcode, b"")).1, Some(ProtocolError::ReservedBit));
    }
    for first in [TEXT, RSV1 | TEXT] {
        let stream = frames([(first, &short[..0]), (FIN | RSV1 | CONTINUATION, &short)]);
        assert_eq!(inbound(&stream).1, Some(ProtocolError::ReservedBit));
    }
}

#[test]
fn garbage_is_refused_with_1007() {
    let (events, error) = inbound(&frame(FIN | RSV1 | BINARY, &[0xff; 100]));
    assert_eq!((events, error), (vec![], Some(ProtocolError::CorruptDeflate)));
    assert_eq!(ProtocolError::CorruptDeflate.close_code().get(), 1007);
}

#[test]
fn a_shared_message_is_the_same_in_both_forms() {
    for length in [DEFLATE_THRESHOLD_BYTES, 300, 2000, 70_000, 1 << 20] {
        let payload = json(length);
        let encoded = |kind, deflate| encode_shared(kind, deflate, payload.as_bytes());
        let plain = encoded(MessageKind::Text, Deflate::Off);
        assert_eq!(read(&plain), (FIN | TEXT, payload.as_bytes()));
        let compressed = encoded(MessageKind::Text, Deflate::On);
        let (first, short) = read(&compressed);
        assert_eq!(first, FIN | RSV1 | TEXT);
        assert!(short.len() < payload.len());
        assert_eq!(inflated(short), payload.as_bytes());
        let plain = encoded(MessageKind::Binary, Deflate::Off);
        assert_eq!(read(&plain), (FIN | BINARY, payload.as_bytes()));
        assert_eq!(read(&encoded(MessageKind::Binary, Deflate::On)), (FIN | RSV1 | BINARY, short));
    }
}

#[test]
fn what_would_not_get_shorter_goes_as_it_is() {
    assert_eq!(deflate(&[b'x'; DEFLATE_THRESHOLD_BYTES - 1]), None, "too short to be worth it");
    let noise: Vec<u8> = (0..4096u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    let noise: Vec<u8> = noise
        .iter()
        .scan(7u8, |seed, byte| {
            *seed = seed.wrapping_mul(181).wrapping_add(*byte).rotate_left(3);
            Some(*seed)
        })
        .collect();
    let encoded = |deflate| encode_shared(MessageKind::Binary, deflate, &noise[..200]);
    assert_eq!(deflate(&noise[..200]), None);
    assert_eq!(encoded(Deflate::On), encoded(Deflate::Off));
}

#[test]
fn a_failed_message_leaves_the_thread_s_state_usable() {
    for _ in 0..3 {
        assert!(inbound(&frame(FIN | RSV1 | BINARY, b"\xf2\x48\xff\xff\xff")).0.len() <= 1);
        let short = deflate(json(500).as_bytes()).unwrap();
        assert_eq!(inbound(&frame(FIN | RSV1 | TEXT, &short)), (vec![text(&json(500))], None));
    }
}
