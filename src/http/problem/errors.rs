//! Errors of the other modules as problem documents: the status, code, title and advice of each (rule H1).

use axum::http::StatusCode;
use dao_projections::{LabelName, OperationId, Trashed, Version};

use super::{
    super::json_shape::{Malformed, Severity},
    DetailsOut, Problem, RETRY_AFTER,
};
use crate::{
    domain::{Reason, Refusal},
    live::{PurgeError, SubscriptionError},
    read::ReadError,
    write::WriteError,
};

impl Problem {
    /// A cursor that can't be read, or belongs to another question.
    pub(in crate::http) fn bad_cursor() -> Self {
        Self::bad_request("cursor: must be the nextCursor of an answer to the same question")
    }

    /// The code of a refusal for this reason.
    pub(in crate::http) fn code_of(reason: Reason) -> &'static str {
        of_reason(reason).0
    }

    /// A refused operation (rules C, D).
    pub(in crate::http) fn refused(operation: OperationId, refusal: &Refusal, is_duplicate: bool) -> Self {
        let (code, title, status) = of_reason(refusal.reason);
        let status = if refusal.is_conflict() { StatusCode::CONFLICT } else { status };
        let detail = match advice(refusal.reason) {
            Some(advice) => format!("{}. {advice}", refusal.message.trim_end_matches('.')),
            None => refusal.message.to_string(),
        };
        Self {
            operation_id: Some(operation),
            resolution: refusal.resolution.clone(),
            index: refusal.index,
            details: DetailsOut::of(refusal.details.as_deref()),
            duplicate: is_duplicate.then_some(true),
            retry_after: (refusal.reason == Reason::DependencyPending).then_some(RETRY_AFTER),
            ..Self::new(status, code, title, detail)
        }
    }

    fn store_unavailable(detail: &str, cause: impl ToString) -> Self {
        Self::unavailable("STORE_UNAVAILABLE", "Store unavailable", detail).because(cause)
    }
}

/// The wire's word for a reason, and the status it has when it is not a conflict.
fn of_reason(reason: Reason) -> (&'static str, &'static str, StatusCode) {
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
    match reason {
        Reason::Conflict => ("CONFLICT", "Conflicting change", StatusCode::CONFLICT),
        Reason::TargetDeleted => ("TARGET_DELETED", "Target deleted", StatusCode::CONFLICT),
        Reason::VersionAhead => ("VERSION_AHEAD", "Version ahead of the graph", StatusCode::CONFLICT),
        Reason::HistoryReplaced => ("HISTORY_REPLACED", "History replaced", StatusCode::CONFLICT),
        Reason::IdTaken => ("ID_TAKEN", "Id already in use", StatusCode::CONFLICT),
        Reason::NodeNotFound => ("NODE_NOT_FOUND", "Node not found", StatusCode::NOT_FOUND),
        Reason::EdgeNotFound => ("EDGE_NOT_FOUND", "Edge not found", StatusCode::NOT_FOUND),
        Reason::DanglingEdge => ("DANGLING_EDGE", "Dangling edge", unprocessable),
        Reason::ParentNotFound => ("PARENT_NOT_FOUND", "Parent not found", unprocessable),
        Reason::ParentCycle => ("PARENT_CYCLE", "Parent cycle", unprocessable),
        Reason::VersionChanged => ("VERSION_CHANGED", "Version changed", StatusCode::PRECONDITION_FAILED),
        Reason::BaseRequired => ("BASE_REQUIRED", "Base required", StatusCode::PRECONDITION_REQUIRED),
        Reason::BaseUnknown => ("BASE_UNKNOWN", "Unknown base", StatusCode::CONFLICT),
        Reason::BaseTooOld => ("BASE_TOO_OLD", "Base too old", StatusCode::CONFLICT),
        Reason::DeletesMuch => ("DELETES_MUCH", "Most of the graph would be deleted", unprocessable),
        Reason::OperationNotFound => ("OPERATION_NOT_FOUND", "Operation not found", StatusCode::NOT_FOUND),
        Reason::UndoConflict => ("UNDO_CONFLICT", "Undo conflict", StatusCode::CONFLICT),
        Reason::OperationIdReused => ("OPERATION_ID_REUSED", "Operation id already in use", unprocessable),
        Reason::TooManyEntities => ("TOO_LARGE", "Too many nodes or edges", unprocessable),
        Reason::EntityTooLarge => ("TOO_LARGE", "Entity too large", StatusCode::PAYLOAD_TOO_LARGE),
        Reason::AnswerTooLarge => ("TOO_LARGE", "Answer too large", StatusCode::PAYLOAD_TOO_LARGE),
        Reason::DependencyPending => {
            ("DEPENDENCY_PENDING", "Dependency pending", StatusCode::SERVICE_UNAVAILABLE)
        }
        Reason::DependencyRefused => ("DEPENDENCY_REFUSED", "Dependency refused", unprocessable),
        Reason::GraphExists => ("GRAPH_EXISTS", "Graph exists", StatusCode::CONFLICT),
        Reason::GraphNotFound => ("GRAPH_NOT_FOUND", "Graph not found", StatusCode::NOT_FOUND),
        Reason::GraphTrashed => ("GRAPH_TRASHED", "Graph in the trash", StatusCode::GONE),
        Reason::GraphReadOnly => ("GRAPH_READ_ONLY", "Graph is read-only", StatusCode::FORBIDDEN),
        Reason::AttributesTooLarge => ("TOO_LARGE", "Attributes too large", unprocessable),
        Reason::VersionNotFound => ("VERSION_NOT_FOUND", "Version not found", StatusCode::NOT_FOUND),
        Reason::LabelNotFound => ("LABEL_NOT_FOUND", "Label not found", StatusCode::NOT_FOUND),
        Reason::LabelMoved => ("LABEL_MOVED", "Label moved", StatusCode::CONFLICT),
        Reason::TooManyLabels => ("TOO_LARGE", "Too many labels", unprocessable),
    }
}

/// What to do about a refusal; `None` where its message says so itself.
fn advice(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::Conflict => "Compare `yours` with `current` in `resolution`, then send a new operation.",
        Reason::TargetDeleted => "Drop the change, or create the target again.",
        Reason::VersionAhead => "Load the state again, and send the change with its version.",
        Reason::IdTaken => "Use another id, or update what has this one.",
        Reason::NodeNotFound => "Check the id, or create the node first.",
        Reason::EdgeNotFound => "Check the id, or create the edge first.",
        Reason::DanglingEdge => "Create the node first.",
        Reason::ParentNotFound => "Create the parent first.",
        Reason::ParentCycle => "Choose another parent.",
        Reason::TooManyEntities => "Delete some first, or raise MAX_NODES or MAX_EDGES.",
        Reason::EntityTooLarge => "Send less, or raise MAX_ENTITY_BYTES.",
        Reason::OperationNotFound => "Check the operationId and its version.",
        Reason::UndoConflict => "Compare what stands in `resolution`, or undo with onConflict=overwrite.",
        Reason::BaseRequired => "Send the base of the document that was read, or mode=merge or mode=replace.",
        Reason::VersionChanged | Reason::BaseUnknown | Reason::BaseTooOld => {
            "Read the document again and save on that."
        }
        Reason::DeletesMuch => "If that is meant, send `deletes` with the number of nodes.",
        Reason::DependencyPending => "Send that one, then this one again under the same operationId.",
        Reason::DependencyRefused => "Make the change again on the present graph, under a new operationId.",
        Reason::GraphExists => "Use another id, or change what is there.",
        Reason::GraphNotFound => "Check the id, or create the graph with CREATE_GRAPH.",
        Reason::GraphTrashed => TRASHED_ADVICE,
        Reason::GraphReadOnly => "Turn the setting off with UPDATE_GRAPH, then send the command again.",
        Reason::AttributesTooLarge => "Send less.",
        Reason::VersionNotFound => "Name a version that there is.",
        Reason::LabelNotFound => "Check its name: `GET /graphs/{graphId}/labels` lists labels.",
        Reason::LabelMoved => "Read it again, then decide and send a new operation.",
        Reason::TooManyLabels => "Remove some first, or shorten their notes.",
        Reason::HistoryReplaced | Reason::OperationIdReused | Reason::AnswerTooLarge => return None,
    })
}

/// The message of a refusal without the advice that its problem document adds.
pub fn refusal_message<'a>(code: &str, detail: &'a str) -> &'a str {
    let reasons = Reason::ALL.into_iter().filter(|reason| of_reason(*reason).0 == code);
    let mut advices = reasons.filter_map(advice);
    let message = advices.find_map(|advice| detail.strip_suffix(advice)?.strip_suffix(". "));
    message.unwrap_or(detail)
}

const TRASHED_ADVICE: &str = "Recover it with RECOVER_GRAPH, then send the request again.";

impl Problem {
    /// The contents of a graph in the trash (rule L8).
    pub(in crate::http) fn trashed(trashed: &Trashed) -> Self {
        let (code, title, status) = of_reason(Reason::GraphTrashed);
        let detail = format!(
            "This graph is in the trash. {TRASHED_ADVICE} `state?trashed=include` shows it as it is."
        );
        Self { details: DetailsOut::of_trash(trashed), ..Self::new(status, code, title, detail) }
    }

    /// A label that the graph does not have (rules L12, L13).
    pub(in crate::http) fn label_not_found(name: &LabelName) -> Self {
        let detail =
            format!("The graph has no label {name}. `GET /graphs/{{graphId}}/labels` lists those it has.");
        Self::entity_not_found("LABEL_NOT_FOUND", detail)
    }

    /// A graph that nobody has written to, where one is asked for (rule L3).
    pub(in crate::http) fn graph_not_found() -> Self {
        let (code, title, status) = of_reason(Reason::GraphNotFound);
        Self::new(
            status,
            code,
            title,
            "This graph does not exist. Check the id, or create it with CREATE_GRAPH.",
        )
    }
}

impl Problem {
    /// A purge of a graph that is not in the trash (rule L10).
    pub(in crate::http) fn not_trashed(operation: OperationId) -> Self {
        let detail = "This graph is not in the trash. Put it there with DELETE_GRAPH first.";
        let problem = Self::new(StatusCode::CONFLICT, "NOT_TRASHED", "Graph not in the trash", detail);
        Self { operation_id: Some(operation), ..problem }
    }

    /// An operation id that belongs to another operation (rule C3).
    pub(in crate::http) fn id_reused(operation: OperationId) -> Self {
        let (code, title, status) = of_reason(Reason::OperationIdReused);
        let detail = "This operationId was used for another command, or by another user.";
        Self { operation_id: Some(operation), ..Self::new(status, code, title, detail) }
    }
}

impl Problem {
    /// What was asked is done, but projections do not know it yet.
    pub(in crate::http) fn behind(detail: &str, cause: impl ToString) -> Self {
        Self::store_unavailable(detail, cause)
    }
}

impl From<PurgeError> for Problem {
    fn from(error: PurgeError) -> Self {
        match error {
            PurgeError::Graph(error) => error.into(),
            PurgeError::Subscription(error) => error.into(),
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
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "TOO_LARGE", "Request too large", detail)
            }
        };
        Self { index: malformed.index, ..problem }
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        let overloaded = |title, detail| Self::unavailable("OVERLOADED", title, detail);
        match error {
            WriteError::Overloaded => {
                overloaded("Server busy", "Too many commands are waiting for this graph. Try again later.")
            }
            WriteError::Contended => {
                overloaded("Graph busy", "Too many servers write to this graph at once. Try again later.")
            }
            WriteError::Stopped => overloaded(
                "Server stopping",
                "The server is stopping. Send the request again, with the same operationId.",
            ),
            WriteError::Failed => overloaded(
                "Graph task failed",
                "The task of this graph failed and is restarted. The operation may have taken effect. Send it again \
                 with the same operationId.",
            ),
            WriteError::MemoryFull => overloaded(
                "Graph memory full",
                "The graphs in use fill the memory that is set aside for them (MAX_HOT_BYTES). Try again later.",
            ),
            WriteError::StoreUnavailable(cause) => Self::store_unavailable(
                "The store is unavailable. The operation may have taken effect. Send it again with the same \
                 operationId.",
                cause,
            ),
            WriteError::Unreadable(cause) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "HISTORY_DAMAGED",
                "Damaged history",
                cause.to_string(),
            )
            .because(cause),
        }
    }
}

impl From<SubscriptionError> for Problem {
    fn from(error: SubscriptionError) -> Self {
        let detail = error.to_string();
        match error {
            SubscriptionError::NotFound => Self::not_found(detail),
            SubscriptionError::Exists => {
                Self::new(StatusCode::CONFLICT, "SUBSCRIPTION_EXISTS", "Subscription exists", detail)
            }
            SubscriptionError::TooMany => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "TOO_LARGE",
                "Too many subscriptions",
                format!("{detail}. Delete one first."),
            ),
            SubscriptionError::Start(_) | SubscriptionError::Filter { .. } => Self::bad_request(detail),
            SubscriptionError::Cursor => Self::bad_cursor(),
            SubscriptionError::Contended => Self::unavailable(
                "OVERLOADED",
                "Subscription busy",
                "Too many consumers ask for this subscription at once. Try again later.",
            ),
            SubscriptionError::Unreadable(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "SUBSCRIPTION_DAMAGED",
                "Damaged subscription",
                detail,
            )
            .because(error),
            SubscriptionError::Store(cause) => Self::store_unavailable(
                "The store is unavailable. Try again later: unacknowledged deliveries come again.",
                cause,
            ),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::VersionNotReached { current } => {
                let detail = format!("minVersion: {} Try again later.", version_detail(current));
                Self::unavailable("VERSION_NOT_REACHED", "Version not reached yet", detail)
            }
            ReadError::VersionNotFound { current } => {
                let detail = format!(
                    "This version does not exist: {} Ask for that or an earlier one.",
                    version_detail(current)
                );
                Self::entity_not_found("VERSION_NOT_FOUND", detail)
            }
            ReadError::LabelNotFound { name } => Self::label_not_found(&name),
            ReadError::Graph(WriteError::StoreUnavailable(cause)) => Self::store_unavailable(
                "The store is unavailable, and the graph is not in memory. Try again later.",
                cause,
            ),
            ReadError::Graph(error) => error.into(),
        }
    }
}

fn version_detail(current: Version) -> String {
    format!("the graph is at version {current}.")
}
