//! Who somebody is and what they may do: signed tokens in, [`Grant`]s out (rules O1, O2).
//!
//! Invariants:
//! - A [`Grant`] exists only for a token whose signature, times, audience and issuer were checked.
//! - A key checks one algorithm. What a token's header says only picks among the keys; it never says how
//!   one is used. So `none`, and a public key used as a shared secret, find no key.
//! - Rights are matched on parsed [`GraphId`](dao_projections::GraphId)s only, never on text from a path.
//!
//! Not here: where a token is found in a request, and which route or frame needs which right
//! (`http/guard.rs`, `http/socket/standing.rs`).

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

/// Whether callers have to prove who they are.
#[derive(Clone)]
pub enum Auth {
    /// No keys are configured: callers are whoever they say they are (rule O2).
    Off,
    /// Callers bring tokens that one of these keys signed.
    Keys(Arc<Keys>),
}
