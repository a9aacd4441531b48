//! The socket of one connection, as the HTTP parser reads and writes it.
//!
//! Invariants:
//! - A peer that takes no byte for a while is disconnected (rule W6), and so is one that keeps reading a stream after its
//!   deadline. Whatever the answer holds is released then.
//! - When the parser answers by itself, because it can't read a head, the client gets a problem document (rule H1).
//! - The socket returns to its listener when the parser drops it, so that the listener can read what the peer is still
//!   sending ([`super::lingering_close`]).

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::http::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::oneshot,
    time::{Instant, Sleep, sleep_until},
};

use super::{
    body_framing::FramingObserver, connection_limits::ConnectionPermit, problem::Problem,
    request_context::RequestContext, response_headers,
};

/// The socket, with what the module promises about it.
pub(super) struct ConnectionIo {
    /// `None` once it was taken out.
    socket: Option<TcpStream>,
    back: Option<oneshot::Sender<TcpStream>>,
    context: Arc<RequestContext>,
    permit: Arc<ConnectionPermit>,
    framing: FramingObserver,
    /// Whether the permit has recorded bytes of an unfinished head.
    holds_head: bool,
    /// How long the peer may take no byte.
    patience: Duration,
    /// Runs while the peer takes nothing; ends when `patience` is over.
    stalled: Option<Pin<Box<Sleep>>>,
    /// The problem document that replaces the parser's own answer: the part not written yet.
    own: Vec<u8>,
}

impl ConnectionIo {
    /// The connection, and the receiver that its socket returns to unless [`ConnectionIo::into_socket`] takes it.
    pub(super) fn new(
        socket: TcpStream,
        context: Arc<RequestContext>,
        permit: Arc<ConnectionPermit>,
        patience: Duration,
    ) -> (Self, oneshot::Receiver<TcpStream>) {
        let (back, returned) = oneshot::channel();
        let line = Self {
            socket: Some(socket),
            back: Some(back),
            context,
            permit,
            framing: FramingObserver::default(),
            holds_head: false,
            patience,
            stalled: None,
            own: vec![],
        };
        (line, returned)
    }

    /// The bare socket, for a WebSocket, which has timeouts and limits of its own.
    pub(super) fn into_socket(mut self) -> io::Result<TcpStream> {
        self.back = None;
        if self.holds_head {
            self.permit.hold_head(0); // it is the first frame
        }
        self.socket.take().ok_or_else(gone)
    }

    fn socket(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.socket.as_mut().map(Pin::new).ok_or_else(gone)
    }

    fn came(&mut self, bytes: &[u8]) {
        let seen = self.framing.read(bytes);
        if seen.is_ambiguous {
            self.context.note_ambiguous();
        }
        if seen.head_bytes > 0 || self.holds_head {
            self.holds_head = seen.head_bytes > 0;
            self.permit.hold_head(seen.head_bytes);
        }
    }

    /// Fails once the peer has taken nothing for too long.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let (patience, cut_off) = (self.patience, self.context.cut_off());
        let stalled = self.stalled.get_or_insert_with(|| {
            let end = Instant::now() + patience;
            Box::pin(sleep_until(cut_off.map_or(end, |cut_off| cut_off.min(end))))
        });
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    /// Starts or stops the stall timer after a write.
    fn written(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(written) => {
                self.stalled = None;
                Poll::Ready(written)
            }
            Poll::Pending => self.wait(cx).map(Err),
        }
    }

    /// Replaces an answer of the parser's own by a problem document.
    fn reword(&mut self, said: &[u8]) {
        let status = said.get(9..12).and_then(|digits| StatusCode::from_bytes(digits).ok());
        self.own =
            response_headers::alone(Problem::unreadable_head(status.unwrap_or(StatusCode::BAD_REQUEST)));
        self.context.leave_unread();
    }

    /// Whether the bytes to write come from the parser itself, not from a handler.
    fn is_parser_speaking(&self) -> bool {
        self.context.is_idle()
    }

    fn is_cut_off(&self) -> bool {
        self.context.cut_off().is_some_and(|cut_off| cut_off <= Instant::now())
    }

    fn poll_own(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.own.is_empty() {
            let own = std::mem::take(&mut self.own);
            let polled = self.socket()?.poll_write(cx, &own);
            self.own = own;
            let written = ready!(self.written(cx, polled))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.own.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

fn gone() -> io::Error {
    io::Error::from(io::ErrorKind::NotConnected)
}

impl Drop for ConnectionIo {
    fn drop(&mut self) {
        if let (Some(socket), Some(back)) = (self.socket.take(), self.back.take()) {
            let _nobody_waits_for_it = back.send(socket);
        }
    }
}

impl AsyncRead for ConnectionIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.socket()?.poll_read(cx, buf))?;
        self.came(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ConnectionIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.as_mut().poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_parser_speaking() {
            if self.own.is_empty() {
                let said: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
                self.reword(&said);
                return Poll::Ready(Ok(said.len()));
            }
            ready!(self.poll_own(cx))?;
        }
        if self.is_cut_off() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let polled = self.socket()?.poll_write_vectored(cx, slices);
        self.written(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_own(cx))?;
        if self.context.flushed() {
            self.framing.idle();
        }
        self.socket()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_own(cx))?;
        self.socket()?.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::http::{
        connection_limits::{ConnectionBounds, ConnectionLimiter},
        request_context::{ResponseDeadline, TrackedBody},
    };

    /// A line, where its socket comes back to, and the other end of it.
    async fn line(
        patience: Duration,
    ) -> (ConnectionIo, Arc<RequestContext>, oneshot::Receiver<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let peer = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
        let (socket, address) = listener.accept().await.expect("accepted");
        let bounds = ConnectionBounds { connections: 1, per_address: 1 };
        let admitted = ConnectionLimiter::new(bounds, Arc::default()).admit(address.ip());
        let context = RequestContext::new();
        let (line, back) = ConnectionIo::new(socket, context.clone(), admitted.expect("room").0, patience);
        (line, context, back, peer)
    }

    #[tokio::test]
    async fn w6_a_peer_that_takes_nothing_is_given_up() {
        let (mut line, context, back, peer) = line(Duration::from_millis(50)).await;
        context.begin();
        let piece = vec![0; 1 << 20];
        let error = loop {
            if let Err(error) = line.write_all(&piece).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(line);
        assert!(back.await.is_ok(), "the socket comes back");
        drop(peer);
    }

    #[tokio::test]
    async fn o1_a_stream_whose_token_expired_is_cut_off_though_its_reader_stalls() {
        let (mut line, context, _back, peer) = line(Duration::from_secs(3_600)).await;
        context.begin();
        context.ends_at(ResponseDeadline(Instant::now() - Duration::from_millis(4_900)));
        let piece = vec![0; 1 << 20];
        let error = loop {
            if let Err(error) = line.write_all(&piece).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(peer);
    }

    #[tokio::test]
    async fn h1_what_the_parser_says_by_itself_is_a_problem_document_and_answers_are_left_alone() {
        let (mut line, context, _back, mut peer) = line(Duration::from_secs(30)).await;
        context.begin();
        line.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("written");
        drop(TrackedBody::new(axum::body::Body::empty(), context.clone()));
        line.flush().await.expect("flushed");
        line.write_all(b"HTTP/1.1 431 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            .await
            .expect("written");
        line.flush().await.expect("flushed");
        line.shutdown().await.expect("shut down");
        let mut said = String::new();
        peer.read_to_string(&mut said).await.expect("read");
        let own = said.strip_prefix("HTTP/1.1 204 No Content\r\n\r\n").expect("as it was");
        assert!(own.starts_with("HTTP/1.1 431 ") && own.contains("\"TOO_LARGE\""), "{own}");
        assert!(own.contains("connection: close\r\n") && context.leaves_unread());
    }
}
