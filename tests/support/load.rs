//! Clients under load, and what became of each operation that any of them sent.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dao_api::store::EventStore;
use dao_projections::CommitBody;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{
    graph::{command, new_id, with},
    history::{assert_is_a_history, graph, read_all},
    http::{Client, Reply},
    server::Process,
    stream::Stream,
};

/// What is not over in this time is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// An operation that somebody sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) graph: &'static str,
    pub(crate) envelope: Value,
    /// The version it was acknowledged with.
    pub(crate) acknowledged: Option<u64>,
}

/// Every operation that was ever sent, by its id.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<HashMap<String, Sent>>>);

impl Ledger {
    pub(crate) fn sending(&self, graph: &'static str, envelope: &Value) -> String {
        let id = envelope["operationId"].as_str().unwrap().to_owned();
        let sent = Sent { graph, envelope: envelope.clone(), acknowledged: None };
        self.0.lock().unwrap().insert(id.clone(), sent);
        id
    }

    pub(crate) fn acknowledged(&self, id: &str, reply: &Reply) {
        let answer = reply.json();
        assert_eq!(answer["operationId"], id);
        assert_ne!(answer["outcome"], "unchanged", "each changes something");
        self.0.lock().unwrap().get_mut(id).unwrap().acknowledged = answer["version"].as_u64();
    }

    pub(crate) fn all(&self) -> Vec<(String, Sent)> {
        self.0.lock().unwrap().iter().map(|(id, sent)| (id.clone(), sent.clone())).collect()
    }

    pub(crate) fn unanswered(&self) -> Vec<(String, Sent)> {
        self.all().into_iter().filter(|(_, sent)| sent.acknowledged.is_none()).collect()
    }
}

/// The `n`th command of a client. Each changes something, whatever became of the others.
pub(crate) fn nth(client: usize, round: usize, n: usize) -> Value {
    let name = format!("{client}-{round}-{n}");
    let envelope = match n % 3 {
        0 => command("CREATE_NODE", json!({"id": name, "data": {"n": n}})),
        1 => command("SET_VIEWPORT", json!({"x": client * 1_000 + round, "y": n, "zoom": 1})),
        _ => command("BATCH_UPDATE", json!({"nodes": {name.clone(): {}, (name + "'"): {}}})),
    };
    with(&envelope, json!({"operationId": new_id(), "clientId": client.to_string()}))
}

/// Waits until `count` operations more are acknowledged.
pub(crate) async fn wait_for(acknowledged: &mut mpsc::UnboundedReceiver<()>, count: usize) {
    for _ in 0..count {
        acknowledged.recv().await.expect("clients that still send");
    }
}

/// Recomputes the chains of these graphs from the stored bytes, and returns which operation is which commit. No
/// operation is there twice.
pub(crate) async fn operations_in(store: &dyn EventStore, graphs: &[&str]) -> HashMap<String, u64> {
    let mut found = HashMap::new();
    for name in graphs {
        let commits = read_all(store, &graph(name)).await;
        assert_is_a_history(&commits);
        for commit in commits {
            let id = CommitBody::decode(&commit.body).unwrap().operation_id.to_string();
            let before = found.insert(id, commit.version.get());
            assert!(before.is_none(), "an operation is there twice: {before:?} and {}", commit.version);
        }
    }
    found
}

/// Rule V6: everything acknowledged is there, with the version it was acknowledged with.
pub(crate) fn assert_kept(ledger: &Ledger, stored: &HashMap<String, u64>) {
    for (id, sent) in ledger.all() {
        if let Some(version) = sent.acknowledged {
            assert_eq!(stored.get(&id), Some(&version), "acknowledged: {sent:?}");
        }
    }
}

/// A client that keeps sending an operation until it is answered, and then goes on to the next,
/// until `stop`.
pub(crate) fn stubborn(
    client: Client,
    number: usize,
    graphs: &'static [&'static str],
    ledger: Ledger,
    acknowledged: mpsc::UnboundedSender<()>,
    stop: Arc<AtomicBool>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        for n in 0.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let graph = graphs[(number + n) % graphs.len()];
            let envelope = nth(number, 0, n);
            let id = ledger.sending(graph, &envelope);
            let reply = loop {
                let reply = client.command(graph, &envelope).await;
                if reply.status == 200 {
                    break reply;
                }
                let problem = reply.json();
                assert_eq!(reply.status, 503, "H4: {problem}");
                assert!(["STORE_UNAVAILABLE", "OVERLOADED"].contains(&problem["code"].as_str().unwrap()));
                assert!(reply.header("retry-after").is_some(), "H4");
                // Between two tries, not for the event: the reply to the next is the event.
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            ledger.acknowledged(&id, &reply);
            let _nobody_counts = acknowledged.send(());
        }
    })
}

/// Two servers under load: clients of both that send until they are answered, and followers of every graph on
/// both, from its beginning.
pub(crate) struct Load {
    pub(crate) servers: Vec<Process>,
    graphs: &'static [&'static str],
    ledger: Ledger,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
    followers: Vec<Follower>,
    acknowledged: mpsc::UnboundedReceiver<()>,
}

/// What became of it.
pub(crate) struct Outcome {
    pub(crate) ledger: Ledger,
    /// How often a follower was told to start again.
    pub(crate) resets: usize,
}

impl Load {
    pub(crate) async fn start(servers: Vec<Process>, graphs: &'static [&'static str]) -> Self {
        let (ledger, stop) = (Ledger::default(), Arc::<AtomicBool>::default());
        let (told, acknowledged) = mpsc::unbounded_channel();
        let mut followers = Vec::new();
        for server in &servers {
            for graph in graphs {
                followers.push(Follower::start(server.client(), graph).await);
            }
        }
        let clients = (0..2 * graphs.len())
            .map(|n| {
                let client = servers[n % servers.len()].client();
                stubborn(client, n, graphs, ledger.clone(), told.clone(), stop.clone())
            })
            .collect();
        Self { servers, graphs, ledger, stop, clients, followers, acknowledged }
    }

    /// Waits until `count` operations more are acknowledged.
    pub(crate) async fn acknowledged(&mut self, count: usize) {
        timeout(PATIENCE, wait_for(&mut self.acknowledged, count)).await.expect("they are answered");
    }

    /// Waits until every graph has at least `count` commits more, on what its servers say.
    pub(crate) async fn grown(&mut self, count: u64) {
        for (n, name) in self.graphs.iter().enumerate() {
            let client = self.servers[n % self.servers.len()].client();
            let (mut before, start) = (None, Instant::now());
            loop {
                let now = version_of(&client, name).await;
                before = before.or(now);
                if now.is_some() && now >= before.map(|before| before + count) {
                    break;
                }
                assert!(start.elapsed() < PATIENCE, "{name} does not grow");
                tokio::time::sleep(Duration::from_millis(20)).await; // between two looks at the event
            }
        }
        while self.acknowledged.try_recv().is_ok() {}
    }

    /// Ends it when everybody has an answer and every follower has all there is. Each saw exactly the log
    /// of `store`, from its beginning or from where it was told to start again.
    pub(crate) async fn finish(self, store: &dyn EventStore) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            timeout(PATIENCE, client).await.expect("everybody is answered").expect("no panic");
        }
        let mut resets = 0;
        for follower in self.followers {
            let log = read_all(store, &graph(follower.graph)).await;
            assert_is_a_history(&log);
            let end = log.last().map(|commit| (commit.version.get(), commit.hash.to_string()));
            let (seen, starts_again) = follower.until(end.expect("commits")).await;
            resets += starts_again;
            for (version, hash) in seen {
                assert_eq!(log[version as usize - 1].hash.to_string(), hash, "{version} is another commit");
            }
        }
        Outcome { ledger: self.ledger, resets }
    }
}

/// None where it can't be read now.
async fn version_of(client: &Client, graph: &str) -> Option<u64> {
    let reply = client.get(&format!("/graphs/{graph}/state")).await;
    (reply.status == 200).then(|| reply.json()["version"].as_u64()).flatten()
}

/// Reads one graph's server-sent events.
struct Follower {
    graph: &'static str,
    stream: Stream,
}

impl Follower {
    async fn start(client: Client, graph: &'static str) -> Self {
        let path = format!("/graphs/{graph}/events?since=0");
        let stream = Stream::open(&client, &path, &[("accept", "text/event-stream")]).await;
        assert_eq!(stream.status, 200);
        Self { graph, stream }
    }

    /// Reads on to this head, version and hash: of a history that was lost it may have seen as many commits, and
    /// is told so later. The commits since it began or was told to begin again, and how often that was.
    async fn until(mut self, head: (u64, String)) -> (Vec<(u64, String)>, usize) {
        let (mut seen, mut resets) = (Vec::<(u64, String)>::new(), 0);
        let mut at = (0, String::new());
        while at != head {
            let event = timeout(PATIENCE, self.stream.event()).await;
            let event = event.unwrap_or_else(|_| panic!("{} is at {at:?}, not {head:?}", self.graph));
            let event = event.expect("the stream goes on");
            match event.name.as_str() {
                "commit" => {
                    let next = point(&event.data, "version");
                    assert_eq!(next.0, at.0 + 1, "a gap, or twice");
                    seen.push(next.clone());
                    at = next;
                }
                "reset" => {
                    (at, resets) = (point(&event.data, "currentVersion"), resets + 1);
                    seen.clear();
                }
                _ => assert!(event.is_comment, "{event:?}"),
            }
        }
        (seen, resets)
    }
}

/// A version, which stands under this name, and its hash.
fn point(data: &Value, version: &str) -> (u64, String) {
    let version = data[version].as_u64().expect("a version");
    (version, data["hash"].as_str().expect("a hash").to_owned())
}
