//! What is asked of an instance: operations, and the state of a graph.

use dao_api::{
    domain::Operation,
    write::{Reply, WriteError},
};
use dao_projections::{Head, Version};
use serde_json::Value;
use tokio::time::timeout;

use super::{HANG, World};
use crate::happening::{Happening, Look};

impl World {
    /// Sends these to the instance in this slot, in one request; the answers, if there are any.
    pub async fn send(&self, slot: usize, asks: Vec<usize>) -> Option<Vec<Reply>> {
        let instance = self.instance(slot);
        let request = {
            let mut requests = self.requests.lock().unwrap();
            *requests += 1;
            *requests
        };
        let (graph, operations) = {
            let known = self.asks.lock().unwrap();
            let operations: Vec<Operation> = asks.iter().map(|index| known[*index].operation()).collect();
            let mut shared = self.shared.lock().unwrap();
            for ask in asks.iter().map(|index| &known[*index]) {
                shared.claims.entry(ask.id).or_default().push(ask.points());
            }
            (self.plan.graphs[known[asks[0]].graph].clone(), operations)
        };
        self.note(Happening::Sent { request, asks, instance: instance.number });
        let answered = tokio::select! {
            biased;
            () = instance.death.cancelled() => {
                self.note(Happening::Failed { request, error: "died".to_owned() });
                return None;
            }
            answered = timeout(HANG, instance.graphs.execute(&graph, operations)) => answered,
        };
        match answered {
            Ok(Ok(answers)) => {
                self.note(Happening::Answered { request, answers: answers.clone() });
                return Some(answers);
            }
            Ok(Err(error)) => {
                let what_happened = match &error {
                    WriteError::StoreUnavailable(_) => "unavailable".to_owned(),
                    WriteError::Contended => "contended".to_owned(),
                    other => format!("unexpected: {other}"),
                };
                self.note(Happening::Failed { request, error: what_happened });
            }
            Err(_elapsed) => {
                self.note(Happening::Hung { request });
            }
        }
        None
    }

    /// Reads a graph through the instance in this slot, and what it has in memory after `since`.
    pub async fn look(&self, slot: usize, graph: usize, since: u64) -> Option<Look> {
        let instance = self.instance(slot);
        let id = &self.plan.graphs[graph];
        let asked = self.note(Happening::LookedFor);
        let view = tokio::select! {
            biased;
            () = instance.death.cancelled() => return None,
            view = timeout(HANG, instance.graphs.refresh(id)) => view.expect("a read hangs").ok()?,
        };
        let head = view.graph.head();
        let log_says = self.shared.lock().unwrap().graphs.get(id).and_then(|log| log.point(head));
        if head != Head::EMPTY && log_says.is_none_or(|point| point.graph != view.graph) {
            self.shared.lock().unwrap().blame(format!("what is read at {head:?} is not what was written"));
        }
        let recent = instance.graphs.hot(id).commits_since(Version::new(since).unwrap(), 20);
        let look = Look {
            graph,
            version: view.graph.head().version.get(),
            hash: view.graph.head().hash.to_hex(),
            nodes: view.graph.nodes_in_order().map(|node| Value::Object(node.entity.to_json())).collect(),
            edges: view.graph.edges().iter().map(|edge| Value::Object(edge.entity.to_json())).collect(),
            viewport: view.graph.viewport().to_json(),
            recent: recent.map(|(from, commits)| {
                let hashes = commits.iter().map(|recorded| recorded.commit.hash.to_hex());
                (since, [from.hash.to_hex()].into_iter().chain(hashes).collect())
            }),
        };
        self.note(Happening::Saw { asked, look: look.clone() });
        Some(look)
    }
}
