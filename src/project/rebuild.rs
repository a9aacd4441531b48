//! Rebuilding a graph's rows from its log, beside those that are read meanwhile.

use dao_projections::{GraphId, PROJECTIONS, Registered, Version};

use super::{
    Stores,
    commit_source::{CommitSource, is_in_history},
    fold::{FoldError, FoldStep, RowsFold},
};

/// Commits folded between two reports of progress.
const STEP: u64 = 8_192;

/// The result of a rebuild.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Commits of the graph that were folded, each counted once, into however many projections it went.
    pub commits: u64,
}

/// Rebuilds the rows of one projection (of all, where none is named), and puts them in the place
/// of the old ones in one change when they have caught up with the history. Until then the old ones are
/// read. `progress` hears of every so many commits. If one projection can't be rebuilt, the others are all the same. A
/// parked graph is then projected again.
pub async fn rebuild(
    stores: &Stores,
    graph: &GraphId,
    projection: Option<&str>,
    mut progress: impl FnMut(u64),
) -> Result<Rebuilt, FoldError> {
    let mut rebuilt = Rebuilt::default();
    let named = || PROJECTIONS.iter().filter(|p| projection.is_none_or(|name| p.name == name));
    let mut first_error = None;
    for registered in named() {
        match rebuild_one(stores, graph, registered, &mut progress).await {
            Ok(commits) => rebuilt.commits = rebuilt.commits.max(commits),
            Err(error) => drop(first_error.get_or_insert(error)),
        }
    }
    if let Some(error) = first_error {
        return Err(error);
    }
    if stores.rows.parked().await?.iter().any(|(parked, _)| parked == graph) {
        stores.rows.park(graph, None).await?;
        // A projector may have passed over commits just before, since the graph was parked.
        for registered in named() {
            let commits = rebuild_one(stores, graph, registered, &mut |_| ()).await?;
            rebuilt.commits = rebuilt.commits.max(commits);
        }
    }
    Ok(rebuilt)
}

async fn rebuild_one(
    stores: &Stores,
    graph: &GraphId,
    projection: &Registered,
    progress: &mut impl FnMut(u64),
) -> Result<u64, FoldError> {
    let (mut work, mut log) = (RowsFold::from_start(projection), CommitSource::of(stores, graph));
    loop {
        work.stored = stores.rows.rows(graph, projection.name, &[]).await?.at;
        // Also beyond what a projector has folded in the meantime.
        let head = stores.events.head(graph).await?.version;
        while work.at.version < head {
            let before = work.at.version;
            let end = head.min(before.plus(STEP));
            match work.fold(&mut log, end).await? {
                FoldStep::Done => progress(work.at.version.since(before)),
                FoldStep::NoMore => break,
                // Another history took the place of this one: begin again.
                FoldStep::Raced | FoldStep::OtherHistory => {
                    log.forget();
                    work.begin_again();
                }
            }
        }
        if work.stored.is_none() && work.at.version == Version::EMPTY {
            return Ok(0);
        }
        // What was folded, and what is there, may be of a history that was lost meanwhile.
        if !is_in_history(stores, graph, work.at).await? {
            log.forget();
            work.begin_again();
            continue;
        }
        let is_ahead = match work.stored {
            Some(at) if at.head.version > work.at.version => is_in_history(stores, graph, at.head).await?,
            _ => false,
        };
        if !is_ahead && work.replace(stores, graph).await? {
            return Ok(work.at.version.get());
        }
    }
}
