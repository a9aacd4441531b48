//! The payloads of commands about versions of a graph: labels on them, and the way back to one (rules L11, L12).

use dao_projections::{ClientId, EdgeId, LabelName, NodeId, OperationId, UserId};
use serde_json::Value;
use uuid::Uuid;

use super::{
    BaseVersion, CommandParser, ParsedCommand,
    batch::{BatchDefaults, alone},
};
use crate::{
    domain::{
        Command, LabelTo, Labelling, Operation, RESTORE_IDS_MAX, RestorePart, RestoreScope, Restoring,
        VersionRef,
    },
    http::{
        decode::Document,
        fingerprint::FingerprintHasher,
        json_path::Path,
        json_shape::{Fields, Malformed},
    },
};

/// Bytes of a note on a label, at most (rule L12).
const NOTE_BYTES_MAX: usize = 1 << 10;

/// The body of `PUT /graphs/{graphId}/labels/{name}`, read as the command that it is: a repeat may use either.
pub(in crate::http) fn read_label(
    mut document: Document,
    name: &LabelName,
    user: &UserId,
    (id, client): (Option<OperationId>, Option<ClientId>),
) -> Result<Operation, Malformed> {
    let parser = CommandParser { repeated: &document.repeated };
    if let Value::Object(fields) = &mut document.value
        && fields.insert("name".to_owned(), Value::from(name.as_str())).is_some()
    {
        return Err(Malformed::at("name", "stands in the path"));
    }
    let mut fingerprint = FingerprintHasher::of(user);
    fingerprint.add("LABEL_VERSION", &document.value);
    let command = parser.label_version(document.value, &Path::Root)?;
    let id = id.unwrap_or_else(|| Uuid::now_v7().into());
    let (at, base, on_conflict) = (BaseVersion::default(), BaseVersion::default(), None);
    let parsed = ParsedCommand { id: Some(id), client, at, base, on_conflict, command };
    alone(id, parsed, &BatchDefaults::default(), user, fingerprint)
}

impl CommandParser<'_> {
    pub(super) fn label_version(&self, payload: Value, path: &Path<'_>) -> Result<Command, Malformed> {
        let mut fields = Fields::of(payload, path, self.repeated)?;
        let name = fields.required_id("name", LabelName::parse)?;
        let is_removed = fields.peek("version").is_some_and(Value::is_null);
        let to = match fields.version("version")? {
            Some(version) => LabelTo::Version(version),
            None if is_removed => LabelTo::Nothing,
            None => LabelTo::Head,
        };
        let expects = fields.peek("expect").is_some();
        let expected = fields.version("expect")?;
        let note = fields.text("note")?;
        if note.as_ref().is_some_and(|note| note.len() > NOTE_BYTES_MAX) {
            let problem = format!("is longer than {NOTE_BYTES_MAX} bytes");
            return Err(Malformed::too_many(Path::Key(path, "note"), problem));
        }
        fields.finish()?;
        let (note, expect) = (note.map(Box::from), expects.then_some(expected));
        Ok(Command::LabelVersion { labelling: Box::new(Labelling { name, to, note, expect }) })
    }

    pub(super) fn restore_version(&self, payload: Value, path: &Path<'_>) -> Result<Command, Malformed> {
        let mut fields = Fields::of(payload, path, self.repeated)?;
        let to = required_version_ref(&mut fields, "to")?;
        let (nodes, edges) = (fields.list("nodes")?, fields.list("edges")?);
        let include = fields.list("include")?.unwrap_or_default();
        fields.finish()?;
        let named = nodes.as_ref().map_or(0, Vec::len) + edges.as_ref().map_or(0, Vec::len);
        if named > RESTORE_IDS_MAX {
            let problem = format!("nodes and edges name more than {RESTORE_IDS_MAX} ids");
            return Err(Malformed::too_many(path, problem));
        }
        let scope = match nodes.is_some() || edges.is_some() {
            true => Some(RestoreScope {
                nodes: ids(nodes, &Path::Key(path, "nodes"), NodeId::parse)?,
                edges: ids(edges, &Path::Key(path, "edges"), EdgeId::parse)?,
            }),
            false => None,
        };
        let place = Path::Key(path, "include");
        let part = |(index, part): (usize, Value)| match part.as_str() {
            Some("attributes") => Ok(RestorePart::Attributes),
            Some("viewport") => Ok(RestorePart::Viewport),
            _ => Err(Malformed::at(Path::Index(&place, index), "must be attributes or viewport")),
        };
        let include = include.into_iter().enumerate().map(part).collect::<Result<Vec<_>, _>>()?;
        let is_repeated = |(index, part)| include.iter().take(index).any(|before| before == part);
        if include.iter().enumerate().any(is_repeated) {
            return Err(Malformed::at(place, "names something twice"));
        }
        Ok(Command::RestoreVersion { restoring: Box::new(Restoring { to, scope, include }) })
    }
}

/// A version in any of the ways to name one (rule L13): a number, or a text.
pub(super) fn version_ref(fields: &mut Fields<'_>, key: &str) -> Result<Option<VersionRef>, Malformed> {
    let named = match fields.optional(key) {
        None => return Ok(None),
        Some(Value::Number(number)) => number.as_u64().and_then(VersionRef::of_number),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
    };
    let problem = "must be a version, a label, head, or a time in milliseconds or like 2026-11-23T10:30:00Z";
    named.map(Some).ok_or_else(|| fields.wrong(key, problem))
}

fn required_version_ref(fields: &mut Fields<'_>, key: &str) -> Result<VersionRef, Malformed> {
    version_ref(fields, key)?.ok_or_else(|| fields.wrong(key, "is required"))
}

fn ids<Id>(
    list: Option<Vec<Value>>,
    path: &Path<'_>,
    parse: fn(&str) -> Result<Id, dao_projections::InvalidId>,
) -> Result<Vec<Id>, Malformed> {
    let read = |(index, value): (usize, Value)| {
        let wrong = |problem: &str| Malformed::at(Path::Index(path, index), problem);
        let text = value.as_str().ok_or_else(|| wrong("must be a string"))?;
        parse(text).map_err(|e| wrong(&e.to_string()))
    };
    list.into_iter().flatten().enumerate().map(read).collect()
}
