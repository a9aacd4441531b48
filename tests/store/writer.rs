//! The task of a graph between its store and those who ask: what it does while the store takes its time.

use std::{sync::Arc, time::Duration};

use dao_api::{
    domain::{Operation, OperationRecord, Reason, RecordedOutcome, WriterId},
    http::parse_command,
    read,
    store::{Append, Entry, EventStore},
    write::{Ending, Graphs, GraphsConfig, Reply, WriteError},
};
use dao_projections::{GraphId, OperationId, Version};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    gate::{Call, GatedStore},
    server::embedded_store,
    switch::SwitchedStore,
};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn graph() -> GraphId {
    "g".parse().unwrap()
}

fn operation(kind: &str, payload: Value, more: Value) -> Operation {
    let mut command = json!({"type": kind, "payload": payload});
    command.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    parse_command(command, &"ada".parse().unwrap()).unwrap()
}

fn create(id: &str) -> Operation {
    operation("CREATE_NODE", json!({"id": id}), json!({}))
}

fn graphs(store: &Arc<GatedStore>, hot_max: usize) -> Arc<Graphs> {
    Graphs::new(store.clone(), GraphsConfig { hot_max, ..GraphsConfig::default() })
}

fn stores() -> (TempDir, Arc<GatedStore>, Arc<GatedStore>) {
    let dir = tempfile::tempdir().unwrap();
    let inner = embedded_store(dir.path());
    (dir, GatedStore::to(inner.clone()), GatedStore::shared(inner))
}

fn reason(answer: &Reply) -> Option<Reason> {
    match &answer.ending {
        Ending::Completed { .. } => None,
        Ending::Refused { refusal, .. } => Some(refusal.reason),
    }
}

/// A graph has one task, or one of two would go on with an old graph for good.
#[tokio::test]
async fn c4_a_graph_with_work_is_not_let_go_of() {
    let (_dir, store, _) = stores();
    let graphs = graphs(&store, 1);
    let others: Vec<GraphId> = (0..3).map(|n| format!("other-{n}").parse().unwrap()).collect();
    for graph in others.iter().chain([&graph()]) {
        graphs.execute(graph, vec![create("a")]).await.unwrap();
    }
    store.hold(Call::Append);
    let answers = graphs.submit(&graph(), vec![create("b")]).unwrap();
    store.has_arrived(Call::Append, 1).await;
    for other in &others {
        graphs.refresh(other).await.unwrap(); // no room for both
    }
    // Where the graph had been let go of, this would start a second task at version 1.
    let reading = tokio::spawn({
        let graphs = graphs.clone();
        async move { graphs.refresh(&graph()).await.unwrap().graph.head().version }
    });
    tokio::task::yield_now().await;
    store.open();
    answers.await.unwrap().unwrap();
    reading.await.unwrap();
    let now = read::current(&graphs, &graph(), None).await.ok().unwrap();
    assert_eq!(now.head(), dao_api::store::EventStore::head(&*store, &graph()).await.unwrap());
    assert_eq!(now.head().version.get(), 2);
}

/// Rule H2: commits are never said to be there without being given.
#[tokio::test]
async fn h2_memory_does_not_claim_a_history_it_has_not_while_it_is_brought_level() {
    let (_dir, store, _) = stores();
    let graphs = graphs(&store, 10);
    graphs.execute(&graph(), vec![create("a"), create("b")]).await.unwrap();
    let hot = graphs.hot(&graph());
    store.hold(Call::Head);
    let refreshing = tokio::spawn({
        let graphs = graphs.clone();
        async move { graphs.refresh(&graph()).await.map(drop) }
    });
    store.has_arrived(Call::Head, 1).await;
    for since in [0, 1] {
        let found = hot.commits_since(Version::new(since).unwrap(), 10);
        assert!(found.is_none_or(|(_, commits)| !commits.is_empty()), "after {since} there are some");
    }
    store.open();
    refreshing.await.unwrap().unwrap();
    assert_eq!(hot.commits_since(Version::EMPTY, 10).unwrap().1.len(), 2);
}

/// Rule C4: writers have their turn however many others ask for the graph.
#[tokio::test]
async fn c4_those_who_read_do_not_hold_up_those_who_write() {
    let (_dir, _, store) = stores();
    let graphs = graphs(&store, 10);
    graphs.execute(&graph(), vec![create("a")]).await.unwrap();
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let graphs = graphs.clone();
            tokio::spawn(async move {
                loop {
                    graphs.refresh(&graph()).await.unwrap();
                }
            })
        })
        .collect();
    store.hold(Call::Head);
    store.has_arrived(Call::Head, 1).await;
    let writing = graphs.submit(&graph(), vec![create("b")]).unwrap();
    store.open();
    let answers = tokio::time::timeout(PATIENCE, writing).await.expect("an answer in time");
    assert_eq!(answers.unwrap().unwrap().len(), 1);
    readers.iter().for_each(|reader| reader.abort());
}

/// Rules D3, D4, O3: a round reads the log once, however many operations look back and however often
/// another server is faster.
#[tokio::test]
async fn d4_many_who_look_far_back_cost_one_look() {
    const COMMITS: u64 = 2_500; // more than memory keeps
    let (_dir, others_store, store) = stores();
    let others = graphs(&others_store, 10);
    let mut first = vec![create("gone"), operation("DELETE_NODE", json!({"nodeId": "gone"}), json!({}))];
    first.push(create("a"));
    first.push(operation("UPDATE_NODE", json!({"nodeId": "a", "updates": {"data": {"x": 1}}}), json!({})));
    first.extend((4..COMMITS).map(|n| create(&format!("n{n}"))));
    others.execute(&graph(), first).await.unwrap();

    let graphs = graphs(&store, 10);
    graphs.refresh(&graph()).await.unwrap();
    let before = store.commits_read();
    assert_eq!(before, COMMITS);
    let stale = |id: &str, version: u64| {
        let payload = json!({"nodeId": id, "updates": {"data": {"x": 2}}});
        operation("UPDATE_NODE", payload, json!({"clientVersion": version, "clientId": "late"}))
    };
    let mut asked: Vec<Operation> = (0..100).map(|n| stale(&format!("nope-{n}"), 100 - n)).collect();
    asked.push(stale("gone", 1));
    asked.push(stale("gone", 2));
    asked.push(stale("a", 3));
    store.hold(Call::Append);
    let answers = graphs.submit(&graph(), asked).unwrap();
    store.has_arrived(Call::Append, 1).await;
    // Another server is faster; so much so that memory moves on.
    let more: Vec<Operation> = (0..1_500).map(|n| create(&format!("m{n}"))).collect();
    others.execute(&graph(), more).await.unwrap();
    store.open();
    let answers = answers.await.unwrap().unwrap();
    let (nowhere, rest) = answers.split_at(100);
    assert!(nowhere.iter().all(|answer| reason(answer) == Some(Reason::NodeNotFound)));
    let reasons: Vec<_> = rest.iter().map(reason).collect();
    let expected = [Some(Reason::TargetDeleted), Some(Reason::NodeNotFound), Some(Reason::Conflict)];
    assert_eq!(reasons, expected);
    // What is old, once; what is new, once to follow it and at most once to sift it.
    let read = store.commits_read() - before;
    assert!(read <= COMMITS + 2 * 1_500, "{read} commits were read");
}

/// A store whose history of three commits gives way to one of a single commit, as by a fail-over, between a look at
/// its head and one at its commits.
struct Replaced {
    _dirs: [TempDir; 2],
    store: Arc<GatedStore>,
    switched: Arc<SwitchedStore>,
    short: Arc<dyn EventStore>,
    graphs: Arc<Graphs>,
    /// The operation of the last commit of three.
    last: OperationId,
}

impl Replaced {
    async fn new() -> Self {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (long, short) = (embedded_store(one.path()), embedded_store(other.path()));
        let mut last = create("n2");
        last.id = OperationId::from(uuid::Uuid::from_u128(2));
        for (store, commits) in [(&long, 2), (&short, 1)] {
            let others = graphs(&GatedStore::shared(store.clone()), 10);
            others.execute(&graph(), (0..commits).map(|n| create(&format!("n{n}"))).collect()).await.unwrap();
        }
        let others = graphs(&GatedStore::shared(long.clone()), 10);
        others.execute(&graph(), vec![last.clone()]).await.unwrap();
        let switched = SwitchedStore::to(long);
        let store = GatedStore::to(switched.clone());
        let graphs = graphs(&store, 10);
        Self { _dirs: [one, other], store, switched, short, graphs, last: last.id }
    }

    /// What such a read comes to.
    async fn under<T: Send + 'static>(&self, read: impl Future<Output = T> + Send + 'static) -> T {
        self.store.hold(Call::Read);
        let reading = tokio::spawn(read);
        self.store.has_arrived(Call::Read, 1).await; // the head is known, its commits are not
        self.switched.switch(self.short.clone());
        self.store.open();
        reading.await.unwrap()
    }
}

#[tokio::test]
async fn h4_a_history_that_is_replaced_while_it_is_read_is_not_damaged() {
    let replaced = Replaced::new().await;
    let graphs = replaced.graphs.clone();
    let read = replaced.under(async move { graphs.refresh(&graph()).await.map(drop) }).await;
    assert!(matches!(read, Err(WriteError::StoreUnavailable(_))), "{read:?}");
    let view = replaced.graphs.refresh(&graph()).await.unwrap();
    assert_eq!(view.graph.head().version.get(), 1);
}

#[tokio::test]
async fn h4_an_operation_whose_commit_went_with_an_old_primary_is_not_damaged() {
    let replaced = Replaced::new().await;
    let (graphs, last) = (replaced.graphs.clone(), replaced.last);
    // Its record was read; its commit is not there any more.
    let read = replaced.under(async move {
        read::operation(&graphs, last, Some(&graph()), Arc::new(|_| true)).await.map(drop)
    });
    let read = read.await;
    assert!(matches!(read, Err(read::ReadError::Graph(WriteError::StoreUnavailable(_)))), "{read:?}");
    let read = read::operation(&replaced.graphs, last, Some(&graph()), Arc::new(|_| true))
        .await
        .map(|found| found.is_some());
    assert!(matches!(read, Ok(false)), "{read:?}");
}

/// Rule H4: a damaged history is said to be damaged, and not tried again for ever.
#[tokio::test]
async fn h4_an_operation_whose_commit_is_beyond_the_end_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let store = embedded_store(dir.path());
    let commit = {
        let writer = graphs(&GatedStore::to(store.clone()), 10);
        writer.execute(&graph(), vec![create("n")]).await.unwrap();
        store.read(&graph(), Version::EMPTY, Version::MAX, 1).await.unwrap().remove(0)
    };
    // The record of an operation that was refused takes no commit along: so this one names one that is not there.
    let lost = create("lost");
    let record = OperationRecord {
        fingerprint: lost.fingerprint,
        outcome: RecordedOutcome::Committed { version: Version::new(9).unwrap() },
        writer: WriterId([1; 4]),
    };
    let entry = Entry { operation: lost.id, record: record.encode().into(), commit: None, refused_at: None };
    let appended = store.append(&graph(), commit.head(), &[entry]).await.unwrap();
    assert!(matches!(appended, Append::Appended), "{appended:?}");
    let graphs = graphs(&GatedStore::to(store), 10);
    for _ in 0..2 {
        let read = read::operation(&graphs, lost.id, Some(&graph()), Arc::new(|_| true)).await.map(drop);
        assert!(matches!(read, Err(read::ReadError::Graph(WriteError::Unreadable(_)))), "{read:?}");
        let again = graphs.execute(&graph(), vec![lost.clone()]).await.map(drop);
        assert!(matches!(again, Err(WriteError::Unreadable(_))), "{again:?}");
    }
}

#[tokio::test]
async fn v3_a_history_that_is_replaced_while_it_is_verified_is_not_damaged() {
    let replaced = Replaced::new().await;
    let graphs = replaced.graphs.clone();
    let read = replaced.under(async move { read::verify(&graphs, &graph(), |_, _| {}).await }).await;
    assert!(matches!(read, Err(read::ReadError::Graph(WriteError::StoreUnavailable(_)))), "{read:?}");
    assert_eq!(read::verify(&replaced.graphs, &graph(), |_, _| {}).await.unwrap().bad, None);
}

#[tokio::test]
async fn a2_a_history_that_is_replaced_while_an_old_version_is_read_is_not_damaged() {
    let replaced = Replaced::new().await;
    let (graphs, two) = (replaced.graphs.clone(), Version::new(2).unwrap());
    let read = replaced.under(async move { read::at_version(&graphs, &graph(), two).await.map(drop) }).await;
    assert!(matches!(read, Err(read::ReadError::Graph(WriteError::StoreUnavailable(_)))), "{read:?}");
    let read = read::at_version(&replaced.graphs, &graph(), two).await.map(drop);
    assert!(matches!(read, Err(read::ReadError::VersionNotFound { .. })), "{read:?}");
}
