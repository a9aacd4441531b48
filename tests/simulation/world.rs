//! One simulated world: instances over one store, clients that never give up, and somebody who pulls
//! plugs. Everything in it happens on one thread in paused time and is decided by one seed.

mod healing;
mod requests;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use dao_api::{
    domain::{Limits, WriterId},
    live::{FollowedGraphs, LiveConfig, PacingConfig},
    store::ProjectionStore,
    write::{Graphs, GraphsConfig},
};
use dao_projections::{GraphId, Head, OperationId, Timestamp};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    client::Ask,
    durable::Shared,
    happening::Happening,
    model::Asked,
    person::Person,
    plan::Plan,
    projectors,
    rng::Rng,
    store::SimStore,
    subscriber::{self, Subscriber},
    upheaval,
};

/// No request takes this long, whatever the store does: who waits longer waits for ever.
pub const HANG: Duration = Duration::from_secs(600);

/// When all is well again everybody is level before this: a failure is tried again after half a minute
/// at most, a graph that could not be projected after one, and heads are not compared for an hour
/// where all depends on hints.
const LEVEL_AFTER: Duration = Duration::from_secs(300);

/// One process.
pub struct Instance {
    number: usize,
    pub graphs: Arc<Graphs>,
    pub hub: FollowedGraphs,
    pub death: CancellationToken,
    /// It closes: those who follow graphs here are told to go.
    pub leaving: CancellationToken,
}

/// The world, and what has happened in it.
pub struct World {
    pub plan: Plan,
    pub shared: Arc<Mutex<Shared>>,
    pub asks: Mutex<Vec<Ask>>,
    pub happened: Mutex<Vec<Happening>>,
    instances: Mutex<Vec<Arc<Instance>>>,
    started: Mutex<(usize, Rng)>,
    requests: Mutex<usize>,
    readings: Arc<AtomicU64>,
    birth: Instant,
    /// From now on nothing fails any more, and nobody goes away.
    pub healed: CancellationToken,
    pub over: CancellationToken,
    /// Of each subscriber: which graph, and what it has; nothing while it is away.
    stands: Mutex<Vec<(usize, Option<Head>)>>,
    numbers: AtomicUsize,
}

/// Runs the world of this seed to its end, on this thread.
pub fn run(seed: u64) -> Arc<World> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut rng = Rng::new(seed);
        let world = World::new(&mut rng);
        world.live(rng).await;
        world
    })
}

impl World {
    fn new(rng: &mut Rng) -> Arc<Self> {
        let plan = Plan::draw(rng);
        let mut shared = Shared::new(rng.fork(), plan.trouble, plan.loses_silently);
        shared.pieces = plan.pieces;
        let shared = Arc::new(Mutex::new(shared));
        let world = Arc::new(Self {
            shared,
            asks: Mutex::default(),
            happened: Mutex::default(),
            instances: Mutex::default(),
            started: Mutex::new((0, rng.fork())),
            requests: Mutex::default(),
            readings: Arc::default(),
            birth: Instant::now(),
            healed: CancellationToken::new(),
            over: CancellationToken::new(),
            stands: Mutex::new(vec![(0, None); plan.subscribers]),
            numbers: AtomicUsize::new(1_000),
            plan,
        });
        let instances = (0..world.plan.instances).map(|_| world.start()).collect();
        *world.instances.lock().unwrap() = instances;
        world
    }

    async fn live(self: &Arc<Self>, mut rng: Rng) {
        self.remember(&mut rng.fork());
        if self.plan.workers > 0 && rng.chance(80) {
            projectors::project_the_past(self, &mut rng).await;
        }
        if self.plan.is_heavy || rng.chance(80) {
            self.furnish().await;
        }
        let clients: Vec<_> = (0..self.plan.clients)
            .map(|n| tokio::spawn(Person::new(self.clone(), n, rng.fork()).live()))
            .collect();
        let subscribers = (0..self.plan.subscribers).map(|n| Subscriber::new(self.clone(), n, rng.fork()));
        let mut followers = vec![tokio::spawn(subscriber::live_all(subscribers.collect()))];
        for slot in 0..self.plan.workers {
            followers.push(tokio::spawn(projectors::work(self.clone(), slot, rng.fork())));
        }
        let chaos = tokio::spawn(pull_plugs(self.clone(), rng.fork()));
        let rage = self.plan.has_upheavals.then(|| tokio::spawn(upheaval::rage(self.clone(), rng.fork())));
        for client in clients {
            client.await.unwrap();
        }
        chaos.abort();
        rage.inspect(|rage| rage.abort());
        self.heal(&mut rng).await;
        self.over.cancel();
        for follower in followers {
            follower.await.unwrap();
        }
        if self.plan.workers > 0 && !self.is_blamed() {
            projectors::check_lag(self, 0, &mut rng).await;
            let graph = &self.plan.graphs[0];
            let before = self.shared.lock().unwrap().graphs.get(graph).map_or(0, |log| log.commits.len());
            self.touch(0, 1).await;
            let now = self.shared.lock().unwrap().graphs[graph].commits.len();
            projectors::check_lag(self, (now - before) as u64, &mut rng).await;
        }
    }

    /// What is there before anybody comes.
    fn remember(&self, rng: &mut Rng) {
        let mut shared = self.shared.lock().unwrap();
        for graph in &self.plan.graphs {
            let count = rng.below(self.plan.prehistory + 1);
            upheaval::write(&mut shared, graph, count, rng);
        }
        if self.plan.has_poison {
            upheaval::poison(&mut shared, &poisoned(), rng);
        }
    }

    /// Gives everybody something to disagree about; where the plan says so, beyond all memory.
    async fn furnish(&self) {
        for graph in 0..self.plan.graphs.len() {
            let nodes = [
                json!({"id": "n0"}),
                json!({"id": "n1", "data": {"label": 0}}),
                json!({"id": "n2"}),
                json!({"id": "n3"}),
            ];
            let edge = json!({"id": "e0", "source": "n0", "target": "n1"});
            let mut script = vec![("BATCH_UPDATE", json!({"nodes": nodes, "edges": [edge]}))];
            if self.plan.is_heavy {
                script.push(("UPDATE_NODE", json!({"nodeId": "n0", "updates": {"data": {"label": 1}}})));
                script.push(("DELETE_NODE", json!({"nodeId": "n1"})));
                script.push(("CREATE_NODE", json!({"id": "n1"})));
                script.push(("DELETE_NODE", json!({"nodeId": "n3"})));
                for fill in ["u", "v", "w", "x", "y"] {
                    let updates = json!({"pad": fill.repeat(240_000)});
                    script.push(("UPDATE_NODE", json!({"nodeId": "n2", "updates": updates})));
                }
                script.push(("UPDATE_NODE", json!({"nodeId": "n2", "updates": {"pad": null}})));
            }
            for (step, (kind, payload)) in script.into_iter().enumerate() {
                let asked =
                    Asked { kind, payload, client_version: None, client_hash: None, on_conflict: "merge" };
                let id = OperationId::from(uuid::Uuid::from_u64_pair(0, (graph * 100 + step) as u64));
                let (user, client, is_named) = ("eve".to_owned(), "eve".to_owned(), false);
                let index = {
                    let mut asks = self.asks.lock().unwrap();
                    asks.push(Ask {
                        id,
                        graph,
                        user,
                        client,
                        is_named,
                        is_batch: false,
                        members: vec![asked],
                    });
                    asks.len() - 1
                };
                self.send(0, vec![index]).await;
                self.bury_if_dead(0);
            }
        }
    }

    /// A new process, with a clock of its own that sometimes goes backwards.
    fn start(&self) -> Arc<Instance> {
        let (number, mut rng) = {
            let mut started = self.started.lock().unwrap();
            started.0 += 1;
            (started.0, started.1.fork())
        };
        let death = CancellationToken::new();
        let store = SimStore::new(self.shared.clone(), rng.fork(), death.clone(), number);
        let store = Arc::new(store);
        let (skew, birth) = (rng.below(5_000), self.birth);
        let (wobble, readings) = (Mutex::new(rng), self.readings.clone());
        // No two readings are equal, so that no two writers write the same bytes by chance.
        let clock = move || {
            let reading = readings.fetch_add(1, Ordering::Relaxed) % 1_000;
            let back = wobble.lock().unwrap().below(300);
            let millis = 1_000_000 + skew + birth.elapsed().as_millis() as u64 - back;
            Timestamp(millis * 1_000 + reading)
        };
        let bounds = self.plan.bounds;
        let limits = Limits {
            entity_bytes_max: bounds.entity_bytes,
            nodes_max: bounds.nodes,
            edges_max: bounds.edges,
            ..Limits::default()
        };
        let (idle, hot_max) = (self.plan.idle, self.plan.hot_max);
        let writer = WriterId((number as u32).to_be_bytes());
        let rows = (self.plan.workers > 0).then(|| store.clone() as Arc<dyn ProjectionStore>);
        let clock = Arc::new(clock);
        let config = GraphsConfig { limits, idle, hot_max, clock, rows, writer, ..GraphsConfig::default() };
        let graphs = Graphs::new(store, config);
        // From the first commit on, if there is a pause at all.
        let deliveries_per_second = if self.plan.pause.is_zero() { u64::MAX } else { 0 };
        let pacing = PacingConfig { deliveries_per_second, pause: self.plan.pause };
        let live = LiveConfig { heads_every: self.plan.heads_every, pacing, ..LiveConfig::default() };
        let hub = FollowedGraphs::new(graphs.clone(), live);
        Arc::new(Instance { number, graphs, hub, death, leaving: CancellationToken::new() })
    }

    /// For whatever has a connection of its own to the store.
    pub fn next_number(&self) -> usize {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub fn remark(&self, what: &'static str, text: String) {
        self.note(Happening::Remark(what, text));
    }

    /// Where this subscriber is; nowhere while it is away.
    pub fn stand(&self, subscriber: usize, graph: usize, head: Option<Head>) {
        self.stands.lock().unwrap()[subscriber] = (graph, head);
    }

    /// Waits for this long; when all is well, until the end of the world.
    pub async fn wait_unless_healed(&self, time: Duration) {
        tokio::select! {
            biased;
            () = self.healed.cancelled() => self.over.cancelled().await,
            () = sleep(time) => {}
        }
    }

    fn note(&self, happening: Happening) -> usize {
        let mut happened = self.happened.lock().unwrap();
        happened.push(happening);
        happened.len() - 1
    }

    pub fn instance(&self, slot: usize) -> Arc<Instance> {
        self.instances.lock().unwrap()[slot].clone()
    }

    fn bury_if_dead(&self, slot: usize) {
        let dead = self.instance(slot);
        if dead.death.is_cancelled() {
            self.note(Happening::Died { instance: dead.number });
            self.instances.lock().unwrap()[slot] = self.start();
        }
    }
}

/// Kills, closes and replaces instances, at any moment.
async fn pull_plugs(world: Arc<World>, mut rng: Rng) {
    loop {
        sleep(Duration::from_millis(rng.below(120))).await;
        let slot = rng.index(world.plan.instances);
        let instance = world.instance(slot);
        if world.plan.trouble.crash > 0 && rng.chance(10) {
            instance.death.cancel();
        } else if rng.chance(4) {
            // A good end: everything that waits is answered, while a new one takes over.
            world.instances.lock().unwrap()[slot] = world.start();
            tokio::spawn(close(world.clone(), instance));
        }
        world.bury_if_dead(slot);
    }
}

/// Nothing is left to wait for once everybody has gone.
async fn close(world: Arc<World>, instance: Arc<Instance>) {
    instance.leaving.cancel();
    let closing = async {
        instance.hub.close().await;
        instance.graphs.close().await;
    };
    let closed = tokio::select! {
        biased;
        () = instance.death.cancelled() => return,
        closed = timeout(HANG, closing) => closed,
    };
    if closed.is_err() {
        world.shared.lock().unwrap().blame("an instance does not close");
    }
}

/// The graph that nobody can read.
fn poisoned() -> GraphId {
    "poisoned".parse().unwrap()
}
