//! Frames as a server says them. A history is told by who made it: `hash(n)` of "ada" and of "bob"
//! differ for every `n` above 0.

use std::ops::RangeInclusive;

use dao_api::client::{Operation, Page, ServerFrame};
use dao_projections::{GraphId, Hash, Head, OperationId, Version};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) fn graph() -> GraphId {
    "g".parse().unwrap()
}

pub(crate) fn version(n: u64) -> Version {
    Version::new(n).unwrap()
}

pub(crate) fn head(n: u64, history: &str) -> Head {
    if n == 0 {
        return Head::EMPTY;
    }
    Head { version: version(n), hash: Hash::EMPTY.chain(format!("{history} {n}").as_bytes()) }
}

pub(crate) fn operation_id(n: u128) -> OperationId {
    Uuid::from_u128(n).into()
}

/// An operation whose frame names its id.
pub(crate) fn operation(n: u128) -> Operation {
    let id = operation_id(n);
    // The tests read the number back in decimal from the id's last digits.
    let shown = format!("00000000-0000-0000-0000-{n:012}");
    Operation { id, frame: json!({"type": "COMMAND", "operationId": shown}).to_string() }
}

pub(crate) fn commit_by(n: u64, history: &str, operation: u128) -> Value {
    json!({"graphId": "g", "version": n, "hash": head(n, history).hash, "operationId": operation_id(operation),
        "userId": history, "clientId": "tab", "timestamp": n, "commandType": "DELETE_NODE", "outcome": "applied",
        "events": [{"type": "NodeDeleted", "nodeId": format!("n{n}")}]})
}

/// A commit of nobody's operation in particular.
pub(crate) fn commit(n: u64, history: &str) -> Value {
    commit_by(n, history, 1_000_000 + u128::from(n))
}

/// A commit as a frame: with its type, first.
pub(crate) fn as_update(commit: &Value) -> Value {
    let mut frame = json!({"type": "STATE_UPDATE"});
    for (key, value) in commit.as_object().unwrap() {
        frame[key] = value.clone();
    }
    frame
}

pub(crate) fn update(n: u64, history: &str) -> Value {
    as_update(&commit(n, history))
}

pub(crate) fn update_by(n: u64, history: &str, operation: u128) -> Value {
    as_update(&commit_by(n, history, operation))
}

pub(crate) fn sync(status: &str, head: Head) -> Value {
    json!({"type": "SYNC", "graphId": "g", "version": head.version, "hash": head.hash, "status": status,
        "settled": []})
}

pub(crate) fn snapshot(head: Head) -> Value {
    let mut frame = sync("snapshot", head);
    frame["state"] = json!({"nodes": [], "edges": [], "viewport": {"x": 0, "y": 0, "zoom": 1}});
    frame
}

pub(crate) fn settled(operation: u128, status: &str, version: Option<u64>) -> Value {
    let mut settled = json!({"operationId": operation_id(operation), "status": status});
    if let Some(version) = version {
        settled["version"] = version.into();
    }
    settled
}

pub(crate) fn frame(value: Value) -> ServerFrame {
    ServerFrame::read(&value.to_string()).unwrap()
}

pub(crate) fn page(commits: &[Value], head: Head, has_more: bool, is_reset: bool) -> Page {
    let mut page = json!({"graphId": "g", "since": 0, "currentVersion": head.version, "hash": head.hash,
        "hasMore": has_more, "changes": commits});
    if is_reset {
        page["reset"] = true.into();
    }
    Page::read(&page.to_string()).unwrap()
}

pub(crate) fn fetched_page(versions: RangeInclusive<u64>, history: &str, has_more: bool) -> Page {
    let end = *versions.end();
    let commits: Vec<Value> = versions.map(|n| commit(n, history)).collect();
    page(&commits, head(end, history), has_more, false)
}

pub(crate) fn reset_page(head: Head) -> Page {
    page(&[], head, false, true)
}
