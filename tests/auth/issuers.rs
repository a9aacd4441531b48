//! Keys from an issuer's address: fetched at start, bounded, and kept. When they are fetched again is tested
//! beside the code that decides it.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use dao_api::auth::{JwksUrl, Keys, KeysConfig, Reload};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::json;

use crate::{P256_PRIVATE, claims, signed_with, support::graph::with};

fn private() -> EncodingKey {
    EncodingKey::from_ec_pem(P256_PRIVATE.as_bytes()).unwrap()
}

fn set(id: &str) -> String {
    let jwk = serde_json::to_value(Jwk::from_encoding_key(&private(), Algorithm::ES256).unwrap()).unwrap();
    json!({"keys": [with(&jwk, json!({"kid": id, "use": "sig"}))]}).to_string()
}

fn token(id: &str) -> String {
    let header = Header { kid: Some(id.to_owned()), ..Header::new(Algorithm::ES256) };
    signed_with(&header, &claims("ada", json!({"g": "read"})), &private())
}

/// An issuer that answers each of its askers with this, until there are no more answers.
fn issuer(answers: Vec<String>) -> KeysConfig {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for answer in answers {
            let (mut socket, _) = listener.accept().unwrap();
            let _asked = socket.read(&mut [0; 4_096]).unwrap();
            let _refused = socket.write_all(answer.as_bytes());
        }
    });
    let url = JwksUrl::parse(&format!("http://{address}/jwks.json")).unwrap();
    KeysConfig { jwks_url: Some(url), ..KeysConfig::default() }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

#[test]
fn o1_keys_of_an_issuer_are_fetched_at_start_and_not_for_every_token() {
    let keys = Keys::load(issuer(vec![ok(&set("k1"))])).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    assert!(keys.verify(&token("k1")).is_ok());
    for _ in 0..3 {
        assert!(keys.verify(&token("k2")).is_err());
        // Its issuer is away by now: asking it would be an error.
        assert_eq!(keys.reload(), Ok(Reload::Unchanged), "not so soon");
    }
    assert!(keys.verify(&token("k1")).is_ok());
}

#[test]
fn o1_an_issuer_that_brings_no_keys_stops_the_start_and_is_named() {
    let mistakes = [
        (vec![], "can't be fetched"),
        (vec!["HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n".to_owned()], "500"),
        (
            vec![
                "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_owned(),
            ],
            "302",
        ),
        (vec![ok("<html>")], "no JSON"),
        (vec![ok(r#"{"keys": []}"#)], "no key that can be used"),
        (vec![ok(&"x".repeat(2 << 20))], "can't be fetched"),
    ];
    for (answers, what) in mistakes {
        let wrong = match Keys::load(issuer(answers)) {
            Ok(_) => panic!("taken: {what}"),
            Err(wrong) => wrong,
        };
        let [(name, problem)] = &wrong[..] else { panic!("{wrong:?}") };
        assert_eq!(*name, "JWT_JWKS");
        assert!(problem.contains("http://127.0.0.1:") && problem.contains(what), "{what} in {problem}");
        assert_eq!(problem.lines().count(), 1, "{problem}");
    }
}
