//! The plan of an import on the current graph: one operation and its events. Nothing is written here, and impossible
//! imports are refused here.

use std::collections::{HashMap, HashSet};

use dao_projections::{Commit, Edge, Entity, Event, Graph, Hash, Map, NodeId, Timestamp, Version};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    layout::layered,
    validate::{Rules, Wanted, WantedNode, parents},
};
use crate::{
    cli::error::CliError,
    domain::{History, Operation, Reason, Saver, Verdict, judge},
    http::{parse_batch, parse_command},
};

/// The plan for one graph.
pub(super) struct Plan {
    pub(super) wanted: Wanted,
    pub(super) before: Graph,
    /// The graph after the import.
    pub(super) after: Graph,
    /// `None` if nothing changes.
    pub(super) request: Option<Request>,
    pub(super) events: Vec<Event>,
}

/// What is asked of the server.
pub(super) struct Request {
    /// `command` or `batch`.
    pub(super) route: &'static str,
    pub(super) body: Value,
}

impl Plan {
    /// Makes the plan, and writes nothing.
    pub(super) fn of(mut wanted: Wanted, graph: &Graph, how: How, rules: &Rules) -> Result<Self, CliError> {
        refuse_missing_parents(&wanted, graph, how)?;
        leave_out_stale_edges(&mut wanted, graph, how);
        let commands = commands(&wanted, graph, how);
        let request = request(commands, graph);
        let operation = operation(&request, rules)?;
        let verdict = judge(graph, &operation, &NothingSince, &rules.limits);
        let files = wanted.files.join(", ");
        let (request, events) = match verdict {
            Ok(Verdict::Accepted { events, .. }) => (Some(request), events),
            Ok(Verdict::Unchanged { .. }) => (None, vec![]),
            Ok(Verdict::Refused(refusal)) => {
                let setting = match refusal.reason {
                    Reason::TooManyEntities => " (MAX_NODES, MAX_EDGES)",
                    Reason::EntityTooLarge => " (MAX_ENTITY_BYTES)",
                    _ => "",
                };
                return Err(CliError::new(format!(
                    "{files}: {}{setting}. Nothing was written",
                    refusal.message
                )));
            }
            Err(_) => {
                return Err(CliError::new(format!(
                    "{files}: the history of {} can't be read. Run the command again",
                    wanted.graph
                )));
            }
        };
        let mut after = graph.clone();
        let next = graph.head().version.next();
        events.iter().for_each(|event| after.apply_event(event, next, Timestamp(0)));
        Ok(Self { wanted, before: graph.clone(), after, request, events })
    }

    /// The deleted entities, as `node "a"`.
    pub(super) fn deletions(&self) -> Vec<String> {
        let deleted = self.events.iter().filter(|event| event.is_deletion());
        deleted
            .map(|event| match event.entity() {
                Entity::Node(id) => format!("node {:?}", id.as_str()),
                Entity::Edge(id) => format!("edge {:?}", id.as_str()),
                Entity::Viewport => "the viewport".to_owned(),
                Entity::Graph => "the graph".to_owned(),
            })
            .collect()
    }
}

/// The operation is judged on the version that its author has seen.
struct NothingSince;

impl History for NothingSince {
    fn since(&self, _: Version, _: &HashSet<Entity<'_>>) -> Option<Box<dyn Iterator<Item = &Commit> + '_>> {
        Some(Box::new(std::iter::empty()))
    }

    fn at(&self, _: Version) -> Option<&Commit> {
        None
    }

    fn hash_at(&self, _: Version) -> Option<Hash> {
        None
    }

    fn graph_at(&self, _: Version) -> Option<Graph> {
        None
    }

    fn owned_since(&self, _: Version, _: &Saver<'_>) -> Option<Vec<&Commit>> {
        None
    }
}

fn refuse_missing_parents(wanted: &Wanted, graph: &Graph, how: How) -> Result<(), CliError> {
    let own: HashSet<&NodeId> = wanted.nodes.iter().map(|wanted| wanted.node.id()).collect();
    let stays = |id: &NodeId| own.contains(id) || how == How::Merge && graph.nodes().get(id).is_some();
    for WantedNode { place, node, .. } in &wanted.nodes {
        if let Some((field, parent)) = node.parents().find(|(_, parent)| !stays(parent)) {
            return Err(CliError::new(format!(
                "{place}.{field}: the parent {:?} of node {:?} does not exist. Add it to the file, or remove {field}",
                parent.as_str(),
                node.id().as_str()
            )));
        }
    }
    Ok(())
}

/// Drops edges to missing nodes: saved flows often have some, and the rest is valid without them.
fn leave_out_stale_edges(wanted: &mut Wanted, graph: &Graph, how: How) {
    let own: HashSet<&NodeId> = wanted.nodes.iter().map(|wanted| wanted.node.id()).collect();
    let stays = |id: &NodeId| own.contains(id) || how == How::Merge && graph.nodes().get(id).is_some();
    let mut notes = Vec::new();
    wanted.edges.retain(|wanted| {
        let edge = &wanted.edge;
        let missing = [("source", edge.source()), ("target", edge.target())];
        let missing = missing.into_iter().find(|(_, end)| !stays(end));
        if let Some((end, node)) = missing {
            let (id, node) = (edge.id().as_str(), node.as_str());
            notes.push(format!(
                "{}: edge {id:?} is left out: its {end}, node {node:?}, is missing",
                wanted.place
            ));
        }
        missing.is_none()
    });
    wanted.notes.append(&mut notes);
}

/// The commands: one `BATCH_UPDATE`, then the deletions.
fn commands(wanted: &Wanted, graph: &Graph, how: How) -> Vec<Value> {
    let mut payload = Map::new();
    payload.insert("nodes".to_owned(), nodes(wanted, graph, how).into());
    if how == How::Replace || !wanted.edges.is_empty() {
        payload.insert("edges".to_owned(), edges(wanted, graph, how).into());
    }
    if let Some(viewport) = &wanted.viewport {
        payload.insert("viewport".to_owned(), viewport.clone());
    }
    let mut commands = vec![json!({"type": "BATCH_UPDATE", "payload": payload})];
    if how == How::Replace {
        let own: HashSet<&NodeId> = wanted.nodes.iter().map(|wanted| wanted.node.id()).collect();
        let going: Vec<_> = graph.nodes().iter().map(|node| &node.entity).collect();
        let going: Vec<_> = going.into_iter().filter(|node| !own.contains(node.id())).collect();
        let pairs: Vec<_> = going.iter().map(|node| (node.id().clone(), parents(node))).collect();
        // Children first: deleting a node deletes its children.
        commands.extend(parents_first(&pairs).into_iter().rev().filter_map(|at| {
            let id = pairs.get(at)?.0.as_str();
            Some(json!({"type": "DELETE_NODE", "payload": {"nodeId": id}}))
        }));
    }
    commands
}

fn nodes(wanted: &Wanted, graph: &Graph, how: How) -> Vec<Value> {
    let positions = positions(wanted, graph);
    let pairs: Vec<_> =
        wanted.nodes.iter().map(|wanted| (wanted.node.id().clone(), parents(&wanted.node))).collect();
    let in_order = parents_first(&pairs).into_iter().filter_map(|at| wanted.nodes.get(at));
    in_order
        .map(|WantedNode { node, is_placed, .. }| {
            let mut fields = node.to_json();
            let stood = graph.nodes().get(node.id()).map(|old| old.entity.to_json());
            if !is_placed {
                let stands = match (&stood, positions.get(node.id())) {
                    (Some(stood), _) => stood.get("position").cloned().unwrap_or(Value::Null),
                    (None, Some((x, y))) => json!({"x": x, "y": y}),
                    (None, None) => Value::Null,
                };
                fields.insert("position".to_owned(), stands);
            }
            match (how, stood) {
                (How::Merge, Some(stood)) => merged(Value::Object(stood), Value::Object(fields)),
                _ => Value::Object(fields),
            }
        })
        .collect()
}

/// Positions for new nodes that have none in the file, laid out per parent.
fn positions(wanted: &Wanted, graph: &Graph) -> HashMap<NodeId, (i64, i64)> {
    /// Below the title of their group.
    const INSIDE: (i64, i64) = (20, 40);
    let mut of_parent: HashMap<Option<NodeId>, Vec<&NodeId>> = HashMap::new();
    for WantedNode { node, is_placed, .. } in &wanted.nodes {
        if !is_placed && graph.nodes().get(node.id()).is_none() {
            of_parent.entry(parents(node).into_iter().next()).or_default().push(node.id());
        }
    }
    if of_parent.is_empty() {
        return HashMap::new();
    }
    let joined = |edge: &Edge| (edge.source().clone(), edge.target().clone());
    let edges: Vec<_> = wanted.edges.iter().map(|wanted| joined(&wanted.edge)).collect();
    let mut leads_to: HashMap<&NodeId, Vec<&NodeId>> = HashMap::new();
    edges.iter().for_each(|(source, target)| leads_to.entry(source).or_default().push(target));
    let mut found = HashMap::new();
    for (parent, nodes) in of_parent {
        let of_node = |node: &&NodeId| leads_to.get_key_value(*node);
        let edges = nodes.iter().filter_map(of_node);
        let edges: Vec<(&NodeId, &NodeId)> =
            edges.flat_map(|(source, targets)| targets.iter().map(|target| (*source, *target))).collect();
        let (left, top) = if parent.is_some() { INSIDE } else { (0, 0) };
        let at = layered(&nodes, &edges);
        found.extend(nodes.into_iter().cloned().zip(at.into_iter().map(|(x, y)| (x + left, y + top))));
    }
    found
}

/// The whole set of edges, since that is what `BATCH_UPDATE` takes: a merge keeps the existing ones.
fn edges(wanted: &Wanted, graph: &Graph, how: How) -> Vec<Value> {
    let given: HashMap<_, _> = wanted.edges.iter().map(|wanted| (wanted.edge.id(), &wanted.edge)).collect();
    let mut edges = Vec::new();
    if how == How::Merge {
        edges.extend(graph.edges().iter().map(|stood| {
            let fields = Value::Object(stood.entity.to_json());
            match given.get(stood.entity.id()) {
                Some(edge) => merged(fields, Value::Object(edge.to_json())),
                None => fields,
            }
        }));
    }
    let is_new = |edge: &&Edge| how == How::Replace || graph.edges().get(edge.id()).is_none();
    let new = wanted.edges.iter().map(|wanted| &wanted.edge).filter(is_new);
    edges.extend(new.map(|edge| Value::Object(edge.to_json())));
    edges
}

/// Merges the fields of the file into the current ones: keys that the file does not have stay.
fn merged(stands: Value, says: Value) -> Value {
    match (stands, says) {
        (Value::Object(mut stands), Value::Object(says)) => {
            for (key, says) in says {
                let new = match stands.get_mut(&key) {
                    Some(stood) => merged(stood.take(), says),
                    None => says,
                };
                stands.insert(key, new);
            }
            Value::Object(stands)
        }
        (_, says) => says,
    }
}

/// The indices of nodes in an order with parents first, otherwise as given. A cycle is refused later, and starts
/// anywhere.
fn parents_first(nodes: &[(NodeId, Vec<NodeId>)]) -> Vec<usize> {
    let index: HashMap<&NodeId, usize> = nodes.iter().enumerate().map(|(at, (id, _))| (id, at)).collect();
    let mut is_listed = vec![false; nodes.len()];
    let mut order = Vec::with_capacity(nodes.len());
    let mut waiting = Vec::new();
    for first in 0..nodes.len() {
        waiting.push((first, false));
        while let Some((at, parents_are_listed)) = waiting.pop() {
            if parents_are_listed {
                order.push(at);
                continue;
            }
            if is_listed.get_mut(at).is_none_or(|is_listed| std::mem::replace(is_listed, true)) {
                continue;
            }
            waiting.push((at, true));
            let parents = nodes.get(at).map(|(_, parents)| parents.as_slice()).unwrap_or_default();
            waiting.extend(parents.iter().filter_map(|parent| index.get(parent)).map(|at| (*at, false)));
        }
    }
    order
}

/// One operation, and so one commit or none. It is refused if somebody else writes to the same entities meanwhile
/// (rule D5), since the result would not be what was announced.
fn request(mut commands: Vec<Value>, graph: &Graph) -> Request {
    let common = json!({
        "clientId": format!("import-{}", Uuid::now_v7()),
        "clientVersion": graph.head().version,
        "clientHash": graph.head().hash,
        "onConflict": "reject",
    });
    let with_common = |mut body: Value| {
        if let (Some(body), Some(common)) = (body.as_object_mut(), common.as_object()) {
            body.extend(common.clone());
        }
        body
    };
    match (commands.len(), commands.pop()) {
        (1, Some(command)) => Request { route: "command", body: with_common(command) },
        (_, last) => {
            commands.extend(last);
            let batch = json!({"atomic": true, "operations": commands});
            Request { route: "batch", body: with_common(batch) }
        }
    }
}

/// The same as the server will read it.
fn operation(request: &Request, rules: &Rules) -> Result<Operation, CliError> {
    let read = match request.route {
        "command" => parse_command(request.body.clone(), &rules.user),
        _ => {
            let operations = parse_batch(request.body.clone(), &rules.user, usize::MAX);
            operations.and_then(|mut all| all.pop().ok_or_else(|| "there is nothing to do".to_owned()))
        }
    };
    read.map_err(|problem| CliError::new(format!("the import can't become a command: {problem}")))
}

/// What to do with entities that the file does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Keep them.
    Merge,
    /// Delete them.
    Replace,
}
