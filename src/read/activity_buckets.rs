//! Activity over time in at most [`BUCKETS_MAX`] buckets of one length, for whoever draws it (rule N4).
//!
//! The counts are those of [`super::activity`], by hour: no bucket is shorter than that.

use std::collections::BTreeMap;

use dao_projections::{GraphId, Timestamp, Version};

use super::{ActivityFilter, activity::by_hour, error::ReadError};
use crate::write::Graphs;

/// Buckets in one answer at most: as many as a picture has room for.
pub const BUCKETS_MAX: usize = 500;
/// The shortest bucket, in milliseconds.
pub const BUCKET_MS_MIN: u64 = 3_600_000;
/// Lengths that people count in, in hours. Longer ones double.
const HOURS: [u64; 11] = [1, 2, 3, 6, 12, 24, 48, 168, 336, 720, 2_160];

/// Events of one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// When it began.
    pub at: Timestamp,
    /// How many events there were.
    pub events: u64,
}

/// What happened in a graph over time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketsFound {
    /// The version up to which events are counted.
    pub version: Version,
    /// How long each bucket is.
    pub bucket_ms: u64,
    /// In order, without those in which nothing happened.
    pub buckets: Vec<Bucket>,
}

/// What happened in one graph, in buckets of `bucket_ms` or the next length of which there are few enough.
pub async fn activity_buckets(
    graphs: &Graphs,
    graph: &GraphId,
    filter: &ActivityFilter,
    bucket_ms: u64,
) -> Result<BucketsFound, ReadError> {
    // All counts of a graph are one read: what is left out of a page was read as well.
    let gather = move |hours| gathered(&hours, bucket_ms);
    let (version, (bucket_ms, buckets)) = by_hour(graphs, graph, filter, gather).await?;
    Ok(BucketsFound { version, bucket_ms, buckets })
}

fn gathered(hours: &BTreeMap<Timestamp, u64>, bucket_ms: u64) -> (u64, Vec<Bucket>) {
    let span = hours.first_key_value().zip(hours.last_key_value());
    let (first, last) = span.map_or((0, 0), |((first, _), (last, _))| (first.0, last.0));
    let is_few = |ms: &u64| last / ms - first / ms < BUCKETS_MAX as u64;
    let asked = bucket_ms.max(BUCKET_MS_MIN).div_ceil(BUCKET_MS_MIN).saturating_mul(BUCKET_MS_MIN);
    let nicer = HOURS.iter().map(|hours| hours * BUCKET_MS_MIN).filter(|ms| *ms > asked);
    let doubled = std::iter::successors(Some(asked.max(HOURS[HOURS.len() - 1] * BUCKET_MS_MIN)), |ms| {
        ms.checked_mul(2)
    });
    let length = std::iter::once(asked).chain(nicer).chain(doubled).find(is_few).unwrap_or(u64::MAX);
    let mut buckets: Vec<Bucket> = Vec::new();
    for (hour, events) in hours {
        let at = Timestamp(hour.0 / length * length);
        match buckets.last_mut() {
            Some(last) if last.at == at => last.events = last.events.saturating_add(*events),
            _ => buckets.push(Bucket { at, events: *events }),
        }
    }
    (length, buckets)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = BUCKET_MS_MIN;

    fn hours(of: impl IntoIterator<Item = u64>) -> BTreeMap<Timestamp, u64> {
        of.into_iter().map(|hour| (Timestamp(hour * HOUR), 2)).collect()
    }

    #[test]
    fn n4_there_are_never_too_many_buckets_and_no_event_is_lost() {
        for count in [0, 1, 499, 500, 501, 1_000, 4_000, 50_000, 3_000_000] {
            for asked in [0, HOUR, 7 * HOUR + 1, 24 * HOUR] {
                let hours = hours((0..count).step_by((count as usize / 5_000).max(1)));
                let (length, buckets) = gathered(&hours, asked);
                assert!(buckets.len() <= BUCKETS_MAX, "{count} {asked}: {}", buckets.len());
                assert!(length >= asked && length.is_multiple_of(HOUR), "{count} {asked}: {length}");
                assert_eq!(buckets.iter().map(|bucket| bucket.events).sum::<u64>(), 2 * hours.len() as u64);
                assert!(buckets.iter().all(|bucket| bucket.at.0.is_multiple_of(length)));
            }
        }
    }

    #[test]
    fn n4_buckets_are_as_long_as_asked_where_they_are_few() {
        let (length, buckets) = gathered(&hours([5, 6, 30]), HOUR);
        let bucket = |hour: u64, events| Bucket { at: Timestamp(hour * HOUR), events };
        assert_eq!((length, buckets), (HOUR, vec![bucket(5, 2), bucket(6, 2), bucket(30, 2)]));
        assert_eq!(gathered(&hours([5, 6, 30]), 24 * HOUR).1, [bucket(0, 4), bucket(24, 2)]);
        assert_eq!(gathered(&hours([0, 600]), HOUR).0, 2 * HOUR);
    }
}
