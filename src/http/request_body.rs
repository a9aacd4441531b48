//! Request bodies, read into memory, within limits (rule O3).
//!
//! Invariants:
//! - The announced length is not trusted: memory is taken as bytes arrive.
//! - All bodies together, from their first byte until their request is answered, stay within one limit. A body that would
//!   exceed it is refused.
//! - A body that stops arriving, or takes too long, is refused.
//! - The memory of a decoded body is counted too ([`Size::counted`]). Long bodies are decoded a few at a time, off the
//!   async threads.
//!
//! Long messages on sockets count against the same limit (`socket/`). Not here: what bodies say ([`super::decode`]).

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Request, header},
};
use bytes::BytesMut;
use http_body_util::BodyExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::{
    decode::{Decoded, Size},
    format::Format,
    problem::Problem,
    request_limits::RequestLimits,
};

/// Bodies longer than this are decoded and acted on a few at a time: a document takes many times the memory of
/// its bytes.
const LARGE_BYTES: usize = 1 << 20;
/// How many of them at once; more wait, as long as a body may take.
const LARGE_MAX: usize = 2;
/// How long a body waits that is read one at a time: as long as the command line waits for its answer.
const HUGE_PATIENCE: Duration = Duration::from_secs(600);

/// Bodies larger than this are decoded on the blocking pool, not on an async thread.
const INLINE_DECODE_BYTES_MAX: usize = 64 << 10;
/// How many of them are decoded at once, where there are fewer processors; more wait, as long as a body may take.
const DECODING_MIN: usize = 2;

/// The limits that all bodies share.
pub(super) struct Bodies {
    limits: RequestLimits,
    bytes: Arc<Semaphore>,
    large: Arc<Semaphore>,
    /// Bodies above so many bytes are read one at a time.
    huge: Option<(usize, Arc<Semaphore>)>,
    decoding: Arc<Semaphore>,
}

/// The memory that a body is counted with, given back when it is dropped.
#[derive(Default)]
pub(super) struct BodyPermit {
    bytes: Option<OwnedSemaphorePermit>,
    turn: Option<OwnedSemaphorePermit>,
    huge: Option<OwnedSemaphorePermit>,
}

impl BodyPermit {
    fn add(&mut self, permit: OwnedSemaphorePermit) {
        match &mut self.bytes {
            Some(bytes) => bytes.merge(permit),
            None => self.bytes = Some(permit),
        }
    }
}

impl Bodies {
    /// How long a whole body may take.
    pub(super) fn patience(&self) -> Duration {
        self.limits.body_timeout
    }

    pub(super) fn new(limits: RequestLimits) -> Self {
        Self {
            limits,
            bytes: Arc::new(Semaphore::new(limits.bodies_bytes_max.min(Semaphore::MAX_PERMITS))),
            large: Arc::new(Semaphore::new(LARGE_MAX)),
            huge: None,
            decoding: Arc::new(Semaphore::new(decoding_max())),
        }
    }

    /// The same, with one body of more than `bytes` at a time; more wait, and their time begins after that.
    pub(super) fn one_above(self, bytes: usize) -> Self {
        Self { huge: Some((bytes, Arc::new(Semaphore::new(1)))), ..self }
    }

    /// Reads the whole body. The caller keeps the permit until the request is answered.
    pub(super) async fn read(&self, request: Request<Body>) -> Result<(Bytes, BodyPermit), Problem> {
        let max = self.limits.body_bytes_max;
        let too_large =
            || Problem::too_large(format!("the body is larger than {max} bytes (MAX_BODY_BYTES)"));
        let announced = content_length(request.headers()).unwrap_or_default();
        if announced > max as u64 {
            return Err(too_large());
        }
        let mut body = request.into_body();
        let mut held = BodyPermit::default();
        // Before anything of it is held.
        self.wait_if_huge(usize::try_from(announced).unwrap_or(usize::MAX), &mut held).await?;
        let mut end = Instant::now() + self.limits.body_timeout;
        let (mut first, mut all) = (Bytes::new(), BytesMut::new());
        while let Some(bytes) = self.next(&mut body, end).await? {
            if first.len() + all.len() + bytes.len() > max {
                return Err(too_large());
            }
            end += self.wait_if_huge(first.len() + all.len() + bytes.len(), &mut held).await?;
            held.add(self.count(bytes.len())?);
            // Most bodies are one piece, which is not copied.
            if first.is_empty() && all.is_empty() {
                first = bytes;
                continue;
            }
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&bytes);
        }
        let bytes = if all.is_empty() { first } else { all.freeze() };
        held.turn = self.turn_for(bytes.len(), end).await?;
        Ok((bytes, held))
    }

    /// Waits for the turn of a body of this length, if it needs one, and says how long.
    async fn wait_if_huge(&self, bytes: usize, held: &mut BodyPermit) -> Result<Duration, Problem> {
        let began = Instant::now();
        if let Some((above, turns)) = &self.huge
            && bytes > *above
            && held.huge.is_none()
        {
            held.huge = Some(turn(turns, began + HUGE_PATIENCE).await?);
        }
        Ok(began.elapsed())
    }

    /// The next piece of a body; `None` at its end.
    async fn next(&self, body: &mut Body, end: Instant) -> Result<Option<Bytes>, Problem> {
        loop {
            let patience = end.min(Instant::now() + self.limits.body_idle_timeout);
            match timeout_at(patience, body.frame()).await {
                Ok(None) => return Ok(None),
                // Trailers are ignored.
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) if !bytes.is_empty() => return Ok(Some(bytes)),
                    _ => {}
                },
                Ok(Some(Err(_))) => return Err(Problem::bad_request("the body ended before its end")),
                Err(_late) => return Err(Problem::body_timeout()),
            }
        }
    }

    /// Counts these bytes, or refuses them if the limit is reached.
    pub(super) fn count(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.bytes.clone().try_acquire_many_owned(permits).map_err(|_| Problem::too_much_at_once())
    }

    /// Waits, until `end` at the latest, for a turn at decoding and executing a long body. A short one needs none.
    pub(super) async fn turn_for(
        &self,
        bytes: usize,
        end: Instant,
    ) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        if bytes > LARGE_BYTES { turn(&self.large, end).await.map(Some) } else { Ok(None) }
    }

    /// Decodes a body. From then on the memory that it occupies is counted.
    pub(super) async fn decode<T: Decoded>(
        &self,
        bytes: Bytes,
        format: Format,
        held: &mut BodyPermit,
    ) -> Result<T, Problem> {
        let limits = self.limits.document();
        let length = bytes.len();
        let decoded = if length <= INLINE_DECODE_BYTES_MAX {
            T::decode(&bytes, format, limits)?
        } else {
            let turn = turn(&self.decoding, Instant::now() + self.limits.body_timeout).await?;
            let work = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                T::decode(&bytes, format, limits)
            });
            work.await.map_err(|_| Problem::bad_request("the body can't be decoded"))??
        };
        self.count_decoded(decoded.size(), length, held)?;
        Ok(decoded)
    }

    /// Counts the memory of a decoded body beyond its length.
    fn count_decoded(&self, size: Size, length: usize, held: &mut BodyPermit) -> Result<(), Problem> {
        let more = size.counted().saturating_sub(length);
        if more > 0 {
            held.add(self.count(more)?);
        }
        Ok(())
    }
}

async fn turn(turns: &Arc<Semaphore>, end: Instant) -> Result<OwnedSemaphorePermit, Problem> {
    let turn = timeout_at(end, turns.clone().acquire_owned()).await;
    turn.ok().and_then(Result::ok).ok_or_else(Problem::too_much_at_once)
}

fn decoding_max() -> usize {
    std::thread::available_parallelism().map_or(DECODING_MIN, |found| found.get().max(DECODING_MIN))
}

/// `Content-Length`, if it can be read.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;
    use crate::http::decode::Document;

    fn bodies(body_bytes_max: usize, bodies_bytes_max: usize) -> Bodies {
        Bodies::new(RequestLimits { body_bytes_max, bodies_bytes_max, ..RequestLimits::default() })
    }

    fn request(parts: Vec<&'static [u8]>) -> Request<Body> {
        let parts = parts.into_iter().map(|part| Ok::<_, std::convert::Infallible>(Bytes::from(part)));
        Request::new(Body::from_stream(futures::stream::iter(parts)))
    }

    #[tokio::test]
    async fn o3_a_body_in_parts_is_one_body() {
        let (bytes, _held) = bodies(10, 10).read(request(vec![b"ab", b"", b"c", b"d"])).await.expect("read");
        assert_eq!(bytes, "abcd");
    }

    #[tokio::test]
    async fn o3_bodies_are_counted_from_their_first_byte_to_their_answer() {
        let bodies = bodies(8, 10);
        let (_, first) = bodies.read(request(vec![b"12345678"])).await.expect("room");
        assert_eq!(bodies.bytes.available_permits(), 2);
        let problem = bodies.read(request(vec![b"1", b"23"])).await.err().expect("no room");
        assert_eq!((problem.code, problem.is_temporary()), ("OVERLOADED", true));
        assert_eq!(bodies.bytes.available_permits(), 2, "what is refused holds nothing");
        drop(first);
        assert!(bodies.read(request(vec![b"1", b"23"])).await.is_ok());
        assert_eq!(bodies.bytes.available_permits(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn o3_bodies_above_a_bound_are_read_one_at_a_time() {
        let bodies = bodies(8, 100).one_above(4);
        let (_, first) = bodies.read(request(vec![b"123", b"45"])).await.expect("its turn");
        assert!(bodies.read(request(vec![b"1234"])).await.is_ok(), "a small one needs none");
        let problem = bodies.read(request(vec![b"12345"])).await.err().expect("no turn in time");
        assert_eq!((problem.code, problem.is_temporary()), ("OVERLOADED", true));
        // Longer than a body may take: the wait is not of that time.
        let release = async {
            tokio::time::sleep(bodies.patience() * 3).await;
            drop(first);
        };
        let slow = |announced: Option<usize>| {
            let parts = futures::stream::iter([b"123" as &[u8], b"45", b"6"]).then(|part| async move {
                tokio::time::sleep(Duration::from_secs(5)).await;
                Ok::<_, std::convert::Infallible>(Bytes::from_static(part))
            });
            let mut request = Request::new(Body::from_stream(parts));
            let length = announced.map(|length| (header::CONTENT_LENGTH, length.into()));
            request.headers_mut().extend(length);
            request
        };
        let both = async {
            for announced in [None, Some(6)] {
                let (bytes, _held) = bodies.read(slow(announced)).await.expect("its turn");
                assert_eq!(bytes, "123456");
            }
        };
        tokio::join!(release, both);
    }

    #[tokio::test]
    async fn o3_what_a_decoded_body_occupies_is_counted_until_its_answer() {
        let bodies = bodies(1 << 20, 1 << 20);
        let list = format!("[{}0]", "[0],".repeat(25_000)).into_bytes();
        let length = list.len();
        let mut held = BodyPermit::default();
        held.add(bodies.count(length).expect("room"));
        let document: Document = bodies.decode(list.into(), Format::Json, &mut held).await.expect("a list");
        assert!(document.size.counted() > 2 * length, "{:?}", document.size);
        assert_eq!(bodies.bytes.available_permits(), (1 << 20) - document.size.counted());
        drop(held);
        assert_eq!(bodies.bytes.available_permits(), 1 << 20);

        let small = self::bodies(1 << 20, length + 1_000);
        let list = format!("[{}0]", "[0],".repeat(25_000)).into_bytes();
        let mut held = BodyPermit::default();
        held.add(small.count(length).expect("room"));
        let problem =
            small.decode::<Document>(list.into(), Format::Json, &mut held).await.expect_err("no room");
        assert_eq!((problem.code, problem.is_temporary()), ("OVERLOADED", true));
    }

    #[tokio::test]
    async fn o3_a_body_that_is_too_large_in_parts_is_413() {
        let bodies = bodies(4, 10);
        let problem = bodies.read(request(vec![b"123", b"45"])).await.err().expect("too large");
        assert_eq!(problem.code, "TOO_LARGE");
        assert_eq!(bodies.bytes.available_permits(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn o3_a_body_that_brings_nothing_or_takes_too_long_is_408() {
        let bodies = bodies(1 << 20, 1 << 20);
        let silent =
            Request::new(Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>()));
        assert_eq!(bodies.read(silent).await.err().map(|problem| problem.code), Some("REQUEST_TIMEOUT"));
        let dribble = futures::stream::unfold((), |()| async {
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"x")), ()))
        });
        let began = Instant::now();
        let problem = bodies.read(Request::new(Body::from_stream(dribble))).await.err().expect("too long");
        assert_eq!(problem.code, "REQUEST_TIMEOUT");
        assert!(began.elapsed().as_secs() <= 60, "{:?}", began.elapsed());
    }
}
