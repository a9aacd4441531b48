//! The record of an operation: enough to tell a repeat from a reuse of its id, and to repeat the first answer (rule
//! C3). Stores keep it as opaque bytes.

use dao_projections::{ClientId, CommandType, Hash, Timestamp, UserId, Version};
use serde::{Deserialize, Serialize};

use crate::domain::Refusal;

/// Eight bytes of the SHA-256 of a command and its user, independent of the key order and encoding of the payload. A
/// chance collision, once in 2^64, makes a reuse pass for a repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint(#[serde(with = "serde_bytes")] pub [u8; 8]);

/// The stored record of an operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperationRecord {
    /// The fingerprint of its command.
    #[serde(rename = "f")]
    pub fingerprint: Fingerprint,
    /// The outcome.
    #[serde(rename = "o")]
    pub outcome: RecordedOutcome,
    /// The writer that recorded it.
    #[serde(rename = "w")]
    pub writer: WriterId,
}

/// A random id of a writer. Two writers that decide the same in the same millisecond leave records that differ in
/// nothing else, and only one of them was first (rule C3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterId(#[serde(with = "serde_bytes")] pub [u8; 4]);

/// The outcome of an operation, with the details that no commit has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RecordedOutcome {
    /// The operation was applied as commit `version`, which has the details.
    #[serde(rename = "c")]
    Committed {
        /// The version of the commit.
        version: Version,
    },
    /// The operation changed nothing.
    #[serde(rename = "u")]
    Unchanged(Circumstances),
    /// The operation was refused.
    #[serde(rename = "r")]
    Refused {
        /// The user, the command and the time.
        by: Circumstances,
        /// The reason.
        refusal: Box<Refusal>,
    },
}

/// The user, client, command, time and head of an operation that left no commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Circumstances {
    /// The user who sent it.
    pub user: UserId,
    /// The client that sent it.
    pub client: ClientId,
    /// The type of the command.
    pub command: CommandType,
    /// The time of the answer.
    pub at: Timestamp,
    /// The graph's version at that time.
    pub version: Version,
    /// The hash of that version.
    #[serde(with = "hash_bytes")]
    pub hash: Hash,
}

mod hash_bytes {
    use dao_projections::Hash;
    use serde::{Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(hash: &Hash, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(hash.as_bytes())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Hash, D::Error> {
        let bytes: Vec<u8> = serde_bytes::deserialize(d)?;
        Hash::from_bytes(&bytes).map_err(D::Error::custom)
    }
}

impl OperationRecord {
    /// The stored bytes: a MessagePack array `[fingerprint, outcome, writer]`.
    pub fn encode(&self) -> Vec<u8> {
        match rmp_serde::to_vec(self) {
            Ok(bytes) => bytes,
            Err(e) => unreachable!("a record could not be encoded: {e}"),
        }
    }

    /// Reads stored bytes; `None` if they are not a record.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        rmp_serde::from_slice(bytes).ok()
    }
}
