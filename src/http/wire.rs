//! What clients see of commits, states and answers: JSON in camelCase, MessagePack with the same
//! fields.

use bytes::Bytes;
use dao_projections::{
    Attributes, ClientId, CommandType, Commit, Event, Graph, GraphId, Hash, Head, OperationId, Outcome,
    Timestamp, TraceParent, UserId, Version, Viewport,
};
use serde::{Serialize, Serializer, ser::SerializeSeq};

use super::json_object::JsonObject;

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

/// The wire's word for the outcome of a commit.
pub(super) fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Applied => "applied",
        Outcome::Merged => "merged",
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
