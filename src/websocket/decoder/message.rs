//! A message whose frames are arriving.

use super::{Frame, Limits, SKIPPED_BYTES_MAX};
use crate::websocket::{
    error::ProtocolError,
    header::{Sender, unmask},
    incoming::Incoming,
    parts::MessageKind,
    whole::{Deflated, TooLong, text},
};

/// A data message some of whose frames are here.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: MessageKind,
    pub(super) deflated: bool,
    /// The payload so far, unmasked; of a message that is skipped its beginning.
    pub(super) payload: Vec<u8>,
    /// Up to here a plain text is known to be UTF-8.
    pub(super) checked: usize,
    pub(super) course: Course,
}

/// What happens to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    Kept,
    /// It is over the limit: so many bytes of it were announced, and whether its receiver was told.
    Skipped {
        announced: u64,
        is_told: bool,
    },
}

impl Message {
    /// So many bytes more are to come. Whether the message is over the limit is known here, before there is
    /// memory for it.
    pub(super) fn announce(
        &mut self,
        bytes: u64,
        limits: Limits,
        sender: Sender,
    ) -> Result<(), ProtocolError> {
        let announced = match self.course {
            Course::Kept => self.payload.len() as u64,
            Course::Skipped { announced, .. } => announced,
        };
        let announced = announced.saturating_add(bytes);
        let is_kept = self.course == Course::Kept && announced <= limits.sent_bytes_max(self.deflated) as u64;
        if is_kept {
            return Ok(());
        }
        if sender == Sender::Server || announced > SKIPPED_BYTES_MAX {
            return Err(ProtocolError::MessageTooBig);
        }
        let is_told = matches!(self.course, Course::Skipped { is_told: true, .. });
        if self.course == Course::Kept {
            self.payload.truncate(limits.kept_bytes_max(self.deflated));
            self.payload.shrink_to_fit();
        }
        self.course = Course::Skipped { announced, is_told };
        Ok(())
    }

    /// Moves a piece of `frame`'s payload here, as much of it as is kept. The memory doubles as bytes arrive,
    /// whatever length was announced, and ends at the limit.
    pub(super) fn take(&mut self, frame: &mut Frame, piece: &[u8], limits: Limits) {
        let bytes_max = match self.course {
            Course::Kept => limits.sent_bytes_max(self.deflated),
            Course::Skipped { is_told: false, .. } => limits.kept_bytes_max(self.deflated),
            Course::Skipped { is_told: true, .. } => 0,
        };
        let start = self.payload.len();
        let kept = &piece[..piece.len().min(bytes_max.saturating_sub(start))];
        let needed = start + kept.len();
        if needed > self.payload.capacity() {
            let doubled = self.payload.capacity().saturating_mul(2).min(bytes_max);
            self.payload.reserve_exact(needed.max(doubled) - start);
        }
        self.payload.extend_from_slice(kept);
        unmask(&mut self.payload[start..], frame.mask, frame.received);
        frame.received += piece.len() as u64;
        frame.missing -= piece.len() as u64;
    }

    /// Of a message over the limit, once: its beginning, as soon as that is here or nothing more comes.
    pub(super) fn tell_too_long(
        &mut self,
        is_ended: bool,
        limits: Limits,
    ) -> Result<Option<TooLong>, ProtocolError> {
        let Course::Skipped { announced, is_told: false } = self.course else { return Ok(None) };
        if !is_ended && self.payload.len() < limits.kept_bytes_max(self.deflated) {
            return Ok(None);
        }
        self.course = Course::Skipped { announced, is_told: true };
        let payload = std::mem::take(&mut self.payload);
        let kind = self.kind;
        let beginning = match self.deflated {
            true => Deflated::new(kind, payload).first(limits.beginning_bytes())?,
            false => payload,
        };
        Ok(Some(TooLong { kind, beginning: beginning.into() }))
    }

    /// Refuses a plain text as soon as it can't become UTF-8.
    pub(super) fn check_so_far(&mut self) -> Result<(), ProtocolError> {
        if self.kind == MessageKind::Binary || self.deflated || self.course != Course::Kept {
            return Ok(());
        }
        match std::str::from_utf8(&self.payload[self.checked..]) {
            Ok(text) => self.checked += text.len(),
            Err(error) if error.error_len().is_some() => return Err(ProtocolError::InvalidUtf8),
            Err(error) => self.checked += error.valid_up_to(),
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Incoming, ProtocolError> {
        match self.kind {
            kind if self.deflated => Ok(Incoming::Deflated(Deflated::new(kind, self.payload))),
            MessageKind::Binary => Ok(Incoming::Binary(self.payload.into())),
            MessageKind::Text => text(self.payload).map(Incoming::Text),
        }
    }
}
