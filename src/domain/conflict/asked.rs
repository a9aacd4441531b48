//! The fields that a command or an event writes, what is to stand there, and what does (rules D2 and D3).

use dao_projections::{EntityKind, Event, MergePatch, Pointer, Position};
use serde_json::{Value, json};

use crate::domain::command::Command;

/// A field that is to be written, and what is to stand there.
pub(super) struct Asked {
    pub(super) path: Pointer,
    pub(super) yours: Value,
}

impl Asked {
    fn whole(yours: Value) -> Vec<Self> {
        vec![Self { path: Pointer::root(), yours }]
    }

    fn position(yours: Value) -> Vec<Self> {
        vec![Self { path: Pointer::position(), yours }]
    }

    /// The leaf paths of a patch as sent; of a node's, `position` is one.
    fn leaves(patch: &MergePatch, kind: EntityKind) -> Vec<Self> {
        let mut asked: Vec<Self> = Vec::new();
        for (path, value) in patch.leaves() {
            if kind == EntityKind::Node && path.is_within_position() {
                if asked.iter().all(|known| known.path != Pointer::position()) {
                    asked.extend(
                        patch.fields().get("position").cloned().map(Self::position).into_iter().flatten(),
                    );
                }
            } else {
                asked.push(Self { path, yours: value.clone() });
            }
        }
        asked
    }
}

pub(super) fn asked_by(command: &Command) -> Vec<Asked> {
    match command {
        Command::CreateNode { node } => Asked::whole(Value::Object(node.to_json())),
        Command::CreateEdge { edge } => Asked::whole(Value::Object(edge.to_json())),
        Command::UpdateNode { patch, .. } => Asked::leaves(patch, EntityKind::Node),
        Command::UpdateEdge { patch, .. } => Asked::leaves(patch, EntityKind::Edge),
        Command::UpdateNodePosition { position, .. } => Asked::position(position.to_json()),
        Command::DeleteNode { .. } | Command::DeleteEdge { .. } => Asked::whole(Value::Null),
        Command::SetViewport { viewport } => Asked::whole(viewport.to_json()),
        Command::BatchUpdate { .. } => vec![], // judged by its events
    }
}

/// What a command would make of a target that is gone; null to remove it.
pub(super) fn yours_of(command: &Command) -> Value {
    match command {
        Command::UpdateNode { patch, .. } | Command::UpdateEdge { patch, .. } => {
            Value::Object(patch.fields().clone())
        }
        Command::UpdateNodePosition { position, .. } => json!({"position": position.to_json()}),
        Command::DeleteNode { .. }
        | Command::DeleteEdge { .. }
        | Command::CreateNode { .. }
        | Command::CreateEdge { .. }
        | Command::SetViewport { .. }
        | Command::BatchUpdate { .. } => Value::Null,
    }
}

pub(super) fn asked_of(event: &Event) -> Vec<Asked> {
    match event {
        Event::NodeCreated { node } | Event::NodeReplaced { node } => {
            Asked::whole(Value::Object(node.to_json()))
        }
        Event::EdgeCreated { edge } | Event::EdgeReplaced { edge } => {
            Asked::whole(Value::Object(edge.to_json()))
        }
        Event::NodeUpdated { patch, .. } => Asked::leaves(patch, EntityKind::Node),
        Event::EdgeUpdated { patch, .. } => Asked::leaves(patch, EntityKind::Edge),
        Event::NodeMoved { position, .. } => Asked::position(position.to_json()),
        Event::NodeDeleted { .. } | Event::EdgeDeleted { .. } => Asked::whole(Value::Null),
        Event::ViewportSet { viewport } => Asked::whole(viewport.to_json()),
    }
}

/// What stands at a path of an entity. A merge patch knows objects only: an element of a list has no
/// path of its own.
pub(super) enum Standing<'v> {
    /// This.
    There(&'v Value),
    /// Nothing, in an object that is there.
    Absent,
    /// Nothing, and above it there is no object: to write here replaces what is there.
    CutOff,
}

impl<'v> Standing<'v> {
    pub(super) fn at(path: &Pointer, entity: &'v Value) -> Self {
        let mut stands = entity;
        let mut keys = path.keys().peekable();
        while let Some(key) = keys.next() {
            match stands.as_object().map(|fields| fields.get(&*key)) {
                Some(Some(below)) => stands = below,
                Some(None) if keys.peek().is_none() => return Self::Absent,
                Some(None) | None => return Self::CutOff,
            }
        }
        Self::There(stands)
    }

    /// For people: what is absent is null (rule D7).
    pub(super) fn value(&self) -> Value {
        match self {
            Self::There(value) => (*value).clone(),
            Self::Absent | Self::CutOff => Value::Null,
        }
    }

    /// Whether writing `yours` at `path` changes nothing (rule D3): as the whole entity at the root,
    /// as a merge patch below it.
    pub(super) fn is_what_was_asked(&self, kind: EntityKind, path: &Pointer, yours: &Value) -> bool {
        match self {
            Self::There(stands) if *path == Pointer::root() => *stands == yours,
            Self::There(stands) if kind == EntityKind::Node && *path == Pointer::position() => {
                is_same_place(stands, yours)
            }
            Self::There(stands) => !yours.is_null() && MergePatch::leaves_as_is(stands, yours),
            Self::Absent => yours.is_null(),
            Self::CutOff => false,
        }
    }
}

/// Whether a node at `stands` stays where it is when `yours` is merged into that; 1 and 1.0 are the same
/// place (rule G6).
fn is_same_place(stands: &Value, yours: &Value) -> bool {
    let mut moved = stands.clone();
    if let (Some(place), Some(yours)) = (moved.as_object_mut(), yours.as_object()) {
        place.extend(yours.clone());
    }
    match (Position::from_json(stands), Position::from_json(&moved)) {
        (Ok(before), Ok(after)) => before == after,
        (Err(_), _) | (_, Err(_)) => false,
    }
}
