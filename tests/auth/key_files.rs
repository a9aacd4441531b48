//! Keys from files: what is taken from them, what is left out, and what happens when they change.

use std::{fs, path::Path};

use dao_api::auth::{Keys, KeysConfig, Reload};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};

use crate::{
    ED25519_PRIVATE, P256, P256_PRIVATE, RSA, RSA_PRIVATE, claims, keys, signed_with, support::graph::with,
};

fn private(algorithm: Algorithm) -> EncodingKey {
    match algorithm {
        Algorithm::RS256 => EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap(),
        Algorithm::ES256 => EncodingKey::from_ec_pem(P256_PRIVATE.as_bytes()).unwrap(),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(ED25519_PRIVATE.as_bytes()).unwrap(),
        other => panic!("no key for {other:?}"),
    }
}

/// The public half as it stands in a JWKS.
fn jwk(algorithm: Algorithm, id: &str) -> Value {
    let jwk = Jwk::from_encoding_key(&private(algorithm), algorithm).unwrap();
    with(&serde_json::to_value(jwk).unwrap(), json!({"kid": id, "use": "sig"}))
}

fn token(algorithm: Algorithm, id: Option<&str>) -> String {
    let header = Header { kid: id.map(str::to_owned), ..Header::new(algorithm) };
    signed_with(&header, &claims("ada", json!({"g": "read"})), &private(algorithm))
}

fn write(path: &Path, keys: &[Value]) {
    fs::write(path, json!({"keys": keys}).to_string()).unwrap();
}

fn of_file(path: &Path) -> KeysConfig {
    KeysConfig { jwks: Some(path.to_owned()), ..KeysConfig::default() }
}

#[track_caller]
fn mistake(config: KeysConfig) -> String {
    match Keys::load(config) {
        Ok(_) => panic!("it is taken"),
        Err(wrong) => format!("{wrong:?}"),
    }
}

#[test]
fn o1_every_key_of_a_set_is_used_by_its_id_and_algorithm() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    let all = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
    write(&path, &all.map(|algorithm| jwk(algorithm, &format!("{algorithm:?}"))));
    let keys = keys(of_file(&path));
    for algorithm in all {
        let id = format!("{algorithm:?}");
        assert!(keys.verify(&token(algorithm, Some(&id))).is_ok(), "{id}");
        assert!(keys.verify(&token(algorithm, None)).is_ok(), "{id} without its id");
        assert!(keys.verify(&token(algorithm, Some("another"))).is_err(), "{id} under another id");
    }
}

#[test]
fn o1_keys_that_are_no_good_are_left_out_and_a_set_of_them_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    let good = jwk(Algorithm::ES256, "good");
    let bad = [
        json!({"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "shared"}),
        with(&jwk(Algorithm::RS256, "pss"), json!({"alg": "PS256"})),
        with(&jwk(Algorithm::RS256, "hmac"), json!({"alg": "HS256"})),
        with(&jwk(Algorithm::RS256, "encryption"), json!({"use": "enc"})),
        with(&jwk(Algorithm::RS256, "short"), json!({"n": "AQAB"})),
        with(&good, json!({"crv": "P-384", "alg": "ES384"})),
        json!({"kty": "unheard of"}),
        json!(7),
    ];
    for bad in bad {
        write(&path, std::slice::from_ref(&bad));
        let text = mistake(of_file(&path));
        assert!(text.contains("no key that can be used"), "{bad}: {text}");
        write(&path, &[bad.clone(), good.clone()]);
        assert!(keys(of_file(&path)).verify(&token(Algorithm::ES256, Some("good"))).is_ok(), "{bad}");
    }
    for text in ["", "[]", "{}", r#"{"keys": []}"#, r#"{"keys": {}}"#, RSA] {
        fs::write(&path, text).unwrap();
        mistake(of_file(&path));
    }
}

#[test]
fn o1_weak_and_foreign_keys_are_refused_with_the_reason() {
    let weak = [
        (include_str!("../data/keys/rsa1024.public.pem"), "2,048"),
        (include_str!("../data/keys/p384.public.pem"), "P-256"),
        (RSA_PRIVATE, "private"),
        (P256_PRIVATE, "private"),
        ("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----", "no public key"),
        ("/nowhere/key.pem", "no file"),
    ];
    for (pem, place) in weak {
        let text = mistake(KeysConfig { public_key: Some(pem.to_owned()), ..KeysConfig::default() });
        assert!(text.contains("JWT_PUBLIC_KEY") && text.contains(place), "{place} in {text}");
    }
    let short = "x".repeat(31);
    let text = mistake(KeysConfig { secret: Some(short.clone()), ..KeysConfig::default() });
    assert!(text.contains("JWT_SECRET") && !text.contains(&short), "{text}");
}

#[test]
fn o1_a_set_that_changes_is_followed_and_what_a_removed_key_proved_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    write(&path, &[jwk(Algorithm::ES256, "old")]);
    let keys = keys(of_file(&path));
    let (old, new) = (token(Algorithm::ES256, Some("old")), token(Algorithm::EdDSA, Some("new")));
    assert_eq!((keys.verify(&old).is_ok(), keys.verify(&new).is_ok()), (true, false));
    assert_eq!(keys.reload(), Ok(Reload::Unchanged));
    write(&path, &[jwk(Algorithm::ES256, "old"), jwk(Algorithm::EdDSA, "new")]);
    assert_eq!(keys.reload(), Ok(Reload::Changed));
    assert_eq!((keys.verify(&old).is_ok(), keys.verify(&new).is_ok()), (true, true));
    write(&path, &[jwk(Algorithm::EdDSA, "new")]);
    assert_eq!(keys.reload(), Ok(Reload::Changed));
    assert_eq!((keys.verify(&old).is_ok(), keys.verify(&new).is_ok()), (false, true));
    for broken in ["", "{", r#"{"keys": []}"#] {
        fs::write(&path, broken).unwrap();
        assert!(keys.reload().is_err(), "{broken}");
        assert!(keys.verify(&new).is_ok(), "what is known stays in use");
    }
    fs::remove_file(&path).unwrap();
    assert!(keys.reload().is_err());
    assert!(keys.verify(&new).is_ok());
}

#[test]
fn o1_a_public_key_can_be_a_file_that_changes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    fs::write(&path, RSA).unwrap();
    let config = KeysConfig { public_key: Some(path.to_str().unwrap().to_owned()), ..KeysConfig::default() };
    let keys = keys(config);
    let (rsa, p256) = (token(Algorithm::RS256, None), token(Algorithm::ES256, None));
    assert_eq!((keys.verify(&rsa).is_ok(), keys.verify(&p256).is_ok()), (true, false));
    fs::write(&path, P256).unwrap();
    assert_eq!(keys.reload(), Ok(Reload::Changed));
    assert_eq!((keys.verify(&rsa).is_ok(), keys.verify(&p256).is_ok()), (false, true));
}
