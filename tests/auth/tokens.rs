//! Tokens that prove something, and all those that only look like it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use dao_api::auth::{BadToken, Keys, KeysConfig};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::{
    ED25519, ED25519_PRIVATE, LEEWAY_S, P256, P256_PRIVATE, RSA, RSA_PRIVATE, SECRET, claims, keys, now_s,
    signed, signed_with, support::graph::with, with_secret,
};

fn good() -> Value {
    claims("ada", json!({"g": "read"}))
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Why these keys refuse this token.
#[track_caller]
fn refusal(keys: &Keys, token: &str) -> BadToken {
    match keys.verify(token) {
        Ok(grant) => panic!("it proves {grant:?}"),
        Err(bad) => bad,
    }
}

/// The token of `good`, with another header and the signature left as it is.
fn with_header(header: &Value) -> String {
    let token = signed(&good());
    let rest = token.split_once('.').unwrap().1;
    format!("{}.{rest}", part(header))
}

fn public(public_key: &str) -> KeysConfig {
    KeysConfig { public_key: Some(public_key.to_owned()), ..KeysConfig::default() }
}

#[test]
fn o1_each_algorithm_works_with_its_own_key() {
    let of_pem = [
        (Algorithm::RS256, RSA, EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap()),
        (Algorithm::ES256, P256, EncodingKey::from_ec_pem(P256_PRIVATE.as_bytes()).unwrap()),
        (Algorithm::EdDSA, ED25519, EncodingKey::from_ed_pem(ED25519_PRIVATE.as_bytes()).unwrap()),
    ];
    assert_eq!(keys(with_secret()).verify(&signed(&good())).unwrap().user.as_str(), "ada");
    for (algorithm, pem, private) in of_pem {
        let token = signed_with(&Header::new(algorithm), &good(), &private);
        for pem in [pem.to_owned(), pem.replace('\n', "\\n"), format!("\n{pem}\n")] {
            assert_eq!(keys(public(&pem)).verify(&token).unwrap().user.as_str(), "ada", "{algorithm:?}");
        }
        assert_eq!(refusal(&keys(with_secret()), &token), BadToken::NoKey, "{algorithm:?}");
    }
}

#[test]
fn o1_no_algorithm_is_none() {
    let every = KeysConfig { public_key: Some(RSA.to_owned()), ..with_secret() };
    let every = keys(every);
    for name in ["none", "None", "NONE", "nOnE", "", "HS257"] {
        let header = json!({"typ": "JWT", "alg": name});
        let unsigned = format!("{}.{}.", part(&header), part(&good()));
        assert_eq!(refusal(&every, &unsigned), BadToken::Malformed, "{name}");
        assert_eq!(refusal(&every, &with_header(&header)), BadToken::Malformed, "{name}");
    }
    assert_eq!(refusal(&every, &with_header(&json!({"typ": "JWT"}))), BadToken::Malformed);
}

/// The classic: a public key, which everybody knows, used as the secret of HS256.
#[test]
fn o1_a_public_key_is_no_secret() {
    let trimmed = RSA.trim();
    let der: Vec<u8> = base64::engine::general_purpose::STANDARD
        .decode(trimmed.lines().filter(|line| !line.starts_with('-')).collect::<String>())
        .unwrap();
    for pem in [RSA, P256, ED25519] {
        let keys = keys(public(pem));
        for secret in [pem.as_bytes(), pem.trim().as_bytes(), trimmed.as_bytes(), &der, b""] {
            let forged =
                signed_with(&Header::new(Algorithm::HS256), &good(), &EncodingKey::from_secret(secret));
            assert_eq!(refusal(&keys, &forged), BadToken::NoKey);
        }
    }
    // The same where a secret is configured as well: each key keeps to its own algorithm.
    let both = keys(KeysConfig { public_key: Some(RSA.to_owned()), ..with_secret() });
    let key = EncodingKey::from_secret(RSA.as_bytes());
    let forged = signed_with(&Header::new(Algorithm::HS256), &good(), &key);
    assert_eq!(refusal(&both, &forged), BadToken::Signature);
}

#[test]
fn o1_relatives_of_an_algorithm_are_not_accepted() {
    let secret = EncodingKey::from_secret(SECRET.as_bytes());
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let token = signed_with(&Header::new(algorithm), &good(), &secret);
        assert_eq!(refusal(&keys(with_secret()), &token), BadToken::NoKey, "{algorithm:?}");
    }
    let rsa = EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap();
    for algorithm in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256] {
        let token = signed_with(&Header::new(algorithm), &good(), &rsa);
        assert_eq!(refusal(&keys(public(RSA)), &token), BadToken::NoKey, "{algorithm:?}");
    }
}

#[test]
fn o1_what_was_changed_or_made_up_is_refused() {
    let keys = keys(with_secret());
    let token = signed(&good());
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let admin = part(&with(&good(), json!({"graphs": {"*": "admin"}})));
    for signature in [signature, "", "AAAA", &URL_SAFE_NO_PAD.encode([0; 32])] {
        assert_eq!(
            refusal(&keys, &format!("{header}.{admin}.{signature}")),
            BadToken::Signature,
            "{signature}"
        );
    }
    let other = EncodingKey::from_secret(b"another secret, as long as it should be");
    let forged = signed_with(&Header::new(Algorithm::HS256), &good(), &other);
    assert_eq!(refusal(&keys, &forged), BadToken::Signature);
    for text in
        ["", ".", "..", "...", "a.b.c", &token[..token.len() / 2], &format!("{token}.{payload}"), "\u{1f511}"]
    {
        refusal(&keys, text);
    }
    let long = signed(&with(&good(), json!({"more": "x".repeat(20_000)})));
    assert_eq!(refusal(&keys, &long), BadToken::Malformed, "longer than a token may be");
}

#[test]
fn o1_headers_that_bring_or_demand_something_are_not_obeyed() {
    let keys = keys(with_secret());
    let header = |more: Value| with(&json!({"typ": "JWT", "alg": "HS256"}), more);
    // A key of the attacker's own in the header is not looked at: the signature is not ours.
    let jwk = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode("mine")});
    let mut attack = Header::new(Algorithm::HS256);
    attack.jwk = serde_json::from_value(jwk).ok();
    assert!(attack.jwk.is_some());
    let forged = signed_with(&attack, &good(), &EncodingKey::from_secret(b"mine"));
    assert_eq!(refusal(&keys, &forged), BadToken::Signature);
    let mut demanding = Header::new(Algorithm::HS256);
    demanding.crit = Some(vec!["exp".to_owned()]);
    let secret = EncodingKey::from_secret(SECRET.as_bytes());
    assert_eq!(refusal(&keys, &signed_with(&demanding, &good(), &secret)), BadToken::NoKey);
    for more in
        [json!({"kid": "../../dev/null"}), json!({"jku": "https://evil.invalid"}), json!({"x5u": "file:///"})]
    {
        assert_eq!(refusal(&keys, &with_header(&header(more))), BadToken::Signature);
    }
}

#[test]
fn o1_times_are_kept_with_a_little_leeway() {
    let keys = keys(with_secret());
    let at = |claim: &str, time: Value| signed(&with(&good(), json!({claim: time})));
    let now = now_s();
    assert_eq!(refusal(&keys, &at("exp", json!(now - 60))), BadToken::Expired);
    assert_eq!(refusal(&keys, &at("exp", json!(now - LEEWAY_S - 1))), BadToken::Expired);
    assert_eq!(refusal(&keys, &at("exp", json!(0))), BadToken::Expired);
    assert_eq!(refusal(&keys, &at("nbf", json!(now + 90))), BadToken::NotYetValid);
    for (claim, time) in [("exp", json!(now - 5)), ("nbf", json!(now + 5)), ("exp", json!(now as f64 + 60.5))]
    {
        assert!(keys.verify(&at(claim, time.clone())).is_ok(), "{claim} {time}");
    }
    for far in [json!(i64::MAX), json!(u64::MAX), json!(1e18)] {
        let grant = keys.verify(&at("exp", far.clone())).unwrap_or_else(|bad| panic!("{far}: {bad}"));
        assert!(!grant.remaining().is_zero(), "{far}");
    }
    for odd in [json!("4102444800"), json!(-1), json!(null), json!([1]), json!(1e300), json!(true)] {
        let bad = refusal(&keys, &at("exp", odd.clone()));
        assert!(matches!(bad, BadToken::Claim { .. } | BadToken::Malformed), "exp {odd}: {bad}");
    }
    for odd in [json!("0"), json!({}), json!(-1)] {
        let bad = refusal(&keys, &at("nbf", odd.clone()));
        assert!(matches!(bad, BadToken::Claim { .. } | BadToken::Malformed), "nbf {odd}: {bad}");
    }
}

#[test]
fn o1_claims_that_are_missing_or_odd_prove_nothing() {
    let keys = keys(with_secret());
    for claim in ["exp", "sub"] {
        let mut claims = good();
        claims.as_object_mut().unwrap().shift_remove(claim);
        let text = refusal(&keys, &signed(&claims)).to_string();
        assert!(text.contains(claim), "{text}");
    }
    let odd = [
        json!({"sub": ""}),
        json!({"sub": 7}),
        json!({"sub": null}),
        json!({"sub": "a\nb"}),
        json!({"sub": "x".repeat(257)}),
        json!({"graphs": []}),
        json!({"graphs": "*"}),
        json!({"graphs": {"*": "owner"}}),
        json!({"graphs": {"*": "Admin"}}),
        json!({"graphs": {"*": ["read"]}}),
        json!({"graphs": {"g": "read", "h": true}}),
    ];
    for more in odd {
        let bad = refusal(&keys, &signed(&with(&good(), more.clone())));
        assert!(matches!(bad, BadToken::Claim { .. }), "{more}: {bad}");
    }
    assert_eq!(
        keys.verify(&signed(&json!({"sub": "ada", "exp": now_s() + 60}))).unwrap().rights.on_all(),
        None
    );
}

#[test]
fn o1_audience_and_issuer_are_those_configured() {
    let config = KeysConfig {
        audience: Some("dao".to_owned()),
        issuer: Some("https://issuer.example".to_owned()),
        ..with_secret()
    };
    let picky = keys(config);
    let named = |aud: Value, iss: Value| signed(&with(&good(), json!({"aud": aud, "iss": iss})));
    let (aud, iss) = (json!("dao"), json!("https://issuer.example"));
    assert!(picky.verify(&named(aud.clone(), iss.clone())).is_ok());
    assert!(picky.verify(&named(json!(["other", "dao"]), iss.clone())).is_ok());
    for wrong in [json!("other"), json!(["other"]), json!("DAO"), json!([])] {
        assert_eq!(refusal(&picky, &named(wrong.clone(), iss.clone())), BadToken::Audience, "{wrong}");
    }
    for wrong in [json!("https://issuer.example/"), json!("")] {
        assert_eq!(refusal(&picky, &named(aud.clone(), wrong.clone())), BadToken::Issuer, "{wrong}");
    }
    for missing in [named(json!(null), iss.clone()), named(aud.clone(), json!(null)), signed(&good())] {
        assert!(matches!(refusal(&picky, &missing), BadToken::Claim { .. }));
    }
    // RFC 7519, 4.1.3: a token for somebody else is not for one who has no name.
    let any = keys(with_secret());
    assert_eq!(refusal(&any, &named(json!("dao"), iss)), BadToken::Audience);
    assert!(any.verify(&named(json!(null), json!("whoever"))).is_ok());
}
