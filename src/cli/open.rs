//! Opens the configured store, and the graphs over it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    net::UnixStream,
    time::{Instant, sleep},
};

use super::error::CliError;
use crate::{
    config::{Config, StoreConfig},
    project::Stores,
    store::{
        Measured,
        embedded::{EmbeddedStore, OpenError, warn_where_others_may_read},
        redis::{ConnectError, RedisConfig, RedisStore},
    },
    telemetry::Metrics,
    write::{Graphs, GraphsConfig},
};

/// How long a server or worker waits for a Redis that is just starting, or an embedded store that a command has.
const STARTING_MAX: Duration = Duration::from_secs(10);
/// How often it tries.
const STARTING_LOOK: Duration = Duration::from_millis(200);

/// Opens the store, and waits for a Redis that is still starting, since servers, workers and Redis are often started
/// together; and for a command that has the embedded store. Other commands have a person in front of them, and fail
/// sooner.
pub(super) async fn stores_once_started(config: &Config) -> Result<Stores, CliError> {
    let redis = match &config.store {
        StoreConfig::Embedded(embedded) => {
            let opened = stores_once_free(config).await?;
            warn_where_others_may_read(&embedded.dir);
            return Ok(opened);
        }
        StoreConfig::Redis(redis) => redis,
    };
    let since = Instant::now();
    let mut has_said = false;
    loop {
        match connect(redis.clone()).await {
            Ok(stores) => return Ok(stores),
            Err(error) if error.is_starting() && since.elapsed() < STARTING_MAX => {
                if !has_said {
                    let max = STARTING_MAX.as_secs();
                    tracing::warn!("waiting up to {max} s for Redis to start: {error}");
                    has_said = true;
                }
                sleep(STARTING_LOOK).await;
            }
            Err(error) => return Err(CliError::new(error.to_string())),
        }
    }
}

/// Opens the embedded store, once no command has it. A server that serves it is not waited for.
async fn stores_once_free(config: &Config) -> Result<Stores, CliError> {
    let since = Instant::now();
    let mut has_said = false;
    loop {
        let why = match stores_if_free(config).await {
            Ok(stores) => return Ok(stores),
            Err(NotOpened::Failed(why)) => return Err(why),
            Err(NotOpened::Taken(why)) => why,
        };
        if since.elapsed() >= STARTING_MAX || has_server(config).await {
            return Err(why);
        }
        if !has_said {
            let (max, CliError(why)) = (STARTING_MAX.as_secs(), &why);
            tracing::warn!(
                "waiting up to {max} s for the store, which a command like `dao-api import` or a server that stops may have: {why}"
            );
            has_said = true;
        }
        sleep(STARTING_LOOK).await;
    }
}

/// Whether a server takes commands over the socket of this store.
async fn has_server(config: &Config) -> bool {
    match socket_of(config) {
        Some(socket) => UnixStream::connect(socket).await.is_ok(),
        None => false,
    }
}

async fn connect(redis: RedisConfig) -> Result<Stores, ConnectError> {
    let store = Arc::new(RedisStore::connect(redis).await?);
    Ok(Stores { events: store.clone(), rows: store })
}

/// Opens the event store and the row store.
pub(super) async fn stores(config: &Config) -> Result<Stores, CliError> {
    match stores_if_free(config).await {
        Ok(stores) => Ok(stores),
        Err(NotOpened::Taken(why) | NotOpened::Failed(why)) => Err(why),
    }
}

/// Why the stores were not opened.
pub(super) enum NotOpened {
    /// Another process has the embedded store, which may be for a moment.
    Taken(CliError),
    Failed(CliError),
}

/// The same, for those who may try again.
pub(super) async fn stores_if_free(config: &Config) -> Result<Stores, NotOpened> {
    let failed = |e: &dyn std::fmt::Display| NotOpened::Failed(CliError::new(e.to_string()));
    match config.store.clone() {
        StoreConfig::Embedded(embedded) => {
            let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(embedded)).await;
            let opened = opened.map_err(|e| failed(&format!("the store could not be opened: {e}")))?;
            let store = Arc::new(opened.map_err(|e| match e {
                OpenError::Locked { .. } => NotOpened::Taken(CliError::new(e.to_string())),
                e => failed(&e),
            })?);
            Ok(Stores { events: store.clone(), rows: store })
        }
        StoreConfig::Redis(redis) => connect(redis).await.map_err(|e| failed(&e)),
    }
}

/// The same stores, with their calls measured.
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
        protected_labels: config.protected_labels.clone(),
        idle: config.cache_ttl,
        hot_max: config.hot_graphs_max,
        hot_bytes_max: config.hot_bytes_max,
        rows: Some(stores.rows.clone()),
        metrics,
        ..GraphsConfig::default()
    };
    Graphs::new(stores.events.clone(), graphs)
}

/// Answers waiting commands and closes the store.
pub(super) async fn close(graphs: &Graphs) {
    graphs.close().await;
    graphs.store().close().await;
}

/// The socket of a server over the configured store; `None` for Redis.
pub(super) fn socket_of(config: &Config) -> Option<PathBuf> {
    match &config.store {
        StoreConfig::Embedded(embedded) => Some(embedded.dir.join(SOCKET)),
        StoreConfig::Redis(_) => None,
    }
}

/// The socket of a server, in the directory of its store.
pub(super) const SOCKET: &str = "dao.sock";
