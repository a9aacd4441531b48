//! A short command, read in one go: what stands around its payload becomes what it means at once, without a JSON object in
//! between.
//!
//! Invariant: this only recognises. What is not plainly a command, or is not valid, is read again as any other body
//! ([`super::decode`]), which says what is wrong with it. What is recognised means the same either way, and counts with
//! the same memory.
//!
//! Not here: what a payload means ([`crate::http::command_parser`]).

use std::{fmt, io::Cursor};

use dao_projections::{ClientId, Hash, OperationId, Version};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::{
    DocumentLimits, READ_TWICE_BYTES,
    memory::Size,
    repeated_keys::Repeated,
    visitor::{Mode, Notes, Scope, Strict},
};
use crate::{
    domain::memory,
    http::{format::Format, json_repair::repair},
};

/// A command, but for its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) struct ShortCommand {
    pub(in crate::http) name: String,
    pub(in crate::http) operation: Option<OperationId>,
    pub(in crate::http) client: Option<ClientId>,
    pub(in crate::http) client_version: Option<Version>,
    /// With a version alone; `Some(None)`: a text that is the hash of nothing.
    pub(in crate::http) client_hash: Option<Option<Hash>>,
    pub(in crate::http) payload: Value,
}

/// A command as it was read: itself, the places of repeated keys in its payload, and how long it was.
pub(in crate::http) type ReadCommand = (ShortCommand, Repeated, Size);

/// Reads a body as a command; `None` if it is to be read as any other body.
pub(in crate::http) fn read(body: &[u8], format: Format, limits: DocumentLimits) -> Option<ReadCommand> {
    if body.len() > READ_TWICE_BYTES || limits.depth_max == 0 {
        return None;
    }
    let notes = Notes::new(Mode::BuildAndCount, body.len());
    let root = Scope::root();
    let envelope = Envelope { notes: &notes, root: &root, limits };
    let command = match format {
        Format::Json => {
            let body = repair(body);
            let mut deserializer = serde_json::Deserializer::from_slice(&body);
            let command = deserializer.deserialize_map(envelope).ok()?;
            deserializer.end().ok()?;
            command
        }
        Format::MessagePack => {
            let mut deserializer = rmp_serde::Deserializer::new(Cursor::new(body));
            let command = deserializer.deserialize_map(envelope).ok()?;
            (deserializer.position() == body.len() as u64).then_some(command)?
        }
    };
    // Integers beyond 64 bits may be among them.
    if notes.huge() > 0 {
        return None;
    }
    let (repeated, size) = notes.into_parts();
    Some((command, repeated, size))
}

/// Reads the fields of a command.
struct Envelope<'a> {
    notes: &'a Notes,
    root: &'a Scope<'a>,
    limits: DocumentLimits,
}

/// The fields that are known here, each with what it says.
#[derive(Default)]
struct Fields {
    name: Option<String>,
    operation: Option<OperationId>,
    client: Option<ClientId>,
    client_version: Option<Version>,
    client_hash: Option<Option<Hash>>,
    payload: Option<Value>,
}

impl<'de> Visitor<'de> for Envelope<'_> {
    type Value = ShortCommand;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a command")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ShortCommand, A::Error> {
        let (mut fields, mut length) = (Fields::default(), 0);
        while let Some(name) = map.next_key_seed(Name)? {
            self.notes.occupy(memory::entry(name.as_str()))?;
            length += 1;
            match name {
                FieldName::Type => {
                    once(&mut fields.name, self.text(&mut map, |text| Some(text.to_owned()))?)?
                }
                FieldName::OperationId => {
                    let id = self.text(&mut map, |text| OperationId::parse(text).ok())?;
                    once(&mut fields.operation, id)?;
                }
                FieldName::ClientId => {
                    let id = self.text(&mut map, |text| ClientId::parse(text).ok())?;
                    once(&mut fields.client, id)?;
                }
                FieldName::ClientVersion => {
                    once(&mut fields.client_version, map.next_value_seed(Number)?)?;
                }
                FieldName::ClientHash => {
                    let hash = self.text(&mut map, |text| Some(Hash::from_hex(text).ok()))?;
                    once(&mut fields.client_hash, hash)?;
                }
                FieldName::Payload => {
                    let scope = self.root.key(name.as_str());
                    let seed = Strict { notes: self.notes, scope: &scope, depth: 1, limits: self.limits };
                    once(&mut fields.payload, map.next_value_seed(seed)?)?;
                }
            }
        }
        self.notes.occupy(memory::object(length))?;
        fields.command().ok_or_else(unrecognised)
    }
}

impl Envelope<'_> {
    fn text<'de, A: MapAccess<'de>, T>(
        &self,
        map: &mut A,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, A::Error> {
        map.next_value_seed(Text { notes: self.notes, parse })
    }
}

impl Fields {
    fn command(self) -> Option<ShortCommand> {
        let Self { name, operation, client, client_version, client_hash, payload } = self;
        if client_hash.is_some() && client_version.is_none() {
            return None;
        }
        let payload = payload.filter(|payload| !payload.is_null())?;
        Some(ShortCommand { name: name?, operation, client, client_version, client_hash, payload })
    }
}

/// Keeps what a field says, unless it was there before.
fn once<T, E: de::Error>(field: &mut Option<T>, value: T) -> Result<(), E> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(unrecognised()),
    }
}

/// Has the caller decode the body in full; the message is discarded.
fn unrecognised<E: de::Error>() -> E {
    E::custom("not a plain command")
}

#[derive(Clone, Copy)]
enum FieldName {
    Type,
    OperationId,
    ClientId,
    ClientVersion,
    ClientHash,
    Payload,
}

impl FieldName {
    fn as_str(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::OperationId => "operationId",
            Self::ClientId => "clientId",
            Self::ClientVersion => "clientVersion",
            Self::ClientHash => "clientHash",
            Self::Payload => "payload",
        }
    }
}

/// Reads the name of a field that is known here.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = FieldName;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<FieldName, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Name {
    type Value = FieldName;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field of a command")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<FieldName, E> {
        match name {
            "type" => Ok(FieldName::Type),
            "operationId" => Ok(FieldName::OperationId),
            "clientId" => Ok(FieldName::ClientId),
            "clientVersion" => Ok(FieldName::ClientVersion),
            "clientHash" => Ok(FieldName::ClientHash),
            "payload" => Ok(FieldName::Payload),
            _ => Err(unrecognised()),
        }
    }
}

/// Reads a text that means something.
struct Text<'a, P> {
    notes: &'a Notes,
    parse: P,
}

impl<'de, T, P: FnOnce(&str) -> Option<T>> DeserializeSeed<'de> for Text<'_, P> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<T, P: FnOnce(&str) -> Option<T>> Visitor<'_> for Text<'_, P> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        self.notes.occupy(memory::text(text))?;
        (self.parse)(text).ok_or_else(unrecognised)
    }
}

/// Reads a version.
struct Number;

impl<'de> DeserializeSeed<'de> for Number {
    type Value = Version;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Version, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Number {
    type Value = Version;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a version")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Version, E> {
        Version::new(number).ok_or_else(unrecognised)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Version, E> {
        u64::try_from(number).ok().and_then(Version::new).ok_or_else(unrecognised)
    }
}

#[cfg(test)]
mod tests {
    use dao_projections::UserId;
    use serde_json::json;

    use super::*;
    use crate::http::{
        command_parser::{read_command, read_command_body},
        decode::{CommandBody, Decoded, Document},
    };

    const LIMITS: DocumentLimits = DocumentLimits { depth_max: 10, operations_max: 10 };
    const ID: &str = "00000001-0000-4000-8000-000000000001";

    /// What is read of these bytes as a command, and whether it was recognised at once.
    fn both_ways(body: &[u8], format: Format) -> bool {
        let user = UserId::parse("ada").expect("a user");
        let document = Document::decode(body, format, LIMITS);
        let as_document = document.clone().and_then(|document| read_command(document, &user));
        let command = CommandBody::decode(body, format, LIMITS);
        let is_short = matches!(command, Ok(CommandBody::Short(..)));
        let shown = String::from_utf8_lossy(body);
        match (&command, &document) {
            (Ok(command), Ok(document)) => assert_eq!(command.size(), document.size, "{shown}"),
            (Err(one), Err(other)) => assert_eq!(one, other, "{shown}"),
            (one, other) => panic!("{shown}: {one:?}, {other:?}"),
        }
        let as_command = command.and_then(|command| read_command_body(command, &user));
        assert_eq!(format!("{as_command:?}"), format!("{as_document:?}"), "{shown}");
        is_short
    }

    #[test]
    fn h1_a_short_command_means_the_same_as_any_other_body() {
        let payload =
            json!({"id": "a", "position": {"x": 1, "y": 2.5}, "data": {"list": [1, "é", null, {}]}});
        let base = json!({"type": "CREATE_NODE", "operationId": ID, "payload": payload});
        let plain = [
            ("clientId", json!("tab")),
            ("clientVersion", json!(7)),
            ("type", json!("NO_SUCH_COMMAND")),
            ("payload", json!({"id": "b", "data": {"k": "\u{0}"}, "stranger": [[[]]]})),
            ("payload", json!([1, 2])),
            ("payload", json!(7)),
        ];
        let others = [
            ("clientId", json!("")),
            ("clientId", json!(null)),
            ("clientVersion", json!(-7)),
            ("clientVersion", json!(7.0)),
            ("clientHash", json!("00")),
            ("onConflict", json!("reject")),
            ("operationId", json!("7")),
            ("payload", json!(null)),
            ("type", json!(7)),
            ("stranger", json!(7)),
            ("payload", json!([[[[[[[[[[[]]]]]]]]]]])),
        ];
        for (cases, is_short) in [(&plain[..], true), (&others[..], false)] {
            for (field, value) in cases {
                let mut body = base.clone();
                body[*field] = value.clone();
                let text = body.to_string();
                assert_eq!(both_ways(text.as_bytes(), Format::Json), is_short, "{text}");
                let packed = rmp_serde::to_vec(&body).expect("MessagePack");
                assert_eq!(both_ways(&packed, Format::MessagePack), is_short, "{text}");
            }
        }
        let mut with_hash = base.clone();
        (with_hash["clientVersion"], with_hash["clientHash"]) = (json!(3), json!("beef"));
        assert!(both_ways(with_hash.to_string().as_bytes(), Format::Json));
    }

    #[test]
    fn h1_what_is_not_plainly_a_command_is_read_as_any_other_body() {
        let whole = format!(r#"{{"type":"CREATE_NODE","operationId":"{ID}","payload":{{"id":"a"}}}}"#);
        assert!(both_ways(whole.as_bytes(), Format::Json));
        assert!(both_ways(format!("\u{feff} {whole} \n").as_bytes(), Format::Json));
        // Of a key repeated in data the last counts; in the payload it is refused.
        let repeated = whole.replace(r#""id":"a""#, r#""id":"a","data":{"k":1,"k":2}"#);
        assert!(both_ways(repeated.as_bytes(), Format::Json));
        assert!(both_ways(whole.replace(r#""id":"a""#, r#""id":"a","id":"b""#).as_bytes(), Format::Json));
        for other in [
            &whole[..whole.len() - 1],
            &format!("{whole}x"),
            &whole.replace(r#""payload""#, r#""type":"CREATE_NODE","payload""#),
            &whole.replace(r#""id":"a""#, r#""id":"a","data":{"k":99999999999999999999}"#),
            &whole.replace(r#""id":"a""#, r#""id":"a","data":{"k":1e400}"#),
            &whole.replace(r#""id":"a""#, &format!(r#""id":"a","data":"{}""#, "x".repeat(READ_TWICE_BYTES))),
            "[]",
            "{}",
            "7",
            "",
        ] {
            assert!(!both_ways(other.as_bytes(), Format::Json), "{other}");
        }
    }
}
