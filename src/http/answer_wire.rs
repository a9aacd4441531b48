//! Answers to commands and batches, as clients get them.

use dao_projections::{
    Attributes, Edge, EdgeId, GraphId, Hash, Node, NodeId, OperationId, Placed, Pointer, Timestamp, Trashed,
    UserId, Version, Viewport,
};
use serde::{Serialize, Serializer};

use super::{
    label_wire::NamedLabelOut,
    problem::Problem,
    restore::{RestoredOut, TouchedOut},
    wire::outcome_word,
};
use crate::{
    domain::{Conflict, SaveReport},
    write::{CommandResult, Effect, Ending, Reply},
};

/// The answer to one command.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AcceptedOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    graph_id: Option<&'a GraphId>,
    accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_id: Option<OperationId>,
    operation_id: OperationId,
    status: &'static str,
    outcome: &'static str,
    version: Version,
    hash: Hash,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<ShownOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<Vec<ShownOut<'a>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    skipped: Vec<SkippedOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
}

/// A member of an atomic batch that was left out.
#[derive(Serialize)]
struct SkippedOut {
    index: usize,
    code: &'static str,
}

/// How the results of an accepted operation are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Results {
    /// `result`: there is one member.
    Single,
    /// `results`, one a member of an atomic batch.
    PerMember,
}

/// An accepted operation for the wire, or the problem that refused it.
pub(super) fn answer_out(answer: &Reply, shape: Results) -> Result<AcceptedOut<'_>, Problem> {
    let (effect, head, shown) = match &answer.ending {
        Ending::Completed { effect, head, results } => (effect, head, results),
        Ending::Refused { refusal, .. } => {
            return Err(Problem::refused(answer.operation, refusal, answer.duplicate));
        }
    };
    let skipped = skipped_out(shown);
    let mut shown = shown.iter().map(ShownOut);
    let (result, results) = match shape {
        Results::Single => (shown.next(), None),
        Results::PerMember if answer.duplicate => (None, None),
        Results::PerMember => (None, Some(shown.collect())),
    };
    Ok(AcceptedOut {
        r#type: None,
        graph_id: None,
        accepted: true,
        batch_id: (shape == Results::PerMember).then_some(answer.operation),
        operation_id: answer.operation,
        status: "completed",
        outcome: effect_out(*effect),
        version: head.version,
        hash: head.hash,
        result,
        results,
        skipped,
        duplicate: answer.duplicate.then_some(true),
    })
}

fn skipped_out(shown: &[CommandResult]) -> Vec<SkippedOut> {
    let skipped = shown.iter().enumerate().filter_map(|(index, shown)| match shown {
        CommandResult::Skipped(reason) => Some(SkippedOut { index, code: Problem::code_of(*reason) }),
        CommandResult::Node(_)
        | CommandResult::Edge(_)
        | CommandResult::Viewport(_)
        | CommandResult::NodeDeleted { .. }
        | CommandResult::EdgeDeleted(_)
        | CommandResult::Changed { .. }
        | CommandResult::Graph(_)
        | CommandResult::Saved(_)
        | CommandResult::Undone(_)
        | CommandResult::Restored(_)
        | CommandResult::Label(..)
        | CommandResult::Gone => None,
    });
    skipped.collect()
}

impl<'a> AcceptedOut<'a> {
    /// The same as an `ACK` frame about this graph.
    pub(super) fn into_ack(self, graph: &'a GraphId) -> Self {
        Self { r#type: Some("ACK"), graph_id: Some(graph), ..self }
    }
}

/// The wire's word for an outcome.
pub(super) fn effect_out(effect: Effect) -> &'static str {
    match effect {
        Effect::Committed(outcome) => outcome_word(outcome),
        Effect::Unchanged => "unchanged",
    }
}

/// One member of a batch that was not atomic.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum MemberOut<'a> {
    Accepted(AcceptedOut<'a>),
    #[serde(rename_all = "camelCase")]
    Refused {
        accepted: bool,
        operation_id: OperationId,
        status: &'static str,
        version: Version,
        error: Box<Problem>,
        #[serde(skip_serializing_if = "Option::is_none")]
        duplicate: Option<bool>,
    },
}

/// How one member of a batch went.
pub(super) fn member_out(answer: &Reply) -> MemberOut<'_> {
    match answer_out(answer, Results::Single) {
        Ok(accepted) => MemberOut::Accepted(accepted),
        Err(problem) => {
            let (Ending::Completed { head, .. } | Ending::Refused { head, .. }) = &answer.ending;
            MemberOut::Refused {
                accepted: false,
                operation_id: answer.operation,
                status: status_of(&problem),
                version: head.version,
                error: Box::new(problem),
                duplicate: answer.duplicate.then_some(true),
            }
        }
    }
}

/// `conflict` for a 409, `failed` for other refusals (rule D7).
pub(super) fn status_of(problem: &Problem) -> &'static str {
    if problem.status == axum::http::StatusCode::CONFLICT { "conflict" } else { "failed" }
}

/// The answer to a batch that was not atomic.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) r#type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) graph_id: Option<&'a GraphId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) operation_id: Option<OperationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<Version>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hash: Option<Hash>,
    pub(super) batch_id: OperationId,
    pub(super) results: Vec<MemberOut<'a>>,
}

impl<'a> BatchOut<'a> {
    /// As the body of an answer.
    pub(super) fn of(batch_id: OperationId, results: Vec<MemberOut<'a>>) -> Self {
        Self {
            r#type: None,
            graph_id: None,
            operation_id: None,
            version: None,
            hash: None,
            batch_id,
            results,
        }
    }
}

/// The entity that a command was about (rule C2).
pub(super) struct ShownOut<'a>(&'a CommandResult);

impl Serialize for ShownOut<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            CommandResult::Node(node) => node.as_ref().serialize(s),
            CommandResult::Edge(edge) => edge.as_ref().serialize(s),
            CommandResult::Viewport(viewport) => viewport.serialize(s),
            CommandResult::NodeDeleted { node, nodes, edges } => {
                NodeDeletedOut { deleted_node: node, deleted_nodes: nodes, deleted_edges: edges }.serialize(s)
            }
            CommandResult::EdgeDeleted(edge) => EdgeDeletedOut { deleted_edge: edge }.serialize(s),
            CommandResult::Graph(metadata) => GraphChangedOut {
                attributes: &metadata.attributes,
                trashed: metadata.trashed.as_ref().map(TrashedOut::of),
            }
            .serialize(s),
            CommandResult::Changed { nodes, edges, deleted_edges, viewport } => ChangedOut {
                nodes: nodes.iter().map(AsRef::as_ref).collect(),
                edges: edges.iter().map(AsRef::as_ref).collect(),
                deleted_edges,
                viewport: viewport.as_ref(),
            }
            .serialize(s),
            CommandResult::Saved(saved) => SavedWithConflictsOut {
                entities: SavedOut::of(saved),
                conflicts: &saved.kept,
                own: &saved.own,
            }
            .serialize(s),
            CommandResult::Undone(undone) => super::undo::UndoneOut::of(undone).serialize(s),
            CommandResult::Restored(restored) => RestoredOut::of(restored).serialize(s),
            CommandResult::Label(name, label) => NamedLabelOut::of(name, label.as_ref()).serialize(s),
            CommandResult::Gone | CommandResult::Skipped(_) => s.serialize_none(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeDeletedOut<'a> {
    deleted_node: &'a NodeId,
    deleted_nodes: &'a [NodeId],
    deleted_edges: &'a [EdgeId],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EdgeDeletedOut<'a> {
    deleted_edge: &'a EdgeId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangedOut<'a> {
    nodes: Vec<&'a Placed<Node>>,
    edges: Vec<&'a Placed<Edge>>,
    deleted_edges: &'a [EdgeId],
    viewport: Option<&'a Viewport>,
}

#[derive(Serialize)]
struct SavedWithConflictsOut<'a> {
    #[serde(flatten)]
    entities: SavedOut<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    conflicts: &'a [Conflict],
    /// Own commits since the base, for the base of the next save.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    own: &'a [Version],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GraphChangedOut<'a> {
    attributes: &'a Attributes,
    #[serde(skip_serializing_if = "Option::is_none")]
    trashed: Option<TrashedOut<'a>>,
}

/// What a document save did (rule DS10).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SavedOut<'a> {
    created: TouchedOut<'a>,
    updated: TouchedOut<'a>,
    deleted: TouchedOut<'a>,
    also_deleted: TouchedOut<'a>,
    ignored: &'a [Pointer],
}

impl<'a> SavedOut<'a> {
    pub(super) fn of(saved: &'a SaveReport) -> Self {
        Self {
            created: TouchedOut::of(&saved.created),
            updated: TouchedOut::of(&saved.updated),
            deleted: TouchedOut::of(&saved.deleted),
            also_deleted: TouchedOut::of(&saved.also_deleted),
            ignored: &saved.ignored,
        }
    }
}

/// That a graph is in the trash, where a graph is shown (rule L8).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TrashedOut<'a> {
    at: Timestamp,
    by: Option<&'a UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_to: Option<&'a GraphId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purge_at: Option<Timestamp>,
}

impl<'a> TrashedOut<'a> {
    pub(super) fn of(trashed: &'a Trashed) -> Self {
        Self {
            at: trashed.at,
            by: trashed.by.as_ref(),
            reason: trashed.reason.as_deref(),
            moved_to: trashed.moved_to.as_ref(),
            purge_at: trashed.purge_after,
        }
    }
}
