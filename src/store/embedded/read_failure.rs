//! Why a read failed.

use crate::store::StoreError;

/// What a read runs into: SQLite's error, or a finding about the history.
#[derive(Debug)]
pub(super) enum ReadFailure {
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for ReadFailure {
    fn from(e: rusqlite::Error) -> Self {
        Self::Sqlite(e)
    }
}

impl From<StoreError> for ReadFailure {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}
