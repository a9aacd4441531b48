//! Rebuilding a graph's rows from its log, beside those that are read meanwhile.

use dao_projections::{GraphId, PROJECTIONS, Version};

use super::{
    Stores,
    commit_source::{CHUNK, CommitSource, is_in_history},
    fold::{FoldError, FoldStep, RowsFold},
};

/// Commits that one projection after the other folds while they are in memory.
const TOGETHER: u64 = CHUNK as u64;

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
    let mut log = CommitSource::of(stores, graph);
    let mut works: Vec<_> = named().map(|projection| Ok(RowsFold::from_start(projection))).collect();
    fold_together(&mut log, &mut works, &mut progress).await?;
    let mut first_error = None;
    for work in works {
        let rebuilding = match work {
            Ok(work) => finish(&mut log, work, &mut progress).await,
            Err(error) => Err(error),
        };
        match rebuilding {
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
        for projection in named() {
            let commits = finish(&mut log, RowsFold::from_start(projection), &mut |_| ()).await?;
            rebuilt.commits = rebuilt.commits.max(commits);
        }
    }
    Ok(rebuilt)
}

/// Folds the history as it is now into all of these, and reads it once for that. What is out of the ordinary is left to
/// [`finish`]; a fold that fails is the end of that projection alone.
async fn fold_together(
    log: &mut CommitSource<'_>,
    works: &mut [Result<RowsFold, FoldError>],
    progress: &mut impl FnMut(u64),
) -> Result<(), FoldError> {
    let head = log.stores.events.head(log.graph).await?.version;
    let mut end = Version::EMPTY;
    while end < head {
        end = head.min(end.plus(TOGETHER));
        for slot in works.iter_mut() {
            let Ok(work) = slot else { continue };
            let before = work.at.version;
            let step = work.fold(log, end).await;
            progress(work.at.version.since(before));
            match step {
                Ok(FoldStep::Done) if work.at.version == end => {}
                Ok(_) => return Ok(()),
                Err(error) => *slot = Err(error),
            }
        }
    }
    Ok(())
}

/// Folds what is left, and puts the rows in the place of those that are stored.
async fn finish(
    log: &mut CommitSource<'_>,
    mut work: RowsFold,
    progress: &mut impl FnMut(u64),
) -> Result<u64, FoldError> {
    let (stores, graph) = (log.stores, log.graph);
    loop {
        work.stored = stores.rows.rows(graph, work.name(), &[]).await?.at;
        // Also beyond what a projector has folded in the meantime.
        let head = stores.events.head(graph).await?.version;
        while work.at.version < head {
            let before = work.at.version;
            let end = head.min(before.plus(TOGETHER));
            match work.fold(log, end).await? {
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
