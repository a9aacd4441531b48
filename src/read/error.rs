//! Why a read got no answer.

use dao_projections::{LabelName, Version};

use crate::{store::StoreError, write::WriteError};

/// Why a read got no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The graph did not reach the version in time (rule H3).
    #[error("the graph is at version {current}")]
    VersionNotReached {
        /// Where it was at last.
        current: Version,
    },
    /// The version asked for is above the head.
    #[error("the graph is at version {current}")]
    VersionNotFound {
        /// Where it is.
        current: Version,
    },
    /// The graph has no such label.
    #[error("the graph has no label {name}")]
    LabelNotFound {
        /// Which.
        name: LabelName,
    },
    /// The graph could not be had.
    #[error(transparent)]
    Graph(#[from] WriteError),
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Graph(error.into())
    }
}
