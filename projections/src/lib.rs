//! Events, commits, and the folds of commits into graphs and rows.
//!
//! This crate owns the event vocabulary, the stored form of a commit with its hash chain, and the
//! folds over commits. An analyst's own program can depend on it alone to read the streams.
//!
//! Invariants:
//! - Nothing here is async, does I/O, reads a clock or draws a random number: the same commits fold
//!   to the same state on every machine.
//! - Folding cannot fail and never judges. History already happened; commands are judged elsewhere, before there is an
//!   event.
//! - A value that exists is valid: identifiers, positions and viewports are checked when they are
//!   made and nowhere else.
//!
//! Not here: commands, conflict rules, stores, and the JSON that HTTP clients see of a whole graph.

#![forbid(unsafe_code)]

mod activity;
mod catalog;
mod commit;
mod commit_memory;
mod diff;
mod entity;
mod event;
mod graph;
mod history;
mod id;
mod memory;
mod metadata;
mod order;
mod patch;
mod projection;
mod registered;
mod snapshot;
mod strict;
mod told;
mod trace;
mod version;

pub use activity::{Activity, ActivityKey};
pub use catalog::{Catalog, CatalogRow, ListKeys};
pub use commit::{CommandType, Commit, CommitBody, DecodeError, FORMAT, Outcome};
pub use diff::{Change, Changed, GraphDiff, TableDiff, ViewportChange};
pub use entity::{Edge, Map, Node, Position, ShapeError, Timestamp, Viewport, json_kind};
pub use event::{Entity, EntityKind, Event};
pub use graph::{Graph, Ordinal, Placed, Table};
pub use history::{Subject, Tracked};
pub use id::{ClientId, EdgeId, GraphId, InvalidId, LabelName, NodeId, OperationId, UserId};
pub use metadata::{Attributes, Label, Labels, Metadata, Origin, Trashed};
pub use patch::{MergePatch, Pointer};
pub use projection::{Folding, Projection, Registered, RowError, Rows};
pub use registered::PROJECTIONS;
pub use snapshot::{Snapshot, SnapshotRow, graph_of_rows, snapshot_rows};
pub use strict::{Misfit, fold_strictly};
pub use told::{ToldEntity, ToldState};
pub use trace::{InvalidTraceParent, TraceParent};
pub use version::{Hash, Head, InvalidHash, Version};
