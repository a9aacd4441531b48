//! Node-RED: one list of nodes, tabs, subflows, groups and configurations; `wires` says which output leads where, `z`
//! on which tab a node is. Each tab is a flow, and so is each subflow's inside.

use std::collections::{HashMap, HashSet};

use dao_projections::Map;
use serde_json::{Value, json};

use super::fields::{object, objects, required_id};
use crate::cli::{
    error::CliError,
    import::{
        flow::{Ends, Flow, Item, coordinate, items, made_id, number, position_of, take, text},
        place::Place,
    },
};

/// Whether these are the entries of a flow file.
pub(super) fn is_list(entries: &[&Map]) -> bool {
    let has_type = |entry: &&Map| text(entry, "type").is_some() && entry.contains_key("id");
    let is_placed = |entry: &&Map| entry.get("wires").is_some_and(Value::is_array) || is_container(entry);
    entries.iter().all(has_type) && entries.iter().any(is_placed)
}

/// Converts the admin API's answer for one tab: `{id, label, nodes, configs}`.
pub(super) fn is_flow(fields: &Map) -> bool {
    let nodes = objects(fields.get("nodes"));
    !nodes.is_empty() && is_list(&nodes) && !fields.contains_key("edges")
}

fn is_container(entry: &Map) -> bool {
    matches!(text(entry, "type"), Some("tab" | "subflow"))
}

pub(super) fn convert_flow(value: Value, at: &Place) -> Result<Vec<Flow>, CliError> {
    let mut fields = object(value, at)?;
    converted(items(take(&mut fields, "nodes"), &at.child("nodes"))?, at)
}

pub(super) fn convert(value: Value, at: &Place) -> Result<Vec<Flow>, CliError> {
    converted(items(value, at)?, at)
}

fn converted(entries: Vec<Item>, at: &Place) -> Result<Vec<Flow>, CliError> {
    let mut tabs: Vec<(String, Option<String>, Vec<Item>)> = Vec::new();
    let mut settings = 0_usize;
    let (containers, others): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| is_container(&entry.fields));
    for Item { place, mut fields } in containers {
        let id = required_id(&mut fields, "id", &place)?.as_str().unwrap_or_default().to_owned();
        let name = text(&fields, "label").or_else(|| text(&fields, "name")).map(str::to_owned);
        tabs.push((id, name, vec![]));
    }
    for entry in others {
        let tab = text(&entry.fields, "z").unwrap_or_default().to_owned();
        let is_drawn = entry.fields.contains_key("x") && entry.fields.contains_key("y");
        if !is_drawn {
            settings += 1;
            continue;
        }
        match tabs.iter_mut().find(|(id, ..)| *id == tab) {
            Some((.., nodes)) => nodes.push(entry),
            None => tabs.push((tab, None, vec![entry])),
        }
    }
    let mut flows = Vec::new();
    for (_, name, nodes) in tabs.into_iter().filter(|(.., nodes)| !nodes.is_empty()) {
        let mut flow = Flow::new("Node-RED", at);
        flow.name = name;
        draw(nodes, &mut flow)?;
        flows.push(flow);
    }
    match flows.first_mut() {
        Some(flow) if settings > 0 => {
            flow.notes.push(format!("{at}: entries that are not drawn (settings) are left out: {settings}"));
        }
        Some(_) => {}
        None => flows.push(Flow::new("Node-RED", at)),
    }
    Ok(flows)
}

/// Converts the nodes of one tab. Groups come first, since their nodes are placed relative to them.
fn draw(nodes: Vec<Item>, flow: &mut Flow) -> Result<(), CliError> {
    let is_group = |entry: &Item| text(&entry.fields, "type") == Some("group");
    let (groups, others): (Vec<_>, Vec<_>) = nodes.into_iter().partition(is_group);
    let own = |entry: &Item| text(&entry.fields, "id").map(str::to_owned);
    let here: HashSet<String> = groups.iter().chain(&others).filter_map(own).collect();
    let stands: HashMap<String, Value> = groups
        .iter()
        .filter_map(|group| Some((own(group)?, position_of(&group.fields, "x", "y")?)))
        .collect();
    let mut elsewhere = 0_usize;
    for Item { place, mut fields } in groups.into_iter().chain(others) {
        let id = required_id(&mut fields, "id", &place)?;
        let mut at = position_of(&fields, "x", "y");
        let parent = text(&fields, "g").filter(|group| Some(*group) != id.as_str());
        let parent = parent.and_then(|group| stands.get_key_value(group));
        if let (Some(at), Some((_, origin))) = (&mut at, parent) {
            let relative = |axis| number(coordinate(at, axis) - coordinate(origin, axis));
            *at = json!({"x": relative("x"), "y": relative("y")});
        }
        let parent = parent.map(|(group, _)| group.clone());
        elsewhere += wire(&id, &fields, &here, &place, flow);
        add(place, id, at, parent, fields, flow);
    }
    if elsewhere > 0 {
        flow.notes.push(format!("{}: links to other tabs are left out: {elsewhere}", flow.place));
    }
    Ok(())
}

fn add(place: Place, id: Value, at: Option<Value>, parent: Option<String>, mut known: Map, flow: &mut Flow) {
    ["x", "y"].iter().for_each(|axis| drop(known.shift_remove(*axis)));
    let kind = text(&known, "type").unwrap_or_default();
    let is_group = kind == "group";
    let label = text(&known, "name").unwrap_or(kind).to_owned();
    let size = json!({"width": known.get("w"), "height": known.get("h")});
    flow.add_node(place, id, at, &label, known);
    let Some(drawn) = flow.nodes.last_mut() else { return };
    if is_group {
        drawn.fields.insert("type".to_owned(), "group".into());
        drawn.fields.insert("style".to_owned(), size);
    }
    if let Some(parent) = parent {
        drawn.fields.insert("parentId".to_owned(), parent.into());
    }
}

/// Adds the edges from a node; returns how many of its links lead to other tabs.
fn wire(id: &Value, fields: &Map, here: &HashSet<String>, place: &Place, flow: &mut Flow) -> usize {
    let source = id.as_str().unwrap_or_default();
    for (output, targets) in fields.get("wires").and_then(Value::as_array).into_iter().flatten().enumerate() {
        for (nth, target) in targets.as_array().into_iter().flatten().enumerate() {
            let Some(target) = target.as_str() else { continue };
            let mut known = Map::new();
            known.insert("output".to_owned(), output.into());
            let ends = Ends {
                id: Some(made_id(format!("{source}:{output}-{target}"))),
                source: source.into(),
                target: target.into(),
            };
            flow.add_edge(place.child("wires").index(output).index(nth), ends, known);
        }
    }
    let mut elsewhere = 0;
    if text(fields, "type") == Some("link out") {
        for target in fields.get("links").and_then(Value::as_array).into_iter().flatten() {
            let Some(target) = target.as_str() else { continue };
            if !here.contains(target) {
                elsewhere += 1;
                continue;
            }
            let mut known = Map::new();
            known.insert("link".to_owned(), true.into());
            let ends = Ends {
                id: Some(made_id(format!("{source}:link-{target}"))),
                source: source.into(),
                target: target.into(),
            };
            flow.add_edge(place.child("links"), ends, known);
        }
    }
    elsewhere
}
