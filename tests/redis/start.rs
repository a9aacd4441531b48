//! What a start over a Redis that is not as it should be says: one line each, which names what is wrong and what
//! to do (rules O4, O5).

use std::time::Duration;

use dao_api::store::{
    EventStore,
    redis::{RedisConfig, RedisStore},
};

use crate::support::redis::{RedisServer, free_port};

/// The line with which a store at this address is refused.
async fn refusal(url: String) -> String {
    let config = RedisConfig::at(url, Duration::from_secs(3_600));
    let started = tokio::time::timeout(Duration::from_secs(15), RedisStore::connect(config)).await;
    match started.expect("it says so in time") {
        Ok(_) => panic!("it was not refused"),
        Err(error) => {
            let line = error.to_string();
            println!("{line}");
            assert!(!line.contains('\n') && line.contains(": ") && line.len() < 300, "{line}");
            assert!(!line.contains("open-sesame"), "{line}");
            line
        }
    }
}

fn assert_names(line: &str, words: &[&str]) {
    words.iter().for_each(|word| assert!(line.contains(word), "{word} in {line}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o5_what_the_user_may_not_do_is_named() {
    const ENOUGH: [&str; 9] = [
        "on",
        ">open-sesame",
        "~dao:*",
        "&dao:*",
        "+@all",
        "-@dangerous",
        "+info",
        "+config|get",
        "+cluster",
    ];
    let server = RedisServer::start();
    let url = format!("redis://ada:open-sesame@127.0.0.1:{}", server.port());
    let may = |rules: &[&str]| {
        let user = ["ACL", "SETUSER", "ada", "reset"];
        assert_eq!(server.command(&[&user[..], &ENOUGH, rules].concat()), "+OK\r\n");
    };
    for (rules, words) in [
        (&["-xadd"][..], &["XADD"][..]),
        (&["-xadd", "-hset"], &["XADD", "HSET"]),
        (&["resetkeys", "~other:*"], &["keys dao:*"]),
        (&["resetchannels", "&other:*"], &["channels dao:*"]),
        (&["-info"], &["info"]),
        (&["-evalsha"], &["evalsha"]),
        (&["-script"], &["script"]),
        (&["off"], &["REDIS_URL"]),
    ] {
        may(rules);
        assert_names(&refusal(url.clone()).await, words);
    }
    // And what the line recommends is enough.
    may(&[]);
    let config = RedisConfig { min_replicas: 1, ..RedisConfig::at(url, Duration::from_secs(3_600)) };
    let store = RedisStore::connect(config).await.unwrap();
    let waits = store.check().await.unwrap_err().to_string();
    assert_names(&waits, &["0 of 1 replicas"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o5_a_redis_that_is_none_for_us_is_told_in_one_line() {
    let primary = RedisServer::start();
    let replica = primary.replica();
    let line = refusal(replica.url()).await;
    assert_names(&line, &["is a replica of", &primary.port().to_string(), "name the primary"]);

    let line = refusal(primary.cluster_url()).await;
    assert_names(&line, &["write redis://"]);
    let bus = free_port().to_string();
    let node = RedisServer::with(&[
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &bus,
        "--cluster-announce-ip",
        "127.0.0.1",
    ]);
    let line = refusal(node.url()).await;
    assert_names(&line, &["write redis-cluster://"]);
    node.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "99"]);
    let line = refusal(node.cluster_url()).await;
    assert_names(&line, &["redis-cli --cluster check"]);

    // Its disk is full, or it believes so.
    let full = RedisServer::start();
    full.command(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_names(&refusal(full.url()).await, &["OOM", "memory"]);
}
