//! Histories that are longer, or stranger, than commands could make them in the time of a test:
//! true commits with a true chain, written straight into a store.

use bytes::Bytes;
use dao_api::store::{Append, Entry, EventStore, StoredCommit};
use dao_projections::{CommandType, CommitBody, Event, GraphId, Head, OperationId, Outcome, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

/// Commits in one append.
const APPEND_MAX: usize = 1_000;

/// A history in the making, all by ada, a second between two commits.
#[derive(Default)]
pub(crate) struct Story {
    head: Head,
    commits: Vec<(OperationId, StoredCommit)>,
}

impl Story {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn len(&self) -> u64 {
        self.commits.len() as u64
    }

    /// When commit `version` is said to have happened.
    pub(crate) fn time_of(version: u64) -> u64 {
        1_795_000_000_000 + version * 1_000
    }

    /// One more commit, of this event.
    pub(crate) fn tell(&mut self, event: Value) {
        let event: Event = serde_json::from_value(event).expect("an event");
        let version = self.len() + 1;
        let operation_id = OperationId::from(Uuid::from_u128(version.into()));
        let body = CommitBody {
            operation_id,
            user_id: "ada".parse().expect("a user"),
            client_id: "tab".parse().expect("a client"),
            is_client_named: true,
            traceparent: None,
            timestamp: Timestamp(Self::time_of(version)),
            command_type: CommandType::Batch,
            outcome: Outcome::Applied,
            undoes: vec![],
            restores: None,
            is_erased: false,
            events: vec![event],
        };
        self.tell_bytes(operation_id, body.encode().into());
    }

    /// One more commit, of any bytes.
    pub(crate) fn tell_bytes(&mut self, operation: OperationId, body: Bytes) {
        self.head = self.head.after(&body);
        let Head { version, hash } = self.head;
        self.commits.push((operation, StoredCommit { version, hash, body }));
    }

    /// Writes it all as the history of this graph.
    pub(crate) async fn write(self, store: &dyn EventStore, graph: &str) {
        let graph = GraphId::parse(graph).expect("a graph id");
        let mut head = Head::EMPTY;
        for chunk in self.commits.chunks(APPEND_MAX) {
            let entry = |(operation, commit): &(OperationId, StoredCommit)| Entry {
                operation: *operation,
                record: Bytes::from_static(b"made up"),
                commit: Some(commit.clone()),
                refused_at: None,
            };
            let entries: Vec<Entry> = chunk.iter().map(entry).collect();
            assert_eq!(store.append(&graph, head, &entries).await.expect("append"), Append::Appended);
            head = chunk.last().expect("not empty").1.head();
        }
    }
}

/// A node that stands at another place in every commit.
pub(crate) fn moved(node: &str, x: u64) -> Value {
    json!({"type": "NodeMoved", "nodeId": node, "position": {"x": x, "y": 0}})
}
