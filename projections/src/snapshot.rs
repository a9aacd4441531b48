//! The snapshot: a graph as rows, one per entity, that any client can read. A cold start begins from it.
//!
//! | key | row |
//! |---|---|
//! | `graph` | `{lastModified, lastOperationId, lastAuthor, viewportVersion, contentVersion, nextOrdinal, createdAt, createdBy, attributesVersion, origin?, trashed?}` |
//! | `attributes` | the graph's attributes |
//! | `labels` | by name `{version, hash?, note?, commit, at, by}` |
//! | `viewport` | `{x, y, zoom}` |
//! | `node:<id>` | `{ordinal, createdAt, updatedAt, version, node}` |
//! | `edge:<id>` | `{ordinal, createdAt, updatedAt, version, edge}` |
//!
//! `ordinal` is the place in creation order (rule G5).

mod whole_graph;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use self::whole_graph::{graph_of_rows, snapshot_rows};
use crate::{
    commit::{Commit, CommitBody},
    entity::{Edge, Node, Timestamp, Viewport},
    event::{Entity, Event},
    graph::Ordinal,
    id::{OperationId, UserId},
    metadata::{self, Attributes, Labels, Origin, Trashed},
    projection::{Projection, RowError, Rows, decode, encode},
    version::Version,
};

const GRAPH: &str = "graph";
const VIEWPORT: &str = "viewport";
const ATTRIBUTES: &str = "attributes";
const LABELS: &str = "labels";

/// The projection of commits into these rows.
#[derive(Debug)]
pub struct Snapshot;

/// A row of the snapshot.
#[derive(Debug)]
pub enum SnapshotRow {
    /// What the graph has beside its entities.
    Graph(Box<GraphRow>),
    /// Its attributes.
    Attributes(Attributes),
    /// The labels on its versions.
    Labels(Labels),
    /// The viewport.
    Viewport(Viewport),
    /// A node.
    Node(EntityRow<Node>),
    /// An edge.
    Edge(EntityRow<Edge>),
}

/// What the graph has beside its entities.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphRow {
    last_modified: Timestamp,
    last_operation_id: OperationId,
    last_author: UserId,
    viewport_version: Version,
    #[serde(rename = "contentVersion")]
    contents_version: Version,
    next_ordinal: Ordinal,
    created_at: Timestamp,
    created_by: UserId,
    attributes_version: Version,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trashed: Option<Trashed>,
}

impl GraphRow {
    /// Before the first commit is folded.
    fn before(first: &Commit) -> Self {
        let CommitBody { timestamp, operation_id, user_id, .. } = &first.body;
        Self {
            last_modified: *timestamp,
            last_operation_id: *operation_id,
            last_author: user_id.clone(),
            viewport_version: Version::EMPTY,
            contents_version: Version::EMPTY,
            next_ordinal: 0,
            created_at: *timestamp,
            created_by: user_id.clone(),
            attributes_version: Version::EMPTY,
            origin: None,
            trashed: None,
        }
    }
}

/// An entity with its server fields.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntityRow<T> {
    ordinal: Ordinal,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: Version,
    entity: T,
}

impl Projection for Snapshot {
    type Row = SnapshotRow;

    const NAME: &'static str = "snapshot";
    const FORMAT: u32 = 2;

    fn keys(commit: &Commit, keys: &mut BTreeSet<String>) {
        keys.insert(GRAPH.to_owned());
        for event in &commit.body.events {
            match event {
                Event::GraphCreated { .. } | Event::GraphUpdated { .. } => {
                    keys.insert(ATTRIBUTES.to_owned());
                }
                Event::VersionLabelled { .. } | Event::GraphForked { .. } => {
                    keys.insert(LABELS.to_owned());
                }
                // What it brings stands in the row of the graph.
                event => drop(keys.insert(key(event.entity()))),
            }
        }
    }

    fn fold(rows: &mut Rows<SnapshotRow>, commit: &Commit) {
        let mut graph = match rows.get(GRAPH) {
            Some(SnapshotRow::Graph(graph)) => graph.clone(),
            _ => Box::new(GraphRow::before(commit)),
        };
        for event in &commit.body.events {
            fold_event(rows, &mut graph, event, commit);
        }
        graph.last_modified = commit.body.timestamp;
        graph.last_operation_id = commit.body.operation_id;
        if graph.last_author != commit.body.user_id {
            graph.last_author = commit.body.user_id.clone();
        }
        rows.put(GRAPH, SnapshotRow::Graph(graph));
    }

    fn encode(row: &SnapshotRow) -> Vec<u8> {
        match row {
            SnapshotRow::Graph(graph) => encode(graph),
            SnapshotRow::Attributes(attributes) => encode(attributes),
            SnapshotRow::Labels(labels) => encode(labels),
            SnapshotRow::Viewport(viewport) => encode(viewport),
            SnapshotRow::Node(node) => encode(node),
            SnapshotRow::Edge(edge) => encode(edge),
        }
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<SnapshotRow, RowError> {
        match key.split_once(':') {
            Some(("node", _)) => decode(key, bytes).map(SnapshotRow::Node),
            Some(("edge", _)) => decode(key, bytes).map(SnapshotRow::Edge),
            _ if key == ATTRIBUTES => decode(key, bytes).map(SnapshotRow::Attributes),
            _ if key == LABELS => decode(key, bytes).map(SnapshotRow::Labels),
            _ if key == GRAPH => decode(key, bytes).map(SnapshotRow::Graph),
            _ => decode(key, bytes).map(SnapshotRow::Viewport),
        }
    }
}

fn key(entity: Entity<'_>) -> String {
    match entity {
        Entity::Node(id) => format!("node:{id}"),
        Entity::Edge(id) => format!("edge:{id}"),
        Entity::Viewport => VIEWPORT.to_owned(),
        Entity::Graph => GRAPH.to_owned(),
    }
}

/// Does the same to rows as [`Graph::apply_event`](crate::graph::Graph::apply_event) to a graph.
fn fold_event(rows: &mut Rows<SnapshotRow>, graph: &mut GraphRow, event: &Event, commit: &Commit) {
    if event.is_of_contents() {
        graph.contents_version = commit.version;
    }
    let key = key(event.entity());
    match event {
        Event::NodeDeleted { .. } | Event::EdgeDeleted { .. } => drop(rows.remove(&key)),
        Event::ViewportSet { viewport } => {
            graph.viewport_version = commit.version;
            rows.put(key, SnapshotRow::Viewport(viewport.clone()));
        }
        Event::NodeCreated { node } | Event::NodeReplaced { node } => {
            put_node(rows, graph, key, commit, Some(node.clone()));
        }
        Event::NodeUpdated { patch, .. } => {
            let node = node_of(rows.get(&key)).map(|old| old.patched(patch));
            put_node(rows, graph, key, commit, node);
        }
        Event::NodeMoved { position, .. } => {
            let node = node_of(rows.get(&key)).map(|old| old.moved(position.clone()));
            put_node(rows, graph, key, commit, node);
        }
        Event::EdgeCreated { edge } | Event::EdgeReplaced { edge } => {
            put_edge(rows, graph, key, commit, Some(edge.clone()));
        }
        Event::EdgeUpdated { patch, .. } => {
            let edge = edge_of(rows.get(&key)).map(|old| old.patched(patch));
            put_edge(rows, graph, key, commit, edge);
        }
        Event::NodeRestored { node, ordinal, created_at } => {
            let place = retake(rows, graph, &key, (*ordinal, *created_at));
            rows.put(key, SnapshotRow::Node(placed(graph, Some(place), commit, node.clone())));
        }
        Event::EdgeRestored { edge, ordinal, created_at } => {
            let place = retake(rows, graph, &key, (*ordinal, *created_at));
            rows.put(key, SnapshotRow::Edge(placed(graph, Some(place), commit, edge.clone())));
        }
        Event::GraphCreated { .. }
        | Event::GraphUpdated { .. }
        | Event::GraphTrashed { .. }
        | Event::GraphRecovered {}
        | Event::GraphForked { .. }
        | Event::VersionLabelled { .. } => fold_metadata(rows, graph, event, commit),
    }
}

/// As [`Metadata`] does it, in rows.
fn fold_metadata(rows: &mut Rows<SnapshotRow>, graph: &mut GraphRow, event: &Event, commit: &Commit) {
    let (at, by) = (commit.body.timestamp, Some(&commit.body.user_id));
    match event {
        Event::GraphCreated { attributes, from } => {
            (graph.attributes_version, graph.origin) = (commit.version, from.clone());
            rows.put(ATTRIBUTES, SnapshotRow::Attributes(attributes.clone()));
        }
        Event::GraphUpdated { patch } => {
            let attributes = match rows.get(ATTRIBUTES) {
                Some(SnapshotRow::Attributes(attributes)) => attributes.patched(patch),
                _ => Attributes::default().patched(patch),
            };
            graph.attributes_version = commit.version;
            rows.put(ATTRIBUTES, SnapshotRow::Attributes(attributes));
        }
        Event::GraphForked { graph_id, version, hash } => {
            rows.remove(LABELS);
            graph.trashed = None;
            graph.origin = Some(Origin { graph_id: graph_id.clone(), version: *version, hash: *hash });
        }
        Event::VersionLabelled { name, .. } => {
            let mut labels = match rows.get(LABELS) {
                Some(SnapshotRow::Labels(labels)) => labels.clone(),
                _ => Labels::new(),
            };
            match metadata::label(event, commit.version, at, by) {
                Some(label) => drop(labels.insert(name.clone(), label)),
                None => drop(labels.remove(name)),
            }
            match labels.is_empty() {
                true => drop(rows.remove(LABELS)),
                false => rows.put(LABELS, SnapshotRow::Labels(labels)),
            }
        }
        event => graph.trashed = metadata::trashed(event, at, by),
    }
}

/// The place of an entity that is restored: its own, if the entity is not there.
fn retake(
    rows: &Rows<SnapshotRow>,
    graph: &mut GraphRow,
    key: &str,
    (ordinal, created_at): (Ordinal, Timestamp),
) -> (Ordinal, Timestamp) {
    match rows.get(key) {
        Some(SnapshotRow::Node(EntityRow { ordinal, created_at, .. })) => (*ordinal, *created_at),
        Some(SnapshotRow::Edge(EntityRow { ordinal, created_at, .. })) => (*ordinal, *created_at),
        _ => {
            graph.next_ordinal = graph.next_ordinal.max(ordinal.saturating_add(1));
            (ordinal, created_at)
        }
    }
}

fn node_of(row: Option<&SnapshotRow>) -> Option<&Node> {
    match row {
        Some(SnapshotRow::Node(row)) => Some(&row.entity),
        _ => None,
    }
}

fn edge_of(row: Option<&SnapshotRow>) -> Option<&Edge> {
    match row {
        Some(SnapshotRow::Edge(row)) => Some(&row.entity),
        _ => None,
    }
}

fn put_node(
    rows: &mut Rows<SnapshotRow>,
    graph: &mut GraphRow,
    key: String,
    commit: &Commit,
    node: Option<Node>,
) {
    let Some(entity) = node else { return };
    let old = match rows.get(&key) {
        Some(SnapshotRow::Node(old)) => Some((old.ordinal, old.created_at)),
        _ => None,
    };
    rows.put(key, SnapshotRow::Node(placed(graph, old, commit, entity)));
}

fn put_edge(
    rows: &mut Rows<SnapshotRow>,
    graph: &mut GraphRow,
    key: String,
    commit: &Commit,
    edge: Option<Edge>,
) {
    let Some(entity) = edge else { return };
    let old = match rows.get(&key) {
        Some(SnapshotRow::Edge(old)) => Some((old.ordinal, old.created_at)),
        _ => None,
    };
    rows.put(key, SnapshotRow::Edge(placed(graph, old, commit, entity)));
}

/// Writes an entity in the place of the one before it, or as the newest.
fn placed<T>(
    graph: &mut GraphRow,
    old: Option<(Ordinal, Timestamp)>,
    commit: &Commit,
    entity: T,
) -> EntityRow<T> {
    let updated_at = commit.body.timestamp;
    let (ordinal, created_at) = old.unwrap_or_else(|| {
        graph.next_ordinal += 1;
        (graph.next_ordinal - 1, updated_at)
    });
    EntityRow { ordinal, created_at, updated_at, version: commit.version, entity }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{graph::Graph, version::Head};

    #[test]
    fn v7_the_rows_of_an_empty_graph_are_none_and_read_as_one() {
        let rows = snapshot_rows(&Graph::empty());
        let pairs = rows.iter().map(|(key, row)| (key.as_str(), &row[..]));
        assert_eq!(graph_of_rows(Head::EMPTY, pairs).expect("a graph"), Graph::empty());
    }
}
