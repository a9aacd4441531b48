//! RFC 6455 (WebSocket) and RFC 7692 (permessage-deflate), without any I/O: [`accept`] answers a
//! handshake, [`Decoder`] turns bytes into [`Incoming`]s, and the encoders turn messages into bytes.
//! That is a server's half; a client has [`ClientHandshake`] for its handshake, [`Decoder::of_client`], and
//! [`masked`] for what it sends.
//!
//! It exists because one commit goes to hundreds of subscribers: its message is framed and
//! compressed once ([`encode_shared`]), and every subscriber is sent the same bytes. That works because both directions
//! run without context takeover, so no frame depends on an earlier one; and because a server's
//! frames aren't masked.
//!
//! Invariants:
//! - Bytes from the network can't panic, and can't make a decoder hold more than its [`Limits`] say,
//!   whatever a frame announces and whatever its compressed payload expands to.
//! - How the network chops a stream changes nothing about what is decoded from it.
//! - A decoder between messages owns no heap memory. The inflate and deflate states belong to the
//!   thread, not to the connection.
//!
//! Not here: sockets, tasks, timers, heartbeats and the closing handshake's patience, which are the
//! connection's; the HTTP upgrade itself, the status codes of refusals and what `bearer.<token>`
//! means, which are `http`'s; what a message says.

mod client;
mod close;
mod decoder;
mod encoder;
mod error;
mod extension;
mod handshake;
mod header;
mod incoming;
mod inflate;
mod parts;
mod whole;

pub use client::{AnswerError, ClientHandshake, masked};
pub use close::CloseCode;
pub use decoder::{Decoder, Limits, SKIPPED_BYTES_MAX};
pub use encoder::{
    DEFLATE_THRESHOLD_BYTES, deflate, encode_binary, encode_close, encode_ping, encode_pong, encode_shared,
    encode_text,
};
pub use error::ProtocolError;
pub use extension::Deflate;
pub use handshake::{Accepted, HandshakeError, accept};
pub use incoming::Incoming;
pub use parts::{MessageKind, deflate_part, encode_around};
pub use whole::{BEGINNING_BYTES, Deflated, Inflated, TooLong};
