//! What all readers of formats take from a document.

use dao_projections::{Map, json_kind};
use serde_json::Value;

use crate::cli::{
    error::CliError,
    import::{flow::text_id, place::Place},
};

/// The objects of a list.
pub(super) fn objects(value: Option<&Value>) -> Vec<&Map> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object).collect()
}

/// The value as an object.
pub(super) fn object(value: Value, at: &Place) -> Result<Map, CliError> {
    match value {
        Value::Object(fields) => Ok(fields),
        other => Err(CliError::new(format!("{at}: must be an object, not {}", json_kind(&other)))),
    }
}

/// The id of a node of another editor, which it must have.
pub(super) fn required_id(fields: &mut Map, key: &str, at: &Place) -> Result<Value, CliError> {
    let id = fields.shift_remove(key);
    let id = id.as_ref().and_then(text_id).map(Value::from);
    id.ok_or_else(|| CliError::new(format!("{at}.{key}: must be a string or a whole number")))
}
