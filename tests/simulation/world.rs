//! One simulated world: instances over one store, clients that never give up, and somebody who pulls
//! plugs. Everything in it happens on one thread in paused time and is decided by one seed.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dao_api::{
    domain::{Limits, Operation, WriterId},
    write::{Answer, Graphs, GraphsConfig, WriteError},
};
use dao_projections::{OperationId, Timestamp, Version};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    client::Ask,
    happening::{Happening, Look},
    model::Asked,
    person::Person,
    plan::Plan,
    rng::Rng,
    store::{Shared, SimStore, Trouble},
};

/// No request takes this long, whatever the store does: who waits longer waits for ever.
const HANG: Duration = Duration::from_secs(600);

/// One process.
struct Instance {
    number: usize,
    graphs: Arc<Graphs>,
    death: CancellationToken,
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
        let shared = Arc::new(Mutex::new(Shared { trouble: plan.trouble, ..Shared::default() }));
        let world = Arc::new(Self {
            shared,
            asks: Mutex::default(),
            happened: Mutex::default(),
            instances: Mutex::default(),
            started: Mutex::new((0, rng.fork())),
            requests: Mutex::default(),
            readings: Arc::default(),
            birth: Instant::now(),
            plan,
        });
        let instances = (0..world.plan.instances).map(|_| world.start()).collect();
        *world.instances.lock().unwrap() = instances;
        world
    }

    async fn live(self: &Arc<Self>, mut rng: Rng) {
        if self.plan.is_heavy || rng.chance(80) {
            self.furnish().await;
        }
        let clients: Vec<_> = (0..self.plan.clients)
            .map(|n| tokio::spawn(Person::new(self.clone(), n, rng.fork()).live()))
            .collect();
        let chaos = tokio::spawn(pull_plugs(self.clone(), rng.fork()));
        for client in clients {
            client.await.unwrap();
        }
        chaos.abort();
        // Everything heals; what is still on the wire lands; everybody asks once more.
        self.shared.lock().unwrap().trouble = Trouble::default();
        sleep(Duration::from_secs(5)).await;
        for slot in 0..self.plan.instances {
            self.bury_if_dead(slot);
        }
        let count = self.asks.lock().unwrap().len();
        for index in 0..count {
            let slot = rng.index(self.plan.instances);
            self.send(slot, vec![index]).await;
        }
        for graph in 0..self.plan.graphs.len() {
            self.look(rng.index(self.plan.instances), graph, 0).await;
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
                let asked = Asked { kind, payload, client_version: None, on_conflict: "merge" };
                let id = OperationId::from(uuid::Uuid::from_u64_pair(0, (graph * 100 + step) as u64));
                let (user, client) = ("eve".to_owned(), "eve".to_owned());
                let index = {
                    let mut asks = self.asks.lock().unwrap();
                    asks.push(Ask { id, graph, user, client, is_batch: false, members: vec![asked] });
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
        let store = SimStore::new(self.shared.clone(), rng.fork(), death.clone());
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
        };
        let (idle, hot_max) = (self.plan.idle, self.plan.hot_max);
        let writer = WriterId((number as u32).to_be_bytes());
        let config = GraphsConfig { limits, idle, hot_max, clock: Arc::new(clock), rows: None, writer };
        Arc::new(Instance { number, graphs: Graphs::new(Arc::new(store), config), death })
    }

    fn note(&self, happening: Happening) -> usize {
        let mut happened = self.happened.lock().unwrap();
        happened.push(happening);
        happened.len() - 1
    }

    fn instance(&self, slot: usize) -> Arc<Instance> {
        self.instances.lock().unwrap()[slot].clone()
    }

    fn bury_if_dead(&self, slot: usize) {
        let dead = self.instance(slot);
        if dead.death.is_cancelled() {
            self.note(Happening::Died { instance: dead.number });
            self.instances.lock().unwrap()[slot] = self.start();
        }
    }

    /// Sends these to the instance in this slot, in one request; the answers, if there are any.
    pub async fn send(&self, slot: usize, asks: Vec<usize>) -> Option<Vec<Answer>> {
        let instance = self.instance(slot);
        let request = {
            let mut requests = self.requests.lock().unwrap();
            *requests += 1;
            *requests
        };
        let (graph, operations) = {
            let known = self.asks.lock().unwrap();
            let operations: Vec<Operation> = asks.iter().map(|index| known[*index].operation()).collect();
            (self.plan.graphs[known[asks[0]].graph].clone(), operations)
        };
        self.note(Happening::Sent { request, asks, instance: instance.number });
        let answered = tokio::select! {
            biased;
            () = instance.death.cancelled() => {
                self.note(Happening::Failed { request, error: "died".to_owned() });
                return None;
            }
            answered = timeout(HANG, instance.graphs.execute(&graph, operations)) => answered,
        };
        match answered {
            Ok(Ok(answers)) => {
                self.note(Happening::Answered { request, answers: answers.clone() });
                return Some(answers);
            }
            Ok(Err(error)) => {
                let what_happened = match &error {
                    WriteError::StoreUnavailable(_) => "unavailable".to_owned(),
                    WriteError::Contended => "contended".to_owned(),
                    other => format!("unexpected: {other}"),
                };
                self.note(Happening::Failed { request, error: what_happened });
            }
            Err(_elapsed) => {
                self.note(Happening::Hung { request });
            }
        }
        None
    }

    /// Reads a graph through the instance in this slot, and what it has in memory after `since`.
    pub async fn look(&self, slot: usize, graph: usize, since: u64) -> Option<Look> {
        let instance = self.instance(slot);
        let id = &self.plan.graphs[graph];
        let asked = self.note(Happening::LookedFor);
        let view = tokio::select! {
            biased;
            () = instance.death.cancelled() => return None,
            view = timeout(HANG, instance.graphs.refresh(id)) => view.expect("a read hangs").ok()?,
        };
        let recent = instance.graphs.hot(id).commits_since(Version::new(since).unwrap(), 20);
        let look = Look {
            graph,
            version: view.graph.head().version.get(),
            hash: view.graph.head().hash.to_hex(),
            nodes: view.graph.nodes().iter().map(|node| Value::Object(node.entity.to_json())).collect(),
            edges: view.graph.edges().iter().map(|edge| Value::Object(edge.entity.to_json())).collect(),
            viewport: view.graph.viewport().to_json(),
            recent: recent.map(|(from, commits)| {
                let hashes = commits.iter().map(|recorded| recorded.commit.hash.to_hex());
                (since, [from.hash.to_hex()].into_iter().chain(hashes).collect())
            }),
        };
        self.note(Happening::Saw { asked, look: look.clone() });
        Some(look)
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
            tokio::spawn(async move { instance.graphs.close().await });
        }
        world.bury_if_dead(slot);
    }
}
