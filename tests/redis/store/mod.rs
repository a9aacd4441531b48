//! What only the Redis store can get wrong: replies that go to the wrong caller, scripts that are
//! forgotten, servers that die, restart, refuse or stop answering, windows that turn.

mod servers;
mod starting;
mod used_ids;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use dao_api::store::{
    Append, Entry, EventStore, Order, RefusalPlace, StoreError,
    redis::{RedisConfig, RedisStore},
};
use dao_projections::Head;

use crate::support::{
    history::{
        accepted, assert_is_a_history, commit, found, graph, grow, operation, read_all, record, refused,
        refused_at, version,
    },
    redis::RedisServer,
};

fn config(url: String) -> RedisConfig {
    RedisConfig::at(url, Duration::from_secs(3_600))
}

async fn connect(server: &RedisServer) -> Arc<RedisStore> {
    Arc::new(RedisStore::connect(config(server.url())).await.expect("connect"))
}

/// What a client of the publish/subscribe protocol would read in the first place of a reply.
const PUBSUB_WORDS: [&str; 9] = [
    "message",
    "subscribe",
    "pmessage",
    "psubscribe",
    "unsubscribe",
    "punsubscribe",
    "smessage",
    "sunsubscribe",
    "pubsub",
];

/// The client library takes arrays of three or four that begin with such a word for publications,
/// drops them and hands every later reply to the wrong caller. Here every string that a user or
/// another writer chooses is such a word, replies have all lengths around three and four, and many
/// tasks share the connections: each must get its own answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reply_goes_to_another_caller() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..24_u128 {
        let store = store.clone();
        tasks.spawn(async move {
            let word = PUBSUB_WORDS[task as usize % PUBSUB_WORDS.len()];
            let g = graph(&if task < 9 { word.to_owned() } else { format!("{word}-{task}") });
            // Ids are 16 bytes of the user's choice: a word, then what tells them apart.
            let id = |n: u128| {
                let mut bytes = (task << 16 | n).to_be_bytes();
                let length = word.len().min(12);
                bytes[..length].copy_from_slice(&word.as_bytes()[..length]);
                operation(u128::from_be_bytes(bytes))
            };
            let mut head = Head::EMPTY;
            for round in 0..30_u128 {
                let size = 1 + (round + task) % 5;
                let mut entries = Vec::new();
                let mut after = head;
                for n in 0..size {
                    let made = commit(after, format!("{word}{task}/{round}/{n}"));
                    after = made.head();
                    let record = Bytes::from_static(word.as_bytes());
                    entries.push(Entry {
                        operation: id(round * 10 + n),
                        record,
                        commit: Some(made),
                        refused_at: None,
                    });
                }
                assert_eq!(store.append(&g, head, &entries).await.unwrap(), Append::Appended);
                let again = store.append(&g, head, &entries).await.unwrap();
                let recorded: Vec<_> = entries.iter().map(|e| (e.operation, e.record.clone())).collect();
                assert_eq!(again, Append::Duplicate(recorded));
                let late = Entry { operation: id(999), record: word.into(), commit: None, refused_at: None };
                assert_eq!(store.append(&g, head, &[late]).await.unwrap(), Append::HeadMoved(after));

                let commits: Vec<_> = entries.iter().filter_map(|e| e.commit.clone()).collect();
                assert_eq!(store.read(&g, head.version, after.version, 100).await.unwrap(), commits);
                let ids: Vec<_> = entries.iter().map(|e| e.operation).collect();
                let records: Vec<_> = entries.iter().map(|e| Some(e.record.clone())).collect();
                assert_eq!(store.operations(&g, &ids).await.unwrap(), records);
                assert_eq!(store.head(&g).await.unwrap(), after);
                if round % 10 == 0 {
                    let found = found(&*store, ids[0]).await.unwrap();
                    assert_eq!(found, [(g.clone(), Bytes::from_static(word.as_bytes()))]);
                }
                head = after;
            }
            assert_is_a_history(&read_all(&*store, &g).await);
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
}

/// On a cluster, where Redis checks that the keys of a script lie together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_a_store() {
    const GRAPHS: u128 = 40;
    let nodes = RedisServer::cluster();
    let url = nodes[0].url().replace("redis://", "redis-cluster://");
    let store = RedisStore::connect(config(url)).await.unwrap();
    store.check().await.unwrap();
    assert_eq!(store.durability().name, "appendfsync everysec");
    for n in 0..GRAPHS {
        let g = graph(&format!("graph-{n}"));
        let head = grow(&store, &g, Head::EMPTY, [n, 1_000, 1_001, 1_002]).await;
        let again = store.append(&g, head, &[accepted(n, head)]).await.unwrap();
        assert_eq!(again, Append::Duplicate(vec![(operation(n), record(n))]));
        assert_eq!(store.append(&g, Head::EMPTY, &[refused(77)]).await.unwrap(), Append::HeadMoved(head));
        assert_eq!(store.head(&g).await.unwrap(), head);
        assert_eq!(read_all(&store, &g).await.len(), 4);
        assert_eq!(found(&store, operation(n)).await.unwrap(), [(g, record(n))]);
    }
    assert_eq!(found(&store, operation(1_000)).await.unwrap().len(), GRAPHS as usize);
    for node in &nodes {
        assert!(!node.keys("dao:*:events").is_empty(), "every node has its share");
    }
}

#[tokio::test]
async fn scripts_that_redis_forgot_are_given_again() {
    let server = RedisServer::start();
    let (store, g) = (connect(&server).await, graph("g"));
    server.command(&["SCRIPT", "FLUSH"]);
    let head = grow(&*store, &g, Head::EMPTY, [1]).await;
    server.command(&["SCRIPT", "FLUSH"]);
    assert_eq!(store.operations(&g, &[operation(1)]).await.unwrap(), [Some(record(1))]);
    server.command(&["SCRIPT", "FLUSH"]);
    assert_eq!(found(&*store, operation(1)).await.unwrap(), [(g.clone(), record(1))]);
    server.command(&["SCRIPT", "FLUSH"]);
    grow(&*store, &g, head, [2]).await;
}

#[tokio::test]
async fn v1_no_hole_is_read_across() {
    let server = RedisServer::start();
    let (store, g) = (connect(&server).await, graph("123456789")); // of partition 3
    let key = "dao:{3}:graph:123456789:events";
    let head = grow(&*store, &g, Head::EMPTY, 1..=100).await;
    let hole_at = async |after: u64, to: u64| match store.read(&g, version(after), version(to), 1_000).await {
        Err(StoreError::Corrupt { version, .. }) => Some(version.get()),
        Ok(commits) => {
            assert!(commits.iter().zip(after + 1..).all(|(commit, n)| commit.version.get() == n));
            None
        }
        Err(error) => panic!("{error}"),
    };

    server.command(&["XDEL", key, "50-0"]);
    assert_eq!(hole_at(0, 49).await, None);
    assert_eq!(hole_at(50, 100).await, None);
    assert_eq!(hole_at(0, 100).await, Some(50));
    assert_eq!(hole_at(49, 50).await, Some(50), "all of the range is missing");
    server.command(&["XTRIM", key, "MINID", "20"]);
    assert_eq!(hole_at(0, 10).await, Some(1));
    assert_eq!(hole_at(0, 40).await, Some(1));
    assert_eq!(hole_at(19, 40).await, None);

    // The last commit's number was used: Redis refuses it, and nothing else is written.
    server.command(&["XDEL", key, "100-0"]);
    let now = store.head(&g).await.unwrap();
    assert_eq!(now.version, version(99));
    let outcome = store.append(&g, now, &[accepted(101, now)]).await;
    assert!(
        matches!(outcome, Err(StoreError::Corrupt { version, .. }) if version == head.version),
        "{outcome:?}"
    );
    assert_eq!(store.operations(&g, &[operation(101)]).await.unwrap(), [None]);
}

/// Rule V6 at `appendfsync always`: Redis is killed over and over while writers append; what they
/// were told is there, once, and what they were refused is not.
#[tokio::test]
async fn a1_refusals_of_a_history_that_was_deleted_go_with_it() {
    let server = RedisServer::start();
    let (store, g) = (connect(&server).await, graph("g"));
    let head = grow(&*store, &g, Head::EMPTY, [1, 2]).await;
    let at = |n, v| refused_at(n, version(v));
    let all = (RefusalPlace::before(version(0)), RefusalPlace::after(version(99)));
    let told = async || {
        let found = store.refusals(&g, all, Order::OldestFirst, 10).await.unwrap();
        found.iter().map(|refusal| refusal.operation).collect::<Vec<_>>()
    };
    for (events_key, first) in
        [(server.keys("dao:*:graph:g:events"), 10), (server.keys("dao:*:graph:g:events"), 20)]
    {
        let on = store.head(&g).await.unwrap();
        store.append(&g, on, &[at(first, 2)]).await.unwrap();
        assert_eq!(told().await, [operation(first)]);
        server.command(&["DEL", &events_key[0]]);
        // Either way: the new history begins with a refusal, or with commits.
        if first == 10 {
            store.append(&g, Head::EMPTY, &[at(11, 0)]).await.unwrap();
            assert_eq!(told().await, [operation(11)]);
        }
        let again = grow(&*store, &g, Head::EMPTY, [first + 2, first + 3]).await;
        assert_ne!(again, head);
        assert_eq!(told().await, if first == 10 { vec![operation(11)] } else { vec![] });
        store.append(&g, again, &[at(first + 4, 2)]).await.unwrap();
        let last = operation(first + 4);
        assert_eq!(told().await, if first == 10 { vec![operation(11), last] } else { vec![last] });
        server.command(&["DEL", &server.keys("dao:*:graph:g:refusals")[0]]);
    }
    // An entry that somebody deleted does not make the next one impossible.
    let on = store.head(&g).await.unwrap();
    store.append(&g, on, &[at(30, 2)]).await.unwrap();
    server.command(&["XDEL", &server.keys("dao:*:graph:g:refusals")[0], "2-1"]);
    store.append(&g, on, &[at(31, 2)]).await.unwrap();
    assert_eq!(told().await, [operation(31)]);
}

#[tokio::test]
async fn c3_an_operation_is_remembered_for_its_time_and_then_forgotten() {
    const TTL: Duration = Duration::from_millis(800);
    let server = RedisServer::start();
    let config = RedisConfig { operation_ttl: TTL, partitions: Some(1), ..config(server.url()) };
    let (store, g) = (RedisStore::connect(config).await.unwrap(), graph("g"));
    let mut head = grow(&store, &g, Head::EMPTY, [0]).await;
    let start = Instant::now();
    let mut n = 0;
    // Writing all the while, so that windows turn under it.
    let forgotten_after = loop {
        n += 1;
        head = grow(&store, &g, head, [n]).await;
        let asked = start.elapsed();
        match store.append(&g, head, &[refused(0)]).await.unwrap() {
            Append::Duplicate(found) => {
                assert_eq!(found, [(operation(0), record(0))]);
                assert!(asked < 3 * TTL, "never forgotten");
            }
            Append::Appended => break start.elapsed(),
            Append::HeadMoved(head) => panic!("{head:?}"),
        }
    };
    assert!(forgotten_after >= TTL, "forgotten after {forgotten_after:?}");
    while start.elapsed() < 5 * TTL {
        n += 1;
        head = grow(&store, &g, head, [n]).await;
    }
    let windows = server.keys("dao:{0}:operations:*").len();
    assert!(windows <= 3, "{windows} windows are there");
    assert_is_a_history(&read_all(&store, &g).await);
}

/// All keys with what is in them.
fn contents(server: &RedisServer) -> std::collections::BTreeMap<String, String> {
    server.keys("*").into_iter().map(|key| (key.clone(), server.command(&["DUMP", &key]))).collect()
}

/// What says that nothing was changed has changed nothing: a key that is not what it should be is found out before the
/// first write, whichever it is.
#[tokio::test]
async fn h4_an_append_that_meets_a_key_of_a_wrong_type_changes_nothing() {
    let server = RedisServer::start();
    let partitions = Some(1);
    let store =
        RedisStore::connect(RedisConfig { partitions, ..config(server.url()) }).await.expect("connect");
    let g = graph("new");
    // Another graph of the partition makes all the keys that graphs share.
    store
        .append(&graph("old"), Head::EMPTY, &[accepted(1, Head::EMPTY), refused_at(2, version(1))])
        .await
        .unwrap();
    let shared: Vec<String> =
        server.keys("dao:{0}:*").into_iter().filter(|key| !key.contains(":graph:")).collect();
    assert!(shared.len() >= 3, "feed, index and window are among {shared:?}");
    let own = ["events", "refusals"].map(|name| format!("dao:{{0}}:graph:new:{name}"));
    let entries = [accepted(3, Head::EMPTY), refused_at(4, version(1))];
    for key in shared.iter().chain(&own) {
        if !own.contains(key) {
            server.command(&["RENAME", key, "kept"]);
        }
        server.command(&["SET", key, "not what it should be"]);
        let before = contents(&server);
        let refused = store.append(&g, Head::EMPTY, &entries).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{key}: {refused:?}");
        assert_eq!(before, contents(&server), "{key} was of a wrong type");
        server.command(&["DEL", key]);
        if !own.contains(key) {
            server.command(&["RENAME", "kept", key]);
        }
    }
    assert_eq!(store.append(&g, Head::EMPTY, &entries).await.unwrap(), Append::Appended);
}

/// Prints what a command costs: `cargo test --test redis memory -- --nocapture`.
#[tokio::test]
async fn memory_per_command_stays_within_its_budget() {
    const COMMANDS: u128 = 64_000;
    const BYTES_MAX: u64 = 350;
    let server = RedisServer::start();
    let (store, g) = (connect(&server).await, graph("team-a.flow:17"));
    let used = || -> u64 {
        let info = server.command(&["INFO", "memory"]);
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
        line.unwrap().trim().parse().unwrap()
    };
    let before = used();
    let mut head = Head::EMPTY;
    for batch in 0..COMMANDS / 32 {
        let entries: Vec<Entry> = (0..32)
            .map(|i| {
                let n = batch * 32 + i;
                let made = commit(head, format!("{n:0165}"));
                head = made.head();
                // Ids as random as a UUIDv7's; a record as long as that of an accepted command.
                let operation = operation(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
                Entry { operation, record: vec![1; 18].into(), commit: Some(made), refused_at: None }
            })
            .collect();
        let on = entries[0].commit.as_ref().unwrap();
        let on = Head { version: version(on.version.get() - 1), hash: store.head(&g).await.unwrap().hash };
        assert_eq!(store.append(&g, on, &entries).await.unwrap(), Append::Appended);
    }
    for key in server.keys("dao:{*") {
        println!("about {} bytes a command in {key}", server.memory_bytes(&key) / head.version.get());
    }
    let bytes = (used() - before) / head.version.get();
    println!("{bytes} bytes a command, of which its commit is 165");
    assert!(bytes <= BYTES_MAX, "{bytes} bytes a command");
}

fn all() -> dao_api::store::GraphFilter {
    std::sync::Arc::new(|_| true)
}
