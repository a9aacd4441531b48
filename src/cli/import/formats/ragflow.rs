//! RAGFlow without its drawing: `components` by id, each with its downstream components. A file with a drawing
//! (`graph`) is a React Flow document.

use dao_projections::Map;
use serde_json::Value;

use super::fields::object;
use crate::cli::{
    error::CliError,
    import::{
        flow::{Ends, Flow, Item, items, take, text_id},
        place::Place,
    },
};

pub(super) fn is_components(fields: &Map) -> bool {
    let components = fields.get("components").and_then(Value::as_object);
    let is_component = |value: &Value| value.get("downstream").is_some_and(Value::is_array);
    components.is_some_and(|all| !all.is_empty() && all.values().all(is_component))
        && !fields.get("graph").is_some_and(Value::is_object)
}

pub(super) fn convert(value: Value, at: &Place) -> Result<Vec<Flow>, CliError> {
    let mut fields = object(value, at)?;
    let mut flow = Flow::new("RAGFlow", at);
    let at = at.child("components");
    let mut joined = Vec::new();
    for Item { place, fields: mut component } in items(take(&mut fields, "components"), &at)? {
        let id = take(&mut component, "id");
        let downstream = component.get("downstream").and_then(Value::as_array).cloned().unwrap_or_default();
        for (index, target) in downstream.into_iter().enumerate() {
            joined.push((place.child("downstream").index(index), id.clone(), target));
        }
        let label = text_id(&id).unwrap_or_default();
        flow.add_node(place, id, None, &label, component);
    }
    for (place, source, target) in joined {
        flow.add_edge(place, Ends { id: None, source, target }, Map::new());
    }
    Ok(vec![flow])
}
