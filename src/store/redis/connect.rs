//! Starting: connecting to Redis, and refusing one that could lose or split histories.
//!
//! Invariant: a store that was made has talked to a Redis that is new enough, never evicts, takes
//! writes, and is laid out as this program lays it out. Each refusal is one line that says what to
//! do, and never holds a password.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fred::{
    error::{Error, ErrorKind},
    interfaces::{ClientLike, ClusterInterface, EventInterface, HashesInterface},
    prelude::{Builder, Client, Config, ReconnectPolicy},
    types::{
        ClusterHash, CustomCommand, InfoKind, RespVersion,
        config::{ServerConfig, TcpConfig, UnresponsiveConfig},
    },
};
use tokio::time::timeout;

use super::{
    Connection, RedisStore,
    errors::reply_code,
    keys::{META, PARTITIONS_MAX},
    scripts::Scripts,
};
use crate::store::Durability;

/// How the stored form is laid out. Another number means another program.
const FORMAT: u32 = 1;
/// Partitions of a store that is started for the first time and told no number.
const PARTITIONS_DEFAULT: u32 = 64;
/// The oldest Redis with all that the scripts and streams need: exclusive and incomplete ids,
/// `UNLINK`, scripts that may ask for the time before they write.
const REDIS_VERSION_MIN: (u32, u32) = (6, 2);

/// How long the first connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// When a call counts as lost.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
/// When a connection on which nothing was answered counts as lost.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Calls that wait to be written. A full queue refuses further ones as unavailable.
const COMMANDS_WAITING_MAX: usize = 100_000;
/// Pause before the first and later attempts to connect again, doubled each time, in ms.
const RECONNECT_DELAY_MS: (u32, u32) = (50, 1_000);

/// Where the histories are, and how they are kept. Has no `Debug`: the address can hold a password.
#[derive(Clone)]
pub struct RedisConfig {
    /// `redis://[user:password@]host[:port][/database]`, or `redis-cluster://…`.
    pub url: String,
    /// Into how many slots graphs are spread. Fixed at the first start: `None` takes what is
    /// stored, a number must equal it.
    pub partitions: Option<u32>,
    /// How long an operation id is remembered at least; at most twice as long.
    pub operation_ttl: Duration,
}

/// Why no store was made. Each says on one line what to do.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message of each variant says what it is, its fields are in the message")]
pub enum ConnectError {
    #[error("REDIS_URL is not the address of a Redis ({problem}): write redis://host:port")]
    Address { problem: String },
    #[error(
        "cannot reach Redis at {location} ({problem}): start it with `redis-server --appendonly yes`, \
         or leave REDIS_URL unset to use the embedded store"
    )]
    Unreachable { location: String, problem: String },
    #[error("Redis at {location} refused the login ({problem}): check the user and password in REDIS_URL")]
    Login { location: String, problem: String },
    #[error("Redis at {location} is version {found}: version {}.{} or newer is needed", REDIS_VERSION_MIN.0, REDIS_VERSION_MIN.1)]
    TooOld { location: String, found: String },
    #[error(
        "Redis at {location} has maxmemory-policy {policy}, which deletes histories when memory is full: \
         set it with `redis-cli config set maxmemory-policy noeviction` and in its configuration file"
    )]
    Evicts { location: String, policy: String },
    #[error(
        "Redis at {location} takes no writes ({problem}): name the primary, and check its memory and disk"
    )]
    NotWritable { location: String, problem: String },
    #[error(
        "the histories at {location} are in {stored} partitions, but {configured} are configured: \
         set PARTITIONS={stored}, or leave it unset"
    )]
    Partitions { location: String, stored: u32, configured: u32 },
    #[error("PARTITIONS is {configured}: it must be 1 to {PARTITIONS_MAX}")]
    PartitionsRange { configured: u32 },
    #[error(
        "the histories at {location} are in format {stored}, this program knows format {FORMAT}: use the program that wrote them"
    )]
    Format { location: String, stored: String },
}

impl RedisStore {
    /// Connects, checks what it connected to, and on the first start ever lays the store out.
    pub async fn connect(config: RedisConfig) -> Result<Self, ConnectError> {
        if let Some(configured) = config.partitions.filter(|n| !(1..=PARTITIONS_MAX).contains(n)) {
            return Err(ConnectError::PartitionsRange { configured });
        }
        let mut address = Config::from_url(&config.url)
            .map_err(|error| ConnectError::Address { problem: error.details().to_owned() })?;
        address.version = RespVersion::RESP3;
        let location = location(&address);

        let builder = builder(address);
        let (writer, writing) = open(&builder, &location).await?;
        let (reader, reading) = open(&builder, &location).await?;

        let durability = survey(&writer, &location).await?;
        let partitions = lay_out(&writer, &location, config.partitions).await?;
        let scripts = Scripts::new(config.operation_ttl);
        scripts.load(&writer).await.map_err(|error| not_writable(&location, &error))?;
        Ok(Self {
            writer,
            reader,
            connections: vec![writing, reading],
            scripts,
            partitions,
            durability,
            location,
        })
    }
}

async fn open(builder: &Builder, location: &str) -> Result<(Client, Connection), ConnectError> {
    let client = builder.build().map_err(|error| cannot_reach(location, &error))?;
    // A little longer than the client's own patience, whose error says more.
    let connection = timeout(CONNECT_TIMEOUT + Duration::from_millis(200), client.init())
        .await
        .unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout, "no answer")))
        .map_err(|error| cannot_reach(location, &error))?;
    log_connection_changes(&client, location);
    Ok((client, connection))
}

fn builder(address: Config) -> Builder {
    let mut builder = Builder::from_config(address);
    let (first_ms, later_ms) = RECONNECT_DELAY_MS;
    builder
        .set_policy(ReconnectPolicy::new_exponential(0, first_ms, later_ms, 2)) // 0: for ever
        .with_connection_config(|connection| {
            connection.connection_timeout = CONNECT_TIMEOUT;
            connection.internal_command_timeout = CONNECT_TIMEOUT;
            connection.max_command_buffer_len = COMMANDS_WAITING_MAX;
            connection.unresponsive =
                UnresponsiveConfig { max_timeout: Some(SILENCE_MAX), interval: Duration::from_secs(1) };
            connection.tcp = TcpConfig { nodelay: Some(true), ..TcpConfig::default() };
        })
        .with_performance_config(|performance| performance.default_command_timeout = COMMAND_TIMEOUT);
    builder
}

/// The address without user and password.
fn location(address: &Config) -> String {
    let scheme = if address.server.is_clustered() { "redis-cluster" } else { "redis" };
    let hosts: Vec<String> = address.server.hosts().iter().map(|host| host.to_string()).collect();
    let database = address.database.map(|n| format!("/{n}")).unwrap_or_default();
    match &address.server {
        ServerConfig::Sentinel { service_name, .. } => {
            format!("redis-sentinel://{}/{service_name}", hosts.join(","))
        }
        _ => format!("{scheme}://{}{database}", hosts.join(",")),
    }
}

/// Once when it goes and once when it is back, not at every attempt.
fn log_connection_changes(client: &Client, location: &str) {
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

fn cannot_reach(location: &str, error: &Error) -> ConnectError {
    let location = location.to_owned();
    let details = error.details();
    match reply_code(details) {
        "WRONGPASS" | "NOAUTH" => return ConnectError::Login { location, problem: details.to_owned() },
        _ if *error.kind() == ErrorKind::Auth => {
            return ConnectError::Login { location, problem: details.to_owned() };
        }
        _ => {}
    }
    // "Os { code: 111, kind: ConnectionRefused, message: \"Connection refused\" }"
    let problem = details.split_once("message: \"").and_then(|(_, rest)| rest.split_once('"'));
    let problem = problem.map_or(details, |(message, _)| message).to_lowercase();
    ConnectError::Unreachable { location, problem }
}

fn not_writable(location: &str, error: &Error) -> ConnectError {
    ConnectError::NotWritable { location: location.to_owned(), problem: error.details().to_owned() }
}

/// Checks version and eviction of every primary; returns the weakest durability among them.
async fn survey(client: &Client, location: &str) -> Result<Durability, ConnectError> {
    if !client.is_clustered() {
        return Ok(survey_one(client, location).await?.durability());
    }
    let primaries = client.cached_cluster_state().map(|state| state.unique_primary_nodes());
    let mut weakest = Sync::Always;
    for primary in primaries.unwrap_or_default() {
        weakest = weakest.min(survey_one(&client.with_cluster_node(primary), location).await?);
    }
    Ok(weakest.durability())
}

async fn survey_one<C: ClientLike>(client: &C, location: &str) -> Result<Sync, ConnectError> {
    let mut info = HashMap::new();
    for section in [InfoKind::Server, InfoKind::Memory, InfoKind::Persistence] {
        let text: String =
            client.info(Some(section)).await.map_err(|error| cannot_reach(location, &error))?;
        info.extend(
            text.lines().filter_map(|line| line.split_once(':')).map(|(k, v)| (k.to_owned(), v.to_owned())),
        );
    }
    let field = |name: &str| info.get(name).map(String::as_str).unwrap_or_default();

    let found = field("redis_version");
    let mut numbers = found.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < REDIS_VERSION_MIN {
        return Err(ConnectError::TooOld { location: location.to_owned(), found: found.to_owned() });
    }
    let policy = field("maxmemory_policy");
    if !matches!(policy, "noeviction" | "") {
        return Err(ConnectError::Evicts { location: location.to_owned(), policy: policy.to_owned() });
    }
    if field("aof_enabled") != "1" {
        tracing::warn!(redis = location, "Redis has no append-only file: set `appendonly yes`, or lose work");
        return Ok(Sync::NoAof);
    }
    // Managed Redis often forbids CONFIG.
    let command = CustomCommand::new_static("CONFIG", ClusterHash::FirstKey, false);
    let settings: HashMap<String, String> =
        client.custom(command, vec!["GET", "appendfsync"]).await.unwrap_or_default();
    Ok(match settings.get("appendfsync").map(String::as_str) {
        Some("always") => Sync::Always,
        Some("everysec") => Sync::EverySecond,
        Some("no") => Sync::Never,
        _ => Sync::Unknown,
    })
}

/// When Redis brings what it acknowledged to disk; the weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sync {
    NoAof,
    Unknown,
    Never,
    EverySecond,
    Always,
}

impl Sync {
    fn durability(self) -> Durability {
        let (name, meaning) = match self {
            Self::NoAof => (
                "no AOF",
                "Everything since the last snapshot of Redis, or all of it, is lost when Redis ends.",
            ),
            Self::Unknown => (
                "unknown",
                "Redis keeps an append-only file but does not tell when it syncs it: with its default, a crash \
                 of the machine can lose the last second or two.",
            ),
            Self::Never => (
                "appendfsync no",
                "A crash of Redis loses nothing; a crash of its machine can lose what the kernel had not written, \
                 about 30 seconds.",
            ),
            Self::EverySecond => (
                "appendfsync everysec",
                "A crash of Redis loses nothing; a crash of its machine can lose the last second or two.",
            ),
            Self::Always => ("appendfsync always", "Nothing that was acknowledged is lost in a crash."),
        };
        Durability { name: name.to_owned(), meaning: meaning.to_owned() }
    }
}

/// Writes format and partitions at the first start, and compares them at every start.
async fn lay_out(client: &Client, location: &str, configured: Option<u32>) -> Result<u32, ConnectError> {
    let failed = |error: Error| not_writable(location, &error);
    let wanted = configured.unwrap_or(PARTITIONS_DEFAULT);
    client.hsetnx::<(), _, _, _>(META, "format", FORMAT).await.map_err(failed)?;
    client.hsetnx::<(), _, _, _>(META, "partitions", wanted).await.map_err(failed)?;

    let format: String = client.hget(META, "format").await.map_err(failed)?;
    if format != FORMAT.to_string() {
        return Err(ConnectError::Format { location: location.to_owned(), stored: format });
    }
    let stored: u32 = client.hget(META, "partitions").await.map_err(failed)?;
    if !(1..=PARTITIONS_MAX).contains(&stored) {
        let stored = format!("{format} with {stored} partitions");
        return Err(ConnectError::Format { location: location.to_owned(), stored });
    }
    match configured {
        Some(configured) if configured != stored => {
            Err(ConnectError::Partitions { location: location.to_owned(), stored, configured })
        }
        _ => Ok(stored),
    }
}
