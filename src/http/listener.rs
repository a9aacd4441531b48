//! The listener: accepts connections and turns their bytes into requests.
//!
//! Invariants:
//! - At most [`RequestLimits::connections_max`] connections ([`super::connection_limits`]). Beyond that, a few are accepted
//!   only to answer health checks, because monitoring must work on a full server; their other requests get 503.
//! - A connection that sends no complete head in time is closed. A head is at most [`HEAD_BYTES_MAX`] long.
//! - A connection whose reader takes nothing is closed ([`super::connection_io`]). One that ends while its peer is still
//!   sending is read for a while longer ([`super::lingering_close`]).
//! - No error of `accept` ends the server.
//!
//! HTTP/1.1 only: a proxy in front speaks HTTP/2 and TLS to browsers. Not here: bodies ([`super::request_body`]), and
//! what is answered.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody},
    http::HeaderValue,
    response::IntoResponse,
};
use hyper::{Request, Response, StatusCode, body::Incoming, header, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    client_address::ConnectionInfo,
    connection_io::ConnectionIo,
    connection_limits::{ConnectionBounds, ConnectionLimiter, ConnectionPermit, Eviction, LimitReached},
    lingering_close::linger,
    problem::Problem,
    request_context::{AmbiguousFraming, RequestContext, ResponseDeadline, TrackedBody},
    request_limits::RequestLimits,
    response::HttpService,
    unread_body::{ConnectionState, Expect, loan},
};

/// Bytes of a request's head, and of what is read of a body at once; a longer head is 431. A token has room in
/// it, and an idle connection keeps much less.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// Connections that the system queues until they are accepted, if it allows that many (`net.core.somaxconn`). After a
/// restart all clients connect at once, and the system resets those that don't fit.
const BACKLOG: u32 = 16_384;
/// The pause after `accept` failed for lack of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The shortest time between two warnings about refused connections.
const TELL_INTERVAL: Duration = Duration::from_secs(10);
/// Connections beyond the limit that are served health checks alone; the oldest are evicted.
const RESERVE_MAX: usize = 256;
/// How long such a connection may take to send its head.
const RESERVE_HEAD_PATIENCE: Duration = Duration::from_secs(1);
/// How long such a connection may last.
const RESERVE_PATIENCE: Duration = Duration::from_secs(5);
/// The routes that are answered beyond the limit.
const HEALTH: [&str; 2] = ["/healthz", "/readyz"];

/// Binds this address; port 0 picks a free port.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // As after a restart: connections of the process before may still be ending.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts and serves until `stop`; then answers what was read, and returns once that is done.
pub(super) async fn run(
    listener: TcpListener,
    service: HttpService,
    limits: RequestLimits,
    limiter: ConnectionLimiter,
    stop: CancellationToken,
) {
    let tasks = TaskTracker::new();
    let mut acceptor = Acceptor::new(service, limits, limiter, &stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => acceptor.let_in(socket, peer, &tasks),
            Err(error) => acceptor.pause_after(&error, &stop).await,
        }
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

/// How connections are served.
#[derive(Clone)]
struct ConnectionServer {
    http: http1::Builder,
    service: HttpService,
    answer_idle_timeout: Duration,
    /// Set beyond the limit, where only health checks are answered.
    full: Option<LimitReached>,
    stop: CancellationToken,
}

impl ConnectionServer {
    fn new(service: HttpService, limits: RequestLimits, stop: CancellationToken) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(limits.head_timeout);
        http.max_header_size(HEAD_BYTES_MAX).max_buf_size(HEAD_BYTES_MAX);
        Self { http, service, answer_idle_timeout: limits.answer_idle_timeout, full: None, stop }
    }

    /// The same for connections beyond the limit.
    fn of_health_alone(&self, full: LimitReached) -> Self {
        let mut server = Self { full: Some(full), ..self.clone() };
        server.http.header_read_timeout(RESERVE_HEAD_PATIENCE).keep_alive(false);
        server
    }

    /// Serves one connection until either side ends it, it is evicted, or it becomes a WebSocket.
    async fn serve(
        self,
        socket: TcpStream,
        peer: SocketAddr,
        permit: Arc<ConnectionPermit>,
        mut evicted: Eviction,
    ) {
        // Of its own: who waits for a token locks it each time it is looked at, and that of the server is everybody's.
        let stop = self.stop.child_token();
        // Answers are small and complete: waiting to fill a packet only delays them.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let context = RequestContext::new();
        let (line, returned) =
            ConnectionIo::new(socket, context.clone(), permit.clone(), self.answer_idle_timeout);
        tokio::select! {
            biased;
            ended = self.run_line(line, peer, &permit, &context, &stop) => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "a connection ended");
                }
            }
            () = evicted.wait() => {
                tracing::debug!(%peer, "a connection was evicted to make room for another");
                return;
            }
        }
        if context.leaves_unread()
            && let Ok(socket) = returned.await
        {
            tokio::select! {
                () = linger(socket) => {}
                () = evicted.wait() => {}
                () = stop.cancelled() => {}
            }
        }
        drop(permit);
    }

    /// Answers the requests of a connection.
    async fn run_line(
        &self,
        line: ConnectionIo,
        peer: SocketAddr,
        permit: &Arc<ConnectionPermit>,
        context: &Arc<RequestContext>,
        stop: &CancellationToken,
    ) -> hyper::Result<()> {
        let arrival = ConnectionInfo { peer: peer.ip().to_canonical(), place: permit.clone() };
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            context.begin();
            request.extensions_mut().insert(arrival.clone());
            let answering = answer(self.service.clone(), self.full, request, context.clone());
            async move { Ok::<_, Infallible>(answering.await) }
        });
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(line), service).with_upgrades());
        tokio::select! {
            biased;
            ended = &mut connection => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    }
}

/// Answers one request. Afterwards the connection is usable, or the answer says that it closes.
async fn answer(
    service: HttpService,
    full: Option<LimitReached>,
    mut request: Request<Incoming>,
    context: Arc<RequestContext>,
) -> Response<TrackedBody> {
    if request.headers().contains_key(header::TRANSFER_ENCODING) && context.take_ambiguous() {
        request.extensions_mut().insert(AmbiguousFraming);
    }
    let full = full.filter(|_| !HEALTH.contains(&request.uri().path()));
    let (request, unread_body) = match request.body().is_end_stream() {
        true => (request.map(|_| Body::empty()), None),
        false => {
            let expect = expectation(&request);
            let (parts, body) = request.into_parts();
            let (loaned, unread_body) = loan(body, expect);
            (Request::from_parts(parts, Body::new(loaned)), Some(unread_body))
        }
    };
    let mut response = match full {
        None => service.answer(request).await,
        Some(full) => {
            drop(request);
            service.finished(Problem::no_place(full).into_response())
        }
    };
    if let Some(end) = response.extensions().get::<ResponseDeadline>() {
        context.ends_at(*end);
    }
    let ends = response.headers().get(header::CONNECTION).is_some_and(|value| value == "close");
    if ends {
        // What the peer has sent or is sending is not read any more.
        context.leave_unread();
    } else if response.status() != StatusCode::SWITCHING_PROTOCOLS
        && let Some(unread_body) = unread_body
        && unread_body.drain().await == ConnectionState::Unread
    {
        context.leave_unread();
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|body| TrackedBody::new(body, context))
}

fn expectation(request: &Request<Incoming>) -> Expect {
    let expected = request.headers().get(header::EXPECT);
    match expected.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        true => Expect::Continue,
        false => Expect::Nothing,
    }
}

/// Decides which connections are served.
struct Acceptor {
    server: ConnectionServer,
    limiter: ConnectionLimiter,
    /// The limit for health checks beyond `limiter`.
    reserve: ConnectionLimiter,
    told_at: Option<Instant>,
}

impl Acceptor {
    fn new(
        service: HttpService,
        limits: RequestLimits,
        limiter: ConnectionLimiter,
        stop: &CancellationToken,
    ) -> Self {
        // As many from one address as in all, so proxies need no exception.
        let of_reserve = ConnectionBounds { connections: RESERVE_MAX, per_address: RESERVE_MAX };
        Self {
            server: ConnectionServer::new(service, limits, stop.clone()),
            limiter,
            reserve: ConnectionLimiter::new(of_reserve, Arc::default()),
            told_at: None,
        }
    }

    /// Serves a connection; beyond the limit it gets 503.
    fn let_in(&mut self, socket: TcpStream, peer: SocketAddr, tasks: &TaskTracker) {
        let full = match self.limiter.admit(peer.ip()) {
            Ok((permit, evicted)) => {
                tasks.spawn(self.server.clone().serve(socket, peer, permit, evicted));
                return;
            }
            Err(full) => full,
        };
        match full {
            LimitReached::All => self.tell("connections are refused: the limit MAX_CONNECTIONS is reached"),
            LimitReached::Address => self.tell(&format!(
                "connections from {} are refused: the limit MAX_CONNECTIONS_PER_ADDRESS is reached. If this is a proxy, \
                 list it in TRUSTED_PROXIES",
                peer.ip()
            )),
        }
        let Ok((permit, evicted)) = self.reserve.admit(peer.ip()) else { return };
        let server = self.server.of_health_alone(full);
        tasks.spawn(async move {
            let _slow = timeout(RESERVE_PATIENCE, server.serve(socket, peer, permit, evicted)).await;
        });
    }

    /// Pauses after an error of `accept` that would repeat at once. A connection that was gone before it was accepted needs no
    /// pause.
    async fn pause_after(&mut self, error: &io::Error, stop: &CancellationToken) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
            return;
        }
        self.tell(&format!("connections can't be accepted: {error}"));
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(ACCEPT_PAUSE) => {}
        }
    }

    fn tell(&mut self, what: &str) {
        if self.told_at.is_none_or(|at| at.elapsed() >= TELL_INTERVAL) {
            tracing::warn!("{what}");
            self.told_at = Some(Instant::now());
        }
    }
}
