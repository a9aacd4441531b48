//! `UNDO` on the wire (rules U1 and U12): what names the operations, and what is told of them.

use dao_projections::{EntityKind, NodeId, OperationId, Pointer, UserId, Version};
use serde::Serialize;
use serde_json::Value;

use super::{
    decode::Repeated,
    json_path::Path,
    json_shape::{Fields, Malformed},
};
use crate::domain::{Command, Reverted, SkipReason, Skipped, UNDO_OPERATIONS_MAX, UndoResult, Undone};

/// The payload `{operations: [{operationId, version}]}`.
pub(super) fn read_undo(payload: Value, path: &Path<'_>, repeated: &Repeated) -> Result<Command, Malformed> {
    let mut fields = Fields::of(payload, path, repeated)?;
    let items = fields.list("operations")?.ok_or_else(|| fields.wrong("operations", "is required"))?;
    if items.is_empty() {
        return Err(fields.wrong("operations", "must name at least one operation"));
    }
    let list = Path::Key(path, "operations");
    if items.len() > UNDO_OPERATIONS_MAX {
        let problem = format!("names more than {UNDO_OPERATIONS_MAX} operations");
        return Err(Malformed::too_many(list, problem));
    }
    fields.finish()?;
    let read = |(index, item)| {
        let place = Path::Index(&list, index);
        let mut fields = Fields::of(item, &place, repeated)?;
        let operation = fields.required_id("operationId", OperationId::parse)?;
        let version = fields.version("version")?.ok_or_else(|| fields.wrong("version", "is required"))?;
        fields.finish()?;
        Ok(Undone { operation, version })
    };
    let operations = items.into_iter().enumerate().map(read).collect::<Result<_, Malformed>>()?;
    Ok(Command::Undo { operations })
}

/// The `result` of an undo.
#[derive(Serialize)]
pub(super) struct UndoneOut<'a> {
    reverted: &'a [Reverted],
    skipped: Vec<SkippedOut<'a>>,
    detached: &'a [NodeId],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SkippedOut<'a> {
    reason: SkipReason,
    entity: EntityKind,
    id: &'a str,
    path: &'a Pointer,
    yours: &'a Value,
    current: &'a Value,
    version: Version,
    user_id: &'a UserId,
    operation_id: OperationId,
}

impl<'a> UndoneOut<'a> {
    pub(super) fn of(undone: &'a UndoResult) -> Self {
        let skipped = undone.skipped.iter().map(SkippedOut::of).collect();
        Self { reverted: &undone.reverted, skipped, detached: &undone.detached }
    }
}

impl<'a> SkippedOut<'a> {
    fn of(Skipped { reason, conflict }: &'a Skipped) -> Self {
        Self {
            reason: *reason,
            entity: conflict.entity,
            id: &conflict.id,
            path: &conflict.path,
            yours: &conflict.yours,
            current: &conflict.current,
            version: conflict.version,
            user_id: &conflict.user_id,
            operation_id: conflict.operation_id,
        }
    }
}
