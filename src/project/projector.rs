//! One worker: it leases parts of the feed, follows them, and folds what they tell of.
//!
//! Not here: how one graph's rows are folded (`fold`).

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use dao_projections::{GraphId, Head, Projection, Snapshot, Version};
use futures::{StreamExt, stream};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    ProjectorConfig, READER, Stores,
    commit_source::CommitSource,
    failing_graphs::FailingGraphs,
    fold::{FoldError, GraphFold},
    now_ms,
    row_cache::RowCache,
};
use crate::store::{FeedEntry, FeedPlace, ParkedGraph, ProjectionStore, StoreError};

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
/// How often a graph is folded, at once, before the store counts as refusing it: a call that was lost is made again.
const STORE_TRIES: usize = 2;
/// Pause before a part of the feed that could not be followed is followed again, doubled each time up to the second:
/// short beside the lag at which a server counts as not ready.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// One part of the feed as this worker has it.
struct FeedPart {
    number: u32,
    is_leased: bool,
    /// Up to where it was followed, while this worker has the lease.
    place: Option<FeedPlace>,
    kept: RowCache,
    /// Graphs that the store refuses.
    aside: FailingGraphs,
    /// When the lease is asked for next, or renewed.
    lease_at: Instant,
    trim_at: Instant,
    /// When it is followed again after it could not be, and the pause after the next time.
    follow_at: Instant,
    back_off: Duration,
}

impl FeedPart {
    /// Forgets what another worker may have made untrue, and asks for the lease at this time.
    fn forget(&mut self, lease_at: Instant) {
        (self.place, self.lease_at) = (None, lease_at);
        self.kept.forget_all();
    }

    /// It could not be followed: what was remembered may not be true any more.
    fn fail(&mut self) {
        self.forget(Instant::now());
        self.follow_at = Instant::now() + self.back_off;
        self.back_off = (self.back_off * 2).min(BACK_OFF.1);
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
    let part = |number| FeedPart {
        number,
        is_leased: false,
        place: None,
        kept: RowCache::in_one_of(parts),
        aside: FailingGraphs::default(),
        lease_at: now,
        trim_at: now + TRIM_INTERVAL,
        follow_at: now,
        back_off: BACK_OFF.0,
    };
    let mut parts: Vec<FeedPart> = (0..parts).map(part).collect();
    let mut parked_at = now + PARKED_RETRY;
    while !stop.is_cancelled() {
        let passed = stop.run_until_cancelled(pass(&stores, &config, &mut parts, &mut parked_at)).await;
        match passed {
            None => break,
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::warn!(worker = config.worker, %error, "projecting failed; it is tried again");
            }
        }
        let _stopped = tokio::time::timeout(config.interval, stop.cancelled()).await;
    }
    let leased: Vec<u32> = parts.iter().filter(|part| part.is_leased).map(|part| part.number).collect();
    for part in leased {
        // Others need not wait for the lease to end.
        if stores.rows.lease(READER, part, &config.worker, Duration::ZERO).await.is_err() {
            break;
        }
    }
}

/// Looks at every part once whose turn it is. An error is that of one part, which is left alone for a while.
async fn pass(
    stores: &Stores,
    config: &ProjectorConfig,
    parts: &mut [FeedPart],
    parked_at: &mut Instant,
) -> Result<(), StoreError> {
    let now = Instant::now();
    let due = parts.iter_mut().filter(|part| part.follow_at <= now);
    let passes: Vec<_> = due.map(|part| follow_or_back_off(stores, config, part)).collect();
    let mut passes = stream::iter(passes).buffer_unordered(PARTS_AT_ONCE);
    let mut first_error = None;
    while let Some(done) = passes.next().await {
        if let Err(error) = done {
            first_error.get_or_insert(error);
        }
    }
    drop(passes);
    if *parked_at <= Instant::now() {
        *parked_at = Instant::now() + PARKED_RETRY;
        if let Err(error) = retry_parked(stores, config, parts).await {
            first_error.get_or_insert(error);
        }
    }
    first_error.map_or(Ok(()), Err)
}

async fn follow_or_back_off(
    stores: &Stores,
    config: &ProjectorConfig,
    part: &mut FeedPart,
) -> Result<(), StoreError> {
    let followed = follow(stores, config, part).await;
    match followed {
        Ok(()) => part.back_off = BACK_OFF.0,
        Err(_) => part.fail(),
    }
    followed
}

/// Tries all that is parked once more, but what has a time of its own.
async fn retry_parked(
    stores: &Stores,
    config: &ProjectorConfig,
    parts: &mut [FeedPart],
) -> Result<(), StoreError> {
    for (graph, _) in stores.rows.parked().await? {
        let number = stores.rows.feed_part(&graph);
        let own = parts.iter_mut().find(|own| own.number == number && own.place.is_some());
        if let Some(part) = own.filter(|part| !part.aside.has(&graph)) {
            retry(stores, config, part, &graph).await;
        }
    }
    Ok(())
}

/// Tries a parked graph once more.
async fn retry(stores: &Stores, config: &ProjectorConfig, part: &mut FeedPart, graph: &GraphId) {
    let folded = match stores.events.head(graph).await {
        Ok(head) => fold_or_park(stores, config, graph, &mut GraphFold::default(), head.version, true).await,
        Err(error) => Err(error),
    };
    match folded {
        Ok(FoldOutcome::CaughtUp | FoldOutcome::Poisoned) => part.aside.take_back(graph),
        Ok(FoldOutcome::Refused) => part.aside.put(graph),
        Err(error) => {
            tracing::debug!(%graph, %error, "a parked graph could not be tried again");
            part.aside.put(graph);
        }
    }
}

/// Follows one part to its end, if it is this worker's.
async fn follow(stores: &Stores, config: &ProjectorConfig, part: &mut FeedPart) -> Result<(), StoreError> {
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
        fold_entries(stores, config, &entries, part).await?;
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
    for graph in part.aside.due() {
        retry(stores, config, part, &graph).await;
    }
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
    part: &mut FeedPart,
) -> Result<bool, StoreError> {
    if part.lease_at > Instant::now() {
        return Ok(part.is_leased);
    }
    part.is_leased = rows.lease(READER, part.number, &config.worker, config.lease).await?;
    match part.is_leased {
        true => part.lease_at = Instant::now() + config.lease / 3,
        false => {
            part.forget(Instant::now() + LEASE_RETRY);
            part.aside.forget_all();
        }
    }
    Ok(part.is_leased)
}

async fn fold_entries(
    stores: &Stores,
    config: &ProjectorConfig,
    entries: &[FeedEntry],
    part: &mut FeedPart,
) -> Result<(), StoreError> {
    take_back_unparked(stores, entries, part).await?;
    let mut graphs: BTreeMap<&GraphId, Version> = BTreeMap::new();
    // What is set aside is parked, and goes up to its head when it is tried again.
    for entry in entries.iter().filter(|entry| !part.aside.has(&entry.graph)) {
        let to = graphs.entry(&entry.graph).or_default();
        // What stands before a purge is of a history that is gone.
        *to = if entry.purged.is_some() { Version::EMPTY } else { entry.to.max(*to) };
    }
    for graph in entries.iter().filter(|entry| entry.purged.is_some()).map(|entry| &entry.graph) {
        part.aside.take_back(graph);
        drop(part.kept.take(graph));
        if has_been_purged(stores, graph).await? {
            graphs.remove(graph);
        }
    }
    let folds: Vec<_> = graphs
        .into_iter()
        .map(|(graph, to)| {
            let mut rows = part.kept.take(graph);
            async move {
                let folded = fold_or_park(stores, config, graph, &mut rows, to, false).await;
                (graph, rows, folded)
            }
        })
        .collect();
    let mut folds = stream::iter(folds).buffer_unordered(GRAPHS_AT_ONCE);
    let mut first_error = None;
    while let Some((graph, rows, folded)) = folds.next().await {
        match folded {
            Ok(FoldOutcome::CaughtUp | FoldOutcome::Poisoned) => part.kept.put(graph.clone(), rows),
            Ok(FoldOutcome::Refused) => part.aside.put(graph),
            // The others have their turn all the same.
            Err(error) => drop(first_error.get_or_insert(error)),
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// Graphs among these that are set aside and not parked any more are folded like the others: a rebuild has brought
/// their rows up to date meanwhile, and what comes after it must not be passed over.
async fn take_back_unparked(
    stores: &Stores,
    entries: &[FeedEntry],
    part: &mut FeedPart,
) -> Result<(), StoreError> {
    if !entries.iter().any(|entry| part.aside.has(&entry.graph)) {
        return Ok(());
    }
    let parked: HashSet<GraphId> = stores.rows.parked().await?.into_iter().map(|(graph, _)| graph).collect();
    for graph in entries.iter().map(|entry| &entry.graph).filter(|graph| !parked.contains(*graph)) {
        part.aside.take_back(graph);
    }
    Ok(())
}

/// How bringing a graph's rows up to date ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FoldOutcome {
    CaughtUp,
    /// Its history can't be folded: it is parked.
    Poisoned,
    /// The store refuses it and nothing else: it is parked, and tried again soon.
    Refused,
}

/// Brings all rows of a graph up to date; or says why it can't, where an operator sees it. An error says that the store
/// can't even be told that.
async fn fold_or_park(
    stores: &Stores,
    config: &ProjectorConfig,
    graph: &GraphId,
    rows: &mut GraphFold,
    to: Version,
    was_parked: bool,
) -> Result<FoldOutcome, StoreError> {
    // One that is parked because of what is stored is tried again with what is stored.
    let memory = config.memory.as_deref().filter(|_| !was_parked);
    let mut tries = 0;
    let folded = loop {
        tries += 1;
        let mut log = CommitSource::of(stores, graph).remembered_by(memory);
        match rows.fold(&mut log, to, config.checkpoint_every).await {
            Err(FoldError::Store(_)) if tries < STORE_TRIES => *rows = GraphFold::default(),
            folded => break folded,
        }
    };
    if folded.is_err() && has_been_purged(stores, graph).await? {
        return Ok(FoldOutcome::CaughtUp);
    }
    let (parked, folded) = match folded {
        Ok(()) if was_parked => {
            tracing::info!(%graph, "a parked graph is projected again");
            return stores.rows.park(graph, None).await.map(|()| FoldOutcome::CaughtUp);
        }
        Ok(()) => return Ok(FoldOutcome::CaughtUp),
        Err(FoldError::Store(error)) => {
            // The first version that the rows lack.
            let at = stores.rows.rows(graph, Snapshot::NAME, &[]).await?.at;
            let version = at.map_or(Version::EMPTY, |at| at.head.version).next();
            (ParkedGraph { version, reason: error.to_string() }, FoldOutcome::Refused)
        }
        Err(FoldError::Poison { version, reason }) => {
            (ParkedGraph { version, reason }, FoldOutcome::Poisoned)
        }
    };
    stores.rows.park(graph, Some(&parked)).await?;
    if !was_parked {
        let ParkedGraph { version, reason } = parked;
        tracing::error!(%graph, %version, reason, "a graph can't be projected and is parked");
    }
    Ok(folded)
}

/// Whether there is no such graph any more; then what was written of it meanwhile is removed.
async fn has_been_purged(stores: &Stores, graph: &GraphId) -> Result<bool, StoreError> {
    // A head that can't be read is that of a graph that is there.
    let is_gone = matches!(stores.events.head(graph).await, Ok(Head::EMPTY));
    if is_gone {
        stores.rows.drop_rows(graph).await?;
    }
    Ok(is_gone)
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
