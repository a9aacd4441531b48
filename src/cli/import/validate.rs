//! Validates the flows of files: each node and edge is read by the rules of `CREATE_NODE` and `CREATE_EDGE`, and
//! errors name their place.
//!
//! Not here: whether a parent or an end exists, which depends on the graph ([`super::plan`]).

use std::collections::{HashMap, HashSet};

use dao_projections::{Edge, GraphId, Map, Node, NodeId, UserId, json_kind};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    flow::{Flow, Item, made_id, position, position_of, text_id},
    place::Place,
};
use crate::{
    cli::error::CliError,
    domain::{Command, Limits, json_bytes},
    http::{RequestLimits, parse_command},
};

/// Levels around an entity in the import command: the command, its payload, and the list.
const LEVELS_AROUND: usize = 3;

/// The limits for files.
pub(super) struct Rules {
    pub(super) requests: RequestLimits,
    pub(super) limits: Limits,
    pub(super) user: UserId,
}

/// The nodes and edges to import into a graph.
pub(super) struct Wanted {
    pub(super) graph: GraphId,
    pub(super) files: Vec<String>,
    pub(super) formats: Vec<&'static str>,
    pub(super) nodes: Vec<WantedNode>,
    pub(super) edges: Vec<WantedEdge>,
    pub(super) viewport: Option<Value>,
    pub(super) notes: Vec<String>,
}

pub(super) struct WantedNode {
    pub(super) place: Place,
    pub(super) node: Node,
    /// Whether the file has its position.
    pub(super) is_placed: bool,
}

pub(super) struct WantedEdge {
    pub(super) place: Place,
    pub(super) edge: Edge,
}

impl Wanted {
    /// Validates these flows for one graph.
    pub(super) fn of(graph: GraphId, flows: Vec<Flow>, rules: &Rules) -> Result<Self, CliError> {
        let (files, formats) = (vec![], vec![]);
        let mut wanted =
            Self { graph, files, formats, nodes: vec![], edges: vec![], viewport: None, notes: vec![] };
        for flow in flows {
            wanted.add(flow, rules)?;
        }
        let nodes = wanted.nodes.iter().map(|node| (node.node.id().as_str(), &node.place));
        refuse_twice("node", nodes)?;
        let edges = wanted.edges.iter().map(|edge| (edge.edge.id().as_str(), &edge.place));
        refuse_twice("edge", edges)?;
        Ok(wanted)
    }

    /// Refuses nodes and edges that are larger than these limits allow.
    pub(super) fn check_sizes(&self, limits: &Limits) -> Result<(), CliError> {
        let nodes = self
            .nodes
            .iter()
            .map(|WantedNode { place, node, .. }| (place, "node", node.id().as_str(), json_bytes(node)));
        let edges = self
            .edges
            .iter()
            .map(|WantedEdge { place, edge }| (place, "edge", edge.id().as_str(), json_bytes(edge)));
        let max = limits.entity_bytes_max;
        match nodes.chain(edges).find(|(_, _, _, bytes)| *bytes > max) {
            None => Ok(()),
            Some((place, what, id, bytes)) => Err(CliError::new(format!(
                "{place}: takes {bytes} bytes, but an entity may take {max} ({what} {id:?}). Make it smaller, or raise \
                 MAX_ENTITY_BYTES here and on the servers"
            ))),
        }
    }

    fn add(&mut self, flow: Flow, rules: &Rules) -> Result<(), CliError> {
        let file = &flow.place.source.file;
        if !self.files.contains(file) {
            self.files.push(file.clone());
        }
        if !self.formats.contains(&flow.format) {
            self.formats.push(flow.format);
        }
        self.notes.extend(flow.notes);
        if let Some(viewport) = flow.viewport {
            self.look(viewport, &flow.place.child("viewport"), rules)?;
        }
        let mut alike = HashMap::new();
        for item in flow.nodes {
            let node = self.node(item, &mut alike, rules)?;
            self.nodes.push(node);
        }
        let mut taken: HashSet<String> =
            flow.edges.iter().filter_map(|edge| edge.fields.get("id").and_then(text_id)).collect();
        for item in flow.edges {
            self.edges.push(edge(item, &mut taken, rules)?);
        }
        Ok(())
    }

    fn look(&mut self, viewport: Value, place: &Place, rules: &Rules) -> Result<(), CliError> {
        if ["x", "y", "zoom"].iter().any(|key| viewport.get(*key).is_none_or(Value::is_null)) {
            self.notes.push(format!("{place} is left out: x, y or zoom is missing"));
            return Ok(());
        }
        read("SET_VIEWPORT", viewport.clone(), place, "", rules)?;
        self.viewport = Some(viewport);
        Ok(())
    }

    fn node(
        &mut self,
        item: Item,
        alike: &mut HashMap<String, usize>,
        rules: &Rules,
    ) -> Result<WantedNode, CliError> {
        let Item { place, mut fields } = item;
        let id = match fields.shift_remove("id").filter(|id| !id.is_null()) {
            Some(id) => text_of(id, &place.child("id"))?,
            None => made_up("node", &fields, alike),
        };
        let stands = self.position(fields.shift_remove("position"), &place);
        let stands = stands.or_else(|| position_of(&fields, "x", "y"));
        let is_placed = stands.is_some();
        for parent in ["parentId", "parentNode"] {
            if let Some(value) = fields.get_mut(parent).filter(|value| value.is_number()) {
                *value = text_of(value.take(), &place.child(parent))?.into();
            }
        }
        let mut whole = Map::new();
        whole.insert("id".to_owned(), id.clone().into());
        whole.extend(stands.map(|stands| ("position".to_owned(), stands)));
        whole.extend(fields);
        let who = format!(" (node {id:?})");
        match read("CREATE_NODE", Value::Object(whole), &place, &who, rules)? {
            Command::CreateNode { node } => Ok(WantedNode { place, node, is_placed }),
            _ => Err(CliError::new(format!("{place}: not a node"))),
        }
    }

    /// The position of a node; `None` if x or y is missing or null, which is how `JSON.stringify` writes NaN.
    fn position(&mut self, value: Option<Value>, place: &Place) -> Option<Value> {
        match value? {
            Value::Null => None,
            Value::Object(mut both) => {
                let (x, y) = (both.shift_remove("x")?, both.shift_remove("y")?);
                if x.is_null() || y.is_null() {
                    return None;
                }
                if let Some(key) = both.keys().next() {
                    self.notes.push(format!("{place}.position.{key} is left out: a position is x and y"));
                }
                Some(json!({"x": x, "y": y}))
            }
            list @ Value::Array(_) => position(Some(&list)).or(Some(list)),
            other => Some(other),
        }
    }
}

fn edge(item: Item, taken: &mut HashSet<String>, rules: &Rules) -> Result<WantedEdge, CliError> {
    let Item { place, mut fields } = item;
    for end in ["source", "target"] {
        if let Some(value) = fields.get_mut(end).filter(|value| value.is_number()) {
            *value = text_of(value.take(), &place.child(end))?.into();
        }
    }
    let id = match fields.shift_remove("id").filter(|id| !id.is_null()) {
        Some(id) => text_of(id, &place.child("id"))?,
        None => joining(&fields, taken),
    };
    let mut whole = Map::new();
    whole.insert("id".to_owned(), id.clone().into());
    whole.extend(fields);
    let who = format!(" (edge {id:?})");
    match read("CREATE_EDGE", Value::Object(whole), &place, &who, rules)? {
        Command::CreateEdge { edge } => Ok(WantedEdge { place, edge }),
        _ => Err(CliError::new(format!("{place}: not an edge"))),
    }
}

/// The id that React Flow gives an edge without one, made unique. The same file gives the same ids, so that importing
/// it again changes nothing.
fn joining(fields: &Map, taken: &mut HashSet<String>) -> String {
    let part = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
    let id = format!(
        "xy-edge__{}{}-{}{}",
        part("source"),
        part("sourceHandle"),
        part("target"),
        part("targetHandle")
    );
    let id = made_id(id).as_str().unwrap_or_default().to_owned();
    let mut unique = id.clone();
    let mut count = 1_usize;
    while !taken.insert(unique.clone()) {
        count += 1;
        unique = format!("{id}-{count}");
    }
    unique
}

/// Makes an id for an entity without one, from its content and the number of equal ones before it. The same file gives
/// the same ids.
fn made_up(what: &str, fields: &Map, alike: &mut HashMap<String, usize>) -> String {
    let content = uuid_of(&format!("{what} {}", Value::Object(fields.clone())));
    let count = alike.entry(content.clone()).or_default();
    *count += 1;
    if *count == 1 { content } else { uuid_of(&format!("{content} {count}")) }
}

fn uuid_of(text: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("dao-api import {text}").as_bytes()).to_string()
}

fn text_of(id: Value, place: &Place) -> Result<String, CliError> {
    text_id(&id).ok_or_else(|| {
        CliError::new(format!("{place}: an id must be a string or a whole number, not {}", json_kind(&id)))
    })
}

/// Reads an entity by the rules of the command that creates it.
fn read(command: &str, entity: Value, place: &Place, who: &str, rules: &Rules) -> Result<Command, CliError> {
    let max = rules.requests.depth_max;
    if depth(&entity) + LEVELS_AROUND > max {
        return Err(CliError::new(format!(
            "{place}: nested deeper than {max} levels, in the command that brings it (MAX_JSON_DEPTH){who}"
        )));
    }
    let operation = parse_command(json!({"type": command, "payload": entity}), &rules.user);
    let operation = operation.map_err(|problem| {
        let inner = problem.strip_prefix("payload").unwrap_or(&problem);
        CliError::new(format!("{place}{inner}{who}"))
    })?;
    match operation.action.members() {
        [member] => Ok(member.command.clone()),
        _ => Err(CliError::new(format!("{place}: not a single command"))),
    }
}

/// The nesting of lists and objects. Recursive: the depth of documents is bounded when they are read.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

fn refuse_twice<'a>(what: &str, items: impl Iterator<Item = (&'a str, &'a Place)>) -> Result<(), CliError> {
    let mut seen: HashMap<&str, &Place> = HashMap::new();
    for (id, place) in items {
        if let Some(first) = seen.insert(id, place) {
            return Err(CliError::new(format!(
                "{place}.id: {what} {id:?} is at {first} too. Ids are unique in a graph: rename one"
            )));
        }
    }
    Ok(())
}

/// The parents of a node.
pub(super) fn parents(node: &Node) -> Vec<NodeId> {
    node.parents().map(|(_, parent)| parent).collect()
}
