//! The write path: how commands end, and how appends do.

use dao_projections::CommandType;
use prometheus_client::{metrics::counter::Counter, registry::Registry};

use super::{Histogram, PerPair, PerWord, registered, word::words};

words!(
    /// How an operation was answered.
    Effect, "outcome" {
        /// A commit that touched nothing of anybody's.
        Applied = "applied",
        /// A commit that was reconciled with those of others.
        Merged = "merged",
        /// Accepted, and it was already so.
        Unchanged = "unchanged",
        /// It had ended before, and got its first answer again.
        Duplicate = "duplicate",
        /// It can't be done.
        Refused = "refused",
    }
);

words!(
    /// Why an operation was refused: the `code` that its author is told.
    RefusalCode, "code" {
        /// Others changed the same.
        Conflict = "CONFLICT",
        /// The target was deleted.
        TargetDeleted = "TARGET_DELETED",
        /// The client holds another history.
        VersionAhead = "VERSION_AHEAD",
        /// The history was replaced since the client saw it.
        HistoryReplaced = "HISTORY_REPLACED",
        /// The id exists.
        IdTaken = "ID_TAKEN",
        /// There is no such node.
        NodeNotFound = "NODE_NOT_FOUND",
        /// There is no such edge.
        EdgeNotFound = "EDGE_NOT_FOUND",
        /// An end of the edge is not there.
        DanglingEdge = "DANGLING_EDGE",
        /// The parent is not there.
        ParentNotFound = "PARENT_NOT_FOUND",
        /// A node would be inside of itself.
        ParentCycle = "PARENT_CYCLE",
        /// The operation id is used.
        OperationIdReused = "OPERATION_ID_REUSED",
        /// An operation that is to be undone is not what it was said to be.
        OperationNotFound = "OPERATION_NOT_FOUND",
        /// Others' work stands in the way of an undo.
        UndoConflict = "UNDO_CONFLICT",
        /// The graph or the entity would be too large.
        TooLarge = "TOO_LARGE",
    }
);

words!(
    /// What happened when an operation met the work of others.
    ConflictKind, "kind" {
        /// They changed other fields, and both stand.
        Merged = "merged",
        /// They changed the same.
        SameField = "same_field",
        /// They deleted what it is about.
        Deleted = "deleted",
        /// They took the id.
        IdTaken = "id_taken",
        /// They deleted what an edge or a child would hang on.
        Missing = "missing_end",
        /// Its author holds a history that is not this one.
        OtherHistory = "other_history",
    }
);

words!(
    /// How an attempt to append ended.
    AppendOutcome, "outcome" {
        /// It is durable.
        Appended = "appended",
        /// Another instance was faster.
        HeadMoved = "head_moved",
        /// Some of its operations had ended before.
        Duplicate = "duplicate",
        /// The answer was lost.
        Unknown = "unknown",
        /// It is in the log, and on fewer replicas than `REDIS_MIN_REPLICAS`.
        NotReplicated = "not_replicated",
        /// The store refused it, or is away.
        Unavailable = "unavailable",
        /// The history can't be read.
        Corrupt = "corrupt",
    }
);

/// What the write path counts.
pub struct WriteMetrics {
    /// Operations that were answered.
    pub commands: PerPair<CommandType, Effect, Counter>,
    /// Those that were refused.
    pub refusals: PerWord<RefusalCode, Counter>,
    /// Those that met the work of others.
    pub conflicts: PerWord<ConflictKind, Counter>,
    /// Attempts to append.
    pub appends: PerWord<AppendOutcome, Counter>,
    /// How long one took.
    pub append_time: Histogram,
    /// Commits in one that is durable.
    pub append_commits: Histogram,
    /// Operations judged in one round.
    pub round_operations: Histogram,
    /// Commits that are durable.
    pub commits: Counter,
    /// Operations that were turned away because too many wait on their graph.
    pub overloaded: Counter,
    /// Graphs that were let go of to make room for others.
    pub hot_let_go: Counter,
    /// Graphs that were not loaded, or not let grow, because those in use take all the memory.
    pub hot_refused: Counter,
    /// Tasks of graphs that panicked.
    pub task_panics: Counter,
}

impl WriteMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let own = |registry: &mut Registry, name: &str, help: &str, histogram: Histogram| {
            registered(registry, name, help, histogram)
        };
        Self {
            commands: registered(registry, "commands", "Operations answered", PerPair::default()),
            refusals: registered(registry, "command_refusals", "Operations refused", PerWord::default()),
            conflicts: registered(
                registry,
                "conflicts",
                "Operations that met the work of others",
                PerWord::default(),
            ),
            appends: registered(registry, "appends", "Attempts to append to a history", PerWord::default()),
            append_time: own(
                registry,
                "append_duration_seconds",
                "How long an attempt to append took",
                Histogram::of_times(),
            ),
            append_commits: own(
                registry,
                "append_commits",
                "Commits that one append made durable",
                Histogram::of_counts(),
            ),
            round_operations: own(
                registry,
                "round_operations",
                "Operations judged in one round of a graph",
                Histogram::of_counts(),
            ),
            commits: registered(registry, "commits", "Commits made durable", Counter::default()),
            overloaded: registered(
                registry,
                "commands_turned_away",
                "Requests turned away because too many wait on their graph",
                Counter::default(),
            ),
            hot_let_go: registered(
                registry,
                "hot_graphs_let_go",
                "Graphs let go of to make room in memory for others",
                Counter::default(),
            ),
            hot_refused: registered(
                registry,
                "hot_graphs_refused",
                "Graphs not loaded, or not let grow, because those in use fill the memory",
                Counter::default(),
            ),
            task_panics: registered(
                registry,
                "graph_task_panics",
                "Tasks of graphs that panicked",
                Counter::default(),
            ),
        }
    }
}
