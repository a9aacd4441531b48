//! A flow in React Flow's terms: every format is converted to it before it is validated.

use dao_projections::{EdgeId, Map, json_kind};
use serde_json::{Number, Value, json};
use uuid::Uuid;

use super::place::Place;
use crate::cli::error::CliError;

/// One flow of a file.
pub(super) struct Flow {
    /// The format that was recognised.
    pub(super) format: &'static str,
    /// The name in the file.
    pub(super) name: Option<String>,
    pub(super) place: Place,
    pub(super) nodes: Vec<Item>,
    pub(super) edges: Vec<Item>,
    pub(super) viewport: Option<Value>,
    /// Notes for the user about what was left out or changed.
    pub(super) notes: Vec<String>,
}

/// A node or an edge, and its place in the file.
pub(super) struct Item {
    pub(super) place: Place,
    pub(super) fields: Map,
}

impl Flow {
    /// An empty flow.
    pub(super) fn new(format: &'static str, place: &Place) -> Self {
        let (nodes, edges, notes) = (vec![], vec![], vec![]);
        Self { format, name: None, place: place.clone(), nodes, edges, viewport: None, notes }
    }

    /// Adds a node of another editor: React Flow draws it as its default node with this label, and `data` keeps all
    /// its original fields.
    pub(super) fn add_node(&mut self, place: Place, id: Value, at: Option<Value>, label: &str, known: Map) {
        let mut data = Map::new();
        data.insert("label".to_owned(), label.into());
        data.extend(known);
        let mut fields = Map::new();
        fields.insert("id".to_owned(), id);
        fields.extend(at.map(|at| ("position".to_owned(), at)));
        fields.insert("data".to_owned(), Value::Object(data));
        self.nodes.push(Item { place, fields });
    }

    /// Adds a connection of another editor. `data` keeps its ports: the default node has no such handles, and React
    /// Flow does not draw an edge whose handle is missing.
    pub(super) fn add_edge(&mut self, place: Place, ends: Ends, known: Map) {
        let mut fields = Map::new();
        if let Some(id) = ends.id {
            fields.insert("id".to_owned(), id);
        }
        fields.insert("source".to_owned(), ends.source);
        fields.insert("target".to_owned(), ends.target);
        if !known.is_empty() {
            fields.insert("data".to_owned(), Value::Object(known));
        }
        self.edges.push(Item { place, fields });
    }
}

/// Makes an id from names, which may be too long or have invalid characters.
pub(super) fn made_id(text: String) -> Value {
    match EdgeId::parse(&text) {
        Ok(_) => text.into(),
        Err(_) => Uuid::new_v5(&Uuid::NAMESPACE_URL, text.as_bytes()).to_string().into(),
    }
}

/// The ends of an edge.
pub(super) struct Ends {
    /// If `None`, the id is made from the ends.
    pub(super) id: Option<Value>,
    pub(super) source: Value,
    pub(super) target: Value,
}

/// The items of a list, or of an object by id, each an object.
pub(super) fn items(value: Value, at: &Place) -> Result<Vec<Item>, CliError> {
    let values: Vec<(Place, Option<String>, Value)> = match value {
        Value::Array(list) => {
            list.into_iter().enumerate().map(|(index, value)| (at.index(index), None, value)).collect()
        }
        Value::Object(by_id) => {
            by_id.into_iter().map(|(key, value)| (at.child(&key), Some(key), value)).collect()
        }
        other => {
            return Err(CliError::new(format!(
                "{at}: must be a list or an object, not {}",
                json_kind(&other)
            )));
        }
    };
    values.into_iter().map(|(place, key, value)| item(place, key, value)).collect()
}

fn item(place: Place, key: Option<String>, value: Value) -> Result<Item, CliError> {
    let Value::Object(mut fields) = value else {
        return Err(CliError::new(format!("{place}: must be an object, not {}", json_kind(&value))));
    };
    if let Some(key) = key {
        match fields.get("id").and_then(text_id) {
            Some(id) if id != key => {
                return Err(CliError::new(format!(
                    "{place}.id: is {id:?}, but the key of the entry is {key:?}. Make them equal"
                )));
            }
            Some(_) => {}
            None => drop(fields.insert("id".to_owned(), key.into())),
        }
    }
    Ok(Item { place, fields })
}

/// An id as text; many editors use whole numbers.
pub(super) fn text_id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// A non-empty text.
pub(super) fn text<'a>(fields: &'a Map, key: &str) -> Option<&'a str> {
    fields.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
}

/// A position that is two numbers in a list, or under the keys `0` and `1`, or `x` and `y`.
pub(super) fn position(value: Option<&Value>) -> Option<Value> {
    let (x, y) = match value? {
        Value::Array(list) => (list.first()?, list.get(1)?),
        Value::Object(fields) => {
            (fields.get("x").or_else(|| fields.get("0"))?, fields.get("y").or_else(|| fields.get("1"))?)
        }
        _ => return None,
    };
    (x.is_number() && y.is_number()).then(|| json!({"x": x, "y": y}))
}

/// A position from two fields of an object.
pub(super) fn position_of(fields: &Map, x: &str, y: &str) -> Option<Value> {
    position(Some(&json!([fields.get(x)?, fields.get(y)?])))
}

/// A coordinate of a position.
pub(super) fn coordinate(position: &Value, axis: &str) -> f64 {
    position.get(axis).and_then(Value::as_f64).unwrap_or_default()
}

/// A number for JSON: whole ones without a fraction.
pub(super) fn number(value: f64) -> Value {
    const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT_BELOW {
        return Value::from(value as i64);
    }
    Number::from_f64(value).map_or(Value::from(0), Value::Number)
}

/// A field of the flow, or null.
pub(super) fn take(fields: &mut Map, key: &str) -> Value {
    fields.shift_remove(key).unwrap_or(Value::Null)
}
