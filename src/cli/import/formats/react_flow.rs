//! React Flow, and the many programs that use its shape: `{nodes, edges, viewport}`, React Flow 9's `elements`, or a
//! plain list of both. Nodes and edges may be objects by id. Attributes are kept as given.

use dao_projections::Map;
use serde_json::{Value, json};

use super::fields::{object, objects};
use crate::cli::{
    error::CliError,
    import::{
        flow::{Flow, Item, items, take, text},
        place::Place,
    },
};

/// The format of a document without other marks.
pub(super) const FORMAT: &str = "React Flow";

/// Whether these are nodes: with edges beside them, or with positions.
pub(super) fn is_document(fields: &Map) -> bool {
    let is_listing = |value: &Value| match value {
        Value::Array(_) => true,
        Value::Object(by_id) => by_id.values().all(Value::is_object),
        _ => false,
    };
    let Some(nodes) = fields.get("nodes").filter(|nodes| is_listing(nodes)) else { return false };
    match fields.get("edges") {
        Some(Value::Null) | None => {
            let has_position = |node: &Value| node.get("position").is_some();
            match nodes {
                Value::Array(list) => list.is_empty() || list.iter().any(has_position),
                other => other.as_object().is_some_and(|by_id| by_id.values().any(has_position)),
            }
        }
        Some(edges) => is_listing(edges),
    }
}

/// React Flow 9: nodes and edges in one list.
pub(super) fn is_elements(fields: &Map) -> bool {
    let elements = objects(fields.get("elements"));
    !elements.is_empty() && is_list(&elements)
}

/// Whether each is a node or an edge, and there is a node.
pub(super) fn is_list(items: &[&Map]) -> bool {
    let is_node = |item: &&Map| item.get("position").is_some_and(Value::is_object);
    items.iter().all(|item| is_node(item) || is_edge(item)) && items.iter().any(is_node)
}

fn is_edge(item: &Map) -> bool {
    item.contains_key("source") && item.contains_key("target")
}

pub(super) fn convert(value: Value, at: &Place) -> Result<Vec<Flow>, CliError> {
    let mut fields = object(value, at)?;
    let mut flow = Flow::new(FORMAT, at);
    flow.viewport = viewport(&mut fields);
    if let Some(elements) = fields.shift_remove("elements").filter(Value::is_array) {
        flow.format = "React Flow 9";
        split(items(elements, &at.child("elements"))?, &mut flow);
        return Ok(vec![flow]);
    }
    flow.nodes = items(take(&mut fields, "nodes"), &at.child("nodes"))?;
    if let Some(edges) = fields.shift_remove("edges").filter(|edges| !edges.is_null()) {
        flow.edges = items(edges, &at.child("edges"))?;
    }
    flow.format = flavour(&fields, &flow.nodes);
    Ok(vec![flow])
}

pub(super) fn convert_list(value: Value, at: &Place) -> Result<Vec<Flow>, CliError> {
    let mut flow = Flow::new("React Flow 9", at);
    split(items(value, at)?, &mut flow);
    Ok(vec![flow])
}

fn split(all: Vec<Item>, flow: &mut Flow) {
    (flow.edges, flow.nodes) = all.into_iter().partition(|item| is_edge(&item.fields));
}

/// `{x, y, zoom}`, or what React Flow 9 and Vue Flow write: `position: [x, y]` and `zoom`.
fn viewport(fields: &mut Map) -> Option<Value> {
    if let Some(Value::Object(mut viewport)) = fields.shift_remove("viewport") {
        // Editors keep more in it (`minZoom`); a graph has these three.
        return Some(json!({
            "x": take(&mut viewport, "x"), "y": take(&mut viewport, "y"), "zoom": take(&mut viewport, "zoom"),
        }));
    }
    let (x, y) = match fields.get("position") {
        Some(Value::Array(both)) => (both.first()?, both.get(1)?),
        _ => return None,
    };
    Some(json!({"x": x, "y": y, "zoom": fields.get("zoom")?}))
}

/// The program that wrote the document, as far as it can be told.
fn flavour(fields: &Map, nodes: &[Item]) -> &'static str {
    let any = |is: fn(&Map) -> bool| nodes.iter().any(|node| is(&node.fields));
    let data = |node: &Map, key: &str| node.get("data").and_then(|data| data.get(key)).is_some();
    if fields.contains_key("graphId") && fields.contains_key("hash") {
        return "dao-api state";
    }
    if any(|node| text(node, "type") == Some("genericNode")) {
        return "Langflow";
    }
    if nodes.iter().any(|node| data(&node.fields, "inputAnchors") || data(&node.fields, "inputParams")) {
        return "Flowise";
    }
    if any(|node| node.contains_key("initialized")) {
        return "Vue Flow";
    }
    if any(|node| node.contains_key("parentNode")) {
        return "React Flow 11";
    }
    FORMAT
}
