//! Starting: how Redis is named and connected to. What is checked then is in `survey.rs`, why it can be refused in
//! `refused.rs`.
//!
//! Invariant: a store that was made has talked to a Redis that is new enough, never evicts, takes
//! writes, lets us do all we do, and is laid out as this program lays it out.

use std::{
    num::NonZeroU32,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fred::{
    error::{Error, ErrorKind},
    interfaces::{ClientLike, EventInterface},
    prelude::{Builder, Client, Config, ReconnectPolicy},
    types::config::{TcpConfig, UnresponsiveConfig},
};
use tokio::{
    sync::Mutex,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    RedisStore, address,
    index::Index,
    keys::PARTITIONS_MAX,
    listen::{self, Listening},
    message::Sender,
    projection::RowScripts,
    refused::{ConnectError, cannot_reach, not_writable},
    replicas::Replicas,
    scripts::Scripts,
    survey,
};

/// How the stored form is laid out. Another number means another program.
pub(super) const FORMAT: u32 = 2;
/// The oldest Redis with all that is needed: channels that belong to a slot (`SSUBSCRIBE`). Valkey
/// says that it is Redis 7.2.
pub(super) const REDIS_VERSION_MIN: (u32, u32) = (7, 0);

/// How long the first connection may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// When a call counts as lost.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
/// When a connection on which nothing was answered counts as lost.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Calls that wait to be written. A full queue refuses further ones as unavailable.
const COMMANDS_WAITING_MAX: usize = 100_000;
/// How often a call is sent whose connection broke. Each may be: an append by its ids, rows by the head they
/// name, all else because it says the same twice.
const COMMAND_ATTEMPTS_MAX: u32 = 3;
/// Pause before the first and later attempts to connect again, doubled each time, in ms.
const RECONNECT_DELAY_MS: (u32, u32) = (50, 1_000);

/// Where the histories are, and how they are kept. Has no `Debug`: the address can hold a password.
#[derive(Clone)]
pub struct RedisConfig {
    /// `redis://[user:password@]host[:port][/database]`, `redis-cluster://host:port,…`,
    /// `redis-sentinel://host:port,…/service` or `redis+unix:///path`; `rediss` for TLS.
    pub url: String,
    /// What is trusted and shown where the address says TLS.
    pub tls: TlsFiles,
    /// The password of the sentinels, if they have one; that of Redis is in the address.
    pub sentinel_password: Option<String>,
    /// Into how many slots graphs are spread. Fixed at the first start: `None` takes what is
    /// stored, a number must equal it.
    pub partitions: Option<u32>,
    /// How long an operation id is remembered at least; at most twice as long. All instances must
    /// agree on the windows, so the first start fixes it: less is then treated as that, more is refused.
    pub operation_ttl: Duration,
    /// How many replicas must have what is acknowledged, beside the primary. More than the primary has
    /// means that nothing is acknowledged.
    pub min_replicas: u32,
}

impl RedisConfig {
    /// This address, and all else as it is by default.
    pub fn at(url: String, operation_ttl: Duration) -> Self {
        Self {
            url,
            tls: TlsFiles::default(),
            sentinel_password: None,
            partitions: None,
            operation_ttl,
            min_replicas: 0,
        }
    }

    /// Everything that can be known to be wrong before anything is connected to.
    pub fn mistakes(&self) -> Vec<address::Mistake> {
        address::parse(self).err().unwrap_or_default()
    }
}

/// Files in PEM for a connection by TLS.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// The authorities to trust, instead of those of this system.
    pub ca: Option<PathBuf>,
    /// This client's own certificate, for a Redis that asks for one.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

impl TlsFiles {
    /// The variable of a file that is named.
    pub(super) fn first_named(&self) -> Option<&'static str> {
        let named =
            [(&self.ca, "REDIS_TLS_CA"), (&self.certificate, "REDIS_TLS_CERT"), (&self.key, "REDIS_TLS_KEY")];
        named.into_iter().find_map(|(file, name)| file.as_ref().map(|_| name))
    }
}

impl RedisStore {
    /// Connects, checks what it connected to, and on the first start ever lays the store out.
    pub async fn connect(config: RedisConfig) -> Result<Self, ConnectError> {
        if let Some(configured) = config.partitions.filter(|n| !(1..=PARTITIONS_MAX).contains(n)) {
            return Err(ConnectError::PartitionsRange { configured });
        }
        let address = parse(&config)?;
        let location = address::location(&address);

        let sender = Sender::new(address.database.unwrap_or(0));
        let replicas = NonZeroU32::new(config.min_replicas).map(|min| Replicas::new(min, address.clone()));
        let mut builder = builder(address);
        let (writer, writing) = open(builder.build(), &location).await?;
        let (reader, reading) = open(builder.build(), &location).await?;

        let durability = survey::survey(&writer, &location, config.min_replicas).await?;
        survey::probe(&writer, &location).await?;
        let layout = survey::lay_out(&writer, &location, &config).await?;
        let scripts = Scripts::new(layout.operation_ttl);
        let row_scripts = RowScripts::new();
        scripts.load(&writer).await.map_err(|error| not_writable(&location, &error))?;
        row_scripts.load(&writer).await.map_err(|error| not_writable(&location, &error))?;
        builder.with_performance_config(|p| p.broadcast_channel_capacity = listen::WAITING_MAX);
        let (ear, hearing) = open(builder.build_subscriber_client(), &location).await?;
        Ok(Self {
            index: Index::open(&writer, &location, &layout).await?,
            writer,
            reader,
            replicas,
            listening: Listening::start(ear, sender.clone()),
            connections: vec![writing, reading, hearing],
            scripts,
            sender,
            row_scripts,
            connected_anew: Mutex::default(),
            partitions: layout.partitions,
            durability,
            location,
        })
    }
}

fn parse(config: &RedisConfig) -> Result<Config, ConnectError> {
    address::parse(config).map_err(|mistakes| {
        let lines: Vec<String> =
            mistakes.iter().map(|(name, problem)| format!("{name}: {problem}")).collect();
        ConnectError::Address { problems: lines.join("\n") }
    })
}

/// One connection, whatever is laid out there, to a Redis that is fit for histories; and where it is.
pub(super) async fn alone(config: &RedisConfig) -> Result<(Client, String), ConnectError> {
    let address = parse(config)?;
    let location = address::location(&address);
    let (client, _keeper) = open(builder(address).build(), &location).await?;
    survey::survey(&client, &location, 0).await?;
    Ok((client, location))
}

async fn open<C: ClientLike + EventInterface + Sync + 'static>(
    client: Result<C, Error>,
    location: &str,
) -> Result<(C, JoinHandle<()>), ConnectError> {
    let client = client.map_err(|error| cannot_reach(location, &error))?;
    // A little longer than the client's own patience, whose error says more.
    let connection = timeout(CONNECT_TIMEOUT + Duration::from_millis(200), client.init())
        .await
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout, "no answer")))
        .map_err(|error| cannot_reach(location, &error))?;
    log_connection_changes(&client, location);
    let keeper = tokio::spawn(keep(client.clone(), AbortOnDropHandle::new(connection), location.to_owned()));
    Ok((client, keeper))
}

/// The task that drives a connection ends when the client quits, and also, though it should not, when
/// a slot that is being moved redirects a call more often than it is tried. Then all of the client's
/// calls would wait for ever; so it is started again. Aborting this aborts that.
async fn keep<C: ClientLike + Sync>(
    client: C,
    mut connection: AbortOnDropHandle<Result<(), Error>>,
    redis: String,
) {
    loop {
        let error = match (&mut connection).await {
            Ok(Ok(())) => return, // it quit
            Ok(Err(error)) => error.details().to_owned(),
            Err(died) => died.to_string(),
        };
        tracing::warn!(%redis, error, "the connection to Redis is given up and made anew");
        sleep(Duration::from_millis(RECONNECT_DELAY_MS.0.into())).await;
        connection = AbortOnDropHandle::new(client.connect());
    }
}

fn builder(address: Config) -> Builder {
    let mut builder = line_builder(address);
    let (first_ms, later_ms) = RECONNECT_DELAY_MS;
    builder
        .set_policy(ReconnectPolicy::new_exponential(0, first_ms, later_ms, 2)) // 0: for ever
        .with_connection_config(|connection| connection.max_command_attempts = COMMAND_ATTEMPTS_MAX);
    builder
}

/// For connections that are never made again by themselves, and on which nothing is sent twice.
pub(super) fn line_builder(address: Config) -> Builder {
    let mut builder = Builder::from_config(address);
    builder
        .with_connection_config(|connection| {
            connection.connection_timeout = CONNECT_TIMEOUT;
            connection.internal_command_timeout = CONNECT_TIMEOUT;
            connection.max_command_attempts = 1;
            connection.max_command_buffer_len = COMMANDS_WAITING_MAX;
            connection.unresponsive =
                UnresponsiveConfig { max_timeout: Some(SILENCE_MAX), interval: Duration::from_secs(1) };
            connection.tcp = TcpConfig { nodelay: Some(true), ..TcpConfig::default() };
        })
        .with_performance_config(|performance| performance.default_command_timeout = COMMAND_TIMEOUT);
    builder
}

/// Once when it goes and once when it is back, not at every attempt.
fn log_connection_changes(client: &impl EventInterface, location: &str) {
    let away = Arc::new(AtomicBool::new(false));
    let (lost, back) = ((away.clone(), location.to_owned()), (away, location.to_owned()));
    client.on_error(move |(error, _)| {
        let (away, location) = &lost;
        if !away.swap(true, Ordering::Relaxed) {
            tracing::warn!(redis = %location, error = error.details(), "the connection to Redis is lost");
        }
        async { Ok(()) }
    });
    client.on_reconnect(move |_| {
        let (away, location) = &back;
        if away.swap(false, Ordering::Relaxed) {
            tracing::info!(redis = %location, "the connection to Redis is back");
        }
        async { Ok(()) }
    });
}
