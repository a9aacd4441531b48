//! The write side's judgement: what a command comes to on this graph, with this history.
//!
//! Pure and total: no clock, random number, I/O or await. Not here: the loop that loads, decides,
//! appends and answers ([`crate::write`]), and how a refusal looks on the wire ([`crate::http`]).

mod ancestry;
mod command;
mod conflict;
mod decide;
mod interest;
pub(crate) mod memory;
mod record;
mod refusal;
mod size;
mod undo;

pub(crate) use command::fields_of;
pub use command::{Action, Claim, Command, Member, OnConflict, Operation, Target};
pub use conflict::{History, HistoryMissing, Verdict, judge};
pub use decide::Limits;
pub use interest::Interest;
pub use record::{Circumstances, Fingerprint, OperationRecord, RecordedOutcome, WriterId};
pub use refusal::{Conflict, Reason, Refusal, Resolution};
pub use size::json_bytes;
pub use undo::{
    OPERATIONS_MAX as UNDO_OPERATIONS_MAX, Past, Reverted, SkipReason, Skipped, Tracing, UndoResult, Undone,
};
