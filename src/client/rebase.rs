//! The point of its history that an operation's frame names (rule D8), and the same frame at another one.
//!
//! What is asked for stays as it was written, byte by byte: the server tells a repetition by it (rule C3).

use std::collections::BTreeMap;

use dao_projections::{Hash, Head, Version};
use serde_json::value::RawValue;

type Fields = BTreeMap<String, Box<RawValue>>;

const VERSION: &str = "clientVersion";
const HASH: &str = "clientHash";

/// The version that a frame names, and whether it names its hash too.
pub(super) fn named_version(frame: &str) -> Option<(Version, bool)> {
    let fields: Fields = serde_json::from_str(frame).ok()?;
    let version: u64 = serde_json::from_str(fields.get(VERSION)?.get()).ok()?;
    Some((Version::new(version)?, fields.get(HASH).is_some_and(|hash| hash.get() != "null")))
}

/// The frame with the hash of the version that it names. `None` if it can't be read.
pub(super) fn with_hash(frame: &str, hash: Hash) -> Option<String> {
    let mut fields: Fields = serde_json::from_str(frame).ok()?;
    fields.insert(HASH.to_owned(), serde_json::value::to_raw_value(&hash).ok()?);
    serde_json::to_string(&fields).ok()
}

/// The frame with this point as what its author had applied. Members of a batch have none of their own then.
/// `None` if it can't be read.
pub(super) fn at_point(frame: &str, point: Head) -> Option<String> {
    let mut fields: Fields = serde_json::from_str(frame).ok()?;
    if let Some(operations) = fields.get("operations") {
        let mut members: Vec<Fields> = serde_json::from_str(operations.get()).ok()?;
        for member in &mut members {
            member.remove(VERSION);
            member.remove(HASH);
        }
        fields.insert("operations".to_owned(), serde_json::value::to_raw_value(&members).ok()?);
    }
    fields.insert(VERSION.to_owned(), serde_json::value::to_raw_value(&point.version).ok()?);
    fields.insert(HASH.to_owned(), serde_json::value::to_raw_value(&point.hash).ok()?);
    serde_json::to_string(&fields).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d8_a_frame_is_moved_and_asks_for_the_same() {
        let frame = r#"{"type":"BATCH","batchId":"b","clientVersion":7,"clientHash":"ab","operations":[
            {"type":"T","clientVersion":6,"clientHash":"cd","payload":{"z":1.0,"a":12345678901234567890.5}}]}"#;
        assert_eq!(named_version(frame), Some((Version::EMPTY.plus(7), true)));
        let moved = at_point(frame, Head::EMPTY).expect("a frame");
        assert_eq!(named_version(&moved), Some((Version::EMPTY, true)));
        assert!(moved.contains(r#""payload":{"z":1.0,"a":12345678901234567890.5}"#), "{moved}");
        assert!(!moved.contains("ab") && !moved.contains("cd"), "{moved}");
        assert_eq!(at_point("nonsense", Head::EMPTY), None);
        assert_eq!(
            named_version(r#"{"clientVersion":3,"clientHash":null}"#),
            Some((Version::EMPTY.plus(3), false))
        );
    }
}
