//! What is wrong with the shape of a value.

use serde_json::Value;

/// Why a value does not have the shape of rule G1, or breaks G4 by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ShapeError {
    /// The path from the top of the entity, dotted.
    pub field: String,
    /// The problem with the value there.
    pub problem: String,
}

impl ShapeError {
    pub(super) fn new(field: &str, problem: impl Into<String>) -> Self {
        Self { field: field.to_owned(), problem: problem.into() }
    }

    /// The same problem, with the field that holds the value.
    #[must_use]
    pub fn within(self, outer: &str) -> Self {
        if self.field.is_empty() {
            return Self { field: outer.to_owned(), ..self };
        }
        Self { field: format!("{outer}.{}", self.field), ..self }
    }
}

/// The kind of a JSON value, for messages.
#[must_use]
pub fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

pub(super) fn only_fields(fields: &Map, known: &[&str]) -> Result<(), ShapeError> {
    match fields.keys().find(|key| !known.contains(&key.as_str())) {
        Some(stranger) => Err(ShapeError::new(stranger, "is not a known field")),
        None => Ok(()),
    }
}

pub(super) fn as_object(value: &Value) -> Result<&Map, ShapeError> {
    value
        .as_object()
        .ok_or_else(|| ShapeError::new("", format!("must be an object, not {}", json_kind(value))))
}

/// A JSON object that keeps the order of its keys.
pub type Map = serde_json::Map<String, Value>;
