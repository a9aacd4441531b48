//! What a subscription is called.

use std::fmt;

/// Most characters of a name.
const LENGTH_MAX: usize = 64;

/// A name: letters, digits, `.`, `_` and `-`, of which the first is a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SubscriptionName(String);

/// Not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {LENGTH_MAX} letters, digits, '.', '_' or '-', beginning with a letter or digit")]
pub struct InvalidName;

impl SubscriptionName {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let is_known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let begins_well = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        let is_name = begins_well && text.len() <= LENGTH_MAX && text.bytes().all(is_known);
        is_name.then(|| Self(text.to_owned())).ok_or(InvalidName)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SubscriptionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_few_characters() {
        for name in ["a", "9", "Search-index_2.b", &"x".repeat(64)] {
            assert_eq!(SubscriptionName::parse(name).expect("a name").as_str(), name);
        }
        for text in ["", ".a", "-", "_x", "a b", "a/b", "é", "a:b", &"x".repeat(65)] {
            assert_eq!(SubscriptionName::parse(text), Err(InvalidName), "{text:?}");
        }
    }
}
