//! What a subscription gave up: [`ParkedCommit`].

use dao_projections::GraphId;
use serde::{Deserialize, Serialize};

use super::{delivery_id::delivery_id, spans::VersionSpan};

/// A commit, or a stretch of a damaged history, that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedCommit {
    pub(super) number: u64,
    /// Whose.
    pub graph: GraphId,
    /// Of which the first is shown.
    pub span: VersionSpan,
    /// How often it was delivered; 0 if it could not be read.
    pub attempts: u32,
    /// Why it was given up.
    pub reason: String,
}

impl ParkedCommit {
    /// Its last delivery's id.
    pub fn delivery_id(&self) -> String {
        delivery_id(self.number, &self.graph)
    }

    /// Later ones have higher numbers, for the most part.
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}
