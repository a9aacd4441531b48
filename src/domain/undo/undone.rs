//! An operation that is to be undone.

use dao_projections::{OperationId, Version};

/// An operation that is to be undone, and the commit that it made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Undone {
    /// Which operation.
    pub operation: OperationId,
    /// The version of its commit.
    pub version: Version,
}
