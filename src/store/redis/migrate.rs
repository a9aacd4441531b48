//! Bringing what an older program laid out in Redis to the format that this program reads, in numbered steps.
//!
//! Invariants: a step can be made twice, and the new format number is written after it: so one that was killed is
//! made again. Histories are never rewritten, for their hashes are over the stored bytes (rule V3).

use std::sync::Arc;

use dao_projections::GraphId;
use fred::{
    error::Error,
    interfaces::{ClientLike, HashesInterface, KeysInterface, StreamsInterface},
    prelude::Client,
    types::{ClusterHash, CustomCommand, Value, scan::ScanType},
};

use super::{
    config::RedisConfig,
    connect,
    connect_error::{ConnectError, cannot_reach, not_writable},
    keys::{self, META, PARTITIONS_MAX, Partition},
    layout::FORMAT,
    nodes::{LiveClient, Nodes},
};
use crate::store::Migrate;

/// Keys that Redis looks at before it answers, so that others wait for no longer than that.
const SCAN_KEYS: u32 = 1_000;

/// Does what is to be done, or only says it. No server may be using this Redis. A store that is current, or not
/// laid out yet, needs nothing.
pub async fn migrate(config: RedisConfig, migrate: Migrate) -> Result<Vec<String>, ConnectError> {
    let (nodes, location) = connect::alone(&config).await?;
    steps(&nodes, &location, migrate).await
}

async fn steps(nodes: &Nodes, location: &str, migrate: Migrate) -> Result<Vec<String>, ConnectError> {
    let Some(stored) = meta(nodes, location, "format").await? else { return Ok(vec![]) };
    let Some(mut at) = stored.parse::<u32>().ok().filter(|at| (1..=FORMAT).contains(at)) else {
        return Err(ConnectError::Format { location: location.to_owned(), stored });
    };
    let mut done = vec![];
    while at < FORMAT {
        done.push(match at {
            1 => {
                let graphs = list_graphs(nodes, location, migrate).await?;
                format!("format 1 to 2: an index of the graphs, {graphs} of them")
            }
            _ => format!("format {at} to {}: commits may hold the events of this release", at + 1),
        });
        at += 1;
        if migrate == Migrate::Make {
            set_format(nodes, location, at).await?;
        }
    }
    Ok(done)
}

async fn set_format(nodes: &Nodes, location: &str, format: u32) -> Result<(), ConnectError> {
    let format = &format.to_string();
    let set = async |live: Arc<LiveClient<Client>>| {
        live.client.hset::<(), _, _>(META, ("format", format.as_str())).await
    };
    let set = nodes.call_at_start(keys::slot(META), set).await;
    set.map(drop).map_err(|error| not_writable(location, &error))
}

async fn meta(nodes: &Nodes, location: &str, field: &str) -> Result<Option<String>, ConnectError> {
    let get =
        async |live: Arc<LiveClient<Client>>| live.client.hget::<Option<String>, _, _>(META, field).await;
    let found = nodes.call_at_start(keys::slot(META), get).await;
    found.map(|(found, _)| found).map_err(|error| not_writable(location, &error))
}

/// From 1 to 2: the graphs of each partition by name, found by the streams of their commits.
async fn list_graphs(nodes: &Nodes, location: &str, migrate: Migrate) -> Result<u64, ConnectError> {
    let partitions = meta(nodes, location, "partitions").await?.unwrap_or_default();
    let Some(partitions) = partitions.parse().ok().filter(|n| (1..=PARTITIONS_MAX).contains(n)) else {
        let stored = format!("1 with {partitions} partitions");
        return Err(ConnectError::Format { location: location.to_owned(), stored });
    };
    let mut found = 0;
    for (_server, primary) in nodes.primaries().await {
        // All of them: a history that is left out would be one that nobody finds.
        let primary = primary.map_err(|error| cannot_reach(location, &error))?;
        let listed = list_on(&primary, nodes, partitions, migrate).await;
        found += listed.map_err(|error| not_writable(location, &error))?;
    }
    Ok(found)
}

/// Those on one primary.
async fn list_on(
    primary: &LiveClient<Client>,
    nodes: &Nodes,
    partitions: u32,
    migrate: Migrate,
) -> Result<u64, Error> {
    let (mut cursor, mut found) = ("0".to_owned(), 0);
    loop {
        let scan = (primary.client).scan_page(
            cursor,
            "dao:{*}:graph:*:events",
            Some(SCAN_KEYS),
            Some(ScanType::Stream),
        );
        let (next, keys): (String, Vec<String>) = primary.run(scan).await?;
        for key in &keys {
            let Some((partition, graph)) = graph_of(key, partitions) else { continue };
            let add = async |live: Arc<LiveClient<Client>>| {
                // A stream that is empty is no history.
                let is_history = live.client.xlen::<u64, _>(partition.events(&graph)).await? > 0;
                if is_history && migrate == Migrate::Make {
                    let add = CustomCommand::new_static("ZADD", ClusterHash::FirstKey, false);
                    let args: Vec<Value> = vec![partition.graphs().into(), "0".into(), graph.as_str().into()];
                    live.client.custom::<(), Value>(add, args).await?;
                }
                Ok(is_history)
            };
            found += u64::from(nodes.call_at_start(partition.slot(), add).await?.0);
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
