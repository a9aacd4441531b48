//! What wakes a connection for a followed graph.

use tokio::time::Instant;

/// Something happened to a followed graph.
pub(super) enum Wake {
    /// There may be commits. Later ones wake nobody before `asleep_until`.
    Commits { generation: u64, asleep_until: Option<Instant> },
    /// The graph's task ended, so its handle must be replaced.
    Ended { generation: u64 },
    /// Somebody's presence changed.
    Presence { generation: u64 },
}
