//! One graph's rows, from where they are to where its history is.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytes::Bytes;
use dao_projections::{
    Commit, CommitBody, Folding, GraphId, Head, PROJECTIONS, Projection, Registered, Snapshot, Version,
};

use super::Stores;
use crate::{
    store::{RowsChange, RowsHead, StoreError, StoredCommit},
    write::{Graphs, Recorded, snapshot},
};

/// Commits read at once.
const CHUNK: usize = 1_024;
/// Commits folded between two changes of the rows.
const STEP: u64 = 8_192;
/// What a row counts for beside its bytes, so that small ones are bounded too.
const ROW_BYTES: usize = 256;
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
    GraphFold::default().fold(&mut Log::of(stores, graph), to, checkpoint_every).await
}

/// One graph's rows of every projection, as far as they are in memory from one fold to the next. What another
/// worker does to the stored rows in between shows when something is written: then it is read anew.
#[derive(Default)]
pub(super) struct GraphFold {
    works: BTreeMap<&'static str, Work>,
}

impl GraphFold {
    /// About how many bytes they hold, rather too many than too few.
    pub(super) fn bytes(&self) -> usize {
        self.works.values().map(|work| work.bytes).sum()
    }

    /// As [`fold_graph`].
    pub(super) async fn fold(
        &mut self,
        log: &mut Log<'_>,
        to: Version,
        checkpoint_every: u64,
    ) -> Result<(), FoldError> {
        for projection in PROJECTIONS {
            let kept = self.works.remove(projection.name);
            let work = fold_one(log, projection, kept, to, checkpoint_every.max(1)).await?;
            self.works.insert(projection.name, work);
        }
        Ok(())
    }
}

/// Brings the rows of one projection level with `to`.
async fn fold_one(
    log: &mut Log<'_>,
    projection: &Registered,
    mut kept: Option<Work>,
    to: Version,
    checkpoint_every: u64,
) -> Result<Work, FoldError> {
    let (stores, graph) = (log.stores, log.graph);
    let (mut to, mut anew) = (to, false);
    for _ in 0..ATTEMPTS_MAX {
        let mut work = match kept.take() {
            Some(work) => work,
            None => Work::start(log, projection, anew).await?,
        };
        // Whether it was seen that the rows are of the history that the log has.
        let mut is_proved = false;
        loop {
            if work.at.version >= to && !work.is_unsaved {
                if is_proved || is_in_history(stores, graph, work.at).await? {
                    return Ok(work);
                }
                // A fail-over took the end of the history that the rows are true of.
                (to, anew) = (stores.events.head(graph).await?.version, true);
                break;
            }
            let end =
                to.min(work.at.version.plus(STEP)).min(next_multiple(work.at.version, checkpoint_every));
            match work.fold(log, end).await? {
                Step::Done => is_proved = true,
                // The feed tells of more than the history has: a fail-over lost its end, and perhaps
                // more than that.
                Step::NoMore => {
                    to = work.at.version;
                    if !work.is_unsaved {
                        is_proved = false;
                        continue;
                    }
                }
                Step::Raced => break,
                Step::OtherHistory => {
                    anew = true;
                    break;
                }
            }
            if !work.save(stores, graph).await? {
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

/// Commits of one graph, in order.
type Chunk = Arc<[Arc<Recorded>]>;

/// One graph's history, chunk by chunk: from the memory of this process where that has it, else from the store. It
/// remembers the last chunk, since all projections usually stand at the same place.
pub(super) struct Log<'a> {
    stores: &'a Stores,
    graph: &'a GraphId,
    memory: Option<&'a Graphs>,
    last: Option<(Head, Version, Chunk)>,
}

/// What comes next in a log.
enum Next {
    Commits(Chunk),
    /// Nothing.
    End,
    /// Something that does not follow.
    OtherHistory,
}

impl<'a> Log<'a> {
    pub(super) fn of(stores: &'a Stores, graph: &'a GraphId) -> Self {
        Self { stores, graph, memory: None, last: None }
    }

    /// The same, where these graphs may have it in memory.
    pub(super) fn remembered_by(self, memory: Option<&'a Graphs>) -> Self {
        Self { memory, ..self }
    }

    /// Some commits after `at`, the latest of them at most `to`.
    async fn after(&mut self, at: Head, to: Version) -> Result<Next, FoldError> {
        if let Some((from, end, commits)) = &self.last
            && (*from, *end) == (at, to)
        {
            return Ok(Next::Commits(commits.clone()));
        }
        let commits = match self.memory.and_then(|graphs| graphs.remembered(self.graph, at, to, CHUNK)) {
            Some(commits) => commits,
            None => {
                let chunk = self.stores.events.read(self.graph, at.version, to, CHUNK).await?;
                if chunk.is_empty() {
                    return Ok(Next::End);
                }
                let Some(commits) = decode(at, chunk)? else { return Ok(Next::OtherHistory) };
                commits
            }
        };
        let commits: Chunk = commits.into();
        self.last = Some((at, to, commits.clone()));
        Ok(Next::Commits(commits))
    }
}

/// Rows of one projection of one graph under way.
pub(super) struct Work {
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
    /// Bytes of all rows that were read or written.
    bytes: usize,
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
    /// From where the stored rows are; from the beginning of the history if there are none, or `anew` is asked for.
    async fn start(log: &Log<'_>, projection: &Registered, anew: bool) -> Result<Self, FoldError> {
        let stored = log.stores.rows.rows(log.graph, projection.name, &[]).await?.at;
        let work = Self { stored, ..Self::anew(projection) };
        Ok(match stored.filter(|at| at.format == projection.format && !anew) {
            Some(at) => Self { at: at.head, is_complete: false, is_unsaved: false, replaces: false, ..work },
            None => work,
        })
    }

    /// From the beginning of the history.
    pub(super) fn anew(projection: &Registered) -> Self {
        Self {
            projection: *projection,
            rows: projection.start(),
            at: Head::EMPTY,
            stored: None,
            is_complete: true,
            is_unsaved: true,
            replaces: true,
            bytes: 0,
        }
    }

    /// From the beginning of the history once more.
    pub(super) fn begin_again(&mut self) {
        *self = Self { stored: self.stored, ..Self::anew(&self.projection) };
    }

    /// Folds `(at, to]`.
    pub(super) async fn fold(&mut self, log: &mut Log<'_>, to: Version) -> Result<Step, FoldError> {
        let start = self.at;
        while self.at.version < to {
            let commits = match log.after(self.at, to).await? {
                Next::Commits(commits) => commits,
                Next::End => return Ok(if self.at == start { Step::NoMore } else { Step::Done }),
                Next::OtherHistory => return Ok(Step::OtherHistory),
            };
            if !self.is_complete {
                match self.load(log, start, &commits).await? {
                    Step::Done => {}
                    step => return Ok(step),
                }
            }
            self.fold_all(&commits)?;
            self.is_unsaved = true;
            self.at = commits.last().map_or(self.at, |last| last.commit.head());
            tokio::task::yield_now().await;
        }
        Ok(Step::Done)
    }

    /// Writes what changed onto the stored rows, if they are what they were; whether they were.
    async fn save(&mut self, stores: &Stores, graph: &GraphId) -> Result<bool, FoldError> {
        let rows = self.rows.take_changes();
        let rows = rows.into_iter().filter(|(_, row)| row.is_some() || !self.replaces);
        let rows: Vec<_> = rows.map(|(key, row)| (key, row.map(Bytes::from))).collect();
        self.bytes += rows.iter().map(|(key, row)| bytes_of(key, row.as_deref())).sum::<usize>();
        let to = RowsHead { head: self.at, format: self.projection.format };
        let change = RowsChange { from: self.stored, to, replaces: self.replaces, rows };
        if !stores.rows.change_rows(graph, self.projection.name, &change).await? {
            return Ok(false);
        }
        (self.stored, self.replaces, self.is_unsaved) = (Some(to), false, false);
        Ok(true)
    }

    /// Puts complete rows in the place of those that are stored, if they are what they were; whether they were.
    pub(super) async fn replace(&mut self, stores: &Stores, graph: &GraphId) -> Result<bool, FoldError> {
        let to = RowsHead { head: self.at, format: self.projection.format };
        let rows = self.rows.rows().into_iter().map(|(key, row)| (key, Some(Bytes::from(row)))).collect();
        let change = RowsChange { from: self.stored, to, replaces: true, rows };
        Ok(stores.rows.change_rows(graph, self.projection.name, &change).await?)
    }

    /// Brings the rows that these commits need into memory, as they were at `start`.
    async fn load(&mut self, log: &Log<'_>, start: Head, commits: &Chunk) -> Result<Step, FoldError> {
        let mut missing = BTreeSet::new();
        commits.iter().for_each(|recorded| self.rows.missing(&recorded.commit, &mut missing));
        let missing: Vec<String> = missing.into_iter().collect();
        if missing.is_empty() {
            return Ok(Step::Done);
        }
        let found = log.stores.rows.rows(log.graph, self.projection.name, &missing).await?;
        if found.at != Some(RowsHead { head: start, format: self.projection.format }) {
            return Ok(Step::Raced);
        }
        for (key, row) in missing.into_iter().zip(found.rows) {
            self.bytes += bytes_of(&key, row.as_deref());
            if let Err(error) = self.rows.load(key, row.as_deref()) {
                tracing::warn!(graph = %log.graph, projection = self.projection.name, %error, "rows are made anew");
                return Ok(Step::OtherHistory);
            }
        }
        Ok(Step::Done)
    }

    /// A defect in a fold stops one graph, not the projector.
    fn fold_all(&mut self, commits: &Chunk) -> Result<(), FoldError> {
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

/// What a row counts for in memory.
fn bytes_of(key: &str, row: Option<&[u8]>) -> usize {
    ROW_BYTES + key.len() + row.map_or(0, <[u8]>::len)
}

/// The commits of these bytes; `None` if the first does not follow on `at`.
fn decode(at: Head, chunk: Vec<StoredCommit>) -> Result<Option<Vec<Arc<Recorded>>>, FoldError> {
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
        let commit = Commit { version: stored.version, hash: stored.hash, body };
        commits.push(Recorded::new(commit, stored.body));
    }
    Ok(Some(commits))
}
