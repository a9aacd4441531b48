//! n8n: nodes have names, and `connections` lists the links of each by name.

use std::collections::HashMap;

use dao_projections::Map;
use serde_json::{Value, json};

use super::fields::{object, objects};
use crate::cli::{
    error::CliError,
    import::{
        flow::{Ends, Flow, items, made_id, position, take, text, text_id},
        place::Place,
    },
};

pub(super) fn is_workflow(fields: &Map) -> bool {
    let nodes = objects(fields.get("nodes"));
    let is_node = |node: &&Map| node.contains_key("type") && node.contains_key("name");
    match fields.get("connections") {
        Some(connections) => {
            connections.is_object() && fields.contains_key("nodes") && nodes.iter().all(is_node)
        }
        None => {
            !nodes.is_empty() && nodes.iter().all(|node| is_node(node) && node.contains_key("typeVersion"))
        }
    }
}

pub(super) fn convert(value: Value, at: &Place) -> Result<Vec<Flow>, CliError> {
    let mut fields = object(value, at)?;
    let mut flow = Flow::new("n8n", at);
    let mut ids = HashMap::new();
    for mut node in items(take(&mut fields, "nodes"), &at.child("nodes"))? {
        let name = text(&node.fields, "name").unwrap_or_default().to_owned();
        // Older workflows have no ids; names are unique in a workflow.
        let id = node.fields.shift_remove("id").as_ref().and_then(text_id);
        let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| name.clone());
        let place = position(node.fields.shift_remove("position").as_ref());
        ids.insert(name.clone(), id.clone());
        flow.add_node(node.place, id.into(), place, &name, node.fields);
    }
    let at = at.child("connections");
    if let Value::Object(connections) = take(&mut fields, "connections") {
        for (from, outputs) in connections {
            connect(&from, &outputs, &ids, &at.child(&from), &mut flow);
        }
    }
    Ok(vec![flow])
}

/// Converts `{main: [[{node, type, index}], …]}`: the targets of each output.
fn connect(from: &str, outputs: &Value, ids: &HashMap<String, String>, at: &Place, flow: &mut Flow) {
    let end = |name: &str| ids.get(name).cloned().unwrap_or_else(|| name.to_owned());
    let source = end(from);
    for (kind, list) in outputs.as_object().into_iter().flatten() {
        for (output, targets) in list.as_array().into_iter().flatten().enumerate() {
            for (nth, target) in targets.as_array().into_iter().flatten().enumerate() {
                let Some(name) = target.get("node").and_then(Value::as_str) else { continue };
                let (input, index) = (target.get("type"), target.get("index"));
                let (input, index) =
                    (input.and_then(Value::as_str).unwrap_or("main"), index.unwrap_or(&Value::Null));
                let target = end(name);
                let id = format!("{source}:{kind}:{output}-{target}:{input}:{index}");
                let known = json!({"sourceOutput": [kind, output], "targetInput": [input, index]});
                let place = at.child(kind).index(output).index(nth);
                let ends =
                    Ends { id: Some(made_id(id)), source: source.clone().into(), target: target.into() };
                flow.add_edge(place, ends, known.as_object().cloned().unwrap_or_default());
            }
        }
    }
}
