//! Grants: the claims of a verified token.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dao_projections::{GraphId, UserId};
use serde_json::{Map, Value};

use super::right::{Glob, Right, Rights};

/// Longer tokens are refused unread: no header could hold them.
pub const TOKEN_BYTES_MAX: usize = 16 << 10;
/// How far the clocks of issuer and server may differ.
pub(super) const LEEWAY: Duration = Duration::from_secs(30);
/// The longest lifetime of a token. Later expiry times are cut to it, so that no clock overflows.
const LIFETIME_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Why a token is refused. The texts are sent to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// It is not a JSON Web Token of three parts.
    #[error("the token can't be read: it must be a signed JSON Web Token")]
    Malformed,
    /// No key has the algorithm and id that it names.
    #[error("the token is of an algorithm or a key that is not accepted here")]
    NoKey,
    /// No key made this signature.
    #[error("the token's signature is wrong")]
    Signature,
    /// `exp` is in the past.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `aud` is another audience, or no audience is configured.
    #[error("the token is for another audience")]
    Audience,
    /// `iss` is another issuer.
    #[error("the token is from another issuer")]
    Issuer,
    /// A claim is missing or invalid.
    #[error("the token's claim {name} {problem}")]
    Claim {
        /// The name of the claim.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl BadToken {
    pub(super) fn claim(name: &str, problem: &'static str) -> Self {
        Self::Claim { name: name.to_owned(), problem }
    }
}

/// An authenticated user and their rights until the token expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The user: the token's `sub`.
    pub user: UserId,
    /// The user's rights.
    pub rights: Rights,
    /// When the token expires, in seconds since the epoch: its `exp`.
    pub expires_s: u64,
}

impl Grant {
    /// Reads verified claims.
    pub(super) fn of(claims: &Map<String, Value>) -> Result<Self, BadToken> {
        let user = claims.get("sub").and_then(Value::as_str).and_then(|user| UserId::parse(user).ok());
        let user = user.ok_or_else(|| {
            BadToken::claim("sub", "must be the user: 1 to 256 bytes without control characters")
        })?;
        let exp = claims.get("exp").and_then(seconds);
        let expires_s = exp.ok_or_else(|| BadToken::claim("exp", "must be a time in seconds"))?;
        Ok(Self { user, rights: rights(claims.get("graphs"))?, expires_s })
    }

    /// How long it is good for; zero once it has expired. Clocks that are a little apart are forgiven at
    /// the end as they were at the start.
    pub fn remaining(&self) -> Duration {
        let end = Duration::from_secs(self.expires_s).saturating_add(LEEWAY);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        end.saturating_sub(now).min(LIFETIME_MAX)
    }

    /// Whether it includes this right on this graph.
    pub fn allows(&self, right: Right, graph: &GraphId) -> bool {
        self.rights.on(graph).is_some_and(|granted| granted >= right)
    }
}

/// A NumericDate (RFC 7519, 2) to the nearest second.
fn seconds(value: &Value) -> Option<u64> {
    let fraction = || value.as_f64().filter(|s| *s >= 0.0 && *s < u64::MAX as f64).map(|s| s.round() as u64);
    value.as_u64().or_else(fraction)
}

/// `graphs`: globs and rights. Without it a token grants nothing. A glob that no graph can match grants
/// nothing; a right that is none of the three makes the token unreadable, since nobody knows what it meant.
fn rights(claim: Option<&Value>) -> Result<Rights, BadToken> {
    let problem = || BadToken::claim("graphs", "must be an object of globs with read, write or admin");
    let granted = match claim {
        None | Some(Value::Null) => return Ok(Rights::default()),
        Some(claim) => claim.as_object().ok_or_else(problem)?,
    };
    let mut rights = Vec::with_capacity(granted.len());
    for (glob, right) in granted {
        let right = right.as_str().and_then(|right| right.parse::<Right>().ok()).ok_or_else(problem)?;
        rights.extend(Glob::parse(glob).ok().map(|glob| (glob, right)));
    }
    Ok(Rights::new(rights))
}
