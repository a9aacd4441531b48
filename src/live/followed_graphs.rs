//! The hub: the graphs that somebody follows in this process, and what their followers share.
//!
//! A followed graph's commits are in its task's ring and its head in the task's `watch`
//! ([`crate::write::GraphWatch`]); what is here is the rest: presence, and reads of the log for those who
//! are further behind than the ring reaches.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use dao_projections::{GraphId, Version};
use futures::{
    FutureExt,
    future::{BoxFuture, WeakShared},
};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep_until},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{
    followers::PresentClient,
    other_instances::{LiveConfig, OtherInstancesTask},
    pacing::DeliveryPacing,
    presence::PresenceRoom,
};
use crate::{
    read::{self, ReadError},
    store::Publications,
    telemetry::LiveMetrics,
    write::{Graphs, Recorded},
};

/// Commits read from the log at once for those who are behind. Reads begin at multiples of this, so
/// that laggards who are not at quite the same version wait for the same read.
const LOG_CHUNK: u64 = 128;
/// How long other instances have to say who is there; later answers are heard as well.
const ANSWERS_TAKE: Duration = Duration::from_millis(500);
/// How long a graph is followed because somebody asked who is there, and how many graphs at once. Who asks for one more
/// waits for the answers each time.
const LOOKED_AT_FOR: Duration = Duration::from_secs(60);
const LOOKERS_MAX: usize = 1_000;
/// How long after a panic the task that follows other instances is restarted.
const BEGIN_ANEW_AFTER: Duration = Duration::from_secs(1);

/// What a read of the log came to; shared by all who waited for it.
pub type LogRead = Result<Arc<[Arc<Recorded>]>, ReadError>;

type ReadUnderWay = WeakShared<BoxFuture<'static, LogRead>>;

/// The graphs that somebody follows.
pub struct FollowedGraphs {
    graphs: Arc<Graphs>,
    config: LiveConfig,
    tasks: TaskTracker,
    stopping: CancellationToken,
    /// Permits for graphs that are followed because somebody asked who is there.
    lookers: Arc<Semaphore>,
    pacing: Arc<DeliveryPacing>,
    /// Guards which graph has which entry; held to look up or change one, never across an await.
    followed: Mutex<HashMap<GraphId, Weak<FollowedGraph>>>,
}

/// One followed graph: lasts as long as somebody holds it.
pub struct FollowedGraph {
    id: GraphId,
    graphs: Arc<Graphs>,
    room: Arc<PresenceRoom>,
    pacing: Arc<DeliveryPacing>,
    /// Since when it is followed here.
    since: Instant,
    /// Ends the task that hears of other instances.
    _task: DropGuard,
    /// Guards which reads of the log are under way; never held across an await.
    reads: Mutex<HashMap<(Version, Version), ReadUnderWay>>,
}

impl FollowedGraphs {
    /// Nobody follows anything yet.
    pub fn new(graphs: Arc<Graphs>, config: LiveConfig) -> Self {
        let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
        let lookers = Arc::new(Semaphore::new(LOOKERS_MAX));
        let pacing = Arc::new(DeliveryPacing::new(config.pacing));
        Self { graphs, config, tasks, stopping, lookers, pacing, followed: Mutex::default() }
    }

    /// Follows a graph, for as long as the answer is held.
    pub fn follow(&self, id: &GraphId) -> Arc<FollowedGraph> {
        let mut all = lock(&self.followed);
        if let Some(followed) = all.get(id).and_then(Weak::upgrade) {
            return followed;
        }
        let (graphs, room, ended) =
            (self.graphs.clone(), Arc::<PresenceRoom>::default(), self.stopping.child_token());
        if graphs.store().is_shared() {
            let hints = graphs.store().listen(id);
            let (graphs, room) = (graphs.clone(), room.clone());
            self.tasks.spawn(elsewhere(id.clone(), graphs, room, self.config, hints, ended.clone()));
        }
        let (_task, reads) = (ended.drop_guard(), Mutex::default());
        let (pacing, since) = (self.pacing.clone(), Instant::now());
        let followed = Arc::new(FollowedGraph { id: id.clone(), graphs, room, pacing, since, _task, reads });
        if all.len() == all.capacity() {
            all.retain(|_, followed| followed.strong_count() > 0);
        }
        all.insert(id.clone(), Arc::downgrade(&followed));
        followed
    }

    /// Who is there in this graph, on all instances. Where nobody follows it here, the others are asked, which takes a
    /// moment; for a while afterwards it is followed, so that the next who ask need not wait.
    pub async fn clients(&self, id: &GraphId) -> Vec<PresentClient> {
        let followed = self.follow(id);
        if self.graphs.store().is_shared() {
            let is_new = followed.since.elapsed() < ANSWERS_TAKE;
            sleep_until(followed.since + ANSWERS_TAKE).await;
            if is_new && let Ok(turn) = self.lookers.clone().try_acquire_owned() {
                let (held, ended) = (followed.clone(), self.stopping.clone());
                self.tasks.spawn(async move {
                    let _stopped = tokio::time::timeout(LOOKED_AT_FOR, ended.cancelled()).await;
                    drop((held, turn));
                });
            }
        }
        followed.room().clients()
    }

    /// When followers here get several commits at once.
    pub fn pacing(&self) -> &Arc<DeliveryPacing> {
        &self.pacing
    }

    /// Graphs that somebody follows, and clients that are present in them: for operators.
    pub fn occupancy(&self) -> (usize, usize) {
        let followed: Vec<_> = lock(&self.followed).values().filter_map(Weak::upgrade).collect();
        (followed.len(), followed.iter().map(|followed| followed.room.present()).sum())
    }

    /// Stops hearing of other instances, after telling them that nobody is here any more.
    pub async fn close(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl FollowedGraph {
    /// Which graph.
    pub fn id(&self) -> &GraphId {
        &self.id
    }

    /// What of it is counted.
    pub fn metrics(&self) -> &LiveMetrics {
        &self.graphs.metrics().live
    }

    /// When its followers get several commits at once.
    pub fn pacing(&self) -> &Arc<DeliveryPacing> {
        &self.pacing
    }

    /// Who is present in it.
    pub fn room(&self) -> &PresenceRoom {
        &self.room
    }

    /// What the log holds of `(after, to]`, in order, as much as one read gives. Commits at or before
    /// `after` may precede it, since all who are about there get the same read.
    pub async fn from_log(&self, after: Version, to: Version) -> LogRead {
        let start = after.get() - after.get() % LOG_CHUNK;
        let range = (version(start), version(start + LOG_CHUNK).min(to));
        let read = {
            let mut reads = lock(&self.reads);
            reads.get(&range).and_then(WeakShared::upgrade).unwrap_or_else(|| {
                reads.retain(|_, read| read.upgrade().is_some());
                let (graphs, id) = (self.graphs.clone(), self.id.clone());
                let read = async move {
                    let commits = read::from_log(&graphs, &id, range.0, range.1, LOG_CHUNK as usize).await?;
                    Ok(commits.into())
                };
                let read = read.boxed().shared();
                if let Some(weak) = read.downgrade() {
                    reads.insert(range, weak);
                }
                read
            })
        };
        let commits = read.await?;
        match commits.last() {
            // Large commits: one read does not give the whole range, and this ended before `after`.
            Some(last) if last.commit.version <= after && last.commit.version < range.1 => {
                let own = read::from_log(&self.graphs, &self.id, after, to, LOG_CHUNK as usize).await?;
                Ok(own.into())
            }
            _ => Ok(commits),
        }
    }
}

/// Hears of other instances until nobody follows the graph. A task that panics is a mistake of this program's, and its
/// graph must keep hearing of them afterwards: it is restarted.
async fn elsewhere(
    id: GraphId,
    graphs: Arc<Graphs>,
    room: Arc<PresenceRoom>,
    config: LiveConfig,
    hints: Publications,
    ended: CancellationToken,
) {
    let mut hints = hints;
    loop {
        let hearing = OtherInstancesTask::new(id.clone(), graphs.clone(), room.clone(), config);
        let heard = AssertUnwindSafe(hearing.run(hints, ended.clone())).catch_unwind().await;
        if heard.is_ok() {
            return;
        }
        tracing::error!(graph = %id, "the task that follows other instances panicked and is restarted");
        tokio::select! {
            () = ended.cancelled() => return,
            () = tokio::time::sleep(BEGIN_ANEW_AFTER) => {}
        }
        hints = graphs.store().listen(&id);
    }
}

fn version(n: u64) -> Version {
    Version::new(n).unwrap_or(Version::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
