//! Liveblocks storage: removes the `{liveblocksType, data}` around every object, list and map.

use serde_json::Value;

use crate::cli::import::place::Place;

/// Whether a value has such a wrapper.
pub(super) fn is_wrapped(value: &Value) -> bool {
    value.get("liveblocksType").is_some_and(Value::is_string)
}

/// The value without Liveblocks' wrappers, and its place.
pub(super) fn plain(value: Value, at: &Place) -> (Value, Place) {
    match is_wrapped(&value) {
        true => (unwrapped(value), at.child("data")),
        false => (value, at.clone()),
    }
}

/// Recursive: the depth of a document is bounded when it is read.
fn unwrapped(value: Value) -> Value {
    match value {
        Value::Object(mut fields) if fields.get("liveblocksType").is_some_and(Value::is_string) => {
            unwrapped(fields.shift_remove("data").unwrap_or(Value::Null))
        }
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(key, value)| (key, unwrapped(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(unwrapped).collect()),
        other => other,
    }
}
