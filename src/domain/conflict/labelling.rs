//! A `LABEL_VERSION` judged (rule L12): compare and set.

use std::borrow::Cow;

use dao_projections::{Entity, Event, Hash, Label, Labels, Outcome, Version};
use serde_json::{Value, json};

use super::{
    HistoryMissing,
    judgement::{Judged, Judgement},
    overlap::Conflicts,
    verdict::Decided,
};
use crate::domain::{
    labels::{LABELS_MAX, LabelTo, Labelling, NOTES_BYTES_MAX},
    refusal::{Reason, Refusal},
};

impl Judgement<'_> {
    pub(super) fn judge_label(&self, labelling: &Labelling) -> Judged {
        let Labelling { name, to, note, expect } = labelling;
        let labels = &self.graph.metadata().labels;
        let present = labels.get(name);
        if expect.is_some_and(|expected| expected != present.map(|label| label.version)) {
            return Ok(Err(self.label_moved(labelling, present)?));
        }
        let version = match to {
            LabelTo::Head => self.graph.head().version,
            LabelTo::Version(version) => *version,
            LabelTo::Nothing => {
                let gone =
                    Event::VersionLabelled { name: name.clone(), version: None, hash: None, note: None };
                let events = present.map(|_| gone).into_iter().collect();
                return Ok(Ok(Decided::of(events, Outcome::Applied)));
            }
        };
        let Some(hash) = self.hash_of_version(version)? else {
            return Ok(Err(self.version_not_found(version)));
        };
        if present.is_some_and(|label| label.version == version && label.note == *note) {
            return Ok(Ok(Decided::default()));
        }
        if let Some(refusal) = too_many(labels, labelling) {
            return Ok(Err(refusal));
        }
        let (version, hash) = (Some(version), Some(hash));
        let event = Event::VersionLabelled { name: name.clone(), version, hash, note: note.clone() };
        Ok(Ok(Decided::of(vec![event], Outcome::Applied)))
    }

    /// The hash of a version that has a commit.
    fn hash_of_version(&self, version: Version) -> Result<Option<Hash>, HistoryMissing> {
        let head = self.graph.head();
        if version == Version::EMPTY || version > head.version {
            return Ok(None);
        }
        if version == head.version {
            return Ok(Some(head.hash));
        }
        self.history.hash_at(version).ok_or(HistoryMissing::Hash(version)).map(Some)
    }

    pub(super) fn version_not_found(&self, version: Version) -> Refusal {
        let head = self.graph.head().version;
        let message = format!("There is no version {version}. The graph is at version {head}");
        Refusal::new(Reason::VersionNotFound, message)
    }

    /// It shows the label as it is now, and the commit that set it.
    fn label_moved(&self, labelling: &Labelling, present: Option<&Label>) -> Result<Refusal, HistoryMissing> {
        let Labelling { name, to, expect, .. } = labelling;
        let named = |version: Option<Version>| match version {
            Some(version) => format!("version {version}"),
            None => "nothing".to_owned(),
        };
        let (expected, current) = (named(expect.flatten()), named(present.map(|label| label.version)));
        let message = format!("Label {name} moved. It names {current}, and you expected {expected}");
        let mut entry = Conflicts::default();
        if let Some(label) = present {
            let commit = self.history.at(label.commit).ok_or(HistoryMissing::At(label.commit))?;
            let yours = match to {
                LabelTo::Head => json!(self.graph.head().version),
                LabelTo::Version(version) => json!(version),
                LabelTo::Nothing => Value::Null,
            };
            let values = (Cow::Owned(yours), Cow::Owned(json!(label.version)));
            entry.add(Entity::Graph, &["labels", name.as_str()], values.0, values.1, commit);
        }
        Ok(self.conflict(Reason::LabelMoved, message, entry.told))
    }
}

fn too_many(labels: &Labels, labelling: &Labelling) -> Option<Refusal> {
    let is_new = !labels.contains_key(&labelling.name);
    if is_new && labels.len() >= LABELS_MAX {
        let message = format!("The graph would have more than {LABELS_MAX} labels");
        return Some(Refusal::new(Reason::TooManyLabels, message));
    }
    let length = |note: &Option<Box<str>>| note.as_ref().map_or(0, |note| note.len());
    let others = labels.iter().filter(|(name, _)| **name != labelling.name);
    let bytes = length(&labelling.note) + others.map(|(_, label)| length(&label.note)).sum::<usize>();
    (length(&labelling.note) > 0 && bytes > NOTES_BYTES_MAX).then(|| {
        let message =
            format!("The notes on the labels of the graph would be longer than {NOTES_BYTES_MAX} bytes");
        Refusal::new(Reason::TooManyLabels, message)
    })
}
