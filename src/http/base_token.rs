//! The base of a document save as clients send and get it (rule DS10): opaque text for them.
//!
//! Invariant: a base fits the document that its client sent, never what the server merged into it.

use std::{fmt, str::FromStr};

use dao_projections::{Hash, Head, Version};

/// The version that a saver loaded, with the saver's own commits since: `7:9f3c…+9,12` is version 7, which has this
/// hash, with the own versions 9 and 12.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BaseToken {
    /// The version that was loaded.
    pub(super) version: Version,
    /// Its hash; without it the version is taken as it is (rule H6).
    pub(super) hash: Option<Hash>,
    /// Own commits since, in order.
    pub(super) own: Vec<Version>,
}

/// A text that is not a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the base that a document or the answer to a save gave, such as 7:<hash>")]
pub(super) struct InvalidBase;

impl BaseToken {
    /// The base of a client that has read the document at `head`.
    pub(super) fn of(head: Head) -> Self {
        Self { version: head.version, hash: Some(head.hash), own: vec![] }
    }

    /// The base with these own commits, where they are known.
    pub(super) fn with_own(mut self, own: Option<&[Version]>) -> Self {
        if let Some(own) = own {
            self.own = own.to_vec();
        }
        self
    }

    /// The base after a save that made the commit at `head`.
    pub(super) fn after(mut self, head: Head) -> Self {
        if head.version <= self.version || self.own.contains(&head.version) {
            return self;
        }
        self.own.push(head.version);
        // Nobody else wrote in between, so the graph at that version is what was sent.
        match self.own.iter().zip(1..).all(|(own, step)| own.since(self.version) == step) {
            true => Self::of(head),
            false => self,
        }
    }
}

impl fmt::Display for BaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.version)?;
        if let Some(hash) = &self.hash {
            write!(f, ":{}", hash.to_hex())?;
        }
        for (index, version) in self.own.iter().enumerate() {
            write!(f, "{}{version}", if index == 0 { '+' } else { ',' })?;
        }
        Ok(())
    }
}

impl FromStr for BaseToken {
    type Err = InvalidBase;

    fn from_str(text: &str) -> Result<Self, InvalidBase> {
        // In a query, a plus sign that was not escaped arrives as a space.
        let (point, own) = match text.split_once(['+', ' ']) {
            Some((point, own)) => (point, own.split(',').map(version).collect::<Result<Vec<_>, _>>()?),
            None => (text, vec![]),
        };
        let (number, hash) = match point.split_once(':') {
            Some((number, hash)) => (number, Some(Hash::from_hex(hash).map_err(|_| InvalidBase)?)),
            None => (point, None),
        };
        let loaded = version(number)?;
        let rises = own.iter().zip(own.iter().skip(1)).all(|(one, next)| one < next);
        match rises && own.first().is_none_or(|first| *first > loaded) {
            true => Ok(Self { version: loaded, hash, own }),
            false => Err(InvalidBase),
        }
    }
}

fn version(text: &str) -> Result<Version, InvalidBase> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_number);
    number.and_then(Version::new).ok_or(InvalidBase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(version: u64) -> Head {
        let hash = Hash::from_hex(&format!("{version:064x}")).expect("a hash");
        Head { version: Version::new(version).expect("a version"), hash }
    }

    #[test]
    fn ds10_a_base_is_read_as_it_is_written() {
        let hash = "00".repeat(31);
        for text in [format!("7:{hash}09"), format!("7:{hash}09+9,12"), "7".to_owned(), "0".to_owned()] {
            assert_eq!(text.parse::<BaseToken>().map(|token| token.to_string()), Ok(text));
        }
        for wrong in ["", ":", "7:", "x", "7:00", "-1", "7+", "7+6", "7+9,9", "7+9,8", "7+a"] {
            assert_eq!(wrong.parse::<BaseToken>(), Err(InvalidBase), "{wrong}");
        }
    }

    #[test]
    fn ds10_a_base_fits_what_was_sent() {
        let token = BaseToken::of(head(7));
        assert_eq!(token.clone().after(head(8)), BaseToken::of(head(8)), "nobody else wrote");
        let after_theirs = token.after(head(9));
        assert_eq!(after_theirs.to_string(), format!("7:{:064x}+9", 7));
        assert_eq!(after_theirs.clone().after(head(9)), after_theirs, "the same answer again");
        assert_eq!(after_theirs.after(head(10)).to_string(), format!("7:{:064x}+9,10", 7));
    }
}
