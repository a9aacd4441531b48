//! Commands: what somebody asks for, already checked for shape, with every id filled in.

use dao_projections::{
    ClientId, CommandType, Edge, EdgeId, Hash, MergePatch, Node, NodeId, OperationId, Position, TraceParent,
    UserId, Version, Viewport,
};

use crate::domain::Fingerprint;

/// One of the nine commands (rule C).
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
}

/// What a command is aimed at: what its result shows, and what conflicts are about.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Target {
    Node(NodeId),
    Edge(EdgeId),
    Viewport,
    /// A `BATCH_UPDATE`: whatever its events turn out to name.
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
        }
    }

    /// How many entities it brings: a measure of the work it makes.
    pub fn weight(&self) -> usize {
        match self {
            Self::BatchUpdate { nodes, edges, .. } => 1 + nodes.len() + edges.as_ref().map_or(0, Vec::len),
            _ => 1,
        }
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
            Self::BatchUpdate { .. } => Target::Whole,
        }
    }
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
    /// How many entities and commands it brings: a measure of the work it makes.
    pub fn weight(&self) -> usize {
        self.action.members().iter().map(|member| member.command.weight()).sum()
    }

    /// Whether it deletes nodes: then the work it makes depends on what is inside of them.
    pub fn deletes_nodes(&self) -> bool {
        let members = self.action.members().iter();
        members.into_iter().any(|member| matches!(member.command, Command::DeleteNode { .. }))
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
