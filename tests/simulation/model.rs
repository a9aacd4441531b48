//! The rules of `docs/protocol.md` once more, as naively as they can be said: a graph is two lists of
//! JSON values (here), a command comes to events (`decide.rs`), a conflict is looked for in every
//! commit since the client's version (`conflict.rs`). Slow, obvious, and without a line of the
//! server's own judgement.

use std::rc::Rc;

use serde_json::{Value, json};

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
    /// What its author takes for the hash of that version (rule D8).
    pub client_hash: Option<String>,
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
    pub fn new(code: &'static str) -> Self {
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

    /// The nodes as lists have them (rule G5): always the oldest one next whose parents stand there.
    pub fn listed(&self) -> Vec<Value> {
        let mut left: Vec<&Value> = self.nodes.iter().map(|(_, node)| &**node).collect();
        let mut listed: Vec<Value> = vec![];
        while !left.is_empty() {
            let stands = |id: &Value| id.is_null() || listed.iter().any(|node| node["id"] == *id);
            let is_next = |node: &&Value| stands(&node["parentId"]) && stands(&node["parentNode"]);
            let next = left.iter().position(is_next).expect("parents are no circle");
            listed.push(left.remove(next).clone());
        }
        listed
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

    pub fn check_parents(&self, node: &Value) -> Result<(), Problem> {
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

pub fn with(mut entity: Value, field: &str, value: &Value) -> Value {
    entity[field] = value.clone();
    entity
}

pub fn id_of(entity: &Value) -> &str {
    entity["id"].as_str().unwrap()
}

/// A history as the model sees it: every commit, and the graph before and after each.
pub struct History {
    pub commits: Vec<Past>,
    /// By version: the first is the empty graph.
    pub graphs: Vec<Graph>,
    /// By version: the first is that of the empty graph.
    pub hashes: Vec<String>,
}
