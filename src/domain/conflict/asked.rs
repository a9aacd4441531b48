//! The fields that a command or an event writes, and what is to stand there (rules D2 and D3).

use dao_projections::{EntityKind, Event, MergePatch, Pointer};
use serde_json::Value;

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

/// Whether merging what is asked for into what stands there changes nothing. A deletion (the whole
/// entity, null) always changes something.
pub(super) fn is_what_was_asked(path: &Pointer, stands: &Value, yours: &Value) -> bool {
    if yours.is_null() {
        return stands.is_null() && *path != Pointer::root();
    }
    MergePatch::leaves_as_is(stands, yours)
}
