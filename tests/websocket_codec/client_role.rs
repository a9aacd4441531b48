//! The codec as a client: its handshake, its masked frames, and what it takes from a server.

use dao_api::websocket::{
    AnswerError, ClientHandshake, Decoder, Deflate, Incoming, Limits, ProtocolError, accept, encode_binary,
    encode_close, encode_ping, encode_pong, encode_text, masked,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::{collection::vec, prelude::*};

use crate::client::*;

const PROTOCOL: &str = "dao.v1.json";
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn asked() -> ClientHandshake {
    ClientHandshake::new(*b"a nonce of tests", PROTOCOL)
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let lines = lines.iter();
    lines
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect()
}

/// The answer of this crate's server.
fn answer() -> HeaderMap {
    accept(&headers(&asked().headers()), &["dao.v1.msgpack", PROTOCOL])
        .unwrap_or_else(|e| panic!("{e}"))
        .headers
}

/// The answer with this header in place of its own; without it where there is no value.
fn answer_with(name: &'static str, value: Option<&str>) -> HeaderMap {
    let mut answer = answer();
    answer.remove(name);
    answer.extend(value.map(|value| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())));
    answer
}

fn of_client() -> Decoder {
    Decoder::of_client(Limits { message_bytes_max: LIMIT }, Deflate::Off)
}

fn taken(stream: &[u8]) -> Outcome {
    let whole = decode_pieces(of_client(), [stream]);
    assert_eq!(whole, decode_pieces(of_client(), stream.chunks(1)), "chopping changes nothing");
    whole
}

#[test]
fn the_server_accepts_what_the_client_asks_and_the_client_its_answer() {
    assert_eq!(asked().check(101, &answer()), Ok(()));
}

#[test]
fn rfc_6455_4_1_an_answer_that_breaks_a_rule_opens_nothing() {
    let refused = |answer: HeaderMap| asked().check(101, &answer).err();
    assert_eq!(asked().check(503, &answer()), Err(AnswerError::Status(503)));
    assert_eq!(refused(answer_with("upgrade", None)), Some(AnswerError::Upgrade));
    assert_eq!(refused(answer_with("upgrade", Some("h2c"))), Some(AnswerError::Upgrade));
    assert_eq!(refused(answer_with("connection", Some("close"))), Some(AnswerError::Upgrade));
    assert_eq!(refused(answer_with("sec-websocket-accept", None)), Some(AnswerError::Accept));
    let of_another_key = Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(refused(answer_with("sec-websocket-accept", of_another_key)), Some(AnswerError::Accept));
    assert_eq!(refused(answer_with("sec-websocket-protocol", None)), Some(AnswerError::Protocol));
    let another = Some("dao.v1.msgpack");
    assert_eq!(refused(answer_with("sec-websocket-protocol", another)), Some(AnswerError::Protocol));
    let extension = Some("permessage-deflate");
    assert_eq!(refused(answer_with("sec-websocket-extensions", extension)), Some(AnswerError::Extension));
}

#[test]
fn rfc_6455_5_1_a_masked_frame_from_a_server_is_refused() {
    assert_eq!(taken(&frame(FIN | TEXT, b"hello")), (vec![], Some(ProtocolError::Masked)));
    assert_eq!(taken(&frame(FIN | PING, b"")), (vec![], Some(ProtocolError::Masked)));
    let after_a_good_one = [&encode_text("good")[..], &frame(FIN | TEXT, b"bad")].concat();
    assert_eq!(taken(&after_a_good_one), (vec![text("good")], Some(ProtocolError::Masked)));
    assert_eq!(ProtocolError::Masked.close_code(), code(1002));
}

#[test]
fn rfc_6455_5_1_an_unmasked_frame_to_a_server_is_refused() {
    assert_eq!(refused(&encode_text("hello")), ProtocolError::Unmasked);
}

#[test]
fn every_kind_of_frame_of_a_server_arrives() {
    let stream = [
        encode_text("grüße"),
        encode_binary(&[0, 255]),
        encode_ping(b"there?"),
        encode_pong(b"here"),
        encode_close(Some(code(1012)), "back soon"),
    ];
    let close = Incoming::Close { code: Some(code(1012)), reason: "back soon".to_owned() };
    let expected = vec![text("grüße"), binary(&[0, 255]), ping(b"there?"), pong(b"here"), close];
    assert_eq!(taken(&stream.concat()), (expected, None));
}

#[test]
fn fragments_of_a_server_with_a_ping_between_them_arrive() {
    let stream = [&[TEXT, 2][..], b"he", &encode_ping(b"")[..], &[FIN | CONTINUATION, 3], b"llo"].concat();
    assert_eq!(taken(&stream), (vec![ping(b""), text("hello")], None));
}

#[test]
fn the_limit_holds_for_a_server_too() {
    let limit = Limits { message_bytes_max: 10 };
    let stream = encode_text("eleven byte");
    let outcome = decode_pieces(Decoder::of_client(limit, Deflate::Off), [&stream[..]]);
    assert_eq!(outcome, (vec![], Some(ProtocolError::MessageTooBig)));
}

#[test]
fn masking_is_that_of_an_independent_client_at_every_form_of_length() {
    for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_001] {
        let payload: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        let ours = masked(&encode_binary(&payload), MASK);
        assert!(ours == frame(FIN | BINARY, &payload), "{length} bytes");
    }
}

proptest! {
    #[test]
    fn messages_go_round_both_ways(
        payloads in vec("(\\PC{0,40}){0,30}", 1..5),
        mask in any::<[u8; 4]>(),
        size in 1..3000usize,
    ) {
        let expected: Vec<_> = payloads.iter().map(|payload| text(payload)).collect();
        let up: Vec<u8> = payloads.iter().flat_map(|payload| masked(&encode_text(payload), mask)).collect();
        prop_assert_eq!(decode_pieces(decoder(Deflate::Off), up.chunks(size)), (expected.clone(), None));
        let down: Vec<u8> = payloads.iter().flat_map(|payload| encode_text(payload)).collect();
        prop_assert_eq!(decode_pieces(of_client(), down.chunks(size)), (expected, None));
    }
}
