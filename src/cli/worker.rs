//! `dao-api worker`: projector tasks alone, beside servers that share the store.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{CliError, open};
use crate::{
    config::{Config, StoreConfig},
    project,
};

pub(super) async fn run(config: Config) -> Result<(), CliError> {
    if matches!(config.store, StoreConfig::Embedded(_)) {
        return Err(CliError::new(
            "the embedded store belongs to one process, which projects by itself: run `dao-api serve`, or name a \
             Redis with REDIS_URL",
        ));
    }
    let mut terminate = signal(SignalKind::terminate())
        .map_err(|error| CliError::new(format!("the termination signal can't be watched: {error}")))?;
    let stores = open::stores(&config).await?;
    let worker = config.projector.worker.clone();
    println!("dao-api worker {worker} is projecting | store: {}", stores.events.location());
    let stop = CancellationToken::new();
    let working = tokio::spawn(project::run(stores.clone(), config.projector, stop.clone()));
    tokio::select! {
        _ = terminate.recv() => tracing::info!("stopping: SIGTERM"),
        _ = tokio::signal::ctrl_c() => tracing::info!("stopping: Ctrl-C"),
    }
    stop.cancel();
    let ended = working.await;
    stores.events.close().await;
    ended.map_err(|error| CliError::new(format!("the projector ended: {error}")))
}
