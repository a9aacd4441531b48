//! What auditors and analysts get: operations, differences, histories, verification, activity.

use std::collections::HashMap;

use utoipa::ToSchema;

use super::{
    super::{Json, problems::Problem, requests::Viewport},
    Edge, Event, Node, Outcome,
};
use crate::http::openapi::words::{CommandType, Status};

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
    /// In a list of all graphs.
    #[schema(nullable = false)]
    graph_id: Option<String>,
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
    /// The operations that it undoes; absent if it undoes none.
    #[schema(nullable = false)]
    undoes: Option<Vec<String>>,
    /// The operation that undid it last; absent if none did.
    #[schema(nullable = false)]
    undone_by: Option<Vec<String>>,
    /// The version whose contents it restores; absent if it restores none.
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
    /// The difference between the attributes of the graph; absent if there is none.
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

/// Who wrote each node and edge last, by its id.
#[derive(ToSchema)]
pub(in crate::http) struct Authors(HashMap<String, Author>);

/// Who wrote an entity last.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Author {
    #[schema(minimum = 1)]
    version: u64,
    user_id: String,
    /// Milliseconds since the Unix epoch.
    timestamp: u64,
}

/// The activity of a graph: counts, or buckets if `bucket` was given.
#[derive(ToSchema)]
#[serde(untagged)]
pub(in crate::http) enum GraphActivity {
    Counts(Activity),
    Buckets(ActivityBuckets),
}

/// What happened in a graph over time.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct ActivityBuckets {
    graph_id: String,
    /// Up to which version events are counted.
    version: u64,
    /// How long each bucket is, in milliseconds.
    #[schema(minimum = 3_600_000)]
    bucket_ms: u64,
    /// In order, without those in which nothing happened.
    #[schema(max_items = 500)]
    buckets: Vec<ActivityBucket>,
}

/// Events of one stretch of time.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ActivityBucket {
    /// When it began, in milliseconds since the Unix epoch.
    at: u64,
    #[schema(minimum = 1)]
    events: u64,
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
