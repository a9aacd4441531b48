//! The command line, as a person or a unit file runs it (rules O2, O4; import and export).

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::{Value, json};

use crate::support::{
    graph::{assert_invariants, bare_state, fold, parents_first},
    redis::free_port,
    server::{Process, program},
};

/// A directory with the data of one test, and the files that it writes.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn data(&self) -> String {
        self.0.path().join("data").to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Runs the program on this data to its end, with its usual log level.
    fn run(&self, arguments: &[&str]) -> Output {
        program(&[("DATA_DIR", &self.data())]).env_remove("LOG_LEVEL").args(arguments).output().unwrap()
    }

    /// What it prints when it succeeds.
    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn exported_state(&self, graph: &str) -> Value {
        serde_json::from_str(&self.succeeds(&["export", graph, "--state"])).unwrap()
    }

    /// A graph that nobody has written to: the history of a mistyped name is not an empty success.
    fn has_no(&self, graph: &str) {
        let line = one_line(&self.run(&["export", graph]));
        assert!(line.contains("does not exist") && line.contains(graph), "{line}");
    }

    fn exported_commits(&self, graph: &str) -> Vec<Value> {
        let lines = self.succeeds(&["export", graph]);
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The one line that says what went wrong, with exit code 1 and nothing on standard output.
fn one_line(output: &Output) -> String {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with("dao-api: "), "{text}");
    assert!(output.stdout.is_empty(), "{output:?}");
    text
}

fn document_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/langflow-document.json")
}

/// The nodes, edges and viewport of the document in `tests/data`.
fn document() -> Value {
    let whole: Value = serde_json::from_str(&fs::read_to_string(document_file()).unwrap()).unwrap();
    let mut document = whole["data"].clone();
    // As lists have it (rule G5): the file has a group after what is in it.
    document["nodes"] = parents_first(document["nodes"].as_array().unwrap().clone()).into();
    document
}

/// A document with its nodes in the order of their ids: parents come before their children (rule G5), and stand after
/// them in the document of `tests/data`.
fn by_id(document: &Value) -> Value {
    let mut document = document.clone();
    document["nodes"].as_array_mut().unwrap().sort_by_key(|node| node["id"].to_string());
    document
}

#[test]
fn a_document_comes_out_as_it_went_in() {
    let place = Place::new();
    let file = document_file();
    let said = place.succeeds(&["import", file.to_str().unwrap(), "--graph", "flow", "--user", "ada"]);
    let (nodes, edges) = (document()["nodes"].clone(), document()["edges"].clone());
    for count in [nodes.as_array().unwrap().len(), edges.as_array().unwrap().len()] {
        assert!(count > 30 && said.contains(&count.to_string()), "{said}");
    }
    let state = place.exported_state("flow");
    assert_eq!(by_id(&state), by_id(&document()));
    assert_eq!(state["edges"], edges);

    let commits = place.exported_commits("flow");
    assert_eq!(by_id(&fold(&commits)), by_id(&document()), "the commits say the same");
    assert!(
        commits.iter().all(|commit| commit["userId"] == "ada" && commit["commandType"] == "BATCH_UPDATE")
    );

    // What is exported is a React Flow document, and can be imported as one.
    let copy = place.file("copy.json", &state.to_string());
    place.succeeds(&["import", &copy, "--graph", "copy"]);
    assert_eq!(place.exported_state("copy"), state);
}

#[tokio::test]
async fn an_imported_document_is_served() {
    let place = Place::new();
    place.succeeds(&["import", document_file().to_str().unwrap(), "--graph", "flow"]);
    let server = Process::start(&[("DATA_DIR", &place.data())]);
    let state = server.client().state("flow").await;
    assert_eq!(by_id(&bare_state(&state)), by_id(&document()));
    assert_invariants(&state);
    assert_eq!(server.client().changes("flow", 0).await, {
        server.kill();
        place.exported_commits("flow")
    });
}

#[test]
fn importing_again_changes_nothing() {
    let place = Place::new();
    let file = document_file();
    let arguments = ["import", file.to_str().unwrap(), "--graph", "flow"];
    place.succeeds(&arguments);
    let before = place.succeeds(&["export", "flow"]);
    let said = place.succeeds(&arguments);
    assert!(said.contains("nothing to do"), "{said}");
    assert_eq!(place.succeeds(&["export", "flow"]), before);
}

#[test]
fn each_file_can_become_its_own_graph() {
    let place = Place::new();
    let text = |id: &str| json!({"nodes": [{"id": id}], "edges": []}).to_string();
    let files = [place.file("one.json", &text("a")), place.file("my flow (2).json", &text("b"))];
    place.succeeds(&["import", &files[0], &files[1], "--each"]);
    assert_eq!(place.exported_state("one")["nodes"][0]["id"], "a");
    assert_eq!(place.exported_state("my-flow--2-")["nodes"][0]["id"], "b");
    let output = place.run(&["import", &files[0]]);
    assert_ne!(output.status.code(), Some(0), "neither --graph nor --each");
    let nameless = place.file("(2).json", &text("c"));
    assert!(one_line(&place.run(&["import", &nameless, "--each"])).contains("--graph"));
}

#[test]
fn a_bad_file_is_one_line_that_names_it_and_writes_nothing() {
    let place = Place::new();
    let good = place.file("good.json", r#"{"nodes":[{"id":"a"}],"edges":[]}"#);
    for (name, text, said) in [
        ("broken.json", "{\"nodes\": [", "JSON"),
        ("empty.json", "", "JSON"),
        ("list.json", "[]", "nodes"),
        ("text.json", r#"{"nodes":"x","edges":[]}"#, "nodes"),
        ("other.json", r#"{"package":{"name":"x"}}"#, "nodes"),
        (
            "node.json",
            r#"{"nodes":[{"id":"a"},{"id":"b","position":{"x":"1","y":2}}],"edges":[]}"#,
            "nodes[1].position.x",
        ),
        ("twice.json", r#"{"nodes":[{"id":"a"},{"id":"a"}],"edges":[]}"#, "nodes[1].id"),
        ("parent.json", r#"{"nodes":[{"id":"a","parentId":"gone"}],"edges":[]}"#, "gone"),
        ("zoom.json", r#"{"nodes":[],"edges":[],"viewport":{"x":0,"y":0,"zoom":0}}"#, "viewport.zoom"),
    ] {
        let file = place.file(name, text);
        let line = one_line(&place.run(&["import", &file, "--graph", "bad"]));
        assert!(line.contains(name) && line.contains(said), "{line}");
        place.has_no("bad");
    }
    let gone = place.0.path().join("gone.json");
    let line = one_line(&place.run(&["import", &good, gone.to_str().unwrap(), "--each"]));
    assert!(line.contains("gone.json"), "{line}");
    place.has_no("good"); // all files are read before any is imported
}

#[test]
fn exporting_a_missing_graph_fails() {
    let place = Place::new();
    place.has_no("nobody");
    let line = one_line(&place.run(&["export", "nobody", "--state"]));
    assert!(line.contains("graph nobody does not exist"), "{line}");
    assert_ne!(place.run(&["export", "-not-an-id"]).status.code(), Some(0));
}

#[test]
fn an_unreachable_redis_is_one_line() {
    let port = free_port();
    let url = format!("redis://:secret@127.0.0.1:{port}");
    let output = program(&[("REDIS_URL", &url)]).env_remove("LOG_LEVEL").output().unwrap();
    // The first line said that it waits; servers and Redis are often started together.
    let text = stderr(&output);
    let [waits, line] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert!(waits.contains("waiting up to 10 s for Redis"), "{text}");
    assert!(line.starts_with("dao-api: cannot reach Redis") && line.contains("redis-server"), "{text}");
    assert!(text.contains(&port.to_string()) && !text.contains("secret"), "{text}");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    // Somebody waits for a command: it says so at once.
    let output =
        program(&[("REDIS_URL", &url)]).args(["show", "g"]).env_remove("LOG_LEVEL").output().unwrap();
    assert!(one_line(&output).contains("cannot reach Redis"));
}

#[test]
fn a_port_in_use_is_one_line() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let line = one_line(&place.run(&["--port", &port]));
    assert!(line.contains(&port) && line.contains("PORT"), "{line}");
    assert!(!Path::new(&place.data()).exists(), "the store is not touched");
}

#[test]
fn a_second_process_on_the_same_data_is_one_line() {
    let place = Place::new();
    let server = Process::start(&[("DATA_DIR", &place.data())]);
    for arguments in [&[] as &[&str], &["serve"], &["export", "g"]] {
        let line = one_line(&place.run(arguments));
        assert!(line.contains(&place.data()), "{arguments:?}: {line}");
    }
    server.kill();
    place.has_no("g"); // and says so, since the data is free again
}

#[test]
fn o4_all_mistakes_are_reported_at_once() {
    let place = Place::new();
    let wrong = [
        ("PORT", "http"),
        ("HOST", "nowhere.invalid"),
        ("DURABILITY", "maybe"),
        ("OPERATION_TTL", "24"),
        ("CACHE_TTL", "-1s"),
        ("MAX_BODY_BYTES", "0"),
        ("MAX_ENTITY_BYTES", "256k"),
        ("MAX_NODES", "many"),
        ("MAX_EDGES", "-1"),
        ("MAX_HOT_GRAPHS", ""),
        ("MAX_HOT_BYTES", "1G"),
        ("PARTITIONS", "0"),
        ("REDIS_MIN_REPLICAS", "1"),
        ("REDIS_TLS_CA", "/etc/ca.crt"),
        ("JWT_SECRET", "not ignored"),
    ];
    let output = program(&[("DATA_DIR", &place.data())]).envs(wrong).output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for (name, _) in wrong {
        assert_eq!(
            text.lines().filter(|line| line.contains(&format!("{name}:"))).count(),
            1,
            "{name} in {text}"
        );
    }
    assert_eq!(text.lines().count(), wrong.len(), "{text}");
    assert!(!Path::new(&place.data()).exists());
}

#[test]
fn o2_beyond_loopback_needs_keys_or_the_flag() {
    let place = Place::new();
    let line = one_line(&place.run(&["--host", "0.0.0.0"]));
    assert!(line.contains("HOST") && line.contains("--insecure-no-auth"), "{line}");
}

#[tokio::test]
async fn port_0_takes_a_free_port_and_says_which() {
    let place = Place::new();
    let server = Process::start(&[("DATA_DIR", &place.data())]);
    let line = &server.first_line;
    assert!(server.address.ip().is_loopback() && server.address.port() > 0, "{line}");
    assert!(line.contains("fsync") && line.contains(&place.data()), "O5: {line}");
    assert_eq!(server.client().get("/healthz").await.status, 200);
    let port = server.address.port().to_string();
    place.succeeds(&["healthcheck", "--port", &port]);
    server.kill();
    let line = one_line(&place.run(&["healthcheck", "--port", &port]));
    assert!(line.contains(&port), "{line}");
}
