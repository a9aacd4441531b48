//! The name by which one of several presences of a client is told from the others (rule W7).

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Presences that one client may have at once in one graph, each in a slot of its own.
pub const SLOTS_MAX: usize = 4;
/// Bytes of the name of a slot.
const NAME_BYTES_MAX: usize = 32;

/// The name of a presence slot; empty by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PresenceSlot(Option<Arc<str>>);

/// A text that is not the name of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the name of a slot: at most {NAME_BYTES_MAX} letters, digits, '.', '_' or '-'")]
pub struct InvalidSlot;

impl PresenceSlot {
    /// The slot of this name.
    pub fn parse(name: &str) -> Result<Self, InvalidSlot> {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if name.len() > NAME_BYTES_MAX || !name.bytes().all(is_known) {
            return Err(InvalidSlot);
        }
        Ok(Self((!name.is_empty()).then(|| name.into())))
    }

    /// Its name; empty for the default slot.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether it is the slot of a presence that names none.
    pub fn is_default(&self) -> bool {
        self.0.is_none()
    }
}

impl TryFrom<String> for PresenceSlot {
    type Error = InvalidSlot;

    fn try_from(name: String) -> Result<Self, InvalidSlot> {
        Self::parse(&name)
    }
}

impl From<PresenceSlot> for String {
    fn from(slot: PresenceSlot) -> Self {
        slot.as_str().to_owned()
    }
}

impl fmt::Display for PresenceSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w7_names_of_slots_are_short_and_plain() {
        for good in ["", "drag", "a.b_c-9", &"x".repeat(32)] {
            assert_eq!(PresenceSlot::parse(good).map(String::from).as_deref(), Ok(good));
        }
        for bad in ["a b", "ä", "\n", "a/b", &"x".repeat(33)] {
            assert_eq!(PresenceSlot::parse(bad), Err(InvalidSlot), "{bad}");
        }
        assert!(
            PresenceSlot::parse("").is_ok_and(|slot| slot.is_default() && slot == PresenceSlot::default())
        );
    }
}
