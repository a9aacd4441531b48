//! Opening the store that the configuration names, with the graphs over it.

use std::sync::Arc;

use dao_projections::{GraphId, Head};

use super::CliError;
use crate::{
    config::{Config, StoreConfig},
    store::{EventStore, StoreError, embedded::EmbeddedStore, redis::RedisStore},
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
