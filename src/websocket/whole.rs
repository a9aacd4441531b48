//! Messages that have come, before anybody reads them: compressed ones, and what is kept of those over the limit.

use bytes::Bytes;

use super::{
    error::ProtocolError,
    incoming::Incoming,
    inflate::{Output, inflate},
    parts::MessageKind,
};

/// What is kept of a message over the limit: enough to tell what it is about.
pub const BEGINNING_BYTES: usize = 16 << 10;

/// A message over the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// Which of the two kinds.
    pub kind: MessageKind,
    /// Its first bytes, inflated: [`BEGINNING_BYTES`] where they come as they should. A text may end within a
    /// character.
    pub beginning: Bytes,
}

/// A whole message that is still compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deflated {
    kind: MessageKind,
    payload: Vec<u8>,
}

/// What a compressed message turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inflated {
    /// [`Incoming::Text`] or [`Incoming::Binary`].
    Whole(Incoming),
    /// It is longer than it may be.
    TooLong(TooLong),
    /// There was no room for it.
    NoRoom,
}

impl Deflated {
    pub(super) fn new(kind: MessageKind, payload: Vec<u8>) -> Self {
        Self { kind, payload }
    }

    /// Which of the two kinds of message.
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Its length as it was sent.
    pub fn sent_bytes(&self) -> usize {
        self.payload.len()
    }

    /// The message, of at most `bytes_max` bytes. `admit` is asked before that many bytes in all are taken, again
    /// and again as they become more; once it says no, that is the end.
    pub fn inflate(
        &self,
        bytes_max: usize,
        admit: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Inflated, ProtocolError> {
        Ok(match inflate(&self.payload, bytes_max, admit)? {
            Output::Whole(bytes) => Inflated::Whole(match self.kind {
                MessageKind::Text => Incoming::Text(text(bytes)?),
                MessageKind::Binary => Incoming::Binary(bytes.into()),
            }),
            Output::Cut(mut bytes) => {
                bytes.truncate(BEGINNING_BYTES);
                bytes.shrink_to_fit();
                Inflated::TooLong(TooLong { kind: self.kind, beginning: bytes.into() })
            }
            Output::NoRoom => Inflated::NoRoom,
        })
    }

    /// Its first [`BEGINNING_BYTES`]; none where it does not inflate.
    pub fn beginning(&self) -> Bytes {
        self.first(BEGINNING_BYTES).unwrap_or_default().into()
    }

    /// At most so many of its first bytes.
    pub(super) fn first(&self, bytes_max: usize) -> Result<Vec<u8>, ProtocolError> {
        Ok(match inflate(&self.payload, bytes_max, &mut |_| true)? {
            Output::Whole(bytes) | Output::Cut(bytes) => bytes,
            Output::NoRoom => Vec::new(),
        })
    }
}

/// A text, if it is one.
pub(super) fn text(payload: Vec<u8>) -> Result<String, ProtocolError> {
    String::from_utf8(payload).map_err(|_| ProtocolError::InvalidUtf8)
}
