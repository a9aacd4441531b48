//! The peer of a socket, as the handshake found it.

use dao_projections::{ClientId, UserId};
use uuid::Uuid;

use super::{peer_credentials::Credentials, server_frames::FrameEncoding, socket_permits::SocketPermit};
use crate::http::{
    command_parser::ClientIdentity, connection_list::ListedConnection, rate_limits::RateBudget,
};

/// The peer of a connection: its identity, rights and encoding.
pub(super) struct Peer {
    pub(super) id: Uuid,
    pub(super) permit: SocketPermit,
    /// The authenticated user, or the claimed one on a server without keys; anonymous before authentication.
    pub(super) user: UserId,
    pub(super) credentials: Credentials,
    /// The request budget of its frames; `None` without limits.
    pub(super) rate_budget: Option<RateBudget>,
    pub(super) client: ClientId,
    /// Whether the handshake named the client; else the connection is the client.
    pub(super) is_client_named: bool,
    pub(super) encoding: FrameEncoding,
    /// Shows it among the connections of this server.
    pub(super) listed: ListedConnection,
}

impl Peer {
    /// The client of commands that don't name one.
    pub(super) fn sending(&self) -> ClientIdentity {
        match self.is_client_named {
            true => ClientIdentity::Named(self.client.clone()),
            false => ClientIdentity::Connection(self.client.clone()),
        }
    }
}
