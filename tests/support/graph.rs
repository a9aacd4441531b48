//! Graphs as clients see them: shorthands for what is sent, and what must hold of what comes back.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use uuid::Uuid;

/// An envelope of a type and a payload alone.
pub(crate) fn command(name: &str, payload: Value) -> Value {
    json!({"type": name, "payload": payload})
}

/// `base` with these fields besides.
pub(crate) fn with(base: &Value, more: Value) -> Value {
    let mut fields = base.as_object().expect("an object").clone();
    fields.extend(more.as_object().expect("an object").clone());
    Value::Object(fields)
}

pub(crate) fn new_id() -> String {
    Uuid::now_v7().to_string()
}

/// An entity without what the server adds (rule G2), after making sure that it did.
pub(crate) fn bare(entity: &Value) -> Value {
    let mut fields: Map<String, Value> = entity.as_object().expect("an entity").clone();
    for field in ["createdAt", "updatedAt", "version"] {
        let added = fields.shift_remove(field);
        assert!(added.as_ref().is_some_and(Value::is_u64), "{field} of {entity}");
    }
    Value::Object(fields)
}

pub(crate) fn ids(entities: &Value) -> Vec<&str> {
    let list = entities.as_array().expect("a list").iter();
    list.map(|entity| entity["id"].as_str().expect("an id")).collect()
}

/// Rule G4, of a state.
pub(crate) fn assert_invariants(state: &Value) {
    let (nodes, edges) = (ids(&state["nodes"]), ids(&state["edges"]));
    let list = state["nodes"].as_array().expect("a list");
    let by_id: HashMap<&str, &Value> = nodes.iter().copied().zip(list).collect();
    assert_eq!(by_id.len(), nodes.len(), "node ids are unique: {nodes:?}");
    let unique: std::collections::HashSet<_> = edges.iter().collect();
    assert_eq!(unique.len(), edges.len(), "edge ids are unique: {edges:?}");
    for edge in state["edges"].as_array().expect("a list") {
        for end in ["source", "target"] {
            assert!(by_id.contains_key(edge[end].as_str().expect("an id")), "{end} of {edge}");
        }
    }
    for node in list {
        assert!(node["position"]["x"].is_number() && node["position"]["y"].is_number(), "{node}");
        for field in ["parentId", "parentNode"] {
            let mut above = node;
            for _ in 0..=list.len() {
                let Some(parent) = above[field].as_str() else { break };
                above = by_id.get(parent).unwrap_or_else(|| panic!("{field} of {above} does not exist"));
            }
            assert!(above[field].is_null(), "the parents of {node} form a cycle");
        }
    }
    let viewport = &state["viewport"];
    assert!(viewport["x"].is_number() && viewport["y"].is_number(), "{viewport}");
    assert!(viewport["zoom"].as_f64().is_some_and(|zoom| zoom > 0.0), "{viewport}");
}

/// What folding commits by the rules of the protocol gives: `{nodes, edges, viewport}`, without
/// what the server adds. Written from the contract, not from the code under test.
pub(crate) fn fold(commits: &[Value]) -> Value {
    let mut nodes: Vec<Value> = Vec::new();
    let mut edges: Vec<Value> = Vec::new();
    let mut viewport = json!({"x": 0, "y": 0, "zoom": 1});
    for event in commits.iter().flat_map(|commit| commit["events"].as_array().expect("events")) {
        let kind = event["type"].as_str().expect("a type");
        match kind {
            "NodeCreated" => nodes.push(event["node"].clone()),
            "EdgeCreated" => edges.push(event["edge"].clone()),
            "NodeUpdated" => merge(find(&mut nodes, &event["nodeId"]), &event["patch"]),
            "EdgeUpdated" => merge(find(&mut edges, &event["edgeId"]), &event["patch"]),
            "NodeMoved" => find(&mut nodes, &event["nodeId"])["position"] = event["position"].clone(),
            "NodeReplaced" => *find(&mut nodes, &event["node"]["id"]) = event["node"].clone(),
            "EdgeReplaced" => *find(&mut edges, &event["edge"]["id"]) = event["edge"].clone(),
            "NodeDeleted" => nodes.retain(|node| node["id"] != event["nodeId"]),
            "EdgeDeleted" => edges.retain(|edge| edge["id"] != event["edgeId"]),
            "ViewportSet" => viewport = event["viewport"].clone(),
            unknown => panic!("{unknown} is no event"),
        }
    }
    json!({"nodes": parents_first(nodes), "edges": edges, "viewport": viewport})
}

/// Rule G5: of what is left, always the oldest one next whose parents stand there.
pub(crate) fn parents_first(mut left: Vec<Value>) -> Vec<Value> {
    let mut listed: Vec<Value> = Vec::new();
    while !left.is_empty() {
        let stands = |id: &Value| !id.is_string() || listed.iter().any(|node| node["id"] == *id);
        let is_next = |node: &Value| stands(&node["parentId"]) && stands(&node["parentNode"]);
        let next = left.iter().position(is_next).expect("parents are no circle, and all are there");
        listed.push(left.remove(next));
    }
    listed
}

fn find<'a>(entities: &'a mut [Value], id: &Value) -> &'a mut Value {
    entities.iter_mut().find(|entity| entity["id"] == *id).unwrap_or_else(|| panic!("no entity {id}"))
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let fields = target.as_object_mut().expect("an object");
    for (key, value) in patch {
        if value.is_null() {
            fields.shift_remove(key);
        } else {
            merge(fields.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// A state in the shape of [`fold`].
pub(crate) fn bare_state(state: &Value) -> Value {
    let list = |key: &str| state[key].as_array().expect("a list").iter().map(bare).collect::<Vec<_>>();
    json!({"nodes": list("nodes"), "edges": list("edges"), "viewport": state["viewport"]})
}
