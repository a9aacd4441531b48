//! Executes client frames. Not here: their answers ([`super::answers`]).

use std::time::Duration;

use bytes::Bytes;
use dao_projections::GraphId;
use futures::FutureExt;
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument;

use super::{
    authorize::FrameAuthorizer,
    client_frames::{ClientFrame, FrameReader, PRESENCE_BYTES_MAX, SHORT_BYTES_MAX, SizedFrame},
    connection::{Connection, ConnectionPhase, Event, IN_FLIGHT_MAX},
    credentials,
    envelope::BadFrame,
    long_messages::{self, LongMessage, LongMessageOutcome, UnreadMessage},
    read_outcome::ResumeRequest,
    server_frames::{FollowedVersions, ServerFrame, WelcomeLimits},
    submission::{Submission, SubmissionAnswer},
    subscription::SUBSCRIPTIONS_MAX,
};
use crate::{
    auth::Right,
    domain::Operation,
    http::{commands::CommandSpan, format::Format, problem::Problem},
    telemetry::{Direction, DropReason, continue_from},
    websocket::{
        BEGINNING_BYTES, CloseCode, Deflated, Incoming, Inflated, ProtocolError, encode_close, encode_pong,
    },
    write::{ANSWER_BYTES_MAX, WriteError},
};

/// When to retry after a temporary failure.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Why a socket closes if there is no memory for its message.
const NO_ROOM: &str = "too many request bytes in flight. Try again later";

/// While the budget is empty, each frame over this length pauses its connection: compressed, it may have been a hundred
/// bytes, so that reading one after the other would cost far more than sending them.
const OVER_BUDGET_BYTES: usize = 1 << 10;
/// How long such a connection takes no frame.
const OVER_BUDGET_PAUSE: Duration = Duration::from_millis(20);

/// `GOODBYE` spreads reconnections over this many milliseconds.
const RECONNECT_SPREAD_MS: u64 = 5_000;

impl Connection {
    pub(super) fn welcome(&mut self) {
        let entity_bytes = self.live.graphs.limits().entity_bytes_max;
        let limits = WelcomeLimits {
            message_bytes: self.live.limits.body_bytes_max,
            entity_bytes,
            batch_operations: self.live.limits.batch_operations_max,
            json_depth: self.live.limits.depth_max,
            subscriptions: SUBSCRIPTIONS_MAX,
            in_flight: IN_FLIGHT_MAX,
            presence_bytes: PRESENCE_BYTES_MAX,
            operation_ttl_ms: self.live.operation_ttl.as_millis() as u64,
        };
        let heartbeat_ms = self.live.heartbeat.as_millis() as u64;
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let server_time = since_epoch.map_or(0, |elapsed| elapsed.as_millis() as u64);
        self.send_frame(&ServerFrame::Welcome {
            connection_id: self.peer.id,
            heartbeat_ms,
            limits,
            server_time,
        });
    }

    /// On shutdown, requests in flight are answered before `GOODBYE` (rule W9).
    pub(super) fn say_goodbye_once_all_is_answered(&mut self) {
        let ConnectionPhase::Stopping(until) = self.phase else { return };
        let is_answered = self.is_drained
            && self.long_message_bytes.is_none()
            && self.commands_in_flight == 0
            && self.subscriptions.iter().all(|subscription| subscription.unanswered() == 0);
        if !is_answered && self.now < until {
            return;
        }
        self.deliver_held();
        for index in 0..self.subscriptions.len() {
            self.subscriptions[index].all_answers().into_iter().for_each(|frame| self.send(frame));
        }
        // The random bits of the id spread reconnections.
        let reconnect_after_ms = self.peer.id.as_u128() as u64 % RECONNECT_SPREAD_MS;
        self.send_frame(&ServerFrame::Goodbye { reconnect_after_ms });
        self.end(encode_close(Some(CloseCode::SERVICE_RESTART), "the server is stopping"));
    }

    pub(super) fn take(&mut self, message: Incoming) {
        self.live.metrics().messages.of(Direction::In).inc();
        let (format, kind) = (self.peer.encoding.format, self.peer.encoding.kind());
        match message {
            Incoming::Text(text) if format == Format::Json => self.take_plain(text.into_bytes().into()),
            Incoming::Binary(bytes) if format == Format::MessagePack => self.take_plain(bytes),
            Incoming::Deflated(message) if message.kind() == kind => self.take_deflated(message),
            Incoming::TooLong(message) => self.take_too_long(&message.beginning),
            Incoming::Text(_) | Incoming::Binary(_) | Incoming::Deflated(_) => {
                let message = match format {
                    Format::Json => "this connection uses JSON in text frames",
                    Format::MessagePack => "this connection uses MessagePack in binary frames",
                };
                self.send_error(&Problem::bad_request(message), None, None);
            }
            Incoming::Ping(payload) => self.send(encode_pong(&payload)),
            Incoming::Pong(_) => {}
            Incoming::Close { code, .. } => self.end_with_held(encode_close(code, "")),
        }
    }

    /// The reader of this connection's frames.
    fn reader(&self) -> FrameReader {
        let limits = &self.live.limits;
        FrameReader {
            user: self.peer.user.clone(),
            sending: self.peer.sending(),
            format: self.peer.encoding.format,
            limits: limits.document(),
            message_bytes_max: self.peer.credentials.message_bytes_max(limits.body_bytes_max),
            authorizer: FrameAuthorizer::new(&self.peer.credentials, self.peer.rate_budget.clone()),
        }
    }

    fn take_plain(&mut self, bytes: Bytes) {
        if bytes.len() > SHORT_BYTES_MAX {
            let beginning = bytes.slice(..BEGINNING_BYTES);
            return self.take_long(UnreadMessage::Plain(bytes), &beginning);
        }
        let read = self.reader().read(&bytes);
        if bytes.len() > OVER_BUDGET_BYTES && read.as_ref().is_err_and(|bad| bad.is_over_budget) {
            self.pause();
        }
        self.take_frame(read);
    }

    /// Takes no frame for [`OVER_BUDGET_PAUSE`].
    fn pause(&mut self) {
        self.paused_until = Some(self.now + OVER_BUDGET_PAUSE);
    }

    /// A message that is short after inflating is read at once.
    fn take_deflated(&mut self, message: Deflated) {
        let max = self.reader().message_bytes_max;
        match message.inflate(SHORT_BYTES_MAX.min(max), &mut |_| true) {
            Ok(Inflated::Whole(Incoming::Text(text))) => self.take_plain(text.into_bytes().into()),
            Ok(Inflated::Whole(Incoming::Binary(bytes))) => self.take_plain(bytes),
            Ok(Inflated::TooLong(too_long)) if max <= SHORT_BYTES_MAX => {
                self.take_too_long(&too_long.beginning);
            }
            Ok(Inflated::TooLong(long)) => self.take_long(UnreadMessage::Deflated(message), &long.beginning),
            Ok(Inflated::Whole(_) | Inflated::NoRoom) => {}
            Err(error) => self.take_broken(error),
        }
    }

    /// A long message is parsed off this thread, unless its beginning already shows that it is refused.
    fn take_long(&mut self, message: UnreadMessage, beginning: &[u8]) {
        let reader = self.reader();
        match reader.authorize_beginning(beginning) {
            Err(bad) => {
                if bad.is_over_budget {
                    self.pause();
                }
                self.answer_bad(bad);
            }
            Ok(authorized) => {
                self.long_message_bytes = Some(message.held_bytes());
                let read = long_messages::read(message, reader, authorized, self.live.bodies.clone());
                self.begin(async move { Event::LongMessage(Box::new(read.await)) }.boxed());
            }
        }
    }

    pub(super) fn take_long_message(&mut self, read: LongMessage) {
        let LongMessage { counted, turn, outcome } = read;
        self.long_message_bytes = None;
        self.message_budget.adopt(counted);
        // It was ended meanwhile, perhaps because its token expired.
        if !self.is_alive() {
            return;
        }
        match outcome {
            LongMessageOutcome::Frame(SizedFrame { frame, bytes }) => self.dispatch(frame, bytes, turn),
            LongMessageOutcome::Bad(bad) => {
                if bad.is_over_budget {
                    self.pause();
                }
                self.answer_bad(*bad);
            }
            LongMessageOutcome::NoRoom => {
                self.end_with_held(encode_close(Some(CloseCode::TRY_AGAIN_LATER), NO_ROOM));
            }
            LongMessageOutcome::Broken(error) => self.take_broken(error),
        }
    }

    /// A message over the limit is answered as soon as its beginning arrives, and not read (rule W5).
    fn take_too_long(&mut self, beginning: &[u8]) {
        let bad = self.reader().too_long(beginning, false);
        self.take_frame(Err(bad));
    }

    /// The peer violated the WebSocket protocol (rule W9).
    pub(super) fn take_broken(&mut self, error: ProtocolError) {
        self.live.metrics().dropped.of(DropReason::Protocol).inc();
        self.end_with_held(encode_close(Some(error.close_code()), &error.to_string()));
    }

    fn take_frame(&mut self, read: Result<SizedFrame, BadFrame>) {
        match read {
            Ok(SizedFrame { frame: ClientFrame::Auth { token }, .. }) => self.authenticate(&token),
            _ if self.peer.credentials.is_unauthenticated() => {
                self.reject("the first frame must be AUTH with a token");
            }
            Ok(SizedFrame { frame, bytes }) => self.dispatch(frame, bytes, None),
            Err(bad) => self.answer_bad(bad),
        }
    }

    fn answer_bad(&mut self, bad: BadFrame) {
        match bad {
            BadFrame {
                problem, graph: Some(graph), operation: Some(operation), is_operation: true, ..
            } => {
                self.revert(&graph, operation, &problem, None);
            }
            BadFrame { problem, graph, operation, .. } => {
                self.send_error(&problem, graph.as_ref(), operation);
            }
        }
    }

    /// Executes a frame if its sender has the right. `bytes` and `turn` are held until it is answered.
    pub(super) fn dispatch(&mut self, frame: ClientFrame, bytes: usize, turn: Option<OwnedSemaphorePermit>) {
        let need = credentials::need(&frame, self.live.graphs.protected_labels());
        if let Some(Err(problem)) = need.map(|(right, graph)| self.peer.credentials.may(right, graph)) {
            return self.refuse(&frame, &problem);
        }
        let denied = credentials::sources_of(&frame)
            .find_map(|source| self.peer.credentials.may(Right::Read, source).err());
        if let Some(problem) = denied {
            return self.refuse(&frame, &problem);
        }
        match frame {
            ClientFrame::Subscribe { graph, version, hash, pending } => {
                let point = version.map(|version| (version, hash));
                self.subscribe(graph, ResumeRequest { point, pending, reset: false });
            }
            ClientFrame::Unsubscribe { graph } => {
                self.deliver_held();
                self.unsubscribe(&graph);
            }
            ClientFrame::Command { graph, operation } => {
                let submission = Submission::Command(operation.id);
                self.submit(graph, submission, bytes, vec![*operation], turn);
            }
            ClientFrame::Batch { graph, batch } => {
                let submission =
                    if batch.is_atomic { Submission::Atomic(batch.id) } else { Submission::Each(batch.id) };
                self.submit(graph, submission, bytes, batch.operations, turn);
            }
            ClientFrame::Presence { graph, client, slot, state } => self.show(&graph, client, (slot, state)),
            ClientFrame::Auth { token } => self.authenticate(&token),
            ClientFrame::Ping => {
                self.deliver_held();
                let heads = self.subscriptions.iter().filter(|subscription| !subscription.is_joining());
                let heads = heads.map(|subscription| (&subscription.graph, subscription.version()));
                let versions = FollowedVersions(heads.collect());
                let pong = self.peer.encoding.encode(&ServerFrame::Pong { versions });
                self.send(pong);
            }
        }
    }

    /// Refuses operations with `REVERT`, everything else with `ERROR`.
    fn refuse(&mut self, frame: &ClientFrame, problem: &Problem) {
        match frame {
            ClientFrame::Command { graph, operation } => self.revert(graph, operation.id, problem, None),
            ClientFrame::Batch { graph, batch } => self.revert(graph, batch.id, problem, None),
            ClientFrame::Subscribe { graph, .. }
            | ClientFrame::Unsubscribe { graph }
            | ClientFrame::Presence { graph, .. } => self.send_error(problem, Some(graph), None),
            ClientFrame::Ping | ClientFrame::Auth { .. } => self.send_error(problem, None, None),
        }
    }

    fn submit(
        &mut self,
        graph: GraphId,
        submission: Submission,
        bytes: usize,
        operations: Vec<Operation>,
        turn: Option<OwnedSemaphorePermit>,
    ) {
        let answer_bytes = self.answer_bytes_of(&operations);
        self.commands_in_flight += 1;
        self.command_bytes_in_flight += bytes;
        self.answer_bytes_in_flight += answer_bytes;
        let (Submission::Command(id) | Submission::Atomic(id) | Submission::Each(id)) = submission;
        let span = CommandSpan::of(&graph, id, &self.peer.user).span;
        continue_from(&span, operations.first().and_then(|operation| operation.traceparent));
        match span.in_scope(|| self.live.graphs.submit(&graph, operations)) {
            Ok(answers) => self.begin(
                async move {
                    let answers = answers.await.unwrap_or(Err(WriteError::Failed));
                    drop(turn);
                    Event::Answered(SubmissionAnswer { graph, submission, bytes, answer_bytes, answers })
                }
                .instrument(span)
                .boxed(),
            ),
            Err(error) => {
                self.answer(SubmissionAnswer { graph, submission, bytes, answer_bytes, answers: Err(error) })
            }
        }
    }

    /// The approximate length of the answer: one entity for each command.
    fn answer_bytes_of(&self, operations: &[Operation]) -> usize {
        let entity_bytes = self.live.graphs.limits().entity_bytes_max;
        let shown: usize = operations.iter().map(|operation| operation.action.members().len()).sum();
        shown.saturating_mul(entity_bytes).min(ANSWER_BYTES_MAX)
    }
}
