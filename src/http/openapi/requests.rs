//! What clients send, as the document shows it. What is checked is in `command_parser` and `json_shape`.

mod versions;

use std::collections::HashMap;

use utoipa::ToSchema;

use super::{
    Json,
    parameters::{SaveAbsent, SaveMode, SaveViewport},
    words::OnConflict,
};
pub(in crate::http) use versions::*;

/// A command and what goes with it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct CommandBody {
    #[serde(flatten)]
    command: Command,
    #[serde(flatten)]
    around: Around,
}

/// What goes with a command.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct Around {
    /// The idempotency key: sent again it is not applied again. Made by the server where it is left out.
    #[schema(format = "uuid")]
    operation_id: Option<String>,
    /// The version that the client had applied when it made the command; left out, the command applies to
    /// the graph as it stands.
    #[schema(minimum = 0)]
    client_version: Option<u64>,
    /// The hash of `clientVersion` in the client's history: where it is another one today, the command is refused
    /// with `HISTORY_REPLACED` and can be sent again.
    client_hash: Option<String>,
    /// Which of the user's clients this is, a tab for one. Without it no commit counts as the client's own.
    #[schema(min_length = 1, max_length = 256)]
    client_id: Option<String>,
    on_conflict: Option<OnConflict>,
}

/// What is to be done.
#[derive(ToSchema)]
#[serde(tag = "type", content = "payload", rename_all = "SCREAMING_SNAKE_CASE")]
pub(in crate::http) enum Command {
    CreateNode(NodeSent),
    UpdateNode(UpdateNode),
    UpdateNodePosition(UpdateNodePosition),
    DeleteNode(DeleteNode),
    CreateEdge(EdgeSent),
    UpdateEdge(UpdateEdge),
    DeleteEdge(DeleteEdge),
    SetViewport(Viewport),
    BatchUpdate(BatchUpdate),
    SaveDocument(SaveDocument),
    Undo(Undo),
    CreateGraph(CreateGraph),
    UpdateGraph(UpdateGraph),
    DeleteGraph(DeleteGraph),
    RecoverGraph(RecoverGraph),
    LabelVersion(LabelVersion),
    RestoreVersion(RestoreVersion),
}

/// A document, and how it is saved.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct SaveDocument {
    nodes: Vec<DocumentNode>,
    edges: Vec<DocumentEdge>,
    viewport: Option<Viewport>,
    /// The base of the document that was read, unless `clientVersion` says it.
    base: Option<String>,
    mode: Option<SaveMode>,
    absent: Option<SaveAbsent>,
    viewport_mode: Option<SaveViewport>,
    /// JSON Pointers of fields that are ignored.
    #[schema(max_items = 100)]
    ignore: Option<Vec<String>>,
    /// The number of nodes that are deleted, where they are many.
    #[schema(minimum = 0)]
    deletes: Option<u64>,
}

/// A graph as an editor's document.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Document {
    nodes: Vec<DocumentNode>,
    edges: Vec<DocumentEdge>,
    viewport: Option<Viewport>,
}

/// A node of a document: as it is sent, with an id.
#[derive(ToSchema)]
pub(in crate::http) struct DocumentNode {
    id: String,
    #[serde(flatten)]
    node: NodeSent,
}

/// An edge of a document: as it is sent, with an id.
#[derive(ToSchema)]
pub(in crate::http) struct DocumentEdge {
    id: String,
    #[serde(flatten)]
    edge: EdgeSent,
}

/// Operations to take back, where what they did still stands. Not allowed in a batch.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Undo {
    #[schema(min_items = 1, max_items = 1000)]
    operations: Vec<Undone>,
}

/// An operation and the version of its commit.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Undone {
    #[schema(format = "uuid")]
    operation_id: String,
    #[schema(minimum = 0)]
    version: u64,
}

/// A node as it is sent. Any other attribute is kept as given.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"id": "a", "position": {"x": 0, "y": 0}, "data": {"label": "Start"}}))]
pub(in crate::http) struct NodeSent {
    /// Made by the server where it is left out.
    #[schema(min_length = 1, max_length = 1024, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$")]
    id: Option<String>,
    position: Option<Position>,
    r#type: Option<String>,
    data: Option<HashMap<String, Json>>,
    parent_id: Option<String>,
}

/// An edge as it is sent. Any other attribute is kept as given.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"id": "a-b", "source": "a", "target": "b"}))]
pub(in crate::http) struct EdgeSent {
    /// Made by the server where it is left out.
    #[schema(min_length = 1, max_length = 1024, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$")]
    id: Option<String>,
    source: String,
    target: String,
    /// React Flow's handles are text or null; kept as given, as is `targetHandle`.
    // Any value, null among it: nothing is to be added for it.
    #[schema(nullable = false)]
    source_handle: Option<Json>,
    #[schema(nullable = false)]
    target_handle: Option<Json>,
    r#type: Option<String>,
    data: Option<HashMap<String, Json>>,
}

/// Where a node stands.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Position {
    x: f64,
    y: f64,
}

/// What a window shows.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Viewport {
    x: f64,
    y: f64,
    #[schema(exclusive_minimum = 0)]
    zoom: f64,
}

/// A merge patch (RFC 7396) for a node.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct UpdateNode {
    node_id: String,
    updates: HashMap<String, Json>,
}

/// Moves a node.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct UpdateNodePosition {
    node_id: String,
    position: Position,
}

/// Deletes a node, its descendants, and the edges of all of them.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct DeleteNode {
    node_id: String,
}

/// A merge patch (RFC 7396) for an edge; may re-connect it.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct UpdateEdge {
    edge_id: String,
    updates: HashMap<String, Json>,
}

/// Deletes an edge.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct DeleteEdge {
    edge_id: String,
}

/// Creates or replaces nodes; replaces all edges.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct BatchUpdate {
    /// By id, or as a list.
    nodes: Option<NodesSent>,
    /// The whole edge set: what is not in it goes.
    edges: Option<Vec<EdgeSent>>,
    viewport: Option<Viewport>,
}

/// Creates a graph, with attributes and contents.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CreateGraph {
    attributes: Option<AttributesSent>,
    document: Option<BatchUpdate>,
    /// Not beside `document`.
    from: Option<CopyFrom>,
}

/// A merge patch (RFC 7396) for the attributes of a graph.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct UpdateGraph {
    updates: AttributesSent,
}

/// What a graph is: 16 KiB in all.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct AttributesSent {
    #[schema(max_length = 256)]
    title: Option<String>,
    /// At most 4 KiB.
    #[schema(max_length = 4096)]
    description: Option<String>,
    /// Each of at most 64 characters.
    #[schema(max_items = 32)]
    tags: Option<Vec<String>>,
    /// Names a person and grants nothing.
    #[schema(max_length = 256)]
    owner: Option<String>,
    settings: Option<GraphSettings>,
    data: Option<HashMap<String, Json>>,
}

/// Writing them needs `admin`.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct GraphSettings {
    /// Refuses all commands but `UPDATE_GRAPH`, `DELETE_GRAPH` and `RECOVER_GRAPH`.
    read_only: Option<bool>,
    limits: Option<GraphLimits>,
}

/// Limits of one graph: the lower of these and the server's hold.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct GraphLimits {
    nodes: Option<u64>,
    edges: Option<u64>,
    /// Bytes of one node or edge as JSON.
    entity_bytes: Option<u64>,
}

/// Puts a graph into the trash.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct DeleteGraph {
    /// At most 1 KiB.
    #[schema(max_length = 1024)]
    reason: Option<String>,
    /// The graph that takes its place.
    moved_to: Option<String>,
}

/// Takes a graph out of the trash.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct RecoverGraph {}

/// Nodes by id, or as a list, in the order in which new ones are created.
#[derive(ToSchema)]
#[serde(untagged)]
pub(in crate::http) enum NodesSent {
    ById(HashMap<String, NodeSent>),
    Listed(Vec<NodeSent>),
}

/// Several commands: as one commit, or each by itself.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct BatchBody {
    #[schema(min_items = 1, max_items = 1000)]
    operations: Vec<CommandBody>,
    /// All or nothing, as one commit whose operation id is `batchId`; `false` where it is left out.
    atomic: Option<bool>,
    #[schema(format = "uuid")]
    batch_id: Option<String>,
    /// For members that have none of their own.
    #[schema(minimum = 0)]
    client_version: Option<u64>,
    /// The hash of the batch's `clientVersion`.
    client_hash: Option<String>,
    #[schema(min_length = 1, max_length = 256)]
    client_id: Option<String>,
    on_conflict: Option<OnConflict>,
    /// Of an atomic batch; `refuse` if it is left out.
    if_missing: Option<IfMissing>,
}

/// What happens to members of an atomic batch whose target is gone.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::http) enum IfMissing {
    /// They refuse the batch.
    Refuse,
    /// They are left out, and `skipped` of the answer lists them.
    Skip,
}

/// How a subscription is to be.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct SubscriptionBody {
    filter: Option<FilterSent>,
    /// `now` (the default), `beginning`, or a position of `GET /events`.
    start: Option<String>,
    /// How long a consumer has for a commit.
    #[schema(minimum = 1000, maximum = 43_200_000, default = 30_000)]
    lease_ms: Option<u64>,
    /// Deliveries of one commit before it is parked.
    #[schema(minimum = 1, maximum = 100, default = 5)]
    max_attempts: Option<u32>,
}

/// Which commits: those that each list lets through; what is left out lets all through.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct FilterSent {
    /// Names of events.
    types: Option<Vec<String>>,
    /// Globs of graph ids.
    graphs: Option<Vec<String>>,
    /// User ids.
    users: Option<Vec<String>>,
}

/// Deliveries.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct DeliveryIds {
    #[schema(max_items = 1000)]
    delivery_ids: Vec<String>,
}

/// Deliveries that are given back.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Nack {
    #[schema(max_items = 1000)]
    delivery_ids: Vec<String>,
    /// Kept with what is parked in the end.
    reason: Option<String>,
}

/// A purge.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct PurgeBody {
    /// Sent again it is not done again. Made by the server where it is left out.
    #[schema(format = "uuid")]
    operation_id: Option<String>,
}
