//! Problem documents (RFC 9457): the one place where errors become status codes (rule H1).
//!
//! Codes never change. Titles are short noun phrases. A detail says what happened, why, and what to do. Causes are
//! logged here, once, and not sent to clients.

mod errors;
mod response;

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode};
use dao_projections::{GraphId, OperationId, Timestamp, Trashed, UserId};
use serde::Serialize;

pub(super) use self::response::ProblemCode;
pub use self::{errors::refusal_message, response::Cause};
use super::{connection_limits::LimitReached, rate_limits, request_span::in_request};
use crate::{
    auth::Right,
    domain::{Details, Resolution},
};

/// `Retry-After` of temporary failures that know no better time.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An error as clients see it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Problem {
    r#type: String,
    title: &'static str,
    #[serde(serialize_with = "as_number")]
    pub(super) status: StatusCode,
    detail: String,
    pub(super) code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation_id: Option<OperationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution: Option<Resolution>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
    #[serde(flatten)]
    details: DetailsOut,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
    #[serde(skip)]
    retry_after: Option<Duration>,
    /// Whether the connection must be closed: bytes are left on it that nobody will read.
    #[serde(skip)]
    ends_connection: bool,
    #[serde(skip)]
    allow: Option<HeaderValue>,
    /// `WWW-Authenticate` of a 401 (RFC 6750, 3).
    #[serde(skip)]
    challenge: Option<&'static str>,
    /// The cause of a failure of the server; for the log.
    #[serde(skip)]
    cause: Option<String>,
    #[serde(skip)]
    is_logged: bool,
}

/// What a refusal says beside its code: since when a graph is in the trash, and until when it can be recovered (rule L8);
/// how much a document save would delete (rule DS11).
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DetailsOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edges: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purge_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_to: Option<GraphId>,
}

impl DetailsOut {
    fn of(details: Option<&Details>) -> Self {
        match details {
            Some(Details::Trashed(trashed)) => Self::of_trash(trashed),
            Some(Details::Deletes { nodes, edges }) => {
                Self { nodes: Some(*nodes), edges: Some(*edges), ..Self::default() }
            }
            None => Self::default(),
        }
    }

    fn of_trash(trashed: &Trashed) -> Self {
        Self {
            at: Some(trashed.at),
            by: trashed.by.clone(),
            purge_at: trashed.purge_after,
            moved_to: trashed.moved_to.clone(),
            ..Self::default()
        }
    }
}

fn as_number<S: serde::Serializer>(status: &StatusCode, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u16(status.as_u16())
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            r#type: format!("urn:dao-api:problem:{}", code.to_ascii_lowercase().replace('_', "-")),
            title,
            status,
            detail: detail.into(),
            code,
            operation_id: None,
            resolution: None,
            index: None,
            duplicate: None,
            details: DetailsOut::default(),
            reasons: vec![],
            retry_after: None,
            ends_connection: false,
            allow: None,
            challenge: None,
            cause: None,
            is_logged: false,
        }
    }

    /// Adds the cause, which goes to the log and not to the client.
    pub(super) fn because(self, cause: impl ToString) -> Self {
        Self { cause: Some(cause.to_string()), ..self }
    }

    /// Logs the cause of a server failure, once. Call it where the context is known best; at the latest, sending the
    /// problem does. Mistakes of clients are not logged.
    pub(super) fn logged(mut self) -> Self {
        let is_logged = std::mem::replace(&mut self.is_logged, true);
        let Some(cause) = self.cause_of_failure().filter(|_| !is_logged) else { return self };
        in_request(|| match self.status {
            StatusCode::INTERNAL_SERVER_ERROR => tracing::error!(code = self.code, cause, "a request failed"),
            _ => tracing::warn!(code = self.code, cause, "a request could not be served for now"),
        });
        self
    }

    fn cause_of_failure(&self) -> Option<&str> {
        self.cause.as_deref().filter(|_| self.status.is_server_error())
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", "Malformed request", detail)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", "Not found", detail)
    }

    pub(super) fn entity_not_found(code: &'static str, detail: impl Into<String>) -> Self {
        let title = match code {
            "NODE_NOT_FOUND" => "Node not found",
            "EDGE_NOT_FOUND" => "Edge not found",
            "VERSION_NOT_FOUND" => "Version not found",
            "LABEL_NOT_FOUND" => "Label not found",
            _ => "Not found",
        };
        Self::new(StatusCode::NOT_FOUND, code, title, detail)
    }

    /// A request without a token where one is needed (rule O1).
    pub(super) fn no_token() -> Self {
        Self::unauthenticated("Bearer", "Missing token. Send `Authorization: Bearer <token>`.")
    }

    /// A token that is not valid.
    pub(super) fn bad_token(detail: impl Into<String>) -> Self {
        Self::unauthenticated("Bearer error=\"invalid_token\"", detail)
    }

    fn unauthenticated(challenge: &'static str, detail: impl Into<String>) -> Self {
        let title = "Authentication required";
        let problem = Self::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", title, detail);
        Self { challenge: Some(challenge), ..problem }
    }

    /// The token lacks a right; the detail names what it grants instead.
    pub(super) fn forbidden(needed: Right, on: &str, granted: Option<Right>) -> Self {
        let granted = granted.map_or("no right", Right::as_str);
        let detail = format!(
            "This needs {needed} on {on}, but the token grants {granted}. Ask the issuer for a token with that right."
        );
        Self::new(StatusCode::FORBIDDEN, "FORBIDDEN", "Missing right", detail)
    }

    /// A request from a page of a foreign origin.
    pub(super) fn foreign(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "FORBIDDEN", "Foreign origin", detail)
    }

    pub(super) fn method_not_allowed(allow: Option<HeaderValue>) -> Self {
        let detail = "This route does not support this method. Use one that the Allow header names.";
        let problem =
            Self::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "Method not allowed", detail);
        Self { allow, ..problem }
    }

    pub(super) fn unsupported_media_type(given: &str) -> Self {
        let shown: String = given.chars().take(100).collect();
        let detail = format!(
            "Content-Type: {shown:?} is not supported. Send application/json or application/msgpack."
        );
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
            "Unsupported media type",
            detail,
        )
    }

    pub(super) fn unsupported_encoding() -> Self {
        let detail = "Content-Encoding: compressed bodies are not supported. Send the body uncompressed.";
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
            "Unsupported media type",
            detail,
        )
    }

    pub(super) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", "Payload too large", detail)
    }

    /// The server can't do all of its work; `reasons` say what is missing.
    pub(super) fn not_ready(detail: &str, reasons: Vec<String>) -> Self {
        Self { reasons, ..Self::unavailable("STORE_UNAVAILABLE", "Server not ready", detail) }
    }

    fn unavailable(code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, title, detail);
        let cause = Some(problem.detail.clone());
        Self { retry_after: Some(RETRY_AFTER), cause, ..problem }
    }

    /// The caller's rate budget is empty for this long (rule O3).
    pub(super) fn rate_limited(retry_after: Duration) -> Self {
        let detail = format!(
            "More than RATE_LIMIT_MAX_REQUESTS requests within RATE_LIMIT_WINDOW. Try again in {} s.",
            rate_limits::seconds(retry_after)
        );
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", "Too many requests", detail);
        Self { retry_after: Some(retry_after), ..problem }
    }

    /// Too many bad tokens came from this address; for this long, its tokens are not checked.
    pub(super) fn too_many_bad_tokens(retry_after: Duration) -> Self {
        let detail = format!(
            "Too many bad tokens came from this address. Try again in {} s.",
            rate_limits::seconds(retry_after)
        );
        Self { detail, ..Self::rate_limited(retry_after) }
    }

    /// A body that did not arrive in time.
    pub(super) fn body_timeout() -> Self {
        let detail =
            "The body did not arrive in time (BODY_IDLE_TIMEOUT, BODY_TIMEOUT). Send the request again.";
        let problem = Self::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "Request timeout", detail);
        Self { ends_connection: true, ..problem }
    }

    /// The bodies in memory use the whole budget for bodies.
    pub(super) fn too_much_at_once() -> Self {
        let detail = "Too many request bytes are in flight (MAX_BODIES_BYTES). Send the request again later.";
        Self::unavailable("OVERLOADED", "Server busy", detail)
    }

    /// No more connections are accepted, in all or from this address.
    pub(super) fn no_place(full: LimitReached) -> Self {
        let detail = match full {
            LimitReached::All => {
                "The server accepts no more connections for now (MAX_CONNECTIONS). Try again later."
            }
            LimitReached::Address => {
                "This address has the most connections that one may have (MAX_CONNECTIONS_PER_ADDRESS). Reuse them, or \
                 close some."
            }
        };
        let problem = Self::unavailable("OVERLOADED", "Too many connections", detail);
        // The listener says so in the log, and not for each of them.
        Self { ends_connection: true, cause: None, ..problem }
    }

    /// A head that the HTTP parser refused.
    pub(super) fn unreadable_head(status: StatusCode) -> Self {
        let problem = match status {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE | StatusCode::URI_TOO_LONG => {
                let detail =
                    "The head of a request may have 32 KiB and 100 fields. Send fewer or shorter headers.";
                Self::new(status, "TOO_LARGE", "Request head too large", detail)
            }
            _ => Self::new(
                StatusCode::BAD_REQUEST,
                "BAD_REQUEST",
                "Malformed request",
                "The head of the request is not valid HTTP/1.1 (RFC 9112).",
            ),
        };
        Self { ends_connection: true, ..problem }
    }

    /// A head that another server could read differently (RFC 9112).
    pub(super) fn ambiguous_head(detail: impl Into<String>) -> Self {
        Self { ends_connection: true, ..Self::bad_request(detail) }
    }

    /// The answers in memory use the whole budget for answers.
    pub(super) fn too_many_answers() -> Self {
        let detail = "Too many response bytes are in flight (MAX_ANSWERS_BYTES). Ask again later.";
        Self::unavailable("OVERLOADED", "Server busy", detail)
    }

    /// Too many long reads are waiting.
    pub(super) fn too_many_reads() -> Self {
        Self::unavailable("OVERLOADED", "Server busy", "Too many long reads are waiting. Ask again later.")
    }

    /// A handler that panicked: a bug in this program.
    pub(super) fn internal() -> Self {
        let detail = "This is a bug in the server, not in the request. Its log has the details under this request's id.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "Internal error", detail)
    }

    /// The same for work on another thread that panicked.
    pub(super) fn of_panic(cause: tokio::task::JoinError) -> Self {
        Self::internal().because(cause)
    }

    /// The most sockets and streams are open (rule W9).
    pub(super) fn too_many_connections() -> Self {
        Self::unavailable(
            "OVERLOADED",
            "Too many connections",
            "The server accepts no more sockets and streams for now (WS_MAX_CONNECTIONS). Try again later.",
        )
    }

    /// A WebSocket handshake of an unsupported version.
    pub(super) fn upgrade_required(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UPGRADE_REQUIRED, "BAD_REQUEST", "Upgrade required", detail)
    }

    /// The store is unavailable, and what is in memory may be older than what the client has.
    pub(super) fn store_away() -> Self {
        Self::unavailable(
            "STORE_UNAVAILABLE",
            "Store unavailable",
            "The store is unavailable, and the state in memory may be stale. Subscribe again later.",
        )
    }

    /// Whether the same request may succeed later.
    pub(super) fn is_temporary(&self) -> bool {
        self.retry_after.is_some()
    }

    /// How long to wait before the next try.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    pub(super) fn resolution(&self) -> Option<&Resolution> {
        self.resolution.as_ref()
    }

    /// With `GRAPH_TRASHED`, since when; without fields otherwise.
    pub(super) fn details(&self) -> &DetailsOut {
        &self.details
    }

    pub(super) fn index(&self) -> Option<usize> {
        self.index
    }
}
