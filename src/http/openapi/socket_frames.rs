//! The frames of a WebSocket, as the document shows them (rules W). A test holds real frames against them, and
//! that they name all there is.

use std::collections::HashMap;

use utoipa::ToSchema;

use super::{
    Json,
    problems::Resolution,
    requests::{Command, CommandBody, IfMissing},
    responses::{Effect, Event, Outcome, SkippedMember, State},
    words::{CommandType, OnConflict},
};

/// What a client says on a WebSocket: one object a frame, as JSON text or binary MessagePack.
#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(clippy::large_enum_variant, reason = "it is only described, and never made")]
pub(in crate::http) enum ClientFrame {
    Subscribe(SubscribeFrame),
    Unsubscribe(UnsubscribeFrame),
    Command(CommandFrame),
    Batch(BatchFrame),
    Presence(OwnPresenceFrame),
    Auth(AuthFrame),
    Ping(PingFrame),
}

/// What the server says on a WebSocket.
#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
pub(in crate::http) enum ServerFrame {
    Welcome(WelcomeFrame),
    Sync(SyncFrame),
    Access(AccessFrame),
    StateUpdate(StateUpdateFrame),
    Ack(AckFrame),
    Revert(RevertFrame),
    Presence(PresenceFrame),
    Authenticated(AuthenticatedFrame),
    Pong(PongFrame),
    Error(ErrorFrame),
    Goodbye(GoodbyeFrame),
}

/// Follows a graph from a resume point; without one, from a snapshot (W2).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct SubscribeFrame {
    graph_id: String,
    /// The version that the client has applied.
    version: Option<u64>,
    /// The hash of that version.
    hash: Option<String>,
    /// Operations whose outcome the client does not know; `SYNC` answers them in `settled`.
    #[schema(max_items = 1000)]
    pending: Option<Vec<String>>,
}

/// Stops following a graph (W10).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct UnsubscribeFrame {
    graph_id: String,
}

/// One command (W5).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct CommandFrame {
    graph_id: String,
    /// The idempotency key: sent again it is not applied again.
    #[schema(format = "uuid")]
    operation_id: String,
    /// The version that the client had applied when it made the command.
    client_version: Option<u64>,
    /// The hash of that version, so that an edit of another history is recognised (D8).
    client_hash: Option<String>,
    /// Which of the user's clients this is; that of the connection by default.
    client_id: Option<String>,
    on_conflict: Option<OnConflict>,
    /// The operation that this one builds on: it runs only if that one was accepted.
    #[schema(format = "uuid")]
    after: Option<String>,
    /// Where in a trace it was asked for (W3C Trace Context).
    traceparent: Option<String>,
    command: Command,
}

/// Several commands: as one commit, or each by itself (W5).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct BatchFrame {
    graph_id: String,
    /// The operation id of an atomic batch, and what the answer names.
    #[schema(format = "uuid")]
    batch_id: String,
    atomic: Option<bool>,
    operations: Vec<CommandBody>,
    /// For members that have none of their own.
    client_version: Option<u64>,
    /// The hash of that version, so that an edit of another history is recognised (D8).
    client_hash: Option<String>,
    client_id: Option<String>,
    on_conflict: Option<OnConflict>,
    /// Of an atomic batch; `refuse` if it is left out.
    if_missing: Option<IfMissing>,
    /// The operation that the batch builds on.
    #[schema(format = "uuid")]
    after: Option<String>,
    traceparent: Option<String>,
}

/// What others are to see of this client, like a cursor; null clears it (W7).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct OwnPresenceFrame {
    graph_id: String,
    client_id: Option<String>,
    /// Which of the client's presences this is, at most four of them; the one without a name by default.
    #[schema(pattern = "^[A-Za-z0-9._-]{0,32}$")]
    slot: Option<String>,
    state: Json,
}

/// Proves who sends, first and when a token is renewed (O1).
#[derive(ToSchema)]
pub(in crate::http) struct AuthFrame {
    token: String,
}

/// Asks for `PONG`: send one every `heartbeatMs / 2`.
#[derive(ToSchema)]
pub(in crate::http) struct PingFrame {}

/// The first frame of a connection (W1).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct WelcomeFrame {
    #[schema(format = "uuid")]
    connection_id: String,
    /// How often the server pings; after two of these in silence a connection is gone.
    heartbeat_ms: u64,
    limits: SocketLimits,
    /// Milliseconds since the Unix epoch.
    server_time: u64,
}

/// What a connection may send (O3).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct SocketLimits {
    message_bytes: u64,
    entity_bytes: u64,
    batch_operations: u64,
    json_depth: u64,
    /// Graphs that one connection may follow.
    subscriptions: u64,
    /// Requests under way on one connection.
    in_flight: u64,
    presence_bytes: u64,
    /// For how long at least a repeated operation id is recognised.
    operation_ttl_ms: u64,
}

/// Where a followed graph stands, and what the client gets next (W2).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct SyncFrame {
    graph_id: String,
    version: u64,
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
    status: SyncStatus,
    /// The resume point that was given is not of this history.
    #[schema(nullable = false)]
    reset: Option<bool>,
    access: Access,
    settled: Vec<SettledOperation>,
    /// With `snapshot`: start from this.
    #[schema(nullable = false)]
    state: Option<State>,
}

/// What the client may do in a followed graph, after a renewed token changed it (W2).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct AccessFrame {
    graph_id: String,
    access: Access,
}

/// What somebody may do in a graph; each includes those before it (O1).
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::http) enum Access {
    Read,
    Write,
    Admin,
}

/// `replay`: the missing commits follow. `snapshot`: drop what you have and start from `state`.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(in crate::http) enum SyncStatus {
    InSync,
    Replay,
    Snapshot,
}

/// The outcome of an operation that `SUBSCRIBE` asked about (W3).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct SettledOperation {
    #[schema(format = "uuid")]
    operation_id: String,
    status: SettledStatus,
    #[schema(nullable = false)]
    version: Option<u64>,
    /// Why it was refused.
    #[schema(nullable = false)]
    code: Option<String>,
}

/// `unknown`: send the operation again.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::http) enum SettledStatus {
    Completed,
    Conflict,
    Failed,
    Unknown,
}

/// A commit to a followed graph (W4).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct StateUpdateFrame {
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
    #[schema(nullable = false)]
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

/// An accepted `COMMAND` or atomic `BATCH`; of another batch, how each member went in `results` (W5).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct AckFrame {
    graph_id: String,
    #[schema(nullable = false)]
    accepted: Option<bool>,
    #[schema(nullable = false, pattern = "^completed$")]
    status: Option<String>,
    #[schema(format = "uuid")]
    operation_id: String,
    /// Of a batch, the same as `operationId`.
    #[schema(format = "uuid", nullable = false)]
    batch_id: Option<String>,
    #[schema(nullable = false)]
    version: Option<u64>,
    #[schema(pattern = "^[0-9a-f]{64}$", nullable = false)]
    hash: Option<String>,
    #[schema(nullable = false)]
    outcome: Option<Effect>,
    /// The entity as it now stands, or what was deleted.
    #[schema(nullable = false)]
    result: Option<Json>,
    /// Of a batch: one a member.
    #[schema(nullable = false)]
    results: Option<Vec<Json>>,
    /// Of an atomic batch with `ifMissing: skip`: members that were left out.
    #[schema(nullable = false)]
    skipped: Option<Vec<SkippedMember>>,
    /// It was applied before: this is the first outcome again.
    #[schema(nullable = false)]
    duplicate: Option<bool>,
}

/// A refused `COMMAND` or `BATCH`; with `temporary`, keep the edit and send the same frame again (W5).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct RevertFrame {
    #[schema(format = "uuid")]
    operation_id: String,
    graph_id: String,
    code: String,
    message: String,
    temporary: bool,
    #[schema(nullable = false)]
    retry_after_ms: Option<u64>,
    version: u64,
    #[schema(nullable = false)]
    resolution: Option<Resolution>,
    /// Which member of a batch it is about.
    #[schema(nullable = false)]
    index: Option<u32>,
    #[schema(nullable = false)]
    duplicate: Option<bool>,
    /// Nodes that a document save would delete, of `DELETES_MUCH`.
    #[schema(nullable = false)]
    nodes: Option<u64>,
    /// Edges that it would delete.
    #[schema(nullable = false)]
    edges: Option<u64>,
    /// With `GRAPH_TRASHED`: since when, in milliseconds since the Unix epoch.
    #[schema(nullable = false)]
    at: Option<u64>,
    /// Who put the graph into the trash.
    #[schema(nullable = false)]
    by: Option<String>,
    /// When it may be purged.
    #[schema(nullable = false)]
    purge_at: Option<u64>,
    /// The graph that takes its place.
    #[schema(nullable = false)]
    moved_to: Option<String>,
}

/// What another client shows; null when it has gone (W7).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct PresenceFrame {
    graph_id: String,
    client_id: String,
    user_id: String,
    /// Left out for the slot without a name.
    #[schema(nullable = false)]
    slot: Option<String>,
    state: Json,
}

/// The token was accepted (O1).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct AuthenticatedFrame {
    user_id: String,
    /// When the token expires, in milliseconds since the Unix epoch.
    #[schema(nullable = false)]
    expires_at: Option<u64>,
}

/// The answer to `PING`: the version of each followed graph.
#[derive(ToSchema)]
pub(in crate::http) struct PongFrame {
    versions: HashMap<String, u64>,
}

/// A frame that could not be acted on (W9).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct ErrorFrame {
    code: String,
    message: String,
    #[schema(nullable = false)]
    graph_id: Option<String>,
    #[schema(format = "uuid", nullable = false)]
    operation_id: Option<String>,
    #[schema(nullable = false)]
    retry_after_ms: Option<u64>,
}

/// The server stops: connect again after this time (W9).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct GoodbyeFrame {
    reconnect_after_ms: u64,
}
