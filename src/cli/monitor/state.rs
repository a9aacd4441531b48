//! The state of the monitor: the last polls of each server, and their figures.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{exposition::Exposition, figures::Figures};

/// The most rates kept per server; older ones are dropped.
pub(super) const HISTORY_MAX: usize = 240;
/// The most reasons shown per server.
const REASONS_MAX: usize = 8;

/// The result of polling a server.
#[derive(Debug)]
pub(super) enum Look {
    /// It answered: its metrics and its readiness.
    Answered { metrics: Exposition, ready: Ready },
    /// It answered, but shows no metrics: why, and what to do.
    Closed(String),
    /// It did not answer: why.
    Away(String),
}

/// The answer of `/readyz`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ready {
    pub(super) is_ready: bool,
    pub(super) store: String,
    /// Why it is not ready, and which graphs are parked.
    pub(super) reasons: Vec<String>,
}

impl Ready {
    /// Reads an answer.
    pub(super) fn read(status: u16, body: &str) -> Self {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let texts = |value: &Value| -> Vec<String> {
            value
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|text| text.as_str().map(str::to_owned))
                .collect()
        };
        let mut reasons = texts(&body["reasons"]);
        if status != 200 && reasons.is_empty() {
            reasons.extend(body["detail"].as_str().map(str::to_owned));
        }
        for parked in body["projections"]["parked"].as_array().into_iter().flatten() {
            let (graph, reason) = (parked["graphId"].as_str(), parked["reason"].as_str());
            let version = &parked["version"];
            reasons.push(format!(
                "{} is parked at version {version}: {}",
                graph.unwrap_or("?"),
                reason.unwrap_or("?")
            ));
        }
        reasons.truncate(REASONS_MAX);
        let store = body["store"].as_str().unwrap_or_default().to_owned();
        Self { is_ready: status == 200, store, reasons }
    }
}

/// The condition of a server.
#[derive(Debug)]
pub(super) enum Condition {
    /// It was not polled yet.
    Unknown,
    /// It answers.
    Up { figures: Box<Figures>, ready: Ready },
    /// It answers, but shows no metrics.
    Closed(String),
    /// It does not answer.
    Away(String),
}

/// One server and its polls.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) name: String,
    pub(super) condition: Condition,
    /// Operations per second, oldest first; 0 while it did not answer.
    pub(super) history: VecDeque<u64>,
    last: Option<(Instant, Exposition)>,
}

impl Watched {
    pub(super) fn new(name: String) -> Self {
        Self { name, condition: Condition::Unknown, history: VecDeque::new(), last: None }
    }

    /// Whether it has figures.
    pub(super) fn is_shown(&self) -> bool {
        matches!(self.condition, Condition::Up { .. })
    }

    /// Adds the result of a poll.
    pub(super) fn take(&mut self, look: Look, at: Instant) {
        let mut rate = 0.0;
        self.condition = match look {
            Look::Answered { metrics, ready } => {
                let figures = match &self.last {
                    Some((before, earlier)) => Figures::between(earlier, &metrics, at - *before),
                    // There is no rate yet: it needs two polls.
                    None => Figures::between(&metrics, &metrics, Duration::from_secs(1)),
                };
                rate = figures.commands_per_s();
                self.last = Some((at, metrics));
                Condition::Up { figures: Box::new(figures), ready }
            }
            Look::Closed(why) => Condition::Closed(why),
            Look::Away(why) => Condition::Away(why),
        };
        self.history.push_back(rate.round() as u64);
        if self.history.len() > HISTORY_MAX {
            self.history.pop_front();
        }
    }
}

/// Everything on the screen.
#[derive(Debug)]
pub(super) struct State {
    pub(super) servers: Vec<Watched>,
    pub(super) interval: Duration,
    pub(super) is_paused: bool,
}

impl State {
    /// Operations per second on all servers, oldest first.
    pub(super) fn history(&self) -> Vec<u64> {
        let length = self.servers.iter().map(|server| server.history.len()).max().unwrap_or(0);
        let mut sums = vec![0; length];
        for server in &self.servers {
            let offset = length - server.history.len();
            server.history.iter().enumerate().for_each(|(index, rate)| sums[offset + index] += rate);
        }
        sums
    }

    /// The figures of servers that answer.
    pub(super) fn figures(&self) -> impl Iterator<Item = &Figures> {
        self.servers.iter().filter_map(|server| match &server.condition {
            Condition::Up { figures, .. } => Some(&**figures),
            Condition::Unknown | Condition::Closed(_) | Condition::Away(_) => None,
        })
    }
}
