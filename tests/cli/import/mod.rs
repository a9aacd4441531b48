//! `dao-api import`: what it recognises, what it refuses, and that it never does more or less than it says (rule L16).

mod formats;
mod merging;
mod rules;

use std::{
    fs,
    io::Write,
    process::{Output, Stdio},
};

use serde_json::{Value, json};

use crate::support::{redis::RedisServer, server::program};

/// A store, and a folder for files.
struct Place {
    folder: tempfile::TempDir,
    redis: Option<RedisServer>,
}

impl Place {
    fn embedded() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), redis: None }
    }

    fn on_redis() -> Self {
        Self { redis: Some(RedisServer::start()), ..Self::embedded() }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn run_saying(&self, arguments: &[&str], input: &str) -> Output {
        let data = self.folder.path().join("data");
        let mut command = program(&[("DATA_DIR", data.to_str().unwrap())]);
        if let Some(redis) = &self.redis {
            command.env("REDIS_URL", redis.url());
        }
        command.env_remove("LOG_LEVEL").args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Who asks nothing may have ended without reading.
        let _read_or_not = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_saying(arguments, "")
    }

    /// What it prints, and what it notes.
    fn imports(&self, arguments: &[&str]) -> (String, String) {
        let output = self.run(&[&["import"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", said(&output));
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    /// Why it does not.
    fn refuses(&self, arguments: &[&str]) -> String {
        let output = self.run(&[&["import"], arguments].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", said(&output));
        assert!(output.stdout.is_empty(), "{}", said(&output));
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(line.lines().count(), 1, "{line}");
        line
    }

    fn import_value(&self, document: &Value, graph: &str) -> (String, String) {
        self.imports(&[&self.file("flow.json", document.to_string()), "--graph", graph])
    }

    /// The graph; empty where there is none.
    fn state(&self, graph: &str) -> Value {
        let output = self.run(&["show", graph, "--json"]);
        match output.status.code() {
            Some(0) => serde_json::from_slice(&output.stdout).unwrap(),
            _ => json!({"version": 0, "nodes": [], "edges": []}),
        }
    }

    fn export(&self, arguments: &[&str]) -> String {
        let output = self.run(&[&["export"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

fn said(output: &Output) -> String {
    format!("{} {}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn ids(state: &Value, kind: &str) -> Vec<String> {
    let list = state[kind].as_array().unwrap().iter();
    list.map(|entity| entity["id"].as_str().unwrap().to_owned()).collect()
}

/// Without what the server adds.
fn bare(state: &Value) -> Value {
    let mut bare = json!({"nodes": state["nodes"], "edges": state["edges"], "viewport": state["viewport"]});
    for kind in ["nodes", "edges"] {
        for entity in bare[kind].as_array_mut().unwrap() {
            for field in ["createdAt", "updatedAt", "version"] {
                entity.as_object_mut().unwrap().shift_remove(field);
            }
        }
    }
    bare
}

fn flow(nodes: &[&str], edges: &[(&str, &str)]) -> Value {
    let node = |id: &&str| json!({"id": id, "position": {"x": 0, "y": 0}, "data": {}});
    let edge =
        |(from, to): &(&str, &str)| json!({"id": format!("{from}-{to}"), "source": from, "target": to});
    json!({"nodes": nodes.iter().map(node).collect::<Vec<_>>(), "edges": edges.iter().map(edge).collect::<Vec<_>>()})
}
