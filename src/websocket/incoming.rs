//! What arrives: messages, pings, and the end.

use bytes::Bytes;

use super::{
    close::CloseCode,
    whole::{Deflated, TooLong},
};

/// What the peer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A text message, whole.
    Text(String),
    /// A binary message, whole.
    Binary(Bytes),
    /// A message of either kind, whole and still compressed: from
    /// [`Decoder::next_as_sent`](super::Decoder::next_as_sent) alone.
    Deflated(Deflated),
    /// A message over the limit, told once as soon as its beginning is here. The rest of it is passed over as it
    /// comes.
    TooLong(TooLong),
    /// Answer it with a Pong of the same payload, at most 125 bytes.
    Ping(Bytes),
    /// The answer to a Ping, or a sign of life that nobody asked for.
    Pong(Bytes),
    /// The last frame: answer it with a Close of the same code, unless one was sent, and end.
    Close {
        /// Why, if the peer said so.
        code: Option<CloseCode>,
        /// For a log; empty if there is none.
        reason: String,
    },
}
