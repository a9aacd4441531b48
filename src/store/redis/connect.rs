//! Starting: how Redis is named and connected to. What is checked then is in `startup_checks.rs`, why it can be refused in
//! `connect_error.rs`.
//!
//! Invariant: a store that was made has talked to a Redis that is new enough, never evicts, takes
//! writes, lets us do all we do, and is laid out as this program lays it out.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
};

use fred::prelude::{Client, Config};

use super::{
    address,
    config::RedisConfig,
    connect_error::{ConnectError, not_writable},
    index::Index,
    keys::{self, META, PARTITIONS_MAX},
    message::Publisher,
    nodes::{LiveClient, Nodes},
    publication_reader::PublicationReader,
    read_side_scripts::ReadSideScripts,
    redis_store::RedisStore,
    scripts::Scripts,
    startup_checks,
};

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
        let read_side = ReadSideScripts::new();
        nodes
            .call_at_start(keys::slot(META), async |live: Arc<LiveClient<Client>>| {
                scripts.load(&live.client).await?;
                read_side.load(&live.client).await
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
            read_side,
            impaired: Mutex::default(),
            partitions: layout.partitions,
            durability,
            location,
        })
    }
}

pub(super) fn parse(config: &RedisConfig) -> Result<Config, ConnectError> {
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
