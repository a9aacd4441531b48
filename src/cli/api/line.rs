//! A connection to a server, and what goes over it.

use std::io;

use ::http::{HeaderName, HeaderValue, Method, Request, Response};
use bytes::Bytes;
use dao_projections::UserId;
use http_body_util::BodyExt;
use hyper::body::Body;

use super::Refused;
use crate::{
    client::{Connection, LinkError, Server},
    http::LocalBody,
};

pub(super) const JSON: &str = "application/json";
pub(super) const LINES: &str = "application/x-ndjson";

/// A connection that is opened again if the server closed it meanwhile.
pub(super) struct Line {
    server: Server,
    connection: Connection,
}

/// What is asked.
pub(super) struct Asked<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) user: Option<&'a UserId>,
    pub(super) body: Option<Bytes>,
    pub(super) accept: &'static str,
}

/// The start of an answer, and its body.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Whether it is from memory, while the store is unavailable (rule H4).
    pub(super) is_stale: bool,
    pub(super) body: LocalBody,
}

impl Answer {
    pub(super) fn of<B>(answer: Response<B>) -> Self
    where
        B: Body<Data = Bytes, Error: std::error::Error + Send + Sync + 'static> + Send + 'static,
    {
        let (status, is_stale) = (answer.status().as_u16(), answer.headers().contains_key("x-stale"));
        Self { status, is_stale, body: answer.into_body().map_err(io::Error::other).boxed_unsync() }
    }
}

impl Asked<'_> {
    fn headers(&self) -> Vec<(&str, &str)> {
        let mut headers = vec![("accept", self.accept)];
        headers.extend(self.user.map(|user| ("x-user-id", user.as_str())));
        headers.extend(self.body.as_ref().map(|_| ("content-type", JSON)));
        headers
    }

    pub(super) fn bytes(&self) -> Bytes {
        self.body.clone().unwrap_or_default()
    }

    /// `None` if a part of it can't be sent.
    pub(super) fn request(&self) -> Option<Request<Bytes>> {
        let mut request = Request::builder().method(self.method.clone()).uri(self.path);
        for (name, value) in self.headers() {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            request = request.header(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
        }
        request.body(self.bytes()).ok()
    }
}

impl Line {
    pub(super) async fn open(server: Server) -> Result<Self, LinkError> {
        Ok(Self { connection: Connection::open(&server).await?, server })
    }

    pub(super) async fn ask(&mut self, asked: Asked<'_>) -> Result<Answer, LinkError> {
        // The server may close it meanwhile. What was not sent is sent once more.
        if !self.connection.is_open() || self.connection.ready().await.is_err() {
            self.connection = Connection::open(&self.server).await?;
        }
        let (what, headers) = ((asked.method.clone(), asked.path), asked.headers());
        Ok(Answer::of(self.connection.send(what, &headers, asked.bytes()).await?))
    }
}

/// Lines of JSON, as they come.
pub(in crate::cli) struct Lines {
    body: LocalBody,
    /// What came of the next line.
    bytes: Vec<u8>,
}

impl Lines {
    pub(super) fn of(body: LocalBody) -> Self {
        Self { body, bytes: Vec::new() }
    }

    /// Reads what is left: a body that is dropped before its end costs the connection.
    pub(in crate::cli) async fn finish(mut self) -> Result<(), Refused> {
        while self.next().await?.is_some() {}
        Ok(())
    }

    /// The next line that is not blank; `None` at the end.
    pub(in crate::cli) async fn next(&mut self) -> Result<Option<String>, Refused> {
        let broken = |why: String| Refused::Unanswered(format!("the answer broke off: {why}"));
        loop {
            if let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.bytes.drain(..=end).collect();
                let line = String::from_utf8(line).map_err(|e| broken(e.to_string()))?;
                if line.trim().is_empty() {
                    continue;
                }
                return Ok(Some(line.trim_end().to_owned()));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|e| broken(e.to_string()))?;
            self.bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        }
    }
}
