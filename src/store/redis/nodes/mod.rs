//! The servers that Redis consists of, and how a call finds the right one: [`Nodes`].
//!
//! The client library speaks to one server a client, and never follows a slot. Which server has which slot of a cluster is
//! kept here (`cluster.rs`, `slots.rs`), and so is what a redirection means for a call
//! ([decision 0100](../../../../docs/decisions/0100-route-slots-ourselves.md)).
//!
//! Invariants:
//! - An answer is that of the connection the question was sent on: no call is sent again by the library.
//! - `ASKING` and the call it is for go over a connection of their own, one such pair at a time.
//! - A call that may have taken effect, and was then refused, is in doubt: that is what its caller is told.

mod cluster;
mod connection;
mod redirect;
mod server;
mod slots;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use fred::{
    clients::SubscriberClient,
    error::{Error, ErrorKind},
    interfaces::ClientLike,
    prelude::{Client, Config},
    types::{
        ClusterHash, CustomCommand, Value,
        config::{Server, ServerConfig, TlsHostMapping},
    },
};
use futures::future::join_all;
use tokio::{
    sync::{Mutex as TurnMutex, MutexGuard as TurnGuard, Notify, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use self::{
    cluster::Cluster,
    redirect::FailureAdvice,
    server::{ClientFactory, Node},
    slots::ServerNames,
};
pub(super) use self::{
    connection::{Connection, LiveClient, RECONNECT_PATIENCE},
    server::ConnectionRole,
};
use super::connect_error::{ConnectError, cannot_reach};

/// For how long a call is tried again whose slot is on its way to another server, or whose shard is getting a new
/// primary.
const CALL_PATIENCE: Duration = Duration::from_secs(3);
/// Pause before a call is tried again, doubled each time.
const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));
/// How often a call is sent at most whose connection broke under it.
const SENT_MAX: u32 = 3;
/// How long a start waits for a cluster that some server knows and that does not serve yet: an election takes the
/// node timeout of the cluster, 15 s unless it was set, and some more.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// How often connections are replaced because they lead to a replica.
const FIND_PRIMARY_EVERY: Duration = Duration::from_secs(1);

/// How long a call waits for its turn at a server that a slot is on its way to.
const ASKING_PATIENCE: Duration = Duration::from_secs(1);

/// How long a call is tried.
#[derive(Clone, Copy)]
struct CallTimeouts {
    /// For a connection.
    connecting: Duration,
    /// For a slot that is on its way, or a shard without a primary.
    in_all: Duration,
}

const ORDINARY: CallTimeouts = CallTimeouts { connecting: RECONNECT_PATIENCE, in_all: CALL_PATIENCE };

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

/// What a call came to, and over which connection.
type Completed<T> = (T, Arc<LiveClient<Client>>);

/// How one attempt failed.
enum CallFailure {
    /// It was not sent.
    Unsent(Error),
    /// It was sent to this server.
    Sent(Error, Option<Server>),
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

    /// Does this where the slot is, and over which connection it was done.
    ///
    /// It is done again where the cluster says so, and where a connection broke: it must be something that says the
    /// same twice. An error of the last attempt is told, or, if one before it may have taken effect, that one's.
    pub(super) async fn call<T, F, Fut>(
        &self,
        slot: u16,
        lane: ConnectionRole,
        call: F,
    ) -> Result<Completed<T>, Error>
    where
        F: Fn(Arc<LiveClient<Client>>) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        self.call_patiently(ORDINARY, slot, lane, call).await
    }

    /// The same at a start, which waits for a cluster to become whole.
    pub(super) async fn call_at_start<T, F, Fut>(&self, slot: u16, call: F) -> Result<Completed<T>, Error>
    where
        F: Fn(Arc<LiveClient<Client>>) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let patience = match self.is_cluster() {
            true => CallTimeouts { connecting: START_PATIENCE, in_all: START_PATIENCE },
            false => ORDINARY,
        };
        self.call_patiently(patience, slot, ConnectionRole::Writer, call).await
    }

    async fn call_patiently<T, F, Fut>(
        &self,
        patience: CallTimeouts,
        slot: u16,
        lane: ConnectionRole,
        call: F,
    ) -> Result<Completed<T>, Error>
    where
        F: Fn(Arc<LiveClient<Client>>) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let began = Instant::now();
        let (mut pause, mut sent, mut doubt, mut asking) = (Duration::ZERO, 0, None, None);
        loop {
            let tried = match asking.take() {
                Some(server) => self.ask(&server, &call).await,
                None => self.try_owner(slot, lane, patience.connecting, &call).await,
            };
            let error = match tried {
                Ok(done) => return Ok(done),
                Err(CallFailure::Unsent(error)) if began.elapsed() >= patience.connecting => {
                    return Err(doubt.unwrap_or(error));
                }
                Err(CallFailure::Unsent(_)) => {
                    self.look_soon();
                    None
                }
                Err(CallFailure::Sent(error, server)) => {
                    sent += u32::from(FailureAdvice::after(&error) == FailureAdvice::Broken);
                    match self.learn(&error, slot, server.as_ref()) {
                        AfterFailure::AskThere(server) => {
                            asking = Some(server);
                            continue;
                        }
                        AfterFailure::TryAgain if sent < SENT_MAX => Some(error),
                        AfterFailure::TryAgain | AfterFailure::Nothing => return Err(doubt.unwrap_or(error)),
                    }
                }
            };
            if let Some(error) = error {
                if began.elapsed() >= patience.in_all {
                    return Err(doubt.unwrap_or(error));
                }
                if FailureAdvice::after(&error) == FailureAdvice::Broken {
                    doubt.get_or_insert(error);
                }
            }
            // The first redirection is followed at once.
            sleep(pause).await;
            pause = (pause * 2).clamp(RETRY_PAUSE.0, RETRY_PAUSE.1);
        }
    }

    async fn try_owner<T, F, Fut>(
        &self,
        slot: u16,
        lane: ConnectionRole,
        patience: Duration,
        call: &F,
    ) -> Result<Completed<T>, CallFailure>
    where
        F: Fn(Arc<LiveClient<Client>>) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let run = async |node: &Node, patience| {
            let live = node.lane(lane).live(patience).await.map_err(unsent)?;
            match live.run(call(live.clone())).await {
                Ok(done) => Ok((done, live)),
                Err(error) => Err(CallFailure::Sent(error, node.server.clone())),
            }
        };
        match &self.shape {
            Topology::One(node) => run(node, patience).await,
            Topology::Cluster { cluster, .. } => match cluster.owner(slot) {
                // A server that is gone may have a successor meanwhile: not waited for at length.
                Some(node) => run(&node, RECONNECT_PATIENCE.min(patience) / 4).await,
                None => Err(unsent(Error::new(ErrorKind::IO, "no server of the cluster has these graphs"))),
            },
        }
    }

    /// Does this at a server that the slot is on its way to.
    async fn ask<T, F, Fut>(&self, server: &Server, call: &F) -> Result<Completed<T>, CallFailure>
    where
        F: Fn(Arc<LiveClient<Client>>) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let Topology::Cluster { cluster, .. } = &self.shape else {
            return Err(unsent(Error::new(ErrorKind::Config, "a server that is no cluster redirects")));
        };
        let node = cluster.node(server);
        let mut asking = turn_at(&node.asking).await?;
        let connection = asking.get_or_insert_with(|| {
            let (client, location) = (self.maker.client(Some(server)), self.maker.location(Some(server)));
            Connection::keep(client, location, Arc::default())
        });
        let live = connection.live(RECONNECT_PATIENCE).await.map_err(unsent)?;
        let command = CustomCommand::new_static("ASKING", ClusterHash::Random, false);
        let asked = live.run::<Value>(live.client.custom(command, Vec::<String>::new())).await;
        asked.map_err(unsent)?;
        match live.run(call(live.clone())).await {
            Ok(done) => Ok((done, live)),
            Err(error) => Err(CallFailure::Sent(error, Some(server.clone()))),
        }
    }

    /// What a failed call says about where the slot is.
    fn learn(&self, error: &Error, slot: u16, answered: Option<&Server>) -> AfterFailure {
        let next = FailureAdvice::after(error);
        let Topology::Cluster { cluster, .. } = &self.shape else {
            return match next {
                FailureAdvice::FindPrimary => {
                    self.find_primary();
                    AfterFailure::Nothing
                }
                FailureAdvice::Broken => AfterFailure::TryAgain,
                _ => AfterFailure::Nothing,
            };
        };
        let server = |to: &str| cluster.names().redirected(to, answered?);
        match next {
            FailureAdvice::Moved(to) => {
                if let Some(server) = server(to) {
                    cluster.moved(slot, &server);
                }
                AfterFailure::TryAgain
            }
            FailureAdvice::Asking(to) => server(to).map_or(AfterFailure::Nothing, AfterFailure::AskThere),
            FailureAdvice::Later | FailureAdvice::FindPrimary | FailureAdvice::Broken => {
                cluster.look_soon();
                AfterFailure::TryAgain
            }
            FailureAdvice::GiveUp => AfterFailure::Nothing,
        }
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

/// What is to be done after a failed attempt.
enum AfterFailure {
    TryAgain,
    AskThere(Server),
    Nothing,
}

/// Whoever waits longer than this for others that ask the same server is told that nothing was sent.
async fn turn_at<T>(asking: &TurnMutex<T>) -> Result<TurnGuard<'_, T>, CallFailure> {
    let late =
        || unsent(Error::new(ErrorKind::Timeout, "other calls wait for the server that takes over the slot"));
    timeout(ASKING_PATIENCE, asking.lock()).await.map_err(|_late| late())
}

/// Of a call that was never sent: its caller is told that nothing happened.
fn unsent(error: Error) -> CallFailure {
    CallFailure::Unsent(Error::new(ErrorKind::Routing, error.details().to_owned()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_without_end_for_others_that_ask_the_same_server() {
        let asking = TurnMutex::new(());
        let held = turn_at(&asking).await.ok().expect("nobody else asks");
        assert!(matches!(turn_at(&asking).await, Err(CallFailure::Unsent(_))));
        drop(held);
        assert!(turn_at(&asking).await.is_ok());
    }
}
