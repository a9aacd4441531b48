//! Memory held by answers until their readers have taken them (rule O3). Each large answer is counted from when it is made
//! to when its last byte is written; one that exceeds the limit is 503.
//!
//! Invariant: the bytes of counted answers stay within `MAX_ANSWERS_BYTES` ([`RequestLimits`]), except for a single answer
//! that is larger than that. A copy that several answers share is counted once.
//!
//! Small answers are not counted, because the system's buffers take them whole. Nor are streams, which hold little at a time
//! ([`super::stream`]).
//!
//! [`RequestLimits`]: super::RequestLimits

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

/// Answers below this are not counted.
const COUNTED_BYTES_MIN: u64 = 64 << 10;
/// Shared copies that are tracked before unused ones are dropped.
const SHARED_KNOWN_MAX: usize = 1_024;

/// Set in the extensions of a response whose body is shared with other responses.
#[derive(Clone, Debug)]
pub(super) struct SharedCopy;

/// The answers that are being sent.
pub(super) struct ResponseMemory {
    bytes: Arc<Semaphore>,
    max: usize,
    /// The permits of shared copies, by their address in memory. Locked to look up and to insert.
    shared: Mutex<HashMap<usize, Weak<OwnedSemaphorePermit>>>,
}

/// A body, and what it is counted with.
struct CountedBytes {
    bytes: Bytes,
    _held: Arc<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for CountedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl ResponseMemory {
    pub(super) fn new(bytes_max: usize) -> Self {
        let max = bytes_max.min(u32::MAX as usize).min(Semaphore::MAX_PERMITS);
        Self { bytes: Arc::new(Semaphore::new(max)), max, shared: Mutex::default() }
    }

    /// The answer, counted until it is written, or 503 if the limit is exceeded.
    pub(super) async fn count(&self, mut response: Response) -> Response {
        if response.body().size_hint().exact().is_none_or(|bytes| bytes < COUNTED_BYTES_MIN) {
            return response;
        }
        let is_shared = response.extensions_mut().remove::<SharedCopy>().is_some();
        let (parts, body) = response.into_parts();
        // Bodies of a known length are in memory, in one piece.
        let Some(Ok(collected)) = body.collect().now_or_never() else {
            return Problem::internal().into_response();
        };
        let bytes = collected.to_bytes();
        let held = if is_shared { self.hold_shared(&bytes) } else { self.hold(bytes.len()).map(Arc::new) };
        match held {
            Some(held) => {
                let body = Body::from(Bytes::from_owner(CountedBytes { bytes, _held: held }));
                Response::from_parts(parts, body)
            }
            None => Problem::too_many_answers().into_response(),
        }
    }

    fn hold(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let permits = u32::try_from(bytes.min(self.max)).unwrap_or(u32::MAX);
        self.bytes.clone().try_acquire_many_owned(permits).ok()
    }

    fn hold_shared(&self, bytes: &Bytes) -> Option<Arc<OwnedSemaphorePermit>> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let place = bytes.as_ptr() as usize;
        // Whoever holds the permit holds the copy, so nothing else is at this place.
        if let Some(held) = shared.get(&place).and_then(Weak::upgrade) {
            return Some(held);
        }
        if shared.len() >= SHARED_KNOWN_MAX {
            shared.retain(|_, held| held.strong_count() > 0);
        }
        let held = Arc::new(self.hold(bytes.len())?);
        shared.insert(place, Arc::downgrade(&held));
        Some(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(bytes: Bytes) -> Response {
        Body::from(bytes).into_response()
    }

    fn shared(bytes: &Bytes) -> Response {
        let mut response = answer(bytes.clone());
        response.extensions_mut().insert(SharedCopy);
        response
    }

    #[tokio::test]
    async fn o3_large_answers_are_counted_until_their_last_byte_is_gone() {
        let memory = ResponseMemory::new(200_000);
        let large = || answer(Bytes::from(vec![7; 90_000]));
        let (first, second) = (memory.count(large()).await, memory.count(large()).await);
        let third = memory.count(large()).await;
        assert_eq!(third.status(), 503);
        assert_eq!(memory.count(answer(Bytes::from(vec![7; 60_000]))).await.status(), 200, "a small one");
        let bytes = first.into_body().collect().await.expect("bytes").to_bytes();
        assert_eq!(bytes.len(), 90_000);
        assert_eq!(memory.count(large()).await.status(), 503, "the bytes are still held");
        drop(bytes);
        assert_eq!(memory.count(large()).await.status(), 200);
        drop(second);
        assert_eq!(memory.bytes.available_permits(), 200_000);
    }

    #[tokio::test]
    async fn o3_a_copy_that_many_read_is_counted_once() {
        let memory = ResponseMemory::new(200_000);
        let (one, two) = (Bytes::from(vec![1; 150_000]), Bytes::from(vec![2; 150_000]));
        let mut readers = Vec::new();
        for _ in 0..10 {
            readers.push(memory.count(shared(&one)).await);
        }
        assert!(readers.iter().all(|reader| reader.status() == 200));
        assert_eq!(memory.count(shared(&two)).await.status(), 503);
        drop(readers);
        assert_eq!(memory.count(shared(&two)).await.status(), 200);
    }

    #[tokio::test]
    async fn o3_an_answer_larger_than_all_may_be_is_sent_alone() {
        let memory = ResponseMemory::new(100_000);
        let alone = memory.count(answer(Bytes::from(vec![0; 1_000_000]))).await;
        assert_eq!(alone.status(), 200);
        assert_eq!(memory.count(answer(Bytes::from(vec![0; 70_000]))).await.status(), 503);
    }
}
