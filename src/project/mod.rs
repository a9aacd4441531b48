//! Projector tasks: they follow the feed and fold what was appended into the rows of every
//! projection, each graph's from where its rows are to where its history is.
//!
//! Invariants:
//! - A place in the feed is left behind only when everything before it is in the rows, or its graph
//!   is parked with the reason. What happens twice changes nothing the second time.
//! - A graph that can't be folded stops nobody else, and is never passed over in silence.
//! - One process is enough; more share the parts of the feed by leases, and take over those of one
//!   that died.
//!
//! Not here: what rows mean (`dao_projections`), and who reads them.

mod fold;
mod kept;
mod log;
mod rebuild;
mod status;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use dao_projections::{GraphId, Version};
use futures::{StreamExt, stream};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use fold::GraphFold;
pub use fold::{FoldError, fold_graph};
use kept::Kept;
use log::Log;
pub use rebuild::{Rebuilt, rebuild};
pub use status::{Health, Lag, health};

use crate::{
    store::{EventStore, FeedEntry, FeedPlace, Parked, ProjectionStore, StoreError},
    write::Graphs,
};

/// The name under which projectors remember their places.
pub const READER: &str = "projector";
/// Entries of one part of the feed that are taken at once. What they come to is coalesced by graph.
const ENTRIES_MAX: usize = 4_096;
/// Graphs that are folded at the same time.
const GRAPHS_AT_ONCE: usize = 8;
/// Parts that are looked at at the same time.
const PARTS_AT_ONCE: usize = 8;
/// How often a part that another worker has is asked for again.
const LEASE_RETRY: Duration = Duration::from_secs(1);
/// How often parked graphs are tried again: a history that was repaired goes on by itself.
const PARKED_RETRY: Duration = Duration::from_secs(60);
/// How often the feed is trimmed.
const TRIM_INTERVAL: Duration = Duration::from_secs(60);
/// Pause after a pass that failed, doubled each time up to the second: short beside the lag at which a
/// server counts as not ready.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// How projectors work.
#[derive(Clone)]
pub struct ProjectorConfig {
    /// Tells workers apart.
    pub worker: String,
    /// How often the feed is looked at. What comes in between is folded together.
    pub interval: Duration,
    /// How long a worker that says nothing keeps its parts.
    pub lease: Duration,
    /// How long the feed keeps what is projected, for readers who come back.
    pub feed_retention: Duration,
    /// A checkpoint of a graph is kept every this many commits.
    pub checkpoint_every: u64,
    /// The graphs of this process, if it has any: what is in their memory need not be read, where nobody else writes.
    pub memory: Option<Arc<Graphs>>,
}

impl Default for ProjectorConfig {
    fn default() -> Self {
        Self {
            worker: uuid::Uuid::now_v7().to_string(),
            interval: Duration::from_millis(100),
            lease: Duration::from_secs(5),
            feed_retention: Duration::from_secs(7 * 24 * 3_600),
            checkpoint_every: 10_000,
            memory: None,
        }
    }
}

/// Both halves of one store.
#[derive(Clone)]
pub struct Stores {
    /// The histories.
    pub events: Arc<dyn EventStore>,
    /// The read side's.
    pub rows: Arc<dyn ProjectionStore>,
}

/// One part of the feed as this worker has it.
struct Part {
    number: u32,
    is_leased: bool,
    /// Up to where it was followed, while this worker has the lease.
    place: Option<FeedPlace>,
    kept: Kept,
    /// When the lease is asked for next, or renewed.
    lease_at: Instant,
    trim_at: Instant,
}

impl Part {
    /// Forgets what another worker may have made untrue, and asks for the lease at this time.
    fn forget(&mut self, lease_at: Instant) {
        (self.place, self.lease_at) = (None, lease_at);
        self.kept.forget_all();
    }
}

/// Projects until it is told to stop; after a defect it begins again, where the places say.
pub async fn run(stores: Stores, config: ProjectorConfig, stop: CancellationToken) {
    let mut back_off = BACK_OFF.0;
    loop {
        let working = tokio::spawn(follow_all(stores.clone(), config.clone(), stop.clone()));
        let working = AbortOnDropHandle::new(working);
        match working.await {
            Ok(()) => return,
            Err(error) => {
                tracing::error!(worker = config.worker, %error, "the projector ended and is started again");
                let _stopped = tokio::time::timeout(back_off, stop.cancelled()).await;
                back_off = (back_off * 2).min(BACK_OFF.1);
            }
        }
    }
}

/// Follows the feed until it is told to stop, whatever happens to the store meanwhile.
async fn follow_all(stores: Stores, config: ProjectorConfig, stop: CancellationToken) {
    let now = Instant::now();
    let parts = stores.rows.feed_parts();
    let part = |number| Part {
        number,
        is_leased: false,
        place: None,
        kept: Kept::in_one_of(parts),
        lease_at: now,
        trim_at: now + TRIM_INTERVAL,
    };
    let mut parts: Vec<Part> = (0..parts).map(part).collect();
    let (mut back_off, mut parked_at) = (BACK_OFF.0, now + PARKED_RETRY);
    while !stop.is_cancelled() {
        let passed = stop.run_until_cancelled(pass(&stores, &config, &mut parts, &mut parked_at)).await;
        let pause = match passed {
            None => break,
            Some(Ok(())) => {
                back_off = BACK_OFF.0;
                config.interval
            }
            Some(Err(error)) => {
                tracing::warn!(worker = config.worker, %error, "projecting failed; it is tried again");
                // What was remembered may not be true any more.
                parts.iter_mut().for_each(|part| part.forget(Instant::now()));
                let pause = back_off;
                back_off = (back_off * 2).min(BACK_OFF.1);
                pause
            }
        };
        let _stopped = tokio::time::timeout(pause, stop.cancelled()).await;
    }
    let leased: Vec<u32> = parts.iter().filter(|part| part.is_leased).map(|part| part.number).collect();
    for part in leased {
        // Others need not wait for the lease to end.
        if stores.rows.lease(READER, part, &config.worker, Duration::ZERO).await.is_err() {
            break;
        }
    }
}

/// Looks at every part once.
async fn pass(
    stores: &Stores,
    config: &ProjectorConfig,
    parts: &mut [Part],
    parked_at: &mut Instant,
) -> Result<(), StoreError> {
    let passes: Vec<_> = parts.iter_mut().map(|part| follow(stores, config, part)).collect();
    let mut passes = stream::iter(passes).buffer_unordered(PARTS_AT_ONCE);
    let mut first_error = None;
    while let Some(done) = passes.next().await {
        if let Err(error) = done {
            first_error.get_or_insert(error);
        }
    }
    drop(passes);
    if let Some(error) = first_error {
        return Err(error);
    }
    if *parked_at <= Instant::now() {
        *parked_at = Instant::now() + PARKED_RETRY;
        for (graph, _) in stores.rows.parked().await? {
            let part = stores.rows.feed_part(&graph);
            if parts.iter().any(|own| own.number == part && own.place.is_some()) {
                let head = stores.events.head(&graph).await?;
                fold_or_park(stores, config, &graph, &mut GraphFold::default(), head.version, true).await?;
            }
        }
    }
    Ok(())
}

/// Follows one part to its end, if it is this worker's.
async fn follow(stores: &Stores, config: &ProjectorConfig, part: &mut Part) -> Result<(), StoreError> {
    let rows = &*stores.rows;
    loop {
        if !has_lease(rows, config, part).await? {
            return Ok(());
        }
        let place = match part.place {
            Some(place) => place,
            None => rows.place(READER, part.number).await?,
        };
        part.place = Some(place);
        let entries = rows.feed(part.number, place, ENTRIES_MAX).await?;
        let Some(last) = entries.last().map(|entry| entry.place) else { break };
        fold_entries(stores, config, &entries, &mut part.kept).await?;
        // Folding may have taken longer than the lease: the place is then another's to move.
        if !has_lease(rows, config, part).await? {
            return Ok(());
        }
        rows.set_place(READER, part.number, last).await?;
        part.place = Some(last);
        if entries.len() < ENTRIES_MAX {
            break;
        }
    }
    part.kept.forget_idle();
    if part.trim_at <= Instant::now() {
        part.trim_at = Instant::now() + TRIM_INTERVAL;
        if let Some(place) = part.place {
            trim(rows, config, part.number, place).await?;
        }
    }
    Ok(())
}

/// Whether the part is this worker's; the lease is renewed when a third of it is over.
async fn has_lease(
    rows: &dyn ProjectionStore,
    config: &ProjectorConfig,
    part: &mut Part,
) -> Result<bool, StoreError> {
    if part.lease_at > Instant::now() {
        return Ok(part.is_leased);
    }
    part.is_leased = rows.lease(READER, part.number, &config.worker, config.lease).await?;
    match part.is_leased {
        true => part.lease_at = Instant::now() + config.lease / 3,
        false => part.forget(Instant::now() + LEASE_RETRY),
    }
    Ok(part.is_leased)
}

async fn fold_entries(
    stores: &Stores,
    config: &ProjectorConfig,
    entries: &[FeedEntry],
    kept: &mut Kept,
) -> Result<(), StoreError> {
    let mut graphs: BTreeMap<&GraphId, Version> = BTreeMap::new();
    for entry in entries {
        let to = graphs.entry(&entry.graph).or_default();
        *to = entry.to.max(*to);
    }
    let folds: Vec<_> = graphs
        .into_iter()
        .map(|(graph, to)| {
            let mut rows = kept.take(graph);
            async move {
                let folded = fold_or_park(stores, config, graph, &mut rows, to, false).await;
                folded.map(|()| (graph, rows))
            }
        })
        .collect();
    let mut folds = stream::iter(folds).buffer_unordered(GRAPHS_AT_ONCE);
    while let Some(folded) = folds.next().await {
        let (graph, rows) = folded?;
        kept.put(graph.clone(), rows);
    }
    Ok(())
}

/// Brings all rows of a graph level; or says why it can't, where an operator sees it.
async fn fold_or_park(
    stores: &Stores,
    config: &ProjectorConfig,
    graph: &GraphId,
    rows: &mut GraphFold,
    to: Version,
    was_parked: bool,
) -> Result<(), StoreError> {
    // One that is parked because of what is stored is tried again with what is stored.
    let memory = config.memory.as_deref().filter(|_| !was_parked);
    let mut log = Log::of(stores, graph).remembered_by(memory);
    match rows.fold(&mut log, to, config.checkpoint_every).await {
        Ok(()) if was_parked => {
            tracing::info!(%graph, "a parked graph is projected again");
            stores.rows.park(graph, None).await
        }
        Ok(()) => Ok(()),
        Err(FoldError::Store(error)) => Err(error),
        Err(FoldError::Poison { version, reason }) => {
            if !was_parked {
                tracing::error!(%graph, %version, reason, "a graph can't be projected and is parked");
            }
            stores.rows.park(graph, Some(&Parked { version, reason })).await
        }
    }
}

/// Lets the feed go of what is projected and old.
async fn trim(
    rows: &dyn ProjectionStore,
    config: &ProjectorConfig,
    part: u32,
    place: FeedPlace,
) -> Result<(), StoreError> {
    let old_ms = now_ms().saturating_sub(config.feed_retention.as_millis() as u64);
    let old = rows.feed_place_at(part, old_ms).await?.min(place);
    if old > rows.feed_bounds(part).await?.trimmed {
        rows.trim_feed(part, old).await?;
    }
    Ok(())
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as u64)
}
