//! Labels, as clients get them.

use dao_projections::{Hash, Label, LabelName, Timestamp, UserId, Version};
use serde::Serialize;

/// Which version a label names.
#[derive(Serialize)]
pub(super) struct LabelOut<'a> {
    version: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<Hash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    at: Timestamp,
    by: Option<&'a UserId>,
}

impl<'a> LabelOut<'a> {
    pub(super) fn of(label: &'a Label) -> Self {
        let (version, hash) = (label.version, label.hash);
        Self { version, hash, note: label.note.as_deref(), at: label.at, by: label.by.as_ref() }
    }
}

/// A label by its name; without a version if it was removed.
#[derive(Serialize)]
pub(super) struct NamedLabelOut<'a> {
    name: &'a LabelName,
    version: Option<Version>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<Hash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a UserId>,
}

impl<'a> NamedLabelOut<'a> {
    pub(super) fn of(name: &'a LabelName, label: Option<&'a Label>) -> Self {
        Self {
            name,
            version: label.map(|label| label.version),
            hash: label.and_then(|label| label.hash),
            note: label.and_then(|label| label.note.as_deref()),
            at: label.map(|label| label.at),
            by: label.and_then(|label| label.by.as_ref()),
        }
    }
}
