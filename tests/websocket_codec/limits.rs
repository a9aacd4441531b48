//! Groups 9 and 10: large messages, up to the limit and over it.

use std::time::{Duration, Instant};

use dao_api::websocket::{CloseCode, Decoder, Deflate, Limits, ProtocolError};
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

#[test]
fn a_length_over_the_limit_is_refused_by_its_header() {
    for length in [LIMIT as u64 + 1, 1 << 40, (1 << 63) - 1] {
        let header = [&[FIN | BINARY, 0x80 | 127], &length.to_be_bytes()[..], &[0; 4]].concat();
        assert_eq!(refused(&header), ProtocolError::MessageTooBig);
    }
    assert_eq!(ProtocolError::MessageTooBig.close_code(), CloseCode::MESSAGE_TOO_BIG);
}

#[test]
fn fragments_over_the_limit_are_refused_by_the_header_that_goes_over() {
    let mut stream = frame(TEXT, &vec![b'x'; LIMIT]);
    stream.extend(frame(CONTINUATION, b""));
    assert_eq!(pieces(&stream, 4096), (vec![], None), "the limit itself is allowed");
    stream.extend(&frame(CONTINUATION, b"x")[..6]);
    assert_eq!(pieces(&stream, 4096), (vec![], Some(ProtocolError::MessageTooBig)));
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
    for (length, error) in
        [(LIMIT + LIMIT / 8, None), (LIMIT + LIMIT / 6, Some(ProtocolError::MessageTooBig))]
    {
        let header = [&[RSV1 | BINARY, 0x80 | 127], &(length as u64).to_be_bytes()[..], &[0; 4]].concat();
        assert_eq!(decode_with(Deflate::On, &header).1, error);
    }
}

#[test]
fn one_byte_over_the_limit_after_inflating_is_refused() {
    for (length, error) in [(LIMIT, None), (LIMIT + 1, Some(ProtocolError::MessageTooBig))] {
        let stream = frame(FIN | RSV1 | BINARY, &deflated(&vec![0; length], 9));
        assert_eq!(pieces(&stream, 65536).1, error);
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
    assert_eq!(outcome, (vec![], Some(ProtocolError::MessageTooBig)));
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
