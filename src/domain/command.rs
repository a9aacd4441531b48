//! Commands: what somebody asks for, already checked for shape, with every id filled in.

use dao_projections::{
    ClientId, CommandType, Edge, EdgeId, Graph, Hash, Map, MergePatch, Node, NodeId, OperationId, Position,
    TraceParent, UserId, Version, Viewport,
};
use serde_json::Value;

use crate::domain::{Fingerprint, Undone};

/// One of the ten commands (rules C and U).
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Command {
    CreateNode { node: Node },
    UpdateNode { node_id: NodeId, patch: MergePatch },
    UpdateNodePosition { node_id: NodeId, position: Position },
    DeleteNode { node_id: NodeId },
    CreateEdge { edge: Edge },
    UpdateEdge { edge_id: EdgeId, patch: MergePatch },
    DeleteEdge { edge_id: EdgeId },
    SetViewport { viewport: Viewport },
    BatchUpdate { nodes: Vec<Node>, edges: Option<Vec<Edge>>, viewport: Option<Viewport> },
    Undo { operations: Vec<Undone> },
}

/// What a command is aimed at: what its result shows, and what conflicts are about.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Target {
    Node(NodeId),
    Edge(EdgeId),
    Viewport,
    /// A `BATCH_UPDATE` or an `UNDO`: whatever its events turn out to name.
    Whole,
}

impl Command {
    /// Its name on the wire.
    pub fn command_type(&self) -> CommandType {
        match self {
            Self::CreateNode { .. } => CommandType::CreateNode,
            Self::UpdateNode { .. } => CommandType::UpdateNode,
            Self::UpdateNodePosition { .. } => CommandType::UpdateNodePosition,
            Self::DeleteNode { .. } => CommandType::DeleteNode,
            Self::CreateEdge { .. } => CommandType::CreateEdge,
            Self::UpdateEdge { .. } => CommandType::UpdateEdge,
            Self::DeleteEdge { .. } => CommandType::DeleteEdge,
            Self::SetViewport { .. } => CommandType::SetViewport,
            Self::BatchUpdate { .. } => CommandType::BatchUpdate,
            Self::Undo { .. } => CommandType::Undo,
        }
    }

    /// How many entities and fields it brings: a measure of the work it makes, whatever the graph is.
    pub fn weight(&self) -> usize {
        match self {
            Self::BatchUpdate { nodes, edges, .. } => {
                let edges = edges.iter().flatten();
                let of_nodes = nodes.iter().map(|node| 1 + fields_of(node.attributes())).sum::<usize>();
                1 + of_nodes + edges.map(|edge| 1 + fields_of(edge.attributes())).sum::<usize>()
            }
            Self::Undo { operations } => 1 + operations.len() * WEIGHT_OF_UNDONE,
            Self::CreateNode { node } => 1 + fields_of(node.attributes()),
            Self::CreateEdge { edge } => 1 + fields_of(edge.attributes()),
            Self::UpdateNode { patch, .. } | Self::UpdateEdge { patch, .. } => 1 + fields_of(patch.fields()),
            Self::UpdateNodePosition { .. }
            | Self::DeleteNode { .. }
            | Self::DeleteEdge { .. }
            | Self::SetViewport { .. } => 1,
        }
    }

    /// The same, with what of `graph` it has to look at: all that would go with a node, the edges that an edge set is
    /// compared with, the fields of what it changes.
    fn weight_on(&self, graph: &Graph) -> usize {
        let standing = match self {
            Self::DeleteNode { node_id } => return weight_of_cascade(graph, node_id),
            Self::BatchUpdate { edges: Some(_), .. } => graph.edges().len(),
            Self::UpdateNode { node_id, .. } => {
                graph.nodes().get(node_id).map_or(0, |node| fields_of(node.entity.attributes()))
            }
            Self::UpdateEdge { edge_id, .. } => {
                graph.edges().get(edge_id).map_or(0, |edge| fields_of(edge.entity.attributes()))
            }
            Self::BatchUpdate { edges: None, .. }
            | Self::CreateNode { .. }
            | Self::UpdateNodePosition { .. }
            | Self::CreateEdge { .. }
            | Self::DeleteEdge { .. }
            | Self::SetViewport { .. }
            | Self::Undo { .. } => 0,
        };
        self.weight() + standing
    }

    /// What it is aimed at.
    pub fn target(&self) -> Target {
        match self {
            Self::CreateNode { node } => Target::Node(node.id().clone()),
            Self::UpdateNode { node_id, .. }
            | Self::UpdateNodePosition { node_id, .. }
            | Self::DeleteNode { node_id } => Target::Node(node_id.clone()),
            Self::CreateEdge { edge } => Target::Edge(edge.id().clone()),
            Self::UpdateEdge { edge_id, .. } | Self::DeleteEdge { edge_id } => Target::Edge(edge_id.clone()),
            Self::SetViewport { .. } => Target::Viewport,
            Self::BatchUpdate { .. } | Self::Undo { .. } => Target::Whole,
        }
    }
}

/// What an operation that is to be undone counts for: what it did is not known yet.
const WEIGHT_OF_UNDONE: usize = 16;
/// Items and fields are counted up to about here: what weighs that much is heavy in any case.
const WEIGHT_COUNTED: usize = 4_096;
/// Bytes of text that weigh as much as one field.
const BYTES_PER_FIELD: usize = 256;

/// How many values there are in an object, long texts counted as several.
pub(crate) fn fields_of(fields: &Map) -> usize {
    let mut count = 0;
    for (key, value) in fields {
        count_values(value, &mut count);
        count += key.len() / BYTES_PER_FIELD;
        if count > WEIGHT_COUNTED {
            break;
        }
    }
    count
}

fn count_values(value: &Value, count: &mut usize) {
    *count += 1;
    match value {
        Value::String(text) => *count += text.len() / BYTES_PER_FIELD,
        Value::Array(items) => {
            items.iter().take(WEIGHT_COUNTED).for_each(|item| count_values(item, count));
        }
        Value::Object(fields) => *count += fields_of(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A node, what is inside of it and the edges of all those, as far as [`WEIGHT_COUNTED`].
fn weight_of_cascade(graph: &Graph, node: &NodeId) -> usize {
    let (mut weight, mut next) = (1, vec![node.clone()]);
    while let Some(node) = next.pop()
        && weight <= WEIGHT_COUNTED
    {
        let children = graph.children_of(&node).take(WEIGHT_COUNTED);
        next.extend(children.map(|child| child.entity.id().clone()));
        weight += 1 + graph.edges_of(&node).take(WEIGHT_COUNTED).count();
    }
    weight + next.len()
}

/// What to do where others wrote what a command writes (rule D5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Reconcile what can be, refuse the same field.
    #[default]
    Merge,
    /// The last writer wins.
    Overwrite,
    /// Refuse whenever others touched anything that the command would change or delete.
    Reject,
}

/// A point that its author took for one of the graph's history (rule D8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The version.
    pub version: Version,
    /// Its hash; `None` where the author sent a text that is the hash of nothing.
    pub hash: Option<Hash>,
    /// The member of an atomic batch that says so; `None` where the whole operation does.
    pub index: Option<usize>,
}

/// One member of an atomic batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// What it asks for.
    pub command: Command,
    /// The version its author had applied; `None` means "as the graph stands".
    pub client_version: Option<Version>,
    /// Its policy.
    pub on_conflict: OnConflict,
}

/// What one operation asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// One command.
    Single(Member),
    /// All of these as one commit, or none.
    Atomic(Vec<Member>),
}

impl Action {
    /// Its name in the commit: the command's, or `BATCH`.
    pub fn command_type(&self) -> CommandType {
        match self {
            Self::Single(member) => member.command.command_type(),
            Self::Atomic(_) => CommandType::Batch,
        }
    }

    /// Its members: one, or those of the batch.
    pub fn members(&self) -> &[Member] {
        match self {
            Self::Single(member) => std::slice::from_ref(member),
            Self::Atomic(members) => members,
        }
    }
}

impl Operation {
    /// How many entities, fields and commands it brings: a measure of the work it makes, whatever the graph is.
    pub fn weight(&self) -> usize {
        self.action.members().iter().map(|member| member.command.weight()).sum()
    }

    /// The work it makes on this graph. Of a member that makes far more than a little, some is left uncounted.
    pub fn weight_on(&self, graph: &Graph) -> usize {
        self.action.members().iter().map(|member| member.command.weight_on(graph)).sum()
    }
}

/// An operation: a command, or an atomic batch of them, with who sent it.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The idempotency key (rule C3).
    pub id: OperationId,
    /// What tells a repeat from another command under the same id.
    pub fingerprint: Fingerprint,
    /// Who sent it.
    pub user: UserId,
    /// Through which client; where none was named, the user over HTTP and the connection on a socket.
    pub client: ClientId,
    /// Whether its author named the client. Without that no commit counts as one's own (rule D1).
    pub is_client_named: bool,
    /// The points of the history that its author had in mind; all must be of today's (rule D8). No part of the
    /// fingerprint.
    pub claims: Vec<Claim>,
    /// Where in a trace it was asked for: kept in its commit, and no part of what is judged or compared.
    pub traceparent: Option<TraceParent>,
    /// What it asks for.
    pub action: Action,
}
