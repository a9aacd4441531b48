//! The ways to name a version of a graph: its number, a label, `head`, or a time (rule L13).
//!
//! Invariant: no text names two things. Labels begin with a letter. A number is a version as long as no history can be
//! that long; beyond, it is a time.
//!
//! Not here: which version a label or a time names. That depends on the graph.

use std::{fmt, str::FromStr};

use dao_projections::{LabelName, Timestamp, Version};

use super::rfc3339::{parse_time, readable};

/// Numbers from here on are times in milliseconds, from 3 March 1973 on. A history of a commit each millisecond reaches
/// it after three years.
const FIRST_TIME_MS: u64 = 100_000_000_000;

/// A version as clients name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum VersionRef {
    /// The latest one.
    #[default]
    Head,
    /// The one of this number.
    Version(Version),
    /// The one that this label names.
    Label(LabelName),
    /// The last one at or before this time.
    Time(Timestamp),
}

/// A text that names no version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a version, a label, head, or a time in milliseconds or like 2026-11-23T10:30:00Z; a number below 2^63"
)]
pub struct InvalidVersionRef;

impl VersionRef {
    /// What a number names; `None` from 2^63 on.
    pub fn of_number(number: u64) -> Option<Self> {
        let version = Version::new(number)?;
        Some(match number < FIRST_TIME_MS {
            true => Self::Version(version),
            false => Self::Time(Timestamp(number)),
        })
    }
}

impl FromStr for VersionRef {
    type Err = InvalidVersionRef;

    fn from_str(text: &str) -> Result<Self, InvalidVersionRef> {
        let found = match text.bytes().next() {
            Some(first) if first.is_ascii_alphabetic() => match text {
                "head" => Some(Self::Head),
                label => LabelName::parse(label).ok().map(Self::Label),
            },
            Some(_) if text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok().and_then(Self::of_number)
            }
            _ => parse_time(text).map(Self::Time),
        };
        found.ok_or(InvalidVersionRef)
    }
}

impl fmt::Display for VersionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("head"),
            Self::Version(version) => write!(f, "version {version}"),
            Self::Label(name) => write!(f, "label {name}"),
            Self::Time(time) => f.write_str(&readable(*time)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l13_a_text_names_one_version_or_none() {
        let version = |number| VersionRef::Version(Version::new(number).expect("small"));
        let label = |name| VersionRef::Label(LabelName::parse(name).expect("a label"));
        for (text, named) in [
            ("head", VersionRef::Head),
            ("0", version(0)),
            ("99999999999", version(99_999_999_999)),
            ("100000000000", VersionRef::Time(Timestamp(100_000_000_000))),
            ("1795429800250", VersionRef::Time(Timestamp(1_795_429_800_250))),
            ("2026-11-23T10:30:00.250Z", VersionRef::Time(Timestamp(1_795_429_800_250))),
            ("published", label("published")),
            ("Head", label("Head")),
        ] {
            assert_eq!(text.parse(), Ok(named), "{text}");
        }
        for wrong in ["", "-1", "9223372036854775808", "2026-13-01", "1.5", "a b", "é", " 1", "latest!"] {
            assert_eq!(wrong.parse::<VersionRef>(), Err(InvalidVersionRef), "{wrong}");
        }
    }
}
