//! Bytes from a peer to messages.

use bytes::Bytes;

use super::close::CloseCode;
use super::error::ProtocolError;
use super::extension::Deflate;
use super::header::{Header, Opcode, Sender, unmask};
use super::inflate::inflate;

/// What one connection may make its receiver hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest message, inflated. A longer one ends the connection with 1009.
    pub message_bytes_max: usize,
}

impl Limits {
    /// The longest message as it is sent. DEFLATE makes an incompressible payload longer: by an eighth
    /// and a little at the worst that zlib does, which its least memory level comes near.
    fn sent_bytes_max(self, deflated: bool) -> usize {
        let allowance = if deflated { self.message_bytes_max / 7 + 64 } else { 0 };
        self.message_bytes_max.saturating_add(allowance)
    }
}

/// What the peer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A text message, whole.
    Text(String),
    /// A binary message, whole.
    Binary(Bytes),
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

/// One connection's receiving half. [`push`](Self::push) what was read, then call
/// [`next`](Self::next) until it has no more.
///
/// Payload moves out of the input as it arrives, so between calls the decoder holds the message under
/// way (as [`Limits`] allows; while compressed, a seventh more) and less than one control frame. Once
/// `next` has nothing more and no message is under way, it holds no heap memory but such a beginning.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    deflate: Deflate,
    sender: Sender,
    phase: Phase,
    /// What was pushed; up to `consumed` it is done with.
    input: Vec<u8>,
    consumed: usize,
    message: Option<Message>,
    frame: Option<Frame>,
}

/// Every connection has one, so its size is a promise.
const _: () = assert!(size_of::<Decoder>() <= 200);

#[derive(Clone, Copy, Debug)]
enum Phase {
    Open,
    /// A Close frame came: what follows it means nothing.
    Closed,
    Failed(ProtocolError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

/// A data message some of whose frames are here.
#[derive(Debug)]
struct Message {
    kind: Kind,
    deflated: bool,
    /// The payload so far, unmasked.
    payload: Vec<u8>,
    /// Up to here a plain text is known to be UTF-8.
    checked: usize,
}

/// A data frame whose payload isn't all here.
#[derive(Clone, Copy, Debug)]
struct Frame {
    fin: bool,
    mask: [u8; 4],
    received: u64,
    missing: usize,
}

impl Decoder {
    /// A server's decoder, for a connection whose handshake has just been answered.
    pub fn new(limits: Limits, deflate: Deflate) -> Self {
        Self::of(Sender::Client, limits, deflate)
    }

    /// A client's decoder, for a connection whose handshake a server has just answered: it takes
    /// frames that aren't masked, under the same rules and limits.
    pub fn of_client(limits: Limits, deflate: Deflate) -> Self {
        Self::of(Sender::Server, limits, deflate)
    }

    fn of(sender: Sender, limits: Limits, deflate: Deflate) -> Self {
        Self {
            limits,
            deflate,
            sender,
            phase: Phase::Open,
            input: Vec::new(),
            consumed: 0,
            message: None,
            frame: None,
        }
    }

    /// Other limits from now on; also for the message under way.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Takes in what was read from the socket.
    pub fn push(&mut self, bytes: &[u8]) {
        match self.phase {
            Phase::Open => self.input.extend_from_slice(bytes),
            Phase::Closed | Phase::Failed(_) => {}
        }
    }

    /// How many bytes are held: of input not yet decoded and of a message under way.
    pub fn buffered_bytes(&self) -> usize {
        let message = self.message.as_ref().map_or(0, |message| message.payload.len());
        self.input.len() - self.consumed + message
    }

    /// The next message or control frame; `None` until more is pushed, or for good after a Close. An
    /// error is final: it is returned again and again.
    #[expect(clippy::should_implement_trait, reason = "`None` isn't the end here, as it is an iterator's")]
    pub fn next(&mut self) -> Result<Option<Incoming>, ProtocolError> {
        match self.phase {
            Phase::Open => {}
            Phase::Closed => return Ok(None),
            Phase::Failed(error) => return Err(error),
        }
        let outcome = self.decode();
        match &outcome {
            Ok(None) => self.compact(),
            Ok(Some(Incoming::Close { .. })) => self.end(Phase::Closed),
            Ok(Some(_)) => {}
            Err(error) => self.end(Phase::Failed(*error)),
        }
        outcome
    }

    fn decode(&mut self) -> Result<Option<Incoming>, ProtocolError> {
        loop {
            if let (Some(message), Some(frame)) = (&mut self.message, &mut self.frame) {
                let available = &self.input[self.consumed..];
                let piece = &available[..frame.missing.min(available.len())];
                self.consumed += piece.len();
                message.take(frame, piece, self.limits.sent_bytes_max(message.deflated));
                if frame.missing > 0 || !frame.fin {
                    message.check_so_far()?;
                }
                if frame.missing > 0 {
                    return Ok(None);
                }
                let fin = frame.fin;
                self.frame = None;
                if fin && let Some(message) = self.message.take() {
                    return message.finish(self.limits).map(Some);
                }
            }

            let available = &self.input[self.consumed..];
            let Some((header, header_bytes)) = Header::parse(available, self.sender)? else {
                return Ok(None);
            };
            match header.opcode {
                Opcode::Text => self.open_frame(Some(Kind::Text), header, header_bytes)?,
                Opcode::Binary => self.open_frame(Some(Kind::Binary), header, header_bytes)?,
                Opcode::Continuation => self.open_frame(None, header, header_bytes)?,
                Opcode::Ping => return Ok(self.take_control(header, header_bytes).map(Incoming::Ping)),
                Opcode::Pong => return Ok(self.take_control(header, header_bytes).map(Incoming::Pong)),
                Opcode::Close => return self.take_control(header, header_bytes).map(close).transpose(),
            }
        }
    }

    /// A control frame's payload; `None` while its last bytes, at most 125, are on the way.
    fn take_control(&mut self, header: Header, header_bytes: usize) -> Option<Bytes> {
        let start = self.consumed + header_bytes;
        let end = start + header.payload_bytes as usize;
        let mut payload = self.input.get(start..end)?.to_vec();
        self.consumed = end;
        unmask(&mut payload, header.mask, 0);
        Some(payload.into())
    }

    /// Starts a data frame, and its message if there is a `kind`: the rules that need more than the
    /// header, and the limit, before there is memory for it.
    fn open_frame(
        &mut self,
        kind: Option<Kind>,
        header: Header,
        header_bytes: usize,
    ) -> Result<(), ProtocolError> {
        self.consumed += header_bytes;
        if header.rsv1 && (kind.is_none() || self.deflate == Deflate::Off) {
            return Err(ProtocolError::ReservedBit);
        }
        let message = match (kind, &mut self.message) {
            (Some(_), Some(_)) => return Err(ProtocolError::InterleavedMessage),
            (None, None) => return Err(ProtocolError::UnexpectedContinuation),
            (None, Some(message)) => message,
            (Some(kind), slot) => {
                slot.insert(Message { kind, deflated: header.rsv1, payload: Vec::new(), checked: 0 })
            }
        };
        let room = self.limits.sent_bytes_max(message.deflated) - message.payload.len();
        let missing = usize::try_from(header.payload_bytes).map_err(|_| ProtocolError::MessageTooBig)?;
        if missing > room {
            return Err(ProtocolError::MessageTooBig);
        }
        self.frame = Some(Frame { fin: header.fin, mask: header.mask, received: 0, missing });
        Ok(())
    }

    /// Gives back the input's memory but for the start of a frame.
    fn compact(&mut self) {
        self.input = self.input[self.consumed..].to_vec();
        self.consumed = 0;
    }

    fn end(&mut self, phase: Phase) {
        *self = Self { phase, ..Self::of(self.sender, self.limits, self.deflate) };
    }
}

impl Message {
    /// Moves a piece of `frame`'s payload here. The memory doubles as bytes arrive, whatever length
    /// was announced, and ends at the limit.
    fn take(&mut self, frame: &mut Frame, piece: &[u8], bytes_max: usize) {
        let start = self.payload.len();
        let needed = start + piece.len();
        if needed > self.payload.capacity() {
            let doubled = self.payload.capacity().saturating_mul(2).min(bytes_max);
            self.payload.reserve_exact(needed.max(doubled) - start);
        }
        self.payload.extend_from_slice(piece);
        unmask(&mut self.payload[start..], frame.mask, frame.received);
        frame.received += piece.len() as u64;
        frame.missing -= piece.len();
    }

    /// Refuses a plain text as soon as it can't become UTF-8.
    fn check_so_far(&mut self) -> Result<(), ProtocolError> {
        if self.kind == Kind::Binary || self.deflated {
            return Ok(());
        }
        match std::str::from_utf8(&self.payload[self.checked..]) {
            Ok(text) => self.checked += text.len(),
            Err(error) if error.error_len().is_some() => return Err(ProtocolError::InvalidUtf8),
            Err(error) => self.checked += error.valid_up_to(),
        }
        Ok(())
    }

    fn finish(self, limits: Limits) -> Result<Incoming, ProtocolError> {
        let payload =
            if self.deflated { inflate(&self.payload, limits.message_bytes_max)? } else { self.payload };
        match self.kind {
            Kind::Binary => Ok(Incoming::Binary(payload.into())),
            Kind::Text => text(payload).map(Incoming::Text),
        }
    }
}

fn close(payload: Bytes) -> Result<Incoming, ProtocolError> {
    if payload.is_empty() {
        return Ok(Incoming::Close { code: None, reason: String::new() });
    }
    let (code, reason) = payload.split_first_chunk::<2>().ok_or(ProtocolError::CloseForm)?;
    let number = u16::from_be_bytes(*code);
    let code = CloseCode::new(number).ok_or(ProtocolError::CloseCode(number))?;
    Ok(Incoming::Close { code: Some(code), reason: text(reason.to_vec())? })
}

fn text(payload: Vec<u8>) -> Result<String, ProtocolError> {
    String::from_utf8(payload).map_err(|_| ProtocolError::InvalidUtf8)
}
