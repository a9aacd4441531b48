//! One graph's rows, from where they are to where its history is.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
};

use bytes::Bytes;
use dao_projections::{
    Catalog, Folding, GraphId, Head, PROJECTIONS, Projection, Registered, Snapshot, Version,
};

use super::{
    Stores,
    commit_source::{CommitChunk, CommitSource, NextChunk, is_in_history},
};
use crate::{
    store::{Listing, RowsChange, RowsHead, StoreError},
    write::snapshot,
};

/// Commits folded between two changes of the rows.
const STEP: u64 = 8_192;
/// More rows of a graph are not kept in memory by [`super::row_cache`], since each counts for 256 bytes at least.
const ROWS_KEPT_MAX: usize = 512;
/// How often a change is tried again because another worker was faster. Then the graph is left for a
/// later pass: rows that move have not caught up yet.
const ATTEMPTS_MAX: u32 = 8;

/// Why a graph was not folded.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The store is unavailable: it is tried again.
    #[error(transparent)]
    Store(StoreError),
    /// Its history can't be folded past this version, however often it is tried.
    #[error("commit {version} can't be folded: {reason}")]
    Poison {
        /// The first commit that can't.
        version: Version,
        /// Why.
        reason: String,
    },
}

impl From<StoreError> for FoldError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt { version, problem, .. } => Self::Poison { version, reason: problem },
            error => Self::Store(error),
        }
    }
}

/// Brings the rows of every projection of this graph up to `to`. Checkpoints are kept at every
/// multiple of `checkpoint_every`.
pub async fn fold_graph(
    stores: &Stores,
    graph: &GraphId,
    to: Version,
    checkpoint_every: u64,
) -> Result<(), FoldError> {
    GraphFold::default().fold(&mut CommitSource::of(stores, graph), to, checkpoint_every).await
}

/// As [`fold_graph`], for the row of lists alone.
pub(super) async fn fold_listing(stores: &Stores, graph: &GraphId, to: Version) -> Result<(), FoldError> {
    let Some(catalog) = PROJECTIONS.iter().find(|one| one.name == Catalog::NAME) else { return Ok(()) };
    fold_one(&mut CommitSource::of(stores, graph), catalog, None, to, u64::MAX).await.map(drop)
}

/// One graph's rows of every projection, as far as they are in memory from one fold to the next. What another
/// worker does to the stored rows in between shows when something is written: then it is read again.
#[derive(Default)]
pub(super) struct GraphFold {
    works: BTreeMap<&'static str, RowsFold>,
}

impl GraphFold {
    /// How many bytes they would be if they were stored.
    pub(super) fn bytes(&self) -> usize {
        self.works.values().map(|work| work.rows.bytes()).sum()
    }

    /// As [`fold_graph`]. If the rows of one projection can't be folded, those of the others are all the same.
    pub(super) async fn fold(
        &mut self,
        log: &mut CommitSource<'_>,
        to: Version,
        checkpoint_every: u64,
    ) -> Result<(), FoldError> {
        let mut first_error = None;
        for projection in PROJECTIONS {
            let kept = self.works.remove(projection.name);
            match fold_one(log, projection, kept, to, checkpoint_every.max(1)).await {
                Ok(work) => drop(self.works.insert(projection.name, work)),
                Err(error) => drop(first_error.get_or_insert(error)),
            }
        }
        first_error.map_or(Ok(()), Err)
    }
}

/// Brings the rows of one projection up to `to`.
async fn fold_one(
    log: &mut CommitSource<'_>,
    projection: &Registered,
    mut kept: Option<RowsFold>,
    to: Version,
    checkpoint_every: u64,
) -> Result<RowsFold, FoldError> {
    let (stores, graph) = (log.stores, log.graph);
    let (mut to, mut rebuild) = (to, false);
    for _ in 0..ATTEMPTS_MAX {
        let mut work = match kept.take() {
            Some(work) => work,
            None => RowsFold::start(log, projection, rebuild).await?,
        };
        // Whether it was seen that the rows are of the history that the log has.
        let mut is_proved = false;
        loop {
            if work.at.version >= to && !work.is_unsaved {
                if is_proved || is_in_history(stores, graph, work.at).await? {
                    return Ok(work);
                }
                // A fail-over took the end of the history that the rows are true of.
                log.forget();
                (to, rebuild) = (stores.events.head(graph).await?.version, true);
                break;
            }
            let end =
                to.min(work.at.version.plus(STEP)).min(next_multiple(work.at.version, checkpoint_every));
            match work.fold(log, end).await? {
                FoldStep::Done => is_proved = true,
                // The feed tells of more than the history has: a fail-over lost its end, and perhaps
                // more than that.
                FoldStep::NoMore => {
                    to = work.at.version;
                    if !work.is_unsaved {
                        is_proved = false;
                        continue;
                    }
                }
                FoldStep::Raced => break,
                FoldStep::OtherHistory => {
                    log.forget();
                    rebuild = true;
                    break;
                }
            }
            let is_last = work.at.version >= to;
            if !work.save(stores, graph, is_last).await? {
                break;
            }
            if projection.name == Snapshot::NAME && work.at.version.get().is_multiple_of(checkpoint_every) {
                snapshot::keep_checkpoint(&*stores.rows, graph, work.at).await?;
            }
        }
    }
    let busy = format!("others keep changing the rows {} of {graph}", projection.name);
    Err(FoldError::Store(StoreError::Unavailable(busy)))
}

/// The next version above `from` at which a checkpoint is kept.
fn next_multiple(from: Version, every: u64) -> Version {
    Version::new((from.get() / every + 1).saturating_mul(every)).unwrap_or(Version::MAX)
}

/// Rows of one projection of one graph under way.
pub(super) struct RowsFold {
    projection: Registered,
    rows: Box<dyn Folding>,
    /// What the rows in memory are true of.
    pub(super) at: Head,
    /// What those in the store are true of, when they were last looked at.
    pub(super) stored: Option<RowsHead>,
    /// Whether all rows there are are in memory: folding began with nothing.
    is_complete: bool,
    is_unsaved: bool,
    /// Whether what is saved next takes the place of all that is stored.
    replaces: bool,
}

/// How a step of folding went.
pub(super) enum FoldStep {
    Done,
    /// The history ends before it.
    NoMore,
    /// The stored rows are not where they were: somebody else folds too.
    Raced,
    /// The history does not follow on the rows, or they can't be read.
    OtherHistory,
}

impl RowsFold {
    /// From where the stored rows are; from the beginning of the history if there are none, or `rebuild` is asked for.
    async fn start(
        log: &CommitSource<'_>,
        projection: &Registered,
        rebuild: bool,
    ) -> Result<Self, FoldError> {
        let stored = log.stores.rows.rows(log.graph, projection.name, &[]).await?.at;
        let work = Self { stored, ..Self::from_start(projection) };
        Ok(match stored.filter(|at| at.format == projection.format && !rebuild) {
            Some(at) => Self { at: at.head, is_complete: false, is_unsaved: false, replaces: false, ..work },
            None => work,
        })
    }

    /// From the beginning of the history.
    pub(super) fn from_start(projection: &Registered) -> Self {
        Self {
            projection: *projection,
            rows: projection.start(),
            at: Head::EMPTY,
            stored: None,
            is_complete: true,
            is_unsaved: true,
            replaces: true,
        }
    }

    /// That of the projection.
    pub(super) fn name(&self) -> &'static str {
        self.projection.name
    }

    /// From the beginning of the history once more.
    pub(super) fn begin_again(&mut self) {
        *self = Self { stored: self.stored, ..Self::from_start(&self.projection) };
    }

    /// Folds `(at, to]`.
    pub(super) async fn fold(
        &mut self,
        log: &mut CommitSource<'_>,
        to: Version,
    ) -> Result<FoldStep, FoldError> {
        let start = self.at;
        while self.at.version < to {
            let commits = match log.after(self.at, to).await? {
                NextChunk::Commits(commits) => commits,
                NextChunk::End => {
                    return Ok(if self.at == start { FoldStep::NoMore } else { FoldStep::Done });
                }
                NextChunk::OtherHistory => return Ok(FoldStep::OtherHistory),
            };
            if !self.is_complete {
                match self.load(log, start, &commits).await? {
                    FoldStep::Done => {}
                    step => return Ok(step),
                }
            }
            self.fold_all(&commits)?;
            self.is_unsaved = true;
            self.at = commits.last().map_or(self.at, |last| last.commit.head());
            tokio::task::yield_now().await;
        }
        Ok(FoldStep::Done)
    }

    /// Writes what changed onto the stored rows, if they are what they were; whether they were. After the last fold, rows
    /// that are too many to be kept leave the memory as they are encoded.
    async fn save(&mut self, stores: &Stores, graph: &GraphId, is_last: bool) -> Result<bool, FoldError> {
        let rows = if is_last && self.rows.count() > ROWS_KEPT_MAX {
            self.is_complete = false;
            std::mem::replace(&mut self.rows, self.projection.start()).into_changes()
        } else {
            self.rows.take_changes()
        };
        let rows = rows.into_iter().filter(|(_, row)| row.is_some() || !self.replaces);
        let rows: Vec<_> = rows.map(|(key, row)| (key, row.map(Bytes::from))).collect();
        let to = RowsHead { head: self.at, format: self.projection.format };
        let listing = self.listing(&rows);
        let change = RowsChange { from: self.stored, to, replaces: self.replaces, rows, listing };
        if !stores.rows.change_rows(graph, self.projection.name, change).await? {
            return Ok(false);
        }
        (self.stored, self.replaces, self.is_unsaved) = (Some(to), false, false);
        Ok(true)
    }

    /// Puts complete rows in the place of those that are stored, if they are what they were; whether they were.
    pub(super) async fn replace(&mut self, stores: &Stores, graph: &GraphId) -> Result<bool, FoldError> {
        let to = RowsHead { head: self.at, format: self.projection.format };
        let rows = self.rows.rows().into_iter().map(|(key, row)| (key, Some(Bytes::from(row))));
        let rows: Vec<_> = rows.collect();
        let listing = self.listing(&rows);
        let change = RowsChange { from: self.stored, to, replaces: true, rows, listing };
        Ok(stores.rows.change_rows(graph, self.projection.name, change).await?)
    }

    /// How the graph stands in lists with these rows, if they are of the catalog.
    fn listing(&self, rows: &[(String, Option<Bytes>)]) -> Option<Listing> {
        let (key, row) =
            rows.iter().find(|(key, _)| self.projection.name == Catalog::NAME && key == Catalog::KEY)?;
        let row = row.as_ref()?;
        let listed = Catalog::decode(key, row).ok()?;
        let purge_after_ms = listed.trashed.as_ref().and_then(|trashed| Some(trashed.purge_after?.0));
        Some(Listing { keys: listed.list_keys(), purge_after_ms, row: row.clone() })
    }

    /// Brings the rows that these commits need into memory, as they were at `start`.
    async fn load(
        &mut self,
        log: &CommitSource<'_>,
        start: Head,
        commits: &CommitChunk,
    ) -> Result<FoldStep, FoldError> {
        let mut missing = BTreeSet::new();
        commits.iter().for_each(|recorded| self.rows.missing(&recorded.commit, &mut missing));
        let missing: Vec<String> = missing.into_iter().collect();
        if missing.is_empty() {
            return Ok(FoldStep::Done);
        }
        let found = log.stores.rows.rows(log.graph, self.projection.name, &missing).await?;
        if found.at != Some(RowsHead { head: start, format: self.projection.format }) {
            return Ok(FoldStep::Raced);
        }
        for (key, row) in missing.into_iter().zip(found.rows) {
            if let Err(error) = self.rows.load(key, row.as_deref()) {
                tracing::warn!(graph = %log.graph, projection = self.projection.name, %error, "the rows are rebuilt");
                return Ok(FoldStep::OtherHistory);
            }
        }
        Ok(FoldStep::Done)
    }

    /// A defect in a fold stops one graph, not the projector.
    fn fold_all(&mut self, commits: &CommitChunk) -> Result<(), FoldError> {
        for commit in commits.iter().map(|recorded| &recorded.commit) {
            let rows = &mut self.rows;
            if catch_unwind(AssertUnwindSafe(|| rows.fold(commit))).is_err() {
                let reason = format!("folding it into {} panicked", self.projection.name);
                return Err(FoldError::Poison { version: commit.version, reason });
            }
        }
        Ok(())
    }
}
