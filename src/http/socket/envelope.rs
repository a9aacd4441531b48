//! The envelope of a frame: the fields of its own that say what it is about, read before anything of its payload
//! is built (rule O3).
//!
//! A command is answered exactly once whatever is wrong with it, if only its graph and its id can be found (rules
//! W5, W9); so the envelope is read as far as the frame is one, and everything else is passed over however deep
//! and strange it is. Not here: what the rest says ([`super::incoming`]).

use std::fmt;

use dao_projections::{GraphId, Map, OperationId};
use rmp::{
    Marker,
    decode::{RmpRead, read_map_len, read_marker, read_str_from_slice},
};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};

use super::super::{
    decode::{Document, DocumentLimits, Path, decode},
    format::Format,
    json_repair::repair as readable,
    json_shape::Malformed,
    problem::Problem,
};
use crate::auth::Right;

/// The fields of the frame itself that say what it is about.
const TELLING: [&str; 4] = ["type", "graphId", "operationId", "batchId"];
/// Bytes of such a field as it was sent; all that are valid are shorter, whatever is escaped in them.
const TELLING_BYTES_MAX: usize = 1 << 10;
/// Fields of its own that are kept of a frame without a payload. No frame has as many.
const FIELDS_MAX: usize = 32;

/// A frame that can't be acted on, with what it was about where that could be read (rule W9).
pub(super) struct BadFrame {
    pub(super) problem: Problem,
    pub(super) graph: Option<GraphId>,
    pub(super) operation: Option<OperationId>,
    /// Whether it was a command or a batch: those are answered as what they are (rule W5).
    pub(super) is_operation: bool,
}

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Subscribe,
    Unsubscribe,
    Command,
    Batch,
    Presence,
    Ping,
    Auth,
    /// No type that there is, or none that could be read.
    Unknown,
}

impl Kind {
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

    fn is_operation(self) -> bool {
        matches!(self, Self::Command | Self::Batch)
    }

    /// The right on its graph that it needs; `None` if anybody may send it.
    pub(super) fn right(self) -> Option<Right> {
        match self {
            Self::Subscribe | Self::Presence => Some(Right::Read),
            Self::Command | Self::Batch => Some(Right::Write),
            Self::Unsubscribe | Self::Ping | Self::Auth | Self::Unknown => None,
        }
    }

    /// Whether it is taken out of the budget of who sends it. What is conflated or answered from memory is free:
    /// its number is bounded by what the connection takes of the answers. `AUTH` brings its own.
    pub(super) fn counts(self) -> bool {
        matches!(self, Self::Subscribe | Self::Command | Self::Batch)
    }

    /// Whether it costs nothing as long as it is what it should be.
    pub(super) fn is_free(self) -> bool {
        matches!(self, Self::Unsubscribe | Self::Presence | Self::Ping | Self::Auth)
    }
}

/// What a frame is about, as far as it says so.
pub(super) struct Envelope {
    pub(super) kind: Kind,
    pub(super) graph: Option<GraphId>,
    operation: Option<OperationId>,
}

impl Envelope {
    /// Of a frame, or of its beginning.
    pub(super) fn of(bytes: &[u8], format: Format) -> Self {
        let mut texts = Map::new();
        match format {
            Format::Json => {
                // Mended as the whole will be: what is a frame then has to be judged as one.
                let bytes = readable(bytes);
                let mut frame = serde_json::Deserializer::from_slice(&bytes);
                let _where_it_ends = frame.deserialize_map(JsonTexts(&mut texts));
            }
            Format::MessagePack => {
                let _where_it_ends = message_pack_texts(bytes, &mut texts);
            }
        }
        let text = |key| texts.get(key).and_then(Value::as_str);
        let kind = Kind::named(text("type"));
        let id = if kind == Kind::Batch { "batchId" } else { "operationId" };
        Self {
            kind,
            graph: text("graphId").and_then(|id| GraphId::parse(id).ok()),
            operation: text(id).and_then(|id| OperationId::parse(id).ok()),
        }
    }

    /// Whether it says all that the sender's right is judged by.
    pub(super) fn is_telling(&self) -> bool {
        self.kind != Kind::Unknown && (self.kind.right().is_none() || self.graph.is_some())
    }

    /// Why the frame is not what it should be.
    pub(super) fn told(self, malformed: Malformed) -> BadFrame {
        let index = malformed.index.filter(|_| self.kind == Kind::Batch);
        self.refused(Malformed { index, ..malformed }.into())
    }

    /// Why it is not acted on.
    pub(super) fn refused(self, problem: Problem) -> BadFrame {
        let is_operation = self.kind.is_operation();
        BadFrame { problem, graph: self.graph, operation: self.operation, is_operation }
    }
}

/// A frame without what is inside of its fields: objects and lists in them are empty. For frames that have no
/// payload, or are about no graph, which is all that is wrong with them.
pub(super) fn shallow(bytes: &[u8], format: Format, limits: DocumentLimits) -> Result<Document, Malformed> {
    let mut fields = Shallow { fields: Map::new(), repeated: None, limits };
    match format {
        Format::Json => {
            let bytes = readable(bytes);
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
        Some(key) => Err(Malformed::at(Path::Key(&Path::Root, &key), "stands here more than once")),
        None => Ok(Document::of(Value::Object(fields.fields))),
    }
}

struct Shallow {
    fields: Map,
    /// The first key that stands there more than once.
    repeated: Option<String>,
    limits: DocumentLimits,
}

impl Shallow {
    fn put(&mut self, key: &str, value: &[u8], format: Format) {
        if self.fields.len() >= FIELDS_MAX || self.repeated.is_some() {
            return; // it is not a frame, whatever else is in it
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

/// What follows the frame; `None` where it ends to be an object.
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
            if raw.get().len() <= TELLING_BYTES_MAX
                && TELLING.contains(&key.as_str())
                && let Ok(text) = serde_json::from_str::<String>(raw.get())
            {
                self.0.insert(key, Value::from(text));
            }
        }
        Ok(())
    }
}

/// `None` where the frame ends to be an object.
fn message_pack_texts(mut bytes: &[u8], texts: &mut Map) -> Option<()> {
    for _ in 0..read_map_len(&mut bytes).ok()? {
        let (key, value) = read_str_from_slice(bytes).ok()?;
        bytes = after_value(value)?;
        if value.len() - bytes.len() <= TELLING_BYTES_MAX
            && TELLING.contains(&key)
            && let Ok((text, _)) = read_str_from_slice(value)
        {
            texts.insert(key.to_owned(), Value::from(text));
        }
    }
    Some(())
}

/// What follows the first value. It counts how many values are still to pass over instead of calling
/// itself: nesting costs no stack.
fn after_value(mut bytes: &[u8]) -> Option<&[u8]> {
    let mut values: u64 = 1;
    while values > 0 {
        let marker = read_marker(&mut bytes).ok()?;
        let (length, inside) = extent(marker, &mut bytes)?;
        bytes = bytes.get(usize::try_from(length).ok()?..)?;
        values = values - 1 + inside;
    }
    Some(bytes)
}

/// How many bytes of its own a value has after its marker and length, and how many values.
fn extent(marker: Marker, bytes: &mut &[u8]) -> Option<(u64, u64)> {
    let mut length = |width: u8| match width {
        1 => bytes.read_data_u8().ok().map(u64::from),
        2 => bytes.read_data_u16().ok().map(u64::from),
        _ => bytes.read_data_u32().ok().map(u64::from),
    };
    Some(match marker {
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => (0, 0),
        Marker::U8 | Marker::I8 => (1, 0),
        Marker::U16 | Marker::I16 => (2, 0),
        Marker::U32 | Marker::I32 | Marker::F32 => (4, 0),
        Marker::U64 | Marker::I64 | Marker::F64 => (8, 0),
        Marker::FixStr(length) => (length.into(), 0),
        Marker::Str8 | Marker::Bin8 => (length(1)?, 0),
        Marker::Str16 | Marker::Bin16 => (length(2)?, 0),
        Marker::Str32 | Marker::Bin32 => (length(4)?, 0),
        // Before its bytes an extension has one for its type.
        Marker::FixExt1 => (2, 0),
        Marker::FixExt2 => (3, 0),
        Marker::FixExt4 => (5, 0),
        Marker::FixExt8 => (9, 0),
        Marker::FixExt16 => (17, 0),
        Marker::Ext8 => (length(1)? + 1, 0),
        Marker::Ext16 => (length(2)? + 1, 0),
        Marker::Ext32 => (length(4)? + 1, 0),
        Marker::FixArray(items) => (0, items.into()),
        Marker::Array16 => (0, length(2)?),
        Marker::Array32 => (0, length(4)?),
        Marker::FixMap(fields) => (0, 2 * u64::from(fields)),
        Marker::Map16 => (0, 2 * length(2)?),
        Marker::Map32 => (0, 2 * length(4)?),
        Marker::Reserved => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn is_found(envelope: &Envelope) -> bool {
        envelope.kind == Kind::Command && envelope.graph.is_some() && envelope.operation.is_some()
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

    #[test]
    fn w5_message_pack_is_passed_over_value_by_value() {
        let whole = json!({"a": [1, -1, 300, 70_000, u64::MAX, i64::MIN, 1.5, null, true, "x".repeat(40)],
            "b": {"c": ["y".repeat(300), "z".repeat(70_000), vec![1; 20], vec![1; 70_000]]}});
        let mut packed = rmp_serde::to_vec(&whole).expect("MessagePack");
        packed.push(7);
        assert_eq!(after_value(&packed), Some(&[7][..]));
        let strange: [&[u8]; 8] = [
            &[0xc4, 2, 0, 0],                         // bin
            &[0xc7, 2, 1, 0, 0],                      // ext 8
            &[0xd4, 1, 0],                            // fixext 1
            &[0xd6, 1, 0, 0, 0, 0],                   // fixext 4
            &[0xca, 0x7f, 0x80, 0, 0],                // infinity
            &[0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],    // NaN
            &[0x82, 1, 2, 0x91, 3, 4],                // keys that are no text
            &[0xdc, 0, 2, 0xdf, 0, 0, 0, 1, 5, 6, 7], // array 16, map 32
        ];
        for value in strange {
            let followed = [value, &[9]].concat();
            assert_eq!(after_value(&followed), Some(&[9][..]), "{value:x?}");
        }
        let deep = [&vec![0x91; 100_000][..], &[1, 9]].concat();
        assert_eq!(after_value(&deep), Some(&[9][..]));
        for cut in [&[0xc1][..], &[0xdb, 0xff, 0xff, 0xff, 0xff, 1], &[0x92, 1], &[]] {
            assert_eq!(after_value(cut), None, "{cut:x?}");
        }
    }
}
