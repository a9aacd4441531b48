//! Labels: names for versions of a graph (rule L12).
//!
//! Not here: how a change of one is judged (`conflict::labelling`), and who may change which (`http`).

use dao_projections::{LabelName, Version};

/// Labels of a graph, at most.
pub const LABELS_MAX: usize = 1_000;
/// Bytes of all notes of a graph, at most: they are shown in lists of graphs.
pub(super) const NOTES_BYTES_MAX: usize = 64 << 10;

/// `LABEL_VERSION`: what a label is to name.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelling {
    /// Which label.
    pub name: LabelName,
    /// What it is to name.
    pub to: LabelTo,
    /// What its author has to say about it.
    pub note: Option<Box<str>>,
    /// What the label has to name now, if its author says so; `Some(None)`: nothing.
    pub expect: Option<Option<Version>>,
}

/// What a label is to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelTo {
    /// The latest version.
    Head,
    /// This version.
    Version(Version),
    /// Nothing: it is removed.
    Nothing,
}
