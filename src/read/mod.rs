//! The read path: questions over hot graphs and the log.
//!
//! Invariants:
//! - A read is never older than what any instance had acknowledged when it was asked, unless the
//!   store is unavailable, and then it says so.
//! - What auditors ask costs a bounded piece of the history a request, but for [`verify`].
//! - The changes since a version cost what their range costs, never what the graph costs.
//!
//! Not here: JSON and status codes.

mod activity;
mod activity_buckets;
mod all_operations;
mod audit;
mod authors;
mod catalog;
mod diff;
mod error;
mod filter;
mod history;
mod history_walk;
mod operation;
mod resume;
mod state;
mod undone;
mod verify;
mod version_named;
mod version_wait;

pub use self::filter::{CommitFilter, FilterError, FilterLists};
pub use crate::store::{
    FeedPlace, ListOrder, ListPlace, ListSort, Order, RefusalPlace, StoreError, StoredCommit,
};
pub use activity::{
    ActivityCount, ActivityFilter, ActivityFound, ActivityPlace, ActivityWait, activity, all_activity,
};
pub use activity_buckets::{BUCKET_MS_MIN, BUCKETS_MAX, Bucket, BucketsFound, activity_buckets};
pub use all_operations::{AllOperationsPage, AllOperationsPlace, AllOperationsQuery, all_operations};
pub use audit::{AuditFilter, AuditQuery, ListedOperation, OperationPage, OperationStatus, operations};
pub use authors::{Author, authors};
pub use catalog::{CatalogFilter, CatalogFound, CatalogPage, LOOKED_AT_MAX, TrashFilter, catalog};
pub use diff::{Difference, diff};
pub use error::ReadError;
pub use history::{EntityChange, EntityHistory, history};
pub use operation::{OperationEnding, OperationFound, operation};
pub use resume::{Changes, Resume, ResumeHash, changes, continued, from_log, resume};
pub use state::{CurrentState, StateSource, at_version, current};
pub use verify::{BadCommit, Verification, verify};
pub use version_named::{NamedVersion, at, version_named};
pub use version_wait::await_version;
