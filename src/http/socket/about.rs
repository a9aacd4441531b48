//! What a frame is about, also one that can't be read: a command is answered exactly once whatever is
//! wrong with it, if only its graph and its id can be found (rules W5, W9).

use std::fmt;

use dao_projections::{GraphId, Map, OperationId};
use rmp::{
    Marker,
    decode::{RmpRead, read_map_len, read_marker, read_str_from_slice},
};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};

use super::super::{format::Format, problem::Problem, shape::Malformed};

/// The fields of the frame itself that say what it is about.
const TELLING: [&str; 4] = ["type", "graphId", "operationId", "batchId"];

/// A frame that can't be acted on, with what it was about where that could be read (rule W9).
pub(super) struct BadFrame {
    pub(super) problem: Problem,
    pub(super) graph: Option<GraphId>,
    pub(super) operation: Option<OperationId>,
    /// Whether it was a command or a batch: those are answered as what they are (rule W5).
    pub(super) is_operation: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Command,
    Batch,
    Other,
}

/// What a frame is about, as far as it says so.
pub(super) struct About {
    kind: Kind,
    graph: Option<GraphId>,
    operation: Option<OperationId>,
}

impl About {
    pub(super) fn of(frame: &Value) -> Self {
        let text = |key| frame.get(key).and_then(Value::as_str);
        let kind = match text("type") {
            Some("COMMAND") => Kind::Command,
            Some("BATCH") => Kind::Batch,
            _ => Kind::Other,
        };
        let id = if kind == Kind::Batch { "batchId" } else { "operationId" };
        Self {
            kind,
            graph: text("graphId").and_then(|id| GraphId::parse(id).ok()),
            operation: text(id).and_then(|id| OperationId::parse(id).ok()),
        }
    }

    /// Of a frame with something in it that can't be read: its own texts are read, up to where it ends to
    /// be an object, and everything else is passed over however deep and strange it is.
    pub(super) fn of_unreadable(bytes: &[u8], format: Format) -> Self {
        let mut texts = Map::new();
        match format {
            Format::Json => {
                let mut frame = serde_json::Deserializer::from_slice(bytes);
                let _where_it_ends = frame.deserialize_map(JsonTexts(&mut texts));
            }
            Format::MessagePack => {
                let _where_it_ends = message_pack_texts(bytes, &mut texts);
            }
        }
        Self::of(&Value::Object(texts))
    }

    pub(super) fn told(self, malformed: Malformed) -> BadFrame {
        let index = malformed.index.filter(|_| self.kind == Kind::Batch);
        BadFrame {
            problem: Malformed { index, ..malformed }.into(),
            graph: self.graph,
            operation: self.operation,
            is_operation: self.kind != Kind::Other,
        }
    }
}

fn keep(texts: &mut Map, key: &str, text: &str) {
    if TELLING.contains(&key) {
        texts.insert(key.to_owned(), Value::from(text));
    }
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
            if let Ok(text) = serde_json::from_str::<String>(raw.get()) {
                keep(self.0, &key, &text);
            }
        }
        Ok(())
    }
}

/// `None` where the frame ends to be an object.
fn message_pack_texts(mut bytes: &[u8], texts: &mut Map) -> Option<()> {
    for _ in 0..read_map_len(&mut bytes).ok()? {
        let (key, rest) = read_str_from_slice(bytes).ok()?;
        bytes = rest;
        match read_str_from_slice(bytes) {
            Ok((text, rest)) => {
                keep(texts, key, text);
                bytes = rest;
            }
            Err(_) => bytes = after_value(bytes)?,
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

    fn is_found(about: &About) -> bool {
        about.kind == Kind::Command && about.graph.is_some() && about.operation.is_some()
    }

    #[test]
    fn w5_a_frame_is_known_by_its_texts_whatever_else_is_in_it() {
        let id = uuid::Uuid::nil().to_string();
        let around = |bad: &str| {
            format!(r#"{{"type": "COMMAND", "command": {bad}, "graphId": "g", "operationId": "{id}"}}"#)
        };
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        for bad in ["1e999", "[1000000000000000000000000000000]", &deep, r#""\ud800""#] {
            assert!(is_found(&About::of_unreadable(around(bad).as_bytes(), Format::Json)), "{bad:.40}");
        }
        let before =
            |bad: &str| format!(r#"{{"type": "COMMAND", "operationId": "{id}", "graphId": "g", {bad}"#);
        assert!(is_found(&About::of_unreadable(before("nonsense").as_bytes(), Format::Json)));
        assert!(!is_found(&About::of_unreadable(around("nonsense").as_bytes(), Format::Json)));
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
