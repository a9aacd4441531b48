//! What the author of a document save is told beside its outcome (rule DS10).

use dao_projections::{Event, Graph, Pointer, Version};

use super::{
    verdict::{Decided, Verdict},
    writes::last_written,
};
use crate::domain::{
    document::Intent,
    refusal::{Conflict, Refusal},
    size::json_bytes,
    touched::Touched,
};

/// What a document save came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// As of any operation.
    pub verdict: Verdict,
    /// What its author is told beside that; nothing where it is refused.
    pub report: SaveReport,
}

/// What a document save did (rule DS10).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SaveReport {
    /// Entities that the document brought.
    pub created: Touched,
    /// Entities that it changed.
    pub updated: Touched,
    /// Entities that it removed.
    pub deleted: Touched,
    /// Entities that went with those, whoever made them.
    pub also_deleted: Touched,
    /// Where what stands was kept (rule DS9).
    pub kept: Vec<Conflict>,
    /// Fields that are not stored and were in the document (rule DS5).
    pub ignored: Vec<Pointer>,
    /// The saver's own commits since the base.
    pub own: Vec<Version>,
}

impl SaveReport {
    /// How many entities and conflicts it shows.
    pub fn weight(&self) -> usize {
        self.lists().iter().map(|touched| touched.len()).sum::<usize>() + self.kept.len()
    }

    /// About how many bytes it takes as JSON.
    pub fn json_bytes(&self) -> usize {
        let of = |touched: &&Touched| json_bytes(&touched.nodes) + json_bytes(&touched.edges);
        let kept = self.kept.iter().map(json_bytes).sum::<usize>();
        self.lists().iter().map(of).sum::<usize>() + kept + json_bytes(&self.ignored) + json_bytes(&self.own)
    }

    fn lists(&self) -> [&Touched; 4] {
        [&self.created, &self.updated, &self.deleted, &self.also_deleted]
    }

    pub(super) fn of(events: &[Event], intent: &Intent, then: &Graph) -> Self {
        let mut report = Self::default();
        for event in events {
            let entity = event.entity();
            let list = match event {
                Event::NodeCreated { .. } | Event::EdgeCreated { .. } => &mut report.created,
                _ if !event.is_deletion() || last_written(then, entity).is_some() => &mut report.updated,
                _ if intent.removes(entity) => &mut report.deleted,
                _ => &mut report.also_deleted,
            };
            list.add(entity);
        }
        report
    }
}

impl Saved {
    /// As of a command that is judged with others.
    pub(super) fn into_decided(self) -> Result<Decided, Refusal> {
        match self.verdict {
            Verdict::Accepted { events, outcome, .. } => Ok(Decided::of(events, outcome)),
            Verdict::Unchanged { .. } => Ok(Decided::default()),
            Verdict::Refused(refusal) => Err(refusal),
        }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        Self { verdict: Verdict::Refused(refusal), report: SaveReport::default() }
    }
}
