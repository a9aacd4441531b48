//! Problem documents (RFC 9457): the one place where errors become status codes (rule H1).
//!
//! What a client is told is stable and safe; what caused it is logged here, once.

use std::time::Duration;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use dao_projections::{OperationId, Version};
use serde::Serialize;

use super::{
    admission::Full,
    rate,
    shape::{Malformed, Severity},
};
use crate::{
    auth::Right,
    domain::{Reason, Refusal, Resolution},
    live::SubscriptionError,
    read::ReadError,
    write::WriteError,
};

/// When to try again what could not be done for now, unless it is known better.
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
    #[serde(skip)]
    retry_after: Option<Duration>,
    /// Whether the connection can't be used any more: bytes are on it that nobody will read.
    #[serde(skip)]
    ends_connection: bool,
    #[serde(skip)]
    allow: Option<HeaderValue>,
    /// `WWW-Authenticate` of a 401 (RFC 6750, 3).
    #[serde(skip)]
    challenge: Option<&'static str>,
    /// What is behind a failure of the server's own; for the log, and only until it is there.
    #[serde(skip)]
    cause: Option<String>,
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
            reasons: vec![],
            retry_after: None,
            ends_connection: false,
            allow: None,
            challenge: None,
            cause: None,
        }
    }

    /// With what is behind it, which clients are not told.
    pub(super) fn because(self, cause: impl ToString) -> Self {
        Self { cause: Some(cause.to_string()), ..self }
    }

    /// Says in the log why the server failed, once: called where most is known of what it was about, at the latest
    /// when the problem is sent. What a client did wrong is not logged.
    pub(super) fn logged(mut self) -> Self {
        let Some(cause) = self.cause.take().filter(|_| self.status.is_server_error()) else { return self };
        match self.status {
            StatusCode::INTERNAL_SERVER_ERROR => tracing::error!(code = self.code, cause, "a request failed"),
            _ => tracing::warn!(code = self.code, cause, "a request could not be served for now"),
        }
        self
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", "The request is malformed", detail)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", "Not found", detail)
    }

    pub(super) fn entity_not_found(code: &'static str, detail: impl Into<String>) -> Self {
        let title = match code {
            "NODE_NOT_FOUND" => "There is no such node",
            "EDGE_NOT_FOUND" => "There is no such edge",
            _ => "It does not exist",
        };
        Self::new(StatusCode::NOT_FOUND, code, title, detail)
    }

    /// A request without a token where one is needed (rule O1).
    pub(super) fn no_token() -> Self {
        Self::unauthenticated("Bearer", "there is no token: send Authorization: Bearer and a token")
    }

    /// A token that proves nothing.
    pub(super) fn bad_token(detail: impl Into<String>) -> Self {
        Self::unauthenticated("Bearer error=\"invalid_token\"", detail)
    }

    fn unauthenticated(challenge: &'static str, detail: impl Into<String>) -> Self {
        let title = "Not authenticated";
        let problem = Self::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", title, detail);
        Self { challenge: Some(challenge), ..problem }
    }

    /// A right that is missing, and what is granted instead.
    pub(super) fn forbidden(needed: Right, on: &str, granted: Option<Right>) -> Self {
        let granted = granted.map_or("no right", Right::as_str);
        let detail = format!("this needs {needed} on {on}, and the token grants {granted}");
        Self::new(StatusCode::FORBIDDEN, "FORBIDDEN", "A right is missing", detail)
    }

    /// A page of another site.
    pub(super) fn foreign(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "FORBIDDEN", "Pages of other sites may not do this", detail)
    }

    pub(super) fn method_not_allowed(allow: Option<HeaderValue>) -> Self {
        let detail = "this route does not take this method";
        let problem = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "METHOD_NOT_ALLOWED",
            "The method is not allowed here",
            detail,
        );
        Self { allow, ..problem }
    }

    pub(super) fn unsupported_media_type(given: &str) -> Self {
        let shown: String = given.chars().take(100).collect();
        let detail = format!("Content-Type: {shown:?} is neither application/json nor application/msgpack");
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
            "The body is in another format",
            detail,
        )
    }

    pub(super) fn unsupported_encoding() -> Self {
        let detail = "Content-Encoding: bodies are taken as they are, not compressed";
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
            "The body is in another format",
            detail,
        )
    }

    pub(super) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", "It is too large", detail)
    }

    /// The server can't do all of its work; `reasons` say what is missing.
    pub(super) fn not_ready(detail: &str, reasons: Vec<String>) -> Self {
        Self { reasons, ..Self::unavailable("STORE_UNAVAILABLE", "The server is not ready", detail) }
    }

    fn unavailable(code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, title, detail);
        let cause = Some(problem.detail.clone());
        Self { retry_after: Some(RETRY_AFTER), cause, ..problem }
    }

    /// The budget of whoever asks is empty, for so long (rule O3).
    pub(super) fn rate_limited(retry_after: Duration) -> Self {
        let detail = format!(
            "more requests than RATE_LIMIT_MAX_REQUESTS in RATE_LIMIT_WINDOW: try again in {} s",
            rate::seconds(retry_after)
        );
        let problem =
            Self::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", "There were too many requests", detail);
        Self { retry_after: Some(retry_after), ..problem }
    }

    /// Tokens from this address are not looked at for so long: too many were bad.
    pub(super) fn too_many_bad_tokens(retry_after: Duration) -> Self {
        let detail = format!(
            "too many bad tokens came from this address: try again in {} s",
            rate::seconds(retry_after)
        );
        Self { detail, ..Self::rate_limited(retry_after) }
    }

    /// A body that does not come.
    pub(super) fn body_timeout() -> Self {
        let detail = "the body took too long to come (BODY_IDLE_TIMEOUT, BODY_TIMEOUT)";
        let problem =
            Self::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "The request did not end", detail);
        Self { ends_connection: true, ..problem }
    }

    /// All bodies together are as much as may be in memory.
    pub(super) fn too_much_at_once() -> Self {
        let detail = "as much as may be is being received (MAX_BODIES_BYTES): send it again a little later";
        Self::unavailable("OVERLOADED", "The server is busy", detail)
    }

    /// There is no place for another connection.
    pub(super) fn no_place(full: Full) -> Self {
        let detail = match full {
            Full::All => "no more connections are accepted for now (MAX_CONNECTIONS)",
            Full::Address => {
                "this address has as many connections as one may have (MAX_CONNECTIONS_PER_ADDRESS): use them \
                 again, or close some"
            }
        };
        let problem = Self::unavailable("OVERLOADED", "The server is full", detail);
        // The listener says so in the log, and not for each of them.
        Self { ends_connection: true, cause: None, ..problem }
    }

    /// A head that the HTTP parser refused.
    pub(super) fn unreadable_head(status: StatusCode) -> Self {
        let problem = match status {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE | StatusCode::URI_TOO_LONG => {
                let detail = "the head of a request is at most 32 KiB and 100 fields";
                Self::new(status, "TOO_LARGE", "The head of the request is too large", detail)
            }
            _ => Self::new(
                StatusCode::BAD_REQUEST,
                "BAD_REQUEST",
                "The request is malformed",
                "the head of the request is not valid HTTP/1.1 (RFC 9112)",
            ),
        };
        Self { ends_connection: true, ..problem }
    }

    /// A head that another server could understand in another way (RFC 9112).
    pub(super) fn ambiguous_head(detail: impl Into<String>) -> Self {
        Self { ends_connection: true, ..Self::bad_request(detail) }
    }

    /// All answers together are as much as may be in memory.
    pub(super) fn too_many_answers() -> Self {
        let detail = "as much as may be is being sent (MAX_ANSWERS_BYTES): ask again a little later";
        Self::unavailable("OVERLOADED", "The server is busy", detail)
    }

    /// Too many long reads wait already.
    pub(super) fn too_many_reads() -> Self {
        Self::unavailable(
            "OVERLOADED",
            "The server is busy",
            "too many long reads wait already: ask again later",
        )
    }

    /// A handler that panicked: a mistake in this program.
    pub(super) fn internal() -> Self {
        let detail =
            "this is a mistake in the server, not in the request: its log says more under this request's id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "The server failed", detail)
    }

    /// Work on another thread that panicked, the same.
    pub(super) fn of_panic(cause: tokio::task::JoinError) -> Self {
        Self::internal().because(cause)
    }

    /// Every seat for sockets is taken (rule W9).
    pub(super) fn too_many_connections() -> Self {
        Self::unavailable("OVERLOADED", "The server is full", "no more sockets are accepted for now")
    }

    /// A WebSocket of another version.
    pub(super) fn upgrade_required(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UPGRADE_REQUIRED, "BAD_REQUEST", "The handshake is of another version", detail)
    }

    /// The store is away, and what is in memory may be older than what the client has.
    pub(super) fn store_away() -> Self {
        Self::unavailable(
            "STORE_UNAVAILABLE",
            "The store is unavailable",
            "the store is away: subscribe again later",
        )
    }

    /// Whether the same may succeed later.
    pub(super) fn is_temporary(&self) -> bool {
        self.retry_after.is_some()
    }

    /// When it may.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    pub(super) fn resolution(&self) -> Option<&Resolution> {
        self.resolution.as_ref()
    }

    pub(super) fn index(&self) -> Option<usize> {
        self.index
    }

    /// The code of a refused operation.
    pub(super) fn code_of(refusal: &Refusal) -> &'static str {
        of_reason(refusal.reason).0
    }

    /// A refused operation (rules C, D).
    pub(super) fn refused(operation: OperationId, refusal: &Refusal, is_duplicate: bool) -> Self {
        let (code, title, status) = of_reason(refusal.reason);
        let status = if refusal.is_conflict() { StatusCode::CONFLICT } else { status };
        Self {
            operation_id: Some(operation),
            resolution: refusal.resolution.clone(),
            index: refusal.index,
            duplicate: is_duplicate.then_some(true),
            ..Self::new(status, code, title, refusal.message.clone())
        }
    }
}

/// The wire's word for a reason, and the status it has when it is not a conflict.
fn of_reason(reason: Reason) -> (&'static str, &'static str, StatusCode) {
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
    match reason {
        Reason::Conflict => ("CONFLICT", "Conflicting change", StatusCode::CONFLICT),
        Reason::TargetDeleted => ("TARGET_DELETED", "The target was deleted", StatusCode::CONFLICT),
        Reason::VersionAhead => ("VERSION_AHEAD", "The client holds another history", StatusCode::CONFLICT),
        Reason::HistoryReplaced => ("HISTORY_REPLACED", "The history was replaced", StatusCode::CONFLICT),
        Reason::IdTaken => ("ID_TAKEN", "The id exists already", StatusCode::CONFLICT),
        Reason::NodeNotFound => ("NODE_NOT_FOUND", "There is no such node", StatusCode::NOT_FOUND),
        Reason::EdgeNotFound => ("EDGE_NOT_FOUND", "There is no such edge", StatusCode::NOT_FOUND),
        Reason::DanglingEdge => ("DANGLING_EDGE", "An end of the edge does not exist", unprocessable),
        Reason::ParentNotFound => ("PARENT_NOT_FOUND", "The parent does not exist", unprocessable),
        Reason::ParentCycle => ("PARENT_CYCLE", "A node can't be inside of itself", unprocessable),
        Reason::OperationIdReused => ("OPERATION_ID_REUSED", "The operationId is used", unprocessable),
        Reason::OperationNotFound => {
            ("OPERATION_NOT_FOUND", "There is no such operation", StatusCode::NOT_FOUND)
        }
        Reason::UndoConflict => ("UNDO_CONFLICT", "Others' work is in the way", StatusCode::CONFLICT),
        Reason::TooManyEntities => ("TOO_LARGE", "The graph would hold too much", unprocessable),
        Reason::EntityTooLarge => ("TOO_LARGE", "The entity is too large", StatusCode::PAYLOAD_TOO_LARGE),
        Reason::AnswerTooLarge => {
            ("TOO_LARGE", "The answer would be too large", StatusCode::PAYLOAD_TOO_LARGE)
        }
    }
}

impl From<Malformed> for Problem {
    fn from(malformed: Malformed) -> Self {
        let detail = malformed.to_string();
        let problem = match malformed.severity {
            Severity::Wrong => Self::bad_request(detail),
            Severity::TooLarge => Self::too_large(detail),
            Severity::TooMany => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "TOO_LARGE", "The request holds too much", detail)
            }
        };
        Self { index: malformed.index, ..problem }
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Overloaded => {
                Self::unavailable("OVERLOADED", "The server is busy", error.to_string())
            }
            WriteError::Contended => Self::unavailable("OVERLOADED", "The graph is busy", error.to_string()),
            WriteError::Stopped => {
                Self::unavailable("OVERLOADED", "The server is stopping", error.to_string())
            }
            WriteError::Failed => {
                Self::unavailable("OVERLOADED", "The graph's task failed", error.to_string())
            }
            WriteError::MemoryFull => {
                Self::unavailable("OVERLOADED", "The memory for graphs is full", error.to_string())
            }
            WriteError::StoreUnavailable(cause) => {
                let detail =
                    "the operation may or may not have taken effect: send the same operationId again";
                Self::unavailable("STORE_UNAVAILABLE", "The store is unavailable", detail).because(cause)
            }
            WriteError::Unreadable(cause) => {
                let detail = cause.to_string();
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "HISTORY_DAMAGED",
                    "The graph's history is damaged",
                    detail,
                )
                .because(cause)
            }
        }
    }
}

impl From<SubscriptionError> for Problem {
    fn from(error: SubscriptionError) -> Self {
        match error {
            SubscriptionError::NotFound => Self::not_found(error.to_string()),
            SubscriptionError::Exists => Self::new(
                StatusCode::CONFLICT,
                "SUBSCRIPTION_EXISTS",
                "There is another one of this name",
                error.to_string(),
            ),
            SubscriptionError::TooMany => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "TOO_LARGE",
                "There are too many subscriptions",
                error.to_string(),
            ),
            SubscriptionError::Start(_) | SubscriptionError::Filter { .. } => {
                Self::bad_request(error.to_string())
            }
            SubscriptionError::Contended => {
                Self::unavailable("OVERLOADED", "The subscription is busy", error.to_string())
            }
            SubscriptionError::Unreadable(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "SUBSCRIPTION_DAMAGED",
                "The subscription is damaged",
                error.to_string(),
            )
            .because(error),
            SubscriptionError::Store(cause) => {
                let detail = "the store is away: try again later; what was handed out comes again";
                Self::unavailable("STORE_UNAVAILABLE", "The store is unavailable", detail).because(cause)
            }
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::VersionNotReached { current } => {
                let detail = format!("minVersion: {}", version_detail(current));
                Self::unavailable("VERSION_NOT_REACHED", "The version is not reached yet", detail)
            }
            ReadError::VersionNotFound { current } => {
                let detail = format!("no such version: {}", version_detail(current));
                Self::entity_not_found("VERSION_NOT_FOUND", detail)
            }
            ReadError::Graph(WriteError::StoreUnavailable(cause)) => {
                let detail = "the graph is not in memory, and the store is away: try again later";
                Self::unavailable("STORE_UNAVAILABLE", "The store is unavailable", detail).because(cause)
            }
            ReadError::Graph(error) => error.into(),
        }
    }
}

fn version_detail(current: Version) -> String {
    format!("the graph is at version {current}")
}

/// The code of the problem that an answer tells, for who counts answers.
#[derive(Clone, Copy)]
pub(super) struct Told(pub(super) &'static str);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let problem = self.logged();
        let body = super::format::Format::Json.encode(&problem);
        let mut response = (problem.status, body).into_response();
        response.extensions_mut().insert(Told(problem.code));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(retry_after) = problem.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(rate::seconds(retry_after)));
        }
        if problem.ends_connection {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(challenge) = problem.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(allow) = problem.allow {
            headers.insert(header::ALLOW, allow);
        }
        response
    }
}
