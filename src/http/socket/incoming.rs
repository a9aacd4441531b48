//! What clients say (rules W), read strictly: a frame that is not what it should be is answered, and
//! the connection goes on.

use std::sync::Arc;

use dao_projections::{ClientId, GraphId, OperationId, TraceParent, UserId, Version};
use serde_json::Value;

use super::{
    super::{
        command_parser::{Batch, ClientIdentity as Sending, admit, read_batch_fields, read_command_fields},
        decode::{Document, DocumentLimits, Path, decode},
        format::Format,
        json_shape::{Fields, Malformed},
        problem::Problem,
    },
    envelope::{self, BadFrame, Envelope},
    judge::Judge,
};
use crate::{domain::Operation, read::ResumeHash};

/// Longer frames are long: they are read without holding up the other connections of their thread, and of those
/// without a payload only what is not inside of anything.
pub(super) const SHORT_BYTES_MAX: usize = 64 << 10;

/// Operations that one `SUBSCRIBE` may ask after.
const PENDING_MAX: usize = 1_000;
/// What a client can say.
const FRAME_TYPES: [&str; 7] = ["SUBSCRIBE", "UNSUBSCRIBE", "COMMAND", "BATCH", "PRESENCE", "AUTH", "PING"];
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
        /// As JSON.
        state: Arc<str>,
    },
    /// Proves who sends, for the first time or anew.
    Auth {
        token: String,
    },
    Ping,
}

/// A frame, and the bytes that it counts with among all bodies: its own, or a part of what it occupies (rule O3).
pub(super) struct Counted {
    pub(super) frame: ClientFrame,
    pub(super) bytes: usize,
}

/// What frames of one connection are read with.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) user: UserId,
    /// Through which client, where a frame does not name one.
    pub(super) sending: Sending,
    pub(super) format: Format,
    /// What its frames may be.
    pub(super) limits: DocumentLimits,
    /// Bytes of a message.
    pub(super) message_bytes_max: usize,
    pub(super) judge: Judge,
}

/// Whether bytes are a frame, of whoever sends. For `fuzzing`: a frame itself concerns sockets alone.
pub(in crate::http) fn is_frame(bytes: &[u8], format: Format, user: &UserId, limits: DocumentLimits) -> bool {
    let (user, sending, judge) = (user.clone(), Sending::Unnamed, Judge::lenient());
    let reader = Reader { user, sending, format, limits, message_bytes_max: usize::MAX, judge };
    // What is not inside of anything is read the same way, whatever else there is.
    let _is_shallow = envelope::shallow(bytes, format, limits).is_ok();
    reader.read(bytes).is_ok()
}

impl Reader {
    /// Reads one frame: its envelope, by which its sender is judged, and only then the rest.
    pub(super) fn read(&self, bytes: &[u8]) -> Result<Counted, BadFrame> {
        let envelope = Envelope::of(bytes, self.format);
        match self.judge.of(&envelope) {
            Ok(()) => self.read_rest(bytes, envelope, true),
            Err(problem) => Err(envelope.refused(problem)),
        }
    }

    /// Reads a frame whose sender was judged by its beginning. What the beginning said may stand there again and
    /// say something else: then nothing more of it is built than it takes to refuse it.
    pub(super) fn read_judged(&self, bytes: &[u8], judged: &Envelope) -> Result<Counted, BadFrame> {
        let envelope = Envelope::of(bytes, self.format);
        let is_same = (envelope.kind, &envelope.graph) == (judged.kind, &judged.graph);
        self.read_rest(bytes, envelope, is_same)
    }

    /// Judges the sender of a long message by its beginning; `None` where that does not say enough.
    pub(super) fn judge_beginning(&self, beginning: &[u8]) -> Result<Option<Envelope>, BadFrame> {
        let envelope = Envelope::of(beginning, self.format);
        if !envelope.is_telling() {
            return Ok(None);
        }
        match self.judge.of(&envelope) {
            Ok(()) => Ok(Some(envelope)),
            Err(problem) => Err(envelope.refused(problem)),
        }
    }

    /// What is told about a message that is over the limit, by its beginning (rule W5).
    pub(super) fn too_long(&self, beginning: &[u8], is_judged: bool) -> BadFrame {
        // It counts, and whatever is left, its sender is told that it will never be taken.
        if !is_judged {
            self.judge.count_bad();
        }
        let max = self.message_bytes_max;
        let problem = Problem::too_large(format!(
            "the message is larger than {max} bytes (MAX_BODY_BYTES): it was not read"
        ));
        self.refused(beginning, problem)
    }

    /// The same for another reason.
    pub(super) fn refused(&self, beginning: &[u8], problem: Problem) -> BadFrame {
        Envelope::of(beginning, self.format).refused(problem)
    }

    fn read_rest(&self, bytes: &[u8], envelope: Envelope, is_judged: bool) -> Result<Counted, BadFrame> {
        let has_payload = is_judged && envelope.kind.right().is_some() && envelope.graph.is_some();
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
            Ok(Counted { frame, bytes })
        });
        read.map_err(|malformed| {
            if envelope.kind.is_free() {
                self.judge.count_bad();
            }
            envelope.told(malformed)
        })
    }
}

fn read_document(document: Document, sender: &Reader) -> Result<ClientFrame, Malformed> {
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
            let operation = read_command_fields(fields, &repeated, &sender.user, &sender.sending)?;
            admit([&operation], size)?;
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
                &sender.user,
                &sender.sending,
                sender.limits.operations_max,
            )?;
            admit(&batch.operations, size)?;
            Ok(ClientFrame::Batch { graph, batch: batch.caused_by(traceparent) })
        }
        _ => {
            let (client, state) = (fields.client_id()?, fields.optional("state").unwrap_or(Value::Null));
            let state = state.to_string();
            if state.len() > PRESENCE_BYTES_MAX {
                return Err(fields.wrong("state", format!("is larger than {PRESENCE_BYTES_MAX} bytes")));
            }
            fields.finish()?;
            Ok(ClientFrame::Presence { graph, client, state: state.into() })
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
