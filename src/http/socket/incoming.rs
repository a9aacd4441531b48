//! What clients say (rules W), read strictly: a frame that is not what it should be is answered, and
//! the connection goes on.

use dao_projections::{ClientId, GraphId, OperationId, TraceParent, UserId, Version};
use serde_json::Value;

use super::{
    super::{
        command::{Batch, Sending, read_batch_fields, read_command_fields},
        decode::{Document, DocumentLimits, Path, decode},
        format::Format,
        shape::{Fields, Malformed},
    },
    about::{About, BadFrame},
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

/// Who sends on this connection.
pub(super) struct Sender<'a> {
    pub(super) user: &'a UserId,
    /// Through which client, where a frame does not name one.
    pub(super) sending: &'a Sending,
    /// What its frames may be.
    pub(super) limits: DocumentLimits,
}

/// Whether bytes are a frame, of whoever sends. For `fuzzing`: a frame itself concerns sockets alone.
pub(in crate::http) fn is_frame(bytes: &[u8], format: Format, user: &UserId, limits: DocumentLimits) -> bool {
    read(bytes, format, &Sender { user, sending: &Sending::Unnamed, limits }).is_ok()
}

/// Reads one frame.
pub(super) fn read(bytes: &[u8], format: Format, sender: &Sender<'_>) -> Result<ClientFrame, BadFrame> {
    match decode(bytes, format, sender.limits) {
        Ok(document) => {
            let about = About::of(&document.value);
            read_document(document, sender).map_err(|malformed| about.told(malformed))
        }
        Err(malformed) => Err(About::of_unreadable(bytes, format).told(malformed)),
    }
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
            let traceparent = traceparent(&mut fields)?;
            let operation = read_command_fields(fields, &repeated, sender.user, sender.sending)?;
            let operation = Operation { traceparent, ..operation };
            Ok(ClientFrame::Command { graph, operation: Box::new(operation) })
        }
        "BATCH" => {
            if fields.peek("batchId").is_none_or(Value::is_null) {
                return Err(fields.wrong("batchId", "is required"));
            }
            let traceparent = traceparent(&mut fields)?;
            let batch = read_batch_fields(
                fields,
                &repeated,
                sender.user,
                sender.sending,
                sender.limits.operations_max,
            )?;
            Ok(ClientFrame::Batch { graph, batch: batch.caused_by(traceparent) })
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

/// As the header of HTTP requests: one that can't be read is as if there was none.
fn traceparent(fields: &mut Fields<'_>) -> Result<Option<TraceParent>, Malformed> {
    Ok(fields.text("traceparent")?.and_then(|text| text.trim().parse().ok()))
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
