//! Tests of pages over a store that is written to without commands.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use dao_projections::{CommandType, CommitBody, Outcome};
use uuid::Uuid;

use super::*;
use crate::{
    store::{
        Append, Entry as Operation,
        embedded::{EmbeddedConfig, EmbeddedStore, SyncMode},
    },
    write::GraphsConfig,
};

/// A store that is written to without commands.
struct Bench {
    graphs: Arc<Graphs>,
    store: Arc<EmbeddedStore>,
    written: u128,
    _dir: tempfile::TempDir,
}

fn body(operation_id: OperationId) -> Bytes {
    let body = CommitBody {
        operation_id,
        user_id: "ada".parse().expect("a user"),
        client_id: "tab".parse().expect("a client"),
        is_client_named: true,
        traceparent: None,
        timestamp: Timestamp(1_795_000_000_000),
        command_type: CommandType::Batch,
        outcome: Outcome::Applied,
        undoes: vec![],
        restores: None,
        is_erased: false,
        events: vec![],
    };
    body.encode().into()
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let config = EmbeddedConfig {
            dir: dir.path().into(),
            durability: SyncMode::Interval,
            operation_ttl: Duration::from_secs(3_600),
        };
        let store = Arc::new(EmbeddedStore::open(config).expect("a store"));
        let graphs = Graphs::new(store.clone(), GraphsConfig::default());
        Self { graphs, store, written: 0, _dir: dir }
    }

    /// One append of one operation: a commit of these bytes, or a refused one whose record can't be read.
    async fn append(&mut self, graph: &str, commit: Option<fn(OperationId) -> Bytes>) {
        self.written += 1;
        let (graph, operation) =
            (GraphId::parse(graph).expect("a graph"), Uuid::from_u128(self.written).into());
        let head = self.store.head(&graph).await.expect("a head");
        let commit = commit.map(|body| {
            let body = body(operation);
            let Head { version, hash } = head.after(&body);
            StoredCommit { version, hash, body }
        });
        let refused_at = commit.is_none().then_some(head.version);
        let entry = Operation { operation, record: Bytes::from_static(b"?"), commit, refused_at };
        assert_eq!(self.store.append(&graph, head, &[entry]).await.expect("appended"), Append::Appended);
    }

    async fn page(&self, question: &AllOperationsQuery, steps: usize) -> AllOperationsPage {
        let budget = PageBudget::of(steps, usize::MAX);
        page(&self.graphs, &*self.store, question, &budget).await.expect("a page")
    }

    /// All that is listed, as graphs and versions, and how many pages that took.
    async fn pages(&self, mut question: AllOperationsQuery, steps: usize) -> (Vec<(String, u64)>, usize) {
        let (mut all, mut count) = (vec![], 0);
        loop {
            let page = self.page(&question, steps).await;
            count += 1;
            assert!(count < 1_000, "it comes to an end");
            let versions =
                page.operations.iter().filter_map(|(graph, of)| Some((graph, of.accepted()?.version)));
            all.extend(versions.map(|(graph, version)| (graph.to_string(), version.get())));
            question.after = page.next;
            if question.after.is_none() {
                return (all, count);
            }
        }
    }
}

fn question(graphs: &str) -> AllOperationsQuery {
    let graphs = CommitFilter::default().with_graphs(graphs).expect("a filter");
    AllOperationsQuery { filter: AuditFilter::default(), graphs, limit: 100, after: None }
}

fn of(graph: &str, versions: impl DoubleEndedIterator<Item = u64>) -> Vec<(String, u64)> {
    versions.rev().map(|version| (graph.to_owned(), version)).collect()
}

#[tokio::test]
async fn a1_what_matches_nothing_is_within_the_bound_of_a_page() {
    let mut bench = Bench::new();
    for _ in 0..4 {
        bench.append("g", Some(body)).await;
        for _ in 0..40 {
            bench.append("noise", Some(body)).await;
            bench.append("noise", None).await;
        }
    }
    let (all, count) = bench.pages(question("g"), usize::MAX).await;
    assert_eq!((all, count), (of("g", 1..5), 1));
    for steps in [1, 20, 100] {
        let (all, count) = bench.pages(question("g"), steps).await;
        assert_eq!(all, of("g", 1..5), "each once");
        assert!(count > 1, "{count} pages of {steps}");
    }
    bench.graphs.close().await;
}

#[tokio::test]
async fn a1_refused_operations_that_can_not_be_read_are_within_it_too_and_passed_over() {
    let mut bench = Bench::new();
    bench.append("g", Some(body)).await;
    for _ in 0..60 {
        bench.append("g", None).await;
    }
    let (all, count) = bench.pages(question("*"), 20).await;
    assert_eq!(all, of("g", 1..2));
    assert!(count > 1 && count <= 61, "{count} pages");
    bench.graphs.close().await;
}

#[tokio::test]
async fn a1_what_was_refused_later_is_not_looked_at() {
    let mut bench = Bench::new();
    for _ in 0..60 {
        bench.append("g", None).await;
    }
    let until = |ms: u64| {
        let filter = AuditFilter { to: Some(Timestamp(ms)), ..AuditFilter::default() };
        AllOperationsQuery { filter, ..question("*") }
    };
    let now = bench.graphs.now().0;
    assert_eq!(bench.page(&until(now - 3_600_000), 20).await.next, None);
    assert!(bench.page(&until(now), 20).await.next.is_some(), "these are");
    bench.graphs.close().await;
}

#[tokio::test]
async fn a1_commits_that_can_not_be_read_hide_no_others() {
    let mut bench = Bench::new();
    for bytes in [body, |_| Bytes::from_static(b"no commit"), body] {
        bench.append("bad", Some(bytes)).await;
        bench.append("good", Some(body)).await;
    }
    let mut expected = [of("good", 1..4), of("bad", [1, 3].into_iter())].concat();
    let (mut all, _) = bench.pages(question("*"), usize::MAX).await;
    all.sort();
    expected.sort();
    assert_eq!(all, expected);
    bench.graphs.close().await;
}
