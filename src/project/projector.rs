//! One worker: it leases parts of the feed, follows them, and folds what they tell of.
//!
//! Not here: how one graph's rows are folded (`fold`).

use std::{collections::HashSet, sync::Arc, time::Duration};

use dao_projections::GraphId;
use futures::{StreamExt, stream};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    ProjectorConfig, READER, Stores,
    failing_graphs::FailingGraphs,
    feed_part::{BACK_OFF, FeedPart},
    fold::GraphFold,
    now_ms,
    parking::{FoldOutcome, fold_or_park, has_been_purged},
    row_cache::RowCache,
    waiting_graphs::{Pauses, WaitingGraphs},
    worker_load::Load,
};
use crate::store::{FeedEntry, FeedPlace, ProjectionStore, StoreError};

/// Entries of one part of the feed that are taken at once. What they come to is coalesced by graph.
const ENTRIES_MAX: usize = 4_096;
/// Graphs that are folded at the same time.
const GRAPHS_AT_ONCE: usize = 8;
/// Parts that are looked at at the same time.
const PARTS_AT_ONCE: usize = 8;
/// How often a part that another worker has is asked for again.
const LEASE_RETRY: Duration = Duration::from_secs(1);
/// How often parked graphs are tried again: a history that was repaired goes on by itself. Those of a part that was taken
/// over are tried at once: what the worker before set aside for a moment is only parked for the next one.
const PARKED_RETRY: Duration = Duration::from_secs(60);
/// How often the feed is trimmed.
const TRIM_INTERVAL: Duration = Duration::from_secs(60);

/// Which graphs are folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FoldWhen {
    /// Those that have waited for long enough.
    Due,
    /// All that wait.
    Now,
}

/// How long a worker that is told to stop works on what waits.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

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
    let load = Arc::new(Load::new(now));
    let part = |number| FeedPart {
        number,
        is_leased: false,
        place: None,
        read: None,
        waiting: WaitingGraphs::default(),
        load: load.clone(),
        kept: RowCache::in_one_of(parts),
        aside: FailingGraphs::default(),
        lease_at: now,
        parked_at: now + PARKED_RETRY,
        trim_at: now + TRIM_INTERVAL,
        follow_at: now,
        back_off: BACK_OFF.0,
    };
    let mut parts: Vec<FeedPart> = (0..parts).map(part).collect();
    while !stop.is_cancelled() {
        let passed = stop.run_until_cancelled(pass(&stores, &config, &mut parts)).await;
        match passed {
            None => break,
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::warn!(worker = config.worker, %error, "projecting failed; it is tried again");
            }
        }
        let _stopped = tokio::time::timeout(config.interval, stop.cancelled()).await;
    }
    if tokio::time::timeout(STOP_PATIENCE, fold_the_rest(&stores, &config, &mut parts)).await.is_err() {
        tracing::debug!(worker = config.worker, "some rows are left to the next start");
    }
    let leased: Vec<u32> = parts.iter().filter(|part| part.is_leased).map(|part| part.number).collect();
    for part in leased {
        // Others need not wait for the lease to end.
        if stores.rows.lease(READER, part, &config.worker, Duration::ZERO).await.is_err() {
            break;
        }
    }
}

/// Writes the rows of graphs that wait, before the end. What is not written is found by whoever follows the feed next.
async fn fold_the_rest(stores: &Stores, config: &ProjectorConfig, parts: &mut [FeedPart]) {
    for part in parts.iter_mut().filter(|part| part.is_leased && part.place.is_some()) {
        // The pass may have been cut off anywhere.
        part.read_again();
        if let Err(error) = follow(stores, config, part, FoldWhen::Now).await {
            tracing::debug!(worker = config.worker, %error, "the last rows were not written");
            return;
        }
    }
}

/// Looks at every part once whose turn it is. An error is that of one part, which is left alone for a while.
async fn pass(stores: &Stores, config: &ProjectorConfig, parts: &mut [FeedPart]) -> Result<(), StoreError> {
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
    if let Err(error) = retry_parked(stores, config, parts).await {
        first_error.get_or_insert(error);
    }
    first_error.map_or(Ok(()), Err)
}

async fn follow_or_back_off(
    stores: &Stores,
    config: &ProjectorConfig,
    part: &mut FeedPart,
) -> Result<(), StoreError> {
    let followed = follow(stores, config, part, FoldWhen::Due).await;
    match followed {
        Ok(()) => part.back_off = BACK_OFF.0,
        Err(_) => part.fail(),
    }
    followed
}

/// Tries once more all that is parked in parts whose turn it is, but what has a time of its own.
async fn retry_parked(
    stores: &Stores,
    config: &ProjectorConfig,
    parts: &mut [FeedPart],
) -> Result<(), StoreError> {
    let now = Instant::now();
    let is_due = |part: &FeedPart| part.place.is_some() && part.parked_at <= now;
    if !parts.iter().any(is_due) {
        return Ok(());
    }
    let found = stores.rows.parked().await;
    let retry_at = now + if found.is_ok() { PARKED_RETRY } else { BACK_OFF.1 };
    let mut due: Vec<_> = parts.iter_mut().filter(|part| is_due(part)).collect();
    due.iter_mut().for_each(|part| part.parked_at = retry_at);
    let parked = found?;
    for part in due {
        for (graph, _) in &parked {
            if stores.rows.feed_part(graph) == part.number && !part.aside.has(graph) {
                retry(stores, config, part, graph).await;
            }
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
async fn follow(
    stores: &Stores,
    config: &ProjectorConfig,
    part: &mut FeedPart,
    when: FoldWhen,
) -> Result<(), StoreError> {
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
        let from = part.read.unwrap_or(place);
        let entries = match when {
            FoldWhen::Due => rows.feed_for_poll(part.number, from, ENTRIES_MAX).await?,
            FoldWhen::Now => rows.feed(part.number, from, ENTRIES_MAX).await?,
        };
        let commits = entries.iter().map(|entry| entry.to.since(entry.from) + 1).sum();
        part.load.add(commits, Instant::now());
        take_up(stores, &entries, part, from).await?;
        let read = entries.last().map_or(from, |last| last.place);
        part.read = Some(read);
        fold_waiting(stores, config, part, when).await?;
        // Folding may have taken longer than the lease: the place is then another's to move.
        if !has_lease(rows, config, part).await? {
            return Ok(());
        }
        let reached = part.waiting.place(read);
        if reached > place {
            rows.set_place(READER, part.number, reached).await?;
            part.place = Some(reached);
        }
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
    let had_it = part.is_leased;
    part.is_leased = rows.lease(READER, part.number, &config.worker, config.lease).await?;
    match part.is_leased {
        true => {
            part.lease_at = Instant::now() + config.lease / 3;
            if !had_it {
                part.parked_at = Instant::now();
            }
        }
        false => {
            part.forget(Instant::now() + LEASE_RETRY);
            part.aside.forget_all();
        }
    }
    Ok(part.is_leased)
}

/// Takes up what the feed tells of after this place.
async fn take_up(
    stores: &Stores,
    entries: &[FeedEntry],
    part: &mut FeedPart,
    mut before: FeedPlace,
) -> Result<(), StoreError> {
    take_back_unparked(stores, entries, part).await?;
    for entry in entries {
        // What is set aside is parked, and goes up to its head when it is tried again.
        if !part.aside.has(&entry.graph) {
            part.waiting.add(entry, before);
        }
        before = entry.place;
    }
    for graph in entries.iter().filter(|entry| entry.purged.is_some()).map(|entry| &entry.graph) {
        part.aside.take_back(graph);
        drop(part.kept.take(graph));
        if has_been_purged(stores, graph).await? {
            part.waiting.done(graph);
        }
    }
    Ok(())
}

/// Folds graphs that wait.
async fn fold_waiting(
    stores: &Stores,
    config: &ProjectorConfig,
    part: &mut FeedPart,
    when: FoldWhen,
) -> Result<(), StoreError> {
    let now = Instant::now();
    part.waiting.forget_idle(now);
    let pauses = Pauses { first: config.interval, max: part.load.pause_max(config, now) };
    let graphs = match when {
        FoldWhen::Due => part.waiting.due(pauses, now),
        FoldWhen::Now => part.waiting.all(),
    };
    let folds: Vec<_> = graphs
        .into_iter()
        .map(|(graph, to)| {
            let mut rows = part.kept.take(&graph);
            async move {
                let folded = fold_or_park(stores, config, &graph, &mut rows, to, false).await;
                (graph, rows, folded)
            }
        })
        .collect();
    let mut folds = stream::iter(folds).buffer_unordered(GRAPHS_AT_ONCE);
    let mut first_error = None;
    while let Some((graph, rows, folded)) = folds.next().await {
        match folded {
            Ok(FoldOutcome::CaughtUp | FoldOutcome::Poisoned) => {
                part.waiting.done(&graph);
                part.waiting.folded(graph.clone(), pauses, now);
                part.kept.put(graph, rows);
            }
            Ok(FoldOutcome::Refused) => {
                part.waiting.done(&graph);
                part.aside.put(&graph);
            }
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
