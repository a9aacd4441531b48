//! Commits as a server sends them: in `STATE_UPDATE`, and in pages of changes.
//!
//! A later server may send types of events and commands that this client does not know. Such events are passed over
//! (rule L15): what they change is nothing that this client keeps.

use dao_projections::{
    ClientId, CommandType, Commit, CommitBody, Event, GraphId, Hash, OperationId, Outcome, Timestamp,
    TraceParent, UserId, Version,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::frames::{Unreadable, hash, version};

/// How a commit's frame begins; what follows is the commit as everywhere else.
const STATE_UPDATE_START: &str = "{\"type\":\"STATE_UPDATE\",";

/// A commit as it was received.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// Of which graph.
    pub graph: GraphId,
    /// The commit, without events of types that this release does not know. A command of a type that it does not know
    /// counts as `BATCH`.
    pub commit: Commit,
    /// Its JSON exactly as the server wrote it, without the `type` of a frame.
    pub json: String,
}

impl Received {
    /// Reads a commit, with or without the `type` of a frame.
    pub(super) fn read(text: &str) -> Result<Self, Unreadable> {
        let unreadable = |problem| Unreadable::new(problem, text);
        let fields: CommitFields<'_> = serde_json::from_str(text).map_err(unreadable)?;
        let events = fields.events.iter().filter_map(|event| known(event.get()).transpose());
        let events = events.collect::<Result<_, _>>().map_err(unreadable)?;
        let json = match text.strip_prefix(STATE_UPDATE_START) {
            Some(rest) => format!("{{{rest}"),
            None => text.to_owned(),
        };
        let command_type = CommandType::ALL.into_iter().find(|known| known.as_str() == fields.command_type);
        let body = CommitBody {
            operation_id: fields.operation_id.unwrap_or(OperationId::ERASED),
            is_client_named: fields.client_id.as_str() != fields.user_id.as_str(),
            user_id: fields.user_id,
            client_id: fields.client_id,
            traceparent: fields.traceparent,
            timestamp: fields.timestamp,
            command_type: command_type.unwrap_or(CommandType::Batch),
            outcome: fields.outcome,
            undoes: fields.undoes,
            restores: fields.restores,
            is_erased: fields.operation_id.is_none(),
            events,
        };
        let commit = Commit { version: fields.version, hash: fields.hash, body };
        Ok(Self { graph: fields.graph_id, commit, json })
    }
}

/// The event, if its type is known.
fn known(text: &str) -> Result<Option<Event>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Tag {
        r#type: String,
    }
    let Tag { r#type } = serde_json::from_str(text)?;
    Event::NAMES.contains(&r#type.as_str()).then(|| serde_json::from_str(text)).transpose()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CommitFields<'a> {
    graph_id: GraphId,
    #[serde(deserialize_with = "version")]
    version: Version,
    #[serde(deserialize_with = "hash")]
    hash: Hash,
    operation_id: Option<OperationId>,
    user_id: UserId,
    client_id: ClientId,
    timestamp: Timestamp,
    command_type: String,
    outcome: Outcome,
    #[serde(default)]
    traceparent: Option<TraceParent>,
    #[serde(default)]
    undoes: Vec<OperationId>,
    #[serde(default)]
    restores: Option<Version>,
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}
