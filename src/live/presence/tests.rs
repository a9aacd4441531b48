//! Tests of who sees what, who is forgotten when, and what is kept of those who are gone.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    entries::{EARLIER_MAX, GONE_KEPT, SLOTS_KEPT_MAX},
    *,
};
use crate::live::{presence_slot::PresenceSlot, presence_update::FORMS};

fn present(client: &str, state: Value) -> Present {
    let (client, user) = (client.parse().expect("a client"), "ada".parse().expect("a user"));
    Present { client, user, slot: PresenceSlot::default(), state: state.to_string().into() }
}

fn in_slot(slot: &str, present: Present) -> Present {
    Present { slot: PresenceSlot::parse(slot).expect("a slot"), ..present }
}

/// What changed, without the revisions.
fn since(room: &PresenceRoom, seen: u64, except: Uuid, limit: usize) -> (u64, Vec<Present>) {
    let (reached, changed) = room.since(seen, except, limit);
    (reached, changed.into_iter().map(|(_, shown)| shown.present.clone()).collect())
}

#[test]
fn w7_the_latest_state_wins_and_one_does_not_see_oneself() {
    let room = PresenceRoom::default();
    let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
    room.show(a, present("a", json!(1)));
    room.show(a, present("a", json!(2)));
    let (seen, changed) = since(&room, 0, b, 10);
    assert_eq!(changed, [present("a", json!(2))]);
    assert_eq!(since(&room, seen, b, 10).1, []);
    assert_eq!(since(&room, 0, a, 10).1, []);
}

#[test]
fn w7_who_came_before_anybody_else_sees_the_first_state() {
    let room = PresenceRoom::default();
    let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let (seen, _) = since(&room, 0, b, 10);
    room.show(a, present("a", json!(1)));
    assert_eq!(since(&room, seen, b, 10).1, [present("a", json!(1))]);
}

#[test]
fn w7_who_leaves_is_cleared_and_newcomers_are_not_told() {
    let room = PresenceRoom::default();
    let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
    room.show(a, present("a", json!(1)));
    let (seen, _) = since(&room, 0, b, 10);
    room.leave(a);
    assert_eq!(since(&room, seen, b, 10).1, [present("a", json!(null))]);
    assert_eq!(since(&room, 0, b, 10).1, []);
}

#[test]
fn w7_a_connection_that_takes_another_name_gives_up_the_earlier_one() {
    let (room, elsewhere) = (PresenceRoom::default(), PresenceRoom::default());
    let [a, b, instance] = [1, 2, 3].map(Uuid::from_u128);
    let tell = || elsewhere.show_remote(instance, room.shown_here(0).1, Instant::now());
    room.show(a, present("one", json!(1)));
    tell();
    let (seen, _) = since(&room, 0, b, 10);
    let (seen_elsewhere, _) = since(&elsewhere, 0, b, 10);
    room.show(a, present("two", json!(2)));
    tell();
    let expected = [present("one", json!(null)), present("two", json!(2))];
    assert_eq!(since(&room, seen, b, 10).1, expected);
    assert_eq!(since(&elsewhere, seen_elsewhere, b, 10).1, expected);
    assert_eq!(since(&room, seen, a, 10).1, [], "not to oneself");
    assert_eq!(since(&room, 0, b, 10).1, [present("two", json!(2))], "newcomers see who is there");
    // And back again, and away before anybody looks.
    room.show(a, present("one", json!(3)));
    let (seen, changed) = since(&room, seen, b, 10);
    assert_eq!(changed, [present("two", json!(null)), present("one", json!(3))]);
    room.show(a, present("one", json!(null)));
    room.show(a, present("three", json!(null)));
    assert_eq!(since(&room, seen, b, 10).1, [present("one", json!(null)), present("three", json!(null))]);
}

#[test]
fn w7_slots_of_a_client_do_not_replace_each_other() {
    let (room, elsewhere) = (PresenceRoom::default(), PresenceRoom::default());
    let [a, b, instance] = [1, 2, 3].map(Uuid::from_u128);
    let tell = || elsewhere.show_remote(instance, room.shown_here(0).1, Instant::now());
    let drag = |client: &str, state: Value| in_slot("drag", present(client, state));
    room.show(a, present("a", json!(1)));
    room.show(a, drag("a", json!(2)));
    room.show(a, present("a", json!(3)));
    tell();
    for room in [&room, &elsewhere] {
        assert_eq!(since(room, 0, b, 10).1, [drag("a", json!(2)), present("a", json!(3))]);
        assert_eq!(since(room, 0, a, 10).1, [], "not to oneself");
    }
    let (seen, _) = since(&elsewhere, 0, b, 10);
    room.show(a, drag("a", json!(null)));
    assert_eq!(since(&room, 0, b, 10).1, [present("a", json!(3))]);
    tell();
    assert_eq!(since(&elsewhere, seen, b, 10).1, [], "newcomers are told what is there alone");
    elsewhere.show_remote(instance, room.shown_here(1).1, Instant::now());
    assert_eq!(since(&elsewhere, seen, b, 10).1, [drag("a", json!(null))]);
    room.show(a, drag("a", json!(4)));
    let (seen, _) = since(&room, 0, b, 10);
    room.leave(a);
    assert_eq!(since(&room, seen, b, 10).1, [present("a", json!(null)), drag("a", json!(null))]);
}

#[test]
fn w7_a_connection_is_one_client_in_all_its_slots() {
    let room = PresenceRoom::default();
    let [a, b] = [1, 2].map(Uuid::from_u128);
    room.show(a, present("one", json!(1)));
    room.show(a, in_slot("drag", present("one", json!(1))));
    let (seen, _) = since(&room, 0, b, 10);
    room.show(a, in_slot("drag", present("two", json!(2))));
    let expected = [
        present("one", json!(null)),
        in_slot("drag", present("one", json!(null))),
        in_slot("drag", present("two", json!(2))),
    ];
    assert_eq!(since(&room, seen, b, 10).1, expected);
}

#[test]
fn w7_nobody_speaks_for_another_in_any_slot_and_slots_are_bounded() {
    let room = PresenceRoom::default();
    let [here, subscriber, instance] = [1, 2, 10].map(Uuid::from_u128);
    room.show(here, present("a", json!(1)));
    let forged = in_slot("drag", present("a", json!("forged")));
    room.show_remote(instance, vec![(here, forged)], Instant::now());
    assert_eq!(since(&room, 0, subscriber, 10).1, [present("a", json!(1))]);
    for n in 0..100 {
        let slot = |state: Value| in_slot(&n.to_string(), present("a", state));
        room.show(here, slot(json!(1)));
        room.show(here, slot(json!(null)));
    }
    assert_eq!(lock(&room.entries).of(here).count(), SLOTS_KEPT_MAX);
    let many = (0..100).map(|n| (subscriber, in_slot(&n.to_string(), present("b", json!(1))))).collect();
    room.show_remote(instance, many, Instant::now());
    assert_eq!(lock(&room.entries).of(subscriber).count(), SLOTS_KEPT_MAX);
}

#[test]
fn w7_the_names_that_a_connection_gave_up_are_bounded() {
    let room = PresenceRoom::default();
    let [a, b] = [1, 2].map(Uuid::from_u128);
    let (seen, _) = since(&room, 0, b, 10);
    for n in 0..100 {
        room.show(a, present(&n.to_string(), json!(n)));
    }
    let (_, changed) = since(&room, seen, b, 1_000);
    assert_eq!(changed.len(), EARLIER_MAX + 1);
    assert_eq!(changed.last(), Some(&present("99", json!(99))));
}

#[test]
fn w7_what_is_more_than_the_limit_comes_next_time() {
    let room = PresenceRoom::default();
    for n in 2..7_u128 {
        room.show(Uuid::from_u128(n), present(&n.to_string(), json!(n as u64)));
    }
    let (mut seen, mut names) = (0, vec![]);
    for expected in [2, 2, 1, 0] {
        let (reached, changed) = since(&room, seen, Uuid::from_u128(1), 2);
        assert_eq!(changed.len(), expected);
        names.extend(changed.iter().map(|present| present.client.to_string()));
        seen = reached;
    }
    assert_eq!(names, ["2", "3", "4", "5", "6"]);
}

#[test]
fn w7_who_is_elsewhere_is_seen_until_it_leaves_or_its_instance_ends() {
    let room = PresenceRoom::default();
    let [a, b, c, subscriber] = [1, 2, 3, 4].map(Uuid::from_u128);
    let (one, other, now) = (Uuid::from_u128(10), Uuid::from_u128(11), Instant::now());
    room.show_remote(one, vec![(a, present("a", json!(1))), (b, present("b", json!(1)))], now);
    room.show_remote(other, vec![(c, present("c", json!(1)))], now);
    let (seen, all) = since(&room, 0, subscriber, 10);
    assert_eq!(all.len(), 3);
    room.show_remote(one, vec![(a, present("a", json!(null)))], now);
    let (seen, left) = since(&room, seen, subscriber, 10);
    assert_eq!(left, [present("a", json!(null))]);
    room.forget(one);
    let (seen, gone) = since(&room, seen, subscriber, 10);
    assert_eq!(gone, [present("b", json!(null))]);
    room.forget(one);
    assert_eq!(since(&room, seen, subscriber, 10).1, [], "once");
}

#[test]
fn w7_what_is_shown_again_unchanged_is_no_change_but_lives_on() {
    let room = PresenceRoom::default();
    let (a, b, instance, subscriber) =
        (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(10), Uuid::from_u128(4));
    let (then, now) = (Instant::now(), Instant::now() + std::time::Duration::from_secs(50));
    room.show_remote(instance, vec![(a, present("a", json!(1))), (b, present("b", json!(1)))], then);
    let (seen, _) = since(&room, 0, subscriber, 10);
    room.show_remote(instance, vec![(a, present("a", json!(1)))], now);
    assert_eq!(since(&room, seen, subscriber, 10).1, []);
    assert_eq!(room.expire(now), Some(now));
    assert_eq!(since(&room, seen, subscriber, 10).1, [present("b", json!(null))]);
}

#[test]
fn w7_nobody_speaks_for_another_and_only_those_here_are_told_elsewhere() {
    let room = PresenceRoom::default();
    let [here, there] = [1, 2].map(Uuid::from_u128);
    let (instance, now) = (Uuid::from_u128(10), Instant::now());
    room.show(here, present("a", json!(1)));
    room.show_remote(
        instance,
        vec![(here, present("a", json!("forged"))), (there, present("b", json!(2)))],
        now,
    );
    room.show_remote(Uuid::from_u128(11), vec![(there, present("b", json!("forged")))], now);
    assert_eq!(room.shown_here(0).1, [(here, present("a", json!(1)))]);
    assert_eq!(since(&room, 0, here, 10).1, [present("b", json!(2))]);
    let (seen, _) = room.shown_here(0);
    room.leave(here);
    assert_eq!(room.shown_here(seen).1, [(here, present("a", json!(null)))]);
}

#[test]
fn w7_whose_server_follows_the_graph_anew_is_seen_again() {
    let room = PresenceRoom::default();
    let [a, subscriber] = [1, 4].map(Uuid::from_u128);
    let (earlier, later, now) = (Uuid::from_u128(10), Uuid::from_u128(11), Instant::now());
    room.show_remote(earlier, vec![(a, present("a", json!(1)))], now);
    room.forget(earlier);
    let (seen, _) = since(&room, 0, subscriber, 10);
    room.show_remote(later, vec![(a, present("a", json!(2)))], now);
    let (seen, back) = since(&room, seen, subscriber, 10);
    assert_eq!(back, [present("a", json!(2))]);
    room.forget(earlier);
    assert_eq!(since(&room, seen, subscriber, 10).1, [], "a late goodbye takes nobody away");
    room.forget(later);
    assert_eq!(since(&room, seen, subscriber, 10).1, [present("a", json!(null))]);
}

#[test]
fn w7_what_somebody_here_took_away_nobody_else_shows() {
    let room = PresenceRoom::default();
    let here = Uuid::from_u128(1);
    room.show(here, present("a", json!(1)));
    let (seen, _) = room.shown_here(0);
    room.leave(here);
    room.show_remote(Uuid::from_u128(10), vec![(here, present("a", json!("forged")))], Instant::now());
    assert_eq!(room.shown_here(seen).1, [(here, present("a", json!(null)))]);
}

#[tokio::test(start_paused = true)]
async fn w7_leaving_is_told_in_a_room_of_many_and_forgotten_later() {
    let room = PresenceRoom::default();
    let many = PRESENT_MAX as u128 / 2 + 10;
    let subscriber = Uuid::from_u128(1 << 100);
    for n in 0..many {
        room.show(Uuid::from_u128(n), present("a", json!(1)));
    }
    let (seen, _) = since(&room, 0, subscriber, PRESENT_MAX);
    for n in 0..3 {
        room.leave(Uuid::from_u128(n));
    }
    assert_eq!(since(&room, seen, subscriber, 10).1.len(), 3);
    tokio::time::advance(GONE_KEPT).await;
    room.leave(Uuid::from_u128(3));
    assert_eq!(since(&room, seen, subscriber, 10).1.len(), 1, "only the latest is still remembered");
}

#[tokio::test(start_paused = true)]
async fn w7_a_room_full_of_those_who_left_has_places_again() {
    let room = PresenceRoom::default();
    for n in 0..PRESENT_MAX as u128 {
        room.show(Uuid::from_u128(n), present("a", json!(1)));
    }
    room.clear_all(|_| true);
    let (newcomer, subscriber) = (Uuid::from_u128(1 << 99), Uuid::from_u128(1 << 100));
    room.show(newcomer, present("b", json!(1)));
    assert_eq!(since(&room, 0, subscriber, 10).1, [], "the bound holds");
    tokio::time::advance(GONE_KEPT).await;
    room.show(newcomer, present("b", json!(1)));
    assert_eq!(since(&room, 0, subscriber, 10).1, [present("b", json!(1))]);
}

#[test]
fn w7_a_room_has_a_bound_for_those_elsewhere_too() {
    let room = PresenceRoom::default();
    let shown = (0..PRESENT_MAX as u128 + 5).map(|n| (Uuid::from_u128(n), present("a", json!(1)))).collect();
    room.show_remote(Uuid::from_u128(1 << 100), shown, Instant::now());
    assert_eq!(
        since(&room, 0, Uuid::nil(), PRESENT_MAX).1.len(),
        PRESENT_MAX - 1,
        "the one who asks not counted"
    );
}

#[test]
fn w7_a_change_is_encoded_once_for_all_who_see_it() {
    let room = PresenceRoom::default();
    let encoded = std::cell::Cell::new(0);
    let see = |follower: u128, seen: u64| {
        let (reached, changed) = room.since(seen, Uuid::from_u128(follower), 10);
        for (_, shown) in changed {
            let form = shown.form(0, |present| {
                encoded.set(encoded.get() + 1);
                present.state.as_bytes().to_vec().into()
            });
            assert!(form.is_some() && shown.form(FORMS, |_| Bytes::new()).is_none());
        }
        reached
    };
    room.show(Uuid::from_u128(1), present("a", json!(1)));
    let seen: Vec<u64> = (2..500).map(|follower| see(follower, 0)).collect();
    assert_eq!(encoded.get(), 1);
    room.show(Uuid::from_u128(1), present("a", json!(2)));
    for (follower, seen) in (2..500).zip(seen) {
        see(follower, seen);
    }
    assert_eq!(encoded.get(), 2);
}

#[test]
fn w7_a_follower_looks_at_what_changed_and_at_nothing_else() {
    let room = PresenceRoom::default();
    for n in 0..1_000 {
        room.show(Uuid::from_u128(n), present(&n.to_string(), json!(1)));
    }
    let (seen, _) = room.since(0, Uuid::nil(), PRESENT_MAX);
    for n in [3, 5, 3] {
        room.show(Uuid::from_u128(n), present(&n.to_string(), json!(2)));
    }
    assert_eq!(lock(&room.entries).since(seen).count(), 2, "each that changed once");
    assert_eq!(lock(&room.entries).changes.len(), 1_000);
}

#[test]
fn w7_what_is_kept_of_changes_follows_what_is_shown() {
    let room = PresenceRoom::default();
    let names = ["one", "two", "three"];
    for step in 0..200_usize {
        let (connection, name) = (Uuid::from_u128(step as u128 % 5), names[step % 3]);
        match step % 7 {
            0 => room.leave(connection),
            1 => room.show(connection, present(name, json!(null))),
            _ => room.show(connection, present(name, json!(step))),
        }
        let entries = lock(&room.entries);
        let expected: BTreeSet<u64> = entries
            .by_key
            .values()
            .flat_map(|entry| entry.earlier.iter().map(|(at, _)| *at).chain([entry.revision]))
            .collect();
        assert_eq!(entries.changes.keys().copied().collect::<BTreeSet<_>>(), expected, "step {step}");
        let gone = entries.by_key.values().filter(|entry| entry.gone_at.is_some()).count();
        assert_eq!(entries.gone.len(), gone, "step {step}");
    }
}
