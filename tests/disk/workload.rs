//! What a victim does: it appends, keeps a document, purges graphs and reads, closes its store once and opens it again, and
//! ends as a killed process does. It says of each thing what it asks for and what it was answered.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use dao_api::store::{
    self, Entry, EventStore, FeedPlace, ProjectionStore, Purge, PurgeRequest, StoreError, StoredCommit,
    embedded::{EmbeddedConfig, EmbeddedStore, SyncMode},
};
use dao_projections::{GraphId, Head, OperationId};
use uuid::Uuid;

use crate::{recording::TOLD, rng::Rng, told::Append};

/// How long the store is open for the first and the second time: a second passes between two syncs of the tables.
const LIVES: [Duration; 2] = [Duration::from_millis(1_900), Duration::from_millis(1_300)];
/// Graphs of each writer, and writers.
const GRAPHS: usize = 3;
const WRITERS: u64 = 4;
/// Tries to open it again after a failure.
const OPENINGS: u32 = 20;

pub(crate) fn config(dir: &Path) -> EmbeddedConfig {
    let operation_ttl = Duration::from_secs(24 * 3_600);
    EmbeddedConfig { dir: dir.into(), durability: SyncMode::Fsync, operation_ttl }
}

struct Victim {
    store: EmbeddedStore,
    told: Arc<Mutex<File>>,
    until: Instant,
}

/// A graph and where its writer thinks that it stands; `None` once nobody knows.
type Writable = (String, Option<Head>);

pub(crate) fn run(dir: &Path, seed: u64) {
    let told = OpenOptions::new().create(true).append(true).open(dir.join(TOLD)).unwrap();
    let (told, mut rng) = (Arc::new(Mutex::new(told)), Rng::new(seed));
    let mut graphs: Vec<Vec<Writable>> = (0..WRITERS)
        .map(|writer| (0..GRAPHS).map(|n| (format!("g{writer}-{n}"), Some(Head::EMPTY))).collect())
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        for (life, length) in LIVES.into_iter().enumerate() {
            let victim = Arc::new(Victim {
                store: open(dir),
                told: Arc::clone(&told),
                until: Instant::now() + length,
            });
            graphs = victim.live(graphs, life, &mut rng).await;
            if life + 1 == LIVES.len() {
                // Without closing it.
                std::process::exit(0);
            }
            victim.store.close().await;
        }
    });
}

/// After a write that failed, or a sync, a start can fail too, and be tried again.
fn open(dir: &Path) -> EmbeddedStore {
    for _ in 1..OPENINGS {
        match EmbeddedStore::open(config(dir)) {
            Ok(store) => return store,
            Err(error) => eprintln!("{error}"),
        }
    }
    EmbeddedStore::open(config(dir)).unwrap()
}

impl Victim {
    fn say(&self, line: &str) {
        self.told.lock().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    /// Until its time is over, all of it at once.
    async fn live(
        self: &Arc<Self>,
        graphs: Vec<Vec<Writable>>,
        life: usize,
        rng: &mut Rng,
    ) -> Vec<Vec<Writable>> {
        let writers: Vec<_> = (graphs.into_iter())
            .map(|graphs| tokio::spawn(Arc::clone(self).write(graphs, life as u64, rng.fork())))
            .collect();
        let others = [
            tokio::spawn(Arc::clone(self).put(life as u64)),
            tokio::spawn(Arc::clone(self).purge(life)),
            tokio::spawn(Arc::clone(self).read()),
        ];
        let mut graphs = Vec::new();
        for writer in writers {
            graphs.push(writer.await.unwrap());
        }
        for other in others {
            other.await.unwrap();
        }
        graphs
    }

    async fn write(self: Arc<Self>, mut graphs: Vec<Writable>, life: u64, mut rng: Rng) -> Vec<Writable> {
        let mut attempt = life << 32;
        while self.goes_on() {
            let picked = rng.index(graphs.len());
            let (graph, head) = &mut graphs[picked];
            let size = match rng.below(20) {
                0 => 60_000,
                n => n as usize * 90,
            };
            if let Some(from) = *head {
                attempt += 1;
                let version = from.version.next().get();
                let count = rng.below(3) + 1;
                *head =
                    self.append(&Append { graph: graph.clone(), version, attempt, count, size }, from).await;
            }
            tokio::time::sleep(Duration::from_millis(rng.below(12))).await;
        }
        graphs
    }

    /// Where the graph stands then.
    async fn append(&self, asked: &Append, from: Head) -> Option<Head> {
        let (graph, mut head, mut entries) = (GraphId::parse(&asked.graph).unwrap(), from, Vec::new());
        for (n, body) in asked.bodies().into_iter().enumerate() {
            let body = Bytes::from(body);
            head = head.after(&body);
            let commit = StoredCommit { version: head.version, hash: head.hash, body };
            let record = Bytes::from_static(b"record");
            entries.push(Entry {
                operation: asked.operation(n as u64),
                record,
                commit: Some(commit),
                refused_at: None,
            });
        }
        self.say(&format!("try {}", asked.words()));
        match self.store.append(&graph, from, &entries).await {
            Ok(store::Append::Appended) => {
                self.say(&format!("ok {}", asked.words()));
                Some(head)
            }
            Err(StoreError::OutcomeUnknown(_)) => {
                self.say(&format!("unknown {}", asked.words()));
                None
            }
            Err(StoreError::Unavailable(_)) => {
                self.say(&format!("no {}", asked.words()));
                Some(from)
            }
            other => panic!("{}: {other:?}", asked.words()),
        }
    }

    async fn put(self: Arc<Self>, life: u64) {
        for n in (life << 32) + 1.. {
            if !self.goes_on() {
                return;
            }
            let Ok(found) = self.store.document("kind", "name").await else { continue };
            self.say(&format!("put {n}"));
            let bytes = Some(Bytes::from(n.to_string()));
            match self.store.put_document("kind", "name", found.map(|(version, _)| version), bytes).await {
                Ok(true) => self.say(&format!("put-ok {n}")),
                Ok(false) => panic!("nobody else puts documents"),
                Err(StoreError::OutcomeUnknown(_)) => {}
                Err(_) => self.say(&format!("put-no {n}")),
            }
            tokio::time::sleep(Duration::from_millis(31)).await;
        }
    }

    async fn purge(self: Arc<Self>, life: usize) {
        for n in 0.. {
            if !self.goes_on() {
                return;
            }
            let name = format!("purged{life}-{n}");
            let asked = Append { graph: name.clone(), version: 1, attempt: 0, count: 3, size: 700 };
            if let Some(head) = self.append(&asked, Head::EMPTY).await.filter(|head| *head != Head::EMPTY) {
                self.purge_graph(&name, head).await;
            }
            tokio::time::sleep(Duration::from_millis(43)).await;
        }
    }

    async fn purge_graph(&self, name: &str, head: Head) {
        let graph = GraphId::parse(name).unwrap();
        let operation = OperationId::from(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()));
        self.say(&format!("purge {name}"));
        match self.store.purge(&graph, &PurgeRequest { expected: head, operation, fingerprint: [1; 8] }).await
        {
            Ok(Purge::Purged) => self.say(&format!("purged {name}")),
            Ok(Purge::HeadMoved) => panic!("{name}: its head is another one"),
            Err(StoreError::OutcomeUnknown(_)) => {}
            Err(_) => self.say(&format!("purge-no {name}")),
        }
        for purging in self.store.purging().await.unwrap_or_default() {
            while let Ok(true) = self.store.sweep(&purging).await {}
        }
    }

    /// Reads what there is, as a projector does, and says how far it is.
    async fn read(self: Arc<Self>) {
        let mut place = self.store.place("reader", 0).await.unwrap_or(FeedPlace::START);
        while self.goes_on() {
            let feed = self.store.feed(0, place, 200).await.unwrap_or_default();
            if let Some(last) = feed.last() {
                place = last.place;
                let _ = self.store.set_place("reader", 0, place).await;
            }
            tokio::time::sleep(Duration::from_millis(120)).await;
        }
    }
}
