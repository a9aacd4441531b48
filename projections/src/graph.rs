//! The graph that editors see and commands are decided on: the fold of its commits.
//!
//! All maps are persistent (`imbl`) and entities are shared, so a clone costs a few pointers: a reader keeps its
//! version while the writer continues with the next.
//!
//! Every operation here is logarithmic in the size of the graph or linear in what it returns;
//! nothing walks the whole graph to change a part of it.

mod fold;
mod table;

use std::{ops::Bound, sync::Arc};

use imbl::OrdSet;

use crate::{
    entity::{Edge, Node, Timestamp, Viewport},
    id::{EdgeId, NodeId, OperationId, UserId},
    memory::Size,
    metadata::Metadata,
    order::ParentsFirst,
    version::{Head, Version},
};

pub use self::table::{Ordinal, Placed, Table};

/// A graph at one version.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    head: Head,
    last_modified: Option<Timestamp>,
    last_operation: Option<OperationId>,
    last_author: Option<UserId>,
    created: Option<(Timestamp, UserId)>,
    metadata: Metadata,
    metadata_size: Size,
    nodes: Table<NodeId, Node>,
    edges: Table<EdgeId, Edge>,
    viewport: Viewport,
    viewport_version: Version,
    contents_version: Version,
    /// Edges by each end, and nodes by parent: what goes when a node goes.
    incident: OrdSet<(NodeId, Ordinal)>,
    children: OrdSet<(NodeId, Ordinal)>,
    /// Nodes with a parent that was created after them: lists don't have those in creation order (rule G5).
    with_younger_parent: OrdSet<Ordinal>,
    next_ordinal: Ordinal,
}

/// The parts of a graph, to restore it from rows.
pub(crate) struct Parts {
    pub(crate) head: Head,
    pub(crate) last_modified: Timestamp,
    pub(crate) last_operation: OperationId,
    pub(crate) last_author: UserId,
    pub(crate) created: (Timestamp, UserId),
    pub(crate) metadata: Metadata,
    pub(crate) viewport: Viewport,
    pub(crate) viewport_version: Version,
    pub(crate) contents_version: Version,
    pub(crate) next_ordinal: Ordinal,
    pub(crate) nodes: Vec<Placed<Node>>,
    pub(crate) edges: Vec<Placed<Edge>>,
}

impl Graph {
    /// Makes a graph of these parts.
    pub(crate) fn from_parts(parts: Parts) -> Self {
        let mut graph = Self {
            head: parts.head,
            last_modified: Some(parts.last_modified),
            last_operation: Some(parts.last_operation),
            last_author: Some(parts.last_author),
            created: Some(parts.created),
            metadata_size: parts.metadata.size(),
            metadata: parts.metadata,
            viewport: parts.viewport,
            viewport_version: parts.viewport_version,
            contents_version: parts.contents_version,
            next_ordinal: parts.next_ordinal,
            ..Self::default()
        };
        for node in parts.nodes {
            for (_, parent) in node.entity.parents() {
                graph.children.insert((parent, node.ordinal));
            }
            let (id, ordinal) = (node.entity.id().clone(), node.ordinal);
            graph.nodes.insert(&id, node);
            graph.compare_with_parents(&id, ordinal);
            graph.compare_with_children(&id, ordinal);
        }
        for edge in parts.edges {
            graph.incident.insert((edge.entity.source().clone(), edge.ordinal));
            graph.incident.insert((edge.entity.target().clone(), edge.ordinal));
            let id = edge.entity.id().clone();
            graph.edges.insert(&id, edge);
        }
        graph
    }

    /// The empty graph, before its first commit (rule V7).
    pub fn empty() -> Self {
        Self::default()
    }

    /// The head: the version and hash of the last commit.
    pub fn head(&self) -> Head {
        self.head
    }

    /// The time of its last commit.
    pub fn last_modified(&self) -> Option<Timestamp> {
        self.last_modified
    }

    /// The operation of its last commit.
    pub fn last_operation(&self) -> Option<OperationId> {
        self.last_operation
    }

    /// Who made its last commit.
    pub fn last_author(&self) -> Option<&UserId> {
        self.last_author.as_ref()
    }

    /// The time and the author of its first commit.
    pub fn created(&self) -> Option<(Timestamp, &UserId)> {
        self.created.as_ref().map(|(at, by)| (*at, by))
    }

    /// What it has beside its contents: attributes, labels, the trash (rules L).
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The nodes in the order of lists (rule G5): creation order, except that a node comes after its parents.
    pub fn nodes_in_order(&self) -> impl Iterator<Item = &Arc<Placed<Node>>> {
        ParentsFirst::new(self, self.nodes.iter())
    }

    /// Whether the node at this place has a parent that was created after it.
    pub(crate) fn has_younger_parent(&self, ordinal: Ordinal) -> bool {
        self.with_younger_parent.contains(&ordinal)
    }

    /// The nodes.
    pub fn nodes(&self) -> &Table<NodeId, Node> {
        &self.nodes
    }

    /// The edges.
    pub fn edges(&self) -> &Table<EdgeId, Edge> {
        &self.edges
    }

    /// The viewport.
    pub fn viewport(&self) -> &Viewport {
        &self.viewport
    }

    /// The version of the commit that last set the viewport; [`Version::EMPTY`] if none did.
    pub fn viewport_version(&self) -> Version {
        self.viewport_version
    }

    /// The version of the commit that last changed a node, an edge or the viewport; [`Version::EMPTY`] if none did.
    pub fn contents_version(&self) -> Version {
        self.contents_version
    }

    /// The place in creation order of the next new entity.
    pub fn next_ordinal(&self) -> Ordinal {
        self.next_ordinal
    }

    /// About how many bytes the state takes as JSON.
    pub fn json_bytes(&self) -> usize {
        /// The JSON of a state beside its entities.
        const BESIDE: usize = 400;
        BESIDE + self.metadata_size.json + self.nodes.size.json + self.edges.size.json
    }

    /// About how much memory the graph takes, with the cached JSON of its entities.
    pub fn held_bytes(&self) -> usize {
        let contents = self.nodes.size.held + self.edges.size.held + self.json_bytes();
        size_of::<Self>() + self.metadata_size.held + contents
    }

    /// The edges that begin or end at `node`, in creation order; a self-loop once.
    pub fn edges_of(&self, node: &NodeId) -> impl Iterator<Item = &Arc<Placed<Edge>>> {
        of(&self.incident, node).filter_map(|ordinal| self.edges.at(ordinal))
    }

    /// The nodes directly inside `node`, in creation order.
    pub fn children_of(&self, node: &NodeId) -> impl Iterator<Item = &Arc<Placed<Node>>> {
        of(&self.children, node).filter_map(|ordinal| self.nodes.at(ordinal))
    }
}

/// Graphs are equal if editors see the same and the histories are the same.
impl PartialEq for Graph {
    fn eq(&self, other: &Self) -> bool {
        self.head == other.head
            && self.last_modified == other.last_modified
            && self.last_operation == other.last_operation
            && self.last_author == other.last_author
            && self.created == other.created
            && self.metadata == other.metadata
            && self.viewport == other.viewport
            && self.viewport_version == other.viewport_version
            && self.contents_version == other.contents_version
            && self.next_ordinal == other.next_ordinal
            && self.nodes.iter().eq(other.nodes.iter())
            && self.edges.iter().eq(other.edges.iter())
            && self.incident == other.incident
            && self.children == other.children
    }
}

fn of<'a>(index: &'a OrdSet<(NodeId, Ordinal)>, node: &NodeId) -> impl Iterator<Item = Ordinal> + use<'a> {
    let from = (node.clone(), Ordinal::MIN);
    let to = (node.clone(), Ordinal::MAX);
    index.range((Bound::Included(from), Bound::Included(to))).map(|(_, ordinal)| *ordinal)
}
