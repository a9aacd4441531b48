//! A histogram of atomic numbers. The one of `prometheus_client` takes a lock for each observation.
//!
//! Sums are whole numbers (nanoseconds for times), so that adding is one instruction and nothing is rounded. A reader
//! may see an observation in its bucket before it is in the sum. Buckets never shrink. The count is the sum of the
//! buckets that were read, so count and buckets agree.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric},
};

/// The unit of the observations, and the upper bounds of the buckets in that unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    /// Durations, exported in seconds.
    Nanoseconds(&'static [u64]),
    /// Counts.
    Count(&'static [u64]),
}

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
/// From a fast append in memory to a store that hangs; three buckets per decade.
const TIMES: [u64; 16] = [
    100 * US,
    250 * US,
    500 * US,
    MS,
    2 * MS + 500 * US,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    250 * MS,
    500 * MS,
    1_000 * MS,
    2_500 * MS,
    5_000 * MS,
    10_000 * MS,
];
/// Powers of two up to the largest round, then powers of ten for followers that are far behind.
const COUNTS: [u64; 13] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 10_000, 100_000];

/// Counts observations by size. Clones share the same values.
#[derive(Clone)]
pub struct Histogram {
    scale: Scale,
    cells: Arc<Cells>,
}

struct Cells {
    /// One for each bucket, and one for everything above the last bound.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    /// A histogram of durations.
    pub fn of_times() -> Self {
        Self::new(Scale::Nanoseconds(&TIMES))
    }

    /// A histogram of counts.
    pub fn of_counts() -> Self {
        Self::new(Scale::Count(&COUNTS))
    }

    fn new(scale: Scale) -> Self {
        let (Scale::Nanoseconds(bounds) | Scale::Count(bounds)) = scale;
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { scale, cells: Arc::new(Cells { buckets, sum: AtomicU64::new(0) }) }
    }

    /// Records a duration.
    pub fn took(&self, time: Duration) {
        self.observe(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Records a count.
    pub fn counted(&self, number: u64) {
        self.observe(number);
    }

    fn observe(&self, value: u64) {
        let bucket = self.bounds().partition_point(|bound| *bound < value);
        self.cells.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.cells.sum.fetch_add(value, Ordering::Relaxed);
    }

    fn bounds(&self) -> &'static [u64] {
        let (Scale::Nanoseconds(bounds) | Scale::Count(bounds)) = self.scale;
        bounds
    }

    /// Converts to the exported unit.
    fn shown(&self, value: u64) -> f64 {
        match self.scale {
            Scale::Nanoseconds(_) => value as f64 / 1e9,
            Scale::Count(_) => value as f64,
        }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Histogram({:?})", self.scale)
    }
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let sum = self.shown(self.cells.sum.load(Ordering::Relaxed));
        let bounds = self.bounds().iter().map(|bound| self.shown(*bound)).chain([f64::INFINITY]);
        let counts = self.cells.buckets.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::*;

    #[test]
    fn observations_are_in_the_bucket_they_fit_in_and_sums_are_exact() {
        let (times, counts) = (Histogram::of_times(), Histogram::of_counts());
        for micros in [1, 100, 101, 900, 20_000_000] {
            times.took(Duration::from_micros(micros));
        }
        [1, 2, 3, 1_000_000].into_iter().for_each(|n| counts.counted(n));
        let mut registry = Registry::default();
        registry.register("t", "times", times);
        registry.register("n", "counts", counts);
        let mut text = String::new();
        encode(&mut text, &registry).expect("text");
        for line in [
            "t_sum 20.001102",
            "t_count 5",
            "t_bucket{le=\"0.0001\"} 2",
            "t_bucket{le=\"0.00025\"} 3",
            "t_bucket{le=\"10.0\"} 4",
            "t_bucket{le=\"+Inf\"} 5",
            "n_sum 1000006.0",
            "n_bucket{le=\"2.0\"} 2",
            "n_bucket{le=\"100000.0\"} 3",
            "n_bucket{le=\"+Inf\"} 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
