//! Servers to test: the application in this process, or the program as a child.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use dao_api::{
    auth::Auth,
    http::{self, App, BODY_BYTES_MAX, CommandPath, RequestLimits, SocketConfig},
    live::AllGraphs,
    store::{
        EventStore, Measured, ProjectionStore,
        embedded::{self, EmbeddedConfig, EmbeddedStore},
        redis::{RedisConfig, RedisStore},
    },
    write::{Graphs, GraphsConfig},
};
use dao_projections::Timestamp;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use super::{http::Client, redis::RedisServer};

/// The tests in `routed` are of a server that routes commands and batches as all other requests.
const IS_ROUTED: bool = matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"routed");
const OPERATION_TTL: Duration = Duration::from_secs(3_600);

/// The application in this process. Dereferences to a client of it.
pub(crate) struct Server {
    client: Client,
    pub(crate) graphs: Arc<Graphs>,
    projections: Option<Arc<dyn ProjectionStore>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
    dir: Option<TempDir>,
}

impl std::ops::Deref for Server {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Server {
    /// Over an embedded store in a directory of its own.
    pub(crate) async fn start() -> Self {
        Self::in_dir(tempfile::tempdir().expect("a temporary directory")).await
    }

    async fn in_dir(dir: TempDir) -> Self {
        let store = embedded_store(dir.path());
        Self { dir: Some(dir), ..Self::over_both(store).await }
    }

    /// The same with sockets kept like this.
    pub(crate) async fn with_sockets(sockets: SocketConfig) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = embedded_store(dir.path());
        Self { dir: Some(dir), ..Self::configured(store, sockets, BODY_BYTES_MAX).await }
    }

    /// Another writer over this Redis.
    pub(crate) async fn on_redis(redis: &RedisServer) -> Self {
        let config = RedisConfig::at(redis.url(), OPERATION_TTL);
        Self::over_both(Arc::new(RedisStore::connect(config).await.expect("connect"))).await
    }

    /// Over a store that the test holds. It has no feed of all graphs.
    pub(crate) async fn over(store: Arc<dyn EventStore>) -> Self {
        Self::configured(store, SocketConfig::default(), BODY_BYTES_MAX).await
    }

    /// The same with a feed of all graphs.
    pub(crate) async fn over_halves(store: Arc<dyn EventStore>, feed: Arc<dyn ProjectionStore>) -> Self {
        Self::serve(store, Some(feed), SocketConfig::default(), BODY_BYTES_MAX).await
    }

    /// With all that can be set.
    pub(crate) async fn configured(
        store: Arc<dyn EventStore>,
        sockets: SocketConfig,
        body_bytes_max: usize,
    ) -> Self {
        Self::serve(store, None, sockets, body_bytes_max).await
    }

    /// Over both halves of a store.
    async fn over_both<S: EventStore + ProjectionStore>(store: Arc<S>) -> Self {
        Self::serve(store.clone(), Some(store), SocketConfig::default(), BODY_BYTES_MAX).await
    }

    async fn serve(
        store: Arc<dyn EventStore>,
        projections: Option<Arc<dyn ProjectionStore>>,
        sockets: SocketConfig,
        body_bytes_max: usize,
    ) -> Self {
        let (graphs, projections) = measured(store, projections);
        let limits = RequestLimits { body_bytes_max, ..RequestLimits::default() };
        let mut app = App::new(graphs.clone(), limits, sockets);
        if let Some(feed) = projections.clone() {
            app = app.with_all_graphs(AllGraphs::new(graphs.clone(), feed));
        }
        Self::serving(app, graphs, projections).await
    }

    /// Whose callers have to prove who they are.
    pub(crate) async fn guarded(auth: Auth) -> Self {
        Self::of(|app| app.with_auth(auth)).await
    }

    /// The same over a store that the test holds.
    pub(crate) async fn guarded_over(store: Arc<dyn EventStore>, auth: Auth) -> Self {
        let (graphs, _) = measured(store, None);
        let app = App::new(graphs.clone(), RequestLimits::default(), SocketConfig::default());
        Self::serving(app.with_auth(auth), graphs, None).await
    }

    /// Over an embedded store, with the application as this makes it.
    pub(crate) async fn of(made: impl FnOnce(App) -> App) -> Self {
        Self::limited(RequestLimits::default(), made).await
    }

    /// The same with these limits.
    pub(crate) async fn limited(limits: RequestLimits, made: impl FnOnce(App) -> App) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = embedded_store(dir.path());
        let (graphs, _) = measured(store.clone(), None);
        let app = App::new(graphs.clone(), limits, SocketConfig::default());
        let app = made(app.with_all_graphs(AllGraphs::new(graphs.clone(), store.clone())));
        Self { dir: Some(dir), ..Self::serving(app, graphs, Some(store)).await }
    }

    /// The same, where it is always the same time.
    pub(crate) async fn at_one_time(limits: RequestLimits, made: impl FnOnce(App) -> App) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = embedded_store(dir.path());
        let clock = Arc::new(|| Timestamp(1_763_800_000_000));
        let graphs = Graphs::new(store.clone(), GraphsConfig { clock, ..GraphsConfig::default() });
        let app = App::new(graphs.clone(), limits, SocketConfig::default());
        Self { dir: Some(dir), ..Self::serving(made(app), graphs, Some(store)).await }
    }

    async fn serving(app: App, graphs: Arc<Graphs>, projections: Option<Arc<dyn ProjectionStore>>) -> Self {
        let app = if IS_ROUTED { app.with_command_path(CommandPath::Routed) } else { app };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(http::serve(listener, app, async {
            let _stopped_or_dropped = stopped.await;
        }));
        Self { client: Client::new(address), graphs, projections, stop, task, dir: None }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.client.address()
    }

    /// What its store keeps for the read side.
    pub(crate) fn projections(&self) -> &Arc<dyn ProjectionStore> {
        self.projections.as_ref().expect("both halves of a store")
    }

    /// Where its embedded store keeps its file.
    pub(crate) fn data_dir(&self) -> &Path {
        self.dir.as_ref().expect("an embedded store").path()
    }

    /// Stops it and its store, and waits until it has. What it stored goes with what is returned.
    pub(crate) async fn stop(self) -> Option<TempDir> {
        let Self { client, graphs, stop, task, dir, .. } = self;
        drop(client); // and its idle connections, which the server would wait for
        let _ended_already = stop.send(());
        task.await.expect("no panic").expect("it serves to the end");
        graphs.close().await;
        graphs.store().close().await;
        dir
    }

    /// Stops it and starts another on the same directory.
    pub(crate) async fn restart(self) -> Self {
        let dir = self.stop().await;
        Self::in_dir(dir.expect("an embedded store")).await
    }
}

/// As the program does it: whatever is asked of the store is counted.
fn measured(
    store: Arc<dyn EventStore>,
    rows: Option<Arc<dyn ProjectionStore>>,
) -> (Arc<Graphs>, Option<Arc<dyn ProjectionStore>>) {
    let config = GraphsConfig::default();
    let metrics = &config.metrics;
    let rows = rows.map(|rows| Arc::new(Measured::new(rows, metrics.clone())) as Arc<dyn ProjectionStore>);
    let store = Arc::new(Measured::new(store, metrics.clone()));
    (Graphs::new(store, config), rows)
}

/// The store of a data directory, for looking into it without a server.
pub(crate) fn embedded_store(dir: &Path) -> Arc<EmbeddedStore> {
    let config = EmbeddedConfig {
        dir: dir.to_owned(),
        durability: embedded::SyncMode::Fsync,
        operation_ttl: OPERATION_TTL,
    };
    Arc::new(EmbeddedStore::open(config).expect("the store opens"))
}

/// The program with no settings but these, `PORT=0` and no log.
pub(crate) fn program(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dao-api"));
    command.env_clear().env("PORT", "0").env("LOG_LEVEL", "off").envs(settings.iter().copied());
    command.stdin(Stdio::null());
    command
}

/// The program as a child that serves.
pub(crate) struct Process {
    child: Child,
    /// What it said when it was ready.
    pub(crate) first_line: String,
    pub(crate) address: SocketAddr,
    _stdout: BufReader<ChildStdout>,
}

impl Process {
    /// Starts it and waits until it listens.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        Self::started(program(settings))
    }

    /// The same with so much address space at most (`ulimit -v`): a server that would take more ends at once.
    pub(crate) fn start_within(address_space_kib: u64, settings: &[(&str, &str)]) -> Self {
        let program = program(settings);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -v {address_space_kib} && exec \"$0\"")]);
        command.arg(program.get_program()).env_clear().stdin(Stdio::null());
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Self::started(command)
    }

    fn started(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("its output"));
        let mut first_line = String::new();
        stdout.read_line(&mut first_line).expect("its first line");
        let address =
            address_in(&first_line).unwrap_or_else(|| panic!("no address in the first line: {first_line:?}"));
        Self { child, first_line, address, _stdout: stdout }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// A line of `/proc/<pid>/status` in KiB: `VmRSS`, `VmHWM` …
    pub(crate) fn memory_kib(&self, line: &str) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its status");
        let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let number = found.and_then(|rest| rest.split_whitespace().next()).expect("the line");
        number.parse().expect("a number")
    }

    /// From now on `VmHWM` is the highest that its resident memory is after this.
    pub(crate) fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").expect("its own child");
    }

    /// Processor time so far, in hundredths of a second.
    pub(crate) fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("its stat");
        let (_, after_name) = stat.rsplit_once(") ").expect("a name");
        after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("ticks")).sum()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("it ends");
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped_already = self.child.wait();
    }
}

fn address_in(line: &str) -> Option<SocketAddr> {
    line.split_once("http://")?.1.split_whitespace().next()?.parse().ok()
}
