//! A subscriber that takes what comes next whenever it is ready for it: what streams are made of.

use std::{sync::Arc, time::Duration};

use dao_projections::{GraphId, Head, Version};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::{AvailableCommits, Cursor, CursorStep, FollowedGraph, FollowedGraphs, followed_graphs::LogRead};
use crate::{
    read::{self, ReadError, ResumeHash, StoreError, StoredCommit},
    telemetry::{Counted, Source},
    write::{GraphWatch, Graphs, Recorded, WriteError},
};

/// A reader this far behind that takes commits as they are stored gets them so.
const BULK_COMMITS_MIN: u64 = 512;
/// Stored commits given at once, at first and at most. The next are read meanwhile.
const BULK_COMMITS: [usize; 2] = [256, 2_048];
/// Bytes of stored commits that are given at once, about: a reader that takes nothing holds twice as many.
const BULK_BYTES: usize = 384 << 10;
/// How long to wait before the store is asked again after it was unavailable.
const RETRY_AFTER: Duration = Duration::from_secs(1);

type ReadAhead = AbortOnDropHandle<Result<Vec<StoredCommit>, StoreError>>;

/// A subscriber of one graph.
pub struct Reader {
    graphs: Arc<Graphs>,
    followed: Arc<FollowedGraph>,
    hot: GraphWatch,
    cursor: Cursor,
    /// The graph's head at the latest step.
    head: Head,
    /// It has everything, and takes no step before this.
    quiet_until: Option<Instant>,
    takes_stored: bool,
    /// The commits after this version, on their way.
    ahead: Option<(Version, ReadAhead)>,
    /// How many stored commits make [`BULK_BYTES`], by the latest that were read.
    bulk: usize,
}

/// What a reader gets.
#[derive(Debug)]
pub enum Delivery {
    /// The same as they are stored: for a reader that said so, and is far behind.
    Stored(Vec<StoredCommit>),
    /// The commits that follow on what it has, at least one.
    Commits(Vec<Arc<Recorded>>),
    /// What it has is of another history: it goes on from this head (rule V4).
    Reset(Head),
}

impl Reader {
    /// Follows a graph from wherever [`Reader::start_at`] says; at first from its beginning. Follow
    /// first, then find out where to start: so nothing slips between.
    pub fn new(graphs: Arc<Graphs>, hub: &FollowedGraphs, id: &GraphId) -> Self {
        let (followed, hot) = (hub.follow(id), graphs.hot(id));
        let (head, cursor) = (Head::EMPTY, Cursor::at(Head::EMPTY));
        let (takes_stored, bulk) = (false, BULK_COMMITS[0]);
        Self { graphs, followed, hot, cursor, head, quiet_until: None, takes_stored, ahead: None, bulk }
    }

    /// It takes commits as they are stored, where it is far behind.
    #[must_use]
    pub fn taking_stored(self) -> Self {
        Self { takes_stored: true, ..self }
    }

    /// It has everything up to this point of today's history.
    pub fn start_at(&mut self, head: Head) {
        self.cursor = Cursor::at(head);
    }

    /// What it has.
    pub fn head(&self) -> Head {
        self.cursor.head()
    }

    /// What comes next; waits for it. Cancel-safe: what was not returned is returned the next time.
    ///
    /// An unavailable store is waited for. An error says that the log can't be read on from here.
    pub async fn next(&mut self) -> Result<Delivery, ReadError> {
        loop {
            if let Some(until) = self.quiet_until {
                sleep_until(until).await;
                self.quiet_until = None;
            }
            let mut source = Source::Memory;
            let step = match self.step() {
                CursorStep::ReadLog { after, to }
                    if self.takes_stored && to.since(after) >= BULK_COMMITS_MIN =>
                {
                    match self.stored(after, to).await {
                        Ok(Some(commits)) => {
                            self.followed.metrics().delivered.of(Source::Log).inc_by(commits.len() as u64);
                            return Ok(Delivery::Stored(commits));
                        }
                        Ok(None) => CursorStep::StartAgain,
                        Err(error) => {
                            wait_out(error.into()).await?;
                            continue;
                        }
                    }
                }
                CursorStep::ReadLog { after, to } => match self.catch_up(after, to).await {
                    Ok(commits) => {
                        source = Source::Log;
                        self.cursor.check(&commits)
                    }
                    Err(error) => {
                        wait_out(error).await?;
                        continue;
                    }
                },
                step => step,
            };
            match step {
                CursorStep::Deliver(commits) => {
                    self.deliver(&commits, source);
                    return Ok(Delivery::Commits(commits));
                }
                CursorStep::CaughtUp => self.wait().await?,
                CursorStep::StartAgain => match read::current(&self.graphs, self.followed.id(), None).await {
                    Ok(current) if current.source == read::StateSource::Stale => {
                        tokio::time::sleep(RETRY_AFTER).await;
                    }
                    Ok(current) => match self.continued(current.head()).await {
                        // Memory held another history than the log, and has caught up now.
                        Ok(Some(_)) => self.hot = self.graphs.hot(self.followed.id()),
                        Ok(None) => {
                            self.start_at(current.head());
                            return Ok(Delivery::Reset(current.head()));
                        }
                        Err(error) => wait_out(error).await?,
                    },
                    Err(error) => wait_out(error).await?,
                },
                CursorStep::ReadLog { .. } => {}
            }
        }
    }

    /// What memory has for a reader that waits because it got something not long ago; nothing if it doesn't wait.
    /// For a stream that ends.
    pub fn held(&mut self) -> Vec<Arc<Recorded>> {
        if self.quiet_until.take().is_none() {
            return vec![];
        }
        let CursorStep::Deliver(commits) = self.step() else { return vec![] };
        self.deliver(&commits, Source::Memory);
        commits
    }

    fn deliver(&mut self, commits: &[Arc<Recorded>], source: Source) {
        commits.iter().for_each(|commit| self.cursor.advance(commit));
        let count = commits.len() as u64;
        let before = self.followed.metrics().delivered.of(source).inc_by(count);
        if source == Source::Memory {
            let (now, pacing) = (Instant::now(), self.followed.pacing());
            pacing.note(before + count, now);
            self.quiet_until = pacing.quiet_until(now).filter(|_| self.cursor.head() == self.head);
        }
    }

    /// The commits after the cursor as they are stored; nothing, if they don't follow on it.
    async fn stored(&mut self, after: Version, to: Version) -> Result<Option<Vec<StoredCommit>>, StoreError> {
        if self.ahead.as_ref().is_none_or(|(from, _)| *from != after) {
            self.ahead = Some((after, self.read_ahead(after, to)));
        }
        let _laggard = Counted::one(&self.followed.metrics().laggards);
        let Some((_, reading)) = &mut self.ahead else { return Ok(None) };
        let read = reading.await;
        self.ahead = None;
        let commits = read.unwrap_or_else(|e| Err(StoreError::Unavailable(e.to_string())))?;
        let (Some(first), Some(last)) = (commits.first(), commits.last()) else { return Ok(None) };
        if self.cursor.head().after(&first.body) != first.head() {
            return Ok(None);
        }
        let bytes: usize = commits.iter().map(|commit| commit.body.len()).sum();
        self.bulk = (BULK_BYTES * commits.len() / bytes.max(1)).clamp(1, BULK_COMMITS[1]);
        self.cursor = Cursor::at(last.head());
        if to.since(last.version) >= BULK_COMMITS_MIN {
            self.ahead = Some((last.version, self.read_ahead(last.version, to)));
        }
        Ok(Some(commits))
    }

    async fn catch_up(&self, after: Version, to: Version) -> LogRead {
        let counted = self.followed.metrics();
        counted.lag_commits.counted(to.since(after));
        let _laggard = Counted::one(&counted.laggards);
        self.followed.from_log(after, to).await
    }

    fn read_ahead(&self, after: Version, to: Version) -> ReadAhead {
        let (graphs, id, bulk) = (self.graphs.clone(), self.followed.id().clone(), self.bulk);
        let read = async move { graphs.store().read(&id, after, to, bulk).await };
        AbortOnDropHandle::new(tokio::spawn(read))
    }

    fn step(&mut self) -> CursorStep {
        // What happens after this look wakes the next wait.
        self.hot.mark_seen();
        match AvailableCommits::after(self.cursor.head().version, &self.hot) {
            Some(available) => {
                self.head = available.head;
                self.cursor.step(available)
            }
            None => CursorStep::CaughtUp,
        }
    }

    /// What it has, if that is of the history with this head.
    async fn continued(&self, head: Head) -> Result<Option<Head>, ReadError> {
        let (own, id) = (self.cursor.head(), self.followed.id());
        read::continued(&self.graphs, id, own.version, Some(ResumeHash::of(own.hash)), head).await
    }

    async fn wait(&mut self) -> Result<(), ReadError> {
        // A graph that is not in memory has to be loaded to be followed, also after its task failed.
        let is_there = self.hot.head().is_some() && self.hot.changed().await;
        if !is_there && let Err(error) = self.graphs.refresh(self.followed.id()).await {
            wait_out(error.into()).await?;
        }
        Ok(())
    }
}

/// Waits where the store is unavailable or the server is busy; any other error is passed on.
async fn wait_out(error: ReadError) -> Result<(), ReadError> {
    match error {
        ReadError::Graph(
            WriteError::StoreUnavailable(_)
            | WriteError::Overloaded
            | WriteError::Contended
            | WriteError::Failed
            | WriteError::MemoryFull,
        ) => {
            tokio::time::sleep(RETRY_AFTER).await;
            Ok(())
        }
        error => Err(error),
    }
}
