//! Where a page ended, as text that clients hand back: opaque, and stable over restarts and other
//! servers.
//!
//! base64url of `[format, version, number, check]`. The check is of a SHA-256 over the rest and the
//! question it belongs to: a cursor that was mistyped, or that belongs to another graph, order or
//! entity, is 400 and never a silent gap. It is not a secret.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use dao_projections::{GraphId, Version};
use sha2::{Digest, Sha256};

use super::super::problem::Problem;
use crate::read::RefusalPlace;

/// The format that is written; others are not read.
const FORMAT: u8 = 1;
/// Bytes of the check.
const CHECK_BYTES: usize = 4;
/// Bytes of a cursor without its check.
const PLACE_BYTES: usize = 1 + 8 + 8;

/// The cursors of one question.
pub(super) struct Cursor(Sha256);

impl Cursor {
    /// Of a question about this graph; `about` tells it from others.
    pub(super) fn of(graph: &GraphId, about: &[&str]) -> Self {
        let mut question = Sha256::new();
        for part in [graph.as_str()].iter().chain(about) {
            question.update(part);
            question.update([0]);
        }
        Self(question)
    }

    pub(super) fn write(&self, place: RefusalPlace) -> String {
        let mut bytes = Vec::with_capacity(PLACE_BYTES + CHECK_BYTES);
        bytes.push(FORMAT);
        bytes.extend(place.version.get().to_be_bytes());
        bytes.extend(place.number.to_be_bytes());
        let check = self.check(&bytes);
        bytes.extend(check);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(super) fn read(&self, text: &str) -> Result<RefusalPlace, Problem> {
        self.place(text).ok_or_else(Problem::bad_cursor)
    }

    fn place(&self, text: &str) -> Option<RefusalPlace> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (place, check) = bytes.split_at_checked(PLACE_BYTES)?;
        if check != self.check(place) || place[0] != FORMAT {
            return None;
        }
        let number = |bytes: &[u8]| Some(u64::from_be_bytes(bytes.try_into().ok()?));
        Some(RefusalPlace { version: Version::new(number(&place[1..9])?)?, number: number(&place[9..])? })
    }

    fn check(&self, place: &[u8]) -> [u8; CHECK_BYTES] {
        let digest = self.0.clone().chain_update(place).finalize();
        let mut check = [0; CHECK_BYTES];
        check.copy_from_slice(&digest[..CHECK_BYTES]);
        check
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a1_a_cursor_is_read_for_its_own_question_alone() {
        let graph = |id: &str| GraphId::parse(id).expect("a graph id");
        let own = Cursor::of(&graph("g"), &["operations", "asc"]);
        let place = RefusalPlace { version: Version::MAX, number: 7 };
        let text = own.write(place);
        assert_eq!(own.place(&text), Some(place));
        let others = [
            Cursor::of(&graph("h"), &["operations", "asc"]),
            Cursor::of(&graph("g"), &["operations", "desc"]),
            Cursor::of(&graph("g"), &["operationsasc"]),
        ];
        assert!(others.iter().all(|other| other.place(&text).is_none()));
        for at in 0..text.len() {
            let mut garbled = text.clone().into_bytes();
            garbled[at] = if garbled[at] == b'A' { b'B' } else { b'A' };
            let garbled = String::from_utf8(garbled).expect("ASCII");
            assert_eq!(own.place(&garbled), None, "{garbled}");
            assert_eq!(own.place(&text[..at]), None);
        }
    }
}
