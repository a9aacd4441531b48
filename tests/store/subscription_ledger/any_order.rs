//! Anything may happen in any order: what a ledger says of itself holds.

use std::collections::{BTreeMap, BTreeSet};

use dao_api::live::DeliveryLedger;
use dao_projections::GraphId;
use proptest::prelude::*;

use super::{LEASE_MS, graph, ledger, span, version};

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

/// A delivery that a look hands out.
#[derive(Clone, Debug)]
struct Given {
    id: String,
    graph: u8,
    version: u64,
    attempt: u32,
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
        self.ledger.expire(self.now_ms);
        let mut given = self.give_due(max);
        self.give_from_feed(max, &mut given);
        self.extend_runs(max, &mut given);
        if !is_kept {
            self.ledger = before;
            return;
        }
        self.looks += 1;
        for given in given {
            self.hold(given);
        }
    }

    /// Of the graphs that were known before, what is due.
    fn give_due(&mut self, max: usize) -> Vec<Given> {
        let mut given = Vec::new();
        loop {
            let due = self.ledger.due(self.now_ms, max - given.len());
            if due.is_empty() {
                return given;
            }
            for due in due {
                let (from, to) = (due.span.from.get(), due.span.to.get());
                match (from..=to).find(|version| is_wanted(*version)) {
                    Some(found) => given.push(self.give(&due.graph, found)),
                    None => self.ledger.pass(&due.graph, due.span.to),
                }
            }
        }
    }

    /// The feed from the ledger's position, two commits at a time, of which the position knows only when it has all.
    fn give_from_feed(&mut self, max: usize, given: &mut Vec<Given>) {
        let position: usize = self.ledger.position().parse().unwrap();
        for (number, (name, from, to)) in self.feed.clone().into_iter().enumerate().skip(position) {
            for first in (from..=to).step_by(2) {
                if given.len() >= max {
                    return;
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
    }

    /// What follows in the graphs of which something is handed out already.
    fn extend_runs(&mut self, max: usize, given: &mut Vec<Given>) {
        for Given { graph: name, .. } in given.clone() {
            let room = max.saturating_sub(given.len());
            let Some(more) = self.ledger.more(&graph(name), room) else { continue };
            let wanted = (more.span.from.get()..=more.span.to.get()).filter(|version| is_wanted(*version));
            for found in wanted.take(more.count) {
                let extended = self.ledger.extend(&graph(name), version(found));
                given.extend(extended.map(|given| Given {
                    id: given.delivery_id,
                    graph: name,
                    version: found,
                    attempt: given.attempt,
                }));
            }
        }
    }

    /// Gives it to a consumer, after making sure that its time has come.
    fn hold(&mut self, Given { id, graph, version, attempt }: Given) {
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

    fn give(&mut self, of: &GraphId, found: u64) -> Given {
        let given = self.ledger.give(of, version(found), self.now_ms);
        let graph = of.as_str()[1..].parse().unwrap();
        Given { id: given.delivery_id, graph, version: found, attempt: given.attempt }
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
