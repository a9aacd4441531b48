//! The subscriptions of this store, as this instance serves them: [`Subscriptions`].

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use dao_projections::GraphId;
use tokio::time::{Instant, sleep};

use super::{
    deliveries::{DeliveredCommit, DeliveryPass},
    delivery_ledger::{DeliveryLedger, DeliverySettings},
    error::SubscriptionError,
    name::SubscriptionName,
    reads::HistoryReads,
};
use crate::{
    live::{AllGraphs, AllReader, Extent, Since},
    read::CommitFilter,
    store::Purging,
};

/// The kind of document that a subscription is.
const KIND: &str = "subscription";
/// Subscriptions at once; about so many, as two may be made at the same time.
pub(super) const SUBSCRIPTIONS_MAX: usize = 1_000;
/// How often a change is tried again because another instance was faster.
const TRIES_MAX: u64 = 20;
/// How often a consumer that waits looks whether another one has settled something.
const POLL: Duration = Duration::from_millis(250);
/// Between two looks at least.
const PACE: Duration = Duration::from_millis(20);
/// Commits beyond the position are counted up to this.
const LAG_MAX: u64 = 100_000;

/// Whether a subscription was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// It is new.
    Created,
    /// It is as it was asked for.
    There,
}

/// How a subscription is.
#[derive(Clone, Debug)]
pub struct SubscriptionStatus {
    /// What it is about and what it has handed out.
    pub ledger: DeliveryLedger,
    /// Commits that are to be handed out, those that are filtered by type or user included; capped.
    /// `None` where the feed does not reach back to where it is.
    pub lag_commits: Option<u64>,
}

/// All subscriptions, as this instance serves them.
pub struct Subscriptions {
    pub(super) all: Arc<AllGraphs>,
    /// Consumers of one subscription take turns here, so that only instances race. Guards the map,
    /// never across an await.
    turns: Mutex<HashMap<String, Weak<SubscriptionLocks>>>,
}

/// The turns at one subscription.
#[derive(Default)]
struct SubscriptionLocks {
    /// Held for a whole look, which may take as long as the feed is read.
    looks: tokio::sync::Mutex<()>,
    /// Held for a change: it is loaded, judged and written.
    changes: tokio::sync::Mutex<()>,
}

impl Subscriptions {
    /// Those over this feed.
    pub fn new(all: Arc<AllGraphs>) -> Arc<Self> {
        Arc::new(Self { all, turns: Mutex::default() })
    }

    /// Makes sure that there is this subscription.
    pub async fn create(
        &self,
        name: &SubscriptionName,
        settings: &DeliverySettings,
    ) -> Result<Creation, SubscriptionError> {
        let filter = filter_of(settings)?;
        let since = match settings.start.as_str() {
            "now" => Since::Now,
            "beginning" => Since::Beginning,
            text => Since::Position(self.all.parse(text)?),
        };
        for _ in 0..TRIES_MAX {
            match self.load(name).await {
                Ok((_, ledger)) if ledger.settings() == settings => return Ok(Creation::There),
                Ok(_) => return Err(SubscriptionError::Exists),
                Err(SubscriptionError::NotFound) => {}
                Err(error) => return Err(error),
            }
            if self.names().await?.len() >= SUBSCRIPTIONS_MAX {
                return Err(SubscriptionError::TooMany);
            }
            let mut reader = self.all.open(since.clone(), filter.clone(), Extent::UntilNow).await?;
            let ledger = DeliveryLedger::new(settings.clone(), reader.position().to_string(), now_ms());
            if self.put(name, None, &ledger).await? {
                return Ok(Creation::Created);
            }
        }
        Err(SubscriptionError::Contended)
    }

    /// The names of all.
    pub async fn names(&self) -> Result<Vec<String>, SubscriptionError> {
        Ok(self.all.documents().documents(KIND).await?)
    }

    /// Removes one, with all it knows.
    pub async fn delete(&self, name: &SubscriptionName) -> Result<(), SubscriptionError> {
        let documents = self.all.documents();
        for _ in 0..TRIES_MAX {
            let Some((version, _)) = documents.document(KIND, name.as_str()).await? else {
                return Err(SubscriptionError::NotFound);
            };
            if documents.put_document(KIND, name.as_str(), Some(version), None).await? {
                return Ok(());
            }
        }
        Err(SubscriptionError::Contended)
    }

    /// How one is.
    pub async fn overview(&self, name: &SubscriptionName) -> Result<SubscriptionStatus, SubscriptionError> {
        let (_, mut ledger) = self.load(name).await?;
        ledger.expire(now_ms());
        let filter = filter_of(ledger.settings())?;
        let lag_commits = match self.all.parse(ledger.position()) {
            Ok(position) => self.all.count_after(&position, &filter, LAG_MAX).await?,
            Err(_) => None,
        };
        let lag_commits = lag_commits.map(|beyond| beyond.saturating_add(ledger.waiting()).min(LAG_MAX));
        Ok(SubscriptionStatus { ledger, lag_commits })
    }

    /// Commits for one consumer, at most `max`; waits up to `wait` for the first, unless `stop` ends.
    pub async fn next(
        &self,
        name: &SubscriptionName,
        max: usize,
        wait: Duration,
        stop: impl Future<Output = ()>,
    ) -> Result<Vec<DeliveredCommit>, SubscriptionError> {
        let deadline = Instant::now() + wait;
        let mut stop = std::pin::pin!(stop);
        loop {
            let (handed, version, ledger) = self.look(name, max).await?;
            if !handed.is_empty() || Instant::now() >= deadline {
                return Ok(handed);
            }
            let filter = filter_of(ledger.settings())?;
            let reader = match self.all.parse(ledger.position()) {
                Ok(position) if ledger.has_room() => {
                    let since = Since::Position(position);
                    Some(self.all.open(since, filter, Extent::Following).await?)
                }
                _ => None,
            };
            tokio::select! {
                biased;
                () = &mut stop => return Ok(vec![]),
                changed = self.changed(name, version, &ledger, reader, deadline) => changed?,
            }
        }
    }

    /// Waits until a look may find something: the feed has more, a lease ends, or something was settled.
    async fn changed(
        &self,
        name: &SubscriptionName,
        version: u64,
        ledger: &DeliveryLedger,
        mut reader: Option<AllReader>,
        deadline: Instant,
    ) -> Result<(), SubscriptionError> {
        sleep(PACE).await;
        let lapse = ledger.next_lapse(now_ms());
        // One wait for all the polls: a long read is not begun again with each.
        let mut told = std::pin::pin!(async {
            match &mut reader {
                Some(reader) => drop(reader.next().await),
                None => std::future::pending().await,
            }
        });
        loop {
            let until_lapse = lapse.map(|at| Duration::from_millis(at.saturating_sub(now_ms())));
            let pause = until_lapse.map_or(POLL, |lapse| lapse.min(POLL));
            let poll = deadline.min(Instant::now() + pause);
            tokio::select! {
                () = &mut told => return Ok(()),
                () = tokio::time::sleep_until(poll) => {}
            }
            let is_over = Instant::now() >= deadline || lapse.is_some_and(|at| at <= now_ms());
            let found = self.all.documents().document(KIND, name.as_str()).await?;
            if is_over || found.is_none_or(|(found, _)| found != version) {
                return Ok(());
            }
        }
    }

    /// One look, with the change and the ledger that it left. Others may change the subscription while it reads;
    /// then it is made again on what it has read, and they wait for that.
    async fn look(
        &self,
        name: &SubscriptionName,
        max: usize,
    ) -> Result<(Vec<DeliveredCommit>, u64, DeliveryLedger), SubscriptionError> {
        let turns = self.turns(name);
        let _turn = turns.looks.lock().await;
        let mut reads = HistoryReads::new(self.all.clone());
        let mut read_for: Option<DeliverySettings> = None;
        for attempt in 0..TRIES_MAX {
            let change = match attempt {
                0 => None,
                _ => Some(turns.changes.lock().await),
            };
            let (version, before) = self.load(name).await?;
            if read_for.get_or_insert_with(|| before.settings().clone()) != before.settings() {
                // It is another subscription by now.
                return Err(SubscriptionError::Contended);
            }
            let mut ledger = before.clone();
            let filter = filter_of(ledger.settings())?;
            let handed = DeliveryPass::new(&filter, &mut ledger, &mut reads, now_ms(), max).run().await?;
            if ledger == before || self.put(name, Some(version), &ledger).await? {
                return Ok((handed, version, ledger));
            }
            reads.close();
            drop(change);
            back_off(attempt).await;
        }
        Err(SubscriptionError::Contended)
    }

    /// Deliveries are done with; how many of them were in flight.
    pub async fn ack(&self, name: &SubscriptionName, ids: &[String]) -> Result<usize, SubscriptionError> {
        self.change(name, |ledger, now_ms| ledger.ack(ids, now_ms)).await
    }

    /// Deliveries are given back; how many of them were in flight.
    pub async fn nack(
        &self,
        name: &SubscriptionName,
        ids: &[String],
        reason: Option<&str>,
    ) -> Result<usize, SubscriptionError> {
        self.change(name, |ledger, now_ms| ledger.nack(ids, reason, now_ms)).await
    }

    /// A graph was purged: no subscription keeps anything of it. If the purge is done, there is nothing to forget: what
    /// they have is of a later graph of that name.
    pub async fn forget_graph(&self, purging: &Purging) -> Result<(), SubscriptionError> {
        let Some(graph) = &purging.graph else { return Ok(()) };
        for name in self.names().await? {
            let Ok(name) = SubscriptionName::parse(&name) else { continue };
            match self.forget_in(&name, graph, purging).await {
                Ok(()) | Err(SubscriptionError::NotFound | SubscriptionError::Unreadable(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn forget_in(
        &self,
        name: &SubscriptionName,
        graph: &GraphId,
        purging: &Purging,
    ) -> Result<(), SubscriptionError> {
        let turns = self.turns(name);
        let _turn = turns.changes.lock().await;
        for attempt in 0..TRIES_MAX {
            let (version, before) = self.load(name).await?;
            let mut ledger = before.clone();
            ledger.forget(graph);
            if ledger == before {
                return Ok(());
            }
            // After the ledger was loaded: while this lasts no other graph has the name, so none had it then, and the
            // ledger is written only if it is still that one.
            let is_purging = self.all.documents().is_purging(purging).await?;
            if !is_purging || self.put(name, Some(version), &ledger).await? {
                return Ok(());
            }
            back_off(attempt).await;
        }
        Err(SubscriptionError::Contended)
    }

    /// Changes a ledger; what had no effect is not written.
    pub(super) async fn change(
        &self,
        name: &SubscriptionName,
        act: impl Fn(&mut DeliveryLedger, u64) -> usize,
    ) -> Result<usize, SubscriptionError> {
        let turns = self.turns(name);
        let _turn = turns.changes.lock().await;
        for attempt in 0..TRIES_MAX {
            let (version, before) = self.load(name).await?;
            let mut ledger = before.clone();
            let known = act(&mut ledger, now_ms());
            if ledger == before || self.put(name, Some(version), &ledger).await? {
                return Ok(known);
            }
            back_off(attempt).await;
        }
        Err(SubscriptionError::Contended)
    }

    fn turns(&self, name: &SubscriptionName) -> Arc<SubscriptionLocks> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = turns.get(name.as_str()).and_then(Weak::upgrade) {
            return found;
        }
        turns.retain(|_, turns| turns.strong_count() > 0);
        let made = Arc::default();
        turns.insert(name.as_str().to_owned(), Arc::downgrade(&made));
        made
    }

    pub(super) async fn load(
        &self,
        name: &SubscriptionName,
    ) -> Result<(u64, DeliveryLedger), SubscriptionError> {
        let found = self.all.documents().document(KIND, name.as_str()).await?;
        let (version, bytes) = found.ok_or(SubscriptionError::NotFound)?;
        let ledger = rmp_serde::from_slice(&bytes);
        Ok((version, ledger.map_err(|error| SubscriptionError::Unreadable(error.to_string()))?))
    }

    async fn put(
        &self,
        name: &SubscriptionName,
        expected: Option<u64>,
        ledger: &DeliveryLedger,
    ) -> Result<bool, SubscriptionError> {
        let bytes = rmp_serde::to_vec_named(ledger);
        let bytes = bytes.map_err(|error| SubscriptionError::Unreadable(error.to_string()))?;
        Ok(self.all.documents().put_document(KIND, name.as_str(), expected, Some(Bytes::from(bytes))).await?)
    }
}

fn filter_of(settings: &DeliverySettings) -> Result<CommitFilter, SubscriptionError> {
    CommitFilter::of(&settings.filter).map_err(|(list, error)| SubscriptionError::Filter { list, error })
}

/// Instances that race wait differently long: each by its clock.
async fn back_off(attempt: u64) {
    let spread = u64::from(
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.subsec_nanos()) / 1_000,
    );
    sleep(Duration::from_millis(1 + spread % (4 * (attempt + 1)))).await;
}

pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as u64)
}
