//! Parameters, as the document shows them: ids in paths, questions in queries. What is checked is in
//! `extract` and beside the handlers.

use utoipa::IntoParams;

/// A graph.
#[derive(IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(in crate::http) struct GraphPath {
    /// Which graph.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$", example = "demo")]
    graph_id: String,
}

/// A node of a graph.
#[derive(IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(in crate::http) struct NodePath {
    /// Which graph.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$", example = "demo")]
    graph_id: String,
    /// Which node.
    #[param(min_length = 1, max_length = 1024, example = "a")]
    node_id: String,
}

/// An edge of a graph.
#[derive(IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(in crate::http) struct EdgePath {
    /// Which graph.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$", example = "demo")]
    graph_id: String,
    /// Which edge.
    #[param(min_length = 1, max_length = 1024, example = "a-b")]
    edge_id: String,
}

/// An operation.
#[derive(IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(in crate::http) struct OperationPath {
    /// Which operation.
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
    /// Which subscription.
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

/// A read of a state.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct StateQuery {
    /// The graph as it was after this commit.
    #[param(minimum = 0)]
    version: Option<u64>,
    /// Waits up to two seconds for this version.
    #[param(minimum = 0)]
    min_version: Option<u64>,
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

/// An audit.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct OperationsQuery {
    /// Whose.
    user: Option<String>,
    /// Of which command.
    r#type: Option<super::answers::CommandType>,
    /// About which node or edge: an id that an event names.
    entity: Option<String>,
    /// From when on, in milliseconds since the Unix epoch.
    #[param(minimum = 0)]
    from: Option<u64>,
    /// Until when, inclusive.
    #[param(minimum = 0)]
    to: Option<u64>,
    /// How it ended.
    status: Option<super::answers::Status>,
    /// Oldest first (`asc`), or newest first (`desc`, the default).
    #[param(pattern = "^(asc|desc)$")]
    order: Option<String>,
    /// Operations in the answer; a page may be shorter before the last.
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
    /// Waits up to two seconds for this version.
    #[param(minimum = 0)]
    min_version: Option<u64>,
}

/// A comparison.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct DiffQuery {
    /// The one version.
    #[param(minimum = 0)]
    from: u64,
    /// The other one; the current one by default.
    #[param(minimum = 0)]
    to: Option<u64>,
    /// Waits up to two seconds for this version.
    #[param(minimum = 0)]
    min_version: Option<u64>,
}

/// A history of one entity.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct HistoryQuery {
    /// Commits in the answer.
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
    /// Waits up to two seconds for this version.
    #[param(minimum = 0)]
    min_version: Option<u64>,
}

/// Counts of events.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct ActivityQuery {
    /// Whose.
    user: Option<String>,
    /// Of which event.
    r#type: Option<EventName>,
    /// From when on, in milliseconds since the Unix epoch.
    #[param(minimum = 0)]
    from: Option<u64>,
    /// Until when, inclusive.
    #[param(minimum = 0)]
    to: Option<u64>,
    /// Counts in the answer.
    #[param(minimum = 1, maximum = 10_000, default = 1_000)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// The name of an event.
#[derive(utoipa::ToSchema)]
pub(in crate::http) enum EventName {
    NodeCreated,
    NodeUpdated,
    NodeMoved,
    NodeReplaced,
    NodeDeleted,
    EdgeCreated,
    EdgeUpdated,
    EdgeReplaced,
    EdgeDeleted,
    ViewportSet,
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
}
