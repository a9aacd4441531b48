//! What waits to be written for the read side.

use std::sync::mpsc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::read_side_write::ReadSideWrite;
use crate::store::StoreError;

/// Something to be written for the read side, and who waits for it.
pub(super) struct PendingWrite {
    pub(super) write: ReadSideWrite,
    /// It must not be written before this round is in the tables.
    pub(super) after: i64,
    /// Its graph may be in the tail up to this round: what can't be done before is tried again then.
    pub(super) again_after: i64,
    pub(super) room: Option<OwnedSemaphorePermit>,
    pub(super) answer: oneshot::Sender<Result<bool, StoreError>>,
    /// Dropped with the answer: the journal thread waits for it.
    pub(super) turn: Option<mpsc::Sender<()>>,
}

/// Who asks whether the tables can be written to.
pub(super) type Probe = oneshot::Sender<Result<(), StoreError>>;
