//! Errors of the other modules as problem documents: which status, code and title each has (rule H1).

use axum::http::StatusCode;
use dao_projections::{OperationId, Version};

use super::{
    super::shape::{Malformed, Severity},
    Problem,
};
use crate::{
    domain::{Reason, Refusal},
    live::SubscriptionError,
    read::ReadError,
    write::WriteError,
};

impl Problem {
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
