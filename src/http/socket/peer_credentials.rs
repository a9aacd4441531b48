//! What a peer has proved.

use std::{sync::Arc, time::Duration};

use dao_projections::GraphId;
use tokio::time::Instant;

use super::client_frames::ClientFrame;
use crate::{
    auth::{Grant, Keys, Right},
    http::{
        authentication::{access_of, end_of, may},
        problem::Problem,
    },
};

/// Why a token was not verified.
pub(super) const TOO_MANY_BAD_TOKENS: &str = "too many bad tokens from this address. Try again later";

/// The credentials of a peer.
pub(super) enum Credentials {
    /// No keys are configured, so no token is required.
    NotRequired,
    /// The peer has to send `AUTH` until then. The subscription of the handshake waits for it.
    Unauthenticated { keys: Arc<Keys>, until: Instant, first: Option<Box<ClientFrame>> },
    /// The grant of its token, which expires then.
    Authenticated { keys: Arc<Keys>, grant: Arc<Grant>, until: Instant },
    /// The token of the handshake is invalid. The peer is told why, and the connection closes.
    Rejected { why: String },
}

impl Credentials {
    pub(super) fn unauthenticated(keys: Arc<Keys>) -> Self {
        Self::Unauthenticated { keys, until: Instant::now() + PROOF_PATIENCE, first: None }
    }

    pub(super) fn authenticated(keys: Arc<Keys>, grant: Arc<Grant>) -> Self {
        let until = end_of(&grant);
        Self::Authenticated { keys, grant, until }
    }

    pub(super) fn is_unauthenticated(&self) -> bool {
        matches!(self, Self::Unauthenticated { .. })
    }

    /// The longest message, in bytes; at most `max`.
    pub(super) fn message_bytes_max(&self, max: usize) -> usize {
        if self.is_unauthenticated() { max.min(UNAUTHENTICATED_BYTES_MAX) } else { max }
    }

    /// When the connection closes unless a new token arrives.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Unauthenticated { until, .. } | Self::Authenticated { until, .. } => Some(*until),
            Self::NotRequired | Self::Rejected { .. } => None,
        }
    }

    /// Why the connection must close now, if it must.
    pub(super) fn overdue(&self, now: Instant) -> Option<&str> {
        match self {
            Self::Unauthenticated { until, .. } if *until <= now => Some("no AUTH arrived in time"),
            Self::Authenticated { until, .. } if *until <= now => Some("the token has expired"),
            Self::Rejected { why } => Some(why),
            Self::NotRequired | Self::Unauthenticated { .. } | Self::Authenticated { .. } => None,
        }
    }

    /// The right on this graph as sent to clients. Without keys it is `admin`.
    pub(super) fn access(&self, graph: &GraphId) -> &'static str {
        match self {
            Self::NotRequired => access_of(None, graph),
            Self::Authenticated { grant, .. } => access_of(Some(grant), graph),
            Self::Unauthenticated { .. } | Self::Rejected { .. } => "none",
        }
    }

    /// Checks a right on a graph.
    pub(super) fn may(&self, right: Right, graph: &GraphId) -> Result<(), Problem> {
        match self {
            Self::NotRequired => Ok(()),
            Self::Authenticated { grant, .. } => may(grant, right, graph),
            Self::Unauthenticated { .. } | Self::Rejected { .. } => Err(Problem::no_token()),
        }
    }
}

/// How long a peer without a token has to send `AUTH`.
pub(super) const PROOF_PATIENCE: Duration = Duration::from_secs(5);
/// The longest message of a peer that is not authenticated: enough for `AUTH`.
pub(super) const UNAUTHENTICATED_BYTES_MAX: usize = 32 << 10;
