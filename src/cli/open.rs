//! Opening the store that the configuration names, with the graphs over it.

use std::sync::Arc;

use super::CliError;
use crate::{
    config::{Config, StoreConfig},
    store::{EventStore, ProjectionStore, embedded::EmbeddedStore, redis::RedisStore},
    write::{Graphs, GraphsConfig},
};

/// A store, opened: the graphs over it, and what it keeps for the read side.
pub(super) struct Opened {
    pub(super) graphs: Arc<Graphs>,
    pub(super) projections: Arc<dyn ProjectionStore>,
}

pub(super) async fn open(config: &Config) -> Result<Opened, CliError> {
    let (store, projections): (Arc<dyn EventStore>, Arc<dyn ProjectionStore>) = match config.store.clone() {
        StoreConfig::Embedded(embedded) => {
            let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(embedded)).await;
            let opened = opened.map_err(|e| CliError::new(format!("the store could not be opened: {e}")))?;
            let store = Arc::new(opened.map_err(|e| CliError::new(e.to_string()))?);
            (store.clone(), store)
        }
        StoreConfig::Redis(redis) => {
            let connected = RedisStore::connect(redis).await;
            let store = Arc::new(connected.map_err(|e| CliError::new(e.to_string()))?);
            (store.clone(), store)
        }
    };
    let graphs = GraphsConfig {
        limits: config.limits,
        idle: config.cache_ttl,
        hot_max: config.hot_graphs_max,
        ..GraphsConfig::default()
    };
    Ok(Opened { graphs: Graphs::new(store, graphs), projections })
}

/// The graphs alone.
pub(super) async fn graphs(config: &Config) -> Result<Arc<Graphs>, CliError> {
    Ok(open(config).await?.graphs)
}

/// Answers what waits and lets go of the store.
pub(super) async fn close(graphs: &Graphs) {
    graphs.close().await;
    graphs.store().close().await;
}
