//! What kind of Redis it is, and how histories are laid out in it.
//!
//! Invariant: nothing is written before version and eviction policy are known to be right; what the
//! first start wrote is never changed here.

use std::{collections::HashMap, sync::Arc, time::Duration};

use fred::{
    error::Error,
    interfaces::{ClientLike, HashesInterface},
    prelude::Client,
    types::{ClusterHash, CustomCommand, InfoKind, Key, Value, scripts::Script},
};

use super::{
    config::RedisConfig,
    connect_error::{ConnectError, cannot_reach, not_writable},
    keys::{self, META, PARTITIONS_MAX, Partition},
    layout::{FORMAT, Layout, REDIS_VERSION_MIN},
    nodes::{LiveClient, Nodes},
};
use crate::store::Durability;

/// Partitions of a store that is started for the first time and told no number.
const PARTITIONS_DEFAULT: u32 = 64;
/// Longest time for which an operation id can be remembered, in ms: a hundred years, for which
/// the arithmetic of the scripts is exact.
const TTL_MS_MAX: u64 = 100 * 366 * 24 * 3_600_000;

/// Checks version and eviction of every primary that answers; returns the weakest durability among them. Fewer
/// replicas than must have what is acknowledged are warned of: they may come later, and readers need not wait for
/// them. A primary of a cluster that does not answer is passed over: its successor is being chosen, or it comes back.
pub(super) async fn check_durability(
    nodes: &Nodes,
    location: &str,
    min_replicas: u32,
) -> Result<Durability, ConnectError> {
    let mut weakest = PrimaryFindings { sync: AofSync::Always, replicas: u32::MAX };
    let (mut answered, mut problem) = (0, None);
    for (server, live) in nodes.primaries().await {
        match live {
            Ok(live) => {
                weakest = weakest.min(survey_one(&live.client, location, nodes.is_cluster()).await?);
                answered += 1;
            }
            Err(error) => {
                tracing::warn!(redis = %server, error = error.details(), "a primary of the cluster does not answer");
                problem = Some(error);
            }
        }
    }
    if let Some(error) = problem.filter(|_| answered == 0) {
        return Err(cannot_reach(location, &error));
    }
    if weakest.replicas < min_replicas {
        tracing::warn!(
            redis = location,
            "REDIS_MIN_REPLICAS is {min_replicas} and there are {} replicas now: writes are refused until there are more",
            weakest.replicas
        );
    }
    Ok(weakest.sync.durability(min_replicas))
}

/// Tries everything that is done to histories, on a key that is gone afterwards: what the user may not do is
/// told now, and not to whoever needs it first.
pub(super) async fn probe(nodes: &Nodes, location: &str) -> Result<(), ConnectError> {
    let partition = Partition::numbered(0);
    let script = Script::from_lua(include_str!("probe.lua"));
    let probe = async |live: Arc<LiveClient<Client>>| {
        script.load(&live.client).await?;
        let (key, channel): (Key, _) = (partition.probe(), partition.probe_channel());
        script.evalsha_with_reload::<Value, _, _>(&live.client, vec![key], vec![channel]).await
    };
    let reply = nodes.call_at_start(partition.slot(), probe).await;
    let (reply, _) = reply.map_err(|error| not_writable(location, &error))?;
    let Value::Array(missing) = reply else { return Ok(()) };
    let missing: Vec<String> = missing.iter().skip(1).filter_map(Value::as_string).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(ConnectError::Rights { location: location.to_owned(), missing: missing.join(", ") })
}

/// What a primary is like.
#[derive(Clone, Copy)]
struct PrimaryFindings {
    sync: AofSync,
    /// Replicas that are connected.
    replicas: u32,
}

impl PrimaryFindings {
    fn min(self, other: Self) -> Self {
        Self { sync: self.sync.min(other.sync), replicas: self.replicas.min(other.replicas) }
    }
}

async fn survey_one(
    client: &Client,
    location: &str,
    is_cluster: bool,
) -> Result<PrimaryFindings, ConnectError> {
    let mut info = HashMap::new();
    for section in
        [InfoKind::Server, InfoKind::Memory, InfoKind::Persistence, InfoKind::Replication, InfoKind::Cluster]
    {
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
    if field("loading") == "1" {
        return Err(ConnectError::Loading { location: location.to_owned() });
    }
    // In a cluster it has just become one, and the map will say so.
    if field("role") == "slave" && !is_cluster {
        let primary = format!("{}:{}", field("master_host"), field("master_port"));
        return Err(ConnectError::Replica { location: location.to_owned(), primary });
    }
    if field("cluster_enabled") == "1" && !is_cluster {
        return Err(ConnectError::IsCluster { location: location.to_owned() });
    }
    let policy = field("maxmemory_policy");
    if !matches!(policy, "noeviction" | "") {
        return Err(ConnectError::Evicts { location: location.to_owned(), policy: policy.to_owned() });
    }
    let replicas = field("connected_slaves").parse().unwrap_or(0);
    if field("aof_enabled") != "1" {
        tracing::warn!(
            redis = location,
            "Redis has no append-only file: when it ends, all since its last snapshot is lost, or everything; set \
             `appendonly yes`"
        );
        return Ok(PrimaryFindings { sync: AofSync::NoAof, replicas });
    }
    // Managed Redis often forbids CONFIG.
    let command = CustomCommand::new_static("CONFIG", ClusterHash::FirstKey, false);
    let settings: HashMap<String, String> =
        client.custom(command, vec!["GET", "appendfsync"]).await.unwrap_or_default();
    let sync = match settings.get("appendfsync").map(String::as_str) {
        Some("always") => AofSync::Always,
        Some("everysec") => AofSync::EverySecond,
        Some("no") => AofSync::Never,
        _ => AofSync::Unknown,
    };
    Ok(PrimaryFindings { sync, replicas })
}

/// When Redis brings what it acknowledged to disk; the weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum AofSync {
    NoAof,
    Unknown,
    Never,
    EverySecond,
    Always,
}

impl AofSync {
    fn durability(self, min_replicas: u32) -> Durability {
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
        match min_replicas {
            0 => Durability { name: name.to_owned(), meaning: meaning.to_owned() },
            n => Durability {
                name: format!("{name}, WAIT {n}"),
                meaning: format!(
                    "{meaning} Replicas have it too, {n} at least, before it is acknowledged: a fail-over to one of \
                     them loses nothing."
                ),
            },
        }
    }
}

/// Writes the layout at the first start, and compares it at every start.
pub(super) async fn lay_out(
    nodes: &Nodes,
    location: &str,
    config: &RedisConfig,
) -> Result<Layout, ConnectError> {
    let failed = |error: Error| not_writable(location, &error);
    let location = location.to_owned();
    let partitions = config.partitions.unwrap_or(PARTITIONS_DEFAULT);
    let ttl_ms = u64::try_from(config.operation_ttl.as_millis()).unwrap_or(u64::MAX).clamp(1, TTL_MS_MAX);
    let lay_out = async |live: Arc<LiveClient<Client>>| {
        let client = &live.client;
        let is_new: bool = client.hsetnx(META, "format", FORMAT.to_string()).await?;
        for (field, value) in [("partitions", partitions.into()), ("operation_ttl_ms", ttl_ms)] {
            client.hsetnx::<(), _, _, _>(META, field, value.to_string()).await?;
        }
        let format: String = client.hget(META, "format").await?;
        let partitions: String = client.hget(META, "partitions").await?;
        let ttl_ms: String = client.hget(META, "operation_ttl_ms").await?;
        Ok((is_new, format, partitions, ttl_ms))
    };
    let (found, _) = nodes.call_at_start(keys::slot(META), lay_out).await.map_err(failed)?;
    let (is_new, format, stored, stored_ttl_ms) = found;
    if let Ok(stored) = format.parse()
        && (1..FORMAT).contains(&stored)
    {
        return Err(ConnectError::Older { location, stored });
    }
    if format != FORMAT.to_string() {
        return Err(ConnectError::Format { location, stored: format });
    }
    let (stored, stored_ttl_ms): (u32, u64) =
        (stored.parse().unwrap_or(0), stored_ttl_ms.parse().unwrap_or(0));
    if !(1..=PARTITIONS_MAX).contains(&stored) || !(1..=TTL_MS_MAX).contains(&stored_ttl_ms) {
        let stored = format!("{format} with {stored} partitions, {stored_ttl_ms} ms");
        return Err(ConnectError::Format { location, stored });
    }
    if let Some(configured) = config.partitions.filter(|&configured| configured != stored) {
        return Err(ConnectError::Partitions { location, stored, configured });
    }
    let operation_ttl = Duration::from_millis(stored_ttl_ms);
    if stored_ttl_ms < ttl_ms {
        let configured = config.operation_ttl;
        return Err(ConnectError::OperationTtl { location, stored: operation_ttl, configured });
    }
    if stored_ttl_ms > ttl_ms {
        tracing::warn!(redis = %location, stored_ttl_ms, "OPERATION_TTL is shorter than it was at the first start, which stays");
    }
    Ok(Layout { partitions: stored, operation_ttl, is_new })
}
