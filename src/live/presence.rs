//! Presence: where people's cursors are, what they have selected, what they drag (rule W7).
//!
//! A room is a map with the latest state of each client, and a counter that grows with each change.
//! A subscriber remembers how far it has seen; what changed several times since then it gets once.
//!
//! Clients on other instances stand in it beside those of this one, with the instance that showed them
//! and when: what nobody shows any more goes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dao_projections::{ClientId, UserId};
use serde_json::Value;
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

/// Clients present in one graph; whoever comes when it is full is not shown.
const PRESENT_MAX: usize = 10_000;
/// How long those who have left are remembered at least, so that whoever is awake is told of it. A room
/// that is full of them shows no newcomer until then.
const GONE_KEPT: Duration = Duration::from_secs(5);

/// Names that a connection has given up and that are remembered, so that whoever is awake is told that
/// they show nothing any more; of more than these the oldest is forgotten.
const EARLIER_MAX: usize = 8;

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
    origin: Origin,
    /// Since when it shows nothing; `None` while it does.
    gone_at: Option<Instant>,
    /// What the connection was before it took another client's name: gone.
    earlier: Vec<Earlier>,
}

/// Somebody who shows nothing any more, and since which change.
struct Earlier {
    present: Present,
    revision: u64,
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

impl Entry {
    /// Nobody speaks for another. But a server is another instance each time it follows the graph anew:
    /// what the earlier one has taken away may be shown again by the later.
    fn may_be_shown_by(&self, instance: Uuid) -> bool {
        let was_elsewhere = matches!(self.origin, Origin::Elsewhere { .. });
        self.origin.is(instance) || (was_elsewhere && self.gone_at.is_some())
    }

    /// Whether it changed after revision `seen`; who has seen nothing yet is not told who is gone.
    fn is_news(&self, seen: u64) -> bool {
        self.revision > seen && (seen > 0 || !self.present.state.is_null())
    }

    /// The same of all that the connection was.
    fn news(&self, seen: u64) -> impl Iterator<Item = (u64, &Present)> {
        let earlier = self.earlier.iter().filter(move |earlier| seen > 0 && earlier.revision > seen);
        let now = Some((self.revision, &self.present)).filter(|_| self.is_news(seen));
        earlier.map(|earlier| (earlier.revision, &earlier.present)).chain(now)
    }

    /// Who the connection was, now that it shows itself as `client`.
    fn into_earlier(self, client: &ClientId, revision: &mut u64) -> Vec<Earlier> {
        let mut earlier = self.earlier;
        if self.present.client != *client {
            let mut gone_at = self.revision;
            if !self.present.state.is_null() {
                *revision += 1;
                gone_at = *revision;
            }
            let present = Present { state: Arc::new(Value::Null), ..self.present };
            earlier.push(Earlier { present, revision: gone_at });
        }
        earlier.retain(|earlier| earlier.present.client != *client);
        let too_many = earlier.len().saturating_sub(EARLIER_MAX);
        earlier.drain(..too_many);
        earlier
    }
}

type Entries = HashMap<Uuid, Entry>;

/// Who is present in one graph.
pub struct Room {
    /// Guards the map; held to read or change entries, never across an await.
    entries: Mutex<Entries>,
    revision: watch::Sender<u64>,
}

impl Room {
    /// Shows `present` for this connection; a null state takes it away.
    pub fn show(&self, connection: Uuid, present: Present) {
        self.put(&mut lock(&self.entries), connection, present, Origin::Here);
    }

    fn put(&self, entries: &mut Entries, connection: Uuid, present: Present, origin: Origin) {
        let now = Instant::now();
        if !entries.contains_key(&connection) {
            forget_the_gone(entries, now);
            if entries.len() >= PRESENT_MAX || present.state.is_null() {
                return;
            }
        }
        let gone_at = present.state.is_null().then_some(now);
        self.revision.send_modify(|revision| {
            let before = entries.remove(&connection);
            let earlier = before.map_or(vec![], |entry| entry.into_earlier(&present.client, revision));
            *revision += 1;
            entries.insert(connection, Entry { present, revision: *revision, origin, gone_at, earlier });
        });
    }

    /// The connection is gone: others are told that it shows nothing any more.
    pub fn leave(&self, connection: Uuid) {
        self.clear(|at, _| *at == connection);
    }

    /// Another instance shows these.
    pub(super) fn hear(&self, instance: Uuid, shown: Vec<(Uuid, Present)>, now: Instant) {
        let mut entries = lock(&self.entries);
        for (connection, present) in shown {
            let origin = Origin::Elsewhere { instance, heard_at: now };
            match entries.get_mut(&connection) {
                Some(entry) if !entry.may_be_shown_by(instance) => {}
                Some(entry) if entry.present == present => entry.origin = origin,
                _ => self.put(&mut entries, connection, present, origin),
            }
        }
    }

    /// Another instance shows nothing any more.
    pub(super) fn forget(&self, gone: Uuid) {
        self.clear(|_, entry| entry.origin.is(gone));
    }

    /// Clears what other instances have not shown since `heard_before`; returns the earliest time at
    /// which one of those that stay was shown.
    pub(super) fn expire(&self, heard_before: Instant) -> Option<Instant> {
        self.clear(
            |_, entry| matches!(entry.origin, Origin::Elsewhere { heard_at, .. } if heard_at < heard_before),
        );
        let entries = lock(&self.entries);
        let shown = entries.values().filter(|entry| !entry.present.state.is_null());
        let heard = shown.filter_map(|entry| match entry.origin {
            Origin::Elsewhere { heard_at, .. } => Some(heard_at),
            Origin::Here => None,
        });
        heard.min()
    }

    /// What clients of this instance changed after revision `seen`, and the revision now.
    pub(super) fn shown_here(&self, seen: u64) -> (u64, Vec<(Uuid, Present)>) {
        let entries = lock(&self.entries);
        let changed = entries.iter().filter(|(_, entry)| entry.origin == Origin::Here && entry.is_news(seen));
        // Whose name it was before they find out by themselves: they have shown it.
        let changed = changed.map(|(connection, entry)| (*connection, entry.present.clone())).collect();
        (*self.revision.borrow(), changed)
    }

    /// Others are told that those who match show nothing any more.
    fn clear(&self, matches: impl Fn(&Uuid, &Entry) -> bool) {
        let mut entries = lock(&self.entries);
        let now = Instant::now();
        forget_the_gone(&mut entries, now);
        for (connection, entry) in entries.iter_mut() {
            if !entry.present.state.is_null() && matches(connection, entry) {
                self.revision.send_modify(|revision| {
                    *revision += 1;
                    entry.revision = *revision;
                    entry.present.state = Arc::new(Value::Null);
                    entry.gone_at = Some(now);
                });
            }
        }
    }

    /// What changed after revision `seen`, oldest change first and at most `limit` of it, but for what
    /// `except` shows itself; and the revision up to which that is all.
    /// Somebody who has seen nothing yet is not told who is gone.
    pub fn since(&self, seen: u64, except: Uuid, limit: usize) -> (u64, Vec<Present>) {
        let entries = lock(&self.entries);
        let others = entries.iter().filter(|(connection, _)| **connection != except);
        let mut changed: Vec<(u64, &Present)> = others.flat_map(|(_, entry)| entry.news(seen)).collect();
        changed.sort_unstable_by_key(|(revision, _)| *revision);
        let reached = match changed.get(limit) {
            // A newcomer who has not seen all there is yet is told who goes meanwhile: no harm.
            Some(_) => changed[limit - 1].0,
            None => *self.revision.borrow(),
        };
        (reached, changed.into_iter().take(limit).map(|(_, present)| present.clone()).collect())
    }

    /// How many show something.
    pub(super) fn present(&self) -> usize {
        lock(&self.entries).values().filter(|entry| !entry.present.state.is_null()).count()
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

/// Those who left a while ago are forgotten once the room is half full; a subscriber that slept through
/// it learns of them by their absence when it subscribes again.
fn forget_the_gone(entries: &mut Entries, now: Instant) {
    if entries.len() > PRESENT_MAX / 2 {
        entries.retain(|_, entry| entry.gone_at.is_none_or(|at| now.duration_since(at) < GONE_KEPT));
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
    fn w7_a_connection_that_takes_another_name_gives_up_the_earlier_one() {
        let (room, elsewhere) = (Room::default(), Room::default());
        let [a, b, instance] = [1, 2, 3].map(Uuid::from_u128);
        let tell = || elsewhere.hear(instance, room.shown_here(0).1, Instant::now());
        room.show(a, present("one", json!(1)));
        tell();
        let (seen, _) = room.since(0, b, 10);
        let (seen_elsewhere, _) = elsewhere.since(0, b, 10);
        room.show(a, present("two", json!(2)));
        tell();
        let expected = [present("one", json!(null)), present("two", json!(2))];
        assert_eq!(room.since(seen, b, 10).1, expected);
        assert_eq!(elsewhere.since(seen_elsewhere, b, 10).1, expected);
        assert_eq!(room.since(seen, a, 10).1, [], "not to oneself");
        assert_eq!(room.since(0, b, 10).1, [present("two", json!(2))], "newcomers see who is there");
        // And back again, and away before anybody looks.
        room.show(a, present("one", json!(3)));
        let (seen, changed) = room.since(seen, b, 10);
        assert_eq!(changed, [present("two", json!(null)), present("one", json!(3))]);
        room.show(a, present("one", json!(null)));
        room.show(a, present("three", json!(null)));
        assert_eq!(room.since(seen, b, 10).1, [present("one", json!(null)), present("three", json!(null))]);
    }

    #[test]
    fn w7_the_names_that_a_connection_gave_up_are_bounded() {
        let room = Room::default();
        let [a, b] = [1, 2].map(Uuid::from_u128);
        let (seen, _) = room.since(0, b, 10);
        for n in 0..100 {
            room.show(a, present(&n.to_string(), json!(n)));
        }
        let (_, changed) = room.since(seen, b, 1_000);
        assert_eq!(changed.len(), EARLIER_MAX + 1);
        assert_eq!(changed.last(), Some(&present("99", json!(99))));
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

    #[test]
    fn w7_who_is_elsewhere_is_seen_until_it_leaves_or_its_instance_ends() {
        let room = Room::default();
        let [a, b, c, subscriber] = [1, 2, 3, 4].map(Uuid::from_u128);
        let (one, other, now) = (Uuid::from_u128(10), Uuid::from_u128(11), Instant::now());
        room.hear(one, vec![(a, present("a", json!(1))), (b, present("b", json!(1)))], now);
        room.hear(other, vec![(c, present("c", json!(1)))], now);
        let (seen, all) = room.since(0, subscriber, 10);
        assert_eq!(all.len(), 3);
        room.hear(one, vec![(a, present("a", json!(null)))], now);
        let (seen, left) = room.since(seen, subscriber, 10);
        assert_eq!(left, [present("a", json!(null))]);
        room.forget(one);
        let (seen, gone) = room.since(seen, subscriber, 10);
        assert_eq!(gone, [present("b", json!(null))]);
        room.forget(one);
        assert_eq!(room.since(seen, subscriber, 10).1, [], "once");
    }

    #[test]
    fn w7_what_is_shown_again_unchanged_is_no_change_but_lives_on() {
        let room = Room::default();
        let (a, b, instance, subscriber) =
            (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(10), Uuid::from_u128(4));
        let (then, now) = (Instant::now(), Instant::now() + std::time::Duration::from_secs(50));
        room.hear(instance, vec![(a, present("a", json!(1))), (b, present("b", json!(1)))], then);
        let (seen, _) = room.since(0, subscriber, 10);
        room.hear(instance, vec![(a, present("a", json!(1)))], now);
        assert_eq!(room.since(seen, subscriber, 10).1, []);
        assert_eq!(room.expire(now), Some(now));
        assert_eq!(room.since(seen, subscriber, 10).1, [present("b", json!(null))]);
    }

    #[test]
    fn w7_nobody_speaks_for_another_and_only_those_here_are_told_elsewhere() {
        let room = Room::default();
        let [here, there] = [1, 2].map(Uuid::from_u128);
        let (instance, now) = (Uuid::from_u128(10), Instant::now());
        room.show(here, present("a", json!(1)));
        room.hear(
            instance,
            vec![(here, present("a", json!("forged"))), (there, present("b", json!(2)))],
            now,
        );
        room.hear(Uuid::from_u128(11), vec![(there, present("b", json!("forged")))], now);
        assert_eq!(room.shown_here(0).1, [(here, present("a", json!(1)))]);
        assert_eq!(room.since(0, here, 10).1, [present("b", json!(2))]);
        let (seen, _) = room.shown_here(0);
        room.leave(here);
        assert_eq!(room.shown_here(seen).1, [(here, present("a", json!(null)))]);
    }

    #[test]
    fn w7_whose_server_follows_the_graph_anew_is_seen_again() {
        let room = Room::default();
        let [a, subscriber] = [1, 4].map(Uuid::from_u128);
        let (earlier, later, now) = (Uuid::from_u128(10), Uuid::from_u128(11), Instant::now());
        room.hear(earlier, vec![(a, present("a", json!(1)))], now);
        room.forget(earlier);
        let (seen, _) = room.since(0, subscriber, 10);
        room.hear(later, vec![(a, present("a", json!(2)))], now);
        let (seen, back) = room.since(seen, subscriber, 10);
        assert_eq!(back, [present("a", json!(2))]);
        room.forget(earlier);
        assert_eq!(room.since(seen, subscriber, 10).1, [], "a late goodbye takes nobody away");
        room.forget(later);
        assert_eq!(room.since(seen, subscriber, 10).1, [present("a", json!(null))]);
    }

    #[test]
    fn w7_what_somebody_here_took_away_nobody_else_shows() {
        let room = Room::default();
        let here = Uuid::from_u128(1);
        room.show(here, present("a", json!(1)));
        let (seen, _) = room.shown_here(0);
        room.leave(here);
        room.hear(Uuid::from_u128(10), vec![(here, present("a", json!("forged")))], Instant::now());
        assert_eq!(room.shown_here(seen).1, [(here, present("a", json!(null)))]);
    }

    #[tokio::test(start_paused = true)]
    async fn w7_leaving_is_told_in_a_room_of_many_and_forgotten_later() {
        let room = Room::default();
        let many = PRESENT_MAX as u128 / 2 + 10;
        let subscriber = Uuid::from_u128(1 << 100);
        for n in 0..many {
            room.show(Uuid::from_u128(n), present("a", json!(1)));
        }
        let (seen, _) = room.since(0, subscriber, PRESENT_MAX);
        for n in 0..3 {
            room.leave(Uuid::from_u128(n));
        }
        assert_eq!(room.since(seen, subscriber, 10).1.len(), 3);
        tokio::time::advance(GONE_KEPT).await;
        room.leave(Uuid::from_u128(3));
        assert_eq!(room.since(seen, subscriber, 10).1.len(), 1, "only the latest is still remembered");
    }

    #[tokio::test(start_paused = true)]
    async fn w7_a_room_full_of_those_who_left_has_places_again() {
        let room = Room::default();
        for n in 0..PRESENT_MAX as u128 {
            room.show(Uuid::from_u128(n), present("a", json!(1)));
        }
        room.clear(|_, _| true);
        let (newcomer, subscriber) = (Uuid::from_u128(1 << 99), Uuid::from_u128(1 << 100));
        room.show(newcomer, present("b", json!(1)));
        assert_eq!(room.since(0, subscriber, 10).1, [], "the bound holds");
        tokio::time::advance(GONE_KEPT).await;
        room.show(newcomer, present("b", json!(1)));
        assert_eq!(room.since(0, subscriber, 10).1, [present("b", json!(1))]);
    }

    #[test]
    fn w7_a_room_has_a_bound_for_those_elsewhere_too() {
        let room = Room::default();
        let shown =
            (0..PRESENT_MAX as u128 + 5).map(|n| (Uuid::from_u128(n), present("a", json!(1)))).collect();
        room.hear(Uuid::from_u128(1 << 100), shown, Instant::now());
        assert_eq!(
            room.since(0, Uuid::nil(), PRESENT_MAX).1.len(),
            PRESENT_MAX - 1,
            "the one who asks not counted"
        );
    }
}
