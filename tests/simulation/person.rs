//! Those who edit: each sends, repeats, gives up, asks again, and looks, as its own dice say.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dao_api::{
    domain::Reason,
    write::{Ending, Reply},
};
use dao_projections::OperationId;
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    client::{Ask, Imagination},
    rng::Rng,
    world::World,
};

/// Who, through which client, and whether that was named: some name none, and one is named like its user.
const USERS: [(&str, &str, bool); 5] = [
    ("ada", "tab-1", true),
    ("bob", "bob", false),
    ("ada", "tab-2", true),
    ("bob", "bob", true),
    ("cyd", "tab-1", true),
];

/// Somebody with an editor and a bad connection.
pub struct Person {
    world: Arc<World>,
    user: (&'static str, &'static str, bool),
    rng: Rng,
    number: u64,
    made: u64,
    seen: Vec<(u64, Vec<Value>)>,
    /// Of each graph: the hashes of the versions it was told of.
    hashes: Vec<BTreeMap<u64, String>>,
}

impl Person {
    pub fn new(world: Arc<World>, number: usize, rng: Rng) -> Self {
        let seen = vec![(0, vec![]); world.plan.graphs.len()];
        let hashes = vec![BTreeMap::from([(0, "0".repeat(64))]); seen.len()];
        Self { world, user: USERS[number % USERS.len()], rng, number: number as u64, made: 0, seen, hashes }
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
        let (version, hashes) = (*version, &self.hashes[graph]);
        let (is_batch, members) =
            Imagination { rng: &mut self.rng, edges, version, hashes, padding, is_far_behind }.members();
        self.made += 1;
        let id = OperationId::from(uuid::Uuid::from_u64_pair(
            self.number + 1,
            (self.made << 8) | self.rng.below(256),
        ));
        let (user, client, is_named) = (self.user.0.to_owned(), self.user.1.to_owned(), self.user.2);
        let mut asks = self.world.asks.lock().unwrap();
        asks.push(Ask { id, graph, user, client, is_named, is_batch, members });
        asks.len() - 1
    }

    /// Sends until there is an answer, to whichever instance; now and then gives up.
    async fn insist(&mut self, asks: Vec<usize>) {
        let graph = self.world.asks.lock().unwrap()[asks[0]].graph;
        for _ in 0..6 {
            let slot = self.slot();
            if let Some(answers) = self.world.send(slot, asks.clone()).await {
                self.learn(graph, &answers);
                self.move_on(&asks, &answers).await;
                return;
            }
            if self.rng.chance(15) {
                return;
            }
            sleep(Duration::from_millis(self.rng.below(400))).await;
        }
    }

    fn learn(&mut self, graph: usize, answers: &[Reply]) {
        for answer in answers {
            let head = crate::compare::head_of(&answer.ending);
            self.seen[graph].0 = self.seen[graph].0.max(head.version.get());
            self.hashes[graph].insert(head.version.get(), head.hash.to_hex());
        }
    }

    /// What was made in a history that is no more is moved to the one that there is, and sent again under the
    /// same id (rule D8).
    async fn move_on(&mut self, asks: &[usize], answers: &[Reply]) {
        let is_replaced = |answer: &&Reply| matches!(&answer.ending, Ending::Refused { refusal, .. } if refusal.reason == Reason::HistoryReplaced);
        let Some(place) = answers.iter().position(|answer| is_replaced(&answer)) else { return };
        let head = crate::compare::head_of(&answers[place].ending);
        let index = {
            let mut asks_made = self.world.asks.lock().unwrap();
            let mut moved = asks_made[asks[place]].clone();
            for member in &mut moved.members {
                member.client_version = Some(head.version.get());
                member.client_hash = Some(head.hash.to_hex());
            }
            asks_made.push(moved);
            asks_made.len() - 1
        };
        let slot = self.slot();
        if let Some(answers) = self.world.send(slot, vec![index]).await {
            let graph = self.world.asks.lock().unwrap()[index].graph;
            self.learn(graph, &answers);
        }
    }

    async fn look(&mut self) {
        let (graph, slot) = (self.graph(), self.slot());
        let since = self.seen[graph].0.saturating_sub(self.rng.below(5));
        if let Some(look) = self.world.look(slot, graph, since).await {
            self.hashes[graph].insert(look.version, look.hash);
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
