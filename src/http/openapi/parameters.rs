//! Parameters, as the document shows them: ids in paths, questions in queries. What is checked is in
//! `extractors` and beside the handlers.

mod audit;
mod versions;

use utoipa::{IntoParams, ToSchema};

pub(in crate::http) use self::{audit::*, versions::*};
use super::words::OnConflict;

/// A graph.
#[derive(IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(in crate::http) struct GraphPath {
    /// The graph's id.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$", example = "demo")]
    graph_id: String,
}

/// A node of a graph.
#[derive(IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(in crate::http) struct NodePath {
    /// The graph's id.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$", example = "demo")]
    graph_id: String,
    /// The node's id.
    #[param(min_length = 1, max_length = 1024, example = "a")]
    node_id: String,
}

/// An edge of a graph.
#[derive(IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(in crate::http) struct EdgePath {
    /// The graph's id.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$", example = "demo")]
    graph_id: String,
    /// The edge's id.
    #[param(min_length = 1, max_length = 1024, example = "a-b")]
    edge_id: String,
}

/// An operation.
#[derive(IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(in crate::http) struct OperationPath {
    /// The operation's id.
    #[param(format = "uuid")]
    operation_id: String,
}

/// Which record, where several graphs used the id.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct OperationQuery {
    /// The graph. Without it: the oldest record among graphs you may read.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$", example = "demo")]
    graph_id: Option<String>,
}

/// A subscription.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(in crate::http) struct SubscriptionPath {
    /// The subscription's name.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", example = "search-index")]
    name: String,
}

/// A read of the graph as it is.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct LatestQuery {
    /// Waits up to two seconds for this version: the one that the reader's own write was answered with.
    #[param(minimum = 0)]
    min_version: Option<u64>,
}

/// Which graphs. All that is given must hold.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct CatalogQuery {
    /// The beginning of the id.
    prefix: Option<String>,
    /// In the id, title, description or a tag, whatever the case.
    q: Option<String>,
    /// One of the tags.
    tag: Option<String>,
    /// The owner.
    owner: Option<String>,
    /// The name of a label that the graph has.
    label: Option<String>,
    /// The value of a field of `data`, for any key: `data.stage=draft`. Numbers, booleans and null are written as in JSON.
    #[param(rename = "data.{key}")]
    data: Option<String>,
    /// Graphs in the trash: `no` by default.
    #[param(pattern = "^(no|only|any)$")]
    trashed: Option<String>,
    /// `updated` by default.
    #[param(pattern = "^(updated|created|title|id)$")]
    sort: Option<String>,
    /// The newest or the smallest first, as `sort` says, by default.
    #[param(pattern = "^(asc|desc)$")]
    order: Option<String>,
    /// Graphs in the answer.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// The idempotency key of a verb.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(in crate::http) struct IdempotencyKey {
    /// The operation id: sent again it is not done again. Made by the server where it is left out.
    #[param(rename = "Idempotency-Key", format = "uuid")]
    idempotency_key: Option<String>,
}

/// What goes with a document save.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(in crate::http) struct SaveHeaders {
    /// The operation id: sent again it is not done again. Made by the server where it is left out.
    #[param(rename = "Idempotency-Key", format = "uuid")]
    idempotency_key: Option<String>,
    /// Which of the user's clients this is, a tab for one.
    #[param(rename = "X-Client-Id", min_length = 1, max_length = 256)]
    client_id: Option<String>,
    /// The tag of the version that the graph must have, else the answer is 412.
    #[param(rename = "If-Match")]
    if_match: Option<String>,
    /// `*`: only a graph without commits.
    #[param(rename = "If-None-Match", pattern = "^\\*$")]
    if_none_match: Option<String>,
}

/// Why a graph is put into the trash.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct DeleteGraphQuery {
    /// Kept with it; at most 1 KiB.
    #[param(max_length = 1024)]
    reason: Option<String>,
    /// The graph that takes its place.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
    moved_to: Option<String>,
}

/// A document save.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct SaveQuery {
    /// The base of the document that was read: `X-Base`, or `base` of an answer.
    base: Option<String>,
    /// What happens where others changed the same since the base.
    on_conflict: Option<OnConflict>,
    /// What to do without a base: `merge` deletes nothing, `replace` makes the graph exactly this.
    #[param(inline)]
    mode: Option<SaveMode>,
    /// What to do about what the document lacks.
    #[param(inline)]
    absent: Option<SaveAbsent>,
    /// Whether the viewport is written although the graph has one.
    #[param(inline)]
    viewport: Option<SaveViewport>,
    /// JSON Pointers of fields that are ignored, separated by commas.
    ignore: Option<String>,
    /// The number of nodes that are deleted, where they are many.
    #[param(minimum = 0)]
    deletes: Option<u64>,
}

/// A save without a base.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::http) enum SaveMode {
    /// Adds and updates.
    Merge,
    /// The graph becomes exactly this.
    Replace,
}

/// What the document lacks.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::http) enum SaveAbsent {
    /// It is deleted.
    Delete,
    /// It is left alone.
    Keep,
}

/// Whether the viewport of the document is written.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::http) enum SaveViewport {
    /// It is.
    Save,
    /// Only on a graph that has none.
    Ignore,
}

/// A catch-up.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct ChangesQuery {
    /// The version that the client has; 0 by default.
    #[param(minimum = 0)]
    since: Option<u64>,
    /// The hash of that version: without it the history can't be checked.
    hash: Option<String>,
    /// Commits in the answer.
    #[param(minimum = 1, maximum = 10_000, default = 1_000)]
    limit: Option<u32>,
    /// Waits up to two seconds for this version.
    #[param(minimum = 0)]
    min_version: Option<u64>,
}

/// A stream of one graph.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct GraphEventsQuery {
    /// Commits after this version; 0 by default.
    #[param(minimum = 0)]
    since: Option<u64>,
    /// The hash of that version.
    hash: Option<String>,
    /// Whether the stream goes on with what happens next: by default as server-sent events, not as lines.
    follow: Option<bool>,
    /// Names of events, with commas between them.
    types: Option<String>,
    /// User ids, with commas between them.
    users: Option<String>,
    /// Waits up to two seconds for this version.
    #[param(minimum = 0)]
    min_version: Option<u64>,
}

/// A stream of all graphs.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct AllEventsQuery {
    /// A position; `0` is the beginning, and left out it is now.
    since: Option<String>,
    /// Whether the stream goes on with what happens next: by default as server-sent events, not as lines.
    follow: Option<bool>,
    /// Names of events, with commas between them.
    types: Option<String>,
    /// Globs of graph ids, with commas between them.
    graphs: Option<String>,
    /// User ids, with commas between them.
    users: Option<String>,
}

/// What a stream goes on from; beats `since`.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(in crate::http) struct Resume {
    /// The last `id:` of a stream before.
    #[param(rename = "Last-Event-ID")]
    last_event_id: Option<String>,
}

/// Work for a consumer.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct NextQuery {
    /// Deliveries in the answer.
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    max: Option<u32>,
    /// How long to wait for one, in milliseconds.
    #[param(minimum = 0, maximum = 30_000, default = 0)]
    wait: Option<u32>,
}

/// A page of connections.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ConnectionsQuery {
    /// Connections in the answer.
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    #[param(format = "uuid")]
    cursor: Option<String>,
}

/// A page.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct PageQuery {
    /// Rows in the answer.
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A WebSocket.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct SocketQuery {
    /// Subscribes to this graph at once.
    graph_id: Option<String>,
    /// The version that the client has.
    #[param(minimum = 0)]
    version: Option<u64>,
    /// The hash of that version.
    hash: Option<String>,
    /// Which client this is, for its commands and presence; the connection by default.
    client_id: Option<String>,
    /// Who connects, where no keys are configured: a browser's WebSocket can't send `X-User-Id`.
    user_id: Option<String>,
}
