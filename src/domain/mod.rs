//! The domain logic of the write side: what a command does to a graph with this history.
//!
//! Pure and total: no clock, random number, I/O or await. Not here: the loop that loads, decides, appends and answers
//! ([`crate::write`]), and the wire form of a refusal ([`crate::http`]).

mod ancestry;
mod batch_update;
mod command;
mod conflict;
mod copy;
mod decide;
mod descendants;
mod document;
mod entity_change;
mod interest;
mod labels;
mod lifecycle;
mod limits;
pub(crate) mod memory;
mod order;
mod record;
mod refusal;
mod rejection;
mod restore;
mod rfc3339;
mod size;
mod touched;
mod undo;
mod version_ref;
mod weight;

pub use command::{Action, Claim, Command, IfMissing, Member, OnConflict, Operation, Target};
pub use conflict::{History, HistoryMissing, SaveReport, Saved, SkippedMember, Verdict, judge, judge_save};
pub use copy::{COPY_BYTES_MAX, CopyFrom, CopyPart, Source};
pub use document::{
    Absent, Base, Change, Document, ExpectedHead, Ignored, Intent, Reading, Save, Saver, WithoutBase,
};
pub use interest::Interest;
pub use labels::{LABELS_MAX, LabelTo, Labelling};
pub use lifecycle::{ATTRIBUTES_BYTES_MAX, with_purge_times};
pub use limits::{AutoCreate, Limits};
pub use record::{Circumstances, Fingerprint, OperationRecord, RecordedOutcome, WriterId};
pub use refusal::{Conflict, Details, Reason, Refusal, Resolution};
pub use restore::{
    RESTORE_IDS_MAX, RESTORED_BYTES_MAX, RestorePart, RestoreResult, RestoreScope, Restoring, SkippedEntity,
};
pub use rfc3339::readable;
pub use size::json_bytes;
pub use touched::Touched;
pub use undo::{
    OPERATIONS_MAX as UNDO_OPERATIONS_MAX, Past, Reverted, SkipReason, Skipped, Tracing, UndoResult, Undone,
};
pub use version_ref::{InvalidVersionRef, VersionRef};
pub(crate) use weight::fields_of;
