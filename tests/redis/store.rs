//! What only the Redis store can get wrong: replies that go to the wrong caller, scripts that are
//! forgotten, servers that die, restart, refuse or stop answering, windows that turn.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use dao_api::store::{
    Append, Entry, EventStore, Order, RefusalPlace, StoreError,
    redis::{ConnectError, RedisConfig, RedisStore},
};
use dao_projections::{Head, Version};

use crate::support::{
    history::{
        accepted, accepted_all, assert_is_a_history, commit, found, graph, grow, operation, read_all, record,
        refused, refused_at, version,
    },
    proxy::Proxy,
    redis::{RedisServer, free_port},
};

fn config(url: String) -> RedisConfig {
    RedisConfig::at(url, Duration::from_secs(3_600))
}

async fn connect(server: &RedisServer) -> Arc<RedisStore> {
    Arc::new(RedisStore::connect(config(server.url())).await.expect("connect"))
}

async fn refusal(config: RedisConfig) -> ConnectError {
    match RedisStore::connect(config).await {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error,
    }
}

/// Asks until the answer is `Ok`, as the write path does after an error.
async fn until_ok<T, F: Future<Output = Result<T, StoreError>>>(mut ask: impl FnMut() -> F) -> T {
    let start = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(20), "still {error}"),
        }
    }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v6_nothing_acknowledged_is_lost_or_doubled_by_kill_9_of_redis() {
    const WRITERS: u128 = 6;
    let mut server = RedisServer::with(&["--appendfsync", "always"]);
    let store = connect(&server).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (store, stop) = (store.clone(), stop.clone());
        let g = graph(&format!("g{writer}"));
        writers.spawn(async move {
            let mut head = Head::EMPTY;
            let mut acknowledged = Vec::new();
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                let (entries, after) = accepted_all(n..n + 3, head);
                match store.append(&g, head, &entries).await {
                    Ok(Append::Appended) => {}
                    // A lost answer, or the client sent it twice: all three or none.
                    Ok(Append::Duplicate(found)) => assert_eq!(found.len(), 3),
                    Ok(Append::HeadMoved(now)) => panic!("only one writer, but the head is {now:?}"),
                    Err(StoreError::Corrupt { problem, .. }) => panic!("{problem}"),
                    Err(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_)) => continue,
                    Err(error @ StoreError::NotReplicated(_)) => panic!("no replica is asked for: {error}"),
                }
                acknowledged.extend(entries.into_iter().filter_map(|entry| entry.commit));
                (head, n) = (after, n + 3);
            }
            (g, acknowledged)
        });
    }
    let probe = graph("probe");
    let mut head = Head::EMPTY;
    for kill in 0..5_u128 {
        for n in 0..40 {
            let entry = accepted(kill * 100 + n, head);
            until_ok(|| store.append(&probe, head, std::slice::from_ref(&entry))).await;
            head = entry.commit.unwrap().head();
        }
        server.kill();
        server.restart();
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = writers.join_next().await {
        let (g, acknowledged) = ended.unwrap();
        until_ok(|| store.check()).await;
        let commits = read_all(&*store, &g).await;
        assert_is_a_history(&commits);
        assert!(acknowledged.len() > 3 && commits.len() <= acknowledged.len() + 3);
        assert_eq!(commits[..acknowledged.len()], acknowledged);
    }
    assert_eq!(store.head(&probe).await.unwrap(), head);
}

#[tokio::test]
async fn h4_redis_away_is_an_error_and_its_return_is_noticed() {
    let mut server = RedisServer::start();
    let (store, g) = (connect(&server).await, graph("g"));
    let head = grow(&*store, &g, Head::EMPTY, [1]).await;
    server.kill();

    let start = Instant::now();
    let first = store.append(&g, head, &[accepted(2, head)]).await;
    assert!(matches!(first, Err(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_))), "{first:?}");
    let later = store.append(&g, head, &[accepted(2, head)]).await;
    assert!(matches!(later, Err(StoreError::Unavailable(_))), "{later:?}");
    assert!(matches!(store.head(&g).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.read(&g, Version::EMPTY, version(9), 9).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    assert!(start.elapsed() < Duration::from_secs(15), "it took {:?} to say so", start.elapsed());

    server.restart();
    until_ok(|| store.check()).await;
    assert_eq!(until_ok(|| store.head(&g)).await, head);
    grow(&*store, &g, head, [2]).await;
    until_ok(|| store.read(&g, Version::EMPTY, version(9), 9)).await;
}

#[tokio::test]
async fn h4_an_append_that_times_out_has_an_unknown_outcome() {
    let server = RedisServer::start();
    let (store, g) = (connect(&server).await, graph("g"));
    let head = grow(&*store, &g, Head::EMPTY, [1]).await;
    server.pause(Duration::from_secs(7)); // longer than the store waits

    let entries = [accepted(2, head)];
    let outcome = store.append(&g, head, &entries).await;
    assert!(matches!(outcome, Err(StoreError::OutcomeUnknown(_))), "{outcome:?}");
    // It may have happened since: asking again tells.
    let again = until_ok(|| store.append(&g, head, &entries)).await;
    assert!(matches!(again, Append::Appended | Append::Duplicate(_)), "{again:?}");
    assert_eq!(read_all(&*store, &g).await.len(), 2);
}

#[tokio::test]
async fn h4_a_full_redis_refuses_an_append_and_changes_nothing() {
    let server = RedisServer::start();
    let (store, g) = (connect(&server).await, graph("g"));
    let head = grow(&*store, &g, Head::EMPTY, [1]).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1mb"]);

    for entry in [accepted(2, head), refused(3)] {
        let outcome = store.append(&g, head, &[entry]).await;
        assert!(
            matches!(&outcome, Err(StoreError::Unavailable(why)) if why.starts_with("OOM")),
            "{outcome:?}"
        );
    }
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))), "O5: not ready");
    assert_eq!(store.head(&g).await.unwrap(), head);
    assert_eq!(store.operations(&g, &[operation(2), operation(3)]).await.unwrap(), [None, None]);
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    store.check().await.unwrap();
    grow(&*store, &g, head, [2]).await;
}

#[tokio::test]
async fn h4_a_replica_refuses_an_append() {
    let server = RedisServer::start();
    let (store, g) = (connect(&server).await, graph("g"));
    let head = grow(&*store, &g, Head::EMPTY, [1]).await;
    server.command(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
    let outcome = store.append(&g, head, &[accepted(2, head)]).await;
    assert!(matches!(&outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))));
    server.command(&["REPLICAOF", "NO", "ONE"]);
    until_ok(|| store.check()).await;
    grow(&*store, &g, head, [2]).await;
}

/// An address can be a name or a proxy that leads to another primary after a fail-over, while connections to the
/// old one, a replica now, stay open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_an_address_that_leads_to_another_primary_now_is_followed() {
    let first = RedisServer::start();
    let second = first.replica();
    let proxy = Proxy::to(first.port()).await;
    for min_replicas in [0, 1] {
        let (old, new) = if min_replicas == 0 { (&first, &second) } else { (&second, &first) };
        let config = RedisConfig { min_replicas, ..config(proxy.url()) };
        let (store, g) = (RedisStore::connect(config).await.unwrap(), graph(&format!("g{min_replicas}")));
        let head = grow(&store, &g, Head::EMPTY, [1]).await;
        new.wait_until("master_link_status:up");
        // A replica is told a little later: one that took over before would have another history.
        let (arrived, events) = (Instant::now(), format!("dao:*graph:g{min_replicas}:events"));
        while new.keys(&events).is_empty() {
            assert!(arrived.elapsed() < Duration::from_secs(20), "the commit is not replicated");
        }
        new.promote();
        assert!(old.command(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]).starts_with("+OK"));
        proxy.lead_to(new.port());
        old.wait_until("master_link_status:up");
        let entries = [accepted(2, head)];
        let outcome = until_ok(|| store.append(&g, head, &entries)).await;
        assert!(matches!(outcome, Append::Appended | Append::Duplicate(_)), "{outcome:?}");
        until_ok(|| store.check()).await;
        assert_eq!(read_all(&store, &g).await.len(), 2);
        store.close().await;
    }
}

/// Redis refuses writes while it can't save, and takes them again when it can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h4_a_redis_that_cannot_save_refuses_appends_until_it_can() {
    let server = RedisServer::with(&[
        "--appendonly",
        "no",
        "--save",
        "3600 1000000",
        "--enable-protected-configs",
        "yes",
    ]);
    let (store, g) = (connect(&server).await, graph("g"));
    let head = grow(&*store, &g, Head::EMPTY, [1]).await;
    let dir = server.dir().to_owned();
    let save = || {
        server.command(&["BGSAVE"]);
        while server.command(&["INFO", "persistence"]).contains("rdb_bgsave_in_progress:1") {}
    };
    std::fs::remove_dir_all(&dir).unwrap();
    save();
    let outcome = store.append(&g, head, &[accepted(2, head)]).await;
    assert!(
        matches!(&outcome, Err(StoreError::Unavailable(why)) if why.starts_with("MISCONF")),
        "{outcome:?}"
    );
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(_))), "O5: not ready");
    assert_eq!(store.head(&g).await.unwrap(), head, "reads go on");
    std::fs::create_dir(&dir).unwrap();
    server.command(&["CONFIG", "SET", "dir", dir.to_str().unwrap()]);
    save();
    store.check().await.unwrap();
    grow(&*store, &g, head, [2]).await;
}

#[tokio::test]
async fn o5_redis_missing_at_start_is_one_line_that_says_what_to_do() {
    let url = format!("redis://ada:secret@127.0.0.1:{}", free_port());
    let start = Instant::now();
    let error = refusal(config(url.clone())).await;
    assert!(start.elapsed() < Duration::from_secs(4));
    let expected = format!(
        "cannot reach Redis at {} (connection refused): start it with `redis-server --appendonly yes`, \
         or leave REDIS_URL unset to use the embedded store",
        url.replace("ada:secret@", "")
    );
    assert_eq!(error.to_string(), expected);

    let error = refusal(config("localhost:6379".to_owned())).await;
    assert!(matches!(error, ConnectError::Address { .. }), "{error}");
}

#[tokio::test]
async fn o5_a_server_that_never_answers_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let start = Instant::now();
    let error = refusal(config(url)).await;
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn o5_a_wrong_password_is_told_without_printing_it() {
    let server = RedisServer::with(&["--requirepass", "right-one"]);
    let address = format!("127.0.0.1:{}", server.port());
    for url in [format!("redis://:wrong-one@{address}"), format!("redis://{address}")] {
        let error = refusal(config(url)).await;
        assert!(matches!(error, ConnectError::Login { .. }), "{error}");
        assert!(!error.to_string().contains("-one"), "{error}");
        assert!(!format!("{error:?}").contains("-one"), "{error:?}");
    }
    let store = RedisStore::connect(config(format!("redis://:right-one@{address}"))).await.unwrap();
    store.check().await.unwrap();
    assert_eq!(store.location(), format!("redis://{address}"));
}

#[tokio::test]
async fn o5_an_eviction_policy_is_refused_at_start() {
    let server = RedisServer::with(&["--maxmemory-policy", "allkeys-lru"]);
    let error = refusal(config(server.url())).await;
    assert!(matches!(&error, ConnectError::Evicts { policy, .. } if policy == "allkeys-lru"), "{error}");
    server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    connect(&server).await;
}

#[tokio::test]
async fn o5_durability_is_what_redis_says() {
    for (settings, name) in [
        (&["--appendfsync", "always"][..], "appendfsync always"),
        (&[], "appendfsync everysec"),
        (&["--appendfsync", "no"], "appendfsync no"),
        (&["--appendonly", "no"], "no AOF"),
        (&["--rename-command", "CONFIG", ""], "unknown"),
    ] {
        let server = RedisServer::with(settings);
        assert_eq!(connect(&server).await.durability().name, name);
    }
}

#[tokio::test]
async fn o4_the_number_of_partitions_is_fixed_at_the_first_start() {
    let server = RedisServer::start();
    let with = |partitions| RedisConfig { partitions, ..config(server.url()) };
    assert!(matches!(refusal(with(Some(0))).await, ConnectError::PartitionsRange { configured: 0 }));
    let store = RedisStore::connect(with(Some(16))).await.unwrap();
    grow(&store, &graph("g"), Head::EMPTY, [1]).await;

    let error = refusal(with(Some(64))).await;
    assert!(matches!(error, ConnectError::Partitions { stored: 16, configured: 64, .. }), "{error}");
    let later = RedisStore::connect(with(None)).await.unwrap();
    assert_eq!(later.head(&graph("g")).await.unwrap().version, version(1));

    for other in ["0", "4", "x"] {
        server.command(&["HSET", "dao:meta", "format", other]);
        let error = refusal(with(None)).await;
        assert!(matches!(&error, ConnectError::Format { stored, .. } if stored == other), "{error}");
    }
    server.command(&["HSET", "dao:meta", "format", "1"]);
    let error = refusal(with(None)).await;
    assert!(matches!(&error, ConnectError::Older { stored: 1, .. }), "{error}");
    assert!(error.to_string().contains("dao-api migrate"), "{error}");
}

/// Instances with other ideas of the windows would not see each other's records.
#[tokio::test]
async fn c3_all_instances_remember_operations_equally_long() {
    let server = RedisServer::start();
    let with = |ms| RedisConfig { operation_ttl: Duration::from_millis(ms), ..config(server.url()) };
    let (hour, g) = (RedisStore::connect(with(3_600_000)).await.unwrap(), graph("g"));
    let head = grow(&hour, &g, Head::EMPTY, [1]).await;

    let shorter = RedisStore::connect(with(60_000)).await.unwrap();
    let again = shorter.append(&g, head, &[accepted(1, head)]).await.unwrap();
    assert_eq!(again, Append::Duplicate(vec![(operation(1), record(1))]));
    let error = refusal(with(7_200_000)).await;
    assert!(matches!(error, ConnectError::OperationTtl { .. }), "{error}");
    assert!(error.to_string().contains("hset dao:meta operation_ttl_ms 7200000"), "{error}");
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

#[tokio::test]
async fn h_graphs_that_used_an_id_are_named() {
    name_graphs(64, false).await;
}

#[tokio::test]
async fn h_graphs_that_used_an_id_are_named_in_the_order_in_which_they_did() {
    name_graphs(257, true).await;
}

async fn name_graphs(partitions: u32, has_index: bool) {
    let server = RedisServer::start();
    let config = RedisConfig { partitions: Some(partitions), ..config(server.url()) };
    let store = RedisStore::connect(config).await.unwrap();
    for name in ["z", "b", "a"] {
        let entries = [accepted(7, Head::EMPTY), refused(100)];
        assert_eq!(store.append(&graph(name), Head::EMPTY, &entries).await.unwrap(), Append::Appended);
    }
    for n in [7, 100] {
        let mut places = store.find_operation(operation(n), all(), 10).await.unwrap();
        assert_eq!(places.is_in_order, has_index);
        if !has_index {
            places.graphs.sort_by(|a, b| b.cmp(a));
        }
        assert_eq!(places.graphs, ["z", "b", "a"].map(graph));
        let wanted = std::sync::Arc::new(|graph: &dao_projections::GraphId| graph.as_str() < "z");
        let wanted = store.find_operation(operation(n), wanted, 10).await.unwrap().graphs;
        assert_eq!(wanted.len(), 2, "{wanted:?}");
    }
    if !has_index {
        return;
    }
    // What holds the index ends by itself.
    let keys = server.keys("dao:*:index:*");
    assert!(keys.len() >= 3, "{keys:?}");
    for key in keys {
        let left = server.command(&["PTTL", &key]);
        assert!(left.trim().strip_prefix(':').is_some_and(|left| left.parse::<i64>().unwrap() > 0), "{left}");
    }
}

#[tokio::test]
async fn h_records_from_before_there_was_an_index_are_found_for_as_long_as_they_last() {
    let server = RedisServer::start();
    let many = RedisConfig { partitions: Some(257), ..config(server.url()) };
    let connect = async |_: &RedisServer| Arc::new(RedisStore::connect(many.clone()).await.unwrap());
    let (store, g) = (connect(&server).await, graph("g"));
    grow(&*store, &g, Head::EMPTY, [1]).await;
    for key in server.keys("dao:*:index:*") {
        server.command(&["DEL", &key]);
    }
    // As this release finds it where an earlier one has written.
    server.command(&["HDEL", "dao:meta", "operation_index_begun_ms"]);
    let upgraded = connect(&server).await;
    assert_eq!(found(&*upgraded, operation(1)).await.unwrap(), [(g.clone(), record(1))]);
    // Long after that there are none.
    server.command(&["HSET", "dao:meta", "operation_index_begun_ms", "1"]);
    let later = connect(&server).await;
    assert_eq!(found(&*later, operation(1)).await.unwrap(), []);
    assert_eq!(later.operations(&g, &[operation(1)]).await.unwrap(), [Some(record(1))], "but by its graph");
}
