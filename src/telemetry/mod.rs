//! Telemetry: what this process counts, and the text of `GET /metrics`.
//!
//! Invariants:
//! - Counting is adding to an atomic number. Every set of labels is found once, when a metric or a route is made;
//!   nothing is looked up, locked or allocated where a command passes.
//! - Cardinality is bounded by the program: a label's values are the words of an enum or the templates of routes,
//!   never a graph, a user or a path that somebody sent.
//! - There is no global recorder: whoever counts was given the [`Metrics`] of its process, and two in one process
//!   (tests have them) do not mix.
//! - It names no other module: what something means is known where it happens.
//!
//! `docs/metrics.md` says what each family means and what to do about it; a test holds the two against each other.
//! Not here: measuring what is only known when asked for (`http/metrics.rs`), and what is logged.

mod histogram;
mod live;
mod process;
mod requests;
mod sampled;
mod storing;
mod trace;
mod word;
mod writing;

use std::{fmt, sync::Arc, time::Instant};

use prometheus_client::{
    encoding::text::{encode_eof, encode_registry},
    registry::{Metric, Registry},
};

pub use histogram::Histogram;
pub use live::{Counted, Direction, DropReason, LiveMetrics, Source, StreamStyle};
pub use requests::{RequestMetrics, RouteMetrics};
pub use sampled::{ProjectionSample, Sampled};
pub use storing::{StoreCall, StoreErrorKind, StoreMetrics};
#[cfg(feature = "otel")]
pub use trace::{Exporter, ExporterError};
pub use trace::{answered, continue_from};
pub use word::{PerPair, PerWord, Word};
pub use writing::{AppendOutcome, ConflictKind, Effect, RefusalCode, WriteMetrics};

/// What the text of [`Metrics::encode`] is, for its reader.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// What every family of this program begins with; those of the process itself keep the names that all programs use.
const PREFIX: &str = "dao";

/// Everything that is counted in one process. A clone counts into the same numbers.
#[derive(Clone)]
pub struct Metrics(Arc<Families>);

/// The families, by who counts them.
pub struct Families {
    /// The write path.
    pub writing: WriteMetrics,
    /// HTTP.
    pub requests: RequestMetrics,
    /// Sockets and streams.
    pub live: LiveMetrics,
    /// Calls of the store.
    pub store: StoreMetrics,
    registry: Registry,
    started_at: Instant,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let families = Families {
            writing: WriteMetrics::register(&mut registry),
            requests: RequestMetrics::register(&mut registry),
            live: LiveMetrics::register(&mut registry),
            store: StoreMetrics::register(&mut registry),
            registry,
            started_at: Instant::now(),
        };
        Self(Arc::new(families))
    }
}

impl std::ops::Deref for Metrics {
    type Target = Families;
    fn deref(&self) -> &Families {
        &self.0
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Everything as OpenMetrics text, with what was measured for this answer.
    pub fn encode(&self, sampled: &Sampled) -> Result<String, fmt::Error> {
        let mut own = Registry::with_prefix(PREFIX);
        sampled.register(&mut own, self.started_at.elapsed());
        let mut of_process = Registry::default();
        process::register(&mut of_process);
        let mut text = String::new();
        for registry in [&self.registry, &own, &of_process] {
            encode_registry(&mut text, registry)?;
        }
        encode_eof(&mut text)?;
        Ok(text)
    }
}

/// Registers a metric and hands it back.
fn registered<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_in_one_process_do_not_mix_and_clones_do() {
        let (one, other) = (Metrics::default(), Metrics::default());
        one.clone().writing.appends.of(AppendOutcome::Appended).inc();
        let text = |metrics: &Metrics| metrics.encode(&Sampled::default()).expect("text");
        assert!(text(&one).contains("dao_appends_total{outcome=\"appended\"} 1\n"));
        assert!(text(&other).contains("dao_appends_total{outcome=\"appended\"} 0\n"));
        assert!(text(&one).ends_with("# EOF\n"));
    }

    #[test]
    fn what_was_not_measured_is_left_out() {
        let metrics = Metrics::default();
        let nothing = metrics.encode(&Sampled::default()).expect("text");
        assert!(!nothing.contains("dao_projection_lag_commits"));
        let projection = Some(ProjectionSample { lag_commits: 3, lag_ms: 1_500, parked_graphs: 1 });
        let some = metrics.encode(&Sampled { projection, ..Sampled::default() }).expect("text");
        assert!(some.contains("dao_projection_lag_commits 3\n"));
        assert!(some.contains("dao_projection_lag_seconds 1.5\n"));
    }
}
