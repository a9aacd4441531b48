//! Commands, already checked for shape and with every id filled in.

use dao_projections::{
    Attributes, ClientId, CommandType, Edge, EdgeId, Graph, GraphId, Hash, MergePatch, Node, NodeId,
    OperationId, Position, TraceParent, UserId, Version, Viewport,
};

use super::{
    CopyFrom, Fingerprint, Undone,
    document::Save,
    labels::Labelling,
    limits::SETTINGS,
    restore::Restoring,
    weight::{WEIGHT_COUNTED, fields_of, weight_of_document},
};

/// One of the commands (rules C, DS, L and U).
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
    SaveDocument { save: Box<Save> },
    Undo { operations: Vec<Undone> },
    CreateGraph { attributes: Attributes, nodes: Vec<Node>, edges: Vec<Edge>, viewport: Option<Viewport> },
    CopyGraph { attributes: Attributes, from: CopyFrom },
    UpdateGraph { patch: MergePatch },
    DeleteGraph { reason: Option<Box<str>>, moved_to: Option<GraphId> },
    RecoverGraph,
    LabelVersion { labelling: Box<Labelling> },
    RestoreVersion { restoring: Box<Restoring> },
}

/// The target of a command: the entity that its result shows and that conflicts are about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Target {
    Node(NodeId),
    Edge(EdgeId),
    Viewport,
    /// The graph itself: its attributes and the trash.
    Graph,
    /// The target of a `BATCH_UPDATE`, a `SAVE_DOCUMENT`, an `UNDO` or a `RESTORE_VERSION`: all entities that its events name.
    Whole,
}

impl Command {
    /// The type of the command, as on the wire.
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
            Self::SaveDocument { .. } => CommandType::SaveDocument,
            Self::Undo { .. } => CommandType::Undo,
            Self::CreateGraph { .. } | Self::CopyGraph { .. } => CommandType::CreateGraph,
            Self::UpdateGraph { .. } => CommandType::UpdateGraph,
            Self::DeleteGraph { .. } => CommandType::DeleteGraph,
            Self::RecoverGraph => CommandType::RecoverGraph,
            Self::LabelVersion { .. } => CommandType::LabelVersion,
            Self::RestoreVersion { .. } => CommandType::RestoreVersion,
        }
    }

    /// The number of entities and fields in the command: a measure of its work that does not depend on the graph.
    pub fn weight(&self) -> usize {
        match self {
            Self::BatchUpdate { nodes, edges, .. } => {
                weight_of_document(nodes, edges.as_deref().unwrap_or_default())
            }
            Self::CreateGraph { attributes, nodes, edges, .. } => {
                fields_of(attributes.fields()) + weight_of_document(nodes, edges)
            }
            // How much that is comes to be known as it is read.
            Self::CopyGraph { .. } => WEIGHT_COUNTED,
            Self::SaveDocument { save } => save.document.weight(),
            Self::Undo { operations } => 1 + operations.len() * WEIGHT_OF_UNDONE,
            Self::CreateNode { node } => 1 + fields_of(node.attributes()),
            Self::CreateEdge { edge } => 1 + fields_of(edge.attributes()),
            Self::UpdateNode { patch, .. } | Self::UpdateEdge { patch, .. } | Self::UpdateGraph { patch } => {
                1 + fields_of(patch.fields())
            }
            Self::UpdateNodePosition { .. }
            | Self::DeleteNode { .. }
            | Self::DeleteEdge { .. }
            | Self::SetViewport { .. }
            | Self::DeleteGraph { .. }
            | Self::RecoverGraph
            | Self::LabelVersion { .. } => 1,
            Self::RestoreVersion { restoring } => 1 + restoring.named(),
        }
    }

    /// The weight plus what the command has to look at in `graph`: everything that is deleted with a node, the edges
    /// that an edge set is compared with, the fields of the entity that it changes.
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
            Self::SaveDocument { .. } | Self::RestoreVersion { .. } => {
                graph.nodes().len() + graph.edges().len()
            }
            Self::UpdateGraph { .. } => fields_of(graph.metadata().attributes.fields()),
            Self::BatchUpdate { edges: None, .. }
            | Self::CreateNode { .. }
            | Self::UpdateNodePosition { .. }
            | Self::CreateEdge { .. }
            | Self::DeleteEdge { .. }
            | Self::SetViewport { .. }
            | Self::Undo { .. }
            | Self::CreateGraph { .. }
            | Self::CopyGraph { .. }
            | Self::DeleteGraph { .. }
            | Self::RecoverGraph
            | Self::LabelVersion { .. } => 0,
        };
        self.weight() + standing
    }

    /// The target of the command.
    pub fn target(&self) -> Target {
        match self {
            Self::CreateNode { node } => Target::Node(node.id().clone()),
            Self::UpdateNode { node_id, .. }
            | Self::UpdateNodePosition { node_id, .. }
            | Self::DeleteNode { node_id } => Target::Node(node_id.clone()),
            Self::CreateEdge { edge } => Target::Edge(edge.id().clone()),
            Self::UpdateEdge { edge_id, .. } | Self::DeleteEdge { edge_id } => Target::Edge(edge_id.clone()),
            Self::SetViewport { .. } => Target::Viewport,
            Self::BatchUpdate { .. }
            | Self::SaveDocument { .. }
            | Self::Undo { .. }
            | Self::RestoreVersion { .. } => Target::Whole,
            Self::CreateGraph { .. }
            | Self::CopyGraph { .. }
            | Self::UpdateGraph { .. }
            | Self::DeleteGraph { .. }
            | Self::RecoverGraph
            | Self::LabelVersion { .. } => Target::Graph,
        }
    }

    /// Whether it writes the settings of a graph, which needs a higher right than its other attributes (rule L5).
    pub fn writes_settings(&self) -> bool {
        match self {
            Self::CreateGraph { attributes, .. } | Self::CopyGraph { attributes, .. } => {
                attributes.fields().contains_key(SETTINGS)
            }
            Self::UpdateGraph { patch } => patch.fields().contains_key(SETTINGS),
            Self::CreateNode { .. }
            | Self::UpdateNode { .. }
            | Self::UpdateNodePosition { .. }
            | Self::DeleteNode { .. }
            | Self::CreateEdge { .. }
            | Self::UpdateEdge { .. }
            | Self::DeleteEdge { .. }
            | Self::SetViewport { .. }
            | Self::BatchUpdate { .. }
            | Self::SaveDocument { .. }
            | Self::Undo { .. }
            | Self::DeleteGraph { .. }
            | Self::RecoverGraph
            | Self::LabelVersion { .. }
            | Self::RestoreVersion { .. } => false,
        }
    }
}

/// The weight of an operation that is to be undone: what it did is not known yet.
const WEIGHT_OF_UNDONE: usize = 16;

/// A node, the nodes inside it and the edges of all those, counted up to [`WEIGHT_COUNTED`].
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

/// The policy for fields that others wrote too (rule D5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Merge changes of different fields, refuse changes of the same field.
    #[default]
    Merge,
    /// The last writer wins.
    Overwrite,
    /// Refuse if others touched anything that the command would change or delete.
    Reject,
}

/// The policy for members of an atomic batch whose target is gone (rule H11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IfMissing {
    /// They refuse the batch.
    #[default]
    Refuse,
    /// They are left out.
    Skip,
}

/// A version and its hash, as the author of an operation knows them (rule D8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The version.
    pub version: Version,
    /// The hash of that version; `None` if the text that the author sent is not a hash.
    pub hash: Option<Hash>,
    /// The index of the batch member that makes the claim; `None` if the whole operation does.
    pub index: Option<usize>,
}

/// One member of an atomic batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The command, or the batch of commands.
    pub command: Command,
    /// The version that its author had applied; `None` means the current one.
    pub client_version: Option<Version>,
    /// The policy for conflicts.
    pub on_conflict: OnConflict,
}

/// The content of an operation: one command, or several.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// One command.
    Single(Member),
    /// An atomic batch: all commands in one commit, or none.
    Atomic {
        /// The commands, in order.
        members: Vec<Member>,
        /// The policy for members whose target is gone.
        if_missing: IfMissing,
    },
}

impl Action {
    /// The type that the commit records: the type of the command, or `BATCH`.
    pub fn command_type(&self) -> CommandType {
        match self {
            Self::Single(member) => member.command.command_type(),
            Self::Atomic { .. } => CommandType::Batch,
        }
    }

    /// The members: one, or those of the batch.
    pub fn members(&self) -> &[Member] {
        match self {
            Self::Single(member) => std::slice::from_ref(member),
            Self::Atomic { members, .. } => members,
        }
    }
}

impl Action {
    /// The document save that it is, if it is one.
    pub fn save(&self) -> Option<(&Save, &Member)> {
        match self {
            Self::Single(member) => match &member.command {
                Command::SaveDocument { save } => Some((save, member)),
                _ => None,
            },
            Self::Atomic { .. } => None,
        }
    }
}

impl Action {
    /// The graph that it copies, if it copies one.
    pub fn copied_from(&self) -> Option<&CopyFrom> {
        match self.members() {
            [Member { command: Command::CopyGraph { from, .. }, .. }] => Some(from),
            _ => None,
        }
    }
}

impl Operation {
    /// The number of entities and fields in all members: a measure of the work that does not depend on the graph.
    pub fn weight(&self) -> usize {
        self.action.members().iter().map(|member| member.command.weight()).sum()
    }

    /// The work of the operation on this graph. For a heavy member this is a lower bound.
    pub fn weight_on(&self, graph: &Graph) -> usize {
        self.action.members().iter().map(|member| member.command.weight_on(graph)).sum()
    }
}

/// An operation: a command, or an atomic batch of them, with who sent it.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The idempotency key (rule C3).
    pub id: OperationId,
    /// The fingerprint, which tells a repeat from another command with the same id.
    pub fingerprint: Fingerprint,
    /// The user who sent it.
    pub user: UserId,
    /// The client that sent it. If the author names none, the user id over HTTP and the connection id on a socket.
    pub client: ClientId,
    /// Whether the author named the client. Otherwise no commit counts as one's own (rule D1).
    pub is_client_named: bool,
    /// The versions and hashes that the author knows; all must match the current history (rule D8). They are not part
    /// of the fingerprint.
    pub claims: Vec<Claim>,
    /// The operation that this one builds on: it is judged only after that one was accepted (rule W5). It is not part of
    /// the fingerprint.
    pub after: Option<OperationId>,
    /// The trace of the request. It is stored in the commit, and neither judged nor compared.
    pub traceparent: Option<TraceParent>,
    /// The command, or the batch of commands.
    pub action: Action,
}
