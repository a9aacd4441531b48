//! The difference between two graphs, or between two states of one entity (rule A3).
//!
//! Invariants:
//! - A change names the deepest path at which the two sides differ: where both are objects, their
//!   fields are compared one by one; anything else is compared as a whole. `position` is one field
//!   (rule D2).
//! - Null and absent are equal: a change from one to the other is not a difference.
//! - Server fields (rule G2) and creation order (rule G5) are not compared.
//! - The difference from B to A is that from A to B with the sides exchanged.
//!
//! Not here: which commits made the difference, see [`crate::Tracked`].

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::{
    entity::{Edge, Map, Node, Viewport},
    graph::{Graph, Placed, Table},
    id::{EdgeId, NodeId},
    patch::Pointer,
};

/// One path at which two states of an entity differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The path; `""` is the whole entity.
    pub path: Pointer,
    /// The earlier value; null if there was none.
    pub before: Value,
    /// The later value; null if there is none.
    pub after: Value,
}

/// An entity that is in both graphs and differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Changed<Id> {
    /// The id.
    pub id: Id,
    /// The differences; never empty.
    pub changes: Vec<Change>,
}

/// The difference between the nodes, or the edges, of two graphs; each list in the order of rule G5.
#[derive(Debug, PartialEq, Serialize)]
#[serde(bound(serialize = "Id: Serialize, Placed<T>: Serialize"))]
pub struct TableDiff<Id, T> {
    /// Entities that are only in the later graph.
    #[serde(serialize_with = "entities")]
    pub added: Vec<Arc<Placed<T>>>,
    /// Entities that are only in the earlier graph.
    #[serde(serialize_with = "entities")]
    pub removed: Vec<Arc<Placed<T>>>,
    /// Entities that are in both and differ.
    pub changed: Vec<Changed<Id>>,
}

fn entities<T, S: serde::Serializer>(list: &[Arc<Placed<T>>], s: S) -> Result<S::Ok, S::Error>
where
    Placed<T>: Serialize,
{
    s.collect_seq(list.iter().map(AsRef::as_ref))
}

impl<Id, T> TableDiff<Id, T> {
    /// Whether there is no difference.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// A viewport that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ViewportChange {
    /// The earlier viewport.
    pub before: Viewport,
    /// The later viewport.
    pub after: Viewport,
}

/// The difference between two graphs.
#[derive(Debug, PartialEq, Serialize)]
pub struct GraphDiff {
    /// The difference between their nodes.
    pub nodes: TableDiff<NodeId, Node>,
    /// The difference between their edges.
    pub edges: TableDiff<EdgeId, Edge>,
    /// The difference between their viewports; `None` if they are equal.
    pub viewport: Option<ViewportChange>,
    /// In their attributes (rule L1).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Change>,
}

impl GraphDiff {
    /// The changes that turn `before` into `after`. Linear in the size of both; shared entities cost one comparison of
    /// pointers.
    pub fn between(before: &Graph, after: &Graph) -> Self {
        let viewport = (before.viewport() != after.viewport())
            .then(|| ViewportChange { before: before.viewport().clone(), after: after.viewport().clone() });
        Self {
            nodes: tables(
                (before.nodes(), before.nodes_in_order()),
                (after.nodes(), after.nodes_in_order()),
                Node::id,
                node_changes,
            ),
            edges: tables(
                (before.edges(), before.edges().iter()),
                (after.edges(), after.edges().iter()),
                Edge::id,
                edge_changes,
            ),
            viewport,
            attributes: attribute_changes(before, after),
        }
    }

    /// Whether there is no difference.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
            && self.edges.is_empty()
            && self.viewport.is_none()
            && self.attributes.is_empty()
    }
}

fn attribute_changes(before: &Graph, after: &Graph) -> Vec<Change> {
    let (before, after) = (&before.metadata().attributes, &after.metadata().attributes);
    let mut changes = Vec::new();
    fields(&Pointer::root(), before.fields(), after.fields(), &mut changes);
    changes
}

/// Compares two tables; each side lists its entities in the order of rule G5.
fn tables<'g, Id: Clone + Eq + std::hash::Hash, T: 'g>(
    (before, befores): (&Table<Id, T>, impl Iterator<Item = &'g Arc<Placed<T>>>),
    (after, afters): (&Table<Id, T>, impl Iterator<Item = &'g Arc<Placed<T>>>),
    id: fn(&T) -> &Id,
    changes: fn(&T, &T) -> Vec<Change>,
) -> TableDiff<Id, T> {
    let (mut added, mut changed) = (Vec::new(), Vec::new());
    for new in afters {
        let Some(old) = before.get(id(&new.entity)) else {
            added.push(new.clone());
            continue;
        };
        if Arc::ptr_eq(old, new) {
            continue;
        }
        let changes = changes(&old.entity, &new.entity);
        if !changes.is_empty() {
            changed.push(Changed { id: id(&new.entity).clone(), changes });
        }
    }
    let is_gone = |old: &&Arc<Placed<T>>| after.get(id(&old.entity)).is_none();
    TableDiff { added, removed: befores.filter(is_gone).cloned().collect(), changed }
}

/// The difference between two states of a node.
pub(crate) fn node_changes(before: &Node, after: &Node) -> Vec<Change> {
    let mut changes = Vec::new();
    if before.position() != after.position() {
        let (before, after) = (before.position().to_json(), after.position().to_json());
        changes.push(Change { path: Pointer::position(), before, after });
    }
    fields(&Pointer::root(), before.attributes(), after.attributes(), &mut changes);
    changes
}

/// The difference between two states of an edge.
pub(crate) fn edge_changes(before: &Edge, after: &Edge) -> Vec<Change> {
    let mut changes = Vec::new();
    let ends = [("source", before.source(), after.source()), ("target", before.target(), after.target())];
    for (field, old, new) in ends {
        if old != new {
            let (before, after) = (Value::from(old.as_str()), Value::from(new.as_str()));
            changes.push(Change { path: Pointer::root().child(field), before, after });
        }
    }
    fields(&Pointer::root(), before.attributes(), after.attributes(), &mut changes);
    changes
}

/// Compares two objects field by field: the fields of `before` in order, then the new ones.
fn fields(path: &Pointer, before: &Map, after: &Map, into: &mut Vec<Change>) {
    for (key, old) in before {
        values(path.child(key), old, after.get(key).unwrap_or(&Value::Null), into);
    }
    for (key, new) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
        values(path.child(key), &Value::Null, new, into);
    }
}

fn values(path: Pointer, before: &Value, after: &Value, into: &mut Vec<Change>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => fields(&path, before, after, into),
        (before, after) if before == after => {}
        (before, after) => into.push(Change { path, before: before.clone(), after: after.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(attributes: Value) -> Node {
        let Value::Object(fields) = attributes else { panic!("not an object") };
        let id = NodeId::parse("n").expect("an id");
        Node::new(id, crate::Position::default(), fields).expect("a node")
    }

    fn changed(before: Value, after: Value) -> Value {
        let changes = node_changes(&node(before), &node(after));
        serde_json::to_value(changes).expect("JSON")
    }

    #[test]
    fn a3_changes_name_the_deepest_path() {
        let (before, after) = (
            json!({"data": {"a/b": 1, "same": [1], "gone": {"x": 1}}, "type": "t"}),
            json!({"data": {"a/b": 2, "same": [1], "new": {"y": 2}}, "type": "t"}),
        );
        let expected = json!([
            {"path": "/data/a~1b", "before": 1, "after": 2},
            {"path": "/data/gone", "before": {"x": 1}, "after": null},
            {"path": "/data/new", "before": null, "after": {"y": 2}},
        ]);
        assert_eq!(changed(before, after), expected);
    }

    #[test]
    fn a3_an_absent_value_is_null() {
        assert_eq!(changed(json!({"sourceHandle": null}), json!({})), json!([]));
        assert_eq!(changed(json!({"data": {}}), json!({"data": {"a": null}})), json!([]));
        assert_eq!(
            changed(json!({}), json!({"data": {}})),
            json!([{"path": "/data", "before": null, "after": {}}])
        );
        let list = changed(json!({"x": [null]}), json!({"x": []}));
        assert_eq!(list, json!([{"path": "/x", "before": [null], "after": []}]), "a list is one value");
    }

    #[test]
    fn a3_position_is_one_field() {
        let moved =
            node(json!({})).moved(crate::Position::from_json(&json!({"x": 1, "y": 0})).expect("x, y"));
        let changes = serde_json::to_value(node_changes(&node(json!({})), &moved)).expect("JSON");
        let expected = json!([{"path": "/position", "before": {"x": 0, "y": 0}, "after": {"x": 1, "y": 0}}]);
        assert_eq!(changes, expected);
    }
}
