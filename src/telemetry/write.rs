//! Metrics of the write path: outcomes of commands and of appends.

use dao_projections::CommandType;
use prometheus_client::{metrics::counter::Counter, registry::Registry};

use super::{Histogram, PerPair, PerWord, label::words, registered::registered};

words!(
    /// How an operation was answered.
    Effect, "outcome" {
        /// A commit without concurrent changes.
        Applied = "applied",
        /// A commit that was merged with concurrent changes.
        Merged = "merged",
        /// Accepted; it changed nothing.
        Unchanged = "unchanged",
        /// A repetition of an earlier operation; the first answer was sent again.
        Duplicate = "duplicate",
        /// Refused.
        Refused = "refused",
    }
);

words!(
    /// Why an operation was refused: the `code` that its author gets.
    RefusalCode, "code" {
        /// Another client changed the same field.
        Conflict = "CONFLICT",
        /// The target was deleted.
        TargetDeleted = "TARGET_DELETED",
        /// The client's version is newer than the graph's.
        VersionAhead = "VERSION_AHEAD",
        /// The history was replaced after the client read it.
        HistoryReplaced = "HISTORY_REPLACED",
        /// The id is taken.
        IdTaken = "ID_TAKEN",
        /// The node does not exist.
        NodeNotFound = "NODE_NOT_FOUND",
        /// The edge does not exist.
        EdgeNotFound = "EDGE_NOT_FOUND",
        /// The source or target of the edge does not exist.
        DanglingEdge = "DANGLING_EDGE",
        /// The parent does not exist.
        ParentNotFound = "PARENT_NOT_FOUND",
        /// A node would become its own ancestor.
        ParentCycle = "PARENT_CYCLE",
        /// The operation id was used for another request.
        OperationIdReused = "OPERATION_ID_REUSED",
        /// A document save for another version than the latest.
        VersionChanged = "VERSION_CHANGED",
        /// A document save without a base.
        BaseRequired = "BASE_REQUIRED",
        /// A document save on a base of another history.
        BaseUnknown = "BASE_UNKNOWN",
        /// A document save on a base that is too far back.
        BaseTooOld = "BASE_TOO_OLD",
        /// A document save would delete most of the graph.
        DeletesMuch = "DELETES_MUCH",
        /// An operation that is to be undone is not what it was said to be.
        OperationNotFound = "OPERATION_NOT_FOUND",
        /// Others' work stands in the way of an undo.
        UndoConflict = "UNDO_CONFLICT",
        /// The graph or the entity would be too large.
        TooLarge = "TOO_LARGE",
        /// The operation that this one builds on has not ended.
        DependencyPending = "DEPENDENCY_PENDING",
        /// The operation that this one builds on was refused.
        DependencyRefused = "DEPENDENCY_REFUSED",
        /// The graph to create exists.
        GraphExists = "GRAPH_EXISTS",
        /// The graph does not exist.
        GraphNotFound = "GRAPH_NOT_FOUND",
        /// The graph is in the trash.
        GraphTrashed = "GRAPH_TRASHED",
        /// The graph is read-only.
        GraphReadOnly = "GRAPH_READ_ONLY",
        /// The version does not exist.
        VersionNotFound = "VERSION_NOT_FOUND",
        /// The label does not exist.
        LabelNotFound = "LABEL_NOT_FOUND",
        /// The label names another version than expected.
        LabelMoved = "LABEL_MOVED",
    }
);

words!(
    /// How an operation collided with concurrent changes.
    ConflictKind, "kind" {
        /// Different fields were changed; both changes are kept.
        Merged = "merged",
        /// The same field was changed.
        SameField = "same_field",
        /// The target was deleted.
        Deleted = "deleted",
        /// The id was taken.
        IdTaken = "id_taken",
        /// An end of the edge, or the parent, was deleted.
        Missing = "missing_end",
        /// The author's version belongs to another history.
        OtherHistory = "other_history",
    }
);

words!(
    /// The outcome of an append.
    AppendOutcome, "outcome" {
        /// The commits are durable.
        Appended = "appended",
        /// Another instance appended first.
        HeadMoved = "head_moved",
        /// Some of its operations were recorded before.
        Duplicate = "duplicate",
        /// The answer was lost, so the outcome is unknown.
        Unknown = "unknown",
        /// The commits are in the log, but on fewer replicas than `REDIS_MIN_REPLICAS`.
        NotReplicated = "not_replicated",
        /// The store is unavailable or refused the append.
        Unavailable = "unavailable",
        /// The stored history is damaged.
        Corrupt = "corrupt",
    }
);

/// Metrics of the write path.
pub struct WriteMetrics {
    /// Operations by command type and outcome.
    pub commands: PerPair<CommandType, Effect, Counter>,
    /// Refused operations by code.
    pub refusals: PerWord<RefusalCode, Counter>,
    /// Operations that collided with concurrent changes.
    pub conflicts: PerWord<ConflictKind, Counter>,
    /// Appends by outcome.
    pub appends: PerWord<AppendOutcome, Counter>,
    /// The duration of an append.
    pub append_time: Histogram,
    /// Commits in a durable append.
    pub append_commits: Histogram,
    /// Operations decided in one round.
    pub round_operations: Histogram,
    /// Durable commits.
    pub commits: Counter,
    /// Requests rejected because the queue of their graph is full.
    pub overloaded: Counter,
    /// Graphs evicted from memory.
    pub hot_let_go: Counter,
    /// Graphs that were not loaded or could not grow because the graphs in use fill the memory budget.
    pub hot_refused: Counter,
    /// Graph tasks that panicked.
    pub task_panics: Counter,
}

impl WriteMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            commands: registered(registry, "commands", "Operations answered", PerPair::default()),
            refusals: registered(registry, "command_refusals", "Operations refused", PerWord::default()),
            conflicts: registered(
                registry,
                "conflicts",
                "Operations that collided with concurrent changes",
                PerWord::default(),
            ),
            appends: registered(registry, "appends", "Appends to a history", PerWord::default()),
            append_time: registered(
                registry,
                "append_duration_seconds",
                "Duration of an append",
                Histogram::of_times(),
            ),
            append_commits: registered(
                registry,
                "append_commits",
                "Commits that one append made durable",
                Histogram::of_counts(),
            ),
            round_operations: registered(
                registry,
                "round_operations",
                "Operations decided in one round of a graph",
                Histogram::of_counts(),
            ),
            commits: registered(registry, "commits", "Commits made durable", Counter::default()),
            overloaded: registered(
                registry,
                "commands_turned_away",
                "Requests rejected because the queue of their graph is full",
                Counter::default(),
            ),
            hot_let_go: registered(
                registry,
                "hot_graphs_let_go",
                "Graphs evicted from memory",
                Counter::default(),
            ),
            hot_refused: registered(
                registry,
                "hot_graphs_refused",
                "Graphs not loaded or not allowed to grow because the graphs in use fill the memory budget",
                Counter::default(),
            ),
            task_panics: registered(
                registry,
                "graph_task_panics",
                "Graph tasks that panicked",
                Counter::default(),
            ),
        }
    }
}
