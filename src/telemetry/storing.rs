//! The store: what is asked of it, and how it fails.

use prometheus_client::{metrics::counter::Counter, registry::Registry};

use super::{PerWord, registered, word::words};

words!(
    /// What a store is asked for.
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
        Park = "park",
        Document = "document",
    }
);

words!(
    /// How a call failed.
    StoreErrorKind, "kind" {
        /// The store is away, or refused; nothing was changed.
        Unavailable = "unavailable",
        /// The answer was lost.
        OutcomeUnknown = "outcome_unknown",
        /// It is in the log, and on fewer replicas than `REDIS_MIN_REPLICAS`.
        NotReplicated = "not_replicated",
        /// What it holds is no history.
        Corrupt = "corrupt",
    }
);

/// What is counted of calls of the store.
pub struct StoreMetrics {
    /// Calls, those of one kind together.
    pub calls: PerWord<StoreCall, Counter>,
    /// Those that failed.
    pub errors: PerWord<StoreErrorKind, Counter>,
}

impl StoreMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            calls: registered(registry, "store_calls", "Calls of the store", PerWord::default()),
            errors: registered(
                registry,
                "store_errors",
                "Calls of the store that failed",
                PerWord::default(),
            ),
        }
    }
}
