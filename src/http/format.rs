//! Which encoding a body has and which one an answer gets: JSON, or MessagePack with the same
//! fields.

use std::io;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::accept_header::{Offer, preferred};

/// An encoding of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json`.
    Json,
    /// `application/msgpack`, `application/vnd.msgpack` or `application/x-msgpack`.
    MessagePack,
}

/// A `Content-Type` that is neither JSON nor MessagePack.
#[derive(Debug)]
pub(super) struct Unsupported(pub(super) String);

impl Format {
    /// The format of a request's body; JSON where nothing is said.
    pub(super) fn of_body(headers: &HeaderMap) -> Result<Self, Unsupported> {
        let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(Self::Json) };
        if value.as_bytes() == b"application/json" {
            return Ok(Self::Json);
        }
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence.is_empty() {
            return Ok(Self::Json);
        }
        Self::named(&essence).ok_or(Unsupported(text))
    }

    /// The format an answer gets: what `Accept` likes best of the two, JSON otherwise.
    pub(super) fn of_answer(headers: &HeaderMap) -> Self {
        let offer = |answer, is_meant_by| Offer { answer, top_level: "application", is_meant_by };
        let offers = [
            offer(Self::Json, |name| Self::named(name) == Some(Self::Json)),
            offer(Self::MessagePack, |name| Self::named(name) == Some(Self::MessagePack)),
        ];
        preferred(headers, &offers).unwrap_or(Self::Json)
    }

    /// Whether this media type, in lower case, is MessagePack.
    pub(super) fn is_message_pack(essence: &str) -> bool {
        Self::named(essence) == Some(Self::MessagePack)
    }

    fn named(essence: &str) -> Option<Self> {
        match essence {
            "application/json" | "text/json" => Some(Self::Json),
            "application/msgpack" | "application/vnd.msgpack" | "application/x-msgpack" => {
                Some(Self::MessagePack)
            }
            essence if essence.starts_with("application/") && essence.ends_with("+json") => Some(Self::Json),
            _ => None,
        }
    }

    pub(super) fn content_type(self) -> HeaderValue {
        match self {
            Self::Json => HeaderValue::from_static("application/json"),
            Self::MessagePack => HeaderValue::from_static("application/msgpack"),
        }
    }

    /// Encodes an answer.
    pub(super) fn encode(self, value: &impl Serialize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        self.write(value, &mut bytes);
        fitted(bytes)
    }

    /// The same, of what may be long: it is encoded twice, first to see how long. What grows as it is written takes three
    /// times as much.
    pub(super) fn encode_long(self, value: &impl Serialize) -> Vec<u8> {
        let mut length = Length(0);
        self.write(value, &mut length);
        let mut bytes = Vec::with_capacity(length.0);
        self.write(value, &mut bytes);
        bytes
    }

    /// Encodes a part of an answer behind what is there.
    pub(super) fn append(self, value: &impl Serialize, to: &mut Vec<u8>) {
        self.write(value, to);
    }

    fn write(self, value: &impl Serialize, mut to: impl io::Write) {
        let encoded = match self {
            Self::Json => serde_json::to_writer(to, value).map_err(|e| e.to_string()),
            Self::MessagePack => value
                .serialize(&mut rmp_serde::Serializer::new(&mut to).with_struct_map().with_human_readable())
                .map_err(|e| e.to_string()),
        };
        if let Err(e) = encoded {
            unreachable!("an answer could not be encoded: {e}");
        }
    }
}

/// Room beyond this that a long encoding leaves unused is given back: a slow reader holds it for long.
const SLACK_BYTES_MAX: usize = 64 << 10;

/// The same in no more memory than it needs, about.
fn fitted(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.capacity() - bytes.len() > SLACK_BYTES_MAX {
        bytes.shrink_to_fit();
    }
    bytes
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Headers that an answer has room for from the beginning: those that all answers have are added one by one.
const HEADERS_ROOM: usize = 10;

/// An answer in the format that was asked for.
pub(super) fn respond(status: StatusCode, format: Format, body: &impl Serialize) -> Response {
    let mut response = Response::new(Body::from(format.encode(body)));
    *response.status_mut() = status;
    response.headers_mut().reserve(HEADERS_ROOM);
    response.headers_mut().insert(header::CONTENT_TYPE, format.content_type());
    response
}

/// The same, of a body that was encoded elsewhere.
pub(super) fn respond_encoded(format: Format, body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, format.content_type())], body).into_response()
}
