//! Who is there in one graph, and who was a moment ago.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use dao_projections::ClientId;
use tokio::time::Instant;
use uuid::Uuid;

use super::PRESENT_MAX;
use crate::live::{
    presence_slot::{PresenceSlot, SLOTS_MAX},
    presence_update::{PresenceUpdate, Present},
};

/// How long those who have left are remembered at least, so that whoever is awake is told of it. A room
/// that is full of them shows no newcomer until then.
pub(super) const GONE_KEPT: Duration = Duration::from_secs(5);

/// Names that a connection has given up and that are remembered, so that whoever is awake is told that
/// they show nothing any more; of more than these the oldest is forgotten.
pub(super) const EARLIER_MAX: usize = 8;

/// Slots of one connection that are remembered, with those that show nothing any more; of more than these the one that
/// has shown nothing for longest is forgotten.
pub(super) const SLOTS_KEPT_MAX: usize = 4 * SLOTS_MAX;

pub(super) struct PresenceEntry {
    pub(super) shown: Arc<PresenceUpdate>,
    pub(super) revision: u64,
    pub(super) origin: Origin,
    /// Since when it shows nothing; `None` while it does.
    pub(super) gone_at: Option<Instant>,
    /// What the connection was before it took another client's name, and since when that is gone; oldest first.
    pub(super) earlier: VecDeque<(u64, ClientId)>,
}

/// Where a client is connected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Here,
    Elsewhere { instance: Uuid, heard_at: Instant },
}

impl Origin {
    pub(super) fn is(self, other: Uuid) -> bool {
        matches!(self, Self::Elsewhere { instance, .. } if instance == other)
    }
}

impl PresenceEntry {
    /// Nobody speaks for another. But a server is another instance each time it follows the graph again:
    /// what the earlier one has taken away may be shown again by the later.
    pub(super) fn may_be_shown_by(&self, instance: Uuid) -> bool {
        let was_elsewhere = matches!(self.origin, Origin::Elsewhere { .. });
        self.origin.is(instance) || (was_elsewhere && self.gone_at.is_some())
    }
}

/// A connection and one of its slots.
pub(super) type PresenceKey = (Uuid, PresenceSlot);

#[derive(Default)]
pub(super) struct PresenceEntries {
    pub(super) by_key: BTreeMap<PresenceKey, PresenceEntry>,
    /// The latest change of each connection, and of the names that it gave up, by revision.
    pub(super) changes: BTreeMap<u64, (Uuid, Arc<PresenceUpdate>)>,
    /// Those who show nothing any more, in the order in which they went.
    pub(super) gone: BTreeSet<(Instant, PresenceKey)>,
}

impl PresenceEntries {
    /// Shows this for a connection from here on, as the next revision or two.
    pub(super) fn put(
        &mut self,
        connection: Uuid,
        present: Present,
        origin: Origin,
        now: Instant,
        revision: &mut u64,
    ) {
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
    pub(super) fn give_up(
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
    pub(super) fn clear(&mut self, key: &PresenceKey, now: Instant, revision: &mut u64) -> bool {
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
    pub(super) fn forget_the_gone(&mut self, now: Instant) {
        while self.by_key.len() > PRESENT_MAX / 2
            && let Some((at, key)) = self.gone.first().cloned()
            && now.duration_since(at) >= GONE_KEPT
        {
            self.forget(at, key);
        }
    }

    pub(super) fn forget(&mut self, gone_at: Instant, key: PresenceKey) {
        if let Some(entry) = self.by_key.remove(&key) {
            self.changes.remove(&entry.revision);
            entry.earlier.iter().for_each(|(at, _)| drop(self.changes.remove(at)));
        }
        self.gone.remove(&(gone_at, key));
    }

    /// The slots of one connection.
    pub(super) fn of(&self, connection: Uuid) -> impl Iterator<Item = (&PresenceKey, &PresenceEntry)> {
        let from = (connection, PresenceSlot::default());
        self.by_key.range(from..).take_while(move |((of, _), _)| *of == connection)
    }

    /// Whether the connection may use one more slot; for that it may have to give up one that shows nothing.
    pub(super) fn finds_slot(&mut self, connection: Uuid) -> bool {
        if self.of(connection).count() < SLOTS_KEPT_MAX {
            return true;
        }
        let gone = self.of(connection).filter_map(|(key, entry)| Some((entry.gone_at?, key)));
        let Some((at, key)) = gone.min().map(|(at, key)| (at, key.clone())) else { return false };
        self.forget(at, key);
        true
    }

    /// Changes after `seen`, oldest first; a subscriber that has seen nothing yet is not told who has left.
    pub(super) fn since(&self, seen: u64) -> impl Iterator<Item = (u64, Uuid, &Arc<PresenceUpdate>)> {
        let changes = self.changes.range(seen.saturating_add(1)..);
        let changes = changes.map(|(revision, (connection, shown))| (*revision, *connection, shown));
        changes.filter(move |(.., shown)| seen > 0 || !shown.present.is_gone())
    }
}
