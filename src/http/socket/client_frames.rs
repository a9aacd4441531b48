//! Frames of clients (rules W), read strictly. A malformed frame is answered, and the connection stays open.

use std::sync::Arc;

use dao_projections::{ClientId, GraphId, OperationId, TraceParent, UserId, Version};
use serde_json::Value;

use super::{
    super::{
        command_parser::{Batch, ClientIdentity, admit, read_batch_fields, read_command_fields},
        decode::{Document, DocumentLimits, decode},
        format::Format,
        json_shape::{Fields, Malformed},
        problem::Problem,
    },
    authorize::FrameAuthorizer,
    envelope::{self, BadFrame, Envelope},
};
use crate::{domain::Operation, http::json_path::Path, live::PresenceSlot, read::ResumeHash};

/// Frames over this length are long. They are parsed off the connection's thread, and of types without a payload only
/// the top level is parsed. Types that cost no budget are never long.
pub(super) const SHORT_BYTES_MAX: usize = 64 << 10;

/// Operations in `pending` of one `SUBSCRIBE`.
const PENDING_MAX: usize = 1_000;
/// The types of client frames.
const FRAME_TYPES: [&str; 7] = ["SUBSCRIBE", "UNSUBSCRIBE", "COMMAND", "BATCH", "PRESENCE", "AUTH", "PING"];
/// Bytes of one presence state as JSON.
pub(super) const PRESENCE_BYTES_MAX: usize = 16 << 10;

/// A frame of a client.
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
        slot: PresenceSlot,
        /// JSON text.
        state: Arc<str>,
    },
    /// Authenticates the sender, or renews its token.
    Auth {
        token: String,
    },
    Ping,
}

/// A frame, and the bytes that it counts for in the budget of all bodies (rule O3).
pub(super) struct SizedFrame {
    pub(super) frame: ClientFrame,
    pub(super) bytes: usize,
}

/// Reads the frames of one connection.
#[derive(Clone)]
pub(super) struct FrameReader {
    pub(super) user: UserId,
    /// The client of commands that don't name one.
    pub(super) sending: ClientIdentity,
    pub(super) format: Format,
    /// Limits of a document.
    pub(super) limits: DocumentLimits,
    /// The longest message, in bytes.
    pub(super) message_bytes_max: usize,
    pub(super) authorizer: FrameAuthorizer,
}

/// Whether bytes are a valid frame, whoever sends it. For `fuzzing`, which must not know frames.
pub(in crate::http) fn is_frame(bytes: &[u8], format: Format, user: &UserId, limits: DocumentLimits) -> bool {
    let (user, sending, authorizer) = (user.clone(), ClientIdentity::Unnamed, FrameAuthorizer::lenient());
    let reader = FrameReader { user, sending, format, limits, message_bytes_max: usize::MAX, authorizer };
    // The top level is parsed too, since that is all that is parsed of some long frames.
    let _is_shallow = envelope::shallow(bytes, format, limits).is_ok();
    reader.read(bytes).is_ok()
}

impl FrameReader {
    /// Reads one frame: first its envelope, which authorizes it, then the rest.
    pub(super) fn read(&self, bytes: &[u8]) -> Result<SizedFrame, BadFrame> {
        let envelope = Envelope::of(bytes, self.format);
        if bytes.len() > SHORT_BYTES_MAX && envelope.kind.is_free() {
            return Err(self.too_long_for_its_type(envelope));
        }
        match self.authorizer.authorize(&envelope) {
            Ok(()) => self.read_rest(bytes, envelope, true),
            Err(unauthorized) => Err(unauthorized.told(envelope)),
        }
    }

    /// Reads a frame that was authorized by its beginning. If a later field contradicts the beginning, the frame is
    /// refused without parsing its payload.
    pub(super) fn read_authorized(
        &self,
        bytes: &[u8],
        authorized: &Envelope,
    ) -> Result<SizedFrame, BadFrame> {
        let envelope = Envelope::of(bytes, self.format);
        let is_same = (envelope.kind, &envelope.graph) == (authorized.kind, &authorized.graph);
        self.read_rest(bytes, envelope, is_same)
    }

    /// Authorizes a long message by its beginning; `None` if the envelope is not complete there.
    pub(super) fn authorize_beginning(&self, beginning: &[u8]) -> Result<Option<Envelope>, BadFrame> {
        let envelope = Envelope::of(beginning, self.format);
        if envelope.kind.is_free() {
            return Err(self.too_long_for_its_type(envelope));
        }
        if !envelope.is_sufficient() {
            return Ok(None);
        }
        match self.authorizer.authorize(&envelope) {
            Ok(()) => Ok(Some(envelope)),
            Err(unauthorized) => Err(unauthorized.told(envelope)),
        }
    }

    /// Refuses a message over the limit; its beginning tells what it was about (rule W5).
    pub(super) fn too_long(&self, beginning: &[u8], is_authorized: bool) -> BadFrame {
        // The sender is told that it will never be accepted, even if the budget is spent.
        let is_over_budget = !is_authorized && self.authorizer.charge_malformed();
        let max = self.message_bytes_max;
        let problem = Problem::too_large(format!(
            "the message is larger than {max} bytes (MAX_BODY_BYTES). It was not read"
        ));
        BadFrame { is_over_budget, ..self.refused(beginning, problem) }
    }

    /// Refuses a long frame of a type that costs no budget. Such frames are short, so a long one is charged, and
    /// neither read nor given a turn among large messages.
    fn too_long_for_its_type(&self, envelope: Envelope) -> BadFrame {
        let is_over_budget = self.authorizer.charge_malformed();
        let name = envelope.kind.as_str();
        let problem = Problem::too_large(format!(
            "the {name} frame is too long: frames of this type have at most {SHORT_BYTES_MAX} bytes"
        ));
        BadFrame { is_over_budget, ..envelope.refused(problem) }
    }

    /// Refuses a message for another reason; its beginning tells what it was about.
    pub(super) fn refused(&self, beginning: &[u8], problem: Problem) -> BadFrame {
        Envelope::of(beginning, self.format).refused(problem)
    }

    fn read_rest(
        &self,
        bytes: &[u8],
        envelope: Envelope,
        is_authorized: bool,
    ) -> Result<SizedFrame, BadFrame> {
        let has_payload = is_authorized && envelope.kind.right().is_some() && envelope.graph.is_some();
        let document = match bytes.len() > SHORT_BYTES_MAX && !has_payload {
            true => {
                envelope::shallow(bytes, self.format, self.limits).map(|document| (document, bytes.len()))
            }
            false => decode(bytes, self.format, self.limits).map(|document| {
                let counted = document.size.counted();
                (document, counted)
            }),
        };
        let read = document.and_then(|(document, bytes)| {
            let frame = read_document(document, self)?;
            Ok(SizedFrame { frame, bytes })
        });
        read.map_err(|malformed| {
            let is_charged = envelope.kind.is_charged_if_malformed();
            let is_over_budget = is_charged && self.authorizer.charge_malformed();
            BadFrame { is_over_budget, ..envelope.told(malformed) }
        })
    }
}

#[expect(clippy::too_many_lines, reason = "one arm for each frame")]
fn read_document(document: Document, sender: &FrameReader) -> Result<ClientFrame, Malformed> {
    let root = Path::Root;
    let Document { value, repeated, size } = document;
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
    if !FRAME_TYPES.contains(&name.as_str()) {
        let shown: String = name.chars().take(40).collect();
        let problem = format!("unknown frame type {shown:?}: use one of {}", FRAME_TYPES.join(", "));
        return Err(fields.wrong("type", problem));
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
            let after = fields.operation_id("after")?;
            let operation = read_command_fields(fields, &repeated, &sender.user, &sender.sending)?;
            admit([&operation], size)?;
            if after == Some(operation.id) {
                return Err(after_itself());
            }
            let operation = Operation { traceparent, after, ..operation };
            Ok(ClientFrame::Command { graph, operation: Box::new(operation) })
        }
        "BATCH" => {
            if fields.peek("batchId").is_none_or(Value::is_null) {
                return Err(fields.wrong("batchId", "is required"));
            }
            let traceparent = traceparent(&mut fields)?;
            let after = fields.operation_id("after")?;
            let mut batch = read_batch_fields(
                fields,
                &repeated,
                &sender.user,
                &sender.sending,
                sender.limits.operations_max,
            )?;
            admit(&batch.operations, size)?;
            if !batch.waits_for(after) {
                return Err(after_itself());
            }
            Ok(ClientFrame::Batch { graph, batch: batch.caused_by(traceparent) })
        }
        _ => {
            let slot = fields.text("slot")?.unwrap_or_default();
            let slot = PresenceSlot::parse(&slot).map_err(|error| fields.wrong("slot", error.to_string()))?;
            let (client, state) = (fields.client_id()?, fields.optional("state").unwrap_or(Value::Null));
            let state = state.to_string();
            if state.len() > PRESENCE_BYTES_MAX {
                return Err(fields.wrong("state", format!("is larger than {PRESENCE_BYTES_MAX} bytes")));
            }
            fields.finish()?;
            Ok(ClientFrame::Presence { graph, client, slot, state: state.into() })
        }
    }
}

fn after_itself() -> Malformed {
    Malformed::at("after", "is the id of this operation itself: name an earlier one")
}

/// Like the header of HTTP requests: an invalid one is ignored.
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
