//! The size of a graph in memory and as JSON, estimated while it is folded, so that nothing has to walk the graph.
//!
//! A value takes up to eighty times its JSON in memory (`[0,0,…]`). Estimates are not exact, and err upwards.

use std::{
    mem::size_of,
    ops::{Add, AddAssign, SubAssign},
};

use serde_json::{Number, Value};

use crate::entity::{Edge, Map, Node};

/// The overhead of an allocation.
pub(super) const ALLOCATION: usize = 16;
/// A string of an object's key, its value, and the hash that it is found by.
const ENTRY: usize = size_of::<String>() + size_of::<Value>() + size_of::<u64>();
/// Places in an object that holds few fields; a larger one has half as many again as it has fields, about.
const PLACES_MIN: usize = 4;
/// An entry in the hash table of an object.
const TABLE_ENTRY: usize = 16;
/// `"id":"","position":{"x":0,"y":0},"createdAt":…,"updatedAt":…,"version":1}` and the comma, about.
const FIXED_JSON: usize = 130;

/// The size of a value or an entity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// Bytes in memory, beyond the value itself.
    pub(crate) held: usize,
    /// Bytes of its JSON.
    pub(crate) json: usize,
}

impl Add for Size {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { held: self.held + other.held, json: self.json + other.json }
    }
}

impl AddAssign for Size {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Size {
    fn sub_assign(&mut self, other: Self) {
        (self.held, self.json) = (self.held - other.held, self.json - other.json);
    }
}

impl std::iter::Sum for Size {
    fn sum<I: Iterator<Item = Self>>(sizes: I) -> Self {
        sizes.fold(Self::default(), Add::add)
    }
}

/// The size of an entity, with its entries in maps.
pub(crate) trait Measured {
    fn size(&self) -> Size;
}

impl Measured for Node {
    fn size(&self) -> Size {
        const MAPS: usize = 240;
        let id = self.id().as_str().len();
        Size { held: MAPS + id, json: FIXED_JSON + id } + object(self.attributes())
    }
}

impl Measured for Edge {
    fn size(&self) -> Size {
        /// As for a node, and the index of both its ends.
        const MAPS: usize = 360;
        let ids = self.id().as_str().len() + self.source().as_str().len() + self.target().as_str().len();
        Size { held: MAPS + ids, json: FIXED_JSON + ids } + object(self.attributes())
    }
}

pub(crate) fn object(fields: &Map) -> Size {
    let places = PLACES_MIN.max(fields.len() + fields.len() / 2);
    let own = Size { held: places * (ENTRY + TABLE_ENTRY) + ALLOCATION, json: 2 };
    let field = |(key, value): (&String, &Value)| text(key) + beyond(value) + Size { held: 0, json: 2 };
    own + fields.iter().map(field).sum()
}

fn beyond(value: &Value) -> Size {
    match value {
        Value::Null | Value::Bool(_) => Size { held: 0, json: 5 },
        Value::Number(number) => Size { held: 0, json: digits(number) },
        Value::String(string) => text(string),
        Value::Array(items) => {
            let held = items.capacity() * size_of::<Value>() + ALLOCATION;
            Size { held, json: 2 + items.len() } + items.iter().map(beyond).sum()
        }
        Value::Object(fields) => object(fields),
    }
}

fn text(string: &str) -> Size {
    Size { held: string.len() + ALLOCATION, json: string.len() + 2 }
}

fn digits(number: &Number) -> usize {
    const FLOAT: usize = 17;
    let whole = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    whole.map_or(FLOAT, |whole| whole.checked_ilog10().unwrap_or(0) as usize + 2)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn size_of_object(value: Value) -> Size {
        let Value::Object(fields) = value else { panic!("an object") };
        object(&fields)
    }

    #[test]
    fn o3_a_value_that_is_short_as_json_is_counted_as_what_it_takes_in_memory() {
        let size = size_of_object(json!({"data": vec![0; 1_000]}));
        assert!(size.held >= 1_000 * size_of::<Value>());
        assert!(size.held <= 3_000 * size_of::<Value>());
    }

    #[test]
    fn w6_the_length_of_json_is_about_right_without_making_it() {
        for value in [
            json!({"data": {"label": "Start", "n": [1, 22, 333, -4], "deep": {"x": true, "y": null}}}),
            json!({"data": {"text": "x".repeat(10_000)}, "type": "note", "width": 1.5}),
        ] {
            let (exact, size) = (value.to_string().len(), size_of_object(value));
            assert!(size.json >= exact && size.json <= exact + exact / 4 + 16, "{} for {exact}", size.json);
        }
    }
}
