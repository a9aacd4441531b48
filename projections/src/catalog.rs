//! The catalog: one row for each graph, with what a list of graphs shows (rule L2).
//!
//! | key | row |
//! |---|---|
//! | `row` | `{version, hash, contentVersion, createdAt, createdBy, updatedAt, updatedBy, nodes, edges, attributes, labels, origin?, trashed?}` |
//!
//! Every commit writes the row. Not here: what lists are sorted by besides the id; stores keep the texts of
//! [`ListKeys`] for that.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    commit::Commit,
    entity::Timestamp,
    event::Event,
    id::UserId,
    metadata::{Attributes, Labels, Metadata, Origin, Trashed},
    projection::{Projection, RowError, Rows, decode, encode},
    version::{Hash, Version},
};

/// The projection of commits into these rows.
#[derive(Debug)]
pub struct Catalog;

/// A graph without its contents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CatalogRow {
    /// The version of the last commit.
    pub version: Version,
    /// The hash of that version.
    pub hash: Hash,
    /// The last commit that changed a node, an edge or the viewport.
    #[serde(rename = "contentVersion")]
    pub contents_version: Version,
    /// When the first commit was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: UserId,
    /// When the last commit was made.
    pub updated_at: Timestamp,
    /// Who made it.
    pub updated_by: UserId,
    /// How many nodes there are.
    pub nodes: u64,
    /// How many edges there are.
    pub edges: u64,
    /// Title, description, tags …
    pub attributes: Attributes,
    /// Names of versions.
    pub labels: Labels,
    /// What it was copied from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// There while the graph is in the trash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trashed: Option<Trashed>,
}

/// What lists of graphs are sorted by, as texts in byte order. None has a control character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListKeys {
    /// When the graph was last changed: milliseconds in twenty digits.
    pub updated: String,
    /// When it was created.
    pub created: String,
    /// Its title in lower case.
    pub title: String,
}

impl CatalogRow {
    /// What lists sort this row by.
    pub fn list_keys(&self) -> ListKeys {
        let time = |at: Timestamp| format!("{:020}", at.0);
        let title = self.attributes.fields().get("title").and_then(|title| title.as_str());
        ListKeys {
            updated: time(self.updated_at),
            created: time(self.created_at),
            title: title.unwrap_or_default().to_lowercase().replace(char::is_control, " "),
        }
    }

    /// The row after this commit; `before` is the row before it.
    fn after(before: Option<&Self>, commit: &Commit) -> Self {
        let body = &commit.body;
        let (created_at, created_by) = match before {
            Some(row) => (row.created_at, row.created_by.clone()),
            None => (body.timestamp, body.user_id.clone()),
        };
        let (mut nodes, mut edges) = before.map_or((0, 0), |row| (row.nodes, row.edges));
        let mut metadata = before.map(Self::metadata).unwrap_or_default();
        let mut contents_version = before.map_or(Version::EMPTY, |row| row.contents_version);
        for event in &body.events {
            if event.is_of_contents() {
                contents_version = commit.version;
            }
            metadata.apply(event, commit.version, body.timestamp, Some(&body.user_id));
            match event {
                Event::NodeCreated { .. } | Event::NodeRestored { .. } => nodes += 1,
                Event::NodeDeleted { .. } => nodes = nodes.saturating_sub(1),
                Event::EdgeCreated { .. } | Event::EdgeRestored { .. } => edges += 1,
                Event::EdgeDeleted { .. } => edges = edges.saturating_sub(1),
                Event::NodeUpdated { .. }
                | Event::NodeMoved { .. }
                | Event::NodeReplaced { .. }
                | Event::EdgeUpdated { .. }
                | Event::EdgeReplaced { .. }
                | Event::ViewportSet { .. }
                | Event::GraphCreated { .. }
                | Event::GraphUpdated { .. }
                | Event::GraphTrashed { .. }
                | Event::GraphRecovered {}
                | Event::GraphForked { .. }
                | Event::VersionLabelled { .. } => {}
            }
        }
        Self {
            version: commit.version,
            hash: commit.hash,
            contents_version,
            created_at,
            created_by,
            updated_at: body.timestamp,
            updated_by: body.user_id.clone(),
            nodes,
            edges,
            attributes: metadata.attributes,
            labels: metadata.labels,
            origin: metadata.origin,
            trashed: metadata.trashed,
        }
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            attributes: self.attributes.clone(),
            attributes_version: self.version,
            origin: self.origin.clone(),
            labels: self.labels.clone(),
            trashed: self.trashed.clone(),
        }
    }
}

impl Catalog {
    /// The key of the only row of a graph.
    pub const KEY: &'static str = "row";
}

impl Projection for Catalog {
    type Row = CatalogRow;

    const NAME: &'static str = "catalog";
    const FORMAT: u32 = 1;

    fn keys(_commit: &Commit, keys: &mut BTreeSet<String>) {
        keys.insert(Self::KEY.to_owned());
    }

    fn fold(rows: &mut Rows<CatalogRow>, commit: &Commit) {
        let row = CatalogRow::after(rows.get(Self::KEY), commit);
        rows.put(Self::KEY, row);
    }

    fn encode(row: &CatalogRow) -> Vec<u8> {
        encode(row)
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<CatalogRow, RowError> {
        decode(key, bytes)
    }
}
