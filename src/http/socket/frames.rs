//! The frames of the WebSocket protocol (rules W): what clients send, read strictly; and what they
//! get, in the encoding of their subprotocol.

use bytes::Bytes;
use dao_projections::{ClientId, Commit, GraphId, Hash, Head, OperationId, UserId, Version};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use super::super::{
    command::{Batch, read_batch_fields, read_command_fields},
    decode::{Document, Path, decode},
    format::Format,
    problem::Problem,
    shape::{Fields, Malformed},
    wire::CommitOut,
};
use crate::{domain::Operation, live::Present, read::ResumeHash};

/// Operations that one `SUBSCRIBE` may ask after.
const PENDING_MAX: usize = 1_000;
/// Bytes of one presence state as JSON.
const PRESENCE_BYTES_MAX: usize = 16 << 10;

/// What a client says.
pub(super) enum ClientFrame {
    Subscribe {
        graph: GraphId,
        version: Option<Version>,
        hash: Option<ResumeHash>,
        pending: Vec<OperationId>,
    },
    Unsubscribe {
        graph: GraphId,
    },
    Command {
        graph: GraphId,
        operation: Box<Operation>,
    },
    Batch {
        graph: GraphId,
        batch: Batch,
    },
    Presence {
        graph: GraphId,
        client: Option<ClientId>,
        state: Value,
    },
    Ping,
}

/// A frame that can't be acted on, with what it was about where that could be read (rule W9).
pub(super) struct BadFrame {
    pub(super) problem: Problem,
    pub(super) graph: Option<GraphId>,
    pub(super) operation: Option<OperationId>,
}

/// Who sends on this connection.
pub(super) struct Sender<'a> {
    pub(super) user: &'a UserId,
    pub(super) client: &'a ClientId,
}

/// Reads one frame.
pub(super) fn read(bytes: &[u8], format: Format, sender: &Sender<'_>) -> Result<ClientFrame, BadFrame> {
    let document = decode(bytes, format).map_err(|malformed| bad(malformed, None, None))?;
    let about = |key| document.value.get(key).and_then(Value::as_str);
    let graph = about("graphId").and_then(|id| GraphId::parse(id).ok());
    let operation = about("operationId").or(about("batchId")).and_then(|id| OperationId::parse(id).ok());
    read_document(document, sender).map_err(|malformed| bad(malformed, graph, operation))
}

fn bad(malformed: Malformed, graph: Option<GraphId>, operation: Option<OperationId>) -> BadFrame {
    BadFrame { problem: malformed.into(), graph, operation }
}

fn read_document(document: Document, sender: &Sender<'_>) -> Result<ClientFrame, Malformed> {
    let root = Path::Root;
    let Document { value, repeated } = document;
    let mut fields = Fields::of(value, &root, &repeated)?;
    let name = fields.text("type")?.ok_or_else(|| fields.wrong("type", "is required"))?;
    if name == "PING" {
        fields.finish()?;
        return Ok(ClientFrame::Ping);
    }
    if !["SUBSCRIBE", "UNSUBSCRIBE", "COMMAND", "BATCH", "PRESENCE"].contains(&name.as_str()) {
        let shown: String = name.chars().take(40).collect();
        return Err(fields.wrong("type", format!("{shown:?} is no frame")));
    }
    let graph = fields.required_id("graphId", GraphId::parse)?;
    match name.as_str() {
        "SUBSCRIBE" => {
            let (version, hash) = (fields.version("version")?, fields.text("hash")?);
            let pending = pending(&mut fields)?;
            fields.finish()?;
            let hash = hash.as_deref().map(ResumeHash::parse);
            Ok(ClientFrame::Subscribe { graph, version, hash, pending })
        }
        "UNSUBSCRIBE" => fields.finish().map(|()| ClientFrame::Unsubscribe { graph }),
        "COMMAND" => {
            let operation = read_command_fields(fields, &repeated, sender.user, sender.client)?;
            Ok(ClientFrame::Command { graph, operation: Box::new(operation) })
        }
        "BATCH" => {
            if fields.peek("batchId").is_none_or(Value::is_null) {
                return Err(fields.wrong("batchId", "is required"));
            }
            let batch = read_batch_fields(fields, &repeated, sender.user, Some(sender.client))?;
            Ok(ClientFrame::Batch { graph, batch })
        }
        _ => {
            let (client, state) = (fields.client_id()?, fields.optional("state").unwrap_or(Value::Null));
            if state.to_string().len() > PRESENCE_BYTES_MAX {
                return Err(fields.wrong("state", format!("is larger than {PRESENCE_BYTES_MAX} bytes")));
            }
            fields.finish()?;
            Ok(ClientFrame::Presence { graph, client, state })
        }
    }
}

fn pending(fields: &mut Fields<'_>) -> Result<Vec<OperationId>, Malformed> {
    let listed = fields.list("pending")?.unwrap_or_default();
    if listed.len() > PENDING_MAX {
        return Err(Malformed::too_many("pending", format!("holds more than {PENDING_MAX} operations")));
    }
    let mut ids = Vec::with_capacity(listed.len());
    for (index, id) in listed.iter().enumerate() {
        let list = Path::Key(&Path::Root, "pending");
        let id = id.as_str().and_then(|id| OperationId::parse(id).ok());
        ids.push(id.ok_or_else(|| Malformed::at(Path::Index(&list, index), "must be a UUID"))?);
    }
    Ok(ids)
}

/// What the server says. Commits and snapshots have encodings of their own, shared by all who get
/// them: [`state_update`] and [`sync_with_state`].
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub(super) enum ServerFrame<'a> {
    Welcome {
        connection_id: uuid::Uuid,
        heartbeat_ms: u64,
        limits: Limits,
        server_time: u64,
    },
    Sync {
        graph_id: &'a GraphId,
        version: Version,
        hash: Hash,
        status: &'static str,
        settled: Vec<Settled>,
    },
    Revert(Revert<'a>),
    Presence {
        graph_id: &'a GraphId,
        client_id: &'a ClientId,
        user_id: &'a UserId,
        state: &'a Value,
    },
    Pong {
        versions: Versions<'a>,
    },
    Error {
        code: &'static str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        graph_id: Option<&'a GraphId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        operation_id: Option<OperationId>,
    },
    Goodbye {
        reconnect_after_ms: u64,
    },
}

/// The limits that `WELCOME` tells.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Limits {
    pub(super) message_bytes: usize,
    pub(super) entity_bytes: usize,
    pub(super) batch_operations: usize,
    pub(super) subscriptions: usize,
    pub(super) in_flight: usize,
    pub(super) presence_bytes: usize,
}

impl Limits {
    pub(super) fn of(
        message_bytes: usize,
        entity_bytes: usize,
        subscriptions: usize,
        in_flight: usize,
    ) -> Self {
        let batch_operations = super::super::command::BATCH_OPERATIONS_MAX;
        let presence_bytes = PRESENCE_BYTES_MAX;
        Self { message_bytes, entity_bytes, batch_operations, subscriptions, in_flight, presence_bytes }
    }
}

/// What became of an operation that a client was waiting for (rule W3).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Settled {
    pub(super) operation_id: OperationId,
    pub(super) status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<Version>,
}

/// A refused operation, or one that could not be answered for now (`temporary`).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Revert<'a> {
    pub(super) operation_id: OperationId,
    pub(super) graph_id: &'a GraphId,
    pub(super) code: &'static str,
    pub(super) message: &'a str,
    pub(super) temporary: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retry_after_ms: Option<u64>,
    pub(super) version: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resolution: Option<&'a crate::domain::Resolution>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) duplicate: Option<bool>,
}

/// The heads of the followed graphs, for `PONG`.
pub(super) struct Versions<'a>(pub(super) Vec<(&'a GraphId, Version)>);

impl Serialize for Versions<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(graph, version)| map.serialize_entry(graph.as_str(), version))?;
        map.end()
    }
}

/// The frame of a commit: the commit with its type.
pub(super) fn state_update(graph: &GraphId, commit: &Commit, format: Format) -> Bytes {
    format.encode(&CommitOut::of(graph, commit).into_frame("STATE_UPDATE")).into()
}

/// A `SYNC` that starts its reader from a snapshot. `state` is `GET …/state`, in JSON as it is kept.
pub(super) fn sync_with_state(
    graph: &GraphId,
    head: Head,
    settled: Vec<Settled>,
    state: &State<'_>,
    format: Format,
) -> Bytes {
    let (version, hash) = (head.version, head.hash);
    let sync = ServerFrame::Sync { graph_id: graph, version, hash, status: "snapshot", settled };
    match state {
        State::Json(state) => {
            let mut bytes = format.encode(&sync);
            bytes.pop(); // the closing brace
            bytes.reserve(state.len() + 16);
            bytes.extend(b",\"state\":");
            bytes.extend(*state);
            bytes.push(b'}');
            bytes.into()
        }
        State::Graph(state) => {
            #[derive(Serialize)]
            struct WithState<'a, T: Serialize> {
                #[serde(flatten)]
                sync: ServerFrame<'a>,
                state: &'a T,
            }
            format.encode(&WithState { sync, state: *state }).into()
        }
    }
}

/// A snapshot in whichever form it is at hand.
pub(super) enum State<'a> {
    Json(&'a [u8]),
    Graph(&'a super::super::wire::StateOut<'a>),
}

/// What others see of a client.
pub(super) fn presence<'a>(graph: &'a GraphId, present: &'a Present) -> ServerFrame<'a> {
    ServerFrame::Presence {
        graph_id: graph,
        client_id: &present.client,
        user_id: &present.user,
        state: &present.state,
    }
}
