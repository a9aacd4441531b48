//! One WebSocket connection of a client: sends and receives text messages, answers pings, detects a silent server.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::FutureExt;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};
use uuid::Uuid;

use super::{
    error::{AskError, LinkError},
    http::{self, BODY_BYTES_MAX, PATIENCE},
    server::Server,
};
use crate::websocket::{
    ClientHandshake, Decoder, Deflate, Incoming, Limits, encode_close, encode_pong, encode_text, masked,
};

/// The subprotocol: JSON in text frames.
const PROTOCOL: &str = "dao.v1.json";
const READ_BYTES: usize = 16 << 10;

/// An open connection.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TokioIo<Upgraded>,
    decoder: Decoder,
    out: Vec<u8>,
    written: usize,
    /// Whether something was written that may not have left yet.
    is_unflushed: bool,
    heard_at: Instant,
    /// After this long without a byte the server counts as gone.
    patience: Duration,
}

impl Socket {
    /// Connects and performs the handshake. Cancel-safe.
    pub(super) async fn open(server: &Server, path: &str) -> Result<Self, AskError> {
        let handshake = ClientHandshake::new(nonce(), PROTOCOL);
        let check = |status, answer: &_| handshake.check(status, answer).map_err(LinkError::from);
        let stream = http::upgrade(server, path, &handshake.headers(), check).await?;
        let decoder = Decoder::of_client(Limits { message_bytes_max: BODY_BYTES_MAX }, Deflate::Off);
        let (heard_at, patience) = (Instant::now(), PATIENCE);
        Ok(Self { stream, decoder, out: Vec::new(), written: 0, is_unflushed: false, heard_at, patience })
    }

    /// The server sends something at least this often (rules W1, W8).
    pub(super) fn expect_heartbeat(&mut self, every: Duration) {
        self.patience = every.saturating_mul(2);
    }

    /// Restarts the silence timer after a time in which the socket was not read.
    pub(super) fn forgive_silence(&mut self) {
        self.heard_at = Instant::now();
    }

    /// Queues a text message; [`receive`](Self::receive) writes it.
    pub(super) fn send(&mut self, text: &str) {
        self.frame(&encode_text(text));
    }

    fn frame(&mut self, frame: &[u8]) {
        self.out.extend_from_slice(&masked(frame, random_bits().to_be_bytes()));
    }

    /// The next text message, meanwhile writing what is queued. Cancel-safe: what was read stays in
    /// the decoder, what was not written in the queue.
    pub(super) async fn receive(&mut self) -> Result<String, LinkError> {
        loop {
            match self.decoder.next()? {
                Some(Incoming::Text(text)) => return Ok(text),
                Some(Incoming::Ping(payload)) => self.frame(&encode_pong(&payload)),
                // A client's decoder gives no message that is too long or compressed.
                Some(
                    Incoming::Binary(_) | Incoming::Deflated(_) | Incoming::TooLong(_) | Incoming::Pong(_),
                ) => {}
                Some(Incoming::Close { code, reason }) => {
                    self.frame(&encode_close(code, ""));
                    // A courtesy; the connection ends either way.
                    let _unwritten = std::future::poll_fn(|cx| self.poll_out(cx)).now_or_never();
                    return Err(LinkError::Closed(reason));
                }
                None => self.exchange().await?,
            }
        }
    }

    /// Waits until something can be read or written, and does so.
    async fn exchange(&mut self) -> Result<(), LinkError> {
        let (end, patience) = (self.heard_at + self.patience, self.patience);
        let exchanged = tokio::time::timeout_at(end, std::future::poll_fn(|cx| self.poll_exchange(cx)));
        exchanged.await.map_err(|_late| LinkError::Silent(patience))?
    }

    fn poll_exchange(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let has_out = !self.out.is_empty() || self.is_unflushed;
        let out = self.poll_out(cx).map_err(LinkError::Broken)?;
        let read = self.poll_in(cx)?;
        match read.is_ready() || has_out && out.is_ready() {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    /// Reads what is there.
    fn poll_in(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let mut bytes = [0; READ_BYTES];
        let mut buffer = ReadBuf::new(&mut bytes);
        std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))
            .map_err(LinkError::Broken)?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Err(LinkError::Closed(String::new())));
        }
        self.heard_at = Instant::now();
        self.decoder.push(buffer.filled());
        Poll::Ready(Ok(()))
    }

    /// Writes what is queued.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.out.len() {
            let length =
                std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, &self.out[self.written..]))?;
            if length == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += length;
            self.is_unflushed = true;
        }
        (self.out, self.written) = (Vec::new(), 0);
        if self.is_unflushed {
            std::task::ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// Unpredictable bits: the last ones of a version 7 UUID, seeded by the operating system.
pub(super) fn random_bits() -> u32 {
    Uuid::now_v7().as_u128() as u32
}

fn nonce() -> [u8; 16] {
    let mut nonce = [0; 16];
    for piece in nonce.chunks_exact_mut(4) {
        piece.copy_from_slice(&random_bits().to_be_bytes());
    }
    nonce
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn masks_and_nonces_do_not_repeat() {
        let masks: HashSet<u32> = (0..1_000).map(|_| random_bits()).collect();
        assert!(masks.len() > 990, "{} of 1000", masks.len());
        assert_ne!(nonce(), nonce());
    }
}
