//! A graph that begins as a copy of another one (rule L7).
//!
//! Not here: reading the other graph. The caller has it, or gets [`HistoryMissing::Source`](super::HistoryMissing) and reads.

use dao_projections::{Attributes, Event, Graph, GraphId, LabelName, MergePatch, Origin, Trashed, Version};
use serde_json::Value;

use super::{lifecycle::update_graph, limits::SETTINGS, rejection::Rejection, version_ref::VersionRef};

/// Bytes of contents, or of commits, that one command copies; more is for `dao-api copy`, which does it in pieces.
pub const COPY_BYTES_MAX: usize = 64 << 20;

/// What a new graph is copied from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyFrom {
    /// The graph to copy.
    pub graph: GraphId,
    /// At which version.
    pub at: VersionRef,
    /// What of it.
    pub part: CopyPart,
}

/// What of a graph is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyPart {
    /// What it holds at that version.
    Contents,
    /// Its attributes. Its contents follow in commits of their own.
    Outline,
    /// Its commits up to that version.
    History,
    /// Nothing any more: its commits are there already.
    Fork,
}

/// What was found of the graph to copy.
#[derive(Clone, Debug)]
pub enum Source {
    /// It is there.
    Found {
        /// Which version of it.
        origin: Origin,
        /// The graph at that version.
        graph: Box<Graph>,
    },
    /// Nobody has written to it.
    NotFound,
    /// It is in the trash.
    Trashed(Trashed),
    /// It has no such version.
    NoVersion {
        /// The version asked for.
        version: Version,
        /// Its latest.
        head: Version,
    },
    /// It has no such label.
    NoLabel(LabelName),
    /// What is asked for is more than one command copies.
    TooLarge,
}

/// What follows the commits that were copied. The settings go, but for those that are given: to set them needs another
/// right (rule L5).
pub(super) fn forked(
    (origin, source): (&Origin, &Graph),
    given: &Attributes,
) -> Result<Vec<Event>, Rejection> {
    let mut patch = given.fields().clone();
    if source.metadata().attributes.fields().contains_key(SETTINGS) {
        patch.entry(SETTINGS.to_owned()).or_insert(Value::Null);
    }
    let described = update_graph(source, &MergePatch::new(patch))?;
    let Origin { graph_id, version, hash } = origin.clone();
    Ok(std::iter::once(Event::GraphForked { graph_id, version, hash }).chain(described).collect())
}
