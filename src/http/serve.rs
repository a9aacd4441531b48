//! Serving an application on a listener, until it is told to stop.

use std::{future::Future, io, time::Duration};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    app::App, cors, fast_path::FastPath, listener, metrics::RequestMetrics, response::HttpService, router,
    routes, supervise::supervised,
};

/// How long running requests may take when the server stops.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until `shutdown`; then takes no more connections, answers what was read, and returns, at
/// the latest after ten seconds. The caller owns the socket and the meaning of "stop".
pub async fn serve(
    listener: TcpListener,
    app: App,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app = app.at(&listener)?;
    let service = HttpService::of(
        router::router(&app),
        Some(RequestMetrics::of(app.metrics(), routes::all().map(|route| route.path))),
        app.limits,
    )
    .with_cors(cors::layer(&app))
    .with_fast_path(FastPath::of(&app));
    serve_routes(listener, service, app, shutdown).await
}

/// The same for a process that serves no graphs: health and metrics alone.
pub async fn serve_operational(
    listener: TcpListener,
    app: App,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app = app.at(&listener)?;
    let service = HttpService::of(router::operational_router(&app), None, app.limits);
    serve_routes(listener, service, app, shutdown).await
}

async fn serve_routes(
    listener: TcpListener,
    service: HttpService,
    app: App,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let stop = CancellationToken::new();
    let forgetting = app.rate.clone().map(|rate| {
        let until = stop.clone();
        let forget = move || rate.clone().forget_until(until.clone());
        tokio::spawn(supervised("forgetting budgets", stop.clone(), forget))
    });
    let (live, limits, limiter) = (app.live.clone(), app.limits, app.connection_limiter());
    let mut requests = tokio::spawn(listener::run(listener, service, limits, limiter, stop.clone()));
    let died = tokio::select! {
        () = shutdown => None,
        ended = &mut requests => Some(ended),
    };
    stop.cancel();
    let rest = async {
        let sockets = live.stop();
        match died {
            Some(ended) => (ended, sockets.await).0,
            None => tokio::join!(&mut requests, sockets).0,
        }
    };
    let ended = tokio::time::timeout(DRAIN, rest).await;
    if let Some(forgetting) = forgetting
        && let Err(error) = forgetting.await
    {
        tracing::error!(%error, "the task that drops idle rate limit budgets failed");
    }
    match ended {
        Ok(ended) => ended.map_err(io::Error::other),
        Err(_late) => {
            requests.abort();
            tracing::warn!("requests that did not end in time were cut off");
            Ok(())
        }
    }
}
