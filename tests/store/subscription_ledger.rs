//! What a subscription's ledger promises, whatever consumers do (rules S5 to S8).

use std::collections::{BTreeMap, BTreeSet};

use dao_api::{
    live::{Ledger, Settings, Span},
    read::FilterLists,
};
use dao_projections::{GraphId, Version};
use proptest::prelude::*;

const LEASE_MS: u64 = 100;
const ATTEMPTS: u32 = 3;

fn graph(number: u8) -> GraphId {
    GraphId::parse(&format!("g{number}")).unwrap()
}

fn version(number: u64) -> Version {
    Version::new(number).unwrap()
}

fn span(from: u64, to: u64) -> Span {
    Span { from: version(from), to: version(to) }
}

fn ledger() -> Ledger {
    let filter = FilterLists::default();
    let settings = Settings { filter, start: "beginning".into(), lease_ms: LEASE_MS, attempts_max: ATTEMPTS };
    Ledger::new(settings, "0".into(), 0)
}

/// The only thing that is due, given.
fn give_next(ledger: &mut Ledger, now_ms: u64) -> (String, u64, u32) {
    let due = ledger.due(now_ms, 10);
    assert_eq!(due.len(), 1, "{due:?}");
    let version = due[0].span.from;
    let given = ledger.give(&due[0].graph, version, now_ms);
    (given.delivery_id, version.get(), given.attempt)
}

#[test]
fn s6_a_graph_gives_out_one_commit_after_the_other() {
    let mut ledger = ledger();
    ledger.take(&graph(1), span(1, 2), "0", "1");
    let (first, version, _) = give_next(&mut ledger, 0);
    assert_eq!(version, 1);
    assert_eq!(ledger.due(50, 10), [], "the first is not settled");
    assert_eq!(ledger.ack(std::slice::from_ref(&first)), 1);
    assert_eq!(ledger.ack(&[first, "nonsense".into(), "7.g1".into()]), 0);
    assert_eq!(give_next(&mut ledger, 50).1, 2);
}

#[test]
fn s7_a_lease_that_ends_is_followed_by_the_same_commit() {
    let mut ledger = ledger();
    ledger.take(&graph(1), span(1, 2), "0", "1");
    let (late, _, _) = give_next(&mut ledger, 0);
    ledger.expire(LEASE_MS);
    let (second, version, attempt) = give_next(&mut ledger, LEASE_MS);
    assert_eq!((version, attempt), (1, 2));
    assert_eq!(ledger.ack(&[late]), 0, "somebody else has it");
    assert_eq!(ledger.ack(&[second]), 1);
}

#[test]
fn s7_who_is_late_may_still_acknowledge_what_nobody_else_was_given() {
    let mut ledger = ledger();
    ledger.take(&graph(1), span(1, 1), "0", "1");
    let (late, _, _) = give_next(&mut ledger, 0);
    assert_eq!(ledger.ack(&[late]), 1);
    assert_eq!(ledger.due(10 * LEASE_MS, 10), []);
}

#[test]
fn s8_what_is_given_back_too_often_is_parked_with_the_last_reason() {
    let mut ledger = ledger();
    ledger.take(&graph(1), span(1, 2), "0", "1");
    for attempt in 1..=ATTEMPTS {
        let (id, version, given) = give_next(&mut ledger, 0);
        assert_eq!((version, given), (1, attempt));
        assert_eq!(ledger.nack(&[id], Some(&format!("reason {attempt}")), 0), 1);
    }
    let [parked] = ledger.parked() else { panic!("{:?}", ledger.parked()) };
    assert_eq!((parked.reason.as_str(), parked.span, parked.attempts), ("reason 3", span(1, 1), ATTEMPTS));
    let id = parked.delivery_id();
    assert_eq!(give_next(&mut ledger, 0).1, 2, "the graph goes on");
    // Tried again it comes next, with all its attempts.
    ledger.take(&graph(1), span(3, 3), "1", "2");
    assert_eq!(ledger.retry(std::slice::from_ref(&id)), 1);
    assert_eq!(ledger.retry(&[id]), 0);
    assert_eq!(ledger.due(0, 10), [], "the second is in flight");
    ledger.expire(LEASE_MS);
    let (second, _, _) = give_next(&mut ledger, LEASE_MS);
    assert_eq!(ledger.ack(&[second]), 1);
    let (_, version, attempt) = give_next(&mut ledger, LEASE_MS);
    assert_eq!((version, attempt), (1, 1));
}

#[test]
fn s8_a_lease_that_ends_for_the_last_time_parks() {
    let mut ledger = ledger();
    ledger.take(&graph(1), span(1, 1), "0", "1");
    for attempt in 0..u64::from(ATTEMPTS) {
        ledger.expire(attempt * LEASE_MS);
        give_next(&mut ledger, attempt * LEASE_MS);
    }
    ledger.expire(u64::from(ATTEMPTS) * LEASE_MS);
    let [parked] = ledger.parked() else { panic!("{:?}", ledger.parked()) };
    assert_eq!(parked.reason, "the lease ended");
    let id = parked.delivery_id();
    assert_eq!(ledger.drop_parked(&[id]), 1);
    assert_eq!((ledger.parked(), ledger.due(u64::MAX, 10)), (&[][..], vec![]));
}

#[test]
fn s6_the_rest_of_an_append_is_taken_once_after_the_first_part_was_settled() {
    let mut ledger = ledger();
    assert_eq!(ledger.take(&graph(1), span(1, 2), "0", "0"), Some(span(1, 2)), "the position has not moved");
    for expected in [1, 2] {
        let (id, version, _) = give_next(&mut ledger, 0);
        assert_eq!((version, ledger.ack(&[id])), (expected, 1));
    }
    // The next look begins with the same append.
    assert_eq!(ledger.take(&graph(1), span(1, 2), "0", "0"), None);
    assert_eq!(ledger.take(&graph(1), span(3, 4), "0", "1"), Some(span(3, 4)));
    assert_eq!(give_next(&mut ledger, 0).1, 3);
}

#[test]
fn s6_no_more_graphs_are_taken_than_there_is_room_for() {
    let mut ledger = ledger();
    let mut count = 0;
    while ledger.has_room() {
        count += 1;
        ledger.take(&GraphId::parse(&format!("g{count}")).unwrap(), span(1, 2), "", &count.to_string());
    }
    assert_eq!(count, 1_000);
    assert!(ledger.has_room_for(&graph(1)) && !ledger.has_room_for(&GraphId::parse("new").unwrap()));
    let due = ledger.due(0, 2_000);
    assert_eq!(due.len(), 1_000);
    due.iter().for_each(|due| drop(ledger.give(&due.graph, due.span.from, 0)));
    assert_eq!((ledger.in_flight(), ledger.waiting()), (1_000, 1_000));
}

#[test]
fn s6_graphs_have_their_turns() {
    let mut ledger = ledger();
    for number in 1..=3 {
        ledger.take(&graph(number), span(1, 9), "", &number.to_string());
    }
    let mut order = Vec::new();
    for _ in 0..6 {
        let due = ledger.due(0, 1).remove(0);
        let given = ledger.give(&due.graph, due.span.from, 0);
        ledger.ack(&[given.delivery_id]);
        order.push(due.graph.to_string());
    }
    assert_eq!(order, ["g1", "g2", "g3", "g1", "g2", "g3"]);
}

#[test]
fn what_is_kept_of_a_ledger_is_all_of_it() {
    let mut ledger = ledger();
    ledger.take(&graph(1), span(1, 5), "0", "0");
    give_next(&mut ledger, 0);
    ledger.park_damage(&graph(2), Span { from: version(3), to: Version::MAX }, "a hole");
    let bytes = rmp_serde::to_vec_named(&ledger).unwrap();
    assert_eq!(rmp_serde::from_slice::<Ledger>(&bytes).unwrap(), ledger);
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Happening {
    /// An append to a graph of so many commits.
    Append(u8, u64),
    /// A consumer asks for so many; if not kept, another instance was faster and all is as before.
    Look { max: usize, is_kept: bool },
    /// Of the deliveries that consumers hold, the one of this index is acknowledged.
    Ack(usize),
    /// … or given back.
    Nack(usize),
    /// … or lost with its consumer.
    Lose(usize),
    /// Milliseconds go by.
    Time(u64),
    /// All that is parked is tried again.
    Retry,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (0..4_u8, 1..5_u64).prop_map(|(graph, count)| Happening::Append(graph, count)),
        6 => (1..4_usize, prop::bool::weighted(0.8)).prop_map(|(max, is_kept)| Happening::Look { max, is_kept }),
        5 => any::<usize>().prop_map(Happening::Ack),
        2 => any::<usize>().prop_map(Happening::Nack),
        1 => any::<usize>().prop_map(Happening::Lose),
        2 => (1..2 * LEASE_MS).prop_map(Happening::Time),
        1 => Just(Happening::Retry),
    ]
}

/// A log of a few graphs, their consumers, and what they saw.
struct World {
    now_ms: u64,
    ledger: Ledger,
    /// Graph and versions of each append; the position after one is its number, counted from 1.
    feed: Vec<(u8, u64, u64)>,
    heads: BTreeMap<u8, u64>,
    /// Deliveries that consumers hold: id, graph, version, and when the lease ends.
    held: Vec<(String, u8, u64, u64)>,
    /// The first deliveries of each graph, in order.
    seen: BTreeMap<u8, Vec<u64>>,
    acked: BTreeSet<(u8, u64)>,
    retried: BTreeSet<(u8, u64)>,
}

/// What a filter would say of a commit.
fn is_wanted(version: u64) -> bool {
    !version.is_multiple_of(3)
}

impl World {
    fn new() -> Self {
        Self {
            now_ms: 0,
            ledger: ledger(),
            feed: vec![],
            heads: BTreeMap::new(),
            held: vec![],
            seen: BTreeMap::new(),
            acked: BTreeSet::new(),
            retried: BTreeSet::new(),
        }
    }

    /// As a look does it, with a feed that is cut anywhere.
    fn look(&mut self, max: usize, is_kept: bool) {
        let before = self.ledger.clone();
        let mut given = Vec::new();
        self.ledger.expire(self.now_ms);
        loop {
            let due = self.ledger.due(self.now_ms, max - given.len());
            if due.is_empty() {
                break;
            }
            for due in due {
                let (from, to) = (due.span.from.get(), due.span.to.get());
                match (from..=to).find(|version| is_wanted(*version)) {
                    Some(found) => given.push(self.give(&due.graph, found)),
                    None => self.ledger.pass(&due.graph, due.span.to),
                }
            }
        }
        let position: usize = self.ledger.position().parse().unwrap();
        'feed: for (number, (name, from, to)) in self.feed.clone().into_iter().enumerate().skip(position) {
            // Two commits at a time, of which the position knows only when it has all.
            for first in (from..=to).step_by(2) {
                if given.len() >= max {
                    break 'feed;
                }
                let last = (first + 1).min(to);
                let wanted: Vec<u64> = (first..=last).filter(|version| is_wanted(*version)).collect();
                let before = number.to_string();
                let after = (if last == to { number + 1 } else { number }).to_string();
                let Some((from, to)) = wanted.first().copied().zip(wanted.last().copied()) else { continue };
                let is_free = self.ledger.is_free(&graph(name));
                let new = self.ledger.take(&graph(name), span(from, to), &before, &after);
                if let Some(new) = new.filter(|_| is_free) {
                    given.push(self.give(&graph(name), new.from.get()));
                }
            }
        }
        if !is_kept {
            self.ledger = before;
            return;
        }
        for (id, name, version, attempt) in given {
            let is_live = |(_, of, _, until): &(String, u8, u64, u64)| *of == name && *until > self.now_ms;
            assert!(!self.held.iter().any(is_live), "two commits of g{name} at once");
            let seen = self.seen.entry(name).or_default();
            if attempt == 1 && !self.retried.contains(&(name, version)) {
                let last = seen.last().copied().unwrap_or(0);
                let skipped = (last + 1..version).find(|version| is_wanted(*version));
                assert!(version > last && skipped.is_none(), "g{name}: {version} after {last}");
                seen.push(version);
            }
            self.held.push((id, name, version, self.now_ms + LEASE_MS));
        }
    }

    fn give(&mut self, of: &GraphId, found: u64) -> (String, u8, u64, u32) {
        let given = self.ledger.give(of, version(found), self.now_ms);
        (given.delivery_id, of.as_str()[1..].parse().unwrap(), found, given.attempt)
    }

    fn ack(&mut self, index: usize) {
        let (id, graph, version, until) = self.held.swap_remove(index);
        let known = self.ledger.ack(&[id]);
        assert!(known == 1 || until <= self.now_ms, "a lease that goes on is known");
        if known == 1 {
            self.acked.insert((graph, version));
        }
    }

    fn happen(&mut self, happening: &Happening) {
        let held = self.held.len();
        match happening {
            Happening::Append(graph, count) => {
                let head = self.heads.entry(*graph).or_insert(0);
                self.feed.push((*graph, *head + 1, *head + count));
                *head += count;
            }
            Happening::Look { max, is_kept } => self.look(*max, *is_kept),
            Happening::Ack(index) if held > 0 => self.ack(index % held),
            Happening::Nack(index) if held > 0 => {
                let (id, ..) = self.held.swap_remove(index % held);
                self.ledger.nack(&[id], Some("no"), self.now_ms);
            }
            Happening::Lose(index) if held > 0 => drop(self.held.swap_remove(index % held)),
            Happening::Ack(_) | Happening::Nack(_) | Happening::Lose(_) => {}
            Happening::Time(ms) => self.now_ms += ms,
            Happening::Retry => self.retry(),
        }
    }

    fn retry(&mut self) {
        let parked = self.ledger.parked();
        let ids: Vec<String> = parked.iter().map(|parked| parked.delivery_id()).collect();
        let of = |graph: &GraphId| graph.as_str()[1..].parse().unwrap();
        let which: Vec<(u8, u64)> = parked.iter().map(|p| (of(&p.graph), p.span.from.get())).collect();
        self.retried.extend(which);
        assert_eq!(self.ledger.retry(&ids), ids.len());
    }

    /// A consumer that does its work, until there is none.
    fn settle_all(&mut self) {
        for _ in 0..10_000 {
            self.now_ms += 2 * LEASE_MS;
            self.held.clear();
            self.look(3, true);
            if self.held.is_empty() {
                if self.ledger.parked().is_empty() {
                    return;
                }
                self.retry();
            }
            while !self.held.is_empty() {
                self.ack(0);
            }
        }
        panic!("it has no end");
    }
}

proptest! {
    #[test]
    fn s6_whatever_happens_every_commit_is_handed_out_in_order_and_settled(
        happenings in prop::collection::vec(happening(), 1..120)
    ) {
        let mut world = World::new();
        for happening in &happenings {
            world.happen(happening);
            prop_assert!(world.ledger.in_flight() <= world.heads.len());
        }
        world.settle_all();
        let all = world.heads.iter().flat_map(|(graph, head)| (1..=*head).map(|version| (*graph, version)));
        let wanted: BTreeSet<(u8, u64)> = all.filter(|(_, version)| is_wanted(*version)).collect();
        prop_assert_eq!(&world.acked, &wanted);
        prop_assert_eq!((world.ledger.in_flight(), world.ledger.waiting()), (0, 0));
    }
}
