//! What stands at a path of an entity.

use dao_projections::{Edge, Map, Node, Pointer};
use serde_json::Value;

/// What stands at a path.
pub(super) fn standing_at<'f>(fields: &'f Map, path: &Pointer) -> Option<&'f Value> {
    let mut keys = path.keys();
    let first = keys.next().and_then(|key| fields.get(key.as_ref()));
    keys.fold(first, |value, key| value?.as_object()?.get(key.as_ref()))
}

pub(super) fn json_of_node(node: &Node) -> Value {
    Value::Object(node.to_json())
}

pub(super) fn json_of_edge(edge: &Edge) -> Value {
    Value::Object(edge.to_json())
}
