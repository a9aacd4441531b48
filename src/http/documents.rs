//! Documents from elsewhere than a connection (files, for one), read by the rules of bodies: exact numbers (G6),
//! nesting and size bounded (O3), repeated keys told (H1).
//!
//! Not here: what a document means, and which of its keys may be repeated ([`crate::cli`] knows that of files).

use dao_projections::{Pointer, UserId};
use serde_json::Value;

use super::{
    command_parser::{read_batch, read_command},
    decode::{Document, DocumentLimits, decode},
    duplicate_keys::duplicate_keys,
    format::Format,
    json_shape::Malformed,
    request_limits::RequestLimits,
};
use crate::domain::Operation;

/// Levels that files may put around what becomes a payload.
const WRAPPERS_MAX: usize = 16;

/// A document that was read.
#[derive(Debug)]
pub struct ReadDocument {
    /// What it says.
    pub value: Value,
    /// The places of keys that stand more than once in their object, the first of many; of those the last counts.
    pub repeated: Vec<Pointer>,
}

/// Why a document can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The path to what is wrong, dotted; empty where that is the document as a whole.
    pub place: String,
    /// What is wrong there, with line and column where the notation is.
    pub problem: String,
}

/// Reads JSON. A byte order mark is ignored.
pub fn read_document(bytes: &[u8], limits: &RequestLimits) -> Result<ReadDocument, Unreadable> {
    match decode(bytes, Format::Json, of_documents(limits)) {
        Ok(document) => Ok(ReadDocument { value: document.value, repeated: duplicate_keys(bytes) }),
        Err(Malformed { place, problem, .. }) => Err(Unreadable { place, problem }),
    }
}

/// A document in JSON from outside, by the rules of request bodies: what it may occupy, numbers (G6), nesting (O3).
pub fn parse_document(json: &[u8]) -> Result<Value, String> {
    let document = decode(json, Format::Json, RequestLimits::default().document());
    document.map(|document| document.value).map_err(|malformed| malformed.to_string())
}

/// A command from a document that is JSON already, by the rules of `POST …/command`.
pub fn parse_command(value: Value, user: &UserId) -> Result<Operation, String> {
    let document = Document::of(value);
    read_command(document, user).map_err(|malformed| malformed.to_string())
}

/// The operations of a batch of at most so many, by the rules of `POST …/batch`: one if it is atomic.
pub fn parse_batch(value: Value, user: &UserId, operations_max: usize) -> Result<Vec<Operation>, String> {
    let document = Document::of(value);
    let batch = read_batch(document, user, operations_max);
    batch.map(|batch| batch.operations).map_err(|malformed| malformed.to_string())
}

fn of_documents(limits: &RequestLimits) -> DocumentLimits {
    let mut limits = limits.document();
    limits.depth_max = limits.depth_max.saturating_add(WRAPPERS_MAX);
    limits.operations_max = usize::MAX;
    limits
}
