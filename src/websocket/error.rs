//! What a peer can do wrong on an open connection.

use super::close::CloseCode;

/// A broken rule. The connection can't go on: send a Close frame with [`ProtocolError::close_code`]
/// and end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// RSV2 or RSV3 is set, or RSV1 where no compressed message starts.
    #[error("a reserved bit is set")]
    ReservedBit,
    /// An opcode without a meaning.
    #[error("opcode {0} is reserved")]
    ReservedOpcode(u8),
    /// A client must mask every frame.
    #[error("a frame isn't masked")]
    Unmasked,
    /// A server must mask none.
    #[error("a server's frame is masked")]
    Masked,
    /// A control frame must be whole.
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// A control frame carries at most 125 bytes.
    #[error("a control frame is longer than 125 bytes")]
    LongControl,
    /// The length is written in more bytes than it needs, or with its highest bit set.
    #[error("a frame's length isn't in its shortest form")]
    LengthForm,
    /// A continuation of nothing.
    #[error("a continuation without a message")]
    UnexpectedContinuation,
    /// A new message before the last one ended.
    #[error("a message starts inside another")]
    InterleavedMessage,
    /// A Close frame of one byte.
    #[error("a Close frame with half a code")]
    CloseForm,
    /// A code that may not be sent.
    #[error("close code {0} may not be sent")]
    CloseCode(u16),
    /// A text message or a close reason isn't UTF-8.
    #[error("a text isn't UTF-8")]
    InvalidUtf8,
    /// A compressed payload isn't DEFLATE.
    #[error("a compressed message doesn't inflate")]
    CorruptDeflate,
    /// A message of a server is longer than its client takes; or one of a client is longer than anything that
    /// is passed over ([`SKIPPED_BYTES_MAX`](super::SKIPPED_BYTES_MAX)).
    #[error("a message is over the size limit")]
    MessageTooBig,
}

impl ProtocolError {
    /// The code of the Close frame that ends the connection.
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::InvalidUtf8 | Self::CorruptDeflate => CloseCode::INVALID_PAYLOAD,
            Self::MessageTooBig => CloseCode::MESSAGE_TOO_BIG,
            Self::ReservedBit
            | Self::ReservedOpcode(_)
            | Self::Unmasked
            | Self::Masked
            | Self::FragmentedControl
            | Self::LongControl
            | Self::LengthForm
            | Self::UnexpectedContinuation
            | Self::InterleavedMessage
            | Self::CloseForm
            | Self::CloseCode(_) => CloseCode::PROTOCOL_ERROR,
        }
    }
}
