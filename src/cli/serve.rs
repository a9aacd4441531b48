//! `dao-api serve`: the HTTP server, until it is told to stop.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, UnixListener},
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{error::CliError, open, output::print};
use crate::{
    auth::Auth,
    config::Config,
    http::{self, App, ConsoleRoute, DocsAccess, LocalService},
    live::Purger,
    project::{self, ProjectorConfig, Stores},
    telemetry::Metrics,
    write::Graphs,
};

/// Whom a server is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    Anybody,
    /// The page of `dao-api demo`. The server ends with its standard input.
    Demo,
}

/// Bytes of the path of a Unix socket, with the zero at its end.
const SOCKET_PATH_BYTES_MAX: usize = 108;

pub(super) async fn run(config: Config, audience: Audience) -> Result<(), CliError> {
    let address = SocketAddr::new(config.host, config.port);
    // The port first: two servers that are started by mistake must not both open the store.
    let listener = http::bind(address).map_err(|error| explain_bind(["HOST", "PORT"], address, &error))?;
    let address = listener.local_addr().unwrap_or(address);
    let apart = config.console_listen.map(bind_console).transpose()?;
    let mut terminate = signal(SignalKind::terminate())
        .map_err(|error| CliError::new(format!("the termination signal can't be watched: {error}")))?;
    let stores = tokio::select! {
        stores = open::stores_once_started(&config) => stores?,
        _ = terminate.recv() => return Ok(()),
    };
    let metrics = Metrics::default();
    let stores = open::measured(stores, &metrics);
    let graphs = open::graphs_over(&stores, &config, metrics);
    let socket = open::socket_of(&config).and_then(listen_beside);
    let places = places(&config, address, apart.as_ref().map_or(address, |(apart, _)| *apart));
    say_listening(address, &graphs, &places);
    let stop_following = CancellationToken::new();
    if matches!(config.auth, Auth::Off) {
        tracing::warn!("no keys are configured: any caller can impersonate any user (X-User-Id)");
    }
    let following = follow_keys(&config.auth, &stop_following);
    let stopping = CancellationToken::new();
    let stop = stop_on_signal(terminate, stopping.clone());
    let stop_projecting = CancellationToken::new();
    let projecting = config.projects.then(|| {
        let projector = ProjectorConfig { memory: Some(graphs.clone()), ..config.projector.clone() };
        tokio::spawn(project::run(stores.clone(), projector, stop_projecting.clone()))
    });
    let listing = list_changes(&stores, &graphs, &stop_projecting);
    let purge_every = purge_interval(config.limits.trash_retention_ms);
    let app = app_of(config, graphs.clone(), stores, audience);
    let purging = app.purger().map(|purger| purge_trash(purger, purge_every, &stop_projecting));
    let beside = socket.map(|(socket, path)| {
        let (service, stop) = (LocalService::beside(app.clone()), stopping.clone());
        tokio::spawn(async move { http::serve_socket(socket, &path, service, stop).await })
    });
    let aside = apart.map(|(_, listener)| {
        let (app, stop) = (app.clone(), stopping.clone());
        tokio::spawn(http::serve(listener, app, stop.cancelled_owned()))
    });
    let app = if aside.is_some() { app.with_console(ConsoleRoute::Off) } else { app };
    let served = http::serve(listener, app, stop).await;
    stopping.cancel();
    if let Some(aside) = aside {
        console_ended(aside).await;
    }
    ended(beside, "the task that serves the command line").await;
    stop_projecting.cancel();
    stop_following.cancel();
    ended(following, "the task that refreshes the keys").await;
    ended(projecting, "the projector task").await;
    ended(Some(listing), "the task that lists changed graphs").await;
    ended(purging, "the task that purges the trash").await;
    open::close(&graphs).await;
    tracing::info!("stopped; everything acknowledged is stored");
    served.map_err(|error| CliError::new(format!("the server stopped: {error}")))
}

fn bind_console(address: SocketAddr) -> Result<(SocketAddr, TcpListener), CliError> {
    let bound = http::bind(address).map_err(|error| explain_bind(["CONSOLE_LISTEN"; 2], address, &error))?;
    Ok((bound.local_addr().unwrap_or(address), bound))
}

/// Refreshes the keys, if there are any.
pub(super) fn follow_keys(auth: &Auth, stop: &CancellationToken) -> Option<JoinHandle<()>> {
    let Auth::Keys(keys) = auth else { return None };
    let (keys, until) = (keys.clone(), stop.clone());
    let follow = move || keys.clone().follow(until.clone());
    Some(tokio::spawn(http::supervised("following keys", stop.clone(), follow)))
}

fn say_listening(address: SocketAddr, graphs: &Graphs, places: &str) {
    let (store, durability) = (graphs.store().location(), graphs.store().durability());
    say_started(&format!(
        "dao-api is listening on http://{address} | store: {store} | durability: {} ({}){places}",
        durability.name, durability.meaning
    ));
}

fn list_changes(stores: &Stores, graphs: &Arc<Graphs>, stop: &CancellationToken) -> JoinHandle<()> {
    let (stores, graphs, until) = (stores.clone(), graphs.clone(), stop.clone());
    let list = move || project::list_changes(stores.clone(), graphs.clone(), until.clone());
    tokio::spawn(http::supervised("listing changed graphs", stop.clone(), list))
}

fn purge_trash(purger: Arc<Purger>, every: Duration, stop: &CancellationToken) -> JoinHandle<()> {
    let until = stop.clone();
    let purge = move || purger.clone().run(every, until.clone());
    tokio::spawn(http::supervised("purging the trash", stop.clone(), purge))
}

async fn console_ended(task: JoinHandle<io::Result<()>>) {
    match task.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the console could not be served"),
        Err(error) => tracing::error!(%error, "the task that serves the console panicked"),
    }
}

async fn stop_on_signal(mut terminate: Signal, stopping: CancellationToken) {
    tokio::select! {
        _ = terminate.recv() => tracing::info!("stopping: SIGTERM"),
        _ = tokio::signal::ctrl_c() => tracing::info!("stopping: Ctrl-C"),
    }
    stopping.cancel();
}

fn app_of(config: Config, graphs: Arc<Graphs>, stores: Stores, audience: Audience) -> App {
    let mut app = App::new(graphs, config.requests, config.sockets)
        .with_auth(config.auth)
        .with_origins(config.origins)
        .with_proxies(config.proxies)
        .with_metrics(config.metrics)
        .with_docs(config.docs)
        .with_console(config.console)
        .with_projections(stores)
        .with_checkpoint_every(config.projector.checkpoint_every);
    if audience == Audience::Demo {
        app = app.for_demo();
        end_with_input();
    }
    match config.rate {
        Some(rate) => app.with_rate_limits(rate),
        None => app,
    }
}

/// Waits for a task, and tells if it panicked.
pub(super) async fn ended<T>(task: Option<JoinHandle<T>>, name: &str) {
    if let Some(task) = task
        && let Err(error) = task.await
    {
        tracing::error!(%error, "{name} panicked");
    }
}

/// Where to go with a browser, a line each.
fn places(config: &Config, server: SocketAddr, console: SocketAddr) -> String {
    let root = |address: SocketAddr| match address.ip() {
        ip if ip.is_unspecified() => format!("http://localhost:{}", address.port()),
        _ => format!("http://{address}"),
    };
    let console = (cfg!(feature = "console") && config.console == ConsoleRoute::On)
        .then(|| format!("\nConsole  {}/console/", root(console)));
    let docs = (config.docs != DocsAccess::Off).then(|| format!("\nAPI      {}/docs", root(server)));
    let demo = console.is_some().then_some("\nTry      dao-api demo");
    [console, docs, demo.map(str::to_owned)].into_iter().flatten().collect()
}

/// Ends the process when nobody holds the other end of its standard input.
fn end_with_input() {
    std::thread::spawn(|| {
        // Whatever comes, or fails, is the end.
        let _read = io::copy(&mut io::stdin().lock(), &mut io::sink());
        std::process::exit(0);
    });
}

/// Binds the socket for the command line of this machine. Without it the server works all the same.
fn listen_beside(path: PathBuf) -> Option<(UnixListener, PathBuf)> {
    match http::bind_socket(&path) {
        Ok(socket) => Some((socket, path)),
        Err(error) => {
            tracing::warn!("{}", explain_socket(&path, &error));
            None
        }
    }
}

fn explain_socket(path: &Path, error: &io::Error) -> String {
    let so = "so commands like `dao-api show` need --url while this server runs";
    let path_display = path.display();
    match path.as_os_str().len() >= SOCKET_PATH_BYTES_MAX {
        true => format!(
            "{path_display} is too long for a socket ({SOCKET_PATH_BYTES_MAX} bytes with its end), {so}: use a shorter DATA_DIR"
        ),
        false => format!("{path_display} can't be listened on ({error}), {so}"),
    }
}

/// How often the trash is looked at: often beside the time that graphs stay there.
fn purge_interval(retention_ms: Option<u64>) -> Duration {
    const RANGE_MS: (u64, u64) = (500, 10_000);
    let tenth = retention_ms.map_or(RANGE_MS.1, |retention| retention / 10);
    Duration::from_millis(tenth.clamp(RANGE_MS.0, RANGE_MS.1))
}

/// Prints what is said of the start on standard output. If nobody can read it, the process works all the same.
pub(super) fn say_started(line: &str) {
    if let Err(CliError(why)) = print(|out| writeln!(out, "{line}")) {
        tracing::warn!("{why}");
    }
}

/// Explains why the server can't listen; `settings` name the address and the port.
pub(super) fn explain_bind(settings: [&str; 2], address: SocketAddr, error: &io::Error) -> CliError {
    let (host, port) = (address.ip(), address.port());
    let [of_host, of_port] = settings;
    CliError::new(match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "port {port} on {host} is in use: stop the program that has it, or set {of_port} to another"
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!("port {port} needs more rights than this user has: set {of_port} to one above 1023")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("{of_host} {host} is not an address of this machine: use 127.0.0.1, or 0.0.0.0 for all")
        }
        _ => format!("can't listen on {address}: {error}; set {of_host} and {of_port}"),
    })
}
