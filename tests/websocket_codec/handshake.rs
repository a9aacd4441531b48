//! RFC 6455 section 4.2 and RFC 7692 section 7.1.

use dao_api::websocket::{Accepted, Deflate, HandshakeError, accept};
use http::{HeaderMap, HeaderName, HeaderValue};

const SUPPORTED: [&str; 2] = ["dao.v1.json", "dao.v1.msgpack"];
const ANSWER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// The request of RFC 6455 section 1.2, with `lines` in place of its own lines of the same names.
fn request(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut request = HeaderMap::new();
    let own = [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ];
    let kept = own.iter().filter(|(name, _)| lines.iter().all(|(other, _)| name != other));
    for (name, value) in kept.chain(lines).filter(|(_, value)| *value != "(absent)") {
        request.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    request
}

fn accepted(lines: &[(&'static str, &str)]) -> Accepted {
    accept(&request(lines), &SUPPORTED).unwrap_or_else(|error| panic!("{error}: {lines:?}"))
}

fn refused(lines: &[(&'static str, &str)]) -> Option<HandshakeError> {
    accept(&request(lines), &SUPPORTED).err()
}

/// The answer to these extension headers.
fn extensions(lines: &[&str]) -> Option<String> {
    let lines: Vec<_> = lines.iter().map(|line| ("sec-websocket-extensions", *line)).collect();
    let accepted = accepted(&lines);
    let answer =
        accepted.headers.get("sec-websocket-extensions").map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(answer.is_some(), accepted.deflate == Deflate::On);
    answer
}

#[test]
fn rfc_6455_1_3_example() {
    let accepted = accepted(&[]);
    assert_eq!(accepted.headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(accepted.headers["upgrade"], "websocket");
    assert_eq!(accepted.headers["connection"], "upgrade");
    assert_eq!(accepted.headers.len(), 3);
    assert_eq!((accepted.protocol, accepted.deflate), (None, Deflate::Off));
}

#[test]
fn lists_and_letter_case_are_read_as_http_reads_them() {
    accepted(&[("connection", "keep-alive, UPGRADE"), ("upgrade", "WebSocket")]);
    accepted(&[("connection", "keep-alive"), ("connection", "upgrade"), ("upgrade", "h2c, websocket")]);
}

#[test]
fn what_is_no_handshake_is_refused_with_the_reason() {
    use HandshakeError::*;
    for value in ["(absent)", "h2c", "websockets"] {
        assert_eq!(refused(&[("upgrade", value)]), Some(Upgrade));
    }
    for value in ["(absent)", "keep-alive"] {
        assert_eq!(refused(&[("connection", value)]), Some(Connection));
    }
    for value in ["(absent)", "8", "13, 8", "013"] {
        assert_eq!(refused(&[("sec-websocket-version", value)]), Some(Version));
    }
    for value in ["(absent)", "", "short", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQaa", "AAAA"] {
        assert_eq!(refused(&[("sec-websocket-key", value)]), Some(Key), "{value}");
    }
    let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(refused(&[key, key]), Some(Key));
    assert_eq!(refused(&[("sec-websocket-protocol", "dao v1")]), Some(Protocol));
    for value in ["a b", "permessage-deflate;", "permessage-deflate; =1", ";", "x; y=\"1", "x; y=a b"] {
        assert_eq!(refused(&[("sec-websocket-extensions", value)]), Some(Extensions), "{value}");
    }
}

#[test]
fn the_server_s_order_picks_the_subprotocol_and_all_offers_are_told() {
    let accepted_both =
        accepted(&[("sec-websocket-protocol", "bearer.abc.d-e_f, dao.v1.msgpack,dao.v1.json")]);
    assert_eq!(accepted_both.protocol, Some("dao.v1.json"));
    assert_eq!(accepted_both.headers["sec-websocket-protocol"], "dao.v1.json");
    assert_eq!(accepted_both.offered, ["bearer.abc.d-e_f", "dao.v1.msgpack", "dao.v1.json"]);

    let two_lines =
        accepted(&[("sec-websocket-protocol", "dao.v1.msgpack"), ("sec-websocket-protocol", "bearer.x")]);
    assert_eq!(two_lines.protocol, Some("dao.v1.msgpack"));
    assert_eq!(two_lines.offered, ["dao.v1.msgpack", "bearer.x"]);

    let none = accepted(&[("sec-websocket-protocol", "DAO.v1.json, graphql-ws")]);
    assert_eq!(none.protocol, None);
    assert!(!none.headers.contains_key("sec-websocket-protocol"));
}

#[test]
fn rfc_7692_7_1_offers_that_are_accepted() {
    for offer in [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=8",
        "permessage-deflate;client_max_window_bits=\"15\"",
        "permessage-deflate ;\tserver_no_context_takeover ; client_no_context_takeover",
        "x-webkit-deflate-frame, permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=10, , permessage-deflate",
        "permessage-deflate; brotli=1, permessage-deflate; client_max_window_bits",
    ] {
        assert_eq!(extensions(&[offer]).as_deref(), Some(ANSWER), "{offer}");
    }
    assert_eq!(extensions(&["unknown; a=b", "permessage-deflate"]).as_deref(), Some(ANSWER));
}

#[test]
fn rfc_7692_7_1_2_1_a_window_that_was_asked_for_is_confirmed() {
    let with_window = format!("{ANSWER}; server_max_window_bits=15");
    assert_eq!(extensions(&["permessage-deflate; server_max_window_bits=15"]), Some(with_window));
}

#[test]
fn rfc_7692_7_1_offers_that_are_declined() {
    for offer in [
        "",
        "permessage-bzip2",
        "Permessage-Deflate",
        "permessage-deflate; unknown",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=14",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=015",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits=+9",
        "permessage-deflate; client_max_window_bits=x",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    ] {
        assert_eq!(extensions(&[offer]), None, "{offer}");
    }
}
