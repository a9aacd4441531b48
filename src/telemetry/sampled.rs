//! Values that are sampled for each scrape. A value that can't be determined is left out.

use std::time::Duration;

use prometheus_client::{
    metrics::{gauge::ConstGauge, info::Info},
    registry::Registry,
};

/// The values of one scrape.
#[derive(Clone, Debug, Default)]
pub struct Sampled {
    /// Whether the store takes writes.
    pub is_store_available: bool,
    /// What an acknowledgement promises, in a word or two (rule O5).
    pub durability: String,
    /// Graphs in memory.
    pub hot_graphs: u64,
    /// Estimated bytes that they hold.
    pub hot_graph_bytes: u64,
    /// Graphs that sockets and streams of this process follow.
    pub followed_graphs: u64,
    /// Clients that are present in those graphs, on all instances.
    pub present_clients: u64,
    /// Named subscriptions, of all instances.
    pub subscriptions: Option<u64>,
    /// The state of the projections, whichever process runs them.
    pub projection: Option<ProjectionSample>,
}

/// How far projections are behind the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProjectionSample {
    /// Commits that are not projected yet.
    pub lag_commits: u64,
    /// The age of the oldest of them.
    pub lag_ms: u64,
    /// Graphs that can't be projected.
    pub parked_graphs: u64,
}

impl Sampled {
    pub(super) fn register(&self, registry: &mut Registry, uptime: Duration) {
        let mut count = |name: &str, help: &str, value: u64| {
            registry.register(name, help, ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)));
        };
        count("store_available", "Whether the store takes writes", u64::from(self.is_store_available));
        count("hot_graphs", "Graphs in memory", self.hot_graphs);
        count("hot_graph_bytes", "Estimated bytes that graphs in memory hold", self.hot_graph_bytes);
        count(
            "followed_graphs",
            "Graphs that sockets and streams of this process follow",
            self.followed_graphs,
        );
        count(
            "present_clients",
            "Clients that are present in followed graphs, on all instances",
            self.present_clients,
        );
        if let Some(subscriptions) = self.subscriptions {
            count("subscriptions", "Named subscriptions, on all instances", subscriptions);
        }
        if let Some(projection) = self.projection {
            count(
                "projection_lag_commits",
                "Commits that no projector has folded yet",
                projection.lag_commits,
            );
            count("projection_parked_graphs", "Graphs that can't be projected", projection.parked_graphs);
            let seconds = ConstGauge::new(projection.lag_ms as f64 / 1e3);
            registry.register(
                "projection_lag_seconds",
                "Age of the oldest commit that no projector has folded yet",
                seconds,
            );
        }
        registry.register(
            "uptime_seconds",
            "Seconds since this process started",
            ConstGauge::new(uptime.as_secs_f64()),
        );
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "The version that is running", Info::new(version));
        let durability = [("name", self.durability.clone())];
        registry.register("durability", "What an acknowledgement promises", Info::new(durability));
    }
}
