//! Recognises formats. Each has its own marks. A value without any is searched a few levels down, since most programs
//! wrap their flows (in a name, settings, a list).
//!
//! Not here: validation of the flows ([`super::validate`]).

mod activepieces;
mod comfyui;
mod cytoscape;
mod drawflow;
mod fields;
mod json_canvas;
mod liveblocks;
mod n8n;
mod node_link;
mod node_red;
mod ragflow;
mod react_flow;
mod sim;

use std::sync::Arc;

use dao_projections::{Map, Pointer};
use serde_json::Value;

use super::{
    flow::{Flow, Item, text},
    parse::{Document, read_text},
    place::{Place, Source},
};
use crate::{cli::error::CliError, http::RequestLimits};

/// Levels of lists and objects around a flow.
const WRAPPERS_MAX: usize = 5;
/// Keys under which programs keep the flow. They are searched first; if there is one, its siblings are not flows.
const KEYS: [&str; 14] = [
    "graph",
    "flow",
    "reactflow",
    "reactFlow",
    "flowData",
    "workflow",
    "dsl",
    "data",
    "state",
    "template",
    "definition",
    "prompt",
    "flows",
    "workflows",
];

/// The flows of a document, in its order, and the documents in its texts.
pub(super) fn flows_of(document: Document, limits: &RequestLimits) -> Result<Vec<Flow>, CliError> {
    let Document { place, value, repeated, family } = document;
    let mut finder = Finder { limits, repeated: vec![(place.source.clone(), repeated)], flows: vec![] };
    if !finder.look(value, &place, About { name: None, family }, 0)? {
        return Err(CliError::new(format!(
            "{place}: no flow was found. Expected `nodes` and `edges` as React Flow, Langflow, Flowise, Dify or \
             RAGFlow write them, or an export of n8n, Node-RED, ComfyUI, Drawflow, Rete, Cytoscape, D3, JSON Canvas, \
             activepieces or sim"
        )));
    }
    finder.refuse_repeated()?;
    Ok(finder.flows)
}

struct Finder<'a> {
    limits: &'a RequestLimits,
    /// The repeated keys of each document.
    repeated: Vec<(Arc<Source>, Vec<Pointer>)>,
    flows: Vec<Flow>,
}

/// What the surroundings of a flow tell about it.
#[derive(Clone, Copy)]
struct About<'a> {
    name: Option<&'a str>,
    /// The program that wrote it; many use React Flow's shape.
    family: Option<&'static str>,
}

impl Finder<'_> {
    /// Collects the flows in a value; returns whether there are any.
    fn look(&mut self, value: Value, at: &Place, about: About<'_>, depth: usize) -> Result<bool, CliError> {
        let is_liveblocks = liveblocks::is_wrapped(&value);
        let (value, at) = liveblocks::plain(value, at);
        let family = if is_liveblocks { Some("Liveblocks") } else { about.family };
        let about = About { family, ..about };
        if let Some(convert) = recognise(&value) {
            let own = value.as_object().and_then(name_of);
            let mut found = convert(value, &at)?;
            for flow in &mut found {
                flow.name =
                    flow.name.take().or_else(|| own.clone()).or_else(|| about.name.map(str::to_owned));
                flow.format = match about.family {
                    Some(family) if flow.format == react_flow::FORMAT => family,
                    _ => flow.format,
                };
            }
            self.flows.extend(found);
            return Ok(true);
        }
        if depth >= WRAPPERS_MAX {
            return Ok(false);
        }
        match value {
            Value::Array(items) => self.look_into_list(items, &at, about, depth),
            Value::Object(fields) => self.look_into_object(fields, &at, about, depth),
            Value::String(text) if is_document(&text) => {
                let Document { place, value, repeated, .. } = read_text(&text, at.inside(), self.limits)?;
                self.repeated.push((place.source.clone(), repeated));
                self.look(value, &place, about, depth + 1)
            }
            _ => Ok(false),
        }
    }

    fn look_into_list(
        &mut self,
        items: Vec<Value>,
        at: &Place,
        about: About<'_>,
        depth: usize,
    ) -> Result<bool, CliError> {
        let (before, mut without) = (self.flows.len(), vec![]);
        for (index, item) in items.into_iter().enumerate().filter(|(_, item)| !item.is_string()) {
            let at = at.index(index);
            if !self.look(item, &at, about, depth + 1)? {
                without.push(at);
            }
        }
        let found = self.flows.get_mut(before);
        let any = found.is_some();
        if let Some(flow) = found {
            flow.notes.extend(without.iter().map(|at| format!("{at} has no flow and is left out")));
        }
        Ok(any)
    }

    fn look_into_object(
        &mut self,
        mut fields: Map,
        at: &Place,
        about: About<'_>,
        depth: usize,
    ) -> Result<bool, CliError> {
        let own = name_of(&fields);
        let about =
            About { name: own.as_deref().or(about.name), family: family_of(&fields).or(about.family) };
        for key in KEYS {
            if let Some(inner) = fields.shift_remove(key).filter(|inner| may_hold_a_flow(key, inner))
                && self.look(inner, &at.child(key), about, depth + 1)?
            {
                return Ok(true);
            }
        }
        let mut any = false;
        for (key, inner) in fields.into_iter().filter(|(key, inner)| may_hold_a_flow(key, inner)) {
            let about = About { name: about.name.or(Some(&key)), ..about };
            any |= self.look(inner, &at.child(&key), about, depth + 1)?;
        }
        Ok(any)
    }

    /// Rule H1 of the wire: a key may repeat only in content that the server does not read, where the last counts.
    fn refuse_repeated(&self) -> Result<(), CliError> {
        for (source, repeated) in self.repeated.iter().filter(|(_, repeated)| !repeated.is_empty()) {
            let items = self.flows.iter().flat_map(|flow| flow.nodes.iter().chain(&flow.edges));
            let places: std::collections::HashSet<&str> = items
                .filter(|item| item.place.source == *source)
                .map(|item: &Item| item.place.pointer.as_str())
                .collect();
            for pointer in repeated {
                if !is_within_attribute(pointer.as_str(), &places) {
                    let at = Place { source: source.clone(), pointer: pointer.clone() };
                    return Err(CliError::new(format!("{at}: the key is repeated. Remove one")));
                }
            }
        }
        Ok(())
    }
}

/// Whether a text is JSON, or YAML with a flow in it: Dify's interface answers `{"data": "app:…"}`.
fn is_document(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) || text.contains("nodes:") && text.contains("edges:")
}

/// Whether a text may hold a flow: under a key where programs keep flows as text, or if it looks like one. A prompt
/// may begin with a brace too.
fn may_hold_a_flow(key: &str, value: &Value) -> bool {
    let Value::String(text) = value else { return value.is_object() || value.is_array() };
    let is_home = KEYS.contains(&key) && !["prompt", "template"].contains(&key);
    is_home || text.contains("\"nodes\"") || text.contains("\"elements\"")
}

/// Whether a key is inside an attribute of a node or edge, and not one of the entity itself or of its position.
fn is_within_attribute(pointer: &str, places: &std::collections::HashSet<&str>) -> bool {
    let Some((parent, _)) = pointer.rsplit_once('/') else { return false };
    let mut above = parent;
    while let Some((outer, key)) = above.rsplit_once('/') {
        if places.contains(outer) {
            return above != parent || key != "position";
        }
        above = outer;
    }
    false
}

/// The program that wrote the document, by the fields around a flow.
fn family_of(fields: &Map) -> Option<&'static str> {
    let marks: [(&str, &'static str); 8] = [
        ("flowData", "Flowise"),
        ("ChatFlow", "Flowise"),
        ("dsl", "RAGFlow"),
        ("components", "RAGFlow"),
        ("is_component", "Langflow"),
        ("folder_name", "Langflow"),
        ("features", "Dify"),
        ("app", "Dify"),
    ];
    marks.iter().find(|(key, _)| fields.contains_key(*key)).map(|(_, family)| *family)
}

/// The name of an object.
fn name_of(fields: &Map) -> Option<String> {
    let keys = ["name", "title", "displayName", "label"];
    let own = keys.iter().find_map(|key| text(fields, key));
    let app = || fields.get("app").and_then(Value::as_object).and_then(|app| text(app, "name"));
    own.or_else(app).map(str::to_owned)
}

type HasMarks = fn(&Map) -> bool;
type Convert = fn(Value, &Place) -> Result<Vec<Flow>, CliError>;

/// The converter for a value with the marks of a format.
fn recognise(value: &Value) -> Option<Convert> {
    match value {
        Value::Object(fields) => recognise_object(fields),
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_object) => {
            let objects: Vec<&Map> = items.iter().filter_map(Value::as_object).collect();
            if node_red::is_list(&objects) {
                return Some(node_red::convert);
            }
            if cytoscape::is_list(&objects) {
                return Some(cytoscape::convert);
            }
            react_flow::is_list(&objects).then_some(react_flow::convert_list as Convert)
        }
        _ => None,
    }
}

fn recognise_object(fields: &Map) -> Option<Convert> {
    let formats: [(HasMarks, Convert); 17] = [
        (drawflow::is_drawflow, drawflow::convert),
        (cytoscape::is_document, cytoscape::convert),
        (react_flow::is_elements, react_flow::convert),
        (n8n::is_workflow, n8n::convert),
        (comfyui::is_workflow, comfyui::convert),
        (comfyui::is_prompt, comfyui::convert_prompt),
        (drawflow::is_rete, drawflow::convert_rete),
        (node_red::is_flow, node_red::convert_flow),
        (node_link::is_graphology, node_link::convert_graphology),
        (node_link::is_vis, node_link::convert_vis),
        (node_link::is_node_link, node_link::convert),
        (json_canvas::is_canvas, json_canvas::convert),
        (react_flow::is_document, react_flow::convert),
        (sim::is_workflow, sim::convert),
        (activepieces::is_version, activepieces::convert),
        (ragflow::is_components, ragflow::convert),
        (drawflow::is_modules, drawflow::convert_modules),
    ];
    formats.into_iter().find(|(has_marks, _)| has_marks(fields)).map(|(_, convert)| convert)
}
