//! What a `RESTORE_VERSION` did, on the wire (rule L11).

use dao_projections::{EdgeId, NodeId, Version};
use serde::Serialize;

use crate::domain::{RestorePart, RestoreResult, SkippedEntity, Touched};

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

/// Ids of entities.
#[derive(Serialize)]
pub(super) struct TouchedOut<'a> {
    nodes: &'a [NodeId],
    edges: &'a [EdgeId],
}

impl<'a> TouchedOut<'a> {
    pub(super) fn of(touched: &'a Touched) -> Self {
        Self { nodes: &touched.nodes, edges: &touched.edges }
    }
}
