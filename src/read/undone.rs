//! Which operations were undone since, and by which (rule U12).
//!
//! Projector tasks keep the version of the latest undo of each operation that was undone. What they have not seen yet is
//! read from the log, as far as that is little.

use std::collections::HashMap;

use dao_projections::{Activity, GraphId, OperationId, Projection, Version};

use super::ReadError;
use crate::{
    store::{EventStore, RowsFound},
    write::{Graphs, history_reader},
};

/// Commits that are looked through after those that projector tasks have seen. Where there are more, what the last of them
/// undo is told later.
const UNSEEN_MAX: u64 = 2_048;

/// The latest undo of each of these operations that was undone.
pub(super) async fn undone_by(
    graphs: &Graphs,
    id: &GraphId,
    head: Version,
    operations: &[OperationId],
) -> Result<HashMap<OperationId, OperationId>, ReadError> {
    if operations.is_empty() {
        return Ok(HashMap::new());
    }
    let store = &**graphs.store();
    let keys: Vec<String> = operations.iter().map(Activity::undone_key).collect();
    let found = match graphs.rows() {
        Some(rows) => rows.rows(id, Activity::NAME, &keys).await?,
        None => RowsFound::default(),
    };
    let seen = found.at.map_or(Version::EMPTY, |at| at.head.version);
    let mut undone = HashMap::new();
    for ((operation, key), row) in operations.iter().zip(&keys).zip(found.rows) {
        let version = row.and_then(|row| Activity::decode(key, &row).ok()).and_then(Version::new);
        if let Some(version) = version
            && let Some(undo) = history_reader::one(store, id, version).await?
            // Else the rows are those of another history, and are about to be made again.
            && undo.commit.body.undoes.contains(operation)
        {
            undone.insert(*operation, undo.commit.body.operation_id);
        }
    }
    let to = head.min(seen.plus(UNSEEN_MAX));
    let is_undo = |commit: dao_projections::Commit| (!commit.body.undoes.is_empty()).then_some(commit);
    for undo in history_reader::sift(store as &dyn EventStore, id, seen, to, is_undo).await? {
        let body = undo.body;
        undone.extend(
            body.undoes.iter().filter(|of| operations.contains(of)).map(|of| (*of, body.operation_id)),
        );
    }
    Ok(undone)
}
