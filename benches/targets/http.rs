//! As much HTTP/1.1 as a load generator needs, by hand: requests are bytes, and of an answer only
//! the status, the length and the beginning are looked at.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
};

/// The largest head of an answer, and as much of a body as is looked at.
pub(crate) const BUFFER_BYTES: usize = 256 << 10;

/// The head of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Where the body begins.
    pub(crate) bytes: usize,
    pub(crate) body_bytes: usize,
}

impl Head {
    /// The head at the beginning of `bytes`; `None` while it is incomplete.
    pub(crate) fn parse(bytes: &[u8]) -> io::Result<Option<Self>> {
        let Some(end) = find(bytes, b"\r\n\r\n") else { return Ok(None) };
        let head = &bytes[..end];
        let status = head.get(9..12).and_then(digits).ok_or_else(|| broken("no status"))?;
        let body_bytes = match find(head, b"content-length: ") {
            Some(at) => {
                let rest = &head[at + 16..];
                let line = &rest[..rest.iter().position(|b| *b == b'\r').unwrap_or(rest.len())];
                digits(line).ok_or_else(|| broken("no length"))?
            }
            None if status == 304 => 0,
            None => return Err(broken("an answer without content-length")),
        };
        Ok(Some(Self { status: status as u16, bytes: end + 4, body_bytes }))
    }
}

/// What is looked at of an answer.
pub(crate) struct Answer<'a> {
    pub(crate) head: Head,
    /// The head and the beginning of the body, all of it if it is small.
    pub(crate) bytes: &'a [u8],
}

impl Answer<'_> {
    /// The body, or its beginning.
    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[self.head.bytes..]
    }

    /// The beginning as text, for messages.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.bytes[..self.bytes.len().min(700)]).into_owned()
    }
}

/// A blocking connection that is kept alive.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; BUFFER_BYTES] })
    }

    /// Sends a request and reads its answer to the end.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request)?;
        let mut filled = 0;
        let head = loop {
            let read = self.stream.read(&mut self.buffer[filled..])?;
            if read == 0 {
                return Err(broken("the connection ended"));
            }
            filled += read;
            if let Some(head) = Head::parse(&self.buffer[..filled])? {
                break head;
            }
        };
        let mut missing = (head.bytes + head.body_bytes).saturating_sub(filled);
        while missing > 0 {
            // What does not fit goes over the end of the buffer again and again, unseen.
            let from = filled.min(self.buffer.len() - missing.min(self.buffer.len() / 2));
            let to = self.buffer.len().min(from + missing);
            let read = self.stream.read(&mut self.buffer[from..to])?;
            if read == 0 {
                return Err(broken("the connection ended"));
            }
            (missing, filled) = (missing - read, from + read);
        }
        Ok(Answer { head, bytes: &self.buffer[..filled] })
    }
}

/// Where `needle` begins.
pub(crate) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

fn digits(bytes: &[u8]) -> Option<usize> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

pub(crate) fn broken(problem: &str) -> io::Error {
    io::Error::other(problem.to_owned())
}
