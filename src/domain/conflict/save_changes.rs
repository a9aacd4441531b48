//! The changes of a document save, looked up and cut down.

use std::collections::HashMap;

use dao_projections::{Edge, EdgeId, Graph, Map, MergePatch, Node, NodeId, Pointer};
use serde_json::Value;

use crate::domain::{
    command::Command,
    descendants::{PARENT_FIELDS, descendants, edges_of_all},
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

/// What takes out of a node that is to be deleted whatever the document has, but others put into it: back to where the
/// document has it, as far as that is there.
pub(super) fn taken_out(then: &Graph, node: &NodeId, document: &Index<'_>) -> Vec<Change> {
    let going: Vec<_> = descendants(then, [node]).collect();
    let is_there = |id: &str| NodeId::parse(id).is_ok_and(|id| then.nodes().get(&id).is_some());
    let nodes = going.iter().skip(1).filter_map(|now| {
        let now = &now.entity;
        let wanted = document.nodes.get(now.id())?.attributes();
        let patch: Map = PARENT_FIELDS
            .iter()
            .filter_map(|field| {
                let is_kept = |value: &&Value| *field == "extent" || value.as_str().is_some_and(is_there);
                let value = wanted.get(*field).filter(is_kept);
                (value != now.attributes().get(*field))
                    .then(|| ((*field).to_owned(), value.cloned().unwrap_or(Value::Null)))
            })
            .collect();
        let patch = (!patch.is_empty()).then(|| MergePatch::new(patch))?;
        Some(Change::Command(Command::UpdateNode { node_id: now.id().clone(), patch }))
    });
    let edges = edges_of_all(then, &going).into_iter().filter_map(|now| {
        let now = &now.entity;
        let wanted = document.edges.get(now.id())?;
        let ends = [("source", wanted.source()), ("target", wanted.target())];
        let moves = (wanted.source(), wanted.target()) != (now.source(), now.target());
        let is_possible = moves && ends.iter().all(|(_, end)| is_there(end.as_str()));
        let patch = ends.map(|(field, end)| (field.to_owned(), Value::from(end.as_str())));
        let patch = is_possible.then(|| MergePatch::new(patch.into_iter().collect()))?;
        Some(Change::Command(Command::UpdateEdge { edge_id: now.id().clone(), patch }))
    });
    nodes.chain(edges).collect()
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
