//! One connection: a thin loop that reads and writes the socket and asks the cursors for the next commits.
//!
//! Invariants:
//! - Memory is bounded whatever the peer does: by the send queue ([`super::send_queue`]), by [`IN_FLIGHT_MAX`]
//!   requests in flight, by their [`IN_FLIGHT_BYTES`] and by [`ANSWER_BYTES`] of their answers. The last request may
//!   exceed the latter two. At any of these bounds the socket is not read (rule W6).
//! - Whatever arrives at once, other tasks have their turn after [`MESSAGES_PER_POLL`] messages.
//! - The loop sleeps when there is nothing to do. The socket, a followed graph, a finished read or command and one
//!   timer wake it.
//! - An idle connection holds no buffer.
//!
//! Not here: frames ([`super::server_frames`], [`super::client_frames`]) and their execution ([`super::dispatch`]);
//! commits of followed graphs ([`super::subscriptions`]).

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{
    FutureExt, Stream, StreamExt,
    future::BoxFuture,
    stream::{Abortable, BoxStream, FuturesUnordered, SelectAll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};

use super::{
    Live, Peer,
    client_frames::ClientFrame,
    long_messages::LongMessage,
    message_budget::{IncompleteMessage, MessageBudget},
    peer_credentials::Credentials,
    presence_pauses::PresencePauses,
    read_outcome::FinishedRead,
    read_queue::PendingReads,
    send_queue::SendQueue,
    submission::SubmissionAnswer,
    subscription::Subscription,
    wake::Wake,
};
use crate::{
    telemetry::Direction,
    websocket::{CloseCode, Decoder, Limits, encode_close},
};

/// Requests in flight on one connection: commands, batches, subscriptions, and answers that wait for their commit. At
/// this bound the socket is not read.
pub(super) const IN_FLIGHT_MAX: usize = 64;
/// Bytes of the commands in flight, without the last one.
const IN_FLIGHT_BYTES: usize = 1 << 20;
/// Bytes of the answers to the commands in flight, at their longest, and of answers that wait for their commit,
/// without the last one.
const ANSWER_BYTES: usize = 16 << 20;
/// How long requests in flight may take when the server stops. Shorter than the server's own shutdown timeout.
pub(super) const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// How long the peer has after the last frame to close the connection. Until then its bytes are read and dropped:
/// closing with unread bytes would reset the connection, and the peer could lose the last frames.
const LINGER: Duration = Duration::from_secs(2);
/// Messages that are handled before other tasks of the thread have their turn.
const MESSAGES_PER_POLL: usize = 32;
/// Bytes of one read.
const READ_BYTES: usize = 8 << 10;

/// Something that the connection waits for.
pub(super) enum Event {
    /// The server is stopping.
    Stop,
    Answered(SubmissionAnswer),
    Fetched(Box<FinishedRead>),
    /// A long message was read.
    LongMessage(Box<LongMessage>),
    /// Another connection needs the permit of this one, which is not authenticated.
    Evicted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionPhase {
    Open,
    /// The socket is not read. Requests in flight are answered until then, then `GOODBYE` is sent.
    Stopping(Instant),
    /// The last frame is in the send queue.
    Closing,
    /// The last frame is written; the peer has until then to close the connection.
    Lingering(Instant),
}

pub(super) struct Connection {
    pub(super) live: Arc<Live>,
    pub(super) peer: Peer,
    pub(super) send_queue: SendQueue,
    /// Messages and bytes that were put into the send queue and are not counted yet.
    pub(super) sent_messages: u64,
    pub(super) sent_bytes: u64,
    pub(super) subscriptions: Vec<Subscription>,
    /// Everything was sent not long ago: until then commits wait ([`super::pacing`]).
    pub(super) quiet_until: Option<Instant>,
    pub(super) generations: u64,
    pub(super) commands_in_flight: usize,
    pub(super) command_bytes_in_flight: usize,
    /// Bytes that the answers to those commands may have.
    pub(super) answer_bytes_in_flight: usize,
    pub(super) pending_reads: PendingReads,
    pub(super) presence_pauses: PresencePauses,
    /// The subscription that is served first next time.
    pub(super) turn: usize,
    /// When this iteration of the loop began.
    pub(super) now: Instant,
    socket: TcpStream,
    decoder: Decoder,
    pub(super) message_budget: MessageBudget,
    /// Bytes of the long message that is being parsed. No other message is taken until that is done.
    pub(super) long_message_bytes: Option<usize>,
    /// No message is taken before then: the budget is empty, and the last frame was a costly one.
    pub(super) paused_until: Option<Instant>,
    /// Messages that were handled since the task was woken.
    handled: usize,
    pub(super) phase: ConnectionPhase,
    /// Whether another connection has its permit. Then it does not linger.
    is_evicted: bool,
    /// Whether the decoder has no complete message left.
    pub(super) is_drained: bool,
    work: FuturesUnordered<BoxFuture<'static, Event>>,
    /// Whether work was added since the last poll. It wakes nobody before it is polled.
    has_begun: bool,
    pub(super) wakes: SelectAll<Abortable<BoxStream<'static, Wake>>>,
    pub(super) timer: Pin<Box<Sleep>>,
    pub(super) heard_at: Instant,
    pub(super) ping_at: Instant,
}

impl Connection {
    pub(super) fn new(
        live: Arc<Live>,
        socket: TcpStream,
        already_read: &[u8],
        peer: Peer,
        first: Option<ClientFrame>,
    ) -> Self {
        let message_bytes_max = peer.credentials.message_bytes_max(live.limits.body_bytes_max);
        let limits = Limits { message_bytes_max };
        let now = Instant::now();
        let ping_at = now + live.heartbeat;
        let stopping = live.stopping.clone().cancelled_owned();
        let mut connection = Self {
            send_queue: SendQueue::new(now),
            sent_messages: 0,
            sent_bytes: 0,
            subscriptions: Vec::new(),
            quiet_until: None,
            generations: 0,
            commands_in_flight: 0,
            command_bytes_in_flight: 0,
            answer_bytes_in_flight: 0,
            pending_reads: PendingReads::default(),
            presence_pauses: PresencePauses::default(),
            turn: 0,
            now,
            socket,
            decoder: Decoder::new(limits, peer.encoding.deflate),
            message_budget: MessageBudget::default(),
            long_message_bytes: None,
            paused_until: None,
            handled: 0,
            phase: ConnectionPhase::Open,
            is_evicted: false,
            is_drained: false,
            work: FuturesUnordered::new(),
            has_begun: false,
            wakes: SelectAll::new(),
            timer: Box::pin(sleep_until(ping_at)),
            heard_at: now,
            ping_at,
            live,
            peer,
        };
        connection.begin(stopping.map(|()| Event::Stop).boxed());
        if let Some(evicted) = connection.peer.permit.evicted() {
            connection.begin(evicted.map(|()| Event::Evicted).boxed());
        }
        connection.end_if_overdue();
        connection.welcome();
        connection.decoder.push(already_read);
        match (&mut connection.peer.credentials, first) {
            (Credentials::Unauthenticated { first, .. }, asked) => *first = asked.map(Box::new),
            (Credentials::NotRequired | Credentials::Authenticated { .. }, Some(frame)) => {
                connection.dispatch(frame, 0, None)
            }
            (
                Credentials::NotRequired | Credentials::Authenticated { .. } | Credentials::Rejected { .. },
                _,
            ) => {}
        }
        connection
    }

    /// Runs until either side closes the connection.
    pub(super) async fn run(mut self) {
        if let Err(error) = poll_fn(|cx| self.poll(cx)).await {
            tracing::debug!(connection = %self.peer.id, %error, "connection closed");
        }
        for subscription in &self.subscriptions {
            subscription.followed.room().leave(self.peer.id);
        }
    }

    /// Repeats as long as there is something to do. Whatever may allow more work (an event, bytes read, room in the send
    /// queue or for requests, new work) is followed by another iteration. A wake-up alone is not: what it allows is
    /// done in the iteration that takes it.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.now = Instant::now();
        self.handled = 0;
        loop {
            self.end_if_overdue();
            let happened = self.take_events(cx);
            let had_taken = self.take_messages();
            let accepted_input = self.accepts_input();
            let was_read = match self.read(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(_)) => true,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => false,
            };
            let has_taken = self.take_messages() || had_taken;
            self.count_received();
            self.fill();
            self.say_goodbye_once_all_is_answered();
            let had_room = self.send_queue.has_room();
            self.write(cx)?;
            let is_ending = self.phase == ConnectionPhase::Closing && self.send_queue.is_empty();
            if is_ending && self.is_evicted {
                return Poll::Ready(Ok(()));
            }
            if is_ending {
                self.phase = ConnectionPhase::Lingering(self.now + LINGER);
                std::task::ready!(Pin::new(&mut self.socket).poll_shutdown(cx))?;
            }
            if self.handled >= MESSAGES_PER_POLL {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let made_room = !had_room && self.send_queue.has_room();
            let may_take = !accepted_input && self.accepts_input();
            if happened || was_read || has_taken || made_room || may_take || is_ending || self.has_begun {
                continue;
            }
            if self.timer_has_fired(cx) {
                self.tick()?;
                continue;
            }
            return Poll::Pending;
        }
    }

    /// Adds work that ends with an event.
    pub(super) fn begin(&mut self, work: BoxFuture<'static, Event>) {
        self.work.push(work);
        self.has_begun = true;
    }

    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.count_sent();
        let sends = self.send_queue.write(&mut self.socket, cx, self.now)?;
        if sends > 0 {
            self.live.metrics().sends.inc_by(sends);
            self.begin_quiet();
        }
        Ok(())
    }

    /// Handles events and wake-ups; true if there was an event. All work is polled, including what [`Connection::begin`] added, so that it
    /// wakes this task.
    fn take_events(&mut self, cx: &mut Context<'_>) -> bool {
        let mut happened = false;
        self.has_begun = false;
        while let Poll::Ready(Some(event)) = self.work.poll_next_unpin(cx) {
            happened = true;
            match event {
                Event::Stop if self.phase == ConnectionPhase::Open => {
                    self.deliver_held();
                    self.phase = ConnectionPhase::Stopping(self.now + STOP_PATIENCE);
                }
                Event::Stop => {}
                Event::Answered(answered) => self.answer(answered),
                Event::Fetched(fetched) => self.take_fetched(*fetched),
                Event::LongMessage(read) => self.take_long_message(*read),
                Event::Evicted
                    if self.phase == ConnectionPhase::Open && self.peer.credentials.is_unauthenticated() =>
                {
                    self.is_evicted = true;
                    self.reject("others wait for a connection. Reconnect and send AUTH at once");
                }
                Event::Evicted => {}
            }
        }
        while let Poll::Ready(Some(wake)) = Pin::new(&mut self.wakes).poll_next(cx) {
            self.wake(wake);
        }
        happened
    }

    pub(super) fn accepts_input(&self) -> bool {
        let subscriptions = &self.subscriptions;
        let waiting: usize = subscriptions.iter().map(Subscription::unanswered).sum();
        let waiting_bytes: usize = subscriptions.iter().map(Subscription::answer_bytes).sum();
        self.long_message_bytes.is_none()
            && self.paused_until.is_none_or(|until| until <= self.now)
            && self.send_queue.has_room()
            && self.commands_in_flight + waiting + self.pending_reads.abandoned() < IN_FLIGHT_MAX
            && self.command_bytes_in_flight < IN_FLIGHT_BYTES
            && self.answer_bytes_in_flight + waiting_bytes < ANSWER_BYTES
    }

    /// Reads once, if all earlier messages are taken and there is room for requests; 0 at the end of the stream.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let drops_it = match self.phase {
            ConnectionPhase::Open if self.is_drained && self.accepts_input() => false,
            ConnectionPhase::Lingering(_) => true,
            ConnectionPhase::Open | ConnectionPhase::Stopping(_) | ConnectionPhase::Closing => {
                return Poll::Pending;
            }
        };
        let mut space = [MaybeUninit::uninit(); READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut space);
        std::task::ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
        if !drops_it {
            self.live.metrics().bytes.of(Direction::In).inc_by(buffer.filled().len() as u64);
            self.heard_at = self.now;
            self.decoder.push(buffer.filled());
            self.is_drained = false;
        }
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Handles complete messages as long as there is room for their answers; true if there was one.
    fn take_messages(&mut self) -> bool {
        let mut has_taken = false;
        while !self.is_drained && self.handled < MESSAGES_PER_POLL && self.is_alive() && self.accepts_input()
        {
            match self.decoder.next_as_sent() {
                Ok(Some(message)) => {
                    has_taken = true;
                    self.handled += 1;
                    self.take(message);
                }
                Ok(None) => self.is_drained = true,
                Err(error) => self.take_broken(error),
            }
        }
        has_taken
    }

    /// Counts the message that is being received in the budget of all bodies. If there is no room for it, or it is not
    /// complete in time, the connection closes and the client retries, which is safe (rule C3).
    fn count_received(&mut self) {
        let message = IncompleteMessage {
            number: self.decoder.message_number(),
            bytes: self.decoder.buffered_bytes(),
            is_skipped: self.decoder.is_skipping(),
        };
        let in_flight = self.command_bytes_in_flight + self.long_message_bytes.unwrap_or(0);
        let counted = self.message_budget.count(message, in_flight, self.now, &self.live.bodies);
        if self.is_alive()
            && let Err(why) = counted
        {
            self.end_with_held(encode_close(Some(CloseCode::TRY_AGAIN_LATER), why));
        }
    }

    /// Closes the connection once its token has expired: frames that were read before are not executed (rule O1).
    fn end_if_overdue(&mut self) {
        let why = self.peer.credentials.overdue(self.now).filter(|_| self.phase == ConnectionPhase::Open);
        if let Some(why) = why.map(str::to_owned) {
            self.reject(&why);
        }
    }

    /// Allows messages of the full length after authentication.
    pub(super) fn allow_long_messages(&mut self) {
        self.decoder.set_limits(Limits { message_bytes_max: self.live.limits.body_bytes_max });
    }

    /// Whether more frames may be sent.
    pub(super) fn is_alive(&self) -> bool {
        matches!(self.phase, ConnectionPhase::Open | ConnectionPhase::Stopping(_))
    }
}
