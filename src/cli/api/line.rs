//! A connection to a server, and what goes over it.

use std::{io, time::Duration};

use ::http::{HeaderName, HeaderValue, Method, Request, Response};
use bytes::{Bytes, BytesMut};
use dao_projections::UserId;
use http_body_util::BodyExt;
use hyper::body::Body;
use tokio::time::timeout;

use super::Refused;
use crate::{
    client::{BODY_BYTES_MAX, Connection, LinkError, Server},
    http::{Cause, LocalBody},
};

pub(super) const JSON: &str = "application/json";
pub(super) const LINES: &str = "application/x-ndjson";

/// How long a server may say nothing, in the middle of an answer too.
const PATIENCE: Duration = Duration::from_secs(120);
/// The same for what may take long before there is anything to say: what is written, and histories that are verified.
const LONG_PATIENCE: Duration = Duration::from_secs(600);

/// How long a connection may take to be ready for another request.
const READY_MAX: Duration = Duration::from_secs(5);

/// A connection that is opened again if the server closed it meanwhile.
pub(super) struct Line {
    server: Server,
    connection: Connection,
    /// Whether an answer was given up, which may come yet.
    is_lost: bool,
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
    /// Why this process could not do it.
    pub(super) cause: Option<String>,
    body: LocalBody,
    /// Of another process.
    patience: Option<Duration>,
}

impl Answer {
    /// The answer of this process, or of another one that may say nothing for so long.
    pub(super) fn of<B>(answer: Response<B>, patience: Option<Duration>) -> Self
    where
        B: Body<Data = Bytes, Error: std::error::Error + Send + Sync + 'static> + Send + 'static,
    {
        let (status, is_stale) = (answer.status().as_u16(), answer.headers().contains_key("x-stale"));
        let cause = answer.extensions().get::<Cause>().map(|Cause(why)| why.clone());
        let body = answer.into_body().map_err(io::Error::other).boxed_unsync();
        Self { status, is_stale, cause, body, patience }
    }

    /// The whole body. That of another process is bounded.
    pub(super) async fn whole(mut self) -> Result<Bytes, LinkError> {
        let mut whole = BytesMut::new();
        while let Some(piece) = next_piece(&mut self.body, self.patience).await? {
            whole.extend_from_slice(&piece);
            if self.patience.is_some() && whole.len() > BODY_BYTES_MAX {
                return Err(LinkError::TooLong(BODY_BYTES_MAX));
            }
        }
        Ok(whole.freeze())
    }

    pub(super) fn lines(self) -> Lines {
        Lines { body: self.body, patience: self.patience, bytes: Vec::new() }
    }
}

/// The next piece of a body; `None` at its end.
async fn next_piece(body: &mut LocalBody, patience: Option<Duration>) -> Result<Option<Bytes>, LinkError> {
    let frame = match patience {
        Some(patience) => {
            timeout(patience, body.frame()).await.map_err(|_late| LinkError::Silent(patience))?
        }
        None => body.frame().await,
    };
    let Some(frame) = frame else { return Ok(None) };
    Ok(Some(frame.map_err(LinkError::Broken)?.into_data().unwrap_or_default()))
}

impl Asked<'_> {
    fn patience(&self) -> Duration {
        let may_take_long = self.method == Method::POST || self.path.ends_with("/verify");
        if may_take_long { LONG_PATIENCE } else { PATIENCE }
    }

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
        Ok(Self { connection: Connection::open(&server).await?, server, is_lost: false })
    }

    pub(super) async fn ask(&mut self, asked: Asked<'_>) -> Result<Answer, LinkError> {
        // The server may close it meanwhile. What was not sent is sent once more.
        if self.is_lost || !self.connection.is_open() || !self.is_ready().await {
            self.connection = Connection::open(&self.server).await?;
        }
        let (patience, what, headers) =
            (asked.patience(), (asked.method.clone(), asked.path), asked.headers());
        self.is_lost = true;
        let answer = timeout(patience, self.connection.send(what, &headers, asked.bytes())).await;
        let answer = answer.map_err(|_late| LinkError::Silent(patience))??;
        self.is_lost = false;
        Ok(Answer::of(answer, Some(patience)))
    }

    async fn is_ready(&mut self) -> bool {
        // Not so while an answer is not read to its end.
        timeout(READY_MAX, self.connection.ready()).await.is_ok_and(|ready| ready.is_ok())
    }
}

/// Lines of JSON, as they come.
pub(in crate::cli) struct Lines {
    body: LocalBody,
    patience: Option<Duration>,
    /// What came of the next line.
    bytes: Vec<u8>,
}

impl Lines {
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
            let piece = next_piece(&mut self.body, self.patience).await.map_err(|e| broken(e.to_string()))?;
            let Some(piece) = piece else { return Ok(None) };
            self.bytes.extend_from_slice(&piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_says_nothing_is_given_up_and_not_asked_on_that_connection_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("socket");
        let silent = UnixListener::bind(&path).expect("a socket");
        let mut line = Line::open(Server::at_socket(path)).await.expect("a connection");
        for (method, path, waits) in [
            (Method::GET, "/graphs", PATIENCE),
            (Method::GET, "/graphs/g/verify", LONG_PATIENCE),
            (Method::POST, "/graphs/g/command", LONG_PATIENCE),
        ] {
            let asked = Asked { method, path, user: None, body: None, accept: JSON };
            let error = line.ask(asked).await.err().expect("no answer");
            assert!(matches!(error, LinkError::Silent(patience) if patience == waits), "{path}: {error}");
        }
        for _ in 0..3 {
            silent.accept().await.expect("a connection for each request");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_is_given_up() {
        let mut body: LocalBody =
            http_body_util::StreamBody::new(futures::stream::pending::<Result<_, io::Error>>())
                .boxed_unsync();
        let error = next_piece(&mut body, Some(PATIENCE)).await.expect_err("nothing comes");
        assert!(matches!(error, LinkError::Silent(PATIENCE)), "{error}");
    }
}
