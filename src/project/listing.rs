//! The row of a graph in lists, written soon after what it shows was changed here. Of a busy graph the projectors, which
//! may be in another process, write rows less often ([`super::waiting_graphs`]); one that was put into the trash is not
//! to be listed for as long.
//!
//! It is a best effort: what is missed or fails is left to the projectors, and so is what they do soon themselves.
//!
//! Not here: which changes are told ([`ListingChange`]), and how lists are answered (`read/catalog.rs`).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dao_projections::{Catalog, GraphId, Projection, Version};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Stores,
    fold::{FoldError, fold_listing},
    parking::has_been_purged,
};
use crate::write::{Graphs, ListingChange};

/// How long projectors have first: a little longer than they wait to look at the feed. Where the embedded store moves all the
/// time they see it later, and the row is written here.
const PAUSE: Duration = Duration::from_millis(120);
/// How long writing one row may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Commits that are folded here. Where more are missing, the projectors are behind, and it is theirs to catch up.
const COMMITS_MAX: u64 = 4_096;

/// Writes rows of changed graphs until it is told to stop.
pub async fn list_changes(stores: Stores, graphs: Arc<Graphs>, stop: CancellationToken) {
    let mut changes = graphs.listing_changes();
    let _stopped = stop.run_until_cancelled(follow(&stores, &mut changes)).await;
}

async fn follow(stores: &Stores, changes: &mut Receiver<ListingChange>) {
    loop {
        let first = match changes.recv().await {
            Ok(first) => first,
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        sleep(PAUSE).await;
        let mut changed = BTreeMap::from([(first.graph, first.version)]);
        while let Ok(ListingChange { graph, version }) = changes.try_recv() {
            changed.insert(graph, version);
        }
        for (graph, to) in changed {
            match timeout(PATIENCE, write(stores, &graph, to)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%graph, %error, "its listing is left to the projectors"),
                Err(_late) => {
                    tracing::debug!(%graph, "its listing took too long and is left to the projectors")
                }
            }
        }
    }
}

/// Writes the row of a graph up to this version, if it is listed and its row is older.
async fn write(stores: &Stores, graph: &GraphId, to: Version) -> Result<(), FoldError> {
    let listed = stores.rows.rows(graph, Catalog::NAME, &[]).await.map_err(FoldError::Store)?.at;
    let listed = listed.filter(|at| at.format == Catalog::FORMAT).map(|at| at.head.version);
    let Some(listed) = listed.filter(|listed| *listed < to && to.since(*listed) <= COMMITS_MAX) else {
        return Ok(());
    };
    tracing::trace!(%graph, %listed, %to, "a listing is written before its time");
    fold_listing(stores, graph, to).await?;
    // It may have been purged meanwhile; then there is no such row.
    has_been_purged(stores, graph).await.map(drop).map_err(FoldError::Store)
}
