//! Which operations were undone since, and by which (rule U12).
//!
//! Projector tasks keep the version of the latest undo of each operation that was undone. What they have not seen yet is
//! read from the log, from its end, as far as that is little.

use std::collections::HashMap;

use dao_projections::{Activity, GraphId, OperationId, Projection, Version};

use super::history_walk::CommitWalk;
use crate::{
    store::{Order, RowsFound, StoreError},
    write::{Graphs, history_reader},
};

/// The latest commits of a graph that are looked through if projector tasks have not seen them. Where there are more, what
/// the others undo is told later.
const UNSEEN_MAX: u64 = 2_048;

/// What may be looked through for one answer, of however many graphs that is. What is beyond is told later.
pub(super) struct UnseenBudget {
    commits: u64,
    bytes: usize,
}

impl Default for UnseenBudget {
    fn default() -> Self {
        Self { commits: 8 * UNSEEN_MAX, bytes: 64 << 20 }
    }
}

/// The latest undo of each of these operations that was undone.
pub(super) async fn undone_by(
    graphs: &Graphs,
    id: &GraphId,
    head: Version,
    operations: &[OperationId],
    budget: &mut UnseenBudget,
) -> Result<HashMap<OperationId, OperationId>, StoreError> {
    if operations.is_empty() {
        return Ok(HashMap::new());
    }
    let store = &**graphs.store();
    let keys: Vec<String> = operations.iter().map(Activity::undone_key).collect();
    let found = match graphs.rows() {
        Some(rows) => rows.rows(id, Activity::NAME, &keys).await?,
        None => RowsFound::default(),
    };
    let is_current = found.at.is_some_and(|at| at.format == Activity::FORMAT);
    let found = if is_current { found } else { RowsFound::default() };
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
    let latest = head.get().saturating_sub(UNSEEN_MAX.min(budget.commits));
    let after = seen.max(Version::new(latest).unwrap_or_default());
    let mut unseen: HashMap<OperationId, OperationId> = HashMap::new();
    if after < head {
        let mut commits = CommitWalk::new(store, id, Order::NewestFirst, (after, head));
        while budget.bytes > 0
            && let Some(stored) = commits.next().await?
        {
            budget.commits = budget.commits.saturating_sub(1);
            budget.bytes = budget.bytes.saturating_sub(stored.body.len());
            let body = history_reader::decode(id, &stored)?.body;
            for of in body.undoes.iter().filter(|of| operations.contains(of)) {
                unseen.entry(*of).or_insert(body.operation_id);
            }
        }
    }
    undone.extend(unseen);
    Ok(undone)
}
