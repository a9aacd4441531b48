//! Request bodies: from JSON or MessagePack bytes to one JSON value, strictly.
//!
//! What JSON leaves open is decided here, before the content is read: nesting is bounded, an integer is kept exactly or
//! refused (rule G6), MessagePack without a JSON form is refused, and repeated keys are noted with their place, so that
//! objects of fixed shape can refuse them (rule H1).
//!
//! Invariant: what a body occupies in memory is bounded by its length ([`memory`]). A longer body is read twice: the
//! first time nothing is built, only counted; so nothing is allocated for a body that occupies too much, and arrays
//! and objects get exactly the room they need.

mod memory;
mod repeated_keys;
mod short_command;
mod visitor;

use std::io::Cursor;

use serde::de::DeserializeSeed;
use serde_json::Value;

use self::visitor::{Mode, Notes, Scope, Strict};
pub(super) use self::{memory::Size, repeated_keys::Repeated, short_command::ShortCommand};
use super::{format::Format, json_repair::repair, json_shape::Malformed};
use crate::write::run_blocking;

/// A decoded body.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) value: Value,
    /// The places of keys that stand more than once in their object.
    pub(super) repeated: Repeated,
    /// How long it was and what it occupies.
    pub(super) size: Size,
}

impl Document {
    /// A document of a value that was not decoded here: it has no repeated keys, and its size is not counted.
    pub(super) fn of(value: Value) -> Self {
        Self { value, repeated: Repeated::default(), size: Size::UNBOUNDED }
    }
}

/// What a body is decoded to.
pub(super) trait Decoded: Sized + Send + 'static {
    /// Decodes a whole body.
    fn decode(body: &[u8], format: Format, limits: DocumentLimits) -> Result<Self, Malformed>;

    /// How long it was and what it occupies.
    fn size(&self) -> Size;

    /// Reads it; off the async thread if it is long.
    fn read<T>(self, read: impl FnOnce(Self) -> T) -> T {
        if self.size().is_long() { run_blocking(|| read(self)) } else { read(self) }
    }
}

impl Decoded for Document {
    fn decode(body: &[u8], format: Format, limits: DocumentLimits) -> Result<Self, Malformed> {
        decode(body, format, limits)
    }

    fn size(&self) -> Size {
        self.size
    }
}

/// The limits of a document (rule O3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DocumentLimits {
    /// Objects and arrays inside each other; a deeper document is refused.
    pub(super) depth_max: usize,
    /// Operations of a batch. One more is kept, so that who reads the list sees that there are too many.
    pub(super) operations_max: usize,
}

/// The body of a command.
#[derive(Clone, Debug)]
pub(super) enum CommandBody {
    /// It was recognised while it was read. In it are the places of repeated keys in its payload, and how long it was.
    Short(ShortCommand, Repeated, Size),
    /// Any other, which may be no command.
    Document(Document),
}

impl Decoded for CommandBody {
    /// What is wrong with a body is told by [`decode`].
    fn decode(body: &[u8], format: Format, limits: DocumentLimits) -> Result<Self, Malformed> {
        match short_command::read(body, format, limits) {
            Some((command, repeated, size)) => Ok(Self::Short(command, repeated, size)),
            None => decode(body, format, limits).map(Self::Document),
        }
    }

    fn size(&self) -> Size {
        match self {
            Self::Short(_, _, size) => *size,
            Self::Document(document) => document.size,
        }
    }
}

/// Shorter bodies are read once: whatever is in them occupies less than is allowed, and arrays may grow.
const READ_TWICE_BYTES: usize = 16 << 10;

/// Reads a whole body.
pub(super) fn decode(body: &[u8], format: Format, limits: DocumentLimits) -> Result<Document, Malformed> {
    let notes = if body.len() > READ_TWICE_BYTES {
        let counted = Notes::new(Mode::Count, body.len());
        read(body, format, limits, &counted)?;
        counted.into_second_reading()
    } else {
        Notes::new(Mode::BuildAndCount, body.len())
    };
    let value = read(body, format, limits, &notes)?;
    if notes.huge() > 0
        && format == Format::Json
        && let Some(index) = first_huge_integer(body)
    {
        let finder = Notes::new(Mode::Find(index), body.len());
        let found = read(body, format, limits, &finder).err();
        let problem = "must fit a signed or unsigned 64-bit integer";
        return Err(Malformed {
            problem: problem.to_owned(),
            ..found.unwrap_or_else(|| Malformed::body(""))
        });
    }
    let (repeated, size) = notes.into_parts();
    Ok(Document { value, repeated, size })
}

/// Reads all of the body, as the notes want it.
fn read(body: &[u8], format: Format, limits: DocumentLimits, notes: &Notes) -> Result<Value, Malformed> {
    let root = Scope::root();
    let seed = Strict { notes, scope: &root, depth: 0, limits };
    match format {
        Format::Json => decode_json(body, seed),
        Format::MessagePack => decode_message_pack(body, seed),
    }
}

fn decode_json(body: &[u8], seed: Strict<'_>) -> Result<Value, Malformed> {
    let body = repair(body);
    let mut deserializer = serde_json::Deserializer::from_slice(&body);
    let value = seed.deserialize(&mut deserializer);
    let value = value.map_err(|e| seed.notes.malformed(format!("bad JSON: {e}")))?;
    deserializer.end().map_err(|e| Malformed::body(format!("bad JSON: {e}")))?;
    Ok(value)
}

fn decode_message_pack(body: &[u8], seed: Strict<'_>) -> Result<Value, Malformed> {
    let mut deserializer = rmp_serde::Deserializer::new(Cursor::new(body));
    let value = seed.deserialize(&mut deserializer);
    let value = value.map_err(|e| seed.notes.malformed(format!("bad MessagePack: {e}")))?;
    if deserializer.position() != body.len() as u64 {
        return Err(Malformed::body("bad MessagePack: bytes after the end of the value"));
    }
    Ok(value)
}

const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

/// Which of the document's numbers of 2^63 or more, in order, is the first written as an integer.
/// The bytes are valid JSON.
fn first_huge_integer(json: &[u8]) -> Option<usize> {
    let (mut at, mut seen) = (0, 0);
    while let Some(&byte) = json.get(at) {
        match byte {
            b'"' => {
                at += 1;
                while json.get(at).is_some_and(|b| *b != b'"') {
                    at += if json.get(at) == Some(&b'\\') { 2 } else { 1 };
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let is_part = |b: &&u8| matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let length = json.iter().skip(at).take_while(is_part).count();
                let token = std::str::from_utf8(json.get(at..at + length)?).unwrap_or_default();
                let is_integer = !token.contains(['.', 'e', 'E']);
                let fits = token.parse::<i64>().is_ok() || token.parse::<u64>().is_ok();
                if !(is_integer && fits) && token.parse::<f64>().is_ok_and(|n| n.abs() >= TWO_TO_63) {
                    if is_integer {
                        return Some(seen);
                    }
                    seen += 1;
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::json_path::{PLACE_CHARS_MAX, Path};
    use serde_json::json;

    const DEPTH_MAX: usize = 64;
    const LIMITS: DocumentLimits = DocumentLimits { depth_max: DEPTH_MAX, operations_max: 10 };

    fn json_body(text: &str) -> Result<Document, Malformed> {
        decode(text.as_bytes(), Format::Json, LIMITS)
    }

    #[test]
    fn g6_an_integer_beyond_64_bits_is_refused_with_its_path() {
        for fine in
            ["18446744073709551615", "-9223372036854775808", "1e300", "18446744073709551616.5", "[1e19, 2]"]
        {
            assert!(json_body(fine).is_ok(), "{fine}");
        }
        let bad = json_body(r#"{"a": "\"99999999999999999999", "b": [1e19, {"c": 18446744073709551616}]}"#);
        assert_eq!(bad.expect_err("too large").place, "b[1].c");
        assert!(json_body("-9223372036854775809").is_err());
        assert!(json_body("1e400").is_err(), "no float either");
    }

    #[test]
    fn g6_message_pack_that_json_can_not_say_is_refused() {
        let bad: [&[u8]; 6] = [
            &[0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0], // NaN
            &[0xca, 0x7f, 0x80, 0, 0],             // infinity
            &[0xc4, 0x01, 0x00],                   // bin
            &[0xd4, 0x01, 0x00],                   // ext
            &[0x81, 0x01, 0x02],                   // a key that is not a string
            &[0x01, 0x02],                         // bytes after the end
        ];
        for bytes in bad {
            assert!(decode(bytes, Format::MessagePack, LIMITS).is_err(), "{bytes:x?}");
        }
        let good = decode(
            &[0x81, 0xa1, b'a', 0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            Format::MessagePack,
            LIMITS,
        );
        assert_eq!(good.expect("valid").value, json!({"a": u64::MAX}));
    }

    #[test]
    fn h1_what_can_not_be_read_in_a_member_of_a_batch_is_told_with_its_index() {
        let deep = "[".repeat(DEPTH_MAX) + &"]".repeat(DEPTH_MAX);
        for bad in ["1000000000000000000000000000000", "1e400", &deep, "nonsense", r#"{"x": "\u12"}"#] {
            let batch = format!(r#"{{"batchId": "b", "operations": [1, {{"payload": {{"k": {bad}}}}}]}}"#);
            let malformed = json_body(&batch).expect_err("bad");
            assert_eq!(malformed.index, Some(1), "{bad}");
            assert!(malformed.place.starts_with("operations[1].payload.k"), "{}", malformed.place);
        }
        assert_eq!(json_body(r#"{"payload": {"operations": [1e400]}}"#).expect_err("bad").index, None);
        let nan =
            [&[0x81, 0xaa][..], b"operations", &[0x92, 0x01, 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]].concat();
        let malformed = decode(&nan, Format::MessagePack, LIMITS).expect_err("bad");
        assert_eq!((malformed.place.as_str(), malformed.index), ("operations[1]", Some(1)));
        let long = format!(r#"{{"{}": nonsense}}"#, "é".repeat(PLACE_CHARS_MAX + 1));
        let malformed = json_body(&long).expect_err("bad");
        assert_eq!(malformed.place.chars().count(), PLACE_CHARS_MAX + 1);
    }

    #[test]
    fn h1_repeated_keys_are_noted_with_their_place() {
        let document =
            json_body(r#"{"a": {"b": 1, "b": 2}, "a": {"c": [{"d": 1, "d": 2}]}}"#).expect("valid");
        assert_eq!(document.value, json!({"a": {"c": [{"d": 2}]}}));
        let (root, repeated) = (Path::Root, &document.repeated);
        let a = Path::Key(&root, "a");
        let (b, c) = (Path::Key(&a, "b"), Path::Key(&a, "c"));
        let first = Path::Index(&c, 0);
        assert!(repeated.is_repeated(&root, "a") && repeated.is_repeated(&a, "b"));
        assert!(repeated.is_repeated(&first, "d"));
        assert!(!repeated.is_repeated(&b, "a") && !repeated.is_repeated(&c, "d"));
    }

    #[test]
    fn o3_what_a_body_would_occupy_is_bounded_by_its_length() {
        let lists = format!("[{}[0]]", "[0],".repeat(1 << 20));
        let too_large = json_body(&lists).expect_err("a hundred times its length");
        assert_eq!(too_large.severity, crate::http::json_shape::Severity::TooLarge);
        let packed = [&[0xdd, 0, 0x40, 0, 0][..], &[0x91, 0].repeat(4 << 20)].concat();
        assert!(decode(&packed, Format::MessagePack, LIMITS).is_err());
        // What is read twice is the same as what is read once.
        let node = json!({"id": "n", "position": {"x": 1.5, "y": -2}, "data": {"label": "é\n", "list": [[], {}, null]}});
        for count in [1, 1_000] {
            let list = json!(vec![node.clone(); count]);
            let packed = rmp_serde::to_vec(&list).expect("MessagePack");
            for document in [json_body(&list.to_string()), decode(&packed, Format::MessagePack, LIMITS)] {
                assert_eq!(document.expect("well-formed").value, list);
            }
        }
        let again = format!("[{}{{\"a\":1}}]", r#"{"a":1,"b":2,"a":3},"#.repeat(2_000));
        let document = json_body(&again).expect("well-formed");
        assert_eq!(document.value[7], json!({"a": 3, "b": 2}));
        assert!(document.repeated.is_repeated(&Path::Index(&Path::Root, 7), "a"));
    }

    #[test]
    fn h1_a_place_below_a_long_key_is_told_in_short() {
        let long = "k".repeat(1 << 20);
        let floats = format!(r#"{{"{long}": [{}100000000000000000000]}}"#, "1e30,".repeat(10_000));
        let malformed = json_body(&floats).expect_err("an integer beyond 64 bits");
        assert_eq!(malformed.place.chars().count(), PLACE_CHARS_MAX + 1);
        let short = format!(r#"{{"k": [{}100000000000000000000]}}"#, "1e30,".repeat(10_000));
        assert_eq!(json_body(&short).expect_err("the same").place, "k[10000]");
        let repeated = format!(r#"{{"{long}": {{{}"a": 1}}}}"#, r#""a": 1,"#.repeat(100_000));
        let document = json_body(&repeated).expect("well-formed");
        assert!(document.repeated.is_repeated(&Path::Key(&Path::Root, &long), "a"));
    }

    #[test]
    fn o3_nesting_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(json_body(&nested(DEPTH_MAX)).is_ok());
        assert!(json_body(&nested(DEPTH_MAX + 1)).is_err());
        assert!(json_body(&nested(100_000)).is_err());
        assert!(decode(&[0x91; 100_000], Format::MessagePack, LIMITS).is_err());
    }

    #[test]
    fn o3_no_more_operations_are_kept_than_there_may_be() {
        let operations = vec![json!({"deep": [[]]}); 1_000];
        let batch = json!({"batchId": "b", "operations": operations, "atomic": true});
        let packed = rmp_serde::to_vec(&batch).expect("MessagePack");
        for document in [json_body(&batch.to_string()), decode(&packed, Format::MessagePack, LIMITS)] {
            let value = document.expect("well-formed").value;
            assert_eq!(value["operations"].as_array().map(Vec::len), Some(11));
            assert_eq!(value["atomic"], true, "what stands after the list is read");
        }
        let elsewhere = json!({"payload": {"operations": vec![0; 1_000]}});
        let kept = json_body(&elsewhere.to_string()).expect("well-formed").value;
        assert_eq!(kept, elsewhere, "an operations list in somebody's data is theirs");
    }
}
