//! What is remembered of an operation: enough to tell a repeat from a reuse of its id, and to give
//! the first answer again (rule C3). Stores keep it as opaque bytes.

use dao_projections::{ClientId, CommandType, Hash, Timestamp, UserId, Version};
use serde::{Deserialize, Serialize};

use crate::domain::Refusal;

/// Eight bytes that stand for a command and its user: of a SHA-256 over both, whatever the key
/// order or encoding of the payload. A match by chance once in 2^64 makes a reuse pass for a repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint(#[serde(with = "serde_bytes")] pub [u8; 8]);

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperationRecord {
    /// Of the command it was.
    #[serde(rename = "f")]
    pub fingerprint: Fingerprint,
    /// How it ended.
    #[serde(rename = "o")]
    pub outcome: RecordedOutcome,
    /// Which writer recorded it.
    #[serde(rename = "w")]
    pub writer: WriterId,
}

/// Tells writers apart: drawn once for each. Two that decide the same in the same millisecond leave
/// records that differ in nothing else, and only one of them was first (rule C3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterId(#[serde(with = "serde_bytes")] pub [u8; 4]);

/// The outcome, with what can't be found elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RecordedOutcome {
    /// It is commit `version`, which says the rest.
    #[serde(rename = "c")]
    Committed {
        /// The commit.
        version: Version,
    },
    /// It changed nothing.
    #[serde(rename = "u")]
    Unchanged(Circumstances),
    /// It was refused.
    #[serde(rename = "r")]
    Refused {
        /// Who, what and when.
        by: Circumstances,
        /// Why.
        refusal: Box<Refusal>,
    },
}

/// Who asked for what, when, and where the graph stood: for operations that left no commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Circumstances {
    /// Who asked.
    pub user: UserId,
    /// Through which client.
    pub client: ClientId,
    /// For what.
    pub command: CommandType,
    /// When it was answered.
    pub at: Timestamp,
    /// The graph's version then.
    pub version: Version,
    /// And its hash.
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

    /// Reads stored bytes; `None` if they are no record.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        rmp_serde::from_slice(bytes).ok()
    }
}
