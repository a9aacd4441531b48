//! Cytoscape.js: elements with `data`, as a list or as `{nodes, edges}`. A compound node becomes a group around its
//! children.

use std::{cell::RefCell, collections::HashMap};

use dao_projections::Map;
use serde_json::{Value, json};

use super::fields::{object, objects};
use crate::cli::{
    error::CliError,
    import::{
        flow::{Ends, Flow, Item, coordinate, items, number, position, take, text, text_id},
        place::Place,
    },
};

/// About the size of a default node of React Flow.
const NODE_SIZE: (f64, f64) = (150.0, 40.0);
/// The padding between a group and its children.
const PADDING: f64 = 20.0;
/// The most levels of groups.
const DEPTH_MAX: usize = 64;

/// Whether each has its id, or its ends, in `data` and not beside it.
pub(super) fn is_list(elements: &[&Map]) -> bool {
    let is_element = |element: &&Map| {
        let data = element.get("data").and_then(Value::as_object);
        let has_own = element.contains_key("id") || element.contains_key("source");
        !has_own && data.is_some_and(|data| data.contains_key("id") || data.contains_key("source"))
    };
    !elements.is_empty() && elements.iter().all(is_element)
}

pub(super) fn is_document(fields: &Map) -> bool {
    match fields.get("elements") {
        Some(Value::Object(inner)) => is_document(inner),
        Some(elements) => is_list(&objects(Some(elements))),
        None => is_list(&objects(fields.get("nodes"))),
    }
}

pub(super) fn convert(value: Value, at: &Place) -> Result<Vec<Flow>, CliError> {
    let mut flow = Flow::new("Cytoscape", at);
    for Item { place, fields: mut element } in elements(value, at, &mut flow)? {
        let Value::Object(mut data) = take(&mut element, "data") else {
            return Err(CliError::new(format!("{place}.data: must be an object")));
        };
        let id = data.shift_remove("id");
        if data.contains_key("source") || element.get("group").and_then(Value::as_str) == Some("edges") {
            let ends = Ends { id, source: take(&mut data, "source"), target: take(&mut data, "target") };
            flow.add_edge(place, ends, data);
            continue;
        }
        let Some(id) = id.as_ref().and_then(text_id) else {
            return Err(CliError::new(format!("{place}.data.id: must be a string or a whole number")));
        };
        let parent = data.shift_remove("parent").as_ref().and_then(text_id);
        let label = text(&data, "label").or_else(|| text(&data, "name")).unwrap_or(&id).to_owned();
        let stands = position(element.get("position"));
        flow.add_node(place, id.into(), stands, &label, data);
        if let (Some(node), Some(parent)) = (flow.nodes.last_mut(), parent) {
            node.fields.insert("parentId".to_owned(), parent.into());
        }
    }
    group(&mut flow.nodes);
    Ok(vec![flow])
}

fn elements(value: Value, at: &Place, flow: &mut Flow) -> Result<Vec<Item>, CliError> {
    if value.is_array() {
        return items(value, at);
    }
    let mut fields = object(value, at)?;
    if let (Some(pan), Some(zoom)) = (fields.get("pan"), fields.get("zoom")) {
        flow.viewport = Some(json!({"x": pan.get("x"), "y": pan.get("y"), "zoom": zoom}));
    }
    match fields.shift_remove("elements") {
        Some(inner) => elements(inner, &at.child("elements"), flow),
        None => {
            let mut all = Vec::new();
            for key in ["nodes", "edges"] {
                if let Some(list) = fields.shift_remove(key).filter(|list| !list.is_null()) {
                    all.extend(items(list, &at.child(key))?);
                }
            }
            Ok(all)
        }
    }
}

/// Compound nodes get the bounds of their children, whose positions become relative: Cytoscape's positions are
/// absolute, React Flow's are relative to the parent.
fn group(nodes: &mut [Item]) {
    let id = |node: &Item, key: &str| node.fields.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut inside: HashMap<String, Vec<String>> = HashMap::new();
    let mut stands = HashMap::new();
    for node in nodes.iter() {
        let Some(own) = id(node, "id") else { continue };
        if let Some(parent) = id(node, "parentId") {
            inside.entry(parent).or_default().push(own.clone());
        }
        if let Some(at) = node.fields.get("position") {
            stands.insert(own, (coordinate(at, "x"), coordinate(at, "y")));
        }
    }
    if inside.is_empty() {
        return;
    }
    let boxes = Boxes { inside: &inside, stands: &stands, known: RefCell::default() };
    for node in nodes {
        let (own, parent) = (id(node, "id").unwrap_or_default(), id(node, "parentId"));
        let Some(own_box) = boxes.of(&own, 0) else { continue };
        let origin = parent.and_then(|parent| boxes.of(&parent, 0));
        let (x, y) = origin.map_or((0.0, 0.0), |origin| (origin.left, origin.top));
        let at = json!({"x": number(own_box.left - x), "y": number(own_box.top - y)});
        node.fields.insert("position".to_owned(), at);
        if inside.contains_key(&own) {
            let size = json!({
                "width": number(own_box.right - own_box.left), "height": number(own_box.bottom - own_box.top),
            });
            node.fields.insert("type".to_owned(), "group".into());
            node.fields.insert("style".to_owned(), size);
        }
    }
}

#[derive(Clone, Copy)]
struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

struct Boxes<'a> {
    inside: &'a HashMap<String, Vec<String>>,
    stands: &'a HashMap<String, (f64, f64)>,
    known: RefCell<HashMap<String, Option<Area>>>,
}

impl Boxes<'_> {
    /// The bounds of a node; `None` if nothing in it has a position. Cycles of parents have none: rule G4 refuses them
    /// later.
    fn of(&self, id: &str, depth: usize) -> Option<Area> {
        if let Some(known) = self.known.borrow().get(id) {
            return *known;
        }
        let area = if depth < DEPTH_MAX { self.around(id, depth) } else { None };
        self.known.borrow_mut().insert(id.to_owned(), area);
        area
    }

    fn around(&self, id: &str, depth: usize) -> Option<Area> {
        let Some(children) = self.inside.get(id) else {
            let (x, y) = *self.stands.get(id)?;
            return Some(Area { left: x, top: y, right: x + NODE_SIZE.0, bottom: y + NODE_SIZE.1 });
        };
        let areas: Vec<Area> = children.iter().filter_map(|child| self.of(child, depth + 1)).collect();
        let around = areas.into_iter().reduce(|a, b| Area {
            left: a.left.min(b.left),
            top: a.top.min(b.top),
            right: a.right.max(b.right),
            bottom: a.bottom.max(b.bottom),
        })?;
        Some(Area {
            left: around.left - PADDING,
            top: around.top - PADDING,
            right: around.right + PADDING,
            bottom: around.bottom + PADDING,
        })
    }
}
