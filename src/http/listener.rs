//! The listener: from connections to requests, whoever is on the other end.
//!
//! Invariants:
//! - At most [`RequestLimits::connections_max`] connections; one more is told so and closed.
//! - A connection that brings no whole head in time is closed. A head is at most [`HEAD_BYTES_MAX`] long.
//! - Nothing that `accept` can say ends the server.
//!
//! HTTP/1.1 only: what speaks HTTP/2 or TLS to browsers stands in front. Not here: bodies ([`super::body`]),
//! and what is answered.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::body::Body;
use hyper::{Request, body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{address::Arrival, answers::Edge, limits::RequestLimits, problem::Problem};

/// Bytes of a request's head, and of what is read of a body at once; a longer head is 431. A token has room in
/// it, and an idle connection keeps much less.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// Connections that the system may hold until they are accepted, if it allows that many (`net.core.somaxconn`). When a
/// server comes back, all its clients come at once; those for whom there is no room are reset.
const BACKLOG: u32 = 16_384;
/// How long nothing is accepted after `accept` failed for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often it is said in the log that connections are refused.
const TELL_INTERVAL: Duration = Duration::from_secs(10);
/// Connections that are being told at once that there is no place; more are closed without a word.
const REFUSALS_MAX: usize = 256;
/// How long such a connection may take to hear it.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(1);

/// A place among the connections, given back when it is dropped.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
}

/// Takes this address; port 0 takes a free one.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // As after a restart: connections of the process before may still be ending.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts and serves until `stop`; then answers what was read, and returns once that is done.
pub(super) async fn run(listener: TcpListener, edge: Edge, limits: RequestLimits, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    let mut door = Door::new(limits.connections_max);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head_timeout);
    http.max_header_size(HEAD_BYTES_MAX).max_buf_size(HEAD_BYTES_MAX);
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                door.pause_after(&error, &stop).await;
                continue;
            }
        };
        match door.places.clone().try_acquire_owned() {
            Ok(permit) => {
                let place = Arc::new(Place { _permit: permit });
                tasks.spawn(serve(socket, peer, place, http.clone(), edge.clone(), stop.clone()));
            }
            Err(_full) => door.refuse(socket, &tasks),
        }
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

/// Serves one connection until either side ends it, or a socket is made of it.
async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    place: Arc<Place>,
    http: http1::Builder,
    edge: Edge,
    stop: CancellationToken,
) {
    // Answers are small and complete: waiting to fill a packet only delays them.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let arrival = Arrival { peer: peer.ip().to_canonical(), place };
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(arrival.clone());
        let answered = edge.clone().answer(request);
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(socket), service).with_upgrades());
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended");
    }
}

/// Who gets in.
struct Door {
    places: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    /// What somebody is told for whom there is no place.
    full: Arc<[u8]>,
    told_at: Option<Instant>,
}

impl Door {
    fn new(connections_max: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS))),
            refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
            full: Problem::no_place().to_http1().into(),
            told_at: None,
        }
    }

    fn refuse(&mut self, mut socket: TcpStream, tasks: &TaskTracker) {
        self.tell("there is no place for more connections (MAX_CONNECTIONS)");
        let Ok(turn) = self.refusals.clone().try_acquire_owned() else { return };
        let full = self.full.clone();
        tasks.spawn(async move {
            let told = async {
                socket.write_all(&full).await?;
                socket.shutdown().await?;
                // Closing on unread bytes would reset the connection, and take the answer from under its reader.
                let mut dropped = [0; 512];
                while socket.read(&mut dropped).await? > 0 {}
                io::Result::Ok(())
            };
            let _gone_or_slow = timeout(REFUSAL_PATIENCE, told).await;
            drop(turn);
        });
    }

    /// A connection that was gone before it was accepted costs nothing; anything else comes again at once, so
    /// that trying on and on would only burn time.
    async fn pause_after(&mut self, error: &io::Error, stop: &CancellationToken) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
            return;
        }
        self.tell(&format!("no connection can be accepted: {error}"));
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
