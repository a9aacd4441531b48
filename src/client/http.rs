//! HTTP/1.1 as a client, by hyper: requests and their answers, and the answer to a WebSocket handshake. Redirects and
//! compression are not asked for and not understood.
//!
//! A [`Connection`] is for one request after the other. Not here: how it is reached ([`super::transport`]).

use std::{error::Error as _, io, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{Builder, SendRequest},
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::{
    error::{AskError, ClientError, LinkError},
    server::Server,
    transport,
};

/// How long an answer, or the next piece of one, may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer before its body; real ones are a few hundred.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Bytes of a body, and of a WebSocket message: a graph of 100,000 large nodes is below it.
pub const BODY_BYTES_MAX: usize = 256 << 20;

/// An open connection to a server.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    server: Server,
}

impl Connection {
    /// Connects, with TLS where the address says so.
    pub async fn open(server: &Server) -> Result<Self, LinkError> {
        let stream = timeout(PATIENCE, transport::connect(server));
        let stream = stream.await.map_err(|_late| LinkError::Silent(PATIENCE))??;
        let (sender, connection) = Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(link)?;
        // Ends with the connection, whose sender is told why.
        tokio::spawn(connection.with_upgrades());
        Ok(Self { sender, server: server.clone() })
    }

    /// Whether it can take another request.
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Waits until it can take a request. After an error nothing was sent.
    pub async fn ready(&mut self) -> Result<(), LinkError> {
        self.sender.ready().await.map_err(link)
    }

    /// Sends a request and waits for the head of the answer, however long it takes.
    ///
    /// `path` is below the address of the server, with its query; the token of the server goes with it.
    pub async fn send(
        &mut self,
        (method, path): (Method, &str),
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Response<Incoming>, LinkError> {
        let request = self.request((method, path), headers, body).ok_or(LinkError::NotHttp)?;
        self.ready().await?;
        self.sender.send_request(request).await.map_err(link)
    }

    /// `None` if a part of it can't be sent.
    fn request(
        &self,
        (method, path): (Method, &str),
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Option<Request<Full<Bytes>>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.server.target(path).parse().ok()?;
        let all = request.headers_mut();
        all.insert(header::HOST, HeaderValue::from_str(&self.server.authority()).ok()?);
        for (name, value) in headers {
            all.insert(
                HeaderName::from_bytes(name.as_bytes()).ok()?,
                HeaderValue::from_bytes(value.as_bytes()).ok()?,
            );
        }
        if let Some(token) = self.server.token() {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.as_str())).ok()?;
            value.set_sensitive(true);
            all.insert(header::AUTHORIZATION, value);
        }
        Some(request)
    }
}

/// The same as [`LinkError`].
fn link(error: hyper::Error) -> LinkError {
    if error.is_parse() || error.is_parse_too_large() {
        return LinkError::NotHttp;
    }
    match error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(cause) => LinkError::Broken(io::Error::new(cause.kind(), cause.to_string())),
        None if error.is_incomplete_message() || error.is_canceled() || error.is_closed() => {
            LinkError::Closed(String::new())
        }
        None => LinkError::Broken(io::Error::other(error.to_string())),
    }
}

/// Sends a GET, and waits for the head of the answer.
async fn ask(server: &Server, path: &str, headers: &[(&str, &str)]) -> Result<Response<Incoming>, LinkError> {
    let mut connection = Connection::open(server).await?;
    let asking = connection.send((Method::GET, path), headers, Bytes::new());
    timeout(PATIENCE, asking).await.map_err(|_late| LinkError::Silent(PATIENCE))?
}

/// The status and the body of a GET, whatever they are.
pub async fn look(server: &Server, path: &str) -> Result<(u16, String), LinkError> {
    let answer = ask(server, path, &[("connection", "close")]).await?;
    let status = answer.status().as_u16();
    let body = String::from_utf8(whole(answer.into_body()).await?);
    Ok((status, body.map_err(|_| LinkError::NotHttp)?))
}

/// The body of a GET that is answered with 200.
pub(super) async fn get(server: &Server, path: &str) -> Result<String, AskError> {
    let headers = [("accept", "application/json"), ("connection", "close")];
    let answer = ask(server, path, &headers).await?;
    let status = answer.status().as_u16();
    let body = whole(answer.into_body()).await?;
    if status != 200 {
        return Err(refused(status, &body));
    }
    String::from_utf8(body).map_err(|_| LinkError::NotHttp.into())
}

/// The connection on which a GET with these headers was answered with 101; `check` looks at that answer.
pub(super) async fn upgrade(
    server: &Server,
    path: &str,
    headers: &[(&str, &str)],
    check: impl FnOnce(u16, &http::HeaderMap) -> Result<(), LinkError>,
) -> Result<TokioIo<Upgraded>, AskError> {
    let answer = ask(server, path, headers).await?;
    let status = answer.status().as_u16();
    if status != 101 {
        // Says why, but does not have to.
        let body = whole(answer.into_body()).await.unwrap_or_default();
        return Err(refused(status, &body));
    }
    check(status, answer.headers())?;
    let upgraded = timeout(PATIENCE, hyper::upgrade::on(answer)).await;
    let upgraded = upgraded.map_err(|_late| LinkError::Silent(PATIENCE))?.map_err(link)?;
    Ok(TokioIo::new(upgraded))
}

/// The whole body of an answer.
pub(super) async fn whole(mut body: Incoming) -> Result<Vec<u8>, LinkError> {
    let mut whole = Vec::new();
    while let Some(frame) =
        timeout(PATIENCE, body.frame()).await.map_err(|_late| LinkError::Silent(PATIENCE))?
    {
        let piece = frame.map_err(|error| match link(error) {
            LinkError::Broken(error) => LinkError::Broken(error),
            _ => LinkError::Broken(io::ErrorKind::UnexpectedEof.into()),
        })?;
        whole.extend_from_slice(piece.data_ref().map_or(&[], |data| data));
        if whole.len() > BODY_BYTES_MAX {
            return Err(LinkError::TooLong(BODY_BYTES_MAX));
        }
    }
    Ok(whole)
}

/// An unexpected answer, with the detail of its problem document (rule H1).
pub(super) fn refused(status: u16, body: &[u8]) -> AskError {
    let problem: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let said = problem["detail"].as_str().or(problem["title"].as_str());
    let detail = said.unwrap_or("it gave no reason").to_owned();
    match status {
        408 | 425 | 429 | 500.. => LinkError::Unavailable { status, detail }.into(),
        _ => ClientError::Refused { status, detail }.into(),
    }
}

/// Text as a value in a query (RFC 3986 section 2.1).
pub fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// What [`get`] makes of these bytes, sent in pieces of this size before the connection ends.
    async fn answered(answer: &'static str, piece_bytes: usize) -> Result<String, AskError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let serving = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.expect("a connection");
            let mut request = vec![0; 1024];
            let length = socket.read(&mut request).await.expect("a request");
            for piece in answer.as_bytes().chunks(piece_bytes) {
                socket.write_all(piece).await.expect("it is read");
            }
            String::from_utf8(request[..length].to_vec()).expect("text")
        });
        let got = get(&Server::new(address.ip(), address.port()), "/x?y=1").await;
        let request = serving.await.expect("no panic");
        assert!(request.starts_with("GET /x?y=1 HTTP/1.1\r\nhost: 127.0.0.1:"), "{request}");
        got
    }

    #[tokio::test]
    async fn bodies_come_with_a_length_in_chunks_or_to_the_end() {
        for piece in [1, 7, 1 << 16] {
            for answer in [
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
                "HTTP/1.0 200 OK\r\n\r\nhello",
            ] {
                assert_eq!(answered(answer, piece).await.expect("a body"), "hello", "{answer:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_cut_body_is_no_body() {
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhello\r\n",
        ] {
            let error = answered(answer, 1 << 16).await.expect_err("it is cut");
            assert!(matches!(error, AskError::Link(LinkError::Broken(_))), "{answer:?}: {error}");
        }
    }

    #[tokio::test]
    async fn what_is_no_http_is_said_so() {
        for answer in
            ["-ERR unknown command 'GET'\r\n\r\n", "HTTP/1.1 OK\r\n\r\n", "HTTP/1.1 200\r\nx\r\n\r\n"]
        {
            let error = answered(answer, 1 << 16).await.expect_err("not HTTP");
            assert!(matches!(error, AskError::Link(LinkError::NotHttp)), "{answer:?}: {error}");
        }
    }

    #[tokio::test]
    async fn h1_refusals_are_told_in_the_servers_words() {
        let away = "HTTP/1.1 503 x\r\ncontent-length: 26\r\n\r\n{\"detail\":\"store is away\"}";
        let error = answered(away, 1 << 16).await.expect_err("503");
        let AskError::Link(LinkError::Unavailable { status, .. }) = &error else { panic!("{error}") };
        assert_eq!(*status, 503);
        let no = "HTTP/1.1 403 x\r\ncontent-length: 17\r\n\r\n{\"detail\":\"read\"}";
        let error = answered(no, 1 << 16).await.expect_err("403");
        assert!(matches!(error, AskError::Client(ClientError::Refused { status: 403, .. })), "{error}");
        assert!(error.to_string().contains("read"), "{error}");
    }
}
