//! Events: everything that can happen to a graph, in the past tense.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    entity::{Edge, Node, Position, Viewport},
    id::{EdgeId, NodeId},
    patch::{MergePatch, Pointer},
};

/// An event: one change of one entity.
///
/// The JSON that clients see and the MessagePack that is stored have the same fields, `type` among
/// them; `docs/events.md` lists them and a golden-bytes test pins them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase", try_from = "StoredEvent")]
#[allow(missing_docs)]
pub enum Event {
    NodeCreated { node: Node },
    NodeUpdated { node_id: NodeId, patch: MergePatch },
    NodeMoved { node_id: NodeId, position: Position },
    NodeReplaced { node: Node },
    NodeDeleted { node_id: NodeId },
    EdgeCreated { edge: Edge },
    EdgeUpdated { edge_id: EdgeId, patch: MergePatch },
    EdgeReplaced { edge: Edge },
    EdgeDeleted { edge_id: EdgeId },
    ViewportSet { viewport: Viewport },
}

/// The kind of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum EntityKind {
    Node,
    Edge,
    Viewport,
}

/// The entity that an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Entity<'a> {
    Node(&'a NodeId),
    Edge(&'a EdgeId),
    Viewport,
}

impl Entity<'_> {
    /// The kind of the entity.
    pub fn kind(&self) -> EntityKind {
        match self {
            Self::Node(_) => EntityKind::Node,
            Self::Edge(_) => EntityKind::Edge,
            Self::Viewport => EntityKind::Viewport,
        }
    }
}

impl fmt::Display for Entity<'_> {
    /// The id; `viewport` for the viewport.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(id) => id.fmt(f),
            Self::Edge(id) => id.fmt(f),
            Self::Viewport => f.write_str("viewport"),
        }
    }
}

impl Event {
    /// The entity that the event is about.
    pub fn entity(&self) -> Entity<'_> {
        match self {
            Self::NodeCreated { node } | Self::NodeReplaced { node } => Entity::Node(node.id()),
            Self::NodeUpdated { node_id, .. }
            | Self::NodeMoved { node_id, .. }
            | Self::NodeDeleted { node_id } => Entity::Node(node_id),
            Self::EdgeCreated { edge } | Self::EdgeReplaced { edge } => Entity::Edge(edge.id()),
            Self::EdgeUpdated { edge_id, .. } | Self::EdgeDeleted { edge_id } => Entity::Edge(edge_id),
            Self::ViewportSet { .. } => Entity::Viewport,
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
        }
    }

    /// Every event type, as on the wire.
    pub const NAMES: [&'static str; 10] = [
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
    ];

    /// The paths that the event wrote: leaf paths, with `position` as one (rule D2), or the root if it wrote the whole
    /// entity.
    pub fn paths(&self) -> Vec<Pointer> {
        match self {
            Self::NodeUpdated { patch, .. } => node_paths(patch),
            Self::EdgeUpdated { patch, .. } => patch.leaves().into_iter().map(|(path, _)| path).collect(),
            Self::NodeMoved { .. } => vec![Pointer::position()],
            Self::NodeCreated { .. }
            | Self::NodeReplaced { .. }
            | Self::NodeDeleted { .. }
            | Self::EdgeCreated { .. }
            | Self::EdgeReplaced { .. }
            | Self::EdgeDeleted { .. }
            | Self::ViewportSet { .. } => vec![Pointer::root()],
        }
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

#[derive(Deserialize)]
#[allow(clippy::enum_variant_names)]
enum EventType {
    NodeCreated,
    NodeUpdated,
    NodeMoved,
    NodeReplaced,
    NodeDeleted,
    EdgeCreated,
    EdgeUpdated,
    EdgeReplaced,
    EdgeDeleted,
    ViewportSet,
}

/// The fields of any event as stored. Reading them flat avoids the buffering that serde needs for a tagged enum.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredEvent {
    r#type: EventType,
    node: Option<Node>,
    node_id: Option<NodeId>,
    patch: Option<MergePatch>,
    position: Option<Position>,
    edge: Option<Edge>,
    edge_id: Option<EdgeId>,
    viewport: Option<Viewport>,
}

#[derive(Debug, thiserror::Error)]
#[error("an event lacks its field `{0}`")]
struct MissingField(&'static str);

impl TryFrom<StoredEvent> for Event {
    type Error = MissingField;

    fn try_from(stored: StoredEvent) -> Result<Self, MissingField> {
        fn need<T>(field: Option<T>, name: &'static str) -> Result<T, MissingField> {
            field.ok_or(MissingField(name))
        }
        Ok(match stored.r#type {
            EventType::NodeCreated => Self::NodeCreated { node: need(stored.node, "node")? },
            EventType::NodeUpdated => Self::NodeUpdated {
                node_id: need(stored.node_id, "nodeId")?,
                patch: need(stored.patch, "patch")?,
            },
            EventType::NodeMoved => Self::NodeMoved {
                node_id: need(stored.node_id, "nodeId")?,
                position: need(stored.position, "position")?,
            },
            EventType::NodeReplaced => Self::NodeReplaced { node: need(stored.node, "node")? },
            EventType::NodeDeleted => Self::NodeDeleted { node_id: need(stored.node_id, "nodeId")? },
            EventType::EdgeCreated => Self::EdgeCreated { edge: need(stored.edge, "edge")? },
            EventType::EdgeUpdated => Self::EdgeUpdated {
                edge_id: need(stored.edge_id, "edgeId")?,
                patch: need(stored.patch, "patch")?,
            },
            EventType::EdgeReplaced => Self::EdgeReplaced { edge: need(stored.edge, "edge")? },
            EventType::EdgeDeleted => Self::EdgeDeleted { edge_id: need(stored.edge_id, "edgeId")? },
            EventType::ViewportSet => Self::ViewportSet { viewport: need(stored.viewport, "viewport")? },
        })
    }
}
