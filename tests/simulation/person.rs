//! Those who edit: each sends, repeats, gives up, asks again, and looks, as its own dice say.

use std::{sync::Arc, time::Duration};

use dao_api::write::Answer;
use dao_projections::OperationId;
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    client::{Ask, Imagination},
    rng::Rng,
    world::World,
};

const USERS: [(&str, &str); 4] = [("ada", "tab-1"), ("ada", "tab-2"), ("bob", "bob"), ("cyd", "tab-1")];

/// Somebody with an editor and a bad connection.
pub struct Person {
    world: Arc<World>,
    user: (&'static str, &'static str),
    rng: Rng,
    number: u64,
    made: u64,
    seen: Vec<(u64, Vec<Value>)>,
}

impl Person {
    pub fn new(world: Arc<World>, number: usize, rng: Rng) -> Self {
        let seen = vec![(0, vec![]); world.plan.graphs.len()];
        Self { world, user: USERS[number % USERS.len()], rng, number: number as u64, made: 0, seen }
    }

    pub async fn live(mut self) {
        for _ in 0..self.world.plan.steps {
            sleep(Duration::from_millis(self.rng.below(30))).await;
            match self.rng.below(100) {
                0..15 => self.look().await,
                15..25 => self.ask_again().await,
                25..32 => self.reuse_an_id().await,
                32..42 => self.ask_twice_at_once().await,
                42..50 => self.ask_for_many().await,
                _ => {
                    let graph = self.graph();
                    let index = self.imagine(graph);
                    self.insist(vec![index]).await;
                }
            }
        }
    }

    fn graph(&mut self) -> usize {
        self.rng.index(self.world.plan.graphs.len())
    }

    fn slot(&mut self) -> usize {
        self.rng.index(self.world.plan.instances)
    }

    /// A new operation; its place in the list of all.
    fn imagine(&mut self, graph: usize) -> usize {
        let (version, edges) = &self.seen[graph];
        let (padding, is_far_behind) = (self.world.plan.padding, self.world.plan.is_heavy);
        let (is_batch, members) =
            Imagination { rng: &mut self.rng, edges, version: *version, padding, is_far_behind }.members();
        self.made += 1;
        let id = OperationId::from(uuid::Uuid::from_u64_pair(
            self.number + 1,
            (self.made << 8) | self.rng.below(256),
        ));
        let (user, client) = (self.user.0.to_owned(), self.user.1.to_owned());
        let mut asks = self.world.asks.lock().unwrap();
        asks.push(Ask { id, graph, user, client, is_batch, members });
        asks.len() - 1
    }

    /// Sends until there is an answer, to whichever instance; now and then gives up.
    async fn insist(&mut self, asks: Vec<usize>) {
        let graph = self.world.asks.lock().unwrap()[asks[0]].graph;
        for _ in 0..6 {
            let slot = self.slot();
            if let Some(answers) = self.world.send(slot, asks.clone()).await {
                self.learn(graph, &answers);
                return;
            }
            if self.rng.chance(15) {
                return;
            }
            sleep(Duration::from_millis(self.rng.below(400))).await;
        }
    }

    fn learn(&mut self, graph: usize, answers: &[Answer]) {
        for answer in answers {
            let version = crate::compare::head_of(&answer.ending).version.get();
            self.seen[graph].0 = self.seen[graph].0.max(version);
        }
    }

    async fn look(&mut self) {
        let (graph, slot) = (self.graph(), self.slot());
        let since = self.seen[graph].0.saturating_sub(self.rng.below(5));
        if let Some(look) = self.world.look(slot, graph, since).await {
            self.seen[graph] = (look.version.max(self.seen[graph].0), look.edges);
        }
    }

    async fn ask_again(&mut self) {
        let count = self.world.asks.lock().unwrap().len();
        if count > 0 {
            let index = self.rng.index(count);
            self.insist(vec![index]).await;
        }
    }

    /// The id of an operation that somebody else made, or oneself, for another one.
    async fn reuse_an_id(&mut self) {
        let graph = self.graph();
        let index = self.imagine(graph);
        {
            let mut asks = self.world.asks.lock().unwrap();
            let other = asks[self.rng.index(asks.len())].clone();
            if other.graph == graph && other.fingerprint() != asks[index].fingerprint() {
                asks[index].id = other.id;
            }
        }
        self.insist(vec![index]).await;
    }

    async fn ask_twice_at_once(&mut self) {
        let graph = self.graph();
        let index = self.imagine(graph);
        let (one, other, lag) = (self.slot(), self.slot(), self.rng.below(6));
        let world = self.world.clone();
        let second = tokio::spawn(async move {
            sleep(Duration::from_millis(lag)).await;
            world.send(other, vec![index]).await;
        });
        self.world.send(one, vec![index]).await;
        second.await.unwrap();
        self.insist(vec![index]).await;
    }

    /// Several in one request, one of them perhaps twice.
    async fn ask_for_many(&mut self) {
        let graph = self.graph();
        let mut asks: Vec<usize> = (0..2 + self.rng.index(3)).map(|_| self.imagine(graph)).collect();
        if self.rng.chance(30) {
            asks.push(asks[0]);
        }
        self.insist(asks).await;
    }
}
