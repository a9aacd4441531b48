//! sim (Sim Studio): `blocks` by id and `edges`. Blocks of a loop are children of its block.

use dao_projections::Map;
use serde_json::Value;

use super::fields::{object, required_id};
use crate::cli::{
    error::CliError,
    import::{
        flow::{Flow, Item, items, position, take, text},
        place::Place,
    },
};

pub(super) fn is_workflow(fields: &Map) -> bool {
    let blocks = fields.get("blocks").and_then(Value::as_object);
    let is_block = |block: &Value| block.is_object() && block.get("type").is_some();
    blocks.is_some_and(|blocks| blocks.values().all(is_block))
        && fields.get("edges").is_some_and(Value::is_array)
}

pub(super) fn convert(value: Value, at: &Place) -> Result<Vec<Flow>, CliError> {
    let mut fields = object(value, at)?;
    let mut flow = Flow::new("sim", at);
    let blocks = items(take(&mut fields, "blocks"), &at.child("blocks"))?;
    let ids: Vec<Option<Value>> = blocks.iter().map(|block| block.fields.get("id").cloned()).collect();
    for Item { place, fields: mut block } in blocks {
        let id = required_id(&mut block, "id", &place)?;
        let parent = block.get("data").and_then(|data| data.get("parentId")).cloned();
        let stands = position(block.shift_remove("position").as_ref());
        let label = text(&block, "name").or_else(|| text(&block, "type")).unwrap_or_default().to_owned();
        flow.add_node(place, id, stands, &label, block);
        let parent = parent.filter(|parent| parent.is_string());
        if let (Some(parent), Some(node)) = (parent, flow.nodes.last_mut()) {
            match ids.contains(&Some(parent.clone())) {
                true => drop(node.fields.insert("parentId".to_owned(), parent)),
                false => flow.notes.push(format!("{}: its parent {parent} is not a block", node.place)),
            }
        }
    }
    for mut edge in items(take(&mut fields, "edges"), &at.child("edges"))? {
        // Blocks become default nodes, which have no handles of these names.
        let mut known = Map::new();
        for handle in ["sourceHandle", "targetHandle"] {
            known.extend(edge.fields.shift_remove(handle).map(|name| (handle.to_owned(), name)));
        }
        edge.fields.entry("data").or_insert(Value::Object(known));
        edge.fields.shift_remove("type");
        flow.edges.push(edge);
    }
    Ok(vec![flow])
}
