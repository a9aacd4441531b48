//! Messages to bytes. Nothing here belongs to one connection: a frame may be sent to all of them.

use std::cell::RefCell;

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};

use super::close::CloseCode;
use super::extension::Deflate;
use super::header::{CONTROL_BYTES_MAX, Opcode, Payload, frame};
use super::inflate::SYNC_TAIL;
use super::parts::MessageKind;

/// A shorter payload is sent as it is: it costs more time than the bytes are worth.
pub const DEFLATE_THRESHOLD_BYTES: usize = 128;

/// A Close frame's code takes two of its payload's bytes; the rest is the reason's.
const REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;

/// On commits of 300 to 2000 bytes, level 1 takes a third of the time and gives frames 20 % longer;
/// levels from 3 take longer and save no more than 1 %.
const DEFLATE_LEVEL: u32 = 2;

thread_local! {
    /// One deflate state a thread (a few hundred KiB), since no frame needs an earlier one's.
    static DEFLATE: RefCell<Compress> =
        RefCell::new(Compress::new(Compression::new(DEFLATE_LEVEL), false));
}

/// A message for all connections of one kind whose handshake ended with `deflate`: compressed if that makes it
/// shorter. Only this one form is made. A text must be UTF-8.
pub fn encode_shared(kind: MessageKind, deflate_to: Deflate, payload: &[u8]) -> Bytes {
    let opcode = match kind {
        MessageKind::Text => Opcode::Text,
        MessageKind::Binary => Opcode::Binary,
    };
    let short = match deflate_to {
        Deflate::Off => None,
        Deflate::On => deflate(payload),
    };
    match short {
        Some(short) => frame(opcode, Payload::Deflated, &short).into(),
        None => frame(opcode, Payload::Plain, payload).into(),
    }
}

/// A payload as permessage-deflate wants it (RFC 7692 section 7.2.1): DEFLATE without context, flushed
/// to a byte, without the flush's last four bytes. `None` if the payload is under
/// [`DEFLATE_THRESHOLD_BYTES`] or wouldn't get shorter.
pub fn deflate(payload: &[u8]) -> Option<Bytes> {
    if payload.len() < DEFLATE_THRESHOLD_BYTES {
        return None;
    }
    DEFLATE.with_borrow_mut(|state| {
        state.reset();
        // Output that fills all of this isn't complete, and isn't shorter than the payload either.
        let mut short = Vec::with_capacity(payload.len() + SYNC_TAIL.len());
        let status = state.compress_vec(payload, &mut short, FlushCompress::Sync).ok()?;
        let complete = status == Status::Ok
            && state.total_in() == payload.len() as u64
            && short.len() < payload.len() + SYNC_TAIL.len();
        let short = short.strip_suffix(&SYNC_TAIL).filter(|_| complete)?;
        Some(Bytes::copy_from_slice(short))
    })
}

/// One text message as one frame.
pub fn encode_text(payload: &str) -> Bytes {
    frame(Opcode::Text, Payload::Plain, payload.as_bytes()).into()
}

/// One binary message as one frame.
pub fn encode_binary(payload: &[u8]) -> Bytes {
    frame(Opcode::Binary, Payload::Plain, payload).into()
}

/// A Ping; of a payload over 125 bytes, the first 125.
pub fn encode_ping(payload: &[u8]) -> Bytes {
    control(Opcode::Ping, payload)
}

/// The answer to a Ping, which repeats its payload; of one over 125 bytes, the first 125.
pub fn encode_pong(payload: &[u8]) -> Bytes {
    control(Opcode::Pong, payload)
}

/// A Close. Without a code it has no reason either (the answer to a Close without a code). A reason
/// over 123 bytes is cut at a character's end.
pub fn encode_close(code: Option<CloseCode>, reason: &str) -> Bytes {
    match code {
        None => control(Opcode::Close, &[]),
        Some(code) => {
            let fits = |&end: &usize| reason.is_char_boundary(end);
            let end = (0..=reason.len().min(REASON_BYTES_MAX)).rev().find(fits).unwrap_or(0);
            control(Opcode::Close, &[&code.get().to_be_bytes(), &reason.as_bytes()[..end]].concat())
        }
    }
}

fn control(opcode: Opcode, payload: &[u8]) -> Bytes {
    let payload = &payload[..payload.len().min(CONTROL_BYTES_MAX)];
    frame(opcode, Payload::Plain, payload).into()
}
