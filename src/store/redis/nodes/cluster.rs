//! The servers of a cluster, and which of them has which slot: [`Cluster`].
//!
//! Invariants:
//! - The map is what a server of the cluster told, and of several the one with the highest epoch; a redirection
//!   changes one slot of it at once.
//! - A server that has no slots any more is let go of, and with it whatever waits for its answer.
//!
//! Not here: what a redirection means for a call ([`super::Nodes::call`]).

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use fred::{
    error::{Error, ErrorKind},
    interfaces::ClientLike,
    prelude::Client,
    types::{ClusterHash, CustomCommand, Value, config::Server},
};
use futures::future::{join, join_all};
use tokio::{
    sync::{Mutex as TurnMutex, Notify, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    ClientFactory, Node,
    connection::LiveClient,
    slots::{ServerNames, SlotMap},
};

/// How long a server may take to tell what it knows of the cluster.
const ANSWER_PATIENCE: Duration = Duration::from_millis(500);
/// How often the cluster is asked for its slots without a cause.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often while a slot has no owner, or its owner can't be reached.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// Pause between two looks at the least, however many are redirected.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// For how long a server is kept that a redirection named and that has no slot yet.
const NAMED_KEPT: Duration = Duration::from_secs(10);

/// What one server knows of its cluster.
pub(super) struct ClusterView {
    pub(super) map: SlotMap,
    /// It is part of the cluster, and the cluster serves.
    pub(super) is_ok: bool,
    pub(super) epoch: u64,
    /// What it says of itself where the cluster does not serve.
    pub(super) problem: String,
}

struct ClusterState {
    map: SlotMap,
    nodes: HashMap<Server, Arc<Node>>,
}

/// A cluster as it is known here.
pub(in super::super) struct Cluster {
    maker: ClientFactory,
    names: ServerNames,
    /// The servers that were named in the configuration: asked when no other answers.
    seeds: Vec<Server>,
    /// Held to look up or change an entry, never across an await.
    state: RwLock<ClusterState>,
    /// Told when a look is due: a redirection, a connection that ended.
    look: Arc<Notify>,
    /// Who is looking, and when the last look ended.
    turn: TurnMutex<Option<Instant>>,
    /// Counts the changes of the map.
    changes: watch::Sender<u64>,
}

impl Cluster {
    pub(super) fn new(maker: ClientFactory, names: ServerNames, seeds: Vec<Server>) -> Self {
        let state = ClusterState { map: SlotMap::empty(), nodes: HashMap::new() };
        let (look, turn, changes) = (Arc::default(), TurnMutex::default(), watch::Sender::new(0));
        Self { maker, names, seeds, state: RwLock::new(state), look, turn, changes }
    }

    pub(super) fn names(&self) -> &ServerNames {
        &self.names
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn map(&self) -> SlotMap {
        self.read().map.clone()
    }

    /// The server that has this slot, as far as is known.
    pub(super) fn owner(&self, slot: u16) -> Option<Arc<Node>> {
        let state = self.read();
        state.nodes.get(state.map.owner(slot)?).cloned()
    }

    /// This server, whether or not it has slots.
    pub(super) fn node(&self, server: &Server) -> Arc<Node> {
        if let Some(node) = self.read().nodes.get(server) {
            return node.clone();
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.nodes.entry(server.clone()).or_insert_with(|| self.begin(server)).clone()
    }

    /// The servers that have slots.
    pub(super) fn primaries(&self) -> Vec<Arc<Node>> {
        let state = self.read();
        state.map.primaries().iter().filter_map(|server| state.nodes.get(server).cloned()).collect()
    }

    fn begin(&self, server: &Server) -> Arc<Node> {
        Arc::new(Node::keep(&self.maker, Some(server.clone()), self.look.clone()))
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, ClusterState> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A redirection says which server has the slot.
    pub(super) fn moved(&self, slot: u16, to: &Server) {
        self.node(to);
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            if state.map.owner(slot) != Some(to) {
                state.map = state.map.moved(slot, to);
            }
        }
        self.changes.send_modify(|changes| *changes += 1);
        self.look_soon();
    }

    /// What is known may be wrong: somebody looks soon.
    pub(super) fn look_soon(&self) {
        self.look.notify_one();
    }

    /// Keeps asking the cluster for its slots.
    pub(super) async fn follow(self: Arc<Self>) {
        loop {
            let is_well = {
                let state = self.read();
                let is_reached =
                    |server| state.nodes.get(server).is_some_and(|node| node.writer.now().is_some());
                state.map.is_whole() && state.map.primaries().iter().all(is_reached)
            };
            let pause = if is_well { LOOK_EVERY } else { LOOK_AGAIN_AFTER };
            tokio::select! {
                () = self.look.notified() => {}
                () = sleep(pause) => {}
            }
            self.look(|_| ()).await;
        }
    }

    /// Asks every server for the slots, and takes the answer with the highest epoch. `seen` is shown it.
    pub(super) async fn look<T>(&self, seen: impl FnOnce(Result<&ClusterView, &Error>) -> T) -> T {
        let mut last = self.turn.lock().await;
        if let Some(at) = *last {
            sleep(LOOK_PAUSE.saturating_sub(at.elapsed())).await;
        }
        let told = self.ask_all().await;
        if let Ok(told) = &told {
            self.take(told);
        }
        *last = Some(Instant::now());
        seen(told.as_ref())
    }

    async fn ask_all(&self) -> Result<ClusterView, Error> {
        let connected: Vec<(Server, Arc<LiveClient<Client>>)> = {
            let state = self.read();
            let now = |(server, node): (&Server, &Arc<Node>)| Some((server.clone(), node.reader.now()?));
            state.nodes.iter().filter_map(now).collect()
        };
        let asked = connected.iter().map(|(server, live)| self.ask(live, server));
        let told = join_all(asked).await.into_iter().filter_map(Result::ok);
        match told.max_by_key(|told| (told.is_ok, told.epoch, told.map.covered())) {
            Some(best) => Ok(best),
            None => self.ask_strangers().await,
        }
    }

    /// Asks those who were named in the configuration, and whoever else the map names, over connections made for it.
    async fn ask_strangers(&self) -> Result<ClusterView, Error> {
        let mut servers = self.seeds.clone();
        servers.extend(self.map().servers().filter(|server| !self.seeds.contains(server)).cloned());
        let asked = servers.iter().map(async |server| {
            let node = Node::keep(&self.maker, Some(server.clone()), Arc::default());
            self.ask(&*node.reader.first().await?, server).await
        });
        let (mut best, mut problem) = (None::<ClusterView>, None);
        for answer in join_all(asked).await {
            match answer {
                Ok(told) if best.as_ref().is_none_or(|b| (b.is_ok, b.epoch) < (told.is_ok, told.epoch)) => {
                    best = Some(told);
                }
                Ok(_) => {}
                Err(error) => problem = Some(error),
            }
        }
        best.ok_or_else(|| problem.unwrap_or_else(|| Error::new(ErrorKind::IO, "no server answers")))
    }

    async fn ask(&self, live: &LiveClient<Client>, server: &Server) -> Result<ClusterView, Error> {
        let command = || CustomCommand::new_static("CLUSTER", ClusterHash::Random, false);
        let slots = live.run::<Value>(live.client.custom(command(), vec!["SLOTS"]));
        let info = live.run::<String>(live.client.custom(command(), vec!["INFO"]));
        let late = |_| Error::new(ErrorKind::Timeout, "no answer");
        let (slots, info) = timeout(ANSWER_PATIENCE, join(slots, info)).await.map_err(late)?;
        let (slots, info) = (slots?, info?);
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let unread = || Error::new(ErrorKind::Protocol, "what CLUSTER SLOTS says is not understood");
        Ok(ClusterView {
            map: SlotMap::read(&slots, server, &self.names).ok_or_else(unread)?,
            is_ok: field("cluster_state:") == "ok",
            epoch: field("cluster_current_epoch:").parse().unwrap_or(0),
            problem: format!("{} of 16384 slots are served", field("cluster_slots_ok:")),
        })
    }

    /// The map is this one now.
    fn take(&self, told: &ClusterView) {
        let mut gone = Vec::new();
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            for server in told.map.primaries() {
                state.nodes.entry(server.clone()).or_insert_with(|| self.begin(server));
            }
            let is_kept = |server: &Server, node: &Arc<Node>| {
                told.map.primaries().contains(server) || node.began.elapsed() < NAMED_KEPT
            };
            state.nodes.retain(|server, node| {
                let keep = is_kept(server, node);
                if !keep {
                    gone.push(node.clone());
                }
                keep
            });
            state.map = told.map.clone();
        }
        // Outside of the lock: letting go of them ends what waits for them.
        drop(gone);
        self.changes.send_modify(|changes| *changes += 1);
    }
}
