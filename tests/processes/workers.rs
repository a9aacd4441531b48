//! Projector tasks as real processes: workers that die, snapshots that go, rows rebuilt, and what
//! analysts read of them.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    http::Client,
    redis::RedisServer,
    server::{Process, program},
};

const PATIENCE: Duration = Duration::from_secs(30);

/// `dao-api worker`, killed when it goes.
struct Worker(Child);

impl Worker {
    fn start(redis: &str) -> Self {
        let mut child =
            program(&[("REDIS_URL", redis)]).arg("worker").stdout(Stdio::piped()).spawn().unwrap();
        let mut first_line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first_line).unwrap();
        assert!(first_line.contains("is projecting"), "{first_line:?}");
        Self(child)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped_already = self.0.wait();
    }
}

async fn create(client: &Client, graph: &str, from: u64, to: u64) {
    for n in from..to {
        client.apply(graph, "CREATE_NODE", json!({"id": format!("n{n}")})).await;
    }
}

/// Waits until `ready` says that nothing waits to be projected, and returns what it says.
pub(crate) async fn projected(client: &Client) -> Value {
    let wait = async {
        loop {
            let reply = client.get("/readyz").await;
            if reply.status == 200 && reply.json()["projections"]["lagCommits"] == 0 {
                break reply.json();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("projectors come level")
}

/// The ids of the nodes in a snapshot hash, as any Redis client reads them.
fn snapshot_nodes(redis: &RedisServer, graph: &str) -> Vec<String> {
    let key = redis.keys(&format!("dao:*graph:{graph}:snapshot")).pop().expect("a snapshot");
    let fields = redis.command(&["HKEYS", &key]);
    let mut nodes: Vec<String> =
        fields.lines().filter_map(|field| field.strip_prefix("node:")).map(str::to_owned).collect();
    nodes.sort();
    nodes
}

#[tokio::test]
async fn two_workers_one_killed_under_load_and_snapshots_deleted_meanwhile() {
    let redis = RedisServer::start();
    let server = Process::start(&[("REDIS_URL", &redis.url()), ("PROJECTORS", "off")]);
    let client = server.client();
    let (first, second) = (Worker::start(&redis.url()), Worker::start(&redis.url()));
    let graphs: Vec<String> = (0..10).map(|n| format!("g{n}")).collect();
    for graph in &graphs {
        create(&client, graph, 0, 20).await;
    }
    drop(first); // SIGKILL, while it holds parts of the feed
    for (n, graph) in graphs.iter().enumerate() {
        create(&client, graph, 20, 30).await;
        if n % 3 == 0 {
            for key in redis.keys(&format!("dao:*graph:{graph}:snapshot")) {
                redis.command(&["DEL", &key]);
            }
        }
        create(&client, graph, 30, 35).await;
    }
    projected(&client).await;
    for graph in &graphs {
        let state = client.state(graph).await;
        let mut nodes: Vec<&str> = crate::support::graph::ids(&state["nodes"]);
        nodes.sort_unstable();
        assert_eq!(snapshot_nodes(&redis, graph), nodes, "{graph}");
    }
    drop(second);
}

#[tokio::test]
async fn activity_is_counted_by_hour_type_and_user_and_read_by_pages() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(&[("DATA_DIR", dir.path().to_str().unwrap())]);
    let (ada, bob) = (server.client().as_user("ada"), server.client().as_user("bob/the builder"));
    create(&ada, "one", 0, 5).await;
    create(&bob, "one", 5, 8).await;
    ada.apply("one", "DELETE_NODE", json!({"nodeId": "n0"})).await;
    create(&bob, "two", 0, 2).await;
    projected(&ada).await;
    let found = ada.read("/graphs/one/activity").await;
    assert_eq!((&found["graphId"], &found["version"]), (&json!("one"), &json!(9)));
    let sum = |found: &Value, name: &str, user: &str| -> u64 {
        let list = found["activity"].as_array().unwrap().iter();
        let own = list.filter(|count| count["type"] == name && count["userId"] == user);
        own.map(|count| count["events"].as_u64().unwrap()).sum()
    };
    assert_eq!(sum(&found, "NodeCreated", "ada"), 5);
    assert_eq!(sum(&found, "NodeCreated", "bob/the builder"), 3);
    assert_eq!(sum(&found, "NodeDeleted", "ada"), 1);
    for count in found["activity"].as_array().unwrap() {
        assert_eq!(count["hour"].as_u64().unwrap() % 3_600_000, 0);
    }
    let all = ada.read("/activity?type=NodeCreated&user=bob/the%20builder").await;
    assert_eq!(sum(&all, "NodeCreated", "bob/the builder"), 5);
    assert_eq!((sum(&all, "NodeCreated", "ada"), &all["nextCursor"]), (0, &Value::Null));
    // Page by page, nothing twice and nothing left out.
    let (mut pages, mut query) = (Vec::new(), "/activity?limit=1".to_owned());
    loop {
        let page = ada.read(&query).await;
        pages.extend(page["activity"].as_array().unwrap().clone());
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        query = format!("/activity?limit=1&cursor={cursor}");
    }
    assert_eq!(json!(pages), ada.read("/activity").await["activity"]);
    let future = ada.read("/graphs/one/activity?from=9999999999999").await;
    assert_eq!(future["activity"], json!([]));
    for (query, place) in
        [("type=Nothing", "type"), ("cursor=x", "cursor"), ("from=-1", "from"), ("limit=0", "limit")]
    {
        ada.get(&format!("/graphs/one/activity?{query}")).await.bad(query, place);
    }
}

#[tokio::test]
async fn h3_activity_waits_until_it_is_counted_up_to_the_version() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(&[("DATA_DIR", dir.path().to_str().unwrap())]);
    let ada = server.client().as_user("ada");
    for version in 1..=20_u64 {
        ada.apply("one", "CREATE_NODE", json!({"id": format!("n{version}")})).await;
        let found = ada.read(&format!("/graphs/one/activity?minVersion={version}")).await;
        assert!(found["version"].as_u64().unwrap() >= version, "{found}");
    }
    ada.get("/graphs/one/activity?minVersion=21").await.problem(503, "VERSION_NOT_REACHED");
    for bad in ["-1", "x", "9223372036854775808", ""] {
        ada.get(&format!("/graphs/one/activity?minVersion={bad}")).await.bad(bad, "minVersion");
    }
}

#[tokio::test]
async fn rebuild_makes_rows_anew_beside_a_server() {
    let redis = RedisServer::start();
    let server = Process::start(&[("REDIS_URL", &redis.url())]);
    let client = server.client();
    create(&client, "g", 0, 30).await;
    projected(&client).await;
    let key = redis.keys("dao:*graph:g:snapshot").remove(0);
    redis.command(&["HSET", &key, "node:n3", "damaged", "node:ghost", "never was"]);
    let run = |words: &[&str]| program(&[("REDIS_URL", &redis.url())]).args(words).output().unwrap();
    let rebuilt = run(&["rebuild", "--all"]);
    let text = String::from_utf8_lossy(&rebuilt.stdout).into_owned();
    assert!(rebuilt.status.success(), "{rebuilt:?}");
    assert!(text.starts_with("1 graph rebuilt, 30 commits folded"), "{text}");
    assert_eq!(snapshot_nodes(&redis, "g").len(), 30);
    assert!(!redis.command(&["HGET", &key, "node:n3"]).contains("damaged"));
    let missing = run(&["rebuild", "--graph", "nobody"]);
    assert!(!missing.status.success());
    assert!(String::from_utf8_lossy(&missing.stderr).contains("graph nobody does not exist"), "{missing:?}");
    assert!(!run(&["rebuild", "--all", "--projection", "nothing"]).status.success());
}

#[test]
fn a_worker_without_redis_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let out = program(&[("DATA_DIR", dir.path().to_str().unwrap())]).arg("worker").output().unwrap();
    assert!(!out.status.success());
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(text.contains("REDIS_URL") && text.lines().count() == 1, "{text}");
}
