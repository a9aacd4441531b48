//! The rules of `docs/protocol.md` once more, as naively as they can be said: a graph is two lists of
//! JSON values, a conflict is looked for in every commit since the client's version. Slow, obvious,
//! and without a line of the server's own judgement.

use std::rc::Rc;

use serde_json::{Map, Value, json};

use crate::conflict::{Past, Subject, about, is_deletion};

/// What a graph may hold in a simulation.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub nodes: usize,
    pub edges: usize,
    pub entity_bytes: usize,
}

/// What is asked for, in the words of the wire.
#[derive(Clone, Debug)]
pub struct Asked {
    pub kind: &'static str,
    pub payload: Value,
    pub client_version: Option<u64>,
    pub on_conflict: &'static str,
}

/// A refusal: its code, whether it is a 409, which member, and what must be in the resolution.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    pub code: &'static str,
    pub is_conflict: bool,
    pub conflicts: Vec<Value>,
}

impl Refused {
    /// A 404, 413 or 422.
    pub fn plain(code: &'static str) -> Self {
        Self { code, is_conflict: false, conflicts: vec![] }
    }

    /// A 409.
    pub fn conflict(code: &'static str, conflicts: Vec<Value>) -> Self {
        Self { code, is_conflict: true, conflicts }
    }
}

/// What of G4, O3 or existence stands in the way, and where.
#[derive(Clone, Debug)]
pub struct Problem {
    pub code: &'static str,
    /// The entity as it would be, and its field that is wrong; null where there is none such.
    pub entity: Value,
    pub field: &'static str,
}

impl Problem {
    fn new(code: &'static str) -> Self {
        Self { code, entity: Value::Null, field: "" }
    }
}

/// How an operation must have ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Committed { events: Vec<Value>, outcome: &'static str },
    Unchanged,
    Refused { refused: Refused, index: Option<usize> },
}

type Entity = (String, Rc<Value>);

/// A graph as plain lists in creation order.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    pub nodes: Vec<Entity>,
    pub edges: Vec<Entity>,
    pub viewport: Value,
}

impl Graph {
    pub fn empty() -> Self {
        Self { nodes: vec![], edges: vec![], viewport: json!({"x": 0, "y": 0, "zoom": 1}) }
    }

    pub fn node(&self, id: &str) -> Option<&Value> {
        self.nodes.iter().find(|(known, _)| known == id).map(|(_, node)| &**node)
    }

    pub fn edge(&self, id: &str) -> Option<&Value> {
        self.edges.iter().find(|(known, _)| known == id).map(|(_, edge)| &**edge)
    }

    /// The entity; null if it is not there.
    pub fn current(&self, subject: &Subject) -> Value {
        match subject {
            Subject::Node(id) => self.node(id).cloned().unwrap_or(Value::Null),
            Subject::Edge(id) => self.edge(id).cloned().unwrap_or(Value::Null),
            Subject::Viewport => self.viewport.clone(),
        }
    }

    pub fn exists(&self, subject: &Subject) -> bool {
        !self.current(subject).is_null()
    }

    pub fn fold(&mut self, event: &Value) {
        let subject = about(event);
        let new = match event["type"].as_str().unwrap() {
            "NodeCreated" | "NodeReplaced" => event["node"].clone(),
            "EdgeCreated" | "EdgeReplaced" => event["edge"].clone(),
            "NodeMoved" => with(self.current(&subject), "position", &event["position"]),
            "NodeUpdated" | "EdgeUpdated" => merged(&self.current(&subject), &event["patch"]),
            "ViewportSet" => event["viewport"].clone(),
            _ => Value::Null,
        };
        let (table, id) = match subject {
            Subject::Viewport => {
                self.viewport = new;
                return;
            }
            Subject::Node(id) => (&mut self.nodes, id),
            Subject::Edge(id) => (&mut self.edges, id),
        };
        if is_deletion(event) {
            table.retain(|(known, _)| *known != id);
        } else if let Some(old) = table.iter_mut().find(|(known, _)| *known == id) {
            old.1 = Rc::new(new);
        } else {
            table.push((id, Rc::new(new)));
        }
    }

    /// Rule G4.
    pub fn check_invariants(&self) -> Result<(), String> {
        let is_number = |value: &Value| value.as_f64().is_some_and(f64::is_finite);
        for (index, (id, node)) in self.nodes.iter().enumerate() {
            if self.nodes[..index].iter().any(|(other, _)| other == id) || node["id"] != **id {
                return Err(format!("node {id} is there twice, or under another id"));
            }
            if !is_number(&node["position"]["x"]) || !is_number(&node["position"]["y"]) {
                return Err(format!("node {id} is nowhere"));
            }
            self.check_parents(node).map_err(|problem| format!("node {id}: {}", problem.code))?;
        }
        for (index, (id, edge)) in self.edges.iter().enumerate() {
            if self.edges[..index].iter().any(|(other, _)| other == id) || edge["id"] != **id {
                return Err(format!("edge {id} is there twice, or under another id"));
            }
            if let Some(end) = self.missing_end(edge) {
                return Err(format!("the {end} of edge {id} does not exist"));
            }
        }
        let viewport_is_fine = ["x", "y", "zoom"].iter().all(|field| is_number(&self.viewport[field]));
        if !viewport_is_fine || self.viewport["zoom"].as_f64() <= Some(0.0) {
            return Err(format!("the viewport is {}", self.viewport));
        }
        Ok(())
    }

    pub fn missing_end(&self, edge: &Value) -> Option<&'static str> {
        ["source", "target"].into_iter().find(|end| self.node(edge[end].as_str().unwrap()).is_none())
    }

    /// The field of `node` whose parent does not exist. One that it is itself is a cycle.
    pub fn missing_parent(&self, node: &Value) -> Option<&'static str> {
        ["parentId", "parentNode"]
            .into_iter()
            .find(|field| node[field].as_str().is_some_and(|id| node["id"] != id && self.node(id).is_none()))
    }

    fn check_parents(&self, node: &Value) -> Result<(), Problem> {
        if let Some(field) = self.missing_parent(node) {
            return Err(Problem { code: "PARENT_NOT_FOUND", entity: node.clone(), field });
        }
        if self.is_inside(node, id_of(node), self.nodes.len() + 1) {
            return Err(Problem::new("PARENT_CYCLE"));
        }
        Ok(())
    }

    /// Whether `node` is inside of `id`, looking no higher than `levels`.
    pub fn is_inside(&self, node: &Value, id: &str, levels: usize) -> bool {
        let mut parents = ["parentId", "parentNode"].into_iter().filter_map(|field| node[field].as_str());
        parents.any(|parent| {
            parent == id
                || levels > 0 && self.node(parent).is_some_and(|above| self.is_inside(above, id, levels - 1))
        })
    }
}

/// What a single command comes to, conflicts aside. `Err` is a rule of G4 or O3, without the part of
/// D4 that depends on what was deleted since.
pub fn decide(graph: &Graph, asked: &Asked, bounds: &Bounds) -> Result<Vec<Value>, Problem> {
    let payload = &asked.payload;
    match asked.kind {
        "CREATE_NODE" => {
            let node = as_node(payload);
            if graph.node(id_of(&node)).is_some() {
                return Err(Problem { code: "ID_TAKEN", entity: node, field: "" });
            }
            check_count(graph.nodes.len() + 1, bounds.nodes)?;
            check_size(&node, bounds)?;
            graph.check_parents(&node)?;
            Ok(vec![json!({"type": "NodeCreated", "node": node})])
        }
        "UPDATE_NODE" => {
            let old =
                graph.node(payload["nodeId"].as_str().unwrap()).ok_or(Problem::new("NODE_NOT_FOUND"))?;
            let new = merged(old, &payload["updates"]);
            if new == *old {
                return Ok(vec![]);
            }
            check_size(&new, bounds)?;
            if ["parentId", "parentNode"].iter().any(|field| new[field] != old[field]) {
                graph.check_parents(&new)?;
            }
            Ok(vec![json!({"type": "NodeUpdated", "nodeId": payload["nodeId"], "patch": payload["updates"]})])
        }
        "UPDATE_NODE_POSITION" => {
            let old =
                graph.node(payload["nodeId"].as_str().unwrap()).ok_or(Problem::new("NODE_NOT_FOUND"))?;
            let event =
                json!({"type": "NodeMoved", "nodeId": payload["nodeId"], "position": payload["position"]});
            Ok(if old["position"] == payload["position"] { vec![] } else { vec![event] })
        }
        "DELETE_NODE" => delete_node(graph, payload["nodeId"].as_str().unwrap()),
        "CREATE_EDGE" => {
            if graph.edge(id_of(payload)).is_some() {
                return Err(Problem { code: "ID_TAKEN", entity: payload.clone(), field: "" });
            }
            check_count(graph.edges.len() + 1, bounds.edges)?;
            check_size(payload, bounds)?;
            check_ends(graph, payload)?;
            Ok(vec![json!({"type": "EdgeCreated", "edge": payload})])
        }
        "UPDATE_EDGE" => {
            let old =
                graph.edge(payload["edgeId"].as_str().unwrap()).ok_or(Problem::new("EDGE_NOT_FOUND"))?;
            let new = merged(old, &payload["updates"]);
            if new == *old {
                return Ok(vec![]);
            }
            check_size(&new, bounds)?;
            check_ends(graph, &new)?;
            Ok(vec![json!({"type": "EdgeUpdated", "edgeId": payload["edgeId"], "patch": payload["updates"]})])
        }
        "DELETE_EDGE" => {
            let id = payload["edgeId"].as_str().unwrap();
            graph.edge(id).ok_or(Problem::new("EDGE_NOT_FOUND"))?;
            Ok(vec![json!({"type": "EdgeDeleted", "edgeId": id})])
        }
        "SET_VIEWPORT" => Ok(set_viewport(graph, payload)),
        "BATCH_UPDATE" => batch_update(graph, payload, bounds),
        other => panic!("no such command: {other}"),
    }
}

fn delete_node(graph: &Graph, id: &str) -> Result<Vec<Value>, Problem> {
    graph.node(id).ok_or(Problem::new("NODE_NOT_FOUND"))?;
    let goes = |node: &Value| node["id"] == *id || graph.is_inside(node, id, graph.nodes.len());
    let going: Vec<&str> =
        graph.nodes.iter().filter(|(_, node)| goes(node)).map(|(id, _)| id.as_str()).collect();
    let is_going = |end: &Value| going.contains(&end.as_str().unwrap());
    let edges = graph.edges.iter().filter(|(_, edge)| is_going(&edge["source"]) || is_going(&edge["target"]));
    let edges = edges.map(|(id, _)| json!({"type": "EdgeDeleted", "edgeId": id}));
    let nodes = going.iter().map(|id| json!({"type": "NodeDeleted", "nodeId": id}));
    Ok(edges.chain(nodes).collect())
}

fn set_viewport(graph: &Graph, viewport: &Value) -> Vec<Value> {
    if graph.viewport == *viewport {
        return vec![];
    }
    vec![json!({"type": "ViewportSet", "viewport": viewport})]
}

fn batch_update(graph: &Graph, payload: &Value, bounds: &Bounds) -> Result<Vec<Value>, Problem> {
    let list = |field: &str| payload[field].as_array().cloned();
    let nodes: Vec<Value> = list("nodes").unwrap_or_default().iter().map(as_node).collect();
    let mut events = Vec::new();
    for node in &nodes {
        events.extend(change("node", graph.node(id_of(node)), node));
    }
    let mut then = graph.clone();
    events.iter().for_each(|event| then.fold(event));
    check_count(then.nodes.len(), bounds.nodes)?;
    for node in nodes.iter().filter(|node| graph.node(id_of(node)) != Some(node)) {
        check_size(node, bounds)?;
        then.check_parents(node)?;
    }
    if let Some(edges) = list("edges") {
        check_count(edges.len(), bounds.edges)?;
        let is_gone = |id: &String| edges.iter().all(|edge| edge["id"] != **id);
        let gone = graph.edges.iter().filter(|(id, _)| is_gone(id));
        events.extend(gone.map(|(id, _)| json!({"type": "EdgeDeleted", "edgeId": id})));
        for edge in &edges {
            let event = change("edge", graph.edge(id_of(edge)), edge);
            if event.is_some() {
                check_size(edge, bounds)?;
                check_ends(&then, edge)?;
            }
            events.extend(event);
        }
    }
    if let Some(viewport) = payload.get("viewport") {
        events.extend(set_viewport(graph, viewport));
    }
    Ok(events)
}

/// The event that makes `old` into `new`.
fn change(kind: &str, old: Option<&Value>, new: &Value) -> Option<Value> {
    let (name, id) = if kind == "node" { ("Node", "nodeId") } else { ("Edge", "edgeId") };
    let Some(old) = old else { return Some(json!({"type": format!("{name}Created"), kind: new})) };
    if old == new {
        return None;
    }
    if kind == "node" && with(old.clone(), "position", &new["position"]) == *new {
        return Some(json!({"type": "NodeMoved", "nodeId": new["id"], "position": new["position"]}));
    }
    let patch = difference(old, new);
    if merged(old, &patch) == *new {
        return Some(json!({"type": format!("{name}Updated"), id: new["id"], "patch": patch}));
    }
    Some(json!({"type": format!("{name}Replaced"), kind: new}))
}

fn difference(old: &Value, new: &Value) -> Value {
    let (Some(before), Some(after)) = (old.as_object(), new.as_object()) else { return new.clone() };
    let mut patch = Map::new();
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in after.iter().filter(|(key, value)| before.get(*key) != Some(value)) {
        patch.insert(key.clone(), difference(before.get(key).unwrap_or(&Value::Null), value));
    }
    Value::Object(patch)
}

/// RFC 7396, word for word.
pub fn merged(target: &Value, patch: &Value) -> Value {
    let Some(patch) = patch.as_object() else { return patch.clone() };
    let mut result = target.as_object().cloned().unwrap_or_default();
    for (key, value) in patch {
        if value.is_null() {
            result.shift_remove(key);
        } else {
            let below = merged(result.get(key).unwrap_or(&Value::Null), value);
            result.insert(key.clone(), below);
        }
    }
    Value::Object(result)
}

/// A node as given: without a position it is at the origin, a null parent is none (rule G1).
fn as_node(given: &Value) -> Value {
    let mut node = json!({"id": given["id"], "position": {"x": 0, "y": 0}});
    for (field, value) in given.as_object().unwrap() {
        if !(value.is_null() && ["parentId", "parentNode"].contains(&field.as_str())) {
            node[field] = value.clone();
        }
    }
    node
}

fn with(mut entity: Value, field: &str, value: &Value) -> Value {
    entity[field] = value.clone();
    entity
}

pub fn id_of(entity: &Value) -> &str {
    entity["id"].as_str().unwrap()
}

fn check_count(count: usize, max: usize) -> Result<(), Problem> {
    if count > max { Err(Problem::new("TOO_MANY_ENTITIES")) } else { Ok(()) }
}

fn check_size(entity: &Value, bounds: &Bounds) -> Result<(), Problem> {
    let bytes = serde_json::to_vec(entity).unwrap().len();
    if bytes > bounds.entity_bytes { Err(Problem::new("ENTITY_TOO_LARGE")) } else { Ok(()) }
}

fn check_ends(graph: &Graph, edge: &Value) -> Result<(), Problem> {
    match graph.missing_end(edge) {
        Some(field) => Err(Problem { code: "DANGLING_EDGE", entity: edge.clone(), field }),
        None => Ok(()),
    }
}

/// A history as the model sees it: every commit, and the graph before and after each.
pub struct History {
    pub commits: Vec<Past>,
    /// By version: the first is the empty graph.
    pub graphs: Vec<Graph>,
}
