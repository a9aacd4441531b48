//! What the parts of one connection know of the request that is being answered: the service that answers it, and the
//! line ([`super::connection_io`]) that its bytes go over. Both run in the task of the connection.

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

/// How long a stream whose time is over may take to say so, and to be read to its end; then it is cut off.
const STREAM_END_GRACE: Duration = Duration::from_secs(5);

/// Nothing is being answered: what is written is the parser's own word.
const IDLE: u8 = 0;
/// A request is being answered.
const ANSWERING: u8 = 1;
/// The answer is complete, and some of it is still to be written.
const ANSWERED: u8 = 2;

/// When an answer has to be over, though its reader stalls: put into the extensions of a response.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseDeadline(pub(super) Instant);

/// In the extensions of a request whose head said two things about its body (see [`super::body_framing`]).
#[derive(Clone, Copy, Debug)]
pub(super) struct AmbiguousFraming;

/// See the module.
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

    /// A request came.
    pub(super) fn begin(&self) {
        self.phase.store(ANSWERING, Ordering::Relaxed);
        self.cut_off_ms.store(0, Ordering::Relaxed);
    }

    /// The answer to it has to be over by then.
    pub(super) fn ends_at(&self, end: ResponseDeadline) {
        let after = (end.0 + STREAM_END_GRACE).saturating_duration_since(self.began);
        let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        self.cut_off_ms.store(after.max(1), Ordering::Relaxed);
    }

    /// When the answer is cut off.
    pub(super) fn cut_off(&self) -> Option<Instant> {
        let after = self.cut_off_ms.load(Ordering::Relaxed);
        if after == 0 {
            return None;
        }
        self.began.checked_add(Duration::from_millis(after))
    }

    /// All that was said is written. Whether this ended an answer.
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

    /// A head came that says two things about its body.
    pub(super) fn note_ambiguous(&self) {
        self.is_ambiguous.store(true, Ordering::Relaxed);
    }

    /// Whether the request that came is that one.
    pub(super) fn take_ambiguous(&self) -> bool {
        self.is_ambiguous.swap(false, Ordering::Relaxed)
    }

    /// The connection ends with this answer, and its peer may still be sending.
    pub(super) fn leave_unread(&self) {
        self.leaves_unread.store(true, Ordering::Relaxed);
    }

    pub(super) fn leaves_unread(&self) -> bool {
        self.leaves_unread.load(Ordering::Relaxed)
    }
}

/// The body of an answer; its context knows when it is complete.
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
