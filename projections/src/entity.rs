//! Nodes, edges and the viewport: React Flow's shapes, every other attribute kept as given (G1).
//!
//! The fields that the server adds (`createdAt`, `updatedAt`, `version`, rule G2) are not part of an entity here: the
//! fold keeps them beside it, see [`crate::Placed`].

mod geometry;
mod shape;
mod stored;

use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize, ser::SerializeMap};
use serde_json::Value;

pub use self::{
    geometry::{Position, Viewport},
    shape::{Map, ShapeError, json_kind},
};
use crate::{
    id::{EdgeId, NodeId},
    patch::MergePatch,
};

/// A time: integer milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

/// The fields that the server adds to every entity it returns; on input they are ignored (rule G2).
pub(crate) const SERVER_FIELDS: [&str; 3] = ["createdAt", "updatedAt", "version"];
const PARENT_FIELDS: [&str; 2] = ["parentId", "parentNode"];

/// A node. Its parts are shared: a clone copies pointers.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    id: NodeId,
    position: Position,
    attributes: Arc<Map>,
}

impl Node {
    /// Makes a node. `attributes` is everything but `id` and `position`; server fields and a null parent are dropped
    /// from it.
    pub fn new(id: NodeId, position: Position, mut attributes: Map) -> Result<Self, ShapeError> {
        for field in SERVER_FIELDS.iter().chain(&["id", "position"]) {
            attributes.shift_remove(*field);
        }
        for field in PARENT_FIELDS {
            if attributes.get(field).is_some_and(Value::is_null) {
                attributes.shift_remove(field);
            }
        }
        check_attributes(&attributes)?;
        check_parents(&attributes)?;
        Ok(Self { id, position, attributes: kept(attributes) })
    }

    /// The id, unique in its graph.
    pub fn id(&self) -> &NodeId {
        &self.id
    }

    /// The position.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// The attributes: everything but `id` and `position`.
    pub fn attributes(&self) -> &Map {
        &self.attributes
    }

    /// The parents, each with the field that names it: `parentId`, and React Flow 11's `parentNode` if it names
    /// another node.
    pub fn parents(&self) -> impl Iterator<Item = (&'static str, NodeId)> + '_ {
        let named = |field| self.attributes.get(field).and_then(Value::as_str);
        let first = named(PARENT_FIELDS[0]);
        let second = named(PARENT_FIELDS[1]).filter(|id| Some(*id) != first);
        [(PARENT_FIELDS[0], first), (PARENT_FIELDS[1], second)]
            .into_iter()
            .filter_map(|(field, id)| Some((field, NodeId::parse(id?).ok()?)))
    }

    /// The same node at another position.
    #[must_use]
    pub fn moved(&self, position: Position) -> Self {
        Self { position, ..self.clone() }
    }

    /// Checks that `patch` merged into any node gives a valid node.
    pub fn check_patch(patch: &MergePatch) -> Result<(), ShapeError> {
        if let Some(part) = patch.fields().get("position") {
            let mut position = Position::default().to_json();
            json_patch::merge(&mut position, part);
            Position::from_json(&position).map_err(|e| e.within("position"))?;
        }
        check_attributes(patch.fields())?;
        check_parents(patch.fields())
    }

    /// The node with `patch` merged into it; its `id` stays. It can't fail, since folding can't: [`Node::check_patch`]
    /// checks a patch before it becomes an event, and a part that would leave no position is not merged.
    #[must_use]
    pub fn patched(&self, patch: &MergePatch) -> Self {
        let position = patch.fields().get("position").and_then(|part| {
            let mut position = self.position.to_json();
            json_patch::merge(&mut position, part);
            Position::from_json(&position).ok()
        });
        let mut attributes = (*self.attributes).clone();
        patch.merge_into(&mut attributes, &["id", "position"]);
        Self {
            id: self.id.clone(),
            position: position.unwrap_or_else(|| self.position.clone()),
            attributes: Arc::new(attributes),
        }
    }

    /// The node as one JSON object.
    pub fn to_json(&self) -> Map {
        let mut fields = Map::new();
        fields.insert("id".to_owned(), Value::from(self.id.as_str()));
        fields.insert("position".to_owned(), self.position.to_json());
        fields.extend(self.attributes.iter().map(|(k, v)| (k.clone(), v.clone())));
        fields
    }

    pub(crate) fn serialize_fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("position", &self.position)?;
        self.attributes.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))
    }

    pub(crate) fn field_count(&self) -> usize {
        2 + self.attributes.len()
    }
}

/// An edge between two nodes, or from a node to itself. Its parts are shared.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    id: EdgeId,
    source: NodeId,
    target: NodeId,
    attributes: Arc<Map>,
}

impl Edge {
    /// Makes an edge. `attributes` is everything but `id`, `source` and `target`.
    pub fn new(id: EdgeId, source: NodeId, target: NodeId, mut attributes: Map) -> Result<Self, ShapeError> {
        for field in SERVER_FIELDS.iter().chain(&["id", "source", "target"]) {
            attributes.shift_remove(*field);
        }
        check_attributes(&attributes)?;
        Ok(Self { id, source, target, attributes: kept(attributes) })
    }

    /// The id, unique in its graph.
    pub fn id(&self) -> &EdgeId {
        &self.id
    }

    /// The node that the edge starts at.
    pub fn source(&self) -> &NodeId {
        &self.source
    }

    /// The node that the edge ends at.
    pub fn target(&self) -> &NodeId {
        &self.target
    }

    /// The attributes: everything but `id`, `source` and `target`.
    pub fn attributes(&self) -> &Map {
        &self.attributes
    }

    /// Checks that `patch` merged into any edge gives a valid edge.
    pub fn check_patch(patch: &MergePatch) -> Result<(), ShapeError> {
        for field in ["source", "target"] {
            if let Some(id) = patch.fields().get(field) {
                check_node_id(field, id)?;
            }
        }
        check_attributes(patch.fields())
    }

    /// The edge with `patch` merged into it; its `id` stays. It can't fail, like [`Node::patched`].
    #[must_use]
    pub fn patched(&self, patch: &MergePatch) -> Self {
        let end = |field, old: &NodeId| {
            let new = patch.fields().get(field).and_then(Value::as_str);
            new.and_then(|id| NodeId::parse(id).ok()).unwrap_or_else(|| old.clone())
        };
        let mut attributes = (*self.attributes).clone();
        patch.merge_into(&mut attributes, &["id", "source", "target"]);
        Self {
            id: self.id.clone(),
            source: end("source", &self.source),
            target: end("target", &self.target),
            attributes: Arc::new(attributes),
        }
    }

    /// The edge as one JSON object.
    pub fn to_json(&self) -> Map {
        let mut fields = Map::new();
        fields.insert("id".to_owned(), Value::from(self.id.as_str()));
        fields.insert("source".to_owned(), Value::from(self.source.as_str()));
        fields.insert("target".to_owned(), Value::from(self.target.as_str()));
        fields.extend(self.attributes.iter().map(|(k, v)| (k.clone(), v.clone())));
        fields
    }

    pub(crate) fn serialize_fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("source", &self.source)?;
        map.serialize_entry("target", &self.target)?;
        self.attributes.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))
    }

    pub(crate) fn field_count(&self) -> usize {
        3 + self.attributes.len()
    }
}

/// Attributes as they are stored with the entity, without the spare room that the removed id and position left.
/// Entities without attributes share theirs.
fn kept(attributes: Map) -> Arc<Map> {
    static NONE: LazyLock<Arc<Map>> = LazyLock::new(Arc::default);
    match attributes.is_empty() {
        true => NONE.clone(),
        false => Arc::new(attributes.into_iter().collect()),
    }
}

/// Checks rule G1: `type` is a string, `data` an object; null is a value.
fn check_attributes(attributes: &Map) -> Result<(), ShapeError> {
    match attributes.get("type") {
        None | Some(Value::Null | Value::String(_)) => {}
        Some(other) => {
            return Err(ShapeError::new("type", format!("must be a string, not {}", json_kind(other))));
        }
    }
    match attributes.get("data") {
        None | Some(Value::Null | Value::Object(_)) => {}
        Some(other) => {
            return Err(ShapeError::new("data", format!("must be an object, not {}", json_kind(other))));
        }
    }
    Ok(())
}

fn check_parents(attributes: &Map) -> Result<(), ShapeError> {
    PARENT_FIELDS.iter().try_for_each(|field| match attributes.get(*field) {
        None | Some(Value::Null) => Ok(()),
        Some(id) => check_node_id(field, id),
    })
}

fn check_node_id(field: &str, id: &Value) -> Result<(), ShapeError> {
    match id {
        Value::String(id) => NodeId::parse(id).map(drop).map_err(|e| ShapeError::new(field, e.to_string())),
        other => Err(ShapeError::new(field, format!("must be a node id, not {}", json_kind(other)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn patch(value: Value) -> MergePatch {
        MergePatch::new(value.as_object().cloned().unwrap_or_default())
    }

    fn node(attributes: Value) -> Result<Node, ShapeError> {
        Node::new(
            "n".parse().expect("an id"),
            Position::default(),
            attributes.as_object().cloned().unwrap_or_default(),
        )
    }

    #[test]
    fn g1_type_is_a_string_data_an_object_and_null_is_a_value() {
        assert!(node(json!({"type": "input", "data": {"a": 1}, "width": 3})).is_ok());
        let kept = node(json!({"type": null, "data": null})).expect("nulls are values");
        assert_eq!(kept.attributes().len(), 2);
        for bad in [json!({"type": 1}), json!({"data": []}), json!({"parentId": 1}), json!({"parentId": ""})]
        {
            assert!(node(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn g1_a_null_parent_means_none() {
        let node = node(json!({"parentId": null, "parentNode": null})).expect("valid");
        assert!(node.attributes().is_empty());
    }

    #[test]
    fn g2_what_the_server_writes_is_ignored_on_input() {
        let node = node(json!({"createdAt": 1, "updatedAt": 2, "version": 3})).expect("valid");
        assert!(node.attributes().is_empty());
    }

    #[test]
    fn g4_a_patch_can_not_take_the_position_away() {
        let node = node(json!({})).expect("valid");
        for bad in
            [json!({"position": null}), json!({"position": {"x": null}}), json!({"position": {"x": "1"}})]
        {
            assert!(Node::check_patch(&patch(bad.clone())).is_err(), "{bad}");
            assert_eq!(node.patched(&patch(bad)), node, "folding leaves it as it was");
        }
        let moved = node.patched(&patch(json!({"position": {"x": 5}})));
        assert_eq!(moved.position().to_json(), json!({"x": 5, "y": 0}));
    }
}
