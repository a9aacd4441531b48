//! What a graph has beside its nodes, edges and viewport: attributes, labels on its versions, where it came from,
//! and whether it is in the trash (rules L).
//!
//! Not here: the bounds of attributes. They are checked where a command is read, before there is an event.

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    entity::{Map, Timestamp},
    event::Event,
    id::{GraphId, LabelName, UserId},
    memory::{self, Size},
    patch::MergePatch,
    version::{Hash, Version},
};

/// Title, description, tags and whatever else says what a graph is. They are shared: a clone copies a pointer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes(Arc<Map>);

impl Attributes {
    /// These fields.
    pub fn new(fields: Map) -> Self {
        Self(Arc::new(fields))
    }

    /// As one JSON object.
    pub fn fields(&self) -> &Map {
        &self.0
    }

    /// The same with `patch` merged into them.
    #[must_use]
    pub fn patched(&self, patch: &MergePatch) -> Self {
        let mut fields = (*self.0).clone();
        patch.merge_into(&mut fields, &[]);
        Self::new(fields)
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(s)
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Map::deserialize(d).map(Self::new)
    }
}

/// One version of a graph that another graph was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// The graph that was copied.
    pub graph_id: GraphId,
    /// Which version of it.
    pub version: Version,
    /// The hash of that version.
    pub hash: Hash,
}

/// A name for one version of the graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The version that it names.
    pub version: Version,
    /// The hash of that version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Hash>,
    /// What somebody had to say about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Box<str>>,
    /// The commit that set it.
    #[serde(default)]
    pub commit: Version,
    /// When it was set.
    pub at: Timestamp,
    /// Who set it. `None` only while the event is not part of a commit yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
}

/// That a graph is in the trash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trashed {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// The graph that takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<GraphId>,
    /// When it may be purged; `None`: not by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purge_after: Option<Timestamp>,
    /// When it was put there.
    pub at: Timestamp,
    /// Who put it there. `None` only while the event is not part of a commit yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
}

/// All labels of a graph, by name.
pub type Labels = OrdMap<LabelName, Label>;

/// What a graph has beside its contents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// Title, description, tags …; empty where nobody gave any.
    pub attributes: Attributes,
    /// The commit that last wrote the attributes; [`Version::EMPTY`] if none did.
    pub attributes_version: Version,
    /// What it was copied from.
    pub origin: Option<Origin>,
    /// Names of versions.
    pub labels: Labels,
    /// There while the graph is in the trash.
    pub trashed: Option<Trashed>,
}

impl Metadata {
    /// What one event adds up to, as part of commit `version`. Events about nodes, edges and the viewport change
    /// nothing here.
    pub(crate) fn apply(&mut self, event: &Event, version: Version, at: Timestamp, by: Option<&UserId>) {
        match event {
            Event::GraphCreated { attributes, from } => {
                (self.attributes, self.attributes_version) = (attributes.clone(), version);
                self.origin = from.clone();
            }
            Event::GraphUpdated { patch } => {
                (self.attributes, self.attributes_version) = (self.attributes.patched(patch), version);
            }
            Event::GraphForked { graph_id, version, hash } => {
                // Labels and the trash are the first graph's alone.
                (self.labels, self.trashed) = (Labels::new(), None);
                self.origin = Some(Origin { graph_id: graph_id.clone(), version: *version, hash: *hash });
            }
            Event::GraphTrashed { .. } => self.trashed = trashed(event, at, by),
            Event::GraphRecovered {} => self.trashed = None,
            Event::VersionLabelled { name, .. } => match label(event, version, at, by) {
                Some(label) => drop(self.labels.insert(name.clone(), label)),
                None => drop(self.labels.remove(name)),
            },
            Event::NodeCreated { .. }
            | Event::NodeUpdated { .. }
            | Event::NodeMoved { .. }
            | Event::NodeReplaced { .. }
            | Event::NodeDeleted { .. }
            | Event::NodeRestored { .. }
            | Event::EdgeCreated { .. }
            | Event::EdgeUpdated { .. }
            | Event::EdgeReplaced { .. }
            | Event::EdgeDeleted { .. }
            | Event::EdgeRestored { .. }
            | Event::ViewportSet { .. } => {}
        }
    }

    /// How much it takes. Linear in the attributes and the labels.
    pub(crate) fn size(&self) -> Size {
        /// Names, hashes, authors and the places in the map.
        const LABEL: usize = 400;
        let notes =
            self.labels.values().map(|label| LABEL + label.note.as_ref().map_or(0, |note| note.len()));
        memory::object(self.attributes.fields()) + Size { held: notes.sum(), json: 0 }
    }
}

/// The label that an event sets; `None` where it takes one away.
pub(crate) fn label(event: &Event, commit: Version, at: Timestamp, by: Option<&UserId>) -> Option<Label> {
    let Event::VersionLabelled { version, hash, note, .. } = event else { return None };
    version.map(|version| Label { version, hash: *hash, note: note.clone(), commit, at, by: by.cloned() })
}

/// The trash that an event puts the graph into.
pub(crate) fn trashed(event: &Event, at: Timestamp, by: Option<&UserId>) -> Option<Trashed> {
    let Event::GraphTrashed { reason, moved_to, purge_after } = event else { return None };
    let (reason, moved_to, purge_after) = (reason.clone(), moved_to.clone(), *purge_after);
    Some(Trashed { reason, moved_to, purge_after, at, by: by.cloned() })
}
