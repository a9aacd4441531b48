//! Where a graph is shown: what readers and followers look at without asking its task.
//!
//! Published state lasts as long as it is watched, whether or not the graph has a task: a task that starts publishes to
//! what is there. So followers of a graph that nobody has written to cost no task, and those of a graph whose task
//! panicked notice nothing. Not here: which graph has which published state (`registry`).

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use dao_projections::{Graph, Head, Version};
use futures::future::{BoxFuture, WeakShared};
use tokio::sync::watch;

use super::{
    budget::{MemoryBudget, MemoryCharge},
    ring::{Recorded, Ring},
    view::View,
};
use crate::store::StoreError;

/// The next look at a graph's head in the store, shared by all who wait for it.
pub(super) type SharedHeadRead = WeakShared<BoxFuture<'static, Result<Head, StoreError>>>;

/// See the module.
#[derive(Debug)]
pub(super) struct PublishedGraph {
    view: watch::Sender<Option<Arc<View>>>,
    /// A copy of the task's own ring; `None` while the graph is not in memory, and a moment before that shows in
    /// `view`. Guards which commits are in it: locked to copy or push a few pointers, never while anything is judged,
    /// encoded or hashed, and never across an await.
    ring: Mutex<Option<Ring>>,
    /// What the task holds: the graph, its ring, what it remembers of operations.
    held: MemoryCharge,
    /// How much of that can be had again.
    spare: std::sync::atomic::AtomicUsize,
    /// Whether the task was asked to let go of that, and has not yet.
    is_asked_to_shorten: AtomicBool,
    /// Whether those who watch it are to be woken still.
    is_unannounced: AtomicBool,
    /// Whether no task will ever show anything here any more.
    is_closed: AtomicBool,
    /// Guards which look is under way; never held across an await.
    pub(super) next_head: Mutex<Option<SharedHeadRead>>,
}

/// Less than this is not worth asking a task for.
const SPARE_BYTES_MIN: usize = 32 << 10;

impl PublishedGraph {
    pub(super) fn new(budget: &Arc<MemoryBudget>) -> Arc<Self> {
        Arc::new(Self {
            view: watch::Sender::new(None),
            ring: Mutex::default(),
            held: MemoryCharge::on(budget),
            spare: Default::default(),
            is_asked_to_shorten: AtomicBool::new(false),
            is_unannounced: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            next_head: Mutex::default(),
        })
    }

    pub(super) fn view(&self) -> Option<Arc<View>> {
        self.view.borrow().clone()
    }

    /// Shows this graph, which is durable, and wakes all who watch it.
    pub(super) fn publish(&self, graph: &Graph) {
        self.show(graph);
        self.announce();
    }

    /// Shows this graph to whoever looks. Nobody is woken before it is [announced](Self::announce).
    pub(super) fn show(&self, graph: &Graph) {
        let mut shown = Some(Arc::new(View::new(graph.clone(), self.held.budget())));
        self.view.send_if_modified(|view| {
            std::mem::swap(view, &mut shown);
            false
        });
        self.is_unannounced.store(true, Ordering::Relaxed);
        drop(shown); // not under the lock
    }

    /// Wakes all who watch the graph, if it was shown to nobody yet.
    pub(super) fn announce(&self) {
        if self.is_unannounced.swap(false, Ordering::Relaxed) {
            self.view.send_modify(|_| {});
        }
    }

    /// Shows a graph that nobody has written to, where nothing is shown yet.
    pub(super) fn publish_unwritten(&self) {
        self.view.send_if_modified(|shown| {
            let is_blank = shown.is_none();
            if is_blank {
                self.ring().get_or_insert_default();
                *shown = Some(Arc::new(View::new(Graph::empty(), self.held.budget())));
            }
            is_blank
        });
    }

    /// The next commits, which follow on those that are there. To be called before the task's own ring takes them:
    /// so what falls out of both is freed there, and not under this lock.
    pub(super) fn push(&self, commits: &[Arc<Recorded>]) {
        if let Some(ring) = &mut *self.ring() {
            commits.iter().for_each(|commit| ring.push(commit.clone()));
        }
    }

    /// Other commits than before.
    pub(super) fn replace_ring(&self, ring: Ring) {
        let old = self.ring().replace(ring);
        drop(old); // not under the lock
    }

    fn ring(&self) -> MutexGuard<'_, Option<Ring>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the task holds now, and how much of that it could let go of. Whether all together is too much.
    pub(super) fn hold(&self, bytes: usize, spare: usize) -> bool {
        self.held.set(bytes);
        self.spare.store(spare, Ordering::Relaxed);
        self.held.budget().is_over()
    }

    pub(super) fn budget(&self) -> &Arc<MemoryBudget> {
        self.held.budget()
    }

    /// Whether the task is to be asked to let go of what can be had again: not twice, nor for little.
    pub(super) fn asks_to_shorten(&self) -> bool {
        let encoded = self.view.borrow().as_ref().map_or(0, |view| view.encoded_bytes());
        encoded + self.spare.load(Ordering::Relaxed) >= SPARE_BYTES_MIN
            && !self.is_asked_to_shorten.swap(true, Ordering::Relaxed)
    }

    /// The task has let go: nothing that is encoded is kept, and nobody is woken for that.
    pub(super) fn shortened(&self, ring: Ring) {
        self.replace_ring(ring);
        let mut old = None;
        self.view.send_if_modified(|shown| {
            if let Some(view) = shown.as_ref().filter(|view| view.encoded_bytes() > 0) {
                let fresh = Arc::new(View::new(view.graph.clone(), self.held.budget()));
                old = shown.replace(fresh);
            }
            false
        });
        drop(old); // not under the lock
        self.is_asked_to_shorten.store(false, Ordering::Relaxed);
    }

    /// The graph is in memory no more. Its watchers are woken, and have to load it. The ring goes first: whoever is
    /// woken finds no commits here and asks for the view.
    pub(super) fn clear(&self) {
        let ring = self.ring().take();
        let view = self.view.send_replace(None);
        self.hold(0, 0);
        self.is_asked_to_shorten.store(false, Ordering::Relaxed);
        drop((ring, view));
    }

    /// The server stops: those that wait for a change are told that there will be none.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.view.send_modify(|_| {});
    }
}

/// Commits that memory holds after some version; at least one.
#[derive(Debug)]
pub struct NewerCommits {
    /// The head at that version: the first of the commits follows on it.
    pub from: Head,
    /// In order.
    pub commits: Vec<Arc<Recorded>>,
    /// The graph's head. There are more commits up to it if not all were asked for.
    pub head: Head,
}

/// A graph as readers look at it without asking its task, whether or not it is in memory.
#[derive(Clone, Debug)]
pub struct GraphWatch {
    published: Arc<PublishedGraph>,
    seen: watch::Receiver<Option<Arc<View>>>,
}

impl GraphWatch {
    pub(super) fn of(published: Arc<PublishedGraph>) -> Self {
        let seen = published.view.subscribe();
        Self { published, seen }
    }

    pub(super) fn published(&self) -> &Arc<PublishedGraph> {
        &self.published
    }

    /// The graph after its latest commit known here; `None` while it is not in memory: it has to be loaded.
    pub fn view(&self) -> Option<Arc<View>> {
        self.published.view()
    }

    /// Its head after the latest commit known here; `None` while it is not in memory.
    pub fn head(&self) -> Option<Head> {
        self.published.view.borrow().as_ref().map(|view| view.graph.head())
    }

    /// Takes what is known now as seen: [`GraphWatch::changed`] waits for what comes after it.
    pub fn mark_seen(&mut self) {
        self.seen.mark_unchanged();
    }

    /// Waits for the next change; false when the server stops and there will be none.
    pub async fn changed(&mut self) -> bool {
        self.seen.changed().await.is_ok() && !self.published.is_closed.load(Ordering::Acquire)
    }

    /// The commits in `(since, …]`, at most `limit`, and the head at `since`, if memory reaches
    /// back to it. A graph that is not in memory reaches back to nothing.
    pub fn commits_since(&self, since: Version, limit: usize) -> Option<(Head, Vec<Arc<Recorded>>)> {
        self.head()?;
        let shown = self.published.ring();
        let ring = shown.as_ref()?;
        let from = ring.head_at(since)?;
        Some((from, ring.since(since)?.take(limit).cloned().collect()))
    }

    /// The same under one lock, if there are any such commits; and the head after all of them.
    pub fn newer_than(&self, since: Version, limit: usize) -> Option<NewerCommits> {
        let shown = self.published.ring();
        let ring = shown.as_ref()?;
        let (from, head) = (ring.head_at(since)?, ring.head());
        let commits: Vec<_> = ring.since(since)?.take(limit).cloned().collect();
        (!commits.is_empty()).then_some(NewerCommits { from, commits, head })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use dao_projections::{CommandType, Commit, CommitBody, OperationId, Outcome, Timestamp};
    use futures::FutureExt;

    use super::*;
    use crate::live::{AvailableCommits, Cursor, CursorStep};

    /// The commit after this head; `user` makes it differ from others.
    fn commit(after: Head, user: &str) -> Arc<Recorded> {
        let body = CommitBody {
            operation_id: OperationId::from(uuid::Uuid::from_u128(1)),
            user_id: user.parse().expect("a user"),
            client_id: user.parse().expect("a client"),
            is_client_named: true,
            traceparent: None,
            timestamp: Timestamp(1),
            command_type: CommandType::Batch,
            outcome: Outcome::Applied,
            undoes: vec![],
            restores: None,
            is_erased: false,
            events: vec![],
        };
        let bytes = Bytes::from(body.encode());
        let head = after.after(&bytes);
        Recorded::new(Commit { version: head.version, hash: head.hash, body }, bytes)
    }

    #[test]
    fn v4_a_follower_that_has_a_commit_before_it_is_shown_does_not_start_again() {
        let published = PublishedGraph::new(&MemoryBudget::new(usize::MAX));
        let follower = GraphWatch::of(published.clone());
        published.publish_unwritten();
        let (new, mut cursor) = (commit(Head::EMPTY, "ada"), Cursor::at(Head::EMPTY));
        published.push(std::slice::from_ref(&new));
        let step = |cursor: &Cursor| {
            cursor.step(AvailableCommits::after(cursor.head().version, &follower).expect("it is in memory"))
        };
        assert!(matches!(step(&cursor), CursorStep::Deliver(commits) if commits.len() == 1));
        cursor.advance(&new);
        assert!(matches!(step(&cursor), CursorStep::CaughtUp), "it is level with what is not shown yet");
        let other = Cursor::at(commit(Head::EMPTY, "bob").commit.head());
        assert!(matches!(step(&other), CursorStep::StartAgain), "its commit of this number is another one");
        let mut graph = Graph::default();
        graph.apply(&new.commit);
        published.show(&graph);
        assert!(matches!(step(&cursor), CursorStep::CaughtUp));
        assert!(matches!(step(&other), CursorStep::StartAgain));
    }

    #[test]
    fn v6_what_is_shown_is_seen_at_once_and_wakes_nobody_before_it_is_announced() {
        let published = PublishedGraph::new(&MemoryBudget::new(usize::MAX));
        let mut follower = GraphWatch::of(published.clone());
        published.show(&Graph::default());
        assert!(follower.view().is_some(), "an author reads what it wrote");
        assert_eq!(follower.changed().now_or_never(), None);
        published.announce();
        assert_eq!(follower.changed().now_or_never(), Some(true));
        published.announce();
        assert_eq!(follower.changed().now_or_never(), None, "once");
        published.publish(&Graph::default());
        assert_eq!(follower.changed().now_or_never(), Some(true));
    }
}
