//! What clients get, as the document shows it. The types that are encoded are in `wire` and beside the
//! handlers; a test holds real answers against these schemas, which allow nothing that they do not name.

mod audit;
mod batches;
mod connections;
mod graphs;
mod health;
mod subscriptions;

use std::collections::HashMap;

use utoipa::ToSchema;

pub(in crate::http) use self::{
    audit::*, batches::*, connections::*, graphs::*, health::*, subscriptions::*,
};
use super::{
    Json,
    problems::{Conflict, Problem},
    requests::{DocumentEdge, DocumentNode, Position, Viewport},
    words::{CommandType, Status},
};

/// An accepted command.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Accepted {
    accepted: bool,
    /// Of an atomic batch.
    #[schema(format = "uuid", nullable = false)]
    batch_id: Option<String>,
    #[schema(format = "uuid")]
    operation_id: String,
    #[schema(pattern = "^completed$")]
    status: String,
    outcome: Effect,
    /// The graph's version with it.
    version: u64,
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
    /// The entity as it now stands, or what was deleted. Left out in some duplicates.
    #[schema(nullable = false)]
    result: Option<Json>,
    /// Of an atomic batch: one a member.
    #[schema(nullable = false)]
    results: Option<Vec<Json>>,
    /// Of an atomic batch with `ifMissing: skip`: members that were left out.
    #[schema(nullable = false)]
    skipped: Option<Vec<SkippedMember>>,
    /// It was applied before: this is the first outcome again.
    #[schema(nullable = false)]
    duplicate: Option<bool>,
}

/// What an accepted command did.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::http) enum Effect {
    /// Nobody else had touched the same.
    Applied,
    /// It was reconciled with what others did.
    Merged,
    /// It was so already: there is no commit.
    Unchanged,
}

/// What a commit did.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::http) enum Outcome {
    Applied,
    Merged,
}

/// The answer to a document save.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct SaveAnswer {
    #[schema(format = "uuid")]
    operation_id: String,
    version: u64,
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
    /// The base of the next save by a client that keeps its picture. Absent after `mode=merge` where the graph has
    /// more than the document: adopt `document` with its own base.
    #[schema(nullable = false)]
    base: Option<String>,
    outcome: Effect,
    /// Absent in the answer to a repeat.
    #[schema(nullable = false)]
    result: Option<SaveResult>,
    /// Where what stands was kept; absent if nowhere.
    #[schema(nullable = false)]
    conflicts: Option<Vec<Conflict>>,
    /// The graph, where it differs from what was sent.
    #[schema(nullable = false)]
    document: Option<AdoptableDocument>,
    #[schema(nullable = false)]
    duplicate: Option<bool>,
}

/// What a document save did.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct SaveResult {
    created: Touched,
    updated: Touched,
    deleted: Touched,
    /// What went with the deleted nodes.
    also_deleted: Touched,
    /// Fields that were in the document and are not stored.
    ignored: Vec<String>,
}

/// Ids of entities.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Touched {
    nodes: Vec<String>,
    edges: Vec<String>,
}

/// A document with its base, for a client that adopts it.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct AdoptableDocument {
    base: String,
    nodes: Vec<DocumentNode>,
    edges: Vec<DocumentEdge>,
    viewport: Viewport,
}

/// A commit: one accepted operation.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Commit {
    graph_id: String,
    #[schema(minimum = 1)]
    version: u64,
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
    /// Null where the commit was erased.
    #[schema(required, format = "uuid")]
    operation_id: Option<String>,
    user_id: String,
    client_id: String,
    /// Milliseconds since the Unix epoch.
    timestamp: u64,
    command_type: CommandType,
    outcome: Outcome,
    /// Where in somebody's trace it was asked for (W3C Trace Context), if they said.
    #[schema(nullable = false, pattern = "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")]
    traceparent: Option<String>,
    /// The operations that it undoes; left out where it undoes none.
    #[schema(nullable = false)]
    undoes: Option<Vec<String>>,
    /// The version whose contents it brings back; left out where it brings back none.
    #[schema(nullable = false, minimum = 1)]
    restores: Option<u64>,
    /// What it said was erased.
    #[schema(nullable = false)]
    erased: Option<bool>,
    events: Vec<Event>,
}

/// What happened.
#[derive(ToSchema)]
#[serde(tag = "type")]
pub(in crate::http) enum Event {
    NodeCreated {
        node: Json,
    },
    #[serde(rename_all = "camelCase")]
    NodeUpdated {
        node_id: String,
        patch: HashMap<String, Json>,
    },
    #[serde(rename_all = "camelCase")]
    NodeMoved {
        node_id: String,
        position: Position,
    },
    NodeReplaced {
        node: Json,
    },
    #[serde(rename_all = "camelCase")]
    NodeDeleted {
        node_id: String,
    },
    EdgeCreated {
        edge: Json,
    },
    #[serde(rename_all = "camelCase")]
    EdgeUpdated {
        edge_id: String,
        patch: HashMap<String, Json>,
    },
    EdgeReplaced {
        edge: Json,
    },
    #[serde(rename_all = "camelCase")]
    EdgeDeleted {
        edge_id: String,
    },
    ViewportSet {
        viewport: Viewport,
    },
    /// A deleted node is there again, in its old place in creation order.
    #[serde(rename_all = "camelCase")]
    NodeRestored {
        node: Json,
        ordinal: u64,
        created_at: u64,
    },
    /// A deleted edge is there again, in its old place in creation order.
    #[serde(rename_all = "camelCase")]
    EdgeRestored {
        edge: Json,
        ordinal: u64,
        created_at: u64,
    },
    GraphCreated {
        attributes: HashMap<String, Json>,
        #[schema(nullable = false)]
        from: Option<Origin>,
    },
    GraphUpdated {
        patch: HashMap<String, Json>,
    },
    #[serde(rename_all = "camelCase")]
    GraphTrashed {
        #[schema(nullable = false)]
        reason: Option<String>,
        #[schema(nullable = false)]
        moved_to: Option<String>,
        /// Milliseconds since the Unix epoch.
        #[schema(nullable = false)]
        purge_after: Option<u64>,
    },
    GraphRecovered {},
    /// The commits before it are those of another graph.
    #[serde(rename_all = "camelCase")]
    GraphForked {
        graph_id: String,
        version: u64,
        #[schema(pattern = "^[0-9a-f]{64}$")]
        hash: String,
    },
    /// A label names this version now; without a version there is no such label any more.
    VersionLabelled {
        name: String,
        #[schema(nullable = false)]
        version: Option<u64>,
        #[schema(nullable = false, pattern = "^[0-9a-f]{64}$")]
        hash: Option<String>,
        #[schema(nullable = false)]
        note: Option<String>,
    },
}

/// A node, with any other attribute that it was given.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct Node {
    id: String,
    position: Position,
    /// Milliseconds since the Unix epoch.
    created_at: u64,
    updated_at: u64,
    /// The commit that last wrote it.
    #[schema(minimum = 1)]
    version: u64,
}

/// An edge, with any other attribute that it was given.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct Edge {
    id: String,
    source: String,
    target: String,
    /// Milliseconds since the Unix epoch.
    created_at: u64,
    updated_at: u64,
    /// The commit that last wrote it.
    #[schema(minimum = 1)]
    version: u64,
}

/// A graph at one version.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct State {
    graph_id: String,
    version: u64,
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
    #[schema(required)]
    last_modified: Option<u64>,
    #[schema(required, format = "uuid")]
    last_operation_id: Option<String>,
    /// Title, description, tags and what else says what the graph is.
    attributes: HashMap<String, Json>,
    /// In creation order.
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    viewport: Viewport,
}

/// The commits after a version.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Changes {
    graph_id: String,
    since: u64,
    /// Of the head, as is `hash`.
    current_version: u64,
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
    /// There are more than `limit`: ask again from the last.
    has_more: bool,
    /// The point is not of this history: fetch the state.
    #[schema(nullable = false)]
    reset: Option<bool>,
    changes: Vec<Commit>,
}

/// All nodes of a graph.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Nodes {
    version: u64,
    nodes: Vec<Node>,
}

/// All edges of a graph.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Edges {
    version: u64,
    edges: Vec<Edge>,
}

/// What became of an operation.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Operation {
    #[schema(format = "uuid")]
    operation_id: String,
    graph_id: String,
    status: Status,
    #[schema(nullable = false)]
    outcome: Option<Effect>,
    r#type: CommandType,
    user_id: String,
    /// Of a refusal: the one it was judged on.
    version: u64,
    #[schema(nullable = false)]
    error: Option<Problem>,
    #[schema(nullable = false)]
    resolution: Option<super::problems::Resolution>,
    created_at: u64,
    completed_at: u64,
}

/// One event of a stream. OpenAPI 3.1 has no word for a stream, so this is each event in it: what its lines
/// `id:`, `event:` and `data:` say.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct StreamEvent {
    /// What `Last-Event-ID` takes to go on from here; not there on a `problem`.
    #[schema(nullable = false)]
    id: Option<String>,
    event: StreamEventName,
    /// JSON: of a `commit` the commit, of a `reset` where the stream goes on, of a `problem` why it ended.
    data: String,
}

/// What an event of a stream is.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::http) enum StreamEventName {
    Commit,
    Reset,
    Problem,
}
