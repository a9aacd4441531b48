//! Telemetry: the metrics of this process and the text of `GET /metrics`.
//!
//! Invariants:
//! - Counting adds to an atomic number. Every set of labels is looked up once, when a metric or a route is created.
//!   The path of a command looks up, locks and allocates nothing.
//! - The program bounds the cardinality: the values of a label are those of an enum or the templates of routes, never
//!   a graph, a user or a path from a request.
//! - There is no global recorder. Code that counts is given the [`Metrics`] of its process, and two sets in one
//!   process (in tests) stay separate.
//! - It depends on no other module of the server.
//!
//! `docs/metrics.md` explains each family and what to do about it; a test compares it with the code.
//! Not here: values that are sampled for each scrape (`http/metrics.rs`), and logging.

mod histogram;
mod label;
mod live;
mod process;
mod registered;
mod requests;
mod sampled;
mod store;
mod trace;
mod write;

use std::{fmt, sync::Arc, time::Instant};

use prometheus_client::{
    encoding::text::{encode_eof, encode_registry},
    registry::Registry,
};

pub use histogram::Histogram;
pub use label::{PerPair, PerWord, Word};
pub use live::{Counted, Direction, DropReason, LiveMetrics, Source, StreamStyle};
pub use requests::{RequestMetrics, RouteMetrics};
pub use sampled::{ProjectionSample, Sampled};
pub use store::{StoreCall, StoreErrorKind, StoreMetrics};
#[cfg(feature = "otel")]
pub use trace::{Exporter, ExporterError};
pub use trace::{answered, continue_from};
pub use write::{AppendOutcome, ConflictKind, Effect, RefusalCode, WriteMetrics};

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The prefix of every family of this program. Families of the process itself keep their conventional names.
const PREFIX: &str = "dao";

/// All metrics of one process. Clones share the same values.
#[derive(Clone)]
pub struct Metrics(Arc<Families>);

/// The metric families by module.
pub struct Families {
    /// The write path.
    pub writing: WriteMetrics,
    /// HTTP.
    pub requests: RequestMetrics,
    /// WebSockets and streams.
    pub live: LiveMetrics,
    /// Calls to the store.
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
    /// All metrics as OpenMetrics text, with the values sampled for this scrape.
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
