//! All rows of a graph, and the graph of its rows.

use super::{ATTRIBUTES, EntityRow, GRAPH, GraphRow, LABELS, Snapshot, SnapshotRow, VIEWPORT, key};
use crate::{
    event::Entity,
    graph::{Graph, Parts, Placed},
    memory::Measured,
    metadata::Metadata,
    projection::{Projection, RowError, encode},
    version::{Head, Version},
};

/// The rows of a graph in memory: the same as folding its whole history into rows.
pub fn snapshot_rows(graph: &Graph) -> Vec<(String, Vec<u8>)> {
    let Some(row) = row_of(graph) else { return vec![] };
    fn entity_row<T: Clone>(placed: &Placed<T>) -> EntityRow<T> {
        EntityRow {
            ordinal: placed.ordinal,
            created_at: placed.created_at,
            updated_at: placed.updated_at,
            version: placed.version,
            entity: placed.entity.clone(),
        }
    }
    let viewport_version = graph.viewport_version();
    let metadata = graph.metadata();
    let mut rows = vec![(GRAPH.to_owned(), encode(&row))];
    if metadata.attributes_version > Version::EMPTY {
        rows.push((ATTRIBUTES.to_owned(), encode(&metadata.attributes)));
    }
    if !metadata.labels.is_empty() {
        rows.push((LABELS.to_owned(), encode(&metadata.labels)));
    }
    if viewport_version > Version::EMPTY {
        rows.push((VIEWPORT.to_owned(), encode(graph.viewport())));
    }
    let nodes =
        graph.nodes().iter().map(|node| (key(Entity::Node(node.entity.id())), encode(&entity_row(node))));
    rows.extend(nodes);
    let edges =
        graph.edges().iter().map(|edge| (key(Entity::Edge(edge.entity.id())), encode(&entity_row(edge))));
    rows.extend(edges);
    rows
}

/// The row of the graph itself; `None` if nobody wrote to it.
fn row_of(graph: &Graph) -> Option<GraphRow> {
    let (created_at, created_by) = graph.created()?;
    let metadata = graph.metadata();
    Some(GraphRow {
        last_modified: graph.last_modified()?,
        last_operation_id: graph.last_operation()?,
        last_author: graph.last_author()?.clone(),
        viewport_version: graph.viewport_version(),
        contents_version: graph.contents_version(),
        next_ordinal: graph.next_ordinal(),
        created_at,
        created_by: created_by.clone(),
        attributes_version: metadata.attributes_version,
        origin: metadata.origin.clone(),
        trashed: metadata.trashed.clone(),
    })
}

/// The graph at `head` from all rows of its snapshot.
pub fn graph_of_rows<'a>(
    head: Head,
    rows: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Graph, RowError> {
    // A graph that lost its whole history is empty again, and has no rows.
    if head == Head::EMPTY {
        return Ok(Graph::empty());
    }
    let (mut beside, mut viewport) = (None, None);
    let mut metadata = Metadata::default();
    let (mut nodes, mut edges) = (Vec::new(), Vec::new());
    fn of_row<T: Measured>(row: EntityRow<T>) -> Placed<T> {
        let size = row.entity.size();
        Placed::new((row.entity, size), row.ordinal, row.created_at, row.updated_at, row.version)
    }
    for (key, bytes) in rows {
        match Snapshot::decode(key, bytes)? {
            SnapshotRow::Graph(row) => beside = Some(row),
            SnapshotRow::Attributes(row) => metadata.attributes = row,
            SnapshotRow::Labels(row) => metadata.labels = row,
            SnapshotRow::Viewport(row) => viewport = Some(row),
            SnapshotRow::Node(row) => nodes.push(of_row(row)),
            SnapshotRow::Edge(row) => edges.push(of_row(row)),
        }
    }
    let Some(beside) = beside else {
        return Err(RowError { key: GRAPH.to_owned(), problem: "it is missing".to_owned() });
    };
    metadata.attributes_version = beside.attributes_version;
    (metadata.origin, metadata.trashed) = (beside.origin, beside.trashed);
    Ok(Graph::from_parts(Parts {
        head,
        last_modified: beside.last_modified,
        last_operation: beside.last_operation_id,
        last_author: beside.last_author,
        created: (beside.created_at, beside.created_by),
        metadata,
        viewport: viewport.unwrap_or_default(),
        viewport_version: beside.viewport_version,
        contents_version: beside.contents_version,
        next_ordinal: beside.next_ordinal,
        nodes,
        edges,
    }))
}
