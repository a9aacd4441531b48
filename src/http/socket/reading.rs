//! Long messages: inflated and read off the connection's thread, in turn with large bodies, and counted with them
//! (rule O3).
//!
//! Invariant: of one connection one long message is read at a time, and nothing that came after it is looked at
//! until it is. Not here: short messages, which are read where they come.

use std::sync::Arc;

use bytes::Bytes;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{
    envelope::{BadFrame, Envelope},
    incoming::{Counted, Reader},
};
use crate::{
    http::{problem::Problem, request_body::Bodies},
    websocket::{BEGINNING_BYTES, Deflated, Incoming, Inflated, ProtocolError},
};

/// A whole message that is not read yet.
pub(super) enum Unread {
    Plain(Bytes),
    Deflated(Deflated),
}

impl Unread {
    /// Bytes that it takes as it is.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Plain(bytes) => bytes.len(),
            Self::Deflated(message) => message.sent_bytes(),
        }
    }

    /// How long it may turn out to be.
    fn bytes_max(&self) -> usize {
        match self {
            Self::Plain(bytes) => bytes.len(),
            Self::Deflated(_) => usize::MAX,
        }
    }
}

/// A long message that was read.
pub(super) struct Read {
    /// What it was counted with beside what it was sent as.
    pub(super) counted: Option<OwnedSemaphorePermit>,
    /// Held until it is answered.
    pub(super) turn: Option<OwnedSemaphorePermit>,
    pub(super) outcome: Outcome,
}

pub(super) enum Outcome {
    Frame(Counted),
    Bad(Box<BadFrame>),
    /// There is no memory for it: its sender has to come again.
    NoRoom,
    /// It breaks the protocol.
    Broken(ProtocolError),
}

/// Reads a long message once it is its turn; with the envelope that its sender was judged by, if its beginning told
/// enough.
pub(super) async fn read(
    message: Unread,
    reader: Reader,
    judged: Option<Envelope>,
    bodies: Arc<Bodies>,
) -> Read {
    let end = Instant::now() + bodies.patience();
    let turn = match bodies.turn_for(message.bytes_max(), end).await {
        Ok(turn) => turn,
        Err(problem) => return unread(unturned(&message, &reader, problem)),
    };
    let work = tokio::task::spawn_blocking(move || {
        let mut counted = None;
        let message = inflated(message, &reader, judged.is_some(), &bodies, &mut counted);
        let outcome = message.and_then(|message| decoded(&message, &reader, judged, &bodies, &mut counted));
        Read { counted, turn, outcome: outcome.map_or_else(|outcome| outcome, Outcome::Frame) }
    });
    work.await.unwrap_or_else(|error| {
        let problem = Problem::internal().because(error);
        unread(BadFrame { problem, graph: None, operation: None, is_operation: false })
    })
}

fn unread(bad: BadFrame) -> Read {
    Read { counted: None, turn: None, outcome: Outcome::Bad(bad.into()) }
}

/// Why a message did not get its turn, told about what it is about where it is plain.
fn unturned(message: &Unread, reader: &Reader, problem: Problem) -> BadFrame {
    let beginning = match message {
        Unread::Plain(bytes) => bytes.clone(),
        Unread::Deflated(message) => message.beginning(),
    };
    reader.refused(&beginning, problem)
}

/// What the message says, counted with what it occupies.
fn decoded(
    message: &Bytes,
    reader: &Reader,
    judged: Option<Envelope>,
    bodies: &Bodies,
    counted: &mut Option<OwnedSemaphorePermit>,
) -> Result<Counted, Outcome> {
    let read = match judged {
        Some(judged) => reader.read_judged(message, &judged),
        None => reader.read(message),
    };
    let read = read.map_err(|bad| Outcome::Bad(bad.into()))?;
    // A plain message is counted as it came; an inflated one as it grew.
    let already = if counted.is_none() { message.len() } else { 0 };
    count(counted, read.bytes.saturating_sub(already), bodies).map_err(|problem| {
        let beginning = &message[..message.len().min(BEGINNING_BYTES)];
        Outcome::Bad(reader.refused(beginning, problem).into())
    })?;
    Ok(read)
}

/// Counts so many bytes in all.
fn count(counted: &mut Option<OwnedSemaphorePermit>, bytes: usize, bodies: &Bodies) -> Result<(), Problem> {
    let held = counted.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
    if bytes <= held {
        return Ok(());
    }
    let more = bodies.count(bytes - held)?;
    match counted {
        Some(counted) => counted.merge(more),
        None => *counted = Some(more),
    }
    Ok(())
}

/// The message itself, counted as it grows.
fn inflated(
    message: Unread,
    reader: &Reader,
    is_judged: bool,
    bodies: &Bodies,
    counted: &mut Option<OwnedSemaphorePermit>,
) -> Result<Bytes, Outcome> {
    let message = match message {
        Unread::Plain(bytes) => return Ok(bytes),
        Unread::Deflated(message) => message,
    };
    let mut admit = |bytes: usize| count(counted, bytes, bodies).is_ok();
    match message.inflate(reader.message_bytes_max, &mut admit) {
        Ok(Inflated::Whole(Incoming::Text(text))) => Ok(text.into_bytes().into()),
        Ok(Inflated::Whole(Incoming::Binary(bytes))) => Ok(bytes),
        Ok(Inflated::Whole(_) | Inflated::NoRoom) => Err(Outcome::NoRoom),
        Ok(Inflated::TooLong(message)) => {
            Err(Outcome::Bad(reader.too_long(&message.beginning, is_judged).into()))
        }
        Err(error) => Err(Outcome::Broken(error)),
    }
}
