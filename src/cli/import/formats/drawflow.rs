//! Drawflow and Rete 1, whose nodes name the connections of each output; and Rete 2, which has a list of connections.

use dao_projections::Map;
use serde_json::{Value, json};

use super::fields::{object, objects, required_id};
use crate::cli::{
    error::CliError,
    import::{
        flow::{Ends, Flow, Item, items, made_id, position, position_of, take, text, text_id},
        place::Place,
    },
};

/// `{drawflow: {Home: {data: {1: node}}}}`: each module is a flow.
pub(super) fn is_drawflow(fields: &Map) -> bool {
    fields.get("drawflow").and_then(Value::as_object).is_some_and(|modules| {
        modules.values().all(|module| module.get("data").is_some_and(Value::is_object))
    })
}

/// Converts modules without the wrapper.
pub(super) fn is_modules(fields: &Map) -> bool {
    let is_node = |node: &Value| node.get("pos_x").is_some();
    let is_module = |module: &Value| {
        let data = module.get("data").and_then(Value::as_object);
        data.is_some_and(|data| data.values().all(is_node))
    };
    let has_nodes =
        |module: &Value| module.get("data").and_then(Value::as_object).is_some_and(|data| !data.is_empty());
    fields.values().all(is_module) && fields.values().any(has_nodes)
}

/// Rete 1 has nodes by id, Rete 2 lists of nodes and connections.
pub(super) fn is_rete(fields: &Map) -> bool {
    let is_node =
        |node: &Value| node.get("outputs").is_some_and(Value::is_object) && node.get("position").is_some();
    match fields.get("nodes") {
        Some(Value::Object(nodes)) => !nodes.is_empty() && nodes.values().all(is_node),
        Some(Value::Array(_)) => {
            let connections = objects(fields.get("connections"));
            let is_connection = |one: &&Map| one.contains_key("source") && one.contains_key("target");
            fields.get("connections").is_some_and(Value::is_array) && connections.iter().all(is_connection)
        }
        _ => false,
    }
}

pub(super) fn convert(value: Value, at: &Place) -> Result<Vec<Flow>, CliError> {
    let mut fields = object(value, at)?;
    convert_modules(take(&mut fields, "drawflow"), &at.child("drawflow"))
}

pub(super) fn convert_modules(value: Value, at: &Place) -> Result<Vec<Flow>, CliError> {
    let mut flows = Vec::new();
    for (name, module) in object(value, at)? {
        let at = at.child(&name);
        let mut module = object(module, &at)?;
        let mut flow = Flow::new("Drawflow", &at);
        for Item { place, fields: mut node } in items(take(&mut module, "data"), &at.child("data"))? {
            let stands = position_of(&node, "pos_x", "pos_y");
            ["pos_x", "pos_y"].iter().for_each(|axis| drop(node.shift_remove(*axis)));
            add(place, node, stands, ["node", "output"], &mut flow)?;
        }
        flow.name = Some(name);
        flows.push(flow);
    }
    // The default module is mostly the only one in use.
    let first = (flows.len() > 1).then(|| flows.iter().all(|flow| flow.nodes.is_empty()));
    if first == Some(false) {
        flows.retain(|flow| !flow.nodes.is_empty());
    }
    Ok(flows)
}

pub(super) fn convert_rete(value: Value, at: &Place) -> Result<Vec<Flow>, CliError> {
    let mut fields = object(value, at)?;
    let mut flow = Flow::new("Rete", at);
    let has_ports = fields.get("nodes").is_some_and(Value::is_object);
    for Item { place, fields: mut node } in items(take(&mut fields, "nodes"), &at.child("nodes"))? {
        let stands =
            position(node.shift_remove("position").as_ref()).or_else(|| position_of(&node, "x", "y"));
        match has_ports {
            true => add(place, node, stands, ["node", "input"], &mut flow)?,
            false => {
                let id = required_id(&mut node, "id", &place)?;
                let label =
                    text(&node, "label").or_else(|| text(&node, "name")).unwrap_or_default().to_owned();
                flow.add_node(place, id, stands, &label, node);
            }
        }
    }
    let connections = take(&mut fields, "connections");
    let connections =
        if connections.is_null() { vec![] } else { items(connections, &at.child("connections"))? };
    for Item { place, fields: mut one } in connections {
        let ends = Ends {
            id: one.shift_remove("id"),
            source: take(&mut one, "source"),
            target: take(&mut one, "target"),
        };
        flow.add_edge(place, ends, one);
    }
    Ok(vec![flow])
}

/// Converts a node and its outputs: `{output_1: {connections: [{node, <input>}]}}`.
fn add(
    place: Place,
    mut node: Map,
    stands: Option<Value>,
    [target_key, input_key]: [&str; 2],
    flow: &mut Flow,
) -> Result<(), CliError> {
    let id = required_id(&mut node, "id", &place)?;
    let source = text_id(&id).unwrap_or_default();
    for (output, port) in node.get("outputs").and_then(Value::as_object).into_iter().flatten() {
        let connections = port.get("connections").and_then(Value::as_array);
        for (nth, one) in connections.into_iter().flatten().enumerate() {
            let Some(target) = one.get(target_key).and_then(text_id) else { continue };
            let input = one.get(input_key).cloned().unwrap_or(Value::Null);
            let name = input.as_str().unwrap_or_default();
            let ends = Ends {
                id: Some(made_id(format!("{source}:{output}-{target}:{name}"))),
                source: source.clone().into(),
                target: target.into(),
            };
            let known = json!({"output": output, "input": input});
            let at = place.child("outputs").child(output).child("connections").index(nth);
            flow.add_edge(at, ends, known.as_object().cloned().unwrap_or_default());
        }
    }
    let label = text(&node, "name").unwrap_or_default().to_owned();
    flow.add_node(place, id, stands, &label, node);
    Ok(())
}
