//! Reads of the store that wait for their turn.

use std::collections::VecDeque;

use dao_projections::{Head, Version};

use super::read_outcome::{ReadSize, ResumeRequest};

/// States that are read for one connection at the same time. They may exceed the send queue; further ones wait.
pub(super) const SYNCS_AT_ONCE: usize = 4;

/// A read for a subscription.
pub(super) enum ReadRequest {
    Sync(ResumeRequest),
    CatchUp(Head),
    Log { after: Version, to: Version },
    Load,
}

impl ReadRequest {
    pub(super) fn size(&self) -> ReadSize {
        match self {
            Self::Sync(_) | Self::CatchUp(_) => ReadSize::State,
            Self::Log { .. } | Self::Load => ReadSize::Piece,
        }
    }
}

/// The reads of one connection.
#[derive(Default)]
pub(super) struct PendingReads {
    /// Queued reads of a state, by the generation of their subscription: at most one each.
    pub(super) waiting: VecDeque<(u64, ReadRequest)>,
    /// Running reads of a state.
    pub(super) states: usize,
    /// Running reads whose subscription has ended. They count as requests until they finish.
    pub(super) abandoned: usize,
}

impl PendingReads {
    /// How many running reads have no subscription.
    pub(super) fn abandoned(&self) -> usize {
        self.abandoned
    }

    /// A subscription with a read ends or restarts.
    pub(super) fn abandon(&mut self, generation: u64) {
        let before = self.waiting.len();
        self.waiting.retain(|(waiting, _)| *waiting != generation);
        self.abandoned += usize::from(self.waiting.len() == before);
    }

    /// A read has finished.
    pub(super) fn end(&mut self, size: ReadSize) {
        self.states -= usize::from(size == ReadSize::State);
    }

    /// A read without a subscription has finished.
    pub(super) fn forget_abandoned(&mut self) {
        self.abandoned -= 1;
    }
}
