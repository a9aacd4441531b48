//! A small WebSocket client over a plain socket: sends any bytes, checks that what comes back keeps
//! RFC 6455, judges nothing else. Written from the RFC, not from the code under test.

use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// A frame that takes longer is a failure: no test waits for one to come late.
const PATIENCE: Duration = Duration::from_secs(30);
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// How a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Speech {
    pub(crate) message_pack: bool,
    pub(crate) deflate: bool,
}

pub(crate) const PLAIN: Speech = Speech { message_pack: false, deflate: false };
/// All four ways.
pub(crate) const EVERY_SPEECH: [Speech; 4] = [
    PLAIN,
    Speech { message_pack: false, deflate: true },
    Speech { message_pack: true, deflate: false },
    Speech { message_pack: true, deflate: true },
];

/// Something that came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Came {
    Message(Value),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    /// The server ended the stream.
    End,
    /// It did so within a frame.
    Cut,
}

/// The answer to a handshake that was refused.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

pub(crate) struct Ws {
    pub(crate) stream: TcpStream,
    input: Vec<u8>,
    /// Up to here `input` is done with.
    consumed: usize,
    speech: Speech,
    /// What was received and put back.
    kept: VecDeque<Value>,
    /// Bytes of the frames received, with their headers.
    pub(crate) bytes_received: usize,
    pub(crate) head: String,
}

impl Ws {
    /// A connection that speaks plain JSON, after its `WELCOME`.
    pub(crate) async fn connect(address: SocketAddr, query: &str) -> Self {
        Self::connect_as(address, query, PLAIN).await
    }

    pub(crate) async fn connect_as(address: SocketAddr, query: &str, speech: Speech) -> Self {
        let mut ws = Self::handshake(address, query, speech).await.expect("a handshake that is accepted");
        ws.expect("WELCOME").await;
        ws
    }

    /// The handshake alone.
    pub(crate) async fn handshake(address: SocketAddr, query: &str, speech: Speech) -> Result<Self, Refused> {
        Self::handshake_with(address, query, speech, "").await
    }

    /// The same with these header lines besides.
    pub(crate) async fn handshake_with(
        address: SocketAddr,
        query: &str,
        speech: Speech,
        more: &str,
    ) -> Result<Self, Refused> {
        let protocol = if speech.message_pack { "dao.v1.msgpack" } else { "dao.v1.json" };
        let mut headers = format!("sec-websocket-protocol: {protocol}\r\n{more}");
        if speech.deflate {
            headers += "sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n";
        }
        let mut ws = Self::upgrade(address, query, &headers).await?;
        ws.speech = speech;
        let head = ws.head.to_ascii_lowercase();
        assert!(head.contains(&format!("sec-websocket-protocol: {protocol}")), "{head}");
        assert_eq!(head.contains("permessage-deflate"), speech.deflate, "{head}");
        Ok(ws)
    }

    /// A handshake with these header lines besides the usual ones.
    pub(crate) async fn upgrade(address: SocketAddr, query: &str, headers: &str) -> Result<Self, Refused> {
        let request = format!(
            "GET /ws{query} HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        Self::raw(address, request.as_bytes()).await
    }

    /// Any bytes as a request.
    pub(crate) async fn raw(address: SocketAddr, request: &[u8]) -> Result<Self, Refused> {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        let mut ws = Self {
            stream,
            input: vec![],
            consumed: 0,
            speech: PLAIN,
            kept: VecDeque::new(),
            bytes_received: 0,
            head: String::new(),
        };
        ws.stream.write_all(request).await.expect("the request is sent");
        let end = loop {
            if let Some(at) = ws.input.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(ws.read().await.expect("an answer") > 0, "no answer to the handshake");
        };
        ws.head = String::from_utf8_lossy(&ws.input[..end]).into_owned();
        if ws.head.starts_with("HTTP/1.1 101") {
            ws.consumed = end;
            // RFC 6455 section 1.3: the answer to this very key.
            assert!(ws.head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{}", ws.head);
            return Ok(ws);
        }
        let status = ws.head[9..12].parse().expect("a status");
        let length = ws.head.to_ascii_lowercase();
        let length = length.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let length: usize = length.expect("a length").parse().expect("a number");
        while ws.input.len() < end + length {
            assert!(ws.read().await.expect("a body") > 0, "the body is cut off");
        }
        let body = serde_json::from_slice(&ws.input[end..]).unwrap_or(Value::Null);
        Err(Refused { status, head: ws.head, body })
    }

    /// Itself, and a second handle of its socket, to write with while it reads.
    pub(crate) fn split(self) -> (Self, TcpStream) {
        let socket = self.stream.into_std().expect("a socket");
        let second = socket.try_clone().expect("a second handle");
        let [first, second] = [socket, second].map(|one| TcpStream::from_std(one).expect("registered"));
        (Self { stream: first, ..self }, second)
    }

    async fn read(&mut self) -> io::Result<usize> {
        if self.consumed > 0 {
            self.input.drain(..self.consumed);
            self.consumed = 0;
        }
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.input)).await;
        read.expect("something comes in time")
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        let frame = self.encode(message);
        self.write(&frame).await;
    }

    /// The frame of a message.
    pub(crate) fn encode(&self, message: &Value) -> Vec<u8> {
        let (opcode, payload) = if self.speech.message_pack {
            (BINARY, rmp_serde::to_vec_named(message).expect("MessagePack"))
        } else {
            (TEXT, message.to_string().into_bytes())
        };
        match self.speech.deflate {
            true => frame(FIN | RSV1 | opcode, &deflated(&payload)),
            false => frame(FIN | opcode, &payload),
        }
    }

    /// Sends these bytes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the server takes it");
    }

    /// What comes next.
    pub(crate) async fn next(&mut self) -> Came {
        loop {
            if let Some((first, payload)) = self.take_frame() {
                return self.understand(first, payload);
            }
            match self.read().await {
                Ok(0) if self.consumed < self.input.len() => return Came::Cut,
                Ok(0) => return Came::End,
                Ok(_) => {}
                Err(error) => panic!("the connection broke: {error}"),
            }
        }
    }

    /// The same, what was put back first.
    pub(crate) async fn next_or_kept(&mut self) -> Came {
        match self.kept.pop_front() {
            Some(kept) => Came::Message(kept),
            None => self.next().await,
        }
    }

    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let rest = &self.input[self.consumed..];
        let (&[first, short], after) = rest.split_first_chunk::<2>()?;
        assert_eq!(short & 0x80, 0, "a server's frame is not masked");
        let (length, after) = match short {
            126 => {
                let (bytes, after) = after.split_first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*bytes)), after)
            }
            127 => {
                let (bytes, after) = after.split_first_chunk::<8>()?;
                (u64::from_be_bytes(*bytes) as usize, after)
            }
            short => (usize::from(short), after),
        };
        let header = rest.len() - after.len();
        let payload = after.get(..length)?.to_vec();
        self.consumed += header + length;
        self.bytes_received += header + length;
        Some((first, payload))
    }

    fn understand(&self, first: u8, payload: Vec<u8>) -> Came {
        assert_eq!(first & FIN, FIN, "the server sends whole messages");
        let is_deflated = first & RSV1 != 0;
        assert!(self.speech.deflate || !is_deflated, "RSV1 without permessage-deflate");
        let payload = if is_deflated { inflated(&payload) } else { payload };
        match first & 0x0f {
            TEXT => {
                assert!(!self.speech.message_pack, "text where MessagePack was agreed on");
                Came::Message(serde_json::from_slice(&payload).expect("JSON"))
            }
            BINARY => {
                assert!(self.speech.message_pack, "binary where JSON was agreed on");
                Came::Message(rmp_serde::from_slice(&payload).expect("MessagePack"))
            }
            CLOSE if payload.is_empty() => Came::Close(None, String::new()),
            CLOSE => {
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                Came::Close(Some(code), String::from_utf8(payload[2..].to_vec()).expect("UTF-8"))
            }
            PING => Came::Ping(payload),
            PONG => Came::Pong(payload),
            other => panic!("opcode {other}"),
        }
    }

    /// The next message; pings are answered on the way.
    pub(crate) async fn recv(&mut self) -> Value {
        if let Some(kept) = self.kept.pop_front() {
            return kept;
        }
        loop {
            match self.next().await {
                Came::Message(message) => return message,
                Came::Ping(payload) => self.write(&frame(FIN | PONG, &payload)).await,
                other => panic!("{other:?} where a message was expected"),
            }
        }
    }

    /// The next message, which is of this type.
    #[track_caller]
    pub(crate) fn expect<'a>(&'a mut self, kind: &'a str) -> impl Future<Output = Value> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let message = self.recv().await;
            assert_eq!(message["type"], kind, "{caller}: {message}");
            message
        }
    }

    /// All that comes up to the answer to a `PING`: what the server had to say so far.
    pub(crate) async fn so_far(&mut self) -> Vec<Value> {
        self.send(&json!({"type": "PING"})).await;
        let mut all = vec![];
        loop {
            let message = self.recv().await;
            if message["type"] == "PONG" {
                return all;
            }
            all.push(message);
        }
    }

    /// Puts a message back, to be received next.
    pub(crate) fn put_back(&mut self, message: Value) {
        self.kept.push_front(message);
    }

    /// Subscribes, and returns the `SYNC`.
    pub(crate) async fn subscribe(&mut self, graph: &str, more: Value) -> Value {
        let frame = super::graph::with(&json!({"type": "SUBSCRIBE", "graphId": graph}), more);
        self.send(&frame).await;
        let sync = self.expect("SYNC").await;
        assert_eq!(sync["graphId"], graph);
        sync
    }

    /// Sends a command under a new id, which is returned.
    pub(crate) async fn command(&mut self, graph: &str, name: &str, payload: Value) -> String {
        let id = super::graph::new_id();
        self.send(&command_frame(graph, &id, name, payload)).await;
        id
    }

    /// The last frames of a connection: a Close with this code, then the end.
    pub(crate) async fn expect_close(&mut self, code: u16) {
        loop {
            match self.next().await {
                Came::Close(given, _) => {
                    assert_eq!(given, Some(code));
                    break;
                }
                Came::Message(_) | Came::Ping(_) | Came::Pong(_) => {}
                Came::End | Came::Cut => panic!("the stream ended without a Close"),
            }
        }
        assert_eq!(self.next().await, Came::End);
    }
}

pub(crate) fn command_frame(graph: &str, id: &str, name: &str, payload: Value) -> Value {
    json!({"type": "COMMAND", "graphId": graph, "operationId": id, "command": {"type": name, "payload": payload}})
}

/// A client's frame, masked.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=65_535 => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().enumerate().map(|(index, byte)| byte ^ MASK[index % 4]));
    frame
}

/// A message's payload as permessage-deflate sends it.
pub(crate) fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut state = Compress::new(Compression::new(6), false);
    let mut output = Vec::with_capacity(payload.len() * 2 + 1024);
    state.compress_vec(payload, &mut output, FlushCompress::Sync).expect("it deflates");
    output.truncate(output.len() - 4);
    output
}

fn inflated(payload: &[u8]) -> Vec<u8> {
    let whole = [payload, &[0, 0, 0xff, 0xff]].concat();
    let mut state = Decompress::new(false);
    let mut output = Vec::with_capacity(payload.len() * 8 + 1024);
    loop {
        let taken = state.total_in() as usize;
        state.decompress_vec(&whole[taken..], &mut output, FlushDecompress::Sync).expect("it inflates");
        if state.total_in() as usize == whole.len() && output.len() < output.capacity() {
            return output;
        }
        output.reserve(output.capacity());
    }
}
