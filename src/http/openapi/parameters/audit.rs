//! What auditors and analysts ask: operations, the history of an entity, activity.

use utoipa::IntoParams;

use crate::http::openapi::words::{CommandType, EventName, Status};

/// An audit.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct OperationsQuery {
    /// Only operations of this user.
    user: Option<String>,
    /// Only operations of this command type.
    r#type: Option<CommandType>,
    /// Only operations on this node or edge: an id that an event names.
    entity: Option<String>,
    /// Only operations at or after this time, in milliseconds since the Unix epoch.
    #[param(minimum = 0)]
    from: Option<u64>,
    /// Only operations at or before this time, in milliseconds since the Unix epoch.
    #[param(minimum = 0)]
    to: Option<u64>,
    /// Only operations with this outcome.
    status: Option<Status>,
    /// Only operations that were refused with this code.
    #[param(pattern = "^[A-Z_]+$")]
    code: Option<String>,
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

/// An audit of all graphs.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(in crate::http) struct AllOperationsQuery {
    /// Globs of graph ids, with commas between them.
    graphs: Option<String>,
    /// Only operations of this user.
    user: Option<String>,
    /// Only operations of this command type.
    r#type: Option<CommandType>,
    /// Only operations on a node or edge of this id.
    entity: Option<String>,
    /// Only operations at or after this time, in milliseconds since the Unix epoch.
    #[param(minimum = 0)]
    from: Option<u64>,
    /// Only operations at or before this time, in milliseconds since the Unix epoch.
    #[param(minimum = 0)]
    to: Option<u64>,
    /// Only operations with this outcome.
    status: Option<Status>,
    /// Only operations that were refused with this code.
    #[param(pattern = "^[A-Z_]+$")]
    code: Option<String>,
    /// Operations in the answer; a page may be shorter before the last.
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
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
    /// Only events of this user.
    user: Option<String>,
    /// Only events of this type.
    r#type: Option<EventName>,
    /// Only hours that end after this time, in milliseconds since the Unix epoch.
    #[param(minimum = 0)]
    from: Option<u64>,
    /// Only hours that begin at or before this time, in milliseconds since the Unix epoch.
    #[param(minimum = 0)]
    to: Option<u64>,
    /// Counts in the answer.
    #[param(minimum = 1, maximum = 10_000, default = 1_000)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Buckets instead of counts.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct BucketQuery {
    /// How long a bucket is at least: `auto`, `hour`, `day`, `week` or milliseconds. They are longer where there would be more
    /// than 500.
    #[param(pattern = "^(auto|hour|day|week|[0-9]+)$")]
    bucket: Option<String>,
}
