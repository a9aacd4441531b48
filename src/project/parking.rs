//! Folding one graph, and parking it with the reason where that can't be done.
//!
//! Not here: how its rows are folded ([`super::fold`]), and when a parked graph is tried again ([`super::projector`]).

use dao_projections::{GraphId, Head, Projection, Snapshot, Version};

use super::{
    ProjectorConfig, Stores,
    commit_source::CommitSource,
    fold::{FoldError, GraphFold},
};
use crate::store::{ParkedGraph, StoreError};

/// How often a graph is folded, at once, before the store counts as refusing it: a call that was lost is made again.
const STORE_TRIES: usize = 2;

/// How bringing a graph's rows up to date ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FoldOutcome {
    CaughtUp,
    /// Its history can't be folded: it is parked.
    Poisoned,
    /// The store refuses it and nothing else: it is parked, and tried again soon.
    Refused,
}

/// Brings all rows of a graph up to date; or says why it can't, where an operator sees it. An error says that the store
/// can't even be told that.
pub(super) async fn fold_or_park(
    stores: &Stores,
    config: &ProjectorConfig,
    graph: &GraphId,
    rows: &mut GraphFold,
    to: Version,
    was_parked: bool,
) -> Result<FoldOutcome, StoreError> {
    // One that is parked because of what is stored is tried again with what is stored.
    let memory = config.memory.as_deref().filter(|_| !was_parked);
    let mut tries = 0;
    let folded = loop {
        tries += 1;
        let mut log = CommitSource::of(stores, graph).remembered_by(memory);
        match rows.fold(&mut log, to, config.checkpoint_every).await {
            Err(FoldError::Store(_)) if tries < STORE_TRIES => *rows = GraphFold::default(),
            folded => break folded,
        }
    };
    if folded.is_err() && has_been_purged(stores, graph).await? {
        return Ok(FoldOutcome::CaughtUp);
    }
    let (parked, folded) = match folded {
        Ok(()) if was_parked => {
            tracing::info!(%graph, "a parked graph is projected again");
            return stores.rows.park(graph, None).await.map(|()| FoldOutcome::CaughtUp);
        }
        Ok(()) => return Ok(FoldOutcome::CaughtUp),
        Err(FoldError::Store(error)) => {
            // The first version that the rows lack.
            let at = stores.rows.rows(graph, Snapshot::NAME, &[]).await?.at;
            let version = at.map_or(Version::EMPTY, |at| at.head.version).next();
            (ParkedGraph { version, reason: error.to_string() }, FoldOutcome::Refused)
        }
        Err(FoldError::Poison { version, reason }) => {
            (ParkedGraph { version, reason }, FoldOutcome::Poisoned)
        }
    };
    stores.rows.park(graph, Some(&parked)).await?;
    if !was_parked {
        let ParkedGraph { version, reason } = parked;
        tracing::error!(%graph, %version, reason, "a graph can't be projected and is parked");
    }
    Ok(folded)
}

/// Whether there is no such graph any more; then what was written of it meanwhile is removed.
pub(super) async fn has_been_purged(stores: &Stores, graph: &GraphId) -> Result<bool, StoreError> {
    // A head that can't be read is that of a graph that is there.
    let is_gone = matches!(stores.events.head(graph).await, Ok(Head::EMPTY));
    if is_gone {
        stores.rows.drop_rows(graph).await?;
    }
    Ok(is_gone)
}
