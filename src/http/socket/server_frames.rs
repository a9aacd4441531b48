//! Frames of the server (rules W), in the encoding of the connection's subprotocol.

use bytes::Bytes;
use dao_projections::{ClientId, Commit, GraphId, Hash, Head, OperationId, UserId, Version};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Value, value::RawValue};

use super::super::{format::Format, problem::DetailsOut, wire::CommitOut};
use crate::{
    live::{PresenceUpdate, Present},
    websocket::{Deflate, MessageKind, encode_binary, encode_shared, encode_text},
};

/// A frame for one connection that is shorter than this is not compressed: it costs more time than the bytes are
/// worth.
const OWN_DEFLATE_BYTES_MIN: usize = 1 << 10;

/// The encoding of a connection: its format and compression.
#[derive(Clone, Copy)]
pub(super) struct FrameEncoding {
    pub(super) format: Format,
    pub(super) deflate: Deflate,
}

impl FrameEncoding {
    pub(super) fn kind(self) -> MessageKind {
        match self.format {
            Format::Json => MessageKind::Text,
            Format::MessagePack => MessageKind::Binary,
        }
    }

    /// The slot of a shared encoding: text or binary, compressed or not.
    pub(super) fn slot(self) -> usize {
        usize::from(self.kind() == MessageKind::Binary) * 2 + usize::from(self.deflate == Deflate::On)
    }

    /// An encoded payload as a frame; compressed only if it is worth it.
    pub(super) fn frame(self, payload: &[u8]) -> Bytes {
        if self.deflate == Deflate::On && payload.len() >= OWN_DEFLATE_BYTES_MIN {
            return self.shared(payload);
        }
        match (self.format, std::str::from_utf8(payload)) {
            (Format::Json, Ok(text)) => encode_text(text),
            _ => encode_binary(payload),
        }
    }

    /// A payload as a frame that others get too: compressed if that was negotiated and makes it shorter.
    pub(super) fn shared(self, payload: &[u8]) -> Bytes {
        let kind = match (self.format, std::str::from_utf8(payload)) {
            (Format::Json, Ok(_)) => MessageKind::Text,
            _ => MessageKind::Binary,
        };
        encode_shared(kind, self.deflate, payload)
    }

    pub(super) fn encode(self, frame: &ServerFrame<'_>) -> Bytes {
        self.frame(&self.format.encode(frame))
    }
}

/// A frame of the server. Commits and snapshots are encoded by [`state_update`] and [`sync_around_state`], once for all
/// their receivers.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub(super) enum ServerFrame<'a> {
    Welcome {
        connection_id: uuid::Uuid,
        heartbeat_ms: u64,
        limits: WelcomeLimits,
        server_time: u64,
    },
    Sync {
        graph_id: &'a GraphId,
        version: Version,
        hash: Hash,
        status: &'static str,
        access: &'static str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        reset: bool,
        settled: &'a [SettledOperation],
    },
    Revert(Revert<'a>),
    Presence {
        graph_id: &'a GraphId,
        client_id: &'a ClientId,
        user_id: &'a UserId,
        #[serde(skip_serializing_if = "str::is_empty")]
        slot: &'a str,
        state: PresenceState<'a>,
    },
    /// A new token changed the right on a followed graph.
    Access {
        graph_id: &'a GraphId,
        access: &'static str,
    },
    Authenticated {
        user_id: &'a UserId,
        /// When the token expires; absent without keys.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at: Option<u64>,
    },
    Pong {
        versions: FollowedVersions<'a>,
    },
    Error {
        code: &'static str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        graph_id: Option<&'a GraphId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        operation_id: Option<OperationId>,
        /// When to retry, if a retry may succeed.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    Goodbye {
        reconnect_after_ms: u64,
    },
}

/// The limits in `WELCOME`.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WelcomeLimits {
    pub(super) message_bytes: usize,
    pub(super) entity_bytes: usize,
    pub(super) batch_operations: usize,
    pub(super) json_depth: usize,
    pub(super) subscriptions: usize,
    pub(super) in_flight: usize,
    pub(super) presence_bytes: usize,
    pub(super) operation_ttl_ms: u64,
}

/// The right and the reset flag of a `SYNC`.
#[derive(Clone, Copy)]
pub(super) struct SyncAccess {
    /// The right on the graph.
    pub(super) access: &'static str,
    /// Whether the subscriber's history was replaced (rule V4).
    pub(super) reset: bool,
}

/// The outcome of an operation that a client asked about (rule W3).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SettledOperation {
    pub(super) operation_id: OperationId,
    pub(super) status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<Version>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<&'static str>,
}

/// A refused operation, or one that failed temporarily (`temporary`).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Revert<'a> {
    pub(super) operation_id: OperationId,
    pub(super) graph_id: &'a GraphId,
    pub(super) code: &'static str,
    pub(super) message: &'a str,
    pub(super) temporary: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retry_after_ms: Option<u64>,
    pub(super) version: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resolution: Option<&'a crate::domain::Resolution>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) duplicate: Option<bool>,
    #[serde(flatten)]
    pub(super) details: &'a DetailsOut,
}

/// The heads of the followed graphs, for `PONG`.
pub(super) struct FollowedVersions<'a>(pub(super) Vec<(&'a GraphId, Version)>);

impl Serialize for FollowedVersions<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(graph, version)| map.serialize_entry(graph.as_str(), version))?;
        map.end()
    }
}

/// The payload of a commit's frame: the commit with its type.
pub(super) fn state_update(graph: &GraphId, commit: &Commit, format: Format) -> Vec<u8> {
    format.encode(&CommitOut::of(graph, commit).into_frame("STATE_UPDATE"))
}

/// The bytes before and after the state in a `SYNC` with a snapshot.
pub(super) fn sync_around_state(
    graph: &GraphId,
    head: Head,
    access: SyncAccess,
    settled: &[SettledOperation],
    format: Format,
) -> (Vec<u8>, &'static [u8]) {
    /// The state is inserted later: it is shared by all subscribers that start at this version.
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct SyncFrame<'a> {
        r#type: &'static str,
        graph_id: &'a GraphId,
        version: Version,
        hash: Hash,
        status: &'static str,
        access: &'static str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        reset: bool,
        settled: &'a [SettledOperation],
        state: (),
    }
    let Head { version, hash } = head;
    let SyncAccess { access, reset } = access;
    let (r#type, status) = ("SYNC", "snapshot");
    let sync =
        SyncFrame { r#type, graph_id: graph, version, hash, status, access, reset, settled, state: () };
    let mut bytes = format.encode(&sync);
    // Both encodings end with the null that stands for the state.
    let (null, after): (_, &[u8]) = match format {
        Format::Json => ("null}".len(), b"}"),
        Format::MessagePack => (1, b""),
    };
    bytes.truncate(bytes.len() - null);
    (bytes, after)
}

/// The `PRESENCE` frame of a client, encoded once for all followers. Presence is short, so it is never compressed.
pub(super) fn presence(graph: &GraphId, shown: &PresenceUpdate, format: Format) -> Option<Bytes> {
    let form = match format {
        Format::Json => 0,
        Format::MessagePack => 1,
    };
    shown.form(form, |Present { client, user, slot, state }| {
        let state = PresenceState::of(state, format);
        let slot = slot.as_str();
        let frame = ServerFrame::Presence { graph_id: graph, client_id: client, user_id: user, slot, state };
        FrameEncoding { format, deflate: Deflate::Off }.encode(&frame)
    })
}

/// A presence state, from its JSON.
pub(super) enum PresenceState<'a> {
    Text(&'a RawValue),
    Value(Value),
}

impl<'a> PresenceState<'a> {
    fn of(json: &'a str, format: Format) -> Self {
        let text = serde_json::from_str(json).ok().filter(|_| format == Format::Json);
        // It was serialized from a value, so it parses.
        text.map_or_else(|| Self::Value(serde_json::from_str(json).unwrap_or_default()), Self::Text)
    }
}

impl Serialize for PresenceState<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => text.serialize(s),
            Self::Value(value) => value.serialize(s),
        }
    }
}
