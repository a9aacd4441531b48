//! Tokens for development, signed with the shared secret.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dao_projections::UserId;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Map, Value, json};

use super::{keys::Keys, right::Rights};

/// Why a token can't be signed.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// There is no secret to sign with.
    #[error(
        "JWT_SECRET is not set, and only it can sign: the private half of a public key is with whoever issues tokens"
    )]
    NoSecret,
    /// Signing failed.
    #[error("the token could not be signed: {0}")]
    Signing(#[source] jsonwebtoken::errors::Error),
}

/// Signs a token that these keys accept for `lifetime`.
pub fn mint(keys: &Keys, user: &UserId, rights: &Rights, lifetime: Duration) -> Result<String, MintError> {
    let config = keys.config();
    let secret = config.secret.as_deref().ok_or(MintError::NoSecret)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let graphs: Map<String, Value> =
        rights.iter().map(|(glob, right)| (glob.as_str().to_owned(), right.as_str().into())).collect();
    let mut claims = json!({
        "sub": user,
        "graphs": graphs,
        "iat": now.as_secs(),
        "exp": now.saturating_add(lifetime).as_secs(),
    });
    for (name, value) in [("aud", &config.audience), ("iss", &config.issuer)] {
        if let Some(value) = value {
            claims[name] = value.as_str().into();
        }
    }
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::new(Algorithm::HS256), &claims, &key).map_err(MintError::Signing)
}
