//! Opening the store that the configuration names, with the graphs over it.

use std::sync::Arc;

use dao_projections::{GraphId, Head};

use super::CliError;
use crate::{
    config::{Config, StoreConfig},
    project::Stores,
    store::{Measured, StoreError, embedded::EmbeddedStore, redis::RedisStore},
    telemetry::Metrics,
    write::{Graphs, GraphsConfig},
};

/// Both halves of the store.
pub(super) async fn stores(config: &Config) -> Result<Stores, CliError> {
    match config.store.clone() {
        StoreConfig::Embedded(embedded) => {
            let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(embedded)).await;
            let opened = opened.map_err(|e| CliError::new(format!("the store could not be opened: {e}")))?;
            let store = Arc::new(opened.map_err(|e| CliError::new(e.to_string()))?);
            Ok(Stores { events: store.clone(), rows: store })
        }
        StoreConfig::Redis(redis) => {
            let connected = RedisStore::connect(redis).await.map_err(|e| CliError::new(e.to_string()))?;
            let store = Arc::new(connected);
            Ok(Stores { events: store.clone(), rows: store })
        }
    }
}

/// The graphs over the store that the configuration names.
pub(super) async fn graphs(config: &Config) -> Result<Arc<Graphs>, CliError> {
    Ok(graphs_over(&stores(config).await?, config, Metrics::default()))
}

/// The same, with their calls counted.
pub(super) fn measured(stores: Stores, metrics: &Metrics) -> Stores {
    Stores {
        events: Arc::new(Measured::new(stores.events, metrics.clone())),
        rows: Arc::new(Measured::new(stores.rows, metrics.clone())),
    }
}

/// The graphs over this store.
pub(super) fn graphs_over(stores: &Stores, config: &Config, metrics: Metrics) -> Arc<Graphs> {
    let graphs = GraphsConfig {
        limits: config.limits,
        idle: config.cache_ttl,
        hot_max: config.hot_graphs_max,
        hot_bytes_max: config.hot_bytes_max,
        rows: Some(stores.rows.clone()),
        metrics,
        ..GraphsConfig::default()
    };
    Graphs::new(stores.events.clone(), graphs)
}

/// An error if nobody has written to the graph: the history of a mistyped name is no empty success.
pub(super) async fn existing(graphs: &Graphs, graph: &GraphId) -> Result<(), CliError> {
    match graphs.store().head(graph).await {
        Ok(Head::EMPTY) => {
            Err(CliError::new(format!("there is no graph {graph} at {}", graphs.store().location())))
        }
        // What is damaged exists.
        Ok(_) | Err(StoreError::Corrupt { .. }) => Ok(()),
        Err(error) => Err(CliError::new(format!("{graph} can't be read: {error}"))),
    }
}

/// Answers what waits and lets go of the store.
pub(super) async fn close(graphs: &Graphs) {
    graphs.close().await;
    graphs.store().close().await;
}
