//! The part of a request body that its handler did not read. A request that is refused early must leave its connection
//! usable, or announce that it closes.
//!
//! The handler gets the body on loan. The unread rest comes back, and a small rest is read and discarded: most bodies are
//! small and have nearly arrived. If there is more, or it does not arrive in time, the answer says `Connection: close`, and
//! the listener keeps reading for a while after it ([`super::lingering_close`]).
//!
//! Not here: reading bodies that are used ([`super::request_body`]).

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::timeout;

/// Bytes of a body that are discarded before the answer is sent. A longer rest closes the connection.
const DRAIN_BYTES_MAX: u64 = 256 << 10;
/// How long they may take to arrive.
const DRAIN_PATIENCE: Duration = Duration::from_secs(1);

/// Whether the client waits for permission to send the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// It sends the body at once.
    Nothing,
    /// It waits for `100 Continue` (`Expect: 100-continue`); a final answer saves it sending the body.
    Continue,
}

/// The connection after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionState {
    /// The next request can follow.
    Usable,
    /// Unread bytes of the body may follow, so it must close.
    Unread,
}

/// A body that a handler has on loan.
pub(super) struct LoanedBody<B: Unpin> {
    body: Option<B>,
    left: Arc<Mutex<ReturnedBody<B>>>,
}

/// What came back. The mutex is held to put it there and to take it out.
struct ReturnedBody<B> {
    body: Option<B>,
    was_asked_for: bool,
    is_broken: bool,
}

/// Where a body that is on loan comes back to.
pub(super) struct UnreadBody<B> {
    left: Arc<Mutex<ReturnedBody<B>>>,
    expect: Expect,
}

/// Lends a body to a handler.
pub(super) fn loan<B: Unpin>(body: B, expect: Expect) -> (LoanedBody<B>, UnreadBody<B>) {
    let left = Arc::new(Mutex::new(ReturnedBody { body: None, was_asked_for: false, is_broken: false }));
    (LoanedBody { body: Some(body), left: left.clone() }, UnreadBody { left, expect })
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for LoanedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(cx);
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.was_asked_for = true;
        if let Poll::Ready(end @ (None | Some(Err(_)))) = &polled {
            left.is_broken = end.is_some();
            drop(left);
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl<B: Unpin> Drop for LoanedBody<B> {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            self.left.lock().unwrap_or_else(PoisonError::into_inner).body = Some(body);
        }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> UnreadBody<B> {
    /// Discards the rest of the body, if it is small and arrives soon.
    pub(super) async fn drain(self) -> ConnectionState {
        let Some(mut body) = self.take() else { return self.after_all() };
        if body.is_end_stream() {
            return ConnectionState::Usable;
        }
        if self.would_be_asked_for() || body.size_hint().lower() > DRAIN_BYTES_MAX {
            return ConnectionState::Unread;
        }
        let drained = timeout(DRAIN_PATIENCE, async {
            let mut bytes = 0;
            while let Some(frame) = next(&mut body).await {
                let Ok(frame) = frame else { return ConnectionState::Unread };
                bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
                if bytes > DRAIN_BYTES_MAX {
                    return ConnectionState::Unread;
                }
            }
            ConnectionState::Usable
        });
        drained.await.unwrap_or(ConnectionState::Unread)
    }

    fn take(&self) -> Option<B> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).body.take()
    }

    /// Whether reading now would make the client send a body that it is holding back.
    fn would_be_asked_for(&self) -> bool {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        self.expect == Expect::Continue && !left.was_asked_for
    }

    fn after_all(&self) -> ConnectionState {
        match self.left.lock().unwrap_or_else(PoisonError::into_inner).is_broken {
            true => ConnectionState::Unread,
            false => ConnectionState::Usable,
        }
    }
}

async fn next<B: HttpBody + Unpin>(body: &mut B) -> Option<Result<Frame<B::Data>, B::Error>> {
    std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::{StreamExt, stream};
    use http_body_util::{BodyExt, Full, StreamBody};

    use super::*;

    fn parts(parts: Vec<&'static [u8]>) -> impl HttpBody<Data = Bytes, Error = Infallible> + Unpin {
        StreamBody::new(stream::iter(parts).map(|part| Ok(Frame::data(Bytes::from_static(part)))))
    }

    #[tokio::test]
    async fn h10_what_a_handler_left_of_a_body_is_thrown_away() {
        let (mut loaned, unread_body) = loan(parts(vec![b"a", b"b", b"c"]), Expect::Nothing);
        assert!(loaned.frame().await.is_some());
        drop(loaned);
        assert_eq!(unread_body.drain().await, ConnectionState::Usable);
        let (loaned, unread_body) = loan(Full::new(Bytes::new()), Expect::Continue);
        drop(loaned);
        assert_eq!(unread_body.drain().await, ConnectionState::Usable, "nothing was to come");
    }

    #[tokio::test(start_paused = true)]
    async fn h10_what_is_too_long_or_does_not_come_ends_the_connection() {
        let long = Full::new(Bytes::from(vec![0; DRAIN_BYTES_MAX as usize + 1]));
        let (loaned, unread_body) = loan(long, Expect::Nothing);
        drop(loaned);
        assert_eq!(unread_body.drain().await, ConnectionState::Unread);
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let (loaned, unread_body) = loan(silent, Expect::Nothing);
        drop(loaned);
        assert_eq!(unread_body.drain().await, ConnectionState::Unread);
    }

    #[tokio::test]
    async fn h10_a_body_that_waits_to_be_asked_for_is_not() {
        let (loaned, unread_body) = loan(parts(vec![b"a"]), Expect::Continue);
        drop(loaned);
        assert_eq!(unread_body.drain().await, ConnectionState::Unread);
        let (mut loaned, unread_body) = loan(parts(vec![b"a", b"b"]), Expect::Continue);
        assert!(loaned.frame().await.is_some());
        drop(loaned);
        assert_eq!(unread_body.drain().await, ConnectionState::Usable, "it was asked for already");
    }

    #[tokio::test]
    async fn h10_a_body_that_broke_off_ends_the_connection() {
        let broken = stream::iter([Err::<Frame<Bytes>, _>(std::io::Error::other("gone"))]);
        let (mut loaned, unread_body) = loan(StreamBody::new(broken), Expect::Nothing);
        assert!(loaned.frame().await.is_some_and(|frame| frame.is_err()));
        drop(loaned);
        assert_eq!(unread_body.drain().await, ConnectionState::Unread);
    }
}
