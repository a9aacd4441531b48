//! The end of the feed, followed once for all readers in this process that have caught up with it.
//!
//! One task reads every part as it grows and puts what it reads into a ring, in the order in which
//! it came. A reader is a number in that order; one that the ring has left behind reads the feed
//! itself.
//!
//! Invariant: between the base of a part and the last item of that part in the ring nothing is
//! missing. When that can't be said any more, the ring starts from scratch and every reader is left behind.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, stream};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    feed_commits::{FeedCommits, PendingEntry, READS_AT_ONCE, read_step},
    sources::{RETRY_AFTER, Sources},
};
use crate::store::{FeedBounds, FeedEntry, FeedPlace, StoreError};

/// Bytes of commits in the ring. Whoever is further behind reads the feed itself.
const RING_BYTES_MAX: usize = 4 << 20;
/// Items in the ring: small ones are bounded too.
const RING_ITEMS_MAX: usize = 16_384;
/// What an item counts for beside the bodies of its commits.
const ITEM_BYTES: usize = 128;
/// Entries read from one part at once.
pub(super) const FEED_CHUNK: usize = 256;
/// How often a store that others write to is looked at, while there is something to see …
const POLL: Duration = Duration::from_millis(100);
/// … and when there was nothing for [`IDLE_AFTER`].
const POLL_IDLE: Duration = Duration::from_millis(200);
const IDLE_AFTER: Duration = Duration::from_secs(10);
/// Between two looks when there was something: what came meanwhile is read together.
const PACE: Duration = Duration::from_millis(5);
/// The same where each look asks another server about every part.
const PACE_SHARED: Duration = Duration::from_millis(20);
/// How often it is made sure that no part went back or was trimmed ahead of the reader.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// The end of the feed, for as long as somebody holds it.
pub(super) struct Tail {
    shared: Arc<SharedTail>,
    _ends_the_task: DropGuard,
}

struct SharedTail {
    /// Never held across an await.
    ring: Mutex<TailRing>,
    /// Changes when the ring does. Closed when the task has ended.
    moved: watch::Receiver<()>,
}

/// What lies at the end of the feed.
struct TailRing {
    /// The number of the first item.
    first: u64,
    items: VecDeque<Arc<FeedCommits>>,
    bytes: usize,
    /// For each part, the place after which everything is here.
    base: Vec<FeedPlace>,
}

impl TailRing {
    fn push(&mut self, told: FeedCommits) {
        self.bytes += bytes_of(&told);
        self.items.push_back(Arc::new(told));
        while self.items.len() > 1 && (self.items.len() > RING_ITEMS_MAX || self.bytes > RING_BYTES_MAX) {
            let Some(old) = self.items.pop_front() else { break };
            self.first += 1;
            self.bytes -= bytes_of(&old);
            // Also if it was a part of an entry: a reader that has not had it all reads the entry again.
            self.base[old.part as usize] = old.place;
        }
    }

    /// Leaves every reader behind.
    fn start_from_scratch(&mut self, base: Vec<FeedPlace>) {
        self.first += self.items.len() as u64 + 1;
        self.items.clear();
        (self.bytes, self.base) = (0, base);
    }
}

fn bytes_of(told: &FeedCommits) -> usize {
    ITEM_BYTES + told.commits.iter().map(|commit| commit.body.len()).sum::<usize>()
}

impl Tail {
    /// Follows the feed from these places on.
    pub(super) fn start(sources: Arc<Sources>, places: Vec<FeedPlace>) -> Arc<Self> {
        let (moves, moved) = watch::channel(());
        let ring = TailRing { first: 0, items: VecDeque::new(), bytes: 0, base: places.clone() };
        let shared = Arc::new(SharedTail { ring: Mutex::new(ring), moved });
        let ended = CancellationToken::new();
        let task = TailTask { sources, shared: shared.clone(), moves, places, checked_at: Instant::now() };
        let stop = ended.clone();
        tokio::spawn(async move {
            // What it does can be left at any point: nobody is there any more to see it.
            tokio::select! {
                () = stop.cancelled() => {}
                () = task.run() => {}
            }
        });
        Arc::new(Self { shared, _ends_the_task: ended.drop_guard() })
    }

    /// Whether its task has ended, which it does by itself only if it panics.
    pub(super) fn has_ended(&self) -> bool {
        self.shared.moved.has_changed().is_err()
    }

    pub(super) fn watch(&self) -> watch::Receiver<()> {
        self.shared.moved.clone()
    }

    /// For each part, the place after which everything is here; and the number to go on from for
    /// who has everything up to there, or more.
    pub(super) fn base(&self) -> (Vec<FeedPlace>, u64) {
        let ring = lock(&self.shared.ring);
        (ring.base.clone(), ring.first)
    }

    /// The items from this number on, at most `limit`; `None` if it was left behind.
    pub(super) fn from(&self, number: u64, limit: usize) -> Option<Vec<Arc<FeedCommits>>> {
        let ring = lock(&self.shared.ring);
        let skip = usize::try_from(number.checked_sub(ring.first)?).ok()?;
        let items = ring.items.iter().skip(skip).take(limit).cloned().collect();
        (skip <= ring.items.len()).then_some(items)
    }
}

/// Why the feed can't be followed on from where the task is.
enum TailError {
    Store(StoreError),
    /// Some of it was trimmed unread, or is another feed than before.
    Lost,
}

impl From<StoreError> for TailError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

struct TailTask {
    sources: Arc<Sources>,
    shared: Arc<SharedTail>,
    moves: watch::Sender<()>,
    places: Vec<FeedPlace>,
    checked_at: Instant,
}

impl TailTask {
    async fn run(mut self) {
        let mut appended = self.sources.graphs.appended();
        let is_shared = self.sources.graphs.store().is_shared();
        let mut told_at = Instant::now();
        loop {
            // What is appended after this look wakes the next wait.
            appended.mark_unchanged();
            match self.look().await {
                Ok(true) => {
                    told_at = Instant::now();
                    sleep(if is_shared { PACE_SHARED } else { PACE }).await;
                }
                Ok(false) => {
                    let poll = if told_at.elapsed() < IDLE_AFTER { POLL } else { POLL_IDLE };
                    tokio::select! {
                        // The registry outlives this task, so there is always a sender.
                        _ = appended.changed() => {}
                        () = sleep(poll), if is_shared => {}
                    }
                }
                Err(TailError::Store(error)) => {
                    tracing::debug!(%error, "the feed can't be read for now");
                    sleep(RETRY_AFTER).await;
                }
                Err(TailError::Lost) => self.start_from_scratch().await,
            }
        }
    }

    /// Reads what there is; whether there was anything.
    async fn look(&mut self) -> Result<bool, TailError> {
        let is_check = self.checked_at.elapsed() >= CHECK_EVERY;
        let mut reads = Vec::with_capacity(self.places.len());
        for (part, place) in (0_u32..).zip(&self.places) {
            reads.push(self.sources.chunk(part, *place, is_check));
        }
        let found: Vec<(Vec<FeedEntry>, Option<FeedBounds>)> =
            stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
        let mut waiting: VecDeque<PendingEntry> = VecDeque::new();
        for ((part, place), (entries, bounds)) in (0_u32..).zip(&self.places).zip(found) {
            if bounds.is_some_and(|bounds| bounds.trimmed > *place || bounds.end < *place) {
                return Err(TailError::Lost);
            }
            waiting.extend(entries.into_iter().map(|entry| (part, entry)));
        }
        if is_check {
            self.checked_at = Instant::now();
        }
        let has_found = !waiting.is_empty();
        while !waiting.is_empty() {
            let step = read_step(&self.sources, &waiting).await?;
            let mut ring = lock(&self.shared.ring);
            for told in step {
                take_off(&mut waiting, &told);
                if told.is_all {
                    self.places[told.part as usize] = told.place;
                }
                ring.push(told);
            }
            drop(ring);
            self.moves.send_replace(());
        }
        Ok(has_found)
    }

    async fn start_from_scratch(&mut self) {
        match self.sources.bounds().await {
            Ok(bounds) => {
                tracing::debug!("the feed is not what it was: all that follow it look again");
                self.places = bounds.iter().map(|bounds| bounds.end).collect();
                lock(&self.shared.ring).start_from_scratch(self.places.clone());
                self.moves.send_replace(());
            }
            Err(error) => {
                tracing::debug!(%error, "the feed can't be read for now");
                sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// What was told waits no more.
pub(super) fn take_off(waiting: &mut VecDeque<PendingEntry>, told: &FeedCommits) {
    if told.is_all {
        waiting.pop_front();
    } else if let (Some((_, entry)), Some(last)) = (waiting.front_mut(), told.commits.last()) {
        entry.from = last.commit.version.next();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
