//! What clients say (rules W), read strictly: a frame that is not what it should be is answered, and
//! the connection goes on.

use dao_projections::{ClientId, GraphId, OperationId, UserId, Version};
use serde_json::Value;

use super::super::{
    command::{Batch, read_batch_fields, read_command_fields},
    decode::{Document, DocumentLimits, Path, decode},
    format::Format,
    problem::Problem,
    shape::{Fields, Malformed},
};
use crate::{domain::Operation, read::ResumeHash};

/// Operations that one `SUBSCRIBE` may ask after.
const PENDING_MAX: usize = 1_000;
/// Bytes of one presence state as JSON.
pub(super) const PRESENCE_BYTES_MAX: usize = 16 << 10;

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
    /// Proves who sends, for the first time or anew.
    Auth {
        token: String,
    },
    Ping,
}

/// A frame that can't be acted on, with what it was about where that could be read (rule W9).
pub(super) struct BadFrame {
    pub(super) problem: Problem,
    pub(super) graph: Option<GraphId>,
    pub(super) operation: Option<OperationId>,
    /// Whether it was a command or a batch: those are answered as what they are (rule W5).
    pub(super) is_operation: bool,
}

/// Who sends on this connection.
pub(super) struct Sender<'a> {
    pub(super) user: &'a UserId,
    pub(super) client: &'a ClientId,
    /// What its frames may be.
    pub(super) limits: DocumentLimits,
}

/// Reads one frame.
pub(super) fn read(bytes: &[u8], format: Format, sender: &Sender<'_>) -> Result<ClientFrame, BadFrame> {
    let document = match decode(bytes, format, sender.limits) {
        Ok(document) => document,
        Err(malformed) => {
            let problem = malformed.into();
            return Err(BadFrame { problem, graph: None, operation: None, is_operation: false });
        }
    };
    let about = |key| document.value.get(key).and_then(Value::as_str);
    let graph = about("graphId").and_then(|id| GraphId::parse(id).ok());
    let (key, is_operation) = match about("type") {
        Some("BATCH") => ("batchId", true),
        kind => ("operationId", kind == Some("COMMAND")),
    };
    let operation = about(key).and_then(|id| OperationId::parse(id).ok());
    read_document(document, sender).map_err(|malformed| {
        let problem = malformed.into();
        BadFrame { problem, graph, operation, is_operation }
    })
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
    if name == "AUTH" {
        let token = fields.text("token")?.ok_or_else(|| fields.wrong("token", "is required"))?;
        fields.finish()?;
        return Ok(ClientFrame::Auth { token });
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
            let batch = read_batch_fields(
                fields,
                &repeated,
                sender.user,
                Some(sender.client),
                sender.limits.operations_max,
            )?;
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
