//! What the embedded store promises beyond the contract that every store keeps: one process, one
//! durable file, group commit, and nothing lost to kill -9, a full disk or a closed store.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use dao_api::store::{
    Append, Entry, EventStore, StoreError, StoredCommit,
    embedded::{EmbeddedConfig, EmbeddedStore, OpenError, SyncMode},
};
use dao_projections::{GraphId, Head, OperationId, Version};
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::history::found;

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn config(dir: &Path) -> EmbeddedConfig {
    EmbeddedConfig { dir: dir.into(), durability: SyncMode::Fsync, operation_ttl: DAY }
}

fn open(dir: &Path) -> EmbeddedStore {
    EmbeddedStore::open(config(dir)).expect("the store opens")
}

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn graph(name: &str) -> GraphId {
    GraphId::parse(name).expect("a graph id")
}

fn operation() -> OperationId {
    OperationId::from(Uuid::now_v7())
}

/// An entry with a commit that follows on `head`, which it moves.
fn commit(head: &mut Head, body: &str) -> Entry {
    commit_as(operation(), head, body)
}

fn commit_as(operation: OperationId, head: &mut Head, body: &str) -> Entry {
    let body = Bytes::copy_from_slice(body.as_bytes());
    *head = head.after(&body);
    let commit = StoredCommit { version: head.version, hash: head.hash, body };
    Entry { operation, record: Bytes::from_static(b"record"), commit: Some(commit), refused_at: None }
}

/// An entry of an operation that changed nothing.
fn unchanged(operation: OperationId, record: &'static str) -> Entry {
    Entry { operation, record: Bytes::from_static(record.as_bytes()), commit: None, refused_at: None }
}

fn version(n: u64) -> Version {
    Version::new(n).expect("a version")
}

async fn history(store: &EmbeddedStore, graph: &GraphId) -> Vec<StoredCommit> {
    let mut all: Vec<StoredCommit> = Vec::new();
    loop {
        let after = all.last().map_or(Version::EMPTY, |c| c.version);
        let more = store.read(graph, after, version(1 << 40), 1_000).await.expect("a readable history");
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

/// Checks that the commits are gapless from 1 and each hash follows from the one before.
fn assert_chain(commits: &[StoredCommit]) {
    let mut head = Head::EMPTY;
    for commit in commits {
        head = head.after(&commit.body);
        assert_eq!(commit.head(), head);
    }
}

#[tokio::test]
async fn a_second_process_is_told_which_directory_is_taken() {
    let dir = temporary();
    let store = open(dir.path());
    let refused = EmbeddedStore::open(config(dir.path())).expect_err("the lock is held");
    assert!(matches!(refused, OpenError::Locked { .. }), "{refused:?}");
    let line = refused.to_string();
    assert!(line.contains(&dir.path().display().to_string()) && line.contains("DATA_DIR"), "{line}");
    store.close().await;
    open(dir.path());
}

#[tokio::test]
async fn dropping_the_store_ends_it_and_loses_nothing() {
    let dir = temporary();
    let store = open(dir.path());
    let mut head = Head::EMPTY;
    let entry = commit(&mut head, "one");
    assert_eq!(store.append(&graph("g"), Head::EMPTY, &[entry]).await.expect("appended"), Append::Appended);
    drop(store);
    assert_eq!(open(dir.path()).head(&graph("g")).await.expect("a head"), head);
}

#[tokio::test]
async fn a_closed_store_refuses_and_does_not_hang() {
    let dir = temporary();
    let store = open(dir.path());
    store.close().await;
    let refused = store.append(&graph("g"), Head::EMPTY, &[unchanged(operation(), "r")]).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(matches!(store.head(&graph("g")).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    store.close().await;
}

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

/// All of these wait together, so that they come to be in one transaction.
#[tokio::test]
async fn c3_outcomes_in_one_transaction_do_not_disturb_each_other() {
    let dir = temporary();
    let store = open(dir.path());
    let (a, b) = (graph("a"), graph("b"));
    let known = operation();
    let mut one = Head::EMPTY;
    let first = [commit_as(known, &mut one, "first")];
    store.append(&a, Head::EMPTY, &first).await.expect("appended");

    let mut two = one;
    let good = [commit(&mut two, "second")];
    let fresh = operation();
    let mut lost = one;
    let repeated = [commit_as(fresh, &mut lost, "x"), commit_as(known, &mut lost, "y")];
    let late = [commit(&mut { one }, "late")];
    let mut three = two;
    let next = [commit_as(fresh, &mut three, "third")];
    let elsewhere = [commit_as(known, &mut { Head::EMPTY }, "another graph, the same id")];

    let (repeated, good, late, next, elsewhere) = tokio::join!(
        store.append(&a, one, &repeated),
        store.append(&a, one, &good),
        store.append(&a, one, &late),
        store.append(&a, two, &next),
        store.append(&b, Head::EMPTY, &elsewhere),
    );
    let record = Bytes::from_static(b"record");
    assert_eq!(repeated.expect("an outcome"), Append::Duplicate(vec![(known, record.clone())]));
    assert_eq!(good.expect("an outcome"), Append::Appended);
    assert_eq!(late.expect("an outcome"), Append::HeadMoved(two));
    assert_eq!(next.expect("an outcome"), Append::Appended);
    assert_eq!(elsewhere.expect("an outcome"), Append::Appended);

    assert_chain(&history(&store, &a).await);
    assert_eq!(store.head(&a).await.expect("a head"), three);
    let mut found = found(&store, known).await.expect("an answer");
    found.sort();
    assert_eq!(found, [(a, record.clone()), (b, record)]);
}

#[tokio::test]
async fn c3_a_repeat_is_told_apart_from_a_lost_race() {
    let dir = temporary();
    let store = open(dir.path());
    let (g, id) = (graph("g"), operation());
    let mut head = Head::EMPTY;
    let entry = commit_as(id, &mut head, "one");
    store.append(&g, Head::EMPTY, std::slice::from_ref(&entry)).await.expect("appended");
    let again = store.append(&g, Head::EMPTY, &[entry]).await.expect("an outcome");
    assert_eq!(again, Append::Duplicate(vec![(id, Bytes::from_static(b"record"))]));
    let known = store.operations(&g, &[operation(), id]).await.expect("an answer");
    assert_eq!(known, [None, Some(Bytes::from_static(b"record"))]);
}

#[tokio::test]
async fn a_gap_in_an_append_is_refused() {
    let dir = temporary();
    let store = open(dir.path());
    let mut head = Head::EMPTY;
    let (_, second) = (commit(&mut head, "one"), commit(&mut head, "two"));
    let refused = store.append(&graph("g"), Head::EMPTY, &[second]).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(store.head(&graph("g")).await.expect("a head"), Head::EMPTY);
}

#[tokio::test]
async fn v7_a_hole_is_never_read_across() {
    let dir = temporary();
    let (g, mut head) = (graph("g"), Head::EMPTY);
    let entries: Vec<_> = (0..10).map(|n| commit(&mut head, &format!("{n}"))).collect();
    let store = open(dir.path());
    store.append(&g, Head::EMPTY, &entries).await.expect("appended");
    store.close().await;
    sql(dir.path(), "DELETE FROM event WHERE key & 15 = 5");

    let store = open(dir.path());
    let hole = |read: Result<Vec<StoredCommit>, StoreError>| match read {
        Err(StoreError::Corrupt { version, .. }) => version.get(),
        other => panic!("read across a hole: {other:?}"),
    };
    assert_eq!(hole(store.read(&g, Version::EMPTY, version(10), 100).await), 5);
    assert_eq!(hole(store.read(&g, version(4), version(5), 100).await), 5);
    assert_eq!(store.read(&g, Version::EMPTY, version(4), 100).await.expect("whole").len(), 4);
    assert_eq!(store.read(&g, version(5), version(99), 100).await.expect("whole").len(), 5);
    assert!(store.read(&g, version(10), version(99), 100).await.expect("the end").is_empty());
}

fn sql(dir: &Path, statements: &str) {
    let connection = rusqlite::Connection::open(dir.join("dao.db")).expect("the file opens");
    connection.execute_batch(statements).expect("the statements run");
}

fn count(dir: &Path, table: &str) -> i64 {
    let connection = rusqlite::Connection::open(dir.join("dao.db")).expect("the file opens");
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0)).expect("a count")
}

#[tokio::test]
async fn c3_records_of_dead_windows_are_deleted() {
    let dir = temporary();
    let ttl = Duration::from_millis(50);
    let store =
        EmbeddedStore::open(EmbeddedConfig { operation_ttl: ttl, ..config(dir.path()) }).expect("opens");
    let g = graph("g");
    let entries: Vec<_> = (0..2_500).map(|_| unchanged(operation(), "r")).collect();
    store.append(&g, Head::EMPTY, &entries).await.expect("appended");
    assert_eq!(count(dir.path(), "operation"), 2_500);
    // The deleting is seen from outside only: ask until it is done.
    while count(dir.path(), "operation") > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let known = store.operations(&g, &[entries[0].operation]).await.expect("an answer");
    assert_eq!(known, [None]);
}

#[tokio::test]
async fn c3_the_window_before_is_looked_into_too() {
    let dir = temporary();
    let ttl = Duration::from_secs(3_600);
    let (g, id) = (graph("g"), operation());
    let store =
        EmbeddedStore::open(EmbeddedConfig { operation_ttl: ttl, ..config(dir.path()) }).expect("opens");
    store.append(&g, Head::EMPTY, &[unchanged(id, "r")]).await.expect("appended");
    store.close().await;
    // As if an hour and a half had gone by.
    sql(dir.path(), "UPDATE operation SET window = window - 5400000");

    let store =
        EmbeddedStore::open(EmbeddedConfig { operation_ttl: ttl, ..config(dir.path()) }).expect("opens");
    store.append(&g, Head::EMPTY, &[unchanged(operation(), "r")]).await.expect("appended");
    let both = [unchanged(operation(), "r"), unchanged(id, "r")];
    let again = store.append(&g, Head::EMPTY, &both).await.expect("an outcome");
    assert_eq!(again, Append::Duplicate(vec![(id, Bytes::from_static(b"r"))]));
    assert_eq!(found(&store, id).await.expect("an answer").len(), 1);
    assert!(found(&store, both[0].operation).await.expect("an answer").is_empty());
}

#[tokio::test]
async fn another_format_and_a_foreign_file_are_refused_untouched() {
    let dir = temporary();
    open(dir.path()).close().await;
    sql(dir.path(), "UPDATE meta SET value = 1 WHERE key = 'format'");
    let before = std::fs::read(dir.path().join("dao.db")).expect("the file");
    let refused = EmbeddedStore::open(config(dir.path())).expect_err("too old");
    assert!(matches!(refused, OpenError::Older { found: 1, known: 3, .. }), "{refused:?}");
    assert_eq!(std::fs::read(dir.path().join("dao.db")).expect("the file"), before);

    sql(dir.path(), "UPDATE meta SET value = 4 WHERE key = 'format'");
    let before = std::fs::read(dir.path().join("dao.db")).expect("the file");
    let refused = EmbeddedStore::open(config(dir.path())).expect_err("too new");
    assert!(matches!(refused, OpenError::Newer { found: 4, known: 3, .. }), "{refused:?}");
    assert_eq!(std::fs::read(dir.path().join("dao.db")).expect("the file"), before);

    let foreign = temporary();
    std::fs::write(
        foreign.path().join("dao.db"),
        "a letter to my aunt, longer than a page header ".repeat(99),
    )
    .expect("written");
    let refused = EmbeddedStore::open(config(foreign.path())).expect_err("no database");
    assert!(matches!(refused, OpenError::NotOurs { .. }), "{refused:?}");
}

/// A small file system of our own where we may mount one; else nothing, and the test says so.
struct Mounted(PathBuf, #[allow(dead_code, reason = "holds the mount point")] TempDir);

impl Mounted {
    fn tmpfs(options: &str) -> Option<Self> {
        let dir = temporary();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(dir.path())
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(dir.path().into(), dir));
        }
        eprintln!("skipped: this user cannot mount a tmpfs");
        None
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_read_only_directory_is_refused_with_advice() {
    let Some(mounted) = Mounted::tmpfs("size=1m,ro") else { return };
    for dir in [mounted.0.clone(), mounted.0.join("below")] {
        let line = EmbeddedStore::open(config(&dir)).expect_err("read-only").to_string();
        assert!(line.contains("DATA_DIR") && line.contains("Read-only"), "{line}");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_changes_nothing_and_heals() {
    let Some(mounted) = Mounted::tmpfs("size=4m") else { return };
    let ballast = mounted.0.join("ballast");
    std::fs::write(&ballast, vec![0; 1 << 20]).expect("room for it");
    let store = open(&mounted.0);
    let (g, mut head) = (graph("g"), Head::EMPTY);
    let refused = loop {
        let mut next = head;
        let entry = commit(&mut next, &"x".repeat(50_000));
        match store.append(&g, head, &[entry]).await {
            Ok(outcome) => assert_eq!(outcome, Append::Appended),
            Err(refused) => break refused,
        }
        head = next;
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    assert!(head.version > Version::EMPTY);
    assert_eq!(store.head(&g).await.expect("reads go on"), head);

    std::fs::remove_file(&ballast).expect("removed");
    store.check().await.expect("there is room again");
    let mut next = head;
    let entry = commit(&mut next, &"y".repeat(50_000));
    assert_eq!(store.append(&g, head, &[entry]).await.expect("an outcome"), Append::Appended);
    store.close().await;
    let store = open(&mounted.0);
    assert_eq!(store.head(&g).await.expect("a head"), next);
    assert_chain(&history(&store, &g).await);
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
    for _ in 0..10 {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["embedded::crash_child", "--exact", "--nocapture", "--test-threads=1"])
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
}
