//! Positions and the viewport.

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::shape::{Map, ShapeError, as_object, json_kind, only_fields};

/// A finite number, kept exactly as given (rule G6); `1` and `1.0` are equal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Coordinate(Number);

impl PartialEq for Coordinate {
    fn eq(&self, other: &Self) -> bool {
        match (self.0.as_i128(), other.0.as_i128()) {
            (Some(a), Some(b)) => a == b,
            _ => self.0.as_f64() == other.0.as_f64(),
        }
    }
}

impl Coordinate {
    fn take(fields: &Map, field: &str) -> Result<Self, ShapeError> {
        match fields.get(field) {
            Some(Value::Number(number)) => Ok(Self(number.clone())),
            Some(other) => {
                Err(ShapeError::new(field, format!("must be a finite number, not {}", json_kind(other))))
            }
            None => Err(ShapeError::new(field, "is missing")),
        }
    }
}

/// The position of a node, in React Flow's coordinates: relative to its parent if it has one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    x: Coordinate,
    y: Coordinate,
}

impl Position {
    /// Reads `{x, y}`, and refuses other fields.
    pub fn from_json(value: &Value) -> Result<Self, ShapeError> {
        let fields = as_object(value)?;
        only_fields(fields, &["x", "y"])?;
        Ok(Self { x: Coordinate::take(fields, "x")?, y: Coordinate::take(fields, "y")? })
    }

    /// The position as JSON: `{x, y}`, with the numbers as they were given.
    pub fn to_json(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("x".to_owned(), Value::Number(self.x.0.clone()));
        fields.insert("y".to_owned(), Value::Number(self.y.0.clone()));
        Value::Object(fields)
    }
}

impl Default for Position {
    /// The origin: `{0, 0}`.
    fn default() -> Self {
        Self { x: Coordinate(0.into()), y: Coordinate(0.into()) }
    }
}

/// The part of the graph that an editor shows first: `{x, y, zoom}`, with a zoom above 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Viewport {
    x: Coordinate,
    y: Coordinate,
    zoom: Coordinate,
}

impl Viewport {
    /// Reads `{x, y, zoom}`, and refuses other fields.
    pub fn from_json(value: &Value) -> Result<Self, ShapeError> {
        let fields = as_object(value)?;
        only_fields(fields, &["x", "y", "zoom"])?;
        let zoom = Coordinate::take(fields, "zoom")?;
        if zoom.0.as_f64().is_none_or(|zoom| zoom <= 0.0) {
            return Err(ShapeError::new("zoom", "must be above 0"));
        }
        Ok(Self { x: Coordinate::take(fields, "x")?, y: Coordinate::take(fields, "y")?, zoom })
    }

    /// The viewport as JSON: `{x, y, zoom}`, with the numbers as they were given.
    pub fn to_json(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("x".to_owned(), Value::Number(self.x.0.clone()));
        fields.insert("y".to_owned(), Value::Number(self.y.0.clone()));
        fields.insert("zoom".to_owned(), Value::Number(self.zoom.0.clone()));
        Value::Object(fields)
    }
}

impl Default for Viewport {
    /// The origin at full size: `{0, 0, 1}`.
    fn default() -> Self {
        Self { x: Coordinate(0.into()), y: Coordinate(0.into()), zoom: Coordinate(1.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn g6_numbers_are_kept_and_compared_exactly() {
        let at = |x: Value| Position::from_json(&json!({"x": x, "y": 0})).expect("valid");
        assert_eq!(at(json!(1)), at(json!(1.0)));
        assert_ne!(at(json!(9_007_199_254_740_993_u64)), at(json!(9_007_199_254_740_992_u64)));
        assert_eq!(at(json!(u64::MAX)).to_json()["x"], json!(u64::MAX));
    }

    #[test]
    fn g4_zoom_is_above_zero() {
        for bad in [
            json!({"x": 0, "y": 0, "zoom": 0}),
            json!({"x": 0, "y": 0, "zoom": -1.5}),
            json!({"x": 0, "y": 0}),
        ] {
            assert!(Viewport::from_json(&bad).is_err(), "{bad}");
        }
    }
}
