//! Frames of servers and clients (rules W), as far as one followed graph needs them.
//!
//! Reading is lenient: fields and frames that a later server adds are
//! skipped, so that a client need not be replaced before its server. Not here: commits ([`super::received`]).

use dao_projections::{ClientId, CommandType, GraphId, Hash, Head, OperationId, UserId, Version};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Value, value::RawValue};

use super::received::Received;

/// The code of a refusal after which the operation is moved to today's history (rule D8).
pub(super) const HISTORY_REPLACED: &str = "HISTORY_REPLACED";

/// A text that is not a frame or an answer that this client can read.
#[derive(Debug, thiserror::Error)]
#[error("the server sent something that can't be read: {problem}; it began {begin:?}")]
pub struct Unreadable {
    /// What is wrong with it.
    pub problem: serde_json::Error,
    /// How the text begins.
    pub begin: String,
}

impl Unreadable {
    /// Characters of the text that are shown.
    const BEGIN_CHARS: usize = 80;

    pub(super) fn new(problem: serde_json::Error, text: &str) -> Self {
        Self { problem, begin: text.chars().take(Self::BEGIN_CHARS).collect() }
    }
}

/// A frame of the server.
#[derive(Debug)]
pub enum ServerFrame {
    /// The first one (rule W1).
    Welcome(Welcome),
    /// How a subscriber catches up (rule W2).
    Sync(Sync),
    /// A commit (rule W4).
    StateUpdate(Box<Received>),
    /// An operation was accepted (rule W5).
    Ack(Ack),
    /// An operation was refused, for good or for now (rule W5).
    Revert(Box<Revert>),
    /// What another client shows of itself (rule W7).
    Presence(Presence),
    /// A frame was refused, and the connection stays open (rule W9).
    Error(Complaint),
    /// The server stops (rule W9).
    Goodbye(Goodbye),
    /// Anything else: a `PONG`, or a frame of a later release.
    Other,
}

/// `WELCOME`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Welcome {
    /// How often the server pings. One that is silent for two of these is gone.
    pub heartbeat_ms: u64,
    /// What a client may send.
    #[serde(default)]
    pub limits: Limits,
}

/// The limits of `WELCOME`, as far as one client of one graph needs them.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Bytes of a message; the server reads none that is longer.
    pub message_bytes: Option<usize>,
    /// For how long at least the server remembers an operation (rule C3).
    pub operation_ttl_ms: Option<u64>,
}

/// `SYNC`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sync {
    /// The graph.
    pub graph_id: GraphId,
    /// The current version.
    #[serde(deserialize_with = "version")]
    pub version: Version,
    /// The hash of that version.
    #[serde(deserialize_with = "hash")]
    pub hash: Hash,
    /// What comes next.
    pub status: SyncStatus,
    /// Whether the point that was sent is of another history (rule V4).
    #[serde(default)]
    pub reset: bool,
    /// The outcomes of the pending operations (rule W3).
    #[serde(default)]
    pub settled: Vec<Settled>,
    /// The graph itself, with a snapshot.
    pub state: Option<Box<RawValue>>,
}

impl Sync {
    /// The head of the graph.
    pub fn head(&self) -> Head {
        Head { version: self.version, hash: self.hash }
    }
}

/// How a subscriber catches up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncStatus {
    /// It has caught up.
    InSync,
    /// The missing commits follow.
    Replay,
    /// It starts from the state in the frame.
    Snapshot,
}

/// The outcome of one operation.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settled {
    /// Which.
    pub operation_id: OperationId,
    /// Its end.
    pub status: SettledStatus,
    /// The version it was accepted with, or refused on.
    #[serde(default, deserialize_with = "optional_version")]
    pub version: Option<Version>,
    /// Why it was refused: a stable code.
    pub code: Option<String>,
}

/// The end of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettledStatus {
    /// Accepted.
    Completed,
    /// Refused with 409.
    Conflict,
    /// Refused otherwise.
    Failed,
    /// The server does not know it: send it again.
    Unknown,
}

/// `ACK`, as far as it settles an operation.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ack {
    /// The graph.
    pub graph_id: GraphId,
    /// The operation, or the batch.
    pub operation_id: OperationId,
    /// The version that has its effect.
    #[serde(deserialize_with = "version")]
    pub version: Version,
    /// Of a batch: the outcome of each member.
    #[serde(default)]
    results: Option<Box<RawValue>>,
}

impl Ack {
    /// Whether a member of a batch was refused because its history was replaced (rule D8).
    pub(super) fn has_replaced_member(&self) -> bool {
        let results = self.results.as_deref().map_or("[]", RawValue::get);
        let results: Vec<Value> = serde_json::from_str(results).unwrap_or_default();
        let is_replaced =
            |result: &Value| result["accepted"] == false && result["error"]["code"] == HISTORY_REPLACED;
        results.iter().any(is_replaced)
    }
}

/// `REVERT`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revert {
    /// The graph.
    pub graph_id: GraphId,
    /// The operation, or the batch.
    pub operation_id: OperationId,
    /// Why: a stable code.
    pub code: String,
    /// Why, for people.
    pub message: String,
    /// Whether the same operation may yet be accepted.
    pub temporary: bool,
    /// When to send it again.
    pub retry_after_ms: Option<u64>,
    /// The current values, after a conflict (rule D7).
    pub resolution: Option<Value>,
}

impl Revert {
    /// The graph's version when it was judged, if the server says so.
    pub(super) fn current_version(&self) -> Version {
        let told = self.resolution.as_ref().and_then(|resolution| resolution["currentVersion"].as_u64());
        told.and_then(Version::new).unwrap_or(Version::MAX)
    }
}

/// `PRESENCE`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Presence {
    /// The graph.
    pub graph_id: GraphId,
    /// Which client.
    pub client_id: ClientId,
    /// Whose.
    pub user_id: UserId,
    /// Which of the client's presences this is; empty for the one without a name.
    #[serde(default)]
    pub slot: String,
    /// What the client shows; null when it shows nothing any more.
    pub state: Value,
}

/// `ERROR`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Complaint {
    /// Why: a stable code.
    pub code: String,
    /// Why, for people.
    pub message: String,
    /// The graph it is about.
    pub graph_id: Option<GraphId>,
    /// The operation it is about.
    pub operation_id: Option<OperationId>,
}

/// `GOODBYE`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Goodbye {
    /// When to reconnect.
    pub reconnect_after_ms: u64,
}

impl ServerFrame {
    /// Reads a text frame.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct Tag {
            r#type: String,
        }
        fn of<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Unreadable> {
            serde_json::from_str(text).map_err(|problem| Unreadable::new(problem, text))
        }
        Ok(match of::<Tag>(text)?.r#type.as_str() {
            "WELCOME" => Self::Welcome(of(text)?),
            "SYNC" => Self::Sync(of(text)?),
            "STATE_UPDATE" => Self::StateUpdate(Box::new(Received::read(text)?)),
            "ACK" => Self::Ack(of(text)?),
            "REVERT" => Self::Revert(of(text)?),
            "PRESENCE" => Self::Presence(of(text)?),
            "ERROR" => Self::Error(of(text)?),
            "GOODBYE" => Self::Goodbye(of(text)?),
            _ => Self::Other,
        })
    }
}

/// `SUBSCRIBE`.
#[derive(Serialize)]
#[serde(tag = "type", rename = "SUBSCRIBE", rename_all = "camelCase")]
pub(super) struct Subscribe<'a> {
    pub(super) graph_id: &'a GraphId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<Version>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hash: Option<Hash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) pending: Vec<OperationId>,
}

impl Subscribe<'_> {
    pub(super) fn to_text(&self) -> String {
        // Ids and numbers always become JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// An operation of this client: its id and its frame. Every repetition is the same bytes, so that it is never taken for
/// another command (rule C3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its id; of a batch, the `batchId`.
    pub id: OperationId,
    /// A `COMMAND` or `BATCH` frame with that id.
    pub frame: String,
}

impl Operation {
    /// A `COMMAND` of a client that had applied `client_version`. A [`Follower`](super::Follower) that it is
    /// submitted to adds the hash of that version (rule D8).
    pub fn command(
        graph: &GraphId,
        id: OperationId,
        client_version: Option<Version>,
        command_type: CommandType,
        payload: &Value,
    ) -> Self {
        let mut frame = serde_json::json!({
            "type": "COMMAND",
            "graphId": graph,
            "operationId": id,
            "command": {"type": command_type, "payload": payload},
        });
        if let Some(version) = client_version {
            frame["clientVersion"] = version.get().into();
        }
        Self { id, frame: frame.to_string() }
    }
}

pub(super) fn hash<'de, D: Deserializer<'de>>(d: D) -> Result<Hash, D::Error> {
    Hash::from_hex(&String::deserialize(d)?).map_err(de::Error::custom)
}

pub(super) fn version<'de, D: Deserializer<'de>>(d: D) -> Result<Version, D::Error> {
    Version::new(u64::deserialize(d)?).ok_or_else(|| de::Error::custom("a version of 2^63 or more"))
}

fn optional_version<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Version>, D::Error> {
    let number = Option::<u64>::deserialize(d)?;
    let version = |number| Version::new(number).ok_or_else(|| de::Error::custom("a version of 2^63 or more"));
    number.map(version).transpose()
}
