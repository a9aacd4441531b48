//! Converts commits from their stored bytes to JSON without decoding events. Replays of whole histories use it.
//!
//! Invariant: the bytes are those of [`super::wire::commit_json`] for the decoded commit; a property test checks it. A body
//! whose fields are not in the order that this release writes is decoded instead.

use std::{fmt, io::Write};

use dao_projections::{CommandType, FORMAT, GraphId, OperationId, Outcome, TraceParent, Version};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, MapAccess, Visitor},
};

use super::wire::commit_json;
use crate::{
    read::{StoreError, StoredCommit},
    write::history_reader,
};

/// Appends a stored commit as JSON.
pub fn append_commit_json(
    graph: &GraphId,
    stored: &StoredCommit,
    out: &mut Vec<u8>,
) -> Result<(), StoreError> {
    let start = out.len();
    let mut bytes = rmp_serde::Deserializer::from_read_ref(&stored.body[..]);
    if (Body { graph, stored, out: &mut *out }).deserialize(&mut bytes).is_ok() {
        return Ok(());
    }
    out.truncate(start);
    out.extend_from_slice(&commit_json(graph, &history_reader::decode(graph, stored)?));
    Ok(())
}

/// The body's map: fields first, then the events, which are written as they are read.
struct Body<'a> {
    graph: &'a GraphId,
    stored: &'a StoredCommit,
    out: &'a mut Vec<u8>,
}

#[derive(Default)]
struct Fields<'a> {
    format: Option<u64>,
    operation: Option<OperationId>,
    user: Option<&'a str>,
    client: Option<&'a str>,
    at: Option<u64>,
    command: Option<CommandType>,
    outcome: Outcome,
    trace: Option<&'a str>,
    undoes: Vec<OperationId>,
    restores: Option<Version>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Field {
    Format,
    Operation,
    User,
    Client,
    At,
    Command,
    Outcome,
    Trace,
    Undoes,
    Restores,
    Events,
}

impl<'de> DeserializeSeed<'de> for Body<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, bytes: D) -> Result<(), D::Error> {
        bytes.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stored commit")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut fields = Fields::default();
        while let Some(field) = map.next_key()? {
            match field {
                Field::Format => fields.format = Some(map.next_value()?),
                Field::Operation => fields.operation = Some(map.next_value()?),
                Field::User => fields.user = Some(map.next_value()?),
                Field::Client => fields.client = Some(map.next_value()?),
                Field::At => fields.at = Some(map.next_value()?),
                Field::Command => fields.command = Some(map.next_value()?),
                Field::Outcome => fields.outcome = map.next_value()?,
                Field::Trace => fields.trace = Some(map.next_value()?),
                Field::Undoes => fields.undoes = map.next_value()?,
                Field::Restores => fields.restores = Some(map.next_value()?),
                Field::Events => {
                    self.head(&fields).ok_or_else(|| de::Error::custom("not as it is written today"))?;
                    map.next_value_seed(Json(self.out))?;
                    self.out.push(b'}');
                    return match map.next_key::<Field>()? {
                        None => Ok(()),
                        Some(_) => Err(de::Error::custom("events are not the last")),
                    };
                }
            }
        }
        Err(de::Error::missing_field("events"))
    }
}

impl Body<'_> {
    /// Everything before the events.
    fn head(&mut self, fields: &Fields<'_>) -> Option<()> {
        if fields.format != Some(u64::from(FORMAT)) {
            return None;
        }
        let (operation, user, at) = (fields.operation?, fields.user?, fields.at?);
        let outcome = match fields.outcome {
            Outcome::Applied => "applied",
            Outcome::Merged => "merged",
        };
        let (version, hash) = (self.stored.version, self.stored.hash);
        let out = &mut *self.out;
        // Graph ids, hashes and UUIDs need no escapes.
        write!(
            out,
            "{{\"graphId\":\"{}\",\"version\":{version},\"hash\":\"{hash}\",\"operationId\":\"{}\",\"userId\":",
            self.graph,
            operation.as_uuid(),
        )
        .ok()?;
        serde_json::to_writer(&mut *out, user).ok()?;
        out.extend_from_slice(b",\"clientId\":");
        serde_json::to_writer(&mut *out, fields.client.unwrap_or(user)).ok()?;
        let command = fields.command?.as_str();
        write!(out, ",\"timestamp\":{at},\"commandType\":\"{command}\",\"outcome\":\"{outcome}\"").ok()?;
        if let Some(trace) = fields.trace {
            // Read and written again, so that both ways to JSON give the same for whatever was stored.
            write!(out, ",\"traceparent\":\"{}\"", trace.parse::<TraceParent>().ok()?).ok()?;
        }
        if !fields.undoes.is_empty() {
            out.extend_from_slice(b",\"undoes\":");
            serde_json::to_writer(&mut *out, &fields.undoes).ok()?;
        }
        if let Some(version) = fields.restores {
            write!(out, ",\"restores\":{version}").ok()?;
        }
        out.extend_from_slice(b",\"events\":");
        Some(())
    }
}

/// Writes whatever is read as JSON.
struct Json<'a>(&'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Json<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        let mut json = serde_json::Serializer::new(self.0);
        serde_transcode::transcode(value, &mut json).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use dao_projections::{Commit, CommitBody, Event, Head, Timestamp};
    use serde_json::json;

    use super::*;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn stored(traceparent: Option<TraceParent>) -> StoredCommit {
        let node = dao_projections::Node::new(
            "n\"1".parse().expect("an id"),
            dao_projections::Position::default(),
            json!({"data": {"l": [1, -2, 0.5, null, true, u64::MAX, "é\n"]}})
                .as_object()
                .cloned()
                .expect("a map"),
        );
        let body = CommitBody {
            operation_id: uuid::Uuid::from_u128(7).into(),
            user_id: "a \"b\"".parse().expect("a user"),
            client_id: "tab".parse().expect("a client"),
            is_client_named: true,
            traceparent,
            timestamp: Timestamp(1_763_800_000_000),
            command_type: CommandType::CreateNode,
            outcome: Outcome::Merged,
            undoes: vec![],
            restores: None,
            is_erased: false,
            events: vec![Event::NodeCreated { node: node.expect("a node") }],
        };
        let body = Bytes::from(body.encode());
        let Head { version, hash } = Head::EMPTY.after(&body);
        StoredCommit { version, hash, body }
    }

    #[test]
    fn what_is_written_today_needs_no_events_to_be_made() {
        for traceparent in [None, TRACE.parse().ok()] {
            let (stored, graph) = (stored(traceparent), "g".parse().expect("a graph"));
            let mut json = Vec::new();
            let mut bytes = rmp_serde::Deserializer::from_read_ref(&stored.body[..]);
            Body { graph: &graph, stored: &stored, out: &mut json }
                .deserialize(&mut bytes)
                .expect("the short way");
            let body = CommitBody::decode(&stored.body).expect("a commit");
            let commit = Commit { version: stored.version, hash: stored.hash, body };
            let json = String::from_utf8(json).expect("text");
            assert_eq!(json, String::from_utf8_lossy(&commit_json(&graph, &commit)));
            assert_eq!(json.contains(TRACE), traceparent.is_some());
        }
    }

    #[test]
    fn v7_bytes_that_are_no_commit_are_an_error_and_leave_nothing_behind() {
        let (mut stored, graph) = (stored(None), "g".parse().expect("a graph"));
        stored.body = stored.body.slice(..stored.body.len() - 3);
        let mut json = b"before".to_vec();
        assert!(append_commit_json(&graph, &stored, &mut json).is_err());
        assert_eq!(json, b"before");
    }
}
