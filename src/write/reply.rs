//! What the author of an operation is told.

use std::sync::Arc;

use dao_projections::{
    Edge, EdgeId, Entity, Event, Graph, Head, Label, LabelName, Metadata, Node, NodeId, OperationId, Outcome,
    Placed, Viewport,
};

use crate::{
    domain::{
        Action, Command, Reason, Refusal, RestoreResult, SaveReport, SkippedMember, Target, UndoResult,
        fields_of, json_bytes,
    },
    store::StoreError,
};

/// The answer to one operation. It is only given once what it says is durable.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Which operation.
    pub operation: OperationId,
    /// How it ended.
    pub ending: Ending,
    /// Whether it had ended before it was sent this time (rule C3).
    pub duplicate: bool,
}

impl Reply {
    /// How many entities, fields and conflicts it shows: a measure of the work that encoding it makes.
    pub fn weight(&self) -> usize {
        match &self.ending {
            Ending::Completed { results, .. } => results.iter().map(|shown| 1 + shown.weight()).sum(),
            Ending::Refused { refusal, .. } => {
                1 + refusal.resolution.as_ref().map_or(0, |resolution| resolution.conflicts.len())
            }
        }
    }
}

/// How an operation ended.
#[derive(Clone, Debug)]
pub enum Ending {
    /// It was accepted.
    Completed {
        /// What it did.
        effect: Effect,
        /// The graph's head with it.
        head: Head,
        /// What its targets look like with it, one a member; empty in the answer to a duplicate.
        results: Vec<CommandResult>,
    },
    /// It was refused.
    Refused {
        /// Why.
        refusal: Arc<Refusal>,
        /// The graph's head when it was.
        head: Head,
    },
}

/// What an accepted operation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A commit.
    Committed(Outcome),
    /// Nothing: it was already so (rule C1).
    Unchanged,
}

/// The entity that a command was about, as the command left it (rule C2).
#[derive(Clone, Debug)]
pub enum CommandResult {
    /// A node.
    Node(Arc<Placed<Node>>),
    /// An edge.
    Edge(Arc<Placed<Edge>>),
    /// The viewport.
    Viewport(Viewport),
    /// A deleted node, with all that went with it.
    NodeDeleted {
        /// The node that was named.
        node: NodeId,
        /// It and what was inside of it, children first.
        nodes: Vec<NodeId>,
        /// The edges of all those.
        edges: Vec<EdgeId>,
    },
    /// A deleted edge.
    EdgeDeleted(EdgeId),
    /// The graph itself: its attributes, and whether it is in the trash.
    Graph(Metadata),
    /// What a `BATCH_UPDATE` changed.
    Changed {
        /// Nodes created or changed.
        nodes: Vec<Arc<Placed<Node>>>,
        /// Edges created or changed.
        edges: Vec<Arc<Placed<Edge>>>,
        /// Edges that are gone.
        deleted_edges: Vec<EdgeId>,
        /// The viewport, if it changed.
        viewport: Option<Viewport>,
    },
    /// What a `SAVE_DOCUMENT` did.
    Saved(Box<SaveReport>),
    /// What an `UNDO` put back and left alone.
    Undone(Box<UndoResult>),
    /// What a `RESTORE_VERSION` did and left alone.
    Restored(Box<RestoreResult>),
    /// What a label names; nothing if it was removed.
    Label(LabelName, Option<Label>),
    /// Nothing: the target is not there any more.
    Gone,
    /// Nothing: the member was left out of its batch, for this reason.
    Skipped(Reason),
}

impl CommandResult {
    fn weight(&self) -> usize {
        match self {
            Self::Node(node) => fields_of(node.entity.attributes()),
            Self::Edge(edge) => fields_of(edge.entity.attributes()),
            Self::NodeDeleted { nodes, edges, .. } => nodes.len() + edges.len(),
            Self::Changed { nodes, edges, deleted_edges, .. } => {
                let of_nodes = nodes.iter().map(|node| 1 + fields_of(node.entity.attributes()));
                let of_edges = edges.iter().map(|edge| 1 + fields_of(edge.entity.attributes()));
                deleted_edges.len() + of_nodes.chain(of_edges).sum::<usize>()
            }
            Self::Graph(metadata) => fields_of(metadata.attributes.fields()),
            Self::Saved(saved) => saved.weight(),
            Self::Undone(undone) => undone.reverted.len() + undone.skipped.len() + undone.detached.len(),
            Self::Restored(restored) => restored.weight(),
            Self::Viewport(_) | Self::EdgeDeleted(_) | Self::Label(..) | Self::Gone | Self::Skipped(_) => 0,
        }
    }

    /// About how many bytes it takes as JSON.
    pub(super) fn json_bytes(&self) -> usize {
        match self {
            Self::Node(node) => json_bytes(node.as_ref()),
            Self::Edge(edge) => json_bytes(edge.as_ref()),
            Self::Viewport(viewport) => json_bytes(viewport),
            Self::NodeDeleted { node, nodes, edges } => {
                json_bytes(node) + json_bytes(nodes) + json_bytes(edges)
            }
            Self::EdgeDeleted(edge) => json_bytes(edge),
            Self::Graph(metadata) => json_bytes(&metadata.attributes) + json_bytes(&metadata.trashed),
            Self::Changed { nodes, edges, deleted_edges, viewport } => {
                let nodes = nodes.iter().map(|node| json_bytes(node.as_ref())).sum::<usize>();
                let edges = edges.iter().map(|edge| json_bytes(edge.as_ref())).sum::<usize>();
                nodes + edges + json_bytes(deleted_edges) + json_bytes(viewport)
            }
            Self::Saved(saved) => saved.json_bytes(),
            Self::Undone(undone) => {
                let skipped = undone.skipped.iter().map(|skip| json_bytes(&skip.conflict)).sum::<usize>();
                json_bytes(&undone.reverted) + json_bytes(&undone.detached) + skipped
            }
            Self::Restored(restored) => restored.json_bytes(),
            Self::Label(name, label) => json_bytes(name) + json_bytes(label),
            Self::Gone | Self::Skipped(_) => 0,
        }
    }
}

/// What an accepted operation came to, member by member.
#[derive(Clone, Copy)]
pub(super) struct MemberEffects<'a> {
    /// How many of the events are each member's; none at all if nothing changed.
    pub(super) by_member: &'a [usize],
    /// The members that were left out, in order.
    pub(super) skipped: &'a [SkippedMember],
}

/// What each member of `action` shows on `graph`, which has its `events` folded in.
pub(super) fn show(
    graph: &Graph,
    action: &Action,
    events: &[Event],
    MemberEffects { by_member, skipped }: MemberEffects<'_>,
) -> Vec<CommandResult> {
    let mut rest = events;
    let mut skipped = skipped.iter().peekable();
    let members = action.members().iter().enumerate();
    members
        .map(|(index, member)| {
            let count = by_member.get(index).copied().unwrap_or(0);
            let (own, later) = rest.split_at(count.min(rest.len()));
            rest = later;
            if let Some(skipped) = skipped.next_if(|skipped| skipped.index == index) {
                return CommandResult::Skipped(skipped.reason);
            }
            show_one(graph, &member.command, own)
        })
        .collect()
}

fn show_one(graph: &Graph, command: &Command, events: &[Event]) -> CommandResult {
    match command {
        Command::DeleteNode { node_id } => return show_deleted_node(node_id, events),
        Command::DeleteEdge { edge_id } => return CommandResult::EdgeDeleted(edge_id.clone()),
        Command::Undo { .. } => return CommandResult::Undone(Box::default()),
        Command::LabelVersion { labelling } => {
            let label = graph.metadata().labels.get(&labelling.name).cloned();
            return CommandResult::Label(labelling.name.clone(), label);
        }
        _ => {}
    }
    match command.target() {
        Target::Node(id) => {
            graph.nodes().get(&id).map_or(CommandResult::Gone, |node| CommandResult::Node(node.clone()))
        }
        Target::Edge(id) => {
            graph.edges().get(&id).map_or(CommandResult::Gone, |edge| CommandResult::Edge(edge.clone()))
        }
        Target::Viewport => CommandResult::Viewport(graph.viewport().clone()),
        Target::Graph => CommandResult::Graph(graph.metadata().clone()),
        Target::Whole => show_changed(graph, events),
    }
}

fn show_deleted_node(node: &NodeId, events: &[Event]) -> CommandResult {
    let (mut nodes, mut edges) = (Vec::new(), Vec::new());
    for event in events {
        match event.entity() {
            Entity::Node(id) => nodes.push(id.clone()),
            Entity::Edge(id) => edges.push(id.clone()),
            Entity::Viewport | Entity::Graph => {}
        }
    }
    CommandResult::NodeDeleted { node: node.clone(), nodes, edges }
}

fn show_changed(graph: &Graph, events: &[Event]) -> CommandResult {
    let (mut nodes, mut edges, mut deleted_edges, mut viewport) = (vec![], vec![], vec![], None);
    for event in events {
        match event.entity() {
            Entity::Node(id) => nodes.extend(graph.nodes().get(id).cloned()),
            Entity::Edge(id) if event.is_deletion() => deleted_edges.push(id.clone()),
            Entity::Edge(id) => edges.extend(graph.edges().get(id).cloned()),
            Entity::Viewport => viewport = Some(graph.viewport().clone()),
            Entity::Graph => {}
        }
    }
    CommandResult::Changed { nodes, edges, deleted_edges, viewport }
}

/// Why an operation got no answer. Sending it again under the same id is safe (rule H4).
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// More commands wait on this graph than may.
    #[error("too many commands wait on this graph")]
    Overloaded,
    /// The store is unavailable, or its answer was lost and could not be found out in time.
    #[error("the store is unavailable: {0}")]
    StoreUnavailable(#[source] Arc<StoreError>),
    /// Other instances kept being faster.
    #[error("too many instances write to this graph at once")]
    Contended,
    /// What the log holds can't be read (rule V7).
    #[error("the history can't be read: {0}")]
    Unreadable(#[source] Arc<StoreError>),
    /// The server stops, and takes nothing any more.
    #[error("the server is stopping")]
    Stopped,
    /// The graph's task failed before it answered: what was asked may have been done.
    #[error("the task of this graph failed, and another takes its place: send the same operationId again")]
    Failed,
    /// The graphs in use take all the memory that they may.
    #[error("the graphs in use fill the memory that is set aside for them (MAX_HOT_BYTES)")]
    MemoryFull,
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt { .. } => Self::Unreadable(Arc::new(error)),
            StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_) | StoreError::NotReplicated(_) => {
                Self::StoreUnavailable(Arc::new(error))
            }
        }
    }
}
