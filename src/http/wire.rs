//! What clients see of commits, states and answers: JSON in camelCase, MessagePack with the same
//! fields.

use bytes::Bytes;
use dao_projections::{
    Attributes, ClientId, CommandType, Commit, Edge, EdgeId, Event, Graph, GraphId, Hash, Head, Node, NodeId,
    OperationId, Outcome, Placed, Pointer, Timestamp, TraceParent, Trashed, UserId, Version, Viewport,
};
use serde::{Serialize, Serializer, ser::SerializeSeq};

use super::{json_object::JsonObject, labels::NamedLabelOut, problem::Problem, restore::RestoredOut};
use crate::{
    domain::{Conflict, SaveReport, Touched},
    write::{CommandResult, Effect, Ending, Reply},
};

/// A commit as every reader gets it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommitOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    graph_id: &'a GraphId,
    version: Version,
    hash: Hash,
    /// Null where the commit was erased.
    operation_id: Option<OperationId>,
    user_id: &'a UserId,
    client_id: &'a ClientId,
    timestamp: Timestamp,
    command_type: CommandType,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<TraceParent>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    undoes: &'a [OperationId],
    #[serde(skip_serializing_if = "Option::is_none")]
    restores: Option<Version>,
    #[serde(skip_serializing_if = "Option::is_none")]
    erased: Option<bool>,
    events: &'a [Event],
}

impl<'a> CommitOut<'a> {
    /// The wire's view of `commit`.
    pub fn of(graph_id: &'a GraphId, commit: &'a Commit) -> Self {
        let body = &commit.body;
        Self {
            r#type: None,
            graph_id,
            version: commit.version,
            hash: commit.hash,
            operation_id: (!body.is_erased).then_some(body.operation_id),
            user_id: &body.user_id,
            client_id: &body.client_id,
            timestamp: body.timestamp,
            command_type: body.command_type,
            outcome: body.outcome,
            traceparent: body.traceparent,
            undoes: &body.undoes,
            restores: body.restores,
            erased: body.is_erased.then_some(true),
            events: &body.events,
        }
    }
}

impl CommitOut<'_> {
    /// The same as a frame of this type.
    pub(super) fn into_frame(self, frame: &'static str) -> Self {
        Self { r#type: Some(frame), ..self }
    }
}

/// A commit as JSON.
pub fn commit_json(graph: &GraphId, commit: &Commit) -> Bytes {
    super::format::Format::Json.encode(&CommitOut::of(graph, commit)).into()
}

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

/// The wire's word for the outcome of a commit.
pub(super) fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Applied => "applied",
        Outcome::Merged => "merged",
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
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct NodeDeleted<'a> {
            deleted_node: &'a NodeId,
            deleted_nodes: &'a [NodeId],
            deleted_edges: &'a [EdgeId],
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct EdgeDeleted<'a> {
            deleted_edge: &'a EdgeId,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Changed<'a> {
            nodes: Vec<&'a Placed<Node>>,
            edges: Vec<&'a Placed<Edge>>,
            deleted_edges: &'a [EdgeId],
            viewport: Option<&'a Viewport>,
        }
        #[derive(Serialize)]
        struct Saved<'a> {
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
        struct GraphChanged<'a> {
            attributes: &'a Attributes,
            #[serde(skip_serializing_if = "Option::is_none")]
            trashed: Option<TrashedOut<'a>>,
        }
        match self.0 {
            CommandResult::Node(node) => node.as_ref().serialize(s),
            CommandResult::Edge(edge) => edge.as_ref().serialize(s),
            CommandResult::Viewport(viewport) => viewport.serialize(s),
            CommandResult::NodeDeleted { node, nodes, edges } => {
                NodeDeleted { deleted_node: node, deleted_nodes: nodes, deleted_edges: edges }.serialize(s)
            }
            CommandResult::EdgeDeleted(edge) => EdgeDeleted { deleted_edge: edge }.serialize(s),
            CommandResult::Graph(metadata) => GraphChanged {
                attributes: &metadata.attributes,
                trashed: metadata.trashed.as_ref().map(TrashedOut::of),
            }
            .serialize(s),
            CommandResult::Changed { nodes, edges, deleted_edges, viewport } => Changed {
                nodes: nodes.iter().map(AsRef::as_ref).collect(),
                edges: edges.iter().map(AsRef::as_ref).collect(),
                deleted_edges,
                viewport: viewport.as_ref(),
            }
            .serialize(s),
            CommandResult::Saved(saved) => {
                Saved { entities: SavedOut::of(saved), conflicts: &saved.kept, own: &saved.own }.serialize(s)
            }
            CommandResult::Undone(undone) => super::undo::UndoneOut::of(undone).serialize(s),
            CommandResult::Restored(restored) => RestoredOut::of(restored).serialize(s),
            CommandResult::Label(name, label) => NamedLabelOut::of(name, label.as_ref()).serialize(s),
            CommandResult::Gone | CommandResult::Skipped(_) => s.serialize_none(),
        }
    }
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

/// Ids of entities.
#[derive(Serialize)]
pub(super) struct TouchedOut<'a> {
    nodes: &'a [NodeId],
    edges: &'a [EdgeId],
}

impl<'a> TouchedOut<'a> {
    pub(super) fn of(touched: &'a Touched) -> Self {
        Self { nodes: &touched.nodes, edges: &touched.edges }
    }
}

/// `GET …/state`, in any format.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StateOut<'a> {
    graph_id: &'a GraphId,
    version: Version,
    hash: Hash,
    last_modified: Option<Timestamp>,
    last_operation_id: Option<OperationId>,
    attributes: &'a Attributes,
    nodes: Nodes<'a>,
    edges: Edges<'a>,
    viewport: &'a Viewport,
}

impl<'a> StateOut<'a> {
    pub(super) fn of(graph_id: &'a GraphId, graph: &'a Graph) -> Self {
        let Head { version, hash } = graph.head();
        Self {
            graph_id,
            version,
            hash,
            last_modified: graph.last_modified(),
            last_operation_id: graph.last_operation(),
            attributes: &graph.metadata().attributes,
            nodes: Nodes(graph),
            edges: Edges(graph),
            viewport: graph.viewport(),
        }
    }
}

/// A graph's nodes as a list, parents first (rule G5).
pub(super) struct Nodes<'a>(pub(super) &'a Graph);

impl Serialize for Nodes<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut list = s.serialize_seq(Some(self.0.nodes().len()))?;
        self.0.nodes_in_order().try_for_each(|node| list.serialize_element(node.as_ref()))?;
        list.end()
    }
}

/// A graph's edges as a list, in creation order (rule G5).
pub(super) struct Edges<'a>(pub(super) &'a Graph);

impl Serialize for Edges<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut list = s.serialize_seq(Some(self.0.edges().len()))?;
        self.0.edges().iter().try_for_each(|edge| list.serialize_element(edge.as_ref()))?;
        list.end()
    }
}

/// `GET …/state` as JSON, from the encodings that entities keep: after one change, one entity is
/// encoded again.
pub fn state_json(graph_id: &GraphId, graph: &Graph) -> Bytes {
    let Head { version, hash } = graph.head();
    let (nodes, edges) = (graph.nodes(), graph.edges());
    let entities = nodes.iter().map(|node| node.json().len()).sum::<usize>()
        + edges.iter().map(|edge| edge.json().len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(entities + nodes.len() + edges.len() + 512);
    JsonObject::begin(&mut bytes)
        .field("graphId", graph_id)
        .field("version", &version)
        .field("hash", &hash)
        .field("lastModified", &graph.last_modified())
        .field("lastOperationId", &graph.last_operation())
        .field("attributes", &graph.metadata().attributes)
        .list("nodes", graph.nodes_in_order().map(|node| node.json()))
        .list("edges", edges.iter().map(|edge| edge.json()))
        .field("viewport", graph.viewport())
        .end();
    bytes.into()
}
