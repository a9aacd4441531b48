//! What the peer of a connection has proved, and what it may do (rule O1).

use std::{sync::Arc, time::Duration};

use dao_projections::GraphId;
use tokio::time::Instant;

use super::{client_frames::ClientFrame, connection::Connection, server_frames::ServerFrame};
use crate::{
    auth::{Grant, Keys, Right},
    http::{
        auth::{Unproved, end_of, may, prove},
        problem::Problem,
    },
    telemetry::DropReason,
    websocket::{CloseCode, encode_close},
};

/// How long a peer that came without a token has to send one.
const PROOF_PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a message from a peer that has proved nothing yet: a token, and what goes with it.
const UNAUTHENTICATED_BYTES_MAX: usize = 32 << 10;

/// What somebody is told whose token was not looked at.
pub(super) const TOO_MANY_BAD_TOKENS: &str = "too many bad tokens came from this address: try again later";

/// What the peer has proved.
pub(super) enum Credentials {
    /// Nothing is asked of anybody: no keys are configured.
    NotRequired,
    /// It has to send `AUTH` until then; what it asked for in the handshake waits.
    Unauthenticated { keys: Arc<Keys>, until: Instant, first: Option<Box<ClientFrame>> },
    /// It may do this, until then.
    Authenticated { keys: Arc<Keys>, grant: Arc<Grant>, until: Instant },
    /// What it brought to the handshake proves nothing: it is told why, and that is all.
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

    /// Bytes of one message, of at most `max`.
    pub(super) fn message_bytes_max(&self, max: usize) -> usize {
        if self.is_unauthenticated() { max.min(UNAUTHENTICATED_BYTES_MAX) } else { max }
    }

    /// When the connection ends unless a token comes.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Unauthenticated { until, .. } | Self::Authenticated { until, .. } => Some(*until),
            Self::NotRequired | Self::Rejected { .. } => None,
        }
    }

    /// Why the connection ends at this moment, if it does.
    pub(super) fn overdue(&self, now: Instant) -> Option<&str> {
        match self {
            Self::Unauthenticated { until, .. } if *until <= now => Some("no AUTH came in time"),
            Self::Authenticated { until, .. } if *until <= now => Some("the token has expired"),
            Self::Rejected { why } => Some(why),
            Self::NotRequired | Self::Unauthenticated { .. } | Self::Authenticated { .. } => None,
        }
    }

    /// The right on this graph, as clients are told; without keys everybody may do everything.
    pub(super) fn access(&self, graph: &GraphId) -> &'static str {
        match self {
            Self::NotRequired => Right::Admin.as_str(),
            Self::Authenticated { grant, .. } => grant.rights.on(graph).map_or("none", Right::as_str),
            Self::Unauthenticated { .. } | Self::Rejected { .. } => "none",
        }
    }

    /// Whether the peer may do this on this graph.
    pub(super) fn may(&self, right: Right, graph: &GraphId) -> Result<(), Problem> {
        match self {
            Self::NotRequired => Ok(()),
            Self::Authenticated { grant, .. } => may(grant, right, graph),
            Self::Unauthenticated { .. } | Self::Rejected { .. } => Err(Problem::no_token()),
        }
    }
}

impl Connection {
    /// The peer proves who it is, for the first time or anew. A token that proves nothing, or that another
    /// user is there, ends the connection.
    pub(super) fn authenticate(&mut self, token: &str) {
        // Who proves nothing yet is bounded by what bad tokens cost.
        if !self.peer.credentials.is_unauthenticated()
            && let Err(problem) = self.charge()
        {
            return self.send_error(&problem, None, None);
        }
        let keys = match &self.peer.credentials {
            Credentials::Rejected { .. } => return,
            Credentials::NotRequired => return self.send_authenticated(),
            Credentials::Unauthenticated { keys, .. } | Credentials::Authenticated { keys, .. } => {
                keys.clone()
            }
        };
        let grant = match prove(&keys, token, self.peer.purse.as_ref()) {
            Ok(grant) => grant,
            Err(Unproved::Bad(bad)) => return self.reject(&bad.to_string()),
            Err(Unproved::TooMany(_)) => return self.reject(TOO_MANY_BAD_TOKENS),
        };
        let proven = Credentials::authenticated(keys, grant.clone());
        match std::mem::replace(&mut self.peer.credentials, proven) {
            Credentials::Authenticated { grant: earlier, .. } if earlier.user != grant.user => {
                self.reject("the new token is of another user");
            }
            Credentials::Unauthenticated { first, .. } => {
                self.peer.user = grant.user.clone();
                if let Some(purse) = &mut self.peer.purse {
                    purse.hand_to(&grant.user);
                }
                if !self.peer.permit.authenticate() {
                    let why = "no more sockets are accepted for now";
                    return self.end(encode_close(Some(CloseCode::TRY_AGAIN_LATER), why));
                }
                self.allow_long_messages();
                self.send_authenticated();
                if let Some(first) = first {
                    self.dispatch(*first, 0, None);
                }
            }
            before @ (Credentials::Authenticated { .. }
            | Credentials::NotRequired
            | Credentials::Rejected { .. }) => {
                self.send_authenticated();
                self.apply_new_rights(&before);
            }
        }
    }

    pub(super) fn reject(&mut self, why: &str) {
        self.live.metrics().dropped.of(DropReason::Unauthenticated).inc();
        self.end(encode_close(Some(CloseCode::UNAUTHENTICATED), why));
    }

    fn send_authenticated(&mut self) {
        let expires_at = match &self.peer.credentials {
            Credentials::Authenticated { grant, .. } => Some(grant.expires_s.saturating_mul(1_000)),
            Credentials::NotRequired | Credentials::Unauthenticated { .. } | Credentials::Rejected { .. } => {
                None
            }
        };
        let frame = ServerFrame::Authenticated { user_id: &self.peer.user, expires_at };
        let frame = self.peer.encoding.encode(&frame);
        self.send(frame);
    }

    /// A new token may grant more or less: what it does not cover ends here.
    fn apply_new_rights(&mut self, before: &Credentials) {
        let graphs: Vec<GraphId> = self.subscriptions.iter().map(|s| s.graph.clone()).collect();
        for graph in graphs {
            let access = self.peer.credentials.access(&graph);
            if let Err(problem) = self.peer.credentials.may(Right::Read, &graph) {
                self.unsubscribe(&graph);
                self.send_error(&problem, Some(&graph), None);
            } else if access != before.access(&graph) {
                self.send_frame(&ServerFrame::Access { graph_id: &graph, access });
            }
        }
    }
}

/// What a frame needs, and on which graph; `None` if anybody may send it.
pub(super) fn need(frame: &ClientFrame) -> Option<(Right, &GraphId)> {
    match frame {
        ClientFrame::Subscribe { graph, .. } | ClientFrame::Presence { graph, .. } => {
            Some((Right::Read, graph))
        }
        ClientFrame::Command { graph, .. } | ClientFrame::Batch { graph, .. } => Some((Right::Write, graph)),
        ClientFrame::Unsubscribe { .. } | ClientFrame::Ping | ClientFrame::Auth { .. } => None,
    }
}
