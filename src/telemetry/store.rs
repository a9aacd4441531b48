//! Metrics of the store: calls and errors.

use prometheus_client::{metrics::counter::Counter, registry::Registry};

use super::{PerWord, label::words, registered::registered};

words!(
    /// A call to the store.
    #[allow(missing_docs)]
    StoreCall, "call" {
        Append = "append",
        Head = "head",
        Read = "read",
        Operations = "operations",
        Refusals = "refusals",
        Graphs = "graphs",
        FindOperation = "find_operation",
        Broadcast = "broadcast",
        Check = "check",
        Feed = "feed",
        Place = "place",
        Lease = "lease",
        Rows = "rows",
        ChangeRows = "change_rows",
        Checkpoint = "checkpoint",
        List = "list",
        Purge = "purge",
        Park = "park",
        Document = "document",
    }
);

words!(
    /// Why a call failed.
    StoreErrorKind, "kind" {
        /// The store is unavailable or refused the call. Nothing changed.
        Unavailable = "unavailable",
        /// The answer was lost, so the outcome is unknown.
        OutcomeUnknown = "outcome_unknown",
        /// The commit is in the log, but on fewer replicas than `REDIS_MIN_REPLICAS`.
        NotReplicated = "not_replicated",
        /// The stored history is damaged.
        Corrupt = "corrupt",
    }
);

/// Metrics of the store.
pub struct StoreMetrics {
    /// Calls by kind.
    pub calls: PerWord<StoreCall, Counter>,
    /// Failed calls by kind of error.
    pub errors: PerWord<StoreErrorKind, Counter>,
}

impl StoreMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            calls: registered(registry, "store_calls", "Calls to the store", PerWord::default()),
            errors: registered(
                registry,
                "store_errors",
                "Calls to the store that failed",
                PerWord::default(),
            ),
        }
    }
}
