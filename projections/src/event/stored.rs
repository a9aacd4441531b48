//! Events as they are read back: the fields of all of them, flat. That spares the buffering that serde needs for a
//! tagged enum.

use serde::Deserialize;

use super::Event;
use crate::{
    entity::{Edge, Node, Position, Timestamp, Viewport},
    graph::Ordinal,
    id::{EdgeId, GraphId, LabelName, NodeId},
    metadata::{Attributes, Origin},
    patch::MergePatch,
    version::{Hash, Version},
};

#[derive(Deserialize)]
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
    NodeRestored,
    EdgeRestored,
    GraphCreated,
    GraphUpdated,
    GraphTrashed,
    GraphRecovered,
    GraphForked,
    VersionLabelled,
}

/// The fields of any event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredEvent {
    r#type: EventType,
    node: Option<Node>,
    node_id: Option<NodeId>,
    patch: Option<MergePatch>,
    position: Option<Position>,
    edge: Option<Edge>,
    edge_id: Option<EdgeId>,
    viewport: Option<Viewport>,
    ordinal: Option<Ordinal>,
    created_at: Option<Timestamp>,
    attributes: Option<Attributes>,
    from: Option<Origin>,
    reason: Option<Box<str>>,
    moved_to: Option<GraphId>,
    purge_after: Option<Timestamp>,
    graph_id: Option<GraphId>,
    version: Option<Version>,
    hash: Option<Hash>,
    name: Option<LabelName>,
    note: Option<Box<str>>,
}

#[derive(Debug, thiserror::Error)]
#[error("an event without its field `{0}`")]
pub(super) struct MissingField(&'static str);

fn need<T>(field: Option<T>, name: &'static str) -> Result<T, MissingField> {
    field.ok_or(MissingField(name))
}

impl TryFrom<StoredEvent> for Event {
    type Error = MissingField;

    fn try_from(stored: StoredEvent) -> Result<Self, MissingField> {
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
            EventType::NodeRestored => Self::NodeRestored {
                node: need(stored.node, "node")?,
                ordinal: need(stored.ordinal, "ordinal")?,
                created_at: need(stored.created_at, "createdAt")?,
            },
            EventType::EdgeCreated => Self::EdgeCreated { edge: need(stored.edge, "edge")? },
            EventType::EdgeUpdated => Self::EdgeUpdated {
                edge_id: need(stored.edge_id, "edgeId")?,
                patch: need(stored.patch, "patch")?,
            },
            EventType::EdgeReplaced => Self::EdgeReplaced { edge: need(stored.edge, "edge")? },
            EventType::EdgeDeleted => Self::EdgeDeleted { edge_id: need(stored.edge_id, "edgeId")? },
            EventType::EdgeRestored => Self::EdgeRestored {
                edge: need(stored.edge, "edge")?,
                ordinal: need(stored.ordinal, "ordinal")?,
                created_at: need(stored.created_at, "createdAt")?,
            },
            EventType::ViewportSet => Self::ViewportSet { viewport: need(stored.viewport, "viewport")? },
            EventType::GraphCreated => {
                Self::GraphCreated { attributes: need(stored.attributes, "attributes")?, from: stored.from }
            }
            EventType::GraphUpdated => Self::GraphUpdated { patch: need(stored.patch, "patch")? },
            EventType::GraphTrashed => Self::GraphTrashed {
                reason: stored.reason,
                moved_to: stored.moved_to,
                purge_after: stored.purge_after,
            },
            EventType::GraphRecovered => Self::GraphRecovered {},
            EventType::GraphForked => Self::GraphForked {
                graph_id: need(stored.graph_id, "graphId")?,
                version: need(stored.version, "version")?,
                hash: need(stored.hash, "hash")?,
            },
            EventType::VersionLabelled => Self::VersionLabelled {
                name: need(stored.name, "name")?,
                version: stored.version,
                hash: stored.hash,
                note: stored.note,
            },
        })
    }
}
