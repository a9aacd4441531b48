//! The state of the request that a connection is answering, shared by the service that answers it and the socket that its
//! bytes go over ([`super::connection_io`]). Both run in the task of the connection.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

/// How long a stream may take after its deadline to send its last event; then it is cut off.
const STREAM_END_GRACE: Duration = Duration::from_secs(5);

/// No request is being answered: what is written comes from the parser.
const IDLE: u8 = 0;
/// A request is being answered.
const ANSWERING: u8 = 1;
/// The answer is complete, and some of it is still to be written.
const ANSWERED: u8 = 2;

/// When a response has to end even if its reader stalls. Set in the extensions of the response.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseDeadline(pub(super) Instant);

/// Set in the extensions of a request whose head has both `Transfer-Encoding` and `Content-Length` (see [`super::body_framing`]).
#[derive(Clone, Copy, Debug)]
pub(super) struct AmbiguousFraming;

/// The state of the current request.
pub(super) struct RequestContext {
    began: Instant,
    phase: AtomicU8,
    /// Milliseconds after `began`; 0 if the answer may take as long as it likes.
    cut_off_ms: AtomicU64,
    is_ambiguous: AtomicBool,
    leaves_unread: AtomicBool,
}

impl RequestContext {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            phase: AtomicU8::new(IDLE),
            cut_off_ms: AtomicU64::new(0),
            is_ambiguous: AtomicBool::new(false),
            leaves_unread: AtomicBool::new(false),
        })
    }

    /// A request has arrived.
    pub(super) fn begin(&self) {
        self.phase.store(ANSWERING, Ordering::Relaxed);
        self.cut_off_ms.store(0, Ordering::Relaxed);
    }

    /// Sets the deadline of the response.
    pub(super) fn ends_at(&self, end: ResponseDeadline) {
        let after = (end.0 + STREAM_END_GRACE).saturating_duration_since(self.began);
        let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        self.cut_off_ms.store(after.max(1), Ordering::Relaxed);
    }

    /// When the response is cut off.
    pub(super) fn cut_off(&self) -> Option<Instant> {
        let after = self.cut_off_ms.load(Ordering::Relaxed);
        if after == 0 {
            return None;
        }
        self.began.checked_add(Duration::from_millis(after))
    }

    /// Everything is written. Returns whether this ended a response.
    pub(super) fn flushed(&self) -> bool {
        let is_over =
            self.phase.compare_exchange(ANSWERED, IDLE, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_over {
            self.cut_off_ms.store(0, Ordering::Relaxed);
        }
        is_over
    }

    pub(super) fn is_idle(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == IDLE
    }

    /// A head with ambiguous framing has arrived.
    pub(super) fn note_ambiguous(&self) {
        self.is_ambiguous.store(true, Ordering::Relaxed);
    }

    /// Whether the current request has that head.
    pub(super) fn take_ambiguous(&self) -> bool {
        self.is_ambiguous.swap(false, Ordering::Relaxed)
    }

    /// The connection ends with this response, and the peer may still be sending.
    pub(super) fn leave_unread(&self) {
        self.leaves_unread.store(true, Ordering::Relaxed);
    }

    pub(super) fn leaves_unread(&self) -> bool {
        self.leaves_unread.load(Ordering::Relaxed)
    }
}

/// The body of a response. Dropping it tells the context that the response is complete.
pub(super) struct TrackedBody {
    body: Body,
    context: Arc<RequestContext>,
}

impl TrackedBody {
    pub(super) fn new(body: Body, context: Arc<RequestContext>) -> Self {
        Self { body, context }
    }
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        self.context.phase.store(ANSWERED, Ordering::Relaxed);
    }
}
