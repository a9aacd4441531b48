//! What runs it all together: `scripts/topology/up` with real processes behind a real proxy, and `compose.yaml`,
//! which starts the same of the same files.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{graph::new_id, http::Client, redis::free_port, stream::Stream};

const PATIENCE: Duration = Duration::from_secs(60);
/// People who work at the same time, each on a graph of their own and on one that all share.
const WRITERS: usize = 4;
/// Commands of each.
const COMMANDS: usize = 150;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// Everything that `scripts/topology/up` starts; stopped by the signal that Ctrl-C is.
struct Topology {
    script: Child,
    dir: TempDir,
    proxy: u16,
}

impl Topology {
    fn up() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ports: Vec<String> = (0..7).map(|_| free_port().to_string()).collect();
        let mut script = Command::new(root().join("scripts/topology/up"))
            .arg(dir.path())
            .env("DAO_API", env!("CARGO_BIN_EXE_dao-api"))
            .env("PROXY_PORT", &ports[0])
            .env("REDIS_PORT", &ports[1])
            .env("API_PORTS", ports[2..4].join(" "))
            .env("WORKER_PORTS", ports[4..7].join(" "))
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(dir.path().join("up.log")).unwrap())
            .spawn()
            .unwrap();
        let mut first_line = String::new();
        BufReader::new(script.stdout.take().unwrap()).read_line(&mut first_line).unwrap();
        let proxy = ports[0].parse().unwrap();
        let topology = Self { script, dir, proxy };
        assert!(first_line.contains(&format!("http://127.0.0.1:{proxy} answers")), "{}", topology.logs());
        // Servers and workers wait for the Redis that starts beside them.
        let said = std::fs::read_to_string(topology.dir.path().join("up.log")).unwrap();
        assert!(!said.contains("started again"), "a start is no failure: {said}");
        topology
    }

    fn client(&self) -> Client {
        Client::new(([127, 0, 0, 1], self.proxy).into())
    }

    fn pid(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(format!("{name}.pid"))).unwrap().trim().to_owned()
    }

    /// kill -9; the script starts it again.
    fn kill(&self, name: &str) {
        assert!(Command::new("kill").args(["-9", &self.pid(name)]).status().unwrap().success(), "{name}");
    }

    fn logs(&self) -> String {
        let files = std::fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().path());
        let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        logs.map(|path| format!("{}:\n{}\n", path.display(), std::fs::read_to_string(&path).unwrap()))
            .collect()
    }
}

impl Drop for Topology {
    fn drop(&mut self) {
        let _ended_already = Command::new("kill").args(["-TERM", &self.script.id().to_string()]).status();
        let _reaped_already = self.script.wait();
    }
}

/// Sends it until it is answered: what a client does whose server died.
async fn insist(client: &Client, graph: &str, envelope: &Value) -> Value {
    let sent = async {
        loop {
            let request = crate::support::http::Request::post(
                &format!("/graphs/{graph}/command"),
                envelope.to_string(),
            );
            match client.send(&request).await {
                Ok(reply) if reply.status == 200 => return reply.json(),
                Ok(reply) => assert!(matches!(reply.status, 502..=504), "{}", reply.status),
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, sent).await.expect("it is answered in the end")
}

/// Nodes in a graph of its own and in the one that all share; returns the ids.
async fn work(client: Client, writer: usize, topology: &Topology) -> Vec<String> {
    let client = client.as_user(&format!("user-{writer}"));
    let mut acknowledged = vec![];
    for n in 0..COMMANDS {
        let id = format!("{writer}-{n}");
        let envelope = json!({"type": "CREATE_NODE", "payload": {"id": id}, "operationId": new_id()});
        let graph = if n % 2 == 0 { "shared".to_owned() } else { format!("own-{writer}") };
        insist(&client, &graph, &envelope).await;
        acknowledged.push(id);
        if writer == 0 && n % 40 == 20 {
            topology.kill(["api-1", "worker-2", "api-2", "worker-1"][n / 40]);
        }
    }
    acknowledged
}

/// `dao-api watch` over the proxy, which comes back by itself: every commit once, in order, until it has printed so
/// many.
fn watch(url: &str, until: u64) -> u64 {
    let mut watching = Command::new(env!("CARGO_BIN_EXE_dao-api"))
        .args(["watch", "shared", "--from", "0", "--json", "--url", url])
        .env_clear()
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = 0;
    for line in BufReader::new(watching.stdout.take().unwrap()).lines().take(until as usize) {
        let commit: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert_eq!(commit["version"], seen + 1, "no gap, nothing twice");
        seen += 1;
    }
    watching.kill().unwrap();
    watching.wait().unwrap();
    seen
}

#[tokio::test]
async fn work_goes_on_through_the_proxy_while_servers_and_workers_are_killed() {
    let topology = Topology::up();
    let client = topology.client();
    let shared = (WRITERS * COMMANDS / 2) as u64;
    let writers = futures::future::join_all((0..WRITERS).map(|n| work(client.clone(), n, &topology)));
    let url = format!("http://127.0.0.1:{}", topology.proxy);
    let watching = tokio::task::spawn_blocking(move || watch(&url, shared));
    let both = async { tokio::join!(writers, watching) };
    let (acknowledged, watched) = tokio::time::timeout(2 * PATIENCE, both).await.expect("an end");
    assert_eq!(watched.unwrap(), shared);
    let mut there = BTreeSet::new();
    for graph in (0..WRITERS).map(|n| format!("own-{n}")).chain(["shared".to_owned()]) {
        let state = client.state(&graph).await;
        there.extend(state["nodes"].as_array().unwrap().iter().map(|n| n["id"].as_str().unwrap().to_owned()));
        assert_eq!(client.read(&format!("/graphs/{graph}/verify")).await["ok"], true, "{graph}");
    }
    let acknowledged: BTreeSet<String> = acknowledged.into_iter().flatten().collect();
    assert_eq!(acknowledged.len(), WRITERS * COMMANDS);
    assert_eq!(there, acknowledged, "{}", topology.logs());
    projected(&client).await;
    let mut stream =
        Stream::open(&client, "/graphs/shared/events?since=0", &[("accept", "text/event-stream")]).await;
    for version in 1..=3 {
        assert_eq!(stream.commit().await.1["version"], version);
    }
}

/// Workers, those that were started again too, bring projections level.
async fn projected(client: &Client) {
    let level = async {
        loop {
            let reply = client.get("/readyz").await;
            if reply.status == 200 && reply.json()["projections"]["lagCommits"] == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, level).await.expect("projections come level");
}

fn compose() -> Value {
    let mut parsed: serde_norway::Value = serde_norway::from_str(&read("compose.yaml")).unwrap();
    // Once for each level of merging.
    for _ in 0..2 {
        parsed.apply_merge().unwrap();
    }
    serde_json::to_value(parsed).unwrap()
}

#[test]
fn the_compose_file_is_one() {
    // Of the Compose Specification (github.com/compose-spec/compose-spec, Apache-2.0).
    let schema: Value = serde_json::from_str(&read("tests/processes/compose-spec.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let compose = compose();
    let problems: Vec<String> =
        validator.iter_errors(&compose).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(problems.is_empty(), "{problems:#?}");
    assert!(!validator.is_valid(&json!({"services": {"api": {"no-such-key": 1}}})), "the schema judges");
}

#[test]
fn the_compose_file_and_the_script_start_the_same_and_all_is_watched() {
    let compose = compose();
    let services = compose["services"].as_object().unwrap();
    let names: BTreeSet<&str> = services.keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["redis", "api-1", "api-2", "worker", "proxy"]));
    assert_eq!(services["worker"]["deploy"]["replicas"], 3);
    for (name, service) in services {
        assert!(service["healthcheck"]["test"].is_array(), "{name}");
        for needed in service["depends_on"].as_object().into_iter().flat_map(|all| all.keys()) {
            assert!(services.contains_key(needed), "{name} waits for {needed}");
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let source = volume.as_str().unwrap().split(':').next().unwrap();
            let is_there = match source.strip_prefix("./") {
                Some(file) => root().join(file).exists(),
                None => compose["volumes"].as_object().unwrap().contains_key(source),
            };
            assert!(is_there, "{name}: {source}");
        }
    }
}

#[test]
fn o4_every_setting_of_the_topology_is_one() {
    let known: BTreeSet<String> =
        read(".env.example").lines().filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect();
    let of_file = read("scripts/topology/settings.env");
    let mut used: BTreeSet<String> = of_file
        .lines()
        .filter(|l| !l.starts_with('#'))
        .filter_map(|l| Some(l.split_once('=')?.0.to_owned()))
        .collect();
    for service in ["api-1", "api-2", "worker"] {
        let compose = compose();
        used.extend(compose["services"][service]["environment"].as_object().unwrap().keys().cloned());
    }
    assert!(used.len() > 5, "{used:?}");
    let unknown: Vec<_> = used.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
