//! A server that says what a test wants, over a real connection.

use dao_api::websocket::{Decoder, Deflate, Incoming, Limits, accept, encode_ping, encode_text};
use dao_projections::Hash;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub(crate) struct Fake(TcpListener);

impl Fake {
    pub(crate) async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.0.local_addr().unwrap())
    }

    /// Takes a connection and what it asks.
    async fn asked(&mut self) -> (TcpStream, HeaderMap) {
        let (mut socket, _) = self.0.accept().await.unwrap();
        let mut bytes = vec![];
        while !bytes.ends_with(b"\r\n\r\n") {
            assert_ne!(socket.read_buf(&mut bytes).await.unwrap(), 0, "{}", String::from_utf8_lossy(&bytes));
        }
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("GET /ws?clientId="), "it names itself: {text}");
        assert!(text.contains("&userId=%C3%A4da HTTP/1.1\r\n"), "{text}");
        let lines = text.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers = lines.map(|(name, value)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        });
        (socket, headers.collect())
    }

    /// Shakes hands with the next client.
    pub(crate) async fn accept(&mut self) -> Peer {
        let (mut socket, headers) = self.asked().await;
        let accepted = accept(&headers, &["dao.v1.json"]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(accepted.protocol, Some("dao.v1.json"));
        let mut answer = b"HTTP/1.1 101 Switching Protocols\r\n".to_vec();
        for (name, value) in &accepted.headers {
            answer.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        answer.extend(b"\r\n");
        socket.write_all(&answer).await.unwrap();
        let limits = Limits { message_bytes_max: 1 << 20 };
        Peer { socket, decoder: Decoder::new(limits, Deflate::Off) }
    }

    /// Answers the next client with a problem.
    pub(crate) async fn refuse(&mut self, status: u16, detail: &str) {
        let (mut socket, _) = self.asked().await;
        let body = json!({"detail": detail}).to_string();
        let answer = format!("HTTP/1.1 {status} No\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        socket.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// A client, from the server's side. Its frames must be masked, else the decoder refuses them.
pub(crate) struct Peer {
    socket: TcpStream,
    decoder: Decoder,
}

impl Peer {
    pub(crate) async fn say(&mut self, frame: &Value) {
        self.socket.write_all(&encode_text(&frame.to_string())).await.unwrap();
    }

    pub(crate) async fn ping(&mut self, payload: &[u8]) {
        self.socket.write_all(&encode_ping(payload)).await.unwrap();
    }

    async fn next(&mut self) -> Incoming {
        loop {
            if let Some(message) = self.decoder.next().unwrap() {
                return message;
            }
            let mut bytes = vec![];
            assert_ne!(self.socket.read_buf(&mut bytes).await.unwrap(), 0, "the client has gone");
            self.decoder.push(&bytes);
        }
    }

    /// The next frame of the client.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            if let Incoming::Text(text) = self.next().await {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// The payload of the next pong.
    pub(crate) async fn pong(&mut self) -> Vec<u8> {
        loop {
            if let Incoming::Pong(payload) = self.next().await {
                return payload.to_vec();
            }
        }
    }

    /// A replay up to `head`, of these versions.
    pub(crate) async fn sync_and_commits(&mut self, head: u64, versions: &[u64]) {
        let hash = |n: u64| Hash::EMPTY.chain(&n.to_be_bytes());
        self.say(
            &json!({"type": "SYNC", "graphId": "g", "version": head, "hash": hash(head), "status": "replay",
            "settled": []}),
        )
        .await;
        for &n in versions {
            self.say(&json!({"type": "STATE_UPDATE", "graphId": "g", "version": n, "hash": hash(n),
                "operationId": uuid::Uuid::from_u128(n.into()), "userId": "ada", "clientId": "tab", "timestamp": n,
                "commandType": "DELETE_NODE", "outcome": "applied",
                "events": [{"type": "NodeDeleted", "nodeId": "n"}]}))
                .await;
        }
    }
}
