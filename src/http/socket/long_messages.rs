//! Long messages: inflated and parsed off the connection's thread. They wait for a turn together with large HTTP bodies
//! and are counted in the same budget (rule O3).
//!
//! Invariant: a connection parses one long message at a time, and no later message before that is done. Not here:
//! short messages, which are parsed on the connection's thread.

use std::sync::Arc;

use bytes::Bytes;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{
    client_frames::{FrameReader, SizedFrame},
    envelope::{BadFrame, Envelope},
};
use crate::{
    http::{problem::Problem, request_body::Bodies},
    websocket::{BEGINNING_BYTES, Deflated, Incoming, Inflated, ProtocolError},
};

/// A complete message that is not parsed yet.
pub(super) enum UnreadMessage {
    Plain(Bytes),
    Deflated(Deflated),
}

impl UnreadMessage {
    /// Bytes that it occupies as received.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Plain(bytes) => bytes.len(),
            Self::Deflated(message) => message.sent_bytes(),
        }
    }

    /// How long it may be after inflating.
    fn bytes_max(&self) -> usize {
        match self {
            Self::Plain(bytes) => bytes.len(),
            Self::Deflated(_) => usize::MAX,
        }
    }
}

/// The result of parsing a long message.
pub(super) struct LongMessage {
    /// Its share of the budget, beyond the bytes received.
    pub(super) counted: Option<OwnedSemaphorePermit>,
    /// Its turn, held until it is answered.
    pub(super) turn: Option<OwnedSemaphorePermit>,
    pub(super) outcome: LongMessageOutcome,
}

pub(super) enum LongMessageOutcome {
    Frame(SizedFrame),
    Bad(Box<BadFrame>),
    /// There is no memory for it; the client has to retry.
    NoRoom,
    /// It violates the protocol.
    Broken(ProtocolError),
}

/// Reads a long message once it is its turn; with the envelope that its sender was judged by, if its beginning told
/// enough.
pub(super) async fn read(
    message: UnreadMessage,
    reader: FrameReader,
    authorized: Option<Envelope>,
    bodies: Arc<Bodies>,
) -> LongMessage {
    let end = Instant::now() + bodies.patience();
    let turn = match bodies.turn_for(message.bytes_max(), end).await {
        Ok(turn) => turn,
        Err(problem) => return unread(unturned(&message, &reader, problem)),
    };
    let work = tokio::task::spawn_blocking(move || {
        let mut counted = None;
        let message = inflated(message, &reader, authorized.is_some(), &bodies, &mut counted);
        let outcome =
            message.and_then(|message| decoded(&message, &reader, authorized, &bodies, &mut counted));
        LongMessage {
            counted,
            turn,
            outcome: outcome.map_or_else(|outcome| outcome, LongMessageOutcome::Frame),
        }
    });
    work.await.unwrap_or_else(|error| {
        let problem = Problem::internal().because(error);
        unread(BadFrame { problem, graph: None, operation: None, is_operation: false, is_over_budget: false })
    })
}

fn unread(bad: BadFrame) -> LongMessage {
    LongMessage { counted: None, turn: None, outcome: LongMessageOutcome::Bad(bad.into()) }
}

/// The refusal of a message that got no turn in time.
fn unturned(message: &UnreadMessage, reader: &FrameReader, problem: Problem) -> BadFrame {
    let beginning = match message {
        UnreadMessage::Plain(bytes) => bytes.clone(),
        UnreadMessage::Deflated(message) => message.beginning(),
    };
    reader.refused(&beginning, problem)
}

/// Parses the message and counts what it occupies.
fn decoded(
    message: &Bytes,
    reader: &FrameReader,
    authorized: Option<Envelope>,
    bodies: &Bodies,
    counted: &mut Option<OwnedSemaphorePermit>,
) -> Result<SizedFrame, LongMessageOutcome> {
    let read = match authorized {
        Some(authorized) => reader.read_authorized(message, &authorized),
        None => reader.read(message),
    };
    let read = read.map_err(|bad| LongMessageOutcome::Bad(bad.into()))?;
    // A plain message was counted while it was received, an inflated one while it grew.
    let already = if counted.is_none() { message.len() } else { 0 };
    count(counted, read.bytes.saturating_sub(already), bodies).map_err(|problem| {
        let beginning = &message[..message.len().min(BEGINNING_BYTES)];
        LongMessageOutcome::Bad(reader.refused(beginning, problem).into())
    })?;
    Ok(read)
}

/// Raises the counted bytes to this total.
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

/// Inflates the message and counts its bytes while it grows.
fn inflated(
    message: UnreadMessage,
    reader: &FrameReader,
    is_authorized: bool,
    bodies: &Bodies,
    counted: &mut Option<OwnedSemaphorePermit>,
) -> Result<Bytes, LongMessageOutcome> {
    let message = match message {
        UnreadMessage::Plain(bytes) => return Ok(bytes),
        UnreadMessage::Deflated(message) => message,
    };
    let mut admit = |bytes: usize| count(counted, bytes, bodies).is_ok();
    match message.inflate(reader.message_bytes_max, &mut admit) {
        Ok(Inflated::Whole(Incoming::Text(text))) => Ok(text.into_bytes().into()),
        Ok(Inflated::Whole(Incoming::Binary(bytes))) => Ok(bytes),
        Ok(Inflated::Whole(_) | Inflated::NoRoom) => Err(LongMessageOutcome::NoRoom),
        Ok(Inflated::TooLong(message)) => {
            Err(LongMessageOutcome::Bad(reader.too_long(&message.beginning, is_authorized).into()))
        }
        Err(error) => Err(LongMessageOutcome::Broken(error)),
    }
}
