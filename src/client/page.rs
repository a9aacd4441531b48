//! A page of `GET /graphs/{graphId}/changes` (rules H2, H6).

use dao_projections::{Hash, Head, Version};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    frames::{Unreadable, hash, version},
    received::Received,
};

/// Commits after a point.
#[derive(Debug)]
pub struct Page {
    /// Where the graph stands.
    pub current: Head,
    /// Whether the point is not of this history (rule V4); then there are no commits.
    pub is_reset: bool,
    /// The commits, in order.
    pub commits: Vec<Received>,
    /// Whether there are more.
    pub has_more: bool,
}

impl Page {
    /// Reads the body of an answer.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Fields<'a> {
            #[serde(deserialize_with = "version")]
            current_version: Version,
            #[serde(deserialize_with = "hash")]
            hash: Hash,
            has_more: bool,
            #[serde(default)]
            reset: bool,
            #[serde(borrow)]
            changes: Vec<&'a RawValue>,
        }
        let fields: Fields<'_> =
            serde_json::from_str(text).map_err(|problem| Unreadable::new(problem, text))?;
        let commits = fields.changes.iter().map(|commit| Received::read(commit.get()));
        Ok(Self {
            current: Head { version: fields.current_version, hash: fields.hash },
            is_reset: fields.reset,
            commits: commits.collect::<Result<_, _>>()?,
            has_more: fields.has_more,
        })
    }
}
