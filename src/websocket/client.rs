//! A client's half: asking for a connection (RFC 6455 section 4.1), and masking what it sends.
//!
//! No extension is offered, so none may be answered; a client that wants compression has a browser.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};

use super::handshake::{KEY_BYTES, VERSION, accept_key, list, only};
use super::header;

/// A handshake that a client asked for and that isn't answered yet.
#[derive(Clone, Debug)]
pub struct ClientHandshake {
    key: String,
    protocol: &'static str,
}

/// Why an answer to a handshake opens no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Anything but 101; the body may say why.
    #[error("the server answered {0}, not 101")]
    Status(u16),
    /// `Upgrade` or `Connection` don't say that the protocol changes.
    #[error("the server's answer doesn't upgrade the connection")]
    Upgrade,
    /// `Sec-WebSocket-Accept` isn't the proof that the key was read.
    #[error("the server's Sec-WebSocket-Accept isn't the answer to the key")]
    Accept,
    /// A subprotocol that wasn't offered, or none.
    #[error("the server doesn't speak the subprotocol")]
    Protocol,
    /// An extension, though none was offered.
    #[error("the server uses an extension that wasn't offered")]
    Extension,
}

impl ClientHandshake {
    /// Asks to speak this subprotocol. The nonce must be random, so that no cache in between can have
    /// the answer.
    pub fn new(nonce: [u8; KEY_BYTES], protocol: &'static str) -> Self {
        Self { key: STANDARD.encode(nonce), protocol }
    }

    /// What the request, an HTTP/1.1 GET, has beside `Host`.
    pub fn headers(&self) -> [(&'static str, &str); 5] {
        [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-version", VERSION),
            ("sec-websocket-key", &self.key),
            ("sec-websocket-protocol", self.protocol),
        ]
    }

    /// Checks what the server answered. After `Ok` the bytes that follow its head are frames.
    pub fn check(&self, status: u16, answer: &HeaderMap) -> Result<(), AnswerError> {
        if status != 101 {
            return Err(AnswerError::Status(status));
        }
        let upgrades = list(answer, UPGRADE).any(|item| item.eq_ignore_ascii_case("websocket"))
            && list(answer, CONNECTION).any(|item| item.eq_ignore_ascii_case("upgrade"));
        if !upgrades {
            return Err(AnswerError::Upgrade);
        }
        let proof = accept_key(&self.key).ok();
        let given = only(answer, SEC_WEBSOCKET_ACCEPT);
        if given.is_none() || given != proof.as_ref().and_then(|proof: &HeaderValue| proof.to_str().ok()) {
            return Err(AnswerError::Accept);
        }
        if only(answer, SEC_WEBSOCKET_PROTOCOL) != Some(self.protocol) {
            return Err(AnswerError::Protocol);
        }
        if list(answer, SEC_WEBSOCKET_EXTENSIONS).next().is_some() {
            return Err(AnswerError::Extension);
        }
        Ok(())
    }
}

/// A frame of the encoders as a client sends it. The mask must be new and unforeseeable for every
/// frame (RFC 6455 section 10.3): it keeps a page's script from choosing the bytes that a proxy sees.
pub fn masked(frame: &[u8], mask: [u8; 4]) -> Bytes {
    header::masked(frame, mask).into()
}
