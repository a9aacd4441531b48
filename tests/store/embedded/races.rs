//! Many writers at once, and a process that is killed.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use bytes::Bytes;
use dao_api::store::{Append, Entry, EventStore, StoredCommit, embedded::EmbeddedStore};
use dao_projections::{GraphId, Head, OperationId, Version};
use uuid::Uuid;

use super::{assert_chain, commit, commit_as, count, graph, history, open, temporary, unchanged};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_appends_to_many_graphs_are_all_there_after_reopening() {
    let dir = temporary();
    let store = Arc::new(open(dir.path()));
    let tasks: Vec<_> = (0..64)
        .map(|i| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let (graph, mut head) = (graph(&format!("g{i}")), Head::EMPTY);
                for n in 0..50 {
                    let expected = head;
                    let entries = [commit(&mut head, &format!("{i}/{n}")), commit(&mut head, "again")];
                    let outcome = store.append(&graph, expected, &entries).await;
                    assert_eq!(outcome.expect("appended"), Append::Appended);
                }
                (graph, head)
            })
        })
        .collect();
    let mut heads = Vec::new();
    for task in tasks {
        heads.push(task.await.expect("the task ends"));
    }
    drop(store);
    let store = open(dir.path());
    for (graph, head) in heads {
        assert_eq!(store.head(&graph).await.expect("a head"), head);
        let commits = history(&store, &graph).await;
        assert_eq!(commits.len(), 100);
        assert_chain(&commits);
    }
}

/// Small random numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// Writers race for a few graphs with heads that are often stale and operations that are often
/// repeated. What they were told must be exactly what is there, also after reopening.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c4_what_racing_writers_are_told_is_what_is_there() {
    let seed = match std::env::var("SEED") {
        Ok(seed) => seed.parse().expect("SEED is a number"),
        Err(_) => Uuid::now_v7().as_u128() as u64,
    };
    println!("SEED={seed}");
    let dir = temporary();
    let store = Arc::new(open(dir.path()));
    let tasks: Vec<_> =
        (0..16).map(|i| tokio::spawn(race(Arc::clone(&store), Random(seed.wrapping_add(i))))).collect();
    // Acknowledged commits by graph, each with its hash; and every operation that has a record.
    let mut commits: HashMap<(GraphId, Version), StoredCommit> = HashMap::new();
    let mut records: HashMap<(GraphId, OperationId), Bytes> = HashMap::new();
    for task in tasks {
        for (graph, entry) in task.await.expect("the task ends") {
            let earlier = records.insert((graph.clone(), entry.operation), entry.record);
            assert_eq!(earlier, None, "an operation was appended twice");
            let Some(commit) = entry.commit else { continue };
            assert_eq!(commits.insert((graph, commit.version), commit), None, "a version was given twice");
        }
    }
    assert!(commits.len() > 100, "only {} commits", commits.len());
    drop(store);
    let store = open(dir.path());
    let mut found = 0;
    for name in ["a", "b", "c"] {
        let graph = graph(name);
        let history = history(&store, &graph).await;
        assert_chain(&history);
        found += history.len();
        for commit in history {
            assert_eq!(commits.get(&(graph.clone(), commit.version)), Some(&commit));
        }
    }
    assert_eq!(found, commits.len());
    for ((graph, id), record) in records {
        assert_eq!(store.operations(&graph, &[id]).await.expect("an answer"), [Some(record)]);
    }
}

/// One racing writer: returns the entries it was told are appended.
async fn race(store: Arc<EmbeddedStore>, mut random: Random) -> Vec<(GraphId, Entry)> {
    let mut appended = Vec::new();
    let mut heads: HashMap<GraphId, Head> = HashMap::new();
    for _ in 0..200 {
        let graph = graph(["a", "b", "c"][random.below(3) as usize]);
        let expected = heads.get(&graph).copied().unwrap_or(Head::EMPTY);
        let mut head = expected;
        let entries: Vec<Entry> = (0..1 + random.below(4))
            .map(|_| {
                // Few enough that writers often pick the same ones.
                let id = OperationId::from(Uuid::from_u128(u128::from(random.below(4_000))));
                match random.below(5) {
                    0 => unchanged(id, "unchanged"),
                    _ => commit_as(id, &mut head, &format!("{id} {}", random.below(1_000))),
                }
            })
            .collect();
        let ids: std::collections::HashSet<_> = entries.iter().map(|e| e.operation).collect();
        if ids.len() < entries.len() {
            continue;
        }
        match store.append(&graph, expected, &entries).await.expect("an outcome") {
            Append::Appended => {
                appended.extend(entries.into_iter().map(|entry| (graph.clone(), entry)));
                heads.insert(graph, head);
            }
            Append::HeadMoved(head) => {
                assert_ne!(head, expected);
                heads.insert(graph, head);
            }
            Append::Duplicate(known) => {
                assert!(!known.is_empty() && known.iter().all(|(id, _)| ids.contains(id)));
                let asked: Vec<_> = known.iter().map(|(id, _)| *id).collect();
                let records: Vec<_> = known.into_iter().map(|(_, record)| Some(record)).collect();
                assert_eq!(store.operations(&graph, &asked).await.expect("an answer"), records);
            }
        }
    }
    appended
}

const CHILD_DIR: &str = "EMBEDDED_STORE_CRASH_DIR";

/// Not a test by itself: what the crash test runs as a child, to be killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_child() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let store = Arc::new(open(Path::new(&dir)));
    let tasks = ["a", "b", "c"].map(|name| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let g = graph(name);
            let mut head = store.head(&g).await.expect("a head");
            for n in 0.. {
                let expected = head;
                let entries: Vec<_> =
                    (0..1 + n % 5).map(|i| commit(&mut head, &format!("{n} {i}"))).collect();
                let outcome = store.append(&g, expected, &entries).await.expect("an outcome");
                assert_eq!(outcome, Append::Appended);
                println!("ACK {name} {}", head.version);
            }
        })
    });
    for task in tasks {
        task.await.expect("goes on until it is killed");
    }
}

#[tokio::test]
async fn v6_nothing_acknowledged_is_lost_to_kill_9() {
    let dir = temporary();
    let mut acknowledged: HashMap<String, u64> = HashMap::new();
    let mut unmoved = 0;
    for _ in 0..10 {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["embedded::races::crash_child", "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let last = 20 + Uuid::now_v7().as_u128() as usize % 400;
        let mut seen = 0;
        for line in lines.map_while(Result::ok) {
            // The test harness writes the name of the test on the line of the first acknowledgement.
            let Some(ack) = line.split("ACK ").nth(1) else { continue };
            let Some((name, version)) = ack.split_once(' ') else { continue };
            acknowledged.insert(name.into(), version.parse().expect("a version"));
            seen += 1;
            if seen == last {
                child.kill().expect("killed");
            }
        }
        child.wait().expect("it ends");
        assert!(seen >= last, "the child ended by itself after {seen} acknowledgements");
        unmoved += crate::support::journal::unmoved(dir.path());

        let store = open(dir.path());
        for (name, version) in &acknowledged {
            let commits = history(&store, &graph(name)).await;
            assert!(
                commits.len() as u64 >= *version,
                "{name}: {version} acknowledged, {} kept",
                commits.len()
            );
            assert_chain(&commits);
        }
        store.close().await;
        let (events, records) = (count(dir.path(), "event"), count(dir.path(), "operation"));
        assert_eq!(events, records, "every commit has its record and no other is there");
    }
    assert!(unmoved > 0, "a start had something of the journal to move");
}
