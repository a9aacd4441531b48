//! What single commands come to in the model (rules C and G), before anybody thinks of conflicts.

use serde_json::{Map, Value, json};

use crate::model::{Asked, Bounds, Graph, Problem, id_of, merged, with};

/// What a single command comes to, conflicts aside. `Err` is a rule of G4 or O3, without the part of
/// D4 that depends on what was deleted since.
#[expect(clippy::too_many_lines, reason = "one arm for each command")]
pub fn decide(graph: &Graph, asked: &Asked, bounds: &Bounds) -> Result<Vec<Value>, Problem> {
    let payload = &asked.payload;
    match asked.kind {
        "CREATE_NODE" => {
            let node = as_node(payload);
            if graph.node(id_of(&node)) == Some(&node) {
                return Ok(vec![]);
            }
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
            if graph.edge(id_of(payload)) == Some(payload) {
                return Ok(vec![]);
            }
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
    check_batch_update(graph, payload, bounds)?;
    Ok(batch_changes(graph, payload))
}

/// What a `BATCH_UPDATE` would change, whether or not that may be.
pub fn batch_changes(graph: &Graph, payload: &Value) -> Vec<Value> {
    let mut events = node_changes(graph, payload);
    if let Some(edges) = payload["edges"].as_array() {
        let is_gone = |id: &String| edges.iter().all(|edge| edge["id"] != **id);
        let gone = graph.edges.iter().filter(|(id, _)| is_gone(id));
        events.extend(gone.map(|(id, _)| json!({"type": "EdgeDeleted", "edgeId": id})));
        events.extend(edges.iter().filter_map(|edge| change("edge", graph.edge(id_of(edge)), edge)));
    }
    if let Some(viewport) = payload.get("viewport") {
        events.extend(set_viewport(graph, viewport));
    }
    events
}

/// The nodes that a `BATCH_UPDATE` names, as they are to be.
pub fn batch_nodes(payload: &Value) -> Vec<Value> {
    payload["nodes"].as_array().into_iter().flatten().map(as_node).collect()
}

fn node_changes(graph: &Graph, payload: &Value) -> Vec<Value> {
    batch_nodes(payload).iter().filter_map(|node| change("node", graph.node(id_of(node)), node)).collect()
}

/// Rules G4 and O3 for what a `BATCH_UPDATE` would change.
pub fn check_batch_update(graph: &Graph, payload: &Value, bounds: &Bounds) -> Result<(), Problem> {
    let mut then = graph.clone();
    node_changes(graph, payload).iter().for_each(|event| then.fold(event));
    check_count(then.nodes.len(), bounds.nodes)?;
    for node in batch_nodes(payload).iter().filter(|node| graph.node(id_of(node)) != Some(node)) {
        check_size(node, bounds)?;
        then.check_parents(node)?;
    }
    let Some(edges) = payload["edges"].as_array() else { return Ok(()) };
    check_count(edges.len(), bounds.edges)?;
    for edge in edges.iter().filter(|edge| graph.edge(id_of(edge)) != Some(edge)) {
        check_size(edge, bounds)?;
        check_ends(&then, edge)?;
    }
    Ok(())
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
