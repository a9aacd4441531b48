//! A frame's header (RFC 6455 section 5.2): reading a peer's, writing a server's.

use super::error::ProtocolError;

/// The longest payload of a control frame.
pub(super) const CONTROL_BYTES_MAX: usize = 125;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_AND_RSV3: u8 = 0x30;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
const LENGTH_IN_2_BYTES: u8 = 126;
const LENGTH_IN_8_BYTES: u8 = 127;
const LENGTH_SIGN: u64 = 1 << 63;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn new(nibble: u8) -> Result<Self, ProtocolError> {
        match nibble {
            0 => Ok(Self::Continuation),
            1 => Ok(Self::Text),
            2 => Ok(Self::Binary),
            8 => Ok(Self::Close),
            9 => Ok(Self::Ping),
            10 => Ok(Self::Pong),
            reserved => Err(ProtocolError::ReservedOpcode(reserved)),
        }
    }

    fn nibble(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// Whose frames are read: a client masks all of its frames, a server none (section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Server,
}

/// A frame's header that keeps every rule a header alone can break.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) fin: bool,
    pub(super) rsv1: bool,
    pub(super) opcode: Opcode,
    /// All zeros, which change nothing, where the sender does not mask.
    pub(super) mask: [u8; 4],
    pub(super) payload_bytes: u64,
}

impl Header {
    /// The header that `input` starts with and its length in bytes; `None` until it is whole. A rule
    /// that the first bytes break is reported without waiting for the others.
    pub(super) fn parse(input: &[u8], sender: Sender) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some((&first, rest)) = input.split_first() else { return Ok(None) };
        let (fin, rsv1) = (first & FIN != 0, first & RSV1 != 0);
        if first & RSV2_AND_RSV3 != 0 {
            return Err(ProtocolError::ReservedBit);
        }
        let opcode = Opcode::new(first & OPCODE)?;
        if opcode.is_control() && rsv1 {
            return Err(ProtocolError::ReservedBit);
        }
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControl);
        }

        let Some((&second, rest)) = rest.split_first() else { return Ok(None) };
        match (sender, second & MASKED != 0) {
            (Sender::Client, true) | (Sender::Server, false) => {}
            (Sender::Client, false) => return Err(ProtocolError::Unmasked),
            (Sender::Server, true) => return Err(ProtocolError::Masked),
        }
        let short = second & LENGTH;
        if opcode.is_control() && usize::from(short) > CONTROL_BYTES_MAX {
            return Err(ProtocolError::LongControl);
        }

        let Some((payload_bytes, rest)) = parse_length(short, rest)? else { return Ok(None) };
        let (mask, rest) = match sender {
            Sender::Server => ([0; 4], rest),
            Sender::Client => {
                let Some((&mask, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
                (mask, rest)
            }
        };
        Ok(Some((Self { fin, rsv1, opcode, mask, payload_bytes }, input.len() - rest.len())))
    }
}

/// The payload's length, whose first seven bits are `short`, and the bytes after it.
fn parse_length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, ProtocolError> {
    match short {
        LENGTH_IN_2_BYTES => {
            let Some((bytes, rest)) = rest.split_first_chunk::<2>() else { return Ok(None) };
            let length = u16::from_be_bytes(*bytes);
            if length < u16::from(LENGTH_IN_2_BYTES) {
                return Err(ProtocolError::LengthForm);
            }
            Ok(Some((u64::from(length), rest)))
        }
        LENGTH_IN_8_BYTES => {
            let Some((bytes, rest)) = rest.split_first_chunk::<8>() else { return Ok(None) };
            let length = u64::from_be_bytes(*bytes);
            if length <= u64::from(u16::MAX) || length & LENGTH_SIGN != 0 {
                return Err(ProtocolError::LengthForm);
            }
            Ok(Some((length, rest)))
        }
        length => Ok(Some((u64::from(length), rest))),
    }
}

/// Whether a frame's payload is compressed, which RSV1 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    Plain,
    Deflated,
}

/// One whole frame from the server: final, unmasked.
pub(super) fn frame(opcode: Opcode, form: Payload, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 10);
    push_header(&mut bytes, opcode, form, payload.len());
    bytes.extend_from_slice(payload);
    bytes
}

/// The header of a whole frame from the server, whose payload of this length follows.
pub(super) fn push_header(bytes: &mut Vec<u8>, opcode: Opcode, form: Payload, payload_bytes: usize) {
    let rsv1 = if form == Payload::Deflated { RSV1 } else { 0 };
    bytes.push(FIN | rsv1 | opcode.nibble());
    let length = payload_bytes as u64;
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length), _) if length < LENGTH_IN_2_BYTES => bytes.push(length),
        (_, Ok(length)) => {
            bytes.push(LENGTH_IN_2_BYTES);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
        (_, Err(_)) => {
            bytes.push(LENGTH_IN_8_BYTES);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
    }
}

/// A frame of [`frame`] as a client sends it: with this mask.
pub(super) fn masked(frame: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let [first, second, ..] = *frame else { return frame.to_vec() };
    let header_bytes = match second {
        LENGTH_IN_2_BYTES => 4,
        LENGTH_IN_8_BYTES => 10,
        _ => 2,
    };
    let (header, payload) = frame.split_at(header_bytes.min(frame.len()));
    let mut masked = [&[first, second | MASKED], &header[2..], &mask, payload].concat();
    unmask(&mut masked[header_bytes + mask.len()..], mask, 0);
    masked
}

/// Removes (or applies) a mask from a piece of a payload that starts `offset` bytes into it.
pub(super) fn unmask(piece: &mut [u8], mask: [u8; 4], offset: u64) {
    // As a little-endian number the mask's first byte is the lowest; rotating right by whole bytes
    // brings the byte that is due first to the front.
    let due = u32::from_le_bytes(mask).rotate_right(8 * (offset % 4) as u32);
    let word = u64::from(due) << 32 | u64::from(due);
    let (words, rest) = piece.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_le_bytes(*bytes) ^ word).to_le_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(word.to_le_bytes()) {
        *byte ^= mask;
    }
}
