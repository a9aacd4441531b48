//! What one look has read, so that it can be made again without reading: when the subscription was changed
//! while it read, what it found is judged once more on what the subscription is now.
//!
//! Invariants: what is kept is bounded, as is what a look hands out; what is not handed out is kept as
//! versions alone. When it is closed nothing is read any more: what was not read yet waits for the next look.

use std::{collections::HashMap, sync::Arc};

use dao_projections::{GraphId, Version};
use futures::{StreamExt, stream};

use super::spans::{DueSpan, VersionSpan};
use crate::{
    live::{AllGraphs, AllReader, Extent, Piece, Since},
    read::CommitFilter,
    store::StoreError,
    write::Recorded,
};

/// Histories read at the same time.
pub(super) const READS_AT_ONCE: usize = 16;

/// What is wanted of a stretch of a history, as far as it was read.
#[derive(Clone, Default)]
pub(super) struct WantedCommits {
    /// The first that are wanted, no more than were asked for.
    pub(super) wanted: Vec<Arc<Recorded>>,
    /// The last that was read.
    pub(super) last: Option<Version>,
    /// Why nothing can be read after it, if that is so.
    pub(super) damage: Option<String>,
}

/// What the feed told of.
#[derive(Clone)]
pub(super) enum FeedItem {
    Commits {
        graph: GraphId,
        span: VersionSpan,
        /// The first from this version on, if it was handed out at once.
        first: Option<(Version, Arc<Recorded>)>,
        before: Arc<str>,
        after: Arc<str>,
    },
    Damaged {
        graph: GraphId,
        version: Version,
        problem: String,
    },
    Gone {
        graph: GraphId,
        after: Arc<str>,
    },
}

impl FeedItem {
    /// `None` for what says nothing.
    pub(super) fn of(piece: &Piece) -> Option<Self> {
        Some(match piece {
            Piece::Commits { graph, commits, before, after } => {
                let (from, to) = (commits.first()?.commit.version, commits.last()?.commit.version);
                let (before, after) = (before.clone(), after.clone());
                Self::Commits {
                    graph: graph.clone(),
                    span: VersionSpan { from, to },
                    first: None,
                    before,
                    after,
                }
            }
            Piece::Gone { graph, after, .. } => Self::Gone { graph: graph.clone(), after: after.clone() },
            Piece::Damaged { graph, version, error } => {
                Self::Damaged { graph: graph.clone(), version: *version, problem: error.to_string() }
            }
        })
    }
}

/// What the feed told of from one position on.
pub(super) struct FeedRead {
    pub(super) from: String,
    pub(super) told: Vec<FeedItem>,
    /// Where it was when it had told all that there was time for.
    pub(super) end: Option<Arc<str>>,
}

/// All that a look has read.
pub(super) struct HistoryReads {
    all: Arc<AllGraphs>,
    /// By graph and span.
    histories: HashMap<(GraphId, Version, Version), Result<WantedCommits, StoreError>>,
    pub(super) feed: Option<FeedRead>,
    is_closed: bool,
}

impl HistoryReads {
    pub(super) fn new(all: Arc<AllGraphs>) -> Self {
        Self { all, histories: HashMap::new(), feed: None, is_closed: false }
    }

    /// Nothing is read any more.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Reads of each stretch at most `commits`, and keeps the first `count` that are wanted.
    pub(super) async fn look(
        &mut self,
        due: &[DueSpan],
        filter: &CommitFilter,
        commits: usize,
        count: usize,
    ) {
        if self.is_closed {
            return;
        }
        let mut reads = Vec::with_capacity(due.len());
        for DueSpan { graph, span } in due {
            reads.push(self.all.read(graph, span.from, span.to, commits));
        }
        let found: Vec<_> = stream::iter(reads).buffered(READS_AT_ONCE).collect().await;
        for (DueSpan { graph, span }, found) in due.iter().zip(found) {
            let seen = found.map(|(commits, damage)| {
                let wanted = commits.iter().filter(|commit| filter.wants(graph, &commit.commit));
                WantedCommits {
                    wanted: wanted.take(count).cloned().collect(),
                    last: commits.last().map(|last| last.commit.version),
                    damage: damage.map(|damage| damage.to_string()),
                }
            });
            self.histories.insert((graph.clone(), span.from, span.to), seen);
        }
    }

    /// What was found of this stretch, if it was read.
    pub(super) fn seen(&self, due: &DueSpan) -> Option<Result<WantedCommits, StoreError>> {
        self.histories.get(&(due.graph.clone(), due.span.from, due.span.to)).cloned()
    }

    /// A reader of the feed from this position on.
    pub(super) async fn open(&self, position: &str, filter: &CommitFilter) -> Result<AllReader, StoreError> {
        let since = match self.all.parse(position) {
            Ok(position) => Since::Position(position),
            // Another number of partitions: nothing is skipped if all is read again.
            Err(_) => Since::Beginning,
        };
        self.all.open(since, filter.clone(), Extent::UntilNow).await
    }
}
