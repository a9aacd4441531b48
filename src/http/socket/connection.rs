//! One connection: a thin loop that moves bytes and asks the cursors what comes next.
//!
//! Bounds: what is ready to be written never passes [`OUT_BYTES`] by more than one frame, commands
//! under way never pass [`IN_FLIGHT_MAX`]; at either bound the socket is not read (rule W6).

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use bytes::Bytes;
use dao_projections::{GraphId, Head, OperationId, Version};
use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{BoxStream, FuturesUnordered, SelectAll},
};
use tokio::{
    io::{AsyncWriteExt, Interest},
    net::TcpStream,
    time::Instant,
};

use super::{
    Live, Peer,
    frames::{self, BadFrame, ClientFrame, Limits, Revert, Sender, ServerFrame, Settled, State},
    subscription::{Subscription, Wake, commits, presence},
};
use crate::{
    domain::{Operation, OperationRecord, RecordedOutcome},
    http::{
        format::Format,
        problem::Problem,
        wire::{BatchOut, Results, StateOut, answer_out, member_out, state_json},
    },
    live::{Cursor, Followed, Present, Step},
    read::{self, ReadError, Resume, ResumeHash},
    websocket::{
        self, CloseCode, Decoder, Deflate, Incoming, SharedFrame, encode_close, encode_ping, encode_pong,
    },
    write::{Answer, Ending, FrameKind, Hot, Recorded, View, WriteError, busy},
};

/// Bytes ready to be written, but for the last frame; then no more are made until some are taken.
const OUT_BYTES: usize = 64 << 10;
/// Commands and batches under way on one connection; then the socket is not read.
const IN_FLIGHT_MAX: usize = 64;
/// Graphs that one connection may follow; more are refused with an `ERROR`.
const SUBSCRIPTIONS_MAX: usize = 256;
/// A socket that takes no byte for this long is closed (rule W6).
const STALL: Duration = Duration::from_secs(30);
/// Presence goes out at most this often (rule W7).
const PRESENCE_INTERVAL: Duration = Duration::from_millis(34);
/// How long to wait before trying again what could not be done for now.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Clients are told to come back within this many milliseconds, spread out.
const RECONNECT_SPREAD_MS: u64 = 5_000;

/// What was asked for, and its answer.
struct Answered {
    graph: GraphId,
    asked: Asked,
    answers: Result<Vec<Answer>, WriteError>,
}

#[derive(Clone, Copy)]
enum Asked {
    Command(OperationId),
    Atomic(OperationId),
    Each(OperationId),
}

/// Something that had to be fetched for a subscription.
enum Fetched {
    Joined { graph: GraphId, generation: u64, joined: Box<Joined>, sync: Bytes },
    Commits { graph: GraphId, generation: u64, commits: Arc<[Arc<Recorded>]> },
    Failed { graph: GraphId, generation: u64, problem: Box<Problem> },
}

/// What a subscription that was made holds on to.
struct Joined {
    followed: Arc<Followed>,
    hot: Hot,
    cursor: Cursor,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Nothing more is read; what was read is answered, then comes the goodbye.
    Stopping,
    /// The last frame is in the buffer.
    Ending,
}

pub(super) struct Connection {
    live: Arc<Live>,
    peer: Peer,
    socket: TcpStream,
    deflate: Deflate,
    decoder: Decoder,
    phase: Phase,
    out: Vec<u8>,
    written: usize,
    subscriptions: HashMap<GraphId, Subscription>,
    /// Subscriptions that are being made, by their generation.
    joining: HashMap<GraphId, u64>,
    generations: u64,
    in_flight: FuturesUnordered<BoxFuture<'static, Answered>>,
    fetching: FuturesUnordered<BoxFuture<'static, Fetched>>,
    wakes: SelectAll<BoxStream<'static, Wake>>,
    heard_at: Instant,
    ping_at: Instant,
    progress_at: Instant,
}

impl Connection {
    pub(super) fn new(
        live: Arc<Live>,
        socket: TcpStream,
        already_read: &[u8],
        deflate: Deflate,
        peer: Peer,
        first: Option<ClientFrame>,
    ) -> Self {
        let limits = websocket::Limits { message_bytes_max: live.message_bytes_max };
        let now = Instant::now();
        let mut connection = Self {
            peer,
            socket,
            deflate,
            decoder: Decoder::new(limits, deflate),
            phase: Phase::Open,
            out: Vec::new(),
            written: 0,
            subscriptions: HashMap::new(),
            joining: HashMap::new(),
            generations: 0,
            in_flight: FuturesUnordered::new(),
            fetching: FuturesUnordered::new(),
            wakes: SelectAll::new(),
            heard_at: now,
            ping_at: now + live.heartbeat,
            progress_at: now,
            live,
        };
        connection.welcome();
        connection.decoder.push(already_read);
        if let Some(frame) = first {
            connection.act(frame);
        }
        connection
    }

    /// Runs until either side ends it.
    pub(super) async fn run(mut self) {
        if let Err(error) = self.serve().await {
            tracing::debug!(connection = %self.peer.id, %error, "a connection ended");
        }
        for subscription in self.subscriptions.values() {
            subscription.followed.room().leave(self.peer.id);
        }
    }

    /// Every arm of the race is cancel-safe: readiness, streams and timers; the work is done after.
    async fn serve(&mut self) -> io::Result<()> {
        loop {
            self.take_messages();
            self.fill();
            if self.phase == Phase::Stopping && self.in_flight.is_empty() && self.answers_are_out() {
                self.goodbye();
            }
            if self.phase == Phase::Ending && self.out.len() == self.written {
                return self.socket.shutdown().await;
            }
            let interest = self.interest();
            let stopping = self.live.stopping.clone();
            let timer = tokio::time::sleep_until(self.next_timer());
            tokio::select! {
                biased;
                () = stopping.cancelled(), if self.phase == Phase::Open => self.phase = Phase::Stopping,
                Some(answered) = self.in_flight.next() => self.answer(answered),
                Some(fetched) = self.fetching.next() => self.take_fetched(fetched),
                Some(wake) = self.wakes.next() => self.wake(wake),
                ready = ready(&self.socket, interest) => {
                    let ready = ready?;
                    if ready.is_writable() {
                        self.write()?;
                    }
                    if ready.is_readable() && interest.is_some_and(|i| i.is_readable()) && !self.read()? {
                        return Ok(());
                    }
                }
                () = timer => self.tick()?,
            }
        }
    }

    fn interest(&self) -> Option<Interest> {
        let reads = self.phase == Phase::Open && self.accepts_input();
        let writes = self.out.len() > self.written;
        match (reads, writes) {
            (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
            (true, false) => Some(Interest::READABLE),
            (false, true) => Some(Interest::WRITABLE),
            (false, false) => None,
        }
    }

    fn accepts_input(&self) -> bool {
        self.in_flight.len() < IN_FLIGHT_MAX && self.fetching.len() < IN_FLIGHT_MAX && self.has_room()
    }

    fn has_room(&self) -> bool {
        self.out.len() - self.written < OUT_BYTES
    }

    /// Reads once; false at the end of the stream.
    fn read(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 8 << 10];
        match self.socket.try_read(&mut buffer) {
            Ok(0) => Ok(false),
            Ok(length) => {
                self.heard_at = Instant::now();
                self.decoder.push(&buffer[..length]);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self) -> io::Result<()> {
        match self.socket.try_write(&self.out[self.written..]) {
            Ok(length) => {
                self.written += length;
                self.progress_at = Instant::now();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if self.written == self.out.len() {
            // An idle connection holds no buffer.
            (self.out, self.written) = (Vec::new(), 0);
        }
        Ok(())
    }

    fn send(&mut self, frame: &[u8]) {
        if self.out.len() == self.written {
            self.progress_at = Instant::now();
        }
        self.out.extend_from_slice(frame);
    }

    fn say(&mut self, frame: &ServerFrame<'_>) {
        let frame = framed(self.peer.format, &self.peer.format.encode(frame), self.deflate);
        self.send(&frame);
    }

    fn welcome(&mut self) {
        let entity_bytes = self.live.graphs.limits().entity_bytes_max;
        let limits = Limits::of(self.live.message_bytes_max, entity_bytes, SUBSCRIPTIONS_MAX, IN_FLIGHT_MAX);
        let heartbeat_ms = self.live.heartbeat.as_millis() as u64;
        let connection_id = self.peer.id;
        let server_time = now_ms();
        self.say(&ServerFrame::Welcome { connection_id, heartbeat_ms, limits, server_time });
    }

    fn goodbye(&mut self) {
        // The id's random bits spread reconnections out.
        let reconnect_after_ms = self.peer.id.as_u128() as u64 % RECONNECT_SPREAD_MS;
        self.say(&ServerFrame::Goodbye { reconnect_after_ms });
        self.end(CloseCode::SERVICE_RESTART, "the server is stopping");
    }

    fn end(&mut self, code: CloseCode, reason: &str) {
        let close = encode_close(Some(code), reason);
        self.send(&close);
        self.phase = Phase::Ending;
    }

    /// Acts on every message that is whole, as long as there is room for its answer.
    fn take_messages(&mut self) {
        while self.phase != Phase::Ending && self.accepts_input() {
            match self.decoder.next() {
                Ok(Some(message)) => self.take(message),
                Ok(None) => return,
                Err(error) => return self.end(error.close_code(), &error.to_string()),
            }
        }
    }

    fn take(&mut self, message: Incoming) {
        match message {
            Incoming::Text(text) if self.peer.format == Format::Json => self.take_frame(text.as_bytes()),
            Incoming::Binary(bytes) if self.peer.format == Format::MessagePack => self.take_frame(&bytes),
            Incoming::Text(_) | Incoming::Binary(_) => {
                let message = match self.peer.format {
                    Format::Json => "this connection speaks JSON in text frames",
                    Format::MessagePack => "this connection speaks MessagePack in binary frames",
                };
                self.complain(&Problem::bad_request(message), None, None);
            }
            Incoming::Ping(payload) => self.send(&encode_pong(&payload)),
            Incoming::Pong(_) => {}
            Incoming::Close { code, .. } => {
                let close = encode_close(code, "");
                self.send(&close);
                self.phase = Phase::Ending;
            }
        }
    }

    fn take_frame(&mut self, bytes: &[u8]) {
        let sender = Sender { user: &self.peer.user, client: &self.peer.client };
        match frames::read(bytes, self.peer.format, &sender) {
            Ok(frame) => self.act(frame),
            Err(BadFrame { problem, graph: Some(graph), operation: Some(operation) }) => {
                self.revert(&graph, operation, &problem, None);
            }
            Err(BadFrame { problem, graph, operation }) => self.complain(&problem, graph.as_ref(), operation),
        }
    }

    fn act(&mut self, frame: ClientFrame) {
        match frame {
            ClientFrame::Subscribe { graph, version, hash, pending } => {
                self.subscribe(graph, version, hash, pending);
            }
            ClientFrame::Unsubscribe { graph } => self.unsubscribe(&graph),
            ClientFrame::Command { graph, operation } => {
                let asked = Asked::Command(operation.id);
                self.submit(graph, asked, vec![*operation]);
            }
            ClientFrame::Batch { graph, batch } => {
                let asked = if batch.is_atomic { Asked::Atomic(batch.id) } else { Asked::Each(batch.id) };
                self.submit(graph, asked, batch.operations);
            }
            ClientFrame::Presence { graph, client, state } => match self.subscriptions.get(&graph) {
                Some(subscription) => {
                    let client = client.unwrap_or_else(|| self.peer.client.clone());
                    let (user, state) = (self.peer.user.clone(), Arc::new(state));
                    subscription.followed.room().show(self.peer.id, Present { client, user, state });
                }
                None => {
                    let problem =
                        Problem::bad_request("graphId: subscribe to the graph before being present");
                    self.complain(&problem, Some(&graph), None);
                }
            },
            ClientFrame::Ping => self.pong(),
        }
    }

    fn pong(&mut self) {
        let heads = self.subscriptions.iter().map(|(graph, subscription)| {
            let view = subscription.hot.view();
            let known = view.map_or(Version::EMPTY, |view| view.graph.head().version);
            (graph, known.max(subscription.cursor.head().version))
        });
        let versions = frames::Versions(heads.collect());
        let frame = self.peer.format.encode(&ServerFrame::Pong { versions });
        let frame = framed(self.peer.format, &frame, self.deflate);
        self.send(&frame);
    }

    fn submit(&mut self, graph: GraphId, asked: Asked, operations: Vec<Operation>) {
        match self.live.graphs.submit(&graph, operations) {
            Ok(answers) => self.in_flight.push(
                async move {
                    let answers = answers.await.unwrap_or(Err(WriteError::Stopped));
                    Answered { graph, asked, answers }
                }
                .boxed(),
            ),
            Err(error) => self.answer(Answered { graph, asked, answers: Err(error) }),
        }
    }

    /// An `ACK` goes out after the `STATE_UPDATE` of its commit, where the author follows the graph.
    fn answer(&mut self, answered: Answered) {
        let Answered { graph, asked, answers } = answered;
        let (Asked::Command(id) | Asked::Atomic(id) | Asked::Each(id)) = asked;
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => return self.revert(&graph, id, &error.into(), None),
        };
        let shape = match asked {
            Asked::Command(_) => Results::Single,
            Asked::Atomic(_) => Results::PerMember,
            Asked::Each(_) => return self.acknowledge_each(&graph, id, &answers),
        };
        let Some(answer) = answers.first() else { return };
        match answer_out(answer, shape) {
            Ok(accepted) => {
                let frame = self.peer.format.encode(&accepted.into_ack(&graph));
                self.acknowledge(&graph, version_of(answer), &frame);
            }
            Err(problem) => self.revert(&graph, id, &problem, Some(answer)),
        }
    }

    fn acknowledge_each(&mut self, graph: &GraphId, batch: OperationId, answers: &[Answer]) {
        let last = answers.iter().map(head_of).max_by_key(|head| head.version).unwrap_or_default();
        let out = BatchOut {
            r#type: Some("ACK"),
            graph_id: Some(graph),
            operation_id: Some(batch),
            version: Some(last.version),
            hash: Some(last.hash),
            batch_id: batch,
            results: answers.iter().map(member_out).collect(),
        };
        let frame = self.peer.format.encode(&out);
        self.acknowledge(graph, last.version, &frame);
    }

    fn acknowledge(&mut self, graph: &GraphId, version: Version, frame: &[u8]) {
        let frame = framed(self.peer.format, frame, self.deflate);
        match self.subscriptions.get_mut(graph) {
            Some(subscription) if subscription.cursor.head().version < version => {
                subscription.answers.push_back((version, frame));
                subscription.may_have_more = true;
            }
            _ => self.send(&frame),
        }
    }

    fn answers_are_out(&self) -> bool {
        self.subscriptions.values().all(|subscription| subscription.answers.is_empty())
    }

    fn revert(
        &mut self,
        graph: &GraphId,
        operation: OperationId,
        problem: &Problem,
        answer: Option<&Answer>,
    ) {
        let known = || self.live.graphs.hot(graph).view().map(|view| view.graph.head().version);
        let temporary = problem.is_temporary();
        let frame = ServerFrame::Revert(Revert {
            operation_id: operation,
            graph_id: graph,
            code: problem.code,
            message: problem.detail(),
            temporary,
            retry_after_ms: temporary.then_some(RETRY_AFTER.as_millis() as u64),
            version: answer.map(version_of).or_else(known).unwrap_or(Version::EMPTY),
            resolution: problem.resolution(),
            index: problem.index(),
            duplicate: answer.is_some_and(|answer| answer.duplicate).then_some(true),
        });
        self.say(&frame);
    }

    fn complain(&mut self, problem: &Problem, graph: Option<&GraphId>, operation: Option<OperationId>) {
        let (code, message) = (problem.code, problem.detail());
        self.say(&ServerFrame::Error { code, message, graph_id: graph, operation_id: operation });
    }

    fn subscribe(
        &mut self,
        graph: GraphId,
        version: Option<Version>,
        hash: Option<ResumeHash>,
        pending: Vec<OperationId>,
    ) {
        let is_new = !self.subscriptions.contains_key(&graph) && !self.joining.contains_key(&graph);
        if is_new && self.subscriptions.len() + self.joining.len() >= SUBSCRIPTIONS_MAX {
            let message = format!("one connection follows at most {SUBSCRIPTIONS_MAX} graphs");
            return self.complain(&Problem::bad_request(message), Some(&graph), None);
        }
        let shown = self.subscriptions.remove(&graph);
        if let Some(earlier) = shown {
            // Answers that wait are due at the latest now: the SYNC tells where the graph stands.
            for (_, frame) in earlier.answers {
                self.send(&frame);
            }
        }
        self.generations += 1;
        let generation = self.generations;
        self.joining.insert(graph.clone(), generation);
        let point = version.map(|version| (version, hash));
        let join = join(self.live.clone(), graph, generation, point, pending, self.peer.format, self.deflate);
        self.fetching.push(join.boxed());
    }

    fn unsubscribe(&mut self, graph: &GraphId) {
        self.joining.remove(graph);
        if let Some(subscription) = self.subscriptions.remove(graph) {
            subscription.followed.room().leave(self.peer.id);
            for (_, frame) in subscription.answers {
                self.send(&frame);
            }
        }
    }

    fn take_fetched(&mut self, fetched: Fetched) {
        match fetched {
            Fetched::Joined { graph, generation, joined, sync } => {
                self.join(graph, generation, *joined, &sync);
            }
            Fetched::Commits { graph, generation, commits } => {
                let Some(subscription) = current(&mut self.subscriptions, &graph, generation) else { return };
                (subscription.is_fetching, subscription.retry_at) = (false, None);
                match subscription.cursor.check(&commits) {
                    Step::Deliver(commits) => self.deliver(&graph, &commits),
                    Step::StartAgain => self.start_again(&graph),
                    Step::Level | Step::ReadLog { .. } => {}
                }
            }
            Fetched::Failed { graph, generation, problem } => {
                if let Some(subscription) = current(&mut self.subscriptions, &graph, generation) {
                    // The subscriber is told once, and what it misses is asked for again and again.
                    let is_first = subscription.retry_at.is_none();
                    subscription.is_fetching = false;
                    subscription.retry_at = Some(Instant::now() + RETRY_AFTER);
                    if is_first {
                        self.complain(&problem, Some(&graph), None);
                    }
                } else if self.joining.get(&graph) == Some(&generation) {
                    self.joining.remove(&graph);
                    self.complain(&problem, Some(&graph), None);
                }
            }
        }
    }

    fn join(&mut self, graph: GraphId, generation: u64, joined: Joined, sync: &[u8]) {
        let Joined { followed, hot, cursor } = joined;
        if let Some(subscription) = current(&mut self.subscriptions, &graph, generation) {
            // It is told to start again.
            (subscription.cursor, subscription.is_fetching) = (cursor, false);
            (subscription.may_have_more, subscription.retry_at) = (true, None);
            return self.send(sync);
        }
        if self.joining.get(&graph) != Some(&generation) {
            return;
        }
        self.joining.remove(&graph);
        self.wakes.push(commits(graph.clone(), generation, hot.clone()));
        self.wakes.push(presence(graph.clone(), generation, &followed));
        self.subscriptions.insert(graph, Subscription::new(generation, hot, cursor, followed));
        self.send(sync);
    }

    /// The graph's history was replaced: a new SYNC, unasked (rules V4, W2).
    fn start_again(&mut self, graph: &GraphId) {
        let Some(subscription) = self.subscriptions.get_mut(graph) else { return };
        subscription.is_fetching = true;
        let generation = subscription.generation;
        let (live, graph) = (self.live.clone(), graph.clone());
        let join = join(live, graph, generation, None, vec![], self.peer.format, self.deflate);
        self.fetching.push(join.boxed());
    }

    fn wake(&mut self, wake: Wake) {
        match wake {
            Wake::Commits { graph, generation } => {
                if let Some(subscription) = current(&mut self.subscriptions, &graph, generation) {
                    subscription.may_have_more = true;
                }
            }
            Wake::Presence { graph, generation } => {
                if let Some(subscription) = current(&mut self.subscriptions, &graph, generation) {
                    subscription.presence_changed = true;
                }
            }
            Wake::Ended { graph, generation } => {
                let Some(subscription) = current(&mut self.subscriptions, &graph, generation) else { return };
                let hot = self.live.graphs.hot(&graph);
                subscription.hot = hot.clone();
                subscription.may_have_more = true;
                self.wakes.push(commits(graph.clone(), generation, hot));
                let graphs = self.live.graphs.clone();
                // Loads it, which wakes this connection; a failure is met when it is next asked for.
                self.live.tasks.spawn(async move { drop(graphs.refresh(&graph).await) });
            }
        }
    }

    /// Takes from every cursor what there is, as long as there is room.
    fn fill(&mut self) {
        let now = Instant::now();
        let due: Vec<GraphId> = self
            .subscriptions
            .iter()
            .filter(|(_, s)| s.may_step(now) || s.presence_changed)
            .map(|(graph, _)| graph.clone())
            .collect();
        for graph in due {
            while self.has_room() && self.step(&graph, now) {}
            self.show_presence(&graph);
        }
    }

    /// One step of one subscription; whether another may follow at once.
    fn step(&mut self, graph: &GraphId, now: Instant) -> bool {
        let Some(subscription) = self.subscriptions.get_mut(graph) else { return false };
        if !subscription.may_step(now) {
            return false;
        }
        match subscription.step() {
            Step::Level => {
                subscription.may_have_more = false;
                false
            }
            Step::Deliver(commits) => {
                self.deliver(graph, &commits);
                true
            }
            Step::ReadLog { after, to } => {
                subscription.is_fetching = true;
                let fetch = from_log(subscription.followed.clone(), subscription.generation, after, to);
                self.fetching.push(fetch.boxed());
                false
            }
            Step::StartAgain => {
                self.start_again(graph);
                false
            }
        }
    }

    /// Sends these commits, as many as there is room for; the rest is taken again later.
    fn deliver(&mut self, graph: &GraphId, commits: &[Arc<Recorded>]) {
        let (kind, deflate, format) = (frame_kind(self.peer.format), self.deflate, self.peer.format);
        for commit in commits {
            if !self.has_room() {
                return;
            }
            let frame =
                commit.frame(kind, |commit| shared(format, &frames::state_update(graph, commit, format)));
            let frame = frame.bytes_for(deflate).clone();
            self.send(&frame);
            let Some(subscription) = self.subscriptions.get_mut(graph) else { return };
            subscription.cursor.advance(commit);
            let due: Vec<Bytes> = subscription.answers_due().collect();
            due.iter().for_each(|frame| self.send(frame));
        }
    }

    fn show_presence(&mut self, graph: &GraphId) {
        let now = Instant::now();
        let Some(subscription) = self.subscriptions.get_mut(graph) else { return };
        if !subscription.presence_changed
            || now < subscription.presence_not_before
            || !self_has_room(&self.out, self.written)
        {
            return;
        }
        let (seen, changed) = subscription.followed.room().since(subscription.presence_seen, self.peer.id);
        (subscription.presence_seen, subscription.presence_changed) = (seen, false);
        subscription.presence_not_before = now + PRESENCE_INTERVAL;
        for present in &changed {
            self.say(&frames::presence(graph, present));
        }
    }

    fn next_timer(&self) -> Instant {
        let mut next = self.ping_at;
        if self.out.len() > self.written {
            next = next.min(self.progress_at + STALL);
        }
        if self.has_room() {
            let due = |s: &Subscription| {
                let retry_at = s.retry_at.filter(|_| s.may_have_more && !s.is_fetching);
                [s.presence_changed.then_some(s.presence_not_before), retry_at]
            };
            next = self.subscriptions.values().flat_map(due).flatten().fold(next, Instant::min);
        }
        next
    }

    fn tick(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if self.out.len() > self.written && now >= self.progress_at + STALL {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes no bytes"));
        }
        if now >= self.ping_at {
            if now >= self.heard_at + self.live.heartbeat * 2 {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer answers nothing"));
            }
            self.ping_at = now + self.live.heartbeat;
            if self.has_room() {
                self.send(&encode_ping(b""));
            }
        }
        Ok(())
    }
}

fn self_has_room(out: &[u8], written: usize) -> bool {
    out.len() - written < OUT_BYTES
}

/// Waits until the socket can do one of these; for ever where nothing is wanted of it.
async fn ready(socket: &TcpStream, interest: Option<Interest>) -> io::Result<tokio::io::Ready> {
    match interest {
        Some(interest) => socket.ready(interest).await,
        None => std::future::pending().await,
    }
}

fn current<'a>(
    subscriptions: &'a mut HashMap<GraphId, Subscription>,
    graph: &GraphId,
    generation: u64,
) -> Option<&'a mut Subscription> {
    subscriptions.get_mut(graph).filter(|subscription| subscription.generation == generation)
}

fn head_of(answer: &Answer) -> Head {
    let (Ending::Completed { head, .. } | Ending::Refused { head, .. }) = &answer.ending;
    *head
}

fn version_of(answer: &Answer) -> Version {
    head_of(answer).version
}

fn frame_kind(format: Format) -> FrameKind {
    match format {
        Format::Json => FrameKind::Text,
        Format::MessagePack => FrameKind::Binary,
    }
}

/// A payload in the frames of its subprotocol, for connections with and without compression.
fn shared(format: Format, payload: &[u8]) -> SharedFrame {
    match (format, std::str::from_utf8(payload)) {
        (Format::Json, Ok(text)) => SharedFrame::text(text),
        _ => SharedFrame::binary(payload),
    }
}

fn framed(format: Format, payload: &[u8], deflate: Deflate) -> Bytes {
    match (format, deflate) {
        (Format::Json, Deflate::Off) => {
            websocket::encode_text(std::str::from_utf8(payload).unwrap_or_default())
        }
        (Format::MessagePack, Deflate::Off) => websocket::encode_binary(payload),
        (format, Deflate::On) => shared(format, payload).bytes_for(deflate).clone(),
    }
}

fn now_ms() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |elapsed| elapsed.as_millis() as u64)
}

async fn from_log(followed: Arc<Followed>, generation: u64, after: Version, to: Version) -> Fetched {
    let graph = followed.id().clone();
    match followed.from_log(after, to).await {
        Ok(commits) => Fetched::Commits { graph, generation, commits },
        Err(error) => Fetched::Failed { graph, generation, problem: Box::new(error.into()) },
    }
}

/// Finds out how a subscriber is brought level, and makes its SYNC.
async fn join(
    live: Arc<Live>,
    graph: GraphId,
    generation: u64,
    point: Option<(Version, Option<ResumeHash>)>,
    pending: Vec<OperationId>,
    format: Format,
    deflate: Deflate,
) -> Fetched {
    // Held before anything is looked at, so that no commit and no presence slips between.
    let (followed, hot) = (live.hub.follow(&graph), live.graphs.hot(&graph));
    match sync(&live, &graph, point, &pending, format).await {
        Ok((cursor, payload)) => {
            let joined = Box::new(Joined { followed, hot, cursor });
            let sync = busy(|| framed(format, &payload, deflate));
            Fetched::Joined { graph, generation, joined, sync }
        }
        Err(problem) => Fetched::Failed { graph, generation, problem: Box::new(problem) },
    }
}

async fn sync(
    live: &Live,
    graph: &GraphId,
    point: Option<(Version, Option<ResumeHash>)>,
    pending: &[OperationId],
    format: Format,
) -> Result<(Cursor, Bytes), Problem> {
    let state_of = |view: &View| view.state.get_or_init(|| state_json(graph, &view.graph)).clone();
    let resume = read::resume(&live.graphs, graph, point, |view| busy(|| state_of(view).len())).await?;
    let settled = live.graphs.settled(graph, pending).await.map_err(ReadError::from)?;
    let settled = pending.iter().zip(settled).map(|(id, record)| settled_out(*id, record)).collect();
    let frame = |head: Head, status, settled| {
        let (version, hash) = (head.version, head.hash);
        format.encode(&ServerFrame::Sync { graph_id: graph, version, hash, status, settled }).into()
    };
    Ok(match resume {
        Resume::InSync(head) => (Cursor::at(head), frame(head, "in_sync", settled)),
        Resume::Replay { from, head } => (Cursor::at(from), frame(head, "replay", settled)),
        Resume::Snapshot(view) => {
            let head = view.graph.head();
            let payload = busy(|| match format {
                Format::Json => {
                    frames::sync_with_state(graph, head, settled, &State::Json(&state_of(&view)), format)
                }
                Format::MessagePack => {
                    let state = StateOut::of(graph, &view.graph);
                    frames::sync_with_state(graph, head, settled, &State::Graph(&state), format)
                }
            });
            (Cursor::at(head), payload)
        }
        Resume::StoreAway => return Err(Problem::store_away()),
    })
}

fn settled_out(operation_id: OperationId, record: Option<OperationRecord>) -> Settled {
    let (status, version) = match record.map(|record| record.outcome) {
        None => ("unknown", None),
        Some(RecordedOutcome::Committed { version }) => ("completed", Some(version)),
        Some(RecordedOutcome::Unchanged(by)) => ("completed", Some(by.version)),
        Some(RecordedOutcome::Refused { by, refusal }) if refusal.is_conflict() => {
            ("conflict", Some(by.version))
        }
        Some(RecordedOutcome::Refused { by, .. }) => ("failed", Some(by.version)),
    };
    Settled { operation_id, status, version }
}
