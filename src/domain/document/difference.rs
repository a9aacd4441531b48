//! How an entity of a document differs from the one of its base, but for the fields that are ignored (rules DS2, DS5,
//! DS6). As in a difference of versions (rule A3), a null is as good as absent.
//!
//! Paths are walked key by key and never spelled out: there may be thousands of fields below a long key.

use std::collections::BTreeSet;

use dao_projections::{Edge, Map, MergePatch, Node, Pointer};
use serde_json::Value;

use super::{Absent, Reading, intent::Change};
use crate::domain::command::Command;

/// Fields of a node that describe the view of one person and are not stored.
const NODE_VIEW_FIELDS: [&str; 5] = ["selected", "dragging", "resizing", "measured", "positionAbsolute"];
/// The same of an edge.
const EDGE_VIEW_FIELDS: [&str; 1] = ["selected"];

/// Fields that are ignored, of nodes or of edges: each the keys on the way to it.
pub struct Ignored {
    paths: Vec<Vec<String>>,
    absent: Absent,
}

/// The rest of the paths that lead below one field.
type Below<'i> = Vec<&'i [String]>;

enum Field<'i> {
    Ignored,
    Compared(Below<'i>),
}

impl Ignored {
    /// Of nodes.
    pub fn of_nodes(reading: &Reading) -> Self {
        Self::of(&NODE_VIEW_FIELDS, reading)
    }

    /// Of edges.
    pub fn of_edges(reading: &Reading) -> Self {
        Self::of(&EDGE_VIEW_FIELDS, reading)
    }

    fn of(always: &[&str], reading: &Reading) -> Self {
        let always = always.iter().map(|field| vec![(*field).to_owned()]);
        let asked = reading.ignore.iter().map(|path| path.keys().map(|key| key.into_owned()).collect());
        Self { paths: always.chain(asked).collect(), absent: reading.absent }
    }

    fn top(&self) -> Below<'_> {
        self.paths.iter().map(Vec::as_slice).collect()
    }

    /// Removes the ignored fields from an entity, and adds the paths of those that it had.
    pub fn strip(&self, entity: &mut Map, found: &mut BTreeSet<Pointer>) {
        for path in &self.paths {
            let Some((last, above)) = path.split_last() else { continue };
            let mut fields = Some(&mut *entity);
            for key in above {
                fields = fields.and_then(|fields| fields.get_mut(key)).and_then(Value::as_object_mut);
            }
            if fields.is_some_and(|fields| fields.shift_remove(last).is_some()) {
                found.insert(path.iter().fold(Pointer::root(), |above, key| above.child(key)));
            }
        }
    }

    fn has_any(&self, attributes: &Map) -> bool {
        self.paths.iter().any(|path| {
            let mut keys = path.iter();
            let first = keys.next().and_then(|key| attributes.get(key));
            keys.fold(first, |value, key| value?.as_object()?.get(key)).is_some()
        })
    }

    fn without(&self, attributes: &Map) -> Map {
        let mut kept = attributes.clone();
        self.strip(&mut kept, &mut BTreeSet::new());
        kept
    }

    /// The node as it is stored where it is new. It is shared, not copied, where nothing of it is ignored.
    pub(super) fn stored_node(&self, node: &Node) -> Node {
        match self.has_any(node.attributes()) {
            true => rebuilt_node(node, self.without(node.attributes())),
            false => node.clone(),
        }
    }

    /// The same of an edge.
    pub(super) fn stored_edge(&self, edge: &Edge) -> Edge {
        match self.has_any(edge.attributes()) {
            true => rebuilt_edge(edge, self.without(edge.attributes())),
            false => edge.clone(),
        }
    }

    /// What makes `new` of `old`. A move is a command of its own: the last writer of a position wins (rule D3).
    pub(super) fn node_changes(&self, old: &Node, new: &Node, into: &mut Vec<Change>) {
        if old.position() != new.position() {
            let (node_id, position) = (new.id().clone(), new.position().clone());
            into.push(Change::Command(Command::UpdateNodePosition { node_id, position }));
        }
        if old.attributes() == new.attributes() {
            return;
        }
        match self.difference(old.attributes(), new.attributes(), &self.top()) {
            Some(patch) if patch.is_empty() => {}
            Some(patch) => {
                let (node_id, patch) = (new.id().clone(), MergePatch::new(patch));
                into.push(Change::Command(Command::UpdateNode { node_id, patch }));
            }
            // No merge patch can write a null, so the node is written whole.
            None => {
                let node = rebuilt_node(new, self.restored(old.attributes(), new.attributes(), &self.top()));
                into.push(Change::ReplaceNode(node));
            }
        }
    }

    /// The same of an edge.
    pub(super) fn edge_changes(&self, old: &Edge, new: &Edge, into: &mut Vec<Change>) {
        if old == new {
            return;
        }
        let mut ends = Map::new();
        let both = [("source", old.source(), new.source()), ("target", old.target(), new.target())];
        for (field, _, after) in both.into_iter().filter(|(_, before, after)| before != after) {
            ends.insert(field.to_owned(), Value::from(after.as_str()));
        }
        match self.difference(old.attributes(), new.attributes(), &self.top()) {
            Some(patch) if patch.is_empty() && ends.is_empty() => {}
            Some(patch) => {
                ends.extend(patch);
                let (edge_id, patch) = (new.id().clone(), MergePatch::new(ends));
                into.push(Change::Command(Command::UpdateEdge { edge_id, patch }));
            }
            None => {
                let edge = rebuilt_edge(new, self.restored(old.attributes(), new.attributes(), &self.top()));
                into.push(Change::ReplaceEdge(edge));
            }
        }
    }

    /// The patch that turns `old` into `new`; `None` where a null takes the place of a value.
    fn difference(&self, old: &Map, new: &Map, ignored: &Below<'_>) -> Option<Map> {
        let mut patch = Map::new();
        if self.absent == Absent::Delete {
            for (key, _) in old.iter().filter(|(key, before)| !before.is_null() && !new.contains_key(*key)) {
                if let Field::Compared(_) = field(ignored, key) {
                    patch.insert(key.clone(), Value::Null);
                }
            }
        }
        for (key, value) in new {
            let Field::Compared(below) = field(ignored, key) else { continue };
            match (old.get(key), value) {
                (Some(before), after) if before == after => {}
                (None, Value::Null) => {}
                (Some(Value::Object(before)), Value::Object(after)) => {
                    let below = self.difference(before, after, &below)?;
                    if !below.is_empty() {
                        patch.insert(key.clone(), Value::Object(below));
                    }
                }
                (_, after) if holds_null(after) => return None,
                (_, after) => drop(patch.insert(key.clone(), after.clone())),
            }
        }
        Some(patch)
    }

    /// `new`, with what `old` has of the fields that are ignored and, where they stay, of those that `new` lacks.
    fn restored(&self, old: &Map, new: &Map, ignored: &Below<'_>) -> Map {
        let mut fields = Map::new();
        for (key, value) in new {
            let Field::Compared(below) = field(ignored, key) else { continue };
            let value = match (old.get(key), value) {
                (Some(Value::Object(before)), Value::Object(after)) => {
                    Value::Object(self.restored(before, after, &below))
                }
                (_, value) => value.clone(),
            };
            fields.insert(key.clone(), value);
        }
        for (key, value) in old {
            let is_ignored = matches!(field(ignored, key), Field::Ignored);
            if is_ignored || (self.absent == Absent::Keep && !new.contains_key(key)) {
                fields.insert(key.clone(), value.clone());
            }
        }
        fields
    }
}

fn field<'i>(ignored: &Below<'i>, key: &str) -> Field<'i> {
    let mut below = Below::new();
    for path in ignored {
        match path.split_first() {
            Some((first, [])) if first == key => return Field::Ignored,
            Some((first, rest)) if first == key => below.push(rest),
            Some(_) | None => {}
        }
    }
    Field::Compared(below)
}

/// Whether it is null, or has one in an object: a merge patch would read it as a removal.
fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().any(holds_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => false,
    }
}

fn rebuilt_node(node: &Node, attributes: Map) -> Node {
    Node::new(node.id().clone(), node.position().clone(), attributes).unwrap_or_else(|_| node.clone())
}

fn rebuilt_edge(edge: &Edge, attributes: Map) -> Edge {
    let (id, source, target) = (edge.id().clone(), edge.source().clone(), edge.target().clone());
    Edge::new(id, source, target, attributes).unwrap_or_else(|_| edge.clone())
}
