//! Reads keys: a shared secret, PEM text or a PEM file, a key set (RFC 7517) from a file or a URL ([`super::remote`]).
//!
//! Every key gets its one algorithm here, by its type: HS256 for the secret, RS256 for RSA, ES256 for P-256, EdDSA for
//! Ed25519. All other keys are refused.

use std::{fs, path::Path};

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde_json::Value;

/// Shortest `JWT_SECRET`, in bytes: the length of an HS256 signature (RFC 7518, 3.2).
pub const SECRET_BYTES_MIN: usize = 32;
/// Shortest RSA modulus, in bytes: 2,048 bits (RFC 7518, 3.3).
const RSA_BYTES_MIN: usize = 256;
/// A point of P-256, uncompressed.
const P256_POINT_BYTES: usize = 65;
const ED25519_BYTES: usize = 32;

/// A key and its one algorithm.
pub(super) struct Key {
    /// Its `kid`, if it has one.
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// Public keys from one source.
pub(super) struct PublicKeys {
    /// The source text, to detect changes.
    pub(super) text: String,
    pub(super) keys: Vec<Key>,
    /// Why other keys in the source can't be used.
    pub(super) left_out: Vec<String>,
}

/// The shared secret of HS256.
pub(super) fn of_secret(secret: &str) -> Result<Key, String> {
    if secret.len() < SECRET_BYTES_MIN {
        return Err(format!(
            "is {} bytes, and shorter than {SECRET_BYTES_MIN} can be guessed: make one with `openssl rand -base64 48`",
            secret.len()
        ));
    }
    Ok(Key { id: None, algorithm: Algorithm::HS256, key: DecodingKey::from_secret(secret.as_bytes()) })
}

/// A public key: PEM text, also with `\n` for line breaks, or the path of a PEM file.
pub(super) fn of_pem(text_or_path: &str) -> Result<PublicKeys, String> {
    let text = text_or_path.trim_start();
    if text.starts_with("-----BEGIN") {
        return of_pem_text(text.replace("\\n", "\n"));
    }
    let text = fs::read_to_string(text_or_path)
        .map_err(|error| format!("is no PEM text, and no file of it can be read: {error}"))?;
    of_pem_text(text)
}

fn of_pem_text(text: String) -> Result<PublicKeys, String> {
    if text.contains("PRIVATE KEY") {
        return Err(
            "is a private key: give its public half, and keep this one where tokens are signed".to_owned()
        );
    }
    let pem = text.trim().as_bytes();
    let read = [
        (Algorithm::RS256, DecodingKey::from_rsa_pem(pem)),
        (Algorithm::ES256, DecodingKey::from_ec_pem(pem)),
        (Algorithm::EdDSA, DecodingKey::from_ed_pem(pem)),
    ];
    let found = read.into_iter().find_map(|(algorithm, key)| key.ok().map(|key| (algorithm, key)));
    let (algorithm, key) = found.ok_or("is no public key in PEM: RSA, P-256 or Ed25519")?;
    let key = of_checked(None, algorithm, key)?;
    Ok(PublicKeys { text, keys: vec![key], left_out: vec![] })
}

/// The keys of a JWKS file that this server can use.
pub(super) fn of_jwks_file(path: &Path) -> Result<PublicKeys, String> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("{shown} can't be read: {error}"))?;
    of_jwks(text).map_err(|problem| format!("{shown} {problem}"))
}

/// The keys of a set that this server can use.
pub(super) fn of_jwks(text: String) -> Result<PublicKeys, String> {
    let document: Value = serde_json::from_str(&text).map_err(|error| format!("is no JSON: {error}"))?;
    let listed = document.get("keys").and_then(Value::as_array).ok_or("has no list `keys`")?;
    let (mut keys, mut left_out) = (Vec::new(), Vec::new());
    for (index, listed) in listed.iter().enumerate() {
        let name = listed.get("kid").and_then(Value::as_str).map_or(format!("#{index}"), str::to_owned);
        match of_jwk(listed) {
            Ok(key) => keys.push(key),
            Err(problem) => left_out.push(format!("key {name} {problem}")),
        }
    }
    if keys.is_empty() {
        let why = if left_out.is_empty() { "it is empty".to_owned() } else { left_out.join("; ") };
        return Err(format!("holds no key that can be used: {why}"));
    }
    Ok(PublicKeys { text, keys, left_out })
}

fn of_jwk(listed: &Value) -> Result<Key, String> {
    let jwk: Jwk = serde_json::from_value(listed.clone()).map_err(|_| "can't be read".to_owned())?;
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        AlgorithmParameters::OctetKey(_) => {
            return Err("is a shared secret, which has no place in a file of public keys".to_owned());
        }
        _ => return Err("is neither RSA, P-256 nor Ed25519".to_owned()),
    };
    let named = listed.get("alg").and_then(Value::as_str);
    if named.is_some_and(|named| named != format!("{algorithm:?}")) {
        return Err(format!(
            "is for {}, and only {algorithm:?} is done with such keys",
            named.unwrap_or_default()
        ));
    }
    if jwk.common.public_key_use.as_ref().is_some_and(|to| *to != PublicKeyUse::Signature)
        || jwk.common.key_operations.as_ref().is_some_and(|to| !to.contains(&KeyOperations::Verify))
    {
        return Err("is not for checking signatures".to_owned());
    }
    let key = DecodingKey::from_jwk(&jwk).map_err(|_| "can't be read".to_owned())?;
    of_checked(jwk.common.key_id, algorithm, key)
}

/// Refuses keys that are too weak, or of a type that would fail for every token.
fn of_checked(id: Option<String>, algorithm: Algorithm, key: DecodingKey) -> Result<Key, String> {
    let bytes = match key.kind() {
        DecodingKeyKind::SecretOrDer(bytes) => bytes.len(),
        DecodingKeyKind::RsaModulusExponent { n, .. } => n.len(),
    };
    match algorithm {
        Algorithm::RS256 if bytes < RSA_BYTES_MIN => Err("is an RSA key of less than 2,048 bits".to_owned()),
        Algorithm::ES256 if bytes != P256_POINT_BYTES => Err("is of another curve than P-256".to_owned()),
        Algorithm::EdDSA if bytes != ED25519_BYTES => Err("is of another curve than Ed25519".to_owned()),
        _ => Ok(Key { id, algorithm, key }),
    }
}
