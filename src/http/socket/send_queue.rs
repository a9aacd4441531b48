//! The frames that wait to be written. Their bytes are shared with other connections.
//!
//! Bound: [`OUT_BYTES`], exceeded by at most one frame and by work that started while there was room. Code that makes
//! frames, or starts work that ends with one, asks [`SendQueue::has_room`] first and bounds that work (rule W6).

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use tokio::{io::AsyncWrite, net::TcpStream, time::Instant};

/// Bytes in the queue, without the last frame. At this bound no more frames are made.
const OUT_BYTES: usize = 64 << 10;
/// Memory of a waiting frame beside its bytes.
const FRAME_OVERHEAD_BYTES: usize = 64;
/// Frames in one system call.
const SLICES_MAX: usize = 64;
/// Capacity that an idle connection keeps, in frames.
const KEPT_CAPACITY: usize = 4;

pub(super) struct SendQueue {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// When the socket last accepted bytes, or the queue became non-empty.
    progress_at: Instant,
}

impl SendQueue {
    pub(super) fn new(now: Instant) -> Self {
        Self { frames: VecDeque::new(), bytes: 0, progress_at: now }
    }

    pub(super) fn push(&mut self, frame: Bytes, now: Instant) {
        if frame.is_empty() {
            return;
        }
        if self.frames.is_empty() {
            self.progress_at = now;
        }
        self.bytes += frame.len() + FRAME_OVERHEAD_BYTES;
        self.frames.push_back(frame);
    }

    pub(super) fn has_room(&self) -> bool {
        self.bytes < OUT_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Since when the socket has accepted nothing; `None` if the queue is empty.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        (!self.frames.is_empty()).then_some(self.progress_at)
    }

    /// Writes what the socket accepts; in how many calls. The caller is woken when it accepts more.
    pub(super) fn write(
        &mut self,
        socket: &mut TcpStream,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> io::Result<u64> {
        let mut sends = 0;
        while !self.frames.is_empty() {
            let polled = match &self.frames {
                frames if frames.len() == 1 => Pin::new(&mut *socket).poll_write(cx, &frames[0]),
                frames => {
                    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                    for (slice, frame) in slices.iter_mut().zip(frames) {
                        *slice = IoSlice::new(frame);
                    }
                    let count = frames.len().min(SLICES_MAX);
                    Pin::new(&mut *socket).poll_write_vectored(cx, &slices[..count])
                }
            };
            match polled {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => self.taken(count),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
            (sends, self.progress_at) = (sends + 1, now);
        }
        if self.frames.is_empty() && self.frames.capacity() > KEPT_CAPACITY {
            self.frames = VecDeque::new();
        }
        Ok(sends)
    }

    fn taken(&mut self, mut count: usize) {
        while let Some(first) = self.frames.front_mut() {
            if count < first.len() {
                first.advance(count);
                self.bytes -= count;
                return;
            }
            count -= first.len();
            self.bytes -= first.len() + FRAME_OVERHEAD_BYTES;
            self.frames.pop_front();
        }
    }
}
