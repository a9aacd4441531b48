//! The little of HTTP/1.1 (RFC 9112) that a client needs: one GET a connection, and the answer to a
//! WebSocket handshake. Redirects and compression are not asked for and not understood.

use std::{io, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    error::{AskError, ClientError, LinkError},
    server::Server,
};

/// How long an answer, or the next piece of one, may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer before its body; real ones are a few hundred.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Bytes of a body, and of a WebSocket message: a graph of 100,000 large nodes is below it.
pub(super) const BODY_BYTES_MAX: usize = 256 << 20;
const READ_BYTES: usize = 64 << 10;

/// The start of an answer.
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// What was read beyond it.
    pub(super) rest: Vec<u8>,
}

/// Connects and sends a GET with these headers beside `Host`.
pub(super) async fn ask(
    server: &Server,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<TcpStream, LinkError> {
    let mut socket = timeout(PATIENCE, TcpStream::connect(server.authority()))
        .await
        .map_err(|_late| LinkError::Silent(PATIENCE))?
        .map_err(LinkError::Unreachable)?;
    socket.set_nodelay(true).map_err(LinkError::Broken)?;
    let mut request = format!("GET {} HTTP/1.1\r\nhost: {}\r\n", server.target(path), server.authority());
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    if let Some(token) = server.token() {
        request.extend(["authorization: Bearer ", token.as_str(), "\r\n"]);
    }
    request.push_str("\r\n");
    socket.write_all(request.as_bytes()).await.map_err(LinkError::Broken)?;
    Ok(socket)
}

/// Reads the start of an answer.
pub(super) async fn read_head(socket: &mut TcpStream) -> Result<Head, LinkError> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let (status, headers) = parse_head(&bytes[..end]).ok_or(LinkError::NotHttp)?;
            return Ok(Head { status, headers, rest: bytes.split_off(end + 4) });
        }
        if bytes.len() > HEAD_BYTES_MAX || !b"HTTP/1.".starts_with(&bytes[..bytes.len().min(7)]) {
            return Err(LinkError::NotHttp);
        }
        if read_some(socket, &mut bytes).await? == 0 {
            return Err(LinkError::Closed(String::new()));
        }
    }
}

async fn read_some(socket: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<usize, LinkError> {
    bytes.reserve(READ_BYTES);
    let read = timeout(PATIENCE, socket.read_buf(bytes)).await;
    read.map_err(|_late| LinkError::Silent(PATIENCE))?.map_err(LinkError::Broken)
}

fn parse_head(bytes: &[u8]) -> Option<(u16, HeaderMap)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers
            .append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value.trim()).ok()?);
    }
    Some((status, headers))
}

/// The status and the body of a GET, whatever they are.
pub async fn look(server: &Server, path: &str) -> Result<(u16, String), LinkError> {
    let mut socket = ask(server, path, &[("connection", "close")]).await?;
    let head = read_head(&mut socket).await?;
    let status = head.status;
    let body = String::from_utf8(read_body(&mut socket, head).await?);
    Ok((status, body.map_err(|_| LinkError::NotHttp)?))
}

/// The body of a GET that is answered with 200.
pub(super) async fn get(server: &Server, path: &str) -> Result<String, AskError> {
    let headers = [("accept", "application/json"), ("connection", "close")];
    let mut socket = ask(server, path, &headers).await?;
    let head = read_head(&mut socket).await?;
    let status = head.status;
    let body = read_body(&mut socket, head).await?;
    if status != 200 {
        return Err(refused(status, &body));
    }
    String::from_utf8(body).map_err(|_| LinkError::NotHttp.into())
}

/// Reads what follows a head whose request said `Connection: close`.
pub(super) async fn read_body(socket: &mut TcpStream, head: Head) -> Result<Vec<u8>, LinkError> {
    let Head { headers, rest: mut body, .. } = head;
    let length = headers.get(header::CONTENT_LENGTH);
    let length: Option<usize> = match length {
        Some(length) => Some(length.to_str().ok().and_then(|l| l.parse().ok()).ok_or(LinkError::NotHttp)?),
        None => None,
    };
    let is_chunked = headers.get(header::TRANSFER_ENCODING).is_some();
    let bytes_max = length.unwrap_or(BODY_BYTES_MAX);
    if bytes_max > BODY_BYTES_MAX {
        return Err(LinkError::TooLong(BODY_BYTES_MAX));
    }
    while is_chunked || length.is_none_or(|length| body.len() < length) {
        if body.len() > BODY_BYTES_MAX {
            return Err(LinkError::TooLong(BODY_BYTES_MAX));
        }
        if read_some(socket, &mut body).await? == 0 {
            break;
        }
    }
    if is_chunked {
        return unchunked(&body).ok_or_else(cut);
    }
    match length {
        Some(length) if body.len() < length => Err(cut()),
        Some(length) => {
            body.truncate(length);
            Ok(body)
        }
        None => Ok(body),
    }
}

fn cut() -> LinkError {
    LinkError::Broken(io::ErrorKind::UnexpectedEof.into())
}

/// A body in chunks (RFC 9112 section 7.1); `None` if it was cut.
fn unchunked(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::with_capacity(body.len());
    loop {
        let line = body.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&body[..line]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        body = &body[line + 2..];
        if size == 0 {
            return Some(whole);
        }
        let (chunk, rest) = body.split_at_checked(size)?;
        whole.extend_from_slice(chunk);
        body = rest.strip_prefix(b"\r\n")?;
    }
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
pub(super) fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

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
