//! What can go wrong between a client and a server.

use std::{io, time::Duration};

use super::{frames::Unreadable, step::Why};
use crate::websocket::{AnswerError, ProtocolError};

/// Why there is no connection now. A retry may help.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The server can't be reached.
    #[error("no server answers: {0}")]
    Unreachable(#[source] io::Error),
    /// TLS was refused by one of both sides, most often because this machine does not trust the certificate.
    #[error("the TLS handshake failed: {0}")]
    Tls(String),
    /// The connection failed.
    #[error("the connection broke: {0}")]
    Broken(#[source] io::Error),
    /// The server closed it without `GOODBYE`.
    #[error("the server closed the connection{}", shown(.0))]
    Closed(String),
    /// Nothing arrived within two heartbeats, or an answer took too long.
    #[error("the server has said nothing for {} s", .0.as_secs())]
    Silent(Duration),
    /// The server is overloaded, or its store is unavailable.
    #[error("the server answered {status}: {detail}")]
    Unavailable {
        /// The HTTP status.
        status: u16,
        /// The detail of its answer.
        detail: String,
    },
    /// The answer is not that of a WebSocket server.
    #[error("the handshake failed: {0}")]
    Handshake(#[from] AnswerError),
    /// It does not speak HTTP/1.1.
    #[error("what answers there does not speak HTTP")]
    NotHttp,
    /// An answer is longer than this client takes.
    #[error("an answer is longer than {0} bytes")]
    TooLong(usize),
    /// It violated the WebSocket protocol.
    #[error("the server broke the WebSocket protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// Its frames can't be applied.
    #[error(transparent)]
    Followed(#[from] Why),
}

fn shown(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

/// Why a client stops. A retry would not help.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server refused the request.
    #[error("the server answered {status}: {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The detail of its answer.
        detail: String,
    },
    /// The graph can't be followed.
    #[error("the graph can't be followed: {message} ({code})")]
    NotFollowed {
        /// The error code.
        code: String,
        /// The error message.
        message: String,
    },
    /// The server sent something that this client can't read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// Either error.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// A retry may help.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A retry would not help.
    #[error(transparent)]
    Client(#[from] ClientError),
}
