//! What is to be settled of one graph: what is out, what is tried again, what waits.
//!
//! Not here: when a commit is parked, and how many graphs there can be (`delivery_ledger`).

use std::collections::{BTreeMap, BTreeSet};

use dao_projections::Version;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::spans::VersionSpan;

/// A graph with so many commits waiting is far behind, and is handed out in runs until it has caught up. With
/// fewer, each commit goes alone, so that a consumer settles each by itself.
const RUN_FROM: u64 = 50;

/// What is to be settled of one graph: never nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GraphLane {
    /// What is out, in order. All of it is settled before anything else of the graph goes out.
    #[serde(rename = "flight", serialize_with = "write_flights", deserialize_with = "read_flights")]
    pub(super) flights: Vec<LeasedCommit>,
    /// What was parked and is tried again, before what waits.
    pub(super) again: Vec<VersionSpan>,
    /// What the feed told of. Not all of it need be wanted.
    pub(super) waiting: Option<VersionSpan>,
    /// Whether it is handed out in runs until nothing of it is left.
    #[serde(default)]
    pub(super) is_in_runs: bool,
}

/// A commit that a consumer has, or had when its lease ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LeasedCommit {
    pub(super) number: u64,
    pub(super) version: Version,
    pub(super) attempt: u32,
    /// Milliseconds since the Unix epoch; the commit is due again from then on.
    pub(super) until_ms: u64,
    pub(super) reason: Option<String>,
    /// The number of the first commit of its run.
    #[serde(default)]
    pub(super) run: u64,
}

/// Up to release 0.1 a graph had one commit out at most. What has none or one is written as it was then.
fn write_flights<S: Serializer>(flights: &[LeasedCommit], to: S) -> Result<S::Ok, S::Error> {
    match flights {
        [] => to.serialize_none(),
        [one] => to.serialize_some(one),
        run => to.collect_seq(run),
    }
}

fn read_flights<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<LeasedCommit>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Stored {
        Run(Vec<LeasedCommit>),
        One(LeasedCommit),
    }
    Ok(match Option::deserialize(from)? {
        None => vec![],
        Some(Stored::One(one)) => vec![one],
        Some(Stored::Run(run)) => run,
    })
}

impl GraphLane {
    pub(super) fn is_idle(&self) -> bool {
        self.flights.is_empty() && self.next().is_none()
    }

    pub(super) fn next(&self) -> Option<VersionSpan> {
        self.again.first().copied().or(self.waiting)
    }

    /// Whether so much waits that it is handed out in runs.
    pub(super) fn is_behind(&self) -> bool {
        self.is_in_runs || self.next().is_some_and(|span| span.to.since(span.from) >= RUN_FROM - 1)
    }

    /// The first commit that is out, if all that is out is due again.
    pub(super) fn lapsed(&self, now_ms: u64) -> Option<&LeasedCommit> {
        let is_lapsed = self.flights.iter().all(|flight| flight.until_ms <= now_ms);
        self.flights.first().filter(|_| is_lapsed)
    }

    /// What is next is so only after this version.
    pub(super) fn pass(&mut self, version: Version) {
        match self.again.first_mut() {
            None => self.waiting = self.waiting.and_then(|span| span.after(version)),
            Some(first) => match first.after(version) {
                Some(rest) => *first = rest,
                None => drop(self.again.remove(0)),
            },
        }
    }

    /// These are done with, and what went out before them in their runs. How many of them were out. The rest
    /// of such a run is leased until `until_ms`, if its lease has not ended.
    pub(super) fn ack(&mut self, numbers: &BTreeSet<u64>, now_ms: u64, until_ms: u64) -> usize {
        let (mut known, mut last_done) = (0, BTreeMap::new());
        for (index, flight) in self.flights.iter().enumerate() {
            if numbers.contains(&flight.number) {
                known += 1;
                last_done.insert(flight.run, index);
            }
        }
        let mut index = 0;
        self.flights.retain_mut(|flight| {
            let last = last_done.get(&flight.run);
            if last.is_some() && flight.until_ms > now_ms {
                flight.until_ms = until_ms;
            }
            index += 1;
            last.is_none_or(|last| index > last + 1)
        });
        known
    }

    /// These are given back, each with the whole of its run. How many of them were out.
    pub(super) fn nack(&mut self, numbers: &BTreeSet<u64>, reason: &str, now_ms: u64) -> usize {
        let mut runs = BTreeSet::new();
        let mut known = 0;
        for flight in self.flights.iter_mut().filter(|flight| numbers.contains(&flight.number)) {
            known += 1;
            runs.insert(flight.run);
            flight.reason = Some(reason.to_owned());
        }
        for flight in self.flights.iter_mut().filter(|flight| runs.contains(&flight.run)) {
            flight.until_ms = flight.until_ms.min(now_ms);
        }
        known
    }
}
