//! How far a reader of all graphs is: what it gets as an opaque text and gives back to resume.
//!
//! Layout of the text, in base64url without padding: a format byte; the number of parts; the latest
//! millisecond of all places; each part's place, as its distance from that; what is left to read of
//! histories; four bytes that tell a garbled one. Integers are LEB128. A part where nothing ever
//! happened takes one byte, and one that is in use about three.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use dao_projections::{GraphId, Version};

use crate::store::FeedPlace;

const FORMAT: u8 = 1;
/// Most parts that a position can be of: as many as a store can have.
const PARTS_MAX: u64 = 16_384;

/// A place in each part of the feed, and histories that are to be read before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub(super) places: Vec<FeedPlace>,
    pub(super) histories: Option<Histories>,
}

/// Histories that are being read because the feed does not reach back far enough: those of all
/// graphs of some parts, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Histories {
    /// Of which parts, in order.
    pub(super) parts: Vec<u32>,
    /// All graphs before this one are read; of this one, what lies up to `version`.
    pub(super) graph: Option<GraphId>,
    pub(super) version: Version,
}

/// Why a text is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPosition {
    /// Not one that this program made.
    #[error("must be a position as an earlier event had it, or 0 for the beginning")]
    Unreadable,
    /// One of another store.
    #[error("this position is of a store with {found} partitions, and this one has {parts}")]
    OtherParts {
        /// The position's.
        found: usize,
        /// This store's.
        parts: usize,
    },
}

impl Position {
    pub(super) fn at(places: Vec<FeedPlace>) -> Self {
        Self { places, histories: None }
    }

    /// Reads a position of a store with so many parts.
    pub(super) fn parse(text: &str, parts: usize) -> Result<Self, InvalidPosition> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidPosition::Unreadable)?;
        let position = decode(&bytes).ok_or(InvalidPosition::Unreadable)?;
        match position.places.len() {
            found if found == parts => Ok(position),
            found => Err(InvalidPosition::OtherParts { found, parts }),
        }
    }

    /// The text.
    pub(super) fn encode(&self) -> String {
        let mut out = Vec::with_capacity(16 + 4 * self.places.len());
        out.push(FORMAT);
        put(&mut out, self.places.len() as u64);
        let latest = self.places.iter().map(|place| place.major).max().unwrap_or(0);
        put(&mut out, latest);
        for place in &self.places {
            if *place == FeedPlace::START {
                out.push(0);
                continue;
            }
            // Never 0: places have at most 63 bits of it.
            put(&mut out, (latest - place.major).saturating_add(1));
            put(&mut out, place.minor);
        }
        match &self.histories {
            None => out.push(0),
            Some(Histories { parts, graph, version }) => {
                put(&mut out, parts.len() as u64);
                parts.iter().for_each(|part| put(&mut out, u64::from(*part)));
                put(&mut out, version.get());
                let graph = graph.as_ref().map_or("", GraphId::as_str);
                put(&mut out, graph.len() as u64);
                out.extend_from_slice(graph.as_bytes());
            }
        }
        out.extend_from_slice(&checksum(&out).to_be_bytes());
        URL_SAFE_NO_PAD.encode(out)
    }
}

/// The position in bytes that lack their checksum, and what it is read back as once it is written. For
/// `fuzzing`, which would seldom get a checksum right.
pub(in crate::live) fn read_unsealed(bytes: &[u8]) -> Option<(Position, Result<Position, InvalidPosition>)> {
    let position = decode(&[bytes, &checksum(bytes).to_be_bytes()].concat())?;
    let again = Position::parse(&position.encode(), position.places.len());
    Some((position, again))
}

fn decode(bytes: &[u8]) -> Option<Position> {
    let (bytes, sum) = bytes.split_last_chunk::<4>()?;
    if checksum(bytes) != u32::from_be_bytes(*sum) {
        return None;
    }
    let (format, mut rest) = bytes.split_first()?;
    if *format != FORMAT {
        return None;
    }
    let parts = take(&mut rest).filter(|parts| (1..=PARTS_MAX).contains(parts))?;
    let latest = take(&mut rest)?;
    let mut places = Vec::with_capacity(parts as usize);
    for _ in 0..parts {
        places.push(match take(&mut rest)? {
            0 => FeedPlace::START,
            n => FeedPlace { major: latest.checked_sub(n - 1)?, minor: take(&mut rest)? },
        });
    }
    let histories = match take(&mut rest)? {
        0 => None,
        n if n <= parts => {
            let mut of = Vec::with_capacity(n as usize);
            for _ in 0..n {
                of.push(take(&mut rest).filter(|part| *part < parts)? as u32);
            }
            let version = Version::new(take(&mut rest)?)?;
            let length = take(&mut rest)?;
            let (graph, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            rest = after;
            let graph = match graph {
                [] => None,
                graph => Some(GraphId::parse(std::str::from_utf8(graph).ok()?).ok()?),
            };
            Some(Histories { parts: of, graph, version })
        }
        _ => return None,
    };
    rest.is_empty().then_some(Position { places, histories })
}

fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut n = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        n |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

/// FNV-1a: it is to notice a slip, not an attack; a made-up position reads nothing that a real one
/// does not.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places() -> impl Strategy<Value = Vec<FeedPlace>> {
        let place = prop_oneof![
            Just(FeedPlace::START),
            (0..=i64::MAX as u64, prop_oneof![0..5_u64, any::<u64>()])
                .prop_map(|(major, minor)| FeedPlace { major, minor }),
        ];
        prop::collection::vec(place, 1..70)
    }

    fn positions() -> impl Strategy<Value = Position> {
        let histories =
            (any::<prop::sample::Index>(), prop::option::of("[a-z][a-z.:-]{0,127}"), 0..1_u64 << 62);
        (places(), prop::option::of(histories)).prop_map(|(places, histories)| {
            let histories = histories.map(|(part, graph, version)| Histories {
                parts: vec![part.index(places.len()) as u32],
                graph: graph.map(|graph| GraphId::parse(&graph).expect("an id")),
                version: Version::new(version).expect("a version"),
            });
            Position { places, histories }
        })
    }

    proptest! {
        #[test]
        fn s3_a_position_is_read_back_as_it_was(position in positions()) {
            let text = position.encode();
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            prop_assert_eq!(Position::parse(&text, position.places.len()), Ok(position));
        }

        #[test]
        fn s3_a_changed_position_is_not_read(position in positions(), at: prop::sample::Index, bit in 0..8_u32) {
            let mut bytes = URL_SAFE_NO_PAD.decode(position.encode()).expect("base64");
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            let text = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(Position::parse(&text, position.places.len()), Err(InvalidPosition::Unreadable));
        }

        #[test]
        fn s3_any_bytes_are_a_position_or_not_and_do_no_harm(mut bytes: Vec<u8>) {
            bytes.insert(0, FORMAT);
            bytes.extend_from_slice(&checksum(&bytes).to_be_bytes());
            let _read_or_not = Position::parse(&URL_SAFE_NO_PAD.encode(bytes), 1);
        }
    }

    #[test]
    fn s3_a_position_of_another_store_says_so() {
        let text = Position::at(vec![FeedPlace::START; 3]).encode();
        assert_eq!(Position::parse(&text, 2), Err(InvalidPosition::OtherParts { found: 3, parts: 2 }));
    }

    #[test]
    fn s3_a_position_is_small_where_little_moves() {
        let mut places = vec![FeedPlace::START; 64];
        places[7] = FeedPlace { major: 1_763_800_000_000, minor: 3 };
        assert!(Position::at(places).encode().len() < 120);
        let busy = (0..64).map(|n| FeedPlace { major: 1_763_800_000_000 - n, minor: n % 3 }).collect();
        assert!(Position::at(busy).encode().len() < 220);
    }
}
