//! Graphs of one part of the feed that the store refuses to give or take, while it serves all others: each is tried
//! again with pauses that grow, and nobody waits for it.
//!
//! Not here: that they are parked, where an operator sees it.

use std::{collections::HashMap, time::Duration};

use dao_projections::GraphId;
use tokio::time::Instant;

/// The first pause before such a graph is tried again, doubled each time up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Graphs with a pause of their own. More are tried again with all that is parked.
const GRAPHS_MAX: usize = 1_000;

/// Which graphs are set aside, and when each is tried again.
#[derive(Default)]
pub(super) struct FailingGraphs {
    graphs: HashMap<GraphId, Retry>,
}

struct Retry {
    at: Instant,
    pause: Duration,
}

impl FailingGraphs {
    /// Sets a graph aside, or again, for longer.
    pub(super) fn put(&mut self, graph: &GraphId) {
        let now = Instant::now();
        if let Some(again) = self.graphs.get_mut(graph) {
            again.pause = (again.pause * 2).min(PAUSES.1);
            again.at = now + again.pause;
        } else if self.graphs.len() < GRAPHS_MAX {
            self.graphs.insert(graph.clone(), Retry { at: now + PAUSES.0, pause: PAUSES.0 });
        }
    }

    /// It is not set aside any more.
    pub(super) fn take_back(&mut self, graph: &GraphId) {
        self.graphs.remove(graph);
    }

    pub(super) fn has(&self, graph: &GraphId) -> bool {
        self.graphs.contains_key(graph)
    }

    /// Those whose pause is over.
    pub(super) fn due(&self) -> Vec<GraphId> {
        let now = Instant::now();
        self.graphs.iter().filter(|(_, again)| again.at <= now).map(|(graph, _)| graph.clone()).collect()
    }

    /// Another worker has them now.
    pub(super) fn forget_all(&mut self) {
        self.graphs.clear();
    }
}
