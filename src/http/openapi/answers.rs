//! What clients get, as the document shows it. The types that are encoded are in `wire` and beside the
//! handlers; a test holds real answers against these schemas, which allow nothing that they do not name.

use std::collections::HashMap;

use utoipa::ToSchema;

use super::{
    Json,
    problems::Problem,
    sent::{FilterSent, Position, Viewport},
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

/// A batch: one commit, or how each of its members went.
#[derive(ToSchema)]
#[serde(untagged)]
pub(in crate::http) enum BatchAnswer {
    Atomic(Accepted),
    EachByItself(BatchResults),
}

/// How the members of a batch went, in order.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct BatchResults {
    #[schema(format = "uuid")]
    batch_id: String,
    results: Vec<Member>,
}

/// One member of a batch.
#[derive(ToSchema)]
#[serde(untagged)]
pub(in crate::http) enum Member {
    Accepted(Accepted),
    Refused(RefusedMember),
}

/// A member that was refused.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct RefusedMember {
    accepted: bool,
    #[schema(format = "uuid")]
    operation_id: String,
    status: RefusedStatus,
    version: u64,
    error: Problem,
    #[schema(nullable = false)]
    duplicate: Option<bool>,
}

/// `conflict` for a 409, `failed` for other refusals.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::http) enum RefusedStatus {
    Conflict,
    Failed,
}

/// What became of an operation.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::http) enum Status {
    Completed,
    Conflict,
    Failed,
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

/// What kind of command it was; `BATCH` is an atomic batch.
#[derive(ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE")]
pub(in crate::http) enum CommandType {
    CreateNode,
    UpdateNode,
    UpdateNodePosition,
    DeleteNode,
    CreateEdge,
    UpdateEdge,
    DeleteEdge,
    SetViewport,
    BatchUpdate,
    Undo,
    Batch,
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

/// The version of a graph that another one was made of.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Origin {
    graph_id: String,
    version: u64,
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
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

/// One page of a graph's operations.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Operations {
    operations: Vec<AuditedOperation>,
    #[schema(required)]
    next_cursor: Option<String>,
}

/// One operation, accepted or refused.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct AuditedOperation {
    #[schema(format = "uuid")]
    operation_id: String,
    status: Status,
    /// Null where it was refused.
    #[schema(required)]
    outcome: Option<Outcome>,
    version: u64,
    user_id: String,
    client_id: String,
    timestamp: u64,
    command_type: CommandType,
    /// Where in somebody's trace it was asked for (W3C Trace Context), if they said.
    #[schema(nullable = false, pattern = "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")]
    traceparent: Option<String>,
    /// The operations that it undoes; left out where it undoes none.
    #[schema(nullable = false)]
    undoes: Option<Vec<String>>,
    /// The version whose contents it brings back; left out where it brings back none.
    #[schema(nullable = false, minimum = 1)]
    restores: Option<u64>,
    events: Vec<Event>,
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
    #[schema(nullable = false)]
    error: Option<Problem>,
}

/// What differs between two versions.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Difference {
    graph_id: String,
    from: u64,
    to: u64,
    nodes: NodesDifference,
    edges: EdgesDifference,
    #[schema(required)]
    viewport: Option<ViewportChange>,
    /// Of the graph itself; left out where none differ.
    #[schema(nullable = false)]
    attributes: Option<Vec<Change>>,
}

/// How the nodes of two versions differ.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct NodesDifference {
    added: Vec<Node>,
    removed: Vec<Node>,
    changed: Vec<Changed>,
}

/// How the edges of two versions differ.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct EdgesDifference {
    added: Vec<Edge>,
    removed: Vec<Edge>,
    changed: Vec<Changed>,
}

/// An entity that is in both versions.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Changed {
    id: String,
    #[schema(min_items = 1)]
    changes: Vec<Change>,
}

/// One path that differs.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Change {
    /// A JSON Pointer; empty for the whole entity.
    path: String,
    before: Json,
    after: Json,
}

/// A viewport that was moved.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ViewportChange {
    before: Viewport,
    after: Viewport,
}

/// One page of what happened to an entity, newest first.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct History {
    history: Vec<Touch>,
    #[schema(required)]
    next_cursor: Option<String>,
}

/// What one commit did to it.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Touch {
    version: u64,
    #[schema(format = "uuid")]
    operation_id: String,
    user_id: String,
    client_id: String,
    timestamp: u64,
    command_type: CommandType,
    changes: Vec<Change>,
}

/// Whether a history is what it claims to be.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Verified {
    graph_id: String,
    version: u64,
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
    commits: u64,
    ok: bool,
    #[schema(nullable = false)]
    first_bad_version: Option<u64>,
    #[schema(nullable = false)]
    problem: Option<String>,
}

/// One page of events counted by hour, type and user.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Activity {
    /// The graph; left out where all are asked for.
    #[schema(nullable = false)]
    graph_id: Option<String>,
    /// Up to which version of the graph events are counted.
    #[schema(nullable = false)]
    version: Option<u64>,
    activity: Vec<ActivityCount>,
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Events of one type by one user in one hour.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct ActivityCount {
    #[schema(nullable = false)]
    graph_id: Option<String>,
    /// When the hour began.
    hour: u64,
    r#type: String,
    user_id: String,
    #[schema(minimum = 1)]
    events: u64,
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

/// The names of all subscriptions.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct SubscriptionNames {
    subscriptions: Vec<String>,
}

/// The settings of a subscription.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct SubscriptionSettings {
    name: String,
    filter: FilterSent,
    start: String,
    lease_ms: u64,
    max_attempts: u32,
}

/// A subscription with its position and lag.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct SubscriptionOverview {
    name: String,
    filter: FilterSent,
    start: String,
    lease_ms: u64,
    max_attempts: u32,
    position: String,
    /// Null where it can't be told.
    #[schema(required)]
    lag_commits: Option<u64>,
    in_flight: u64,
    parked: u64,
}

/// Commits for one consumer.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Deliveries {
    deliveries: Vec<Delivery>,
}

/// One commit, until its lease ends.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Delivery {
    delivery_id: String,
    #[schema(minimum = 1)]
    attempt: u32,
    commit: Commit,
}

/// How many of the ids that were sent meant something.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Settled {
    known: u64,
    unknown: u64,
}

/// One page of what was given up.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct ParkedPage {
    parked: Vec<Parked>,
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A commit that no consumer could deal with.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Parked {
    delivery_id: String,
    graph_id: String,
    version: u64,
    attempts: u32,
    reason: String,
    #[schema(required)]
    commit: Option<Commit>,
}

/// The process answers.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Alive {
    #[schema(pattern = "^ok$")]
    status: String,
}

/// The store takes writes, and projections follow.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Ready {
    #[schema(pattern = "^ready$")]
    status: String,
    /// `shards`, where shards of a cluster take no writes while others do.
    #[schema(nullable = false)]
    reasons: Option<Vec<String>>,
    /// Those shards, each with the cause; for admins, as is all that follows.
    #[schema(nullable = false)]
    impaired: Option<Vec<String>>,
    /// Where histories are, without a password.
    #[schema(nullable = false)]
    store: Option<String>,
    #[schema(nullable = false)]
    durability: Option<Durability>,
    #[schema(nullable = false)]
    projections: Option<ProjectionsHealth>,
}

/// What an acknowledgement promises.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Durability {
    name: String,
    meaning: String,
}

/// The state of projections.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct ProjectionsHealth {
    lag_commits: u64,
    lag_ms: u64,
    parked_graphs: u64,
    /// The first of them.
    parked: Vec<ParkedGraph>,
}

/// A graph whose history can't be folded.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct ParkedGraph {
    graph_id: String,
    version: u64,
    reason: String,
}
