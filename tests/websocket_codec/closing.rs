//! Group 7: how connections end.

use dao_api::websocket::{CloseCode, Deflate, Incoming, ProtocolError, encode_close};

use crate::client::*;

fn close_frame(number: u16, reason: &[u8]) -> Vec<u8> {
    frame(FIN | CLOSE, &[&number.to_be_bytes(), reason].concat())
}

fn closed(number: u16, reason: &str) -> Incoming {
    Incoming::Close { code: Some(code(number)), reason: reason.to_owned() }
}

#[test]
fn case_7_1_nothing_after_a_close_counts() {
    let mut stream = frame(FIN | TEXT, b"before");
    stream.extend(close_frame(1000, b""));
    stream.extend(frames([(FIN | TEXT, &b"after"[..]), (FIN | PING, b""), (0x7f, b"garbage")]));
    assert_eq!(events(&stream), [text("before"), closed(1000, "")]);

    let mut decoder = decoder(Deflate::Off);
    decoder.push(&stream);
    while let Ok(Some(_)) = decoder.next() {}
    decoder.push(&stream);
    assert_eq!(decoder.buffered_bytes(), 0, "nor is it kept");
}

#[test]
fn case_7_1_5_a_close_may_come_between_fragments() {
    let mut stream = frame(TEXT, b"begun");
    stream.extend(close_frame(1001, b"tab closed"));
    assert_eq!(events(&stream), [closed(1001, "tab closed")]);
}

#[test]
fn case_7_3_close_payloads() {
    assert_eq!(events(&frame(FIN | CLOSE, b"")), [Incoming::Close { code: None, reason: String::new() }]);
    assert_eq!(refused(&frame(FIN | CLOSE, b"a")), ProtocolError::CloseForm);
    assert_eq!(events(&close_frame(1000, b"Hello World!")), [closed(1000, "Hello World!")]);
    let longest = "*".repeat(123);
    assert_eq!(events(&close_frame(1000, longest.as_bytes())), [closed(1000, &longest)]);
    assert_eq!(refused(&close_frame(1000, &[b'*'; 124])), ProtocolError::LongControl);
}

#[test]
fn case_7_5_a_reason_is_utf8() {
    assert_eq!(refused(&close_frame(1000, b"\xce\xba\xed\xa0\x80")), ProtocolError::InvalidUtf8);
}

#[test]
fn case_7_7_valid_codes() {
    for number in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014] {
        assert_eq!(events(&close_frame(number, b"")), [closed(number, "")]);
    }
    for number in [3000, 3999, 4000, 4999] {
        assert_eq!(events(&close_frame(number, b"")), [closed(number, "")]);
    }
}

#[test]
fn case_7_9_and_7_13_invalid_codes() {
    for number in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        assert_eq!(refused(&close_frame(number, b"")), ProtocolError::CloseCode(number));
    }
}

#[test]
fn an_error_is_final() {
    let mut decoder = decoder(Deflate::Off);
    decoder.push(&[FIN | TEXT, 0]);
    for _ in 0..2 {
        assert_eq!(decoder.next(), Err(ProtocolError::Unmasked));
        decoder.push(&frame(FIN | TEXT, b"after"));
        assert_eq!(decoder.buffered_bytes(), 0);
    }
    assert_eq!(ProtocolError::Unmasked.close_code(), CloseCode::PROTOCOL_ERROR);
}

#[test]
fn close_frames_as_they_are_sent() {
    assert_eq!(encode_close(None, "ignored"), &[FIN | CLOSE, 0][..]);
    assert_eq!(encode_close(Some(CloseCode::SERVICE_RESTART), "hi"), &b"\x88\x04\x03\xf4hi"[..]);
    let frame = encode_close(Some(CloseCode::NORMAL), &"é".repeat(80));
    let (first, payload) = read(&frame);
    assert_eq!((first, payload.len()), (FIN | CLOSE, 2 + 122), "cut at a character's end");
    assert_eq!(std::str::from_utf8(&payload[2..]).unwrap(), "é".repeat(61));
}
