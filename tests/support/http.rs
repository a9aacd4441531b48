//! A small HTTP/1.1 client: keeps connections, sends any bytes, judges nothing.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

/// An answer that takes longer is a failure: no test waits for one to come late.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request, spelled out.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self { method: method.into(), path: path.into(), headers: vec![], body: vec![] }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::new("POST", path) }
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    fn to_bytes(&self, user: Option<&str>) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\nhost: localhost\r\n", self.method, self.path).into_bytes();
        if !self.body.is_empty() || self.method == "POST" {
            bytes.extend(format!("content-length: {}\r\n", self.body.len()).bytes());
        }
        let named = user.filter(|_| self.headers.iter().all(|(name, _)| name != "x-user-id"));
        bytes.extend(named.into_iter().flat_map(|user| format!("x-user-id: {user}\r\n").into_bytes()));
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{} is no JSON: {error}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn message_pack(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/msgpack"));
        rmp_serde::from_slice(&self.body).expect("MessagePack")
    }

    /// The document of a refusal, after making sure that it is one (rule H1).
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{text}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{text}");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{text}");
        assert_eq!(problem["status"], status, "{text}");
        for field in ["type", "title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field} in {text}");
        }
        problem
    }

    /// The document of a malformed request, whose detail names `place`; `what` was sent.
    pub(crate) fn bad(&self, what: &str, place: &str) -> Value {
        assert_eq!(self.status, 400, "{what} -> {}", String::from_utf8_lossy(&self.body));
        let problem = self.problem(400, "BAD_REQUEST");
        let detail = problem["detail"].as_str().expect("a text");
        assert!(detail.contains(place), "{place:?} is not in {detail:?}, for {what}");
        problem
    }
}

/// Sends requests to one server as one user.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    user: Option<String>,
    idle: Arc<Mutex<Vec<BufReader<TcpStream>>>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, user: None, idle: Arc::default() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same server, as this user.
    pub(crate) fn as_user(&self, user: &str) -> Self {
        Self { user: Some(user.to_owned()), ..self.clone() }
    }

    pub(crate) async fn send(&self, request: &Request) -> io::Result<Reply> {
        let bytes = request.to_bytes(self.user.as_deref());
        let kept = self.idle.lock().expect("no panic while locked").pop();
        if let Some(connection) = kept
            && let Ok(reply) = self.exchange(connection, &bytes).await
        {
            return Ok(reply); // else the server closed it meanwhile
        }
        self.raw(&bytes).await
    }

    /// Asks on a connection that the server ends with its answer: a compressed one has no length.
    pub(crate) async fn ask_to_end(&self, request: Request) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        stream.write_all(&request.to_bytes(self.user.as_deref())).await.expect("sent");
        let mut all = vec![];
        timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("in time").expect("an answer");
        let end = all.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let mut reply = read_head(&mut BufReader::new(&all[..end])).await.expect("a head");
        let is_chunked = reply.header("transfer-encoding") == Some("chunked");
        reply.body = if is_chunked { of_chunks(&all[end..]) } else { all[end..].to_vec() };
        reply
    }

    /// Sends these bytes on a connection of their own and reads one answer.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> io::Result<Reply> {
        let connection = TcpStream::connect(self.address).await?;
        connection.set_nodelay(true)?;
        self.exchange(BufReader::new(connection), bytes).await
    }

    async fn exchange(&self, mut connection: BufReader<TcpStream>, bytes: &[u8]) -> io::Result<Reply> {
        let answered = timeout(PATIENCE, async {
            // A refusal can come before all is sent; then it is the answer, not the broken pipe.
            let written = connection.write_all(bytes).await;
            let read = read_reply(&mut connection, bytes.starts_with(b"HEAD "));
            read.await.map_err(|error| written.err().unwrap_or(error))
        });
        let reply = answered.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if reply.header("connection") != Some("close") {
            self.idle.lock().expect("no panic while locked").push(connection);
        }
        Ok(reply)
    }

    pub(crate) async fn ask(&self, request: Request) -> Reply {
        match self.send(&request).await {
            Ok(reply) => reply,
            Err(error) => panic!("{} {}: {error}", request.method, request.path),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask(Request::get(path)).await
    }

    /// The JSON of an answer that is 200.
    pub(crate) async fn read(&self, path: &str) -> Value {
        let reply = self.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", String::from_utf8_lossy(&reply.body));
        reply.json()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask(Request::post(path, body.to_string())).await
    }

    /// Sends a command's whole envelope.
    pub(crate) async fn command(&self, graph: &str, envelope: &Value) -> Reply {
        self.post(&format!("/graphs/{graph}/command"), envelope).await
    }

    /// A command that is accepted, and its answer.
    pub(crate) async fn accept(&self, graph: &str, envelope: &Value) -> Value {
        let reply = self.command(graph, envelope).await;
        let answer = reply.json();
        assert_eq!(reply.status, 200, "{envelope} -> {answer}");
        assert_eq!((&answer["accepted"], &answer["status"]), (&json!(true), &json!("completed")));
        answer
    }

    /// The same, of a type and a payload alone.
    pub(crate) async fn apply(&self, graph: &str, name: &str, payload: Value) -> Value {
        self.accept(graph, &json!({"type": name, "payload": payload})).await
    }

    pub(crate) async fn state(&self, graph: &str) -> Value {
        self.read(&format!("/graphs/{graph}/state")).await
    }

    /// All commits after `since`.
    pub(crate) async fn changes(&self, graph: &str, since: u64) -> Vec<Value> {
        let (mut all, mut since) = (vec![], since);
        loop {
            let page = self.read(&format!("/graphs/{graph}/changes?since={since}")).await;
            let commits = page["changes"].as_array().expect("a list").clone();
            since = commits.last().map_or(since, |last| last["version"].as_u64().expect("a version"));
            all.extend(commits);
            if page["hasMore"] == false {
                return all;
            }
        }
    }
}

/// The body that these chunks are (RFC 9112, 7.1).
fn of_chunks(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = vec![];
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").expect("a chunk's length");
        let length = std::str::from_utf8(&bytes[..end]).expect("a length");
        let length = usize::from_str_radix(length, 16).expect("a length");
        if length == 0 {
            return body;
        }
        body.extend(&bytes[end + 2..end + 2 + length]);
        bytes = &bytes[end + 2 + length + 2..];
    }
}

async fn read_reply(connection: &mut BufReader<TcpStream>, is_head: bool) -> io::Result<Reply> {
    let mut reply = read_head(connection).await?;
    if is_head {
        return Ok(reply); // it tells the length of a body that does not come
    }
    let length = reply.header("content-length").and_then(|length| length.parse().ok());
    reply.body = vec![0; length.unwrap_or(0)];
    connection.read_exact(&mut reply.body).await?;
    Ok(reply)
}

async fn read_head(connection: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Reply> {
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    let first = read_line(connection).await?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(connection).await?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(broken)?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok(Reply { status, headers, body: vec![] })
}

async fn read_line(connection: &mut (impl AsyncBufRead + Unpin)) -> io::Result<String> {
    let mut line = Vec::new();
    connection.read_until(b'\n', &mut line).await?;
    match line.strip_suffix(b"\r\n") {
        Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
