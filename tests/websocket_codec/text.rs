//! Group 6: text is UTF-8.

use dao_api::websocket::{CloseCode, Deflate, ProtocolError};

use crate::client::*;

const VALID: [&str; 12] = [
    "",
    "Hello-µ@ßöäüàá-UTF-8!!",
    "κόσμε",
    "\u{0}",
    "\u{80}",
    "\u{7ff}\u{800}",
    "\u{d7ff}\u{e000}",
    "\u{fffd}",
    "\u{ffff}",
    "\u{10000}",
    "\u{10ffff}",
    "\u{feff}with a mark",
];

const INVALID: [&[u8]; 14] = [
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    b"\x80",
    b"\xbf",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xf8\x88\x80\x80\x80",
    b"\xfe",
    b"\xff",
    b"\xc2",
    b"\xed\xa0\x80\xed\xb0\x80",
    b"\xf4\x90\x80\x80",
    b"ends early \xf0\x9f\x98",
    b"\xed\xbf\xbf",
];

#[test]
fn case_6_1_empty_fragments() {
    let stream = frames([(TEXT, &b""[..]), (CONTINUATION, b"middle"), (FIN | CONTINUATION, b"")]);
    assert_eq!(events(&stream), [text("middle")]);
}

#[test]
fn case_6_2_and_6_5_valid_text_whole_and_cut_anywhere() {
    for payload in VALID {
        assert_eq!(events(&frame(FIN | TEXT, payload.as_bytes())), [text(payload)]);
        for cut in 0..=payload.len() {
            let (head, tail) = payload.as_bytes().split_at(cut);
            let stream = frames([(TEXT, head), (FIN | PING, b""), (FIN | CONTINUATION, tail)]);
            assert_eq!(events(&stream), [ping(b""), text(payload)]);
        }
        let bytewise = payload.as_bytes().chunks(1).flat_map(|byte| frame(CONTINUATION, byte));
        let stream: Vec<u8> =
            frame(TEXT, b"").into_iter().chain(bytewise).chain(frame(FIN | CONTINUATION, b"")).collect();
        assert_eq!(events(&stream), [text(payload)]);
    }
}

#[test]
fn case_6_3_and_6_6_invalid_text_whole_cut_anywhere_and_compressed() {
    for payload in INVALID {
        assert_eq!(refused(&frame(FIN | TEXT, payload)), ProtocolError::InvalidUtf8);
        for cut in 0..=payload.len() {
            let (head, tail) = payload.split_at(cut);
            let stream = frames([(TEXT, head), (FIN | CONTINUATION, tail)]);
            assert_eq!(refused(&stream), ProtocolError::InvalidUtf8);
        }
        let short = deflated(payload, 6);
        let outcome = decode_with(Deflate::On, &frame(FIN | RSV1 | TEXT, &short));
        assert_eq!(outcome, (vec![], Some(ProtocolError::InvalidUtf8)));
        assert_eq!(events(&frame(FIN | BINARY, payload)), [binary(payload)], "binary may be anything");
    }
    assert_eq!(ProtocolError::InvalidUtf8.close_code(), CloseCode::INVALID_PAYLOAD);
}

#[test]
fn case_6_4_invalid_text_fails_before_the_message_ends() {
    let unfinished_message = frame(TEXT, b"\xce\xba\xf4\x90");
    assert_eq!(refused(&unfinished_message), ProtocolError::InvalidUtf8);
    let whole_frame = frame(FIN | TEXT, b"\xce\xba\xf4\x90 and more to come");
    assert_eq!(refused(&whole_frame[..10]), ProtocolError::InvalidUtf8);
}
