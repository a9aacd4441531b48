//! What the peer of a connection has proved, and what it may do (rule O1).

use std::{sync::Arc, time::Duration};

use dao_projections::GraphId;
use tokio::time::Instant;

use super::{connection::Connection, frames::ServerFrame, incoming::ClientFrame};
use crate::{
    auth::{Grant, Keys, Right},
    http::{
        authentication::{AuthenticationError as Unproved, end_of, may, prove},
        problem::Problem,
    },
    telemetry::DropReason,
    websocket::{CloseCode, encode_close},
};

/// How long a peer that came without a token has to send one.
const PROOF_PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a message from a peer that has proved nothing yet: a token, and what goes with it.
const UNPROVEN_BYTES_MAX: usize = 32 << 10;

/// What somebody is told whose token was not looked at.
pub(super) const TOO_MANY: &str = "too many bad tokens came from this address: try again later";

/// What the peer has proved.
pub(super) enum Standing {
    /// Nothing is asked of anybody: no keys are configured.
    Open,
    /// It has to send `AUTH` until then; what it asked for in the handshake waits.
    Unproven { keys: Arc<Keys>, until: Instant, first: Option<Box<ClientFrame>> },
    /// It may do this, until then.
    Proven { keys: Arc<Keys>, grant: Arc<Grant>, until: Instant },
    /// What it brought to the handshake proves nothing: it is told why, and that is all.
    Refused { why: String },
}

impl Standing {
    pub(super) fn unproven(keys: Arc<Keys>) -> Self {
        Self::Unproven { keys, until: Instant::now() + PROOF_PATIENCE, first: None }
    }

    pub(super) fn proven(keys: Arc<Keys>, grant: Arc<Grant>) -> Self {
        let until = end_of(&grant);
        Self::Proven { keys, grant, until }
    }

    pub(super) fn is_unproven(&self) -> bool {
        matches!(self, Self::Unproven { .. })
    }

    /// Bytes of one message, of at most `max`.
    pub(super) fn message_bytes_max(&self, max: usize) -> usize {
        if self.is_unproven() { max.min(UNPROVEN_BYTES_MAX) } else { max }
    }

    /// When the connection ends unless a token comes.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Unproven { until, .. } | Self::Proven { until, .. } => Some(*until),
            Self::Open | Self::Refused { .. } => None,
        }
    }

    /// Why the connection ends at this moment, if it does.
    pub(super) fn overdue(&self, now: Instant) -> Option<&str> {
        match self {
            Self::Unproven { until, .. } if *until <= now => Some("no AUTH came in time"),
            Self::Proven { until, .. } if *until <= now => Some("the token has expired"),
            Self::Refused { why } => Some(why),
            Self::Open | Self::Unproven { .. } | Self::Proven { .. } => None,
        }
    }

    /// The right on this graph, as clients are told; without keys everybody may do everything.
    pub(super) fn access(&self, graph: &GraphId) -> &'static str {
        match self {
            Self::Open => Right::Admin.as_str(),
            Self::Proven { grant, .. } => grant.rights.on(graph).map_or("none", Right::as_str),
            Self::Unproven { .. } | Self::Refused { .. } => "none",
        }
    }

    /// Whether the peer may do this on this graph.
    pub(super) fn may(&self, right: Right, graph: &GraphId) -> Result<(), Problem> {
        match self {
            Self::Open => Ok(()),
            Self::Proven { grant, .. } => may(grant, right, graph),
            Self::Unproven { .. } | Self::Refused { .. } => Err(Problem::no_token()),
        }
    }
}

impl Connection {
    /// The peer proves who it is, for the first time or anew. A token that proves nothing, or that another
    /// user is there, ends the connection.
    pub(super) fn authenticate(&mut self, token: &str) {
        // Who proves nothing yet is bounded by what bad tokens cost.
        if !self.peer.standing.is_unproven()
            && let Err(problem) = self.pay()
        {
            return self.complain(&problem, None, None);
        }
        let keys = match &self.peer.standing {
            Standing::Refused { .. } => return,
            Standing::Open => return self.say_who(),
            Standing::Unproven { keys, .. } | Standing::Proven { keys, .. } => keys.clone(),
        };
        let grant = match prove(&keys, token, self.peer.purse.as_ref()) {
            Ok(grant) => grant,
            Err(Unproved::Bad(bad)) => return self.turn_away(&bad.to_string()),
            Err(Unproved::TooMany(_)) => return self.turn_away(TOO_MANY),
        };
        let proven = Standing::proven(keys, grant.clone());
        match std::mem::replace(&mut self.peer.standing, proven) {
            Standing::Proven { grant: earlier, .. } if earlier.user != grant.user => {
                self.turn_away("the new token is of another user");
            }
            Standing::Unproven { first, .. } => {
                self.peer.user = grant.user.clone();
                if let Some(purse) = &mut self.peer.purse {
                    purse.hand_to(&grant.user);
                }
                if !self.peer.seat.prove() {
                    let why = "no more sockets are accepted for now";
                    return self.end(encode_close(Some(CloseCode::TRY_AGAIN_LATER), why));
                }
                self.allow_long_messages();
                self.say_who();
                if let Some(first) = first {
                    self.act(*first, 0, None);
                }
            }
            before @ (Standing::Proven { .. } | Standing::Open | Standing::Refused { .. }) => {
                self.say_who();
                self.tell_what_is_allowed_now(&before);
            }
        }
    }

    pub(super) fn turn_away(&mut self, why: &str) {
        self.live.metrics().dropped.of(DropReason::Unauthenticated).inc();
        self.end(encode_close(Some(CloseCode::UNAUTHENTICATED), why));
    }

    fn say_who(&mut self) {
        let expires_at = match &self.peer.standing {
            Standing::Proven { grant, .. } => Some(grant.expires_s.saturating_mul(1_000)),
            Standing::Open | Standing::Unproven { .. } | Standing::Refused { .. } => None,
        };
        let frame = ServerFrame::Authenticated { user_id: &self.peer.user, expires_at };
        let frame = self.peer.voice.say(&frame);
        self.send(frame);
    }

    /// A new token may grant more or less: what it does not cover ends here.
    fn tell_what_is_allowed_now(&mut self, before: &Standing) {
        let graphs: Vec<GraphId> = self.subscriptions.iter().map(|s| s.graph.clone()).collect();
        for graph in graphs {
            let access = self.peer.standing.access(&graph);
            if let Err(problem) = self.peer.standing.may(Right::Read, &graph) {
                self.unsubscribe(&graph);
                self.complain(&problem, Some(&graph), None);
            } else if access != before.access(&graph) {
                self.say(&ServerFrame::Access { graph_id: &graph, access });
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
