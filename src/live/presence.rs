//! Presence: where people's cursors are, what they have selected, what they drag (rule W7).
//!
//! A room is the latest state of each client in each of its slots, in the order in which they changed, and a counter that
//! grows with each change. A subscriber remembers how far it has seen: what changed since then it gets once, at a cost that
//! does not depend on how many there are.
//!
//! Clients on other instances stand in it beside those of this one, with the instance that showed them
//! and when: what nobody shows any more goes. Not here: how often somebody may show something, which is the
//! connection's.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use dao_projections::{ClientId, UserId};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use uuid::Uuid;

use super::{
    followers::{self, Follower, Followers, PresentClient},
    presence_slot::{PresenceSlot, SLOTS_MAX},
};

/// Presences in one graph; what comes when it is full is not shown.
const PRESENT_MAX: usize = 10_000;
/// How long those who have left are remembered at least, so that whoever is awake is told of it. A room
/// that is full of them shows no newcomer until then.
const GONE_KEPT: Duration = Duration::from_secs(5);

/// Names that a connection has given up and that are remembered, so that whoever is awake is told that
/// they show nothing any more; of more than these the oldest is forgotten.
const EARLIER_MAX: usize = 8;

/// Slots of one connection that are remembered, with those that show nothing any more; of more than these the one that
/// has shown nothing for longest is forgotten.
const SLOTS_KEPT_MAX: usize = 4 * SLOTS_MAX;

/// The state of somebody who shows nothing.
const NOTHING: &str = "null";
/// Forms in which a state is sent.
const FORMS: usize = 2;

/// What others see of one client in one slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Present {
    /// Through which client.
    pub client: ClientId,
    /// Who.
    pub user: UserId,
    /// Which of the client's presences this is.
    pub slot: PresenceSlot,
    /// What they show, as JSON; null when they are gone.
    pub state: Arc<str>,
}

impl Present {
    /// Whether they show nothing.
    pub fn is_gone(&self) -> bool {
        &*self.state == NOTHING
    }

    fn gone(&self) -> Self {
        Self { state: NOTHING.into(), ..self.clone() }
    }
}

/// Something that was shown, and how it is sent: the same to all who see it.
#[derive(Debug)]
pub struct PresenceUpdate {
    /// What.
    pub present: Present,
    forms: [OnceLock<Bytes>; FORMS],
}

impl PresenceUpdate {
    fn new(present: Present) -> Arc<Self> {
        Arc::new(Self { present, forms: Default::default() })
    }

    /// In one of its forms, made by whoever asks for it first; `None` if there is no such form.
    pub fn form(&self, form: usize, encode: impl FnOnce(&Present) -> Bytes) -> Option<Bytes> {
        Some(self.forms.get(form)?.get_or_init(|| encode(&self.present)).clone())
    }
}

struct PresenceEntry {
    shown: Arc<PresenceUpdate>,
    revision: u64,
    origin: Origin,
    /// Since when it shows nothing; `None` while it does.
    gone_at: Option<Instant>,
    /// What the connection was before it took another client's name, and since when that is gone; oldest first.
    earlier: VecDeque<(u64, ClientId)>,
}

/// Where a client is connected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Here,
    Elsewhere { instance: Uuid, heard_at: Instant },
}

impl Origin {
    fn is(self, other: Uuid) -> bool {
        matches!(self, Self::Elsewhere { instance, .. } if instance == other)
    }
}

impl PresenceEntry {
    /// Nobody speaks for another. But a server is another instance each time it follows the graph again:
    /// what the earlier one has taken away may be shown again by the later.
    fn may_be_shown_by(&self, instance: Uuid) -> bool {
        let was_elsewhere = matches!(self.origin, Origin::Elsewhere { .. });
        self.origin.is(instance) || (was_elsewhere && self.gone_at.is_some())
    }
}

/// A connection and one of its slots.
type PresenceKey = (Uuid, PresenceSlot);

#[derive(Default)]
struct PresenceEntries {
    by_key: BTreeMap<PresenceKey, PresenceEntry>,
    /// The latest change of each connection, and of the names that it gave up, by revision.
    changes: BTreeMap<u64, (Uuid, Arc<PresenceUpdate>)>,
    /// Those who show nothing any more, in the order in which they went.
    gone: BTreeSet<(Instant, PresenceKey)>,
}

impl PresenceEntries {
    /// Shows this for a connection from here on, as the next revision or two.
    fn put(&mut self, connection: Uuid, present: Present, origin: Origin, now: Instant, revision: &mut u64) {
        let key = (connection, present.slot.clone());
        let mut earlier = VecDeque::new();
        if let Some(before) = self.by_key.remove(&key) {
            earlier = self.give_up(&key, before, &present.client, revision);
        }
        *revision += 1;
        let gone_at = present.is_gone().then_some(now);
        self.gone.extend(gone_at.map(|at| (at, key.clone())));
        let shown = PresenceUpdate::new(present);
        self.changes.insert(*revision, (connection, shown.clone()));
        let entry = PresenceEntry { shown, revision: *revision, origin, gone_at, earlier };
        self.by_key.insert(key, entry);
    }

    /// What the connection showed before is over; if it was under another name, others are told so. The names it
    /// has given up by then.
    fn give_up(
        &mut self,
        key: &PresenceKey,
        before: PresenceEntry,
        client: &ClientId,
        revision: &mut u64,
    ) -> VecDeque<(u64, ClientId)> {
        let PresenceEntry { shown, revision: shown_at, gone_at, mut earlier, .. } = before;
        self.changes.remove(&shown_at);
        if let Some(at) = gone_at {
            self.gone.remove(&(at, key.clone()));
        }
        if shown.present.client != *client {
            let at = match gone_at {
                Some(_) => shown_at,
                None => {
                    *revision += 1;
                    *revision
                }
            };
            self.changes.insert(at, (key.0, PresenceUpdate::new(shown.present.gone())));
            earlier.push_back((at, shown.present.client.clone()));
        }
        let changes = &mut self.changes;
        let too_many = earlier.len().saturating_sub(EARLIER_MAX);
        let mut index = 0;
        earlier.retain(|(at, name)| {
            let is_kept = index >= too_many && name != client;
            index += 1;
            if !is_kept {
                changes.remove(at);
            }
            is_kept
        });
        earlier
    }

    /// The connection shows nothing any more in this slot; nothing happens if it did not.
    fn clear(&mut self, key: &PresenceKey, now: Instant, revision: &mut u64) -> bool {
        let Some(entry) = self.by_key.get_mut(key).filter(|entry| entry.gone_at.is_none()) else {
            return false;
        };
        self.changes.remove(&entry.revision);
        *revision += 1;
        entry.shown = PresenceUpdate::new(entry.shown.present.gone());
        (entry.revision, entry.gone_at) = (*revision, Some(now));
        self.changes.insert(*revision, (key.0, entry.shown.clone()));
        self.gone.insert((now, key.clone()));
        true
    }

    /// Those who left a while ago are forgotten once the room is half full; a subscriber that slept through
    /// it learns of them by their absence when it subscribes again.
    fn forget_the_gone(&mut self, now: Instant) {
        while self.by_key.len() > PRESENT_MAX / 2
            && let Some((at, key)) = self.gone.first().cloned()
            && now.duration_since(at) >= GONE_KEPT
        {
            self.forget(at, key);
        }
    }

    fn forget(&mut self, gone_at: Instant, key: PresenceKey) {
        if let Some(entry) = self.by_key.remove(&key) {
            self.changes.remove(&entry.revision);
            entry.earlier.iter().for_each(|(at, _)| drop(self.changes.remove(at)));
        }
        self.gone.remove(&(gone_at, key));
    }

    /// The slots of one connection.
    fn of(&self, connection: Uuid) -> impl Iterator<Item = (&PresenceKey, &PresenceEntry)> {
        let from = (connection, PresenceSlot::default());
        self.by_key.range(from..).take_while(move |((of, _), _)| *of == connection)
    }

    /// Whether the connection may use one more slot; for that it may have to give up one that shows nothing.
    fn finds_slot(&mut self, connection: Uuid) -> bool {
        if self.of(connection).count() < SLOTS_KEPT_MAX {
            return true;
        }
        let gone = self.of(connection).filter_map(|(key, entry)| Some((entry.gone_at?, key)));
        let Some((at, key)) = gone.min().map(|(at, key)| (at, key.clone())) else { return false };
        self.forget(at, key);
        true
    }

    /// Changes after `seen`, oldest first; a subscriber that has seen nothing yet is not told who has left.
    fn since(&self, seen: u64) -> impl Iterator<Item = (u64, Uuid, &Arc<PresenceUpdate>)> {
        let changes = self.changes.range(seen.saturating_add(1)..);
        let changes = changes.map(|(revision, (connection, shown))| (*revision, *connection, shown));
        changes.filter(move |(.., shown)| seen > 0 || !shown.present.is_gone())
    }
}

/// Who is present in one graph.
pub struct PresenceRoom {
    /// Guards the entries; held to read or change a few of them, never across an await.
    entries: Mutex<PresenceEntries>,
    /// Guards who follows the graph, held as shortly.
    followers: Mutex<Followers>,
    /// Wakes the one task that tells other instances who follows the graph.
    followers_changed: Notify,
    revision: watch::Sender<u64>,
}

impl PresenceRoom {
    /// Shows `present` for this connection in its slot; a null state takes it away. A connection is one client: what
    /// other slots show under another name is cleared.
    pub fn show(&self, connection: Uuid, present: Present) {
        let entries = &mut lock(&self.entries);
        let is_other = |(key, entry): &(&PresenceKey, &PresenceEntry)| {
            key.1 != present.slot && entry.shown.present.client != present.client
        };
        let others: Vec<_> = entries.of(connection).filter(is_other).map(|(key, _)| key.clone()).collect();
        self.clear(entries, &others);
        self.put(entries, connection, present, Origin::Here);
    }

    fn put(&self, entries: &mut PresenceEntries, connection: Uuid, present: Present, origin: Origin) {
        let now = Instant::now();
        if !entries.by_key.contains_key(&(connection, present.slot.clone())) {
            entries.forget_the_gone(now);
            let is_full = entries.by_key.len() >= PRESENT_MAX;
            if is_full || present.is_gone() || !entries.finds_slot(connection) {
                return;
            }
        }
        self.revision.send_modify(|revision| entries.put(connection, present, origin, now, revision));
    }

    /// The connection follows the graph.
    pub fn join(&self, connection: Uuid, follower: Follower) {
        lock(&self.followers).join(connection, follower);
        self.followers_changed.notify_one();
    }

    /// Waits until somebody begins or ends to follow the graph here. Cancel-safe.
    pub(super) async fn followers_changed(&self) {
        self.followers_changed.notified().await;
    }

    /// Who follows the graph or shows something, here and elsewhere.
    pub fn clients(&self) -> Vec<PresentClient> {
        // One after the other: never both locks at once.
        let shown: Vec<(Uuid, Arc<PresenceUpdate>)> = {
            let entries = lock(&self.entries);
            let shown = entries.by_key.iter().filter(|(_, entry)| entry.gone_at.is_none());
            shown.map(|((connection, _), entry)| (*connection, entry.shown.clone())).collect()
        };
        followers::clients(&lock(&self.followers), &shown)
    }

    /// Those of this instance who follow the graph.
    pub(super) fn followers_here(&self) -> Vec<(Uuid, Follower)> {
        lock(&self.followers).here()
    }

    /// Another instance tells who follows the graph there: with the first of several messages, nobody else does.
    pub(super) fn followers_elsewhere(
        &self,
        instance: Uuid,
        is_first: bool,
        followers: Vec<(Uuid, Follower)>,
        now: Instant,
    ) {
        lock(&self.followers).elsewhere(instance, is_first, followers, now);
    }

    /// The connection is gone: others are told that it shows nothing any more.
    pub fn leave(&self, connection: Uuid) {
        lock(&self.followers).leave(connection);
        self.followers_changed.notify_one();
        let entries = &mut lock(&self.entries);
        let slots: Vec<_> = entries.of(connection).map(|(key, _)| key.clone()).collect();
        self.clear(entries, &slots);
    }

    /// Another instance shows these.
    pub(super) fn show_remote(&self, instance: Uuid, shown: Vec<(Uuid, Present)>, now: Instant) {
        let mut entries = lock(&self.entries);
        for (connection, present) in shown {
            let origin = Origin::Elsewhere { instance, heard_at: now };
            if !entries.of(connection).all(|(_, entry)| entry.may_be_shown_by(instance)) {
                continue;
            }
            match entries.by_key.get_mut(&(connection, present.slot.clone())) {
                Some(entry) if entry.shown.present == present => entry.origin = origin,
                _ => self.put(&mut entries, connection, present, origin),
            }
        }
    }

    /// Another instance shows nothing any more.
    pub(super) fn forget(&self, gone: Uuid) {
        lock(&self.followers).forget(gone);
        self.clear_all(|entry| entry.origin.is(gone));
    }

    /// Clears what other instances have not shown since `heard_before`; returns the earliest time at
    /// which one of those that stay was shown.
    pub(super) fn expire(&self, heard_before: Instant) -> Option<Instant> {
        lock(&self.followers).expire(heard_before);
        self.clear_all(
            |entry| matches!(entry.origin, Origin::Elsewhere { heard_at, .. } if heard_at < heard_before),
        );
        let entries = lock(&self.entries);
        let shown = entries.by_key.values().filter(|entry| entry.gone_at.is_none());
        let heard = shown.filter_map(|entry| match entry.origin {
            Origin::Elsewhere { heard_at, .. } => Some(heard_at),
            Origin::Here => None,
        });
        heard.min()
    }

    /// What clients of this instance changed after revision `seen`, and the revision now.
    pub(super) fn shown_here(&self, seen: u64) -> (u64, Vec<(Uuid, Present)>) {
        let entries = lock(&self.entries);
        let changed = entries.since(seen).filter(|(revision, connection, shown)| {
            // Whose name it was before they find out by themselves: they have shown it.
            let entry = entries.by_key.get(&(*connection, shown.present.slot.clone()));
            entry.is_some_and(|entry| entry.origin == Origin::Here && entry.revision == *revision)
        });
        let changed = changed.map(|(_, connection, shown)| (connection, shown.present.clone())).collect();
        (*self.revision.borrow(), changed)
    }

    /// Others are told that those who match show nothing any more: looks at all of them.
    fn clear_all(&self, matches: impl Fn(&PresenceEntry) -> bool) {
        let mut entries = lock(&self.entries);
        let matching = entries.by_key.iter().filter(|(_, entry)| matches(entry));
        let matching: Vec<PresenceKey> = matching.map(|(key, _)| key.clone()).collect();
        self.clear(&mut entries, &matching);
    }

    fn clear(&self, entries: &mut PresenceEntries, slots: &[PresenceKey]) {
        let now = Instant::now();
        entries.forget_the_gone(now);
        self.revision.send_if_modified(|revision| {
            let cleared = slots.iter().map(|key| entries.clear(key, now, revision));
            cleared.fold(false, |before, is_cleared| before | is_cleared)
        });
    }

    /// What changed after revision `seen`, each with its revision, oldest change first and at most `limit` of it, but for what
    /// `except` shows itself; and the revision up to which that is all.
    /// Somebody a subscriber that has seen nothing yet is not told who has left.
    pub fn since(&self, seen: u64, except: Uuid, limit: usize) -> (u64, Vec<(u64, Arc<PresenceUpdate>)>) {
        let entries = lock(&self.entries);
        let mut others = entries.since(seen).filter(|(_, connection, _)| *connection != except);
        let (mut reached, mut changed) = (seen, Vec::new());
        for (revision, _, shown) in others.by_ref().take(limit) {
            reached = revision;
            changed.push((revision, shown.clone()));
        }
        if others.next().is_none() {
            // A newcomer who has not seen all there is yet is told who goes meanwhile: no harm.
            reached = *self.revision.borrow();
        }
        (reached, changed)
    }

    /// How many show something.
    pub(super) fn present(&self) -> usize {
        let entries = lock(&self.entries);
        entries.by_key.len() - entries.gone.len()
    }

    /// How many are told of a change.
    pub fn watchers(&self) -> usize {
        self.revision.receiver_count()
    }

    /// Tells of changes.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }
}

impl Default for PresenceRoom {
    fn default() -> Self {
        // Revision 0 is that of a subscriber who has seen nothing.
        Self {
            entries: Mutex::default(),
            followers: Mutex::default(),
            followers_changed: Notify::new(),
            revision: watch::Sender::new(1),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
