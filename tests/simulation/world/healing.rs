//! What happens when the faults end: everybody has to catch up.

use std::{sync::Arc, time::Duration};

use dao_projections::{Head, OperationId};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{LEVEL_AFTER, World, poisoned};
use crate::{client::Ask, durable::Trouble, model::Asked, projectors, rng::Rng, upheaval};

impl World {
    /// Everything heals; what is still on the wire lands; everybody asks once more; those who follow
    /// come to be level.
    pub(super) async fn heal(self: &Arc<Self>, rng: &mut Rng) {
        // But for hints, which may always get lost where heads are compared.
        self.shared.lock().unwrap().trouble = Trouble { lost: self.plan.trouble.lost, ..Trouble::default() };
        self.healed.cancel();
        sleep(Duration::from_secs(5)).await;
        for slot in 0..self.plan.instances {
            self.bury_if_dead(slot);
        }
        let count = self.asks.lock().unwrap().len();
        for index in 0..count {
            let slot = rng.index(self.plan.instances);
            self.send(slot, vec![index]).await;
        }
        for graph in 0..self.plan.graphs.len() {
            self.look(rng.index(self.plan.instances), graph, 0).await;
        }
        if self.plan.subscribers + self.plan.workers == 0 {
            return;
        }
        for (graph, id) in self.plan.graphs.iter().enumerate() {
            if self.plan.has_upheavals && rng.chance(50) {
                // Now there is only the word of the next commit to find it out by.
                upheaval::upheave(&mut self.shared.lock().unwrap(), id, rng);
            }
            self.touch(graph, 0).await;
        }
        if self.plan.has_poison {
            self.repair(rng).await;
        }
        if let Some(problem) = self.wait(|world| world.behind()).await {
            self.shared.lock().unwrap().blame(format!("long after all is well: {problem}"));
        }
    }

    /// Waits until there is nothing to say any more; what there is to say after too long a time.
    async fn wait(&self, problem: impl Fn(&Self) -> Option<String>) -> Option<String> {
        let start = Instant::now();
        loop {
            let found = problem(self);
            if found.is_none() || start.elapsed() > LEVEL_AFTER || self.is_blamed() {
                return found;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Which subscriber or which rows are not level with the log.
    fn behind(&self) -> Option<String> {
        for (number, (graph, stands)) in self.stands.lock().unwrap().iter().enumerate() {
            let id = &self.plan.graphs[*graph];
            let head = self.shared.lock().unwrap().graphs.get(id).map_or(Head::EMPTY, |log| log.head());
            if *stands != Some(head) {
                return Some(format!("subscriber {number} of {id} is at {stands:?}, the log at {head:?}"));
            }
        }
        if self.plan.workers > 0 { projectors::behind(self) } else { None }
    }

    pub(super) fn is_blamed(&self) -> bool {
        !self.shared.lock().unwrap().misuse.is_empty()
    }

    /// The graph that can't be read is parked at the commit that can't; when its history can be read
    /// it is projected again.
    async fn repair(&self, rng: &mut Rng) {
        let bad = self.shared.lock().unwrap().graphs[&poisoned()].head().version;
        let is_parked = |world: &Self| {
            let shared = world.shared.lock().unwrap();
            let parked = shared.read_side.parked.get(&poisoned());
            (parked.map(|parked| parked.version) != Some(bad)).then(|| format!("{bad} and {parked:?}"))
        };
        if let Some(problem) = self.wait(is_parked).await {
            self.shared.lock().unwrap().blame(format!("a graph is not parked: {problem}"));
        }
        upheaval::repair(&mut self.shared.lock().unwrap(), &poisoned(), rng);
    }

    /// Makes one more commit to a graph, whatever it holds.
    pub(super) async fn touch(&self, graph: usize, time: u64) {
        let payload = json!({"x": 1_000 + time, "y": self.asks.lock().unwrap().len(), "zoom": 1});
        let asked = Asked {
            kind: "SET_VIEWPORT",
            payload,
            client_version: None,
            client_hash: None,
            on_conflict: "merge",
        };
        let id = OperationId::from(uuid::Uuid::from_u64_pair(77 + time, graph as u64));
        let (user, client, is_named) = ("eve".to_owned(), "eve".to_owned(), false);
        let index = {
            let mut asks = self.asks.lock().unwrap();
            asks.push(Ask { id, graph, user, client, is_named, is_batch: false, members: vec![asked] });
            asks.len() - 1
        };
        if self.send(0, vec![index]).await.is_none() {
            self.shared.lock().unwrap().blame("with all well, a commit is not made");
        }
    }
}
