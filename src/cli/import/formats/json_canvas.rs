//! JSON Canvas 1.0 (Obsidian): nodes with x, y, width and height; edges between their sides. Groups are drawn behind.

use dao_projections::Map;
use serde_json::{Value, json};

use super::fields::{object, objects, required_id};
use crate::cli::{
    error::CliError,
    import::{
        flow::{Ends, Flow, Item, items, position_of, take, text},
        place::Place,
    },
};

const TYPES: [&str; 4] = ["text", "file", "link", "group"];

pub(super) fn is_canvas(fields: &Map) -> bool {
    let nodes = objects(fields.get("nodes"));
    let is_node = |node: &&Map| {
        node.get("x").is_some_and(Value::is_number)
            && !node.contains_key("position")
            && text(node, "type").is_some_and(|name| TYPES.contains(&name))
    };
    !nodes.is_empty() && nodes.iter().all(is_node)
        || objects(fields.get("edges")).iter().any(|edge| edge.contains_key("fromNode"))
}

pub(super) fn convert(value: Value, at: &Place) -> Result<Vec<Flow>, CliError> {
    let mut fields = object(value, at)?;
    let mut flow = Flow::new("JSON Canvas", at);
    for Item { place, fields: mut node } in items(take(&mut fields, "nodes"), &at.child("nodes"))? {
        let id = required_id(&mut node, "id", &place)?;
        let stands = position_of(&node, "x", "y");
        ["x", "y"].iter().for_each(|axis| drop(node.shift_remove(*axis)));
        let label = ["label", "text", "file", "url"].iter().find_map(|key| text(&node, key));
        let label = label.unwrap_or_default().to_owned();
        let is_group = text(&node, "type") == Some("group");
        let size = json!({"width": node.get("width"), "height": node.get("height")});
        flow.add_node(place, id, stands, &label, node);
        if let Some(drawn) = flow.nodes.last_mut() {
            drawn.fields.insert("style".to_owned(), size);
            if is_group {
                drawn.fields.insert("type".to_owned(), "group".into());
                drawn.fields.insert("zIndex".to_owned(), (-1).into());
            }
        }
    }
    let edges = take(&mut fields, "edges");
    let edges = if edges.is_null() { vec![] } else { items(edges, &at.child("edges"))? };
    for Item { place, fields: mut edge } in edges {
        let ends = Ends {
            id: edge.shift_remove("id"),
            source: take(&mut edge, "fromNode"),
            target: take(&mut edge, "toNode"),
        };
        let label = edge.get("label").cloned();
        flow.add_edge(place, ends, edge);
        if let (Some(drawn), Some(label)) = (flow.edges.last_mut(), label) {
            drawn.fields.insert("label".to_owned(), label);
        }
    }
    Ok(vec![flow])
}
