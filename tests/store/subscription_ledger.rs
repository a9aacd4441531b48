//! What a subscription's ledger promises, whatever consumers do (rules S5 to S8).

use std::collections::{BTreeMap, BTreeSet};

use dao_api::{
    live::{DeliveryLedger, DeliverySettings, VersionSpan},
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

fn span(from: u64, to: u64) -> VersionSpan {
    VersionSpan { from: version(from), to: version(to) }
}

fn ledger() -> DeliveryLedger {
    let filter = FilterLists::default();
    let settings =
        DeliverySettings { filter, start: "beginning".into(), lease_ms: LEASE_MS, attempts_max: ATTEMPTS };
    DeliveryLedger::new(settings, "0".into(), 0)
}

/// The only thing that is due, given.
fn give_next(ledger: &mut DeliveryLedger, now_ms: u64) -> (String, u64, u32) {
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
    assert_eq!(ledger.ack(std::slice::from_ref(&first), 0), 1);
    assert_eq!(ledger.ack(&[first, "nonsense".into(), "7.g1".into()], 0), 0);
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
    assert_eq!(ledger.ack(&[late], 0), 0, "somebody else has it");
    assert_eq!(ledger.ack(&[second], 0), 1);
}

#[test]
fn s7_who_is_late_may_still_acknowledge_what_nobody_else_was_given() {
    let mut ledger = ledger();
    ledger.take(&graph(1), span(1, 1), "0", "1");
    let (late, _, _) = give_next(&mut ledger, 0);
    assert_eq!(ledger.ack(&[late], 0), 1);
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
    assert_eq!(ledger.ack(&[second], 0), 1);
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
        assert_eq!((version, ledger.ack(&[id], 0)), (expected, 1));
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
        ledger.ack(&[given.delivery_id], 0);
        order.push(due.graph.to_string());
    }
    assert_eq!(order, ["g1", "g2", "g3", "g1", "g2", "g3"]);
}

#[test]
fn what_is_kept_of_a_ledger_is_all_of_it() {
    let mut ledger = ledger();
    ledger.take(&graph(1), span(1, 5), "0", "0");
    give_next(&mut ledger, 0);
    ledger.park_damage(&graph(2), VersionSpan { from: version(3), to: Version::MAX }, "a hole");
    let bytes = rmp_serde::to_vec_named(&ledger).unwrap();
    assert_eq!(rmp_serde::from_slice::<DeliveryLedger>(&bytes).unwrap(), ledger);
}

/// The commits of a graph that go out in one look: versions and ids.
fn give_run(ledger: &mut DeliveryLedger, limit: usize, now_ms: u64) -> Vec<(u64, u32, String)> {
    let due = ledger.due(now_ms, 1).remove(0);
    let first = ledger.give(&due.graph, due.span.from, now_ms);
    let mut run = vec![(due.span.from.get(), first.attempt, first.delivery_id)];
    if let Some(more) = ledger.more(&due.graph, limit - 1) {
        for number in (more.span.from.get()..=more.span.to.get()).take(more.count) {
            let given = ledger.extend(&due.graph, version(number)).expect("it can go out");
            run.push((number, given.attempt, given.delivery_id));
        }
    }
    run
}

fn versions(run: &[(u64, u32, String)]) -> Vec<u64> {
    run.iter().map(|(version, ..)| *version).collect()
}

/// A graph of a hundred commits, all waiting.
fn far_behind() -> DeliveryLedger {
    let mut ledger = ledger();
    ledger.take(&graph(1), span(1, 100), "0", "1");
    ledger
}

#[test]
fn s6_a_graph_that_is_far_behind_goes_out_in_runs_until_it_has_caught_up() {
    let mut ledger = far_behind();
    for (limit, expected) in [(60, 1..=60), (30, 61..=90), (30, 91..=100)] {
        let run = give_run(&mut ledger, limit, 0);
        assert_eq!(versions(&run), expected.collect::<Vec<_>>());
        assert_eq!(ledger.in_flight(), run.len());
        assert_eq!(ledger.due(50, 10), [], "all of a run is settled before the next");
        let ids: Vec<String> = run.into_iter().map(|(.., id)| id).collect();
        assert_eq!(ledger.ack(&ids, 0), ids.len(), "each of them is known");
    }
    // It has: what comes now goes one by one.
    ledger.take(&graph(1), span(101, 103), "1", "2");
    assert_eq!(versions(&give_run(&mut ledger, 10, 0)), [101]);
}

#[test]
fn s6_acknowledging_one_acknowledges_those_before_it_in_its_run() {
    let mut ledger = far_behind();
    let run = give_run(&mut ledger, 10, 0);
    assert_eq!(ledger.ack(&[run[6].2.clone()], 0), 1);
    assert_eq!(ledger.ack(&[run[3].2.clone()], 0), 0, "it is done with");
    assert_eq!((ledger.in_flight(), ledger.due(0, 10)), (3, vec![]));
    assert_eq!(ledger.ack(&[run[9].2.clone()], 0), 1);
    assert_eq!(give_run(&mut ledger, 3, 0)[0].0, 11);
}

#[test]
fn s6_a_run_that_is_given_back_comes_again_from_its_first_commit_that_is_not_settled() {
    let mut ledger = far_behind();
    let run = give_run(&mut ledger, 10, 0);
    assert_eq!(ledger.ack(&[run[1].2.clone()], 0), 1);
    assert_eq!(ledger.nack(&[run[5].2.clone()], Some("no"), 0), 1);
    let again = give_run(&mut ledger, 100, 0);
    assert_eq!(versions(&again), [3, 4, 5, 6, 7, 8, 9, 10]);
    assert!(again.iter().all(|(_, attempt, _)| *attempt == 2));
    assert_eq!(ledger.ack(&[run[9].2.clone()], 0), 0, "the old ids are unknown");
}

#[test]
fn s7_a_run_whose_lease_ends_comes_again_and_its_rest_is_leased_from_an_acknowledgement_on() {
    let mut ledger = far_behind();
    let run = give_run(&mut ledger, 10, 0);
    assert_eq!(ledger.ack(&[run[1].2.clone()], LEASE_MS / 2), 1);
    assert_eq!(ledger.due(LEASE_MS, 10), [], "its consumer is at work");
    let later = LEASE_MS / 2 + LEASE_MS;
    assert_eq!(versions(&give_run(&mut ledger, 4, later)), [3, 4, 5, 6], "no longer than there is room");
    assert_eq!(ledger.due(later, 10), [], "and the rest after that");
}

#[test]
fn s8_the_last_attempt_is_made_alone_so_that_what_fails_is_parked_and_nothing_beside_it() {
    let mut ledger = far_behind();
    for attempt in 1..ATTEMPTS {
        let run = give_run(&mut ledger, 5, 0);
        assert_eq!((run.len(), run[0].1), (5, attempt));
        ledger.nack(&[run[2].2.clone()], Some("poison"), 0);
    }
    // The third fails, and the others don't.
    for expected in 1..=5 {
        let run = give_run(&mut ledger, 5, 0);
        assert_eq!(run[..1].iter().map(|(v, a, _)| (*v, *a)).collect::<Vec<_>>(), [(expected, ATTEMPTS)]);
        assert_eq!(run.len(), 1);
        let id = [run[0].2.clone()];
        let known = if expected == 3 { ledger.nack(&id, Some("poison"), 0) } else { ledger.ack(&id, 0) };
        assert_eq!(known, 1);
    }
    let parked: Vec<_> = ledger.parked().iter().map(|p| (p.span, p.attempts, p.reason.as_str())).collect();
    assert_eq!(parked, [(span(3, 3), ATTEMPTS, "poison")]);
    assert_eq!(versions(&give_run(&mut ledger, 2, 0)), [6, 7]);
}

#[test]
fn s8_what_may_be_tried_once_goes_alone() {
    let filter = FilterLists::default();
    let settings =
        DeliverySettings { filter, start: "beginning".into(), lease_ms: LEASE_MS, attempts_max: 1 };
    let mut ledger = DeliveryLedger::new(settings, "0".into(), 0);
    ledger.take(&graph(1), span(1, 100), "0", "1");
    assert_eq!(versions(&give_run(&mut ledger, 50, 0)), [1]);
}

#[test]
fn s6_runs_leave_room_for_other_graphs() {
    let mut ledger = ledger();
    for number in 1..=3 {
        ledger.take(&graph(number), span(1, 2_000), "", &number.to_string());
    }
    let mut lengths = Vec::new();
    for _ in 1..=3 {
        lengths.push(give_run(&mut ledger, 5_000, 0).len());
    }
    assert_eq!(lengths, [500, 500, 1], "a thousand are out, and the first of each graph all the same");
}

/// What release 0.1 wrote of a subscription: one commit of a graph at most.
#[test]
fn s6_what_an_older_release_kept_is_read_and_what_it_can_read_is_written_as_it_was() {
    let mut ledger = far_behind();
    let (first, _, _) = give_next(&mut ledger, 0);
    let mut kept: serde_json::Value =
        rmp_serde::from_slice(&rmp_serde::to_vec_named(&ledger).unwrap()).unwrap();
    let lane = kept["lanes"]["g1"].as_object_mut().unwrap();
    lane.remove("is_in_runs");
    let flight = lane["flight"].as_object_mut().expect("one commit, and no list");
    flight.remove("run");
    assert_eq!(flight.len(), 5, "{flight:?}");
    let old = rmp_serde::to_vec_named(&kept).unwrap();
    let mut ledger: DeliveryLedger = rmp_serde::from_slice(&old).unwrap();
    assert_eq!((ledger.in_flight(), ledger.waiting()), (1, 99));
    assert_eq!(ledger.ack(&[first], 0), 1);
    // Of a graph with nothing out.
    let mut kept: serde_json::Value =
        rmp_serde::from_slice(&rmp_serde::to_vec_named(&ledger).unwrap()).unwrap();
    assert_eq!(kept["lanes"]["g1"]["flight"], serde_json::Value::Null);
    kept["lanes"]["g1"].as_object_mut().unwrap().remove("is_in_runs");
    let mut ledger: DeliveryLedger = rmp_serde::from_slice(&rmp_serde::to_vec_named(&kept).unwrap()).unwrap();
    // What it can't read, a run, is not taken for none.
    assert_eq!(give_run(&mut ledger, 3, 0).len(), 3);
    let kept: serde_json::Value = rmp_serde::from_slice(&rmp_serde::to_vec_named(&ledger).unwrap()).unwrap();
    assert!(kept["lanes"]["g1"]["flight"].is_array(), "{kept}");
    let bytes = rmp_serde::to_vec_named(&ledger).unwrap();
    assert_eq!(rmp_serde::from_slice::<DeliveryLedger>(&bytes).unwrap(), ledger);
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
        1 => (0..4_u8, 50..90_u64).prop_map(|(graph, count)| Happening::Append(graph, count)),
        2 => (20..80_usize).prop_map(|max| Happening::Look { max, is_kept: true }),
        6 => (1..4_usize, prop::bool::weighted(0.8)).prop_map(|(max, is_kept)| Happening::Look { max, is_kept }),
        5 => any::<usize>().prop_map(Happening::Ack),
        2 => any::<usize>().prop_map(Happening::Nack),
        1 => any::<usize>().prop_map(Happening::Lose),
        2 => (1..2 * LEASE_MS).prop_map(Happening::Time),
        1 => Just(Happening::Retry),
    ]
}

/// A delivery that a consumer holds.
#[derive(Clone, Debug)]
struct Held {
    id: String,
    graph: u8,
    version: u64,
    /// When the lease ends.
    until_ms: u64,
    /// The look that it is of: with the graph, which run.
    look: u64,
}

/// A log of a few graphs, their consumers, and what they saw.
struct World {
    now_ms: u64,
    ledger: DeliveryLedger,
    /// Graph and versions of each append; the position after one is its number, counted from 1.
    feed: Vec<(u8, u64, u64)>,
    heads: BTreeMap<u8, u64>,
    held: Vec<Held>,
    /// Those that they lost or gave back: whoever acknowledges a later one of the run acknowledges these too.
    lost: Vec<Held>,
    looks: u64,
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
            lost: vec![],
            looks: 0,
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
        for (_, name, ..) in given.clone() {
            let room = max.saturating_sub(given.len());
            let Some(more) = self.ledger.more(&graph(name), room) else { continue };
            let wanted = (more.span.from.get()..=more.span.to.get()).filter(|version| is_wanted(*version));
            for found in wanted.take(more.count) {
                let extended = self.ledger.extend(&graph(name), version(found));
                given.extend(extended.map(|given| (given.delivery_id, name, found, given.attempt)));
            }
        }
        if !is_kept {
            self.ledger = before;
            return;
        }
        self.looks += 1;
        for (id, graph, version, attempt) in given {
            let is_live =
                |held: &Held| held.graph == graph && held.until_ms > self.now_ms && held.look != self.looks;
            assert!(!self.held.iter().any(is_live), "g{graph} goes on before a run is settled");
            let seen = self.seen.entry(graph).or_default();
            if attempt == 1 && !self.retried.contains(&(graph, version)) {
                let last = seen.last().copied().unwrap_or(0);
                let skipped = (last + 1..version).find(|version| is_wanted(*version));
                assert!(version > last && skipped.is_none(), "g{graph}: {version} after {last}");
                seen.push(version);
            }
            let (until_ms, look) = (self.now_ms + LEASE_MS, self.looks);
            self.held.push(Held { id, graph, version, until_ms, look });
        }
    }

    fn give(&mut self, of: &GraphId, found: u64) -> (String, u8, u64, u32) {
        let given = self.ledger.give(of, version(found), self.now_ms);
        (given.delivery_id, of.as_str()[1..].parse().unwrap(), found, given.attempt)
    }

    fn ack(&mut self, index: usize) {
        let done = self.held.swap_remove(index);
        let known = self.ledger.ack(std::slice::from_ref(&done.id), self.now_ms);
        assert!(known == 1 || done.until_ms <= self.now_ms, "a lease that goes on is known");
        if known == 0 {
            return;
        }
        self.acked.insert((done.graph, done.version));
        let (now_ms, acked) = (self.now_ms, &mut self.acked);
        for lost in &self.lost {
            if (lost.graph, lost.look) == (done.graph, done.look) && lost.version < done.version {
                acked.insert((lost.graph, lost.version));
            }
        }
        self.held.retain_mut(|held| {
            let is_of_its_run = (held.graph, held.look) == (done.graph, done.look);
            if is_of_its_run && held.version < done.version {
                acked.insert((held.graph, held.version));
                return false;
            }
            if is_of_its_run && held.until_ms > now_ms {
                held.until_ms = now_ms + LEASE_MS;
            }
            true
        });
    }

    fn nack(&mut self, index: usize) {
        let given_back = self.held.swap_remove(index);
        let known = self.ledger.nack(std::slice::from_ref(&given_back.id), Some("no"), self.now_ms);
        for held in &mut self.held {
            if known == 1 && (held.graph, held.look) == (given_back.graph, given_back.look) {
                held.until_ms = held.until_ms.min(self.now_ms);
            }
        }
        self.lost.push(given_back);
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
            Happening::Nack(index) if held > 0 => self.nack(index % held),
            Happening::Lose(index) if held > 0 => {
                let lost = self.held.swap_remove(index % held);
                self.lost.push(lost);
            }
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
            self.lost.append(&mut self.held);
            self.look(30, true);
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
        }
        world.settle_all();
        let all = world.heads.iter().flat_map(|(graph, head)| (1..=*head).map(|version| (*graph, version)));
        let wanted: BTreeSet<(u8, u64)> = all.filter(|(_, version)| is_wanted(*version)).collect();
        prop_assert_eq!(&world.acked, &wanted);
        prop_assert_eq!((world.ledger.in_flight(), world.ledger.waiting()), (0, 0));
    }
}
