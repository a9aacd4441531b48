//! Bytes from a peer to messages.

mod message;

use bytes::Bytes;

use self::message::{Course, Message};
use super::{
    close::CloseCode,
    error::ProtocolError,
    extension::Deflate,
    header::{Header, Opcode, Sender, unmask},
    incoming::Incoming,
    parts::MessageKind,
    whole::{BEGINNING_BYTES, Inflated, text},
};

/// What one connection may make its receiver hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest message, inflated. A server skips a longer one ([`Incoming::TooLong`]); a client, who would
    /// miss something, ends the connection.
    pub message_bytes_max: usize,
}

/// A message that says it is longer than this is not skipped but ends the connection with 1009: 1 TiB, which
/// nobody can send in the time that a message has.
pub const SKIPPED_BYTES_MAX: u64 = 1 << 40;

impl Limits {
    /// The longest message as it is sent. DEFLATE makes an incompressible payload longer: by an eighth
    /// and a little at the worst that zlib does, which its least memory level comes near.
    fn sent_bytes_max(self, deflated: bool) -> usize {
        with_allowance(self.message_bytes_max, deflated)
    }

    /// What is kept of a longer message as it is sent, so that its receiver can tell what it is about.
    fn kept_bytes_max(self, deflated: bool) -> usize {
        with_allowance(self.beginning_bytes(), deflated)
    }

    fn beginning_bytes(self) -> usize {
        BEGINNING_BYTES.min(self.message_bytes_max)
    }
}

/// `bytes`, and if they come compressed as much more as DEFLATE can make of them.
fn with_allowance(bytes: usize, deflated: bool) -> usize {
    bytes.saturating_add(if deflated { bytes / 7 + 64 } else { 0 })
}

/// One connection's receiving half. [`push`](Self::push) what was read, then call
/// [`next`](Self::next) until it has no more.
///
/// Payload moves out of the input as it arrives, so between calls the decoder holds the message under
/// way (as [`Limits`] allows; while compressed, a seventh more; of one over the limit its first 16 KiB) and less
/// than one control frame. Once `next` has nothing more and no message is under way, it holds no heap memory
/// but such a beginning.
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
    /// How many data messages have begun, modulo 2^32.
    messages_begun: u32,
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

/// A data frame whose payload isn't all here.
#[derive(Clone, Copy, Debug)]
struct Frame {
    fin: bool,
    mask: [u8; 4],
    received: u64,
    missing: u64,
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
            messages_begun: 0,
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

    /// The number of the message that began last. It tells one message from the next.
    pub fn message_number(&self) -> u32 {
        self.messages_begun
    }

    /// Whether a message over the limit is being passed over.
    pub fn is_skipping(&self) -> bool {
        self.message.as_ref().is_some_and(|message| message.course != Course::Kept)
    }

    /// The next message or control frame, inflated; `None` until more is pushed, or for good after a Close. An
    /// error is final: it is returned again and again.
    #[expect(clippy::should_implement_trait, reason = "`None` isn't the end here, as it is an iterator's")]
    pub fn next(&mut self) -> Result<Option<Incoming>, ProtocolError> {
        let message = match self.next_as_sent()? {
            Some(Incoming::Deflated(message)) => message,
            other => return Ok(other),
        };
        let inflated = message.inflate(self.limits.message_bytes_max, &mut |_| true);
        let inflated = inflated.and_then(|inflated| match inflated {
            Inflated::Whole(incoming) => Ok(incoming),
            Inflated::TooLong(too_long) if self.sender == Sender::Client => Ok(Incoming::TooLong(too_long)),
            Inflated::TooLong(_) | Inflated::NoRoom => Err(ProtocolError::MessageTooBig),
        });
        inflated.map(Some).inspect_err(|error| self.end(Phase::Failed(*error)))
    }

    /// The same, with compressed messages left as they are: who must not hold much inflates them when there is
    /// room.
    pub fn next_as_sent(&mut self) -> Result<Option<Incoming>, ProtocolError> {
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
                let missing = usize::try_from(frame.missing).unwrap_or(usize::MAX);
                let piece = &available[..missing.min(available.len())];
                self.consumed += piece.len();
                message.take(frame, piece, self.limits);
                if frame.missing > 0 || !frame.fin {
                    message.check_so_far()?;
                }
                let (is_ended, fin) = (frame.missing == 0, frame.fin);
                if let Some(too_long) = message.tell_too_long(is_ended && fin, self.limits)? {
                    return Ok(Some(Incoming::TooLong(too_long)));
                }
                if !is_ended {
                    return Ok(None);
                }
                self.frame = None;
                if fin
                    && let Some(message) = self.message.take()
                    && message.course == Course::Kept
                {
                    return message.finish().map(Some);
                }
            }

            let available = &self.input[self.consumed..];
            let Some((header, header_bytes)) = Header::parse(available, self.sender)? else {
                return Ok(None);
            };
            match header.opcode {
                Opcode::Text => self.open_frame(Some(MessageKind::Text), header, header_bytes)?,
                Opcode::Binary => self.open_frame(Some(MessageKind::Binary), header, header_bytes)?,
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
        kind: Option<MessageKind>,
        header: Header,
        header_bytes: usize,
    ) -> Result<(), ProtocolError> {
        self.consumed += header_bytes;
        self.messages_begun = self.messages_begun.wrapping_add(u32::from(kind.is_some()));
        if header.rsv1 && (kind.is_none() || self.deflate == Deflate::Off) {
            return Err(ProtocolError::ReservedBit);
        }
        let message = match (kind, &mut self.message) {
            (Some(_), Some(_)) => return Err(ProtocolError::InterleavedMessage),
            (None, None) => return Err(ProtocolError::UnexpectedContinuation),
            (None, Some(message)) => message,
            (Some(kind), slot) => slot.insert(Message {
                kind,
                deflated: header.rsv1,
                payload: Vec::new(),
                checked: 0,
                course: Course::Kept,
            }),
        };
        message.announce(header.payload_bytes, self.limits, self.sender)?;
        self.frame =
            Some(Frame { fin: header.fin, mask: header.mask, received: 0, missing: header.payload_bytes });
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

fn close(payload: Bytes) -> Result<Incoming, ProtocolError> {
    if payload.is_empty() {
        return Ok(Incoming::Close { code: None, reason: String::new() });
    }
    let (code, reason) = payload.split_first_chunk::<2>().ok_or(ProtocolError::CloseForm)?;
    let number = u16::from_be_bytes(*code);
    let code = CloseCode::new(number).ok_or(ProtocolError::CloseCode(number))?;
    Ok(Incoming::Close { code: Some(code), reason: text(reason.to_vec())? })
}
