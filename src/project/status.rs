//! Whether projections are close behind, for `/readyz` and metrics.

use std::time::Duration;

use super::{READER, Stores, now_ms};
use crate::store::{ParkedGraph, StoreError};
use dao_projections::GraphId;

/// Appends looked at to say how far a part is behind.
const LAG_ENTRIES_MAX: usize = 1_000;

/// How far projections are behind the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Commits that are in the log and not in the rows; of each part at most those of a thousand
    /// appends are counted.
    pub commits: u64,
    /// The age of the oldest of them.
    pub age: Duration,
    /// The part of the feed with that one.
    pub part: u32,
}

/// What there is to know about projections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// How far they are behind.
    pub lag: Lag,
    /// The graphs that are not projected, and why.
    pub parked: Vec<(GraphId, ParkedGraph)>,
}

/// Measured against the log's own end, whoever projects and whether anybody does.
pub async fn health(stores: &Stores) -> Result<Health, StoreError> {
    let mut lag = Lag::default();
    for part in 0..stores.rows.feed_parts() {
        let place = stores.rows.place(READER, part).await?;
        let entries = stores.rows.feed(part, place, LAG_ENTRIES_MAX).await?;
        lag.commits += entries.iter().map(|entry| entry.to.since(entry.from) + 1).sum::<u64>();
        let age = entries.first().map(|first| Duration::from_millis(now_ms().saturating_sub(first.at_ms)));
        if let Some(age) = age.filter(|age| *age > lag.age) {
            (lag.age, lag.part) = (age, part);
        }
    }
    Ok(Health { lag, parked: stores.rows.parked().await? })
}
