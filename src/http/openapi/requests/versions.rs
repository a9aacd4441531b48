//! Commands about versions of a graph (rules L11, L12).

use utoipa::ToSchema;

/// Makes a label name a version, or removes it. Not allowed in a batch.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct LabelVersion {
    #[schema(pattern = "^[A-Za-z][A-Za-z0-9._-]{0,63}$")]
    name: String,
    /// The head where it is left out; null removes the label.
    #[schema(minimum = 0)]
    version: Option<u64>,
    /// At most 1 KiB.
    #[schema(max_length = 1024)]
    note: Option<String>,
    /// What the label has to name now; null: nothing.
    #[schema(minimum = 0)]
    expect: Option<u64>,
}

/// A label without its name, which stands in the path.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct LabelBody {
    /// The head where it is left out; null removes the label.
    #[schema(minimum = 0)]
    version: Option<u64>,
    /// At most 1 KiB.
    #[schema(max_length = 1024)]
    note: Option<String>,
    /// What the label has to name now; null: nothing.
    #[schema(minimum = 0)]
    expect: Option<u64>,
}

/// Puts a graph, or some of it, back to an earlier version. Not allowed in a batch.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct RestoreVersion {
    to: VersionSent,
    /// Only these nodes, and the edges that are named.
    nodes: Option<Vec<String>>,
    /// Only these edges, and the nodes that are named.
    edges: Option<Vec<String>>,
    /// What is restored beside nodes and edges.
    #[schema(max_items = 2)]
    include: Option<Vec<RestorePart>>,
}

/// What is restored beside nodes and edges.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::http) enum RestorePart {
    /// But for the settings.
    Attributes,
    Viewport,
}

/// A version: a number, a label, `head`, or a time in milliseconds or RFC 3339.
#[derive(ToSchema)]
#[serde(untagged)]
pub(in crate::http) enum VersionSent {
    Number(u64),
    Text(String),
}

/// The graph that a new one is copied from. Needs `read` on it.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct CopyFrom {
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
    graph_id: String,
    /// The head by default.
    at: Option<VersionSent>,
    /// Its commits too, byte for byte; its contents alone by default.
    history: Option<bool>,
}
