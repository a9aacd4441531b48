//! An instance without its HTTP, and followers of graphs on it: the cursor, driven as a socket does.

use std::{sync::Arc, time::Duration};

use dao_api::{
    http::parse_command,
    live::{
        AvailableCommits, Cursor, CursorStep, FollowedGraph, FollowedGraphs, LiveConfig, PresenceSlot,
        Present,
    },
    store::redis::{RedisConfig, RedisStore},
    write::{Ending, GraphWatch, Graphs, GraphsConfig, Recorded},
};
use dao_projections::{GraphId, Head, UserId};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// Longer than anything should take: its end is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nothing happens by the clock alone.
pub(crate) fn patient() -> LiveConfig {
    let hour = Duration::from_secs(3_600);
    LiveConfig { heads_every: hour, presence_every: hour, presence_expiry: hour, ..LiveConfig::default() }
}

/// One process's worth of server.
pub(crate) struct Instance {
    pub(crate) store: Arc<RedisStore>,
    pub(crate) graphs: Arc<Graphs>,
    pub(crate) hub: FollowedGraphs,
}

impl Instance {
    pub(crate) async fn start(url: String, live: LiveConfig) -> Self {
        Self::partitioned(url, live, None).await
    }

    pub(crate) async fn partitioned(url: String, live: LiveConfig, partitions: Option<u32>) -> Self {
        let config = RedisConfig { partitions, ..RedisConfig::at(url, Duration::from_secs(3_600)) };
        let store = Arc::new(RedisStore::connect(config).await.expect("connect"));
        let graphs = Graphs::new(store.clone(), GraphsConfig::default());
        let hub = FollowedGraphs::new(graphs.clone(), live);
        Self { store, graphs, hub }
    }

    /// Makes one commit, however often it has to be sent; the head after it.
    pub(crate) async fn commit(&self, graph: &GraphId, kind: &str, payload: Value) -> Head {
        let user: UserId = "ada".parse().expect("a user");
        let command = json!({"type": kind, "payload": payload, "operationId": Uuid::now_v7().to_string()});
        let operation = parse_command(command, &user).expect("a command");
        let start = Instant::now();
        loop {
            match self.graphs.execute(graph, vec![operation.clone()]).await {
                Ok(answers) => match &answers[0].ending {
                    Ending::Completed { head, .. } => return *head,
                    refused => panic!("{refused:?}"),
                },
                // The store is away.
                Err(error) => assert!(start.elapsed() < PATIENCE, "still {error}"),
            }
        }
    }

    /// Makes `count` small commits one after the other.
    pub(crate) async fn create_nodes(&self, graph: &GraphId, count: usize) -> Head {
        let mut head = Head::EMPTY;
        for _ in 0..count {
            head = self.commit(graph, "CREATE_NODE", json!({"id": Uuid::now_v7().to_string()})).await;
        }
        head
    }

    /// Follows a graph from where it is now.
    pub(crate) async fn follow(&self, graph: &GraphId) -> Follower {
        let (followed, hot) = (self.hub.follow(graph), self.graphs.hot(graph));
        let view = self.graphs.refresh(graph).await.expect("the store is there");
        let from = view.graph.head();
        let cursor = Cursor::at(from);
        Follower { graphs: self.graphs.clone(), followed, hot, cursor, from, seen: vec![], starts_again: 0 }
    }
}

/// Somebody who follows a graph.
pub(crate) struct Follower {
    graphs: Arc<Graphs>,
    pub(crate) followed: Arc<FollowedGraph>,
    hot: GraphWatch,
    cursor: Cursor,
    /// Where `seen` begins.
    pub(crate) from: Head,
    /// What was delivered since; each follows on the one before, or delivering it would have failed.
    pub(crate) seen: Vec<Arc<Recorded>>,
    /// How often it was told that its history is no more.
    pub(crate) starts_again: usize,
}

impl Follower {
    /// Takes what comes until it has all up to this head. Asks nobody for the graph.
    pub(crate) async fn until(&mut self, head: Head) {
        let reached = timeout(PATIENCE, async {
            while self.cursor.head() != head {
                if !self.step().await {
                    assert!(self.hot.changed().await, "a followed graph's task does not end");
                }
            }
        });
        if reached.await.is_err() {
            panic!("{} is at {:?}, not at {head:?}", self.followed.id(), self.cursor.head());
        }
    }

    /// Takes what comes until it has this version.
    pub(crate) async fn until_version(&mut self, version: u64) {
        let reached = timeout(PATIENCE, async {
            while self.cursor.head().version.get() < version {
                if !self.step().await {
                    assert!(self.hot.changed().await, "a followed graph's task does not end");
                }
            }
        });
        assert!(reached.await.is_ok(), "{:?} is before {version}", self.cursor.head());
    }

    /// False if there is nothing to take.
    async fn step(&mut self) -> bool {
        self.hot.mark_seen(); // before looking: what comes later wakes
        let Some(view) = self.hot.view() else { return false };
        let in_memory = self.hot.commits_since(self.cursor.head().version, 64);
        let head = match in_memory.as_ref().and_then(|(_, commits)| commits.last()) {
            Some(last) if last.commit.version > view.graph.head().version => last.commit.head(),
            _ => view.graph.head(),
        };
        let mut step = self.cursor.step(AvailableCommits { head, in_memory });
        if let CursorStep::ReadLog { after, to } = step {
            let Ok(commits) = self.followed.from_log(after, to).await else { return true };
            step = self.cursor.check(&commits);
        }
        match step {
            CursorStep::CaughtUp => return false,
            CursorStep::Deliver(commits) => {
                for commit in commits {
                    let follows = self.cursor.head().after(&commit.body);
                    assert_eq!(follows, commit.commit.head(), "in order, without a gap, none twice");
                    self.cursor.advance(&commit);
                    self.seen.push(commit);
                }
            }
            CursorStep::StartAgain => {
                let Ok(view) = self.graphs.refresh(self.followed.id()).await else { return true };
                self.starts_again += 1;
                self.from = view.graph.head();
                self.cursor = Cursor::at(self.from);
                self.seen.clear();
            }
            CursorStep::ReadLog { .. } => {}
        }
        true
    }

    /// Shows a state in the graph's room.
    pub(crate) fn show(&self, connection: Uuid, client: &str, state: Value) {
        let (client, user) = (client.parse().expect("a client"), "ada".parse().expect("a user"));
        self.followed.room().show(
            connection,
            Present { client, user, slot: PresenceSlot::default(), state: state.to_string().into() },
        );
    }

    /// Waits until the latest state of this client, as others here see it, is this one.
    pub(crate) async fn until_shown(&self, client: &str, state: Value) {
        let mut room = self.followed.room().watch();
        let mut shown = Value::Null;
        let mut seen = 0;
        let found = timeout(PATIENCE, async {
            loop {
                room.borrow_and_update();
                // From the beginning: what is gone is not among it.
                let (_, present) = self.followed.room().since(0, Uuid::nil(), usize::MAX);
                let latest = present.iter().find(|(_, shown)| shown.present.client.as_str() == client);
                shown = latest.map_or(Value::Null, |(_, shown)| {
                    serde_json::from_str(&shown.present.state).expect("JSON")
                });
                seen += 1;
                if shown == state {
                    return;
                }
                room.changed().await.expect("the room is held");
            }
        });
        if found.await.is_err() {
            panic!("{client} shows {shown}, not {state}, after {seen} changes");
        }
    }
}
