//! Groups 1 to 5: what a frame is.

use dao_api::websocket::{ProtocolError, encode_binary, encode_ping, encode_pong, encode_text};

use crate::client::*;

const LENGTHS: [usize; 9] = [0, 1, 124, 125, 126, 127, 128, 65535, 65536];

#[test]
fn case_1_1_text_of_every_length_form() {
    for length in LENGTHS {
        let payload = "*".repeat(length);
        assert_eq!(events(&frame(FIN | TEXT, payload.as_bytes())), [text(&payload)]);
        assert_eq!(read(&encode_text(&payload)), (FIN | TEXT, payload.as_bytes()));
    }
}

#[test]
fn case_1_2_binary_of_every_length_form() {
    for length in LENGTHS {
        let payload = vec![0xfe; length];
        assert_eq!(events(&frame(FIN | BINARY, &payload)), [binary(&payload)]);
        assert_eq!(read(&encode_binary(&payload)), (FIN | BINARY, &payload[..]));
    }
}

#[test]
fn lengths_must_be_in_their_shortest_form() {
    let mask = [0; 4];
    for length in [0u16, 125] {
        let header = [&[FIN | BINARY, 0x80 | 126], &length.to_be_bytes()[..], &mask].concat();
        assert_eq!(refused(&header), ProtocolError::LengthForm);
    }
    for length in [0u64, 125, 126, 65535, 1 << 63, u64::MAX] {
        let header = [&[FIN | BINARY, 0x80 | 127], &length.to_be_bytes()[..], &mask].concat();
        assert_eq!(refused(&header), ProtocolError::LengthForm);
    }
}

#[test]
fn a_frame_without_a_mask_is_refused() {
    for first in [FIN | TEXT, FIN | BINARY, FIN | PING, FIN | CLOSE] {
        assert_eq!(refused(&[first, 0]), ProtocolError::Unmasked);
    }
}

#[test]
fn case_2_pings_of_every_length() {
    for length in 0..=125 {
        let payload = vec![length as u8; length];
        assert_eq!(events(&frame(FIN | PING, &payload)), [ping(&payload)]);
        assert_eq!(read(&encode_ping(&payload)), (FIN | PING, &payload[..]));
        assert_eq!(read(&encode_pong(&payload)), (FIN | PONG, &payload[..]));
    }
}

#[test]
fn case_2_5_a_ping_of_126_bytes_is_refused() {
    for opcode in [PING, PONG, CLOSE] {
        assert_eq!(refused(&frame(FIN | opcode, &[0xfe; 126])), ProtocolError::LongControl);
    }
    assert_eq!(read(&encode_ping(&[7; 200])).1.len(), 125, "nor is one sent");
}

#[test]
fn case_2_7_to_2_11_unsolicited_pongs_and_many_pings() {
    let mut stream = frame(FIN | PONG, b"unsolicited");
    stream.extend((0..10u8).flat_map(|n| frame(FIN | PING, &[n])));
    let mut expected = vec![pong(b"unsolicited")];
    expected.extend((0..10u8).map(|n| ping(&[n])));
    assert_eq!(events(&stream), expected);
}

#[test]
fn case_3_reserved_bits_are_refused_after_what_came_before() {
    for bits in 1..8u8 {
        for opcode in [TEXT, BINARY, PING, PONG, CLOSE, CONTINUATION] {
            let stream = frames([(FIN | TEXT, &b"before"[..]), (FIN | bits << 4 | opcode, b"x")]);
            assert_eq!(decode(&stream), (vec![text("before")], Some(ProtocolError::ReservedBit)));
        }
    }
}

#[test]
fn case_4_reserved_opcodes_are_refused() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for payload in [&b""[..], b"payload"] {
            let stream = frames([(FIN | TEXT, &b"before"[..]), (FIN | opcode, payload)]);
            assert_eq!(decode(&stream), (vec![text("before")], Some(ProtocolError::ReservedOpcode(opcode))));
        }
    }
}

#[test]
fn case_5_1_and_5_2_control_frames_are_whole() {
    for opcode in [PING, PONG, CLOSE] {
        let stream = frames([(opcode, &b"frag"[..]), (FIN | CONTINUATION, b"ment")]);
        assert_eq!(refused(&stream), ProtocolError::FragmentedControl);
    }
}

#[test]
fn case_5_3_to_5_5_a_text_in_fragments() {
    let stream = frames([(TEXT, &b"frag"[..]), (FIN | CONTINUATION, b"ment")]);
    assert_eq!(events(&stream), [text("fragment")]);
}

#[test]
fn case_5_6_to_5_8_control_frames_come_between_fragments() {
    let stream = frames([
        (BINARY, &b"a"[..]),
        (FIN | PING, b"1"),
        (CONTINUATION, b"b"),
        (FIN | PONG, b"2"),
        (FIN | CONTINUATION, b"c"),
    ]);
    assert_eq!(events(&stream), [ping(b"1"), pong(b"2"), binary(b"abc")]);
}

#[test]
fn case_5_9_to_5_14_a_continuation_of_nothing_is_refused() {
    for first in [CONTINUATION, FIN | CONTINUATION] {
        let stream = frames([(first, &b"x"[..]), (FIN | TEXT, b"y")]);
        assert_eq!(refused(&stream), ProtocolError::UnexpectedContinuation);
    }
}

#[test]
fn case_5_15_a_continuation_after_the_end_is_refused() {
    let stream = frames([(TEXT, &b"a"[..]), (FIN | CONTINUATION, b"b"), (CONTINUATION, b"c")]);
    assert_eq!(decode(&stream), (vec![text("ab")], Some(ProtocolError::UnexpectedContinuation)));
}

#[test]
fn case_5_18_a_message_inside_another_is_refused() {
    for second in [TEXT, FIN | TEXT, FIN | BINARY] {
        let stream = frames([(TEXT, &b"a"[..]), (second, b"b")]);
        assert_eq!(refused(&stream), ProtocolError::InterleavedMessage);
    }
}

#[test]
fn case_5_19_fragments_pings_and_empty_frames_at_length() {
    let mut stream = frame(TEXT, b"");
    for _ in 0..50 {
        stream.extend(frames([(CONTINUATION, &b"ab"[..]), (CONTINUATION, b""), (FIN | PING, b"p")]));
    }
    stream.extend(frame(FIN | CONTINUATION, b""));
    let mut expected = vec![ping(b"p"); 50];
    expected.push(text(&"ab".repeat(50)));
    assert_eq!(events(&stream), expected);
}
