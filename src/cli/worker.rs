//! `dao-api worker`: only projector tasks, beside servers that share the store. With WORKER_LISTEN it serves health
//! checks and metrics.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{
    error::CliError,
    open,
    serve::{ended, explain_bind, follow_keys, say_started},
};
use crate::{
    config::{Config, StoreConfig},
    http::{self, App},
    project,
    telemetry::Metrics,
};

/// The setting that names where a worker listens.
const LISTEN: &str = "WORKER_LISTEN";

pub(super) async fn run(config: Config) -> Result<(), CliError> {
    if matches!(config.store, StoreConfig::Embedded(_)) {
        return Err(CliError::new(
            "the embedded store belongs to one server, which runs the projections itself: run `dao-api serve`, or \
             set REDIS_URL",
        ));
    }
    // First of all: a worker that can't serve its health checks must not start.
    let listener = match config.worker_listen {
        Some(address) => {
            let bound = http::bind(address);
            Some(bound.map_err(|error| explain_bind([LISTEN; 2], address, &error))?)
        }
        None => None,
    };
    let mut terminate = signal(SignalKind::terminate())
        .map_err(|error| CliError::new(format!("the termination signal can't be watched: {error}")))?;
    let metrics = Metrics::default();
    let stores = tokio::select! {
        stores = open::stores_once_started(&config) => stores?,
        _ = terminate.recv() => return Ok(()),
    };
    let stores = open::measured(stores, &metrics);
    let graphs = open::graphs_over(&stores, &config, metrics);
    let worker = config.projector.worker.clone();
    let stop = CancellationToken::new();
    let telling = listener.map(|listener| {
        let app = App::new(graphs.clone(), config.requests, config.sockets)
            .with_auth(config.auth.clone())
            .with_metrics(config.metrics)
            .with_projections(stores.clone());
        tokio::spawn(http::serve_operational(listener, app, stop.clone().cancelled_owned()))
    });
    let following = if telling.is_some() { follow_keys(&config.auth, &stop) } else { None };
    say_started(&format!("dao-api worker {worker} is projecting | store: {}", stores.events.location()));
    let working = tokio::spawn(project::run(stores.clone(), config.projector, stop.clone()));
    tokio::select! {
        _ = terminate.recv() => tracing::info!("stopping: SIGTERM"),
        _ = tokio::signal::ctrl_c() => tracing::info!("stopping: Ctrl-C"),
    }
    stop.cancel();
    let worked = working.await;
    if let Some(telling) = telling {
        match telling.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the worker stopped serving health checks and metrics"),
            Err(error) => tracing::error!(%error, "the worker stopped serving health checks and metrics"),
        }
    }
    ended(following, "the task that refreshes the keys").await;
    open::close(&graphs).await;
    worked.map_err(|error| CliError::new(format!("the projector ended: {error}")))
}
