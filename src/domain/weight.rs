//! How much work a command makes: the entities and fields in it.

use dao_projections::{Edge, Map, Node};
use serde_json::Value;

/// How many entities and fields there are: a measure of the work that they make.
pub(super) fn weight_of_document(nodes: &[Node], edges: &[Edge]) -> usize {
    let of_nodes = nodes.iter().map(|node| 1 + fields_of(node.attributes())).sum::<usize>();
    1 + of_nodes + edges.iter().map(|edge| 1 + fields_of(edge.attributes())).sum::<usize>()
}

/// Items and fields are counted up to about this number: a command of that weight is heavy in any case.
pub(super) const WEIGHT_COUNTED: usize = 4_096;
/// Bytes of text that weigh as much as one field.
const BYTES_PER_FIELD: usize = 256;

/// The number of values in an object; a long text counts as several.
pub(crate) fn fields_of(fields: &Map) -> usize {
    let mut count = 0;
    for (key, value) in fields {
        count_values(value, &mut count);
        count += key.len() / BYTES_PER_FIELD;
        if count > WEIGHT_COUNTED {
            break;
        }
    }
    count
}

fn count_values(value: &Value, count: &mut usize) {
    *count += 1;
    match value {
        Value::String(text) => *count += text.len() / BYTES_PER_FIELD,
        Value::Array(items) => {
            items.iter().take(WEIGHT_COUNTED).for_each(|item| count_values(item, count));
        }
        Value::Object(fields) => *count += fields_of(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
