//! The changes of a document save, looked up and cut down.

use std::collections::HashMap;

use dao_projections::{Edge, EdgeId, Map, MergePatch, Node, NodeId, Pointer};
use serde_json::Value;

use crate::domain::{
    command::Command,
    document::{Change, Document},
    refusal::Conflict,
};

/// An entity of a document.
pub(super) enum Created<'d> {
    Node(&'d Node),
    Edge(&'d Edge),
}

/// The entities of a document by id.
pub(super) struct Index<'d> {
    nodes: HashMap<&'d NodeId, &'d Node>,
    edges: HashMap<&'d EdgeId, &'d Edge>,
}

impl<'d> Index<'d> {
    pub(super) fn of(document: &'d Document) -> Self {
        Self {
            nodes: document.nodes.iter().map(|node| (node.id(), node)).collect(),
            edges: document.edges.iter().map(|edge| (edge.id(), edge)).collect(),
        }
    }

    /// The entity that a change is about.
    pub(super) fn created_again(&self, change: &Change) -> Option<Created<'d>> {
        let node = |id: &NodeId| self.nodes.get(id).copied().map(Created::Node);
        let edge = |id: &EdgeId| self.edges.get(id).copied().map(Created::Edge);
        match change {
            Change::Command(
                Command::UpdateNode { node_id, .. } | Command::UpdateNodePosition { node_id, .. },
            ) => node(node_id),
            Change::ReplaceNode(replaced) => node(replaced.id()),
            Change::Command(Command::UpdateEdge { edge_id, .. }) => edge(edge_id),
            Change::ReplaceEdge(replaced) => edge(replaced.id()),
            Change::Command(_) => None,
        }
    }
}

/// The change without the fields that conflict; `None` where nothing is left of it, or it is not made of fields.
pub(super) fn without_fields(change: &Change, conflicts: &[Conflict]) -> Option<Change> {
    let id = match change {
        Change::Command(Command::UpdateNode { node_id, .. }) => node_id.as_str(),
        Change::Command(Command::UpdateEdge { edge_id, .. }) => edge_id.as_str(),
        Change::Command(_) | Change::ReplaceNode(_) | Change::ReplaceEdge(_) => return None,
    };
    let mut gone = Gone::default();
    conflicts.iter().filter(|conflict| conflict.id == id).for_each(|conflict| gone.add(&conflict.path));
    if gone.is_all {
        return None;
    }
    let keep = |patch: &MergePatch| -> Option<MergePatch> {
        let fields = gone.removed_from(patch.fields());
        (!fields.is_empty() && fields != *patch.fields()).then(|| MergePatch::new(fields))
    };
    Some(Change::Command(match change {
        Change::Command(Command::UpdateNode { node_id, patch }) => {
            Command::UpdateNode { node_id: node_id.clone(), patch: keep(patch)? }
        }
        Change::Command(Command::UpdateEdge { edge_id, patch }) => {
            Command::UpdateEdge { edge_id: edge_id.clone(), patch: keep(patch)? }
        }
        Change::Command(_) | Change::ReplaceNode(_) | Change::ReplaceEdge(_) => return None,
    }))
}

/// Paths by their keys. Written out, the path of each field below a long key would be that long.
#[derive(Default)]
struct Gone {
    /// Everything from here on.
    is_all: bool,
    below: HashMap<String, Gone>,
}

impl Gone {
    fn add(&mut self, path: &Pointer) {
        path.keys().fold(self, |at, key| at.below.entry(key.into_owned()).or_default()).is_all = true;
    }

    fn removed_from(&self, fields: &Map) -> Map {
        let mut kept = Map::new();
        for (key, value) in fields {
            let value = match (self.below.get(key), value) {
                (None, value) => value.clone(),
                (Some(gone), _) if gone.is_all => continue,
                (Some(gone), Value::Object(below)) if !below.is_empty() => {
                    let left = gone.removed_from(below);
                    if left.is_empty() {
                        continue;
                    }
                    Value::Object(left)
                }
                (Some(_), value) => value.clone(),
            };
            kept.insert(key.clone(), value);
        }
        kept
    }
}
