//! Presence: where people's cursors are, what they have selected, what they drag (rule W7).
//!
//! A room is the latest state of each client in each of its slots, in the order in which they changed, and a counter that
//! grows with each change. A subscriber remembers how far it has seen: what changed since then it gets once, at a cost that
//! does not depend on how many there are.
//!
//! Clients on other instances stand in it beside those of this one, with the instance that showed them
//! and when: what nobody shows any more goes. Not here: how often somebody may show something, which is the
//! connection's.

mod entries;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use uuid::Uuid;

use self::entries::{Origin, PresenceEntries, PresenceEntry, PresenceKey};
use super::{
    followers::{self, Follower, Followers, PresentClient},
    presence_update::{PresenceUpdate, Present},
};

/// Presences in one graph; what comes when it is full is not shown.
const PRESENT_MAX: usize = 10_000;

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
