//! Starting: how Redis is named and connected to. What is checked then is in `startup_checks.rs`, why it can be refused in
//! `connect_error.rs`.
//!
//! Invariant: a store that was made has talked to a Redis that is new enough, never evicts, takes
//! writes, lets us do all we do, and is laid out as this program lays it out.

use std::{
    num::NonZeroU32,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use fred::{
    prelude::{Builder, Client, Config},
    types::config::{TcpConfig, UnresponsiveConfig},
};

use super::{
    RedisStore, address,
    connect_error::{ConnectError, not_writable},
    index::Index,
    keys::{self, META, PARTITIONS_MAX},
    message::Publisher,
    nodes::{LiveClient, Nodes},
    projection::RowScripts,
    publication_reader::PublicationReader,
    scripts::Scripts,
    startup_checks,
};

/// How the stored form is laid out. Another number means another program.
pub(super) const FORMAT: u32 = 3;
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

        let sender = Publisher::new(address.database.unwrap_or(0));
        let nodes = Arc::new(Nodes::connect(address, location.clone()).await?);
        let durability = startup_checks::check_durability(&nodes, &location, config.min_replicas).await?;
        startup_checks::probe(&nodes, &location).await?;
        let layout = startup_checks::lay_out(&nodes, &location, &config).await?;
        let scripts = Scripts::new(layout.operation_ttl);
        let row_scripts = RowScripts::new();
        nodes
            .call_at_start(keys::slot(META), async |live: Arc<LiveClient<Client>>| {
                scripts.load(&live.client).await?;
                row_scripts.load(&live.client).await
            })
            .await
            .map_err(|error| not_writable(&location, &error))?;
        Ok(Self {
            listening: PublicationReader::start(nodes.clone(), sender.clone()),
            index: Index::open(&nodes, &location, &layout).await?,
            nodes,
            min_replicas: NonZeroU32::new(config.min_replicas),
            scripts,
            sender,
            row_scripts,
            impaired: Mutex::default(),
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

/// The servers, whatever is laid out there, of a Redis that is fit for histories; and where it is.
pub(super) async fn alone(config: &RedisConfig) -> Result<(Nodes, String), ConnectError> {
    let address = parse(config)?;
    let location = address::location(&address);
    let nodes = Nodes::connect(address, location.clone()).await?;
    startup_checks::check_durability(&nodes, &location, 0).await?;
    Ok((nodes, location))
}

/// For a client that is connected once, and by which nothing is sent twice.
pub(super) fn client_builder(address: Config) -> Builder {
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
