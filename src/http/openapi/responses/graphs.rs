//! Answers about graphs as things (rules L), as the document shows them.

use std::collections::HashMap;

use utoipa::ToSchema;

use super::super::Json;

/// A graph without its contents.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct GraphRow {
    graph_id: String,
    /// Title, description, tags and what else says what the graph is.
    attributes: HashMap<String, Json>,
    #[schema(minimum = 1)]
    version: u64,
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
    /// The last commit that changed a node, an edge or the viewport; 0 if none did.
    content_version: u64,
    /// Milliseconds since the Unix epoch.
    created_at: u64,
    created_by: String,
    updated_at: u64,
    updated_by: String,
    /// How many there are.
    nodes: u64,
    edges: u64,
    /// By name.
    labels: HashMap<String, Label>,
    /// What it was copied from.
    #[schema(nullable = false)]
    forked_from: Option<Origin>,
    #[schema(nullable = false)]
    trashed: Option<Trashed>,
    /// What the caller may do with it.
    #[schema(pattern = "^(none|read|write|admin)$")]
    access: String,
}

/// A page of a list of graphs.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct GraphList {
    graphs: Vec<GraphRow>,
    #[schema(required)]
    next_cursor: Option<String>,
    /// What was appended before this is in the list: milliseconds since the Unix epoch.
    as_of: u64,
}

/// A name for a version.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Label {
    #[schema(minimum = 1)]
    version: u64,
    #[schema(pattern = "^[0-9a-f]{64}$", nullable = false)]
    hash: Option<String>,
    #[schema(nullable = false)]
    note: Option<String>,
    at: u64,
    #[schema(required)]
    by: Option<String>,
}

/// All labels of a graph.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct LabelList {
    graph_id: String,
    /// The version of the graph, not of a label.
    version: u64,
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
    /// By name.
    labels: HashMap<String, Label>,
}

/// One label of a graph.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct NamedLabel {
    name: String,
    /// Null if there is no such label any more.
    #[schema(minimum = 1, required)]
    version: Option<u64>,
    #[schema(pattern = "^[0-9a-f]{64}$", nullable = false)]
    hash: Option<String>,
    #[schema(nullable = false)]
    note: Option<String>,
    #[schema(nullable = false)]
    at: Option<u64>,
    #[schema(nullable = false)]
    by: Option<String>,
}

/// That a graph is in the trash.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Trashed {
    at: u64,
    #[schema(required)]
    by: Option<String>,
    #[schema(nullable = false)]
    reason: Option<String>,
    #[schema(nullable = false)]
    moved_to: Option<String>,
    /// Left out if it is not purged by itself.
    #[schema(nullable = false)]
    purge_at: Option<u64>,
}

/// The version of a graph that another one was made of.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Origin {
    graph_id: String,
    version: u64,
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
}
