//! Answers about who is connected (rules N5, L14), as the document shows them.

use std::collections::HashMap;

use utoipa::ToSchema;

use super::super::Json;

/// Who is there in a graph.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Presence {
    clients: Vec<PresentClient>,
}

/// One who is there.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct PresentClient {
    client_id: String,
    user_id: String,
    /// Since when it follows the graph, in milliseconds since the Unix epoch.
    #[schema(required)]
    since: Option<u64>,
    /// Whether it follows the graph.
    follows: bool,
    /// What it shows in the slot without a name.
    #[schema(nullable = false)]
    state: Option<Json>,
    /// What it shows in the others, by their names.
    #[schema(nullable = false)]
    slots: Option<HashMap<String, Json>>,
}

/// One page of the sockets and streams of a server.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Connections {
    /// Which server this is, among those over the same store.
    #[schema(format = "uuid")]
    instance: String,
    connections: Vec<OpenConnection>,
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A socket or a stream.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct OpenConnection {
    #[schema(format = "uuid")]
    connection_id: String,
    #[schema(pattern = "^(websocket|sse|ndjson)$")]
    transport: String,
    user_id: String,
    /// Of a socket.
    #[schema(nullable = false)]
    client_id: Option<String>,
    /// Milliseconds since the Unix epoch.
    since: u64,
    #[schema(format = "uuid")]
    instance: String,
    /// It follows all graphs at once.
    #[schema(nullable = false)]
    all_graphs: Option<bool>,
    graphs: Vec<ReachedGraph>,
}

/// How far a connection is in a graph.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct ReachedGraph {
    graph_id: String,
    /// Up to where it was sent the graph; null until that is known.
    #[schema(required)]
    version: Option<u64>,
    /// Commits that it has not been sent; null until that is known, and while the graph is not in memory.
    #[schema(required)]
    lag: Option<u64>,
}
