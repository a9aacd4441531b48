//! What clients ask for: random commands on a few ids, so that everybody gets in everybody's way.

use std::collections::BTreeMap;

use dao_api::domain::{Action, Claim, Command, Fingerprint, IfMissing, Member, OnConflict, Operation};
use dao_projections::{
    Edge, EdgeId, Hash, Map, MergePatch, Node, NodeId, OperationId, Position, Version, Viewport,
};
use serde_json::{Value, json};

use crate::{model::Asked, rng::Rng};

/// One operation as its author made it: what is sent, and what the model judges.
#[derive(Clone, Debug)]
pub struct Ask {
    pub id: OperationId,
    pub graph: usize,
    pub user: String,
    pub client: String,
    /// Whether its author names the client (rule D1).
    pub is_named: bool,
    pub is_batch: bool,
    pub members: Vec<Asked>,
}

impl Ask {
    /// Of the author, the command and nothing else (rule C3).
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash = 0xCBF2_9CE4_8422_2325_u64;
        let members = self.members.iter().map(|member| format!("{}{}", member.kind, member.payload));
        for byte in members.fold(format!("{}{}", self.user, self.is_batch), |all, one| all + &one).bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        Fingerprint(hash.to_be_bytes())
    }

    pub fn operation(&self) -> Operation {
        let mut members: Vec<Member> = self.members.iter().map(member).collect();
        let if_missing = IfMissing::Refuse;
        let action = match self.is_batch {
            true => Action::Atomic { members, if_missing },
            false => Action::Single(members.remove(0)),
        };
        Operation {
            id: self.id,
            fingerprint: self.fingerprint(),
            user: self.user.parse().unwrap(),
            after: None,
            traceparent: None,
            client: self.client.parse().unwrap(),
            is_client_named: self.is_named,
            claims: self.claims().collect(),
            action,
        }
    }

    /// The points of its history that its author names (rule D8).
    fn claims(&self) -> impl Iterator<Item = Claim> + '_ {
        self.members.iter().enumerate().filter_map(|(index, member)| {
            let version = Version::new(member.client_version?).unwrap();
            let hash = Hash::from_hex(member.client_hash.as_ref()?).ok();
            Some(Claim { version, hash, index: self.is_batch.then_some(index) })
        })
    }

    /// The same as numbers and texts.
    pub fn points(&self) -> Vec<(u64, String)> {
        let named = self.members.iter();
        named.filter_map(|member| Some((member.client_version?, member.client_hash.clone()?))).collect()
    }
}

fn member(asked: &Asked) -> Member {
    let on_conflict = match asked.on_conflict {
        "reject" => OnConflict::Reject,
        "overwrite" => OnConflict::Overwrite,
        _ => OnConflict::Merge,
    };
    let client_version = asked.client_version.map(|version| Version::new(version).unwrap());
    Member { command: command(asked.kind, &asked.payload), client_version, on_conflict }
}

fn command(kind: &str, payload: &Value) -> Command {
    let node_id = || payload["nodeId"].as_str().unwrap().parse::<NodeId>().unwrap();
    let edge_id = || payload["edgeId"].as_str().unwrap().parse::<EdgeId>().unwrap();
    let patch = || MergePatch::new(payload["updates"].as_object().unwrap().clone());
    match kind {
        "CREATE_NODE" => Command::CreateNode { node: node(payload) },
        "UPDATE_NODE" => Command::UpdateNode { node_id: node_id(), patch: patch() },
        "UPDATE_NODE_POSITION" => {
            let position = Position::from_json(&payload["position"]).unwrap();
            Command::UpdateNodePosition { node_id: node_id(), position }
        }
        "DELETE_NODE" => Command::DeleteNode { node_id: node_id() },
        "CREATE_EDGE" => Command::CreateEdge { edge: edge(payload) },
        "UPDATE_EDGE" => Command::UpdateEdge { edge_id: edge_id(), patch: patch() },
        "DELETE_EDGE" => Command::DeleteEdge { edge_id: edge_id() },
        "SET_VIEWPORT" => Command::SetViewport { viewport: Viewport::from_json(payload).unwrap() },
        _ => Command::BatchUpdate {
            nodes: payload["nodes"].as_array().into_iter().flatten().map(node).collect(),
            edges: payload["edges"].as_array().map(|edges| edges.iter().map(edge).collect()),
            viewport: payload.get("viewport").map(|viewport| Viewport::from_json(viewport).unwrap()),
        },
    }
}

fn node(given: &Value) -> Node {
    let fields: &Map = given.as_object().unwrap();
    let position = fields.get("position").map_or(Position::default(), |p| Position::from_json(p).unwrap());
    Node::new(given["id"].as_str().unwrap().parse().unwrap(), position, fields.clone()).unwrap()
}

fn edge(given: &Value) -> Edge {
    let id = |field: &str| given[field].as_str().unwrap();
    let (source, target) = (id("source").parse().unwrap(), id("target").parse().unwrap());
    Edge::new(id("id").parse().unwrap(), source, target, given.as_object().unwrap().clone()).unwrap()
}

/// Draws commands.
pub struct Imagination<'a> {
    pub rng: &'a mut Rng,
    /// The edges its client saw last: what a `BATCH_UPDATE` starts from.
    pub edges: &'a [Value],
    /// The version it saw last.
    pub version: u64,
    /// The hashes of the versions it knows.
    pub hashes: &'a BTreeMap<u64, String>,
    /// Bytes of padding that some nodes carry, which makes them too large.
    pub padding: usize,
    /// Whether many know little more than the beginning of the history.
    pub is_far_behind: bool,
}

impl Imagination<'_> {
    /// A command, or an atomic batch of a few.
    pub fn members(&mut self) -> (bool, Vec<Asked>) {
        let is_batch = self.rng.chance(12);
        let count = if is_batch { 1 + self.rng.index(4) } else { 1 };
        let shared_version = self.client_version();
        let members = (0..count).map(|_| {
            let (kind, payload) = self.command();
            let client_version = if self.rng.chance(20) { self.client_version() } else { shared_version };
            let on_conflict = *self.rng.pick(&["merge", "merge", "merge", "overwrite", "reject"]);
            let client_hash = client_version.and_then(|version| self.client_hash(version));
            Asked { kind, payload, client_version, client_hash, on_conflict }
        });
        (is_batch, members.collect())
    }

    fn client_version(&mut self) -> Option<u64> {
        if self.is_far_behind && self.rng.chance(40) {
            return Some(self.rng.below(4));
        }
        match self.rng.below(100) {
            0..20 => None,
            20..50 => Some(self.version),
            50..75 => Some(self.version.saturating_sub(self.rng.below(8))),
            75..92 => Some(self.rng.below(self.version + 1)),
            92..96 => Some(0),
            96..99 => Some(self.version + 1 + self.rng.below(3)),
            _ => Some(self.version + 1_000),
        }
    }

    /// Mostly what it knows; now and then that of another version, or of none.
    fn client_hash(&mut self, version: u64) -> Option<String> {
        match self.rng.below(100) {
            0..55 => self.hashes.get(&version).cloned(),
            55..57 => self.hashes.values().next().cloned(),
            57..58 => Some("beef".to_owned()),
            _ => None,
        }
    }

    fn command(&mut self) -> (&'static str, Value) {
        let (node, edge) = (self.node_id(), self.edge_id());
        match self.rng.below(100) {
            0..13 => ("CREATE_NODE", self.new_node(&node)),
            13..42 => ("UPDATE_NODE", json!({"nodeId": node, "updates": self.node_patch()})),
            42..53 => ("UPDATE_NODE_POSITION", json!({"nodeId": node, "position": self.position()})),
            53..57 => ("DELETE_NODE", json!({"nodeId": node})),
            57..66 => ("CREATE_EDGE", self.new_edge(&edge)),
            66..79 => ("UPDATE_EDGE", json!({"edgeId": edge, "updates": self.edge_patch()})),
            79..83 => ("DELETE_EDGE", json!({"edgeId": edge})),
            83..88 => ("SET_VIEWPORT", self.viewport()),
            _ => ("BATCH_UPDATE", self.batch_update()),
        }
    }

    fn node_id(&mut self) -> String {
        format!("n{}", self.rng.below(6).min(self.rng.below(6)))
    }

    fn edge_id(&mut self) -> String {
        format!("e{}", self.rng.below(5).min(self.rng.below(5)))
    }

    fn small(&mut self) -> u64 {
        self.rng.below(3)
    }

    fn position(&mut self) -> Value {
        json!({"x": self.small(), "y": self.small()})
    }

    fn viewport(&mut self) -> Value {
        json!({"x": self.small(), "y": 0, "zoom": 1 + self.small()})
    }

    fn new_node(&mut self, id: &str) -> Value {
        let mut node = json!({"id": id});
        if self.rng.chance(70) {
            node["position"] = self.position();
        }
        for _ in 0..self.rng.below(3) {
            let (field, value) = self.attribute();
            node[field] = value;
        }
        node
    }

    fn node_patch(&mut self) -> Value {
        let mut patch = json!({});
        for _ in 0..1 + self.rng.below(2) {
            let (field, value) = match self.rng.below(10) {
                0 => ("position", json!({"x": self.small()})),
                1 => ("position", self.position()),
                _ => self.attribute(),
            };
            patch[field] = value;
        }
        if self.rng.chance(3) { json!({}) } else { patch }
    }

    fn attribute(&mut self) -> (&'static str, Value) {
        let value = self.small();
        match self.rng.below(13) {
            0 | 1 => ("data", json!({"label": value})),
            2 => ("data", if value == 0 { json!({"deep": "cut off"}) } else { json!({"k": value}) }),
            3 => ("data", json!({"deep": {"a": value, "b": 1}})),
            4 => ("data", json!({"deep": {"b": value}, "label": null})),
            5 => ("data", if value == 0 { Value::Null } else { json!({}) }),
            6 => ("type", json!(*self.rng.pick(&["input", "output"]))),
            7 => ("a/b~c", json!({"x": value})),
            8 => ("parentNode", if value == 0 { Value::Null } else { Value::from(self.node_id()) }),
            9 | 10 => ("parentId", if value == 0 { Value::Null } else { Value::from(self.node_id()) }),
            11 => ("pad", Value::from("x".repeat(self.padding))),
            _ => ("style", if value == 0 { json!({"0": 1}) } else { json!([value]) }),
        }
    }

    fn new_edge(&mut self, id: &str) -> Value {
        let mut edge = json!({"id": id, "source": self.node_id(), "target": self.node_id()});
        if self.rng.chance(40) {
            edge["sourceHandle"] = if self.rng.chance(50) { Value::Null } else { json!("left") };
        }
        edge
    }

    fn edge_patch(&mut self) -> Value {
        match self.rng.below(6) {
            0 => json!({"source": self.node_id()}),
            1 => json!({"target": self.node_id(), "label": self.small()}),
            2 => json!({"sourceHandle": null}),
            3 => json!({"data": {"weight": self.small()}}),
            4 => json!({"data": {"kind": self.small()}}),
            _ => json!({"label": self.small()}),
        }
    }

    fn batch_update(&mut self) -> Value {
        let mut payload = json!({});
        if self.rng.chance(70) {
            let first = self.rng.below(6);
            let ids = (0..1 + self.rng.below(3)).map(|n| format!("n{}", (first + n * 5) % 6));
            payload["nodes"] = ids.map(|id| self.new_node(&id)).collect();
        }
        if self.rng.chance(50) {
            payload["edges"] = Value::Array(self.edge_set());
        }
        if self.rng.chance(25) {
            payload["viewport"] = self.viewport();
        }
        payload
    }

    /// The edges seen last, with one left out, one changed, or one more.
    fn edge_set(&mut self) -> Vec<Value> {
        let mut edges = self.edges.to_vec();
        if !edges.is_empty() && self.rng.chance(50) {
            edges.remove(self.rng.index(edges.len()));
        }
        if !edges.is_empty() && self.rng.chance(40) {
            let index = self.rng.index(edges.len());
            edges[index]["label"] = json!(self.small());
        }
        let id = self.edge_id();
        if self.rng.chance(40) && edges.iter().all(|edge| edge["id"] != *id) {
            edges.push(self.new_edge(&id));
        }
        edges
    }
}
