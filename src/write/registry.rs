//! Which graphs are in memory, which of them goes when there are too many, and where each is shown.
//!
//! Invariants:
//! - A graph has one task at most. It is only let go of while nobody waits for it, which is looked at where the
//!   registry is locked.
//! - A graph that is watched and has no task costs its published state, and pushes no other out: only graphs that were
//!   loaded count.
//! - Nothing here takes time in proportion to the number of graphs: what goes is at the front of a list, and those
//!   that can't go are passed over a few at a time.
//!
//! Not here: what a graph holds ([`super::budget`]), and what is asked of it ([`super::Graphs`]).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use dao_projections::GraphId;
use hashlink::LinkedHashMap;
use tokio::sync::{Semaphore, mpsc};

use super::{
    budget::MemoryBudget,
    mailbox::{InUse, Mailbox, Message},
    published::PublishedGraph,
};
use crate::telemetry::Metrics;

/// Graphs looked at in one go to find one that can go. A load that needs room looks again, after others had their turn.
const LOOKS_MAX: usize = 64;
/// Graphs that are loaded at the same time. The others wait: while one is loaded, more of it is in memory than what
/// stays.
const LOADS_AT_ONCE: usize = 8;
/// How long a load waits for what tasks were asked to let go of.
const SHORTEN_PATIENCE: Duration = Duration::from_millis(50);
/// Published graphs without a task are swept of those that nobody holds any more when there are this many, and then whenever
/// they have doubled.
const SWEEP_AT_MIN: usize = 64;

/// The graphs in memory.
pub(super) struct Registry {
    /// Guards which graph has which task and published state; never held across an await.
    table: Mutex<Table>,
    hot_max: usize,
    budget: Arc<MemoryBudget>,
    loads: Semaphore,
    metrics: Metrics,
}

struct Table {
    /// Graphs that have a task, the one asked for longest ago first.
    hot: LinkedHashMap<GraphId, HotGraph>,
    /// Published graphs of graphs that have none, as long as somebody looks at them.
    watched: HashMap<GraphId, Weak<PublishedGraph>>,
    sweep_at: usize,
    /// How many of `hot` were loaded: a task that finds that nobody has written to its graph pushes nobody out.
    loaded: usize,
    is_closed: bool,
}

struct HotGraph {
    mailbox: Mailbox,
    published: Arc<PublishedGraph>,
    is_loaded: bool,
}

impl HotGraph {
    /// Whether anybody waits for its task, or watches its published state beside the registry and the task.
    fn is_in_use(&self) -> bool {
        self.mailbox.is_in_use() || Arc::strong_count(&self.published) > 2
    }
}

/// Whether a task that wants to end may.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RetireWhen {
    /// If nobody uses the graph.
    Unused,
    /// If nobody waits for an answer, even if the graph is watched.
    Unasked,
}

/// How a search for room ended. A caller that only helps to make room ignores it.
enum RoomSearch {
    Enough,
    /// Those that were looked at are in use; others may not be.
    LookOn,
    /// There is nobody left.
    Nobody,
}

/// What is needed to start a task.
pub(super) struct TaskParts {
    pub(super) published: Arc<PublishedGraph>,
    pub(super) messages: mpsc::Receiver<Message>,
    pub(super) own: mpsc::WeakSender<Message>,
}

impl Registry {
    pub(super) fn new(hot_max: usize, hot_bytes_max: usize, metrics: Metrics) -> Arc<Self> {
        let table = Table {
            hot: LinkedHashMap::new(),
            watched: HashMap::new(),
            sweep_at: SWEEP_AT_MIN,
            loaded: 0,
            is_closed: false,
        };
        let loads = Semaphore::new(LOADS_AT_ONCE);
        Arc::new(Self {
            table: Mutex::new(table),
            hot_max,
            budget: MemoryBudget::new(hot_bytes_max),
            loads,
            metrics,
        })
    }

    pub(super) fn budget(&self) -> &Arc<MemoryBudget> {
        &self.budget
    }

    /// Graphs in memory.
    pub(super) fn len(&self) -> usize {
        self.table().loaded
    }

    /// The published state of a graph in memory.
    pub(super) fn hot(&self, id: &GraphId) -> Option<Arc<PublishedGraph>> {
        self.table().hot.get(id).map(|entry| entry.published.clone())
    }

    /// The same, for somebody who asks for the graph: it stays longer for it.
    pub(super) fn used(&self, id: &GraphId) -> Option<Arc<PublishedGraph>> {
        let found = self.table().hot.to_back(id).map(|entry| entry.published.clone());
        if self.budget.is_over() {
            self.make_room();
        }
        found
    }

    /// The published state of a graph, whether or not it is in memory. As long as it is held the graph's task stays.
    pub(super) fn published(&self, id: &GraphId) -> Arc<PublishedGraph> {
        let mut table = self.table();
        if let Some(entry) = table.hot.to_back(id) {
            return entry.published.clone();
        }
        let found = table.watched.get(id).and_then(Weak::upgrade);
        found.unwrap_or_else(|| {
            let published = PublishedGraph::new(&self.budget);
            table.watch(id, &published);
            published
        })
    }

    /// The published state of a graph without a task, if somebody watches it.
    pub(super) fn watched(&self, id: &GraphId) -> Option<Arc<PublishedGraph>> {
        self.table().watched.get(id).and_then(Weak::upgrade)
    }

    /// Where to send to the graph's task; if it has none, `start` is given what it takes. `None` when all are to end.
    pub(super) fn mailbox(
        &self,
        id: &GraphId,
        start: impl FnOnce(TaskParts),
    ) -> Option<(mpsc::Sender<Message>, InUse)> {
        let mut table = self.table();
        if let Some(entry) = table.hot.to_back(id) {
            return Some(entry.mailbox.open());
        }
        if table.is_closed {
            return None;
        }
        let published = table.watched.remove(id).and_then(|published| published.upgrade());
        let published = published.unwrap_or_else(|| PublishedGraph::new(&self.budget));
        let (mailbox, messages) = Mailbox::new();
        let (open, own) = (mailbox.open(), mailbox.sender().downgrade());
        start(TaskParts { published: published.clone(), messages, own });
        table.hot.insert(id.clone(), HotGraph { mailbox, published, is_loaded: false });
        Some(open)
    }

    /// Where to send to the graph's task, if it has one.
    pub(super) fn open_mailbox(&self, id: &GraphId) -> Option<(mpsc::Sender<Message>, InUse)> {
        self.table().hot.get(id).map(|entry| entry.mailbox.open())
    }

    /// A task wants to end: whether it may. Then nobody finds it any more. One that nobody finds already answers what it
    /// was told before, and ends when its mailbox has.
    pub(super) fn retire(&self, id: &GraphId, own: &mpsc::WeakSender<Message>, leave: RetireWhen) -> bool {
        let mut table = self.table();
        let Some(entry) = table.hot.get(id).filter(|entry| is_own(entry, own)) else { return false };
        let is_needed = match leave {
            RetireWhen::Unused => entry.is_in_use(),
            RetireWhen::Unasked => entry.mailbox.is_in_use(),
        };
        if is_needed {
            return false;
        }
        if let Some(HotGraph { published, .. }) = table.remove(id)
            && leave == RetireWhen::Unasked
        {
            published.hold(0, 0);
            table.watch(id, &published);
        }
        true
    }

    /// A task has ended without notice: the next request starts another, with the same published state.
    pub(super) fn forget_ended(&self, id: &GraphId) {
        let mut table = self.table();
        if table.hot.get(id).is_none_or(|entry| !entry.mailbox.sender().is_closed()) {
            return;
        }
        if let Some(HotGraph { published, .. }) = table.remove(id) {
            // While the registry is locked: what the next task shows must not be cleared.
            published.clear();
            table.watch(id, &published);
        }
    }

    /// Lets go of graphs that nobody uses, those asked for longest ago first, until there is room; of those in use it
    /// asks the tasks for what can be had again.
    fn make_room(&self) -> RoomSearch {
        let mut gone = Vec::new(); // freed when the registry is not locked any more
        let mut table = self.table();
        for _ in 0..LOOKS_MAX {
            if !self.budget.is_over() && table.loaded <= self.hot_max {
                return RoomSearch::Enough;
            }
            let Some((id, entry)) = table.hot.pop_front() else { return RoomSearch::Nobody };
            if entry.is_in_use() {
                if self.budget.is_over() && entry.published.asks_to_shorten() {
                    entry.mailbox.shorten();
                }
                table.hot.insert(id, entry);
                continue;
            }
            // Its task learns of it in a moment: what it holds is free from now on.
            entry.published.hold(0, 0);
            table.loaded -= usize::from(entry.is_loaded);
            self.metrics.writing.hot_let_go.inc();
            gone.push(entry);
        }
        RoomSearch::LookOn
    }

    /// A graph that has commits is in memory, or grew: if there is more than may be, another goes, as far as one look
    /// goes.
    pub(super) fn settle(&self, id: &GraphId) {
        let mut table = self.table();
        if let Some(entry) = table.hot.get_mut(id)
            && !std::mem::replace(&mut entry.is_loaded, true)
        {
            table.loaded += 1;
        }
        let is_too_much = table.loaded > self.hot_max || self.budget.is_over();
        drop(table);
        if is_too_much {
            self.make_room();
        }
    }

    /// Makes room for a graph that is being loaded. False if those in use take it all.
    pub(super) async fn find_room(&self) -> bool {
        let mut looks = self.table().hot.len() / LOOKS_MAX + 1;
        loop {
            match self.make_room() {
                RoomSearch::Enough => return true,
                RoomSearch::LookOn if looks > 0 => looks -= 1,
                RoomSearch::LookOn | RoomSearch::Nobody => break,
            }
            tokio::task::yield_now().await;
        }
        if self.budget.is_over() {
            tokio::time::sleep(SHORTEN_PATIENCE).await;
        }
        !self.budget.is_over()
    }

    /// Waits for a turn to load a graph.
    pub(super) async fn turn_to_load(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.loads.acquire().await.ok()
    }

    /// No task is started any more, and those there are end when they have answered.
    pub(super) fn close(&self) {
        let mut table = self.table();
        table.is_closed = true;
        let entries = std::mem::take(&mut table.hot);
        table.loaded = 0;
        let watched: Vec<_> =
            table.watched.drain().filter_map(|(_, published)| published.upgrade()).collect();
        drop(table);
        entries
            .values()
            .map(|entry| &entry.published)
            .chain(&watched)
            .for_each(|published| published.close());
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn remove(&mut self, id: &GraphId) -> Option<HotGraph> {
        let entry = self.hot.remove(id)?;
        self.loaded -= usize::from(entry.is_loaded);
        Some(entry)
    }

    /// Remembers the published state of a graph without a task, for as long as somebody holds it.
    fn watch(&mut self, id: &GraphId, published: &Arc<PublishedGraph>) {
        if self.watched.len() >= self.sweep_at {
            self.watched.retain(|_, published| published.strong_count() > 0);
            self.sweep_at = SWEEP_AT_MIN.max(2 * self.watched.len());
        }
        self.watched.insert(id.clone(), Arc::downgrade(published));
    }
}

fn is_own(entry: &HotGraph, own: &mpsc::WeakSender<Message>) -> bool {
    own.upgrade().is_some_and(|own| own.same_channel(entry.mailbox.sender()))
}
