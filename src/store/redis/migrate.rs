//! Bringing what an older program laid out in Redis to the format that this program reads, in numbered steps.
//!
//! Invariants: a step can be made twice, and the new format number is written after it: so one that was killed is
//! made again. Histories are never rewritten, for their hashes are over the stored bytes (rule V3).

use dao_projections::GraphId;
use fred::{
    error::Error,
    interfaces::{ClientLike, ClusterInterface, HashesInterface, KeysInterface, StreamsInterface},
    prelude::Client,
    types::{ClusterHash, CustomCommand, Value, scan::ScanType},
};

use super::{
    connect::{self, FORMAT, RedisConfig},
    keys::{META, PARTITIONS_MAX, Partition},
    refused::{ConnectError, not_writable},
};
use crate::store::Migrate;

/// Keys that Redis looks at before it answers, so that others wait for no longer than that.
const SCAN_KEYS: u32 = 1_000;

/// Does what is to be done, or only says it. No server may be using this Redis. A store that is current, or not
/// laid out yet, needs nothing.
pub async fn migrate(config: RedisConfig, migrate: Migrate) -> Result<Vec<String>, ConnectError> {
    let (client, location) = connect::alone(&config).await?;
    let done = steps(&client, &location, migrate).await;
    if let Err(error) = client.quit().await {
        tracing::debug!(error = error.details(), "leaving Redis");
    }
    done
}

async fn steps(client: &Client, location: &str, migrate: Migrate) -> Result<Vec<String>, ConnectError> {
    let failed = |error: Error| not_writable(location, &error);
    let stored: Option<String> = client.hget(META, "format").await.map_err(failed)?;
    let Some(stored) = stored else { return Ok(vec![]) };
    let mut done = vec![];
    match stored.parse::<u32>() {
        Ok(FORMAT) => {}
        Ok(1) => {
            let graphs = list_graphs(client, location, migrate).await?;
            done.push(format!("format 1 to 2: an index of the graphs, {graphs} of them"));
            if migrate == Migrate::Make {
                client.hset::<(), _, _>(META, ("format", "2")).await.map_err(failed)?;
            }
        }
        _ => return Err(ConnectError::Format { location: location.to_owned(), stored }),
    }
    Ok(done)
}

/// From 1 to 2: the graphs of each partition by name, found by the streams of their commits.
async fn list_graphs(client: &Client, location: &str, migrate: Migrate) -> Result<u64, ConnectError> {
    let failed = |error: Error| not_writable(location, &error);
    let partitions: u32 = client.hget(META, "partitions").await.map_err(failed)?;
    if !(1..=PARTITIONS_MAX).contains(&partitions) {
        let stored = format!("1 with {partitions} partitions");
        return Err(ConnectError::Format { location: location.to_owned(), stored });
    }
    let mut found = 0;
    if client.is_clustered() {
        let primaries = client.cached_cluster_state().map(|state| state.unique_primary_nodes());
        for primary in primaries.unwrap_or_default() {
            let node = client.with_cluster_node(primary);
            found += list_on(&node, client, partitions, migrate).await.map_err(failed)?;
        }
    } else {
        found += list_on(client, client, partitions, migrate).await.map_err(failed)?;
    }
    Ok(found)
}

/// Those on one primary.
async fn list_on<C: KeysInterface + Sync>(
    primary: &C,
    client: &Client,
    partitions: u32,
    migrate: Migrate,
) -> Result<u64, Error> {
    let (mut cursor, mut found) = ("0".to_owned(), 0);
    loop {
        let (next, keys): (String, Vec<String>) = primary
            .scan_page(cursor, "dao:{*}:graph:*:events", Some(SCAN_KEYS), Some(ScanType::Stream))
            .await?;
        for key in &keys {
            let Some((partition, graph)) = graph_of(key, partitions) else { continue };
            // A stream that is empty is no history.
            if client.xlen::<u64, _>(partition.events(&graph)).await? == 0 {
                continue;
            }
            found += 1;
            if migrate == Migrate::Make {
                let add = CustomCommand::new_static("ZADD", ClusterHash::FirstKey, false);
                let args: Vec<Value> = vec![partition.graphs().into(), "0".into(), graph.as_str().into()];
                client.custom::<(), Value>(add, args).await?;
            }
        }
        if next == "0" {
            return Ok(found);
        }
        cursor = next;
    }
}

/// The graph whose commits this key holds, if it is one of this store's.
fn graph_of(key: &str, partitions: u32) -> Option<(Partition, GraphId)> {
    let (number, rest) = key.strip_prefix("dao:{")?.split_once("}:graph:")?;
    let graph = GraphId::parse(rest.strip_suffix(":events")?).ok()?;
    let partition = Partition::of(&graph, partitions);
    (number.parse() == Ok(partition.number())).then_some((partition, graph))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_streams_of_commits_name_graphs() {
        let graph = |key: &str| graph_of(key, 64).map(|(_, graph)| graph.to_string());
        assert_eq!(graph("dao:{3}:graph:123456789:events"), Some("123456789".to_owned()));
        assert_eq!(graph("dao:{4}:graph:123456789:events"), None, "another partition");
        assert_eq!(graph("dao:{3}:graph:123456789:refusals"), None);
        assert_eq!(graph("dao:{3}:feed"), None);
    }
}
