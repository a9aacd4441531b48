//! Events: everything that can happen to a graph, in the past tense.

mod stored;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    entity::{Edge, Node, Position, Timestamp, Viewport},
    graph::Ordinal,
    id::{EdgeId, GraphId, LabelName, NodeId},
    metadata::{Attributes, Origin},
    patch::{MergePatch, Pointer},
    version::{Hash, Version},
};

/// An event: one change of one entity.
///
/// The JSON that clients see and the MessagePack that is stored have the same fields, `type` among
/// them; `docs/events.md` lists them and a golden-bytes test pins them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase", try_from = "stored::StoredEvent")]
#[allow(missing_docs)]
pub enum Event {
    NodeCreated {
        node: Node,
    },
    NodeUpdated {
        node_id: NodeId,
        patch: MergePatch,
    },
    NodeMoved {
        node_id: NodeId,
        position: Position,
    },
    NodeReplaced {
        node: Node,
    },
    NodeDeleted {
        node_id: NodeId,
    },
    EdgeCreated {
        edge: Edge,
    },
    EdgeUpdated {
        edge_id: EdgeId,
        patch: MergePatch,
    },
    EdgeReplaced {
        edge: Edge,
    },
    EdgeDeleted {
        edge_id: EdgeId,
    },
    ViewportSet {
        viewport: Viewport,
    },
    /// A deleted node is there again, in its old place in creation order (rule U7).
    NodeRestored {
        node: Node,
        ordinal: Ordinal,
        created_at: Timestamp,
    },
    /// A deleted edge is there again, in its old place in creation order (rule U7).
    EdgeRestored {
        edge: Edge,
        ordinal: Ordinal,
        created_at: Timestamp,
    },
    /// The graph was made on purpose, with attributes or as a copy (rule L4).
    GraphCreated {
        attributes: Attributes,
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<Origin>,
    },
    GraphUpdated {
        patch: MergePatch,
    },
    GraphTrashed {
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<Box<str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        moved_to: Option<GraphId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        purge_after: Option<Timestamp>,
    },
    GraphRecovered {},
    /// The commits before it are those of another graph (rule L7).
    GraphForked {
        graph_id: GraphId,
        version: Version,
        hash: Hash,
    },
    /// A label names this version now; without a version there is no such label any more (rule L12).
    VersionLabelled {
        name: LabelName,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<Version>,
        #[serde(skip_serializing_if = "Option::is_none")]
        hash: Option<Hash>,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<Box<str>>,
    },
}

/// The kind of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum EntityKind {
    Node,
    Edge,
    Viewport,
    Graph,
}

/// The entity that an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Entity<'a> {
    Node(&'a NodeId),
    Edge(&'a EdgeId),
    Viewport,
    /// The graph itself: its attributes, labels and trash.
    Graph,
}

impl Entity<'_> {
    /// The kind of the entity.
    pub fn kind(&self) -> EntityKind {
        match self {
            Self::Node(_) => EntityKind::Node,
            Self::Edge(_) => EntityKind::Edge,
            Self::Viewport => EntityKind::Viewport,
            Self::Graph => EntityKind::Graph,
        }
    }
}

impl fmt::Display for Entity<'_> {
    /// The id; `viewport` for the viewport, `graph` for the graph itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(id) => id.fmt(f),
            Self::Edge(id) => id.fmt(f),
            Self::Viewport => f.write_str("viewport"),
            Self::Graph => f.write_str("graph"),
        }
    }
}

impl Event {
    /// The entity that the event is about.
    pub fn entity(&self) -> Entity<'_> {
        match self {
            Self::NodeCreated { node } | Self::NodeReplaced { node } | Self::NodeRestored { node, .. } => {
                Entity::Node(node.id())
            }
            Self::NodeUpdated { node_id, .. }
            | Self::NodeMoved { node_id, .. }
            | Self::NodeDeleted { node_id } => Entity::Node(node_id),
            Self::EdgeCreated { edge } | Self::EdgeReplaced { edge } | Self::EdgeRestored { edge, .. } => {
                Entity::Edge(edge.id())
            }
            Self::EdgeUpdated { edge_id, .. } | Self::EdgeDeleted { edge_id } => Entity::Edge(edge_id),
            Self::ViewportSet { .. } => Entity::Viewport,
            Self::GraphCreated { .. }
            | Self::GraphUpdated { .. }
            | Self::GraphTrashed { .. }
            | Self::GraphRecovered {}
            | Self::GraphForked { .. }
            | Self::VersionLabelled { .. } => Entity::Graph,
        }
    }

    /// The type of the event, as on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NodeCreated { .. } => "NodeCreated",
            Self::NodeUpdated { .. } => "NodeUpdated",
            Self::NodeMoved { .. } => "NodeMoved",
            Self::NodeReplaced { .. } => "NodeReplaced",
            Self::NodeDeleted { .. } => "NodeDeleted",
            Self::EdgeCreated { .. } => "EdgeCreated",
            Self::EdgeUpdated { .. } => "EdgeUpdated",
            Self::EdgeReplaced { .. } => "EdgeReplaced",
            Self::EdgeDeleted { .. } => "EdgeDeleted",
            Self::ViewportSet { .. } => "ViewportSet",
            Self::NodeRestored { .. } => "NodeRestored",
            Self::EdgeRestored { .. } => "EdgeRestored",
            Self::GraphCreated { .. } => "GraphCreated",
            Self::GraphUpdated { .. } => "GraphUpdated",
            Self::GraphTrashed { .. } => "GraphTrashed",
            Self::GraphRecovered {} => "GraphRecovered",
            Self::GraphForked { .. } => "GraphForked",
            Self::VersionLabelled { .. } => "VersionLabelled",
        }
    }

    /// Every type, as on the wire.
    pub const NAMES: [&'static str; 18] = [
        "NodeCreated",
        "NodeUpdated",
        "NodeMoved",
        "NodeReplaced",
        "NodeDeleted",
        "EdgeCreated",
        "EdgeUpdated",
        "EdgeReplaced",
        "EdgeDeleted",
        "ViewportSet",
        "NodeRestored",
        "EdgeRestored",
        "GraphCreated",
        "GraphUpdated",
        "GraphTrashed",
        "GraphRecovered",
        "GraphForked",
        "VersionLabelled",
    ];

    /// The paths that the event wrote: leaf paths, with `position` as one (rule D2), or the root if it wrote the whole
    /// entity.
    pub fn paths(&self) -> Vec<Pointer> {
        match self {
            Self::NodeUpdated { patch, .. } => node_paths(patch),
            Self::EdgeUpdated { patch, .. } | Self::GraphUpdated { patch } => {
                patch.leaves().into_iter().map(|(path, _)| path).collect()
            }
            Self::NodeMoved { .. } => vec![Pointer::position()],
            Self::NodeCreated { .. }
            | Self::NodeReplaced { .. }
            | Self::NodeDeleted { .. }
            | Self::EdgeCreated { .. }
            | Self::EdgeReplaced { .. }
            | Self::EdgeDeleted { .. }
            | Self::ViewportSet { .. }
            | Self::NodeRestored { .. }
            | Self::EdgeRestored { .. }
            | Self::GraphCreated { .. }
            | Self::GraphForked { .. } => vec![Pointer::root()],
            Self::GraphTrashed { .. } | Self::GraphRecovered {} => vec![Pointer::root().child("trashed")],
            Self::VersionLabelled { name, .. } => {
                vec![Pointer::root().child("labels").child(name.as_str())]
            }
        }
    }

    /// Whether the entity was not there before it.
    pub fn is_creation(&self) -> bool {
        matches!(
            self,
            Self::NodeCreated { .. }
                | Self::EdgeCreated { .. }
                | Self::NodeRestored { .. }
                | Self::EdgeRestored { .. }
        )
    }

    /// Whether it is about what the graph holds: its nodes, edges and viewport.
    pub fn is_of_contents(&self) -> bool {
        self.entity() != Entity::Graph
    }

    /// Whether the event deleted the entity.
    pub fn is_deletion(&self) -> bool {
        matches!(self, Self::NodeDeleted { .. } | Self::EdgeDeleted { .. })
    }
}

/// The fields that a patch of a node writes, `position` as one.
fn node_paths(patch: &MergePatch) -> Vec<Pointer> {
    let mut paths: Vec<Pointer> = Vec::new();
    for (path, _) in patch.leaves() {
        let path = if path.is_within_position() { Pointer::position() } else { path };
        if paths.last() != Some(&path) {
            paths.push(path);
        }
    }
    paths
}
