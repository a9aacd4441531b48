//! A commit: one accepted operation, its stored bytes, and its place in the hash chain.
//!
//! The stored form is a MessagePack map with named fields (`docs/events.md`). It carries its format
//! number; formats older than [`FORMAT`] are brought up to date here when they are read, and
//! nowhere else.

use std::io;

use serde::{Deserialize, Serialize};

use crate::{
    entity::Timestamp,
    event::Event,
    id::{ClientId, OperationId, UserId},
    trace::TraceParent,
    version::{Hash, Head, Version},
};

/// The format that this release writes.
pub const FORMAT: u8 = 1;

/// The outcome of an accepted operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The operation was applied as it is: nobody else had touched its targets.
    #[default]
    Applied,
    /// The operation was merged with changes of others (rule D2).
    Merged,
}

/// The type of an operation, as on the wire: the type of its command, or `BATCH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum CommandType {
    CreateNode,
    UpdateNode,
    UpdateNodePosition,
    DeleteNode,
    CreateEdge,
    UpdateEdge,
    DeleteEdge,
    SetViewport,
    BatchUpdate,
    SaveDocument,
    Undo,
    Batch,
    CreateGraph,
    UpdateGraph,
    DeleteGraph,
    RecoverGraph,
    LabelVersion,
    RestoreVersion,
}

impl CommandType {
    /// All commands, and the batch.
    pub const ALL: [Self; 18] = [
        Self::CreateNode,
        Self::UpdateNode,
        Self::UpdateNodePosition,
        Self::DeleteNode,
        Self::CreateEdge,
        Self::UpdateEdge,
        Self::DeleteEdge,
        Self::SetViewport,
        Self::BatchUpdate,
        Self::SaveDocument,
        Self::Undo,
        Self::Batch,
        Self::CreateGraph,
        Self::UpdateGraph,
        Self::DeleteGraph,
        Self::RecoverGraph,
        Self::LabelVersion,
        Self::RestoreVersion,
    ];

    /// The type, as on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CreateNode => "CREATE_NODE",
            Self::UpdateNode => "UPDATE_NODE",
            Self::UpdateNodePosition => "UPDATE_NODE_POSITION",
            Self::DeleteNode => "DELETE_NODE",
            Self::CreateEdge => "CREATE_EDGE",
            Self::UpdateEdge => "UPDATE_EDGE",
            Self::DeleteEdge => "DELETE_EDGE",
            Self::SetViewport => "SET_VIEWPORT",
            Self::BatchUpdate => "BATCH_UPDATE",
            Self::SaveDocument => "SAVE_DOCUMENT",
            Self::Undo => "UNDO",
            Self::Batch => "BATCH",
            Self::CreateGraph => "CREATE_GRAPH",
            Self::UpdateGraph => "UPDATE_GRAPH",
            Self::DeleteGraph => "DELETE_GRAPH",
            Self::RecoverGraph => "RECOVER_GRAPH",
            Self::LabelVersion => "LABEL_VERSION",
            Self::RestoreVersion => "RESTORE_VERSION",
        }
    }
}

/// The content of a commit: everything but its place in a history.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitBody {
    /// The operation that made the commit.
    pub operation_id: OperationId,
    /// The user who sent the operation.
    pub user_id: UserId,
    /// The client that sent it. If the author named none, the user id over HTTP and the connection id on a socket.
    pub client_id: ClientId,
    /// Whether the author named the client (rule D1). Only then does the commit count as the client's own.
    pub is_client_named: bool,
    /// The server's time; never earlier than that of the commit before it (rule V5).
    pub timestamp: Timestamp,
    /// The type of the operation.
    pub command_type: CommandType,
    /// The outcome.
    pub outcome: Outcome,
    /// The trace of the request, if its author sent one.
    pub traceparent: Option<TraceParent>,
    /// The operations that it takes back (rule U1); empty where it takes back none.
    pub undoes: Vec<OperationId>,
    /// The version whose contents it brings back (rule L11).
    pub restores: Option<Version>,
    /// Whether this is what was left when the commit was erased: then `operation_id` is [`OperationId::ERASED`], and
    /// the hash covers other bytes, of which the store keeps the SHA-256.
    pub is_erased: bool,
    /// What happened, in order; never empty.
    pub events: Vec<Event>,
}

/// A commit with its place in a history: `hash` covers its bytes and every commit before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// The version: the number of the commit, and the graph's version after it.
    pub version: Version,
    /// The hash of the history up to and including this commit.
    pub hash: Hash,
    /// The content.
    pub body: CommitBody,
}

impl Commit {
    /// The head of the history that ends with this commit.
    pub fn head(&self) -> Head {
        Head { version: self.version, hash: self.hash }
    }
}

/// Why stored bytes can't be read as a commit.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The commit was written by a newer release.
    #[error("stored in format {0}, this release reads up to {FORMAT}")]
    NewerFormat(u64),
    /// The bytes are not the MessagePack of a commit.
    #[error("not a commit: {0}")]
    Malformed(#[from] rmp_serde::decode::Error),
}

#[derive(Serialize)]
struct Stored<'a> {
    format: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'a OperationId>,
    user: &'a UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a ClientId>,
    at: Timestamp,
    command: CommandType,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<TraceParent>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    undoes: &'a [OperationId],
    #[serde(skip_serializing_if = "Option::is_none")]
    restores: Option<Version>,
    events: &'a [Event],
}

/// Commits of more events than this are measured before they are encoded.
const COUNTED_EVENTS: usize = 256;

impl Stored<'_> {
    fn write(&self, mut to: impl io::Write) {
        let mut serializer = rmp_serde::Serializer::new(&mut to).with_struct_map();
        // Writing to memory cannot fail, and every map above knows its length.
        if let Err(e) = self.serialize(&mut serializer) {
            unreachable!("a commit could not be encoded: {e}");
        }
    }
}

/// Counts the bytes written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Deserialize)]
struct Loaded {
    operation: Option<OperationId>,
    user: UserId,
    client: Option<ClientId>,
    at: Timestamp,
    command: CommandType,
    #[serde(default)]
    outcome: Outcome,
    #[serde(default)]
    trace: Option<TraceParent>,
    #[serde(default)]
    undoes: Vec<OperationId>,
    #[serde(default)]
    restores: Option<Version>,
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u64,
}

impl CommitBody {
    /// The exact bytes that are stored and hashed. `client` is left out where none was named, `outcome` where it is
    /// `applied`, `trace`, `undoes` and `restores` where there are none, `operation` where the commit was erased.
    pub fn encode(&self) -> Vec<u8> {
        let stored = Stored {
            format: FORMAT,
            operation: Some(&self.operation_id).filter(|_| !self.is_erased),
            user: &self.user_id,
            client: Some(&self.client_id)
                .filter(|client| self.is_client_named || client.as_str() != self.user_id.as_str()),
            at: self.timestamp,
            command: self.command_type,
            outcome: Some(self.outcome).filter(|outcome| *outcome != Outcome::Applied),
            trace: self.traceparent,
            undoes: &self.undoes,
            restores: self.restores,
            events: &self.events,
        };
        let mut bytes = Vec::with_capacity(256);
        if self.events.len() > COUNTED_EVENTS {
            // The length first: the buffer is kept, and one that grows while it is written may take twice the room.
            let mut length = Length(0);
            stored.write(&mut length);
            bytes.reserve_exact(length.0);
        }
        stored.write(&mut bytes);
        bytes
    }

    /// Reads stored bytes of this format or an older one.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let loaded: Loaded = match rmp_serde::from_slice(bytes) {
            Ok(loaded) if is_current_format(bytes) => loaded,
            unreadable => {
                let format = rmp_serde::from_slice::<FormatOnly>(bytes)?.format;
                if format != u64::from(FORMAT) {
                    return Err(DecodeError::NewerFormat(format));
                }
                unreadable?
            }
        };
        Ok(Self {
            is_client_named: loaded.client.is_some(),
            client_id: loaded.client.unwrap_or_else(|| ClientId::from(&loaded.user)),
            is_erased: loaded.operation.is_none(),
            operation_id: loaded.operation.unwrap_or(OperationId::ERASED),
            user_id: loaded.user,
            timestamp: loaded.at,
            command_type: loaded.command,
            outcome: loaded.outcome,
            traceparent: loaded.trace,
            undoes: loaded.undoes,
            restores: loaded.restores,
            events: loaded.events,
        })
    }
}

/// Whether the bytes begin like those of [`CommitBody::encode`]: a small map whose first entry is the format of this
/// release.
fn is_current_format(bytes: &[u8]) -> bool {
    bytes.get(1..9) == Some(&[0xa6, b'f', b'o', b'r', b'm', b'a', b't', FORMAT])
}
