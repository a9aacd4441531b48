//! The golden vectors of the SDK in `sdk/vectors`: what the fold, the patches, `decide`, the conflicts and the undo of
//! the server do, for its TypeScript twin to do the same.
//!
//! The files are deterministic. A test fails if they differ from what the code writes now;
//! `WRITE_VECTORS=1 cargo test --test spec vectors` writes them anew.

mod command;
mod conflict;
mod decide;
mod fold;
mod patch;
mod random;
mod undo;

use std::{fs, path::PathBuf};

use dao_projections::{Commit, Event};
use serde_json::{Value, json};

/// One file: its name, and a case in each line.
fn files() -> [(&'static str, Vec<Value>); 6] {
    [
        ("patch", patch::patches()),
        ("paths", patch::paths()),
        ("fold", fold::cases()),
        ("decide", decide::cases()),
        ("conflict", conflict::cases()),
        ("undo", undo::cases()),
    ]
}

fn text(cases: &[Value]) -> String {
    let lines: Vec<String> = cases.iter().map(Value::to_string).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("sdk/vectors").join(name).with_extension("json")
}

#[test]
fn the_vectors_of_the_sdk_are_what_the_code_does_now() {
    let is_writing = std::env::var_os("WRITE_VECTORS").is_some();
    let mut count = 0;
    for (name, cases) in files() {
        count += cases.iter().map(cases_in).sum::<usize>();
        let (text, path) = (text(&cases), path(name));
        if is_writing {
            fs::write(&path, &text).expect("the file can be written");
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == text,
            "sdk/vectors/{name}.json is not what the code does now. If that is meant, run \
             `WRITE_VECTORS=1 cargo test --test spec vectors` and commit the file."
        );
    }
    assert!(count >= 2_000, "only {count} cases");
}

/// A line is one case, or has several on one graph.
fn cases_in(line: &Value) -> usize {
    line.get("cases").and_then(Value::as_array).map_or(1, Vec::len)
}

fn events_json(events: &[Event]) -> Value {
    serde_json::to_value(events).expect("events are JSON")
}

/// A commit as followers get it, without what no fold looks at.
fn commit_json(commit: &Commit) -> Value {
    let body = &commit.body;
    json!({
        "version": commit.version, "timestamp": body.timestamp, "operationId": body.operation_id,
        "userId": body.user_id, "clientId": body.client_id, "named": body.is_client_named, "events": body.events,
    })
}

fn commits_json(commits: &[Commit]) -> Value {
    commits.iter().map(commit_json).collect()
}
