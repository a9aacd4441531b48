//! What a subscription has handed out, and to be settled: a state machine without clock or I/O.
//!
//! Invariants:
//! - Every commit that was taken is in flight, waiting, parked, or was acknowledged, dropped or found
//!   not to be wanted. Taking it again hands it out again.
//! - Of a graph one commit is out at a time, or a run of several where it is far behind; what waits behind
//!   them goes out when all of them are settled. So commits go out in the order of versions.
//! - A run that was not settled comes again from its first commit that is not settled. Attempts are counted by
//!   commit, and the last one is made alone: what fails it is parked, and nothing beside it.
//! - It is bounded: [`LANES_MAX`], [`FLIGHTS_MAX`], [`PARKED_MAX`], and what is beyond stays in the feed.
//!
//! Not here: where commits come from (`deliveries`) and how this is kept (`subscriptions`).

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound::{Excluded, Unbounded},
};

use dao_projections::{GraphId, Version};
use serde::{Deserialize, Serialize};

use super::{
    delivery_id::{by_graph, delivery_id, read_delivery_id},
    graph_lane::{GraphLane, LeasedCommit},
    parked::ParkedCommit,
    spans::{DueSpan, RunExtension, VersionSpan},
};
use crate::read::FilterLists;

/// Graphs with something in flight or waiting; no other graph's commits are taken while there are so
/// many. So also the most that have something in flight.
const LANES_MAX: usize = 1_000;
/// Commits in flight beyond which runs are not made longer. The first commit of a graph goes out all the same.
const FLIGHTS_MAX: usize = 1_000;
/// Commits in one run: less than [`FLIGHTS_MAX`], so that one graph leaves room for others.
const RUN_MAX: usize = 500;
/// Parked deliveries; while there are so many, what would be parked is delivered again instead.
const PARKED_MAX: usize = 10_000;
/// Characters of a reason that are kept.
const REASON_MAX: usize = 200;
/// The reason where no consumer gave one.
const LEASE_ENDED: &str = "the lease ended";

/// What a subscription is about, as it was asked for. Two that are equal are the same one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliverySettings {
    /// Which commits.
    pub filter: FilterLists,
    /// Where it began: `now`, `beginning` or a position.
    pub start: String,
    /// How long a consumer has for a commit, in milliseconds.
    pub lease_ms: u64,
    /// Deliveries of one commit before it is parked.
    pub attempts_max: u32,
}

/// All that is known of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryLedger {
    settings: DeliverySettings,
    position: String,
    /// Where the position stands before an append of which some is taken: up to where.
    partly: Option<(GraphId, Version)>,
    lanes: BTreeMap<GraphId, GraphLane>,
    /// The graph that last had its turn.
    turn: Option<GraphId>,
    parked: Vec<ParkedCommit>,
    /// The number of the next delivery. They begin with the time it was made, so that none is of an
    /// earlier subscription of this name.
    number: u64,
}

/// A delivery that was just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryLease {
    /// What a consumer settles it by.
    pub delivery_id: String,
    /// The delivery attempt of this commit, from 1.
    pub attempt: u32,
}

impl DeliveryLedger {
    /// Nothing is handed out yet, and it begins at this position.
    pub fn new(settings: DeliverySettings, position: String, now_ms: u64) -> Self {
        Self {
            settings,
            position,
            partly: None,
            lanes: BTreeMap::new(),
            turn: None,
            parked: vec![],
            number: now_ms.saturating_mul(1_000),
        }
    }

    /// What it is about.
    pub fn settings(&self) -> &DeliverySettings {
        &self.settings
    }

    /// Up to here everything was taken: it is settled, or stands in this ledger.
    pub fn position(&self) -> &str {
        &self.position
    }

    /// Commits that a consumer has, or had when its lease ended.
    pub fn in_flight(&self) -> usize {
        self.lanes.values().map(|lane| lane.flights.len()).sum()
    }

    /// Graphs of which a commit is in flight.
    fn lanes_in_flight(&self) -> usize {
        self.lanes.values().filter(|lane| !lane.flights.is_empty()).count()
    }

    /// At most so many commits wait behind those in flight.
    pub fn waiting(&self) -> u64 {
        let spans = |lane: &GraphLane| -> u64 {
            let known = lane.again.iter().chain(&lane.waiting).filter(|span| span.to < Version::MAX);
            known.map(|span| span.to.since(span.from).saturating_add(1)).sum()
        };
        self.lanes.values().map(spans).fold(0, u64::saturating_add)
    }

    /// What was given up, the first first.
    pub fn parked(&self) -> &[ParkedCommit] {
        &self.parked
    }

    /// Whether commits of one more graph can be taken.
    pub fn has_room(&self) -> bool {
        self.lanes.len() < LANES_MAX
    }

    /// Whether commits of this graph can be taken.
    pub fn has_room_for(&self, graph: &GraphId) -> bool {
        self.has_room() || self.lanes.contains_key(graph)
    }

    /// Whether one more can be parked.
    pub fn can_park(&self) -> bool {
        self.parked.len() < PARKED_MAX
    }

    /// When the next lease ends that has not.
    pub fn next_lapse(&self, now_ms: u64) -> Option<u64> {
        let flights = self.lanes.values().flat_map(|lane| &lane.flights);
        flights.map(|flight| flight.until_ms).filter(|until| *until > now_ms).min()
    }

    /// Takes commits that the feed tells of, for which there is room, and returns those of them that
    /// were not taken already at this position. `before` and `after` are where the reader is before and
    /// after them: the same, where more of the same append follows.
    pub fn take(
        &mut self,
        graph: &GraphId,
        span: VersionSpan,
        before: &str,
        after: &str,
    ) -> Option<VersionSpan> {
        self.move_to(before);
        let known = self.partly.as_ref().filter(|(of, _)| of == graph).map(|(_, version)| *version);
        let new = known.map_or(Some(span), |known| span.after(known));
        if let Some(new) = new {
            let waiting = &mut self.lanes.entry(graph.clone()).or_default().waiting;
            let from = waiting.map_or(new.from, |waiting| waiting.from.min(new.from));
            let to = waiting.map_or(new.to, |waiting| waiting.to.max(new.to));
            *waiting = Some(VersionSpan { from, to });
        }
        if after == before {
            let to = known.map_or(span.to, |known| known.max(span.to));
            self.partly = Some((graph.clone(), to));
        } else {
            self.move_to(after);
        }
        new
    }

    /// Everything before this position is taken.
    pub fn move_to(&mut self, position: &str) {
        if self.position != position {
            (self.position, self.partly) = (position.to_owned(), None);
        }
    }

    /// Parks what was delivered as often as is allowed without being settled.
    pub fn expire(&mut self, now_ms: u64) {
        let attempts_max = self.settings.attempts_max;
        let is_spent = |flight: &LeasedCommit| flight.until_ms <= now_ms && flight.attempt >= attempts_max;
        for (graph, lane) in &mut self.lanes {
            while self.parked.len() < PARKED_MAX && lane.flights.first().is_some_and(is_spent) {
                let flight = lane.flights.remove(0);
                self.parked.push(ParkedCommit {
                    number: flight.number,
                    graph: graph.clone(),
                    span: VersionSpan::of(flight.version),
                    attempts: flight.attempt,
                    reason: flight.reason.unwrap_or_else(|| LEASE_ENDED.to_owned()),
                });
            }
        }
        self.lanes.retain(|_, lane| !lane.is_idle());
    }

    /// What can be handed out: first what is due again, then what waits, the graphs in turn.
    pub fn due(&self, now_ms: u64, limit: usize) -> Vec<DueSpan> {
        let lapsed = self.lanes.iter().filter_map(|(graph, lane)| {
            let first = lane.lapsed(now_ms)?;
            Some(DueSpan { graph: graph.clone(), span: VersionSpan::of(first.version) })
        });
        let after = self.turn.as_ref().map_or(Unbounded, Excluded);
        let later = self.lanes.range::<GraphId, _>((after, Unbounded));
        let earlier = self.turn.as_ref().map(|turn| self.lanes.range::<GraphId, _>(..=turn));
        let waiting = later.chain(earlier.into_iter().flatten()).filter_map(|(graph, lane)| {
            let span = lane.next().filter(|_| lane.flights.is_empty())?;
            Some(DueSpan { graph: graph.clone(), span })
        });
        let room = LANES_MAX.saturating_sub(self.lanes_in_flight());
        lapsed.chain(waiting.take(room)).take(limit).collect()
    }

    /// Whether the next commit of this graph can go out at once: nothing of it is to be settled.
    pub fn is_free(&self, graph: &GraphId) -> bool {
        !self.lanes.contains_key(graph) && self.lanes_in_flight() < LANES_MAX
    }

    /// Hands out what was due of a graph, of which this is the first that is wanted.
    pub fn give(&mut self, graph: &GraphId, version: Version, now_ms: u64) -> DeliveryLease {
        let number = self.take_number();
        let until_ms = now_ms.saturating_add(self.settings.lease_ms);
        let lane = self.lanes.entry(graph.clone()).or_default();
        let flight = LeasedCommit { number, version, attempt: 1, until_ms, reason: None, run: number };
        let attempt = match lane.flights.first_mut() {
            Some(lapsed) => {
                let attempt = lapsed.attempt.saturating_add(1);
                *lapsed = LeasedCommit { attempt, ..flight };
                attempt
            }
            None => {
                lane.pass(version);
                lane.flights.push(flight);
                self.turn = Some(graph.clone());
                1
            }
        };
        DeliveryLease { delivery_id: delivery_id(number, graph), attempt }
    }

    /// What can go out in one run with the commit of this graph that was just handed out: at most `limit`
    /// commits. `None` where that commit goes alone.
    pub fn more(&self, graph: &GraphId, limit: usize) -> Option<RunExtension> {
        let lane = self.lanes.get(graph)?;
        let (first, lapsed) = lane.flights.split_first()?;
        let attempts_max = self.settings.attempts_max;
        if first.attempt >= attempts_max {
            return None;
        }
        let limit = limit.min(RUN_MAX - 1);
        if lapsed.is_empty() {
            let count = limit.min(FLIGHTS_MAX.saturating_sub(self.in_flight()));
            let span = lane.next().filter(|_| count > 0 && first.attempt == 1 && lane.is_behind())?;
            return Some(RunExtension { span, count });
        }
        let count = lapsed.iter().take(limit).take_while(|flight| flight.attempt + 1 < attempts_max).count();
        let (from, to) = (lapsed.first()?.version, lapsed.get(count.checked_sub(1)?)?.version);
        Some(RunExtension { span: VersionSpan { from, to }, count })
    }

    /// Hands out a commit that can go out in one run with the one before it, as [`DeliveryLedger::more`] says; the
    /// next that is wanted.
    pub fn extend(&mut self, graph: &GraphId, version: Version) -> Option<DeliveryLease> {
        let number = self.take_number();
        let lane = self.lanes.get_mut(graph)?;
        let (first, rest) = lane.flights.split_first_mut()?;
        let (run, until_ms) = (first.run, first.until_ms);
        let flight = LeasedCommit { number, version, attempt: 1, until_ms, reason: None, run };
        let attempt = match rest.iter_mut().find(|flight| flight.run != run) {
            None => {
                lane.pass(version);
                lane.flights.push(flight);
                lane.is_in_runs = true;
                1
            }
            Some(_) => {
                let lapsed = rest.iter_mut().find(|flight| flight.version == version)?;
                let attempt = lapsed.attempt.saturating_add(1);
                *lapsed = LeasedCommit { attempt, ..flight };
                attempt
            }
        };
        Some(DeliveryLease { delivery_id: delivery_id(number, graph), attempt })
    }

    fn take_number(&mut self) -> u64 {
        let number = self.number;
        self.number = number.saturating_add(1);
        number
    }

    /// Of what was due of a graph, nothing up to and with `to` is wanted.
    pub fn pass(&mut self, graph: &GraphId, to: Version) {
        let Some(lane) = self.lanes.get_mut(graph) else { return };
        match lane.flights.is_empty() {
            true => lane.pass(to),
            false => lane.flights.retain(|flight| flight.version > to),
        }
        if lane.is_idle() {
            self.lanes.remove(graph);
        }
    }

    /// Parks what can't be read, unless it is parked already.
    pub fn park_damage(&mut self, graph: &GraphId, span: VersionSpan, reason: &str) {
        let is_known = |parked: &ParkedCommit| parked.graph == *graph && parked.span.from == span.from;
        if !self.parked.iter().any(is_known) {
            let (number, reason) = (self.take_number(), shortened(reason));
            self.parked.push(ParkedCommit { number, graph: graph.clone(), span, attempts: 0, reason });
        }
    }

    /// These are done with, and with each what went out before it in its run; how many of them were in
    /// flight. A lease that ended does not matter as long as nobody else was given the commit. The rest of
    /// such a run is leased from now on: its consumer is at work.
    pub fn ack(&mut self, ids: &[String], now_ms: u64) -> usize {
        let until_ms = now_ms.saturating_add(self.settings.lease_ms);
        let mut known = 0;
        for (graph, numbers) in by_graph(ids) {
            let Some(lane) = self.lanes.get_mut(&graph) else { continue };
            known += lane.ack(&numbers, now_ms, until_ms);
            if lane.is_idle() {
                self.lanes.remove(&graph);
            }
        }
        known
    }

    /// These are given back, each with all of its run that is not settled, to be delivered again at once or
    /// parked; how many of them were in flight.
    pub fn nack(&mut self, ids: &[String], reason: Option<&str>, now_ms: u64) -> usize {
        let reason = reason.map_or_else(|| "given back".to_owned(), shortened);
        let mut known = 0;
        for (graph, numbers) in by_graph(ids) {
            let Some(lane) = self.lanes.get_mut(&graph) else { continue };
            known += lane.nack(&numbers, &reason, now_ms);
        }
        self.expire(now_ms);
        known
    }

    /// Takes parked ones out, and how many were there.
    fn unpark(&mut self, ids: &[String]) -> Vec<ParkedCommit> {
        let ids: BTreeSet<(u64, GraphId)> = ids.iter().filter_map(|id| read_delivery_id(id)).collect();
        let is_meant = |parked: &ParkedCommit| ids.contains(&(parked.number, parked.graph.clone()));
        let (meant, rest) = std::mem::take(&mut self.parked).into_iter().partition(is_meant);
        self.parked = rest;
        meant
    }

    /// The graph was purged: nothing of it is handed out any more, nor kept. Whether there was anything.
    pub fn forget(&mut self, graph: &GraphId) -> bool {
        let parked = self.parked.len();
        self.parked.retain(|parked| parked.graph != *graph);
        self.partly.take_if(|(of, _)| of == graph);
        self.lanes.remove(graph).is_some() | (self.parked.len() < parked)
    }

    /// Parked ones go out again, before what waits of their graphs; how many there were.
    pub fn retry(&mut self, ids: &[String]) -> usize {
        let parked = self.unpark(ids);
        let count = parked.len();
        for parked in parked {
            let lane = self.lanes.entry(parked.graph).or_default();
            let at = lane.again.partition_point(|span| span.from <= parked.span.from);
            lane.again.insert(at, parked.span);
        }
        count
    }

    /// Parked ones are given up for good; how many there were.
    pub fn drop_parked(&mut self, ids: &[String]) -> usize {
        self.unpark(ids).len()
    }
}

fn shortened(reason: &str) -> String {
    reason.chars().take(REASON_MAX).collect()
}
