//! What auditors see: JSON in camelCase, MessagePack with the same fields. The command line prints
//! the same JSON.

use std::collections::BTreeMap;

use dao_projections::{
    Change, ClientId, CommandType, Edge, EdgeId, Event, GraphId, Hash, Node, NodeId, OperationId, TableDiff,
    Timestamp, TraceParent, UserId, Version, ViewportChange,
};
use serde::{Serialize, Serializer};

use super::super::{problem::Problem, wire::outcome_word};
use crate::read::{
    AllOperationsPage, Author, Difference, EntityChange, EntityHistory, ListedOperation, OperationPage,
    Verification,
};

/// One operation (rule A1).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OperationOut<'a> {
    /// In a list of all graphs.
    #[serde(skip_serializing_if = "Option::is_none")]
    graph_id: Option<&'a GraphId>,
    operation_id: OperationId,
    status: &'static str,
    /// Null where it was refused.
    outcome: Option<&'static str>,
    version: Version,
    user_id: &'a UserId,
    client_id: &'a ClientId,
    timestamp: Timestamp,
    command_type: CommandType,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<TraceParent>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    undoes: &'a [OperationId],
    /// The operation that undid it last.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    undone_by: &'a [OperationId],
    #[serde(skip_serializing_if = "Option::is_none")]
    restores: Option<Version>,
    events: &'a [Event],
    hash: Hash,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Problem>,
}

impl<'a> OperationOut<'a> {
    fn of(listed: &'a ListedOperation, undone_by: &'a [OperationId]) -> Self {
        let status = listed.status().as_str();
        match listed {
            ListedOperation::Accepted(commit) => Self {
                graph_id: None,
                operation_id: commit.body.operation_id,
                status,
                outcome: Some(outcome_word(commit.body.outcome)),
                version: commit.version,
                user_id: &commit.body.user_id,
                client_id: &commit.body.client_id,
                timestamp: commit.body.timestamp,
                command_type: commit.body.command_type,
                traceparent: commit.body.traceparent,
                undoes: &commit.body.undoes,
                undone_by,
                restores: commit.body.restores,
                events: &commit.body.events,
                hash: commit.hash,
                error: None,
            },
            ListedOperation::Refused { operation, by, refusal } => Self {
                graph_id: None,
                operation_id: *operation,
                status,
                outcome: None,
                version: by.version,
                user_id: &by.user,
                client_id: &by.client,
                timestamp: by.at,
                command_type: by.command,
                traceparent: None,
                undoes: &[],
                undone_by: &[],
                restores: None,
                events: &[],
                hash: by.hash,
                error: Some(Problem::refused(*operation, refusal, false)),
            },
        }
    }
}

/// One page of operations.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListingOut<'a> {
    operations: Vec<OperationOut<'a>>,
    next_cursor: Option<String>,
}

impl<'a> ListingOut<'a> {
    pub(super) fn of(listing: &'a OperationPage, next_cursor: Option<String>) -> Self {
        let operations = listing.operations.iter().map(|listed| {
            let undone_by =
                listed.accepted().and_then(|commit| listing.undone_by.get(&commit.body.operation_id));
            OperationOut::of(listed, undone_by.map_or(&[], std::slice::from_ref))
        });
        Self { operations: operations.collect(), next_cursor }
    }
}

/// One page of operations of all graphs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AllListingOut<'a> {
    operations: Vec<OperationOut<'a>>,
    next_cursor: Option<String>,
}

impl<'a> AllListingOut<'a> {
    pub(super) fn of(page: &'a AllOperationsPage, next_cursor: Option<String>) -> Self {
        let operations = page.operations.iter().map(|(graph, listed)| {
            let key = listed.accepted().map(|commit| (graph.clone(), commit.body.operation_id));
            let undone_by = key.and_then(|key| page.undone_by.get(&key));
            let out = OperationOut::of(listed, undone_by.map_or(&[], std::slice::from_ref));
            OperationOut { graph_id: Some(graph), ..out }
        });
        Self { operations: operations.collect(), next_cursor }
    }
}

/// The difference of two versions (rule A3).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DifferenceOut<'a> {
    graph_id: &'a GraphId,
    from: Version,
    to: Version,
    nodes: &'a TableDiff<NodeId, Node>,
    edges: &'a TableDiff<EdgeId, Edge>,
    viewport: &'a Option<ViewportChange>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    attributes: &'a [Change],
}

impl<'a> DifferenceOut<'a> {
    pub(super) fn of(graph_id: &'a GraphId, difference: &'a Difference) -> Self {
        let (from, to, diff) = (difference.from, difference.to, &difference.diff);
        Self {
            graph_id,
            from,
            to,
            nodes: &diff.nodes,
            edges: &diff.edges,
            viewport: &diff.viewport,
            attributes: &diff.attributes,
        }
    }
}

/// What one commit did to one entity (rule A4).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TouchOut<'a> {
    version: Version,
    operation_id: OperationId,
    user_id: &'a UserId,
    client_id: &'a ClientId,
    timestamp: Timestamp,
    command_type: CommandType,
    changes: &'a [Change],
}

impl<'a> TouchOut<'a> {
    fn of(touch: &'a EntityChange) -> Self {
        let body = &touch.commit.body;
        Self {
            version: touch.commit.version,
            operation_id: body.operation_id,
            user_id: &body.user_id,
            client_id: &body.client_id,
            timestamp: body.timestamp,
            command_type: body.command_type,
            changes: &touch.changes,
        }
    }
}

/// One page of the history of an entity.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HistoryOut<'a> {
    history: Vec<TouchOut<'a>>,
    next_cursor: Option<String>,
}

impl<'a> HistoryOut<'a> {
    pub(super) fn of(history: &'a EntityHistory, next_cursor: Option<String>) -> Self {
        Self { history: history.touches.iter().map(TouchOut::of).collect(), next_cursor }
    }
}

/// Who wrote each entity last (rule N3): a map by its id.
pub(super) struct AuthorsOut<'a>(pub(super) &'a BTreeMap<String, Author>);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthorOut<'a> {
    version: Version,
    user_id: &'a UserId,
    timestamp: Timestamp,
}

impl Serialize for AuthorsOut<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.0.iter().map(|(id, Author { version, user, at })| {
            (id, AuthorOut { version: *version, user_id: user, timestamp: *at })
        }))
    }
}

/// How far a walk through a history is (rule N7).
#[derive(Serialize)]
pub(super) struct ProgressOut {
    /// Commits that were good so far.
    pub(super) commits: u64,
    /// Commits there are to look at.
    pub(super) of: u64,
}

/// What a walk through a history found (rule A5).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VerifiedOut<'a> {
    graph_id: &'a GraphId,
    version: Version,
    hash: Hash,
    commits: u64,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_bad_version: Option<Version>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
}

impl<'a> VerifiedOut<'a> {
    pub(super) fn of(graph_id: &'a GraphId, verified: &'a Verification) -> Self {
        Self {
            graph_id,
            version: verified.head.version,
            hash: verified.head.hash,
            commits: verified.commits,
            ok: verified.bad.is_none(),
            first_bad_version: verified.bad.as_ref().map(|bad| bad.version),
            problem: verified.bad.as_ref().map(|bad| bad.problem.as_str()),
        }
    }
}

/// A difference as a line of JSON.
pub fn difference_json(graph: &GraphId, difference: &Difference) -> Vec<u8> {
    super::line(&DifferenceOut::of(graph, difference))
}
