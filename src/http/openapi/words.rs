//! Words that parameters, bodies and answers share.

use utoipa::ToSchema;

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
    NodeRestored,
    EdgeRestored,
    GraphCreated,
    GraphUpdated,
    GraphTrashed,
    GraphRecovered,
    GraphForked,
    VersionLabelled,
}

/// What happens if others changed the same since `clientVersion`.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::http) enum OnConflict {
    /// Other fields are merged, the same field is a conflict.
    Merge,
    /// The last writer wins.
    Overwrite,
    /// Any commit of others to the target is a conflict.
    Reject,
    /// Of a document save only: what stands is kept, the rest is written.
    Keep,
}

/// What became of an operation.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::http) enum Status {
    Completed,
    Conflict,
    Failed,
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
    SaveDocument,
    Undo,
    Batch,
    CreateGraph,
    UpdateGraph,
    DeleteGraph,
    RecoverGraph,
    LabelVersion,
    RestoreVersion,
}
