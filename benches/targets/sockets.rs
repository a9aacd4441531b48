//! The WebSocket load: sockets that follow graphs, read by one thread that counts frames by their
//! lengths and looks into as few of them as it can.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    Outcome,
    http::{broken, find},
};

/// How often it is asked whether all has come, and how long that may take.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(60);
/// Sockets that shake hands at once.
const AT_ONCE: usize = 64;

/// Whether messages may be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Off,
    /// As browsers offer it.
    Offered,
}

/// One socket, with whatever was read and not yet looked at.
pub(crate) struct Socket {
    stream: TcpStream,
    input: Vec<u8>,
    /// Bytes of a long frame that are still to come.
    to_skip: usize,
}

impl Socket {
    /// Connects and shakes hands; `query` may subscribe.
    pub(crate) async fn open(address: SocketAddr, query: &str, compression: Compression) -> Outcome<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let offer = match compression {
            Compression::Off => "",
            Compression::Offered => {
                "sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n"
            }
        };
        let request = format!(
            "GET /ws{query} HTTP/1.1\r\nhost: bench\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{offer}\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut input = Vec::with_capacity(1 << 10);
        let end = loop {
            if stream.read_buf(&mut input).await? == 0 {
                return Err(broken("no answer to the handshake").into());
            }
            if let Some(end) = find(&input, b"\r\n\r\n") {
                break end + 4;
            }
        };
        if !input.starts_with(b"HTTP/1.1 101") {
            return Err(format!("no 101: {}", String::from_utf8_lossy(&input)).into());
        }
        input.drain(..end);
        Ok(Self { stream, input, to_skip: 0 })
    }

    /// Waits until there is something, and calls `see` with the first byte, the length and the
    /// beginning of each frame that has begun. Bytes read, with those of headers.
    pub(crate) async fn frames(
        &mut self,
        buffer: &mut [u8],
        mut see: impl FnMut(u8, usize, &[u8]),
    ) -> io::Result<usize> {
        let read = loop {
            if !self.input.is_empty() {
                break 0;
            }
            self.stream.readable().await?;
            match self.stream.try_read(buffer) {
                Ok(0) => return Err(broken("the server closed a socket")),
                Ok(read) => break read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        };
        // Hardly ever does a frame lie across two reads: then its header may be kept.
        let kept = std::mem::take(&mut self.input);
        let joined;
        let mut rest = if kept.is_empty() {
            &buffer[..read]
        } else {
            let mut more = buffer.to_vec();
            let read = if read == 0 && kept.len() < 16 {
                self.stream.try_read(&mut more).unwrap_or(0)
            } else {
                read
            };
            joined = [&kept[..], &more[..read]].concat();
            &joined[..]
        };
        let total = rest.len();
        loop {
            let skipped = self.to_skip.min(rest.len());
            (self.to_skip, rest) = (self.to_skip - skipped, &rest[skipped..]);
            let Some((first, header, length)) = header(rest) else { break };
            see(first, length, &rest[header..rest.len().min(header + length)]);
            (self.to_skip, rest) = (length, &rest[header..]);
        }
        self.input = rest.to_vec();
        Ok(total)
    }

    /// Reads until `count` frames have begun and the last has ended; the bytes that took.
    pub(crate) async fn take(&mut self, count: usize, buffer: &mut [u8]) -> io::Result<usize> {
        let (mut seen, mut bytes) = (0, 0);
        while seen < count || self.to_skip > 0 {
            bytes += self.frames(buffer, |_, _, _| seen += 1).await?;
        }
        Ok(bytes)
    }
}

/// First byte, length of the header, length of the payload.
fn header(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    match *bytes.get(1)? {
        126 => Some((bytes[0], 4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)))),
        127 => Some((bytes[0], 10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize)),
        length => Some((bytes[0], 2, usize::from(length))),
    }
}

/// So many sockets, each past its `WELCOME` and `SYNC`.
pub(crate) async fn open_many(
    address: SocketAddr,
    count: usize,
    query: &str,
    compression: Compression,
) -> Outcome<Vec<Socket>> {
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        let batch = (all.len()..count.min(all.len() + AT_ONCE)).map(|_| async {
            let mut socket = Socket::open(address, query, compression).await?;
            socket.take(2, &mut vec![0; 16 << 10]).await?;
            Outcome::Ok(socket)
        });
        for opened in futures::future::join_all(batch).await {
            all.push(opened?);
        }
    }
    Ok(all)
}

/// What a fan-out came to.
pub(crate) struct Delivered {
    /// Frames that subscribers got.
    pub(crate) frames: u64,
    /// From when the command was due to when the frame was read.
    pub(crate) latencies: Histogram<u64>,
}

/// Reads from all sockets until `is_all` says that so many frames are all, while `due` says when the
/// n-th of the commits was due. One socket in fifty is asked for its latencies, and all for their
/// frames.
pub(crate) async fn follow(
    sockets: &mut [Socket],
    due: impl Fn(u64) -> Option<Instant>,
    is_all: impl Fn(u64) -> bool,
) -> Outcome<Delivered> {
    let latencies = std::cell::RefCell::new(Histogram::<u64>::new_with_bounds(1, 10_000_000_000, 3)?);
    let frames = std::cell::Cell::new(0_u64);
    let due = &due;
    let readers = sockets.iter_mut().enumerate().map(|(index, socket)| {
        let (latencies, frames) = (&latencies, &frames);
        async move {
            let (mut buffer, mut seen) = (vec![0; 4 << 10], 0);
            loop {
                let read = socket.frames(&mut buffer, |first, _, _| {
                    if first & 0x0f != 1 {
                        return;
                    }
                    frames.set(frames.get() + 1);
                    if index % 50 == 0
                        && let Some(due) = due(seen)
                    {
                        latencies.borrow_mut().saturating_record(due.elapsed().as_nanos() as u64);
                    }
                    seen += 1;
                });
                if let Err(error) = read.await {
                    return error;
                }
            }
        }
    });
    // Each is polled only when it has something: one future would poll all for every byte.
    let mut readers: futures::stream::FuturesUnordered<_> = readers.collect();
    let patience = Instant::now() + PATIENCE;
    while !is_all(frames.get()) {
        let next = futures::StreamExt::next(&mut readers);
        if let Ok(Some(error)) = tokio::time::timeout(LOOK_EVERY, next).await {
            return Err(error.into());
        }
        if Instant::now() > patience {
            return Err(format!("only {} deliveries came", frames.get()).into());
        }
    }
    drop(readers);
    Ok(Delivered { frames: frames.get(), latencies: latencies.into_inner() })
}
