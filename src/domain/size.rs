//! The size of an entity: the bytes of its JSON, without the fields that the server adds (rule O3).

use std::io;

use serde::Serialize;
use serde_json::Value;

use dao_projections::{Map, MergePatch};

/// Whether `entity` takes more than `max` bytes as JSON. `attributes` is the part without a bound of its own; it
/// mostly decides without encoding anything.
pub(super) fn exceeds(entity: &impl Serialize, attributes: &Map, max: usize) -> bool {
    /// Ids and coordinates, escaped, at their longest.
    const FIXED_BYTES_MAX: usize = 3 * 6 * 1_024 + 200;
    FIXED_BYTES_MAX + object_bytes_at_most(attributes) > max && json_bytes(entity) > max
}

/// Whether the values that a patch sets take more than `max` bytes as JSON: then so does any entity that it is merged
/// into.
pub(super) fn sets_more_than(patch: &MergePatch, max: usize) -> bool {
    /// A lower bound: texts at their shortest.
    fn bytes_at_least(value: &Value) -> usize {
        match value {
            Value::Null => 0,
            Value::Bool(_) | Value::Number(_) => 1,
            Value::String(text) => 2 + text.len(),
            Value::Array(items) => 2 + items.iter().map(|item| 1 + bytes_at_least(item)).sum::<usize>(),
            Value::Object(fields) => 2 + of_fields(fields),
        }
    }
    fn of_fields(fields: &Map) -> usize {
        let kept = fields.iter().filter(|(_, value)| !value.is_null());
        kept.map(|(key, value)| 3 + key.len() + bytes_at_least(value)).sum()
    }
    of_fields(patch.fields()) > max
}

/// An upper bound that needs no encoding: a byte becomes six at most when escaped.
fn value_bytes_at_most(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 32,
        Value::String(text) => 2 + 6 * text.len(),
        Value::Array(items) => 2 + items.iter().map(|item| 1 + value_bytes_at_most(item)).sum::<usize>(),
        Value::Object(fields) => object_bytes_at_most(fields),
    }
}

fn object_bytes_at_most(fields: &Map) -> usize {
    2 + fields.iter().map(|(key, value)| 4 + 6 * key.len() + value_bytes_at_most(value)).sum::<usize>()
}

/// The bytes of a value as JSON, counted without encoding it.
pub fn json_bytes(entity: &impl Serialize) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail; an entity that could not be encoded would not fit either.
    match serde_json::to_writer(&mut count, entity) {
        Ok(()) => count.0,
        Err(_) => usize::MAX,
    }
}
