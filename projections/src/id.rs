//! Ids of graphs, nodes, edges, operations, users and clients (protocol rule G3).
//!
//! Each is a newtype that is made only from text that satisfies its rule, and is cheap to clone.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// Why a text is not a valid id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The text is longer than the bound, in bytes.
    #[error("must be at most {max} bytes, this is {len}")]
    TooLong {
        /// The bound.
        max: usize,
        /// The length of the text.
        len: usize,
    },
    /// The text holds a Unicode control character (category Cc).
    #[error("must not contain control characters")]
    ControlCharacter,
    /// A graph id with a character outside its alphabet.
    #[error("must match [A-Za-z0-9][A-Za-z0-9._:-]{{0,127}}")]
    Alphabet,
    /// A label's name outside its alphabet, or `head`.
    #[error("must match [A-Za-z][A-Za-z0-9._-]{{0,63}} and not be head")]
    Label,
    /// An operation id that is not a UUID.
    #[error("must be a UUID")]
    NotUuid,
}

fn plain_text(text: &str, max: usize) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > max {
        return Err(InvalidId::TooLong { max, len: text.len() });
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidId::ControlCharacter);
    }
    Ok(())
}

fn graph_alphabet(text: &str) -> Result<(), InvalidId> {
    let bytes = text.as_bytes();
    let first_is_alphanumeric = bytes.first().is_some_and(u8::is_ascii_alphanumeric);
    let rest_is_fine =
        bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'));
    if first_is_alphanumeric && rest_is_fine && bytes.len() <= 128 {
        return Ok(());
    }
    Err(InvalidId::Alphabet)
}

fn label_alphabet(text: &str) -> Result<(), InvalidId> {
    let bytes = text.as_bytes();
    let begins_with_letter = bytes.first().is_some_and(u8::is_ascii_alphabetic);
    let rest_is_fine = bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if begins_with_letter && rest_is_fine && bytes.len() <= 64 && text != "head" {
        return Ok(());
    }
    Err(InvalidId::Label)
}

/// Longest node or edge id, in bytes. Real Langflow edge ids pass 300.
const ENTITY_ID_BYTES_MAX: usize = 1_024;
/// Longest user or client id, in bytes.
const ACTOR_ID_BYTES_MAX: usize = 256;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` against the rule of this identifier.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let check: fn(&str) -> Result<(), InvalidId> = $check;
                check(text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), &*self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an identifier")
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::parse(text).map_err(E::custom)
                    }
                }
                d.deserialize_str(Text)
            }
        }
    };
}

text_id!(
    /// The id of a graph: `[A-Za-z0-9][A-Za-z0-9._:-]{0,127}`.
    GraphId,
    graph_alphabet
);
text_id!(
    /// The id of a node, unique in its graph: 1 to 1,024 bytes without control characters.
    NodeId,
    |text| plain_text(text, ENTITY_ID_BYTES_MAX)
);
text_id!(
    /// The id of an edge, unique in its graph: 1 to 1,024 bytes without control characters.
    EdgeId,
    |text| plain_text(text, ENTITY_ID_BYTES_MAX)
);
text_id!(
    /// A label on a version of a graph: `[A-Za-z][A-Za-z0-9._-]{0,63}`, and not `head` (rule L12).
    LabelName,
    label_alphabet
);
text_id!(
    /// The id of a user: 1 to 256 bytes without control characters.
    UserId,
    |text| plain_text(text, ACTOR_ID_BYTES_MAX)
);
text_id!(
    /// The id of a client, such as a browser tab, a script or a connection: 1 to 256 bytes without control characters.
    /// User and client together tell whose optimistic state already had a commit (rule D1).
    ClientId,
    |text| plain_text(text, ACTOR_ID_BYTES_MAX)
);

impl From<&UserId> for ClientId {
    /// The client id of a user who names none: the user id.
    fn from(user: &UserId) -> Self {
        Self(user.0.clone())
    }
}

/// The id of an operation: the idempotency key within its graph (rule C3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(Uuid);

impl OperationId {
    /// Reads a UUID in any of the usual spellings.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        Uuid::try_parse(text).map(Self).map_err(|_| InvalidId::NotUuid)
    }

    /// What stands in place of the id of an operation whose commit was erased.
    pub const ERASED: Self = Self(Uuid::nil());

    /// The id as a UUID.
    pub fn as_uuid(&self) -> &Uuid {
        &self.0
    }

    /// The 16 bytes that the stores keep.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id of member `index` of this batch: `UUIDv5(batch, index in decimal)`, so that a retry
    /// of the batch repeats the ids of its members.
    pub fn member(&self, index: usize) -> Self {
        Self(Uuid::new_v5(&self.0, index.to_string().as_bytes()))
    }
}

impl From<Uuid> for OperationId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g3_graph_ids_keep_to_their_alphabet() {
        for good in ["g", "0", "team-a.flow:1_x", &"a".repeat(128)] {
            assert!(GraphId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "a/b", "a b", "ä", "a\n", &"a".repeat(129)] {
            assert!(GraphId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn l12_labels_keep_to_their_alphabet() {
        for good in ["published", "v1.2_x-y", "Head", &"a".repeat(64)] {
            assert!(LabelName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "1", "-a", "a/b", "a:b", "ä", "head", &"a".repeat(65)] {
            assert!(LabelName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn g3_entity_ids_are_any_text_without_control_characters() {
        for good in ["n", " ", "ümläut", "{\"œdataType\"}", &"a".repeat(1_024)] {
            assert!(NodeId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a\u{0}", "\u{85}", "a\tb", &"a".repeat(1_025)] {
            assert!(NodeId::parse(bad).is_err(), "{bad}");
        }
    }
}
