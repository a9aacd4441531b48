//! Opening the store that the configuration names, with the graphs over it.

use std::sync::Arc;

use super::CliError;
use crate::{
    config::{Config, StoreConfig},
    store::{EventStore, embedded::EmbeddedStore, redis::RedisStore},
    write::{Graphs, GraphsConfig},
};

pub(super) async fn graphs(config: &Config) -> Result<Arc<Graphs>, CliError> {
    let store: Arc<dyn EventStore> = match config.store.clone() {
        StoreConfig::Embedded(embedded) => {
            let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(embedded)).await;
            let opened = opened.map_err(|e| CliError::new(format!("the store could not be opened: {e}")))?;
            Arc::new(opened.map_err(|e| CliError::new(e.to_string()))?)
        }
        StoreConfig::Redis(redis) => {
            Arc::new(RedisStore::connect(redis).await.map_err(|e| CliError::new(e.to_string()))?)
        }
    };
    let graphs = GraphsConfig {
        limits: config.limits,
        idle: config.cache_ttl,
        hot_max: config.hot_graphs_max,
        ..GraphsConfig::default()
    };
    Ok(Graphs::new(store, graphs))
}

/// Answers what waits and lets go of the store.
pub(super) async fn close(graphs: &Graphs) {
    graphs.close().await;
    graphs.store().close().await;
}
