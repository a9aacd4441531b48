//! The credentials of a connection's peer and what they allow (rule O1).

use dao_projections::{GraphId, LabelName};

use super::{
    client_frames::ClientFrame,
    connection::Connection,
    peer_credentials::{Credentials, TOO_MANY_BAD_TOKENS},
    server_frames::ServerFrame,
};
use crate::{
    auth::Right,
    http::{
        authentication::{AuthenticationError, prove},
        required_right::{required_right, sources},
    },
    telemetry::DropReason,
    websocket::{CloseCode, encode_close},
};

impl Connection {
    /// Authenticates the peer, or renews its token. A bad token, or one of another user, closes the connection.
    pub(super) fn authenticate(&mut self, token: &str) {
        // Before authentication, bad tokens are limited by address instead.
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
        let grant = match prove(&keys, token, self.peer.rate_budget.as_ref()) {
            Ok(grant) => grant,
            Err(AuthenticationError::Bad(bad)) => return self.reject(&bad.to_string()),
            Err(AuthenticationError::TooMany(_)) => return self.reject(TOO_MANY_BAD_TOKENS),
        };
        let proven = Credentials::authenticated(keys, grant.clone());
        match std::mem::replace(&mut self.peer.credentials, proven) {
            Credentials::Authenticated { grant: earlier, .. } if earlier.user != grant.user => {
                self.reject("the new token belongs to another user");
            }
            Credentials::Unauthenticated { first, .. } => {
                self.peer.user = grant.user.clone();
                self.peer.listed.set_user(&grant.user);
                if let Some(rate_budget) = &mut self.peer.rate_budget {
                    rate_budget.hand_to(&grant.user);
                }
                if !self.peer.permit.authenticate() {
                    let why = "too many open sockets. Try again later";
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

    /// Applies the rights of a new token: subscriptions that it does not allow end.
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

    /// The token may have been renewed while the `SYNC` was being built: the last frame tells the right that holds.
    pub(super) fn send_access_if_changed(&mut self, index: usize, told: &str) {
        let graph = self.subscriptions[index].graph.clone();
        let access = self.peer.credentials.access(&graph);
        if access != told {
            self.send_frame(&ServerFrame::Access { graph_id: &graph, access });
        }
    }
}

/// The graphs that a frame copies, which needs `read` on each.
pub(super) fn sources_of(frame: &ClientFrame) -> impl Iterator<Item = &GraphId> {
    let operation = match frame {
        ClientFrame::Command { operation, .. } => Some(&**operation),
        ClientFrame::Batch { .. }
        | ClientFrame::Subscribe { .. }
        | ClientFrame::Presence { .. }
        | ClientFrame::Unsubscribe { .. }
        | ClientFrame::Ping
        | ClientFrame::Auth { .. } => None,
    };
    sources(operation.map_or(&[], std::slice::from_ref))
}

/// The right that a frame needs, and its graph; `None` if it needs none.
pub(super) fn need<'f>(frame: &'f ClientFrame, protected: &[LabelName]) -> Option<(Right, &'f GraphId)> {
    match frame {
        ClientFrame::Subscribe { graph, .. } | ClientFrame::Presence { graph, .. } => {
            Some((Right::Read, graph))
        }
        ClientFrame::Command { graph, operation } => {
            Some((required_right(std::slice::from_ref(operation), protected), graph))
        }
        ClientFrame::Batch { graph, batch } => Some((required_right(&batch.operations, protected), graph)),
        ClientFrame::Unsubscribe { .. } | ClientFrame::Ping | ClientFrame::Auth { .. } => None,
    }
}
