//! The envelope of a frame: its type, graph and ids, read before the payload is parsed (rule O3).
//!
//! A malformed command is answered exactly once if its graph and id can be found (rules W5, W9). So the envelope is read
//! up to the first syntax error, and all other fields are skipped, however deeply nested. Not here: the other fields
//! ([`super::client_frames`]).

use std::fmt;

use dao_projections::{GraphId, Map, OperationId};
use rmp::{
    Marker,
    decode::{read_map_len, read_str_from_slice},
};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};

use super::{
    super::{
        decode::{Document, DocumentLimits, decode},
        format::Format,
        json_repair::repair,
        json_shape::Malformed,
        problem::Problem,
    },
    message_pack::after_value,
};
use crate::{auth::Right, http::json_path::Path};

/// The fields of the envelope.
const ENVELOPE_FIELDS: [&str; 4] = ["type", "graphId", "operationId", "batchId"];
/// The longest value of such a field in bytes. All valid ones are shorter, even with escapes.
const ENVELOPE_FIELD_BYTES_MAX: usize = 1 << 10;
/// Fields that are kept of a frame without a payload. No valid frame has as many.
const FIELDS_MAX: usize = 32;

/// A refused frame, with its graph and id if they could be read (rule W9).
pub(super) struct BadFrame {
    pub(super) problem: Problem,
    pub(super) graph: Option<GraphId>,
    pub(super) operation: Option<OperationId>,
    /// Whether it was a command or a batch: those are answered with `REVERT` (rule W5).
    pub(super) is_operation: bool,
    /// Whether its sender's budget is empty.
    pub(super) is_over_budget: bool,
}

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Subscribe,
    Unsubscribe,
    Command,
    Batch,
    Presence,
    Ping,
    Auth,
    /// An unknown type, or no readable one.
    Unknown,
}

impl FrameKind {
    fn named(name: Option<&str>) -> Self {
        match name {
            Some("SUBSCRIBE") => Self::Subscribe,
            Some("UNSUBSCRIBE") => Self::Unsubscribe,
            Some("COMMAND") => Self::Command,
            Some("BATCH") => Self::Batch,
            Some("PRESENCE") => Self::Presence,
            Some("PING") => Self::Ping,
            Some("AUTH") => Self::Auth,
            _ => Self::Unknown,
        }
    }

    /// The type as clients write it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Subscribe => "SUBSCRIBE",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::Command => "COMMAND",
            Self::Batch => "BATCH",
            Self::Presence => "PRESENCE",
            Self::Ping => "PING",
            Self::Auth => "AUTH",
            Self::Unknown => "unknown",
        }
    }

    fn is_operation(self) -> bool {
        matches!(self, Self::Command | Self::Batch)
    }

    /// The right that it needs on its graph; `None` if it needs none.
    pub(super) fn right(self) -> Option<Right> {
        match self {
            Self::Subscribe | Self::Presence => Some(Right::Read),
            Self::Command | Self::Batch => Some(Right::Write),
            Self::Unsubscribe | Self::Ping | Self::Auth | Self::Unknown => None,
        }
    }

    /// Whether it is charged to its sender's budget. Frames that are conflated or answered from memory are free: the
    /// send queue bounds their number. `AUTH` is charged when it is executed.
    pub(super) fn is_charged(self) -> bool {
        matches!(self, Self::Subscribe | Self::Command | Self::Batch)
    }

    /// Whether it costs nothing if it is valid and short.
    pub(super) fn is_free(self) -> bool {
        matches!(self, Self::Unsubscribe | Self::Presence | Self::Ping | Self::Auth)
    }

    /// Whether it is charged only if it is malformed.
    pub(super) fn is_charged_if_malformed(self) -> bool {
        self.is_free() || self == Self::Unknown
    }
}

/// The type, graph and id of a frame, as far as they could be read.
pub(super) struct Envelope {
    pub(super) kind: FrameKind,
    pub(super) graph: Option<GraphId>,
    operation: Option<OperationId>,
}

impl Envelope {
    /// Reads the envelope of a frame, or of its beginning.
    pub(super) fn of(bytes: &[u8], format: Format) -> Self {
        let mut texts = Map::new();
        match format {
            Format::Json => {
                // Repaired as the whole frame will be, so that both are read alike.
                let bytes = repair(bytes);
                let mut frame = serde_json::Deserializer::from_slice(&bytes);
                let _where_it_ends = frame.deserialize_map(JsonTexts(&mut texts));
            }
            Format::MessagePack => {
                let _where_it_ends = message_pack_texts(bytes, &mut texts);
            }
        }
        let text = |key| texts.get(key).and_then(Value::as_str);
        let kind = FrameKind::named(text("type"));
        let id = if kind == FrameKind::Batch { "batchId" } else { "operationId" };
        Self {
            kind,
            graph: text("graphId").and_then(|id| GraphId::parse(id).ok()),
            operation: text(id).and_then(|id| OperationId::parse(id).ok()),
        }
    }

    /// Whether it has all that authorization needs.
    pub(super) fn is_sufficient(&self) -> bool {
        self.kind != FrameKind::Unknown && (self.kind.right().is_none() || self.graph.is_some())
    }

    /// The refusal of a malformed frame.
    pub(super) fn told(self, malformed: Malformed) -> BadFrame {
        let index = malformed.index.filter(|_| self.kind == FrameKind::Batch);
        self.refused(Malformed { index, ..malformed }.into())
    }

    /// The refusal of the frame for this problem.
    pub(super) fn refused(self, problem: Problem) -> BadFrame {
        let is_operation = self.kind.is_operation();
        let Self { graph, operation, .. } = self;
        BadFrame { problem, graph, operation, is_operation, is_over_budget: false }
    }
}

/// The top level of a frame: nested objects and lists are empty. For frames without a payload, and for frames that are
/// refused because they name no graph.
pub(super) fn shallow(bytes: &[u8], format: Format, limits: DocumentLimits) -> Result<Document, Malformed> {
    let mut fields = Shallow { fields: Map::new(), repeated: None, limits };
    match format {
        Format::Json => {
            let bytes = repair(bytes);
            let mut frame = serde_json::Deserializer::from_slice(&bytes);
            let read = frame.deserialize_map(JsonFields(&mut fields)).and_then(|()| frame.end());
            read.map_err(|error| Malformed::body(format!("bad JSON: {error}")))?;
        }
        Format::MessagePack => match message_pack_fields(bytes, &mut fields) {
            Some([]) => {}
            Some(_) => return Err(Malformed::body("bad MessagePack: bytes after the end of the value")),
            None => return Err(Malformed::body("bad MessagePack: the frame is not a map, or is cut off")),
        },
    }
    match fields.repeated {
        Some(key) => Err(Malformed::at(Path::Key(&Path::Root, &key), "is repeated: send each key once")),
        None => Ok(Document::of(Value::Object(fields.fields))),
    }
}

struct Shallow {
    fields: Map,
    /// The first repeated key.
    repeated: Option<String>,
    limits: DocumentLimits,
}

impl Shallow {
    fn put(&mut self, key: &str, value: &[u8], format: Format) {
        if self.fields.len() >= FIELDS_MAX || self.repeated.is_some() {
            return; // it is not a valid frame, whatever follows
        }
        let read = || decode(value, format, self.limits).map_or(Value::from(0), |document| document.value);
        let value = match container(value, format) {
            Some(empty) => empty,
            None => read(),
        };
        if self.fields.insert(key.to_owned(), value).is_some() {
            self.repeated = Some(key.to_owned());
        }
    }
}

/// An empty object or list, where `value` is one.
fn container(value: &[u8], format: Format) -> Option<Value> {
    let first = *value.first()?;
    let (is_object, is_list) = match format {
        Format::Json => (first == b'{', first == b'['),
        Format::MessagePack => {
            let marker = Marker::from_u8(first);
            (
                matches!(marker, Marker::FixMap(_) | Marker::Map16 | Marker::Map32),
                matches!(marker, Marker::FixArray(_) | Marker::Array16 | Marker::Array32),
            )
        }
    };
    match (is_object, is_list) {
        (true, _) => Some(Value::Object(Map::new())),
        (_, true) => Some(Value::Array(vec![])),
        _ => None,
    }
}

struct JsonFields<'a>(&'a mut Shallow);

impl<'de> Visitor<'de> for JsonFields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let raw: &RawValue = map.next_value()?;
            self.0.put(&key, raw.get().as_bytes(), Format::Json);
        }
        Ok(())
    }
}

/// The bytes after the frame; `None` if it is not a complete map.
fn message_pack_fields<'a>(mut bytes: &'a [u8], fields: &mut Shallow) -> Option<&'a [u8]> {
    for _ in 0..read_map_len(&mut bytes).ok()? {
        let (key, value) = read_str_from_slice(bytes).ok()?;
        bytes = after_value(value)?;
        fields.put(key, &value[..value.len() - bytes.len()], Format::MessagePack);
    }
    Some(bytes)
}

struct JsonTexts<'a>(&'a mut Map);

impl<'de> Visitor<'de> for JsonTexts<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let raw: &RawValue = map.next_value()?;
            if raw.get().len() <= ENVELOPE_FIELD_BYTES_MAX
                && ENVELOPE_FIELDS.contains(&key.as_str())
                && let Ok(text) = serde_json::from_str::<String>(raw.get())
            {
                self.0.insert(key, Value::from(text));
            }
        }
        Ok(())
    }
}

/// `None` if the frame is not a complete map.
fn message_pack_texts(mut bytes: &[u8], texts: &mut Map) -> Option<()> {
    for _ in 0..read_map_len(&mut bytes).ok()? {
        let (key, value) = read_str_from_slice(bytes).ok()?;
        bytes = after_value(value)?;
        if value.len() - bytes.len() <= ENVELOPE_FIELD_BYTES_MAX
            && ENVELOPE_FIELDS.contains(&key)
            && let Ok((text, _)) = read_str_from_slice(value)
        {
            texts.insert(key.to_owned(), Value::from(text));
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn is_found(envelope: &Envelope) -> bool {
        envelope.kind == FrameKind::Command && envelope.graph.is_some() && envelope.operation.is_some()
    }

    #[test]
    fn w5_a_frame_is_known_by_its_texts_whatever_else_is_in_it() {
        let id = uuid::Uuid::nil().to_string();
        let around = |bad: &str| {
            format!(r#"{{"type": "COMMAND", "command": {bad}, "graphId": "g", "operationId": "{id}"}}"#)
        };
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        for bad in ["1e999", "[1000000000000000000000000000000]", &deep, r#""\ud800""#] {
            assert!(is_found(&Envelope::of(around(bad).as_bytes(), Format::Json)), "{bad:.40}");
        }
        let marked = ["\u{feff}", &around("1")].concat();
        let half = around("1").replacen('{', r#"{"\ud800": 1, "#, 1);
        for mended in [marked, half] {
            assert!(is_found(&Envelope::of(mended.as_bytes(), Format::Json)), "{mended:.40}");
        }
        let before =
            |bad: &str| format!(r#"{{"type": "COMMAND", "operationId": "{id}", "graphId": "g", {bad}"#);
        assert!(is_found(&Envelope::of(before("nonsense").as_bytes(), Format::Json)));
        assert!(!is_found(&Envelope::of(around("nonsense").as_bytes(), Format::Json)));
    }

    #[test]
    fn w9_a_frame_without_a_payload_is_read_without_what_is_inside_of_its_fields() {
        let limits = DocumentLimits { depth_max: 64, operations_max: 10 };
        let frame = json!({"type": "PING", "a": {"b": [1]}, "c": [[1], [2]], "d": 1.5, "e": null});
        let expected = json!({"type": "PING", "a": {}, "c": [], "d": 1.5, "e": null});
        for (bytes, format) in [
            (frame.to_string().into_bytes(), Format::Json),
            (rmp_serde::to_vec(&frame).expect("MessagePack"), Format::MessagePack),
        ] {
            assert_eq!(shallow(&bytes, format, limits).expect("a frame").value, expected);
            assert!(shallow(&[&bytes, &b"1"[..]].concat(), format, limits).is_err(), "bytes after the end");
            assert!(shallow(&bytes[..bytes.len() - 1], format, limits).is_err(), "cut off");
        }
        let twice = shallow(br#"{"type": "PING", "type": "AUTH"}"#, Format::Json, limits);
        assert!(twice.is_err_and(|malformed| malformed.place == "type"));
        let many: Vec<String> = (0..10_000).map(|n| format!(r#""k{n}":{n}"#)).collect();
        let many = format!("{{{}}}", many.join(","));
        let kept = shallow(many.as_bytes(), Format::Json, limits).expect("a frame").value;
        assert_eq!(kept.as_object().map(Map::len), Some(FIELDS_MAX));
    }
}
