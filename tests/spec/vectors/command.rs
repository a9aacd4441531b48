//! Commands of the vectors: from JSON as it is sent to what the domain takes, as the HTTP layer does.

use dao_api::domain::{Command, OnConflict};
use dao_projections::{Edge, Map, MergePatch, Node, Position, Viewport};
use serde_json::Value;

/// The fields that the server writes; on input they are ignored (rule G2).
const IGNORED: [&str; 4] = ["createdAt", "updatedAt", "version", "id"];

pub fn command(json: &Value) -> Command {
    let payload = &json["payload"];
    let id = |key: &str| payload[key].as_str().expect("an id").to_owned();
    match json["type"].as_str().expect("a type") {
        "CREATE_NODE" => Command::CreateNode { node: node(payload) },
        "UPDATE_NODE" => {
            let patch = patch(&payload["updates"]);
            Node::check_patch(&patch).expect("a patch of a node");
            Command::UpdateNode { node_id: id("nodeId").parse().expect("an id"), patch }
        }
        "UPDATE_NODE_POSITION" => Command::UpdateNodePosition {
            node_id: id("nodeId").parse().expect("an id"),
            position: Position::from_json(&payload["position"]).expect("a position"),
        },
        "DELETE_NODE" => Command::DeleteNode { node_id: id("nodeId").parse().expect("an id") },
        "CREATE_EDGE" => Command::CreateEdge { edge: edge(payload) },
        "UPDATE_EDGE" => {
            let patch = patch(&payload["updates"]);
            Edge::check_patch(&patch).expect("a patch of an edge");
            Command::UpdateEdge { edge_id: id("edgeId").parse().expect("an id"), patch }
        }
        "DELETE_EDGE" => Command::DeleteEdge { edge_id: id("edgeId").parse().expect("an id") },
        "SET_VIEWPORT" => Command::SetViewport { viewport: viewport(payload) },
        "UPDATE_GRAPH" => Command::UpdateGraph { patch: MergePatch::new(map(&payload["updates"])) },
        "BATCH_UPDATE" => {
            let list = |key: &str| payload.get(key).and_then(Value::as_array);
            Command::BatchUpdate {
                nodes: list("nodes").map_or(vec![], |nodes| nodes.iter().map(node).collect()),
                edges: list("edges").map(|edges| edges.iter().map(edge).collect()),
                viewport: payload.get("viewport").map(viewport),
            }
        }
        other => panic!("{other} is not a command of the vectors"),
    }
}

pub fn policy(name: &str) -> OnConflict {
    match name {
        "merge" => OnConflict::Merge,
        "overwrite" => OnConflict::Overwrite,
        "reject" => OnConflict::Reject,
        other => panic!("{other} is not a policy"),
    }
}

fn map(value: &Value) -> Map {
    value.as_object().cloned().expect("an object")
}

fn patch(updates: &Value) -> MergePatch {
    let fields = map(updates).into_iter().filter(|(key, _)| !IGNORED.contains(&key.as_str()));
    MergePatch::new(fields.collect())
}

fn node(fields: &Value) -> Node {
    let id = fields["id"].as_str().expect("an id").parse().expect("an id");
    let position = fields.get("position").map(|at| Position::from_json(at).expect("a position"));
    Node::new(id, position.unwrap_or_default(), map(fields)).expect("a node")
}

fn edge(fields: &Value) -> Edge {
    let id = |key: &str| fields[key].as_str().expect("an id");
    let [source, target] = ["source", "target"].map(|end| id(end).parse().expect("an id"));
    Edge::new(id("id").parse().expect("an id"), source, target, map(fields)).expect("an edge")
}

fn viewport(value: &Value) -> Viewport {
    Viewport::from_json(value).expect("a viewport")
}
