//! One graph's rows, from where they are to where its history is.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

use bytes::Bytes;
use dao_projections::{
    Commit, CommitBody, Folding, GraphId, Head, PROJECTIONS, Projection, Registered, Snapshot, Version,
};

use super::Stores;
use crate::{
    store::{RowsChange, RowsHead, StoreError, StoredCommit},
    write::snapshot,
};

/// Commits read at once.
const CHUNK: usize = 1_024;
/// Commits folded between two changes of the rows.
const STEP: u64 = 8_192;
/// How often a change is tried again because another worker was faster. Then the graph is left for a
/// later pass: rows that move are not yet rows that are level.
const ATTEMPTS_MAX: u32 = 8;

/// Why a graph was not folded.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The store is away: it is tried again.
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

/// Brings the rows of every projection of this graph level with `to`. Checkpoints are kept at every
/// multiple of `checkpoint_every`.
pub async fn fold_graph(
    stores: &Stores,
    graph: &GraphId,
    to: Version,
    checkpoint_every: u64,
) -> Result<(), FoldError> {
    for projection in PROJECTIONS {
        fold_one(stores, graph, projection, to, checkpoint_every).await?;
    }
    Ok(())
}

/// Brings the rows of one projection level with `to`.
async fn fold_one(
    stores: &Stores,
    graph: &GraphId,
    projection: &Registered,
    to: Version,
    checkpoint_every: u64,
) -> Result<(), FoldError> {
    let every = checkpoint_every.max(1);
    let (mut to, mut anew) = (to, false);
    for _ in 0..ATTEMPTS_MAX {
        let mut found = stores.rows.rows(graph, projection.name, &[]).await?.at;
        let mut work = match found.filter(|at| at.format == projection.format && !anew) {
            Some(at) => Work::from(projection, at.head),
            None => Work::anew(projection),
        };
        loop {
            if work.at.version >= to && !work.is_unsaved {
                if is_in_history(stores, graph, work.at).await? {
                    return Ok(());
                }
                // A fail-over took the end of the history that the rows are true of.
                (to, anew) = (stores.events.head(graph).await?.version, true);
                break;
            }
            let end = to.min(work.at.version.plus(STEP)).min(next_multiple(work.at.version, every));
            match work.fold(stores, graph, end).await? {
                Step::Done => {}
                // The feed tells of more than the history has: a fail-over lost its end, and perhaps
                // more than that.
                Step::NoMore => {
                    to = work.at.version;
                    if !work.is_unsaved {
                        continue;
                    }
                }
                Step::Raced => break,
                Step::OtherHistory => {
                    anew = true;
                    break;
                }
            }
            match work.save(stores, graph, found).await? {
                Some(now) => found = Some(now),
                None => break,
            }
            if projection.name == Snapshot::NAME && work.at.version.get().is_multiple_of(every) {
                snapshot::keep_checkpoint(&*stores.rows, graph, work.at).await?;
            }
        }
    }
    let busy = format!("others keep changing the rows {} of {graph}", projection.name);
    Err(FoldError::Store(StoreError::Unavailable(busy)))
}

/// Whether the log has this head.
pub(super) async fn is_in_history(stores: &Stores, graph: &GraphId, head: Head) -> Result<bool, StoreError> {
    let Some(before) = head.version.get().checked_sub(1).and_then(Version::new) else { return Ok(true) };
    let found = stores.events.read(graph, before, head.version, 1).await?;
    Ok(found.first().is_some_and(|found| found.hash == head.hash))
}

/// The next version above `from` at which a checkpoint is kept.
fn next_multiple(from: Version, every: u64) -> Version {
    Version::new((from.get() / every + 1).saturating_mul(every)).unwrap_or(Version::MAX)
}

/// Rows of one graph under way.
pub(super) struct Work {
    projection: Registered,
    rows: Box<dyn Folding>,
    /// What the rows in memory are true of.
    pub(super) at: Head,
    /// Whether all rows there are are in memory: folding began with nothing.
    is_complete: bool,
    is_unsaved: bool,
    /// Whether what is saved next takes the place of all that is stored.
    replaces: bool,
}

/// How a step of folding went.
pub(super) enum Step {
    Done,
    /// The history ends before it.
    NoMore,
    /// The stored rows are not where they were: somebody else folds too.
    Raced,
    /// The history does not follow on the rows, or they can't be read.
    OtherHistory,
}

impl Work {
    /// From rows in the store, that are true of `at`.
    fn from(projection: &Registered, at: Head) -> Self {
        let rows = projection.start();
        Self { projection: *projection, rows, at, is_complete: false, is_unsaved: false, replaces: false }
    }

    /// From the beginning of the history.
    pub(super) fn anew(projection: &Registered) -> Self {
        let rows = projection.start();
        Self {
            projection: *projection,
            rows,
            at: Head::EMPTY,
            is_complete: true,
            is_unsaved: true,
            replaces: true,
        }
    }

    /// Folds `(at, to]`.
    pub(super) async fn fold(
        &mut self,
        stores: &Stores,
        graph: &GraphId,
        to: Version,
    ) -> Result<Step, FoldError> {
        let start = self.at;
        while self.at.version < to {
            let chunk = stores.events.read(graph, self.at.version, to, CHUNK).await?;
            if chunk.is_empty() {
                return Ok(if self.at == start { Step::NoMore } else { Step::Done });
            }
            let Some(commits) = decode(self.at, &chunk)? else { return Ok(Step::OtherHistory) };
            if !self.is_complete {
                match self.load(stores, graph, start, &commits).await? {
                    Step::Done => {}
                    step => return Ok(step),
                }
            }
            self.fold_all(&commits)?;
            self.is_unsaved = true;
            self.at = commits.last().map_or(self.at, Commit::head);
            tokio::task::yield_now().await;
        }
        Ok(Step::Done)
    }

    /// Writes what changed onto the rows that are true of `found`; of what they are true then, or
    /// nothing if they were not.
    pub(super) async fn save(
        &mut self,
        stores: &Stores,
        graph: &GraphId,
        found: Option<RowsHead>,
    ) -> Result<Option<RowsHead>, FoldError> {
        let to = RowsHead { head: self.at, format: self.projection.format };
        let rows = self.rows.take_changes();
        let rows = rows.into_iter().filter(|(_, row)| row.is_some() || !self.replaces);
        let rows = rows.map(|(key, row)| (key, row.map(Bytes::from))).collect();
        let change = RowsChange { from: found, to, replaces: self.replaces, rows };
        let changed = stores.rows.change_rows(graph, self.projection.name, &change).await?;
        (self.replaces, self.is_unsaved) = (false, false);
        Ok(changed.then_some(to))
    }

    /// Puts complete rows in the place of those that are true of `found`; whether they were.
    pub(super) async fn replace(
        &mut self,
        stores: &Stores,
        graph: &GraphId,
        found: Option<RowsHead>,
    ) -> Result<bool, FoldError> {
        let to = RowsHead { head: self.at, format: self.projection.format };
        let rows = self.rows.rows().into_iter().map(|(key, row)| (key, Some(Bytes::from(row)))).collect();
        let change = RowsChange { from: found, to, replaces: true, rows };
        Ok(stores.rows.change_rows(graph, self.projection.name, &change).await?)
    }

    /// Brings the rows that these commits need into memory, as they were at `start`.
    async fn load(
        &mut self,
        stores: &Stores,
        graph: &GraphId,
        start: Head,
        commits: &[Commit],
    ) -> Result<Step, FoldError> {
        let mut missing = BTreeSet::new();
        commits.iter().for_each(|commit| self.rows.missing(commit, &mut missing));
        let missing: Vec<String> = missing.into_iter().collect();
        if missing.is_empty() {
            return Ok(Step::Done);
        }
        let found = stores.rows.rows(graph, self.projection.name, &missing).await?;
        if found.at != Some(RowsHead { head: start, format: self.projection.format }) {
            return Ok(Step::Raced);
        }
        for (key, row) in missing.into_iter().zip(found.rows) {
            if let Err(error) = self.rows.load(key, row.as_deref()) {
                tracing::warn!(%graph, projection = self.projection.name, %error, "rows are made anew");
                return Ok(Step::OtherHistory);
            }
        }
        Ok(Step::Done)
    }

    /// A defect in a fold stops one graph, not the projector.
    fn fold_all(&mut self, commits: &[Commit]) -> Result<(), FoldError> {
        for commit in commits {
            let rows = &mut self.rows;
            if catch_unwind(AssertUnwindSafe(|| rows.fold(commit))).is_err() {
                let reason = format!("folding it into {} panicked", self.projection.name);
                return Err(FoldError::Poison { version: commit.version, reason });
            }
        }
        Ok(())
    }
}

/// The commits of these bytes; `None` if the first does not follow on `at`.
fn decode(at: Head, chunk: &[StoredCommit]) -> Result<Option<Vec<Commit>>, FoldError> {
    let poison = |version, reason: &str| FoldError::Poison { version, reason: reason.to_owned() };
    let mut at = at;
    let mut commits = Vec::with_capacity(chunk.len());
    for stored in chunk {
        if stored.head() != at.after(&stored.body) {
            if commits.is_empty() && at != Head::EMPTY {
                return Ok(None);
            }
            return Err(poison(stored.version, "its hash does not follow from its content"));
        }
        at = stored.head();
        let body = CommitBody::decode(&stored.body).map_err(|e| poison(stored.version, &e.to_string()))?;
        commits.push(Commit { version: stored.version, hash: stored.hash, body });
    }
    Ok(Some(commits))
}
