//! The memory that JSON values occupy: the bytes that the allocator hands out for them, within a few per cent.
//!
//! A value of one or two bytes on the wire takes up to a hundred times that in memory. So bounds on memory count this,
//! not the length.

use std::mem::size_of;

use dao_projections::Map;
use serde_json::Value;

/// An item of an array.
pub(crate) const ITEM_BYTES: usize = size_of::<Value>();
/// An entry of an object: its hash, its key and its value.
const ENTRY_BYTES: usize = size_of::<usize>() + size_of::<String>() + size_of::<Value>();

/// The bytes of the text of a string; allocators round up.
pub(crate) fn text(text: &str) -> usize {
    allocation(text.len())
}

/// An entry and its key.
pub(crate) fn entry(key: &str) -> usize {
    ENTRY_BYTES + allocation(key.len())
}

/// The bytes of an array beside its items.
pub(crate) fn array(length: usize) -> usize {
    allocation(length * ITEM_BYTES) - length * ITEM_BYTES
}

/// The bytes of an object beside its entries: its hash table.
pub(crate) fn object(length: usize) -> usize {
    if length == 0 {
        return 0;
    }
    let buckets = if length < 4 { 4 } else { (length * 8 / 7 + 1).next_power_of_two() };
    let slack = allocation(length * ENTRY_BYTES) - length * ENTRY_BYTES;
    allocation(buckets * (size_of::<usize>() + 1) + 16) + slack
}

fn allocation(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        1..=64 => bytes.next_multiple_of(8),
        // Classes of sizes are an eighth apart.
        _ => bytes + bytes / 16,
    }
}

/// The bytes that a stored object occupies beside its header.
pub(crate) fn object_memory(fields: &Map) -> usize {
    let of_entry = |(key, value): (&String, &Value)| entry(key) + value_memory(value);
    object(fields.len()) + fields.iter().map(of_entry).sum::<usize>()
}

/// The bytes that a stored value occupies beside itself.
pub(crate) fn value_memory(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(value) => text(value),
        Value::Array(items) => {
            items.len() * ITEM_BYTES + array(items.len()) + items.iter().map(value_memory).sum::<usize>()
        }
        Value::Object(fields) => object_memory(fields),
    }
}
