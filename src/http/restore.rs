//! What a `RESTORE_VERSION` did, on the wire (rule L11).

use dao_projections::Version;
use serde::Serialize;

use super::wire::TouchedOut;
use crate::domain::{RestorePart, RestoreResult, SkippedEntity};

/// The `result` of a restore.
#[derive(Serialize)]
pub(super) struct RestoredOut<'a> {
    to: Version,
    created: TouchedOut<'a>,
    updated: TouchedOut<'a>,
    deleted: TouchedOut<'a>,
    included: &'a [RestorePart],
    skipped: &'a [SkippedEntity],
}

impl<'a> RestoredOut<'a> {
    pub(super) fn of(restored: &'a RestoreResult) -> Self {
        Self {
            to: restored.to,
            created: TouchedOut::of(&restored.created),
            updated: TouchedOut::of(&restored.updated),
            deleted: TouchedOut::of(&restored.deleted),
            included: &restored.included,
            skipped: &restored.skipped,
        }
    }
}
