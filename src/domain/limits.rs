//! The limits of a graph, and whether writing to it creates it.

/// What may be done to any graph: the size limits of a graph and its entities (rule O3), and how graphs begin and end
/// (rules L4, L8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of one entity, as JSON.
    pub entity_bytes_max: usize,
    /// The most nodes in one graph.
    pub nodes_max: usize,
    /// The most edges in one graph.
    pub edges_max: usize,
    /// Whether a first command creates its graph.
    pub auto_create: AutoCreate,
    /// How long a graph stays in the trash before it may be purged, in milliseconds; `None`: for ever.
    pub trash_retention_ms: Option<u64>,
}

/// What creates a graph (rule L4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoCreate {
    /// The first command, whichever it is.
    On,
    /// Only `CREATE_GRAPH`.
    Off,
}

impl Default for Limits {
    /// The defaults: 256 KiB, 100,000 nodes, 200,000 edges, any first command, 30 days.
    fn default() -> Self {
        Self {
            entity_bytes_max: 256 << 10,
            nodes_max: 100_000,
            edges_max: 200_000,
            auto_create: AutoCreate::On,
            trash_retention_ms: Some(30 * 24 * 60 * 60 * 1_000),
        }
    }
}

/// The attribute of a graph that holds its settings.
pub(super) const SETTINGS: &str = "settings";
