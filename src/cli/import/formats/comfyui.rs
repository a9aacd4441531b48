//! ComfyUI: its workflows (nodes with `pos`, numbered links, groups) and its API format (nodes by number, with the
//! sources of their inputs).

use dao_projections::Map;
use serde_json::{Value, json};

use super::fields::{object, objects, required_id};
use crate::cli::{
    error::CliError,
    import::{
        flow::{Ends, Flow, Item, items, made_id, position, take, text, text_id},
        place::Place,
    },
};

pub(super) fn is_workflow(fields: &Map) -> bool {
    let nodes = objects(fields.get("nodes"));
    let is_node = |node: &&Map| node.contains_key("pos") && node.contains_key("type");
    fields.get("links").is_some_and(|links| links.is_array() || links.is_object())
        && !nodes.is_empty()
        && nodes.iter().all(is_node)
}

/// Every entry is a node of the API format.
pub(super) fn is_prompt(fields: &Map) -> bool {
    let is_node = |node: &Value| node.get("class_type").is_some_and(Value::is_string);
    !fields.is_empty() && fields.values().all(is_node)
}

pub(super) fn convert(value: Value, at: &Place) -> Result<Vec<Flow>, CliError> {
    let mut fields = object(value, at)?;
    let mut flow = Flow::new("ComfyUI workflow", at);
    flow.viewport = viewport(&fields);
    groups(take(&mut fields, "groups"), &at.child("groups"), &mut flow)?;
    for Item { place, fields: mut node } in items(take(&mut fields, "nodes"), &at.child("nodes"))? {
        let id = required_id(&mut node, "id", &place)?;
        let stands = position(node.shift_remove("pos").as_ref());
        let label = text(&node, "title").or_else(|| text(&node, "type")).unwrap_or_default().to_owned();
        let size = position(node.get("size"));
        flow.add_node(place, id, stands, &label, node);
        if let (Some(drawn), Some(size)) = (flow.nodes.last_mut(), size) {
            drawn.fields.insert("style".to_owned(), json!({"width": size.get("x"), "height": size.get("y")}));
        }
    }
    links(take(&mut fields, "links"), &at.child("links"), &mut flow)?;
    let subgraphs =
        fields.get("definitions").map(|all| objects(all.get("subgraphs")).len()).unwrap_or_default();
    if subgraphs > 0 {
        flow.notes.push(format!("{at}: the contents of subgraphs are left out: {subgraphs}"));
    }
    Ok(vec![flow])
}

/// ComfyUI's offset is applied before its scale, React Flow's after its zoom.
fn viewport(fields: &Map) -> Option<Value> {
    let shown = fields.get("extra")?.get("ds")?;
    let scale = shown.get("scale")?.as_f64()?;
    let offset = position(shown.get("offset"))?;
    let moved = |axis: &str| offset.get(axis).and_then(Value::as_f64).unwrap_or_default() * scale;
    (scale > 0.0).then(|| json!({"x": moved("x"), "y": moved("y"), "zoom": scale}))
}

/// Converts frames behind the nodes; they have no children.
fn groups(value: Value, at: &Place, flow: &mut Flow) -> Result<(), CliError> {
    if !value.is_array() {
        return Ok(());
    }
    for (index, Item { place, fields: group }) in items(value, at)?.into_iter().enumerate() {
        let bounding = group.get("bounding").and_then(Value::as_array).cloned().unwrap_or_default();
        let [x, y, width, height] = bounding.as_slice() else { continue };
        let (stands, style) = (json!({"x": x, "y": y}), json!({"width": width, "height": height}));
        let label = text(&group, "title").unwrap_or_default().to_owned();
        flow.add_node(place, format!("group-{index}").into(), Some(stands), &label, group);
        if let Some(drawn) = flow.nodes.last_mut() {
            drawn.fields.insert("type".to_owned(), "group".into());
            drawn.fields.insert("style".to_owned(), style);
            drawn.fields.insert("zIndex".to_owned(), (-1).into());
        }
    }
    Ok(())
}

/// `[id, from, output, to, input, type]`, or the same as an object in newer files.
fn links(value: Value, at: &Place, flow: &mut Flow) -> Result<(), CliError> {
    let list = match value {
        Value::Array(list) => list,
        Value::Object(by_id) => by_id.into_iter().map(|(_, link)| link).collect(),
        _ => vec![],
    };
    for (index, link) in list.into_iter().enumerate().filter(|(_, link)| !link.is_null()) {
        let place = at.index(index);
        let keys = ["id", "origin_id", "origin_slot", "target_id", "target_slot", "type"];
        let part = |nth: usize| match &link {
            Value::Array(parts) => parts.get(nth).cloned().unwrap_or(Value::Null),
            other => keys.get(nth).and_then(|key| other.get(*key)).cloned().unwrap_or(Value::Null),
        };
        if !link.is_array() && !link.is_object() {
            return Err(CliError::new(format!("{place}: must be a list of six values or an object")));
        }
        let known = json!({"output": part(2), "input": part(4), "type": part(5)});
        let ends = Ends { id: Some(part(0)), source: part(1), target: part(3) };
        flow.add_edge(place, ends, known.as_object().cloned().unwrap_or_default());
    }
    Ok(())
}

pub(super) fn convert_prompt(value: Value, at: &Place) -> Result<Vec<Flow>, CliError> {
    let fields = object(value, at)?;
    let mut flow = Flow::new("ComfyUI API format", at);
    let ids: std::collections::HashSet<String> = fields.keys().cloned().collect();
    for (id, node) in fields {
        let place = at.child(&id);
        let node = object(node, &place)?;
        let title = node.get("_meta").and_then(Value::as_object).and_then(|meta| text(meta, "title"));
        let label = title.or_else(|| text(&node, "class_type")).unwrap_or_default().to_owned();
        for (input, from) in node.get("inputs").and_then(Value::as_object).into_iter().flatten() {
            let Some([source, output]) = from.as_array().map(Vec::as_slice) else { continue };
            // A list of two values may also be a plain value: a link names an existing node.
            let Some(source) = text_id(source).filter(|source| ids.contains(source) && output.is_u64())
            else {
                continue;
            };
            let known = json!({"output": output, "input": input});
            let ends = Ends {
                id: Some(made_id(format!("{source}:{output}-{id}:{input}"))),
                source: source.into(),
                target: id.clone().into(),
            };
            let place = place.child("inputs").child(input);
            flow.add_edge(place, ends, known.as_object().cloned().unwrap_or_default());
        }
        flow.add_node(place, id.into(), None, &label, node);
    }
    Ok(vec![flow])
}
