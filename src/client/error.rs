//! What can go wrong between a client and a server.

use std::{io, time::Duration};

use super::{frames::Unreadable, step::Why};
use crate::websocket::{AnswerError, ProtocolError};

/// Why there is no connection now. Trying again may help.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The server can't be reached.
    #[error("no server answers: {0}")]
    Unreachable(#[source] io::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[source] io::Error),
    /// The server ended it, without a goodbye.
    #[error("the server closed the connection{}", shown(.0))]
    Closed(String),
    /// Nothing came for as long as the server promised to be heard, or an answer took too long.
    #[error("the server has said nothing for {} s", .0.as_secs())]
    Silent(Duration),
    /// The server can't take more, or its store is away.
    #[error("the server answered {status}: {detail}")]
    Unavailable {
        /// The HTTP status.
        status: u16,
        /// What it said.
        detail: String,
    },
    /// It does not answer as a WebSocket server does.
    #[error("the handshake failed: {0}")]
    Handshake(#[from] AnswerError),
    /// It does not speak HTTP/1.1.
    #[error("what answers there does not speak HTTP")]
    NotHttp,
    /// An answer is longer than this client takes.
    #[error("an answer is longer than {0} bytes")]
    TooLong(usize),
    /// It broke the framing rules.
    #[error("the server broke the WebSocket protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// What it said can't be followed.
    #[error(transparent)]
    Followed(#[from] Why),
}

fn shown(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

/// Why a client ends. Trying again would not help.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server refuses to answer this client.
    #[error("the server answered {status}: {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        detail: String,
    },
    /// The graph can't be followed.
    #[error("the graph can't be followed: {message} ({code})")]
    NotFollowed {
        /// Why, as a stable word.
        code: String,
        /// Why, for people.
        message: String,
    },
    /// The server says what this client does not understand.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// Either of them.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Trying again may help.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// It would not.
    #[error(transparent)]
    Client(#[from] ClientError),
}
