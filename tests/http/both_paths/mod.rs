//! Commands and batches are answered past the router. Here the same bytes are sent to two servers, one of which routes
//! them as all other requests: the bytes that come back are the same.
//!
//! Both servers have the same clock and start with nothing, so that even hashes agree. What differs is the time in `Date`.

mod bodies;
mod requests;

use std::time::Duration;

use dao_api::http::{App, CommandPath, RequestLimits};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::server::Server;

const PATIENCE: Duration = Duration::from_secs(30);

/// A server that answers past the router, and one that routes.
struct Both([Server; 2]);

impl Both {
    async fn of(limits: RequestLimits, made: impl Fn(App) -> App) -> Self {
        let fast = Server::at_one_time(limits, |app| made(app.with_command_path(CommandPath::Fast))).await;
        let routed =
            Server::at_one_time(limits, |app| made(app.with_command_path(CommandPath::Routed))).await;
        Self([fast, routed])
    }

    async fn plain() -> Self {
        Self::of(RequestLimits::default(), |app| app).await
    }

    /// Sends these bytes to both, and returns what both said to the end of the connection.
    async fn say(&self, bytes: &[u8]) -> String {
        let [fast, routed] = [said_by(&self.0[0], bytes).await, said_by(&self.0[1], bytes).await];
        assert_eq!(fast, routed, "to {}", String::from_utf8_lossy(bytes));
        fast
    }

    /// Posts a body without an operation id: the hash of the commit is of the id that the server made.
    async fn post_made(&self, path: &str, headers: &str, body: &[u8]) {
        let bytes = post(path, headers, body);
        let fast = without_hashes(&said_by(&self.0[0], &bytes).await);
        assert_eq!(
            fast,
            without_hashes(&said_by(&self.0[1], &bytes).await),
            "to {}",
            String::from_utf8_lossy(&bytes)
        );
    }

    /// Posts a body with these headers.
    async fn post(&self, path: &str, headers: &str, body: &[u8]) -> String {
        self.say(&post(path, headers, body)).await
    }
}

/// A hash is 64 digits.
fn without_hashes(answer: &str) -> String {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_hexdigit).count();
    let (mut rest, mut shown) = (answer, String::new());
    while let Some(first) = rest.chars().next() {
        match digits(rest) {
            64.. => {
                shown.push_str("(a hash)");
                rest = &rest[64..];
            }
            _ => {
                shown.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    shown
}

async fn said_by(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    // A refusal may come before all is sent.
    let _sent = stream.write_all(bytes).await;
    let mut answer = vec![];
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the connection ends").unwrap();
    let text: String = answer.iter().map(|byte| char::from(*byte)).collect();
    let lines = text.split("\r\n").filter(|line| !line.starts_with("date: "));
    let lines: Vec<String> = lines.map(masked).collect();
    // The order of headers says nothing (RFC 9110, 5.3).
    let mut heads: Vec<Vec<String>> = lines.split(String::is_empty).map(<[String]>::to_vec).collect();
    for head in heads.iter_mut() {
        let begun =
            head.iter().position(|line| line.contains("HTTP/1.")).map_or(head.len(), |status| status + 1);
        head[begun..].sort();
    }
    heads.iter().map(|head| head.join("\r\n")).collect::<Vec<_>>().join("\r\n\r\n")
}

/// Without the ids that the server made, which are UUIDs of version 7.
fn masked(line: &str) -> String {
    let is_made = |text: &str| uuid::Uuid::parse_str(text).is_ok_and(|id| id.get_version_num() == 7);
    let (mut rest, mut shown) = (line, String::new());
    while let Some(first) = rest.chars().next() {
        match rest.get(..36).filter(|text| is_made(text)) {
            Some(_) => {
                shown.push_str("(an id)");
                rest = &rest[36..];
            }
            None => {
                shown.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    shown
}

fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-request-id: one\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// An id that no server makes.
fn id(n: usize) -> String {
    format!("{n:08x}-0000-4000-8000-000000000001")
}
