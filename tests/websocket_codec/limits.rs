//! Groups 9 and 10: large messages, up to the limit and over it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use dao_api::websocket::{
    BEGINNING_BYTES, CloseCode, Decoder, Deflate, Incoming, Inflated, Limits, MessageKind, ProtocolError,
    SKIPPED_BYTES_MAX, TooLong,
};
use flate2::{Compress, Compression, FlushCompress};

use crate::client::*;

fn pieces(stream: &[u8], size: usize) -> Outcome {
    decode_pieces(decoder(Deflate::On), stream.chunks(size))
}

#[test]
fn case_9_1_and_9_2_messages_up_to_the_limit() {
    for length in [64 << 10, 256 << 10, LIMIT] {
        let payload = "x".repeat(length);
        let expected = (vec![text(&payload)], None);
        assert_eq!(pieces(&frame(FIN | TEXT, payload.as_bytes()), LIMIT * 2), expected);
        let expected = (vec![binary(payload.as_bytes())], None);
        assert_eq!(pieces(&frame(FIN | BINARY, payload.as_bytes()), 1500), expected);
    }
}

#[test]
fn case_9_3_and_9_4_large_messages_in_fragments() {
    let payload: Vec<u8> = (0..LIMIT).map(|index| (index % 251) as u8).collect();
    for size in [64, 1024, 65536, LIMIT] {
        let mut stream = frame(BINARY, b"");
        stream.extend(payload.chunks(size).flat_map(|piece| frame(CONTINUATION, piece)));
        stream.extend(frame(FIN | CONTINUATION, b""));
        assert_eq!(pieces(&stream, LIMIT * 4), (vec![binary(&payload)], None));
    }
}

#[test]
fn case_9_5_and_9_6_a_large_message_in_small_reads() {
    let payload = "y".repeat(LIMIT);
    for size in [64, 127, 2048] {
        let outcome = pieces(&frame(FIN | TEXT, payload.as_bytes()), size);
        assert_eq!(outcome, (vec![text(&payload)], None));
    }
}

#[test]
fn case_9_7_many_small_messages() {
    let stream: Vec<u8> = (0..10_000).flat_map(|_| frame(FIN | TEXT, &[b'*'; 64])).collect();
    assert_eq!(pieces(&stream, 65536).0.len(), 10_000);
}

#[test]
fn case_10_1_a_large_text_in_uneven_fragments() {
    let payload = "*".repeat(65536);
    let mut stream = frame(TEXT, b"");
    stream.extend(payload.as_bytes().chunks(1300).flat_map(|piece| frame(CONTINUATION, piece)));
    stream.extend(frame(FIN | CONTINUATION, b""));
    assert_eq!(pieces(&stream, 997), (vec![text(&payload)], None));
}

/// A header that announces so much, and nothing of it.
fn announced(first: u8, length: u64) -> Vec<u8> {
    [&[first, 0x80 | 127], &length.to_be_bytes()[..], &[0; 4]].concat()
}

fn too_long(kind: MessageKind, beginning: &[u8]) -> Incoming {
    Incoming::TooLong(TooLong { kind, beginning: Bytes::copy_from_slice(beginning) })
}

#[test]
fn a_length_that_nobody_can_send_is_refused_by_its_header() {
    for length in [SKIPPED_BYTES_MAX + 1, (1 << 63) - 1] {
        assert_eq!(refused(&announced(FIN | BINARY, length)), ProtocolError::MessageTooBig);
    }
    assert_eq!(ProtocolError::MessageTooBig.close_code(), CloseCode::MESSAGE_TOO_BIG);
    let two = [frame(BINARY, b"x"), announced(CONTINUATION, SKIPPED_BYTES_MAX)].concat();
    assert_eq!(refused(&two), ProtocolError::MessageTooBig, "all fragments together");
}

#[test]
fn a_message_over_the_limit_is_told_once_by_its_beginning_and_passed_over() {
    let payload: Vec<u8> = (0..LIMIT * 3 + 1).map(|index| b'a' + (index % 26) as u8).collect();
    let expected = |kind| vec![too_long(kind, &payload[..BEGINNING_BYTES]), text("next")];
    let next = frame(FIN | TEXT, b"next");
    for (opcode, kind) in [(TEXT, MessageKind::Text), (BINARY, MessageKind::Binary)] {
        let whole = [frame(FIN | opcode, &payload), next.clone()].concat();
        // The limit is passed in a later fragment, with control frames between them.
        let mut parts = frame(opcode, &payload[..LIMIT]);
        for piece in payload[LIMIT..].chunks(100_000) {
            parts.extend(frame(CONTINUATION, piece));
        }
        parts.extend([frame(FIN | CONTINUATION, b""), next.clone()].concat());
        for stream in [whole, parts] {
            for size in [7_919, 1 << 16, LIMIT * 8] {
                assert!(pieces(&stream, size) == (expected(kind), None), "pieces of {size}");
            }
        }
    }
}

#[test]
fn a_header_alone_says_that_a_message_is_too_long_and_its_beginning_what_it_is_about() {
    let mut decoder = decoder(Deflate::Off);
    decoder.push(&announced(FIN | TEXT, SKIPPED_BYTES_MAX));
    assert_eq!(decoder.next(), Ok(None));
    let most = vec![0; BEGINNING_BYTES - 1]; // the mask is zero
    decoder.push(&most);
    assert_eq!((decoder.next(), decoder.is_skipping()), (Ok(None), true));
    decoder.push(&[0]);
    assert_eq!(decoder.next(), Ok(Some(too_long(MessageKind::Text, &vec![0; BEGINNING_BYTES]))));
    for _ in 0..100 {
        decoder.push(&vec![0xff; 1 << 16]);
        assert_eq!(decoder.next(), Ok(None), "what is passed over need not be text");
        assert_eq!(decoder.buffered_bytes(), 0, "and is not kept");
    }
}

#[test]
fn fragments_over_the_limit_are_known_by_the_header_that_goes_over() {
    let mut stream = frame(TEXT, &vec![b'x'; LIMIT]);
    stream.extend(frame(CONTINUATION, b""));
    assert_eq!(pieces(&stream, 4096), (vec![], None), "the limit itself is allowed");
    stream.extend(&frame(CONTINUATION, b"x")[..6]);
    let told = too_long(MessageKind::Text, &vec![b'x'; BEGINNING_BYTES]);
    assert_eq!(pieces(&stream, 4096), (vec![told], None));
}

#[test]
fn a_compressed_message_over_the_limit_is_told_by_what_its_beginning_inflates_to() {
    let json: Vec<u8> = (0..LIMIT * 2).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let noise = frame(FIN | RSV1 | BINARY, &deflated(&json, 1));
    let told = too_long(MessageKind::Binary, &json[..BEGINNING_BYTES]);
    assert!(pieces(&noise, 65_536) == (vec![told], None), "longer than that as it is sent");
    let zeros = frame(FIN | RSV1 | BINARY, &deflated(&vec![0; LIMIT * 2], 1));
    let told = too_long(MessageKind::Binary, &vec![0; BEGINNING_BYTES]);
    assert!(pieces(&zeros, 65_536) == (vec![told], None), "longer than that once it is inflated");
}

#[test]
fn a_compressed_message_is_inflated_only_as_far_as_there_is_room() {
    let mut decoder = decoder(Deflate::On);
    decoder.push(&frame(FIN | RSV1 | BINARY, &deflated(&vec![0; LIMIT], 9)));
    let Ok(Some(Incoming::Deflated(message))) = decoder.next_as_sent() else { panic!("not a message") };
    let mut most = 0;
    let inflated = message.inflate(LIMIT, &mut |bytes| {
        most = most.max(bytes);
        bytes <= LIMIT / 4
    });
    assert_eq!(inflated, Ok(Inflated::NoRoom));
    assert!(most > LIMIT / 4 && most <= LIMIT / 2 + 1, "{most}");
    let whole = message.inflate(LIMIT, &mut |_| true);
    assert_eq!(whole, Ok(Inflated::Whole(binary(&vec![0; LIMIT]))));
}

#[test]
fn an_incompressible_message_of_the_limit_may_come_compressed() {
    let payload: Vec<u8> =
        (0..LIMIT as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    for level in [0, 1, 9] {
        let stream = frame(FIN | RSV1 | BINARY, &deflated(&payload, level));
        assert!(pieces(&stream, 65536) == (vec![binary(&payload)], None), "level {level}");
    }
}

#[test]
fn an_incompressible_message_may_be_an_eighth_longer_as_sent_and_no_more() {
    for (length, is_too_long) in [(LIMIT + LIMIT / 8, false), (LIMIT + LIMIT / 6, true)] {
        let mut decoder = decoder(Deflate::On);
        decoder.push(&announced(RSV1 | BINARY, length as u64));
        assert_eq!((decoder.next(), decoder.is_skipping()), (Ok(None), is_too_long));
    }
}

#[test]
fn one_byte_over_the_limit_after_inflating_is_too_long() {
    let told = too_long(MessageKind::Binary, &vec![0; BEGINNING_BYTES]);
    for (length, expected) in [(LIMIT, binary(&vec![0; LIMIT])), (LIMIT + 1, told)] {
        let stream = frame(FIN | RSV1 | BINARY, &deflated(&vec![0; length], 9));
        assert!(pieces(&stream, 65536) == (vec![expected], None), "{length}");
    }
}

#[test]
fn a_zip_bomb_of_1_gib_costs_no_more_than_the_limit() {
    let bomb = gib_of_zeros();
    assert!(bomb.len() < 8 << 20);
    let limits = Limits { message_bytes_max: 8 << 20 };
    let stream = frame(FIN | RSV1 | TEXT, &bomb);
    let started = Instant::now();
    let outcome = decode_pieces(Decoder::new(limits, Deflate::On), [&stream[..]]);
    assert_eq!(outcome, (vec![too_long(MessageKind::Text, &vec![0; BEGINNING_BYTES])], None));
    // 1 GiB takes many seconds in a debug build; the limit takes a fraction of one.
    assert!(started.elapsed() < Duration::from_secs(5), "took {:?}", started.elapsed());
}

/// Repeats the compressed form of 1 MiB, which ends at a byte and needs no context.
fn gib_of_zeros() -> Vec<u8> {
    let mut state = Compress::new(Compression::best(), false);
    let mut mib = Vec::with_capacity(1 << 16);
    state.compress_vec(&vec![0; 1 << 20], &mut mib, FlushCompress::Full).unwrap();
    assert!(mib.len() < mib.capacity());
    mib.repeat(1024)
}
