//! Authentication and authorization: verifies signed tokens and returns [`Grant`]s (rules O1, O2).
//!
//! Invariants:
//! - A [`Grant`] exists only for a token whose signature, times, audience and issuer were verified.
//! - A key has one algorithm. The token's header only selects a key; it never selects the algorithm. So `none`, or a
//!   public key used as a shared secret, matches no key.
//! - Rights are matched on parsed [`GraphId`](dao_projections::GraphId)s only, never on text from a path.
//!
//! Not here: where a token is found in a request, and which route or frame needs which right
//! (`http/guard.rs`, `http/socket/credentials.rs`).

mod keys;
mod mint;
mod remote;
mod right;
mod source;
mod token;

use std::sync::Arc;

pub use keys::{Keys, KeysConfig, Reload};
pub use mint::{MintError, mint};
pub use remote::JwksUrl;
pub use right::{Glob, InvalidRight, Right, Rights};
pub use source::SECRET_BYTES_MIN;
pub use token::{BadToken, Grant, TOKEN_BYTES_MAX};

/// Whether callers need a token.
#[derive(Clone)]
pub enum Auth {
    /// No keys are configured: the server trusts the user that a request names (rule O2).
    Off,
    /// Callers need a token signed by one of these keys.
    Keys(Arc<Keys>),
}
