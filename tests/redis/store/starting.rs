//! What a start finds: a server that is missing, hangs, refuses or is set up wrongly (rules O4, O5, C3).

use std::time::{Duration, Instant};

use dao_api::store::{
    Append, EventStore,
    redis::{ConnectError, RedisConfig, RedisStore},
};
use dao_projections::Head;

use super::{config, connect};
use crate::support::{
    history::{accepted, graph, grow, operation, record, version},
    redis::{RedisServer, free_port},
};

async fn refusal(config: RedisConfig) -> ConnectError {
    match RedisStore::connect(config).await {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error,
    }
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
