//! The fields that a command or an event writes, with their requested and current values (rules D2 and D3).
//!
//! Fields are compared by walking both sides at once, without building paths: there may be tens of thousands of paths
//! below a long key.

use std::borrow::Cow;

use dao_projections::{Attributes, Edge, EntityKind, Event, Map, MergePatch, Node, Position, Viewport};
use serde_json::{Value, json};

use crate::domain::{command::Command, memory::object_memory, refusal::TOO_LARGE_TO_SHOW};

/// The fields that a command or an event writes.
#[derive(Clone, Copy)]
pub(super) enum Fields<'a> {
    /// The whole entity.
    Whole,
    /// A node's `position`.
    Position,
    /// The leaves of a patch; of a node's, `position` is one.
    Patch(&'a Map),
    /// None: what was written stands beside the attributes, as labels and the trash of a graph do.
    Beside,
}

impl<'a> Fields<'a> {
    pub(super) fn of(event: &'a Event) -> Self {
        match event {
            Event::NodeUpdated { patch, .. }
            | Event::EdgeUpdated { patch, .. }
            | Event::GraphUpdated { patch } => Self::Patch(patch.fields()),
            Event::NodeMoved { .. } => Self::Position,
            Event::NodeCreated { .. }
            | Event::NodeReplaced { .. }
            | Event::NodeDeleted { .. }
            | Event::EdgeCreated { .. }
            | Event::EdgeReplaced { .. }
            | Event::EdgeDeleted { .. }
            | Event::ViewportSet { .. }
            | Event::NodeRestored { .. }
            | Event::EdgeRestored { .. }
            | Event::GraphCreated { .. } => Self::Whole,
            Event::GraphTrashed { .. }
            | Event::GraphRecovered {}
            | Event::GraphForked { .. }
            | Event::VersionLabelled { .. } => Self::Beside,
        }
    }

    /// Whether they are only the position.
    pub(super) fn is_only_position(self, kind: EntityKind) -> bool {
        match self {
            Self::Whole | Self::Beside => false,
            Self::Position => true,
            Self::Patch(fields) => {
                kind == EntityKind::Node && fields.len() == 1 && fields.contains_key("position")
            }
        }
    }

    /// Whether one of them is at this path, above it or below it.
    pub(super) fn touch(self, kind: EntityKind, path: &[&str]) -> bool {
        match self {
            Self::Whole => true,
            Self::Beside => false,
            Self::Position => path.first().is_none_or(|first| *first == "position"),
            Self::Patch(fields) => {
                let mut fields = fields;
                for (depth, key) in path.iter().enumerate() {
                    match fields.get(*key) {
                        None => return false,
                        Some(value) => match inner(value, kind, depth, key) {
                            Some(below) => fields = below,
                            None => return true,
                        },
                    }
                }
                !fields.is_empty()
            }
        }
    }

    /// Calls `with` with the path of each, until it returns that it has enough.
    pub(super) fn each(self, kind: EntityKind, with: &mut impl FnMut(&[&'a str]) -> Go) -> Go {
        match self {
            Self::Whole => with(&[]),
            Self::Beside => Go::On,
            Self::Position => with(&["position"]),
            Self::Patch(fields) => each_leaf(fields, kind, &mut Vec::new(), with),
        }
    }
}

/// Whether a walk continues.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Go {
    On,
    Stop,
}

fn each_leaf<'a>(
    fields: &'a Map,
    kind: EntityKind,
    path: &mut Vec<&'a str>,
    with: &mut impl FnMut(&[&'a str]) -> Go,
) -> Go {
    for (key, value) in fields {
        let depth = path.len();
        path.push(key);
        let go = match inner(value, kind, depth, key) {
            Some(below) => each_leaf(below, kind, path, with),
            None => with(path.as_slice()),
        };
        path.pop();
        if go == Go::Stop {
            return go;
        }
    }
    Go::On
}

/// The fields of a patch below the value at `key`; `None` if that is a leaf. An empty object is one, and so is
/// the position of a node.
pub(super) fn inner<'v>(value: &'v Value, kind: EntityKind, depth: usize, key: &str) -> Option<&'v Map> {
    if kind == EntityKind::Node && depth == 0 && key == "position" {
        return None;
    }
    value.as_object().filter(|fields| !fields.is_empty())
}

/// What a command asks for on one entity.
#[derive(Clone, Copy)]
pub(super) enum Asked<'a> {
    Node(&'a Node),
    Edge(&'a Edge),
    Viewport(&'a Viewport),
    /// The attributes that a graph is created with.
    Graph(&'a Attributes),
    /// Remove the entity.
    Removal,
    Position(&'a Position),
    Patch(&'a MergePatch),
    /// The entity is named but not changed.
    Nothing,
}

impl<'a> Asked<'a> {
    pub(super) fn by(command: &'a Command) -> Self {
        match command {
            Command::CreateNode { node } => Self::Node(node),
            Command::CreateEdge { edge } => Self::Edge(edge),
            Command::UpdateNode { patch, .. }
            | Command::UpdateEdge { patch, .. }
            | Command::UpdateGraph { patch } => Self::Patch(patch),
            Command::CreateGraph { attributes, .. } | Command::CopyGraph { attributes, .. } => {
                Self::Graph(attributes)
            }
            // They stand beside the attributes.
            Command::DeleteGraph { .. } | Command::RecoverGraph | Command::LabelVersion { .. } => {
                Self::Nothing
            }
            Command::UpdateNodePosition { position, .. } => Self::Position(position),
            Command::DeleteNode { .. } | Command::DeleteEdge { .. } => Self::Removal,
            Command::SetViewport { viewport } => Self::Viewport(viewport),
            // Judged by their events, or change by change.
            Command::BatchUpdate { .. }
            | Command::SaveDocument { .. }
            | Command::Undo { .. }
            | Command::RestoreVersion { .. } => Self::Nothing,
        }
    }

    pub(super) fn of(event: &'a Event) -> Self {
        match event {
            Event::NodeCreated { node } | Event::NodeReplaced { node } | Event::NodeRestored { node, .. } => {
                Self::Node(node)
            }
            Event::EdgeCreated { edge } | Event::EdgeReplaced { edge } | Event::EdgeRestored { edge, .. } => {
                Self::Edge(edge)
            }
            Event::NodeUpdated { patch, .. }
            | Event::EdgeUpdated { patch, .. }
            | Event::GraphUpdated { patch } => Self::Patch(patch),
            Event::NodeMoved { position, .. } => Self::Position(position),
            Event::NodeDeleted { .. } | Event::EdgeDeleted { .. } => Self::Removal,
            Event::ViewportSet { viewport } => Self::Viewport(viewport),
            Event::GraphCreated { attributes, .. } => Self::Graph(attributes),
            Event::GraphTrashed { .. }
            | Event::GraphRecovered {}
            | Event::GraphForked { .. }
            | Event::VersionLabelled { .. } => Self::Nothing,
        }
    }

    /// The fields that it writes; none if it writes nothing.
    pub(super) fn fields(self) -> Option<Fields<'a>> {
        match self {
            Self::Node(_) | Self::Edge(_) | Self::Viewport(_) | Self::Graph(_) | Self::Removal => {
                Some(Fields::Whole)
            }
            Self::Position(_) => Some(Fields::Position),
            Self::Patch(patch) => Some(Fields::Patch(patch.fields())),
            Self::Nothing => None,
        }
    }

    /// The requested value at a path that it writes.
    pub(super) fn yours(self, path: &[&str]) -> Cow<'a, Value> {
        match self {
            Self::Node(node) => Cow::Owned(Value::Object(node.to_json())),
            Self::Edge(edge) => Cow::Owned(Value::Object(edge.to_json())),
            Self::Viewport(viewport) => Cow::Owned(viewport.to_json()),
            Self::Graph(attributes) => Cow::Owned(Value::Object(attributes.fields().clone())),
            Self::Removal | Self::Nothing => Cow::Owned(Value::Null),
            Self::Position(position) => Cow::Owned(position.to_json()),
            Self::Patch(patch) => {
                let mut keys = path.iter();
                let first = keys.next().and_then(|key| patch.fields().get(*key));
                let found = keys.fold(first, |value, key| value?.as_object()?.get(*key));
                found.map_or(Cow::Owned(Value::Null), Cow::Borrowed)
            }
        }
    }

    /// The first path that it writes which is this one, an ancestor or a descendant.
    pub(super) fn first_at(self, kind: EntityKind, path: &[&'a str]) -> Option<Vec<&'a str>> {
        match self.fields()? {
            Fields::Whole => Some(vec![]),
            Fields::Beside => None,
            Fields::Position => Fields::Position.touch(kind, path).then(|| vec!["position"]),
            Fields::Patch(fields) => {
                let (mut fields, mut at) = (fields, Vec::new());
                for (depth, key) in path.iter().enumerate() {
                    let value = fields.get(*key)?;
                    at.push(*key);
                    match inner(value, kind, depth, key) {
                        Some(below) => fields = below,
                        None => return Some(at),
                    }
                }
                let mut first = None;
                let _stopped = each_leaf(fields, kind, &mut at, &mut |path| {
                    first = Some(path.to_vec());
                    Go::Stop
                });
                first
            }
        }
    }
}

/// What a command asks for on a deleted target; null to remove it.
pub(super) fn yours_of(command: &Command) -> Value {
    match command {
        Command::UpdateNode { patch, .. }
        | Command::UpdateEdge { patch, .. }
        | Command::UpdateGraph { patch } => match object_memory(patch.fields()) > CONFLICTS_BYTES_MAX {
            true => Value::from(TOO_LARGE_TO_SHOW),
            false => Value::Object(patch.fields().clone()),
        },
        Command::UpdateNodePosition { position, .. } => json!({"position": position.to_json()}),
        Command::DeleteNode { .. }
        | Command::DeleteEdge { .. }
        | Command::CreateNode { .. }
        | Command::CreateEdge { .. }
        | Command::SetViewport { .. }
        | Command::BatchUpdate { .. }
        | Command::SaveDocument { .. }
        | Command::Undo { .. }
        | Command::CreateGraph { .. }
        | Command::CopyGraph { .. }
        | Command::DeleteGraph { .. }
        | Command::RecoverGraph
        | Command::LabelVersion { .. }
        | Command::RestoreVersion { .. } => Value::Null,
    }
}

/// The bytes that the conflicts of one command may occupy, beyond the first. Values that do not fit are replaced by a
/// note.
pub(super) const CONFLICTS_BYTES_MAX: usize = 2 << 20;
