//! Stretches of one graph's history, as a subscription reckons with them.

use dao_projections::{GraphId, Version};
use serde::{Deserialize, Serialize};

/// Versions from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionSpan {
    /// The first.
    pub from: Version,
    /// The last; [`Version::MAX`] for all there are.
    pub to: Version,
}

impl VersionSpan {
    pub(super) fn of(version: Version) -> Self {
        Self { from: version, to: version }
    }

    /// What of it comes after this version.
    pub(super) fn after(self, version: Version) -> Option<Self> {
        (version < self.to).then(|| Self { from: self.from.max(version.next()), ..self })
    }
}

/// What a graph can hand out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueSpan {
    /// Whose.
    pub graph: GraphId,
    /// The first commit of these that is wanted.
    pub span: VersionSpan,
}

/// What can go out in one run with the commit of a graph that was just handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunExtension {
    /// The commits after it.
    pub span: VersionSpan,
    /// How many wanted ones of them at most.
    pub count: usize,
}
