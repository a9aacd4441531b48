//! Those who follow a graph over the live path of the product, below HTTP: they begin at any point,
//! vanish, come back, read slowly. What each is given is held against the log there and then.
//!
//! The rules: commits follow on what one has, link by link, each once (W4); one is told to start again
//! exactly when what one has is not of the log's history any more (V4, W2); nobody is told less than
//! was in the log when they asked (W2); what became of operations is what their records say (W3).

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use dao_api::{
    domain::OperationRecord,
    live::{Delivery, FollowedGraphs, LiveConfig, Reader},
    project::{self, Stores},
    read::{self, ReadError, Resume, ResumeHash},
    store::StoredCommit,
    write::{Graphs, GraphsConfig, WriteError},
};
use dao_projections::{GraphId, Head, Version};
use futures::FutureExt;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    durable::{Log, Shared},
    rng::Rng,
    store::SimStore,
    upheaval,
    world::{HANG, Instance, World},
};

/// What a subscriber has, and whether that was the log's when it got it.
#[derive(Clone, Copy)]
struct Held {
    head: Head,
    /// How often the point had been lost by then.
    lost: u64,
    was_in_log: bool,
}

impl Held {
    fn now(log: &Log, head: Head) -> Self {
        let lost = log.ever.get(&head).map_or(0, |point| point.lost);
        Self { head, lost, was_in_log: log.has(head) }
    }

    /// Whether it was the log's all the time since.
    fn is_still_in(self, log: &Log) -> bool {
        self.was_in_log && Self::now(log, self.head).lost == self.lost && log.has(self.head)
    }
}

/// What a subscriber says when it comes.
#[derive(Clone, Copy)]
struct Claim {
    version: Version,
    hash: Option<dao_projections::Hash>,
}

/// How a subscriber asks to be brought level, and what the log was then.
struct Asked {
    claim: Option<Claim>,
    log_then: Head,
    /// The point that it names, if the log had it.
    held: Option<Held>,
    /// How long a snapshot counts as.
    state_bytes: usize,
}

/// Why a session ended.
enum End {
    /// The instance died, or closes, or can't say anything now.
    Broken,
    /// The subscriber has gone away.
    Vanished,
    /// The world is over.
    Over,
}

pub struct Subscriber {
    world: Arc<World>,
    number: usize,
    graph: usize,
    id: GraphId,
    rng: Rng,
    has: Option<Held>,
    /// Points that it had before.
    before: Vec<Head>,
}

impl Subscriber {
    pub fn new(world: Arc<World>, number: usize, mut rng: Rng) -> Self {
        let graph = rng.index(world.plan.graphs.len());
        let id = world.plan.graphs[graph].clone();
        Self { world, number, graph, id, rng, has: None, before: vec![] }
    }

    pub async fn live(mut self) {
        loop {
            let pause = if self.world.healed.is_cancelled() { 20 } else { self.rng.below(250) };
            sleep(Duration::from_millis(pause)).await;
            let instance = self.world.instance(self.rng.index(self.world.plan.instances));
            let over = self.world.over.clone();
            if over.is_cancelled() {
                return;
            }
            let end = tokio::select! {
                biased;
                () = over.cancelled() => End::Over,
                () = instance.death.cancelled() => End::Broken,
                () = instance.leaving.cancelled() => End::Broken,
                end = self.follow(&instance) => end,
            };
            self.world.stand(self.number, self.graph, None);
            if let End::Over = end {
                return;
            }
        }
    }

    /// One session: from the subscription to whatever ends it.
    async fn follow(&mut self, instance: &Instance) -> End {
        let mut reader = Reader::new(instance.graphs.clone(), &instance.hub, &self.id);
        if self.rng.chance(40) {
            reader = reader.taking_stored();
        }
        if !self.subscribe(instance, &mut reader).await {
            sleep(Duration::from_millis(self.rng.below(300))).await;
            return End::Broken;
        }
        if self.rng.chance(30) {
            self.settle(instance).await;
        }
        loop {
            let is_healed = self.world.healed.is_cancelled();
            if !is_healed && self.rng.chance(10) {
                // Its socket takes nothing for a while.
                sleep(Duration::from_millis(self.rng.below(1_500))).await;
            }
            let patience = if is_healed { 2_000 } else { 1 + self.rng.below(200) };
            match timeout(Duration::from_millis(patience), reader.next()).await {
                Err(_nothing_yet) if !is_healed && self.rng.chance(12) => return End::Vanished,
                Err(_nothing_yet) => {}
                Ok(Ok(Delivery::Commits(commits))) => {
                    let commits: Vec<_> = commits.iter().map(|recorded| recorded.stored()).collect();
                    self.take(&commits);
                }
                Ok(Ok(Delivery::Stored(commits))) => self.take(&commits),
                Ok(Ok(Delivery::Reset(head))) => self.start_again(head),
                Ok(Err(error)) => {
                    self.check_error(&error);
                    return End::Broken;
                }
            }
        }
    }

    /// Asks to be brought level from the point it names; whether it was.
    async fn subscribe(&mut self, instance: &Instance, reader: &mut Reader) -> bool {
        let claim = self.claim();
        let (log_then, held) = self.log(|log| {
            let head = |claim: Claim| match claim.hash {
                Some(hash) => Some(Head { version: claim.version, hash }),
                None if claim.version == Version::EMPTY => Some(Head::EMPTY),
                None => log.commits.get(claim.version.get() as usize - 1).map(|commit| commit.head()),
            };
            (log.head(), claim.and_then(head).map(|head| Held::now(log, head)))
        });
        // The measure of a snapshot: nothing is longer, or nothing shorter, than it.
        let state_bytes = if self.rng.chance(50) { 0 } else { usize::MAX };
        let asked = Asked { claim, log_then, held, state_bytes };
        let Some(resumed) = self.resume(instance, &asked).await else { return false };
        let (head, from) = match &resumed {
            Resume::StoreAway => return false,
            Resume::InSync(head) => (*head, *head),
            Resume::Replay { from, head } => (*head, *from),
            Resume::Snapshot(view) => (view.graph.head(), view.graph.head()),
        };
        self.check_resumed(&resumed, &asked, (head, from));
        let how = match &resumed {
            Resume::StoreAway => "a subscriber finds the store away",
            Resume::InSync(_) => "a subscriber is in sync",
            Resume::Replay { .. } => "a subscriber gets a replay",
            Resume::Snapshot(_) => "a subscriber gets a snapshot",
        };
        self.world.remark(how, format!("{} at {from:?} towards {head:?}", self.number));
        reader.start_at(from);
        self.stand(from);
        true
    }

    /// The server's answer, if there is one.
    async fn resume(&self, instance: &Instance, asked: &Asked) -> Option<Resume> {
        let point = asked.claim.map(|claim| (claim.version, claim.hash.map(ResumeHash::of)));
        let measure = |_: &_| asked.state_bytes;
        match timeout(HANG, read::resume(&instance.graphs, &self.id, point, measure)).await {
            Ok(Ok(resumed)) => return Some(resumed),
            Ok(Err(error)) => self.check_error(&error),
            Err(_elapsed) => self.blame("a subscription is never answered"),
        }
        None
    }

    /// The answer fits what it said and what the log was: it goes on `from` there, towards `head`.
    fn check_resumed(&self, resumed: &Resume, asked: &Asked, (head, from): (Head, Head)) {
        let Asked { claim, log_then, held, state_bytes } = *asked;
        if let Resume::Snapshot(view) = resumed {
            let is_same = self.log(|log| log.point(head).is_some_and(|point| point.graph == view.graph));
            self.demand(is_same, || format!("a snapshot at {head:?} is not what the log adds up to"));
            let was_needless = self.log(|log| held.is_some_and(|held| held.is_still_in(log)));
            let is_shorter = state_bytes == 0;
            self.demand(is_shorter || !was_needless, || {
                format!("{:?} is the log's, and it gets a snapshot", held.map(|held| held.head))
            });
        } else {
            let is_claimed = claim.is_some_and(|claim| {
                claim.version == from.version && claim.hash.is_none_or(|hash| hash == from.hash)
            });
            self.demand(is_claimed, || format!("it goes on from {from:?}, which it did not name"));
        }
        let known = self.log(|log| [head, from].iter().all(|head| log.point(*head).is_some()));
        self.demand(known, || format!("it is told of {head:?} and {from:?}, which never were"));
        let is_calm = !self.world.plan.has_upheavals;
        self.demand(!is_calm || head.version >= log_then.version, || {
            format!("it is told of {head:?}, and the log was at {log_then:?} when it asked")
        });
    }

    /// Where it says it is: mostly where it is.
    fn claim(&mut self) -> Option<Claim> {
        let own = self.has.map(|held| Claim { version: held.head.version, hash: Some(held.head.hash) });
        let foreign = |rng: &mut Rng| {
            let bytes: [u8; 32] = std::array::from_fn(|_| rng.below(256) as u8);
            dao_projections::Hash::from_bytes(&bytes).ok()
        };
        let head = self.log(Log::head);
        match self.rng.below(20) {
            0 | 1 => None,
            2 => Some(Claim { version: Version::EMPTY, hash: None }),
            3 => Some(Claim { version: Version::EMPTY, hash: Some(Head::EMPTY.hash) }),
            4 => {
                let version = Version::new(1 + self.rng.below(head.version.get() + 2)).unwrap();
                Some(Claim { version, hash: foreign(&mut self.rng) })
            }
            5 => Some(Claim { version: head.version.plus(1 + self.rng.below(1_000)), hash: Some(head.hash) }),
            6 => {
                let version = Version::new(self.rng.below(head.version.get() + 1)).unwrap();
                Some(Claim { version, hash: None })
            }
            7 | 8 if !self.before.is_empty() => {
                let earlier = *self.rng.pick(&self.before);
                Some(Claim { version: earlier.version, hash: Some(earlier.hash) })
            }
            _ => own,
        }
    }

    /// Asks what became of operations, as one who comes back with some unanswered does.
    async fn settle(&mut self, instance: &Instance) {
        let of_graph: Vec<_> = {
            let asks = self.world.asks.lock().unwrap();
            asks.iter().filter(|ask| ask.graph == self.graph).map(|ask| ask.id).collect()
        };
        if of_graph.is_empty() {
            return;
        }
        let pending: Vec<_> = (0..1 + self.rng.below(4)).map(|_| *self.rng.pick(&of_graph)).collect();
        let records = |log: &Log| -> Vec<Option<OperationRecord>> {
            let record = |id| log.records.get(id).map(|bytes| OperationRecord::decode(bytes).unwrap());
            pending.iter().map(record).collect()
        };
        let before = self.log(records);
        let Ok(settled) = instance.graphs.settled(&self.id, &pending).await else { return };
        let after = self.log(records);
        if self.world.plan.has_upheavals {
            return;
        }
        let fits = settled.len() == pending.len()
            && settled.iter().zip(before.iter().zip(&after)).all(|(told, (before, after))| {
                // Records never go: who has one must not be told it is unknown.
                told == before || told == after
            });
        self.demand(fits, || format!("{pending:?} are settled as {settled:?}, and are {before:?}"));
    }

    /// Each commit follows on what it has, and is durable.
    fn take(&mut self, commits: &[StoredCommit]) {
        let Some(has) = self.has else { return };
        let mut head = has.head;
        self.demand(!commits.is_empty(), || "it is given nothing".to_owned());
        for commit in commits {
            let is_durable = self.log(|log| log.ever.contains_key(&commit.head()));
            self.demand(head.after(&commit.body) == commit.head() && is_durable, || {
                format!("after {head:?} it is given {:?}", commit.head())
            });
            head = commit.head();
        }
        self.world.remark("a subscriber is given commits", format!("{} up to {head:?}", self.number));
        self.stand(head);
    }

    fn start_again(&mut self, head: Head) {
        let has = self.has;
        let was_needless = self.log(|log| has.is_some_and(|held| held.is_still_in(log)));
        self.demand(!was_needless, || {
            format!("{:?} is the log's, and it is told to start again", has.map(|held| held.head))
        });
        let is_known = self.log(|log| log.point(head).is_some());
        self.demand(is_known, || format!("it is to start again from {head:?}, which never was"));
        self.world.remark("a subscriber starts again", format!("{} from {head:?}", self.number));
        self.stand(head);
    }

    fn stand(&mut self, head: Head) {
        self.before.extend(self.has.map(|held| held.head));
        self.has = Some(self.log(|log| Held::now(log, head)));
        self.world.stand(self.number, self.graph, Some(head));
    }

    /// Only a history that changes while it is read can be unreadable for a moment.
    fn check_error(&self, error: &ReadError) {
        let is_usual = matches!(
            error,
            ReadError::Graph(
                WriteError::StoreUnavailable(_)
                    | WriteError::Overloaded
                    | WriteError::Contended
                    | WriteError::Stopped
            )
        );
        self.demand(is_usual || self.world.plan.has_upheavals, || format!("it is told {error}"));
        self.world.remark("a subscriber is told of an error", format!("{} {error}", self.number));
    }

    fn log<T>(&self, look: impl FnOnce(&Log) -> T) -> T {
        look(self.world.shared.lock().unwrap().graphs.entry(self.id.clone()).or_default())
    }

    fn demand(&self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.blame(&otherwise());
        }
    }

    fn blame(&self, problem: &str) {
        let (number, graph) = (self.number, &self.id);
        self.world.shared.lock().unwrap().blame(format!("subscriber {number} of {graph}: {problem}"));
    }
}

/// All subscribers in one task: whoever has something to do gets their turn in the same order each
/// time, which the wake-ups of a `watch` do not promise.
pub async fn live_all(subscribers: Vec<Subscriber>) {
    futures::future::join_all(subscribers.into_iter().map(|one| one.live().boxed())).await;
}

/// Rule W6: whoever is further behind than memory reaches gets every commit, over as many reads of the
/// log as it takes, whether or not a read gives all that was asked for.
#[tokio::test(start_paused = true)]
async fn w6_a_laggard_gets_every_commit_over_many_reads_of_the_log() {
    for (pieces, is_stored) in [(0, false), (50, false), (100, false), (0, true), (100, true)] {
        let shared = Arc::<Mutex<Shared>>::default();
        shared.lock().unwrap().pieces = pieces;
        let (id, mut rng): (GraphId, _) = ("g".parse().unwrap(), Rng::new(6));
        upheaval::write(&mut shared.lock().unwrap(), &id, 400, &mut rng);
        let store = Arc::new(SimStore::new(shared.clone(), rng, CancellationToken::new(), 0));
        let stores = Stores { events: store.clone(), rows: store.clone() };
        project::fold_graph(&stores, &id, Version::new(400).unwrap(), 500).await.unwrap();
        let config = GraphsConfig { rows: Some(store.clone()), ..GraphsConfig::default() };
        let graphs = Graphs::new(store, config);
        let hub = FollowedGraphs::new(graphs.clone(), LiveConfig::default());
        let mut reader = Reader::new(graphs.clone(), &hub, &id);
        if is_stored {
            reader = reader.taking_stored();
        }
        let mut head = Head::EMPTY;
        graphs.refresh(&id).await.unwrap();
        let is_in_memory = graphs.hot(&id).commits_since(Version::new(399).unwrap(), 1).is_some();
        assert!(!is_in_memory, "memory begins with the snapshot");
        while head.version.get() < 400 {
            let commits = match timeout(HANG, reader.next()).await {
                Ok(Ok(Delivery::Commits(commits))) => commits.iter().map(|commit| commit.stored()).collect(),
                Ok(Ok(Delivery::Stored(commits))) => commits,
                other => panic!("with pieces of {pieces} there comes {other:?} after {head:?}"),
            };
            for commit in commits {
                assert_eq!(head.after(&commit.body), commit.head());
                head = commit.head();
            }
        }
    }
}
