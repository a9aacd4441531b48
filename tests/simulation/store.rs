//! A store in memory that keeps the contract of [`EventStore`] and breaks everything the contract
//! leaves open: it fails before and after the effect, loses answers, lets an append happen later than
//! its author has given up waiting, answers slowly and in small pieces, and lets the process that
//! asks it die at any point.

use std::{
    collections::BTreeSet,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use dao_api::store::{
    Append, Durability, Entry, EventStore, GraphFilter, OperationPlaces, Order, Publication, Publications,
    RefusalPlace, StoreError, StoredCommit, StoredRefusal,
};
use dao_projections::{GraphId, Head, OperationId, Version};
use tokio::{sync::oneshot, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    durable::{Log, Shared, Trouble},
    rng::Rng,
};

/// What the store does with one call.
enum Fate {
    Fine,
    Fails,
    LostBefore,
    LostAfter,
    HappensLater(Duration),
}

/// One instance's connection. When the instance dies, no call returns any more.
pub struct SimStore {
    pub(crate) shared: Arc<Mutex<Shared>>,
    rng: Mutex<Rng>,
    death: CancellationToken,
    /// Which it is among all: what is done through it is not told to those who listen through it.
    number: usize,
}

impl SimStore {
    pub fn new(shared: Arc<Mutex<Shared>>, rng: Rng, death: CancellationToken, number: usize) -> Self {
        Self { shared, rng: Mutex::new(rng), death, number }
    }

    fn draw<T>(&self, decide: impl FnOnce(&mut Rng, Trouble) -> T) -> T {
        let trouble = self.shared.lock().unwrap().trouble;
        decide(&mut self.rng.lock().unwrap(), trouble)
    }

    /// Time passes on the way; the process may die meanwhile, by itself or by somebody's hand.
    pub(crate) async fn travel(&self) {
        let (delay, dies) = self.draw(|rng, trouble| {
            let delay = if rng.chance(trouble.slow) { 20 + rng.below(400) } else { rng.below(4) };
            (delay, rng.below(1_000) < trouble.crash)
        });
        if dies {
            self.death.cancel();
        }
        if delay > 0 {
            sleep(Duration::from_millis(delay)).await;
        }
        if self.death.is_cancelled() {
            pending::<()>().await;
        }
    }

    /// A call without an effect.
    pub(crate) async fn ask<T>(
        &self,
        answer: impl FnOnce(&mut Shared, &mut Rng) -> T,
    ) -> Result<T, StoreError> {
        self.travel().await;
        let fails = self.draw(|rng, trouble| rng.chance(trouble.fail));
        let answer = answer(&mut self.shared.lock().unwrap(), &mut self.rng.lock().unwrap());
        self.travel().await;
        if fails { Err(StoreError::Unavailable("on cue".to_owned())) } else { Ok(answer) }
    }

    /// A call with an effect: that happens or not, now or later, whatever its author is told.
    pub(crate) async fn effect<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Shared) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let fate = self.fate();
        if let Fate::Fails = fate {
            self.travel().await;
            return Err(StoreError::Unavailable("on cue".to_owned()));
        }
        if let Fate::LostBefore = fate {
            self.travel().await;
            return Err(lost());
        }
        // On the wire it no longer depends on whether its author lives.
        let on_the_wire = match fate {
            Fate::HappensLater(delay) => delay,
            _ => Duration::from_millis(self.draw(|rng, _| rng.below(3))),
        };
        let shared = self.shared.clone();
        let (reply, outcome) = oneshot::channel();
        tokio::spawn(async move {
            sleep(on_the_wire).await;
            let outcome = change(&mut shared.lock().unwrap());
            let _author_is_gone = reply.send(outcome);
        });
        if let Fate::HappensLater(_) = fate {
            self.travel().await;
            return Err(lost());
        }
        let outcome = outcome.await.map_err(|_| lost())?;
        self.travel().await;
        if let Fate::LostAfter = fate { Err(lost()) } else { Ok(outcome) }
    }

    fn fate(&self) -> Fate {
        self.draw(|rng, trouble| {
            if rng.chance(trouble.fail) {
                return Fate::Fails;
            }
            if !rng.chance(trouble.unknown) {
                return Fate::Fine;
            }
            match rng.below(3) {
                0 => Fate::LostBefore,
                1 => Fate::LostAfter,
                _ => Fate::HappensLater(Duration::from_millis(rng.below(1_500))),
            }
        })
    }
}

fn lost() -> StoreError {
    StoreError::OutcomeUnknown("on cue".to_owned())
}

/// What every append must be, whatever the store does with it.
fn check_append(expected: Head, entries: &[Entry]) -> Result<(), String> {
    let mut head = expected;
    for commit in entries.iter().filter_map(|entry| entry.commit.as_ref()) {
        head = head.after(&commit.body);
        if commit.head() != head {
            return Err(format!("commit {} does not follow in its append", commit.version));
        }
    }
    let ids: BTreeSet<_> = entries.iter().map(|entry| entry.operation).collect();
    if ids.len() != entries.len() || entries.is_empty() {
        return Err("an append is empty or names an operation twice".to_owned());
    }
    Ok(())
}

#[async_trait]
impl EventStore for SimStore {
    async fn append(&self, graph: &GraphId, expected: Head, entries: &[Entry]) -> Result<Append, StoreError> {
        self.travel().await;
        if let Err(problem) = check_append(expected, entries) {
            self.shared.lock().unwrap().blame(problem);
        }
        let (graph, entries, author) = (graph.clone(), entries.to_vec(), self.number);
        self.effect(move |shared| shared.land(&graph, expected, &entries, author)).await
    }

    async fn append_copied(
        &self,
        graph: &GraphId,
        expected: Head,
        copied: &[StoredCommit],
        entries: &[Entry],
    ) -> Result<Append, StoreError> {
        assert!(copied.is_empty(), "nobody copies graphs in these worlds");
        self.append(graph, expected, entries).await
    }

    fn listen(&self, graph: &GraphId) -> Publications {
        let (sender, hints) = Publications::new(Arc::default());
        let (sender, shared, death) = (Arc::new(sender), self.shared.clone(), self.death.clone());
        let (graph, number) = (graph.clone(), self.number);
        let wait = Duration::from_millis(
            self.draw(|rng, trouble| if rng.chance(trouble.slow) { rng.below(600) } else { rng.below(4) }),
        );
        tokio::spawn(async move {
            sleep(wait).await;
            shared.lock().unwrap().listen(&graph, number, sender.clone(), death);
            sender.send(Publication::MayHaveMissed);
        });
        hints
    }

    async fn head(&self, graph: &GraphId) -> Result<Head, StoreError> {
        self.ask(|shared, _| shared.graphs.get(graph).map_or(Head::EMPTY, Log::head)).await
    }

    async fn read(
        &self,
        graph: &GraphId,
        after: Version,
        to: Version,
        limit: usize,
    ) -> Result<Vec<StoredCommit>, StoreError> {
        self.ask(|shared, rng| {
            let Some(log) = shared.graphs.get(graph) else { return vec![] };
            let wanted = log.commits.iter().filter(|commit| commit.version > after && commit.version <= to);
            let most = if rng.chance(shared.pieces) { limit.min(1 + rng.index(7)) } else { limit };
            wanted.take(most).cloned().collect()
        })
        .await
    }

    async fn operations(
        &self,
        graph: &GraphId,
        ids: &[OperationId],
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.ask(|shared, _| {
            let log = shared.graphs.get(graph);
            ids.iter().map(|id| log?.records.get(id).cloned()).collect()
        })
        .await
    }

    async fn refusals(
        &self,
        graph: &GraphId,
        (after, before): (RefusalPlace, RefusalPlace),
        order: Order,
        limit: usize,
    ) -> Result<Vec<StoredRefusal>, StoreError> {
        self.ask(|shared, _| {
            let refusals = shared.graphs.get(graph).map_or(&[][..], |log| &log.refusals);
            let wanted = refusals.iter().filter(|found| found.place > after && found.place < before);
            match order {
                Order::OldestFirst => wanted.take(limit).cloned().collect(),
                Order::NewestFirst => wanted.rev().take(limit).cloned().collect(),
            }
        })
        .await
    }

    async fn graphs(&self, after: Option<&GraphId>, limit: usize) -> Result<Vec<GraphId>, StoreError> {
        self.ask(|shared, _| {
            let named = shared.graphs.iter().filter(|(_, log)| !log.commits.is_empty());
            let later =
                named.map(|(graph, _)| graph).filter(|graph| after.is_none_or(|after| *graph > after));
            later.take(limit).cloned().collect()
        })
        .await
    }

    async fn find_operation(
        &self,
        id: OperationId,
        wanted: GraphFilter,
        limit: usize,
    ) -> Result<OperationPlaces, StoreError> {
        self.ask(|shared, _| {
            let using = shared.graphs.iter().filter(|(_, log)| log.records.contains_key(&id));
            let graphs = using.map(|(graph, _)| graph).filter(|graph| wanted(graph)).take(limit);
            OperationPlaces { graphs: graphs.cloned().collect(), is_in_order: false }
        })
        .await
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.ask(|_, _| ()).await
    }

    fn durability(&self) -> Durability {
        Durability { name: "simulated".to_owned(), meaning: "Survives every simulated crash.".to_owned() }
    }

    fn location(&self) -> String {
        "a simulation".to_owned()
    }

    async fn close(&self) {}
}
