//! One WebSocket connection of a client: sends and receives text messages, answers pings, detects a silent server.

use std::{io, time::Duration};

use tokio::{io::Interest, net::TcpStream, time::Instant};
use uuid::Uuid;

use super::{
    error::{AskError, LinkError},
    http1::{self, BODY_BYTES_MAX, PATIENCE},
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
    stream: TcpStream,
    decoder: Decoder,
    out: Vec<u8>,
    written: usize,
    heard_at: Instant,
    /// After this long without a byte the server counts as gone.
    patience: Duration,
}

impl Socket {
    /// Connects and performs the handshake. Cancel-safe.
    pub(super) async fn open(server: &Server, path: &str) -> Result<Self, AskError> {
        let handshake = ClientHandshake::new(nonce(), PROTOCOL);
        let mut stream = http1::ask(server, path, &handshake.headers()).await?;
        let head = http1::read_head(&mut stream).await?;
        if head.status != 101 {
            let status = head.status;
            // Says why, but does not have to.
            let body = http1::read_body(&mut stream, head).await.unwrap_or_default();
            return Err(http1::refused(status, &body));
        }
        handshake.check(head.status, &head.headers).map_err(LinkError::from)?;
        let mut decoder = Decoder::of_client(Limits { message_bytes_max: BODY_BYTES_MAX }, Deflate::Off);
        decoder.push(&head.rest);
        let heard_at = Instant::now();
        Ok(Self { stream, decoder, out: Vec::new(), written: 0, heard_at, patience: PATIENCE })
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
                    let _unwritten = self.write();
                    return Err(LinkError::Closed(reason));
                }
                None => self.exchange().await?,
            }
        }
    }

    /// Waits until something can be read or written, and does so.
    async fn exchange(&mut self) -> Result<(), LinkError> {
        let interest = match self.out.len() > self.written {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        };
        let ready = tokio::time::timeout_at(self.heard_at + self.patience, self.stream.ready(interest)).await;
        let ready = ready.map_err(|_late| LinkError::Silent(self.patience))?.map_err(LinkError::Broken)?;
        if ready.is_writable() {
            self.write().map_err(LinkError::Broken)?;
        }
        if ready.is_readable() {
            self.read()?;
        }
        Ok(())
    }

    fn read(&mut self) -> Result<(), LinkError> {
        let mut buffer = [0; READ_BYTES];
        match self.stream.try_read(&mut buffer) {
            Ok(0) => Err(LinkError::Closed(String::new())),
            Ok(length) => {
                self.heard_at = Instant::now();
                self.decoder.push(&buffer[..length]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(LinkError::Broken(error)),
        }
    }

    fn write(&mut self) -> io::Result<()> {
        if self.written < self.out.len() {
            match self.stream.try_write(&self.out[self.written..]) {
                Ok(length) => self.written += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if self.written == self.out.len() {
            (self.out, self.written) = (Vec::new(), 0);
        }
        Ok(())
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
