//! Presence: where people's cursors are, what they have selected, what they drag (rule W7).
//!
//! A room is a map with the latest state of each client, and a counter that grows with each change.
//! A subscriber remembers how far it has seen; what changed several times since then it gets once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dao_projections::{ClientId, UserId};
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

/// Clients present in one graph; whoever comes when it is full is not shown.
const PRESENT_MAX: usize = 10_000;

/// What others see of one client.
#[derive(Clone, Debug, PartialEq)]
pub struct Present {
    /// Through which client.
    pub client: ClientId,
    /// Who.
    pub user: UserId,
    /// What they show; null when they are gone.
    pub state: Arc<Value>,
}

struct Entry {
    present: Present,
    revision: u64,
}

/// Who is present in one graph.
pub struct Room {
    /// Guards the map; held to read or change entries, never across an await.
    entries: Mutex<HashMap<Uuid, Entry>>,
    revision: watch::Sender<u64>,
}

impl Room {
    /// Shows `present` for this connection; a null state takes it away.
    pub fn show(&self, connection: Uuid, present: Present) {
        let mut entries = lock(&self.entries);
        if !entries.contains_key(&connection) && (entries.len() >= PRESENT_MAX || present.state.is_null()) {
            return;
        }
        self.revision.send_modify(|revision| {
            *revision += 1;
            entries.insert(connection, Entry { present, revision: *revision });
        });
    }

    /// The connection is gone: others are told that it shows nothing any more.
    pub fn leave(&self, connection: Uuid) {
        let mut entries = lock(&self.entries);
        if let Some(entry) = entries.get_mut(&connection).filter(|entry| !entry.present.state.is_null()) {
            self.revision.send_modify(|revision| {
                *revision += 1;
                entry.revision = *revision;
                entry.present.state = Arc::new(Value::Null);
            });
        }
        // Those who have left are forgotten once they are many; a subscriber that slept through it
        // learns of them by their absence when it subscribes again.
        if entries.len() > PRESENT_MAX / 2 {
            entries.retain(|_, entry| !entry.present.state.is_null());
        }
    }

    /// What changed after revision `seen`, oldest change first and at most `limit` of it, but for what
    /// `except` shows itself; and the revision up to which that is all.
    /// Somebody who has seen nothing yet is not told who is gone.
    pub fn since(&self, seen: u64, except: Uuid, limit: usize) -> (u64, Vec<Present>) {
        let entries = lock(&self.entries);
        let changed = entries.iter().filter(|(connection, entry)| {
            **connection != except && entry.revision > seen && (seen > 0 || !entry.present.state.is_null())
        });
        let mut changed: Vec<&Entry> = changed.map(|(_, entry)| entry).collect();
        changed.sort_unstable_by_key(|entry| entry.revision);
        let reached = match changed.get(limit) {
            // A newcomer who has not seen all there is yet is told who goes meanwhile: no harm.
            Some(_) => changed[limit - 1].revision,
            None => *self.revision.borrow(),
        };
        (reached, changed.into_iter().take(limit).map(|entry| entry.present.clone()).collect())
    }

    /// Tells of changes.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }
}

impl Default for Room {
    fn default() -> Self {
        // Revision 0 is that of a subscriber who has seen nothing.
        Self { entries: Mutex::default(), revision: watch::Sender::new(1) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn present(client: &str, state: Value) -> Present {
        let (client, user) = (client.parse().expect("a client"), "ada".parse().expect("a user"));
        Present { client, user, state: Arc::new(state) }
    }

    #[test]
    fn w7_the_latest_state_wins_and_one_does_not_see_oneself() {
        let room = Room::default();
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        room.show(a, present("a", json!(1)));
        room.show(a, present("a", json!(2)));
        let (seen, changed) = room.since(0, b, 10);
        assert_eq!(changed, [present("a", json!(2))]);
        assert_eq!(room.since(seen, b, 10).1, []);
        assert_eq!(room.since(0, a, 10).1, []);
    }

    #[test]
    fn w7_who_came_before_anybody_else_sees_the_first_state() {
        let room = Room::default();
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (seen, _) = room.since(0, b, 10);
        room.show(a, present("a", json!(1)));
        assert_eq!(room.since(seen, b, 10).1, [present("a", json!(1))]);
    }

    #[test]
    fn w7_who_leaves_is_cleared_and_newcomers_are_not_told() {
        let room = Room::default();
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        room.show(a, present("a", json!(1)));
        let (seen, _) = room.since(0, b, 10);
        room.leave(a);
        assert_eq!(room.since(seen, b, 10).1, [present("a", json!(null))]);
        assert_eq!(room.since(0, b, 10).1, []);
    }

    #[test]
    fn w7_what_is_more_than_the_limit_comes_next_time() {
        let room = Room::default();
        for n in 2..7_u128 {
            room.show(Uuid::from_u128(n), present(&n.to_string(), json!(n as u64)));
        }
        let (mut seen, mut names) = (0, vec![]);
        for expected in [2, 2, 1, 0] {
            let (reached, changed) = room.since(seen, Uuid::from_u128(1), 2);
            assert_eq!(changed.len(), expected);
            names.extend(changed.iter().map(|present| present.client.to_string()));
            seen = reached;
        }
        assert_eq!(names, ["2", "3", "4", "5", "6"]);
    }
}
