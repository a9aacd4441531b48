//! The servers that Redis consists of, and how a call finds the right one: [`Nodes`].
//!
//! The client library speaks to one server a client, and never follows a slot. Which server has which slot of a cluster is
//! kept here (`cluster.rs`, `slots.rs`), and so is what a redirection means for a call (`redirect.rs`,
//! [decision 0100](../../../../docs/decisions/0100-route-slots-ourselves.md)).
//!
//! Invariants:
//! - An answer is that of the connection the question was sent on: no call is sent again by the library.
//! - `ASKING` and the call it is for go over a connection of their own, one such pair at a time.
//!
//! Not here: trying a call again (`call.rs`).

mod call;
mod cluster;
mod connection;
mod redirect;
mod replica_confirmation;
mod server;
mod slots;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use fred::{
    clients::SubscriberClient,
    error::{Error, ErrorKind},
    prelude::{Client, Config},
    types::config::{Server, ServerConfig, TlsHostMapping},
};
use futures::future::join_all;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep},
};
use tokio_util::task::AbortOnDropHandle;

use self::{
    cluster::Cluster,
    server::{ClientFactory, Node},
    slots::ServerNames,
};
pub(super) use self::{
    connection::{Connection, LiveClient, RECONNECT_PATIENCE},
    server::ConnectionRole,
};
use super::connect_error::{ConnectError, cannot_reach};

/// How long a start waits for a cluster that some server knows and that does not serve yet: an election takes the
/// node timeout of the cluster, 15 s unless it was set, and some more.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// How often connections are replaced because they lead to a replica.
const FIND_PRIMARY_EVERY: Duration = Duration::from_secs(1);

enum Topology {
    One(Box<Node>),
    Cluster { cluster: Arc<Cluster>, _following: AbortOnDropHandle<()> },
}

/// Redis, whatever it consists of.
pub(super) struct Nodes {
    maker: ClientFactory,
    shape: Topology,
    /// When connections were last replaced because they led to a replica.
    sought_primary: Mutex<Option<Instant>>,
}

impl Nodes {
    /// Connects; a cluster that does not serve yet is waited for, if one of its servers answers.
    pub(super) async fn connect(address: Config, location: String) -> Result<Self, ConnectError> {
        let maker = ClientFactory { address, location: location.clone() };
        let unreachable = |error: Error| cannot_reach(&location, &error);
        let ServerConfig::Clustered { hosts, .. } = &maker.address.server else {
            let node = Node::keep(&maker, None, Arc::default());
            node.writer.first().await.map_err(unreachable)?;
            node.reader.first().await.map_err(unreachable)?;
            return Ok(Self {
                maker,
                shape: Topology::One(Box::new(node)),
                sought_primary: Mutex::default(),
            });
        };
        let default_host = hosts.first().map(|host| host.host.to_string()).unwrap_or_default();
        let mapping = maker.address.tls.as_ref().map_or(TlsHostMapping::None, |tls| tls.hostnames.clone());
        let cluster = Cluster::new(maker.clone(), ServerNames { mapping, default_host }, hosts.clone());
        let cluster = Arc::new(cluster);
        wait_until_it_serves(&cluster, &location).await?;
        let _following = AbortOnDropHandle::new(tokio::spawn(cluster.clone().follow()));
        let shape = Topology::Cluster { cluster, _following };
        Ok(Self { maker, shape, sought_primary: Mutex::default() })
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.shape, Topology::Cluster { .. })
    }

    fn look_soon(&self) {
        if let Topology::Cluster { cluster, .. } = &self.shape {
            cluster.look_soon();
        }
    }

    /// The address leads to another primary now, while our connections lead to what was one.
    fn find_primary(&self) {
        let Topology::One(node) = &self.shape else { return };
        let mut last = self.sought_primary.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|at| at.elapsed() < FIND_PRIMARY_EVERY) {
            return;
        }
        *last = Some(Instant::now());
        tracing::warn!(redis = %self.maker.location, "Redis is a replica here: reconnecting to find the primary");
        node.writer.reconnect();
        node.reader.reconnect();
    }

    /// The connection for this slot's writes, to look at one server of many; `None` where nobody has the slot.
    pub(super) async fn writer_of(&self, slot: u16) -> Result<Arc<LiveClient<Client>>, Error> {
        let nobody = || Error::new(ErrorKind::Routing, "no server of the cluster has these graphs");
        match &self.shape {
            Topology::One(node) => node.writer.live(RECONNECT_PATIENCE).await,
            Topology::Cluster { cluster, .. } => {
                cluster.owner(slot).ok_or_else(nobody)?.writer.live(RECONNECT_PATIENCE).await
            }
        }
    }

    /// Whether there is a connection to whoever has the slot.
    pub(super) fn is_reached(&self, slot: u16) -> bool {
        match &self.shape {
            Topology::One(node) => node.writer.now().is_some(),
            Topology::Cluster { cluster, .. } => {
                cluster.owner(slot).is_some_and(|node| node.writer.now().is_some())
            }
        }
    }

    /// The connections to all primaries, each with where it is; an error for one that can't be reached.
    pub(super) async fn primaries(&self) -> Vec<(String, Result<Arc<LiveClient<Client>>, Error>)> {
        let all = match &self.shape {
            Topology::One(node) => {
                return vec![(self.maker.location(None), node.writer.live(RECONNECT_PATIENCE).await)];
            }
            Topology::Cluster { cluster, .. } => cluster.primaries(),
        };
        let each = all.iter().map(async |node| {
            (self.maker.location(node.server.as_ref()), node.writer.live(RECONNECT_PATIENCE).await)
        });
        join_all(each).await
    }

    /// A slot of each primary, of these; of one server it is the first of them.
    pub(super) fn one_of_each_primary(&self, mut slots: impl Iterator<Item = u16>) -> Vec<u16> {
        match &self.shape {
            Topology::One(_) => slots.next().into_iter().collect(),
            Topology::Cluster { cluster, .. } => {
                let mut found = vec![];
                let map = cluster.map();
                let slots: Vec<u16> = slots.collect();
                // Slots that nobody has stand for one server that is missing.
                found.extend(slots.iter().copied().find(|slot| map.owner(*slot).is_none()));
                found.extend(map.one_of_each(slots.into_iter()).into_iter().map(|(_, slot)| slot));
                found
            }
        }
    }

    /// Which server has the slot: `None` where nobody does, `Some(None)` where there is no cluster.
    pub(super) fn server_of(&self, slot: u16) -> Option<Option<Server>> {
        match &self.shape {
            Topology::One(_) => Some(None),
            Topology::Cluster { cluster, .. } => cluster.map().owner(slot).cloned().map(Some),
        }
    }

    /// Counts the changes of the slot map; `None` where nothing ever changes.
    pub(super) fn changes(&self) -> Option<watch::Receiver<u64>> {
        match &self.shape {
            Topology::One(_) => None,
            Topology::Cluster { cluster, .. } => Some(cluster.changes()),
        }
    }

    /// A redirection says where this slot is.
    pub(super) fn learn_from(&self, error: &Error, slot: u16, answered: Option<&Server>) {
        let _told = self.learn(error, slot, answered);
    }

    /// Lets go of all connections, after what was asked on them was answered.
    pub(super) async fn close(&self) {
        let of_cluster = match &self.shape {
            Topology::One(node) => return node.close().await,
            Topology::Cluster { cluster, .. } => cluster.primaries(),
        };
        join_all(of_cluster.iter().map(|node| node.close())).await;
    }

    /// A connection to what is published on this server.
    pub(super) fn subscriber(
        &self,
        server: Option<&Server>,
        changed: Arc<Notify>,
    ) -> Connection<SubscriberClient> {
        Connection::keep(self.maker.subscriber(server), self.maker.location(server), changed)
    }
}

/// Waits until the cluster serves. That no server answers at all is told at once.
async fn wait_until_it_serves(cluster: &Cluster, location: &str) -> Result<(), ConnectError> {
    let down = |problem| ConnectError::ClusterDown { location: location.to_owned(), problem };
    let began = Instant::now();
    let mut is_told = false;
    loop {
        let seen = cluster.look(|told| match told {
            Ok(told) if told.is_ok => Ok(None),
            // Slots that were given to nobody are no election: somebody has to give them to a server.
            Ok(told) if !told.map.is_whole() => Err(down(told.problem.clone())),
            Ok(told) => Ok(Some(told.problem.clone())),
            Err(error) => Err(cannot_reach(location, error)),
        });
        let Some(problem) = seen.await? else { return Ok(()) };
        if began.elapsed() >= START_PATIENCE {
            return Err(down(problem));
        }
        if !std::mem::replace(&mut is_told, true) {
            tracing::warn!(redis = location, problem, "the cluster does not serve yet: waiting for it");
        }
        sleep(Duration::from_millis(200)).await;
    }
}
