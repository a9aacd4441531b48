//! From entries of the feed to the commits that they tell of.
//!
//! Invariant: what is read of an entry is a run of whole commits from its first on; it says whether
//! that is all of it, and if not, why. What a read can hold is bounded, however large an entry is.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use dao_projections::{GraphId, Head, Version};
use futures::{StreamExt, stream};

use super::sources::Sources;
use crate::{
    store::{FeedEntry, FeedPlace, StoreError},
    write::{Graphs, Recorded, history_reader},
};

/// Commits read in one step, but that a step reads at least something.
pub(super) const STEP_COMMITS: usize = 512;
/// Bytes of commits after which a step begins no more reads and is over, but for those under way.
const STEP_BYTES: usize = 1 << 20;
/// Histories read at the same time in one step.
pub(super) const READS_AT_ONCE: usize = 16;

/// Commits of one graph, with where they leave a reader of the feed.
#[derive(Debug)]
pub(super) struct FeedCommits {
    pub(super) part: u32,
    /// The place of the entry that tells of them.
    pub(super) place: FeedPlace,
    pub(super) graph: GraphId,
    pub(super) commits: Vec<Arc<Recorded>>,
    /// Why the rest of the entry can't be read, if it can't.
    pub(super) damage: Option<StoreError>,
    /// The last head of the graph, if it is the purge of it that the entry tells of.
    pub(super) purged: Option<Head>,
    /// Whether nothing of the entry is left.
    pub(super) is_all: bool,
}

/// Commits of one graph as far as they were read.
#[derive(Debug, Default)]
pub(super) struct CommitRun {
    pub(super) commits: Vec<Arc<Recorded>>,
    /// Why nothing more can be read after them, if that is so.
    pub(super) damage: Option<StoreError>,
}

/// An entry that waits to be read, with the part it is of. Its `from` moves as it is read.
pub(super) type PendingEntry = (u32, FeedEntry);

/// How many of the waiting entries one step reads.
fn step_of<'w>(waiting: impl Iterator<Item = &'w PendingEntry>) -> usize {
    let mut commits = 0;
    let fits = |(_, entry): &&PendingEntry| {
        commits += entry.to.since(entry.from).saturating_add(1);
        commits <= STEP_COMMITS as u64
    };
    waiting.take_while(fits).count().max(1)
}

/// A graph, the version after which to read it, and the last one to read.
type Span = (GraphId, Version, Version);

/// What to read for these entries, from after one version up to another, and which of it is for which entry. Entries of
/// one graph follow on each other: together they are one read. Those of a purge need none.
fn spans_of(entries: &[&PendingEntry]) -> (Vec<Span>, Vec<Option<usize>>) {
    let mut spans: Vec<Span> = Vec::new();
    let mut span_of = Vec::with_capacity(entries.len());
    let mut latest: HashMap<&GraphId, usize> = HashMap::new();
    for (_, entry) in entries {
        if entry.purged.is_some() {
            // What follows under this name is another history.
            latest.remove(&entry.graph);
            span_of.push(None);
            continue;
        }
        let found = latest.get(&entry.graph).copied().filter(|index| spans[*index].2.next() == entry.from);
        let index = match found {
            Some(index) => {
                spans[index].2 = entry.to;
                index
            }
            None => {
                spans.push((entry.graph.clone(), before(entry.from), entry.to));
                spans.len() - 1
            }
        };
        latest.insert(&entry.graph, index);
        span_of.push(Some(index));
    }
    (spans, span_of)
}

/// Reads the first of the waiting entries, as many as make a step, in their order. An error says
/// that nothing could be read; what was read before one is returned without it.
pub(super) async fn read_step(
    sources: &Sources,
    waiting: &VecDeque<PendingEntry>,
) -> Result<Vec<FeedCommits>, StoreError> {
    let count = step_of(waiting.iter());
    let entries: Vec<&PendingEntry> = waiting.iter().take(count).collect();
    let (spans, span_of) = spans_of(&entries);
    let mut reads = Vec::with_capacity(spans.len());
    for (graph, after, to) in &spans {
        reads.push(read_run(&sources.graphs, graph, *after, *to, STEP_COMMITS));
    }
    let mut reading = stream::iter(reads).buffered(READS_AT_ONCE);
    let (mut runs, mut bytes) = (Vec::with_capacity(spans.len()), 0);
    while bytes < STEP_BYTES
        && let Some(run) = reading.next().await
    {
        let read = run.as_ref().map_or(&[][..], |run: &CommitRun| &run.commits);
        bytes += read.iter().map(|commit| commit.body.len()).sum::<usize>();
        runs.push(run);
    }

    let mut all = Vec::with_capacity(entries.len());
    for ((part, entry), span) in entries.into_iter().zip(span_of) {
        let (part, place, graph) = (*part, entry.place, entry.graph.clone());
        let Some(span) = span else {
            let purged = entry.purged.map(|hash| Head { version: entry.to, hash });
            all.push(FeedCommits { part, place, graph, commits: vec![], damage: None, purged, is_all: true });
            continue;
        };
        let run = match runs.get_mut(span) {
            Some(Ok(run)) => run,
            Some(Err(error)) if all.is_empty() => return Err(error.clone()),
            Some(Err(_)) | None => break,
        };
        let here = run.commits.partition_point(|commit| commit.commit.version <= entry.to);
        let commits: Vec<_> = run.commits.drain(..here).collect();
        let has_last = commits.last().is_some_and(|last| last.commit.version == entry.to);
        let mut damage = if has_last { None } else { run.damage.take() };
        let is_all = has_last || damage.is_some();
        if commits.is_empty() && !is_all {
            break;
        }
        if damage.is_some() && is_of_purged(sources, entry).await? {
            damage = None;
        }
        all.push(FeedCommits { part, place, graph, commits, damage, purged: None, is_all });
        if !has_last {
            break; // what follows in the same run was not read
        }
    }
    Ok(all)
}

/// Whether the entry tells of commits that were purged since: that they can't be read is no damage.
async fn is_of_purged(sources: &Sources, entry: &FeedEntry) -> Result<bool, StoreError> {
    Ok(sources.feed.gone(&entry.graph).await?.is_some_and(|gone| entry.place < gone.place))
}

/// The first commits in `(after, to]`: from memory, where nobody else can write and it reaches back
/// that far, else from the log. That there is none is damage.
pub(super) async fn read_run(
    graphs: &Graphs,
    id: &GraphId,
    after: Version,
    to: Version,
    limit: usize,
) -> Result<CommitRun, StoreError> {
    let wanted = usize::try_from(to.since(after)).unwrap_or(usize::MAX).min(limit);
    if !graphs.store().is_shared()
        && let Some((_, commits)) = graphs.in_memory(id).and_then(|hot| hot.commits_since(after, wanted))
        && commits.len() == wanted
    {
        return Ok(CommitRun { commits, damage: None });
    }
    let mut run = read_log(graphs, id, after, to, wanted).await?;
    if run.commits.is_empty() && run.damage.is_none() {
        let problem = "the feed tells of this commit, and the history ends before it".to_owned();
        run.damage = Some(StoreError::Corrupt { graph: id.clone(), version: after.next(), problem });
    }
    Ok(run)
}

/// What one read of the log gives of `(after, to]`. Where it is damaged, what precedes that.
pub(super) async fn read_log(
    graphs: &Graphs,
    id: &GraphId,
    after: Version,
    to: Version,
    limit: usize,
) -> Result<CommitRun, StoreError> {
    let mut to = to;
    loop {
        let stored = match graphs.store().read(id, after, to, limit).await {
            Ok(stored) => stored,
            // The whole read failed: what lies before the damage is read by itself.
            Err(StoreError::Corrupt { version, .. }) if version > after.next() && version <= to => {
                to = before(version);
                continue;
            }
            Err(damage @ StoreError::Corrupt { .. }) => {
                return Ok(CommitRun { commits: vec![], damage: Some(damage) });
            }
            Err(error) => return Err(error),
        };
        let mut run = CommitRun::default();
        for stored in stored {
            match history_reader::decode(id, &stored) {
                Ok(commit) => run.commits.push(Recorded::new(commit, stored.body)),
                Err(damage) => {
                    run.damage = Some(damage);
                    break;
                }
            }
        }
        return Ok(run);
    }
}

/// The version before this one.
pub(super) fn before(version: Version) -> Version {
    Version::new(version.get().saturating_sub(1)).unwrap_or_default()
}
