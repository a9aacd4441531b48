//! Backups of both stores, made beside a server that writes, and restored (rules V3, V4, V6); and the graph of
//! `dao-api seed`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::{
    http::Request,
    redis::{RedisServer, free_port},
    server::{Process, program},
};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn run_in(&self, data: &str, arguments: &[&str]) -> Output {
        program(&[("DATA_DIR", &self.path(data))]).args(arguments).output().unwrap()
    }

    fn succeeds_in(&self, data: &str, arguments: &[&str]) -> String {
        let output = self.run_in(data, arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The one line on standard error with which it fails.
    fn fails_in(&self, data: &str, arguments: &[&str]) -> String {
        let output = self.run_in(data, arguments);
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), line.lines().count()), (Some(1), 1), "{arguments:?}: {line}");
        line
    }

    fn start(&self, data: &str) -> Process {
        Process::start(&[("DATA_DIR", &self.path(data))])
    }

    fn files(&self) -> BTreeSet<PathBuf> {
        fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().file_name().into()).collect()
    }
}

fn command(id: usize) -> Request {
    Request::post("/graphs/g/command", create(id).to_string())
}

fn create(id: usize) -> Value {
    json!({"type": "CREATE_NODE", "payload": {"id": format!("n{id}"), "data": {"text": "x".repeat(2_000)}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn v6_a_backup_has_everything_acknowledged_before_it() {
    let place = Place::new();
    let server = place.start("data");
    let (acknowledged, mut heard) = mpsc::unbounded_channel();
    let client = server.client();
    let writing = tokio::spawn(async move {
        for id in 0.. {
            let Ok(reply) = client.send(&command(id)).await else { return };
            assert_eq!(reply.status, 200);
            acknowledged.send(reply.json()["version"].as_u64().unwrap()).unwrap();
        }
    });
    while heard.recv().await.unwrap() < 300 {}
    let file = place.path("copy.db");
    let before = heard.recv().await.unwrap();
    // The server runs in a process of its own; this thread may block.
    let said = tokio::task::block_in_place(|| place.succeeds_in("data", &["backup", &file]));
    assert!(said.contains("copy.db") && said.contains("1 graph,") && said.contains("every hash"), "{said}");
    // The second that is acknowledged from now on is committed after the backup.
    while heard.try_recv().is_ok() {}
    heard.recv().await.unwrap();
    let after = heard.recv().await.unwrap();
    let ahead = server.client().state("g").await;
    server.kill();
    writing.await.unwrap();
    assert_eq!(place.files(), ["copy.db", "data"].map(PathBuf::from).into(), "nothing else is left");

    place.succeeds_in("restored", &["restore", &file]);
    let restored = place.start("restored");
    let state = restored.client().state("g").await;
    let (version, ahead_version) = (state["version"].as_u64().unwrap(), ahead["version"].as_u64().unwrap());
    assert!(before <= version && version < after, "{before} <= {version} < {after}");
    assert_eq!(restored.client().read("/graphs/g/verify").await["ok"], true);

    // Another history than that of those who saw more (V4), also when it is as long again.
    let hash = ahead["hash"].as_str().unwrap();
    let path = format!("/graphs/g/changes?since={ahead_version}&hash={hash}");
    assert_eq!(restored.client().read(&path).await["reset"], true);
    for id in version..ahead_version {
        restored.client().accept("g", &create(1_000_000 + id as usize)).await;
    }
    assert_eq!(restored.client().read(&path).await["reset"], true);
    let base = format!("/graphs/g/changes?since={version}&hash={}", state["hash"].as_str().unwrap());
    assert_eq!(restored.client().read(&base).await["reset"], Value::Null);
}

#[test]
fn nothing_is_overwritten_and_no_partial_file_is_left() {
    let place = Place::new();
    place.succeeds_in("data", &["seed", "--graph", "demo"]);
    let file = place.path("copy.db");
    place.succeeds_in("data", &["backup", &file]);
    let bytes = fs::read(&file).unwrap();
    assert!(place.fails_in("data", &["backup", &file]).contains("copy.db is there already"));
    assert_eq!(fs::read(&file).unwrap(), bytes);
    assert!(place.fails_in("none", &["backup", &place.path("b.db")]).contains("DATA_DIR"));
    assert!(place.fails_in("data", &["backup", &place.path("no/such/dir.db")]).contains("no/such"));
    assert!(place.fails_in("data", &["restore", &file]).contains("dao.db is there already"));
    let running = place.start("running");
    assert!(place.fails_in("running", &["restore", &file]).contains("another process"));
    running.kill();
    let redis = format!("redis://127.0.0.1:{}", free_port());
    for (command, script) in [("backup", "backup-redis.sh"), ("restore", "restore-redis.sh")] {
        let output = program(&[("REDIS_URL", &redis)]).args([command, &file]).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stderr).contains(script), "{output:?}");
    }

    // What is no backup, or part of one, is not put anywhere.
    fs::write(place.path("text.db"), "a shopping list").unwrap();
    fs::write(place.path("part.db"), &bytes[..bytes.len() / 2]).unwrap();
    let newer = place.path("newer.db");
    fs::write(&newer, &bytes).unwrap();
    let connection = rusqlite::Connection::open(&newer).unwrap();
    connection.execute("UPDATE meta SET value = 99 WHERE key = 'format'", []).unwrap();
    drop(connection);
    for (name, said) in [
        ("text.db", "no database of this program"),
        ("part.db", "part.db"),
        ("newer.db", "99"),
        ("gone.db", "there is no"),
    ] {
        let line = place.fails_in("empty", &["restore", &place.path(name)]);
        assert!(line.contains(name) && line.contains(said), "{name}: {line}");
        let left: Vec<_> =
            fs::read_dir(place.path("empty")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["dao.lock"], "{name}");
    }
}

#[test]
fn v3_damage_in_the_original_is_reported() {
    let place = Place::new();
    place.succeeds_in("data", &["seed", "--graph", "demo"]);
    let connection = rusqlite::Connection::open(place.path("data/dao.db")).unwrap();
    connection.execute("UPDATE event SET body = x'80' WHERE key & ((1 << 34) - 1) = 7", []).unwrap();
    drop(connection);
    let file = place.path("copy.db");
    let line = place.fails_in("data", &["backup", &file]);
    assert!(line.contains("demo at version 7"), "{line}");
    assert!(fs::metadata(&file).is_ok(), "other graphs are in it, and sound");
}

#[test]
fn the_seeded_graph_has_merges_conflicts_and_deletions() {
    let place = Place::new();
    let said = place.succeeds_in("data", &["seed", "--graph", "demo"]);
    assert!(said.contains("dao-api history demo") && said.contains("dao-api diff demo"), "{said}");
    let lines = |text: String| -> Vec<Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let commits = lines(place.succeeds_in("data", &["export", "demo"]));
    let all = |key: &str| -> BTreeSet<String> {
        commits.iter().map(|commit| commit[key].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(all("userId"), ["ada", "bob", "carol"].map(str::to_owned).into());
    assert_eq!(all("clientId").len(), 3);
    assert_eq!(all("outcome"), ["applied", "merged"].map(str::to_owned).into());
    let commands = "BATCH BATCH_UPDATE CREATE_EDGE CREATE_NODE DELETE_EDGE DELETE_NODE SET_VIEWPORT UPDATE_EDGE \
                    UPDATE_NODE UPDATE_NODE_POSITION";
    assert_eq!(all("commandType"), commands.split_whitespace().map(str::to_owned).collect());
    let deletion = commits.iter().find(|commit| commit["commandType"] == "DELETE_NODE").unwrap();
    assert_eq!(deletion["events"].as_array().unwrap().len(), 3, "a node and its two edges");
    let state: Value =
        serde_json::from_str(&place.succeeds_in("data", &["export", "demo", "--state"])).unwrap();
    assert!(state["nodes"].as_array().unwrap().iter().any(|node| node["parentId"] == "warehouse"));

    let history = lines(place.succeeds_in("data", &["history", "demo", "--json"]));
    let refused: BTreeSet<&str> =
        history.iter().filter_map(|operation| operation["error"]["code"].as_str()).collect();
    assert_eq!(refused, ["CONFLICT", "TARGET_DELETED"].into());
    assert!(place.succeeds_in("data", &["verify", "demo"]).contains("ok"));
    // What is printed can be run.
    for line in said.lines().filter(|line| line.contains("dao-api") && !line.contains("watch")) {
        let command: Vec<&str> = line.split("  ").find(|part| !part.is_empty()).unwrap().split(' ').collect();
        assert!(!place.succeeds_in("data", &command[1..]).is_empty(), "{line}");
    }

    // Again it is recognised, in another graph it is another, and what others made is left alone.
    let again = place.succeeds_in("data", &["seed", "--graph", "demo"]);
    assert!(again.contains("already exists"), "{again}");
    assert_eq!(lines(place.succeeds_in("data", &["export", "demo"])), commits);
    place.succeeds_in("data", &["seed", "--graph", "other"]);
    assert_eq!(lines(place.succeeds_in("data", &["export", "other"])).len(), commits.len());
    fs::write(place.path("mine.json"), r#"{"nodes":[{"id":"a"}],"edges":[]}"#).unwrap();
    place.succeeds_in("data", &["import", &place.path("mine.json"), "--graph", "mine"]);
    assert!(place.fails_in("data", &["seed", "--graph", "mine"]).contains("--graph"));
    assert_eq!(lines(place.succeeds_in("data", &["export", "mine"])).len(), 1);
}

/// Runs one of the scripts; it says on one line what is wrong, if it fails.
fn script(name: &str, arguments: &[&str], redis_url: &str) -> Output {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name);
    Command::new(path).args(arguments).env("REDIS_URL", redis_url).output().unwrap()
}

fn script_succeeds(name: &str, arguments: &[&str], redis_url: &str) -> String {
    let output = script(name, arguments, redis_url);
    assert!(output.status.success(), "{name} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn script_fails(name: &str, arguments: &[&str], redis_url: &str) -> String {
    let output = script(name, arguments, redis_url);
    assert_eq!(output.status.code(), Some(1), "{name} {arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Loses everything that this Redis has, and restores it from its file among those in `backups`.
fn lose_and_restore(redis: &mut RedisServer, backups: &str) {
    let ending = format!("-{}.rdb", redis.port());
    let files: Vec<_> = fs::read_dir(backups).unwrap().map(|e| e.unwrap().path()).collect();
    let file = files.iter().find(|file| file.to_str().unwrap().ends_with(&ending)).unwrap();
    let (file, dir) = (file.to_str().unwrap(), redis.dir().to_str().unwrap().to_owned());
    redis.kill();
    assert!(script_fails("restore-redis.sh", &[file, &dir], "").contains("already"));
    fs::remove_dir_all(redis.dir().join("appendonlydir")).unwrap();
    script_succeeds("restore-redis.sh", &[file, &dir], "");
    redis.restart();
    redis.restart(); // from the append-only files alone
}

#[tokio::test(flavor = "multi_thread")]
async fn v6_a_redis_is_backed_up_and_restored_by_the_scripts() {
    let place = Place::new();
    let mut redis = RedisServer::start();
    let url = redis.url();
    let server = Process::start(&[("REDIS_URL", &url)]);
    for id in 0..50 {
        server.client().accept("g", &create(id)).await;
    }
    let before = server.client().state("g").await;
    let backups = place.path("backups");
    let said = tokio::task::block_in_place(|| script_succeeds("backup-redis.sh", &[&backups], &url));
    assert!(said.contains(".rdb"), "{said}");
    for id in 50..60 {
        server.client().accept("g", &create(id)).await;
    }
    let ahead = server.client().state("g").await;
    server.kill();

    tokio::task::block_in_place(|| lose_and_restore(&mut redis, &backups));
    let restored = Process::start(&[("REDIS_URL", &url)]);
    assert_eq!(restored.client().state("g").await, before);
    assert_eq!(restored.client().read("/graphs/g/verify").await["ok"], true);
    let hash = ahead["hash"].as_str().unwrap();
    let path = format!("/graphs/g/changes?since={}&hash={hash}", ahead["version"]);
    assert_eq!(restored.client().read(&path).await["reset"], true);
    restored.client().accept("g", &create(1_000)).await;

    // What is wrong is told, and leaves nothing behind.
    let gone = format!("redis://127.0.0.1:{}", free_port());
    assert!(script_fails("backup-redis.sh", &[&place.path("none")], &gone).contains("REDIS_URL"));
    assert_eq!(fs::read_dir(place.path("none")).unwrap().count(), 0);
    fs::write(place.path("half.rdb"), "REDIS0010").unwrap();
    let line = script_fails("restore-redis.sh", &[&place.path("half.rdb"), &place.path("empty")], "");
    assert!(line.contains("half.rdb"), "{line}");
    assert_eq!(fs::read_dir(place.path("empty")).unwrap().count(), 0);
}

#[test]
fn a_cluster_is_backed_up_and_restored_primary_by_primary() {
    let place = Place::new();
    let mut nodes = RedisServer::cluster();
    let url = nodes[0].cluster_url();
    let run = |arguments: &[&str]| {
        let output = program(&[("REDIS_URL", &url)]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let names = ["a", "b", "c", "d", "e", "f"];
    for name in names {
        run(&["seed", "--graph", name]);
    }
    let before: Vec<String> = names.iter().map(|name| run(&["export", name])).collect();
    let backups = place.path("backups");
    script_succeeds("backup-redis.sh", &[&backups], &url);
    assert_eq!(fs::read_dir(&backups).unwrap().count(), 4, "a file a primary, and who had which slots");
    for node in &mut nodes {
        lose_and_restore(node, &backups);
    }
    for node in &nodes {
        node.wait_until_cluster_ok();
    }
    let after: Vec<String> = names.iter().map(|name| run(&["export", name])).collect();
    assert_eq!(after, before);
    assert!(run(&["verify", "--all"]).contains("6 graphs verified, 0 damaged"));
}
