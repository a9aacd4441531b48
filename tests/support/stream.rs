//! Reads answers that do not end: server-sent events and lines of JSON.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use super::http::Client;

/// What does not come in this time does not come.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer under way.
pub(crate) struct Stream {
    connection: BufReader<TcpStream>,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    text: Vec<u8>,
    has_ended: bool,
}

/// One server-sent event, or a comment.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: Value,
    pub(crate) is_comment: bool,
}

impl Stream {
    pub(crate) async fn open(client: &Client, path: &str, headers: &[(&str, &str)]) -> Self {
        let connection = TcpStream::connect(client.address()).await.expect("a connection");
        let mut connection = BufReader::new(connection);
        let mut request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n");
        headers.iter().for_each(|(name, value)| request.push_str(&format!("{name}: {value}\r\n")));
        request.push_str("\r\n");
        connection.write_all(request.as_bytes()).await.expect("sent");
        let mut stream = Self { connection, status: 0, headers: vec![], text: vec![], has_ended: false };
        let first = stream.raw_line().await;
        stream.status = first.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        loop {
            let line = stream.raw_line().await;
            let Some((name, value)) = line.split_once(':') else { break };
            stream.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        stream
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    async fn raw_line(&mut self) -> String {
        let mut line = Vec::new();
        let read = timeout(PATIENCE, self.connection.read_until(b'\n', &mut line)).await;
        read.expect("in time").expect("a line");
        String::from_utf8(line).expect("UTF-8").trim_end_matches(['\r', '\n']).to_owned()
    }

    async fn chunk(&mut self) {
        let length = usize::from_str_radix(&self.raw_line().await, 16).expect("a chunk's length");
        let mut bytes = vec![0; length + 2];
        timeout(PATIENCE, self.connection.read_exact(&mut bytes)).await.expect("in time").expect("a chunk");
        self.text.extend_from_slice(&bytes[..length]);
        self.has_ended = length == 0;
    }

    /// What comes before the next `end`, without it; `None` at the end of the answer.
    async fn until(&mut self, end: &str) -> Option<String> {
        loop {
            let text = std::str::from_utf8(&self.text).unwrap_or_default();
            if let Some((found, rest)) = text.split_once(end) {
                let (found, rest) = (found.to_owned(), rest.as_bytes().to_vec());
                self.text = rest;
                return Some(found);
            }
            if self.has_ended {
                assert!(self.text.is_empty(), "a part at the end");
                return None;
            }
            self.chunk().await;
        }
    }

    /// The next line of JSON; a blank line is null.
    pub(crate) async fn line(&mut self) -> Option<Value> {
        let line = self.until("\n").await?;
        match line.is_empty() {
            true => Some(Value::Null),
            false => Some(serde_json::from_str(&line).expect("JSON")),
        }
    }

    /// All lines to the end.
    pub(crate) async fn lines(mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some(line) = self.line().await {
            all.push(line);
        }
        all
    }

    pub(crate) async fn event(&mut self) -> Option<Event> {
        let text = self.until("\n\n").await?;
        let mut event = Event::default();
        for line in text.lines() {
            match line.split_once(": ").unwrap_or((line, "")) {
                ("id", id) => event.id = id.to_owned(),
                ("event", name) => event.name = name.to_owned(),
                ("data", data) => event.data = serde_json::from_str(data).expect("JSON"),
                (comment, _) => {
                    assert!(comment.starts_with(':'), "{line:?}");
                    event.is_comment = true;
                }
            }
        }
        Some(event)
    }

    /// The next event, which is a commit, with its id.
    pub(crate) async fn commit(&mut self) -> (String, Value) {
        let event = self.event().await.expect("an event");
        assert_eq!(event.name, "commit", "{event:?}");
        (event.id, event.data)
    }
}
